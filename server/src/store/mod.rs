//! The store: documents and attachment records in SQLite, files as content-addressed blobs beside it.
//!
//! One connection writes, a few read, and each open snapshot has one of its own. A write takes the next position in
//! its transaction and goes to the live generation of its collection; what was answered is on the disk. Everything
//! here blocks: async callers come through `spawn_blocking`. No module outside of this one names the database.

mod accounts;
mod attachments;
mod audit;
mod check;
mod clean;
mod documents;
pub(crate) mod folder;
mod logins;
mod missing;
mod note;
mod restore;
mod rot;
mod snapshots;
mod view;

pub use check::{DatabaseCheck, OldRows};
pub use clean::CleanOptions;
pub(crate) use clean::Held;
pub use documents::{Rules, Tally};
pub use logins::Login;
pub(crate) use missing::changed_file;
pub use restore::pieces::{Place, bad_blob};
pub use restore::{RestoreOptions, Restores};
pub use snapshots::{Owner, SnapshotOptions, Snapshots, Turn};

use crate::blobs::Blobs;
use crate::failure::{Failure, Result, no_space, unusable};
use crate::room::{Room, Taken};
use axum::http::StatusCode;
use folder::DATABASE;
use note::Note;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The schema, version by version: each script leads from the one before it. `PRAGMA user_version` says how many a store
/// has behind it.
const SCHEMA: [&str; 6] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
];

/// How many idle reading connections are kept.
const READERS: usize = 4;

/// How long a connection waits for another one.
const BUSY: Duration = Duration::from_secs(10);

/// An open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    blobs: Blobs,
    room: Arc<Room>,
    /// Closed before the writer: the last connection works the log into the database, which none of these can.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    paused: Mutex<Option<Instant>>,
    /// What the next write brings along for the audit.
    audit_notes: audit::Notes,
    checks: check::Checks,
    installation: String,
    note: Mutex<Note>,
}

impl Store {
    /// Opens the store in this folder, and makes it where the folder holds nothing of an earlier one.
    ///
    /// # Errors
    /// Where the folder cannot be used, its database is missing or another one, or the store was written by a newer version.
    pub fn open(folder: &Path) -> Result<Self> {
        folder::make_where_fresh(folder)?;
        let path = folder.join(DATABASE);
        let mut writer = folder::connect(&path).map_err(|error| unusable(&path, error))?;
        let missing = missing_scripts(&writer, &path)?;
        let installation: Option<String> = meta(&writer, "installation")?;
        let installation =
            installation.ok_or_else(|| unusable(&path, "it does not know its installation"))?;
        let room = Room::new(folder);
        let blobs = Blobs::new(folder, Arc::clone(&room));
        let note = Note::open(folder, &installation, position(&writer)?, blobs.last_set_aside())?;
        prepare(&mut writer, missing).map_err(|error| unusable(&path, error))?;
        blobs.open()?;
        let (writer, readers, paused) = (Mutex::new(writer), Mutex::default(), Mutex::default());
        let (checks, note) = (check::Checks::open(folder), Mutex::new(note));
        let audit_notes = audit::Notes::default();
        Ok(Self { path, blobs, room, readers, writer, paused, audit_notes, checks, installation, note })
    }

    /// The blobs beside the database.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The disk with the database and the blobs.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// 128 random bits that the installation got at its first start.
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// Counts up whenever every login becomes void at once.
    pub fn login_epoch(&self) -> Result<i64> {
        self.read(|connection| meta(connection, "login-epoch").map(Option::unwrap_or_default))
    }

    /// Whether no document was ever written.
    pub fn is_empty(&self) -> Result<bool> {
        self.read(|connection| Ok(position(connection)? == 0))
    }

    /// How far the filling with demo data came: none, `filling` or `filled`.
    pub fn demo_state(&self) -> Result<Option<String>> {
        self.read(|connection| meta(connection, "demo"))
    }

