//! What the schedule knows beyond the end of its process: `schedule.json` in the data folder.

use crate::durable;
use dikas_archive::api::archives::{Attempt, Trigger};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const NAME: &str = "schedule.json";

/// What the schedule has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Journal {
    /// Whatever was due up to this moment is done with; none before the first start.
    pub(super) handled: Option<Timestamp>,
    /// The run under way. Found at a start, it is one that ended with its process.
    pub(super) under_way: Option<UnderWay>,
    /// How often in a row the process has ended in a run that was due.
    #[serde(default)]
    pub(super) interruptions: u32,
    pub(super) last_attempt: Option<Attempt>,
    pub(super) last_success: Option<Attempt>,
}

/// A run that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnderWay {
    pub(super) trigger: Trigger,
    pub(super) began: String,
}

/// Where a journal lies.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// Held while it is written.
    writing: Mutex<()>,
}

impl Place {
    pub(super) fn new(data: &Path) -> Self {
        Self { folder: data.to_owned(), writing: Mutex::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// The journal, a new one where there is none. One that cannot be read counts as one in which nothing is handled: a
    /// backup too many is better than one too few.
    pub(super) fn read(&self, now: Timestamp) -> Journal {
        let fresh = Journal { handled: Some(now), ..Journal::default() };
        let read = match fs::read(self.path()) {
            Ok(json) => serde_json::from_slice(&json).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fresh,
            Err(error) => Err(error),
        };
        read.unwrap_or_else(|error| {
            tracing::error!("{} cannot be read, and is begun anew: {error}", self.path().display());
            Journal { handled: Some(Timestamp::UNIX_EPOCH), ..fresh }
        })
    }

    /// Puts the journal in the place of the one before; what is `current` is asked for when nobody else writes.
    pub(super) fn write(&self, current: impl FnOnce() -> Journal) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        durable::write_json(&self.folder, NAME, &current())
    }
}
