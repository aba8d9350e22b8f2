//! One entry: its local header is compared with the central one, its bytes with size, CRC-32 and SHA-256, as they are
//! read. Whoever has read to the end without an error has read what was written.

use super::block::BlockReader;
use super::records::{DATA_DESCRIPTOR, DESCRIPTOR_FORMS, Descriptor, bytes_at, local_header};
use super::refusal::Refusal;
use crate::codec::Decoder;
use crate::digest::{Hasher, Sha256};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{Limits, MAX_DOCUMENT_BYTES};
use flate2::read::DeflateDecoder;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::ops::Range;

/// How many decoded bytes of a part are read at once.
const LINES_BUFFER: usize = 256 << 10;

/// How many compressed bytes of a damaged part are decoded at once.
const CAREFUL_BUFFER: usize = 64;

/// One entry of the central directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name; a folder's ends in a slash.
    pub name: String,
    /// Bytes that a ZIP tool unpacks.
    pub size: u64,
    /// Bytes in the archive.
    pub stored_size: u64,
    /// Why it cannot be read, where the directory says that much.
    pub(super) refusal: Option<Refusal>,
    /// The bytes of the name, where they are not those of `name`.
    pub(super) raw_name: Option<Box<[u8]>>,
    pub(super) method: Method,
    pub(super) crc32: u32,
    pub(super) flags: u16,
    pub(super) needed: u16,
    pub(super) moment: (u16, u16),
    /// Where the local header begins, and where it and the data have to end.
    pub(super) at: u64,
    pub(super) limit: u64,
    /// Whether the header is the one that FORMAT.md section 2 asks for.
    pub(super) canonical: bool,
    /// Whether there is no central header that its local one can be compared with.
    pub(super) lone: bool,
    /// Whether macOS has added it beside a file or folder that is there too.
    pub(super) addition: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflate,
}

impl Entry {
    /// Marks it as not readable; the first reason stays.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    /// Why it cannot be read, where the directory says that much.
    pub fn problem(&self) -> Option<Error> {
        let refusal = self.refusal?;
        Some(refusal.error(self.stored_size, self.size).on(self.name.as_str()))
    }

    /// The name as the headers have it.
    pub(super) fn raw_name(&self) -> &[u8] {
        self.raw_name.as_deref().unwrap_or(self.name.as_bytes())
    }

    /// Reads the local header; answers where the data begins.
    fn data_at<R: Read + Seek>(&self, input: &mut BlockReader<R>) -> Result<u64> {
        let local = local_header(input, self.at)?;
        let method = if self.method == Method::Deflate { 8 } else { 0 };
        // Some tools leave all three to the descriptor, and some only those that they do not know yet.
        let may_lack = local.flags & DATA_DESCRIPTOR != 0;
        let agrees = |local: u64, central: u64| local == central || may_lack && local == 0;
        let sizes_agree = agrees(local.crc32.into(), self.crc32.into())
            && agrees(local.stored, self.stored_size)
            && agrees(local.size, self.size);
        let sizes = |crc32: u32, stored: u64, size: u64| format!("{crc32:08x}, {stored} and {size} bytes");
        let text = |name: &[u8]| format!("{:?}", String::from_utf8_lossy(name));
        let version = |needed: u16, moment: (u16, u16)| format!("{needed}, {moment:04x?}");
        let differences = [
            (local.name == self.raw_name(), "name", text(self.raw_name()), text(&local.name)),
            (
                local.method == method,
                "compression",
                format!("method {method}"),
                format!("method {}", local.method),
            ),
            (
                local.flags == self.flags,
                "flags",
                format!("{:04x}", self.flags),
                format!("{:04x}", local.flags),
            ),
            (
                sizes_agree || self.lone,
                "size or CRC-32",
                sizes(self.crc32, self.stored_size, self.size),
                sizes(local.crc32, local.stored, local.size),
            ),
            // Nothing depends on these, but in an archive of ours nothing differs.
            (
                !self.canonical || (local.needed, local.moment) == (self.needed, self.moment),
                "version or time",
                version(self.needed, self.moment),
                version(local.needed, local.moment),
            ),
            (
                !self.canonical || local.only_zip64,
                "extra fields",
                "none but that of ZIP64".to_owned(),
                format!("{} bytes", local.extra.len()),
            ),
        ];
        match differences.into_iter().find(|(agrees, ..)| !agrees) {
            None => Ok(local.data_at),
            Some((_, what, central, local)) => {
                let message = format!("local and central header differ in {what}");
                Err(Error::new(ErrorKind::DamagedEntry, message).expected(central, local))
            }
        }
    }

