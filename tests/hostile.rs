//! Archives that nobody should trust: each is refused with the kind of FORMAT.md section 9, entry by entry where that
//! is possible.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::codec;
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::limits::Limits;
use dikas_archive::reader::{BackupReader, Note};
use std::io::{Cursor, Read};
use support::fake::{Fake, archive, archive_behind, fake, u16s, u32s};

fn open(bytes: &[u8]) -> Result<BackupReader<Cursor<&[u8]>>, Error> {
    BackupReader::open(Cursor::new(bytes))
}

/// What reading and checking say of the first entry, beside a sound one that stays readable.
fn problem(entry: Fake) -> Option<ErrorKind> {
    let name = String::from_utf8_lossy(&entry.name).into_owned();
    let sound = fake("sound.txt", b"sound");
    let bytes = archive(&[entry, sound]);
    let mut reader = open(&bytes).unwrap();
    let mut content = String::new();
    reader.entry("sound.txt").unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "sound");
    let verdict = reader.verify(&mut |_| Ok(())).unwrap();
    let problem = verdict.problems.first();
    let kind = problem.map(|problem| {
        assert!(problem.subject.as_ref().unwrap().starts_with(&name), "{problem}");
        problem.kind
    });
    let read = reader.entry(&name).and_then(|mut entry| Ok(entry.read_to_end(&mut Vec::new())?));
    if !name.ends_with(".jsonl.br") {
        assert_eq!(read.err().map(|error| error.kind), kind);
    }
    kind
}

#[test]
fn the_builder_builds_sound_archives() {
    assert_eq!(problem(fake("plain.txt", b"x")), None);
    assert_eq!(problem(fake("folder/", b"")), None);
    assert_eq!(problem(fake("attachments/a/b/c..d/e", b"x")), None);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "C:/x",
        "c:x",
        "\\\\host\\share",
        "a\\..\\x",
        "a\0.txt",
        "",
        "a//b",
        "a/./b",
        "attachments/../x",
        "..",
    ] {
        assert_eq!(problem(fake(name, b"x")), Some(ErrorKind::UnsafeName), "{name:?}");
    }
    let no_text = Fake { name: b"\xff\xfe".to_vec(), local_name: b"\xff\xfe".to_vec(), ..fake("", b"x") };
    let bytes = archive(&[no_text]);
    assert_eq!(open(&bytes).unwrap().entries()[0].problem().unwrap().kind, ErrorKind::UnsafeName);
}

#[test]
fn names_that_lead_elsewhere_without_their_folder_are_refused() {
    let part = codec::encode(b"{\"_id\":\"a\"}\n").unwrap().bytes;
    let bytes = archive(&[fake("backup/articles.jsonl.br", &part), fake("backup/C:/x.jsonl.br", &part)]);
    let mut reader = open(&bytes).unwrap();
    assert_eq!(reader.lines("C:/x.jsonl.br").unwrap_err().kind, ErrorKind::UnsafeName);
    assert!(reader.lines("articles.jsonl.br").is_ok());
    let kinds: Vec<_> = reader.verify(&mut |_| Ok(())).unwrap().problems.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [ErrorKind::UnsafeName]);
}

#[test]
fn headers_that_lie_are_found_out() {
    let plain = fake("x", b"hello");
    let cases = [
        (Fake { local_name: b"y".to_vec(), ..plain.clone() }, ErrorKind::DamagedEntry),
        (Fake { crc32: 1, ..plain.clone() }, ErrorKind::DamagedEntry),
        (Fake { size: 4, ..plain.clone() }, ErrorKind::DamagedEntry),
        (Fake { flags: 1, ..plain.clone() }, ErrorKind::UnsupportedEntry),
        (Fake { method: 12, ..plain.clone() }, ErrorKind::UnsupportedEntry),
        (Fake { external: 0o120_777 << 16, ..plain.clone() }, ErrorKind::UnsupportedEntry),
        (Fake { external: 0o060_644 << 16, ..plain.clone() }, ErrorKind::UnsupportedEntry),
        (Fake { method: 8, ..plain.clone() }, ErrorKind::DamagedEntry),
        (fake("folder/", b"content"), ErrorKind::DamagedEntry),
    ];
    for (at, (entry, kind)) in cases.into_iter().enumerate() {
        assert_eq!(problem(entry), Some(kind), "case {at}");
    }
}

