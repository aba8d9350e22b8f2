//! The end records and the central directory (APPNOTE.TXT 6.3.10 sections 4.3.12 to 4.3.16, 4.5.3), read strictly:
//! every byte from the first central header to the end of the file has to be accounted for. What is wrong with the
//! directory as a whole is an error; what is wrong with one entry is kept with that entry.

use super::block::BlockReader;
use super::entry::{Entry, Method};
use super::names::{self, Index};
use super::records::{
    CENTRAL, CENTRAL_BYTES, END, END_BYTES, Extra, Fields, LOCAL, LOCAL_BYTES, UTF8, ZIP64_END,
    ZIP64_END_BYTES, ZIP64_LOCATOR, ZIP64_LOCATOR_BYTES, bytes_at, damaged, decode_name,
};
use super::refusal::Refusal;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use std::io::{Read, Seek};

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// The newest version that an entry may need to be extracted (APPNOTE.TXT section 4.4.3.2): nothing above it is
/// defined.
pub(super) const NEWEST_VERSION: u16 = 63;

/// The most bytes that may follow the end record.
const TRAILING_BYTES: u64 = 1 << 20;

/// What the end records and the central directory say.
pub(super) struct Directory {
    /// The entries in the order of the directory.
    pub(super) entries: Vec<Entry>,
    /// Where each name is.
    pub(super) index: Index,
    /// Whether the ZIP structure is in every field what FORMAT.md section 2 lets a writer choose.
    pub(super) canonical: bool,
    /// How many bytes of padding follow the end record.
    pub(super) trailing: u64,
}

/// What the end records say.
struct End {
    entries: u64,
    directory_bytes: u64,
    directory_at: u64,
    plain: bool,
    trailing: u64,
}

/// Reads the directory, as the end records lead to it.
pub(super) fn read<R: Read + Seek>(input: &mut BlockReader<R>, limits: &Limits) -> Result<Directory> {
    let end = end(input)?;
    let mut entries = central_headers(input, &end, limits)?;
    refuse_bytes_before(&entries, end.directory_at)?;
    let total = entries.iter().fold(0_u64, |total, entry| total.saturating_add(entry.size));
    within("bytes of all entries", total, limits.total_bytes)?;
    let index = Index::of(&entries);
    index.refuse_duplicates(&mut entries);
    let tight = refuse_overlaps(&mut entries, end.directory_at);
    let canonical = end.plain && tight && entries.iter().all(|entry| entry.canonical);
    Ok(Directory { entries, index, canonical, trailing: end.trailing })
}

/// The entries as their headers state them. The bytes of the directory are needed no longer then.
fn central_headers<R: Read + Seek>(
    input: &mut BlockReader<R>,
    end: &End,
    limits: &Limits,
) -> Result<Vec<Entry>> {
    within("entries", end.entries, limits.entries)?;
    within("bytes of the central directory", end.directory_bytes, limits.directory_bytes)?;
    if end.entries > end.directory_bytes / CENTRAL_BYTES {
        return Err(damaged("the central directory is too small for its entries").expected(
            format!("{CENTRAL_BYTES} bytes or more for each of {} entries", end.entries),
            format!("{} bytes", end.directory_bytes),
        ));
    }
    let directory = bytes_at(input, end.directory_at, end.directory_bytes)?;
    let mut fields = Fields::of(&directory, "central header", end.directory_at);
    let mut entries = Vec::with_capacity(usize::try_from(end.entries).unwrap_or_default());
    for _ in 0..end.entries {
        entries.push(central_header(&mut fields, limits)?);
    }
    if fields.left() > 0 {
        return Err(damaged("bytes follow the last entry of the central directory")
            .on(format!("offset {}", fields.offset()))
            .expected("the end record", format!("{} more bytes", fields.left())));
    }
    Ok(entries)
}

