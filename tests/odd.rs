//! Archives that are odd but valid: as other tools write them. All of them open, verify, and give what is in them.
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

use dikas_archive::codec;
use dikas_archive::reader::{BackupReader, EntryKind};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::{Cursor, Read, Write as _};
use std::path::Path;
use support::{receipts, tool_of};

/// How a tool writes an entry.
#[derive(Clone, Copy)]
struct Habit {
    /// Version made by: the system in the upper byte.
    made_by: u16,
    needed: u16,
    flags: u16,
    deflate: bool,
    /// An extra field in the local header, and one in the central header.
    extra: (&'static [u8], &'static [u8]),
    /// Of a data descriptor: whether it has a signature.
    descriptor: Option<bool>,
    external: u32,
}

/// `java.util.zip` by a stream: sizes behind the data; the first entry of a JAR has an empty extra field 0xCAFE.
const JAVA: Habit = Habit {
    made_by: 20,
    needed: 20,
    flags: 1 << 3 | 1 << 11,
    deflate: true,
    extra: (&[0xfe, 0xca, 0, 0], &[0xfe, 0xca, 0, 0]),
    descriptor: Some(true),
    external: 0,
};

/// `System.IO.Compression` on Windows.
const DOTNET: Habit = Habit { made_by: 20, flags: 0, extra: (&[], &[]), descriptor: None, ..JAVA };

/// Archive Utility of macOS: a descriptor, times and owners in extra fields, other ones in each header.
const MACOS: Habit = Habit {
    made_by: 3 << 8 | 21,
    flags: 1 << 3,
    extra: (
        &[b'U', b'X', 12, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xf5, 1, 0x14, 0],
        &[b'U', b'X', 8, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ),
    external: 0o100_644 << 16,
    ..JAVA
};

/// Streams that leave the signature of the descriptor out, which APPNOTE.TXT section 4.3.9.3 allows.
const BARE: Habit = Habit { descriptor: Some(false), deflate: false, ..JAVA };

fn archive(habit: Habit, entries: &[(&str, &[u8])], comment: &str) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let folder = name.ends_with('/');
        let data = match habit.deflate && !folder {
            true => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            false => content.to_vec(),
        };
        let flags = if folder { habit.flags & !(1 << 3) } else { habit.flags };
        let descriptor = habit.descriptor.filter(|_| !folder);
        let method = u16::from(habit.deflate && !folder) * 8;
        let sizes = [crc32fast::hash(content), data.len() as u32, content.len() as u32]
            .map(u32::to_le_bytes)
            .concat();
        let start = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let fixed = start(&[habit.needed, flags, method, 0x6020, 0x4a21]);
        let (local_extra, central_extra) = habit.extra;
        let at = bytes.len() as u32;
        bytes.extend([&b"PK\x03\x04"[..], &fixed].concat());
        bytes.extend(if descriptor.is_some() { vec![0; 12] } else { sizes.clone() });
        bytes.extend(start(&[name.len() as u16, local_extra.len() as u16]));
        bytes.extend([name.as_bytes(), local_extra, &data].concat());
        if let Some(signed) = descriptor {
            bytes.extend(if signed { &b"PK\x07\x08"[..] } else { b"" });
            bytes.extend(&sizes);
        }
        directory.extend([&b"PK\x01\x02"[..], &habit.made_by.to_le_bytes(), &fixed, &sizes].concat());
        directory.extend(start(&[name.len() as u16, central_extra.len() as u16, 0, 0, 0]));
        directory.extend(
            [&habit.external.to_le_bytes()[..], &at.to_le_bytes(), name.as_bytes(), central_extra].concat(),
        );
    }
    let (count, at) = (entries.len() as u16, bytes.len() as u32);
    bytes.extend(&directory);
    bytes.extend([&b"PK\x05\x06\0\0\0\0"[..], &count.to_le_bytes(), &count.to_le_bytes()].concat());
    bytes.extend([&(directory.len() as u32).to_le_bytes()[..], &at.to_le_bytes()].concat());
    bytes.extend([&(comment.len() as u16).to_le_bytes()[..], comment.as_bytes()].concat());
    bytes
}

