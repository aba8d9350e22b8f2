//! What a data folder holds before its database is opened. A new database is made only where nothing of an earlier one lies:
//! beside one, all of that would look like something that no document names.

use super::{SCHEMA, migrate, missing_scripts};
use crate::failure::{Failure, Result, unusable};
use crate::{blobs, durable, private, random};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The database.
pub(super) const DATABASE: &str = "dikas.sqlite";

/// A new database until it has its tables. One that is found was left by a start that did not get to its end.
const UNFINISHED: [&str; 2] = ["dikas.new", "dikas.new-journal"];

/// What lies beside a database that was in use. A file `lock` alone says nothing: each start makes it.
const BESIDE: [&str; 7] = [
    "installation",
    "secret",
    "schedule.json",
    "database-check.json",
    "dikas.sqlite-wal",
    "dikas.sqlite-shm",
    "dikas.sqlite-journal",
];

/// Whether this is the name of something that a server makes in its data folder.
pub(crate) fn is_ours(name: &str) -> bool {
    let others = ["blobs", "jobs", "lock", DATABASE];
    others.contains(&name) || BESIDE.contains(&name) || UNFINISHED.contains(&name)
}

/// Lets a folder pass that has a database, or nothing of an earlier one. Changes nothing.
///
/// # Errors
/// Where the database is missing or empty and something else is there, or the folder cannot be read.
pub(crate) fn check(data: &Path) -> Result<()> {
    let path = data.join(DATABASE);
    match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => Ok(()),
        Ok(_) => check_fresh(data, "is empty, 0 bytes long"),
        Err(error) if error.kind() == ErrorKind::NotFound => check_fresh(data, "is missing"),
        Err(error) => Err(unusable(&path, error)),
    }
}

/// Lets a folder pass that has a database. Makes nothing, and changes nothing.
///
/// # Errors
/// Where there is none.
pub(crate) fn check_has_database(data: &Path) -> Result<()> {
    check(data)?;
    if has_tables(&data.join(DATABASE))? {
        return Ok(());
    }
    check_fresh(data, "has no tables")?;
    let message = format!(
        "the folder {} has no database, {DATABASE}: is its name right? Nothing was made",
        data.display()
    );
    Err(Failure::bad_request(message))
}

/// Lets a database pass that has the schema of this version.
///
/// # Errors
/// Where a start of the server would change the schema, or a newer version has written it.
pub(crate) fn check_current(data: &Path) -> Result<()> {
    let path = data.join(DATABASE);
    let connection = connect(&path).map_err(|error| unusable(&path, error))?;
    if missing_scripts(&connection, &path)?.is_empty() {
        return Ok(());
    }
    let message = "an earlier DiKAS has written it, and counting changes nothing: start the server once, which brings it up \
                   to date";
    Err(unusable(&path, message))
}

/// Makes the database where the folder is fresh; one that is there has tables of this program.
pub(super) fn make_where_fresh(data: &Path) -> Result<()> {
    check(data)?;
    let path = data.join(DATABASE);
    if has_tables(&path)? {
        return Ok(());
    }
    check_fresh(data, "has no tables")?;
    make(data)
}

/// Whether the database is there and has the tables of this program.
///
/// # Errors
/// Where it cannot be read, or belongs to another program.
fn has_tables(path: &Path) -> Result<bool> {
    if fs::metadata(path).map_or(true, |found| found.len() == 0) {
        return Ok(false);
    }
    let counts = || -> rusqlite::Result<(i64, i64)> {
        let connection = connect(path)?;
        let version = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
        Ok((version, connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?))
    };
    match counts().map_err(|error| unusable(path, error))? {
        (0, 0) => Ok(false),
        (0, _) => Err(unusable(path, "it is a database of another program")),
        _ => Ok(true),
    }
}

/// Opens a database that is there.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Makes a database, which has its name once it has its tables and is on the disk.
fn make(data: &Path) -> Result<()> {
    let [name, journal] = UNFINISHED.map(|name| data.join(name));
    for left in [&name, &journal] {
        match fs::remove_file(left) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(left, error)),
            _ => {}
        }
    }
    private::file(fs::OpenOptions::new().write(true).create_new(true))
        .open(&name)
        .map_err(|error| unusable(&name, error))?;
    let fill = |installation: &str| -> rusqlite::Result<()> {
        let mut connection = connect(&name)?;
        // Documents lie in the nodes of the tree itself. 16 KiB hold some twenty-five of the usual ones, and a receipt of
        // 4 KiB still needs no overflow page.
        connection.execute_batch("PRAGMA page_size = 16384; PRAGMA synchronous = FULL;")?;
        migrate(&mut connection, &SCHEMA, Some(installation))
    };
    fill(&random::hex::<16>()?).map_err(|error| unusable(&name, error))?;
    let named = fs::rename(&name, data.join(DATABASE)).and_then(|()| durable::sync_folder(data));
    named.map_err(|error| unusable(data, error))
}

/// # Errors
/// Where the folder holds what belongs to a database that is not there.
fn check_fresh(data: &Path, how: &str) -> Result<()> {
    let found = remains(data)?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "the database of the data folder {} {how}, and this belongs to it: {}. A new database would know nothing of it, so \
         that none was made; nothing has changed. Put the database back ({DATABASE}, and {DATABASE}-wal where there was \
         one), or start in an empty folder and restore a backup there",
        data.display(),
        found.join(", ")
    )))
}

/// What the folder holds of an installation besides its database, in words.
fn remains(data: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in ["blobs", "jobs"] {
        let folder = data.join(name);
        match files(&folder).map_err(|error| unusable(&folder, error))? {
            0 => {}
            1 => found.push(format!("1 file in {name}/")),
            files => found.push(format!("{files} files in {name}/")),
        }
    }
    for name in BESIDE {
        let path = data.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => found.push(name.to_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unusable(&path, error)),
        }
    }
    Ok(found)
}

/// How many files lie in this folder and below, those of uploads that were broken off aside.
fn files(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(0),
        entries => entries?,
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        count += match is_folder {
            true if entry.file_name() == blobs::UPLOADS => 0,
            true => files(&entry.path())?,
            false => 1,
        };
    }
    Ok(count)
}
