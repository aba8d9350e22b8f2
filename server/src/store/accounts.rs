//! Who may log in: users, which are documents like others, and backup tokens, which are not.

use super::documents::{Rules, body};
use super::{Store, Write, live_generation};
use crate::failure::{Failure, Result};
use crate::{clock, random};
use dikas_archive::api::archives::BackupToken;
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use rusqlite::{OptionalExtension, Row};
use serde_json::Value;

impl Store {
    /// Keeps a new backup token; of its secret only the digest.
    pub fn add_token(&self, secret: &str, name: &str, created_by: &str, now: &str) -> Result<BackupToken> {
        let token = BackupToken {
            id: random::hex::<8>()?,
            name: name.to_owned(),
            created: now.to_owned(),
            created_by: created_by.to_owned(),
            last_used: None,
        };
        self.write(|write: &mut Write<'_>| {
            let sql = "INSERT INTO tokens (id, hash, name, created, created_by) VALUES (?1, ?2, ?3, ?4, ?5)";
            let hash = Sha256::of(secret.as_bytes()).to_string();
            write.transaction.execute(sql, (&token.id, hash, name, now, created_by))?;
            write.audit(&entry(now, created_by, AuditAction::TokenCreate).about(named(name, &token.id)))
        })?;
        Ok(token)
    }

    /// All backup tokens, the oldest first.
    pub fn tokens(&self) -> Result<Vec<BackupToken>> {
        self.read(|connection| {
            let sql = "SELECT id, name, created, created_by, last_used FROM tokens ORDER BY created, id";
            let mut statement = connection.prepare_cached(sql)?;
            let tokens = statement.query_map((), token)?.collect::<rusqlite::Result<_>>()?;
            Ok(tokens)
        })
    }

    /// Makes a backup token void.
    ///
    /// # Errors
    /// `not-found`
    pub fn delete_token(&self, id: &str, by: &str, now: &str) -> Result<()> {
        self.write(|write| {
            let sql = "DELETE FROM tokens WHERE id = ?1 RETURNING name";
            let name: Option<String> = write.transaction.query_row(sql, [id], |row| row.get(0)).optional()?;
            let name = name.ok_or_else(|| Failure::not_found("there is no such backup token").on(id))?;
            write.audit(&entry(now, by, AuditAction::TokenRevoke).about(named(&name, id)))
        })
    }

    /// The backup token with this secret. Notes that it was used at `minute` where that is to be had at once: neither a
    /// full disk nor a long write keeps anybody out.
    pub fn use_token(&self, secret: &str, minute: &str) -> Result<Option<BackupToken>> {
        let hash = Sha256::of(secret.as_bytes()).to_string();
        let found = self.read(|connection| {
            let sql = "SELECT id, name, created, created_by, last_used FROM tokens WHERE hash = ?1";
            Ok(connection.prepare_cached(sql)?.query_row([&hash], token).optional()?)
        })?;
        if let Some(token) = &found
            && token.last_used.as_deref() != Some(minute)
            && let Err(error) = self.note_use(&token.id, minute)
        {
            tracing::warn!("the use of a backup token was not noted: {error}");
        }
        Ok(found)
    }

    fn note_use(&self, id: &str, minute: &str) -> rusqlite::Result<()> {
        let Ok(writer) = self.writer.try_lock() else { return Ok(()) };
        let sql = "UPDATE tokens SET last_used = ?1 WHERE id = ?2";
        writer.prepare_cached(sql)?.execute((minute, id)).map(drop)
    }
}

/// What becomes of a user in a write, for the audit.
pub(super) struct UserAudit<'a>(Option<(&'a str, Option<Vec<u8>>)>);

impl<'a> UserAudit<'a> {
    /// Looks at the user before the write. Of other collections, and of what the server writes by itself, nothing is told.
    pub(super) fn begin(
        write: &Write<'_>,
        collection: &CollectionName,
        rules: Rules<'a>,
        id: &str,
    ) -> Result<Self> {
        let Some(by) = rules.by.filter(|_| collection.as_str() == "users") else { return Ok(Self(None)) };
        let before = match live_generation(&write.transaction, "users")? {
            Some(live) => body(&write.transaction, live, id)?,
            None => None,
        };
        Ok(Self(Some((by, before))))
    }

    /// Tells what the write has done, in its transaction.
    pub(super) fn end(self, write: &Write<'_>, after: Option<&[u8]>) -> Result<()> {
        let Some((by, before)) = self.0 else { return Ok(()) };
        let action = match (&before, after) {
            (None, None) => return Ok(()),
            (Some(before), Some(after)) if before == after => return Ok(()),
            (None, Some(_)) => AuditAction::UserCreate,
            (Some(_), Some(_)) => AuditAction::UserChange,
            (Some(_), None) => AuditAction::UserDelete,
        };
        let parsed = |body: Option<&[u8]>| body.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let (before, after) = (parsed(before.as_deref()), parsed(after));
        let user = after.as_ref().or(before.as_ref()).unwrap_or(&Value::Null);
        let text = |field: &str| user[field].as_str().unwrap_or_default();
        let about = named(text("username"), text("_id"));
        let detail = changes(before.as_ref(), after.as_ref());
        write.audit(&AuditEntry { detail, ..entry(&clock::now(), by, action).about(about) })
    }
}

/// What has changed of a user that matters for a login; never a hash of a password.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Option<String> {
    let field = |user: Option<&Value>, name: &str| user.and_then(|user| user.get(name)).cloned();
    let shown = |value: Option<Value>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let mut changes = Vec::new();
    for name in ["username", "role", "isActive"] {
        let (old, new) = (field(before, name), field(after, name));
        if old != new {
            changes.push(format!("{name}: {} -> {}", shown(old), shown(new)));
        }
    }
    if field(before, "passwordHash") != field(after, "passwordHash") && before.is_some() && after.is_some() {
        changes.push("another password".to_owned());
    }
    (!changes.is_empty()).then(|| changes.join("; "))
}

fn entry(now: &str, by: &str, action: AuditAction) -> AuditEntry {
    AuditEntry::new(now.to_owned(), by.to_owned(), action, AuditEnd::Done)
}

fn named(name: &str, id: &str) -> String {
    format!("{name} ({id})")
}

fn token(row: &Row<'_>) -> rusqlite::Result<BackupToken> {
    Ok(BackupToken {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        created_by: row.get(3)?,
        last_used: row.get(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_write_lets_tokens_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.add_token("secret", "cron", "admin", "2026-11-23T18:00:00Z").unwrap();
        let used = |minute| store.use_token("secret", minute).unwrap().unwrap().last_used;
        store.writer.lock().unwrap().pragma_update(None, "query_only", true).unwrap();
        assert_eq!(used("1"), None);
        assert_eq!(used("1"), None);
        let writer = store.writer.lock().unwrap();
        writer.pragma_update(None, "query_only", false).unwrap();
        assert_eq!(used("1"), None, "nobody waits for the writer");
        drop(writer);
        assert_eq!(used("1"), None);
        assert_eq!(used("2").as_deref(), Some("1"));
    }
}
