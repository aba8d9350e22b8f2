//! The records of a ZIP file (APPNOTE.TXT 6.3.10 sections 4.3 and 4.5), one function a record. They say what stands
//! there; whether that fits the rest of the file is for `directory`, `entry` and `salvage` to decide.

use super::block::BlockReader;
use super::refusal::Refusal;
use crate::error::{Error, ErrorKind, Result};
use std::io::{Read, Seek, SeekFrom};

pub(super) const LOCAL: [u8; 4] = 0x0403_4b50_u32.to_le_bytes();
pub(super) const LOCAL_BYTES: u64 = 30;
pub(super) const CENTRAL: [u8; 4] = 0x0201_4b50_u32.to_le_bytes();
pub(super) const CENTRAL_BYTES: u64 = 46;
pub(super) const END: [u8; 4] = 0x0605_4b50_u32.to_le_bytes();
pub(super) const END_BYTES: usize = 22;
pub(super) const ZIP64_END: [u8; 4] = 0x0606_4b50_u32.to_le_bytes();
pub(super) const ZIP64_END_BYTES: u64 = 56;
pub(super) const ZIP64_LOCATOR: [u8; 4] = 0x0706_4b50_u32.to_le_bytes();
pub(super) const ZIP64_LOCATOR_BYTES: u64 = 20;

/// Begins a data descriptor; it may be missing (section 4.3.9.3).
pub(super) const DESCRIPTOR: [u8; 4] = 0x0807_4b50_u32.to_le_bytes();

/// Names are UTF-8 (section 4.4.4).
pub(super) const UTF8: u16 = 1 << 11;

/// Sizes and CRC-32 stand behind the data, not in the local header (section 4.4.4).
pub(super) const DATA_DESCRIPTOR: u16 = 1 << 3;

pub(super) const ZIP64_EXTRA: u16 = 1;

/// Info-ZIP's Unicode Path Extra Field (section 4.6.9).
const UNICODE_PATH_EXTRA: u16 = 0x7075;

/// The upper half of IBM code page 437, the names' encoding where no flag says UTF-8 (APPNOTE.TXT appendix D).
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Little-endian fields of a record, taken from the front.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    record: &'static str,
    at: u64,
}

impl<'a> Fields<'a> {
    /// Those of a record that begins at this offset of the file.
    pub(super) fn of(bytes: &'a [u8], record: &'static str, at: u64) -> Self {
        Self { bytes, record, at }
    }

    /// The offset of what comes next.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or_else(|| {
            damaged(format!("a {} is cut", self.record))
                .on(format!("offset {}", self.at))
                .expected(format!("{count} more bytes"), self.bytes.len())
        })?;
        self.bytes = rest;
        self.at += count as u64;
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

    pub(super) fn signature(&mut self, signature: [u8; 4]) -> Result<()> {
        let at = self.at;
        let found: [u8; 4] = self.array()?;
        if found == signature {
            return Ok(());
        }
        Err(damaged(format!("a {} does not begin with its signature", self.record))
            .on(format!("offset {at}"))
            .expected(hex(&signature), hex(&found)))
    }
}

/// A local header (section 4.3.7).
#[derive(Debug)]
pub(super) struct LocalHeader {
    pub(super) needed: u16,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) moment: (u16, u16),
    pub(super) crc32: u32,
    pub(super) stored: u64,
    pub(super) size: u64,
    pub(super) name: Vec<u8>,
    pub(super) extra: Vec<u8>,
    /// Whether there is no extra field but ZIP64's.
    pub(super) only_zip64: bool,
    pub(super) data_at: u64,
}

/// The local header at this offset.
pub(super) fn local_header<R: Read + Seek>(input: &mut BlockReader<R>, at: u64) -> Result<LocalHeader> {
    let fixed = bytes_at(input, at, LOCAL_BYTES)?;
    let mut fields = Fields::of(&fixed, "local header", at);
    fields.signature(LOCAL)?;
    let (needed, flags, method) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let moment = (fields.u16()?, fields.u16()?);
    let crc32 = fields.u32()?;
    let (mut stored, mut size) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
    let (name_bytes, extra_bytes) = (u64::from(fields.u16()?), u64::from(fields.u16()?));
    let name = bytes_at(input, at + LOCAL_BYTES, name_bytes)?;
    let extra = bytes_at(input, at + LOCAL_BYTES + name_bytes, extra_bytes)?;
    let resolved = Extra::of(&extra).resolve(&mut [&mut size, &mut stored], None);
    let only_zip64 = resolved.map_err(|refusal| refusal.error(stored, size))?;
    let data_at = at + LOCAL_BYTES + name_bytes + extra_bytes;
    Ok(LocalHeader { needed, flags, method, moment, crc32, stored, size, name, extra, only_zip64, data_at })
}

