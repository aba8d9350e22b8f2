//! The short transaction that makes a plan live: checked against what was written since, guarded, recorded.

use super::RestoreOptions;
use super::judge::{File, How, Rule, Stored, Verdict};
use super::plan::{CollectionPlan, Plan, owner_stays};
use super::prepare::catch_up;
use super::retire::retire;
use crate::failure::{Failure, Result};
use crate::store::{Write, live_generation, meta, set_meta, unsigned};
use crate::{clock, random};
use dikas_archive::api::restore::{
    ArchiveInfo, AuditAction, AuditEnd, AuditEntry, RestoreMode, RestoreOutcome,
};
use dikas_archive::catalog;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

/// Who commits what, for restore point and audit.
#[derive(Debug)]
pub(super) struct Author<'a> {
    pub(super) user: &'a str,
    pub(super) action: AuditAction,
    pub(super) archive: Option<&'a ArchiveInfo>,
    pub(super) mode: Option<RestoreMode>,
    /// How many files of the archive were left out, as acknowledged.
    pub(super) files_left_out: u64,
}

/// Carries the plan out: all of it, or an error and nothing.
///
/// # Errors
/// `live-changed`, `signed-loss`
pub(super) fn apply(
    write: &mut Write<'_>,
    plan: &mut Plan,
    acknowledged: u64,
    author: &Author<'_>,
    options: &RestoreOptions,
) -> Result<RestoreOutcome> {
    let at = options.at;
    at("commit-begun");
    for part in &plan.collections {
        check_unchanged(&write.transaction, part, plan.seq)?;
    }
    fiscal_guard(&write.transaction, plan, acknowledged)?;
    at("commit-checked");
    for part in &mut plan.collections {
        part.refresh_counters(&write.transaction)?;
        if part.touches_users() && !part.lets_an_admin_in(&write.transaction)? {
            return Err(live_changed(part));
        }
    }
    let seq = write.next_position();
    let (committed, point) = (clock::now(), random::hex::<16>()?);
    let changed: Vec<&CollectionPlan> = plan.collections.iter().filter(|part| !part.is_nothing()).collect();
    if !changed.is_empty() {
        add_point(write, &point, seq, &committed, author)?;
        retire(&write.transaction, &committed, options.points_stay)?;
        at("commit-point");
    }
    for part in &changed {
        heal(write, part, seq)?;
        let (merged, before) = match (part.incoming.how, part.prepared, part.live) {
            (How::Merge(_), Some(result), Some(live)) => {
                catch_up(write, live, result, plan.seq)?;
                move_pointer(write, part, live, result, seq)?;
                (false, live)
            }
            (How::Merge(_), ..) => (true, merge(write, part, seq)?),
            (How::Replace { .. }, ..) => (false, replace(write, part, seq)?),
        };
        let sql =
            "INSERT INTO restore_point_parts (point, collection, generation, merged) VALUES (?1, ?2, ?3, ?4)";
        let name = part.incoming.collection.as_str();
        write.transaction.prepare_cached(sql)?.execute((&point, name, before, merged))?;
        at("commit-collection");
    }
    if plan.logins_end {
        let epoch: Option<i64> = meta(&write.transaction, "login-epoch")?;
        set_meta(&write.transaction, "login-epoch", &(epoch.unwrap_or_default() + 1))?;
    }
    write.audit(&AuditEntry {
        archive: author.archive.cloned(),
        mode: author.mode,
        collections: plan.collections.iter().map(|part| part.incoming.collection.clone()).collect(),
        signed_loss: plan.signed_loss(),
        files_left_out: author.files_left_out,
        ..AuditEntry::new(committed.clone(), author.user.to_owned(), author.action, AuditEnd::Done)
    })?;
    at("commit-audited");
    Ok(RestoreOutcome {
        committed,
        seq: unsigned(seq),
        restore_point: (!changed.is_empty()).then_some(point),
        files_left_out: author.files_left_out,
        signed_loss: plan.signed_loss(),
        logins_ended: plan.logins_end,
        users_kept: plan.users_kept,
        collections: plan.changes(),
    })
}

