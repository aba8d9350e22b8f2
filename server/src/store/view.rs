//! What an open snapshot answers: pages of its documents and attachments, each row compared with its digest.

use super::snapshots::DocumentPage;
use super::{attachments, rot};
use crate::failure::{Failure, Result};
use dikas_archive::api::{AttachmentPage, AttachmentRecord, Snapshot};
use dikas_archive::catalog::CollectionName;
use dikas_archive::damage::Reason;
use dikas_archive::digest::Sha256;
use rot::Unread;
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use std::collections::BTreeMap;

/// How many attachment records one answer holds at most.
const ATTACHMENTS_PER_PAGE: usize = 1000;

/// One moment of the store, on a connection that holds it.
pub(super) struct View {
    pub(super) connection: Connection,
    pub(super) snapshot: Snapshot,
    /// The generation of each covered collection that has one.
    pub(super) generations: BTreeMap<CollectionName, Option<i64>>,
}

impl View {
    /// The documents behind `after`.
    ///
    /// # Errors
    /// `not-found`, `damaged-document`
    pub(super) fn page(
        &self,
        collection: &CollectionName,
        after: &str,
        max_bytes: usize,
    ) -> Result<DocumentPage> {
        let generation = self.generations.get(collection).ok_or_else(|| {
            Failure::not_found("the snapshot does not cover this collection").on(collection.as_str())
        })?;
        let page = DocumentPage { lines: Vec::new(), documents: 0, next: None };
        let Some(generation) = *generation else { return Ok(page) };
        let mut filling = Filling { page, last: after.to_owned(), max_bytes };
        match filling.fill(&self.connection, generation) {
            Ok(()) => Ok(filling.page),
            Err(Unread::Failed(failure)) => Err(failure),
            Err(Unread::Rot) => Err(self.damaged(collection, generation, &filling.last)?),
        }
    }

    /// The refusal that names what is damaged from behind this document on.
    fn damaged(&self, collection: &CollectionName, generation: i64, last: &str) -> Result<Failure> {
        let from_here = self.generations.range(collection.clone()..);
        let generations = from_here.filter_map(|(name, generation)| Some((name, (*generation)?)));
        let mut damaged = rot::damaged_from(&self.connection, generations, last)?;
        if damaged.is_empty() {
            // The row that was met is whole when it is read by itself.
            let reason = Reason::UnreadableAfter;
            damaged.push(rot::missing(&self.connection, collection, generation, last.to_owned(), reason));
        }
        let failure = rot::refusal(damaged);
        tracing::error!("a backup met damage: {failure}");
        Ok(failure)
    }

    /// The attachment records behind the cursor `after`.
    ///
    /// # Errors
    /// `bad-request` for a cursor that is none.
    pub(super) fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
        let cursor = match after {
            Some(after) => serde_json::from_str::<(CollectionName, String, String)>(after)
                .map(Some)
                .map_err(|_| Failure::bad_request("not a cursor of this list").on("after"))?,
            None => None,
        };
        let sql = format!(
            "SELECT {} FROM attachments WHERE generation = ?1 AND (document_id, name) > (?2, ?3)
             ORDER BY document_id, name LIMIT ?4",
            attachments::COLUMNS
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found: Vec<AttachmentRecord> = Vec::new();
        for (collection, generation) in &self.generations {
            let (id, name) = match &cursor {
                Some((passed, ..)) if collection < passed => continue,
                Some((passed, id, name)) if collection == passed => (id.as_str(), name.as_str()),
                _ => ("", ""),
            };
            // One more than fits tells whether there is another page.
            let room = ATTACHMENTS_PER_PAGE + 1 - found.len();
            let mut rows = statement.query((generation, id, name, i64::try_from(room).unwrap_or(0)))?;
            while let Some(row) = rows.next()? {
                found.push(attachments::record(collection, row)?);
            }
        }
        let more = found.len() > ATTACHMENTS_PER_PAGE;
        found.truncate(ATTACHMENTS_PER_PAGE);
        let next = match found.last() {
            Some(last) if more => {
                let cursor = (&last.collection, &last.id, &last.name);
                Some(serde_json::to_string(&cursor).map_err(Failure::internal)?)
            }
            _ => None,
        };
        Ok(AttachmentPage { attachments: found, next })
    }

    /// # Errors
    /// `not-found`
    pub(super) fn names_blob(&self, digest: &Sha256) -> Result<()> {
        let sql = "SELECT 1 FROM attachments WHERE sha256 = ?1 AND generation = ?2 LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let digits = digest.to_string();
        for generation in self.generations.values().flatten() {
            let found: Option<i64> =
                statement.query_row((&digits, generation), |row| row.get(0)).optional()?;
            if found.is_some() {
                return Ok(());
            }
        }
        Err(Failure::not_found("the snapshot names no such blob").on(digits))
    }
}

/// A page on its way.
struct Filling {
    page: DocumentPage,
    /// The last id that was read.
    last: String,
    max_bytes: usize,
}

impl Filling {
    /// Takes in what fits of the documents behind the last one.
    fn fill(&mut self, connection: &Connection, generation: i64) -> std::result::Result<(), Unread> {
        let sql = "SELECT id, body, digest FROM documents WHERE generation = ?1 AND id > ?2 ORDER BY id";
        let mut statement: CachedStatement<'_> = connection.prepare_cached(sql)?;
        let mut rows = statement.query((generation, &self.last))?;
        while let Some(row) = rows.next()? {
            let id = row.get_ref(0)?.as_str().map_err(|_| Unread::Rot)?;
            if id <= self.last.as_str() {
                return Err(Unread::Rot);
            }
            let body = rot::checked(id, row.get_ref(1)?, row.get_ref(2)?).map_err(|_| Unread::Rot)?;
            if self.page.documents > 0 && self.page.lines.len() + body.len() + 1 > self.max_bytes {
                self.page.next = Some(std::mem::take(&mut self.last));
                break;
            }
            self.page.lines.extend_from_slice(body);
            self.page.lines.push(b'\n');
            self.page.documents += 1;
            self.last.clear();
            self.last.push_str(id);
        }
        Ok(())
    }
}
