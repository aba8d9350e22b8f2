//! `inspect FILE COLLECTION`: the documents of a collection, or those in which something is found.

use crate::look;
use crate::out::Out;
use crate::teller::Bar;
use crate::terminal::{plain, plain_json};
use crate::words;
use clap::ValueEnum;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::inspect::csv::{Csv, Dialect, Header};
use dikas_archive::inspect::{Columns, Inspector, MASK, Query, secrets};
use dikas_archive::problems::Problems;
use dikas_backup::interrupt::Interrupt;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

/// How many rows a table has in a terminal, unless somebody wants more.
const TABLE_ROWS: u64 = 100;

/// How many documents decide which columns a table has, and how wide they are.
const SAMPLE: usize = 100;

/// The most of a document's text that is looked at for that.
const SAMPLE_BYTES: usize = 4 << 20;

/// A cell is no wider than so many characters.
const CELL: usize = 32;

/// How wide a terminal is taken to be that does not say.
const TERMINAL: usize = 120;

/// What is wanted of the documents.
#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Shows the documents of this collection.
    pub(crate) collection: Option<String>,
    /// Only documents in which all of this is found: words, "words in quotes", and field:value. Without a collection,
    /// in all of them.
    #[arg(long, value_name = "QUERY")]
    pub(crate) search: Option<String>,
    /// So many documents at most; in a table on a terminal 100, unless this says otherwise.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// How documents are written: as a table on a terminal, else as the JSON lines that they are in the backup.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each document on a line, byte for byte; a terminal sees no password hashes.
    Jsonl,
    /// A table for Excel, without password hashes.
    Csv,
    /// The same for a German Excel: semicolons, and commas in numbers.
    CsvDe,
    /// The columns that suit the documents.
    Table,
}

/// Shows documents. Answers whether nothing was wrong with what was read.
pub(crate) fn show(file: &Path, wanted: &Wanted, interrupt: &Interrupt) -> Result<bool> {
    let reader = look::open_damaged(file, interrupt)?;
    let mut bar = Bar::new("Reading", reader.length(), interrupt);
    let mut inspector = Inspector::open(reader, &mut |bytes| bar.add(bytes))?;
    bar.clear();
    let mut problems = look::problems(&inspector);
    let missing = look::missing(inspector.reader());
    let out = Out::new();
    let format = wanted.format.unwrap_or(if out.is_terminal() { Format::Table } else { Format::Jsonl });
    let limit = wanted.limit.unwrap_or(match format {
        Format::Table if out.is_terminal() => TABLE_ROWS,
        _ => u64::MAX,
    });
    let collections = collections(&inspector, wanted, format).inspect_err(|_| words::complain(&problems))?;
    let query = wanted.search.as_deref().map(Query::parse);
    let mut showing = Showing {
        inspector: &mut inspector,
        out,
        query,
        left: limit,
        has_more: false,
        interrupt,
        problems: Problems::default(),
    };
    for collection in &collections {
        let flow = match format {
            Format::Jsonl => showing.lines(collection)?,
            Format::Csv => showing.csv(collection, Dialect::English)?,
            Format::CsvDe => showing.csv(collection, Dialect::German)?,
            Format::Table => showing.table(collection, collections.len() > 1)?,
        };
        if flow.is_break() {
            break;
        }
    }
    let Showing { out, has_more, problems: found, .. } = showing;
    out.finish()?;
    if has_more && wanted.limit.is_none() {
        eprintln!("There are more: --limit says how many to show.");
    }
    problems.append_new(found);
    words::complain(&problems);
    words::complain_of_missing(file, &missing);
    Ok(problems.is_empty())
}

/// Which collections to show.
fn collections(inspector: &Inspector<File>, wanted: &Wanted, format: Format) -> Result<Vec<String>> {
    let names = inspector.index().names_in_order().into_iter();
    let Some(name) = &wanted.collection else {
        if matches!(format, Format::Csv | Format::CsvDe) {
            return Err(Error::new(ErrorKind::BadArgument, "CSV is of one collection: which one?"));
        }
        return Ok(names.collect());
    };
    if inspector.index().collection(name).is_none() {
        let names: Vec<String> = names.collect();
        return Err(Error::new(ErrorKind::BadArgument, "the backup has no such collection")
            .on(name)
            .expected(format!("one of {}", names.join(", ")), name));
    }
    Ok(vec![name.clone()])
}

struct Showing<'a> {
    inspector: &'a mut Inspector<File>,
    out: Out,
    query: Option<Query>,
    /// How many documents may still be shown.
    left: u64,
    /// Whether more were seen.
    has_more: bool,
    interrupt: &'a Interrupt,
    problems: Problems,
}