/// Lets a commit pass that loses no signed document, or exactly as many as were acknowledged. Every restore and every
/// undo comes through here, in its transaction. What the plan counted still holds, since a signed document never changes;
/// what was written since is counted here.
///
/// # Errors
/// `signed-loss`
fn fiscal_guard(connection: &Connection, plan: &Plan, acknowledged: u64) -> Result<()> {
    let mut loss = plan.signed_loss();
    for part in &plan.collections {
        if catalog::is_signed(part.incoming.collection.as_str()) {
            loss += lost_since(connection, part, plan.seq)?.len() as u64;
        }
    }
    if loss == acknowledged {
        return Ok(());
    }
    Err(Failure::conflict(
        "signed-loss",
        format!(
            "{loss} signed documents would be dropped or changed, and {acknowledged} were acknowledged; nothing has changed"
        ),
    )
    .on("acknowledgeSigned"))
}

/// Checks that nothing that the plan would drop or overwrite was written since it was made.
///
/// # Errors
/// `live-changed`
fn check_unchanged(connection: &Connection, part: &CollectionPlan, seq: i64) -> Result<()> {
    if part.kept {
        return Ok(());
    }
    let name = part.incoming.collection.as_str();
    let live = live_generation(connection, name)?;
    if live != part.live {
        return Err(live_changed(part));
    }
    let Some(live) = live else { return Ok(()) };
    let since: i64 = connection
        .prepare_cached("SELECT since FROM collections WHERE name = ?1")?
        .query_row([name], |row| row.get(0))?;
    let shrunk: i64 = connection
        .prepare_cached("SELECT shrunk FROM generations WHERE id = ?1")?
        .query_row([live], |row| row.get(0))?;
    // A replacement brings back whatever was deleted; a merge, or nothing to do, would not.
    let replaces = matches!(part.incoming.how, How::Replace { .. }) && !part.is_nothing();
    if since > seq || !replaces && shrunk > seq || !lost_since(connection, part, seq)?.is_empty() {
        return Err(live_changed(part));
    }
    Ok(())
}

/// The documents that were written after this position, they or their files, and would not stay as they are.
fn lost_since(connection: &Connection, part: &CollectionPlan, seq: i64) -> Result<HashSet<String>> {
    let mut lost = HashSet::new();
    if let Some(live) = part.live.filter(|_| !part.kept) {
        documents_since(connection, part, live, seq, &mut lost)?;
        files_since(connection, part, live, seq, &mut lost)?;
    }
    Ok(lost)
}

/// The documents that were written since and would not stay as they are.
fn documents_since(
    connection: &Connection,
    part: &CollectionPlan,
    live: i64,
    seq: i64,
    lost: &mut HashSet<String>,
) -> Result<()> {
    let sql = "SELECT id, body, seq, digest FROM documents WHERE generation = ?1 AND seq > ?2 AND seq > 0";
    let mut statement = connection.prepare_cached(sql)?;
    let mut incoming = connection
        .prepare_cached("SELECT id, body, seq, digest FROM documents WHERE generation = ?1 AND id = ?2")?;
    let mut rows = statement.query((live, seq))?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let mut after = incoming.query((part.incoming.generation, &id))?;
        let after = after.next()?.map(Stored::of).transpose()?;
        let goes = part.removes.contains(&id);
        match part.incoming.document(&id, Some(Stored::of(row)?), after, goes) {
            // Counters are judged anew by the commit.
            Verdict::Changed if part.incoming.how == How::Merge(Rule::Greater) => {}
            Verdict::Changed | Verdict::Dropped => drop(lost.insert(id)),
            Verdict::New | Verdict::Healed | Verdict::Same | Verdict::Kept => {}
        }
    }
    Ok(())
}

/// The documents whose files were written since and would not stay as they are.
fn files_since(
    connection: &Connection,
    part: &CollectionPlan,
    live: i64,
    seq: i64,
    lost: &mut HashSet<String>,
) -> Result<()> {
    let columns = "SELECT document_id, name, type, size, sha256, seq FROM attachments";
    let sql = format!("{columns} WHERE generation = ?1 AND seq > ?2 AND seq > 0");
    let mut statement = connection.prepare_cached(&sql)?;
    let sql = format!("{columns} WHERE generation = ?1 AND document_id = ?2 AND name = ?3");
    let mut incoming = connection.prepare_cached(&sql)?;
    let (how, generation) = (part.incoming.how, part.incoming.generation);
    let mut rows = statement.query((live, seq))?;
    while let Some(row) = rows.next()? {
        let key: (String, String) = (row.get(0)?, row.get(1)?);
        let after = incoming
            .query_row((generation, &key.0, &key.1), |row| Ok(File::of(row)))
            .optional()?
            .transpose()?;
        let goes = part.removes.contains(&key.0) || part.file_removes.contains(&key);
        let owner_stays = || owner_stays(connection, how, generation, live, &key.0);
        let now = File::of(row)?;
        let verdict = part.incoming.file(&key, Some(&now), after.as_ref(), goes, owner_stays)?;
        if matches!(verdict, Verdict::Changed | Verdict::Dropped) {
            lost.insert(key.0);
        }
    }
    Ok(())
}

