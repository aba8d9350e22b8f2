//! What a person sees in a terminal, and what a script reads.

use dikas_archive::error::{Error, ErrorKind, Result};
pub(crate) use dikas_archive::plain::{plain, plain_json};
use dikas_backup::interrupt::Interrupt;
use std::io::{self, IsTerminal as _, Write as _};

/// Whether somebody is there who can be asked.
pub(crate) fn has_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What the person answers, without the white space around.
///
/// # Errors
/// `cancelled` when the interrupt is raised first; `io`.
pub(crate) async fn ask(question: &str, interrupt: &Interrupt) -> Result<String> {
    let mut err = io::stderr();
    write!(err, "{question}")?;
    err.flush()?;
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line.trim().to_owned())
    });
    tokio::select! {
        answer = answer => {
            let answer = answer.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
            Ok(answer?)
        }
        () = interrupt.raised() => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
    }
}
