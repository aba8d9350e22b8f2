//! A file in the browser's own file system, as [`Blocks`]. Only dedicated workers have these handles; one excludes
//! every other on the same file.

use super::js;
use super::pages::Blocks;
use crate::error::{Error, ErrorKind};
use std::io;
use web_sys::{FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

/// So many tries find out how much room there is, to a thousandth of what is wanted.
const PROBES: u32 = 10;

/// An open file. Dropping it closes it.
#[derive(Debug)]
pub struct OpfsFile {
    handle: FileSystemSyncAccessHandle,
    size: u64,
}

impl OpfsFile {
    /// Takes over a handle.
    pub fn new(handle: FileSystemSyncAccessHandle) -> io::Result<Self> {
        let size = handle.get_size().map_err(js::io_error)?;
        Ok(Self { handle, size: js::to_u64(size)? })
    }

    /// How many of these bytes there is room for, found out by taking them and giving them back: what browsers tell of
    /// their space is an estimate, and by some made up. The file is empty before and after.
    pub fn room_for(&mut self, bytes: u64) -> io::Result<u64> {
        let mut fits = |bytes| match self.truncate(bytes).map_err(Error::from) {
            Ok(()) => Ok(true),
            Err(error) if error.kind == ErrorKind::NoSpace => Ok(false),
            Err(error) => Err(error),
        };
        let (mut room, mut too_much) = (0, bytes);
        if fits(bytes)? {
            room = bytes;
        } else {
            for _ in 0..PROBES {
                let middle = room + (too_much - room) / 2;
                if fits(middle)? {
                    room = middle;
                } else {
                    too_much = middle;
                }
            }
        }
        self.truncate(0)?;
        Ok(room)
    }

    /// Makes sure that what was written outlives a crash.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.flush().map_err(js::io_error)
    }
}

impl Blocks for OpfsFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let read = self.handle.read_with_u8_array_and_options(rest, &at_offset(at + done as u64)?);
            done += count(read.map_err(js::io_error)?, rest.len(), unread())?;
        }
        Ok(())
    }

    fn store(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let written = self.handle.write_with_u8_array_and_options(rest, &at_offset(at + done as u64)?);
            done += count(written.map_err(js::io_error)?, rest.len(), unwritten())?;
            self.size = self.size.max(at + done as u64);
        }
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.handle.truncate_with_f64(js::to_f64(size)?).map_err(js::io_error)?;
        self.size = size;
        Ok(())
    }
}

impl Drop for OpfsFile {
    fn drop(&mut self) {
        self.handle.close();
    }
}

fn at_offset(offset: u64) -> io::Result<FileSystemReadWriteOptions> {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(js::to_f64(offset)?);
    Ok(options)
}

/// A count that the browser answered with; none at all would make the caller try for ever. Chromium throws nothing when
/// the space runs out within a write: it answers with the code of the error, as a number without a sign.
fn count(answered: f64, asked: usize, failure: Error) -> io::Result<usize> {
    match js::to_u64(answered).map(usize::try_from) {
        Ok(Ok(count)) if (1..=asked).contains(&count) => Ok(count),
        _ => Err(failure.into()),
    }
}

fn unread() -> Error {
    Error::new(ErrorKind::Io, "the browser's storage does not give back what was written")
}

fn unwritten() -> Error {
    Error::new(ErrorKind::NoSpace, "the browser stores no more: the disk or the space for this page is full")
}