/// The extra fields that say something about an entry.
#[derive(Debug)]
pub(super) struct Extra<'a> {
    zip64: Option<&'a [u8]>,
    unicode_path: Option<&'a [u8]>,
    only_zip64: bool,
}

impl<'a> Extra<'a> {
    /// Reads fields up to the first bytes that are none, such as zeros that align the data.
    pub(super) fn of(mut bytes: &'a [u8]) -> Self {
        let mut extra = Self { zip64: None, unicode_path: None, only_zip64: true };
        while let Some((id, value, rest)) = field(bytes) {
            extra.only_zip64 &= id == ZIP64_EXTRA && extra.zip64.is_none();
            match id {
                ZIP64_EXTRA => _ = extra.zip64.get_or_insert(value),
                UNICODE_PATH_EXTRA => _ = extra.unicode_path.get_or_insert(value),
                _ => {}
            }
            bytes = rest;
        }
        extra.only_zip64 &= bytes.is_empty();
        extra
    }

    /// Sets those of the sizes, and the number of the disk, that hold the marker to what the ZIP64 field says (section
    /// 4.5.3). Answers whether there is no other extra field.
    pub(super) fn resolve(&self, sizes: &mut [&mut u64], disk: Option<&mut u16>) -> Result<bool, Refusal> {
        let Some(zip64) = self.zip64 else { return Ok(self.only_zip64) };
        let mut values = Fields::of(zip64, "ZIP64 extra field", 0);
        let cut = |_| Refusal::ShortZip64(u16::try_from(zip64.len()).unwrap_or(u16::MAX));
        for size in sizes.iter_mut().filter(|size| ***size == u64::from(u32::MAX)) {
            **size = values.u64().map_err(cut)?;
        }
        if let Some(disk) = disk.filter(|disk| **disk == u16::MAX)
            && let Ok(number) = values.u32()
        {
            *disk = u16::try_from(number).unwrap_or(u16::MAX);
        }
        Ok(self.only_zip64 && values.left() == 0)
    }

    /// The name in UTF-8, if it is that of the header's name.
    pub(super) fn unicode_name(&self, name: &[u8]) -> Option<&'a str> {
        let rest = self.unicode_path?.strip_prefix(&[1])?;
        let (crc32, text) = rest.split_first_chunk::<4>()?;
        let text = std::str::from_utf8(text).ok().filter(|text| !text.is_empty())?;
        (u32::from_le_bytes(*crc32) == crc32fast::hash(name)).then_some(text)
    }
}

/// The first extra field: its id, its value, and what follows it.
fn field(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((u16::from_le_bytes(*id), value, rest))
}

/// CRC-32 and sizes behind an entry's data (section 4.3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) crc32: u32,
    pub(super) stored: u64,
    pub(super) size: u64,
}

/// The four forms of a data descriptor: its bytes, whether it has a signature, and whether its sizes have eight bytes.
pub(super) const DESCRIPTOR_FORMS: [(usize, bool, bool); 4] =
    [(16, true, false), (12, false, false), (24, true, true), (20, false, true)];

impl Descriptor {
    /// The descriptor in this form at the beginning of these bytes; none where its signature does not stand there.
    pub(super) fn of(bytes: &[u8], (length, signed, long): (usize, bool, bool)) -> Option<Self> {
        let mut fields = Fields::of(bytes.get(..length)?, "data descriptor", 0);
        if signed {
            fields.signature(DESCRIPTOR).ok()?;
        }
        let crc32 = fields.u32().ok()?;
        let (stored, size) = match long {
            true => (fields.u64().ok()?, fields.u64().ok()?),
            false => (fields.u32().ok()?.into(), fields.u32().ok()?.into()),
        };
        Some(Self { crc32, stored, size })
    }
}

/// The text of a name, without regard to what it may mean on a disk.
pub(super) fn decode_name(name: &[u8], flags: u16, extra: &Extra<'_>) -> String {
    let unicode = (flags & UTF8 == 0).then(|| extra.unicode_name(name)).flatten();
    if let Some(text) = unicode {
        return text.to_owned();
    }
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

pub(super) fn bytes_at<R: Read + Seek>(input: &mut BlockReader<R>, at: u64, count: u64) -> Result<Vec<u8>> {
    let length = input.length();
    let inside = at.checked_add(count).is_some_and(|end| end <= length);
    let count = usize::try_from(count).ok().filter(|_| inside).ok_or_else(|| {
        damaged("a ZIP record lies outside the file")
            .on(format!("offset {at}"))
            .expected(format!("{count} bytes"), length.saturating_sub(at))
    })?;
    let mut bytes = vec![0; count];
    input.seek(SeekFrom::Start(at))?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::DamagedDirectory, message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
