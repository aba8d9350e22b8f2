//! Writes a backup (FORMAT.md sections 2 and 8): parts, then attachments, then the manifest, each in the order of the
//! format, to any place that can write and seek. The same calls give the same bytes on every platform.
//!
//! A writer that is dropped before [`BackupWriter::finish`] has succeeded leaves a file without a directory, which no
//! reader takes for a backup.

use crate::api::{AttachmentRecord, Snapshot};
use crate::digest::Hasher;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{
    AttachmentEntry, CollectionEntry, FORMAT, MANIFEST_NAME, Manifest, PartEntry, VERSION,
};
use crate::part::{EncodedPart, RawPartInfo, part_name};
use crate::path::AttachmentPaths;
use std::cell::Cell;
use std::fmt;
use std::io::{self, BufWriter, IntoInnerError, Seek, SeekFrom, Write};
use std::mem;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// How much of the manifest is written at once, in bytes.
const JSON_BYTES: usize = 64 << 10;

/// Writes one backup.
pub struct BackupWriter<W: Write + Seek> {
    /// None only after `finish`.
    zip: Option<ZipWriter<Gate<W>>>,
    parts: Vec<(RawPartInfo, PartEntry)>,
    attachments: Vec<AttachmentEntry>,
    paths: AttachmentPaths,
    open: Option<OpenAttachment>,
}

struct OpenAttachment {
    entry: AttachmentEntry,
    hasher: Hasher,
    written: u64,
}

impl<W: Write + Seek> BackupWriter<W> {
    /// A backup that begins where `out` stands, which has to be its start.
    pub fn new(out: W) -> Self {
        Self {
            zip: Some(ZipWriter::new(Gate { out, at: 0, shut: Cell::new(false) })),
            parts: Vec::new(),
            attachments: Vec::new(),
            paths: AttachmentPaths::new(),
            open: None,
        }
    }

    /// Writes a part, and answers what the manifest will say of it. Parts come in the order of their collections' names as bytes, then of their numbers.
    ///
    /// # Errors
    /// `bad-argument` where the order is wrong; `io`, `no-space`.
    pub fn part(&mut self, info: &RawPartInfo, encoded: &EncodedPart) -> Result<&PartEntry> {
        let name = part_name(&info.collection, info.number);
        let follows = match self.parts.last() {
            Some((last, _)) if last.collection == info.collection => {
                info.number == last.number + 1 && last.last < info.first
            }
            Some((last, _)) => info.number == 1 && last.collection < info.collection,
            None => info.number == 1,
        };
        if !follows || self.open.is_some() || !self.attachments.is_empty() {
            return Err(Error::new(ErrorKind::BadArgument, "a part is out of order").on(name));
        }
        let size = encoded.bytes.len() as u64;
        self.start(&name, size)?;
        self.write(&encoded.bytes).map_err(|error| error.on(name.as_str()))?;
        let RawPartInfo { documents, first, last, .. } = info.clone();
        let bytes = encoded.raw_bytes;
        let entry = PartEntry { name, documents, bytes, first, last, size, sha256: encoded.sha256 };
        let (_, entry) = self.parts.push_mut((info.clone(), entry));
        Ok(entry)
    }

    /// Begins an attachment. Attachments come after all parts, in the order of collection, id and name as bytes.
    ///
    /// # Errors
    /// `bad-argument` where the order is wrong; `io`, `no-space`.
    pub fn attachment_start(&mut self, record: &AttachmentRecord) -> Result<()> {
        if let Some(open) = &self.open {
            return Err(
                Error::new(ErrorKind::BadArgument, "an attachment is still open").on(&*open.entry.path)
            );
        }
        let path = self.paths.next(&record.collection, &record.id, &record.name)?;
        self.start(&path, record.size)?;
        let entry = AttachmentEntry { path, record: record.clone() };
        self.open = Some(OpenAttachment { entry, hasher: Hasher::default(), written: 0 });
        Ok(())
    }

