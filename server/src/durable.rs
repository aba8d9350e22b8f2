//! Small files that are there as they were or as they shall be, whatever happens meanwhile.

use serde::Serialize;
use std::io::{self, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;

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
