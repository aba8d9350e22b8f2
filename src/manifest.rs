//! `manifest.json`: what the archive says it holds (FORMAT.md section 7). What [`Manifest::parse`] returns has been
//! checked against itself; whether the entries agree is the reader's to see.

use crate::api::{AttachmentRecord, CollectionSummary, SourceInfo, is_moment};
use crate::catalog::{Category, CollectionName};
use crate::damage::Missing;
use crate::digest::{Hasher, Sha256};
use crate::error::{Error, ErrorKind, Result};
use crate::part::part_name;
use crate::path::AttachmentPaths;
use serde::{Deserialize, Deserializer, Serialize};
use std::io::{self, Write};

/// The name of the manifest's entry, the last of the archive.
pub const MANIFEST_NAME: &str = "manifest.json";

/// The value of `format`.
pub const FORMAT: &str = "dikas-backup";

/// The newest version of the format that this program reads, and the one that it writes.
pub const VERSION: u64 = 1;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the format.
    pub version: u64,
    /// The moment of the snapshot, RFC 3339 in UTC.
    pub created: String,
    /// Whose data it is.
    pub source: SourceInfo,
    /// Every covered collection, empty ones included, in the order of their names as bytes.
    pub collections: Vec<CollectionEntry>,
    /// Every attachment, in the order of collection, id and name as bytes.
    pub attachments: Vec<AttachmentEntry>,
    /// What was damaged when the backup was made, and is missing in it, in the order of collection, id and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional, as = "Option<Vec<Missing>>"))]
    pub missing: Vec<Missing>,
}

/// One covered collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CollectionEntry {
    /// Its name.
    pub name: CollectionName,
    /// Its category. One that this version does not know is read as [`Category::Other`].
    #[serde(deserialize_with = "category_or_other")]
    pub category: Category,
    /// How many documents.
    pub documents: u64,
    /// Bytes of JSON lines, line feeds included.
    pub bytes: u64,
    /// Its parts; none where it is empty.
    pub parts: Vec<PartEntry>,
}

/// One part of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PartEntry {
    /// The name of the entry.
    pub name: String,
    /// How many documents.
    pub documents: u64,
    /// Bytes of JSON lines, line feeds included.
    pub bytes: u64,
    /// `_id` of the first document.
    pub first: String,
    /// `_id` of the last document.
    pub last: String,
    /// Bytes of the entry as stored.
    pub size: u64,
    /// Digest of the entry as stored.
    pub sha256: Sha256,
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(from = "Listed")]
pub struct AttachmentEntry {
    /// The name of the entry.
    pub path: String,
    /// Owner, name, type, size and digest.
    #[serde(flatten)]
    pub record: AttachmentRecord,
}

/// The same as it is read: serde's `flatten` would keep each value once more, and takes much code.
#[derive(Deserialize)]
struct Listed {
    path: String,
    collection: CollectionName,
    id: String,
    name: String,
    #[serde(rename = "type")]
    media_type: String,
    size: u64,
    sha256: Sha256,
}

impl From<Listed> for AttachmentEntry {
    fn from(Listed { path, collection, id, name, media_type, size, sha256 }: Listed) -> Self {
        Self { path, record: AttachmentRecord { collection, id, name, media_type, size, sha256 } }
    }
}

impl Manifest {
    /// Reads a manifest and checks that it is of one piece: sums, order, and names.
    ///
    /// # Errors
    /// `newer-format`, naming both versions, whatever else the manifest holds; else `bad-manifest`.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let head: Head = serde_json::from_slice(json).map_err(not_a_manifest)?;
        if head.format != FORMAT {
            return Err(
                bad("the manifest is of another format").expected(FORMAT, format!("{:?}", head.format))
            );
        }
        if head.version > VERSION {
            return Err(Error::new(ErrorKind::NewerFormat, "a newer program wrote this backup")
                .on(MANIFEST_NAME)
                .expected(
                    format!("format version {VERSION} or older"),
                    format!("version {}", head.version),
                ));
        }
        if head.version == 0 {
            return Err(bad("there is no such format version").expected("version 1 or newer", "version 0"));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(not_a_manifest)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Writes the bytes of the entry, in many small pieces.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&self, mut out: impl Write) -> Result<()> {
        serde_json::to_writer_pretty(&mut out, self).map_err(io::Error::from)?;
        Ok(out.write_all(b"\n")?)
    }

    /// Size and digest of the bytes of the entry.
    ///
    /// # Errors
    /// `internal`: a manifest can always be written.
    pub fn measure(&self) -> Result<(u64, Sha256)> {
        let mut measure = Measure::default();
        self.write_json(&mut measure)?;
        Ok((measure.bytes, measure.hasher.finish()))
    }

    /// What it holds by collection, without the lists of parts and attachments.
    pub fn summaries(&self) -> Vec<CollectionSummary> {
        let mut summaries: Vec<_> = self.collections.iter().map(CollectionEntry::summary).collect();
        for entry in &self.attachments {
            if let Ok(at) = summaries.binary_search_by(|it| it.name.cmp(&entry.record.collection))
                && let Some(summary) = summaries.get_mut(at)
            {
                summary.attachments += 1;
                summary.attachment_bytes += entry.record.size;
            }
        }
        summaries
    }

