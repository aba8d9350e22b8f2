//! A backup in the shape that the manual describes, written by other tools, without a manifest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::reader::BackupReader;
use std::fs::File;
use std::io::Read;

#[test]
fn the_sample_is_read_in_full() {
    let Some(path) = support::sample() else { return };
    let mut reader = BackupReader::open(File::open(path).unwrap()).unwrap();
    assert!(reader.manifest().unwrap().is_none());
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    assert_eq!(summary.problems, []);
    let documents: Vec<_> =
        summary.collections.iter().map(|found| (found.name.as_str(), found.documents)).collect();
    assert_eq!(summary.collections.len(), 8);
    assert_eq!(documents.iter().map(|(_, count)| count).sum::<u64>(), 21_892);
    assert!(documents.contains(&("receipts", 21_350)));
    assert_eq!(summary.attachments.len(), 72);

    let photo = summary.attachments.iter().find(|file| file.name == "Foto Andrew ä.bmp").unwrap();
    assert_eq!((photo.collection.as_deref(), photo.id.as_deref()), (Some("employees"), Some("emp_001")));
    let mut bytes = Vec::new();
    reader.attachment(&photo.path).unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"BM") && bytes.len() as u64 == photo.size);

    let verdict = reader.verify(&mut |_| Ok(())).unwrap();
    assert_eq!(verdict.problems, []);
    assert_eq!((verdict.documents, verdict.entries, verdict.has_manifest), (21_892, 80, false));
}
