//! What takes long and is done by workers of its own: verifying, searching, comparing, and taking out.

use super::{Archive, Look, utf16};
use crate::browser::pages::Paged;
use crate::browser::protocol::{Compared, Event, ExportFormat, Hit};
use crate::browser::rope::BlobRope;
use crate::browser::worker::{Answer, post};
use crate::catalog::category_of;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::compare::{self, Change};
use crate::inspect::csv::{Csv, Dialect, Header};
use crate::inspect::{self, FieldChange, MASK, Query, secrets};
use crate::reader::{BLOCK_BYTES, Verdict};
use js_sys::Date;
use std::io::{self, Read, Write};
use std::mem;
use std::ops::ControlFlow;

/// How many differences a message has at most, how many fields each of them, and how long a value is.
const DIFFERENCES: usize = 300;
const DIFFERENCE_BYTES: usize = 1 << 20;
const FIELDS: usize = 100;
const VALUE: usize = 2_000;

/// How often the page hears how far it is, in milliseconds.
const REPORT: f64 = 100.0;

/// How many hits a message has at most.
const HITS: usize = 50;

/// How much of a document is shown before what was found, and from there on, in bytes.
const BEFORE: usize = 60;
const BEHIND: usize = 180;

/// Tells the page how much of the archive has been read.
pub(super) struct Report {
    bytes: u64,
    posted: f64,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { bytes: 0, posted: Date::now() }
    }

    pub(super) fn add(&mut self, bytes: u64) -> Result<()> {
        self.bytes += bytes;
        // A clock that was set back must not silence the reports.
        if (Date::now() - self.posted).abs() >= REPORT {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        if self.bytes > 0 {
            post(&Event::Read { bytes: self.bytes }, None);
        }
        *self = Self::new();
    }
}

pub(super) fn attachment(archive: &mut Archive, path: &str) -> Result<Answer> {
    let mut content = archive.attachment(path)?;
    let mut copy = Content::new();
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        let count = content.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        copy.write_all(bytes)?;
    }
    copy.hand_over(path.rsplit('/').next().unwrap_or(path), "application/octet-stream", None)
}

/// A file for the page, put together in pieces that the browser keeps.
struct Content {
    file: Paged<BlobRope>,
    crc32: crc32fast::Hasher,
}

impl Content {
    fn new() -> Self {
        // The browser moves what is large to the disk, and says so where it has no room.
        Self { file: Paged::new(BlobRope::with_limit(u64::MAX)), crc32: crc32fast::Hasher::new() }
    }

