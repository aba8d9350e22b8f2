//! Staging: batches of lines in order, checked as they come, and compared with what was announced when all are there.

use super::{Restores, Work};
use crate::failure::{Failure, Result};
use crate::store::{Owner, Store, Write, rot};
use axum::http::StatusCode;
use dikas_archive::api::AttachmentRecord;
use dikas_archive::api::restore::{BATCH_BYTES, BATCH_LINES, BatchStaged, RestoreRequest};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::{Hasher, Sha256};
use dikas_archive::document::{self, Document};

/// The longest file name of an attachment, in bytes.
const MAX_NAME: usize = 255;

/// Batches of one kind, one after the other.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// The digest of each, so that one that comes again is known.
    each: Vec<Sha256>,
    all: Hasher,
    lines: u64,
    bytes: u64,
}

/// The documents of one collection.
#[derive(Debug)]
pub(super) struct Staged {
    generation: i64,
    batches: Batches,
}

/// The records of attachments.
#[derive(Debug, Default)]
pub(super) struct Records {
    batches: Batches,
    file_bytes: u64,
}

impl Staged {
    pub(super) fn new(generation: i64) -> Self {
        Self { generation, batches: Batches::default() }
    }

    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    pub(super) fn batches(&self) -> u64 {
        self.batches.count()
    }

    pub(super) fn lines(&self) -> u64 {
        self.batches.lines
    }
}

impl Records {
    pub(super) fn batches(&self) -> u64 {
        self.batches.count()
    }
}

impl Restores {
    /// Stages the documents of batch `number` of a collection.
    ///
    /// # Errors
    /// `bad-document`, `bad-request`, `batch-conflict`, `out-of-order`, `no-space`, `restore-gone`, `forbidden`
    pub fn stage_documents(
        &self,
        id: &str,
        owner: &Owner,
        collection: &CollectionName,
        number: u64,
        body: &[u8],
    ) -> Result<BatchStaged> {
        let documents = lines(body, |line| Ok(document::ingest(line.to_vec())?))?;
        self.with(id, owner, |session, work| {
            let announced = session.request.collections.iter().find(|it| it.name == *collection);
            let announced = announced.ok_or_else(|| not_announced(collection))?.batches;
            let staged = work.collections.get_mut(collection).ok_or_else(|| not_announced(collection))?;
            let batch = Batch { number, announced, body };
            if batch.is_new(&staged.batches)? {
                work.plan = None;
                let generation = staged.generation;
                self.store.write(|write| {
                    let _room = write.room(&self.store.room, body.len())?;
                    stage_documents(write, generation, &documents)?;
                    (self.options.at)("staged");
                    Ok(())
                })?;
                staged.batches.add(body, documents.len());
            }
            Ok(staged.batches.so_far())
        })
    }

    /// Stages batch `number` of the attachment records.
    ///
    /// # Errors
    /// `bad-document`, `bad-request`, `batch-conflict`, `out-of-order`, `no-space`, `restore-gone`, `forbidden`
    pub fn stage_attachments(
        &self,
        id: &str,
        owner: &Owner,
        number: u64,
        body: &[u8],
    ) -> Result<BatchStaged> {
        let records = lines(body, attachment_record)?;
        self.with(id, owner, |session, work| {
            let batch = Batch { number, announced: session.request.attachments.batches, body };
            if batch.is_new(&work.records.batches)? {
                work.plan = None;
                self.store.write(|write| {
                    let _room = write.room(&self.store.room, body.len())?;
                    stage_records(write, work, &records)
                })?;
                work.records.batches.add(body, records.len());
                let bytes = records.iter().map(|record| record.size);
                work.records.file_bytes = bytes.fold(work.records.file_bytes, u64::saturating_add);
            }
            Ok(work.records.batches.so_far())
        })
    }