    /// Compares the record behind the data, where there is room for one, with the directory.
    fn check_descriptor<R: Read + Seek>(&self, input: &mut BlockReader<R>, end: u64) -> Result<()> {
        let room = self.limit.saturating_sub(end).min(24);
        if self.flags & DATA_DESCRIPTOR == 0 || self.lone || room < 12 {
            return Ok(());
        }
        let record = bytes_at(input, end, room)?;
        let expected = Descriptor { crc32: self.crc32, stored: self.stored_size, size: self.size };
        let found: Vec<_> =
            DESCRIPTOR_FORMS.iter().filter_map(|form| Descriptor::of(&record, *form)).collect();
        if found.contains(&expected) {
            return Ok(());
        }
        let says = |it: &Descriptor| format!("{:08x}, {} and {} bytes", it.crc32, it.stored, it.size);
        let message = "the data descriptor behind an entry differs from the directory";
        Err(Error::new(ErrorKind::DamagedEntry, message)
            .expected(says(&expected), found.first().map_or_else(|| "none".to_owned(), says)))
    }
}

/// Gives the content of an entry. Errors are [`io::Error`]s that carry an [`Error`] naming the entry.
pub struct EntryReader<'a, R> {
    source: Source<'a, R>,
    name: String,
    size: u64,
    stored_size: u64,
    crc32: u32,
    sha256: Option<Sha256>,
    read: u64,
    crc: crc32fast::Hasher,
    hasher: Hasher,
    ended: bool,
}

