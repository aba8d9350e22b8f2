//! Documents of the live generations.

use super::accounts::UserAudit;
use super::{Store, Write, live_generation, rot, unsigned};
use crate::failure::{Failure, Result};
use axum::http::StatusCode;
use dikas_archive::catalog::{self, CollectionName};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

/// What a write has to keep to, beyond what holds for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules<'a> {
    /// Counters may grow, and neither shrink nor vanish.
    pub counters_grow: bool,
    /// Collections are those of the catalog and those that there are.
    pub known_collections: bool,
    /// Who writes: changes of users are in the audit then; none where the server does so by itself.
    pub by: Option<&'a str>,
}

impl Rules<'_> {
    /// Only what holds for everybody.
    pub const NONE: Self = Self { counters_grow: false, known_collections: false, by: None };
    /// What a till has to keep to.
    pub const TILL: Self = Self { counters_grow: true, known_collections: true, by: None };
}

/// What became of the documents that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tally {
    /// New documents.
    pub created: u64,
    /// Documents that had other bytes before.
    pub changed: u64,
    /// Documents that were there already, byte for byte.
    pub unchanged: u64,
}

/// A document that passed the ingest rule: its `_id`, its bytes.
type Body = (String, Vec<u8>);

impl Store {
    /// The bytes of a document.
    pub fn document(&self, collection: &CollectionName, id: &str) -> Result<Option<Vec<u8>>> {
        self.read(|connection| {
            let Some(live) = live_generation(connection, collection.as_str())? else { return Ok(None) };
            body(connection, live, id)
        })
    }

    /// Of how many bytes a document is.
    pub fn document_bytes(&self, collection: &CollectionName, id: &str) -> Result<Option<u64>> {
        self.read(|connection| {
            let sql = "SELECT length(body) FROM documents JOIN collections ON live = generation
                       WHERE name = ?1 AND id = ?2";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row((collection.as_str(), id), |row| row.get(0)).optional()?.map(unsigned))
        })
    }

    /// All documents of a collection that a few documents make up, such as users and settings.
    pub fn documents(&self, collection: &str) -> Result<Vec<Vec<u8>>> {
        self.read(|connection| documents(connection, collection))
    }

    /// Stores these documents: all of them or, on an error, none. `place` names the one that was refused.
    ///
    /// # Errors
    /// `signed-document`, `counter-backwards`, `paused`, `no-space`; `forbidden` for a new collection where the rules
    /// allow none.
    pub fn put_documents(
        &self,
        collection: &CollectionName,
        documents: &[Body],
        rules: Rules<'_>,
        place: impl Fn(usize) -> Option<String>,
    ) -> Result<Tally> {
        self.write(|write| {
            self.may_write()?;
            let name = collection.as_str();
            if rules.known_collections
                && catalog::collection(name).is_none()
                && live_generation(&write.transaction, name)?.is_none()
            {
                return Err(Failure::forbidden("a till makes no new collections").on(name));
            }
            let _room = write.room(&self.room, documents.iter().map(|(_, body)| body.len()).sum())?;
            let live = write.live_generation(name)?;
            let mut tally = Tally::default();
            for (index, (id, body)) in documents.iter().enumerate() {
                let audit = UserAudit::begin(write, collection, rules, id)?;
                put(write, collection, live, id, body, rules, &mut tally).map_err(|failure| {
                    match place(index) {
                        Some(place) => failure.at(place),
                        None => failure,
                    }
                })?;
                audit.end(write, Some(body))?;
            }
            Ok(tally)
        })
    }

    /// Deletes a document and its attachments.
    ///
    /// # Errors
    /// `not-found`, `signed-document`, `counter-backwards`, `paused`
    pub fn delete_document(&self, collection: &CollectionName, id: &str, rules: Rules<'_>) -> Result<()> {
        self.write(|write| {
            self.may_write()?;
            let live = live_generation(&write.transaction, collection.as_str())?;
            let missing = || Failure::not_found("there is no such document").on(id);
            let live = live.ok_or_else(missing)?;
            if !exists(&write.transaction, live, id)? {
                return Err(missing());
            }
            if catalog::is_signed(collection.as_str()) {
                return Err(Failure::signed(id));
            }
            if rules.counters_grow && collection.as_str() == "counters" {
                return Err(counter_backwards(id));
            }
            let audit = UserAudit::begin(write, collection, rules, id)?;
            let sql = "DELETE FROM documents WHERE generation = ?1 AND id = ?2";
            write.transaction.prepare_cached(sql)?.execute((live, id))?;
            audit.end(write, None)?;
            write.note_deletion(live)
        })
    }
}

