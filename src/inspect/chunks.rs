//! Decoded lines in pieces that fit into memory. A part of ours is one chunk; a part of another program may be any
//! number of them. The chunks looked at last are kept, bounded by bytes.

use crate::document;
use crate::error::{Error, Result};
use crate::part::append;
use crate::reader::{BackupReader, Lines, OnProgress, is_fatal};
use std::io::{Read, Seek};
use std::ops::ControlFlow;

/// How much memory one chunk takes, unless a single line is longer.
const CHUNK_BYTES: usize = 16 << 20;

/// How many bytes a block has, unless a single line is longer: it fits into a processor's cache.
const BLOCK_BYTES: usize = 128 << 10;

/// How much memory the kept chunks take together, unless a single one is larger.
const KEPT_BYTES: usize = 48 << 20;

/// How many chunks are kept, however small they are.
const KEPT_CHUNKS: usize = 16;

/// Consecutive lines of a part, and what was wrong behind them.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The number of its first line, counted from 0.
    pub(super) first: u64,
    /// Why the part cannot be read any further, or cannot be trusted: the lines given all are documents.
    pub(super) problem: Option<Error>,
    /// The name of the part.
    pub(super) part: String,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    last: bool,
}

impl Chunk {
    /// How many lines it has.
    pub(super) fn lines(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The line of this number, counted in the part.
    pub(super) fn line(&self, number: u64) -> Option<&[u8]> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.bytes.get(self.start(at)?..self.ends.get(at).copied()?)
    }

    /// All of its lines, each with a line feed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A block of whole lines from this one on, counted in the chunk, and where the next block begins.
    pub(super) fn block(&self, from: usize) -> Option<(&[u8], usize)> {
        let start = self.start(from)?;
        let ends = self.ends.get(from..).filter(|ends| !ends.is_empty())?;
        let lines = ends.partition_point(|end| end - start < BLOCK_BYTES).max(1);
        let end = ends.get(lines - 1)?;
        Some((self.bytes.get(start..=*end)?, from + lines))
    }

    /// Whether nothing of the part follows.
    pub(super) fn is_last(&self) -> bool {
        self.last
    }

    /// Where the line of this number, counted in the chunk, begins in [`Chunk::bytes`].
    fn start(&self, at: usize) -> Option<usize> {
        match at.checked_sub(1) {
            Some(before) => self.ends.get(before).map(|end| end + 1),
            None => Some(0),
        }
    }

    /// Where the next chunk begins.
    fn end(&self) -> u64 {
        self.first + self.lines()
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Drops what a damaged part holds from the first line on that is no document: it is most likely noise.
    fn keep_documents(&mut self) {
        let sound = |number: &u64| self.line(*number).is_some_and(|line| document::parse(line).is_ok());
        let count = (self.first..self.end()).take_while(sound).count();
        self.ends.truncate(count);
        self.bytes.truncate(self.ends.last().map_or(0, |end| end + 1));
    }
}

/// The chunks looked at last, the latest at the end.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Chunk>);

impl Kept {
    /// The chunk of this part that has this line; where the part has fewer lines, its last chunk.
    pub(super) fn chunk<R: Read + Seek>(
        &mut self,
        reader: &mut BackupReader<R>,
        part: &str,
        line: u64,
    ) -> Result<&Chunk> {
        let has =
            |chunk: &Chunk| chunk.part == part && chunk.first <= line && (chunk.last || line < chunk.end());
        let chunk = match self.0.iter().rposition(has) {
            Some(at) => self.0.remove(at),
            None => {
                self.make_room();
                load(reader, part, line)?
            }
        };
        Ok(self.0.push_mut(chunk))
    }

    /// Leaves room for one more chunk.
    fn make_room(&mut self) {
        let mut total = CHUNK_BYTES + self.0.iter().map(Chunk::memory).sum::<usize>();
        while (total > KEPT_BYTES || self.0.len() >= KEPT_CHUNKS) && !self.0.is_empty() {
            total -= self.0.remove(0).memory();
        }
    }
}

/// Shows the chunks of a part from this line on, until told to stop.
///
/// # Errors
/// `io`, those of `on_chunk` and `progress`; what is damaged is the last chunk's problem.
pub(super) fn each<R: Read + Seek>(
    reader: &mut BackupReader<R>,
    part: &str,
    from: u64,
    progress: OnProgress<'_>,
    on_chunk: &mut dyn FnMut(&Chunk, OnProgress<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut at = match reader.lines(part) {
        Ok(mut lines) => {
            let mut first = 0;
            let mut reported = 0;
            loop {
                let chunk = read(&mut lines, part, first)?;
                if chunk.problem.is_some() {
                    break first.max(from);
                }
                first = chunk.end();
                progress(lines.bytes_read() - std::mem::replace(&mut reported, lines.bytes_read()))?;
                let wanted = from < chunk.end();
                if wanted && on_chunk(&chunk, progress)?.is_break() || chunk.last {
                    return Ok(());
                }
            }
        }
        Err(error) => {
            let chunk = nothing(part, error)?;
            return on_chunk(&chunk, progress).map(|_| ());
        }
    };
    loop {
        // Read with care it may fill this chunk, and have its damage in the next.
        let chunk = load(reader, part, at)?;
        if on_chunk(&chunk, progress)?.is_break() || chunk.last {
            return Ok(());
        }
        at = chunk.end();
    }
}

/// The chunk that has this line, else the last.
pub(super) fn load<R: Read + Seek>(reader: &mut BackupReader<R>, part: &str, line: u64) -> Result<Chunk> {
    let mut lines = match reader.lines(part) {
        Ok(lines) => lines,
        Err(error) => return nothing(part, error),
    };
    let chunk = seek(&mut lines, part, line)?;
    if chunk.problem.is_none() {
        return Ok(chunk);
    }
    // Once more: what the first reading has decoded of the damaged piece is not all that there is.
    let mut chunk = seek(&mut reader.careful_lines(part)?, part, line)?;
    if chunk.problem.is_some() {
        chunk.keep_documents();
    }
    Ok(chunk)
}

fn seek<R: Read + Seek>(lines: &mut Lines<'_, R>, part: &str, line: u64) -> Result<Chunk> {
    let mut first = 0;
    loop {
        let chunk = read(lines, part, first)?;
        if chunk.last || line < chunk.end() {
            return Ok(chunk);
        }
        first = chunk.end();
    }
}

/// The next lines that fit into a chunk.
fn read<R: Read + Seek>(lines: &mut Lines<'_, R>, part: &str, first: u64) -> Result<Chunk> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let chunk =
        |bytes, ends, problem, last| Chunk { first, problem, part: part.to_owned(), bytes, ends, last };
    while bytes.len() + ends.len() * size_of::<usize>() < CHUNK_BYTES {
        match lines.next_line() {
            Ok(Some(line)) => {
                append(&mut bytes, line, CHUNK_BYTES);
                ends.push(bytes.len());
                append(&mut bytes, b"\n", CHUNK_BYTES);
            }
            Ok(None) => return Ok(chunk(bytes, ends, None, true)),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => return Ok(chunk(bytes, ends, Some(error), true)),
        }
    }
    Ok(chunk(bytes, ends, None, false))
}

/// The only chunk of a part that cannot be opened.
fn nothing(part: &str, error: Error) -> Result<Chunk> {
    if is_fatal(&error) {
        return Err(error);
    }
    let problem = Some(error);
    Ok(Chunk { first: 0, problem, part: part.to_owned(), bytes: Vec::new(), ends: Vec::new(), last: true })
}
