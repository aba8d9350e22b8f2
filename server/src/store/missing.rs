//! What a snapshot leaves out: what is damaged, and was named by whoever goes on without it.

use super::{Store, attachments, rot, unsigned};
use crate::blobs::Blobs;
use crate::failure::{Failure, Result};
use dikas_archive::api::AttachmentRecord;
use dikas_archive::catalog::CollectionName;
use dikas_archive::damage::{DocumentKey, Missing, Reason};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// The most documents that a request may name.
const MOST_NAMED: usize = 1_000;

/// Documents, bytes, attachments and their bytes.
pub(super) type Counts = [i64; 4];

/// Takes what is damaged and was named out of the counts of the collections, and says what it is. What was named and is
/// sound stays.
///
/// # Errors
/// `damaged-document` where more of these collections is damaged than was named; `bad-request`.
pub(super) fn leave_out(
    connection: &Connection,
    blobs: &Blobs,
    without: &[DocumentKey],
    collections: &mut BTreeMap<CollectionName, (Option<i64>, Counts)>,
) -> Result<Vec<Missing>> {
    if without.len() > MOST_NAMED {
        let message = format!("at most {MOST_NAMED} documents can be left out");
        return Err(Failure::bad_request(message).on("without"));
    }
    let mut named: BTreeMap<&CollectionName, BTreeSet<&str>> = BTreeMap::new();
    for key in without {
        named.entry(&key.collection).or_default().insert(&key.id);
    }
    let (mut missing, mut refused) = (Vec::new(), Vec::new());
    for (collection, ids) in named {
        let Some((Some(generation), counts)) = collections.get_mut(collection) else { continue };
        let mut leaving = Leaving { connection, blobs, collection, generation: *generation, counts };
        leaving.count_files()?;
        let damaged = leaving.documents()?;
        for it in damaged {
            match ids.contains(it.id.as_str()) && it.can_be_left_out() {
                true => missing.push(it),
                false => refused.push(it),
            }
        }
        let bad: BTreeSet<String> = missing.iter().map(|it: &Missing| it.id.clone()).collect();
        for id in ids.into_iter().filter(|id| !bad.contains(*id)) {
            missing.extend(leaving.files(id)?);
        }
    }
    if !refused.is_empty() {
        return Err(rot::refusal(refused));
    }
    missing.sort();
    Ok(missing)
}

/// One collection of which something is left out.
struct Leaving<'a> {
    connection: &'a Connection,
    blobs: &'a Blobs,
    collection: &'a CollectionName,
    generation: i64,
    counts: &'a mut Counts,
}

impl Leaving<'_> {
    /// Counts the files by their rows, as these say now: a size may be what has changed.
    fn count_files(&mut self) -> Result<()> {
        let sql = "SELECT count(*), coalesce(sum(size), 0) FROM attachments WHERE generation = ?1";
        let [_, _, files, bytes] = self.counts;
        (*files, *bytes) = self
            .connection
            .prepare_cached(sql)?
            .query_row([self.generation], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(())
    }

    /// All damaged documents, which are counted no more, nor are their files.
    fn documents(&mut self) -> Result<Vec<Missing>> {
        let found =
            rot::survey(self.connection, self.generation, "", usize::MAX).map_err(rot::Unread::told)?;
        let known = found.documents + found.damaged.len() as u64;
        let sql = "SELECT count(*), coalesce(sum(size), 0) FROM attachments
                   WHERE generation = ?1 AND document_id = ?2";
        let mut files = self.connection.prepare_cached(sql)?;
        let mut damaged = Vec::new();
        for (id, reason) in found.damaged {
            let [count, bytes]: [i64; 2] =
                files.query_row((self.generation, &id), |row| Ok([row.get(0)?, row.get(1)?]))?;
            damaged.push(rot::missing(self.connection, self.collection, self.generation, id, reason));
            self.count_out(count, bytes);
        }
        let [documents, bytes, ..] = self.counts;
        if known != unsigned(*documents) && damaged.iter().all(Missing::can_be_left_out) {
            let message = "the database is damaged: it does not find all documents of this collection";
            return Err(Failure::conflict("damaged-document", message).on(self.collection.as_str()));
        }
        *documents = i64::try_from(found.documents).map_err(Failure::internal)?;
        *bytes = i64::try_from(found.bytes).map_err(Failure::internal)?;
        Ok(damaged)
    }

    /// The damaged files of a document that is not; they are counted no more.
    fn files(&mut self, id: &str) -> Result<Vec<Missing>> {
        let mut damaged = Vec::new();
        let (connection, generation) = (self.connection, self.generation);
        for (found, size) in attachments::checked_of_document(connection, self.collection, generation, id)? {
            let missing = match found {
                Ok(record) => {
                    self.blobs.damage(&record.sha256, record.size).map(|it| missing_file(&record, it))
                }
                Err(missing) => Some(missing),
            };
            if let Some(missing) = missing {
                self.count_out(1, size);
                damaged.push(missing);
            }
        }
        Ok(damaged)
    }

    fn count_out(&mut self, files: i64, file_bytes: i64) {
        let [_, _, attachments, attachment_bytes] = self.counts;
        *attachments -= files;
        *attachment_bytes -= file_bytes;
    }
}

impl Store {
    /// Checks that the files of these records are there, in their sizes. Their bytes are compared when they are read.
    ///
    /// # Errors
    /// `damaged-document`
    pub(super) fn check_files(&self, records: &[AttachmentRecord]) -> Result<()> {
        let damage = |record: &AttachmentRecord| {
            let reason = match self.blobs().size(&record.sha256) {
                Ok(Some(size)) if size == record.size => return None,
                Ok(Some(_)) => Reason::Changed,
                Ok(None) | Err(_) => Reason::Unreadable,
            };
            Some(missing_file(record, reason))
        };
        let damaged: Vec<Missing> = records.iter().filter_map(damage).collect();
        if damaged.is_empty() { Ok(()) } else { Err(rot::refusal(damaged)) }
    }
}

/// 409 `damaged-document`, for a file whose bytes have another digest.
pub(crate) fn changed_file(record: &AttachmentRecord) -> Failure {
    rot::refusal(vec![missing_file(record, Reason::Changed)])
}

fn missing_file(record: &AttachmentRecord, reason: Reason) -> Missing {
    let AttachmentRecord { collection, id, name, .. } = record.clone();
    Missing { collection, id, name: Some(name), reason, attachments: 0 }
}
