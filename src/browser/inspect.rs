//! Looks into an archive for a page. A worker keeps the archive that its first command opens, and answers one question
//! after another; what takes long is done by workers of its own, and a page that does not want it any more ends them. So
//! nothing here gives way in between.

mod long;

use super::opening::{given, limits, open_file};
use super::pages::Paged;
use super::protocol::{
    Column, ColumnKind, Event, Found, InspectCommand, ManifestHead, RemoteFile, RowCells, RowText, Summary,
};
use super::ranges::Given;
use super::worker::{Answer, Files, Job, Tokens};
use crate::catalog::category_of;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::{self, Columns, FilesPage, Inspector, Page, Query, Row, Rows, UNKNOWN, secrets};
use crate::problems::Problems;
use crate::reader::{BackupReader, OnProgress};
use long::Report;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use web_sys::Blob;

/// How many documents decide which columns a table has.
const SAMPLE: usize = 64;

/// How many places of a document are marked.
const MARKS: usize = 1_000;

/// The largest answer with documents, in bytes, unless one of them is larger.
const ROWS_BYTES: usize = 1 << 20;

pub(super) type Archive = BackupReader<Paged<Given>>;

pub(super) type Look = Inspector<Paged<Given>>;

/// The archive that is looked at.
pub(super) type Inspected = RefCell<Option<Open>>;

/// An open archive, and what a page keeps asking for.
pub(super) struct Open {
    inspector: Look,
    /// The columns of each collection that was asked for, so that every piece of it has the same.
    columns: BTreeMap<String, Columns>,
}

impl Job {
    /// What a server refuses to the login of the page is no damage of the archive, whatever a question makes of it.
    pub(super) fn inspect(&self, command: InspectCommand, files: Files) -> Result<Answer> {
        let answer = self.look(command, files);
        if self.tokens.is_refused() {
            return Err(Error::new(ErrorKind::Unauthorized, "the login has ended"));
        }
        answer
    }

    fn look(&self, command: InspectCommand, Files { file, other }: Files) -> Result<Answer> {
        let mut inspected = self.inspected.borrow_mut();
        let (inspector, event) = match command {
            InspectCommand::Open { remote, salvage } => {
                let mut report = Report::new();
                let mut progress = |bytes| report.add(bytes);
                let archive = open((remote, file), &self.tokens, salvage, &mut progress)?;
                let mut inspector = Inspector::open(archive, &mut progress)?;
                let event = opened(&mut inspector)?;
                (inspector, event)
            }
            InspectCommand::Join { remote, index } => {
                let index = serde_json::from_slice(index.as_bytes())
                    .map_err(|error| Error::new(ErrorKind::BadArgument, error.to_string()))?;
                let archive = open((remote, file), &self.tokens, true, &mut |_| Ok(()))?;
                (Inspector::with_index(archive, index), Event::Joined)
            }
            command => {
                let none = || Error::new(ErrorKind::BadArgument, "no archive is open");
                return inspected.as_mut().ok_or_else(none)?.answer(command, other, &self.tokens);
            }
        };
        *inspected = Some(Open { inspector, columns: BTreeMap::new() });
        Ok((event, None))
    }
}

/// The archive at an address, or beside a command.
fn open(
    (remote, file): (Option<RemoteFile>, Option<Blob>),
    tokens: &Rc<Tokens>,
    salvage: bool,
    progress: OnProgress<'_>,
) -> Result<Archive> {
    if salvage {
        return BackupReader::salvage(given(remote, file, tokens)?, limits(), progress);
    }
    open_file(remote, file, tokens)
}

impl Open {
    fn answer(
        &mut self,
        command: InspectCommand,
        other: Option<Blob>,
        tokens: &Rc<Tokens>,
    ) -> Result<Answer> {
        let event = match command {
            InspectCommand::Rows { collection, from, count, query, all } => {
                self.rows(&collection, from, count as usize, query.as_deref(), all)?
            }
            InspectCommand::Cells { collection, from, count } => {
                self.cells(&collection, from, count as usize)?
            }
            InspectCommand::Find { id, collection } => {
                let place = self.inspector.find(&id, collection.as_deref())?;
                Event::Place { place }
            }
            InspectCommand::Attachments { from, count, collection, id } => {
                self.attachments(from as usize, count as usize, collection, id)
            }
            InspectCommand::Attachment { path } => return long::attachment(self.inspector.reader(), &path),
            InspectCommand::Verify { entries } => long::verify(self.inspector.reader(), entries)?,
            InspectCommand::Search { part, collection, query, max } => {
                let (part, max) = (part as usize, u64::from(max));
                long::search(&mut self.inspector, part, collection.as_deref(), &query, max)?
            }
            InspectCommand::ExportDocuments { collections, query, format, name } => {
                return long::export(&mut self.inspector, &collections, query.as_deref(), format, &name);
            }
            InspectCommand::Compare { collection, from } => {
                let progress = &mut |_| Ok(());
                let mut other = Inspector::open(open((None, other), tokens, true, progress)?, progress)?;
                match collection {
                    None => long::compare(&mut self.inspector, &mut other)?,
                    Some(name) => long::differences(&mut self.inspector, &mut other, &name, from)?,
                }
            }
            InspectCommand::Open { .. } | InspectCommand::Join { .. } => {
                return Err(Error::new(ErrorKind::Internal, "an archive is open already"));
            }
        };
        Ok((event, None))
    }

