//! The check of the whole database, and the digests of documents of before.

use super::{Store, lock, meta, rot, set_meta};
use crate::failure::{Failure, Result};
use crate::{clock, durable};
use dikas_archive::document;
use rusqlite::{Connection, ErrorCode, InterruptHandle};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the outcome of the last check stands, in the data folder.
const FILE: &str = "database-check.json";

/// How many problems a check looks for.
const PROBLEMS: usize = 10;

/// How many bytes of documents get their digests in one step, and how many documents.
const STEP_BYTES: usize = 1 << 20;
const STEP_DOCUMENTS: usize = 200;

/// What a check of the database has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseCheck {
    /// When it ended.
    pub checked: String,
    /// Whether all is as it should be.
    pub sound: bool,
    /// The first things that are not, as SQLite says them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// The check under way, and the outcome of the last one.
#[derive(Default)]
pub(super) struct Checks {
    last: Mutex<Option<DatabaseCheck>>,
    under_way: Mutex<Option<InterruptHandle>>,
    stopping: AtomicBool,
}

impl Checks {
    /// Those of this data folder.
    pub(super) fn open(folder: &Path) -> Self {
        // One that cannot be read is no reason not to start: the next check writes it anew.
        let json = std::fs::read(folder.join(FILE)).unwrap_or_default();
        Self { last: Mutex::new(serde_json::from_slice(&json).ok()), ..Self::default() }
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("last", &self.last).finish_non_exhaustive()
    }
}

/// How far the look at documents of before has come.
#[derive(Debug, Default)]
pub struct OldDocuments {
    checked: bool,
    after: (i64, String),
    found: bool,
}

impl Store {
    /// Reads the whole database, on a connection of its own, and compares it with itself. Blocks for as long as that
    /// takes: seconds for each gigabyte.
    ///
    /// # Errors
    /// `unavailable` where the server stops meanwhile.
    pub fn check_database(&self) -> Result<DatabaseCheck> {
        let stopping = || Failure::unavailable("the server stops", 10);
        if self.checks.stopping.load(Ordering::Relaxed) {
            return Err(stopping());
        }
        let problems = match self.quick_check() {
            Ok(problems) => problems,
            Err(error) if rot::is_rot(&error) => vec![error.to_string()],
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                return Err(stopping());
            }
            Err(error) => return Err(error.into()),
        };
        let check = DatabaseCheck { checked: clock::now(), sound: problems.is_empty(), problems };
        if !check.sound {
            tracing::error!("the database is damaged: {}", check.problems.join("; "));
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        if let Err(error) = durable::write_json(folder, FILE, &check) {
            tracing::warn!("the outcome of the check of the database cannot be kept: {error}");
        }
        *lock(&self.checks.last) = Some(check.clone());
        Ok(check)
    }

    fn quick_check(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.reader()?;
        *lock(&self.checks.under_way) = Some(connection.get_interrupt_handle());
        let mut statement = connection.prepare(&format!("PRAGMA quick_check({PROBLEMS})"))?;
        let found = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<_>>();
        *lock(&self.checks.under_way) = None;
        let found: Vec<String> = found?;
        Ok(if found == ["ok"] { Vec::new() } else { found })
    }

    /// What the last check has found; none before the first.
    pub fn last_check(&self) -> Option<DatabaseCheck> {
        lock(&self.checks.last).clone()
    }

    /// Ends the check under way, and every later one.
    pub fn check_no_more(&self) {
        self.checks.stopping.store(true, Ordering::Relaxed);
        if let Some(under_way) = &*lock(&self.checks.under_way) {
            under_way.interrupt();
        }
    }

    /// Since when every document has a digest; none while documents of before have not got theirs.
    pub fn digests_since(&self) -> Result<Option<String>> {
        self.read(|connection| meta(connection, "digests-since"))
    }