    /// Those of the digests whose bytes are not here, are not in the size that a record says, or were changed by the
    /// disk: sent again, they heal what is here.
    ///
    /// # Errors
    /// `restore-gone`, `forbidden`
    pub fn missing_blobs(&self, id: &str, owner: &Owner, digests: &[Sha256]) -> Result<Vec<Sha256>> {
        self.with(id, owner, |_, work| {
            self.store.read(|connection| {
                let sql = "SELECT size FROM attachments WHERE sha256 = ?1 LIMIT 1";
                let mut statement = connection.prepare_cached(sql)?;
                let mut missing = Vec::new();
                for digest in digests {
                    let mut rows = statement.query([digest.to_string()])?;
                    let size = rows.next()?.map(|row| row.get(0)).transpose()?.map(crate::store::unsigned);
                    let here = self.store.blobs().size(digest)?;
                    let size = size.or(here);
                    if here != size || !size.is_some_and(|size| work.is_sound(&self.store, digest, size)) {
                        missing.push(*digest);
                    }
                }
                Ok(missing)
            })
        })
    }

    /// Whether somebody may send a blob to this session now.
    ///
    /// # Errors
    /// `restore-gone`, `forbidden`
    pub fn takes_blobs(&self, id: &str, owner: &Owner) -> Result<()> {
        self.with(id, owner, |_, _| Ok(()))
    }
}

impl Work {
    /// Checks that what is staged is what was announced: every batch, every document, every byte, every file.
    ///
    /// # Errors
    /// `incomplete`, naming the gap.
    pub(super) fn check_complete(&mut self, store: &Store, request: &RestoreRequest) -> Result<()> {
        for announced in &request.collections {
            let name = announced.name.as_str();
            let staged =
                self.collections.get(&announced.name).ok_or_else(|| not_announced(&announced.name))?;
            let batches = &staged.batches;
            batches.check(name, announced.batches, announced.documents, &announced.sha256)?;
            if batches.bytes != announced.bytes {
                return Err(gap(name, "bytes", announced.bytes, batches.bytes));
            }
        }
        let files = &request.attachments;
        let name = "attachments";
        self.records.batches.check(name, files.batches, files.attachments, &files.sha256)?;
        if self.records.file_bytes != files.bytes {
            return Err(gap(name, "bytes of files", files.bytes, self.records.file_bytes));
        }
        self.check_files(store)
    }

    /// Whether the bytes of a file are those that its digest is of. They are read once in a session.
    fn is_sound(&mut self, store: &Store, digest: &Sha256, size: u64) -> bool {
        let sound = self.sound.contains(digest) || store.blobs().damage(digest, size).is_none();
        if sound {
            self.sound.insert(*digest);
        }
        sound
    }

    /// Checks that each attachment has its owner and its bytes.
    fn check_files(&mut self, store: &Store) -> Result<()> {
        store.read(|connection| {
            let mut orphans = connection.prepare_cached(
                "SELECT document_id, name FROM attachments AS files WHERE generation = ?1
                 AND NOT EXISTS (SELECT 1 FROM documents WHERE generation = ?1 AND id = files.document_id) LIMIT 1",
            )?;
            let mut blobs =
                connection.prepare_cached("SELECT sha256, size FROM attachments WHERE generation = ?1")?;
            let generations: Vec<_> =
                self.collections.iter().map(|(name, staged)| (name.clone(), staged.generation)).collect();
            for (collection, generation) in generations {
                let mut rows = orphans.query([generation])?;
                if let Some(row) = rows.next()? {
                    let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
                    let message = format!("the file {name:?} belongs to {id:?} of {collection}, which is not staged");
                    return Err(incomplete(message).on("attachments"));
                }
                let mut rows = blobs.query([generation])?;
                while let Some(row) = rows.next()? {
                    let (sha256, size): (String, i64) = (row.get(0)?, row.get(1)?);
                    let size = crate::store::unsigned(size);
                    let digest: Sha256 = sha256.parse()?;
                    let here = store.blobs().size(&digest)?;
                    if here != Some(size) {
                        let found = here.map_or("none".to_owned(), |here| format!("{here} bytes"));
                        let message = format!("a blob is missing: expected {size} bytes, found {found}");
                        return Err(incomplete(message).on(sha256));
                    }
                    if !self.is_sound(store, &digest, size) {
                        let message = "the disk has changed this file: it has to be sent again";
                        return Err(incomplete(message.to_owned()).on(sha256));
                    }
                }
            }
            Ok(())
        })
    }
}

impl Batches {
    fn count(&self) -> u64 {
        self.each.len() as u64
    }