    /// What it says of this collection.
    pub fn collection(&self, name: &str) -> Option<&CollectionEntry> {
        let at = self.collections.binary_search_by(|entry| looked_at(entry).name.as_str().cmp(name)).ok()?;
        self.collections.get(at)
    }

    /// How many documents in all.
    pub fn documents(&self) -> u64 {
        self.collections.iter().map(|collection| collection.documents).sum()
    }

    /// The parts of all collections, in the order of the archive.
    pub fn parts(&self) -> impl Iterator<Item = (&CollectionEntry, &PartEntry)> {
        self.collections
            .iter()
            .flat_map(|collection| collection.parts.iter().map(move |part| (collection, part)))
    }

    /// Whether it is of one piece.
    pub(crate) fn check(&self) -> Result<()> {
        if !is_moment(&self.created) {
            return Err(bad("the manifest's moment cannot be read")
                .on(format!("{MANIFEST_NAME}, created"))
                .expected("a moment such as 2026-11-23T18:59:41Z", format!("{:?}", self.created)));
        }
        if !self.collections.is_sorted_by(|one, next| one.name < next.name) {
            return Err(bad("collections are not in the order of their names"));
        }
        let (mut documents, mut bytes) = (0, 0);
        for collection in &self.collections {
            collection.check().map_err(|error| error.on(format!("{MANIFEST_NAME}, {}", collection.name)))?;
            add(&mut documents, collection.documents)?;
            add(&mut bytes, collection.bytes)?;
        }
        let mut paths = AttachmentPaths::new();
        for AttachmentEntry { path, record } in &self.attachments {
            let derived = paths
                .next(&record.collection, &record.id, &record.name)
                .map_err(|error| bad(error.message).on(format!("{MANIFEST_NAME}, {path}")))?;
            if *path != derived {
                return Err(
                    bad("an attachment's path is not the one derived from its name").expected(derived, path)
                );
            }
            add(&mut bytes, record.size)?;
            if self.collection(record.collection.as_str()).is_none() {
                return Err(
                    bad("an attachment's collection is not covered").on(format!("{MANIFEST_NAME}, {path}"))
                );
            }
        }
        self.check_missing()
    }

    fn check_missing(&self) -> Result<()> {
        if !self.missing.is_sorted_by(|one, next| missing_key(one) < missing_key(next)) {
            return Err(bad("what is missing is not in the order of collection, id and name"));
        }
        match self.missing.iter().find(|it| self.collection(it.collection.as_str()).is_none()) {
            Some(stray) => Err(bad("the collection of a missing document is not covered")
                .on(format!("{MANIFEST_NAME}, {stray}"))),
            None => Ok(()),
        }
    }
}

/// By what the list of what is missing is in order.
fn missing_key(it: &Missing) -> (&CollectionName, &str, Option<&str>) {
    (&it.collection, &it.id, it.name.as_deref())
}

/// Every look at a collection that is searched by its name passes here, so that a test can count them.
fn looked_at(entry: &CollectionEntry) -> &CollectionEntry {
    #[cfg(test)]
    LOOKS.with(|looks| looks.set(looks.get() + 1));
    entry
}

