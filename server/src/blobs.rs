//! Content-addressed files: `blobs/ab/cdef…` holds the bytes whose SHA-256 is `abcdef…`.
//!
//! A blob is written to a temporary file, flushed to the disk and renamed before any row names it, so that a row never
//! names bytes that are not there. Only the clean-up takes a blob: one that is old, and that nothing names, and it sets it
//! aside first.

mod quarantine;

use crate::durable::sync_folder;
use crate::failure::{Failure, Result, unusable};
use crate::room::{Room, Taken};
use crate::{durable, private};
use dikas_archive::damage::Reason;
use dikas_archive::digest::{Hasher, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// How many bytes of an upload find room at once.
const ROOM_BYTES: u64 = 1 << 20;

/// Where uploads lie that are under way.
pub(crate) const UPLOADS: &str = "uploads";

/// The blobs of one data folder.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
    room: Arc<Room>,
    /// Held while a blob gets or loses its name.
    names: Mutex<()>,
}

impl Blobs {
    /// The blobs of this data folder; nothing is touched yet.
    pub(crate) fn new(data: &Path, room: Arc<Room>) -> Self {
        Self { folder: data.join("blobs"), room, names: Mutex::default() }
    }

    /// Makes the folders where they are missing, and removes what interrupted uploads left behind.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn open(&self) -> Result<()> {
        let uploads = self.folder.join(UPLOADS);
        private::create_folder(&uploads).map_err(|error| unusable(&uploads, error))?;
        let left =
            durable::remove_unfinished(&uploads, |_| false).map_err(|error| unusable(&uploads, error))?;
        for path in left {
            tracing::warn!("{} is none of this server's files, and stays", path.display());
        }
        Ok(())
    }

    /// Begins a blob of at most `limit` bytes.
    pub fn upload(&self, limit: u64) -> Result<Upload> {
        let file = NamedTempFile::new_in(self.folder.join(UPLOADS))?;
        let (room, hasher) = (Arc::clone(&self.room), Hasher::default());
        Ok(Upload { file, hasher, size: 0, limit, room, taken: None, unwritten: 0 })
    }

    /// Stores these bytes.
    pub fn put(&self, bytes: &[u8]) -> Result<(Sha256, u64)> {
        let mut upload = self.upload(u64::MAX)?;
        upload.write(bytes)?;
        self.keep(upload)
    }

    /// Makes the upload a blob, durably. Bytes that are there already are written anew: what lies there may have rotted,
    /// or be on its way to the disk still.
    pub fn keep(&self, upload: Upload) -> Result<(Sha256, u64)> {
        let Upload { file, hasher, size, .. } = upload;
        let digest = hasher.finish();
        let path = self.path(&digest);
        file.as_file().sync_all()?;
        let folder = path.parent().unwrap_or(&self.folder);
        {
            let _names = self.names();
            private::create_folder(folder)?;
            file.persist(&path).map_err(|error| Failure::from(error.error))?;
        }
        sync_folder(folder)?;
        sync_folder(&self.folder)?;
        Ok((digest, size))
    }

    /// Opens a blob, and says how long it is.
    pub fn read(&self, digest: &Sha256) -> Result<(File, u64)> {
        let file = self
            .or_set_aside(digest, |path| File::open(path))?
            .map_err(|error| Failure::internal(format_args!("blob {digest} cannot be opened: {error}")))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// What is wrong with the bytes of a blob that has to have this size; none where nothing is.
    pub fn damage(&self, digest: &Sha256, size: u64) -> Option<Reason> {
        let Ok((mut file, found)) = self.read(digest) else { return Some(Reason::Unreadable) };
        if found != size {
            return Some(Reason::Changed);
        }
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 64 << 10]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return (hasher.finish() != *digest).then_some(Reason::Changed),
                Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
                Err(_) => return Some(Reason::Unreadable),
            }
        }
    }

    /// How long a blob is, if it is there.
    pub fn size(&self, digest: &Sha256) -> Result<Option<u64>> {
        match self.or_set_aside(digest, |path| fs::metadata(path))? {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks for a blob, and once more where it was set aside and comes back.
    fn or_set_aside<T>(
        &self,
        digest: &Sha256,
        look: impl Fn(&Path) -> io::Result<T>,
    ) -> Result<io::Result<T>> {
        let path = self.path(digest);
        match look(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.bring_back(digest)? => {
                Ok(look(&path))
            }
            found => Ok(found),
        }
    }

    /// Counts the blobs, and lists those that were written longer ago than `grace` and are `unnamed`.
    pub fn survey(&self, grace: Duration, unnamed: impl Fn(&Sha256) -> Result<bool>) -> Result<Survey> {
        let mut survey = Survey::default();
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?;
            let head = folder.file_name();
            let Some(head) = head.to_str().filter(|head| head.len() == 2) else { continue };
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let name = file.file_name();
                let digest = name.to_str().and_then(|tail| format!("{head}{tail}").parse::<Sha256>().ok());
                let Some(digest) = digest else { continue };
                survey.files += 1;
                if self.is_older(&digest, grace) && unnamed(&digest)? {
                    survey.unnamed.push(digest);
                    survey.unnamed_bytes += file.metadata().map_or(0, |metadata| metadata.len());
                }
            }
        }
        Ok(survey)
    }

    /// Whether a blob was written so long ago. One that is dated in the future, by a clock that was wrong, is dated anew.
    fn is_older(&self, digest: &Sha256, grace: Duration) -> bool {
        let path = self.path(digest);
        let Ok(written) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else { return false };
        match SystemTime::now().duration_since(written) {
            Ok(age) => age >= grace,
            Err(_) => {
                let file = File::options().write(true).open(&path);
                let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
                false
            }
        }
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &Sha256) -> PathBuf {
        let digits = digest.to_string();
        let (folder, name) = digits.split_at(2);
        self.folder.join(folder).join(name)
    }
}