    /// Notes how far the filling with demo data came.
    pub fn set_demo_state(&self, state: &str) -> Result<()> {
        self.write(|write| set_meta(&write.transaction, "demo", &state))
    }

    /// Forgets every document and attachment record.
    pub fn clear(&self) -> Result<()> {
        self.write(|write| {
            Ok(write.transaction.execute_batch(
                "DELETE FROM documents; DELETE FROM attachments; DELETE FROM collections; DELETE FROM generations;",
            )?)
        })
    }

    /// Holds off whoever writes documents and attachments for this long, or for what is left of a pause that there is. Writes
    /// under way have ended when it returns.
    fn pause(&self, most: Duration) -> Duration {
        let now = Instant::now();
        let left = {
            let mut paused = lock(&self.paused);
            let until = paused.filter(|until| *until > now).unwrap_or(now + most);
            *paused = Some(until);
            until.saturating_duration_since(now)
        };
        drop(lock(&self.writer));
        left
    }

    /// Ends a pause.
    fn go_on(&self) {
        *lock(&self.paused) = None;
    }

    /// # Errors
    /// 503 `paused`
    fn may_write(&self) -> Result<()> {
        let left = lock(&self.paused).and_then(|until| until.checked_duration_since(Instant::now()));
        match left {
            Some(left) => Err(Failure::paused(left.as_secs() + 1)),
            None => Ok(()),
        }
    }

    /// Copies the write-ahead log into the database and truncates it, unless readers keep it busy.
    pub fn checkpoint(&self) -> Result<()> {
        let connection = lock(&self.writer);
        // Nobody can write meanwhile: readers are not waited for.
        connection.busy_timeout(Duration::from_millis(100))?;
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
        connection.busy_timeout(BUSY)?;
        if busy {
            tracing::debug!("the write-ahead log is still in use");
        }
        Ok(())
    }

    /// Makes sure that the database answers, and is where it was.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check(&self) -> Result<()> {
        std::fs::metadata(&self.path)?;
        match self.read(|connection| meta::<String>(connection, "installation"))? {
            Some(installation) if installation == self.installation => Ok(()),
            _ => Err(Failure::internal("the database does not know its installation")),
        }
    }

    /// Runs one reading transaction.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let pooled = lock(&self.readers).pop();
        let mut connection = match pooled {
            Some(connection) => connection,
            None => self.reader()?,
        };
        let transaction = connection.transaction()?;
        let result = work(&transaction)?;
        transaction.finish()?;
        let mut readers = lock(&self.readers);
        if readers.len() < READERS {
            readers.push(connection);
        }
        Ok(result)
    }

    /// Runs one writing transaction; an error leaves everything as it was.
    fn write<T>(&self, work: impl FnOnce(&mut Write<'_>) -> Result<T>) -> Result<T> {
        self.write_on(&mut lock(&self.writer), work)
    }

    /// The same where no other write is under way; none where one is.
    fn write_if_free<T>(&self, work: impl FnOnce(&mut Write<'_>) -> Result<T>) -> Result<Option<T>> {
        match self.writer.try_lock() {
            Ok(mut connection) => self.write_on(&mut connection, work).map(Some),
            Err(TryLockError::Poisoned(poisoned)) => {
                self.write_on(&mut poisoned.into_inner(), work).map(Some)
            }
            Err(TryLockError::WouldBlock) => Ok(None),
        }
    }

    /// Brings along what was noted for the audit.
    fn write_on<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&mut Write<'_>) -> Result<T>,
    ) -> Result<T> {
        let notes = self.audit_notes.take();
        let result = transact(connection, |write| {
            notes.iter().try_for_each(|entry| write.audit(entry))?;
            work(write)
        });
        if result.is_err() {
            self.audit_notes.put_back(notes);
        }
        result
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }
}

