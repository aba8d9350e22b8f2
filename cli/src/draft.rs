//! A backup that is being written: a file whose name says that it is none yet, until all of it is on the disk.

use crate::disk;
use dikas_archive::error::{Error, ErrorKind, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use same_file::Handle;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Where the backup will be.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    /// None where the moment of the data will tell.
    name: Option<String>,
}

impl Place {
    /// The file of this name, which must not be there yet; or, in a folder, one that is named after its moment.
    ///
    /// # Errors
    /// `bad-argument`
    pub(crate) fn of(output: &Path) -> Result<Self> {
        if output.is_dir() {
            return Ok(Self { folder: output.to_owned(), name: None });
        }
        let wrong =
            |message| Err(Error::new(ErrorKind::BadArgument, message).on(output.display().to_string()));
        if output.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return wrong("there is no such folder");
        }
        let folder = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Some(name) = output.file_name().and_then(|name| name.to_str()) else {
            return wrong("this cannot be the name of a file");
        };
        // Where a disk is not mounted, its folder would become a file.
        if !name.to_ascii_lowercase().ends_with(".zip") {
            return wrong("there is no folder of this name, and the name of a backup has to end in .zip");
        }
        refuse_taken(output)?;
        Ok(Self { folder: folder.unwrap_or(Path::new(".")).to_owned(), name: Some(name.to_owned()) })
    }

    /// The folder in which the moment will name the file; none where it has a name.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.name.is_none().then_some(&self.folder)
    }

    /// Makes the file that is being written. What an earlier run has left there is removed, unless that still runs.
    ///
    /// # Errors
    /// `busy` where another run writes there; `bad-argument` where something of its name is of another user or no
    /// file; `io`.
    pub(crate) fn begin(self) -> Result<Draft> {
        let name = self.name.as_deref().unwrap_or("dikas.zip");
        let path = self.folder.join(format!("{name}.part"));
        let file = locked(&path).map_err(|error| error.on(path.display().to_string()))?;
        Ok(Draft { file, path: Some(path), place: self })
    }
}

/// Nothing takes the place of another file.
///
/// # Errors
/// `bad-argument` where there is one.
pub(crate) fn refuse_taken(file: &Path) -> Result<()> {
    // A link that leads nowhere is there too.
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = "there is a file of this name already";
    Err(Error::new(ErrorKind::BadArgument, message).on(file.display().to_string()))
}