/// Whether nothing else may stand behind the end: zeros, with which tools fill the last block of a tape or a disk, and
/// line ends, which a transfer as text adds.
fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | b'\r' | b'\n')
}

/// The end record with its offset, and how many bytes of padding follow it and its comment.
fn end_record<R: Read + Seek>(input: &mut BlockReader<R>) -> Result<(u64, Vec<u8>, u64)> {
    let length = input.length();
    let shortest = (END_BYTES + usize::from(u16::MAX)) as u64;
    // Few archives have padding, and none has to be read for them.
    let mut behind = None;
    for window in [shortest, shortest + TRAILING_BYTES] {
        let window = window.min(length);
        let tail = bytes_at(input, length - window, window)?;
        let padding_at = tail.iter().rposition(|byte| !is_padding(*byte)).map_or(0, |at| at + 1);
        let padding = (tail.len() - padding_at) as u64;
        for at in memchr::memmem::rfind_iter(&tail, &END) {
            let Some(record) = tail.get(at..at + END_BYTES) else { continue };
            let comment = record.last_chunk().map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)));
            let end = at + END_BYTES + comment;
            let end_at = length - window + at as u64;
            if (padding_at..=tail.len()).contains(&end) {
                let trailing = (tail.len() - end) as u64;
                return match trailing <= TRAILING_BYTES {
                    true => Ok((end_at, record.to_vec(), trailing)),
                    false => Err(too_much_padding(trailing.to_string())),
                };
            }
            if end < padding_at && leads_here(record, end_at) {
                behind.get_or_insert((end_at + (end - at) as u64, tail.len() - end));
            }
        }
        if padding > TRAILING_BYTES && begins_with_entry(input)? {
            return Err(too_much_padding(format!("{padding} or more")));
        }
    }
    if let Some((at, bytes)) = behind {
        return Err(damaged(
            "unknown bytes follow the end of the archive: use another copy, or cut them off",
        )
        .on(format!("offset {at}"))
        .expected(format!("at most {TRAILING_BYTES} zeros and line ends"), format!("{bytes} bytes")));
    }
    Err(Error::new(ErrorKind::NotAnArchive, "this is no ZIP archive, or its end is missing"))
}

/// Whether the file begins as archives do.
fn begins_with_entry<R: Read + Seek>(input: &mut BlockReader<R>) -> Result<bool> {
    let first = bytes_at(input, 0, input.length().min(4))?;
    Ok([LOCAL, END].iter().any(|known| first == *known))
}

fn too_much_padding(found: String) -> Error {
    let message = "too many zeros or line ends stand at the end of the file: fetch it again if it did not arrive whole, \
                   or cut them off";
    damaged(message).expected(format!("at most {TRAILING_BYTES} of them"), found)
}

/// Whether the directory that an end record names ends where the record begins, or a ZIP64 record says where.
fn leads_here(record: &[u8], at: u64) -> bool {
    let mut fields = Fields::of(record.get(12..).unwrap_or_default(), "end record", at);
    let (Ok(bytes), Ok(from)) = (fields.u32(), fields.u32()) else { return false };
    from == u32::MAX || u64::from(from) + u64::from(bytes) == at
}

