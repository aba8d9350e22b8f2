//! Builds backups for tests, and finds the sample.

#![allow(dead_code, reason = "each test file uses some of it")]

pub(crate) mod fake;

use dikas_archive::api::{AttachmentRecord, CollectionSummary, Snapshot, SourceInfo};
use dikas_archive::catalog::category_of;
use dikas_archive::codec;
use dikas_archive::digest::Sha256;
use dikas_archive::part::PartCutter;
use dikas_archive::writer::BackupWriter;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::process::Command;

/// A collection and its JSON lines.
pub(crate) type Lines<'a> = (&'a str, Vec<u8>);

/// Collection, id, name and bytes of an attachment.
pub(crate) type File<'a> = (&'a str, &'a str, &'a str, &'a [u8]);

/// A backup of these, both in the order of the format.
pub(crate) fn backup(collections: &[Lines<'_>], files: &[File<'_>]) -> Vec<u8> {
    let mut writer = BackupWriter::new(Cursor::new(Vec::new()));
    for (collection, lines) in collections {
        let mut cutter = PartCutter::new(collection.parse().unwrap());
        let mut parts = cutter.push(lines).unwrap();
        parts.extend(cutter.finish());
        for part in parts {
            let (info, lines) = part.split();
            writer.part(&info, &codec::encode(&lines).unwrap()).unwrap();
        }
    }
    for (collection, id, name, bytes) in files {
        writer
            .attachment_start(&AttachmentRecord {
                collection: collection.parse().unwrap(),
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                media_type: "application/octet-stream".to_owned(),
                size: bytes.len() as u64,
                sha256: Sha256::of(bytes),
            })
            .unwrap();
        for chunk in bytes.chunks(1000) {
            writer.attachment_data(chunk).unwrap();
        }
        writer.attachment_end().unwrap();
    }
    writer.finish(&snapshot(collections, files)).unwrap().0.into_inner()
}

/// The snapshot that announces exactly these.
pub(crate) fn snapshot(collections: &[Lines<'_>], files: &[File<'_>]) -> Snapshot {
    let summaries = collections.iter().map(|(name, lines)| {
        let own = files.iter().filter(|(collection, ..)| collection == name);
        CollectionSummary {
            name: name.parse().unwrap(),
            category: category_of(name),
            documents: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
            bytes: lines.len() as u64,
            attachments: own.clone().count() as u64,
            attachment_bytes: own.map(|(.., bytes)| bytes.len() as u64).sum(),
        }
    });
    Snapshot {
        id: "0".repeat(32),
        created: "2026-11-23T18:59:41Z".to_owned(),
        source: SourceInfo {
            installation: "0123456789abcdef".repeat(2),
            business: "Café \"Zur Post\"".to_owned(),
            product: "DiKAS 26.3".to_owned(),
            position: 7,
        },
        collections: summaries.collect(),
        missing: Vec::new(),
    }
}

/// Documents that are awkward, in the order of their ids.
pub(crate) fn awkward() -> Vec<u8> {
    let mut lines: Vec<&str> = vec![
        r#"{"_id":"a/b%20ä","n":123456789012345678901234567890123456789012345678901234567890.5e-7}"#,
        "{\"_id\":\"b\",\"text\":\"one\u{2028}line\u{2029}still\"}",
        r#"{ "_id" : "c" , "x":{"k":1,"k":2,"":[]}, "\ud83d":"\ud800" }"#,
        r#"{"z":0,"\u005fid":"d\u00e4","e":"\"\\\/\b\f\n\r\t"}"#,
        "{\"_id\":\"e\",\"tab\":\t-0.0E+00\r}",
    ];
    lines.sort_by_key(|line| dikas_archive::document::id_of(line.as_bytes()).unwrap());
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).collect::<Vec<_>>().concat()
}

/// `count` lines that look like receipts, from this number on.
pub(crate) fn receipts(from: u64, count: u64) -> Vec<u8> {
    let line = |at: u64| {
        let (total, table) = (at * 7919 % 10_007, at % 23);
        format!(
            "{{\"_id\":\"rcp_{at:08}\",\"documentType\":\"Receipt2\",\"total\":{total}.50,\"table\":\"T{table}\",\"signature\":\"{}\"}}\n",
            Sha256::of(&at.to_le_bytes())
        )
    };
    (from..from + count).map(line).collect::<String>().into_bytes()
}

/// Where the sample backup lies; none, with one line that says so, where it is absent. In CI it has to be there.
pub(crate) fn sample() -> Option<PathBuf> {
    let folder = std::env::var_os("DIKAS_SAMPLES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/samples"), PathBuf::from);
    let file = folder.join("pizzeria-2015.zip");
    if file.exists() {
        return Some(file);
    }
    skip("the sample backup is not there; set DIKAS_SAMPLES to its folder");
    None
}

/// A program of others that a test asks; none where it is missing, which in CI is a failure. `cargo xtask test` installs the
/// package, whose name stands in its list of tools.
pub(crate) fn tool_of(program: &str, package: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return Some(Command::new(program));
    }
    skip(&format!("{program} is not there; install Debian's {package}"));
    None
}

/// Says in one line that a test was skipped, or fails in CI.
fn skip(why: &str) {
    assert!(!in_ci(), "in CI nothing is skipped: {why}");
    // Written past the test harness, which swallows what a passing test prints.
    let _ = writeln!(std::io::stdout(), "skipped: {why}");
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// A ZIP of these entries, stored, as another tool would write it.
pub(crate) fn zip_of(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
