//! Small files that are there as they were or as they shall be, whatever happens meanwhile.

use serde::Serialize;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How the names of files begin that have no name yet: those of the crate tempfile.
const TEMPORARY: &str = ".tmp";

/// Puts this, as JSON, in the place of the file before; once this answers, it is on the disk.
pub(crate) fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let file = with_json(NamedTempFile::new_in(folder)?, value)?;
    file.persist(folder.join(name))?;
    crate::blobs::sync_folder(folder)
}

/// Fills a file that has no name yet; once this answers, its content is on the disk.
pub(crate) fn with_json(mut file: NamedTempFile, value: &impl Serialize) -> io::Result<NamedTempFile> {
    file.write_all(&serde_json::to_vec(value)?)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Removes the files in a folder that this process's predecessors had not finished: those that no name was given to, and
/// those that are `ours`. Answers what is left, which somebody else may have put there.
pub(crate) fn remove_unfinished(folder: &Path, ours: impl Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let nameless = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if entry.file_type()?.is_file() && (nameless || ours(&path)) {
            fs::remove_file(&path)?;
        } else {
            left.push(path);
        }
    }
    Ok(left)
}
