//! Entries found by their local headers (APPNOTE.TXT 6.3.10 sections 4.3.7 and 4.3.9), where the central directory is gone
//! or cannot be used: an archive that was cut, or whose end was overwritten.
//!
//! From entry to entry it goes by the sizes that the headers state, and searches for the next header where these lead
//! nowhere. That reads no byte more than a few times, however the headers lie.

use super::block::{BLOCK_BYTES, BlockReader};
use super::directory::{
    CENTRAL, DATA_DESCRIPTOR, END, Fields, ZIP64_END, bytes_at, damaged, decode_name, flaw, resolve_zip64,
    within,
};
use super::entry::{Entry, LOCAL, LOCAL_BYTES, Method};
use super::{OnProgress, Result};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};

/// Sizes and CRC-32 behind an entry whose header lacks them; the signature may be missing.
const DESCRIPTOR: [u8; 4] = 0x0807_4b50_u32.to_le_bytes();

/// The newest version that APPNOTE.TXT section 4.4.3.2 knows.
const NEWEST_VERSION: u16 = 63;

/// So many times over the file may be read to find out what headers that lie have hidden; after that they are believed.
const READINGS: u64 = 4;

/// How many bytes a search reads at first; headers are often close to each other.
const FIRST_STEP_BYTES: u64 = 4 << 10;

/// Every entry whose local header can be found, in the order of the file.
pub(super) fn read<R: Read + Seek>(
    input: &mut BlockReader<R>,
    limits: &Limits,
    progress: OnProgress<'_>,
) -> Result<Vec<Entry>> {
    let blocks = input.length() / BLOCK_BYTES as u64 + 1;
    let loads = input.loads() + READINGS * blocks;
    let mut scan = Scan { input, limits, progress, loads };
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    while let Some(header) = scan.next_header(at)? {
        within("entries", entries.len() as u64 + 1, limits.entries)?;
        let (entry, next) = scan.entry(header)?;
        entries.push(entry);
        at = next;
    }
    let mut limit = scan.input.length();
    for entry in entries.iter_mut().rev() {
        entry.limit = limit;
        limit = entry.at;
    }
    refuse_repeated(&mut entries);
    Ok(entries)
}

/// The first entry of a name counts: what comes later may stand within a file that was cut and is an archive itself.
fn refuse_repeated(entries: &mut [Entry]) {
    let mut names = HashSet::with_capacity(entries.len());
    for entry in entries {
        if !names.insert(entry.name.clone()) {
            entry.refuse(Error::new(ErrorKind::ConflictingEntries, "an entry before has the same name"));
        }
    }
}

/// A local header, and where its data begins.
struct Header {
    at: u64,
    data_at: u64,
    needed: u16,
    flags: u16,
    method: u16,
    moment: (u16, u16),
    crc32: u32,
    stored: u64,
    size: u64,
    name: Vec<u8>,
}

struct Scan<'a, R> {
    input: &'a mut BlockReader<R>,
    limits: &'a Limits,
    progress: OnProgress<'a>,
    /// How many blocks may have been read before headers are believed.
    loads: u64,
}