fn transact<T>(connection: &mut Connection, work: impl FnOnce(&mut Write<'_>) -> Result<T>) -> Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = position(&transaction)?;
    let mut write = Write { transaction, position: before };
    let result = work(&mut write)?;
    if write.position != before {
        set_meta(&write.transaction, "position", &write.position)?;
    }
    write.transaction.commit()?;
    Ok(result)
}

/// A writing transaction under way.
struct Write<'a> {
    transaction: Transaction<'a>,
    position: i64,
}

/// What rows take in the log besides their own bytes: whole pages, of several trees.
const ROW_PAGES_BYTES: u64 = 256 << 10;

impl Write<'_> {
    /// Room for rows of this many bytes, which go to the log first and to the database then. Pages that deletions
    /// gave back count: without them, nothing could be stored any more on a full disk, whatever is deleted.
    ///
    /// # Errors
    /// `no-space`
    fn room(&self, room: &Arc<Room>, bytes: usize) -> Result<Taken> {
        let logged = (bytes as u64).saturating_add(ROW_PAGES_BYTES);
        let pragma = |name| self.transaction.query_row(name, (), |row| row.get(0)).map(unsigned);
        let free = pragma("PRAGMA freelist_count")?.saturating_mul(pragma("PRAGMA page_size")?);
        match free >= logged {
            true => room.take_for_a_moment(logged),
            false => room.take(logged.saturating_mul(2)),
        }
    }

    /// The number of the next write.
    fn next_position(&mut self) -> i64 {
        self.position += 1;
        self.position
    }

    /// Notes that something was deleted from this generation: what is gone carries no position.
    fn note_deletion(&mut self, generation: i64) -> Result<()> {
        let seq = self.next_position();
        let sql = "UPDATE generations SET shrunk = ?1 WHERE id = ?2";
        self.transaction.prepare_cached(sql)?.execute((seq, generation))?;
        Ok(())
    }

    /// The generation that writes to this collection go to.
    fn live_generation(&self, collection: &str) -> Result<i64> {
        if let Some(live) = live_generation(&self.transaction, collection)? {
            return Ok(live);
        }
        self.transaction.execute("INSERT INTO generations (collection) VALUES (?1)", [collection])?;
        let id = self.transaction.last_insert_rowid();
        self.transaction.execute("INSERT INTO collections (name, live) VALUES (?1, ?2)", (collection, id))?;
        Ok(id)
    }
}

fn live_generation(connection: &Connection, collection: &str) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT live FROM collections WHERE name = ?1")?;
    Ok(statement.query_row([collection], |row| row.get(0)).optional()?)
}

fn position(connection: &Connection) -> Result<i64> {
    meta(connection, "position").map(Option::unwrap_or_default)
}

fn meta<T: rusqlite::types::FromSql>(connection: &Connection, key: &str) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

fn set_meta(connection: &Connection, key: &str, value: &dyn rusqlite::ToSql) -> Result<()> {
    let sql =
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute((key, value))?;
    Ok(())
}

/// The scripts that the schema of this store lacks.
///
/// # Errors
/// Where a newer version has written it.
fn missing_scripts(connection: &Connection, path: &Path) -> Result<&'static [&'static str]> {
    let version = connection.query_row("PRAGMA user_version", (), |row| row.get::<_, i64>(0));
    let version = version.map_err(|error| unusable(path, error))?;
    let missing = usize::try_from(version).ok().and_then(|version| SCHEMA.get(version..));
    missing.ok_or_else(|| {
        Failure::bad_request(format!(
            "the data folder was written by a newer DiKAS: its store has version {version}, this program knows {}. Start \
             the newer program",
            SCHEMA.len()
        ))
    })
}

/// Sets the connection up and brings the schema to this program's version.
fn prepare(connection: &mut Connection, missing: &[&str]) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    // A restore that merges touches pages all over a collection: they stay in memory until its commit.
    connection.execute_batch("PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536;")?;
    if missing.is_empty() { Ok(()) } else { migrate(connection, missing, None) }
}

