//! Going on with a backup that was interrupted. An [`Output`] that remembers what was [`Written`] needs no directory and no
//! care about the order in which its bytes reached the disk: each entry is read again, and counts as long as it has the
//! digest that it had. From the first one that has not, the archive is written anew.

use super::backup::{Meter, Output};
use super::{Phase, Watch};
use crate::api::Snapshot;
use crate::catalog::CollectionName;
use crate::digest::Hasher;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{AttachmentEntry, PartEntry};
use crate::part::{EncodedPart, RawPartInfo};
use crate::writer::BackupWriter;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// How much of an attachment is read at once.
const STEP_BYTES: u64 = 4 << 20;

/// An entry of an archive that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Written {
    /// A part.
    Part {
        /// Where its bytes begin in the archive.
        at: u64,
        /// The collection.
        collection: CollectionName,
        /// Its place among the collection's parts, from 1 on.
        number: u32,
        /// Whether its compressed form failed its check.
        plain: bool,
        /// What the manifest will say of it.
        entry: PartEntry,
    },
    /// An attachment.
    Attachment {
        /// Where its bytes begin in the archive.
        at: u64,
        /// What the manifest will say of it.
        entry: AttachmentEntry,
    },
}

impl Written {
    /// Documents and bytes of JSON lines, attachments and their bytes: as in [`Progress`](super::Progress).
    pub fn counts(&self) -> (u64, u64, u64, u64) {
        match self {
            Written::Part { entry, .. } => (entry.documents, entry.bytes, 0, 0),
            Written::Attachment { entry, .. } => (0, 0, 1, entry.record.size),
        }
    }
}

/// What is there already.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// So many collections need not be asked for.
    pub(super) collections: usize,
    /// The last part of the collection behind these, where it has one and is not complete.
    pub(super) part: Option<RawPartInfo>,
    /// Documents and bytes of that collection.
    pub(super) tally: (u64, u64),
    /// The last attachment.
    pub(super) attachment: Option<AttachmentEntry>,
    /// How many attachments.
    pub(super) attachments: u64,
    /// How many parts are stored uncompressed.
    pub(super) plain_parts: u64,
}

/// A place for an archive that its writer and the job both use.
#[derive(Debug)]
pub(super) struct Place<'a, O>(&'a RefCell<O>);

impl<O: Output> Place<'_, O> {
    /// Remembers a part that has just been written.
    pub(super) fn wrote_part(&self, info: &RawPartInfo, plain: bool, entry: &PartEntry) -> Result<()> {
        let (collection, number) = (info.collection.clone(), info.number);
        let at = self.began(entry.size)?;
        let entry = Written::Part { at, collection, number, plain, entry: entry.clone() };
        self.0.borrow_mut().wrote(&entry);
        Ok(())
    }

    /// Remembers an attachment that has just been written.
    pub(super) fn wrote_attachment(&self, entry: &AttachmentEntry) -> Result<()> {
        let at = self.began(entry.record.size)?;
        self.0.borrow_mut().wrote(&Written::Attachment { at, entry: entry.clone() });
        Ok(())
    }

    /// Where the bytes began that end here.
    fn began(&self, size: u64) -> Result<u64> {
        let here = self.0.borrow_mut().stream_position()?;
        here.checked_sub(size).ok_or_else(|| Error::new(ErrorKind::Internal, "an entry begins nowhere"))
    }

    /// Bytes at another place, fewer where the end comes first.
    fn peek(&self, at: u64, bytes: u64) -> Result<Vec<u8>> {
        let mut out = self.0.borrow_mut();
        let here = out.stream_position()?;
        out.seek(SeekFrom::Start(at))?;
        let mut found = Vec::new();
        Read::take(&mut *out, bytes).read_to_end(&mut found)?;
        out.seek(SeekFrom::Start(here))?;
        Ok(found)
    }
}

impl<O> Clone for Place<'_, O> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<O: Write> Write for Place<'_, O> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

impl<O: Seek> Seek for Place<'_, O> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}

