//! The machine: paths, programs, child processes, Debian packages.

use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The repository.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target folder, where everything goes that can be made again.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that started us, in the repository.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).current_dir(root());
    command
}

/// Whether a machine is running us that must not skip anything.
pub(crate) fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Says in one line what is about to happen or has happened.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("xtask: {line}");
}

/// Runs the command with its output passing through; anything but success is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| shown(command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// What the command prints, if it can be run and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the command succeeds within the time; it is killed when it does not end.
pub(crate) fn succeeds_within(limit: Duration, command: &mut Command) -> bool {
    let Ok(mut child) = command.stdin(Stdio::null()).spawn() else { return false };
    let start = Instant::now();
    while start.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(100)),
            Err(_) => break,
        }
    }
    // It may have ended just now, and then there is nothing left to kill.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words: Vec<_> = std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// Where a program of this name is in PATH.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(&file)).find(|path| path.is_file())
}

/// Whether Debian packages can be installed here: there is apt-get, and we are root or sudo asks no password.
pub(crate) fn apt_works() -> bool {
    which("apt-get").is_some() && apt_prefix().is_some()
}

/// Installs Debian packages, or says why that is impossible. Callers check [`apt_works`] first.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let prefix = apt_prefix().context("installing packages needs root, or sudo without a password")?;
    say(format_args!("installing Debian's {} with apt-get", packages.join(", ")));
    let apt = |args: &[&str]| {
        let [program, words @ ..] = prefix else { bail!("no command to run apt-get with") };
        let mut command = Command::new(program);
        command.args(words).args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]);
        run(command.args(["-o", "DPkg::Lock::Timeout=300"]).args(args))
    };
    let install: Vec<_> =
        ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect();
    // The package lists of a fresh machine are empty, and old ones name versions that are gone.
    if apt(&install).is_err() {
        say("trying again with fresh package lists");
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

fn apt_prefix() -> Option<&'static [&'static str]> {
    if output(Command::new("id").arg("-u"))? == "0" {
        Some(&["env"])
    } else {
        output(Command::new("sudo").args(["-n", "true"])).map(|_| ["sudo", "-n", "env"].as_slice())
    }
}