/// Runs these scripts, the last of the schema, and gives a new store its installation.
fn migrate(
    connection: &mut Connection,
    scripts: &[&str],
    installation: Option<&str>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for script in scripts {
        transaction.execute_batch(script)?;
    }
    if let Some(installation) = installation {
        let sql = "INSERT INTO meta (key, value) VALUES ('installation', ?1), ('login-epoch', 1), ('digests-since', ?2),
                   ('record-digests-since', ?2)";
        transaction.execute(sql, [installation, &crate::clock::now()])?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA.len() as i64)?;
    transaction.commit()
}

/// A thread that panicked has rolled its transaction back: what the lock guards is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => no_space(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Failure::unavailable("the store is busy", 1)
            }
            _ if rot::is_rot(&error) => damaged(&error),
            _ => Failure::internal(format_args!("database: {error}")),
        }
    }
}

/// 500: what the disk gives back is not what was written.
fn damaged(error: &rusqlite::Error) -> Failure {
    tracing::error!("the database is damaged: {error}");
    let message = "the database is damaged: the log says where; restore what is lost from an earlier backup";
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged-database", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_store_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let installation = Store::open(folder.path()).unwrap().installation;
        assert_eq!(Store::open(folder.path()).unwrap().installation, installation);
        let connection = Connection::open(folder.path().join("dikas.sqlite")).unwrap();
        connection.pragma_update(None, "user_version", SCHEMA.len() as i64 + 1).unwrap();
        let refusal = Store::open(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("version 7") && refusal.contains("knows 6"), "{refusal}");
    }

    #[test]
    fn a_store_of_the_version_before_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("dikas.sqlite")).unwrap();
        connection.execute_batch(SCHEMA[0]).unwrap();
        let rows = "INSERT INTO meta VALUES ('installation', 'abc'), ('login-epoch', 4), ('position', 7);
            INSERT INTO generations (id, collection) VALUES (1, 'articles');
            INSERT INTO collections VALUES ('articles', 1);
            INSERT INTO documents VALUES (1, 'a', 6, x'7b7d'), (1, 'b', 7, x'7b7d');
            INSERT INTO attachments VALUES (1, 'a', 'f', 'text/plain', 1, 'aa', 7);
            PRAGMA user_version = 1;";
        connection.execute_batch(rows).unwrap();
        drop(connection);
        for _ in 0..2 {
            let store = Store::open(folder.path()).unwrap();
            assert_eq!((store.installation(), store.login_epoch().unwrap()), ("abc", 4));
            assert_eq!(store.documents("articles").unwrap(), [b"{}", b"{}"]);
            assert_eq!(store.restore_points().unwrap(), []);
            assert_eq!(store.audit_page(None, None).unwrap().entries, []);
            let writer = lock(&store.writer);
            let number = |sql| writer.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(number("PRAGMA user_version"), 6);
            assert_eq!(number("SELECT documents FROM generations WHERE shrunk = 0"), 2);
            assert_eq!(number("SELECT since FROM collections"), 0);
            let plan =
                "EXPLAIN QUERY PLAN SELECT id FROM documents WHERE generation = 1 AND seq > 6 AND seq > 0";
            let plan: String = writer.query_row(plan, (), |row| row.get(3)).unwrap();
            assert!(plan.contains("documents_by_seq (generation=? AND seq>?)"), "{plan}");
        }
    }

    #[test]
    fn the_audit_only_grows() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let writer = lock(&store.writer);
        writer.execute("INSERT INTO audit (entry) VALUES ('{}')", ()).unwrap();
        for sql in ["DELETE FROM audit", "UPDATE audit SET entry = ''"] {
            assert!(writer.execute(sql, ()).unwrap_err().to_string().contains("the audit only grows"));
        }
    }

    #[test]
    fn commits_reach_the_disk_and_pages_hold_documents() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let writer = lock(&store.writer);
        let mode: String = writer.query_row("PRAGMA journal_mode", (), |row| row.get(0)).unwrap();
        let number =
            |name| writer.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((mode.as_str(), number("synchronous"), number("page_size")), ("wal", 2, 16_384));
    }
}
