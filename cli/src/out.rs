//! Standard output, on which somebody may stop to read: then what is left is not written, and that is no failure.

use dikas_archive::error::Result;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};
use std::ops::ControlFlow;

/// Standard output.
#[derive(Debug)]
pub(crate) struct Out {
    to: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
    is_closed: bool,
}

impl Out {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout().lock();
        let is_terminal = stdout.is_terminal();
        Self { to: BufWriter::new(stdout), is_terminal, is_closed: false }
    }

    /// Whether a person sees it as it comes, and a program could be commanded by it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes, and says whether somebody still reads.
    ///
    /// # Errors
    /// `io`, `no-space`.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<ControlFlow<()>> {
        if self.is_closed {
            return Ok(ControlFlow::Break(()));
        }
        let written = self.to.write_all(bytes.as_ref());
        self.done(written)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// As [`Out::write`].
    pub(crate) fn finish(mut self) -> Result<()> {
        if !self.is_closed {
            let written = self.to.flush();
            let _ = self.done(written)?;
        }
        Ok(())
    }

    fn done(&mut self, written: io::Result<()>) -> Result<ControlFlow<()>> {
        match written {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(ControlFlow::Break(()))
            }
            Err(error) => Err(error.into()),
        }
    }
}