#[test]
fn duplicates_and_overlaps_are_refused_and_the_rest_is_not() {
    let bytes = archive(&[fake("a", b"1"), fake("b", b"2"), fake("a", b"3")]);
    let mut reader = open(&bytes).unwrap();
    assert_eq!(reader.entry("a").unwrap_err().kind, ErrorKind::ConflictingEntries);
    assert!(reader.entry("b").is_ok());
    assert_eq!(reader.verify(&mut |_| Ok(())).unwrap().problems.len(), 2);

    // Two directory entries for the same bytes, as a "better zip bomb" has thousands.
    let shared = Fake { at: Some(0), ..fake("b", b"1") };
    let bytes = archive(&[fake("b", b"1"), Fake { name: b"c".to_vec(), ..shared }, fake("d", b"2")]);
    let mut reader = open(&bytes).unwrap();
    assert_eq!(reader.entry("b").unwrap_err().kind, ErrorKind::ConflictingEntries);
    assert_eq!(reader.entry("c").unwrap_err().kind, ErrorKind::ConflictingEntries);
    assert!(reader.entry("d").is_ok());
}

#[test]
fn bombs_do_not_go_off() {
    // 40 MiB of one line's beginning in some hundred bytes.
    let long_line = codec::encode(&vec![b' '; 40 << 20]).unwrap().bytes;
    assert!(long_line.len() < 2000);
    assert_eq!(problem(fake("articles.jsonl.br", &long_line)), Some(ErrorKind::LimitExceeded));
    let many_lines = codec::encode(&b"{\"_id\":\"a\"}\n".repeat(6 << 20)).unwrap().bytes;
    assert_eq!(problem(fake("articles.jsonl.br", &many_lines)), Some(ErrorKind::LimitExceeded));

    let huge = Fake { method: 8, size: u32::MAX - 1, ..fake("x", b"\x03\0") };
    assert_eq!(problem(huge), Some(ErrorKind::LimitExceeded));

    let limits = Limits { entries: 1, ..Limits::default() };
    let bytes = archive(&[fake("a", b""), fake("b", b"")]);
    let error = BackupReader::open_with(Cursor::new(&bytes), limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded);
    let limits = Limits { manifest_bytes: 10, ..Limits::default() };
    let bytes = archive(&[fake("manifest.json", &[b' '; 11])]);
    let reader = BackupReader::open_with(Cursor::new(&bytes), limits).unwrap();
    assert_eq!(reader.manifest().unwrap_err().kind, ErrorKind::LimitExceeded);
}

#[test]
fn parts_without_a_manifest_are_not_decoded_without_an_end() {
    let lines = b"{\"_id\":\"a\"}\n";
    let part = codec::encode(lines).unwrap().bytes;
    let bytes = archive(&[fake("a.jsonl.br", &part), fake("b.jsonl.br", &part)]);
    let summary = |lines_bytes| {
        let limits = Limits { lines_bytes, ..Limits::default() };
        BackupReader::open_with(Cursor::new(&bytes), limits).unwrap().summary(&mut |_| Ok(()))
    };
    let both = 2 * lines.len() as u64;
    assert!(summary(both).unwrap().problems.is_empty());
    assert_eq!(summary(both - 1).unwrap_err().kind, ErrorKind::LimitExceeded);
    assert_eq!(summary(lines.len() as u64).unwrap_err().kind, ErrorKind::LimitExceeded);
}

