//! Archives whose directory is gone: what stands before the damage is found by its local headers, and read as far as it is
//! sound (FORMAT.md section 9).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::limits::Limits;
use dikas_archive::reader::{BackupReader, EntryKind};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use support::{awkward, backup, receipts, sample, zip_of};

type Reader<'a> = BackupReader<Cursor<&'a [u8]>>;

fn salvage(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    BackupReader::salvage(Cursor::new(bytes), Limits::default(), &mut |_| Ok(()))
}

fn whole() -> Vec<u8> {
    // One attachment is an archive itself, whose headers are none of ours.
    let inner = zip_of(&[("receipts.jsonl.br", b"not ours".to_vec()), ("other.txt", vec![7; 99])]);
    backup(
        &[("articles", awkward()), ("receipts", receipts(0, 400)), ("vouchers", Vec::new())],
        &[
            ("articles", "b", "a.zip", &inner),
            ("articles", "b", "x", b""),
            ("articles", "b", "ä.png", &[1; 300]),
        ],
    )
}

/// The content of every entry that can be read to its end.
fn contents(reader: &mut Reader<'_>) -> BTreeMap<String, Vec<u8>> {
    let names: Vec<String> = reader.entries().iter().map(|entry| entry.name.clone()).collect();
    let mut found = BTreeMap::new();
    for name in names {
        let mut content = Vec::new();
        let read = reader.entry(&name).and_then(|mut entry| Ok(entry.read_to_end(&mut content)?));
        if read.is_ok() {
            found.insert(name, content);
        }
    }
    found
}

#[test]
fn a_sound_archive_is_opened_as_ever() {
    let whole = whole();
    let mut reader = salvage(&whole).unwrap();
    assert_eq!(reader.lost_directory(), None);
    assert!(reader.verify(&mut |_| Ok(())).unwrap().is_sound());
}

#[test]
fn without_its_directory_everything_is_still_there_and_the_loss_is_said() {
    let whole = whole();
    let truth = contents(&mut salvage(&whole).unwrap());
    let directory = whole.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let first = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    assert!(first < directory, "the one of the archive within comes first");
    let begins = whole.len() - 22;
    let begins = u32::from_le_bytes(whole[begins + 16..begins + 20].try_into().unwrap()) as usize;
    let mut overwritten = whole.clone();
    overwritten[begins..].fill(0);
    for bytes in [&whole[..begins], &whole[..whole.len() - 1], &overwritten, &[&whole[..], b"x"].concat()] {
        assert!(
            BackupReader::open(Cursor::new(bytes)).is_err(),
            "what has no directory is no backup to restore"
        );
        let mut reader = salvage(bytes).unwrap();
        assert_eq!(reader.lost_directory().unwrap().kind, ErrorKind::DamagedDirectory);
        // The manifest is there, so that all is known that was known before.
        assert!(reader.manifest().unwrap().is_some());
        assert_eq!(contents(&mut reader), truth);
        let verdict = reader.verify(&mut |_| Ok(())).unwrap();
        assert_eq!(verdict.problems.len(), 1, "{:?}", verdict.problems);
        assert_eq!(Some(&verdict.problems[0]), reader.lost_directory());
    }
}

#[test]
fn what_was_cut_off_costs_only_itself() {
    let whole = whole();
    let truth = contents(&mut salvage(&whole).unwrap());
    let mut before = 0;
    for length in (0..whole.len()).step_by(whole.len() / 150) {
        let Ok(mut reader) = salvage(&whole[..length]) else {
            assert_eq!(before, 0, "cut to {length}");
            continue;
        };
        let mut found = contents(&mut reader);
        // Of an archive in the archive, if that was cut, what stands in it is found too.
        found.remove("other.txt");
        assert!(found.iter().all(|(name, content)| truth[name] == *content), "cut to {length}");
        assert!(found.len() >= before, "a longer piece holds no less: cut to {length}");
        before = found.len();
        assert!(!reader.verify(&mut |_| Ok(())).unwrap().is_sound(), "cut to {length}");
    }
    assert_eq!(before, truth.len(), "all but the directory");
}

#[test]
fn the_lines_of_a_part_that_was_cut_can_be_read_up_to_there() {
    let whole = backup(&[("receipts", receipts(0, 4000))], &[]);
    let cut = &whole[..whole.len() / 2];
    let mut reader = salvage(cut).unwrap();
    assert_eq!(reader.kind(0), EntryKind::Part);
    let mut lines = reader.lines("receipts.jsonl.br").unwrap();
    let truth = receipts(0, 4000);
    let mut expected = truth.split(|byte| *byte == b'\n');
    let mut count = 0;
    let error = loop {
        match lines.next_line() {
            Ok(Some(line)) => assert_eq!(Some(line), expected.next()),
            Ok(None) => panic!("the end is missing"),
            Err(error) => break error,
        }
        count += 1;
    };
    assert!(count > 500, "{count} lines");
    assert!(matches!(error.kind, ErrorKind::DamagedEntry | ErrorKind::DamagedPart), "{error}");
}

