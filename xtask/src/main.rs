//! `cargo xtask`: sets up what the project needs, builds it, starts it, tests it, measures it.

mod bench;
mod browser;
mod serve;
mod system;
mod test;
mod wasm;

use anyhow::{Result, bail};
use pico_args::Arguments;
use std::process::ExitCode;

const HELP: &str = "\
DiKAS Backup & Restore: build, start, test and measure, set-up included.

  cargo xtask serve     builds everything and starts the server with demo data on http://127.0.0.1:5015,
                        log-in admin / demo; Ctrl-C ends it
      --port N          listens on another port
      --data DIR        keeps the data in this folder instead of target/demo-data
      --demo DAYS       this many days of demo data in a new folder (default: 730; 0: none, an empty shop)

  cargo xtask build     builds the engine for the browser (into www/engine/pkg), the server and the command line
                        (dikas-server and dikas-backup in target/release), which carry page and engine in themselves
      --engine          the engine alone

  cargo xtask test      formatting, lints, native tests, the engine's tests in a browser, and the page's with a
                        real server; stops at the first of these that fails
      --large           backups of the size of a big shop too (five million documents, 100,000 files, 4.5 GB): needs
                        12 GB of disk, and three quarters of an hour more
      --fast [TEXT...]  native tests alone; with texts, only those whose names contain one of them

  cargo xtask bench     measures the engine in a browser, beside the C tool and libraries from npm, and writes the
                        tables into the README; a quarter of an hour, and longer the first time
      --quick           a minute or two: few runs, nothing large, and the README stays as it is
      --large           a backup of 5 GB too: needs 15 GB of disk

Set-up happens by itself when something is missing, and is said in one line each: Rust's standard library for
wasm32-unknown-unknown, wasm-bindgen at the version of Cargo.lock (built into target/tools), and for tests and
measurements Chromium with its driver, unzip, zip, brotli and python3.

Environment:
  CHROME, CHROMEDRIVER  the browser and the driver to test with, instead of those that are found
  DIKAS_SAMPLES         the folder of pizzeria-2015.zip, a backup of other tools (default: ../shared/samples)
  CI=true               skip nothing: what cannot be tested is a failure
  DIKAS_WASM=debian     build for wasm32 with Debian's own Rust, as where rustup cannot download
";

fn main() -> ExitCode {
    match command(Arguments::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(mut args: Arguments) -> Result<ExitCode> {
    let name = args.subcommand()?;
    if name.is_none() || args.contains(["-h", "--help"]) {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    match name.as_deref().unwrap_or_default() {
        "serve" => {
            let port = args.opt_value_from_str("--port")?.unwrap_or(serve::DEFAULT_PORT);
            let data = args.opt_value_from_str("--data")?;
            let days = args.opt_value_from_str("--demo")?;
            nothing_left(args)?;
            serve::serve(port, data, days)
        }
        "build" => {
            let engine_alone = args.contains("--engine");
            nothing_left(args)?;
            if engine_alone {
                wasm::build_engine(&wasm::Toolchain::find()?)?;
            } else {
                serve::build()?;
            }
            Ok(ExitCode::SUCCESS)
        }
        "test" if args.contains("--fast") => test::fast(args.finish()),
        "test" => {
            let large = args.contains("--large");
            nothing_left(args)?;
            test::everything(large)
        }
        "bench" => {
            let (quick, large) = (args.contains("--quick"), args.contains("--large"));
            nothing_left(args)?;
            bench::bench(quick, large)
        }
        other => bail!("there is no command {other:?}; `cargo xtask --help` lists them"),
    }
}

fn nothing_left(args: Arguments) -> Result<()> {
    match args.finish().first() {
        Some(extra) => {
            bail!("{} is not an option here; `cargo xtask --help` lists them", extra.to_string_lossy())
        }
        None => Ok(()),
    }
}
