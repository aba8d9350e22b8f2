//! A store in memory that holds one moment: the truth that a job's result is compared with.

use dikas_archive::api::{AttachmentPage, AttachmentRecord, CollectionSummary, Snapshot, SourceInfo};
use dikas_archive::catalog::{self, CollectionName};
use dikas_archive::digest::Sha256;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::{Page, Source};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

pub const SNAPSHOT_ID: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone)]
pub struct Store(Rc<Contents>);

pub struct Contents {
    pub snapshot: Snapshot,
    /// Per collection, per id: the line with its line feed.
    pub documents: BTreeMap<CollectionName, BTreeMap<String, String>>,
    pub records: Vec<AttachmentRecord>,
    pub blobs: HashMap<Sha256, Vec<u8>>,
}

/// Pseudo-random numbers by their seed: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn text(&mut self, length: u64) -> String {
        (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }
}

impl Store {
    /// Collections from the catalog with this many documents of about this size; some own files.
    pub fn generate(seed: u64, collections: &[(&str, u64)], bytes_each: u64) -> Self {
        let mut random = Random(seed);
        let mut documents = BTreeMap::new();
        let mut records = Vec::new();
        let mut blobs = HashMap::new();
        let logo = Rc::new(random.text(3000).into_bytes());
        for &(name, count) in collections {
            let row = catalog::COLLECTIONS.iter().find(|row| row.name == name).unwrap();
            let collection: CollectionName = name.parse().unwrap();
            let lines: &mut BTreeMap<String, String> = documents.entry(collection.clone()).or_default();
            while (lines.len() as u64) < count {
                let awkward = ["", "/", "%", "& ä", "\u{2028}"][random.below(5) as usize];
                let id = format!("{}{}{awkward}{}", row.id_prefix, random.below(100), random.text(6));
                let filler_length = random.below(bytes_each * 2);
                let filler = random.text(filler_length);
                lines.insert(id.clone(), format!("{{\"_id\":\"{id}\",\"x\":\"{filler}\",\"n\":1.50}}\n"));
            }
            for id in lines.keys() {
                let bytes = match random.below(30) {
                    0 => logo.to_vec(),
                    1 => Vec::new(),
                    2 => {
                        let size = random.below(60_000);
                        random.text(size).into_bytes()
                    }
                    _ => continue,
                };
                let sha256 = Sha256::of(&bytes);
                records.push(AttachmentRecord {
                    collection: collection.clone(),
                    id: id.clone(),
                    name: "Bild ä.png".to_owned(),
                    media_type: "image/png".to_owned(),
                    size: bytes.len() as u64,
                    sha256,
                });
                blobs.insert(sha256, bytes);
            }
        }
        Self::new(documents, records, blobs)
    }

    /// Two documents, one of which owns a file.
    pub fn tiny() -> Self {
        let line = |id: &str| (id.to_owned(), format!("{{\"_id\":\"{id}\"}}\n"));
        let name: CollectionName = "articles".parse().unwrap();
        let blob = b"not a picture".to_vec();
        let record = AttachmentRecord {
            collection: name.clone(),
            id: "art_ä".to_owned(),
            name: "a/b.png".to_owned(),
            media_type: "image/png".to_owned(),
            size: blob.len() as u64,
            sha256: Sha256::of(&blob),
        };
        let documents = BTreeMap::from([(name, BTreeMap::from([line("art_1"), line("art_ä")]))]);
        Self::new(documents, vec![record.clone()], HashMap::from([(record.sha256, blob)]))
    }

    pub fn new(
        documents: BTreeMap<CollectionName, BTreeMap<String, String>>,
        records: Vec<AttachmentRecord>,
        blobs: HashMap<Sha256, Vec<u8>>,
    ) -> Self {
        let collections = documents
            .iter()
            .map(|(name, lines)| {
                let own: Vec<_> = records.iter().filter(|record| record.collection == *name).collect();
                CollectionSummary {
                    name: name.clone(),
                    category: catalog::COLLECTIONS
                        .iter()
                        .find(|row| row.name == name.as_str())
                        .unwrap()
                        .category,
                    documents: lines.len() as u64,
                    bytes: lines.values().map(|line| line.len() as u64).sum(),
                    attachments: own.len() as u64,
                    attachment_bytes: own.iter().map(|record| record.size).sum(),
                }
            })
            .collect();
        let snapshot = Snapshot {
            id: SNAPSHOT_ID.to_owned(),
            created: "2026-11-23T18:59:41Z".to_owned(),
            source: SourceInfo {
                installation: "00112233445566778899aabbccddeeff".to_owned(),
                business: "Gasthaus Ähre".to_owned(),
                product: "DiKAS 26.3".to_owned(),
                position: 4711,
            },
            collections,
            missing: Vec::new(),
        };
        Self(Rc::new(Contents { snapshot, documents, records, blobs }))
    }

    pub fn contents(&self) -> &Contents {
        &self.0
    }

    /// What the API does, by its description: whole lines after the cursor, up to `max_bytes`, at least one.
    pub fn page_of(&self, collection: &str, after: Option<&str>, max_bytes: u64) -> Page {
        let lines = &self.0.documents[&collection.parse().unwrap()];
        let rest = lines.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        let mut page = Page { lines: Vec::new(), documents: 0, next: None };
        let mut last = None;
        for (id, line) in rest {
            if page.documents > 0 && (page.lines.len() + line.len()) as u64 > max_bytes {
                page.next = last;
                break;
            }
            page.lines.extend_from_slice(line.as_bytes());
            page.documents += 1;
            last = Some(id.clone());
        }
        page
    }

    /// Records seven at a time.
    pub fn records_after(&self, after: Option<&str>) -> AttachmentPage {
        let from: usize = after.map_or(0, |after| after.parse().unwrap());
        let to = (from + 7).min(self.0.records.len());
        let next = (to < self.0.records.len()).then(|| to.to_string());
        AttachmentPage { attachments: self.0.records[from..to].to_vec(), next }
    }
}

impl Source for Store {
    fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }

    async fn page(&self, collection: &CollectionName, after: Option<&str>, max_bytes: u64) -> Result<Page> {
        Ok(self.page_of(collection.as_str(), after, max_bytes))
    }

    async fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
        Ok(self.records_after(after))
    }

    async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> Result<Vec<u8>> {
        let bytes = self.0.blobs.get(blob).ok_or_else(|| Error::new(ErrorKind::Internal, "no such blob"))?;
        let to = (from + max_bytes).min(bytes.len() as u64);
        Ok(bytes[from as usize..to as usize].to_vec())
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}
