//! Entries found by their local headers (APPNOTE.TXT 6.3.10 sections 4.3.7 and 4.3.9), where the central directory is
//! gone or cannot be used: an archive that was cut, or whose end was overwritten.
//!
//! From entry to entry it goes by the sizes that the headers state, and searches for the next header where these lead
//! nowhere. The work grows with the size of the file, however the headers lie.

use super::block::{BLOCK_BYTES, BlockReader};
use super::directory::{NEWEST_VERSION, flaw, within};
use super::entry::{Entry, Method};
use super::records::{
    CENTRAL, DATA_DESCRIPTOR, DESCRIPTOR, DESCRIPTOR_FORMS, Descriptor, END, Extra, LOCAL, LOCAL_BYTES,
    LocalHeader, ZIP64_END, ZIP64_EXTRA, bytes_at, decode_name, local_header,
};
use super::refusal::Refusal;
use super::{OnProgress, Result, is_fatal, names};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

/// The file is read this many times over to find out what lying headers hide; after that they are believed.
const READINGS: u64 = 4;

/// How many bytes a search reads at first; headers are often close to each other.
const FIRST_STEP_BYTES: u64 = 256;

/// How many bytes of a name are looked at in one step.
const NAME_STEP_BYTES: u64 = 256;

/// How many bytes are looked at, at most, before what looks like a header and is none is a place to cancel the search.
const CANCEL_BYTES: u64 = 64 << 10;

/// Every entry whose local header can be found, in the order of the file.
pub(super) fn read<R: Read + Seek>(
    input: &mut BlockReader<R>,
    limits: &Limits,
    progress: OnProgress<'_>,
) -> Result<Vec<Entry>> {
    Scan::new(input, limits, progress).entries()
}

/// Says that entries were found by their local headers.
pub(super) fn lost(why: &Error) -> Error {
    let message =
        format!("the central directory cannot be used: entries were found by their local headers ({why})");
    Error::new(ErrorKind::DamagedDirectory, message)
}

struct Header {
    at: u64,
    record: LocalHeader,
}

struct Scan<'a, R> {
    input: &'a mut BlockReader<R>,
    limits: &'a Limits,
    progress: OnProgress<'a>,
    /// How many bytes have been looked at.
    steps: u64,
    /// How many there were when the search could last be cancelled between candidates.
    cancellable: u64,
    /// How many of them to find out whether headers lie.
    doubts: u64,
    /// How many blocks may have been read before headers are believed.
    loads: u64,
    descriptors: Option<Descriptors>,
}

/// Data descriptors by where the data before them begins: the first one that ends where a record begins, and the first
/// of those that fit data that is not compressed.
type Descriptors = HashMap<u64, [Option<(Descriptor, u64)>; 2]>;

impl<'a, R: Read + Seek> Scan<'a, R> {
    fn new(input: &'a mut BlockReader<R>, limits: &'a Limits, progress: OnProgress<'a>) -> Self {
        let loads = input.loads() + READINGS * (input.length() / BLOCK_BYTES as u64 + 1);
        Self { input, limits, progress, steps: 0, cancellable: 0, doubts: 0, loads, descriptors: None }
    }