fn live_changed(part: &CollectionPlan) -> Failure {
    let message =
        "something that would be dropped or overwritten has changed since the preview; nothing was restored";
    Failure::conflict("live-changed", message).on(part.incoming.collection.as_str())
}

/// Adds a restore point.
fn add_point(write: &Write<'_>, id: &str, seq: i64, now: &str, author: &Author<'_>) -> Result<()> {
    let sql = "INSERT INTO restore_points (id, seq, created, user, action, archive) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let archive = author.archive.map(serde_json::to_string).transpose().map_err(Failure::internal)?;
    let action = serde_json::to_string(&author.action).map_err(Failure::internal)?;
    write.transaction.prepare_cached(sql)?.execute((id, seq, now, author.user, action, archive))?;
    Ok(())
}

/// Writes anew what the disk has changed, where it is: neither the restore point nor what was put together brings it back.
fn heal(write: &Write<'_>, part: &CollectionPlan, seq: i64) -> Result<()> {
    let mut put = write.transaction.prepare_cached(
        "UPDATE documents SET (seq, body, digest) =
             (SELECT ?4, body, digest FROM documents WHERE generation = ?2 AND id = ?3)
         WHERE generation = ?1 AND id = ?3",
    )?;
    for id in &part.heals {
        put.execute((part.live, part.incoming.generation, id, seq))?;
    }
    Ok(())
}

/// Makes what comes the live generation; answers the generation that was live before.
fn replace(write: &Write<'_>, part: &CollectionPlan, seq: i64) -> Result<i64> {
    let (name, new) = (part.incoming.collection.as_str(), part.incoming.generation);
    let before = match part.live {
        Some(live) => live,
        None => generation(write, name)?,
    };
    if let How::Replace { carry_after: Some(after) } = part.incoming.how {
        carry_over(write, before, new, after)?;
    }
    keep_missing(write, part, before, new)?;
    move_pointer(write, part, before, new, seq)?;
    Ok(before)
}

/// Makes another generation the live one. A signed collection shrinks by no more than the guard has let pass, whatever a
/// plan may have missed.
fn move_pointer(write: &Write<'_>, part: &CollectionPlan, from: i64, to: i64, seq: i64) -> Result<()> {
    if catalog::is_signed(part.incoming.collection.as_str()) {
        let sql = "SELECT documents FROM generations WHERE id = ?1";
        let mut count = write.transaction.prepare_cached(sql)?;
        let mut count = |generation: i64| count.query_row([generation], |row| row.get(0)).map(unsigned);
        let gone = count(from)?.saturating_sub(count(to)?);
        if gone > part.changes.signed_loss {
            return Err(Failure::internal(format_args!(
                "a restore would lose {gone} signed documents and has counted {}: it was refused",
                part.changes.signed_loss
            )));
        }
    }
    let sql = "INSERT INTO collections (name, live, since) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET live = excluded.live, since = excluded.since";
    write.transaction.prepare_cached(sql)?.execute((part.incoming.collection.as_str(), to, seq))?;
    Ok(())
}

/// Copies what the backup says that it lacks.
fn keep_missing(write: &Write<'_>, part: &CollectionPlan, from: i64, to: i64) -> Result<()> {
    let documents = "INSERT INTO documents (generation, id, seq, body, digest)
        SELECT ?2, id, seq, body, digest FROM documents WHERE generation = ?1 AND id = ?3
        ON CONFLICT DO NOTHING";
    let files = "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
        SELECT ?2, document_id, name, type, size, sha256, seq, digest FROM attachments AS files
        WHERE generation = ?1 AND document_id = ?3 AND ?4 IN ('', name)
            AND EXISTS (SELECT 1 FROM documents WHERE generation = ?2 AND id = files.document_id)
        ON CONFLICT DO NOTHING";
    for (id, name) in &part.incoming.missing {
        if name.is_empty() {
            write.transaction.prepare_cached(documents)?.execute((from, to, id))?;
        }
        write.transaction.prepare_cached(files)?.execute((from, to, id, name))?;
    }
    Ok(())
}

