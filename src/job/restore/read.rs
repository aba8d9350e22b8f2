//! The documents that a restore is about, read in the order of the archive and cut into batches. A restore reads them
//! twice: once to check and to announce them, once to send them.

use super::Chosen;
use super::batch::{Cut, Cutter};
use crate::catalog::CollectionName;
use crate::document::Document;
use crate::error::Result;
use crate::reader::{BLOCK_BYTES, BackupReader, EntryKind, collection_of};
use std::io::{Read, Seek};

/// Where documents go that nobody knows, in a part whose name cannot be a collection's.
const OTHER: &str = "other";

/// Parts that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Their collection. None without a manifest, where each document tells its own.
    pub(super) collection: Option<CollectionName>,
    /// Their names, in the order in which they are read.
    pub(super) parts: Vec<String>,
}

/// The chosen parts of an archive.
pub(super) fn groups<R: Read + Seek>(archive: &BackupReader<R>, chosen: &Chosen) -> Result<Vec<Group>> {
    if let Some(manifest) = archive.manifest()? {
        let covered = manifest.collections.iter().filter(|entry| chosen.has(&entry.name));
        let group = covered.map(|entry| Group {
            collection: Some(entry.name.clone()),
            parts: entry.parts.iter().map(|part| part.name.clone()).collect(),
        });
        return Ok(group.collect());
    }
    // Any part may hold what was chosen.
    let entries = archive.entries().iter().enumerate();
    let parts = entries.filter(|(at, _)| archive.kind(*at) == EntryKind::Part);
    let parts = parts.map(|(_, entry)| entry.name.clone()).collect();
    Ok(vec![Group { collection: None, parts }])
}

/// Gets what is read.
pub(super) trait Taker {
    /// One document that was chosen.
    fn document(&mut self, collection: &CollectionName, document: &Document) -> Result<()>;

    /// One batch that is ready.
    async fn batch(&mut self, cut: Cut) -> Result<()>;

    /// So many more bytes of this entry have been read.
    async fn read(&mut self, part: &str, bytes: u64) -> Result<()>;
}

/// What was found in a part, be it up to an error.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    /// How many documents.
    pub(super) all: u64,
    /// How many of them were chosen.
    pub(super) chosen: u64,
}

/// Reads one part. What is left over of it waits in the cutter. Answers how many bytes of JSON lines the part has.
pub(super) async fn read_part<R: Read + Seek>(
    archive: &mut BackupReader<R>,
    (part, collection): (&str, Option<&CollectionName>),
    chosen: &Chosen,
    cutter: &mut Cutter,
    taker: &mut impl Taker,
    seen: &mut Seen,
) -> Result<u64> {
    let mut documents = archive.documents(part)?;
    let (mut told, mut paused) = (0, 0);
    // In a part of one collection there is no need to look its name up for each document.
    let mut last: Option<(String, Option<CollectionName>)> = None;
    while let Some((document, line)) = documents.next_document()? {
        seen.all += 1;
        let of_it = match collection {
            Some(collection) => Some(collection),
            None => {
                let name = collection_of(&document, part).0;
                if last.as_ref().is_none_or(|(known, _)| known != name) {
                    let collection = collection_named(name).filter(|collection| chosen.has(collection));
                    last = Some((name.to_owned(), collection));
                }
                last.as_ref().and_then(|(_, collection)| collection.as_ref())
            }
        };
        let mut ready = Vec::new();
        if let Some(collection) = of_it {
            seen.chosen += 1;
            ready = cutter.push(collection, line);
            let known = taker.document(collection, &document);
            known.map_err(|error| error.on(documents.place()))?;
        }
        for cut in ready {
            taker.batch(cut).await?;
        }
        if documents.bytes() - paused >= BLOCK_BYTES as u64 {
            paused = documents.bytes();
            let read = documents.bytes_read();
            taker.read(part, read - told).await?;
            told = read;
        }
    }
    let read = documents.bytes_read();
    taker.read(part, read - told).await?;
    Ok(documents.bytes())
}

/// The collection of this name; where the name cannot be one, that of what nobody knows.
pub(super) fn collection_named(name: &str) -> Option<CollectionName> {
    name.parse().or_else(|_| OTHER.parse()).ok()
}
