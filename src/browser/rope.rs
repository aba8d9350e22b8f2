//! A file made of Blobs, as [`Blocks`]: the place for an archive where a page has no file system of its own, such as
//! on plain http or in a private window. The browser keeps Blobs outside the memory of this program, and may move
//! them to disk.

use super::js;
use super::pages::{BLOCK, Blocks};
use crate::error::{Error, ErrorKind};
use js_sys::{Array, Uint8Array};
use std::io;
use web_sys::{Blob, File, FilePropertyBag, FileReaderSync};

/// The most that a chain of Blobs may hold, in bytes.
pub const MAX_BYTES: u64 = 1 << 30;

/// A chain of Blobs of 1 MiB, the last one shorter.
#[derive(Debug)]
pub struct BlobRope {
    blobs: Vec<Blob>,
    size: u64,
    limit: u64,
}

impl Default for BlobRope {
    fn default() -> Self {
        Self::with_limit(MAX_BYTES)
    }
}

impl BlobRope {
    /// An empty chain that refuses to grow past this size.
    pub fn with_limit(limit: u64) -> Self {
        Self { blobs: Vec::new(), size: 0, limit }
    }

    /// The whole chain as one file of this name and media type. Nothing is copied.
    pub fn into_file(self, name: &str, media_type: &str) -> io::Result<File> {
        let parts: Array = self.blobs.iter().collect();
        let options = FilePropertyBag::new();
        options.set_type(media_type);
        File::new_with_blob_sequence_and_options(&parts, name, &options).map_err(js::io_error)
    }
}

impl Blocks for BlobRope {
    fn size(&self) -> u64 {
        self.size
    }

    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let blob = index(at).and_then(|index| self.blobs.get(index)).ok_or(io::ErrorKind::UnexpectedEof)?;
        read_blob(blob, bytes)
    }

    fn store(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let end = at + bytes.len() as u64;
        if end > self.limit {
            return Err(too_large(self.limit, end).into());
        }
        // A view of wasm memory would be copied as well, but must not outlive an allocation: the array is a copy.
        let blob =
            Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes))).map_err(js::io_error)?;
        match index(at) {
            Some(index) if index < self.blobs.len() => {
                self.blobs.splice(index..=index, [blob]).for_each(drop)
            }
            Some(index) if index == self.blobs.len() => self.blobs.push(blob),
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
        self.size = self.size.max(end);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let whole = index(size).ok_or(io::ErrorKind::InvalidInput)?;
        let rest = size % BLOCK;
        if rest > 0 {
            let cut = self.blobs.get(whole).ok_or(io::ErrorKind::UnexpectedEof)?;
            let cut = cut.slice_with_f64_and_f64(0.0, js::to_f64(rest)?).map_err(js::io_error)?;
            self.blobs.truncate(whole);
            self.blobs.push(cut);
        } else {
            self.blobs.truncate(whole);
        }
        self.size = size;
        Ok(())
    }
}

/// Says that a chain of at most `limit` bytes cannot hold so many.
pub(super) fn too_large(limit: u64, bytes: u64) -> Error {
    let text = "without a file system of its own, this browser holds no archive of this size";
    Error::new(ErrorKind::NoStorage, text)
        .expected(format!("at most {limit} bytes"), format!("{bytes} bytes"))
}

/// How much of a file is read at once where it is read from one end to the other, in bytes: for Chromium that takes a third of
/// the time of as many blocks.
const AHEAD: u64 = 4 * BLOCK;

/// A file that the person chose, or any other Blob, as [`Blocks`] that are only read.
#[derive(Debug)]
pub struct BlobSource {
    blob: Blob,
    size: u64,
    /// What was read ahead, and where that begins.
    ahead: (u64, Vec<u8>),
    /// Where the block ends that was asked for last.
    end: u64,
}

impl BlobSource {
    /// Reads from this Blob or File.
    pub fn new(blob: Blob) -> io::Result<Self> {
        let size = js::to_u64(blob.size())?;
        Ok(Self { blob, size, ahead: (0, Vec::new()), end: 0 })
    }

    /// What was read ahead of a block, if that is all of it.
    fn ahead(&self, at: u64, count: usize) -> Option<&[u8]> {
        let (from, bytes) = &self.ahead;
        let start = usize::try_from(at.checked_sub(*from)?).ok()?;
        bytes.get(start..start.checked_add(count)?)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let (from, to) = (js::to_f64(at)?, js::to_f64(at + bytes.len() as u64)?);
        let slice = self.blob.slice_with_f64_and_f64(from, to).map_err(js::io_error)?;
        read_blob(&slice, bytes)
    }
}

impl Blocks for BlobSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let goes_on = at > 0 && at == self.end;
        self.end = at + bytes.len() as u64;
        if goes_on && self.ahead(at, bytes.len()).is_none() {
            let count = AHEAD.min(self.size.saturating_sub(at));
            let mut ahead = std::mem::take(&mut self.ahead.1);
            ahead.resize(usize::try_from(count).unwrap_or(usize::MAX), 0);
            self.read(at, &mut ahead)?;
            self.ahead = (at, ahead);
        }
        match self.ahead(at, bytes.len()) {
            Some(ahead) => bytes.copy_from_slice(ahead),
            None => self.read(at, bytes)?,
        }
        Ok(())
    }

    fn store(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// Fills `bytes` with exactly what the Blob holds.
fn read_blob(blob: &Blob, bytes: &mut [u8]) -> io::Result<()> {
    let buffer =
        FileReaderSync::new().and_then(|reader| reader.read_as_array_buffer(blob)).map_err(js::io_error)?;
    let wanted = bytes.len();
    js::take(buffer, bytes).map_err(|found| {
        let text = "the browser gave back another number of bytes than were stored";
        Error::new(ErrorKind::Io, text).expected(wanted, found).into()
    })
}

fn index(at: u64) -> Option<usize> {
    usize::try_from(at / BLOCK).ok()
}