    /// Writes the next bytes of the open attachment.
    ///
    /// # Errors
    /// `bad-argument` where none is open; `incomplete` where there are more bytes than its record says; `io`,
    /// `no-space`.
    pub fn attachment_data(&mut self, bytes: &[u8]) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(no_open_attachment)?;
        open.written = open.written.saturating_add(bytes.len() as u64);
        if open.written > open.entry.record.size {
            return Err(wrong_size(open));
        }
        open.hasher.update(bytes);
        let path = open.entry.path.clone();
        self.write(bytes).map_err(|error| error.on(path))
    }

    /// Ends the open attachment, and answers what the manifest will say of it.
    ///
    /// # Errors
    /// `bad-argument` where none is open; `incomplete` where bytes are missing; `bad-answer` where the digest is not
    /// the record's.
    pub fn attachment_end(&mut self) -> Result<&AttachmentEntry> {
        let open = self.open.take().ok_or_else(no_open_attachment)?;
        if open.written != open.entry.record.size {
            return Err(wrong_size(&open));
        }
        let found = open.hasher.finish();
        if found != open.entry.record.sha256 {
            return Err(Error::new(
                ErrorKind::BadAnswer,
                "an attachment's bytes are not those of its digest",
            )
            .on(open.entry.path)
            .expected(open.entry.record.sha256, found));
        }
        Ok(self.attachments.push_mut(open.entry))
    }

    /// Writes the manifest and the directory, after a check that all is there that the snapshot announced.
    ///
    /// # Errors
    /// `incomplete`, naming the collection; `bad-argument` where an attachment is still open; `io`, `no-space`.
    pub fn finish(mut self, snapshot: &Snapshot) -> Result<(W, Manifest)> {
        if let Some(open) = &self.open {
            return Err(
                Error::new(ErrorKind::BadArgument, "an attachment is still open").on(&*open.entry.path)
            );
        }
        // With very many attachments every copy counts: there is one of their entries, and none of the JSON.
        self.paths = AttachmentPaths::new();
        let manifest = self.manifest(snapshot)?;
        manifest.check()?;
        self.start(MANIFEST_NAME, manifest.measure()?.0)?;
        let mut json = BufWriter::with_capacity(JSON_BYTES, self.zip.as_mut().ok_or_else(finished)?);
        manifest.write_json(&mut json)?;
        json.into_inner().map_err(IntoInnerError::into_error)?;
        let zip = self.zip.take().ok_or_else(finished)?;
        let mut out = zip.finish().map_err(zip_error)?.out;
        out.flush()?;
        Ok((out, manifest))
    }

    /// What the archive holds, if that is all. The writer forgets the attachments.
    fn manifest(&mut self, snapshot: &Snapshot) -> Result<Manifest> {
        let mut parts = self.parts.as_slice();
        let mut attachments = self.attachments.as_slice();
        let mut collections = Vec::with_capacity(snapshot.collections.len());
        for summary in &snapshot.collections {
            let (own, rest) = split(parts, |(info, _)| info.collection == summary.name);
            parts = rest;
            let (files, rest) = split(attachments, |entry| entry.record.collection == summary.name);
            attachments = rest;
            let entry = CollectionEntry {
                name: summary.name.clone(),
                category: summary.category,
                documents: own.iter().map(|(_, part)| part.documents).sum(),
                bytes: own.iter().map(|(_, part)| part.bytes).sum(),
                parts: own.iter().map(|(_, part)| part.clone()).collect(),
            };
            let file_bytes: u64 = files.iter().map(|entry| entry.record.size).sum();
            for (what, expected, found) in [
                ("documents", summary.documents, entry.documents),
                ("bytes of documents", summary.bytes, entry.bytes),
                ("attachments", summary.attachments, files.len() as u64),
                ("bytes of attachments", summary.attachment_bytes, file_bytes),
            ] {
                if expected != found {
                    return Err(Error::new(
                        ErrorKind::Incomplete,
                        "not all that the snapshot announced has arrived",
                    )
                    .on(summary.name.as_str())
                    .expected(format!("{expected} {what}"), found));
                }
            }
            collections.push(entry);
        }
        let stray = parts.first().map(|(info, _)| &info.collection);
        if let Some(stray) = stray.or_else(|| attachments.first().map(|entry| &entry.record.collection)) {
            let message = "what has arrived is not what the snapshot announced";
            return Err(Error::new(ErrorKind::Incomplete, message).on(stray.as_str()));
        }
        Ok(Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            created: snapshot.created.clone(),
            source: snapshot.source.clone(),
            collections,
            attachments: mem::take(&mut self.attachments),
            missing: snapshot.missing.clone(),
        })
    }

    fn start(&mut self, name: &str, size: u64) -> Result<()> {
        // Every field is fixed: the crate's defaults depend on the platform. ZIP64 where the size needs it.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .system(System::Unix)
            .unix_permissions(0o644)
            .large_file(size >= u64::from(u32::MAX));
        let zip = self.zip.as_mut().ok_or_else(finished)?;
        zip.start_file(name, options).map_err(|error| zip_error(error).on(name))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.zip.as_mut().ok_or_else(finished)?.write_all(bytes)?)
    }
}

