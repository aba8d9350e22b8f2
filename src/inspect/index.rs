//! Where the documents of each collection stand. A manifest says it at once; without one every part is read, and
//! consecutive lines of one collection become a run.

use super::chunks;
use super::runs::stepped;
use crate::catalog::{self, Category};
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::problems::Problems;
use crate::reader::{BackupReader, EntryKind, OnProgress, collection_of, stem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::ops::ControlFlow;

/// Where the documents of each collection stand. It can be handed to other workers as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// The collections, in the order of their names as bytes.
    pub collections: Vec<Rows>,
    /// The parts that they stand in.
    pub parts: Vec<IndexedPart>,
    /// What the directory shows to be wrong, and what could not be read while looking. With a manifest nothing is read.
    pub problems: Problems,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexedPart {
    /// The name of the entry.
    pub name: String,
    /// `_id` of its first and last document, where a manifest says that they ascend from the one to the other.
    pub ids: Option<(String, String)>,
}

/// The rows of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    /// Its name; without a manifest, for documents that nobody knows, the stem of the part's name.
    pub name: String,
    /// Its category.
    pub category: Category,
    /// How many documents.
    pub documents: u64,
    /// Bytes of JSON lines, line feeds included.
    pub bytes: u64,
    /// Where its rows stand, in their order, which is that of the parts too.
    pub runs: Vec<Run>,
}

/// Consecutive lines of one part that are consecutive rows of one collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The part's place in [`Index::parts`].
    pub part: usize,
    /// The first of its rows.
    pub row: u64,
    /// The line of that row, counted from 0; empty lines do not count.
    pub line: u64,
    /// How many rows.
    pub lines: u64,
}

impl Index {
    /// What the manifest says, else what reading every part tells.
    ///
    /// # Errors
    /// `io`, those of `progress`, and `limit-exceeded` where the parts hold more than
    /// [`Limits::lines_bytes`](crate::limits::Limits::lines_bytes) or mix their collections so that there are more runs
    /// than [`Limits::runs`](crate::limits::Limits::runs).
    pub fn of<R: Read + Seek>(reader: &mut BackupReader<R>, progress: OnProgress<'_>) -> Result<Self> {
        match reader.manifest() {
            Ok(Some(manifest)) => {
                Ok(Self { problems: reader.verify_unread().problems, ..of_manifest(manifest) })
            }
            Ok(None) | Err(_) => read_all(reader, progress),
        }
    }

    /// The rows of this collection.
    pub fn collection(&self, name: &str) -> Option<&Rows> {
        self.collections.get(self.place(name)?)
    }

    /// The names of the collections in the order in which their first parts stand in the archive: whoever reads all of them so
    /// reads the archive once from its beginning to its end.
    pub fn names_in_order(&self) -> Vec<String> {
        let mut names: Vec<_> = self.collections.iter().map(|rows| (rows.first_part(), &rows.name)).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name.clone()).collect()
    }

    /// The parts with documents of this collection, or of any; work that several workers can share.
    pub fn parts_of(&self, collection: Option<&str>) -> Vec<usize> {
        let Some(name) = collection else { return (0..self.parts.len()).collect() };
        let mut parts: Vec<usize> =
            self.collection(name).iter().flat_map(|rows| &rows.runs).map(|run| run.part).collect();
        parts.dedup();
        parts
    }

    /// Whether the documents of each collection ascend by their ids: a manifest says so.
    pub(super) fn is_sorted(&self) -> bool {
        self.parts.iter().all(|part| part.ids.is_some())
    }

    /// Whether the document with this id can stand in this run.
    pub(super) fn may_hold(&self, run: &Run, id: &str) -> bool {
        match self.parts.get(run.part).and_then(|part| part.ids.as_ref()) {
            Some((first, last)) => (first.as_str()..=last.as_str()).contains(&id),
            None => true,
        }
    }

    /// The place of this collection.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.collections.binary_search_by(|rows| rows.name.as_str().cmp(name)).ok()
    }
}

impl Rows {
    /// The place of its first part; one without any comes last.
    pub(super) fn first_part(&self) -> usize {
        self.runs.first().map_or(usize::MAX, |run| run.part)
    }

    /// The run that has this row.
    pub(super) fn run_at(&self, row: u64) -> Option<Run> {
        let behind = self.runs.partition_point(|run| run.row <= row);
        let run = self.runs.get(behind.checked_sub(1)?)?;
        (row - run.row < run.lines).then_some(*run)
    }

    pub(super) fn runs_in(&self, part: usize) -> &[Run] {
        let from = self.runs.partition_point(|run| stepped(run).part < part);
        let to = self.runs.partition_point(|run| stepped(run).part <= part);
        self.runs.get(from..to).unwrap_or_default()
    }

