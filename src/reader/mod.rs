//! Reads a backup, be it ours, another program's, damaged or hostile (FORMAT.md section 9).
//!
//! Opening reads the end records, the central directory and the manifest, and nothing else. An entry is compared with
//! its local header, size, CRC-32 and SHA-256 when it is read. Memory stays flat: content streams, and what the
//! directory can make the reader allocate is bounded by the size of the file and by [`Limits`]. One bad entry does not
//! hide the others: its problem is an error of that entry alone. A backup that was unpacked and packed again reads as
//! it did before, be there a folder on top, other spellings of names, or what macOS adds.
//!
//! Left out on purpose: archives in several disks, encryption, compression other than Deflate, bytes in front of the
//! archive.

mod block;
mod directory;
mod documents;
mod entry;
mod names;
mod records;
mod refusal;
mod root;
mod salvage;
mod summary;
mod verify;

pub use block::{BLOCK_BYTES, BlockReader};
pub use documents::Documents;
pub use entry::{Entry, EntryReader, Lines};
pub(crate) use summary::stem;
pub use summary::{Attachment, AttachmentInfo, CollectionInfo, Summary, collection_of};
pub use verify::Verdict;

use crate::digest::{Hasher, Sha256};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::manifest::{MANIFEST_NAME, Manifest, PartEntry};
use crate::path::ATTACHMENTS;
use directory::Directory;
use entry::Announced;
use names::Index;
use root::PART_ENDING;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::io::{Read, Seek, SeekFrom};

/// What a long call reports: how many more bytes of the archive it is done with, often none. An error ends the call.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `manifest.json`.
    Manifest,
    /// Documents.
    Part,
    /// A file of a document.
    Attachment,
    /// A folder: no content.
    Folder,
    /// What macOS keeps beside a file or folder that is there too.
    Addition,
    /// What no manifest names and no rule knows.
    Other,
}

/// What is unusual about an archive and takes nothing from what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Note {
    /// Zeros or line ends follow the end of the archive.
    TrailingBytes {
        /// How many bytes.
        bytes: u64,
    },
    /// Another program has unpacked the backup and packed it again; the manifest says what every byte has to be.
    Repacked,
    /// Parts of another program begin with a byte order mark, which belongs to no document.
    ByteOrderMarks {
        /// How many parts.
        parts: u64,
    },
    /// The backup is in a folder of the archive: it was unpacked and packed again.
    Folder {
        /// The folder, with its slash.
        name: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrailingBytes { bytes } => {
                write!(f, "zeros or line ends follow the end of the archive, in bytes: {bytes}")
            }
            Self::ByteOrderMarks { parts } => {
                write!(
                    f,
                    "parts that begin with a byte order mark, which belongs to no document and is passed over: {parts}"
                )
            }
            Self::Repacked => f.write_str("another program has unpacked this backup and packed it again"),
            Self::Folder { name } => write!(f, "the backup is in the folder {name} of the archive"),
        }
    }
}

/// An open backup.
#[derive(Debug)]
pub struct BackupReader<R> {
    input: BlockReader<R>,
    limits: Limits,
    entries: Vec<Entry>,
    index: Index,
    roles: Vec<Role>,
    /// What the manifest names and is not there.
    absent: HashSet<String>,
    canonical: bool,
    trailing: u64,
    folder: String,
    lost_directory: Option<Error>,
    manifest: Option<Result<Manifest>>,
}

/// What an entry is, and where the manifest speaks of it.
#[derive(Debug, Clone, Copy)]
enum Role {
    Manifest,
    Part(Option<(usize, usize)>),
    Attachment(Option<usize>),
    Folder,
    Addition,
    Other,
}

impl<R: Read + Seek> BackupReader<R> {
    /// Opens a backup with the usual limits.
    ///
    /// # Errors
    /// `not-an-archive`, `damaged-directory`, `limit-exceeded`, `newer-format`, `io`; `conflicting-entries` where the
    /// archive holds several backups.
    pub fn open(inner: R) -> Result<Self> {
        Self::open_with(inner, Limits::default())
    }