    /// Takes one step towards a digest for each document of before; whether there is more to do. Only a database that is
    /// sound gets them: of what has rotted by then, a digest would say that it is as it was written.
    pub fn add_digests(&self, so_far: &mut OldDocuments) -> Result<bool> {
        if self.digests_since()?.is_some() {
            return Ok(false);
        }
        if !so_far.checked {
            so_far.checked = true;
            return Ok(self.check_database()?.sound);
        }
        let step = self.read(|connection| undigested(connection, &so_far.after))?;
        let Some((generation, id, _)) = step.last() else {
            // What was copied meanwhile from behind this place to before it has none yet.
            if std::mem::take(&mut so_far.found) {
                so_far.after = (0, String::new());
                return Ok(true);
            }
            self.write(|write| set_meta(&write.transaction, "digests-since", &clock::now()))?;
            return Ok(false);
        };
        (so_far.found, so_far.after) = (true, (*generation, id.clone()));
        self.write(|write| {
            let sql = "UPDATE documents SET digest = ?3 WHERE generation = ?1 AND id = ?2 AND digest IS NULL";
            let mut update = write.transaction.prepare_cached(sql)?;
            for (generation, id, digest) in &step {
                update.execute((
                    generation,
                    id,
                    digest.as_ref().map_or(rot::NO_DOCUMENT, <[u8; 16]>::as_slice),
                ))?;
            }
            Ok(())
        })?;
        Ok(true)
    }
}

/// A document by generation and id, and its digest; none where it is no document.
type Digested = (i64, String, Option<rot::RowDigest>);

/// Some of the documents behind this one that have no digest.
fn undigested(connection: &Connection, after: &(i64, String)) -> Result<Vec<Digested>> {
    let sql =
        "SELECT generation, id, body FROM documents WHERE (generation, id) > (?1, ?2) AND digest IS NULL
               ORDER BY generation, id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((after.0, &after.1))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while found.len() < STEP_DOCUMENTS && bytes < STEP_BYTES {
        let Some(row) = rows.next()? else { break };
        let (generation, id): (i64, String) = (row.get(0)?, row.get(1)?);
        let body = row.get_ref(2)?.as_blob().map_err(Failure::internal)?;
        bytes += body.len();
        let is_document = document::parse(body).is_ok_and(|document| document.id == id);
        if !is_document {
            tracing::error!("the document {id:?} is damaged: backups leave it out only when told so");
        }
        let digest = is_document.then(|| rot::digest(&id, body));
        found.push((generation, id, digest));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SCHEMA;

    #[test]
    fn documents_of_before_get_their_digests_in_steps_and_what_is_no_document_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("dikas.sqlite")).unwrap();
        for script in &SCHEMA[..3] {
            connection.execute_batch(script).unwrap();
        }
        let rows = "INSERT INTO meta VALUES ('installation', 'abc'), ('login-epoch', 4), ('position', 7);
            INSERT INTO generations (id, collection) VALUES (1, 'articles'), (2, 'receipts');
            INSERT INTO collections (name, live) VALUES ('articles', 1), ('receipts', 2);
            PRAGMA user_version = 3;";
        connection.execute_batch(rows).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        let mut put = connection
            .prepare("INSERT INTO documents (generation, id, seq, body) VALUES (?1, ?2, 7, ?3)")
            .unwrap();
        let body = |id: &str| format!(r#"{{"_id":"{id}"}}"#).into_bytes();
        for number in 0..500 {
            let id = format!("art_{number:03}");
            put.execute((1, &id, body(&id))).unwrap();
        }
        put.execute((2, "rcp_1", body("rcp_2"))).unwrap();
        drop(put);
        connection.execute_batch("COMMIT").unwrap();
        drop(connection);

        let store = Store::open(folder.path()).unwrap();
        assert_eq!((store.digests_since().unwrap(), store.last_check()), (None, None));
        let (mut so_far, mut steps) = (OldDocuments::default(), 0);
        while store.add_digests(&mut so_far).unwrap() {
            steps += 1;
        }
        assert!(steps > 4, "{steps} steps");
        assert!(store.last_check().unwrap().sound);
        let since = store.digests_since().unwrap();
        assert!(since.is_some());
        let written = |id: &str| {
            let sql = "SELECT digest FROM documents WHERE id = ?1";
            lock(&store.writer).query_row(sql, [id], |row| row.get::<_, Vec<u8>>(0)).unwrap()
        };
        for id in ["art_000", "art_499"] {
            assert_eq!(written(id), rot::digest(id, &body(id)));
        }
        assert_eq!(written("rcp_1"), rot::NO_DOCUMENT);
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        assert!(!store.add_digests(&mut OldDocuments::default()).unwrap());
        assert_eq!(store.digests_since().unwrap(), since);
        assert!(store.last_check().unwrap().sound, "what a check has found outlives the server");
    }
}