enum Source<'a, R> {
    Stored(Take<&'a mut BlockReader<R>>),
    Deflate(Box<DeflateDecoder<Take<&'a mut BlockReader<R>>>>),
}

impl<'a, R: Read + Seek> EntryReader<'a, R> {
    /// Opens an entry, whose content has to have this digest, if any. `tight`: nothing may lie between this entry's
    /// data and what follows it.
    pub(super) fn open(
        input: &'a mut BlockReader<R>,
        entry: &Entry,
        sha256: Option<Sha256>,
        tight: bool,
    ) -> Result<Self> {
        let on = |error: Error| error.on(entry.name.as_str());
        if let Some(problem) = entry.problem() {
            return Err(problem);
        }
        let at = entry.data_at(input).map_err(on)?;
        let end = at.saturating_add(entry.stored_size);
        if end > entry.limit {
            let message = "an entry's bytes overlap what follows it";
            return Err(on(Error::new(ErrorKind::ConflictingEntries, message)
                .expected(format!("an end at {} or before", entry.limit), end)));
        }
        if tight && end != entry.limit {
            return Err(on(Error::new(ErrorKind::DamagedEntry, "unknown bytes follow an entry")
                .expected(format!("an end at {}", entry.limit), end)));
        }
        entry.check_descriptor(input, end).map_err(on)?;
        input.seek(SeekFrom::Start(at))?;
        let data = input.take(entry.stored_size);
        Ok(Self {
            source: match entry.method {
                Method::Stored => Source::Stored(data),
                Method::Deflate => Source::Deflate(Box::new(DeflateDecoder::new(data))),
            },
            name: entry.name.clone(),
            size: entry.size,
            stored_size: entry.stored_size,
            crc32: entry.crc32,
            sha256,
            read: 0,
            crc: crc32fast::Hasher::new(),
            hasher: Hasher::default(),
            ended: false,
        })
    }

    fn damaged(&self, message: &str) -> Error {
        Error::new(ErrorKind::DamagedEntry, message).on(self.name.as_str())
    }

    fn check_end(&mut self) -> Result<()> {
        if self.read != self.size {
            return Err(self.damaged("an entry is too short").expected(self.size, self.read));
        }
        if let Source::Deflate(decoder) = &self.source
            && decoder.total_in() != self.stored_size
        {
            return Err(self.damaged("bytes follow the end of an entry's compressed data"));
        }
        let crc32 = std::mem::take(&mut self.crc).finalize();
        if crc32 != self.crc32 {
            let (expected, actual) = (format!("{:08x}", self.crc32), format!("{crc32:08x}"));
            return Err(self.damaged("an entry's CRC-32 is wrong").expected(expected, actual));
        }
        if let Some(expected) = self.sha256 {
            let found = std::mem::take(&mut self.hasher).finish();
            if found != expected {
                return Err(self
                    .damaged("an entry's SHA-256 is not the manifest's")
                    .expected(expected, found));
            }
        }
        Ok(())
    }
}

impl<R: Read + Seek> Read for EntryReader<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended || out.is_empty() {
            return Ok(0);
        }
        let result = match &mut self.source {
            Source::Stored(data) => data.read(out),
            Source::Deflate(decoder) => decoder.read(out).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    let message = "an entry's compressed data is damaged";
                    Error::new(ErrorKind::DamagedEntry, message).on(self.name.as_str()).into()
                }
                _ => error,
            }),
        };
        let count = result?;
        if count == 0 {
            self.check_end()?;
            self.ended = true;
            return Ok(0);
        }
        self.read += count as u64;
        if self.read > self.size {
            return Err(self.damaged("an entry is longer than its header says").into());
        }
        let bytes = out.get(..count).unwrap_or_default();
        self.crc.update(bytes);
        if self.sha256.is_some() {
            self.hasher.update(bytes);
        }
        Ok(count)
    }
}

impl<R> fmt::Debug for EntryReader<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryReader")
            .field("name", &self.name)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// What the manifest says of a part's lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

/// The lines of a part, in its order.
pub struct Lines<'a, R> {
    decoder: Decoder<EntryReader<'a, R>>,
    name: String,
    stored_size: u64,
    limits: Limits,
    announced: Option<Announced>,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    ended: bool,
    /// Whether a line has been given or passed over.
    begun: bool,
    has_mark: bool,
    documents: u64,
    bytes: u64,
}

impl<'a, R: Read + Seek> Lines<'a, R> {
    pub(super) fn new(entry: EntryReader<'a, R>, announced: Option<Announced>, limits: Limits) -> Self {
        Self::of(Decoder::new, entry, announced, limits)
    }

    /// The same in steps so small that a damaged part gives nearly all that stands before its damage.
    pub(super) fn careful(entry: EntryReader<'a, R>, announced: Option<Announced>, limits: Limits) -> Self {
        Self::of(|entry| Decoder::with_buffer(entry, CAREFUL_BUFFER), entry, announced, limits)
    }

    fn of(
        decoder: impl FnOnce(EntryReader<'a, R>) -> Decoder<EntryReader<'a, R>>,
        entry: EntryReader<'a, R>,
        announced: Option<Announced>,
        limits: Limits,
    ) -> Self {
        Self {
            name: entry.name.clone(),
            stored_size: entry.size,
            decoder: decoder(entry),
            limits,
            announced,
            buffer: vec![0; LINES_BUFFER],
            from: 0,
            to: 0,
            ended: false,
            begun: false,
            has_mark: false,
            documents: 0,
            bytes: 0,
        }
    }

    /// The next line without its line feed; none at the end, once everything has agreed. Empty lines, be there a CR in
    /// them, are passed over: our own parts never have any.
    ///
    /// # Errors
    /// `damaged-part`, `damaged-entry`, `limit-exceeded`, `io`; the lines before stand.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>> {
        let (from, to) = loop {
            let Some((from, to)) = self.next_span().map_err(|error| error.on(self.name.as_str()))? else {
                return Ok(None);
            };
            let from = from + self.mark_bytes(from..to);
            self.begun = true;
            if !matches!(self.buffer.get(from..to), None | Some(b"" | b"\r")) {
                break (from, to);
            }
        };
        self.documents += 1;
        Ok(self.buffer.get(from..to))
    }

