//! Any store of blocks as a file: [`Paged`] keeps a few blocks of 1 MiB in memory and is [`Read`], [`Write`] and
//! [`Seek`]. The stores of a browser are slow on small accesses, and some can only be replaced block by block.

use crate::error::{Error, ErrorKind};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Size of a block in bytes.
pub const BLOCK: u64 = 1 << 20;

/// How many blocks stay in memory: the one at the end, the one with the header that is patched, and spare ones.
const KEPT: usize = 4;

/// What [`Paged`] reads from and writes to. Offsets are multiples of [`BLOCK`].
pub trait Blocks {
    /// Size of what is stored, in bytes.
    fn size(&self) -> u64;

    /// Fills `bytes` from the block that begins at `at`; it lies within what is stored.
    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Stores the block that begins at `at`: at most [`BLOCK`] bytes, a whole block unless it is the last one.
    fn store(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Drops everything behind this size.
    fn truncate(&mut self, size: u64) -> io::Result<()>;
}

/// A file over blocks. What was written is stored by [`flush`](Write::flush); dropping it stores nothing.
#[derive(Debug)]
pub struct Paged<B> {
    blocks: B,
    /// The blocks in memory, the one used last at the end.
    pages: Vec<Page>,
    position: u64,
    size: u64,
}

#[derive(Debug)]
struct Page {
    at: u64,
    bytes: Vec<u8>,
    dirty: bool,
}

impl<B: Blocks> Paged<B> {
    /// A file over these blocks, at its beginning.
    pub fn new(blocks: B) -> Self {
        let size = blocks.size();
        Self { blocks, pages: Vec::new(), position: 0, size }
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Stores what is still in memory and gives the blocks back.
    pub fn into_blocks(mut self) -> io::Result<B> {
        self.flush()?;
        Ok(self.blocks)
    }

    /// Drops everything behind this size; a greater one changes nothing.
    pub fn truncate(&mut self, size: u64) -> io::Result<()> {
        if size >= self.size {
            return Ok(());
        }
        self.flush()?;
        self.pages.clear();
        self.blocks.truncate(size)?;
        self.size = size;
        Ok(())
    }

    /// The block that holds this offset, in memory.
    fn page(&mut self, offset: u64) -> io::Result<&mut Page> {
        let at = offset - offset % BLOCK;
        if let Some(index) = self.pages.iter().position(|page| page.at == at) {
            let page = self.pages.remove(index);
            self.pages.push(page);
        } else {
            if self.pages.len() >= KEPT {
                self.store_all()?;
                self.pages.remove(0);
            }
            let stored = self.blocks.size().saturating_sub(at).min(BLOCK);
            let mut bytes = vec![0; to_usize(stored)];
            self.blocks.load(at, &mut bytes)?;
            self.pages.push(Page { at, bytes, dirty: false });
        }
        self.pages.last_mut().ok_or_else(|| io::Error::other("no page"))
    }

    /// Stores what has changed, in the order of the file: a block is only ever appended behind whole ones.
    fn store_all(&mut self) -> io::Result<()> {
        let mut dirty: Vec<_> = self.pages.iter_mut().filter(|page| page.dirty).collect();
        dirty.sort_by_key(|page| page.at);
        for page in dirty {
            self.blocks.store(page.at, &page.bytes)?;
            page.dirty = false;
        }
        Ok(())
    }

    /// Writes as much as fits in one block at this offset, which is at most the file's size.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let within = to_usize(offset % BLOCK);
        let count = bytes.len().min(to_usize(BLOCK) - within);
        let page = self.page(offset)?;
        let (overwritten, appended) = bytes.split_at(count).0.split_at(count.min(page.bytes.len() - within));
        if let Some(target) = page.bytes.get_mut(within..within + overwritten.len()) {
            target.copy_from_slice(overwritten);
        }
        page.bytes.extend_from_slice(appended);
        page.dirty = true;
        self.size = self.size.max(offset + count as u64);
        Ok(count)
    }
}

/// A count of at most [`BLOCK`] bytes.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl<B: Blocks> Read for Paged<B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let position = self.position;
        let page = self.page(position)?;
        let rest = page.bytes.get(to_usize(position % BLOCK)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(target), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            target.copy_from_slice(from);
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl<B: Blocks> Write for Paged<B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // As with any file: what lies between the old end and the first byte behind it reads as zeros.
        while self.size < self.position {
            let gap = [0; 4096];
            let count = (self.position - self.size).min(gap.len() as u64);
            self.write_at(self.size, gap.get(..to_usize(count)).unwrap_or_default())?;
        }
        let count = self.write_at(self.position, bytes)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.store_all()
    }
}

impl<B: Blocks> Seek for Paged<B> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        // A browser counts in f64: beyond 2^53 it would round.
        self.position = target.filter(|offset| *offset < 1 << 53).ok_or_else(|| {
            let error = Error::new(ErrorKind::BadArgument, "no such place in a file")
                .expected("0 to 2^53", format!("{to:?}"));
            io::Error::new(io::ErrorKind::InvalidInput, error)
        })?;
        Ok(self.position)
    }
}
