//! The attachments that a restore is about.

use super::read::collection_named;
use super::{Chosen, Piece};
use crate::api::AttachmentRecord;
use crate::api::restore::PIECE_BYTES;
use crate::catalog::CollectionName;
use crate::digest::{Hasher, Sha256};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Watch;
use crate::job::backup::Meter;
use crate::reader::{AttachmentInfo, BackupReader, EntryReader};
use std::io::{Read, Seek};

/// How much of a file is read between two checkpoints.
const STEP_BYTES: u64 = 4 << 20;

/// So many bytes at the beginning tell what a file is.
const HEAD_BYTES: usize = 16;

/// An attachment that may be staged.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The name of the entry.
    pub(super) path: String,
    /// Collection and id of the owner, and its file name, where they are known.
    pub(super) owner: Option<(CollectionName, String, String)>,
    /// What the manifest says of it.
    record: Option<AttachmentRecord>,
}

/// An attachment that will be staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StagedFile {
    /// The name of the entry.
    pub(super) path: String,
    /// What the server will know of it.
    pub(super) record: AttachmentRecord,
}

impl StagedFile {
    /// Its line in a batch, without the line feed.
    pub(super) fn line(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.record).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
    }
}

/// In the order of collection, id and name.
pub(super) fn sort(files: &mut [StagedFile]) {
    let key = |file: &StagedFile| {
        let AttachmentRecord { collection, id, name, .. } = &file.record;
        (collection.clone(), id.clone(), name.clone())
    };
    files.sort_by_cached_key(key);
}

/// The attachments of the chosen collections, and those whose owner nothing tells.
pub(super) fn chosen<R: Read + Seek>(archive: &BackupReader<R>, chosen: &Chosen) -> Result<Vec<Found>> {
    if let Some(manifest) = archive.manifest()? {
        let files = manifest.attachments.iter().filter(|file| chosen.has(&file.record.collection));
        let files = files.map(|file| {
            let AttachmentRecord { collection, id, name, .. } = file.record.clone();
            Found {
                path: file.path.clone(),
                owner: Some((collection, id, name)),
                record: Some(file.record.clone()),
            }
        });
        return Ok(files.collect());
    }
    let by_folder = |file: AttachmentInfo| {
        let AttachmentInfo { path, collection, id, name, .. } = file;
        let owner = collection.and_then(|collection| Some((collection_named(&collection)?, id?, name)));
        let wanted = match &owner {
            Some((collection, ..)) => chosen.has(collection),
            // It may be a file of what was chosen.
            None => true,
        };
        wanted.then_some(Found { path, owner, record: None })
    };
    Ok(archive.attachments().into_iter().filter_map(by_folder).collect())
}

/// Says that the document of a file will not be restored.
pub(super) fn without_document(file: Found) -> Error {
    let message = "the document that this file belongs to is not in the backup";
    let error = Error::new(ErrorKind::Orphaned, message).on(file.path);
    match file.owner {
        Some((collection, id, _)) => error.expected(format!("the document {id:?} in {collection}"), "none"),
        None => error,
    }
}

/// Reads a file, compares it with what the manifest says, or finds out what there is to say.
pub(super) async fn check<R: Read + Seek>(
    archive: &mut BackupReader<R>,
    file: &Found,
    meter: &Meter<'_, impl Watch>,
) -> Result<AttachmentRecord> {
    let stored = archive.entry_named(&file.path).map_or(0, |entry| entry.stored_size);
    let mut told = 0;
    let (mut hasher, mut head, mut size) = (Hasher::default(), Vec::new(), 0);
    let mut content = archive.attachment(&file.path)?;
    loop {
        let mut step = Vec::new();
        Read::take(&mut content, STEP_BYTES).read_to_end(&mut step)?;
        if step.is_empty() {
            break;
        }
        if size == 0 {
            head.extend(step.iter().take(HEAD_BYTES));
        }
        size += step.len() as u64;
        hasher.update(&step);
        // A file that grows when it is unpacked is counted as it is stored.
        let read = size.min(stored);
        meter.read_back(Some(&file.path), read - told).await?;
        told = read;
    }
    meter.read_back(Some(&file.path), stored - told).await?;
    let sha256 = hasher.finish();
    match (&file.record, &file.owner) {
        (Some(record), _) if (record.size, record.sha256) == (size, sha256) => Ok(record.clone()),
        (Some(record), _) => Err(changed(&file.path, &record.sha256, &sha256)),
        (None, Some((collection, id, name))) => Ok(AttachmentRecord {
            collection: collection.clone(),
            id: id.clone(),
            name: name.clone(),
            media_type: media_type(name, &head).to_owned(),
            size,
            sha256,
        }),
        (None, None) => {
            Err(Error::new(ErrorKind::Internal, "a file without an owner").on(file.path.as_str()))
        }
    }
}

