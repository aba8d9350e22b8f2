//! The clean-up: removes what nobody can reach any more, in small steps between the writes of everybody else. Whatever
//! it removes, nothing names; killed at any moment, it goes on with the next run.

use super::restore::Restores;
use super::{Snapshots, Store};
use crate::failure::Result;
use dikas_archive::digest::Sha256;
use rusqlite::OptionalExtension;
use std::time::Duration;

/// How many rows one step removes.
const ROWS_PER_STEP: i64 = 500;

/// How long writers have between two steps.
const BETWEEN_STEPS: Duration = Duration::from_millis(5);

impl Restores {
    /// Ends sessions that are too old, forgets how those of the day before ended, and removes generations and blobs that
    /// nothing names: no live collection, no restore point, no session that is open. While a snapshot is open, both stay.
    /// Blocks for as long as it takes.
    pub fn clean(&self, snapshots: &Snapshots) -> Result<()> {
        self.expire()?;
        self.forget_old()?;
        let at = self.options().at;
        while self.may_clean() && !snapshots.any_open() && self.store().remove_unreachable_rows()? {
            at("clean-rows");
            std::thread::sleep(BETWEEN_STEPS);
        }
        self.clean_blobs(snapshots)
    }

    fn clean_blobs(&self, snapshots: &Snapshots) -> Result<()> {
        let store = self.store();
        store.blobs().sweep(self.options().blob_grace, |digest| {
            let unnamed = self.may_clean() && !store.names_blob(digest)?;
            // In this order: a snapshot or session that begins from here on sees no row that names the blob.
            let removable = unnamed && !snapshots.any_open() && !self.is_open();
            if removable {
                (self.options().at)("clean-blob");
            }
            Ok(removable)
        })
    }
}

impl Store {
    /// Takes one step towards removing a generation that nothing names; whether there may be more to do.
    fn remove_unreachable_rows(&self) -> Result<bool> {
        let sql = "SELECT id FROM generations
                   WHERE NOT EXISTS (SELECT 1 FROM collections WHERE live = generations.id)
                       AND NOT EXISTS (SELECT 1 FROM restore_point_parts WHERE generation = generations.id)
                       AND NOT EXISTS (SELECT 1 FROM restores WHERE id = session AND state = '\"open\"')
                   LIMIT 1";
        self.write(|write| {
            let connection = &write.transaction;
            let found: Option<i64> =
                connection.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?;
            let Some(generation) = found else { return Ok(false) };
            let tables =
                [("attachments", "document_id, name"), ("documents", "id"), ("added", "document_id, name")];
            for (table, key) in tables {
                let sql = format!(
                    "DELETE FROM {table} WHERE generation = ?1 AND ({key}) IN
                     (SELECT {key} FROM {table} WHERE generation = ?1 LIMIT ?2)"
                );
                if connection.prepare_cached(&sql)?.execute((generation, ROWS_PER_STEP))? > 0 {
                    return Ok(true);
                }
            }
            connection.execute("DELETE FROM generations WHERE id = ?1", [generation])?;
            Ok(true)
        })
    }

    /// Whether any row names this blob.
    fn names_blob(&self, digest: &Sha256) -> Result<bool> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM attachments WHERE sha256 = ?1 LIMIT 1";
            Ok(connection.prepare_cached(sql)?.exists([digest.to_string()])?)
        })
    }
}
