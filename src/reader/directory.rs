//! The end records and the central directory (APPNOTE.TXT 6.3.10 sections 4.3.12 to 4.3.16, 4.5.3), read strictly:
//! every byte from the first central header to the end of the file has to be accounted for. What is wrong with the
//! directory as a whole is an error; what is wrong with one entry is kept with that entry.

use super::block::BlockReader;
use super::entry::{Entry, LOCAL_BYTES, Method};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

pub(super) const END: [u8; 4] = 0x0605_4b50_u32.to_le_bytes();
const END_BYTES: usize = 22;
pub(super) const ZIP64_END: [u8; 4] = 0x0606_4b50_u32.to_le_bytes();
const ZIP64_END_BYTES: usize = 56;
const ZIP64_LOCATOR: [u8; 4] = 0x0706_4b50_u32.to_le_bytes();
const ZIP64_LOCATOR_BYTES: usize = 20;
pub(super) const CENTRAL: [u8; 4] = 0x0201_4b50_u32.to_le_bytes();
const CENTRAL_BYTES: u64 = 46;
const ZIP64_EXTRA: u16 = 1;

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const UTF8: u16 = 1 << 11;

/// Sizes and CRC-32 stand behind the data, not in the local header (APPNOTE.TXT section 4.4.4).
pub(super) const DATA_DESCRIPTOR: u16 = 1 << 3;

/// The upper half of IBM code page 437, the names' encoding where no flag says UTF-8 (APPNOTE.TXT appendix D).
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// What the end records say.
struct End {
    entries: u64,
    directory_bytes: u64,
    directory_at: u64,
    plain: bool,
}

/// The entries in the order of the directory, and whether the ZIP structure is in every field what FORMAT.md section 2
/// lets a writer choose.
pub(super) fn read<R: Read + Seek>(
    input: &mut BlockReader<R>,
    limits: &Limits,
) -> Result<(Vec<Entry>, bool)> {
    let end = end(input)?;
    within("entries", end.entries, limits.entries)?;
    within("bytes of the central directory", end.directory_bytes, limits.directory_bytes)?;
    if end.entries > end.directory_bytes / CENTRAL_BYTES {
        return Err(damaged("the central directory is too small for its entries"));
    }
    let directory = bytes_at(input, end.directory_at, end.directory_bytes)?;
    let mut fields = Fields(&directory);
    let mut entries = Vec::with_capacity(usize::try_from(end.entries).unwrap_or_default());
    for _ in 0..end.entries {
        entries.push(central_header(&mut fields, limits)?);
    }
    if !fields.0.is_empty() {
        return Err(damaged("bytes follow the last entry of the central directory"));
    }
    let total = entries.iter().fold(0_u64, |total, entry| total.saturating_add(entry.size));
    within("bytes of all entries", total, limits.total_bytes)?;
    refuse_duplicates(&mut entries);
    let tight = refuse_overlaps(&mut entries, end.directory_at);
    let canonical = end.plain && tight && entries.iter().all(|entry| entry.canonical);
    Ok((entries, canonical))
}

/// Little-endian fields, taken from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or_else(|| damaged("a ZIP record is cut"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().unwrap_or([0; N]))
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn signature(&mut self, signature: [u8; 4], name: &str) -> Result<()> {
        if self.array()? == signature {
            return Ok(());
        }
        Err(damaged(format!("a {name} does not begin with its signature")))
    }
}

/// The values of the ZIP64 extra field for those of `fields` that hold the marker (APPNOTE.TXT section 4.5.3), and
/// whether there is no other extra field.
pub(super) fn resolve_zip64(extra: &[u8], fields: &mut [&mut u64]) -> Result<bool> {
    let (mut rest, mut only) = (Fields(extra), true);
    let mut zip64 = None;
    while !rest.0.is_empty() {
        let id = rest.u16()?;
        let length = usize::from(rest.u16()?);
        let value = rest.take(length)?;
        only &= id == ZIP64_EXTRA && zip64.is_none();
        if id == ZIP64_EXTRA {
            zip64.get_or_insert(value);
        }
    }
    let mut values = Fields(zip64.unwrap_or_default());
    for field in fields {
        if **field == u64::from(u32::MAX) && (zip64.is_some()) {
            **field = values.u64()?;
        }
    }
    Ok(only && values.0.is_empty())
}