/// Stores one document in its live generation.
pub(super) fn put(
    write: &mut Write<'_>,
    collection: &CollectionName,
    live: i64,
    id: &str,
    new: &[u8],
    rules: Rules<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let (old, digest) = (stored(&write.transaction, live, id)?, rot::digest(id, new));
    // The disk has changed the one that is there, and these are the bytes that were written: no law is touched.
    let heals = old.as_ref().is_some_and(|old| old.was_written_as(new, &digest));
    match &old {
        Some(old) if old.body == new && old.digest.as_deref().is_none_or(|written| *written == digest) => {
            tally.unchanged += 1;
            return Ok(());
        }
        Some(_) if heals => {}
        Some(_) if catalog::is_signed(collection.as_str()) => return Err(Failure::signed(id)),
        _ => {}
    }
    if rules.counters_grow && collection.as_str() == "counters" && !heals {
        let before = old.as_ref().map_or(Some(0), |old| counter(&old.body));
        let grows = before.zip(counter(new)).is_some_and(|(before, after)| after >= before);
        if !grows {
            return Err(counter_backwards(id));
        }
    }
    let seq = write.next_position();
    let sql = "INSERT INTO documents (generation, id, seq, body, digest) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET seq = excluded.seq, body = excluded.body, digest = excluded.digest";
    write.transaction.prepare_cached(sql)?.execute((live, id, seq, new, digest))?;
    match old {
        Some(_) => tally.changed += 1,
        None => tally.created += 1,
    }
    Ok(())
}

/// Whether the generation has this document.
pub(super) fn exists(connection: &Connection, generation: i64, id: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM documents WHERE generation = ?1 AND id = ?2";
    Ok(connection.prepare_cached(sql)?.exists((generation, id))?)
}

/// All documents of a collection.
pub(super) fn documents(connection: &Connection, collection: &str) -> Result<Vec<Vec<u8>>> {
    let sql = "SELECT body FROM documents JOIN collections ON live = generation WHERE name = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let bodies = statement.query_map([collection], |row| row.get(0))?;
    Ok(bodies.collect::<rusqlite::Result<_>>()?)
}

/// A document as it stands in its row.
struct Stored {
    body: Vec<u8>,
    digest: Option<Vec<u8>>,
}

impl Stored {
    /// Whether the disk has changed what was written as these bytes: the body, or the digest.
    fn was_written_as(&self, new: &[u8], digest: &rot::RowDigest) -> bool {
        let Some(written) = self.digest.as_deref() else { return false };
        match self.body == new {
            true => written != digest && rot::is_nearly(written, digest),
            false => written == digest,
        }
    }
}

fn stored(connection: &Connection, generation: i64, id: &str) -> Result<Option<Stored>> {
    let sql = "SELECT body, digest FROM documents WHERE generation = ?1 AND id = ?2";
    let read = |row: &Row<'_>| Ok(Stored { body: row.get(0)?, digest: row.get(1)? });
    Ok(connection.prepare_cached(sql)?.query_row((generation, id), read).optional()?)
}

pub(super) fn body(connection: &Connection, generation: i64, id: &str) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT body FROM documents WHERE generation = ?1 AND id = ?2";
    Ok(connection.prepare_cached(sql)?.query_row((generation, id), |row| row.get(0)).optional()?)
}

/// The number that a counter stands at, exactly; none where it is no whole one, or less than zero.
pub(super) fn counter(body: &[u8]) -> Option<u128> {
    #[derive(Deserialize)]
    struct Counter {
        value: u128,
    }
    serde_json::from_slice::<Counter>(body).ok().map(|counter| counter.value)
}

fn counter_backwards(id: &str) -> Failure {
    let message = "a counter is a whole number from zero, and only goes forward";
    Failure::new(StatusCode::CONFLICT, "counter-backwards", message).on(id)
}
