//! Looks into a backup of any size: the rows of a collection, a document by its id, a search.
//!
//! Memory stays flat. With a manifest, opening reads nothing more, and a row costs the one part that it stands in;
//! without one, every part is read once to learn where each collection is. What was decoded last is kept, bounded by
//! bytes. What is damaged hides nothing else: the lines before the damage are shown, the problem is told, and the rows
//! behind can be asked for.

mod chunks;
mod columns;
pub mod compare;
pub mod csv;
mod fields;
mod files;
mod fold;
mod index;
mod query;
mod runs;
mod secret;
pub mod value;

pub use columns::{Column, ColumnKind, Columns};
pub use fields::FieldChange;
pub use files::{FilesPage, UNKNOWN};
pub use index::{Index, IndexedPart, Rows, Run};
pub use query::Query;
pub use secret::{MASK, is_secret, secrets};

use crate::catalog;
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::problems::Problems;
use crate::reader::{BackupReader, OnProgress, is_fatal};
use chunks::Kept;
use files::Files;
use runs::Runs;
use serde::Serialize;
use std::cmp::Ordering;
use std::io::{Read, Seek};
use std::ops::ControlFlow;

/// What is shown row by row: the row's place in its collection, and its line. It says whether to go on.
pub type OnRow<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<ControlFlow<()>>;

/// An open backup that a person looks into.
#[derive(Debug)]
pub struct Inspector<R> {
    reader: BackupReader<R>,
    index: Index,
    runs: Runs,
    kept: Kept,
    files: Option<Files>,
}

/// Documents of a collection, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The documents.
    pub rows: Vec<Row>,
    /// What is wrong with a part that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Error>,
    /// How many rows behind those given the damage hides. The page ends there; those that follow can be asked for.
    pub hidden: u64,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its place in the collection, counted from 0.
    pub row: u64,
    /// Its `_id`; empty where the line is no document.
    pub id: String,
    /// Its line as it stands in the archive, without the line feed. Bytes that are no text became U+FFFD.
    pub text: String,
}

/// A document that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// The collection.
    pub collection: String,
    /// The place in it.
    pub row: u64,
    /// Its `_id`.
    pub id: String,
    /// As [`Row::text`].
    pub text: String,
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[cfg_attr(all(test, not(target_arch = "wasm32")), ts(rename = "DocumentPlace"))]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The collection.
    pub collection: String,
    /// The place in it.
    pub row: u64,
}

impl<R: Read + Seek> Inspector<R> {
    /// Learns where everything is.
    ///
    /// # Errors
    /// As [`Index::of`]; what is damaged stands in [`Index::problems`].
    pub fn open(mut reader: BackupReader<R>, progress: OnProgress<'_>) -> Result<Self> {
        let index = Index::of(&mut reader, progress)?;
        Ok(Self::with_index(reader, index))
    }

    /// The same for the same file, where the index is known already.
    pub fn with_index(reader: BackupReader<R>, index: Index) -> Self {
        let runs = Runs::of(&index);
        Self { reader, index, runs, kept: Kept::default(), files: None }
    }

    /// Where everything is.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The backup itself: its entries, attachments, manifest.
    pub fn reader(&mut self) -> &mut BackupReader<R> {
        &mut self.reader
    }

    /// Some of the files: of a collection, in the order of its documents, or of one document; else of all, in the order of the
    /// archive.
    pub fn files(
        &mut self,
        collection: Option<&str>,
        id: Option<&str>,
        from: usize,
        count: usize,
    ) -> FilesPage {
        let reader = &self.reader;
        let files = self.files.get_or_insert_with(|| Files::of(reader));
        files.page(reader, collection.map(|name| (name, id)), from..from.saturating_add(count))
    }

    /// Up to `count` documents from row `from` on, in about `max_bytes`, but one at least. None where the collection
    /// has no such row.
    ///
    /// # Errors
    /// `bad-argument` where there is no such collection; `io`. What is damaged is the page's problem.
    pub fn rows(&mut self, collection: &str, from: u64, count: usize, max_bytes: usize) -> Result<Page> {
        let rows = self.index.collection(collection).ok_or_else(|| no_collection(collection))?;
        let (mut page, mut bytes) = (Page::default(), 0);
        let mut row = from;
        while let Some(run) = rows.run_at(row)
            && page.rows.len() < count
            && bytes < max_bytes.max(1)
        {
            let line = run.line + (row - run.row);
            let part = part_name(&self.index, run.part)?;
            let chunk = self.kept.chunk(&mut self.reader, part, line)?;
            if let Some(problem) = &chunk.problem {
                page.problem.get_or_insert_with(|| problem.clone());
            }
            let Some(text) = chunk.line(line) else {
                page.problem.get_or_insert_with(|| too_few_lines(part));
                page.hidden = run.row + run.lines - row;
                break;
            };
            bytes += text.len();
            page.rows.push(as_row(row, text));
            row += 1;
        }
        Ok(page)
    }