/// Copies what was written to `from` after this position and `to` lacks.
fn carry_over(write: &Write<'_>, from: i64, to: i64, after: i64) -> Result<()> {
    let documents = "INSERT INTO documents (generation, id, seq, body, digest)
        SELECT ?2, id, seq, body, digest FROM documents WHERE generation = ?1 AND seq > ?3 AND seq > 0
        ON CONFLICT DO NOTHING";
    write.transaction.prepare_cached(documents)?.execute((from, to, after))?;
    let attachments =
        "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
        SELECT ?2, document_id, name, type, size, sha256, seq, digest FROM attachments AS files
        WHERE generation = ?1 AND seq > ?3 AND seq > 0
            AND EXISTS (SELECT 1 FROM documents WHERE generation = ?2 AND id = files.document_id)
        ON CONFLICT DO NOTHING";
    write.transaction.prepare_cached(attachments)?.execute((from, to, after))?;
    Ok(())
}

/// Writes documents and files into the live generation; answers a generation that holds what they took the place of.
fn merge(write: &Write<'_>, part: &CollectionPlan, seq: i64) -> Result<i64> {
    let name = part.incoming.collection.as_str();
    let (live, from) = (write.live_generation(name)?, part.incoming.generation);
    let before = generation(write, name)?;
    let connection = &write.transaction;
    let mut keep = connection.prepare_cached(
        "INSERT INTO documents (generation, id, seq, body, digest)
         SELECT ?1, id, seq, body, digest FROM documents WHERE generation = ?2 AND id = ?3",
    )?;
    let mut keep_file = connection.prepare_cached(
        "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
         SELECT ?1, document_id, name, type, size, sha256, seq, digest FROM attachments
         WHERE generation = ?2 AND document_id = ?3 AND name = ?4",
    )?;
    let mut keep_files = connection.prepare_cached(
        "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
         SELECT ?1, document_id, name, type, size, sha256, seq, digest FROM attachments
         WHERE generation = ?2 AND document_id = ?3",
    )?;
    let mut note_added =
        connection.prepare_cached("INSERT INTO added (generation, document_id, name) VALUES (?1, ?2, ?3)")?;
    let mut put = connection.prepare_cached(
        "INSERT INTO documents (generation, id, seq, body, digest)
         SELECT ?1, id, ?4, body, digest FROM documents WHERE generation = ?2 AND id = ?3
         ON CONFLICT DO UPDATE SET seq = excluded.seq, body = excluded.body, digest = excluded.digest",
    )?;
    let mut put_file = connection.prepare_cached(
        "INSERT INTO attachments (generation, document_id, name, type, size, sha256, seq, digest)
         SELECT ?1, document_id, name, type, size, sha256, ?5, digest FROM attachments
         WHERE generation = ?2 AND document_id = ?3 AND name = ?4
         ON CONFLICT DO UPDATE SET type = excluded.type, size = excluded.size, sha256 = excluded.sha256,
             seq = excluded.seq, digest = excluded.digest",
    )?;
    let mut remove = connection.prepare_cached("DELETE FROM documents WHERE generation = ?1 AND id = ?2")?;
    let mut remove_file = connection
        .prepare_cached("DELETE FROM attachments WHERE generation = ?1 AND document_id = ?2 AND name = ?3")?;
    // What a till wrote since is there already where the rule is to add: check_unchanged lets it, and it stays.
    let adds = part.incoming.how == How::Merge(Rule::Add);
    for id in &part.upserts {
        let replaced = keep.execute((before, live, id))? > 0;
        if !replaced {
            note_added.execute((before, id, ""))?;
        }
        if !(replaced && adds) {
            put.execute((live, from, id, seq))?;
        }
    }
    for (id, name) in &part.file_upserts {
        let replaced = keep_file.execute((before, live, id, name))? > 0;
        if !replaced {
            note_added.execute((before, id, name))?;
        }
        if !(replaced && adds) {
            put_file.execute((live, from, id, name, seq))?;
        }
    }
    for (id, name) in &part.file_removes {
        keep_file.execute((before, live, id, name))?;
        remove_file.execute((live, id, name))?;
    }
    for id in &part.removes {
        keep.execute((before, live, id))?;
        keep_files.execute((before, live, id))?;
        remove.execute((live, id))?;
    }
    Ok(before)
}

/// A new generation with nothing in it.
pub(super) fn generation(write: &Write<'_>, collection: &str) -> Result<i64> {
    let sql = "INSERT INTO generations (collection) VALUES (?1)";
    write.transaction.prepare_cached(sql)?.execute([collection])?;
    Ok(write.transaction.last_insert_rowid())
}
