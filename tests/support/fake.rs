//! ZIP archives as a test wants them, byte for byte (APPNOTE.TXT 6.3.10 sections 4.3.7, 4.3.9, 4.3.12 and 4.3.16).

/// One entry, in both headers.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) needed: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) size: u32,
    pub(crate) stored: u32,
    pub(crate) made_by: u16,
    pub(crate) external: u32,
    /// The extra fields of both headers.
    pub(crate) extra: Vec<u8>,
    /// What stands behind the data.
    pub(crate) behind: Vec<u8>,
    /// Where the central header says the entry begins; where it does, if none.
    pub(crate) at: Option<u32>,
}

/// A sound entry, as a Unix tool writes it.
pub(crate) fn fake(name: &str, data: &[u8]) -> Fake {
    Fake {
        name: name.as_bytes().to_vec(),
        local_name: name.as_bytes().to_vec(),
        data: data.to_vec(),
        needed: 20,
        flags: 1 << 11,
        method: 0,
        crc32: crc32fast::hash(data),
        size: data.len() as u32,
        stored: data.len() as u32,
        made_by: 3 << 8 | 20,
        external: 0o100_644 << 16,
        extra: Vec::new(),
        behind: Vec::new(),
        at: None,
    }
}

pub(crate) fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) fn u32s(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The archive of these entries.
pub(crate) fn archive(entries: &[Fake]) -> Vec<u8> {
    archive_behind(&[], entries)
}

/// The same behind other bytes, with offsets that count them.
pub(crate) fn archive_behind(before: &[u8], entries: &[Fake]) -> Vec<u8> {
    let (mut bytes, mut directory) = (before.to_vec(), Vec::new());
    for entry in entries {
        let at = entry.at.unwrap_or(bytes.len() as u32);
        let shared = [
            u16s(&[entry.needed, entry.flags, entry.method, 0, 0x21]),
            u32s(&[entry.crc32, entry.stored, entry.size]),
        ]
        .concat();
        let extra = entry.extra.len() as u16;
        bytes.extend([&b"PK\x03\x04"[..], &shared, &u16s(&[entry.local_name.len() as u16, extra])].concat());
        bytes.extend([&entry.local_name[..], &entry.extra, &entry.data, &entry.behind].concat());
        directory.extend([&b"PK\x01\x02"[..], &u16s(&[entry.made_by]), &shared].concat());
        directory
            .extend([u16s(&[entry.name.len() as u16, extra, 0, 0, 0]), u32s(&[entry.external, at])].concat());
        directory.extend([&entry.name[..], &entry.extra].concat());
    }
    let (count, at) = (entries.len() as u16, bytes.len() as u32);
    bytes.extend(&directory);
    bytes.extend([&b"PK\x05\x06"[..], &u16s(&[0, 0, count, count])].concat());
    bytes.extend([u32s(&[directory.len() as u32, at]), u16s(&[0])].concat());
    bytes
}