    /// Where the document with this id is, in one collection or in any; the first one where there are several. With a
    /// manifest that costs one part, without one all of them.
    ///
    /// # Errors
    /// `bad-argument` where there is no such collection; `io`; where nothing was found, what is wrong with a part that
    /// might have the document.
    pub fn find(&mut self, id: &str, collection: Option<&str>) -> Result<Option<Place>> {
        if let Some(name) = collection
            && self.index.collection(name).is_none()
        {
            return Err(no_collection(name));
        }
        if !self.index.is_sorted() {
            return self.scan(id, collection);
        }
        let mut damage = None;
        for name in self.likely(id, collection) {
            match self.halve(&name, id) {
                Ok(None) => {}
                Err(error) if !is_fatal(&error) => damage = damage.or(Some(error)),
                found => return found,
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// Shows every document of a collection from row `from` on, as its line stands, until told to stop; reads each part
    /// once. Answers what was wrong with the parts that were read.
    ///
    /// # Errors
    /// `bad-argument` where there is no such collection; `io`; those of `on_row` and `progress`.
    pub fn each(
        &mut self,
        collection: &str,
        from: u64,
        progress: OnProgress<'_>,
        on_row: OnRow<'_>,
    ) -> Result<Problems> {
        let rows = self.index.collection(collection).ok_or_else(|| no_collection(collection))?;
        let first = rows.run_at(from).map_or(usize::MAX, |run| run.part);
        let mut problems = Problems::default();
        for part in self.index.parts_of(Some(collection)).into_iter().filter(|part| *part >= first) {
            let runs = self.runs.in_part(&self.index, part, Some(collection));
            let mut go_on = true;
            let problem = self.each_run(part, &runs, progress, |_, row, line| {
                if row < from {
                    return Ok(ControlFlow::Continue(()));
                }
                let flow = on_row(row, line)?;
                go_on = flow.is_continue();
                Ok(flow)
            })?;
            problems.extend(problem);
            if !go_on {
                break;
            }
        }
        Ok(problems)
    }

    /// Looks through one part, in one collection or in all that it has; [`Index::parts_of`] says which parts there are,
    /// and any number of workers can share them. Answers what is wrong with the part: then there may be more hits than
    /// those found. `progress` is called often; an error from it or from `on_hit` ends the search.
    ///
    /// # Errors
    /// `bad-argument` where there is no such part; `io`; those of `on_hit` and `progress`.
    pub fn search(
        &mut self,
        part: usize,
        collection: Option<&str>,
        query: &Query,
        progress: OnProgress<'_>,
        on_hit: &mut dyn FnMut(Hit) -> Result<()>,
    ) -> Result<Option<Error>> {
        let name = part_name(&self.index, part)?;
        let runs = self.runs.in_part(&self.index, part, collection);
        let collections = &self.index.collections;
        let (mut problem, mut scratch) = (None, Vec::new());
        let from = runs.first().map_or(0, |(_, run)| run.line);
        chunks::each(&mut self.reader, name, from, progress, &mut |chunk, progress| {
            problem.clone_from(&chunk.problem);
            let mut at = 0;
            while let Some((block, next)) = chunk.block(at) {
                let first = chunk.first + at as u64;
                let line = |number: usize| chunk.line(first + number as u64);
                query.search(&mut scratch, block, line, |number, line| {
                    let number = first + number as u64;
                    let behind = runs.partition_point(|(_, run)| run.line <= number);
                    let run = behind.checked_sub(1).and_then(|at| runs.get(at));
                    let Some((at, run)) = run.filter(|(_, run)| number - run.line < run.lines) else {
                        return Ok(());
                    };
                    let collection = collections.get(*at).map(|rows| rows.name.clone()).unwrap_or_default();
                    let Row { row, id, text } = as_row(run.row + (number - run.line), line);
                    on_hit(Hit { collection, row, id, text })
                })?;
                progress(0)?;
                at = next;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(problem)
    }

    /// Shows the lines of these runs of a part: the place of the collection, the row, the line. Answers what is wrong
    /// with the part.
    fn each_run(
        &mut self,
        part: usize,
        runs: &[(usize, Run)],
        progress: OnProgress<'_>,
        mut on_row: impl FnMut(usize, u64, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<Option<Error>> {
        let name = part_name(&self.index, part)?;
        let mut problem = None;
        let mut runs = runs.iter().peekable();
        let from = runs.peek().map_or(0, |(_, run)| run.line);
        chunks::each(&mut self.reader, name, from, progress, &mut |chunk, _| {
            problem.clone_from(&chunk.problem);
            for (number, line) in (chunk.first..).zip(document::lines(chunk.bytes())) {
                while runs.next_if(|(_, run)| run.line + run.lines <= number).is_some() {}
                let Some((at, run)) = runs.peek() else { return Ok(ControlFlow::Break(())) };
                if run.line <= number && on_row(*at, run.row + (number - run.line), line)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(problem)
    }

    /// The names of the collections in which to look for an id, the likeliest first.
    fn likely(&self, id: &str, collection: Option<&str>) -> Vec<String> {
        if let Some(name) = collection {
            return vec![name.to_owned()];
        }
        let likeliest = catalog::recognise(None, id).map(|row| row.name);
        let mut names: Vec<String> = self.index.collections.iter().map(|rows| rows.name.clone()).collect();
        names.sort_by_key(|name| Some(name.as_str()) != likeliest);
        names
    }

    /// Finds an id in a collection whose documents ascend.
    fn halve(&mut self, collection: &str, id: &str) -> Result<Option<Place>> {
        let Some(rows) = self.index.collection(collection) else { return Ok(None) };
        for run in rows.runs.iter().filter(|run| self.index.may_hold(run, id)) {
            let part = part_name(&self.index, run.part)?;
            let chunk = self.kept.chunk(&mut self.reader, part, run.line)?;
            if !chunk.is_last() {
                return self.scan(id, Some(collection));
            }
            let (mut from, mut to) = (0, run.lines.min(chunk.lines()));
            while from < to {
                let middle = from + (to - from) / 2;
                let line = chunk.line(middle).unwrap_or_default();
                match document::id_of(line)?.as_str().cmp(id) {
                    Ordering::Equal => {
                        let (collection, row) = (collection.to_owned(), run.row + middle);
                        return Ok(Some(Place { collection, row }));
                    }
                    Ordering::Less => from = middle + 1,
                    Ordering::Greater => to = middle,
                }
            }
            if let Some(problem) = &chunk.problem {
                return Err(problem.clone());
            }
        }
        Ok(None)
    }

    /// Finds an id among documents of whose order nothing is known.
    fn scan(&mut self, id: &str, collection: Option<&str>) -> Result<Option<Place>> {
        let (mut found, mut damage) = (None, None);
        for part in self.index.parts_of(collection) {
            let runs = self.runs.in_part(&self.index, part, collection);
            let problem = self.each_run(part, &runs, &mut |_| Ok(()), |at, row, line| {
                if document::id_of(line).is_ok_and(|found| found == id) {
                    found = Some((at, row));
                    return Ok(ControlFlow::Break(()));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if let Some((at, row)) = found {
                let collection = self.index.collections.get(at).map(|rows| rows.name.clone());
                return Ok(Some(Place { collection: collection.unwrap_or_default(), row }));
            }
            damage = damage.or(problem);
        }
        damage.map_or(Ok(None), Err)
    }
}

fn as_row(row: u64, line: &[u8]) -> Row {
    let id = document::id_of(line).unwrap_or_default();
    Row { row, id, text: String::from_utf8_lossy(line).into_owned() }
}

fn part_name(index: &Index, part: usize) -> Result<&str> {
    let missing = || Error::new(ErrorKind::BadArgument, "the index is not of this backup");
    index.parts.get(part).map(|part| part.name.as_str()).ok_or_else(missing)
}

fn no_collection(name: &str) -> Error {
    Error::new(ErrorKind::BadArgument, "the backup has no such collection").on(name)
}

fn too_few_lines(part: &str) -> Error {
    Error::new(ErrorKind::DamagedPart, "a part has fewer lines than the manifest says").on(part)
}