/// What every one of them holds.
fn check(bytes: &[u8], tool: &str) {
    let mut reader = BackupReader::open(Cursor::new(bytes)).unwrap_or_else(|error| panic!("{tool}: {error}"));
    let verdict = reader.verify(&mut |_| Ok(())).unwrap();
    assert!(verdict.is_sound() && !verdict.has_manifest, "{tool}: {:?}", verdict.problems);
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    let receipts = summary.collections.iter().find(|it| it.name == "receipts").expect(tool);
    assert_eq!(receipts.documents, 100, "{tool}");
    let file = summary.attachments.iter().find(|it| it.name == "Größe.txt").expect(tool);
    assert_eq!((file.collection.as_deref(), file.id.as_deref()), (Some("articles"), Some("art_1")), "{tool}");
    let mut content = String::new();
    reader.attachment(&file.path).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "Füße", "{tool}");
    // What is neither is left alone.
    for at in 0..reader.entries().len() {
        if reader.entries()[at].name.starts_with("__MACOSX/") {
            assert_eq!(reader.kind(at), EntryKind::Addition, "{tool}");
        }
    }
}

#[test]
fn other_programs_headers_are_read() {
    let part = codec::encode(&receipts(0, 100)).unwrap().bytes;
    let file = "attachments/articles/art_1/Größe.txt";
    let plain = [("receipts.jsonl.br", part.as_slice()), (file, "Füße".as_bytes())];
    let with_folders = [&[("attachments/", &b""[..]), ("attachments/articles/", b"")], &plain[..]].concat();
    let forks = [&plain[..], &[("__MACOSX/._receipts.jsonl.br", &b"\0\x05\x16\x07"[..])]].concat();
    for (tool, habit, entries, comment) in [
        ("Java", JAVA, &with_folders, ""),
        (".NET", DOTNET, &with_folders, ""),
        ("macOS", MACOS, &forks, ""),
        ("no signature", BARE, &with_folders, "made by hand"),
    ] {
        check(&archive(habit, entries, comment), tool);
    }
}

/// The same files on the disk, and what a tool makes of them: in `archive.zip` beside their folder, else on its output.
fn made_by(tool: &str, package: &str, arguments: &[&str]) {
    let Some(mut command) = tool_of(tool, package) else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("odd-{tool}"));
    let _ = std::fs::remove_dir_all(&folder);
    let files = folder.join("backup");
    std::fs::create_dir_all(files.join("attachments/articles/art_1")).unwrap();
    std::fs::write(files.join("receipts.jsonl.br"), codec::encode(&receipts(0, 100)).unwrap().bytes).unwrap();
    std::fs::write(files.join("attachments/articles/art_1/Größe.txt"), "Füße").unwrap();
    let output = command.args(arguments).current_dir(&files).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    check(&std::fs::read(folder.join("archive.zip")).unwrap_or(output.stdout), tool);
}

#[test]
fn archives_of_info_zip_are_read() {
    made_by("zip", "zip", &["-q", "-r", "-", "."]);
    made_by("zip", "zip", &["-q", "-0", "-X", "-D", "-r", "-", "."]);
}

#[test]
fn archives_of_python_are_read() {
    let script = "import sys, zipfile, os
z = zipfile.ZipFile(sys.stdout.buffer, 'w', zipfile.ZIP_DEFLATED)
for root, _, names in os.walk('.'):
    for name in names: z.write(os.path.relpath(os.path.join(root, name), '.'))
z.close()";
    made_by("python3", "python3", &["-c", script]);
}

#[test]
fn archives_of_7_zip_are_read() {
    made_by("7z", "p7zip-full", &["a", "-tzip", "../archive.zip", "."]);
}

#[test]
fn archives_of_bsdtar_are_read() {
    made_by("bsdtar", "libarchive-tools", &["-c", "-f", "-", "--format", "zip", "."]);
}
