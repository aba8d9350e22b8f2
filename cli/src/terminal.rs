//! What a person sees in a terminal, and what a script reads.

use dikas_archive::error::{Error, ErrorKind, Result};
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

/// What an archive says, on one line of a terminal: whatever could command it, turn its text around or forge a line is
/// escaped.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_harmless(c) { c.to_string() } else { c.escape_unicode().to_string() })
        .collect()
}

/// The same for JSON, which has escapes of its own. Such characters stand nowhere but in its strings.
pub(crate) fn plain_json(json: &str) -> String {
    json.chars()
        .map(|c| if is_harmless(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
        .collect()
}

/// Neither a control character nor a mark of direction.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}
