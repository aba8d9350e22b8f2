//! Personal data and password hashes lie in the data folder: no other user of the machine reads them, whatever its umask.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Has a file that is made belong to this user alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a folder for this user alone, and those above it that are missing.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(path)
}
