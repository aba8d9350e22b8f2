//! What is known about an archive, as it stands in the file beside it.

use crate::durable;
use dikas_archive::api::archives::ArchiveCheck;
use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_archive::manifest::Manifest;
use dikas_archive::reader::BackupReader;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;
use tempfile::NamedTempFile;

const ENDING: &str = ".json";

/// What is known about an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Size in bytes when this was written.
    pub(crate) size: u64,
    /// When the file was last written, in nanoseconds since 1970.
    pub(crate) modified: u64,
    /// The moment of its data.
    pub(crate) created: String,
    /// Digest of the whole file, as far as it is known.
    pub(crate) sha256: Option<Sha256>,
    pub(crate) documents: Option<u64>,
    pub(crate) attachments: Option<u64>,
    pub(crate) business: Option<String>,
    /// How many documents and files are missing in it, because they were damaged when it was made.
    #[serde(default)]
    pub(crate) missing: u64,
    /// What the last verification has found.
    pub(crate) check: ArchiveCheck,
    /// The installation whose schedule made it; none for one that somebody put there.
    pub(crate) made_by: Option<String>,
}

/// What tells that a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> io::Result<Self> {
        let since = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let modified = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self { size: metadata.len(), modified })
    }

    fn moment(self) -> String {
        let nanoseconds = i128::from(self.modified);
        crate::clock::text(jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or_default())
    }
}

impl Record {
    /// The record of an archive that the schedule has just made.
    pub(crate) fn new(manifest: &Manifest, file: &File, sha256: Sha256, made_by: &str) -> io::Result<Self> {
        let unknown = Self::unknown(Stamp::of(&file.metadata()?)?);
        let record = Self { sha256: Some(sha256), made_by: Some(made_by.to_owned()), ..unknown };
        Ok(record.with(manifest))
    }

    /// What the manifest of this file tells; `now` is when it was found to be broken.
    pub(super) fn told(path: &Path, stamp: Stamp, now: &str) -> Self {
        let unknown = Self::unknown(stamp);
        let manifest = File::open(path)
            .map_err(Into::into)
            .and_then(BackupReader::open)
            .and_then(|reader| reader.into_manifest());
        match manifest {
            Ok(Some(manifest)) => unknown.with(&manifest),
            Ok(None) => unknown,
            // The disk is to blame, or nobody may read it.
            Err(error) if error.kind == ErrorKind::Io => unknown,
            Err(error) => {
                let check =
                    ArchiveCheck::Damaged { at: now.to_owned(), problems: 1, first: error.to_string() };
                Self { check, ..unknown }
            }
        }
    }

    fn unknown(stamp: Stamp) -> Self {
        Self {
            size: stamp.size,
            modified: stamp.modified,
            created: stamp.moment(),
            sha256: None,
            documents: None,
            attachments: None,
            business: None,
            missing: 0,
            check: ArchiveCheck::Unchecked,
            made_by: None,
        }
    }

    fn with(self, manifest: &Manifest) -> Self {
        Self {
            created: manifest.created.clone(),
            documents: Some(manifest.documents()),
            attachments: Some(manifest.attachments.len() as u64),
            business: Some(manifest.source.business.clone()),
            missing: manifest.missing.len() as u64,
            ..self
        }
    }

    /// What it says of the file as it is now. A changed one that the schedule made is still its own: without the right
    /// size it is damaged, with another time it has to be verified anew. Of any other nothing is known any more.
    pub(super) fn at(self, stamp: Stamp) -> Option<Self> {
        if self.stamp() == stamp {
            return Some(self);
        }
        self.made_by.as_ref()?;
        let check = match (self.size == stamp.size, self.check) {
            // Perhaps somebody has brought a good copy back: that too has to be verified anew.
            (_, ArchiveCheck::Damaged { .. }) | (true, _) => ArchiveCheck::Unchecked,
            (false, _) => {
                let first =
                    format!("the file was changed: expected {} bytes, found {}", self.size, stamp.size);
                ArchiveCheck::Damaged { at: stamp.moment(), problems: 1, first }
            }
        };
        Some(Self { size: stamp.size, modified: stamp.modified, check, ..self })
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp { size: self.size, modified: self.modified }
    }

    /// The digest that its file has to have, where that is known.
    pub(super) fn expected(&self) -> Option<&Sha256> {
        self.sha256.as_ref().filter(|_| self.made_by.is_some())
    }

    /// The same after all of a file was read that was so. The digest of what the schedule made stays what it should be.
    pub(super) fn seen(self, stamp: Stamp, sha256: Sha256, check: ArchiveCheck) -> Self {
        let sha256 = self.expected().copied().unwrap_or(sha256);
        Self { size: stamp.size, modified: stamp.modified, sha256: Some(sha256), check, ..self }
    }

    /// The record beside the archive of this name, if there is one.
    pub(super) fn read(folder: &Path, archive: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(archive.to_owned() + ENDING)).ok()?).ok()
    }

    /// Writes it beside the archive of this name, in the place of the one before.
    pub(super) fn write(&self, folder: &Path, archive: &str) -> io::Result<()> {
        self.written(folder)?.persist(folder.join(archive.to_owned() + ENDING))?;
        durable::sync_folder(folder)
    }

    /// Writes it for an archive that is to come; answers whether nobody else has taken the name.
    pub(super) fn claim(&self, folder: &Path, archive: &str) -> io::Result<bool> {
        let path = folder.join(archive.to_owned() + ENDING);
        if path.symlink_metadata().is_ok() {
            return Ok(false);
        }
        match self.written(folder)?.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // Not every file system can rename without replacing.
            Err(error) => Ok(error.file.persist(&path).map(|_| true)?),
        }
    }

    fn written(&self, folder: &Path) -> io::Result<NamedTempFile> {
        durable::with_json(super::part(folder, ENDING)?, self)
    }
}

/// Removes the record of the archive of this name, if there is one.
pub(super) fn remove(folder: &Path, archive: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(archive.to_owned() + ENDING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The archive whose record has this file name.
pub(super) fn archive_of(record: &str) -> Option<&str> {
    record.strip_suffix(ENDING).filter(|archive| archive.ends_with(".zip"))
}