    /// Opens a backup.
    ///
    /// # Errors
    /// As [`BackupReader::open`].
    pub fn open_with(inner: R, limits: Limits) -> Result<Self> {
        let mut input = BlockReader::new(inner)?;
        let directory = directory::read(&mut input, &limits)?;
        Self::of_directory(input, limits, directory, None)
    }

    /// The same for an archive that was cut, or whose end is damaged: where its directory cannot be used, the entries
    /// are found by their local headers. [`BackupReader::lost_directory`] says so then, and so does
    /// [`BackupReader::verify`].
    ///
    /// # Errors
    /// As [`BackupReader::open`]; also those of `progress`.
    pub fn salvage(inner: R, limits: Limits, progress: OnProgress<'_>) -> Result<Self> {
        let mut input = BlockReader::new(inner)?;
        match directory::read(&mut input, &limits) {
            Ok(directory) => Self::of_directory(input, limits, directory, None),
            Err(error) if matches!(error.kind, ErrorKind::NotAnArchive | ErrorKind::DamagedDirectory) => {
                let entries = salvage::read(&mut input, &limits, progress)?;
                if entries.is_empty() {
                    return Err(error);
                }
                let (entries, index) = names::without_repeated(entries);
                let found = Directory { entries, index, canonical: false, trailing: 0 };
                Self::of_directory(input, limits, found, Some(salvage::lost(&error)))
            }
            Err(error) => Err(error),
        }
    }

    fn of_directory(
        input: BlockReader<R>,
        limits: Limits,
        directory: Directory,
        lost_directory: Option<Error>,
    ) -> Result<Self> {
        let Directory { entries, index, canonical, trailing } = directory;
        let mut reader = Self {
            input,
            limits,
            index,
            entries,
            roles: Vec::new(),
            absent: HashSet::new(),
            canonical,
            trailing,
            folder: String::new(),
            lost_directory,
            manifest: None,
        };
        reader.find_root()?;
        reader.assign_roles();
        Ok(reader)
    }

    /// What the backup says it holds; none where it has no manifest.
    ///
    /// # Errors
    /// Why the manifest cannot be used. Everything else stays readable, as if there were none.
    pub fn manifest(&self) -> Result<Option<&Manifest>> {
        self.manifest.as_ref().map(|manifest| manifest.as_ref().map_err(Clone::clone)).transpose()
    }

    /// The same, for whoever needs nothing else.
    ///
    /// # Errors
    /// As [`BackupReader::manifest`].
    pub fn into_manifest(self) -> Result<Option<Manifest>> {
        self.manifest.transpose()
    }

    /// Why the directory cannot be used, where the entries were found by their local headers.
    pub fn lost_directory(&self) -> Option<&Error> {
        self.lost_directory.as_ref()
    }

    /// What is unusual about the archive and takes nothing from what it holds.
    pub fn notes(&self) -> Vec<Note> {
        let folder = (!self.folder.is_empty()).then(|| Note::Folder { name: self.folder.clone() });
        let trailing = (self.trailing > 0).then_some(Note::TrailingBytes { bytes: self.trailing });
        let repacked = (self.sound_manifest().is_some() && self.is_repacked()).then_some(Note::Repacked);
        repacked.into_iter().chain(folder).chain(trailing).collect()
    }

    /// Every entry, in the order of the directory. Names are those in the backup's folder, with `/` and in NFC.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of this name.
    pub fn entry_named(&self, name: &str) -> Option<&Entry> {
        self.entries.get(self.index.get(&self.entries, name)?)
    }

