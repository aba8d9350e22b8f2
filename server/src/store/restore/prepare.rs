//! Large merges, done before the commit: what would be live afterwards is put together in a generation of its own, in
//! small steps between the writes of everybody else. The commit only adds what was written since, and moves the pointer.
//! Its restore point is the whole generation from before, as that of a full restore.

use super::judge::{How, Rule};
use super::plan::{CollectionPlan, Plan};
use super::{Open, Restores, generation};
use crate::failure::Result;
use crate::store::{Store, Write};
use rusqlite::OptionalExtension;

/// How many rows one step copies.
const ROWS_PER_STEP: i64 = 2_000;

impl Restores {
    /// Puts the results of large merges together, in the place of those that an earlier plan had.
    pub(super) fn prepare(&self, session: &Open, plan: &mut Plan, earlier: Option<&Plan>) -> Result<()> {
        for left in earlier.iter().flat_map(|plan| &plan.collections).filter_map(|part| part.prepared) {
            // The clean-up takes it.
            self.store.write(|write| Ok(keep_for(write, left, None)?))?;
        }
        for part in plan.collections.iter_mut().filter(|part| self.is_large(part)) {
            let How::Merge(rule) = part.incoming.how else { continue };
            let Some(live) = part.live else { continue };
            let result = self.store.write(|write| {
                let result = generation(write, part.incoming.collection.as_str())?;
                keep_for(write, result, Some(&session.id))?;
                Ok(result)
            })?;
            // Of two with the same id the first one stays.
            let sources = match rule {
                Rule::Overwrite => [part.incoming.generation, live],
                Rule::Add | Rule::Greater => [live, part.incoming.generation],
            };
            for from in sources {
                copy_documents(&self.store, from, result)?;
                (self.options.at)("prepare-documents");
            }
            for from in sources {
                copy_attachments(&self.store, from, result)?;
            }
            part.prepared = Some(result);
        }
        Ok(())
    }

    fn is_large(&self, part: &CollectionPlan) -> bool {
        let rows = part.upserts.len() + part.file_upserts.len();
        rows > self.options.merged_rows && !part.kept && part.incoming.how != How::Merge(Rule::Greater)
    }
}

/// Adds to a prepared result what was written to the live generation since; after the check that comes first, all of it
/// stays.
pub(super) fn catch_up(write: &Write<'_>, live: i64, result: i64, seq: i64) -> Result<()> {
    let documents = "INSERT INTO documents (generation, id, seq, body, digest)
        SELECT ?2, id, seq, body, digest FROM documents WHERE generation = ?1 AND seq > ?3 AND seq > 0
        ON CONFLICT DO UPDATE SET seq = excluded.seq, body = excluded.body, digest = excluded.digest";
    write.transaction.prepare_cached(documents)?.execute((live, result, seq))?;
    let attachments =
        "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
        SELECT ?2, document_id, name, type, size, sha256, seq, digest FROM attachments
        WHERE generation = ?1 AND seq > ?3 AND seq > 0
        ON CONFLICT DO UPDATE SET type = excluded.type, size = excluded.size, sha256 = excluded.sha256,
            seq = excluded.seq, digest = excluded.digest";
    write.transaction.prepare_cached(attachments)?.execute((live, result, seq))?;
    Ok(())
}

fn keep_for(write: &Write<'_>, generation: i64, session: Option<&str>) -> rusqlite::Result<()> {
    let sql = "UPDATE generations SET session = ?1 WHERE id = ?2";
    write.transaction.prepare_cached(sql)?.execute((session, generation)).map(drop)
}

fn copy_documents(store: &Store, from: i64, to: i64) -> Result<()> {
    let mut after = String::new();
    loop {
        let last: Option<String> = store.write(|write| {
            let sql = "SELECT max(id) FROM
                (SELECT id FROM documents WHERE generation = ?1 AND id > ?2 ORDER BY id LIMIT ?3)";
            let mut statement = write.transaction.prepare_cached(sql)?;
            let last: Option<String> =
                statement.query_row((from, &after, ROWS_PER_STEP), |row| row.get(0))?;
            let sql = "INSERT INTO documents (generation, id, seq, body, digest)
                SELECT ?2, id, seq, body, digest FROM documents WHERE generation = ?1 AND id > ?3 AND id <= ?4
                ON CONFLICT DO NOTHING";
            write.transaction.prepare_cached(sql)?.execute((from, to, &after, &last))?;
            Ok(last)
        })?;
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

fn copy_attachments(store: &Store, from: i64, to: i64) -> Result<()> {
    let mut after = (String::new(), String::new());
    loop {
        let last: Option<(String, String)> = store.write(|write| {
            let sql = "SELECT document_id, name FROM
                (SELECT document_id, name FROM attachments
                 WHERE generation = ?1 AND (document_id, name) > (?2, ?3) ORDER BY document_id, name LIMIT ?4)
                ORDER BY document_id DESC, name DESC LIMIT 1";
            let mut statement = write.transaction.prepare_cached(sql)?;
            let row = (from, &after.0, &after.1, ROWS_PER_STEP);
            let last = statement.query_row(row, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            if let Some((id, name)) = &last {
                let sql = "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
                    SELECT ?2, document_id, name, type, size, sha256, seq, digest FROM attachments
                    WHERE generation = ?1 AND (document_id, name) > (?3, ?4) AND (document_id, name) <= (?5, ?6)
                    ON CONFLICT DO NOTHING";
                let row = (from, to, &after.0, &after.1, id, name);
                write.transaction.prepare_cached(sql)?.execute(row)?;
            }
            Ok(last)
        })?;
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}
