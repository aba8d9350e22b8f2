//! Attachment records of the live generations.

use super::{Store, documents, live_generation, rot};
use crate::failure::{Failure, Result};
use dikas_archive::api::AttachmentRecord;
use dikas_archive::catalog::{self, CollectionName};
use dikas_archive::damage::{Missing, Reason};
use dikas_archive::digest::Sha256;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

/// The columns that [`record`] and [`checked`] read.
pub(super) const COLUMNS: &str = "document_id, name, type, size, sha256, digest";

impl Store {
    /// The record of one attachment.
    pub fn attachment(
        &self,
        collection: &CollectionName,
        id: &str,
        name: &str,
    ) -> Result<Option<AttachmentRecord>> {
        self.read(|connection| {
            let Some(live) = live_generation(connection, collection.as_str())? else { return Ok(None) };
            find(connection, collection, live, id, name)
        })
    }

    /// The records of all attachments of a document, in the order of their names as bytes.
    pub fn attachments(&self, collection: &CollectionName, id: &str) -> Result<Vec<AttachmentRecord>> {
        self.read(|connection| {
            let Some(live) = live_generation(connection, collection.as_str())? else { return Ok(Vec::new()) };
            of_document(connection, collection, live, id)
        })
    }

    /// Stores a record whose blob is in place. Answers the record as it is now, and whether it is a new one: the same
    /// bytes for a signed document leave it as it was.
    ///
    /// # Errors
    /// `paused`, `no-space`, `not-found` without the document, `signed-document` where a file would be replaced.
    pub fn put_attachment(&self, new: &AttachmentRecord) -> Result<(AttachmentRecord, bool)> {
        self.write(|write| {
            self.may_write()?;
            let _room = write.room(&self.room, 0)?;
            let live = write.live_generation(new.collection.as_str())?;
            if !documents::exists(&write.transaction, live, &new.id)? {
                return Err(Failure::not_found("there is no such document").on(&new.id));
            }
            let old = stored(&write.transaction, &new.collection, live, &new.id, &new.name)?;
            let (created, digest) = (old.is_none(), rot::record_digest(new));
            let signed = catalog::is_signed(new.collection.as_str());
            match old {
                Some(Stored { record: Ok(old), .. }) if old == *new || signed && old.sha256 == new.sha256 => {
                    return Ok((old, false));
                }
                // The disk has changed the one that is there, and this is what was written.
                Some(Stored { record: Err(_), written: Some(written) }) if written == digest => {}
                Some(_) if signed => return Err(Failure::signed(&new.id)),
                _ => {}
            }
            let seq = write.next_position();
            let sql =
                "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                       ON CONFLICT DO UPDATE SET type = excluded.type, size = excluded.size,
                           sha256 = excluded.sha256, seq = excluded.seq, digest = excluded.digest";
            let size = i64::try_from(new.size).map_err(Failure::internal)?;
            write.transaction.prepare_cached(sql)?.execute((
                live,
                &new.id,
                &new.name,
                &new.media_type,
                size,
                new.sha256.to_string(),
                seq,
                digest,
            ))?;
            Ok((new.clone(), created))
        })
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// `not-found`, `signed-document`, `paused`
    pub fn delete_attachment(&self, collection: &CollectionName, id: &str, name: &str) -> Result<()> {
        self.write(|write| {
            self.may_write()?;
            let live = live_generation(&write.transaction, collection.as_str())?;
            let missing = || Failure::not_found("there is no such attachment").on(name);
            let live = live.ok_or_else(missing)?;
            find(&write.transaction, collection, live, id, name)?.ok_or_else(missing)?;
            if catalog::is_signed(collection.as_str()) {
                return Err(Failure::signed(id));
            }
            let sql = "DELETE FROM attachments WHERE generation = ?1 AND document_id = ?2 AND name = ?3";
            write.transaction.prepare_cached(sql)?.execute((live, id, name))?;
            write.note_deletion(live)
        })
    }
}

/// The record in a row of [`COLUMNS`].
pub(super) fn record(collection: &CollectionName, row: &Row<'_>) -> Result<AttachmentRecord> {
    let sha256: String = row.get(4)?;
    Ok(AttachmentRecord {
        collection: collection.clone(),
        id: row.get(0)?,
        name: row.get(1)?,
        media_type: row.get(2)?,
        size: super::unsigned(row.get(3)?),
        sha256: sha256.parse::<Sha256>()?,
    })
}

/// The record in a row of [`COLUMNS`], if it is the one that its digest is of. A row of before has none, and counts as it
/// is.
///
/// # Errors
/// Where the database cannot be read; else what is damaged.
pub(super) fn checked(
    collection: &CollectionName,
    row: &Row<'_>,
) -> Result<std::result::Result<AttachmentRecord, Missing>> {
    let [id, name] = [row.get_ref(0)?, row.get_ref(1)?].map(|value| match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    });
    let damage =
        |reason| Missing { collection: collection.clone(), id, name: Some(name), reason, attachments: 0 };
    let Ok(record) = record(collection, row) else { return Ok(Err(damage(Reason::Changed))) };
    Ok(match row.get_ref(5)? {
        ValueRef::Null => Ok(record),
        ValueRef::Blob(written) if *written == rot::record_digest(&record) => Ok(record),
        ValueRef::Blob(rot::NO_DOCUMENT) => Err(damage(Reason::Unreadable)),
        _ => Err(damage(Reason::Changed)),
    })
}

/// What a look at the files of a document finds: their records, and what is damaged.
pub(super) fn checked_of_document(
    connection: &Connection,
    collection: &CollectionName,
    generation: i64,
    id: &str,
) -> Result<Vec<(std::result::Result<AttachmentRecord, Missing>, i64)>> {
    let sql =
        format!("SELECT {COLUMNS} FROM attachments WHERE generation = ?1 AND document_id = ?2 ORDER BY name");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((generation, id))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((checked(collection, row)?, row.get(3)?));
    }
    Ok(found)
}

/// The records of a document, in the order of their names as bytes.
pub(super) fn of_document(
    connection: &Connection,
    collection: &CollectionName,
    generation: i64,
    id: &str,
) -> Result<Vec<AttachmentRecord>> {
    let sql =
        format!("SELECT {COLUMNS} FROM attachments WHERE generation = ?1 AND document_id = ?2 ORDER BY name");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((generation, id))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(collection, row)?);
    }
    Ok(records)
}

fn find(
    connection: &Connection,
    collection: &CollectionName,
    generation: i64,
    id: &str,
    name: &str,
) -> Result<Option<AttachmentRecord>> {
    let sql =
        format!("SELECT {COLUMNS} FROM attachments WHERE generation = ?1 AND document_id = ?2 AND name = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row((generation, id, name), |row| Ok(record(collection, row))).optional()?;
    found.transpose()
}

/// A record as it stands in its row: whole, or what is damaged.
struct Stored {
    record: std::result::Result<AttachmentRecord, Missing>,
    written: Option<Vec<u8>>,
}

fn stored(
    connection: &Connection,
    collection: &CollectionName,
    generation: i64,
    id: &str,
    name: &str,
) -> Result<Option<Stored>> {
    let sql =
        format!("SELECT {COLUMNS} FROM attachments WHERE generation = ?1 AND document_id = ?2 AND name = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((generation, id, name))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Stored { record: checked(collection, row)?, written: row.get(5)? }))
}
