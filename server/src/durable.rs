//! What it takes for files to be there as they were or as they shall be, whatever happens meanwhile: their content is put on the
//! disk, and so is their name, as far as the file system offers that.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use tempfile::NamedTempFile;

/// How the names of files begin that have no name yet: those of the crate tempfile.
const TEMPORARY: &str = ".tmp";

/// Puts this, as JSON, in the place of the file before; once this answers, it is on the disk.
pub(crate) fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let file = with_json(NamedTempFile::new_in(folder)?, value)?;
    file.persist(folder.join(name))?;
    sync_folder(folder)
}

/// Fills a file that has no name yet; once this answers, its content is on the disk.
pub(crate) fn with_json(mut file: NamedTempFile, value: &impl Serialize) -> io::Result<NamedTempFile> {
    file.write_all(&serde_json::to_vec(value)?)?;
    sync(file.as_file())?;
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

/// Puts the content of a file on the disk. A file system that has no such thing, as some network shares, has done what it can.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    unless_unsupported(file.sync_all())
}

/// Puts the names in a folder on the disk, where the file system can do that for folders.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    unless_unsupported(File::open(folder)?.sync_all())
}

/// Windows flushes folders by itself and cannot open them as files.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a file system, or its driver, does not have what it was asked for: to sync a folder, or a lock.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
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
    {
        error.kind() == io::ErrorKind::Unsupported
    }
}

fn unless_unsupported(synced: io::Result<()>) -> io::Result<()> {
    static TOLD: Once = Once::new();
    match synced {
        Err(error) if is_unsupported(&error) => {
            TOLD.call_once(|| {
                tracing::warn!(
                    "a file system cannot be told to put a file or a folder on the disk ({error}): after a power cut, what was \
                     written last may be missing there"
                );
            });
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(all(test, unix))]
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