/// A new file at this path, for this run and its user alone.
fn locked(path: &Path) -> Result<File> {
    loop {
        let file = match private().read(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_leftover(path)?;
                continue;
            }
            opened => opened?,
        };
        lock(&file)?;
        // Another run may have taken it for a leftover before it was locked.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Removes what an earlier run has left, unless that still runs. It is not emptied: it may be a backup by another name.
fn remove_leftover(path: &Path) -> Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !is_own_file(&metadata) {
        let message = "there is something of this name that this program did not leave here: remove it first";
        return Err(Error::new(ErrorKind::BadArgument, message));
    }
    let file = match leftover().open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    lock(&file)?;
    // The run that had the lock until now may have made a backup of it meanwhile, or removed it.
    if is_at(&file, path)? {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn lock(file: &File) -> Result<()> {
    unless_taken(file.try_lock())
}

fn unless_taken(locked: Result<(), TryLockError>) -> Result<()> {
    match locked {
        Ok(()) => Ok(()),
        // Without locks the name still guards: nothing is made where a file of it is, and nothing there is emptied.
        Err(TryLockError::Error(error)) if disk::is_unsupported(&error) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Busy, "another backup is being written here"))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Whether this file is the one at the path.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    match Handle::from_path(path) {
        Ok(there) => Ok(there == Handle::from_file(file.try_clone()?)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether this is a file, no link, and of the user that runs this.
fn is_own_file(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(metadata) != rustix::process::geteuid().as_raw() {
        return false;
    }
    metadata.is_file()
}

/// How to open what an earlier run has left: no link that has come there meanwhile is followed.
fn leftover() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed(),
    );
    options
}

/// A backup that is being written. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) file: File,
    path: Option<PathBuf>,
    place: Place,
}

impl Draft {
    /// Gives the file, with data of this moment, its name, once it is on the disk. A name that is taken, in the hour that comes
    /// twice or by another backup of the same second, gets a number: what was fetched is not thrown away for its name.
    ///
    /// # Errors
    /// `bad-argument` where the name that was asked for was taken meanwhile; the error names the file that it is now.
    /// `bad-answer` where this is no moment, `io`.
    pub(crate) fn keep(mut self, created: &str) -> Result<PathBuf> {
        let wanted = match &self.place.name {
            Some(name) => name.clone(),
            None => name_of(created)?,
        };
        disk::sync(&self.file)?;
        let file = self.name(&wanted)?;
        disk::sync_folder(&self.place.folder)?;
        if self.place.name.is_some() && !file.ends_with(&wanted) {
            let message =
                format!("the backup is whole, but {wanted} was taken meanwhile: it is this file now");
            return Err(Error::new(ErrorKind::BadArgument, message).on(file.display().to_string()));
        }
        Ok(file)
    }

    /// Gives the file this name, or the first that is free of those with a number.
    fn name(&mut self, wanted: &str) -> Result<PathBuf> {
        let Some(part) = &self.path else {
            return Err(Error::new(ErrorKind::Internal, "a backup that has its name gets another"));
        };
        let mut number = 1;
        loop {
            let file = self.place.folder.join(numbered(wanted, number));
            match disk::rename_new(part, &file) {
                Ok(()) => {
                    self.path = None;
                    return Ok(file);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::from(error).on(file.display().to_string())),
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed has a name that says what it is.
            let _ = fs::remove_file(path);
        }
    }
}

/// A file name after a moment, in the time of this place.
fn name_of(created: &str) -> Result<String> {
    let moment: Timestamp =
        created.parse().map_err(|error: jiff::Error| Error::new(ErrorKind::BadAnswer, error.to_string()))?;
    Ok(moment.to_zoned_datetime(TimeZone::system()).strftime("dikas_%Y%m%d_%H%M%S.zip").to_string())
}

/// A name that ends in .zip, with its number before that from the second on.
fn numbered(name: &str, number: u32) -> String {
    match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((stem, ending)) if number > 1 => format!("{stem}-{number}{ending}"),
        _ => name.to_owned(),
    }
}

/// The path with this behind its name.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// How to write a file that nobody else can read, once it is made: it will hold personal data, or what stands for a login.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether a file is named like one that its moment has named, and its number among those of the same name.
pub(crate) fn number_of_moment(name: &str) -> Option<u32> {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (day, rest) = name.strip_prefix("dikas_")?.strip_suffix(".zip")?.split_once('_')?;
    let (time, number) = match rest.split_once('-') {
        Some((time, number)) => (time, number.parse().ok().filter(|it: &u32| it.to_string() == number)?),
        None => (rest, 1),
    };
    (digits(day, 8) && digits(time, 6)).then_some(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_no_reason_to_make_no_backup() {
        use rustix::io::Errno;
        for errno in [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOLCK, Errno::NOSYS] {
            unless_taken(Err(TryLockError::Error(errno.into()))).unwrap();
        }
        let kind = |failure| unless_taken(Err(failure)).unwrap_err().kind;
        assert_eq!(kind(TryLockError::WouldBlock), ErrorKind::Busy);
        assert_eq!(kind(TryLockError::Error(Errno::IO.into())), ErrorKind::Io);
    }

    #[test]
    fn a_name_of_a_moment_is_told_from_others() {
        let name = name_of("2026-11-23T18:59:41Z").unwrap();
        for number in [1, 2, 10] {
            assert_eq!(number_of_moment(&numbered(&name, number)), Some(number));
        }
        for other in [
            "dikas_20261123_185941.zip.part",
            "dikas_20261123_185941.zip.damaged",
            "dikas_20261123.zip",
            "dikas_20261123_18594.zip",
            "dikas_2026112x_185941.zip",
            "before_20261123_185941.zip",
            "dikas_20261123_185941_2.zip",
            "dikas_20261123_185941-.zip",
            "dikas_20261123_185941-02.zip",
            "dikas_20261123_185941-a.zip",
            "dikas_20261123-185941-2.zip",
        ] {
            assert_eq!(number_of_moment(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_and_nothing_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |bytes: &str| {
            let draft = Place::of(folder.path()).unwrap().begin().unwrap();
            io::Write::write_all(&mut &draft.file, bytes.as_bytes()).unwrap();
            draft.keep("2026-11-23T18:59:41Z").unwrap()
        };
        let files = ["first", "second", "third"].map(|bytes| (kept(bytes), bytes));
        let name = name_of("2026-11-23T18:59:41Z").unwrap();
        for ((file, bytes), number) in files.iter().zip(1..) {
            assert_eq!(*file, folder.path().join(numbered(&name, number)));
            assert_eq!(fs::read_to_string(file).unwrap(), *bytes);
        }
        // A link that leads nowhere has the name as well.
        #[cfg(unix)]
        {
            let taken = folder.path().join(numbered(&name, 4));
            std::os::unix::fs::symlink(folder.path().join("nowhere"), &taken).unwrap();
            assert_eq!(kept("fifth"), folder.path().join(numbered(&name, 5)));
        }
    }

    #[test]
    fn where_the_name_that_was_asked_for_is_taken_meanwhile_the_error_names_the_backup() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("Montag.ZIP");
        let draft = Place::of(&wanted).unwrap().begin().unwrap();
        io::Write::write_all(&mut &draft.file, b"whole").unwrap();
        fs::write(&wanted, "of another program").unwrap();
        let error = draft.keep("2026-11-23T18:59:41Z").unwrap_err();
        let kept = folder.path().join("Montag-2.ZIP");
        assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::BadArgument, kept.to_str()));
        assert!(error.message.contains("the backup is whole"), "{error}");
        assert_eq!(fs::read_to_string(wanted).unwrap(), "of another program");
        assert_eq!(fs::read_to_string(kept).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_is_being_written_is_written_by_one_and_removed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = || Place::of(folder.path()).unwrap();
        let part = folder.path().join("dikas.zip.part");
        fs::write(&part, "of a run that was killed").unwrap();
        let draft = place().begin().unwrap();
        assert_eq!(draft.file.metadata().unwrap().len(), 0);
        assert_eq!(place().begin().unwrap_err().kind, ErrorKind::Busy);
        drop(draft);
        assert!(!part.exists());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed_and_what_has_another_name_too_keeps_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let place = || Place::of(folder.path()).unwrap();
        let (part, other) = (folder.path().join("dikas.zip.part"), folder.path().join("other.txt"));
        fs::write(&other, "of somebody").unwrap();
        std::os::unix::fs::symlink(&other, &part).unwrap();
        let error = place().begin().unwrap_err();
        assert!(error.kind == ErrorKind::BadArgument && error.message.contains("remove it"), "{error}");
        fs::remove_file(&part).unwrap();
        // A link that leads nowhere, where following it would make a file.
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &part).unwrap();
        assert!(place().begin().is_err() && !folder.path().join("nowhere").exists());
        fs::remove_file(&part).unwrap();
        fs::create_dir(&part).unwrap();
        assert_eq!(place().begin().unwrap_err().kind, ErrorKind::BadArgument);
        fs::remove_dir(&part).unwrap();

        // A leftover that others can read, and that has another name.
        fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        fs::hard_link(&other, &part).unwrap();
        let draft = place().begin().unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&draft.file.metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600);
        io::Write::write_all(&mut &draft.file, b"whole").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"of somebody");

        // A name that was taken while it was written, be it by a link that leads nowhere.
        let name = folder.path().join(name_of("2026-11-23T18:59:41Z").unwrap());
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &name).unwrap();
        assert!(disk::rename_new(&part, &name).is_err());
        let kept = draft.keep("2026-11-23T18:59:41Z").unwrap();
        assert_eq!(
            kept.with_extension(""),
            PathBuf::from(format!("{}-2", name.with_extension("").display()))
        );
        assert!(!folder.path().join("nowhere").exists() && !part.exists());
    }

    #[test]
    fn who_waited_for_the_lock_of_what_is_a_backup_by_now_leaves_that_alone() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            let draft = Place::of(folder.path()).unwrap().begin().unwrap();
            io::Write::write_all(&mut &draft.file, b"whole").unwrap();
            let path = folder.path().to_owned();
            let next = std::thread::spawn(move || {
                loop {
                    match Place::of(&path).unwrap().begin() {
                        Ok(draft) => return draft,
                        Err(error) => assert_eq!(error.kind, ErrorKind::Busy),
                    }
                }
            });
            let kept = draft.keep("2026-11-23T18:59:41Z").unwrap();
            drop(next.join().unwrap());
            assert_eq!(fs::read(&kept).unwrap(), b"whole");
            fs::remove_file(kept).unwrap();
        }
    }
}