    fn hand_over(self, name: &str, media_type: &str, problem: Option<Error>) -> Result<Answer> {
        let file = self.file.into_blocks()?.into_file(name, media_type)?;
        Ok((Event::Content { crc32: self.crc32.finalize(), problem }, Some(file)))
    }
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.crc32.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Checks some entries or, without a range, the directory.
pub(super) fn verify(archive: &mut Archive, entries: Option<(u32, u32)>) -> Result<Event> {
    let mut report = Report::new();
    let verdict = match entries {
        None => {
            let mut verdict = archive.verify_directory();
            verdict.problems.extend(archive.require_backup().err());
            verdict
        }
        Some((from, to)) => {
            let mut verdict = Verdict::default();
            for at in from as usize..(to as usize).min(archive.entries().len()) {
                archive.verify_entry(at, &mut verdict, &mut |bytes| report.add(bytes))?;
            }
            verdict
        }
    };
    report.flush();
    let marks = verdict.marked_parts() as u32;
    let Verdict { problems, documents, .. } = verdict;
    let found = problems.found() as u32;
    Ok(Event::Verified { problems: problems.into_iter().collect(), found, documents, marks })
}

/// Searches one part. Its hits go to the page while the search goes on.
pub(super) fn search(
    inspector: &mut Look,
    part: usize,
    collection: Option<&str>,
    query: &str,
    max: u64,
) -> Result<Event> {
    let query = Query::parse(query);
    let mut report = Report::new();
    let mut matches = 0;
    let mut hits = Vec::new();
    let mut posted = Date::now();
    let problem = inspector.search(part, collection, &query, &mut |bytes| report.add(bytes), &mut |hit| {
        matches += 1;
        if matches > max {
            return Ok(());
        }
        hits.push(shown(hit, &query));
        if hits.len() >= HITS || (Date::now() - posted).abs() >= REPORT {
            posted = Date::now();
            post(&Event::Hits { hits: mem::take(&mut hits) }, None);
        }
        Ok(())
    })?;
    if !hits.is_empty() {
        post(&Event::Hits { hits }, None);
    }
    report.flush();
    Ok(Event::Searched { matches, problem })
}

/// A hit with the text around the first place that was found.
fn shown(found: inspect::Hit, query: &Query) -> Hit {
    let inspect::Hit { collection, row, id, text } = found;
    let text = masked(text);
    let marks = query.marks_in(&text);
    let first = marks.first().map_or(0, |mark| mark.start);
    let from = text.floor_char_boundary(first.saturating_sub(BEFORE));
    let to = text.ceil_char_boundary(first.saturating_add(BEHIND));
    let dots = |cut| if cut { "…" } else { "" };
    let before = dots(from > 0);
    let around = text.get(from..to).unwrap_or_default();
    let snippet = format!("{before}{around}{}", dots(to < text.len()));
    // Places in the text become places in the snippet; the last one may be cut.
    let moved = marks.iter().take_while(|mark| mark.start < to).map(|mark| {
        let place = |at: usize| at.min(to) - from + before.len();
        place(mark.start)..place(mark.end)
    });
    Hit { collection, row, id, marks: utf16(&snippet, moved), snippet }
}

/// A text without what lets somebody log in.
fn masked(mut text: String) -> String {
    for secret in secrets(&text).into_iter().rev() {
        text.replace_range(secret, MASK);
    }
    text
}

/// Writes documents to a file. What is damaged is left out, and told.
pub(super) fn export(
    inspector: &mut Look,
    collections: &[String],
    query: Option<&str>,
    format: ExportFormat,
    name: &str,
) -> Result<Answer> {
    let query = query.map(Query::parse);
    let mut report = Report::new();
    let mut content = Content::new();
    let mut each = |on_line: &mut dyn FnMut(&[u8]) -> Result<()>| {
        let mut problem = None;
        for collection in collections {
            let progress = &mut |bytes| report.add(bytes);
            let problems = inspector.each(collection, 0, progress, &mut |_, line| {
                if query.as_ref().is_none_or(|query| query.matches(line)) {
                    on_line(line)?;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            problem = problem.or(problems.into_iter().next());
        }
        Ok::<_, Error>(problem)
    };
    let dialect = match format {
        ExportFormat::CsvSemicolon => Dialect::German,
        ExportFormat::CsvComma => Dialect::English,
        ExportFormat::JsonLines => {
            let problem = each(&mut |line| {
                content.write_all(line)?;
                Ok(content.write_all(b"\n")?)
            })?;
            return content.hand_over(name, "application/x-ndjson", problem);
        }
    };
    // A table names its columns first, and only all of the documents tell which there are.
    let mut header = Header::default();
    each(&mut |line| {
        header.add(line);
        Ok(())
    })?;
    let csv = Csv::new(header, dialect);
    content.write_all(&csv.head())?;
    let mut row = Vec::new();
    let problem = each(&mut |line| {
        row.clear();
        csv.row(line, &mut row);
        Ok(content.write_all(&row)?)
    })?;
    content.hand_over(name, "text/csv", problem)
}

/// Counts how two archives differ, in every collection that either has.
pub(super) fn compare(old: &mut Look, new: &mut Look) -> Result<Event> {
    let mut report = Report::new();
    let mut collections = Vec::new();
    for name in compare::collections_in_order(old.index(), new.index()) {
        let found = match compare::compare(old, new, &name, &mut |bytes| report.add(bytes), None) {
            Ok(found) => found,
            // Without an order there is a limit to what can be compared; what has one is not held up by that.
            Err(error) if error.kind == ErrorKind::LimitExceeded => {
                collections.push(not_compared(name, error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let compare::Compared { name, category, added, removed, changed, same, problems } = found;
        let problem = problems.into_iter().next();
        collections.push(Compared { name, category, added, removed, changed, same, problem });
    }
    report.flush();
    Ok(Event::Compared { collections, differences: Vec::new() })
}

fn not_compared(name: String, problem: Error) -> Compared {
    let category = category_of(&name);
    Compared { name, category, added: 0, removed: 0, changed: 0, same: 0, problem: Some(problem) }
}

/// Lists documents of a collection that differ, from so many on.
pub(super) fn differences(old: &mut Look, new: &mut Look, name: &str, from: u64) -> Result<Event> {
    let mut report = Report::new();
    let (mut passed, mut bytes) = (0, 0);
    let mut differences = Vec::new();
    let enough = || Error::new(ErrorKind::Cancelled, "that is enough");
    let mut on_change = |Change { id, kind, fields }: Change| {
        passed += 1;
        if passed <= from {
            return Ok(());
        }
        if differences.len() == DIFFERENCES || bytes > DIFFERENCE_BYTES {
            return Err(enough());
        }
        let fields: Vec<_> = fields.into_iter().take(FIELDS).map(short).collect();
        let size = |field: &FieldChange| {
            [&field.old, &field.new].into_iter().flatten().map(String::len).sum::<usize>()
        };
        bytes += fields.iter().map(size).sum::<usize>();
        differences.push(Change { id, kind, fields });
        Ok(())
    };
    match compare::compare(old, new, name, &mut |bytes| report.add(bytes), Some(&mut on_change)) {
        Err(error) if error.kind != ErrorKind::Cancelled => return Err(error),
        _ => {}
    }
    Ok(Event::Compared { collections: Vec::new(), differences })
}

/// A field whose values are cut where they are long.
fn short(FieldChange { path, old, new }: FieldChange) -> FieldChange {
    let cut = |value: Option<String>| {
        value.map(|value| match value.get(..value.floor_char_boundary(VALUE)) {
            Some(head) if head.len() < value.len() => format!("{head}…"),
            _ => value,
        })
    };
    FieldChange { path, old: cut(old), new: cut(new) }
}