    fn add(&mut self, body: &[u8], lines: usize) {
        self.each.push(Sha256::of(body));
        self.all.update(body);
        self.lines += lines as u64;
        self.bytes += body.len() as u64;
    }

    fn so_far(&self) -> BatchStaged {
        BatchStaged { batches: self.count(), lines: self.lines }
    }

    fn check(&self, name: &str, batches: u64, lines: u64, sha256: &Sha256) -> Result<()> {
        if self.count() != batches {
            let message = format!("batch {} of {batches} is missing", self.count());
            return Err(incomplete(message).on(name));
        }
        if self.lines != lines {
            return Err(gap(name, "lines", lines, self.lines));
        }
        let found = self.all.clone().finish();
        if found != *sha256 {
            return Err(gap(name, "the digest", sha256, found));
        }
        Ok(())
    }
}

/// A batch on its way in.
struct Batch<'a> {
    number: u64,
    announced: u64,
    body: &'a [u8],
}

impl Batch<'_> {
    /// Whether it is the next one; one that is staged already may come again with the same bytes.
    fn is_new(&self, staged: &Batches) -> Result<bool> {
        let &Self { number, announced, body } = self;
        if number >= announced {
            let message = format!("there is no such batch: expected 0 to {announced}, found {number}");
            return Err(Failure::bad_request(message).on("n"));
        }
        let next = staged.count();
        let earlier = usize::try_from(number).ok().and_then(|at| staged.each.get(at));
        match earlier {
            Some(digest) if *digest == Sha256::of(body) => Ok(false),
            Some(_) => {
                let message = format!("batch {number} is staged already, with other bytes");
                Err(Failure::conflict("batch-conflict", message).on("n"))
            }
            None if number == next => Ok(true),
            None => {
                let message = format!("batches come in order: expected {next}, found {number}");
                Err(Failure::conflict("out-of-order", message).on("n"))
            }
        }
    }
}

/// The lines of a batch, each checked and read.
fn lines<T>(body: &[u8], read: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<T>> {
    if !body.ends_with(b"\n") {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "bad-document",
            "a batch is whole lines: it ends with a line feed",
        ));
    }
    let mut all = Vec::new();
    for (index, line) in document::lines(body).enumerate() {
        if index == BATCH_LINES {
            let message = format!("a batch has at most {BATCH_LINES} lines");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message));
        }
        all.push(read(line).map_err(|failure| failure.at(format_args!("line {}", index + 1)))?);
    }
    if body.len() > BATCH_BYTES && all.len() > 1 {
        let message = format!("a batch of more than {BATCH_BYTES} bytes is a single line");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message));
    }
    Ok(all)
}

fn attachment_record(line: &[u8]) -> Result<AttachmentRecord> {
    let bad = |message: String| Failure::new(StatusCode::BAD_REQUEST, "bad-document", message);
    let record: AttachmentRecord =
        crate::strict::from_slice(line).map_err(|error| bad(format!("not an attachment record: {error}")))?;
    if record.name.is_empty() || record.name.len() > MAX_NAME || record.name.chars().any(char::is_control) {
        return Err(bad("a file name has 1 to 255 bytes and no control characters".to_owned()).on("name"));
    }
    Ok(record)
}

fn stage_documents(write: &Write<'_>, generation: i64, documents: &[(Document, Vec<u8>)]) -> Result<()> {
    let sql = "INSERT INTO documents (generation, id, seq, body, digest) VALUES (?1, ?2, 0, ?3, ?4)
               ON CONFLICT DO NOTHING";
    let mut insert = write.transaction.prepare_cached(sql)?;
    for (index, (document, body)) in documents.iter().enumerate() {
        let digest = rot::digest(&document.id, body);
        if insert.execute((generation, &document.id, body, digest))? == 0 {
            return Err(twice("the document", index).on(&document.id));
        }
    }
    Ok(())
}

fn stage_records(write: &Write<'_>, work: &Work, records: &[AttachmentRecord]) -> Result<()> {
    let sql = "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7) ON CONFLICT DO NOTHING";
    let mut insert = write.transaction.prepare_cached(sql)?;
    for (index, record) in records.iter().enumerate() {
        let staged = work.collections.get(&record.collection);
        let generation = staged.ok_or_else(|| not_announced(&record.collection))?.generation;
        let (size, sha256) = (i64::try_from(record.size).unwrap_or(i64::MAX), record.sha256.to_string());
        let digest = rot::record_digest(record);
        let row = (generation, &record.id, &record.name, &record.media_type, size, sha256, digest);
        if insert.execute(row)? == 0 {
            return Err(twice("the attachment", index).on(&record.name));
        }
    }
    Ok(())
}