impl<R: Read + Seek> Scan<'_, R> {
    /// The next header from `at` on.
    fn next_header(&mut self, mut at: u64) -> Result<Option<Header>> {
        while let Some(place) = self.find(at, &[LOCAL])? {
            if let Some(header) = self.header(place)? {
                return Ok(Some(header));
            }
            at = place + 1;
        }
        Ok(None)
    }

    /// The header at this place; none where what stands there cannot be one.
    fn header(&mut self, at: u64) -> Result<Option<Header>> {
        if self.input.length() - at < LOCAL_BYTES {
            return Ok(None);
        }
        let fixed = bytes_at(self.input, at, LOCAL_BYTES)?;
        let mut fields = Fields(&fixed);
        fields.signature(LOCAL, "local header")?;
        let (needed, flags, method) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let moment = (fields.u16()?, fields.u16()?);
        let (crc32, mut stored, mut size) =
            (fields.u32()?, u64::from(fields.u32()?), u64::from(fields.u32()?));
        let (name_bytes, extra_bytes) = (u64::from(fields.u16()?), u64::from(fields.u16()?));
        let data_at = at + LOCAL_BYTES + name_bytes + extra_bytes;
        if needed & 0xff > NEWEST_VERSION || name_bytes == 0 || data_at > self.input.length() {
            return Ok(None);
        }
        let name = bytes_at(self.input, at + LOCAL_BYTES, name_bytes)?;
        // Where the length of a name is damaged, data follows in it.
        if name.iter().any(u8::is_ascii_control) {
            return Ok(None);
        }
        let extra = bytes_at(self.input, data_at - extra_bytes, extra_bytes)?;
        if resolve_zip64(&extra, &mut [&mut size, &mut stored]).is_err() {
            return Ok(None);
        }
        Ok(Some(Header { at, data_at, needed, flags, method, moment, crc32, stored, size, name }))
    }

    /// The entry of a header, and where to look for the next one.
    fn entry(&mut self, mut header: Header) -> Result<(Entry, u64)> {
        let absent = header.flags & DATA_DESCRIPTOR != 0 && header.stored == 0;
        let (problem, next) = if absent {
            match self.descriptor(&header)? {
                Some((crc32, stored, size, next)) => {
                    (header.crc32, header.stored, header.size) = (crc32, stored, size);
                    (None, next)
                }
                None => {
                    let next = self.find(header.data_at, &[LOCAL, CENTRAL])?;
                    header.stored = next.unwrap_or(self.input.length()) - header.data_at;
                    (Some(damaged("an entry's size stands nowhere")), header.data_at)
                }
            }
        } else {
            let end = self.end(&header)?;
            // What is left of a longer one can be read, and its end is noticed to be missing.
            header.stored = end - header.data_at;
            (None, end)
        };
        let text = decode_name(&header.name, header.flags);
        let mut entry = Entry {
            raw_name: (text.as_bytes() != header.name).then(|| header.name.into()),
            name: text,
            size: header.size,
            stored_size: header.stored,
            problem: None,
            method: if header.method == 8 { Method::Deflate } else { Method::Stored },
            crc32: header.crc32,
            flags: header.flags,
            needed: header.needed,
            moment: header.moment,
            at: header.at,
            limit: 0,
            canonical: false,
            lone: true,
        };
        let problem = problem.or_else(|| flaw(&entry, header.method, self.limits).err());
        entry.problem = problem.map(|problem| problem.on(entry.name.as_str()));
        Ok((entry, next))
    }

    /// Where the data of an entry ends whose header states sizes: there, or earlier, where it has been cut or the header
    /// lies.
    fn end(&mut self, header: &Header) -> Result<u64> {
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
        let signature = self.bytes(at, 4)?;
        let known = [LOCAL, CENTRAL, ZIP64_END, END, DESCRIPTOR];
        Ok(known.iter().any(|known| signature == *known))
    }

    /// Whether so much has been read that what headers state is not looked into any more.
    fn believes(&self) -> bool {
        self.input.loads() >= self.loads
    }

    /// Whether the bytes up to here have the CRC-32 that the header states.
    fn has_crc(&mut self, header: &Header, end: u64) -> Result<bool> {
        let mut crc32 = crc32fast::Hasher::new();
        let mut at = header.data_at;
        while at < end {
            if self.believes() {
                return Ok(false);
            }
            let bytes = self.bytes(at, end - at)?;
            crc32.update(&bytes);
            at += bytes.len() as u64;
            (self.progress)(0)?;
        }
        Ok(crc32.finalize() == header.crc32)
    }

    /// CRC-32, stored size and size of an entry whose header lacks them, and where the descriptor that has them ends.
    fn descriptor(&mut self, header: &Header) -> Result<Option<(u32, u64, u64, u64)>> {
        let mut at = header.data_at;
        while !self.believes() {
            // It stands before the next header, or before the central directory.
            let next = self.find(at, &[LOCAL, CENTRAL])?;
            let end = next.unwrap_or(self.input.length());
            for (bytes, signed, zip64) in
                [(16, true, false), (12, false, false), (24, true, true), (20, false, true)]
            {
                let Some(from) = end.checked_sub(bytes).filter(|from| *from >= header.data_at) else {
                    continue;
                };
                let record = bytes_at(self.input, from, bytes)?;
                let mut fields = Fields(&record);
                if signed && fields.signature(DESCRIPTOR, "data descriptor").is_err() {
                    continue;
                }
                let crc32 = fields.u32()?;
                let (stored, size) = match zip64 {
                    true => (fields.u64()?, fields.u64()?),
                    false => (u64::from(fields.u32()?), u64::from(fields.u32()?)),
                };
                if stored == from - header.data_at && (header.method != 0 || size == stored) {
                    return Ok(Some((crc32, stored, size, end)));
                }
            }
            let Some(next) = next else { return Ok(None) };
            at = next + 1;
        }
        Ok(None)
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
                return Ok(Some(at + place as u64));
            }
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

/// Says that entries were found by their local headers.
pub(super) fn lost(why: &Error) -> Error {
    let message =
        format!("the central directory cannot be used: entries were found by their local headers ({why})");
    Error::new(ErrorKind::DamagedDirectory, message)
}
