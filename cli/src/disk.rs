//! Puts files and their names on the disk, as far as the file system offers that.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Puts the content of a file on the disk. A file system that has no such thing, as some network shares, has done what it can.
///
/// # Errors
/// Those of the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    unless_unsupported(file.sync_all())
}

/// Puts the names in a folder on the disk, where the file system can do that for folders.
///
/// # Errors
/// Those of the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        // Who may write in a folder may still not read it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => unless_unsupported(opened?.sync_all()),
    }
}

/// Windows flushes folders by itself and cannot open them as files.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Renames a file, and takes the place of no other.
///
/// # Errors
/// `AlreadyExists` where there is a file of that name, be it a link that leads nowhere; those of the disk.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let renamed = renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from);
        match renamed {
            // Not every file system can do both in one step.
            Err(error) if is_unsupported(&error) => {}
            renamed => return renamed,
        }
    }
    match fs::hard_link(from, to) {
        Ok(()) => {
            // What cannot be removed is the same file by another name, and goes with the next run.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Nor does every file system have links.
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

fn unless_unsupported(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(error) if is_unsupported(&error) => Ok(()),
        synced => synced,
    }
}

/// Whether the file system, or its driver, does not have what it was asked for.
#[cfg(unix)]
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unsupported = [
        Errno::INVAL,
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::NOTTY,
        Errno::BADF,
        Errno::NOLCK,
    ];
    Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

#[cfg(not(unix))]
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_file_system_that_cannot_sync_fails_nothing_and_a_broken_disk_does() {
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOTTY] {
            unless_unsupported(Err(errno.into())).unwrap();
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::STALE] {
            let error = unless_unsupported(Err(errno.into())).unwrap_err();
            assert_eq!(Errno::from_io_error(&error), Some(errno));
        }
    }

    /// The kernel refuses to sync the folders of its own file system, as shares of other machines do.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_refuses_to_be_synced_is_left_at_that() {
        let refused = File::open("/proc/self").unwrap().sync_all().unwrap_err();
        assert_eq!(Errno::from_io_error(&refused), Some(Errno::INVAL));
        sync_folder(Path::new("/proc/self")).unwrap();
    }
}