    /// Adds a line behind the rows that are there; answers whether that took a new run.
    fn add(&mut self, part: usize, line: u64, bytes: u64) -> bool {
        let row = self.documents;
        self.documents += 1;
        self.bytes += bytes;
        match self.runs.last_mut() {
            Some(run) if run.part == part && run.line + run.lines == line => {
                run.lines += 1;
                false
            }
            _ => {
                self.runs.push(Run { part, row, line, lines: 1 });
                true
            }
        }
    }
}

fn of_manifest(manifest: &Manifest) -> Index {
    let mut index = Index::default();
    for collection in &manifest.collections {
        let mut rows = empty_rows(collection.name.as_str(), collection.category);
        (rows.documents, rows.bytes) = (collection.documents, collection.bytes);
        let mut row = 0;
        for part in &collection.parts {
            rows.runs.push(Run { part: index.parts.len(), row, line: 0, lines: part.documents });
            row += part.documents;
            let ids = Some((part.first.clone(), part.last.clone()));
            index.parts.push(IndexedPart { name: part.name.clone(), ids });
        }
        index.collections.push(rows);
    }
    index
}

fn read_all<R: Read + Seek>(reader: &mut BackupReader<R>, progress: OnProgress<'_>) -> Result<Index> {
    let mut found = Found { collections: BTreeMap::new(), runs: 0, bytes: 0 };
    let (mut parts, mut problems) = (Vec::new(), reader.verify_unread().problems);
    for at in 0..reader.entries().len() {
        let Some(name) = reader.entries().get(at).map(|entry| entry.name.clone()) else { break };
        if reader.kind(at) != EntryKind::Part {
            continue;
        }
        if let Some(problem) = found.look_through(reader, parts.len(), &name, progress)? {
            problems.push_new(problem);
        }
        parts.push(IndexedPart { name, ids: None });
    }
    Ok(Index { collections: found.collections.into_values().collect(), parts, problems })
}

struct Found {
    collections: BTreeMap<String, Rows>,
    runs: u64,
    bytes: u64,
}

impl Found {
    /// Adds the lines of a part; answers the first thing that is wrong with it.
    fn look_through<R: Read + Seek>(
        &mut self,
        reader: &mut BackupReader<R>,
        part: usize,
        name: &str,
        progress: OnProgress<'_>,
    ) -> Result<Option<Error>> {
        let limits = reader.limits().clone();
        let (mut problem, mut lines) = (None, 0);
        chunks::each(reader, name, 0, progress, &mut |chunk, _| {
            self.bytes = self.bytes.saturating_add(chunk.bytes().len() as u64);
            within("bytes of documents", self.bytes, limits.lines_bytes)?;
            for (number, line) in (chunk.first..).zip(document::lines(chunk.bytes())) {
                if let Err(error) = self.add(part, name, number, line) {
                    problem.get_or_insert_with(|| error.on(format!("{name}, line {}", number + 1)));
                }
                within("changes between collections", self.runs, limits.runs)?;
            }
            if let Some(error) = &chunk.problem {
                problem.get_or_insert_with(|| error.clone());
            }
            lines = chunk.first + chunk.lines();
            Ok(ControlFlow::Continue(()))
        })?;
        if lines == 0 {
            // Empty, or so damaged that nothing of it can be read: its name says which collection that concerns.
            self.rows_of(stem(name), catalog::category_of(stem(name)));
        }
        Ok(problem)
    }

    fn rows_of(&mut self, collection: &str, category: Category) -> &mut Rows {
        self.collections.entry(collection.to_owned()).or_insert_with(|| empty_rows(collection, category))
    }

    /// Adds a line. One that is no document is shown where its part's name belongs, and is an error.
    fn add(&mut self, part: usize, name: &str, number: u64, line: &[u8]) -> Result<()> {
        let document = document::parse(line);
        let (collection, category) = match &document {
            Ok(document) => collection_of(document, name),
            Err(_) => {
                let stem = stem(name);
                (stem, catalog::category_of(stem))
            }
        };
        let rows = match self.collections.get_mut(collection) {
            Some(rows) => rows,
            None => self.rows_of(collection, category),
        };
        self.runs += u64::from(rows.add(part, number, line.len() as u64 + 1));
        document.map(|_| ())
    }
}

fn empty_rows(name: &str, category: Category) -> Rows {
    Rows { name: name.to_owned(), category, documents: 0, bytes: 0, runs: Vec::new() }
}

fn within(what: &str, found: u64, limit: u64) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LimitExceeded, format!("too many {what} for an archive without a manifest"))
        .expected(format!("at most {limit}"), found))
}