#[test]
fn directories_that_cannot_be_are_refused() {
    let whole = archive(&[fake("a", b"1")]);
    let end = whole.len() - 22;
    let patched = |at: usize, value: &[u8]| {
        let mut bytes = whole.clone();
        bytes[end + at..end + at + value.len()].copy_from_slice(value);
        open(&bytes).unwrap_err().kind
    };
    assert_eq!(patched(8, &[2, 0, 2, 0]), ErrorKind::DamagedDirectory);
    assert_eq!(patched(8, &[0, 0, 0, 0]), ErrorKind::DamagedDirectory);
    assert_eq!(patched(10, &[2, 0]), ErrorKind::DamagedDirectory);
    assert_eq!(patched(4, &[1, 0]), ErrorKind::DamagedDirectory);
    assert_eq!(patched(12, &[0xff; 4]), ErrorKind::DamagedDirectory);
    assert_eq!(patched(16, &[0xff; 6]), ErrorKind::NotAnArchive);
    assert_eq!(patched(16, &[0xff; 4]), ErrorKind::DamagedDirectory);
    assert_eq!(open(b"").unwrap_err().kind, ErrorKind::NotAnArchive);
    assert_eq!(open(&[0; 5000]).unwrap_err().kind, ErrorKind::NotAnArchive);
    assert_eq!(open(&whole[1..]).unwrap_err().kind, ErrorKind::DamagedDirectory);
    // An end record that promises a ZIP64 record where there is none.
    let locator = [&b"PK\x06\x07"[..], &u32s(&[0, 0xffff_fff0, 0xffff_ffff, 1])].concat();
    let bytes = [&whole[..end], &locator, &whole[end..]].concat();
    assert_eq!(open(&bytes).unwrap_err().kind, ErrorKind::DamagedDirectory);
}