    /// How many bytes of this line are a byte order mark. Another program may begin a part with one, ours never do.
    fn mark_bytes(&mut self, line: Range<usize>) -> usize {
        let mark = "\u{feff}".as_bytes();
        let begins = !self.begun && self.announced.is_none();
        self.has_mark |= begins && self.buffer.get(line).is_some_and(|line| line.starts_with(mark));
        if begins && self.has_mark { mark.len() } else { 0 }
    }

    /// Whether the part began with a byte order mark, which belongs to no document.
    pub fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// How many lines have been given.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// How many bytes have been decoded.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes of the entry, as a ZIP tool unpacks it, have been read.
    pub fn bytes_read(&self) -> u64 {
        self.decoder.get_ref().read
    }

    /// Where the next line lies in the buffer.
    fn next_span(&mut self) -> Result<Option<(usize, usize)>> {
        let mut searched = 0;
        loop {
            let pending = self.buffer.get(self.from..self.to).unwrap_or_default();
            let found = memchr::memchr(b'\n', pending.get(searched..).unwrap_or_default());
            let from = self.from;
            if let Some(length) = found.map(|found| found + searched) {
                self.from += length + 1;
                return Ok(Some((from, from + length)));
            }
            searched = pending.len();
            if searched > MAX_DOCUMENT_BYTES {
                return Err(Error::new(ErrorKind::LimitExceeded, "a line is too long")
                    .expected(format!("at most {MAX_DOCUMENT_BYTES} bytes"), "more"));
            }
            if self.ended || self.fill()? == 0 {
                self.ended = true;
                if searched == 0 {
                    self.check_end()?;
                    return Ok(None);
                }
                if self.announced.is_some() {
                    return Err(Error::new(
                        ErrorKind::DamagedPart,
                        "the last line does not end in a line feed",
                    ));
                }
                let from = self.from;
                self.from = self.to;
                return Ok(Some((from, self.to)));
            }
        }
    }

    /// Decodes more behind what is pending; answers how much, which is nothing only at the end.
    fn fill(&mut self) -> Result<usize> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.to == self.buffer.len() {
            // The longest line, with its line feed: whoever fills that without one is refused.
            self.buffer.resize((self.buffer.len() * 2).min(MAX_DOCUMENT_BYTES + 1), 0);
        }
        let room = self.buffer.get_mut(self.to..).unwrap_or_default();
        let count = self.decoder.read(room)?;
        self.to += count;
        self.bytes += count as u64;
        self.limits.check_ratio(self.stored_size, self.bytes)?;
        let most = self.announced.map_or(self.limits.entry_bytes, |announced| announced.bytes);
        if self.bytes > most {
            let kind =
                if self.announced.is_some() { ErrorKind::DamagedPart } else { ErrorKind::LimitExceeded };
            return Err(
                Error::new(kind, "a part holds more than it may").expected(format!("{most} bytes"), "more")
            );
        }
        Ok(count)
    }

    fn check_end(&self) -> Result<()> {
        let Some(Announced { documents, bytes }) = self.announced else { return Ok(()) };
        if (documents, bytes) == (self.documents, self.bytes) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::DamagedPart, "a part does not hold what the manifest says").expected(
            format!("{documents} documents in {bytes} bytes"),
            format!("{} documents in {} bytes", self.documents, self.bytes),
        ))
    }
}

impl<R> fmt::Debug for Lines<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("name", &self.name)
            .field("documents", &self.documents)
            .finish_non_exhaustive()
    }
}
