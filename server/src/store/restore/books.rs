//! The books: which session is open, and for a day how those ended that are not, and what undos did.

use super::Restores;
use crate::clock;
use crate::failure::{Failure, Result};
use crate::store::{Owner, Write};
use dikas_archive::api::restore::{
    AuditAction, AuditEnd, AuditEntry, RestoreOutcome, RestoreRequest, RestoreSession, RestoreState,
};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A session as it is opened.
pub(super) struct Beginning<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) owner: &'a Owner,
    pub(super) user: &'a str,
    pub(super) begun: &'a str,
    pub(super) request: &'a RestoreRequest,
}

/// A session that has ended.
pub(super) struct Ended {
    pub(super) secret_hash: String,
    pub(super) owner: Owner,
    pub(super) session: RestoreSession,
}

impl Restores {
    /// Notes in this transaction that a session is open.
    pub(super) fn book_begin(&self, write: &Write<'_>, new: &Beginning<'_>) -> Result<()> {
        let sql =
            "INSERT INTO restores (id, secret_hash, owner, user, begun, mode, archive, collections, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let names: Vec<&CollectionName> = new.request.collections.iter().map(|it| &it.name).collect();
        let row = (
            new.id,
            Sha256::of(new.secret.as_bytes()).to_string(),
            code(new.owner)?,
            new.user,
            new.begun,
            code(&new.request.mode)?,
            code(&new.request.archive)?,
            code(&names)?,
            code(&RestoreState::Open)?,
        );
        write.transaction.execute(sql, row)?;
        Ok(())
    }

    /// Notes in this transaction how a session ended; `who` ended it, if not its owner. A commit has its entry in the
    /// audit already.
    pub(super) fn book_end(
        &self,
        write: &Write<'_>,
        id: &str,
        state: RestoreState,
        who: Option<&str>,
        outcome: Option<&RestoreOutcome>,
    ) -> Result<()> {
        let sql = "UPDATE restores SET state = ?2, ended = ?3, forget = ?4, outcome = ?5 WHERE id = ?1
                   RETURNING user, archive, mode, collections";
        let now = clock::now();
        let row = (id, code(&state)?, &now, self.forget(), outcome.map(code).transpose()?);
        let (user, archive, mode, collections): (String, String, String, String) = write
            .transaction
            .prepare_cached(sql)?
            .query_row(row, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let end = match state {
            RestoreState::Open | RestoreState::Committed => return Ok(()),
            RestoreState::Aborted => AuditEnd::Aborted,
            RestoreState::Expired => AuditEnd::Expired,
            RestoreState::Interrupted => AuditEnd::Interrupted,
        };
        write.audit(&AuditEntry {
            archive: Some(decode(&archive)?),
            mode: Some(decode(&mode)?),
            collections: decode(&collections)?,
            ..AuditEntry::new(now, who.map_or(user, str::to_owned), AuditAction::Restore, end)
        })
    }

    /// Notes that sessions ended with the server that had opened them; the clean-up takes what they had staged.
    pub(super) fn book_interrupted(&self) -> Result<()> {
        self.store.write(|write| {
            let mut open = write.transaction.prepare_cached("SELECT id FROM restores WHERE state = ?1")?;
            let left = open.query_map([code(&RestoreState::Open)?], |row| row.get(0))?;
            let left: Vec<String> = left.collect::<rusqlite::Result<_>>()?;
            left.iter().try_for_each(|id| self.book_end(write, id, RestoreState::Interrupted, None, None))
        })
    }

    /// The session of this id as the books have it, once it has ended.
    pub(super) fn ended(&self, id: &str) -> Result<Option<Ended>> {
        self.store.read(|connection| {
            let sql = "SELECT secret_hash, owner, user, begun, mode, state, ended, outcome FROM restores
                       WHERE id = ?1 AND forget > ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row((id, unix()), |row| Ok(ended(id, row))).optional()?;
            found.transpose()
        })
    }

    /// Forgets how sessions ended that did so long ago.
    pub(in crate::store) fn forget_old(&self) -> Result<()> {
        self.store.write(|write| {
            for table in ["restores", "undone"] {
                let sql = format!("DELETE FROM {table} WHERE forget <= ?1");
                write.transaction.prepare_cached(&sql)?.execute([unix()])?;
            }
            Ok(())
        })
    }

    /// Notes in this transaction what the undo of a restore point does.
    pub(super) fn book_undone(&self, write: &Write<'_>, point: &str, outcome: &RestoreOutcome) -> Result<()> {
        let sql = "INSERT INTO undone (point, outcome, forget) VALUES (?1, ?2, ?3)";
        write.transaction.prepare_cached(sql)?.execute((point, code(outcome)?, self.forget()))?;
        Ok(())
    }

    /// When to forget what ends now, in seconds since 1970.
    fn forget(&self) -> i64 {
        let remembered = i64::try_from(self.options.remember.as_secs()).unwrap_or(i64::MAX);
        unix().saturating_add(remembered)
    }

    /// That there is no such session to work on, and how it ended where that is known.
    pub(super) fn gone(&self, id: &str) -> Failure {
        let how = match self.ended(id).ok().flatten().map(|ended| ended.session.state) {
            Some(RestoreState::Committed) => "it was committed",
            Some(RestoreState::Aborted) => "it was ended, and has changed nothing",
            Some(RestoreState::Expired) => "nobody called it for too long, and it has changed nothing",
            Some(RestoreState::Interrupted) => "the server was started anew, and it has changed nothing",
            Some(RestoreState::Open) | None => "there is none of this id and secret, or no more",
        };
        Failure::restore_gone(how)
    }
}

/// What the undo of a restore point did, if it was used within a day.
pub(super) fn undone(connection: &Connection, point: &str) -> Result<Option<RestoreOutcome>> {
    let sql = "SELECT outcome FROM undone WHERE point = ?1 AND forget > ?2";
    let outcome: Option<String> =
        connection.prepare_cached(sql)?.query_row((point, unix()), |row| row.get(0)).optional()?;
    outcome.as_deref().map(decode).transpose()
}

fn ended(id: &str, row: &Row<'_>) -> Result<Ended> {
    let outcome: Option<String> = row.get(7)?;
    let session = RestoreSession {
        id: id.to_owned(),
        state: decode(&row.get::<_, String>(5)?)?,
        user: row.get(2)?,
        begun: row.get(3)?,
        ended: row.get(6)?,
        mode: decode(&row.get::<_, String>(4)?)?,
        staged: Vec::new(),
        attachment_batches: 0,
        outcome: outcome.as_deref().map(decode).transpose()?,
    };
    Ok(Ended { secret_hash: row.get(0)?, owner: decode(&row.get::<_, String>(1)?)?, session })
}

fn code(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Failure::internal)
}

fn decode<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(Failure::internal)
}

fn unix() -> i64 {
    i64::try_from(clock::unix()).unwrap_or(i64::MAX)
}
