//! Content-addressed files: `blobs/ab/cdef…` holds the bytes whose SHA-256 is `abcdef…`.
//!
//! A blob is written to a temporary file, flushed to the disk and renamed before any row names it, so that a row never
//! names bytes that are not there. Only the sweep deletes a blob: one that is old, and that nothing names.

use crate::failure::{Failure, Result};
use crate::room::{Room, Taken};
use dikas_archive::digest::{Hasher, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// How many bytes of an upload find room at once.
const ROOM_BYTES: u64 = 1 << 20;

/// The blobs of one data folder.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
    room: Arc<Room>,
    /// Held while a blob gets or loses its name.
    names: Mutex<()>,
}

impl Blobs {
    /// Opens the blobs of this data folder and removes what an interrupted upload left behind.
    pub(crate) fn open(data: &Path, room: Arc<Room>) -> Result<Self> {
        let folder = data.join("blobs");
        fs::create_dir_all(&folder)?;
        let uploads = folder.join("uploads");
        if uploads.exists() {
            fs::remove_dir_all(&uploads)?;
        }
        fs::create_dir(&uploads)?;
        Ok(Self { folder, room, names: Mutex::default() })
    }

    /// Begins a blob of at most `limit` bytes.
    pub fn upload(&self, limit: u64) -> Result<Upload> {
        let file = NamedTempFile::new_in(self.folder.join("uploads"))?;
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
            fs::create_dir_all(folder)?;
            file.persist(&path).map_err(|error| Failure::from(error.error))?;
        }
        sync_folder(folder)?;
        sync_folder(&self.folder)?;
        Ok((digest, size))
    }

    /// Opens a blob, and says how long it is.
    pub fn read(&self, digest: &Sha256) -> Result<(File, u64)> {
        let file = File::open(self.path(digest))
            .map_err(|error| Failure::internal(format_args!("blob {digest} cannot be opened: {error}")))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// How long a blob is, if it is there.
    pub fn size(&self, digest: &Sha256) -> Result<Option<u64>> {
        match fs::metadata(self.path(digest)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the blobs that were written longer ago than `grace` and are `removable`.
    pub fn sweep(&self, grace: Duration, removable: impl Fn(&Sha256) -> Result<bool>) -> Result<()> {
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?;
            let head = folder.file_name();
            let Some(head) = head.to_str().filter(|head| head.len() == 2) else { continue };
            for file in fs::read_dir(folder.path())? {
                let name = file?.file_name();
                let digest = name.to_str().and_then(|tail| format!("{head}{tail}").parse::<Sha256>().ok());
                if let Some(digest) = digest
                    && self.is_older(&digest, grace)
                    && removable(&digest)?
                {
                    self.remove(&digest, grace)?;
                }
            }
        }
        Ok(())
    }

    /// Removes a blob unless it was written anew meanwhile.
    fn remove(&self, digest: &Sha256, grace: Duration) -> Result<()> {
        let _names = self.names();
        if self.is_older(digest, grace) {
            fs::remove_file(self.path(digest))?;
        }
        Ok(())
    }

    fn is_older(&self, digest: &Sha256, grace: Duration) -> bool {
        let written = fs::metadata(self.path(digest)).and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
        age.is_some_and(|age| age >= grace)
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

#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows flushes folders by itself and cannot open them as files.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Blobs, Room};

    fn blobs(folder: &std::path::Path) -> Blobs {
        Blobs::open(folder, Room::new(folder)).unwrap()
    }

    #[test]
    fn a_sweep_takes_what_is_old_and_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(folder.path());
        let [kept, gone] = [b"kept", b"gone"].map(|bytes| blobs.put(bytes).unwrap().0);
        let sweep = |grace| blobs.sweep(grace, |digest| Ok(*digest != kept)).unwrap();
        sweep(std::time::Duration::from_secs(60));
        assert_eq!(blobs.size(&gone).unwrap(), Some(4), "a row may be about to name it");
        sweep(std::time::Duration::ZERO);
        assert_eq!([kept, gone].map(|digest| blobs.size(&digest).unwrap()), [Some(4), None]);
    }

    #[test]
    fn the_same_bytes_again_heal_a_blob_that_rotted() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = blobs(folder.path());
        let (digest, _) = blobs.put(b"bytes").unwrap();
        std::fs::write(blobs.path(&digest), b"bytez").unwrap();
        assert_eq!(blobs.put(b"bytes").unwrap(), (digest, 5));
        assert_eq!(std::fs::read(blobs.path(&digest)).unwrap(), b"bytes");
    }
}