fn twice(what: &str, index: usize) -> Failure {
    let message = format!("line {}: {what} comes a second time", index + 1);
    Failure::new(StatusCode::BAD_REQUEST, "bad-document", message)
}

fn not_announced(collection: &CollectionName) -> Failure {
    Failure::bad_request("the restore did not announce this collection").on(collection.as_str())
}

fn incomplete(message: String) -> Failure {
    Failure::conflict("incomplete", message)
}

fn gap(name: &str, what: &str, expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Failure {
    incomplete(format!("{what}: expected {expected}, found {actual}")).on(name)
}

#[cfg(test)]
mod tests {
    use super::super::RestoreOptions;
    use super::*;
    use crate::store::Rules;
    use dikas_archive::api::restore::{
        AnnouncedAttachments, AnnouncedCollection, ArchiveInfo, CommitRequest, RestoreMode,
    };
    use std::sync::Arc;

    /// Both the staging and a commit that has to copy meet a disk with no room; then there is some again.
    #[test]
    fn a_full_disk_leaves_the_live_data_and_the_session_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let restores = Restores::open(Arc::clone(&store), RestoreOptions::default()).unwrap();
        let articles: CollectionName = "articles".parse().unwrap();
        let line =
            |number: u32, text: &str| format!("{{\"_id\":\"{number:04}\",\"x\":\"{}\"}}", text.repeat(500));
        let now: Vec<_> =
            (0..500).map(|number| (format!("{number:04}"), line(number, "n").into_bytes())).collect();
        store.put_documents(&articles, &now, Rules::NONE, |_| None).unwrap();
        let body: String = (0..500).map(|number| line(number, "t") + "\n").collect();
        let request = RestoreRequest {
            key: None,
            archive: ArchiveInfo { name: "x".to_owned(), size: 1, sha256: None, created: None, source: None },
            business_name: Some("DiKAS".to_owned()),
            mode: RestoreMode::Update,
            collections: vec![AnnouncedCollection {
                name: articles.clone(),
                documents: 500,
                bytes: body.len() as u64,
                batches: 1,
                sha256: Sha256::of(body.as_bytes()),
            }],
            attachments: AnnouncedAttachments {
                attachments: 0,
                bytes: 0,
                batches: 0,
                sha256: Sha256::of(b""),
                left_out: 0,
            },
            missing: Vec::new(),
        };
        let owner = Owner::User("usr_1".to_owned());
        let id = restores.begin(&owner, "admin", request).unwrap().id;
        let full = |full: bool| {
            let writer = crate::store::lock(&store.writer);
            let pages: i64 = writer.query_row("PRAGMA page_count", (), |row| row.get(0)).unwrap();
            let most = if full { pages + 2 } else { 1 << 30 };
            writer.query_row(&format!("PRAGMA max_page_count = {most}"), (), |_| Ok(())).unwrap();
        };
        let live = || store.documents("articles").unwrap();
        let stage = || restores.stage_documents(&id, &owner, &articles, 0, body.as_bytes());
        full(true);
        assert_eq!(stage().unwrap_err().code(), "no-space");
        full(false);
        assert_eq!(stage().unwrap().lines, 500);
        let seq = restores.preview(&id, &owner).unwrap().seq;
        let commit = || {
            restores.commit(
                &id,
                &owner,
                CommitRequest { seq, acknowledge_signed: None, acknowledge_files_left_out: None },
            )
        };
        full(true);
        assert_eq!(commit().unwrap_err().code(), "no-space");
        assert!(live().iter().zip(&now).all(|(body, (_, expected))| body == expected));
        assert_eq!(store.restore_points().unwrap(), []);
        full(false);
        assert_eq!(commit().unwrap().collections[0].documents.changed, 500);
        assert!(live().iter().all(|body| body.ends_with(b"t\"}")));
    }
}
