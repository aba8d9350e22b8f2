//! Whatever is cut off or flipped in a backup is noticed, and nothing panics (FORMAT.md section 9).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use support::{awkward, backup, receipts};

fn small() -> Vec<u8> {
    backup(
        &[("articles", awkward()), ("receipts", receipts(0, 300)), ("vouchers", Vec::new())],
        &[("articles", "b", "x", b""), ("articles", "b", "ä.png", &[1; 300])],
    )
}

/// Whether opening or checking finds something wrong.
fn is_noticed(bytes: &[u8]) -> bool {
    match BackupReader::open(Cursor::new(bytes)) {
        Err(_) => true,
        Ok(mut reader) => {
            let _ = reader.summary(&mut |_| Ok(())).unwrap();
            !reader.verify(&mut |_| Ok(())).unwrap().is_sound()
        }
    }
}

#[test]
fn what_is_cut_off_is_noticed() {
    let whole = small();
    assert!(!is_noticed(&whole));
    for length in 0..whole.len() {
        if length % (whole.len() / 60) == 0 || whole.len() - length < 80 {
            assert!(is_noticed(&whole[..length]), "cut to {length} of {}", whole.len());
        }
    }
    // A piece out of the middle, and bytes in front or behind.
    for at in (0..whole.len()).step_by(97) {
        assert!(is_noticed(&[&whole[..at], &whole[at + 1..]].concat()), "without byte {at}");
        assert!(is_noticed(&[&whole[..at], b"\0", &whole[at..]].concat()), "one more byte at {at}");
    }
    assert!(is_noticed(&[&whole[..], b"x"].concat()));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let whole = small();
    for at in 0..whole.len() {
        // All of the headers at the end, and every seventh byte elsewhere.
        if at % 7 == 0 || whole.len() - at < 700 {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                assert!(is_noticed(&bytes), "byte {at} of {}, flipped by {flip:#x}", whole.len());
            }
        }
    }
}

#[test]
fn what_is_sound_stays_readable_beside_what_is_not() {
    let mut bytes = small();
    let mut reader = BackupReader::open(Cursor::new(&bytes)).unwrap();
    let manifest = reader.manifest().unwrap().unwrap().clone();
    let mut part = Vec::new();
    let damaged = &manifest.collections[1].parts[0].name;
    reader.entry(damaged).unwrap().read_to_end(&mut part).unwrap();
    let at = bytes.windows(part.len()).position(|window| window == part).unwrap();
    bytes[at + part.len() / 2] ^= 1;

    let mut reader = BackupReader::open(Cursor::new(&bytes)).unwrap();
    let verdict = reader.verify(&mut |_| Ok(())).unwrap();
    assert_eq!(verdict.problems.len(), 1, "{:?}", verdict.problems);
    assert!(verdict.problems[0].subject.as_ref().unwrap().starts_with(damaged));
    assert_eq!(
        reader.entry(damaged).unwrap().read_to_end(&mut Vec::new()).map_err(kind),
        Err(ErrorKind::DamagedEntry)
    );
    let mut lines = reader.lines("articles.jsonl.br").unwrap();
    let mut count = 0;
    while lines.next_line().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 5);
    let mut content = Vec::new();
    reader.attachment("attachments/articles/b/ä.png").unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, [1; 300]);
}

fn kind(error: io::Error) -> ErrorKind {
    dikas_archive::error::Error::from(error).kind
}

/// Fails after so many reads.
struct Failing<R>(R, u32);

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1.checked_sub(1).ok_or_else(|| io::Error::other("the disk is gone"))?;
        let count = out.len().min(700);
        self.0.read(&mut out[..count])
    }
}

impl<R: Seek> Seek for Failing<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_disk_that_fails_is_not_called_damage() {
    let whole = small();
    let mut finished = 0;
    for reads in 0..60 {
        let result = BackupReader::open(Failing(Cursor::new(&whole), reads))
            .and_then(|mut reader| reader.verify(&mut |_| Ok(())));
        match result {
            Ok(verdict) => {
                assert!(verdict.is_sound());
                finished += 1;
            }
            Err(error) => assert_eq!(error.kind, ErrorKind::Io, "after {reads} reads: {error}"),
        }
    }
    assert!((1..60).contains(&finished));
}