/// What there is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many blobs.
    pub files: u64,
    /// Those that nothing names.
    pub unnamed: Vec<Sha256>,
    /// How many bytes these have.
    pub unnamed_bytes: u64,
}

/// A blob on its way in; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
    limit: u64,
    room: Arc<Room>,
    taken: Option<Taken>,
    /// Of the room that was taken, what is left.
    unwritten: u64,
}

impl Upload {
    /// How many bytes have come so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Sha256 {
        self.hasher.clone().finish()
    }

    /// Takes the next bytes in.
    ///
    /// # Errors
    /// `too-large`, `no-space`
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(Failure::too_large(self.limit));
        }
        self.take_room(bytes.len() as u64)?;
        self.hasher.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    fn take_room(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.unwritten {
            // What was taken before is on the disk, and counts there.
            drop(self.taken.take());
            self.unwritten = bytes.max(ROOM_BYTES);
            self.taken = Some(self.room.take(self.unwritten)?);
        }
        self.unwritten -= bytes;
        Ok(())
    }
}

/// Whether these first bytes are those of a PNG, JPEG, WebP or GIF picture; its media type.
pub fn picture_type(first: &[u8]) -> Option<&'static str> {
    match first {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ => None,
    }
}

/// Reads the first bytes of a file, as many as [`picture_type`] needs.
pub fn first_bytes(file: &mut File) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(12);
    file.take(12).read_to_end(&mut first)?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::{Blobs, Room};
    use dikas_archive::digest::Sha256;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn blobs(folder: &tempfile::TempDir) -> Blobs {
        let blobs = Blobs::new(folder.path(), Room::new(folder.path()));
        blobs.open().unwrap();
        blobs
    }

    /// Takes all that nothing names, as of this running time.
    fn take(blobs: &Blobs, running: u64, ages: [Duration; 2], unnamed: impl Fn(&Sha256) -> bool) {
        let unnamed = |digest: &Sha256| Ok(unnamed(digest));
        let found = blobs.survey(ages[0], unnamed).unwrap().unnamed;
        blobs.set_aside(&found, running, ages, unnamed).unwrap();
        blobs.empty(running, ages[1], unnamed).unwrap();
    }

    #[test]
    fn a_clean_up_takes_what_is_old_and_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(&folder);
        let [kept, gone] = [b"kept", b"gone"].map(|bytes| blobs.put(bytes).unwrap().0);
        take(&blobs, 0, [Duration::from_secs(60), Duration::ZERO], |digest| *digest != kept);
        assert_eq!(blobs.size(&gone).unwrap(), Some(4), "a row may be about to name it");
        take(&blobs, 0, [Duration::ZERO; 2], |digest| *digest != kept);
        assert_eq!([kept, gone].map(|digest| blobs.size(&digest).unwrap()), [Some(4), None]);
    }

    #[test]
    fn what_was_set_aside_stays_for_its_time_of_running_and_comes_back_where_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(&folder);
        let ages = [Duration::ZERO, 30 * DAY];
        let all = [b"wanted", b"copied", b"gone..", b"later."].map(|bytes| blobs.put(bytes).unwrap().0);
        let [wanted, _, gone, later] = all;
        take(&blobs, 1_000, ages, |digest| *digest != later);
        assert_eq!(blobs.survey(Duration::ZERO, |_| Ok(true)).unwrap().unnamed, [later]);
        assert_eq!(blobs.count_set_aside().unwrap(), [3, 18]);
        assert_eq!(blobs.read(&wanted).unwrap().1, 6, "a row names it, so that it is read");
        blobs.put(b"copied").unwrap();
        take(&blobs, DAY.as_secs() * 20, ages, |digest| *digest == later);
        assert_eq!(blobs.count_set_aside().unwrap(), [3, 18]);

        // A day is the step in which the quarantine counts.
        take(&blobs, DAY.as_secs() * 31 - 1, ages, |digest| *digest == gone);
        assert_eq!(blobs.count_set_aside().unwrap(), [3, 18]);
        take(&blobs, DAY.as_secs() * 31, ages, |digest| *digest == gone);
        assert_eq!(blobs.count_set_aside().unwrap(), [1, 6]);
        assert_eq!(all.map(|digest| blobs.size(&digest).unwrap()), [Some(6), Some(6), None, Some(6)]);
        assert_eq!(blobs.count_set_aside().unwrap(), [0, 0]);
    }

    #[test]
    fn a_file_that_a_wrong_clock_has_dated_is_dated_anew_and_then_ages() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(&folder);
        let (digest, _) = blobs.put(b"of next year").unwrap();
        let file = File::options().write(true).open(blobs.path(&digest)).unwrap();
        file.set_modified(SystemTime::now() + 365 * DAY).unwrap();
        let unnamed = || blobs.survey(Duration::ZERO, |_| Ok(true)).unwrap().unnamed;
        assert_eq!(unnamed(), []);
        assert_eq!(unnamed(), [digest]);
    }

    #[test]
    fn a_start_removes_what_uploads_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = folder.path().join("blobs/uploads");
        std::fs::create_dir_all(uploads.join("a folder")).unwrap();
        for name in [".tmpAbCdEf", "somebody's.pdf"] {
            std::fs::write(uploads.join(name), "bytes").unwrap();
        }
        blobs(&folder);
        let names = std::fs::read_dir(&uploads).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["a folder", "somebody's.pdf"]);
    }

    #[test]
    fn the_same_bytes_again_heal_a_blob_that_rotted() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(&folder);
        let (digest, _) = blobs.put(b"bytes").unwrap();
        std::fs::write(blobs.path(&digest), b"bytez").unwrap();
        assert_eq!(blobs.put(b"bytes").unwrap(), (digest, 5));
        assert_eq!(std::fs::read(blobs.path(&digest)).unwrap(), b"bytes");
    }
}