impl<W: Write + Seek> Drop for BackupWriter<W> {
    fn drop(&mut self) {
        // The ZIP writer would end the archive when it is dropped, and half a backup would look whole.
        if let Some(gate) = self.zip.as_ref().and_then(ZipWriter::get_ref) {
            gate.shut.set(true);
        }
    }
}

impl<W: Write + Seek> fmt::Debug for BackupWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = (self.parts.len(), self.attachments.len());
        f.debug_tuple("BackupWriter").field(&counts).finish()
    }
}

/// What lies before a backup's bytes: once shut, it swallows them, and only counts where it would stand.
struct Gate<W> {
    out: W,
    at: u64,
    shut: Cell<bool>,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = if self.shut.get() { bytes.len() } else { self.out.write(bytes)? };
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.shut.get() { Ok(()) } else { self.out.flush() }
    }
}

impl<W: Seek> Seek for Gate<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            to if !self.shut.get() => self.out.seek(to)?,
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) | SeekFrom::End(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

/// The items at the front that belong together, and the rest.
fn split<T>(items: &[T], belongs: impl Fn(&T) -> bool) -> (&[T], &[T]) {
    items.split_at(items.iter().position(|item| !belongs(item)).unwrap_or(items.len()))
}

fn wrong_size(open: &OpenAttachment) -> Error {
    Error::new(ErrorKind::Incomplete, "an attachment has not the size that its record says")
        .on(open.entry.path.as_str())
        .expected(format!("{} bytes", open.entry.record.size), open.written)
}

fn no_open_attachment() -> Error {
    Error::new(ErrorKind::BadArgument, "no attachment is open")
}

fn finished() -> Error {
    Error::new(ErrorKind::Internal, "the backup is already finished")
}

fn zip_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => error.into(),
        other => Error::new(ErrorKind::Internal, format!("the ZIP archive cannot be written: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CollectionSummary, SourceInfo};
    use crate::catalog::Category;
    use crate::codec;
    use crate::digest::Sha256;
    use crate::part::PartCutter;
    use std::io::Cursor;

    fn summary(name: &str, lines: &[u8], attachments: u64, attachment_bytes: u64) -> CollectionSummary {
        CollectionSummary {
            name: name.parse().unwrap(),
            category: Category::Articles,
            documents: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
            bytes: lines.len() as u64,
            attachments,
            attachment_bytes,
        }
    }

    fn snapshot(collections: Vec<CollectionSummary>) -> Snapshot {
        let source = SourceInfo {
            installation: "0".repeat(32),
            business: "Café".to_owned(),
            product: "DiKAS 26.3".to_owned(),
            position: 1,
        };
        Snapshot {
            id: "1".repeat(32),
            created: "2026-11-23T18:59:41Z".to_owned(),
            source,
            collections,
            missing: Vec::new(),
        }
    }

    fn part(collection: &str, lines: &[u8]) -> (RawPartInfo, EncodedPart) {
        let mut cutter = PartCutter::new(collection.parse().unwrap());
        assert!(cutter.push(lines).unwrap().is_empty());
        let (info, lines) = cutter.finish().unwrap().split();
        (info, codec::encode(&lines).unwrap())
    }

    fn record(collection: &str, name: &str, bytes: &[u8]) -> AttachmentRecord {
        AttachmentRecord {
            collection: collection.parse().unwrap(),
            id: "a".to_owned(),
            name: name.to_owned(),
            media_type: "image/png".to_owned(),
            size: bytes.len() as u64,
            sha256: Sha256::of(bytes),
        }
    }

    const LINES: &[u8] = b"{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n";

    #[test]
    fn what_did_not_arrive_in_full_is_no_backup() {
        let announced = [
            summary("articles", b"{\"_id\":\"a\"}\n", 0, 0),
            summary("articles", &[LINES, b"{\"_id\":\"c\"}\n"].concat(), 0, 0),
            CollectionSummary { bytes: 25, ..summary("articles", LINES, 0, 0) },
            summary("articles", LINES, 1, 0),
            summary("articles", LINES, 0, 1),
            summary("customers", b"", 0, 0),
        ];
        for summary in announced {
            let mut out = Cursor::new(Vec::new());
            let mut writer = BackupWriter::new(&mut out);
            let (info, encoded) = part("articles", LINES);
            writer.part(&info, &encoded).unwrap();
            let error = writer.finish(&snapshot(vec![summary.clone()])).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Incomplete);
            assert_eq!(error.subject.as_deref(), Some("articles"));
            let bytes = out.into_inner();
            assert!(!bytes.is_empty() && !bytes.windows(4).any(|four| four == b"PK\x05\x06"));
        }
    }

    #[test]
    fn the_order_of_entries_is_enforced() {
        let (articles, encoded) = part("articles", LINES);
        let (customers, _) = part("customers", LINES);
        let second = RawPartInfo { number: 2, ..articles.clone() };
        for wrong in [&articles, &second] {
            let mut writer = BackupWriter::new(Cursor::new(Vec::new()));
            writer.part(&customers, &encoded).unwrap();
            assert_eq!(writer.part(wrong, &encoded).unwrap_err().kind, ErrorKind::BadArgument);
            assert!(writer.part(&customers, &encoded).is_err());
        }
        let mut writer = BackupWriter::new(Cursor::new(Vec::new()));
        assert!(writer.part(&second, &encoded).is_err());
        assert!(writer.attachment_data(b"x").is_err() && writer.attachment_end().is_err());
        writer.attachment_start(&record("articles", "b", b"xy")).unwrap();
        assert!(writer.attachment_start(&record("articles", "c", b"xy")).is_err());
        writer.attachment_data(b"xy").unwrap();
        writer.attachment_end().unwrap();
        assert!(writer.attachment_start(&record("articles", "a", b"xy")).is_err());
        assert!(writer.part(&articles, &encoded).is_err());
    }

    #[test]
    fn an_attachment_has_the_size_and_digest_of_its_record() {
        for (bytes, kind) in [
            (&b"xyz"[..], ErrorKind::Incomplete),
            (b"x", ErrorKind::Incomplete),
            (b"yx", ErrorKind::BadAnswer),
        ] {
            let mut writer = BackupWriter::new(Cursor::new(Vec::new()));
            writer.attachment_start(&record("articles", "b", b"xy")).unwrap();
            let error = writer.attachment_data(bytes).and_then(|()| writer.attachment_end()).unwrap_err();
            assert_eq!((error.kind, error.subject.as_deref()), (kind, Some("attachments/articles/a/b")));
        }
    }
}
