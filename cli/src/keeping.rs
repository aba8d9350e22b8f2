//! Which backups of a folder stay when a new one has come.

use crate::draft::{is_named_by_moment, with_ending};
use dikas_archive::catalog::Category;
use dikas_archive::error::{Error, Result};
use dikas_archive::manifest::Manifest;
use dikas_archive::reader::BackupReader;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Removes backups from the folder of the one that was just made, until `keep` are left of its series: that one, and the
/// newest of those that this program has named, that are of the same installation and the same categories, and whose
/// directory and manifest are sound. What it cannot tell so much of neither counts nor goes. Answers what it removed, the
/// oldest last.
///
/// # Errors
/// `io` where the folder cannot be read, or a backup not be removed; the new one stays in any case.
pub(crate) fn keep_newest(made: &Path, manifest: &Manifest, keep: NonZeroUsize) -> Result<Vec<PathBuf>> {
    let series = Series::of(manifest);
    let folder = made.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let on = |path: &Path, error: std::io::Error| {
        let error = Error::from(error);
        let message = format!("the backup is made, but older ones cannot be removed: {}", error.message);
        Error { message, ..error }.on(path.display().to_string())
    };
    let mut older = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| on(folder, error))? {
        let entry = entry.map_err(|error| on(folder, error))?;
        let is_named = entry.file_name().to_str().is_some_and(is_named_by_moment);
        // A link is nothing that this program has made.
        let is_file = entry.file_type().is_ok_and(|it| it.is_file());
        // What the schedule of a server has made has its record beside it, and is that server's to remove.
        let is_of_server = with_ending(&entry.path(), ".json").exists();
        if !is_named || !is_file || is_of_server || Some(entry.file_name().as_os_str()) == made.file_name() {
            continue;
        }
        if let Some(moment) = moment_of(&entry.path(), &series) {
            older.push((moment, entry.path()));
        }
    }
    older.sort();
    older.reverse();
    let mut removed = Vec::new();
    for (_, path) in older.into_iter().skip(keep.get() - 1) {
        fs::remove_file(&path).map_err(|error| on(&path, error))?;
        removed.push(path);
    }
    Ok(removed)
}

/// What backups have to have in common, for one to take the place of another.
#[derive(Debug, PartialEq, Eq)]
struct Series {
    installation: String,
    categories: BTreeSet<Category>,
}

impl Series {
    fn of(manifest: &Manifest) -> Self {
        let categories = manifest.collections.iter().map(|collection| collection.category).collect();
        Self { installation: manifest.source.installation.clone(), categories }
    }
}

/// The moment of a sound backup of this series.
fn moment_of(path: &Path, series: &Series) -> Option<Timestamp> {
    let reader = BackupReader::open(File::open(path).ok()?).ok()?;
    if !reader.verify_directory().is_sound() {
        return None;
    }
    let manifest = reader.manifest().ok()??;
    if Series::of(manifest) != *series {
        return None;
    }
    manifest.created.parse().ok()
}
