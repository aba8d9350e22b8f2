//! Archives that need ZIP64, judged by `unzip` and `zipinfo`: many entries, and entries and offsets past 4 GiB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::{AttachmentRecord, CollectionSummary, Snapshot, SourceInfo};
use dikas_archive::catalog::category_of;
use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use dikas_archive::writer::BackupWriter;
use dikas_e2e::tools;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

const MIB: usize = 1 << 20;

#[test]
fn seventy_thousand_attachments_are_more_than_a_plain_zip_counts() {
    let files = (0..70_000_u64).map(|number| {
        let bytes = number.to_le_bytes();
        record(&format!("beleg_{number:06}"), bytes.len() as u64, Sha256::of(&bytes))
    });
    let files: Vec<_> = files.collect();
    let file = write(&files, |number, sink| sink(&(number as u64).to_le_bytes()));
    tools::unzip_test(file.path());
    let listed = tools::zipinfo(file.path());
    assert_eq!(listed.len(), 70_001);
    assert_eq!(listed[69_999], ("attachments/articles/a/beleg_069999".to_owned(), 8));
}

#[test]
fn what_is_larger_than_4_gib_or_begins_behind_has_its_size_and_place() {
    const LARGE: u64 = (1 << 32) + 1;
    let zeros = vec![0; 4 * MIB];
    let steps = |sink: &mut dyn FnMut(&[u8])| {
        let mut left = LARGE as usize;
        while left > 0 {
            let step = left.min(zeros.len());
            sink(&zeros[..step]);
            left -= step;
        }
    };
    // As `head -c 4294967297 /dev/zero | sha256sum` finds it.
    let digest = "fbb82f7b353676bb562eb82157fcf0ea42c36492ca13ee56dbf82c08b6802c5c";
    let files = [record("large", LARGE, digest.parse().unwrap()), record("small", 5, Sha256::of(b"small"))];
    let file = write(&files, |number, sink| if number == 0 { steps(sink) } else { sink(b"small") });
    tools::unzip_test(file.path());
    let listed = tools::zipinfo(file.path());
    assert_eq!(listed[0], ("attachments/articles/a/large".to_owned(), LARGE));
    assert_eq!(listed[1], ("attachments/articles/a/small".to_owned(), 5));
    assert_eq!(tools::unzip_one(file.path(), "attachments/articles/a/small"), b"small");
}

/// Writes a backup with these attachments alone, whose bytes come from `content`, and verifies it.
fn write(
    files: &[AttachmentRecord],
    content: impl Fn(usize, &mut dyn FnMut(&[u8])),
) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = BackupWriter::new(Hollow(file.reopen().unwrap()));
    for (number, record) in files.iter().enumerate() {
        writer.attachment_start(record).unwrap();
        content(number, &mut |bytes| writer.attachment_data(bytes).unwrap());
        writer.attachment_end().unwrap();
    }
    let snapshot = Snapshot {
        id: "0".repeat(32),
        created: "2026-11-23T18:59:41Z".to_owned(),
        source: SourceInfo {
            installation: "0123456789abcdef".repeat(2),
            business: "Café Zur Post".to_owned(),
            product: "DiKAS 26.3".to_owned(),
            position: 7,
        },
        collections: vec![CollectionSummary {
            name: "articles".parse().unwrap(),
            category: category_of("articles"),
            documents: 0,
            bytes: 0,
            attachments: files.len() as u64,
            attachment_bytes: files.iter().map(|file| file.size).sum(),
        }],
        missing: Vec::new(),
    };
    writer.finish(&snapshot).unwrap();
    let verdict = BackupReader::open(file.reopen().unwrap()).unwrap().verify(&mut |_| Ok(())).unwrap();
    // There is no document that the files could belong to; nothing else is wrong.
    assert!(verdict.problems.iter().all(|problem| problem.kind == ErrorKind::Orphaned));
    assert_eq!((verdict.problems.found(), verdict.entries), (files.len() as u64, files.len() as u64 + 1));
    file
}

fn record(name: &str, size: u64, sha256: Sha256) -> AttachmentRecord {
    AttachmentRecord {
        collection: "articles".parse().unwrap(),
        id: "a".to_owned(),
        name: name.to_owned(),
        media_type: "application/octet-stream".to_owned(),
        size,
        sha256,
    }
}

/// A file in which large stretches of zeros are holes, which take no space.
struct Hollow(File);

impl Write for Hollow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() < MIB || bytes.iter().any(|byte| *byte != 0) {
            return self.0.write(bytes);
        }
        self.0.seek(SeekFrom::Current(bytes.len() as i64))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Hollow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
