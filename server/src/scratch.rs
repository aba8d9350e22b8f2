//! A body that is too large for memory, on the disk for as long as somebody needs it.

use crate::failure::{Result, require_room};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// How many bytes come between two looks at how much room there is.
const LOOK_BYTES: u64 = 8 << 20;

/// A file without a name: however this ends, and be it by a power failure, nothing of it stays.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    folder: PathBuf,
    spare_bytes: u64,
    unseen: u64,
}

impl Scratch {
    /// Makes one in this folder, which must keep so much room, for as many bytes as are announced.
    ///
    /// # Errors
    /// 507 where the disk has no room for them.
    pub(crate) fn new(folder: &Path, spare_bytes: u64, announced: Option<u64>) -> Result<Self> {
        look(folder, spare_bytes.saturating_add(announced.unwrap_or_default()))?;
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self { file, folder: folder.to_owned(), spare_bytes, unseen: 0 })
    }

    /// Takes the next bytes in.
    ///
    /// # Errors
    /// 507 where the disk has no more room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.unseen += bytes.len() as u64;
        if self.unseen >= LOOK_BYTES {
            look(&self.folder, self.spare_bytes.saturating_add(self.unseen))?;
            self.unseen = 0;
        }
        Ok(self.file.write_all(bytes)?)
    }

    /// All that was written, from its start.
    pub(crate) fn into_file(mut self) -> Result<File> {
        self.file.rewind()?;
        Ok(self.file)
    }
}

fn look(folder: &Path, needed: u64) -> Result<()> {
    require_room("this file", needed, fs4::available_space(folder)?)
}