/// Reads a file piece by piece, to send it.
pub(super) struct Pieces<'a, R> {
    content: EntryReader<'a, R>,
    file: &'a StagedFile,
    hasher: Hasher,
    from: u64,
    done: bool,
}

impl<'a, R: Read + Seek> Pieces<'a, R> {
    /// At the beginning of the file.
    pub(super) fn of(archive: &'a mut BackupReader<R>, file: &'a StagedFile) -> Result<Self> {
        let content = archive.attachment(&file.path)?;
        Ok(Self { content, file, hasher: Hasher::default(), from: 0, done: false })
    }

    /// How many bytes the next piece has; none behind the last one. An empty file is one piece.
    pub(super) fn next_bytes(&self) -> Option<usize> {
        let left = self.file.record.size.saturating_sub(self.from);
        (!self.done).then(|| usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES))
    }

    /// Reads the next piece. The last one comes only if all of the file is what it was when it was checked.
    pub(super) async fn next(&mut self, meter: &Meter<'_, impl Watch>) -> Result<Piece> {
        let size = self.file.record.size;
        let mut bytes = Vec::with_capacity(self.next_bytes().unwrap_or_default());
        let most = PIECE_BYTES as u64;
        while bytes.len() < PIECE_BYTES {
            let step = STEP_BYTES.min(most - bytes.len() as u64);
            if Read::take(&mut self.content, step).read_to_end(&mut bytes)? == 0 {
                break;
            }
            meter.pause().await?;
        }
        self.hasher.update(&bytes);
        let piece = Piece { from: self.from, size, bytes };
        self.from += piece.bytes.len() as u64;
        if piece.bytes.is_empty() || self.from >= size {
            let sha256 = self.hasher.clone().finish();
            if sha256 != self.file.record.sha256 {
                return Err(changed(&self.file.path, &self.file.record.sha256, &sha256));
            }
            self.done = true;
        }
        Ok(piece)
    }
}

fn changed(path: &str, expected: &Sha256, actual: &Sha256) -> Error {
    Error::new(ErrorKind::Io, "a file of the archive changed while it was read")
        .on(path)
        .expected(expected, actual)
}

/// What a file is, told by how it begins, else by how its name ends.
fn media_type(name: &str, head: &[u8]) -> &'static str {
    const BEGINNINGS: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
    ];
    const ENDINGS: &[(&str, &str)] = &[
        ("csv", "text/csv"),
        ("htm", "text/html"),
        ("html", "text/html"),
        ("json", "application/json"),
        ("svg", "image/svg+xml"),
        ("txt", "text/plain"),
        ("xml", "application/xml"),
    ];
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return "image/webp";
    }
    if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        return "image/bmp";
    }
    let begun = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning));
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let ended = || ENDINGS.iter().find(|(known, _)| Some(*known) == ending.as_deref());
    begun
        .map(|(_, media_type)| *media_type)
        .or_else(|| Some(ended()?.1))
        .unwrap_or("application/octet-stream")
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn the_beginning_of_a_file_decides_before_its_name() {
        for (name, head, expected) in [
            ("a.txt", &b"\x89PNG\r\n\x1a\n\0\0"[..], "image/png"),
            ("a", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            ("a", b"RIFF\0\0\0\0WAVEfmt ", "application/octet-stream"),
            ("Rechnung.PDF", b"", "application/octet-stream"),
            ("a", b"BM6(\0\0\0\0\0\x006\0\0\0", "image/bmp"),
            ("a.txt", b"BMW, Audi, Opel", "text/plain"),
            ("Liste.CSV", b"a;b", "text/csv"),
            ("csv", b"", "application/octet-stream"),
            ("x.svg", b"<svg", "image/svg+xml"),
        ] {
            assert_eq!(media_type(name, head), expected, "{name}");
        }
    }
}
