//! Reads whole blocks, because each read of a browser's Blob or of a file over HTTP costs a round trip.

use std::io::{self, Read, Seek, SeekFrom};

/// How many bytes are read at once.
pub const BLOCK_BYTES: usize = 1 << 20;

/// A reader that keeps one block of [`BLOCK_BYTES`] in memory.
#[derive(Debug)]
pub struct BlockReader<R> {
    inner: R,
    length: u64,
    at: u64,
    block: Vec<u8>,
    block_at: u64,
    loads: u64,
}

impl<R: Read + Seek> BlockReader<R> {
    /// Reads from `inner`, whose length must not change any more.
    ///
    /// # Errors
    /// Those of `inner` when it is asked for its length.
    pub fn new(mut inner: R) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, length, at: 0, block: Vec::new(), block_at: 0, loads: 0 })
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many blocks were read so far.
    pub fn loads(&self) -> u64 {
        self.loads
    }

    /// Gives back what it reads from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Bytes of the block from the current position on; empty where the block does not hold it.
    fn cached(&self) -> &[u8] {
        let from = self.at.checked_sub(self.block_at).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.block.get(from..)).unwrap_or_default()
    }

    fn load(&mut self) -> io::Result<()> {
        let start = self.at - self.at % BLOCK_BYTES as u64;
        let wanted = BLOCK_BYTES.min(usize::try_from(self.length - start).unwrap_or(BLOCK_BYTES));
        self.loads += 1;
        // What a failed read leaves behind is no block.
        self.block.clear();
        self.inner.seek(SeekFrom::Start(start))?;
        let mut block = std::mem::take(&mut self.block);
        block.resize(wanted, 0);
        self.inner.read_exact(&mut block)?;
        (self.block, self.block_at) = (block, start);
        Ok(())
    }
}

impl<R: Read + Seek> Read for BlockReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || out.is_empty() {
            return Ok(0);
        }
        if self.cached().is_empty() {
            self.load()?;
        }
        let count = self.cached().read(out)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for BlockReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn reads_the_same_as_without_blocks(
            length in 0..3 * BLOCK_BYTES,
            reads in prop::collection::vec((0..3 * BLOCK_BYTES as u64, 0..BLOCK_BYTES + 9), 1..20),
        ) {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 251 + at) as u8).collect();
            let mut plain = Cursor::new(&bytes);
            let mut blocks = BlockReader::new(Cursor::new(&bytes)).unwrap();
            for (at, count) in reads {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                plain.seek(SeekFrom::Start(at)).unwrap();
                blocks.seek(SeekFrom::Start(at)).unwrap();
                (&mut plain).take(count as u64).read_to_end(&mut one).unwrap();
                (&mut blocks).take(count as u64).read_to_end(&mut other).unwrap();
                prop_assert!(one == other);
            }
        }
    }
}
