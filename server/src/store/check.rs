//! The check of the whole database, and the digests of documents and attachment records of before.

use super::{Store, attachments, lock, meta, rot, set_meta};
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

/// How many bytes of documents get their digests in one step, and how many rows.
const STEP_BYTES: usize = 1 << 20;
const STEP_ROWS: usize = 200;

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
    /// One check at a time, so that a stop ends it.
    one: Mutex<()>,
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

/// How far the look at rows of before has come.
#[derive(Debug, Default)]
pub struct OldRows {
    checked: bool,
    after: Key,
    found: bool,
}

/// A row by generation and id of the document, and the name of the file; empty for the document itself.
type Key = (i64, String, String);

/// A row, and its digest; none where it is not what it should be.
type Digested = (Key, Option<rot::RowDigest>);

/// A table with rows of before.
struct Old {
    /// Where it stands since when all of its rows have digests.
    since: &'static str,
    /// Finds some of the rows behind this one that have none.
    find: fn(&Connection, &Key) -> Result<Vec<Digested>>,
    update: &'static str,
}

const OLD: [Old; 2] = [
    Old {
        since: "digests-since",
        find: old_documents,
        update: "UPDATE documents SET digest = ?4
                 WHERE generation = ?1 AND id = ?2 AND ?3 = '' AND digest IS NULL",
    },
    Old {
        since: "record-digests-since",
        find: old_records,
        update: "UPDATE attachments SET digest = ?4
                 WHERE generation = ?1 AND document_id = ?2 AND name = ?3 AND digest IS NULL",
    },
];