    fn rows(
        &mut self,
        collection: &str,
        from: u64,
        count: usize,
        query: Option<&str>,
        all: bool,
    ) -> Result<Event> {
        let query = query.map(Query::parse);
        let Page { rows, problem, hidden } = self.inspector.rows(collection, from, count, ROWS_BYTES)?;
        let next = rows.last().map_or(from, |row| row.row + 1);
        let found = |row: &Row| all || query.as_ref().is_none_or(|query| query.matches(row.text.as_bytes()));
        let rows = rows.into_iter().filter(found).map(|Row { row, id, text }| {
            let marks = query.as_ref().map(|query| query.marks_in(&text)).unwrap_or_default();
            let marks = utf16(&text, marks.into_iter().take(MARKS));
            let masked = utf16(&text, secrets(&text).into_iter());
            RowText { row, id, text, marks, masked }
        });
        Ok(Event::Rows { rows: rows.collect(), next, hidden, problem })
    }

    fn cells(&mut self, collection: &str, from: u64, count: usize) -> Result<Event> {
        if !self.columns.contains_key(collection) {
            let sample = self.inspector.rows(collection, 0, SAMPLE, ROWS_BYTES)?;
            let texts = sample.rows.iter().map(|row| row.text.as_str());
            self.columns.insert(collection.to_owned(), Columns::of(texts));
        }
        let Page { rows, problem, hidden } = self.inspector.rows(collection, from, count, ROWS_BYTES)?;
        let none = || Error::new(ErrorKind::Internal, "a table without columns");
        let columns = self.columns.get(collection).ok_or_else(none)?;
        let rows = rows
            .into_iter()
            .map(|Row { row, text, .. }| RowCells { row, cells: columns.cells(&text) })
            .collect();
        let columns = columns.columns.iter().map(|column| Column {
            name: column.path.clone(),
            kind: match column.kind {
                inspect::ColumnKind::Id => ColumnKind::Id,
                inspect::ColumnKind::Amount | inspect::ColumnKind::Number => ColumnKind::Figure,
                inspect::ColumnKind::Date => ColumnKind::Date,
                _ => ColumnKind::Text,
            },
        });
        Ok(Event::Cells { columns: columns.collect(), rows, hidden, problem })
    }

    fn attachments(
        &mut self,
        from: usize,
        count: usize,
        collection: Option<String>,
        id: Option<String>,
    ) -> Event {
        let FilesPage { files, total } =
            self.inspector.files(collection.as_deref(), id.as_deref(), from, count);
        Event::Attachments { attachments: files, total: total as u32 }
    }
}

/// Ranges of bytes as ranges of UTF-16 units, which is how JavaScript counts. They have to be in order.
fn utf16(text: &str, ranges: impl Iterator<Item = Range<usize>>) -> Vec<(u32, u32)> {
    let (mut byte, mut unit) = (0, 0);
    let mut place = |to: usize| {
        unit += text.get(byte..to).map_or(0, |between| between.encode_utf16().count());
        byte = to;
        unit as u32
    };
    ranges.map(|range| (place(range.start), place(range.end))).collect()
}

/// What is in an archive.
fn opened(inspector: &mut Look) -> Result<Event> {
    let collections = inspector.index().collections.iter().map(Found::from).collect();
    let known = inspector.index().problems.clone();
    let parts: Vec<String> = inspector.index().parts.iter().map(|part| part.name.clone()).collect();
    let index = serde_json::to_string(inspector.index())
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let archive = inspector.reader();
    let stored = |part: &String| archive.entry_named(part).map_or(0, |entry| entry.stored_size);
    let parts = parts.iter().map(stored).collect();
    let mut problems: Problems = archive.require_backup().err().into_iter().collect();
    problems.append(known);
    let manifest = archive.manifest().ok().flatten().map(|manifest| ManifestHead {
        version: manifest.version,
        created: manifest.created.clone(),
        source: manifest.source.clone(),
        missing: manifest.missing.clone(),
    });
    let (collections, attachments) = with_attachments(archive, collections);
    let found = problems.found() as u32;
    let problems = problems.into_iter().collect();
    let (size, entries) = (archive.length(), archive.entries().len() as u32);
    let summary = Summary {
        size,
        entries,
        salvaged: archive.lost_directory().is_some(),
        collections,
        parts,
        attachments,
        problems,
        found,
        notes: archive.notes(),
    };
    Ok(Event::Opened { manifest, summary, index })
}

impl From<&Rows> for Found {
    fn from(rows: &Rows) -> Self {
        let mut parts: Vec<u32> = rows.runs.iter().map(|run| run.part as u32).collect();
        parts.dedup();
        Self {
            name: rows.name.clone(),
            category: rows.category,
            documents: rows.documents,
            bytes: rows.bytes,
            attachments: 0,
            attachment_bytes: 0,
            parts,
        }
    }
}

/// The collections with what their documents own, and how many attachments there are in all.
fn with_attachments(archive: &Archive, found: Vec<Found>) -> (Vec<Found>, u32) {
    let mut all: BTreeMap<_, _> = found.into_iter().map(|row| (row.name.clone(), row)).collect();
    let mut attachments = 0;
    for attachment in archive.each_attachment() {
        let name = attachment.collection.unwrap_or(UNKNOWN);
        let row = all.entry(name.to_owned()).or_insert_with_key(|name| Found {
            name: name.clone(),
            category: category_of(name),
            documents: 0,
            bytes: 0,
            attachments: 0,
            attachment_bytes: 0,
            parts: Vec::new(),
        });
        row.attachments += 1;
        row.attachment_bytes += attachment.size;
        attachments += 1;
    }
    (all.into_values().collect(), attachments)
}