    /// The place of the entry of this name, counted as in [`BackupReader::entries`]. What is read in this order is read from
    /// the beginning of the file to its end.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(&self.entries, name)
    }

    /// What this entry, counted as in [`BackupReader::entries`], is.
    pub fn kind(&self, at: usize) -> EntryKind {
        match self.roles.get(at) {
            Some(Role::Manifest) => EntryKind::Manifest,
            Some(Role::Part(_)) => EntryKind::Part,
            Some(Role::Attachment(_)) => EntryKind::Attachment,
            Some(Role::Folder) => EntryKind::Folder,
            Some(Role::Addition) => EntryKind::Addition,
            Some(Role::Other) | None => EntryKind::Other,
        }
    }

    /// Bytes of the whole file.
    pub fn length(&self) -> u64 {
        self.input.length()
    }

    /// The lines of this part.
    ///
    /// # Errors
    /// `missing-entry`; `bad-argument` where it is no part; the entry's own problem; `io`.
    pub fn lines(&mut self, part: &str) -> Result<Lines<'_, R>> {
        let at = self.find_part(part)?;
        self.lines_at(at)
    }

    /// The content of an attachment, by its path in the archive.
    ///
    /// # Errors
    /// `missing-entry`; `bad-argument` where it is no attachment; the entry's own problem; `io`.
    pub fn attachment(&mut self, path: &str) -> Result<EntryReader<'_, R>> {
        let at = self.find(path)?;
        if self.kind(at) != EntryKind::Attachment {
            return Err(Error::new(ErrorKind::BadArgument, "this entry is no attachment").on(path));
        }
        self.open_entry(at)
    }

    /// The content of any entry, as a ZIP tool unpacks it.
    ///
    /// # Errors
    /// `missing-entry`; the entry's own problem; `io`.
    pub fn entry(&mut self, name: &str) -> Result<EntryReader<'_, R>> {
        let at = self.find(name)?;
        self.open_entry(at)
    }

    /// The SHA-256 of the whole file.
    ///
    /// # Errors
    /// `io`, and those of `progress`.
    pub fn sha256(&mut self, progress: OnProgress<'_>) -> Result<Sha256> {
        let mut hasher = Hasher::default();
        let mut at = 0;
        loop {
            let bytes = self.file_bytes(at, BLOCK_BYTES)?;
            if bytes.is_empty() {
                return Ok(hasher.finish());
            }
            hasher.update(&bytes);
            at += bytes.len() as u64;
            progress(bytes.len() as u64)?;
        }
    }

    /// Bytes of the file itself, from `from` on, at most `max_bytes`; none only at its end.
    ///
    /// # Errors
    /// `io`
    pub fn file_bytes(&mut self, from: u64, max_bytes: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input.seek(SeekFrom::Start(from))?;
        Read::take(&mut self.input, max_bytes as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What this reader allows.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Gives back what it reads from.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.index.get(&self.entries, name).ok_or_else(|| self.missing(name))
    }

    /// Says that there is no such entry, be it one that the manifest names.
    fn missing(&self, name: &str) -> Error {
        let message = match self.absent.contains(name) {
            true => "an entry that the manifest names is missing",
            false => "the archive has no such entry",
        };
        Error::new(ErrorKind::MissingEntry, message).on(name)
    }

    fn find_part(&self, part: &str) -> Result<usize> {
        let at = self.find(part)?;
        if self.kind(at) == EntryKind::Part {
            return Ok(at);
        }
        Err(Error::new(ErrorKind::BadArgument, "this entry holds no documents").on(part))
    }

    /// The manifest, where it is there and sound.
    fn sound_manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref().and_then(|manifest| manifest.as_ref().ok())
    }

    fn part_entry(&self, at: usize) -> Option<&PartEntry> {
        let Some(Role::Part(Some((collection, part)))) = self.roles.get(at) else { return None };
        self.sound_manifest()?.collections.get(*collection)?.parts.get(*part)
    }

    fn open_entry(&mut self, at: usize) -> Result<EntryReader<'_, R>> {
        let manifest = self.manifest.as_ref().and_then(|manifest| manifest.as_ref().ok());
        let sha256 = match (self.roles.get(at), manifest) {
            (Some(Role::Part(_)), _) => self.part_entry(at).map(|part| part.sha256),
            (Some(Role::Attachment(Some(file))), Some(manifest)) => {
                manifest.attachments.get(*file).map(|file| file.record.sha256)
            }
            _ => None,
        };
        let tight = self.canonical && manifest.is_some();
        let no_entry = || Error::new(ErrorKind::MissingEntry, "the archive has no such entry");
        EntryReader::open(&mut self.input, self.entries.get(at).ok_or_else(no_entry)?, sha256, tight)
    }

    fn lines_at(&mut self, at: usize) -> Result<Lines<'_, R>> {
        self.lines_within(at, self.limits.clone())
    }

    fn lines_within(&mut self, at: usize, limits: Limits) -> Result<Lines<'_, R>> {
        let announced = self.announced(at);
        Ok(Lines::new(self.open_entry(at)?, announced, limits))
    }

    /// The lines of a part that is damaged, nearly all that stand before the damage.
    pub(crate) fn careful_lines(&mut self, part: &str) -> Result<Lines<'_, R>> {
        let at = self.find_part(part)?;
        let (announced, limits) = (self.announced(at), self.limits.clone());
        Ok(Lines::careful(self.open_entry(at)?, announced, limits))
    }

    fn announced(&self, at: usize) -> Option<Announced> {
        self.part_entry(at).map(|part| Announced { documents: part.documents, bytes: part.bytes })
    }

    fn read_manifest(&mut self, at: usize) -> Result<Manifest> {
        let size = self.entries.get(at).map_or(0, |entry| entry.size);
        if size > self.limits.manifest_bytes {
            return Err(Error::new(ErrorKind::LimitExceeded, "the manifest is too large")
                .on(MANIFEST_NAME)
                .expected(format!("at most {} bytes", self.limits.manifest_bytes), size));
        }
        // What is stored is no longer than the file, whatever a header says of the size.
        let stored = self.entries.get(at).map_or(0, |entry| entry.stored_size.min(self.input.length()));
        let mut json = Vec::with_capacity(usize::try_from(stored.min(size)).unwrap_or_default());
        self.open_entry(at)?.read_to_end(&mut json)?;
        Manifest::parse(&json)
    }

    fn assign_roles(&mut self) {
        // Where there is a manifest, it alone says what is a part or an attachment.
        let named = self.sound_manifest().is_some();
        let mut roles: Vec<Role> = self.entries.iter().map(|entry| role_of(entry, named)).collect();
        let mut absent = HashSet::new();
        let mut assign = |name: &str, role| match self.index.get(&self.entries, name) {
            Some(at) => roles.get_mut(at).into_iter().for_each(|slot| *slot = role),
            None => drop(absent.insert(name.to_owned())),
        };
        if self.manifest.is_some() {
            assign(MANIFEST_NAME, Role::Manifest);
        }
        if let Some(manifest) = self.sound_manifest() {
            for (number, collection) in manifest.collections.iter().enumerate() {
                for (part, entry) in collection.parts.iter().enumerate() {
                    assign(&entry.name, Role::Part(Some((number, part))));
                }
            }
            for (number, attachment) in manifest.attachments.iter().enumerate() {
                assign(&attachment.path, Role::Attachment(Some(number)));
            }
        }
        (self.roles, self.absent) = (roles, absent);
    }
}

/// What an entry is by its name alone. `named`: a manifest names the parts and attachments.
fn role_of(entry: &Entry, named: bool) -> Role {
    if entry.name.ends_with('/') {
        Role::Folder
    } else if entry.addition {
        Role::Addition
    } else if named {
        Role::Other
    } else if entry.name.starts_with(ATTACHMENTS) {
        Role::Attachment(None)
    } else if entry.name.ends_with(PART_ENDING) {
        Role::Part(None)
    } else {
        Role::Other
    }
}

/// Whether this says nothing about the archive: reading failed, or somebody cancelled.
pub(crate) fn is_fatal(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Cancelled | ErrorKind::Internal)
}