fn end<R: Read + Seek>(input: &mut BlockReader<R>) -> Result<End> {
    let (end_at, record, trailing) = end_record(input)?;
    let mut fields = Fields::of(&record, "end record", end_at);
    fields.signature(END)?;
    let disks = [fields.u16()?, fields.u16()?];
    let here = fields.u16()?;
    let entries = fields.u16()?;
    let (size, offset, comment) = (fields.u32()?, fields.u32()?, fields.u16()?);
    let zip64 = zip64_end(input, end_at)?;
    let one_disk = |disk: &u16| *disk == 0 || *disk == u16::MAX && zip64.is_some();
    if !disks.iter().all(one_disk) || here != entries {
        return Err(damaged("the archive is split, or its end record is damaged")
            .on(format!("offset {end_at}"))
            .expected(
                "disk 0 of 1",
                format!("disk {}, {here} of {entries} entries", disks[0].max(disks[1])),
            ));
    }
    let mut end = End {
        entries: entries.into(),
        directory_bytes: size.into(),
        directory_at: offset.into(),
        plain: comment == 0 && disks == [0, 0],
        trailing,
    };
    let mut directory_end = end_at;
    if let Some((zip64, at)) = zip64 {
        let agree = |short: u64, marker: u64, long: u64| short == marker || short == long;
        if !agree(end.entries, u16::MAX.into(), zip64.entries)
            || !agree(end.directory_bytes, u32::MAX.into(), zip64.directory_bytes)
            || !agree(end.directory_at, u32::MAX.into(), zip64.directory_at)
        {
            let says = |end: &End| {
                format!("{} entries in {} bytes at {}", end.entries, end.directory_bytes, end.directory_at)
            };
            return Err(
                damaged("the two end records contradict each other").expected(says(&zip64), says(&end))
            );
        }
        end = End { plain: zip64.plain && end.plain, trailing, ..zip64 };
        directory_end = at;
    }
    if end.directory_at.checked_add(end.directory_bytes) != Some(directory_end) {
        return Err(damaged("the central directory does not end where the end record begins")
            .expected(directory_end, format!("{} bytes from {}", end.directory_bytes, end.directory_at)));
    }
    Ok(end)
}

/// The ZIP64 end record and its place, where there is a locator before the end record that leads to one.
fn zip64_end<R: Read + Seek>(input: &mut BlockReader<R>, end_at: u64) -> Result<Option<(End, u64)>> {
    let Some(locator_at) = end_at.checked_sub(ZIP64_LOCATOR_BYTES) else { return Ok(None) };
    let locator = bytes_at(input, locator_at, ZIP64_LOCATOR_BYTES)?;
    let mut fields = Fields::of(&locator, "ZIP64 locator", locator_at);
    if fields.signature(ZIP64_LOCATOR).is_err() {
        return Ok(None);
    }
    let (disk, at, disks) = (fields.u32()?, fields.u64()?, fields.u32()?);
    // What looks like a locator and leads to no record is the end of a name or a comment.
    if at.checked_add(ZIP64_END_BYTES).is_none_or(|end| end > locator_at) {
        return Ok(None);
    }
    let record = bytes_at(input, at, ZIP64_END_BYTES)?;
    let mut fields = Fields::of(&record, "ZIP64 end record", at);
    if fields.signature(ZIP64_END).is_err() {
        return Ok(None);
    }
    let rest_bytes = fields.u64()?;
    let versions = [fields.u16()?, fields.u16()?];
    let numbers = [fields.u32()?, fields.u32()?];
    let (here, entries) = (fields.u64()?, fields.u64()?);
    let (directory_bytes, directory_at) = (fields.u64()?, fields.u64()?);
    let ends_at = at.checked_add(12).and_then(|at| at.checked_add(rest_bytes));
    if disk != 0 || disks > 1 || numbers != [0, 0] || here != entries || ends_at != Some(locator_at) {
        return Err(damaged("the ZIP64 end record is damaged, or the archive is split")
            .on(format!("offset {at}"))
            .expected(
                format!("disk 0 of 1, {} bytes", locator_at - at - 12),
                format!(
                    "disks {disk}, {} and {} of {disks}, {here} of {entries} entries, {rest_bytes} bytes",
                    numbers[0], numbers[1]
                ),
            ));
    }
    let [made_by, needed] = versions;
    let plain = rest_bytes == 44 && made_by == needed && matches!(needed, 10 | 45);
    Ok(Some((End { entries, directory_bytes, directory_at, plain, trailing: 0 }, at)))
}