pub(super) fn bytes_at<R: Read + Seek>(input: &mut BlockReader<R>, at: u64, count: u64) -> Result<Vec<u8>> {
    let inside = at.checked_add(count).is_some_and(|end| end <= input.length());
    let count = usize::try_from(count).ok().filter(|_| inside);
    let mut bytes = vec![0; count.ok_or_else(|| damaged("a ZIP record lies outside the file"))?];
    input.seek(SeekFrom::Start(at))?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn end<R: Read + Seek>(input: &mut BlockReader<R>) -> Result<End> {
    let length = input.length();
    let window = length.min((END_BYTES + usize::from(u16::MAX)) as u64);
    let tail = bytes_at(input, length - window, window)?;
    let found = tail.windows(END_BYTES).enumerate().rev().find(|(at, record)| {
        let comment = record.last_chunk().map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)));
        record.starts_with(&END) && at + END_BYTES + comment == tail.len()
    });
    let Some((at, record)) = found else {
        return Err(Error::new(ErrorKind::NotAnArchive, "this is no ZIP archive, or its end is missing"));
    };
    let end_at = length - window + at as u64;
    let mut fields = Fields(record);
    fields.signature(END, "end record")?;
    let disks = [fields.u16()?, fields.u16()?];
    let here = fields.u16()?;
    let entries = fields.u16()?;
    let (size, offset, comment) = (fields.u32()?, fields.u32()?, fields.u16()?);
    if disks != [0, 0] || here != entries {
        return Err(damaged("the archive is split, or its end record is damaged"));
    }
    let mut end = End {
        entries: entries.into(),
        directory_bytes: size.into(),
        directory_at: offset.into(),
        plain: comment == 0,
    };
    let mut directory_end = end_at;
    if let Some((zip64, at)) = zip64_end(input, end_at)? {
        let agree = |short: u64, marker: u64, long: u64| short == marker || short == long;
        if !agree(end.entries, u16::MAX.into(), zip64.entries)
            || !agree(end.directory_bytes, u32::MAX.into(), zip64.directory_bytes)
            || !agree(end.directory_at, u32::MAX.into(), zip64.directory_at)
        {
            return Err(damaged("the two end records contradict each other"));
        }
        end = End { plain: zip64.plain && end.plain, ..zip64 };
        directory_end = at;
    }
    if end.directory_at.checked_add(end.directory_bytes) != Some(directory_end) {
        return Err(damaged("the central directory does not end where the end record begins")
            .expected(directory_end, format!("{} bytes from {}", end.directory_bytes, end.directory_at)));
    }
    Ok(end)
}

/// The ZIP64 end record and its place, where the locator before the end record leads to one.
fn zip64_end<R: Read + Seek>(input: &mut BlockReader<R>, end_at: u64) -> Result<Option<(End, u64)>> {
    let Some(locator_at) = end_at.checked_sub(ZIP64_LOCATOR_BYTES as u64) else { return Ok(None) };
    let locator = bytes_at(input, locator_at, ZIP64_LOCATOR_BYTES as u64)?;
    let Some(rest) = locator.strip_prefix(&ZIP64_LOCATOR) else { return Ok(None) };
    let mut fields = Fields(rest);
    let (disk, at, disks) = (fields.u32()?, fields.u64()?, fields.u32()?);
    let record = bytes_at(input, at, ZIP64_END_BYTES as u64)?;
    let mut fields = Fields(&record);
    fields.signature(ZIP64_END, "ZIP64 end record")?;
    let rest_bytes = fields.u64()?;
    let versions = [fields.u16()?, fields.u16()?];
    let numbers = [fields.u32()?, fields.u32()?];
    let (here, entries) = (fields.u64()?, fields.u64()?);
    let (directory_bytes, directory_at) = (fields.u64()?, fields.u64()?);
    let ends_at = at.checked_add(12).and_then(|at| at.checked_add(rest_bytes));
    if disk != 0 || disks > 1 || numbers != [0, 0] || here != entries || ends_at != Some(locator_at) {
        return Err(damaged("the ZIP64 end record is damaged"));
    }
    let [made_by, needed] = versions;
    let plain = rest_bytes == 44 && made_by == needed && matches!(needed, 10 | 45);
    Ok(Some((End { entries, directory_bytes, directory_at, plain }, at)))
}