/// A writer that stands behind those of these entries that are sound.
pub(super) async fn replay<'a, O: Output>(
    out: &'a RefCell<O>,
    entries: Vec<Written>,
    snapshot: &Snapshot,
    meter: &Meter<'_, impl Watch>,
) -> Result<(BackupWriter<Place<'a, O>>, Place<'a, O>, Begun)> {
    let place = Place(out);
    out.borrow_mut().rewind()?;
    let mut writer = BackupWriter::new(place.clone());
    let mut sound = 0;
    if !entries.is_empty() {
        meter.enter(Phase::Resume).await?;
    }
    for written in &entries {
        let again = match written {
            Written::Part { .. } => write_part(&place, &mut writer, written)?,
            Written::Attachment { at, entry } => {
                write_attachment(&place, &mut writer, *at, entry, meter).await?
            }
        };
        if !again {
            break;
        }
        sound += 1;
        let (documents, bytes, attachments, attachment_bytes) = written.counts();
        meter.add(None, documents, attachments, bytes + attachment_bytes).await?;
    }
    let found = entries.get(..sound).unwrap_or_default();
    out.borrow_mut().found(found);
    Ok((writer, place, Begun::of(found, snapshot)))
}

/// Writes a part once more, unless it is damaged.
fn write_part<O: Output>(
    place: &Place<'_, O>,
    writer: &mut BackupWriter<Place<'_, O>>,
    written: &Written,
) -> Result<bool> {
    let Written::Part { at, collection, number, plain, entry } = written else { return Ok(false) };
    let bytes = place.peek(*at, entry.size)?;
    let (sha256, crc32) = (crate::digest::Sha256::of(&bytes), crc32fast::hash(&bytes));
    if sha256 != entry.sha256 {
        return Ok(false);
    }
    let PartEntry { documents, first, last, .. } = entry.clone();
    let info = RawPartInfo { collection: collection.clone(), number: *number, documents, first, last };
    let encoded = EncodedPart { bytes, raw_bytes: entry.bytes, sha256, crc32, stored_plain: *plain };
    writer.part(&info, &encoded)?;
    check_place(place.began(entry.size)?, *at, &entry.name)?;
    Ok(true)
}

/// Writes an attachment once more, unless it is damaged.
async fn write_attachment<O: Output>(
    place: &Place<'_, O>,
    writer: &mut BackupWriter<Place<'_, O>>,
    at: u64,
    entry: &AttachmentEntry,
    meter: &Meter<'_, impl Watch>,
) -> Result<bool> {
    let end = at.saturating_add(entry.record.size);
    let steps = || (at..end).step_by(STEP_BYTES as usize).map(|from| (from, STEP_BYTES.min(end - from)));
    let mut hasher = Hasher::default();
    for (from, bytes) in steps() {
        hasher.update(&place.peek(from, bytes)?);
        meter.pause().await?;
    }
    if hasher.finish() != entry.record.sha256 {
        return Ok(false);
    }
    writer.attachment_start(&entry.record)?;
    check_place(place.began(0)?, at, &entry.path)?;
    for (from, bytes) in steps() {
        let bytes = place.peek(from, bytes)?;
        writer.attachment_data(&bytes)?;
        meter.pause().await?;
    }
    writer.attachment_end()?;
    Ok(true)
}

/// What is written again comes to the same place, else it would overwrite what is yet to be read.
fn check_place(found: u64, expected: u64, name: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let message = "what an interrupted backup has left does not fit";
    Err(Error::new(ErrorKind::Io, message).on(name).expected(expected, found))
}

impl Begun {
    fn of(entries: &[Written], snapshot: &Snapshot) -> Self {
        let mut begun = Self::default();
        for written in entries {
            match written {
                Written::Part { collection, number, plain, entry, .. } => {
                    let PartEntry { documents, first, last, .. } = entry.clone();
                    let info = RawPartInfo {
                        collection: collection.clone(),
                        number: *number,
                        documents,
                        first,
                        last,
                    };
                    let before = begun.part.replace(info).is_some_and(|part| part.collection == *collection);
                    let (documents, bytes) = if before { begun.tally } else { (0, 0) };
                    begun.tally = (documents + entry.documents, bytes + entry.bytes);
                    begun.plain_parts += u64::from(*plain);
                }
                Written::Attachment { entry, .. } => {
                    begun.attachment = Some(entry.clone());
                    begun.attachments += 1;
                }
            }
        }
        if let Some(part) = &begun.part {
            let place = snapshot.collections.iter().position(|summary| summary.name == part.collection);
            begun.collections = place.unwrap_or(snapshot.collections.len());
            let whole =
                |summary: &crate::api::CollectionSummary| (summary.documents, summary.bytes) == begun.tally;
            if snapshot.collections.get(begun.collections).is_some_and(whole) {
                begun.collections += 1;
                begun.part = None;
                begun.tally = (0, 0);
            }
        }
        begun
    }
}