fn central_header(fields: &mut Fields<'_>, limits: &Limits) -> Result<Entry> {
    fields.signature(CENTRAL)?;
    let (made_by, needed, flags, method) = (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
    let (time, date, crc32) = (fields.u16()?, fields.u16()?, fields.u32()?);
    let (mut stored, mut size) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let (mut disk, internal, external) = (fields.u16()?, fields.u16()?, fields.u32()?);
    let mut at = u64::from(fields.u32()?);
    let name = fields.take(name.into())?;
    let extra = Extra::of(fields.take(extra.into())?);
    let comment = fields.take(comment.into())?;
    let resolved = extra.resolve(&mut [&mut size, &mut stored, &mut at], Some(&mut disk));

    let text = names::normalised(decode_name(name, flags, &extra), names::has_backslashes(made_by));
    let mode = if matches!(made_by >> 8, 3 | 19) { external >> 16 & 0o170_000 } else { 0 };
    let version = if size >= u32::MAX.into() { 45 } else { 10 };
    let canonical = (made_by, needed) == (3 << 8 | version, version)
        && flags == if name.is_ascii() { 0 } else { UTF8 }
        && (method, time, date, internal) == (0, 0, 0x21, 0)
        && external == 0o100_644 << 16
        && resolved.as_ref().is_ok_and(|only_zip64| *only_zip64)
        && text.as_bytes() == name
        && comment.is_empty();
    let mut entry = Entry {
        raw_name: (text.as_bytes() != name).then(|| name.into()),
        name: text,
        size,
        stored_size: stored,
        refusal: None,
        method: if method == 8 { Method::Deflate } else { Method::Stored },
        crc32,
        flags,
        needed,
        moment: (time, date),
        at,
        limit: 0,
        canonical,
        lone: false,
        addition: false,
    };
    entry.refusal = if let Err(cut) = resolved {
        Some(cut)
    } else if disk != 0 {
        Some(Refusal::Disk(disk))
    } else if let Some(flaw) = flaw(&entry, method, limits) {
        Some(flaw)
    } else if !matches!(mode, 0 | 0o100_000 | 0o040_000) {
        Some(Refusal::Mode(mode))
    } else {
        (method == 0 && stored != size).then_some(Refusal::TwoSizes)
    };
    Ok(entry)
}

/// What keeps an entry from being read, as far as either of its headers tells.
pub(super) fn flaw(entry: &Entry, method: u16, limits: &Limits) -> Option<Refusal> {
    let version = entry.needed & 0xff;
    if entry.flags & ENCRYPTED != 0 {
        Some(Refusal::Encrypted)
    } else if !matches!(method, 0 | 8) {
        Some(Refusal::Method(method))
    } else if version > NEWEST_VERSION {
        Some(Refusal::Version(version))
    } else if let Some(flaw) = names::flaw(&entry.name) {
        Some(Refusal::Name(flaw))
    } else if entry.size > limits.entry_bytes {
        Some(Refusal::Size(limits.entry_bytes))
    } else if entry.name.ends_with('/') && entry.size != 0 {
        Some(Refusal::FullFolder)
    } else {
        (!limits.allow_ratio(entry.stored_size, entry.size)).then_some(Refusal::Ratio(limits.ratio))
    }
}

/// Nothing may stand before the first entry: a program, or another archive whose directory is not the one that was
/// read.
fn refuse_bytes_before(entries: &[Entry], directory_at: u64) -> Result<()> {
    let first = entries.iter().map(|entry| entry.at).min().unwrap_or(directory_at).min(directory_at);
    if first == 0 {
        return Ok(());
    }
    Err(damaged("unknown bytes stand before the first entry: use another copy, or pack the files again")
        .on("offset 0")
        .expected("the first entry", format!("{first} bytes")))
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
        if entry.refusal.is_none() && end.is_none_or(|end| end > limit) {
            entry.refuse(Refusal::Overlap);
            if let Some(other) = behind.and_then(|behind| entries.get_mut(behind)) {
                other.refuse(Refusal::Overlap);
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
