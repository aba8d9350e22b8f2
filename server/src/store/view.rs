//! What an open snapshot answers: pages of its documents and attachments, each row compared with its digest.

use super::snapshots::DocumentPage;
use super::{Store, attachments, rot};
use crate::failure::{Failure, Result};
use dikas_archive::api::{AttachmentPage, AttachmentRecord, Snapshot};
use dikas_archive::catalog::CollectionName;
use dikas_archive::damage::Reason;
use dikas_archive::digest::Sha256;
use rot::Unread;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many attachment records one answer holds at most.
const ATTACHMENTS_PER_PAGE: usize = 1000;

/// One moment of the store, on a connection that holds it.
pub(super) struct View {
    pub(super) connection: Connection,
    pub(super) snapshot: Snapshot,
    /// The generation of each covered collection that has one.
    pub(super) generations: BTreeMap<CollectionName, Option<i64>>,
    pub(super) store: Arc<Store>,
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
        // What is left out is not even looked at: it may be what cannot be read.
        let left_out = self.snapshot.missing.iter().filter(|it| it.collection == *collection);
        let left_out = left_out.filter(|it| it.name.is_none() && it.id.as_str() > after);
        let mut from = after;
        for stop in left_out.map(|it| Some(it.id.as_str())).chain([None]) {
            match filling.fill(&self.connection, generation, from, stop) {
                Ok(()) if filling.page.next.is_some() => break,
                Ok(()) => from = stop.unwrap_or_default(),
                Err(Unread::Failed(failure)) => return Err(failure),
                Err(Unread::Rot) => {
                    return Err(self.damaged(collection, generation, from.max(&filling.last))?);
                }
            }
        }
        Ok(filling.page)
    }

    /// The refusal that names what is damaged from behind this document on.
    fn damaged(&self, collection: &CollectionName, generation: i64, last: &str) -> Result<Failure> {
        let from_here = self.generations.range(collection.clone()..);
        let generations = from_here.filter_map(|(name, generation)| Some((name, (*generation)?)));
        let mut damaged = rot::damaged_from(&self.connection, generations, last)?;
        damaged.retain(|it| !self.snapshot.missing.contains(it));
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
    /// `bad-request` for a cursor that is none; `damaged-document` for files that are not there in their sizes.
    pub(super) fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
        let cursor = match after {
            Some(after) => serde_json::from_str::<(CollectionName, String, String)>(after)
                .map(Some)
                .map_err(|_| Failure::bad_request("not a cursor of this list").on("after"))?,
            None => None,
        };
        let sql = format!(
            "SELECT {} FROM attachments WHERE generation = ?1 AND (document_id, name) > (?2, ?3)
             ORDER BY document_id, name",
            attachments::COLUMNS
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let (mut found, mut damaged) = (Vec::<AttachmentRecord>::new(), Vec::new());
        'full: for (collection, generation) in &self.generations {
            let (id, name) = match &cursor {
                Some((passed, ..)) if collection < passed => continue,
                Some((passed, id, name)) if collection == passed => (id.as_str(), name.as_str()),
                _ => ("", ""),
            };
            let mut rows = statement.query((generation, id, name))?;
            while let Some(row) = rows.next()? {
                match attachments::checked(collection, row)? {
                    Ok(record) if !self.is_left_out(collection, &record.id, &record.name) => {
                        found.push(record)
                    }
                    Err(it)
                        if !self.is_left_out(collection, &it.id, it.name.as_deref().unwrap_or_default()) =>
                    {
                        damaged.push(it);
                    }
                    _ => {}
                }
                // One more than fits tells that there is another page.
                if found.len() + damaged.len() > ATTACHMENTS_PER_PAGE {
                    break 'full;
                }
            }
        }
        if !damaged.is_empty() {
            return Err(rot::refusal(damaged));
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
        self.store.check_files(&found)?;
        Ok(AttachmentPage { attachments: found, next })
    }

    /// Whether this file, or the document that it belongs to, is left out.
    fn is_left_out(&self, collection: &CollectionName, id: &str, name: &str) -> bool {
        self.snapshot.missing.iter().any(|it| {
            let named = it.name.as_ref().is_none_or(|it| it == name);
            named && it.id == id && it.collection == *collection
        })
    }

    /// The first record that names this blob and is as it was written.
    ///
    /// # Errors
    /// `not-found`, `damaged-document`
    pub(super) fn file(&self, digest: &Sha256) -> Result<AttachmentRecord> {
        let columns = attachments::COLUMNS;
        let sql = format!("SELECT {columns} FROM attachments WHERE sha256 = ?1 AND generation = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let (digits, mut damaged) = (digest.to_string(), Vec::new());
        for (collection, generation) in &self.generations {
            let Some(generation) = generation else { continue };
            let mut rows = statement.query((&digits, generation))?;
            while let Some(row) = rows.next()? {
                match attachments::checked(collection, row)? {
                    Ok(record) => return Ok(record),
                    Err(it) => damaged.push(it),
                }
            }
        }
        if !damaged.is_empty() {
            return Err(rot::refusal(damaged));
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
    /// Takes in what fits of the documents behind `from` and before `stop`.
    fn fill(
        &mut self,
        connection: &Connection,
        generation: i64,
        from: &str,
        stop: Option<&str>,
    ) -> std::result::Result<(), Unread> {
        let rows = "SELECT id, body, digest FROM documents WHERE generation = ?1 AND id > ?2";
        let mut statement;
        let mut rows = match stop {
            None => {
                statement = connection.prepare_cached(&format!("{rows} ORDER BY id"))?;
                statement.query((generation, from))?
            }
            Some(stop) => {
                statement = connection.prepare_cached(&format!("{rows} AND id < ?3 ORDER BY id"))?;
                statement.query((generation, from, stop))?
            }
        };
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
