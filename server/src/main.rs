//! `dikas-server`: the reference DiKAS server.

use clap::Parser;
use dikas_archive::plain::plain;
use dikas_server::demo::MAX_DAYS;
use dikas_server::logs::{self, LogFormat};
use dikas_server::schedule::config::{ConfigFile, explain};
use dikas_server::{Clock as _, Config, DEMO_LOGIN, Server, Setup, SystemClock, UnnamedFiles};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The reference DiKAS server: documents, attachments and backups, and the admin page.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The data folder; made where it is missing.
    #[arg(long, value_name = "DIR", required_unless_present = "check_config")]
    data: Option<PathBuf>,

    /// Address and port to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5015")]
    listen: String,

    /// A file that says which backups the server makes by itself, when and where, and which proxies and sites it trusts:
    /// README, "Every night at four" and "Behind a proxy".
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Checks such a file: shows what it says and the next five runs, or what is wrong and where. Starts nothing.
    #[arg(long, value_name = "FILE", exclusive = true)]
    check_config: Option<PathBuf>,

    /// Fills an empty data folder with this many days of a demo restaurant; 730 where no number is given. The login is
    /// admin / demo: not for real data.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "730",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    demo: Option<u32>,

    /// MiB of the disk with the data folder that uploads leave free, so that documents can still be deleted on a full
    /// disk.
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u32))]
    keep_free: u32,

    /// Decides about files that no document names, while no server runs: docs/operations.md, "Space". Starts nothing.
    #[arg(long, value_enum, value_name = "WHAT", requires = "data", conflicts_with_all = ["config", "demo"])]
    unnamed_files: Option<UnnamedFiles>,

    /// How lines of the log are written. What is logged, RUST_LOG in the environment says: `info` where it is not set.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    log_format: LogFormat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.check_config {
        return check_config(path);
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dikas-server: {}", plain(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { data, listen, config, demo, keep_free, log_format, unnamed_files, .. } = arguments;
    let ConfigFile { backup, access } =
        config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
    let spare_bytes = u64::from(keep_free) << 20;
    let data = data.unwrap_or_default();
    logs::start(log_format)?;
    if let Some(decision) = unnamed_files {
        println!("{}", decision.decide(&data)?);
        return Ok(());
    }
    let server =
        Server::start(Config { listen, demo, backup, access, spare_bytes, ..Config::new(data) }).await?;
    // Before it says that it listens: a signal that comes right after that must not end it halfway.
    let mut stops = StopSignals::heed()?;
    match server.setup() {
        Setup::Existing => {}
        Setup::Demo => println!("Demo data. Login: {} / {}", DEMO_LOGIN.0, DEMO_LOGIN.1),
        Setup::NotDemo => println!("The data folder holds data that is no demo data; it was left alone."),
        Setup::Created { username, password } => {
            println!("First start. An admin was created; this password is shown only now:");
            println!("  user name  {username}");
            println!("  password   {password}");
        }
    }
    println!("DiKAS listens on http://{}", server.address());
    stops.next().await;
    tracing::info!("stopping");
    tokio::select! {
        () = server.stop() => Ok(()),
        // Whoever asks twice does not want to wait. What was acknowledged is on the disk.
        () = stops.next() => std::process::exit(1),
    }
}

/// Shows what the file says, or what is wrong with it.
fn check_config(path: &Path) -> ExitCode {
    match ConfigFile::read(path) {
        Ok(config) => {
            print!("{}", explain(&config, SystemClock.now()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("dikas-server: {}", plain(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

/// Ctrl-C, and the system's signal to end the service. From when it is made on, each one is heard.
#[derive(Debug)]
struct StopSignals {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl StopSignals {
    #[cfg(unix)]
    fn heed() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signals: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?] })
    }

    #[cfg(windows)]
    fn heed() -> std::io::Result<Self> {
        Ok(Self { signal: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for the next one.
    #[cfg(unix)]
    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    #[cfg(windows)]
    async fn next(&mut self) {
        self.signal.recv().await;
    }
}
