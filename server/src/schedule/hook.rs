//! The program that tells people of a run that failed.

use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Runs a program with these variables besides the server's own, without a shell; one that takes longer than `limit` is
/// ended, with all that it has started.
///
/// # Errors
/// What it had to say for itself, in a sentence.
pub(super) async fn run(
    hook: &[String],
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<(), String> {
    let Some((program, arguments)) = hook.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| format!("{program} cannot be started: {error}"))?;
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program} has failed: {status}")),
        Ok(Err(error)) => Err(format!("{program} cannot be waited for: {error}")),
        Err(_) => {
            end(&mut child).await;
            Err(format!("{program} took longer than {} s, and was ended", limit.as_secs()))
        }
    }
}

async fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill().await;
}
