//! Logins that go on: kept here, so that a new start of the server ends none.

use super::{Store, unsigned};
use crate::failure::{Failure, Result};
use rusqlite::Row;

/// What began with a password. It has one refresh token at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// 128 random bits, as 32 lower-case hex digits.
    pub id: String,
    /// The user, by document id.
    pub user: String,
    /// What the user was when it began: with another role or password it ends.
    pub state: String,
    /// When it began, in seconds since 1970.
    pub begun: u64,
    /// When its refresh token was given out, in seconds since 1970.
    pub renewed: u64,
    /// The number of its refresh token.
    pub generation: u64,
}

impl Store {
    /// All logins that were saved.
    pub fn logins(&self) -> Result<Vec<Login>> {
        self.read(|connection| {
            let sql = "SELECT id, user, state, begun, renewed, generation FROM logins";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_map((), login)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Saves logins as they are now, and forgets those that have ended. Without `wait` only if nothing else is written at the
    /// moment; whether it was done.
    pub fn save_logins(&self, changed: &[Login], ended: &[String], wait: bool) -> Result<bool> {
        let signed = |number: u64| i64::try_from(number).map_err(Failure::internal);
        let work = |write: &mut super::Write<'_>| {
            for id in ended {
                write.transaction.prepare_cached("DELETE FROM logins WHERE id = ?1")?.execute([id])?;
            }
            let sql = "INSERT OR REPLACE INTO logins (id, user, state, begun, renewed, generation)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            for Login { id, user, state, begun, renewed, generation } in changed {
                let row = (id, user, state, signed(*begun)?, signed(*renewed)?, signed(*generation)?);
                write.transaction.prepare_cached(sql)?.execute(row)?;
            }
            Ok(())
        };
        if wait {
            return self.write(work).map(|()| true);
        }
        Ok(self.write_if_free(work)?.is_some())
    }
}

fn login(row: &Row<'_>) -> rusqlite::Result<Login> {
    Ok(Login {
        id: row.get(0)?,
        user: row.get(1)?,
        state: row.get(2)?,
        begun: unsigned(row.get(3)?),
        renewed: unsigned(row.get(4)?),
        generation: unsigned(row.get(5)?),
    })
}