impl Showing<'_> {
    /// Hands over each document that is wanted, until told to stop or there are enough.
    fn each(
        &mut self,
        collection: &str,
        mut on_line: impl FnMut(&mut Out, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let Self { inspector, out, query, left, has_more, interrupt, problems } = self;
        let mut flow = ControlFlow::Continue(());
        let found = inspector.each(collection, 0, &mut |_| interrupt.check(), &mut |_, line| {
            if query.as_ref().is_some_and(|query| !query.matches(line)) {
                return Ok(ControlFlow::Continue(()));
            }
            if *left == 0 {
                *has_more = true;
                flow = ControlFlow::Break(());
                return Ok(flow);
            }
            *left -= 1;
            flow = on_line(out, line)?;
            Ok(flow)
        })?;
        problems.append_new(found);
        Ok(flow)
    }

    fn lines(&mut self, collection: &str) -> Result<ControlFlow<()>> {
        self.each(collection, |out, line| {
            if out.is_terminal() {
                return out.write(format!("{}\n", plain_json(&masked(&String::from_utf8_lossy(line)))));
            }
            // A line may lack its end, as the last one of another program's part.
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            out.write(line).and_then(|_| out.write(b"\n"))
        })
    }

    /// The columns first: that takes reading all that is wanted twice.
    fn csv(&mut self, collection: &str, dialect: Dialect) -> Result<ControlFlow<()>> {
        let left = self.left;
        let mut header = Header::default();
        let _ = self.each(collection, |_, line| {
            header.add(line);
            Ok(ControlFlow::Continue(()))
        })?;
        self.left = left;
        let table = Csv::new(header, dialect);
        let mut row = table.head();
        if self.out.is_terminal() {
            row = row.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&row).to_vec();
        }
        let _ = write_row(&mut self.out, &row)?;
        self.each(collection, |out, line| {
            row.clear();
            table.row(line, &mut row);
            write_row(out, &row)
        })
    }

    fn table(&mut self, collection: &str, has_title: bool) -> Result<ControlFlow<()>> {
        let sample = self.inspector.rows(collection, 0, SAMPLE, SAMPLE_BYTES)?;
        let columns = Columns::of(sample.rows.iter().map(|row| row.text.as_str()));
        let mut layout = None;
        // Rows wait until there are enough of them to know how wide the columns are.
        let mut waiting: Vec<Vec<String>> = Vec::new();
        let title = format!("\n{}\n", plain(collection));
        let heads: Vec<String> = columns.columns.iter().map(|column| cell(&column.path)).collect();
        let flow = self.each(collection, |out, line| {
            let cells = columns.cells(&String::from_utf8_lossy(line));
            let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
            if let Some(layout) = &layout {
                return out.write(row(layout, &cells));
            }
            waiting.push(cells);
            if waiting.len() < SAMPLE {
                return Ok(ControlFlow::Continue(()));
            }
            let made = Layout::of(&heads, &waiting, out.is_terminal());
            let flow = begin(out, has_title.then_some(title.as_str()), &made, &heads, &mut waiting);
            layout = Some(made);
            flow
        })?;
        if layout.is_none() && !(waiting.is_empty() && has_title) {
            let made = Layout::of(&heads, &waiting, self.out.is_terminal());
            let title = has_title.then_some(title.as_str());
            let _ = begin(&mut self.out, title, &made, &heads, &mut waiting)?;
        }
        Ok(flow)
    }
}

/// Head and first rows of a table.
fn begin(
    out: &mut Out,
    title: Option<&str>,
    layout: &Layout,
    heads: &[String],
    rows: &mut Vec<Vec<String>>,
) -> Result<ControlFlow<()>> {
    let mut text = format!("{}{}", title.unwrap_or_default(), row(layout, heads));
    for cells in rows.drain(..) {
        text += &row(layout, &cells);
    }
    out.write(text)
}

/// How wide each column is that has room.
struct Layout(Vec<usize>);

impl Layout {
    fn of(heads: &[String], rows: &[Vec<String>], is_terminal: bool) -> Self {
        let width = |at: usize| {
            let cells = rows.iter().filter_map(|cells| cells.get(at));
            cells.chain(heads.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..heads.len()).map(width).collect();
        if is_terminal {
            let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
            let (mut room, at_least) = (columns.unwrap_or(TERMINAL), widths.first().copied().unwrap_or(0));
            room = room.max(at_least + 2);
            let fit = widths.iter().take_while(|width| {
                let fits = **width + 2 <= room;
                room = room.saturating_sub(**width + 2);
                fits
            });
            widths.truncate(fit.count());
        }
        Self(widths)
    }
}

fn row(Layout(widths): &Layout, cells: &[String]) -> String {
    let padded = widths.iter().zip(cells).map(|(width, cell)| format!("{cell:<width$}"));
    let text = padded.collect::<Vec<_>>().join("  ");
    format!("{}\n", text.trim_end())
}

/// Text as a cell: on one line, and short.
fn cell(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(CELL) {
        Some((end, _)) => {
            let short = text.get(..end).unwrap_or_default();
            let mut short: String = short.chars().take(CELL - 1).collect();
            short.push('…');
            short
        }
        None => text,
    }
}

/// Writes a row of a CSV table; what could command a terminal is escaped there.
fn write_row(out: &mut Out, row: &[u8]) -> Result<ControlFlow<()>> {
    if !out.is_terminal() {
        return out.write(row);
    }
    let text = String::from_utf8_lossy(row.strip_suffix(b"\r\n").unwrap_or(row)).into_owned();
    out.write(format!("{}\n", plain(&text)))
}

/// A document as a person sees it.
fn masked(document: &str) -> String {
    let (mut text, mut at) = (String::new(), 0);
    for secret in secrets(document) {
        text += document.get(at..secret.start).unwrap_or_default();
        text += &format!("\"{MASK}\"");
        at = secret.end;
    }
    text + document.get(at..).unwrap_or_default().trim_end_matches('\n')
}