fn central_header(fields: &mut Fields<'_>, limits: &Limits) -> Result<Entry> {
    fields.signature(CENTRAL, "central header")?;
    let (made_by, needed, flags, method) = (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
    let (time, date, crc32) = (fields.u16()?, fields.u16()?, fields.u32()?);
    let (mut stored, mut size) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let (disk, internal, external) = (fields.u16()?, fields.u16()?, fields.u32()?);
    let mut at = u64::from(fields.u32()?);
    let name = fields.take(name.into())?;
    let extra = fields.take(extra.into())?;
    let comment = fields.take(comment.into())?;
    let only_zip64 = resolve_zip64(extra, &mut [&mut size, &mut stored, &mut at])?;

    let text = decode_name(name, flags);
    let mode = if matches!(made_by >> 8, 3 | 19) { external >> 16 & 0o170_000 } else { 0 };
    let version = if size >= u32::MAX.into() { 45 } else { 10 };
    let canonical = (made_by, needed) == (3 << 8 | version, version)
        && flags == if name.is_ascii() { 0 } else { UTF8 }
        && (method, time, date, internal) == (0, 0, 0x21, 0)
        && external == 0o100_644 << 16
        && only_zip64
        && comment.is_empty();
    let mut entry = Entry {
        raw_name: (text.as_bytes() != name).then(|| name.into()),
        name: text,
        size,
        stored_size: stored,
        problem: None,
        method: if method == 8 { Method::Deflate } else { Method::Stored },
        crc32,
        flags,
        needed,
        moment: (time, date),
        at,
        limit: 0,
        canonical,
        lone: false,
    };
    let problem = if disk != 0 {
        Some(damaged("an entry lies on another disk"))
    } else if let Err(flaw) = flaw(&entry, method, limits) {
        Some(flaw)
    } else if !matches!(mode, 0 | 0o100_000 | 0o040_000) {
        Some(Error::new(ErrorKind::UnsupportedEntry, "an entry is a link or a device, not a file"))
    } else if method == 0 && stored != size {
        Some(
            Error::new(ErrorKind::DamagedEntry, "an entry that is not compressed has two sizes")
                .expected(stored, size),
        )
    } else {
        None
    };
    entry.problem = problem.map(|problem| problem.on(entry.name.as_str()));
    Ok(entry)
}

/// What keeps an entry from being read, as far as either of its headers tells.
pub(super) fn flaw(entry: &Entry, method: u16, limits: &Limits) -> Result<()> {
    if entry.flags & ENCRYPTED != 0 {
        return Err(Error::new(ErrorKind::UnsupportedEntry, "an entry is encrypted"));
    }
    if !matches!(method, 0 | 8) {
        return Err(Error::new(ErrorKind::UnsupportedEntry, "an entry is compressed in an unknown way")
            .expected("method 0 or 8", method));
    }
    check_name(&entry.name)?;
    check_size(entry, limits)
}

pub(super) fn decode_name(name: &[u8], flags: u16) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) if flags & UTF8 != 0 => String::from_utf8_lossy(name).into_owned(),
        Err(_) => name
            .iter()
            .map(|byte| match byte.checked_sub(0x80) {
                Some(high) => CP437.chars().nth(high.into()).unwrap_or(char::REPLACEMENT_CHARACTER),
                None => char::from(*byte),
            })
            .collect(),
    }
}

/// Whether this name stays inside the folder that it is unpacked to, on every system.
fn check_name(name: &str) -> Result<()> {
    let path = name.strip_suffix('/').unwrap_or(name);
    let reason = if name.contains(['\\', '\0', char::REPLACEMENT_CHARACTER]) {
        "it has a backslash, a zero or bytes that are no text"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.get(1..2) == Some(":") {
        "it begins with a drive"
    } else if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "it has an empty segment, . or .."
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::UnsafeName, format!("an entry's name is not safe: {reason}")))
}

fn check_size(entry: &Entry, limits: &Limits) -> Result<()> {
    within("bytes of an entry", entry.size, limits.entry_bytes)?;
    if entry.name.ends_with('/') && entry.size != 0 {
        return Err(Error::new(ErrorKind::DamagedEntry, "a folder has content"));
    }
    limits.check_ratio(entry.stored_size, entry.size)
}

fn refuse_duplicates(entries: &mut [Entry]) {
    let mut counts: HashMap<&str, u32> = HashMap::with_capacity(entries.len());
    for entry in entries.iter() {
        *counts.entry(entry.name.as_str()).or_default() += 1;
    }
    let twice: Vec<bool> = entries.iter().map(|entry| counts.get(entry.name.as_str()) > Some(&1)).collect();
    for (entry, _) in entries.iter_mut().zip(twice).filter(|(_, twice)| *twice) {
        entry.refuse(Error::new(ErrorKind::ConflictingEntries, "two entries have the same name"));
    }
}

/// Finds entries that share bytes, as far as the directory tells; the exact end of each is checked when it is read.
/// Answers whether the entries can lie behind each other in the directory's order, from the start of the file on.
fn refuse_overlaps(entries: &mut [Entry], directory_at: u64) -> bool {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|index| entries.get(*index).map(|entry| entry.at));
    let mut tight = order.is_sorted();
    let mut limit = directory_at;
    let mut behind: Option<usize> = None;
    for index in order.into_iter().rev() {
        let Some(entry) = entries.get_mut(index) else { continue };
        entry.limit = limit;
        let least = LOCAL_BYTES + entry.raw_name().len() as u64;
        let end = entry.at.checked_add(least).and_then(|end| end.checked_add(entry.stored_size));
        let at = entry.at;
        // One that cannot be read anyway says nothing against what follows it.
        if entry.problem.is_none() && end.is_none_or(|end| end > limit) {
            let overlap =
                Error::new(ErrorKind::ConflictingEntries, "an entry's bytes overlap what follows it");
            entry.refuse(overlap.clone());
            if let Some(other) = behind.and_then(|behind| entries.get_mut(behind)) {
                other.refuse(overlap);
            }
        }
        limit = limit.min(at);
        behind = Some(index);
    }
    tight &= limit == 0;
    tight
}

pub(super) fn within(what: &str, found: u64, limit: u64) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LimitExceeded, format!("too many {what}"))
        .expected(format!("at most {limit}"), found))
}

pub(super) fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::DamagedDirectory, message)
}
