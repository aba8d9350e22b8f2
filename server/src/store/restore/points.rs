//! Restore points: the states from before the last restores, each one click away.
//!
//! Making one live puts the collections back that its restore changed, and no others. Signed documents that are newer
//! are carried over; the point is used up, and the state of just before becomes a new one.

use super::books::undone;
use super::commit::{Author, apply};
use super::judge::{How, Incoming, Rule};
use super::plan::Plan;
use super::{Restores, with_fresh_preview};
use crate::failure::{Failure, Result};
use crate::store::Store;
use dikas_archive::api::restore::{AuditAction, CommitRequest, RestoreOutcome, RestorePoint, RestorePreview};
use dikas_archive::catalog;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

impl Store {
    /// The restore points, the newest first.
    pub fn restore_points(&self) -> Result<Vec<RestorePoint>> {
        self.read(|connection| {
            let sql = "SELECT id, created, user, action, archive FROM restore_points ORDER BY seq DESC";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(())?;
            let mut points = Vec::new();
            while let Some(row) = rows.next()? {
                let id: String = row.get(0)?;
                let archive: Option<String> = row.get(4)?;
                let archive = archive.map(|json| serde_json::from_str(&json)).transpose();
                let action = serde_json::from_str(&row.get::<_, String>(3)?).map_err(Failure::internal)?;
                let mut collections = Vec::new();
                for (name, ..) in parts(connection, &id)? {
                    collections.push(name.parse()?);
                }
                let (created, user, archive) =
                    (row.get(1)?, row.get(2)?, archive.map_err(Failure::internal)?);
                points.push(RestorePoint { id, created, user, action, archive, collections });
            }
            Ok(points)
        })
    }

    /// What would change if this point were made live.
    ///
    /// # Errors
    /// `not-found`
    pub fn preview_point(&self, id: &str) -> Result<RestorePreview> {
        Ok(self.read(|connection| plan(connection, id))?.preview())
    }
}

impl Restores {
    /// Makes a restore point live: all of it, or nothing. Repeated, it answers what the first call did.
    ///
    /// # Errors
    /// `not-found`, `live-changed`, `signed-loss`
    pub fn undo(&self, id: &str, user: &str, request: CommitRequest) -> Result<RestoreOutcome> {
        if let Some(outcome) = self.store.read(|connection| undone(connection, id))? {
            return Ok(outcome);
        }
        let at = self.options.at;
        let mut plan = self.store.read(|connection| plan(connection, id))?;
        // The plan is of now. What a person has seen is of then: nothing that it costs may have changed in between.
        let now = plan.seq;
        plan.seq = i64::try_from(request.seq).unwrap_or(i64::MAX).min(now);
        let author = Author { user, action: AuditAction::Undo, archive: None, mode: None, files_left_out: 0 };
        let acknowledged = request.acknowledge_signed.unwrap_or_default();
        let done = self.store.write(|write| {
            let used = "DELETE FROM restore_points WHERE id = ?1";
            if write.transaction.prepare_cached(used)?.execute([id])? == 0 {
                return undone(&write.transaction, id)?.ok_or_else(|| no_point(id));
            }
            let outcome = apply(write, &mut plan, acknowledged, &author, &self.options)?;
            self.book_undone(write, id, &outcome)?;
            at("commit-end");
            Ok(outcome)
        });
        at("commit-done");
        done.map_err(|failure| with_fresh_preview(failure, || self.store.preview_point(id)))
    }
}

/// What making this point live comes to.
fn plan(connection: &Connection, id: &str) -> Result<Plan> {
    let sql = "SELECT seq FROM restore_points WHERE id = ?1";
    let seq: Option<i64> = connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    let seq = seq.ok_or_else(|| no_point(id))?;
    let mut incoming = Vec::new();
    for (name, generation, merged) in parts(connection, id)? {
        let how = match (name.as_str(), merged) {
            // Whatever way counters came in, they only go forward.
            ("counters", _) => How::Merge(Rule::Greater),
            (_, true) => How::Merge(Rule::Overwrite),
            (name, false) => How::Replace { carry_after: catalog::is_signed(name).then_some(seq) },
        };
        incoming.push(Incoming { collection: name.parse()?, generation, how, missing: BTreeSet::new() });
    }
    Plan::compute(connection, incoming)
}

/// Collection, generation, and whether that holds only what a merge took the place of.
fn parts(connection: &Connection, point: &str) -> Result<Vec<(String, i64, bool)>> {
    let sql =
        "SELECT collection, generation, merged FROM restore_point_parts WHERE point = ?1 ORDER BY collection";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([point], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn no_point(id: &str) -> Failure {
    Failure::not_found("there is no such restore point, or no more").on(id)
}