#[cfg(test)]
thread_local! {
    static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts and digests what is written.
#[derive(Default)]
struct Measure {
    bytes: u64,
    hasher: Hasher,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CollectionEntry {
    /// As far as its documents go.
    fn summary(&self) -> CollectionSummary {
        CollectionSummary {
            name: self.name.clone(),
            category: self.category,
            documents: self.documents,
            bytes: self.bytes,
            attachments: 0,
            attachment_bytes: 0,
        }
    }

    fn check(&self) -> Result<()> {
        let (mut documents, mut bytes, mut last) = (0, 0, "");
        for (part, number) in self.parts.iter().zip(1..) {
            let name = part_name(&self.name, number);
            if part.name != name {
                return Err(bad("a part has a wrong name").expected(name, &part.name));
            }
            if part.documents == 0 || last >= part.first.as_str() || part.first > part.last {
                return Err(bad(format!("the ids of {name} are not in order, or it has none")));
            }
            last = &part.last;
            add(&mut documents, part.documents)?;
            add(&mut bytes, part.bytes)?;
        }
        if documents != self.documents {
            return Err(bad("the documents of the parts do not add up").expected(self.documents, documents));
        }
        if bytes != self.bytes {
            return Err(bad("the bytes of the parts do not add up").expected(self.bytes, bytes));
        }
        Ok(())
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadManifest, message)
}

fn not_a_manifest(error: serde_json::Error) -> Error {
    bad(format!("the manifest cannot be read: {error}")).on(MANIFEST_NAME)
}

fn add(sum: &mut u64, more: u64) -> Result<()> {
    *sum = sum.checked_add(more).ok_or_else(|| bad("a sum is too large").on(MANIFEST_NAME))?;
    Ok(())
}

fn category_or_other<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Category, D::Error> {
    Ok(String::deserialize(deserializer)?.parse().unwrap_or(Category::Other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn json_of(manifest: &Manifest) -> Vec<u8> {
        let mut json = Vec::new();
        manifest.write_json(&mut json).unwrap();
        json
    }

    fn example() -> Value {
        let digest = Sha256::of(b"").to_string();
        json!({
            "format": "dikas-backup",
            "version": 1,
            "created": "2026-11-23T18:59:41Z",
            "source": {"installation": "0".repeat(32), "business": "Café", "product": "DiKAS 26.3", "position": 7},
            "collections": [
                {"name": "articles", "category": "articles", "documents": 3, "bytes": 60, "parts": [
                    {"name": "articles.jsonl.br", "documents": 2, "bytes": 40, "first": "a", "last": "b", "size": 9, "sha256": digest},
                    {"name": "articles.0002.jsonl.br", "documents": 1, "bytes": 20, "first": "c", "last": "c", "size": 9, "sha256": digest},
                ]},
                {"name": "vouchers", "category": "vouchers", "documents": 0, "bytes": 0, "parts": []},
            ],
            "attachments": [
                {"path": "attachments/articles/a/%2E", "collection": "articles", "id": "a", "name": ".",
                 "type": "image/png", "size": 0, "sha256": digest},
            ],
        })
    }

    fn parse(value: &Value) -> Result<Manifest> {
        Manifest::parse(&serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let manifest = parse(&example()).unwrap();
        let json = json_of(&manifest);
        assert_eq!(Manifest::parse(&json).unwrap(), manifest);
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), example());
        assert_eq!(manifest.measure().unwrap(), (json.len() as u64, Sha256::of(&json)));
        assert_eq!((manifest.documents(), manifest.parts().count()), (3, 2));
    }

    #[test]
    fn the_example_of_the_format_is_what_is_written() {
        let format = include_str!("../FORMAT.md");
        let (_, example) = format.split_once("```json\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let manifest = Manifest::parse(example.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(json_of(&manifest)).unwrap(), example);
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_newer_refused() {
        let mut later = example();
        later["collections"][0]["category"] = json!("catering");
        later["attachments"][0]["pages"] = json!(3);
        later["signedBy"] = json!({"a": []});
        assert_eq!(parse(&later).unwrap().collections[0].category, Category::Other);

        let error = Manifest::parse(br#"{"format":"dikas-backup","version":2,"collections":"elsewhere"}"#)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NewerFormat);
        assert!(error.expected.unwrap().contains("version 1") && error.actual.unwrap().contains("version 2"));
    }

    /// How many collections are looked at to find that of each missing document.
    fn looks(count: usize) -> u64 {
        let name = |at: usize| format!("c{at:06}");
        let covered =
            |at| json!({"name": name(at), "category": "other", "documents": 0, "bytes": 0, "parts": []});
        let mut manifest = example();
        let reason = "changed";
        manifest["attachments"] = json!([]);
        manifest["collections"] = (0..count).map(covered).collect();
        manifest["missing"] =
            (0..count).map(|at| json!({"collection": name(at), "id": "x", "reason": reason})).collect();
        LOOKS.with(|looks| looks.set(0));
        assert_eq!(parse(&manifest).unwrap().missing.len(), count);
        let looks = LOOKS.with(std::cell::Cell::get);
        manifest["missing"][count - 1]["collection"] = json!("stray");
        assert_eq!(parse(&manifest).unwrap_err().kind, ErrorKind::BadManifest);
        looks
    }

    #[test]
    fn each_missing_document_finds_its_collection_without_a_look_at_the_others() {
        let (few, many) = (looks(1_000), looks(4_000));
        assert!(few >= 1_000 && many < 6 * few, "{few} looks for 1,000 documents, {many} for 4,000");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let wrong: &[(&str, Value)] = &[
            ("/format", json!("zip")),
            ("/version", json!(0)),
            ("/version", json!("1")),
            ("/created", json!("yesterday")),
            ("/collections/0/documents", json!(4)),
            ("/collections/0/bytes", json!(61)),
            ("/collections/0/name", json!("zebras")),
            ("/collections/0/name", json!("../x")),
            ("/collections/1/name", json!("articles")),
            ("/collections/1/documents", json!(1)),
            ("/collections/0/parts/1/name", json!("articles.2.jsonl.br")),
            ("/collections/0/parts/1/first", json!("b")),
            ("/collections/0/parts/0/documents", json!(-2)),
            ("/collections/0/parts/0/sha256", json!("00")),
            ("/attachments/0/path", json!("attachments/articles/a/..")),
            ("/attachments/0/name", json!("x")),
            ("/attachments/0/collection", json!("receipts")),
            ("/attachments/0/size", json!(u64::MAX)),
        ];
        for (pointer, value) in wrong {
            let mut manifest = example();
            *manifest.pointer_mut(pointer).unwrap() = value.clone();
            assert_eq!(
                parse(&manifest).expect_err(pointer).kind,
                ErrorKind::BadManifest,
                "{pointer} {value}"
            );
        }
    }
}
