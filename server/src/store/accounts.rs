//! Who may log in: users, which are documents like others, and backup tokens, which are not.

use super::{Store, Write};
use crate::failure::{Failure, Result};
use crate::random;
use dikas_archive::api::archives::BackupToken;
use dikas_archive::digest::Sha256;
use rusqlite::{OptionalExtension, Row};

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
            Ok(())
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
    pub fn delete_token(&self, id: &str) -> Result<()> {
        self.write(|write| match write.transaction.execute("DELETE FROM tokens WHERE id = ?1", [id])? {
            0 => Err(Failure::not_found("there is no such backup token").on(id)),
            _ => Ok(()),
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