impl Store {
    /// Reads the whole database, on a connection of its own, and compares it with itself. Blocks for as long as that
    /// takes, seconds for each gigabyte, and for another check under way.
    ///
    /// # Errors
    /// `unavailable` where the server stops meanwhile.
    pub fn check_database(&self) -> Result<DatabaseCheck> {
        let stopping = || Failure::unavailable("the server stops", 10);
        let _one = lock(&self.checks.one);
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

    /// Takes one step towards a digest for each row of before; whether there is more to do. Only a database that is
    /// sound gets them: of what has rotted by then, a digest would say that it is as it was written.
    pub fn add_digests(&self, so_far: &mut OldRows) -> Result<bool> {
        let mut next = None;
        for old in &OLD {
            if next.is_none() && self.read(|connection| meta::<String>(connection, old.since))?.is_none() {
                next = Some(old);
            }
        }
        let Some(old) = next else { return Ok(false) };
        if !so_far.checked {
            so_far.checked = true;
            return Ok(self.check_database()?.sound);
        }
        let step = self.read(|connection| (old.find)(connection, &so_far.after))?;
        let Some((last, _)) = step.last() else {
            so_far.after = Key::default();
            // What was copied meanwhile from behind this place to before it has none yet.
            if !std::mem::take(&mut so_far.found) {
                self.write(|write| set_meta(&write.transaction, old.since, &clock::now()))?;
            }
            return Ok(true);
        };
        (so_far.found, so_far.after) = (true, last.clone());
        self.write(|write| {
            let mut update = write.transaction.prepare_cached(old.update)?;
            for ((generation, id, name), digest) in &step {
                let digest = digest.as_ref().map_or(rot::NO_DOCUMENT, <[u8; 16]>::as_slice);
                update.execute((generation, id, name, digest))?;
            }
            Ok(())
        })?;
        Ok(true)
    }
}

fn old_documents(connection: &Connection, after: &Key) -> Result<Vec<Digested>> {
    let sql =
        "SELECT generation, id, body FROM documents WHERE (generation, id) > (?1, ?2) AND digest IS NULL
               ORDER BY generation, id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((after.0, &after.1))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while found.len() < STEP_ROWS && bytes < STEP_BYTES {
        let Some(row) = rows.next()? else { break };
        let (generation, id): (i64, String) = (row.get(0)?, row.get(1)?);
        let body = row.get_ref(2)?.as_blob().map_err(Failure::internal)?;
        bytes += body.len();
        let is_document = document::parse(body).is_ok_and(|document| document.id == id);
        if !is_document {
            tracing::error!("the document {id:?} is damaged: backups leave it out only when told so");
        }
        let digest = is_document.then(|| rot::digest(&id, body));
        found.push(((generation, id, String::new()), digest));
    }
    Ok(found)
}

fn old_records(connection: &Connection, after: &Key) -> Result<Vec<Digested>> {
    let sql = format!(
        "SELECT {}, attachments.generation, generations.collection
         FROM attachments JOIN generations ON generations.id = generation
         WHERE (generation, document_id, name) > (?1, ?2, ?3) AND digest IS NULL
         ORDER BY generation, document_id, name LIMIT ?4",
        attachments::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((after.0, &after.1, &after.2, STEP_ROWS as i64))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let collection = row.get::<_, String>(7)?.parse()?;
        let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
        let record = attachments::record(&collection, row).ok();
        if record.is_none() {
            tracing::error!("the file {name:?} of {id:?} is damaged: backups leave it out only when told so");
        }
        found.push(((row.get(6)?, id, name), record.as_ref().map(rot::record_digest)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SCHEMA;
    use dikas_archive::api::AttachmentRecord;
    use dikas_archive::digest::Sha256;

    #[test]
    fn rows_of_before_get_their_digests_in_steps_and_what_is_no_document_gets_none() {
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
        let sha256 = Sha256::of(b"x");
        let mut put =
            connection.prepare("INSERT INTO attachments VALUES (1, ?1, ?2, 'text/plain', 1, ?3, 7)").unwrap();
        for number in 0..300 {
            let row = (format!("art_{number:03}"), "f", sha256.to_string());
            put.execute(row).unwrap();
        }
        put.execute(("art_000", "g", "no digest")).unwrap();
        drop(put);
        connection.execute_batch("COMMIT").unwrap();
        drop(connection);

        let store = Store::open(folder.path()).unwrap();
        let since = |store: &Store| {
            OLD.map(|old| store.read(|connection| meta::<String>(connection, old.since)).unwrap())
        };
        assert_eq!((since(&store), store.last_check()), ([None, None], None));
        let (mut so_far, mut steps) = (OldRows::default(), 0);
        while store.add_digests(&mut so_far).unwrap() {
            steps += 1;
        }
        assert!(steps > 4, "{steps} steps");
        assert!(store.last_check().unwrap().sound);
        let then = since(&store);
        assert!(then.iter().all(Option::is_some));
        let written = |id: &str| {
            let sql = "SELECT digest FROM documents WHERE id = ?1";
            lock(&store.writer).query_row(sql, [id], |row| row.get::<_, Vec<u8>>(0)).unwrap()
        };
        for id in ["art_000", "art_499"] {
            assert_eq!(written(id), rot::digest(id, &body(id)));
        }
        assert_eq!(written("rcp_1"), rot::NO_DOCUMENT);
        let record = |id: &str, name: &str| {
            let sql = "SELECT digest FROM attachments WHERE document_id = ?1 AND name = ?2";
            lock(&store.writer).query_row(sql, [id, name], |row| row.get::<_, Vec<u8>>(0)).unwrap()
        };
        let expected = AttachmentRecord {
            collection: "articles".parse().unwrap(),
            id: "art_299".to_owned(),
            name: "f".to_owned(),
            media_type: "text/plain".to_owned(),
            size: 1,
            sha256,
        };
        assert_eq!(record("art_299", "f"), rot::record_digest(&expected));
        assert_eq!(record("art_000", "g"), rot::NO_DOCUMENT);
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        assert!(!store.add_digests(&mut OldRows::default()).unwrap());
        assert_eq!(since(&store), then);
        assert!(store.last_check().unwrap().sound, "what a check has found outlives the server");
    }

    #[test]
    fn a_check_that_waits_for_another_one_ends_with_a_stop_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let both = std::thread::scope(|scope| {
            let both = [0, 1].map(|_| scope.spawn(|| store.check_database()));
            both.map(|check| check.join().unwrap().unwrap().sound)
        });
        assert_eq!(both, [true, true]);
        let another = lock(&store.checks.one);
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.check_database());
            store.check_no_more();
            drop(another);
            waiting.join().unwrap()
        });
        assert_eq!(waiting.unwrap_err().code(), "unavailable");
    }
}
