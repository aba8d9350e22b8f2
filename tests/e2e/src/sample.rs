//! The sample backup: written by other tools, without a manifest, and taken apart here by other tools too.

use crate::api::Api;
use crate::checks::first_difference;
use crate::tools::{Unzipped, unzip};
use crate::{browser::checkout, skip};
use std::path::PathBuf;

/// `pizzeria-2015.zip`, in the folder that `DIKAS_SAMPLES` names, else in `../shared/samples` beside the checkout;
/// `None` where it is missing, which is said (and in CI is a failure).
pub fn sample() -> Option<PathBuf> {
    let folder = match std::env::var_os("DIKAS_SAMPLES") {
        Some(folder) => PathBuf::from(folder),
        None => checkout().join("../shared/samples"),
    };
    let file = folder.join("pizzeria-2015.zip");
    if file.is_file() {
        return Some(file.canonicalize().unwrap());
    }
    skip(&format!("no {} (set DIKAS_SAMPLES)", file.display()));
    None
}

/// The sample, unpacked.
pub fn unpacked() -> Option<Unzipped> {
    sample().map(|file| unzip(&file))
}

/// Puts every document and attachment into a server, as a till would.
pub async fn load(api: &Api, sample: &Unzipped) {
    for (collection, lines) in sample.lines() {
        for chunk in chunks(&lines, 2 << 20) {
            api.post_documents(&collection, chunk.to_vec()).await;
        }
    }
    for (path, bytes) in sample.attachments() {
        let mut names = path.strip_prefix("attachments/").unwrap().splitn(3, '/');
        let (collection, id, name) = (names.next().unwrap(), names.next().unwrap(), names.next().unwrap());
        let media_type = match name.rsplit('.').next() {
            Some("gif") => "image/gif",
            Some("bmp") => "image/bmp",
            _ => "application/octet-stream",
        };
        let status = api.put_attachment(collection, id, name, media_type, bytes).await;
        assert!(status.is_success(), "{path}: {status}");
    }
}

/// A backup of a server that was loaded with the sample holds the same lines, in the order of their ids, and the same
/// files at the same paths.
pub fn compare(sample: &Unzipped, backup: &Unzipped) {
    let found = backup.lines();
    for (collection, lines) in sample.lines() {
        let mut expected: Vec<(String, &[u8])> = lines
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                (
                    serde_json::from_slice::<serde_json::Value>(line).unwrap()["_id"]
                        .as_str()
                        .unwrap()
                        .into(),
                    line,
                )
            })
            .collect();
        expected.sort();
        let expected: Vec<u8> = expected.into_iter().flat_map(|(_, line)| line).copied().collect();
        assert!(
            found[&collection] == expected,
            "{collection}: {}",
            first_difference(&found[&collection], &expected)
        );
    }
    let (found, expected) = (backup.attachments(), sample.attachments());
    assert_eq!(found.len(), 72);
    // Paths are derived from names, so a name may be written in another way: the bytes say which file it is.
    let name = |path: &String| path.rsplit('/').next().unwrap().to_owned();
    let pairs = |files: std::collections::BTreeMap<String, Vec<u8>>| {
        let mut pairs: Vec<_> = files.into_iter().map(|(path, bytes)| (bytes, name(&path))).collect();
        pairs.sort();
        pairs
    };
    assert!(pairs(found) == pairs(expected), "files");
}

/// Whole lines in pieces of about this size.
fn chunks(lines: &[u8], size: usize) -> Vec<&[u8]> {
    let mut rest = lines;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let from = size.min(rest.len() - 1);
        let end = rest[from..].iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| from + at + 1);
        let (chunk, more) = rest.split_at(end);
        chunks.push(chunk);
        rest = more;
    }
    chunks
}
