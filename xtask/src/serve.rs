//! Builds engine and server, and starts the server.

use crate::system::{cargo, run, say, target};
use crate::wasm;
use anyhow::{Context, Result, bail};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Where DiKAS listens.
pub(crate) const DEFAULT_PORT: u16 = 5015;

const DEFAULT_DAYS: u32 = 730;

/// The programs that carry the engine.
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) command_line: PathBuf,
}

/// Builds the engine, then the programs that carry it.
pub(crate) fn build() -> Result<Programs> {
    let server = build_server()?;
    say("building the command line");
    run(cargo("build").args(["--release", "--package", "dikas-backup"]))?;
    Ok(Programs { server, command_line: program("dikas-backup") })
}

/// Builds the engine, then the server; returns the server's path.
pub(crate) fn build_server() -> Result<PathBuf> {
    wasm::build_engine(&wasm::Toolchain::find()?)?;
    say("building the server");
    run(cargo("build").args(["--release", "--package", "dikas-server"]))?;
    Ok(program("dikas-server"))
}

fn program(name: &str) -> PathBuf {
    target().join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Builds everything and becomes the server.
pub(crate) fn serve(port: u16, data: Option<PathBuf>, days: Option<u32>) -> Result<ExitCode> {
    check_port(port)?;
    let days = days.unwrap_or(DEFAULT_DAYS);
    let data = match data {
        Some(data) => std::path::absolute(data)?,
        None if days == DEFAULT_DAYS => target().join("demo-data"),
        // Demo data is made once per folder: another number of days needs another folder.
        None => target().join(format!("demo-data-{days}")),
    };
    let mut server = Command::new(build_server()?);
    server.arg("--data").arg(&data).args(["--listen", &format!("127.0.0.1:{port}")]);
    if days > 0 {
        server.args(["--demo", &days.to_string()]);
    }
    say(format_args!("starting the server with its data in {}", data.display()));
    println!("\n  Page:    http://127.0.0.1:{port}");
    if days > 0 {
        println!("  Log-in:  admin / demo");
    }
    println!("  Ctrl-C ends the server.\n");
    become_it(&mut server)
}

/// Fails before minutes of building when the server could not listen anyway.
fn check_port(port: u16) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} is in use, perhaps by another DiKAS; choose another: cargo xtask serve --port {}",
            port.checked_add(1).unwrap_or(DEFAULT_PORT)
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on port {port}")),
        Ok(_) => Ok(()),
    }
}

/// On Unix the server takes over this process: Ctrl-C, signals and the exit code are its own.
#[cfg(unix)]
fn become_it(server: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(server.exec()).context("cannot start the server")
}

#[cfg(not(unix))]
fn become_it(server: &mut Command) -> Result<ExitCode> {
    let status = server.status().context("cannot start the server")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
