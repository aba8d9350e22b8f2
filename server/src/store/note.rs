//! The note beside the database, `installation`: which installation the data folder belongs to, how far its database had
//! come, and for how long its servers have run in all. A database that is put into the folder is compared with it.

use super::{Store, lock};
use crate::durable;
use crate::failure::{Result, unusable};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Instant;

const NAME: &str = "installation";

/// What the note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    installation: String,
    /// The highest position that the database was seen at.
    position: i64,
    /// For how long servers have run on this folder, in seconds; no clock can turn that.
    #[serde(default)]
    running_seconds: u64,
    /// Why the files are not to be judged by the database; stays until a person says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubt: Option<Doubt>,
}

/// Why a database may know less than the files beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Doubt {
    /// The database was further once: this one is an older copy.
    OlderDatabase,
    /// The note could not be read, so that nothing is known about the database.
    UnreadableNote,
}

/// The note of an open store.
#[derive(Debug)]
pub(super) struct Note {
    folder: PathBuf,
    content: Content,
    /// When this server began, and what had been run before.
    begun: Instant,
    before: u64,
}

impl Note {
    /// Compares the database with the note, which is made where there is none: by a first start, or beside a database of
    /// version 0.1.0.
    ///
    /// # Errors
    /// Where the database belongs to another installation, or the note cannot be used.
    pub(super) fn open(folder: &Path, installation: &str, position: i64, ran: u64) -> Result<Self> {
        let path = folder.join(NAME);
        let fresh =
            Content { installation: installation.to_owned(), position, running_seconds: 0, doubt: None };
        let mut content = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => fresh,
            Err(error) => return Err(unusable(&path, error)),
            Ok(json) => serde_json::from_slice(&json).unwrap_or_else(|error| {
                tracing::error!("{} is no note: {error}", path.display());
                Content { doubt: Some(Doubt::UnreadableNote), ..fresh }
            }),
        };
        if content.installation != installation {
            let message = format!(
                "it says that this data folder belongs to the installation {}, and the database {} is of the installation \
                 {installation}. Put the right database back; or, where this one is right, remove that file. Nothing has \
                 changed",
                content.installation,
                super::DATABASE
            );
            return Err(unusable(&path, message));
        }
        if position < content.position && content.doubt.is_none() {
            content.doubt = Some(Doubt::OlderDatabase);
            tracing::error!(
                "the database is an older copy: it is at position {position}, and was at {} once. Documents of the time \
                 between are missing. Their files are kept: docs/operations.md, \"Space\"",
                content.position
            );
        }
        let before = content.running_seconds.max(ran);
        let mut note = Self { folder: folder.to_owned(), content, begun: Instant::now(), before };
        note.write(position).map_err(|error| unusable(&path, error))?;
        Ok(note)
    }

    /// For how long servers have run on this folder, in seconds.
    fn running(&self) -> u64 {
        self.before.saturating_add(self.begun.elapsed().as_secs())
    }

    /// Notes how far the database is.
    fn write(&mut self, position: i64) -> io::Result<()> {
        self.content.position = self.content.position.max(position);
        self.content.running_seconds = self.running();
        durable::write_json(&self.folder, NAME, &self.content)
    }
}

impl Store {
    /// Notes beside the database how far it is, so that an older copy of it is told from it.
    ///
    /// # Errors
    /// Where the disk or the database fails.
    pub fn note_position(&self) -> Result<()> {
        let position = self.read(super::position)?;
        Ok(lock(&self.note).write(position)?)
    }

    /// Why the files are not to be judged by this database, if there is a reason.
    pub(crate) fn doubt(&self) -> Option<Doubt> {
        lock(&self.note).content.doubt
    }

    /// Takes the database as it is from now on: a person has said so.
    pub(super) fn trust(&self) -> Result<()> {
        let position = self.read(super::position)?;
        let mut note = lock(&self.note);
        (note.content.doubt, note.content.position) = (None, position);
        Ok(note.write(position)?)
    }

    /// For how long servers have run on this folder, in seconds, whatever the clock says.
    pub(super) fn running(&self) -> u64 {
        lock(&self.note).running()
    }
}
