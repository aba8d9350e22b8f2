//! How a command ended, as scripts see it.

use dikas_archive::error::{Error, ErrorKind};
use dikas_backup::interrupt::INTERRUPTED;
use std::process::ExitCode;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All is done.
    Done,
    /// Refused or failed, and nothing was changed.
    Failed,
    /// Wrong arguments, or the file cannot be used.
    Unusable,
    /// Nobody confirmed.
    Unconfirmed,
    /// Nobody knows whether it was done.
    Unknown,
    /// The person stopped it.
    Cancelled,
}

impl Ended {
    /// As a number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Ended::Done => 0,
            Ended::Failed => 1,
            Ended::Unusable => 2,
            Ended::Unconfirmed => 3,
            Ended::Unknown => 4,
            Ended::Cancelled => INTERRUPTED,
        }
    }
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        ExitCode::from(ended.code())
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) ended: Ended,
    pub(crate) error: Error,
}

impl Failure {
    /// A failure that ends so; one that the person wanted stays what it is.
    pub(crate) fn new(ended: Ended, error: Error) -> Self {
        let ended = if error.kind == ErrorKind::Cancelled { Ended::Cancelled } else { ended };
        Self { ended, error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let ended = if error.kind == ErrorKind::BadArgument { Ended::Unusable } else { Ended::Failed };
        Self::new(ended, error)
    }
}