#[test]
fn a_newer_format_is_refused_and_a_bad_manifest_is_said() {
    let bytes = archive(&[fake("manifest.json", br#"{"format":"dikas-backup","version":7}"#)]);
    let error = open(&bytes).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NewerFormat);
    assert!(error.to_string().contains("version 1") && error.to_string().contains("version 7"), "{error}");

    let part = codec::encode(b"{\"_id\":\"art_1\"}\n").unwrap().bytes;
    let bytes = archive(&[fake("x.jsonl.br", &part), fake("manifest.json", b"{")]);
    let mut reader = open(&bytes).unwrap();
    assert_eq!(reader.manifest().unwrap_err().kind, ErrorKind::BadManifest);
    assert_eq!(reader.verify(&mut |_| Ok(())).unwrap().problems.len(), 1);
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    assert_eq!((summary.collections[0].name.as_str(), summary.collections[0].documents), ("articles", 1));
}

#[test]
fn foreign_archives_are_read_generously() {
    let lines = b"{\"_id\":\"art_1\"}\r\n\n{\"_id\":\"x\",\"documentType\":\"Voucher\"}\n{\"_id\":\"y\"}";
    let part = codec::encode(lines).unwrap().bytes;
    let old = b"attachments/a/b/\x81ber.png".to_vec();
    let old = Fake { name: old.clone(), local_name: old, flags: 0, ..fake("", b"x") };
    let bytes = archive(&[fake("data/mixed.2019.jsonl.br", &part), old, fake("readme.txt", b"hi")]);
    let mut reader = open(&bytes).unwrap();
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    let found: Vec<_> =
        summary.collections.iter().map(|found| (found.name.as_str(), found.documents)).collect();
    assert_eq!(found, [("articles", 1), ("mixed", 1), ("vouchers", 1)]);
    assert_eq!(summary.attachments[0].name, "über.png");
    assert!(reader.verify(&mut |_| Ok(())).unwrap().is_sound());
}

/// What a person is told of a whole archive that does not open, and that salvaging it does not crash.
fn refused(bytes: &[u8]) -> ErrorKind {
    if let Ok(mut reader) = BackupReader::salvage(Cursor::new(bytes), Limits::default(), &mut |_| Ok(())) {
        assert!(!reader.verify(&mut |_| Ok(())).unwrap().is_sound());
    }
    open(bytes).unwrap_err().kind
}

#[test]
fn a_count_of_entries_that_cannot_be_is_refused_before_anything_is_allocated() {
    let whole = archive(&[fake("a", b"1")]);
    let end = whole.len() - 22;
    let at = u32::from_le_bytes(whole[end + 16..end + 20].try_into().unwrap());
    // A ZIP64 end record that claims 2^64 - 1 entries (APPNOTE.TXT 4.3.14).
    let claimed = [u64::MAX.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
    let directory = [u64::from(end as u32 - at).to_le_bytes(), u64::from(at).to_le_bytes()].concat();
    let record = [&b"PK\x06\x06"[..], &44_u64.to_le_bytes(), &u16s(&[45, 45]), &u32s(&[0, 0])].concat();
    let record = [record, claimed, directory].concat();
    let locator = [&b"PK\x06\x07"[..], &u32s(&[0]), &(end as u64).to_le_bytes(), &u32s(&[1])].concat();
    let short =
        [&b"PK\x05\x06"[..], &u16s(&[0, 0, 0xffff, 0xffff]), &u32s(&[u32::MAX, u32::MAX]), &u16s(&[0])]
            .concat();
    let bytes = [&whole[..end], &record, &locator, &short].concat();
    assert_eq!(refused(&bytes), ErrorKind::LimitExceeded);
}

#[test]
fn a_second_end_record_in_a_comment_leads_nowhere_else() {
    let inner = archive(&[fake("evil.txt", b"evil")]);
    let mut outer = archive(&[fake("good.txt", b"good")]);
    let comment = outer.len() - 2;
    outer[comment..].copy_from_slice(&(inner.len() as u16).to_le_bytes());
    outer.extend(&inner);
    // Read from its end, the file ends with the inner archive, whose offsets are not those of this file.
    assert_eq!(refused(&outer), ErrorKind::DamagedDirectory);
}

#[test]
fn a_comment_of_64_kb_is_read_over() {
    let mut bytes = archive(&[fake("a", b"1")]);
    let comment = bytes.len() - 2;
    bytes[comment..].copy_from_slice(&u16::MAX.to_le_bytes());
    bytes.extend(vec![b'x'; usize::from(u16::MAX)]);
    let mut reader = open(&bytes).unwrap();
    assert!(reader.verify(&mut |_| Ok(())).unwrap().is_sound());
}

#[test]
fn bytes_before_the_first_entry_are_refused_also_where_the_offsets_count_them() {
    let entries = [fake("a", b"1"), fake("b", b"2")];
    assert_eq!(refused(&[b"#!/bin/sh\n", &archive(&entries)[..]].concat()), ErrorKind::DamagedDirectory);
    let bytes = archive_behind(b"#!/bin/sh\n", &entries);
    assert_eq!(refused(&bytes), ErrorKind::DamagedDirectory);
    let error = open(&bytes).unwrap_err();
    assert_eq!(error.actual.as_deref(), Some("10 bytes"), "{error}");
    assert_eq!(refused(&archive_behind(b"x", &[])), ErrorKind::DamagedDirectory);
}

#[test]
fn padding_may_follow_the_end_and_is_counted() {
    let whole = archive(&[fake("a", b"1")]);
    // A tape's last block, a transfer as text, a file system's last sector.
    for padding in [vec![0; 10_240 - whole.len()], b"\n".to_vec(), b"\r\n".to_vec(), vec![0; 1 << 20]] {
        let bytes = [&whole[..], &padding].concat();
        let mut reader = open(&bytes).unwrap();
        let note = Note::TrailingBytes { bytes: padding.len() as u64 };
        assert_eq!(reader.notes(), std::slice::from_ref(&note));
        let verdict = reader.verify(&mut |_| Ok(())).unwrap();
        assert!(verdict.is_sound() && verdict.notes == [note], "{:?}", verdict.problems);
    }
    assert_eq!(open(&whole).unwrap().notes(), []);
}

#[test]
fn other_bytes_behind_the_end_are_refused_with_their_number_and_place() {
    let whole = archive(&[fake("a", b"1")]);
    for behind in [&b"behind"[..], b"\0\0x\0", b" ", &whole[..20]] {
        let bytes = [&whole[..], behind].concat();
        assert_eq!(refused(&bytes), ErrorKind::DamagedDirectory);
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.subject, Some(format!("offset {}", whole.len())), "{error}");
        assert_eq!(error.actual, Some(format!("{} bytes", behind.len())), "{error}");
    }
    assert!(open(&[&whole[..], &vec![0; 1 << 20]].concat()).is_ok());
    // Just beyond the bound, where the end record can still be seen, and where it cannot.
    for many in [(1 << 20) + 1, (1 << 20) + 65_535, (1 << 20) + 70_000] {
        let much = [&whole[..], &vec![0; many]].concat();
        assert_eq!(refused(&much), ErrorKind::DamagedDirectory, "{many}");
        let error = open(&much).unwrap_err();
        assert!(error.message.contains("zeros or line ends"), "{error}");
        assert_eq!(error.expected.as_deref(), Some("at most 1048576 of them"), "{error}");
    }
    assert_eq!(open(&[0; 2 << 20]).unwrap_err().kind, ErrorKind::NotAnArchive);
}

#[test]
fn an_extra_field_that_is_none_costs_nothing() {
    let utc = [&b"UT"[..], &u16s(&[5]), &[1, 2, 3, 4, 5]].concat();
    for odd in [vec![0], vec![1, 2], vec![0; 3], vec![1, 0, 99, 0, 1], [&utc[..], b"\xff"].concat()] {
        assert_eq!(problem(Fake { extra: odd.clone(), ..fake("x", b"hello") }), None, "{odd:?}");
    }
    // An entry whose sizes are to be in a field that lacks them is refused, and hides no other.
    let cut = [u16s(&[1, 4]), vec![0; 4]].concat();
    let lost = Fake { size: u32::MAX, stored: u32::MAX, extra: cut, ..fake("x", b"hello") };
    let bytes = archive(&[lost, fake("y", b"sound")]);
    let mut reader = open(&bytes).unwrap();
    assert_eq!(reader.entry("x").unwrap_err().kind, ErrorKind::DamagedEntry);
    assert!(reader.entry("y").is_ok());
}

#[test]
fn a_version_that_is_not_defined_is_refused() {
    for (needed, kind) in [
        (10, None),
        (63, None),
        (3 << 8 | 20, None),
        (64, Some(ErrorKind::UnsupportedEntry)),
        (120, Some(ErrorKind::UnsupportedEntry)),
    ] {
        assert_eq!(problem(Fake { needed, ..fake("x", b"hello") }), kind, "{needed}");
    }
    let bytes = archive(&[Fake { needed: 64, ..fake("x", b"") }]);
    let error = open(&bytes).unwrap().entry("x").unwrap_err();
    assert_eq!(
        (error.expected.as_deref(), error.actual.as_deref()),
        (Some("version 6.3 or older"), Some("version 6.4"))
    );
}

#[test]
fn a_data_descriptor_has_to_say_what_the_directory_says() {
    let described = |behind: Vec<u8>| Fake { flags: 1 << 11 | 1 << 3, behind, ..fake("x", b"hello") };
    let crc32 = crc32fast::hash(b"hello");
    let short = |crc32, size| u32s(&[crc32, 5, size]);
    let long = |crc32, size| u32s(&[crc32, 5, 0, size, 0]);
    let signed = |record: Vec<u8>| [&b"PK\x07\x08"[..], &record].concat();
    for record in [short(crc32, 5), long(crc32, 5)] {
        assert_eq!(problem(described(record.clone())), None);
        assert_eq!(problem(described(signed(record))), None);
    }
    for record in [short(crc32, 6), short(crc32 ^ 1, 5), long(crc32, 6), long(crc32 ^ 1, 5)] {
        assert_eq!(problem(described(record.clone())), Some(ErrorKind::DamagedEntry));
        assert_eq!(problem(described(signed(record))), Some(ErrorKind::DamagedEntry));
    }
    assert_eq!(problem(described(Vec::new())), None, "one that is not there says nothing else");
}

#[test]
fn a_unicode_path_is_the_name_where_it_fits_the_headers_name() {
    let field = |of: &[u8], text: &str| {
        let value = [&[1][..], &crc32fast::hash(of).to_le_bytes(), text.as_bytes()].concat();
        [u16s(&[0x7075, value.len() as u16]), value].concat()
    };
    let name = b"attachments/a/b/?.png".to_vec();
    let named = |extra: Vec<u8>, flags| {
        let entry = Fake { name: name.clone(), local_name: name.clone(), flags, extra, ..fake("", b"x") };
        let bytes = archive(&[entry]);
        open(&bytes).unwrap().entries()[0].name.clone()
    };
    assert_eq!(named(field(&name, "attachments/a/b/日.png"), 0), "attachments/a/b/日.png");
    assert_eq!(named(field(b"renamed since", "attachments/a/b/日.png"), 0), "attachments/a/b/?.png");
    assert_eq!(named(field(&name, ""), 0), "attachments/a/b/?.png");
    assert_eq!(named(field(&name, "../日.png"), 1 << 11), "attachments/a/b/?.png", "it is UTF-8 already");
    let unsafe_one = Fake {
        name: name.clone(),
        local_name: name.clone(),
        flags: 0,
        extra: field(&name, "../x"),
        ..fake("", b"x")
    };
    let bytes = archive(&[unsafe_one]);
    assert_eq!(open(&bytes).unwrap().entries()[0].problem().unwrap().kind, ErrorKind::UnsafeName);
}

#[test]
fn bytes_that_look_like_a_zip64_locator_are_none_unless_they_lead_to_a_record() {
    // The end of the last name, 20 bytes before the end record.
    let name = [&b"attachments/a/b/"[..], b"PK\x06\x07 and 16 bytes on"].concat();
    assert_eq!(&name[name.len() - 20..][..4], b"PK\x06\x07");
    let bytes =
        archive(&[fake("y", b"sound"), Fake { name: name.clone(), local_name: name, ..fake("", b"x") }]);
    let mut reader = open(&bytes).unwrap();
    assert_eq!(reader.entries().len(), 2);
    assert!(reader.verify(&mut |_| Ok(())).unwrap().is_sound());
}

#[test]
fn a_zip64_record_may_state_the_disk() {
    let whole = archive(&[fake("a", b"1")]);
    let end = whole.len() - 22;
    let at = u32::from_le_bytes(whole[end + 16..end + 20].try_into().unwrap());
    let counts = [1_u64, 1, (end as u64) - u64::from(at), at.into()].map(u64::to_le_bytes).concat();
    let record =
        [&b"PK\x06\x06"[..], &44_u64.to_le_bytes(), &u16s(&[45, 45]), &u32s(&[0, 0]), &counts].concat();
    let locator = [&b"PK\x06\x07"[..], &u32s(&[0]), &(end as u64).to_le_bytes(), &u32s(&[1])].concat();
    let short = |disk| {
        let ones = u16s(&[disk, disk, 0xffff, 0xffff]);
        [&b"PK\x05\x06"[..], &ones, &u32s(&[u32::MAX, u32::MAX]), &u16s(&[0])].concat()
    };
    let with = |disk| [&whole[..end], &record, &locator, &short(disk)].concat();
    for disk in [0, 0xffff] {
        let bytes = with(disk);
        assert!(open(&bytes).unwrap().verify(&mut |_| Ok(())).unwrap().is_sound(), "{disk}");
    }
    assert_eq!(refused(&with(1)), ErrorKind::DamagedDirectory);
    assert_eq!(refused(&[&whole[..end], &short(0xffff)].concat()), ErrorKind::DamagedDirectory);
}

#[test]
fn what_the_directory_shows_of_attachments_is_said_without_reading_them() {
    let encrypted = Fake { flags: 1, ..fake("attachments/a/b/encrypted", b"x") };
    let outside = fake("attachments/a/../x", b"x");
    let overlapping = Fake { stored: 9_000, size: 9_000, ..fake("attachments/a/b/over", b"x") };
    let part = codec::encode(b"{\"_id\":\"b\"}\n").unwrap().bytes;
    let bytes = archive(&[fake("a.jsonl.br", &part), encrypted, outside, overlapping]);
    let summary = open(&bytes).unwrap().summary(&mut |_| Ok(())).unwrap();
    let kinds: Vec<_> = summary.problems.iter().map(|problem| problem.kind).collect();
    use ErrorKind::{ConflictingEntries, UnsafeName, UnsupportedEntry};
    assert_eq!(kinds, [UnsupportedEntry, UnsafeName, ConflictingEntries]);
    let index = dikas_archive::inspect::Index::of(&mut open(&bytes).unwrap(), &mut |_| Ok(())).unwrap();
    assert_eq!(index.problems, summary.problems);
}

#[test]
fn a_name_is_a_name_whatever_it_means_elsewhere() {
    // To JavaScript, to shells, to spreadsheets: here it is an entry like any other.
    for name in ["__proto__", "constructor", "-rf", "$(id)", "=cmd|'/c calc'!A1", "CON", "aux.txt"] {
        assert_eq!(problem(fake(name, b"x")), None, "{name}");
    }
    let lines = b"{\"_id\":\"__proto__\",\"__proto__\":{\"admin\":true}}\n";
    let part = codec::encode(lines).unwrap().bytes;
    let bytes = archive(&[fake("__proto__.jsonl.br", &part)]);
    let summary = open(&bytes).unwrap().summary(&mut |_| Ok(())).unwrap();
    assert_eq!((summary.collections[0].name.as_str(), summary.collections[0].documents), ("__proto__", 1));
}

#[test]
fn lines_that_are_no_documents_are_named_and_the_others_counted() {
    let deep = format!("{{\"_id\":\"a\",\"x\":{}1{}}}", "[".repeat(600), "]".repeat(600));
    for (what, line) in [
        ("nested too deep", deep.as_bytes()),
        ("not UTF-8", b"{\"_id\":\"\xff\xfe\"}"),
        ("not an object", b"[1,2]"),
        ("no id", b"{\"id\":\"a\"}"),
        ("two ids", b"{\"_id\":\"a\",\"_id\":\"b\"}"),
        ("a number for an id", b"{\"_id\":7}"),
        ("cut", b"{\"_id\":\"a\""),
    ] {
        let lines = [&b"{\"_id\":\"sound\"}\n"[..], line, b"\n"].concat();
        let part = codec::encode(&lines).unwrap().bytes;
        let bytes = archive(&[
            fake("x.jsonl.br", &part),
            fake("y.jsonl.br", &codec::encode(b"{\"_id\":\"b\"}\n").unwrap().bytes),
        ]);
        let mut reader = open(&bytes).unwrap();
        let verdict = reader.verify(&mut |_| Ok(())).unwrap();
        let kinds: Vec<_> = verdict.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ErrorKind::BadDocument], "{what}");
        assert_eq!(verdict.problems[0].subject.as_deref(), Some("x.jsonl.br, line 2"), "{what}");
        assert_eq!(verdict.documents, 2, "{what}: the one before it, and the one of the other part");
    }
}

#[test]
fn what_runs_elsewhere_is_bytes_here() {
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let html = b"<script>alert(1)</script>";
    let bytes = archive(&[fake("attachments/a/b/x.svg", svg), fake("attachments/a/b/x.html", html)]);
    let mut reader = open(&bytes).unwrap();
    assert!(reader.verify(&mut |_| Ok(())).unwrap().is_sound());
    let mut content = Vec::new();
    reader.attachment("attachments/a/b/x.svg").unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, svg);
}

#[test]
fn a_bomb_costs_no_more_memory_than_a_line_may() {
    // 1 KB that decodes to 100 MB: lines that are documents, or one that never ends.
    let bomb = codec::encode(&b" ".repeat(100 << 20)).unwrap().bytes;
    assert!(bomb.len() < 4096, "{}", bomb.len());
    let bytes = archive(&[fake("articles.jsonl.br", &bomb)]);
    let mut reader = open(&bytes).unwrap();
    let mut lines = reader.lines("articles.jsonl.br").unwrap();
    let error = lines.next_line().unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded);
    assert!(lines.bytes() <= (34 << 20), "it stops at a line's limit: {}", lines.bytes());
}
