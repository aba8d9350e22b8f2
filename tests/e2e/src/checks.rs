//! What a backup has to be, judged by tools that know nothing of this project.

use crate::api::Everything;
use crate::tools::{Unzipped, sha256sum, unzip};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Checks an archive against what the server served: lines byte for byte, counts, digests, files, and that there is
/// nothing else in it.
pub fn check_archive(archive: &Path, served: &Everything) -> Unzipped {
    let unzipped = unzip(archive);
    let manifest = unzipped.manifest();
    let mut entries = BTreeSet::from(["manifest.json".to_owned()]);

    let collections = array(&manifest["collections"]);
    let announced: Vec<_> = served.snapshot.collections.iter().map(|it| it.name.as_str()).collect();
    let named: Vec<_> = collections.iter().map(|it| text(&it["name"])).collect();
    assert_eq!(named, announced, "collections covered");
    let lines = unzipped.lines();
    for (collection, summary) in collections.iter().zip(&served.snapshot.collections) {
        let name = text(&collection["name"]);
        let found = lines.get(name).map_or(&[][..], Vec::as_slice);
        let expected = &served.lines[name];
        assert!(found == expected, "{name}: {}", first_difference(found, expected));

        let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(count(found), summary.documents, "{name}: documents, the server's count");
        assert_eq!(
            number(&collection["documents"]),
            summary.documents,
            "{name}: documents, the manifest's count"
        );
        assert_eq!(number(&collection["bytes"]), found.len() as u64, "{name}: bytes, the manifest's count");
        assert_eq!(summary.bytes, found.len() as u64, "{name}: bytes, the server's count");
        assert_eq!(text(&collection["category"]), summary.category.as_str(), "{name}: category");
        let (mut documents, mut bytes) = (0, 0);
        for part in array(&collection["parts"]) {
            let path = text(&part["name"]);
            let raw = unzipped.brotli(path);
            assert_eq!(number(&part["documents"]), count(&raw), "{path}: documents");
            assert_eq!(number(&part["bytes"]), raw.len() as u64, "{path}: bytes");
            assert_eq!(text(&part["sha256"]), unzipped.sha256sum(path), "{path}: sha256sum");
            documents += count(&raw);
            bytes += raw.len();
            entries.insert(path.to_owned());
        }
        assert_eq!((documents, bytes), (summary.documents, found.len()), "{name}: parts");
    }

    let attachments = array(&manifest["attachments"]);
    assert_eq!(attachments.len(), served.attachments.len(), "attachments");
    let mut folded = BTreeMap::new();
    for (listed, record) in attachments.iter().zip(&served.attachments) {
        let path = text(&listed["path"]);
        assert_eq!(text(&listed["collection"]), record.collection.as_str(), "{path}");
        assert_eq!(text(&listed["id"]), record.id, "{path}");
        assert_eq!(text(&listed["name"]), record.name, "{path}");
        assert_eq!(text(&listed["type"]), record.media_type, "{path}");
        assert_eq!(number(&listed["size"]), record.size, "{path}");
        assert_eq!(text(&listed["sha256"]), record.sha256.to_string(), "{path}");
        assert_eq!(unzipped.read(path).len() as u64, record.size, "{path}: size");
        assert_eq!(unzipped.sha256sum(path), record.sha256.to_string(), "{path}: sha256sum");
        let twin = folded.insert(path.to_lowercase(), path);
        assert_eq!(twin, None, "on Windows {path} would be the same file");
        entries.insert(path.to_owned());
    }
    let found: BTreeSet<_> = unzipped.files().into_iter().collect();
    assert_eq!(found, entries, "entries of the archive and of its manifest");
    unzipped
}

/// The digest and size that a page shows are those of the file.
pub fn check_shown(archive: &Path, sha256: &str, size: u64) {
    assert_eq!(sha256sum(archive), sha256, "the digest of the whole file");
    assert_eq!(archive.metadata().unwrap().len(), size, "the size of the whole file");
}

/// Where two texts part, in a form that a person can read.
pub fn first_difference(found: &[u8], expected: &[u8]) -> String {
    if found == expected {
        return "the same".to_owned();
    }
    let at = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let part = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.saturating_sub(60).min(bytes.len())..bytes.len().min(at + 60)])
            .into_owned()
    };
    format!(
        "{} bytes, expected {}; they part at {at}: {:?}, expected {:?}",
        found.len(),
        expected.len(),
        part(found),
        part(expected)
    )
}

/// An array of a manifest.
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_else(|| panic!("an array instead of {value}"))
}

/// A text of a manifest.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text instead of {value}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number instead of {value}"))
}
