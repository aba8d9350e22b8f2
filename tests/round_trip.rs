//! What the writer writes, the reader and other people's tools give back (FORMAT.md sections 2 to 8).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_archive::part::PART_BYTES;
use dikas_archive::reader::{BackupReader, EntryKind};
use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{File, Lines, awkward, backup, receipts};

/// Gives one byte at a time.
struct Drip<R>(R);

impl<R: Read> Read for Drip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(1);
        self.0.read(&mut out[..count])
    }
}

impl<R: Seek> Seek for Drip<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn contents() -> (Vec<Lines<'static>>, Vec<File<'static>>) {
    let more_than_a_part = receipts(0, 60_000);
    assert!(more_than_a_part.len() > PART_BYTES);
    let collections = vec![
        ("articles", awkward()),
        ("receipts", more_than_a_part),
        ("vouchers", Vec::new()),
        ("zz-unknown", b"{\"_id\":\"z\"}\n".to_vec()),
    ];
    let files: Vec<File<'_>> = vec![
        ("articles", "a/b%20ä", "Foto Größe L.png", b"\x89PNG\r\n\x1a\n"),
        ("articles", "a/b%20ä", "empty", b""),
        ("articles", "a/b%20ä", "foto grösse l.PNG", b"other"),
        ("articles", "b", "../../etc/passwd", b"no"),
        ("vouchers", "gone", "CON", &[7; 5000]),
    ];
    (collections, files)
}

fn lines_of<R: Read + Seek>(reader: &mut BackupReader<R>, part: &str) -> Vec<u8> {
    let mut all = Vec::new();
    let mut lines = reader.lines(part).unwrap();
    while let Some(line) = lines.next_line().unwrap() {
        all.extend_from_slice(line);
        all.push(b'\n');
    }
    all
}

fn check<R: Read + Seek>(input: R) {
    let (collections, files) = contents();
    let mut reader = BackupReader::open(input).unwrap();
    let manifest = reader.manifest().unwrap().unwrap().clone();
    for ((name, lines), entry) in collections.iter().zip(&manifest.collections) {
        assert_eq!(entry.name.as_str(), *name);
        let found: Vec<_> = entry.parts.iter().map(|part| lines_of(&mut reader, &part.name)).collect();
        assert!(found.concat() == *lines, "{name}");
        assert!(found.iter().all(|part| part.len() <= PART_BYTES));
    }
    assert_eq!(manifest.attachments.len(), files.len());
    for ((collection, id, name, bytes), entry) in files.iter().zip(&manifest.attachments) {
        let record = &entry.record;
        assert_eq!(
            (record.collection.as_str(), record.id.as_str(), record.name.as_str()),
            (*collection, *id, *name)
        );
        let mut content = Vec::new();
        reader.attachment(&entry.path).unwrap().read_to_end(&mut content).unwrap();
        assert!(content == *bytes, "{}", entry.path);
    }
    let mut seen = 0;
    let mut count = |bytes| {
        seen += bytes;
        Ok(())
    };
    let verdict = reader.verify(&mut count).unwrap();
    let problems: Vec<_> =
        verdict.problems.iter().map(|problem| (problem.kind, problem.subject.as_deref())).collect();
    assert_eq!(problems, [(ErrorKind::Orphaned, Some(manifest.attachments[4].path.as_str()))]);
    assert_eq!((verdict.documents, verdict.has_manifest), (60_006, true));
    assert_eq!(seen, reader.entries().iter().map(|entry| entry.stored_size).sum::<u64>());
    assert_eq!(reader.kind(reader.entries().len() - 1), EntryKind::Manifest);
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    assert_eq!(summary.collections.iter().map(|collection| collection.documents).sum::<u64>(), 60_006);
    assert_eq!(summary.attachments[3].name, "../../etc/passwd");
}

#[test]
fn lines_and_files_come_back_byte_for_byte() {
    let (collections, files) = contents();
    let bytes = backup(&collections, &files);
    assert!(bytes == backup(&collections, &files), "the same input gave two archives");
    check(Cursor::new(&bytes));
    check(Drip(Cursor::new(&bytes)));
    let mut reader = BackupReader::open(Cursor::new(&bytes)).unwrap();
    assert_eq!(reader.sha256(&mut |_| Ok(())).unwrap(), Sha256::of(&bytes));
}

#[test]
fn other_readers_agree() {
    let (collections, files) = contents();
    let bytes = backup(&collections, &files);
    let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut reader = BackupReader::open(Cursor::new(&bytes)).unwrap();
    assert_eq!(names, reader.entries().iter().map(|entry| entry.name.clone()).collect::<Vec<_>>());
    for name in names {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        zip.by_name(&name).unwrap().read_to_end(&mut one).unwrap();
        reader.entry(&name).unwrap().read_to_end(&mut other).unwrap();
        assert!(one == other, "{name}");
    }
}

fn run(program: &str, package: &str, args: &[&Path]) -> Vec<u8> {
    let output = Command::new(program).args(args).output();
    let output =
        output.unwrap_or_else(|error| panic!("cannot run {program} ({error}); install Debian's {package}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn info_zip_and_brotli_unpack_it() {
    let (collections, files) = contents();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("unpacked");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("backup.zip");
    fs::write(&file, backup(&collections, &files)).unwrap();
    let tested = run("unzip", "unzip", &[Path::new("-t"), &file]);
    assert!(String::from_utf8_lossy(&tested).contains("No errors detected"));
    run("unzip", "unzip", &[Path::new("-q"), &file, Path::new("-d"), &folder]);

    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    for (at, (name, lines)) in collections.iter().enumerate() {
        let parts = manifest["collections"][at]["parts"].as_array().unwrap();
        let mut found = Vec::new();
        for part in parts {
            let path = folder.join(part["name"].as_str().unwrap());
            assert_eq!(Sha256::of(&fs::read(&path).unwrap()).to_string(), part["sha256"].as_str().unwrap());
            found.extend(run("brotli", "brotli", &[Path::new("-dc"), &path]));
        }
        assert!(found == *lines, "{name}");
    }
    for ((.., bytes), entry) in files.iter().zip(manifest["attachments"].as_array().unwrap()) {
        assert!(fs::read(folder.join(entry["path"].as_str().unwrap())).unwrap() == *bytes);
    }
}