#[test]
fn a_damaged_header_hides_only_its_own_entry() {
    let whole = whole();
    let truth = contents(&mut salvage(&whole).unwrap());
    let headers: Vec<usize> = BackupReader::open(Cursor::new(&whole))
        .unwrap()
        .entries()
        .iter()
        .map(|entry| {
            let name = entry.name.as_bytes();
            whole.windows(name.len()).position(|window| window == name).unwrap() - 30
        })
        .collect();
    let cut = &whole[..whole.len() - 22];
    for (number, at) in headers.into_iter().enumerate() {
        // Its signature; its size, smaller and larger; its name's length.
        for (field, value) in [(0, 0), (18, 3), (21, 0x70), (26, 0xff)] {
            let mut bytes = cut.to_vec();
            if bytes[at + field] == value {
                continue;
            }
            bytes[at + field] = value;
            let mut reader = salvage(&bytes).unwrap();
            let found = contents(&mut reader);
            let missing: Vec<_> =
                truth.iter().filter(|(name, content)| found.get(*name) != Some(content)).collect();
            assert!(
                missing.len() <= 1,
                "entry {number}, byte {field}: {:?}",
                missing.iter().map(|it| it.0).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn data_descriptors_are_found() {
    // As tools write that stream: sizes behind the data, with or without a signature.
    let entry = |name: &str, data: &[u8], signed: bool| {
        let (crc32, size) = (crc32fast::hash(data).to_le_bytes(), (data.len() as u32).to_le_bytes());
        let header = [&b"PK\x03\x04\x14\0\x08\x08\0\0\0\0\x21\0"[..], &[0; 12]].concat();
        let lengths = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
        let signature = if signed { &b"PK\x07\x08"[..] } else { b"" };
        [&header[..], &lengths, name.as_bytes(), data, signature, &crc32, &size, &size].concat()
    };
    let inner = zip_of(&[("inner.txt", b"hidden".to_vec())]);
    let bytes = [
        entry("a.txt", b"one", true),
        entry("attachments/x/y/inner.zip", &inner, false),
        entry("b.txt", b"", true),
    ]
    .concat();
    let mut reader = salvage(&bytes).unwrap();
    let found = contents(&mut reader);
    assert_eq!(found["a.txt"], b"one");
    assert_eq!(found["attachments/x/y/inner.zip"], inner);
    assert_eq!(found["b.txt"], b"");
    assert_eq!(found.len(), 3);
}

#[test]
fn the_sample_without_its_end_gives_all_that_stands_before_it() {
    let Some(file) = sample() else { return };
    let bytes = std::fs::read(file).unwrap();
    let cut = &bytes[..bytes.len() - 1000];
    let mut sound = BackupReader::open(Cursor::new(bytes.as_slice())).unwrap();
    let mut reader = salvage(cut).unwrap();
    let truth = contents(&mut sound);
    let found = contents(&mut reader);
    let files = |all: &BTreeMap<String, Vec<u8>>| all.keys().filter(|name| !name.ends_with('/')).count();
    assert_eq!(files(&found), files(&truth));
    assert!(found.iter().all(|(name, content)| truth[name] == *content));
}

#[test]
fn headers_that_lie_cost_no_more_than_a_few_readings() {
    // Thousands of headers, each of which claims all that follows.
    let mut bytes = Vec::new();
    for number in 0..3000_u32 {
        let name = format!("f{number:05}");
        bytes.extend([&b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0"[..], &number.to_le_bytes()].concat());
        bytes.extend([(1_u32 << 20).to_le_bytes(), (1_u32 << 20).to_le_bytes()].concat());
        bytes.extend([&(name.len() as u16).to_le_bytes()[..], &[0; 2], name.as_bytes(), &[0; 300]].concat());
    }
    bytes.extend(vec![0; 2 << 20]);
    let mut reads = Counting(Cursor::new(&bytes), 0);
    let reader = BackupReader::salvage(&mut reads, Limits::default(), &mut |_| Ok(())).unwrap();
    assert!(!reader.entries().is_empty());
    let times = reads.1 / bytes.len() as u64;
    assert!(times < 10, "the file was read {times} times over");
}

/// Counts the bytes that are read.
struct Counting<R>(R, u64);

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(out)?;
        self.1 += count as u64;
        Ok(count)
    }
}

impl<R: std::io::Seek> std::io::Seek for Counting<R> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic_or_run_on(noise in prop::collection::vec(any::<u8>(), 0..400), at in 0..3000_usize) {
        let mut bytes = whole();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        bytes.truncate(bytes.len() - 30);
        if let Ok(mut reader) = salvage(&bytes) {
            let _ = reader.summary(&mut |_| Ok(())).unwrap();
            prop_assert!(!reader.verify(&mut |_| Ok(())).unwrap().is_sound());
        }
    }
}
