//! Any store of blocks as a file: [`Paged`] keeps a few blocks of 1 MiB in memory and is [`Read`], [`Write`] and
//! [`Seek`]. The stores of a browser are slow on small accesses, and some can only be replaced block by block.

use crate::error::{Error, ErrorKind};
use crate::job::backup::Output;
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

/// A file over blocks. What was written is stored by [`flush`](Write::flush), and read from the blocks again after it;
/// dropping it stores nothing.
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
        // Nothing is stored for this: it has to work where the disk is full.
        if self.blocks.size() > size {
            self.blocks.truncate(size)?;
        }
        self.pages.retain(|page| page.at < size);
        for page in &mut self.pages {
            page.bytes.truncate(to_usize(size - page.at));
        }
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
            if !bytes.is_empty() {
                self.blocks.load(at, &mut bytes)?;
            }
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

impl<B: Blocks> Output for Paged<B> {
    fn clear(&mut self) -> io::Result<()> {
        self.truncate(0)?;
        self.rewind()
    }
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
        self.store_all()?;
        // Whoever reads on finds what the blocks give back, not what was meant.
        self.pages.clear();
        Ok(())
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

#[cfg(all(test, not(target_arch = "wasm32")))]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// Blocks in memory that keep the contract: they are only ever appended behind whole ones.
    #[derive(Default)]
    struct Memory(Vec<u8>);

    impl Blocks for Memory {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
            assert_eq!(at % BLOCK, 0);
            bytes.copy_from_slice(&self.0[at as usize..][..bytes.len()]);
            Ok(())
        }

        fn store(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            assert!(at.is_multiple_of(BLOCK) && at <= self.size() && bytes.len() as u64 <= BLOCK);
            let end = at as usize + bytes.len();
            assert!(bytes.len() as u64 == BLOCK || end >= self.0.len(), "a short block within the file");
            self.0.resize(self.0.len().max(end), 0);
            self.0[at as usize..end].copy_from_slice(bytes);
            Ok(())
        }

        fn truncate(&mut self, size: u64) -> io::Result<()> {
            self.0.truncate(size as usize);
            Ok(())
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write(usize, u8),
        Seek(u64),
        Read(usize),
        Truncate(u64),
        Flush,
    }

    /// No empty writes: a cursor grows up to its position then, which no file does.
    fn step() -> impl Strategy<Value = Step> {
        let end = 8 * BLOCK;
        prop_oneof![
            4 => (prop_oneof![1..50_usize, 1..3 * BLOCK as usize], any::<u8>()).prop_map(|(count, first)| Step::Write(count, first)),
            3 => (0..end).prop_map(Step::Seek),
            2 => (0..2 * BLOCK as usize).prop_map(Step::Read),
            1 => (0..end).prop_map(Step::Truncate),
            1 => Just(Step::Flush),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_paged_file_is_a_file(steps in prop::collection::vec(step(), 1..60)) {
            let mut file = Paged::new(Memory::default());
            let mut model = Cursor::new(Vec::new());
            for step in steps {
                match step {
                    Step::Write(count, first) => {
                        let bytes: Vec<u8> = (0..count).map(|n| first.wrapping_add((n % 251) as u8)).collect();
                        model.write_all(&bytes).unwrap();
                        file.write_all(&bytes).unwrap();
                    }
                    Step::Seek(to) => prop_assert_eq!(
                        file.seek(SeekFrom::Start(to)).unwrap(),
                        model.seek(SeekFrom::Start(to)).unwrap()
                    ),
                    Step::Read(count) => {
                        let (mut found, mut expected) = (Vec::new(), Vec::new());
                        (&mut model).take(count as u64).read_to_end(&mut expected).unwrap();
                        (&mut file).take(count as u64).read_to_end(&mut found).unwrap();
                        prop_assert!(found == expected);
                    }
                    Step::Truncate(size) => {
                        model.get_mut().truncate(size as usize);
                        file.truncate(size).unwrap();
                    }
                    Step::Flush => file.flush().unwrap(),
                }
                prop_assert_eq!(file.size(), model.get_ref().len() as u64);
            }
            prop_assert!(&file.into_blocks().unwrap().0 == model.get_ref());
        }
    }

    /// Blocks that are full from the beginning, or whose every block loses a bit on its way.
    struct Bad {
        full: bool,
        memory: Memory,
    }

    impl Blocks for Bad {
        fn size(&self) -> u64 {
            self.memory.size()
        }

        fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
            self.memory.load(at, bytes)
        }

        fn store(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            if self.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut bytes = bytes.to_vec();
            bytes[0] ^= 1;
            self.memory.store(at, &bytes)
        }

        fn truncate(&mut self, size: u64) -> io::Result<()> {
            self.memory.truncate(size)
        }
    }

    #[test]
    fn what_is_read_after_a_flush_is_what_was_stored() {
        let mut file = Paged::new(Bad { full: false, memory: Memory::default() });
        file.write_all(b"backup").unwrap();
        file.flush().unwrap();
        file.rewind().unwrap();
        let mut found = String::new();
        file.read_to_string(&mut found).unwrap();
        assert_eq!(found, "cackup");
    }

    #[test]
    fn a_full_disk_can_be_cleared() {
        let mut file = Paged::new(Bad { full: true, memory: Memory(vec![7; 3 * BLOCK as usize]) });
        file.seek(SeekFrom::Start(BLOCK / 2)).unwrap();
        file.write_all(&vec![8; 3 * BLOCK as usize]).unwrap();
        assert!(file.flush().is_err());
        file.truncate(0).unwrap();
        assert!(file.into_blocks().unwrap().memory.0.is_empty());
    }

    #[test]
    fn places_beyond_what_a_browser_counts_are_refused() {
        let mut file = Paged::new(Memory::default());
        for wrong in [SeekFrom::End(-1), SeekFrom::Start(1 << 53), SeekFrom::Start(u64::MAX)] {
            assert_eq!(file.seek(wrong).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(file.stream_position().unwrap(), 0);
    }
}
