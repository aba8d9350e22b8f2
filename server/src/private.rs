//! Personal data and password hashes lie in the data folder: no other user of the machine reads them, whatever its umask.

use crate::store::folder::is_ours;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Has a file that is made belong to this user alone.
pub(crate) fn file(options: &mut OpenOptions) -> &mut OpenOptions {
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

/// Closes the data folder and what lies in it to other users, or says in the log what stays open. A folder that others use as
/// well is not closed to them; what is in `blobs` is behind a closed folder.
pub(crate) fn close_folder(data: &Path) -> io::Result<()> {
    let mut shared = false;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        match entry.file_name().to_str().is_some_and(is_ours) {
            true => close(&entry.path()),
            false => shared |= entry.file_name() != "lost+found",
        }
    }
    for entry in fs::read_dir(data.join("jobs")).into_iter().flatten() {
        close(&entry?.path());
    }
    if !shared {
        close(data);
    } else if is_open(data) {
        tracing::warn!(
            "other users of this machine can look into {}, which also holds what is not of this server: give it a folder \
             of its own",
            data.display()
        );
    }
    Ok(())
}

/// Takes from all other users what they may do with this file or folder.
#[cfg(unix)]
fn close(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_open(path) {
        return;
    }
    let closed = fs::metadata(path).and_then(|found| {
        fs::set_permissions(path, fs::Permissions::from_mode(found.permissions().mode() & 0o7700))
    });
    match closed {
        Err(error) => tracing::warn!("{} is open to other users of this machine: {error}", path.display()),
        Ok(()) if is_open(path) => {
            tracing::warn!(
                "{} is open to other users of this machine: its disk keeps no modes",
                path.display()
            );
        }
        Ok(()) => {
            tracing::info!("{} was open to other users of this machine, and is not any more", path.display())
        }
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

/// Elsewhere the folder above decides.
#[cfg(not(unix))]
fn close(_path: &Path) {}

#[cfg(not(unix))]
fn is_open(_path: &Path) -> bool {
    false
}
