//! Room on the disk with the data folder. Uploads leave some of it free, so that documents can still be deleted, and what
//! happens be written down.

use crate::failure::{Result, require_room};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that uploads leave free where the configuration says nothing else.
pub(crate) const SPARE_BYTES: u64 = 128 << 20;

/// The disk with the data folder.
#[derive(Debug)]
pub struct Room {
    folder: PathBuf,
    spare: AtomicU64,
    /// Bytes that are about to be written.
    taken: AtomicU64,
}

impl Room {
    /// On the disk with this folder; nothing is left free yet.
    pub(crate) fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self { folder: folder.to_owned(), spare: AtomicU64::default(), taken: AtomicU64::default() })
    }

    /// Leaves this many bytes free from now on.
    pub(crate) fn keep_free(&self, bytes: u64) {
        self.spare.store(bytes, Ordering::Relaxed);
    }

    /// Refuses an upload of this many bytes for which there is no room in any case, before it comes.
    ///
    /// # Errors
    /// `no-space`
    pub(crate) fn require(&self, bytes: u64) -> Result<()> {
        self.check(bytes, self.spare.load(Ordering::Relaxed) / 2)
    }

    /// Room for this many bytes of an upload that are about to be written.
    ///
    /// # Errors
    /// `no-space`
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Taken> {
        self.take_beside(bytes, self.spare.load(Ordering::Relaxed))
    }

    /// The same for bytes that the log alone needs, and not for long: they may come from half of what is left free.
    ///
    /// # Errors
    /// `no-space`
    pub(crate) fn take_for_a_moment(self: &Arc<Self>, bytes: u64) -> Result<Taken> {
        self.take_beside(bytes, self.spare.load(Ordering::Relaxed) / 2)
    }

    fn take_beside(self: &Arc<Self>, bytes: u64, spare: u64) -> Result<Taken> {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        let taken = Taken { room: Arc::clone(self), bytes };
        self.check(0, spare)?;
        Ok(taken)
    }

    fn check(&self, bytes: u64, spare: u64) -> Result<()> {
        let needed = self.taken.load(Ordering::Relaxed).saturating_add(bytes).saturating_add(spare);
        require_room("this upload", needed, fs4::available_space(&self.folder)?)
    }
}

/// Room for bytes that are about to be written; dropped, they are.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Arc<Room>,
    bytes: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_are_about_to_write_counts() {
        let room = Room::new(&std::env::temp_dir());
        let taken = room.take(1).unwrap();
        let refused = room.take(u64::MAX / 2).unwrap_err();
        assert_eq!(refused.code(), "no-space");
        assert_eq!(room.taken.load(Ordering::Relaxed), 1);
        drop(taken);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn half_of_what_is_kept_serves_the_log() {
        let room = Room::new(&std::env::temp_dir());
        room.keep_free(fs4::available_space(&room.folder).unwrap() / 4 * 5);
        assert!(room.require(u64::MAX / 2).is_err() && room.take(0).is_err());
        room.require(0).unwrap();
        room.take_for_a_moment(0).unwrap();
    }
}