    fn entries(&mut self) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut at = 0;
        while let Some(header) = self.next_header(at)? {
            within("entries", entries.len() as u64 + 1, self.limits.entries)?;
            let (entry, next) = self.entry(header)?;
            entries.push(entry);
            at = next;
            (self.progress)(0)?;
        }
        let mut limit = self.input.length();
        for entry in entries.iter_mut().rev() {
            entry.limit = limit;
            limit = entry.at;
        }
        Ok(entries)
    }

    /// The next header from `at` on.
    fn next_header(&mut self, mut at: u64) -> Result<Option<Header>> {
        while let Some(place) = self.find(at, &[LOCAL])? {
            if let Some(header) = self.header(place)? {
                return Ok(Some(header));
            }
            self.go_on()?;
            at = place + 1;
        }
        Ok(None)
    }

    /// The header at this place; none where what stands there cannot be one.
    fn header(&mut self, at: u64) -> Result<Option<Header>> {
        self.steps += LOCAL_BYTES;
        let fixed = self.bytes(at, LOCAL_BYTES)?;
        let variable = [26, 28].map(|place| u64::from(u16_at(&fixed, place)));
        if !self.has_likely_name(at, &fixed, variable)? || !self.may_have_sizes(at, &fixed, variable)? {
            return Ok(None);
        }
        let bytes: u64 = variable.iter().sum();
        self.steps += bytes;
        match local_header(self.input, at) {
            Ok(record) => Ok(Some(Header { at, record })),
            Err(error) if is_fatal(&error) => Err(error),
            Err(_) => {
                self.doubts += bytes;
                Ok(None)
            }
        }
    }

    /// A place to cancel the search, where nothing is an entry that could be one.
    fn go_on(&mut self) -> Result<()> {
        if self.steps - self.cancellable < CANCEL_BYTES {
            return Ok(());
        }
        self.cancellable = self.steps;
        (self.progress)(0)
    }

    /// Whether the name of this header is one. Where the length of a name is damaged, data or the next header follows
    /// in it, and the first control character shows that.
    fn has_likely_name(
        &mut self,
        at: u64,
        fixed: &[u8],
        [name_bytes, extra_bytes]: [u64; 2],
    ) -> Result<bool> {
        let needed = u16_at(fixed, 4) & 0xff;
        let data_at = at + LOCAL_BYTES + name_bytes + extra_bytes;
        if needed > NEWEST_VERSION || name_bytes == 0 || data_at > self.input.length() {
            return Ok(false);
        }
        let (mut from, end) = (at + LOCAL_BYTES, at + LOCAL_BYTES + name_bytes);
        while from < end {
            let bytes = self.bytes(from, NAME_STEP_BYTES.min(end - from))?;
            self.steps += bytes.len() as u64;
            if bytes.is_empty() || bytes.iter().any(u8::is_ascii_control) {
                return Ok(false);
            }
            from += bytes.len() as u64;
        }
        Ok(true)
    }

    /// Whether the ZIP64 field can state the sizes that this header leaves open. It stands first, as writers put it, and
    /// its length shows that; any other extra field is read in full, until the file was read too often.
    fn may_have_sizes(&mut self, at: u64, fixed: &[u8], [name_bytes, extra_bytes]: [u64; 2]) -> Result<bool> {
        let is_open = |place: &usize| fixed.get(*place..*place + 4) == Some(&[0xff; 4][..]);
        let open = [18, 22].iter().filter(|place| is_open(place)).count() as u64;
        if open == 0 || extra_bytes < 4 {
            return Ok(true);
        }
        let first = self.bytes(at + LOCAL_BYTES + name_bytes, 4)?;
        self.steps += first.len() as u64;
        let length = u64::from(u16_at(&first, 2));
        Ok(match u16_at(&first, 0) {
            ZIP64_EXTRA => length >= 8 * open || 4 + length > extra_bytes,
            _ => !self.believes(),
        })
    }

    /// The entry of a header, and where to look for the next one.
    fn entry(&mut self, mut header: Header) -> Result<(Entry, u64)> {
        let data_at = header.record.data_at;
        let absent = header.record.flags & DATA_DESCRIPTOR != 0 && header.record.stored == 0;
        let (refusal, next) = if absent {
            match self.descriptor(&header.record)? {
                Some((Descriptor { crc32, stored, size }, next)) => {
                    (header.record.crc32, header.record.stored, header.record.size) = (crc32, stored, size);
                    (None, next)
                }
                None => {
                    let next = self.find(data_at, &[LOCAL, CENTRAL])?;
                    header.record.stored = next.unwrap_or(self.input.length()) - data_at;
                    (Some(Refusal::NoSize), data_at)
                }
            }
        } else {
            let end = self.end(&header.record)?;
            // What is left of a longer one can be read, and its end is noticed to be missing.
            header.record.stored = end - data_at;
            (None, end)
        };
        let Header { at, record } = header;
        let text = decode_name(&record.name, record.flags, &Extra::of(&record.extra));
        // Which system made it stands in the directory alone.
        let backslashes = !text.contains('/');
        let text = names::normalised(text, backslashes);
        let mut entry = Entry {
            raw_name: (text.as_bytes() != record.name).then(|| record.name.into()),
            name: text,
            size: record.size,
            stored_size: record.stored,
            refusal: None,
            method: if record.method == 8 { Method::Deflate } else { Method::Stored },
            crc32: record.crc32,
            flags: record.flags,
            needed: record.needed,
            moment: record.moment,
            at,
            limit: 0,
            canonical: false,
            lone: true,
            addition: false,
        };
        entry.refusal = refusal.or_else(|| flaw(&entry, record.method, self.limits));
        Ok((entry, next))
    }

    /// Where the data of an entry ends whose header states sizes: there, or earlier, where it has been cut or the
    /// header lies.
    fn end(&mut self, header: &LocalHeader) -> Result<u64> {
        let length = self.input.length();
        let stated = header.data_at.checked_add(header.stored).filter(|end| *end <= length);
        if let Some(end) = stated
            && (self.believes() || self.is_boundary(end)?)
        {
            return Ok(end);
        }
        let next = self.next_header(header.data_at)?.map_or(length, |header| header.at);
        match stated {
            // Something else follows it.
            Some(end) if end <= next => Ok(end),
            // What looks like a header may be within a file that is an archive itself.
            Some(end) if header.method == 0 && self.has_crc(header, end)? => Ok(end),
            _ => Ok(next),
        }
    }

    /// Whether a record begins here, or the file ends.
    fn is_boundary(&mut self, at: u64) -> Result<bool> {
        if at == self.input.length() {
            return Ok(true);
        }
        self.steps += 4;
        let signature = self.bytes(at, 4)?;
        let known = [LOCAL, CENTRAL, ZIP64_END, END, DESCRIPTOR];
        Ok(known.iter().any(|known| signature == *known))
    }

    /// Whether enough has been read: what headers state is not looked into any more.
    fn believes(&self) -> bool {
        self.doubts >= READINGS * self.input.length() || self.input.loads() >= self.loads
    }

    /// Whether the bytes up to here have the CRC-32 that the header states.
    fn has_crc(&mut self, header: &LocalHeader, end: u64) -> Result<bool> {
        let mut crc32 = crc32fast::Hasher::new();
        let mut at = header.data_at;
        while at < end {
            if self.believes() {
                return Ok(false);
            }
            let bytes = self.bytes(at, end - at)?;
            crc32.update(&bytes);
            at += bytes.len() as u64;
            self.steps += bytes.len() as u64;
            self.doubts += bytes.len() as u64;
            (self.progress)(0)?;
        }
        Ok(crc32.finalize() == header.crc32)
    }

    /// CRC-32, stored size and size of an entry whose header lacks them, and where the descriptor that has them ends.
    fn descriptor(&mut self, header: &LocalHeader) -> Result<Option<(Descriptor, u64)>> {
        if self.descriptors.is_none() {
            self.descriptors = Some(self.all_descriptors(header.data_at)?);
        }
        let found = self.descriptors.as_ref().and_then(|all| all.get(&header.data_at));
        Ok(found.and_then(|[any, plain]| if header.method == 0 { *plain } else { *any }))
    }

    /// Every descriptor from `at` on that stands before a header or the central directory. Each says by its size where
    /// the data before it begins, so that one reading finds those of all entries.
    fn all_descriptors(&mut self, mut at: u64) -> Result<Descriptors> {
        let mut all = Descriptors::new();
        let length = self.input.length();
        while at < length && (all.len() as u64) < self.limits.entries {
            let next = self.find(at, &[LOCAL, CENTRAL])?;
            let end = next.unwrap_or(length);
            let from = end.saturating_sub(24);
            let tail = bytes_at(self.input, from, end - from)?;
            self.steps += tail.len() as u64;
            for form in DESCRIPTOR_FORMS {
                let Some(begins) = tail.len().checked_sub(form.0) else { continue };
                let Some(found) = Descriptor::of(tail.get(begins..).unwrap_or_default(), form) else {
                    continue;
                };
                let data_at = (from + begins as u64).checked_sub(found.stored);
                let Some(data_at) = data_at.filter(|data_at| *data_at > LOCAL_BYTES) else { continue };
                let [any, plain] = all.entry(data_at).or_default();
                any.get_or_insert((found, end));
                if found.stored == found.size {
                    plain.get_or_insert((found, end));
                }
            }
            self.go_on()?;
            at = end + 1;
        }
        Ok(all)
    }

    /// The next place from `at` on where one of these signatures stands.
    fn find(&mut self, mut at: u64, signatures: &[[u8; 4]]) -> Result<Option<u64>> {
        let mut step = FIRST_STEP_BYTES;
        loop {
            let bytes = self.bytes(at, step)?;
            let stands = |place: &usize| {
                let rest = bytes.get(*place..).unwrap_or_default();
                signatures.iter().any(|signature| rest.starts_with(signature))
            };
            if let Some(place) = memchr::memmem::find_iter(&bytes, b"PK").find(stands) {
                self.steps += place as u64;
                return Ok(Some(at + place as u64));
            }
            self.steps += bytes.len() as u64;
            let end = at + bytes.len() as u64;
            if end >= self.input.length() {
                return Ok(None);
            }
            // A signature may begin in this block and end in the next.
            at = end.saturating_sub(3).max(at + 1);
            step = (2 * step).min(BLOCK_BYTES as u64);
            (self.progress)(0)?;
        }
    }

    /// Bytes of the file from `at` on, at most a block of them.
    fn bytes(&mut self, at: u64, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input.seek(SeekFrom::Start(at))?;
        Read::take(&mut *self.input, most.min(BLOCK_BYTES as u64)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The number at this place of a record; 0 where the record is cut.
fn u16_at(record: &[u8], place: usize) -> u16 {
    let bytes = record.get(place..).and_then(|rest| rest.first_chunk::<2>());
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// How many bytes a search through this file looks at, by its own count, and how often it can be cancelled.
    fn steps(bytes: &[u8]) -> (u64, u64) {
        let (limits, mut calls) = (Limits::default(), 0);
        let mut input = BlockReader::new(Cursor::new(bytes)).unwrap();
        let mut count = |_| {
            calls += 1;
            Ok(())
        };
        let mut scan = Scan::new(&mut input, &limits, &mut count);
        scan.entries().unwrap();
        let steps = scan.steps;
        (steps, calls)
    }

    /// Local headers and nothing else, each with these flags and sizes, and this length of its extra field.
    fn headers(count: usize, flags: u16, size: u32, extra: u16) -> Vec<u8> {
        let header = |number: usize| {
            let name = format!("{number:06}");
            let fixed = [&LOCAL[..], &[20, 0], &flags.to_le_bytes(), &[0; 10]].concat();
            let lengths = [(name.len() as u16).to_le_bytes(), extra.to_le_bytes()].concat();
            [fixed, [size.to_le_bytes(); 2].concat(), lengths, name.into_bytes()].concat()
        };
        (0..count).flat_map(header).collect()
    }

    /// Headers that leave their sizes open, each with the beginning of an extra field of the greatest length.
    fn open_headers(count: usize, field: &[u8]) -> Vec<u8> {
        let header = headers(1, 0, u32::MAX, u16::MAX);
        [[&header[..], field].concat().repeat(count), vec![0; 70_000]].concat()
    }

    #[test]
    fn the_work_grows_with_the_size_of_the_file() {
        const COUNT: usize = 1_000;
        let no_field_of_sizes = [&[9, 9, 0, 0][..], &ZIP64_EXTRA.to_le_bytes(), &[4, 0]].concat();
        let short_field = [ZIP64_EXTRA.to_le_bytes(), [4, 0]].concat();
        type Shape<'a> = &'a dyn Fn(usize) -> Vec<u8>;
        let shapes: [(&str, Shape<'_>); 9] = [
            ("no sizes", &|count| headers(count, DATA_DESCRIPTOR, 0, 0)),
            ("sizes that lead nowhere", &|count| headers(count, 0, 20_000, 0)),
            ("sizes beyond the file", &|count| headers(count, 0, u32::MAX - 1, 0)),
            ("ZIP64 without its field", &|count| headers(count, 0, u32::MAX, 0)),
            ("extra fields that hold other headers", &|count| headers(count, 0, 0, 9_000)),
            ("signatures that begin no header", &|count| [&LOCAL[..], &[0xff; 4]].concat().repeat(count)),
            ("descriptors of nothing", &|count| {
                [headers(1, DATA_DESCRIPTOR, 0, 0), [&LOCAL[..], &[0xff; 4]].concat().repeat(count)].concat()
            }),
            ("ZIP64 whose field is too short", &|count| open_headers(count, &short_field)),
            ("ZIP64 whose field comes second and is too short", &|count| {
                open_headers(count, &no_field_of_sizes)
            }),
        ];
        for (what, shape) in shapes {
            let (small, large) = (shape(4 * COUNT), shape(16 * COUNT));
            let ((few, _), (many, calls)) = (steps(&small), steps(&large));
            assert!(many <= 5 * few, "{what}: {few} steps, and {many} for four times as much");
            assert!(many <= 20 * large.len() as u64, "{what}: {many} steps for {} bytes", large.len());
            assert!(many <= 2 * CANCEL_BYTES * calls, "{what}: {calls} calls in {many} steps");
        }
    }
}
