//! The backup: snapshot → pages → parts → archive, read back before it counts.

use super::queue::{self, Load};
use super::resume::{self, Begun, Place, Written};
use super::{Encoder, Page, Phase, Progress, Source, Watch};
use crate::api::{AttachmentRecord, CollectionSummary, Snapshot};
use crate::damage::{Missing, Reason};
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::part::{PartCutter, RawPart};
use crate::writer::BackupWriter;
use futures::channel::mpsc;
use futures::future::try_join;
use futures::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};
use std::mem;
use std::rc::Rc;

/// Attachments are read in ranges of at most this many bytes.
const RANGE_BYTES: u64 = 4 << 20;

/// So many pieces are under way at once, so that none waits for the round trip of another.
const PIECES_AHEAD: usize = 4;

/// Smaller attachments are read several at once, so that they do not each cost a call: at most so many, which is what fits
/// into the line of a request, and so many bytes.
const SMALL_BYTES: u64 = 256 << 10;
const FILES_AT_ONCE: usize = 16;
const FILE_BYTES_AT_ONCE: u64 = 1 << 20;

/// How often a job starts over with a new snapshot before it gives up.
const RESTARTS: u32 = 1;

/// Backs up what `open` gives a snapshot of into `out`, and reads the result back: when this returns, every byte of every
/// entry has been compared, by digest, with what the encoder has decoded again or the server announced.
///
/// `open` is asked once more when the server lets a snapshot go in the middle. While a page is fetched, the parts
/// before it are compressed: memory holds at most `slots` parts in the encoder, as many bytes that are compressed and wait
/// for their turn, one part that waits, one that is being filled, and two pages. The archive depends on the snapshot alone, not on `options` or `encoder`.
///
/// # Errors
/// Those of `open`, [`Source`], [`Encoder`], [`Watch::checkpoint`] and of writing; `incomplete` when not all has arrived
/// that the snapshot announced; those of [`BackupReader`](crate::reader::BackupReader) when the archive is not read as it
/// was written. On an error `out` is emptied, as far as that is possible: half a backup never looks like a whole one.
/// Where `out` remembers what was written, and the error may pass, its entries stay instead, without a directory, and the
/// snapshot is left open: a later call with that snapshot and `out` goes on there.
pub async fn backup<S: Source>(
    open: impl AsyncFn() -> Result<S>,
    encoder: &impl Encoder,
    out: &mut impl Output,
    options: &Options,
    watch: &impl Watch,
) -> Result<Outcome> {
    let result = run(open, encoder, out, options, watch).await;
    result.map_err(|Failed { error, stays }| {
        if !stays {
            // What matters to the caller is the first error.
            let _ = out.clear();
        }
        error
    })
}

/// What changes the way of a backup, and not a byte of its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many bytes of JSON lines to ask for at once.
    pub page_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { page_bytes: 4 << 20 }
    }
}

/// A backup that was written, read back and found whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What the archive says it holds.
    pub manifest: Manifest,
    /// Bytes of the archive.
    pub size: u64,
    /// Digest of the whole archive.
    pub sha256: Sha256,
    /// How many parts failed their check after compression and are stored uncompressed: 0, unless a codec is broken.
    pub plain_parts: u64,
    /// How often the job had to start over with a new snapshot.
    pub restarts: u32,
}

/// A place for the archive.
pub trait Output: Read + Write + Seek {
    /// Drops all that was written, and goes to the start. What is remembered of it goes too.
    fn clear(&mut self) -> io::Result<()>;

    /// What an earlier run has left here of the snapshot that this one begins with, in its order.
    fn begun(&mut self) -> Vec<Written> {
        Vec::new()
    }

    /// Of what an earlier run has left, these entries have been found as they were; the ones behind them count no more.
    fn found(&mut self, _: &[Written]) {}

    /// From here on, all that is written is of this snapshot.
    fn begin(&mut self, _: &Snapshot) {}

    /// One more entry is written.
    fn wrote(&mut self, _: &Written) {}

    /// Whether what is written will be remembered when this run fails.
    fn remembers(&self) -> bool {
        false
    }
}

impl Output for File {
    fn clear(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        self.rewind()
    }
}

impl Output for Cursor<Vec<u8>> {
    fn clear(&mut self) -> io::Result<()> {
        self.get_mut().clear();
        self.rewind()
    }
}

impl<T: Output + ?Sized> Output for &mut T {
    fn clear(&mut self) -> io::Result<()> {
        T::clear(self)
    }

    fn begun(&mut self) -> Vec<Written> {
        T::begun(self)
    }

    fn found(&mut self, entries: &[Written]) {
        T::found(self, entries);
    }

    fn begin(&mut self, snapshot: &Snapshot) {
        T::begin(self, snapshot);
    }

    fn wrote(&mut self, entry: &Written) {
        T::wrote(self, entry);
    }

    fn remembers(&self) -> bool {
        T::remembers(self)
    }
}

/// The error of a run, and whether what it has written stays.
struct Failed {
    error: Error,
    stays: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, stays: false }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Error::from(error).into()
    }
}

async fn run<S: Source>(
    open: impl AsyncFn() -> Result<S>,
    encoder: &impl Encoder,
    out: &mut impl Output,
    options: &Options,
    watch: &impl Watch,
) -> Result<Outcome, Failed> {
    let mut restarts = 0;
    let mut begun = out.begun();
    let (manifest, plain_parts, meter) = loop {
        let meter = Meter::new(watch, restarts);
        meter.advance(|_| {}).await?;
        if begun.is_empty() {
            out.clear()?;
        }
        let source = open().await.map_err(|error| Failed { stays: may_pass(&error, out), error })?;
        meter.announce(source.snapshot());
        if begun.is_empty() {
            out.begin(source.snapshot());
        }
        let written = write(&source, encoder, out, mem::take(&mut begun), options, &meter).await;
        if !matches!(written, Err(Failed { stays: true, .. })) {
            // A snapshot that cannot be closed expires by itself.
            let _ = source.close().await;
        }
        match written {
            Err(Failed { error, .. }) if error.kind == ErrorKind::SnapshotGone && restarts < RESTARTS => {
                restarts += 1;
            }
            Err(failed) => return Err(failed),
            Ok((manifest, plain_parts)) => break (manifest, plain_parts, meter),
        }
    };
    let (manifest, size, sha256) = super::verify::verify(out, manifest, &meter).await?;
    Ok(Outcome { manifest, size, sha256, plain_parts, restarts })
}

/// Whether another run can go on where this error came, because it may be gone by then.
fn may_pass(error: &Error, out: &impl Output) -> bool {
    use ErrorKind::{BadAnswer, Busy, ServerError, Unauthorized, Unreachable};
    matches!(error.kind, BadAnswer | Busy | ServerError | Unauthorized | Unreachable) && out.remembers()
}

async fn write(
    source: &impl Source,
    encoder: &impl Encoder,
    out: &mut impl Output,
    begun: Vec<Written>,
    options: &Options,
    meter: &Meter<'_, impl Watch>,
) -> Result<(Manifest, u64), Failed> {
    let place = RefCell::new(out);
    let written = async {
        let (mut writer, place, begun) = resume::replay(&place, begun, source.snapshot(), meter).await?;
        meter.enter(Phase::Documents).await?;
        // One part waits in the channel while others are compressed; the sender goes on when it has been taken.
        let (sender, raw_parts) = mpsc::channel(0);
        let fetched = fetch_parts(source, &begun, options, meter, sender);
        let framed = frame_parts(raw_parts, encoder, &mut writer, &place, meter);
        let ((), plain_parts) = try_join(fetched, framed).await?;
        meter.enter(Phase::Attachments).await?;
        write_attachments(source, &begun, &mut writer, &place, meter).await?;
        Ok((writer, begun.plain_parts + plain_parts))
    };
    let (writer, plain_parts) =
        written.await.map_err(|error| Failed { stays: may_pass(&error, &**place.borrow()), error })?;
    meter.enter(Phase::Finish).await?;
    // From here on there may be a directory, and what is there must not stay unless it is whole.
    let (_, manifest) = writer.finish(source.snapshot())?;
    Ok((manifest, plain_parts))
}

/// Fetches every page and sends the parts that they fill. The next page is on its way while the parts of the one before
/// wait for the encoder.
async fn fetch_parts(
    source: &impl Source,
    begun: &Begun,
    options: &Options,
    meter: &Meter<'_, impl Watch>,
    mut parts: mpsc::Sender<RawPart>,
) -> Result<()> {
    let pages = pages(source, begun, options.page_bytes);
    futures::pin_mut!(pages);
    let mut cutter = begun.part.as_ref().map(PartCutter::after);
    let mut tally = begun.tally;
    let mut next = pages.try_next().await?;
    while let Some((summary, page)) = next {
        let filling = cutter.get_or_insert_with(|| PartCutter::new(summary.name.clone()));
        let mut filled = filling.push(&page.lines)?;
        let (documents, bytes) = (page.documents, page.lines.len() as u64);
        tally.0 += documents;
        tally.1 += bytes;
        check(summary, tally, page.next.is_none())?;
        if page.next.is_none() {
            filled.extend(cutter.take().and_then(PartCutter::finish));
            tally = (0, 0);
        }
        drop(page);
        let sent = async {
            for part in filled {
                // Only closed after an error, which is then the one that counts.
                parts
                    .send(part)
                    .await
                    .map_err(|_| Error::new(ErrorKind::Internal, "nobody takes the parts"))?;
            }
            Ok(())
        };
        ((), next) = try_join(sent, pages.try_next()).await?;
        meter.add(Some(summary.name.as_str()), documents, 0, bytes).await?;
    }
    Ok(())
}

/// The pages of all collections, one after the other.
fn pages<'a, S: Source>(
    source: &'a S,
    begun: &Begun,
    max_bytes: u64,
) -> impl Stream<Item = Result<(&'a CollectionSummary, Page)>> {
    let mut collections = source.snapshot().collections.get(begun.collections..).unwrap_or_default().iter();
    let last = begun.part.as_ref().map(|part| part.last.clone());
    let cursor = last.and_then(|last| Some((collections.next()?, last)));
    stream::try_unfold((collections, cursor), move |(mut rest, cursor)| async move {
        let (summary, after) = match cursor {
            Some((summary, after)) => (summary, Some(after)),
            None => match rest.next() {
                Some(summary) => (summary, None),
                None => return Ok(None),
            },
        };
        let page = source.page(&summary.name, after.as_deref(), max_bytes).await?;
        if page.documents == 0 && page.next.is_some() {
            return Err(
                Error::new(ErrorKind::BadAnswer, "an empty page is not the last").on(summary.name.as_str())
            );
        }
        let cursor = page.next.clone().map(|after| (summary, after));
        Ok(Some(((summary, page), (rest, cursor))))
    })
}

/// Whether a collection has as much as the snapshot said: never more, and at its end not less.
fn check(summary: &CollectionSummary, found: (u64, u64), at_end: bool) -> Result<()> {
    let announced = (summary.documents, summary.bytes);
    let too_much = found.0 > announced.0 || found.1 > announced.1;
    if !too_much && (!at_end || found == announced) {
        return Ok(());
    }
    let text = |(documents, bytes)| format!("{documents} documents in {bytes} bytes");
    Err(Error::new(
        ErrorKind::Incomplete,
        "what arrived is not what the snapshot announced; nothing was kept: try again",
    )
    .on(summary.name.as_str())
    .expected(text(announced), text(found)))
}

/// Compresses parts, as many at once as the encoder has slots, and writes them in their order. Answers how many are
/// stored uncompressed.
async fn frame_parts<O: Output>(
    parts: mpsc::Receiver<RawPart>,
    encoder: &impl Encoder,
    writer: &mut BackupWriter<Place<'_, O>>,
    place: &Place<'_, O>,
    meter: &Meter<'_, impl Watch>,
) -> Result<u64> {
    let load = Load::default();
    let mut encoded = queue::encoded(parts, encoder, &load);
    let mut plain = 0;
    while let Some((info, part)) = encoded.try_next().await? {
        let entry = writer.part(&info, &part)?;
        place.wrote_part(&info, part.stored_plain, entry)?;
        plain += u64::from(part.stored_plain);
        meter.advance(|_| {}).await?;
    }
    Ok(plain)
}

async fn write_attachments<O: Output>(
    source: &impl Source,
    begun: &Begun,
    writer: &mut BackupWriter<Place<'_, O>>,
    place: &Place<'_, O>,
    meter: &Meter<'_, impl Watch>,
) -> Result<()> {
    let announced = source.snapshot().collections.iter().map(|summary| summary.attachments).sum();
    let mut number = begun.attachments;
    let mut last = begun.attachment.as_ref().map(|entry| Rc::new(entry.record.clone()));
    // The same snapshot lists the same records: those that are there already are passed over.
    let missing = records(source).skip(usize::try_from(begun.attachments).unwrap_or(usize::MAX));
    futures::pin_mut!(missing);
    let read = pieces(missing).map_ok(|piece| piece.read(source)).try_buffered(PIECES_AHEAD);
    let read = read.map_ok(|ranges| stream::iter(ranges.into_iter().map(Ok::<_, Error>))).try_flatten();
    futures::pin_mut!(read);
    while let Some((range, bytes)) = read.try_next().await? {
        if range.from == 0 {
            number += 1;
            check_record(&range.record, last.as_deref(), number, announced)?;
            writer.attachment_start(&range.record)?;
            last = Some(range.record.clone());
        }
        writer.attachment_data(&bytes)?;
        let ends = range.from + range.bytes == range.record.size;
        if ends {
            let entry = writer.attachment_end().map_err(|error| damaged(&range.record, error))?;
            place.wrote_attachment(entry)?;
        }
        meter.add(Some(&range.record.name), 0, u64::from(ends), range.bytes).await?;
    }
    Ok(())
}

/// What it means that a file, whose pieces have come as the server sent them, has another digest than its record.
fn damaged(record: &AttachmentRecord, error: Error) -> Error {
    if error.kind != ErrorKind::BadAnswer {
        return error;
    }
    let AttachmentRecord { collection, id, name, .. } = record.clone();
    let missing = Missing { collection, id, name: Some(name), reason: Reason::Changed, attachments: 0 };
    let message = "this file is not as it was written: the disk of the server has changed it; nothing was backed up: \
                   restore it from an earlier backup, or make the backup without it";
    Error { kind: ErrorKind::DamagedDocument, message: message.to_owned(), subject: None, ..error }
        .damaged(vec![missing])
}

/// All attachment records.
fn records<S: Source>(source: &S) -> impl Stream<Item = Result<AttachmentRecord>> {
    let pages = stream::try_unfold(Some(None::<String>), move |cursor| async move {
        let Some(after) = cursor else { return Ok(None) };
        let page = source.attachments(after.as_deref()).await?;
        if page.attachments.is_empty() && page.next.is_some() {
            return Err(Error::new(ErrorKind::BadAnswer, "an empty page of attachments is not the last"));
        }
        Ok(Some((stream::iter(page.attachments.into_iter().map(Ok)), page.next.map(Some))))
    });
    pages.try_flatten()
}

/// Whether this record may come after that one, as the `number`th.
fn check_record(
    record: &AttachmentRecord,
    last: Option<&AttachmentRecord>,
    number: u64,
    announced: u64,
) -> Result<()> {
    let key = |record: &AttachmentRecord| (record.collection.clone(), record.id.clone(), record.name.clone());
    if last.is_some_and(|last| key(last) >= key(record)) {
        return Err(
            Error::new(ErrorKind::BadAnswer, "the server lists attachments out of order").on(subject(record))
        );
    }
    if number > announced {
        return Err(Error::new(
            ErrorKind::Incomplete,
            "the server lists more attachments than the snapshot announced",
        )
        .on(subject(record))
        .expected(announced, number));
    }
    Ok(())
}

fn subject(record: &AttachmentRecord) -> String {
    format!("{}/{}/{}", record.collection, record.id, record.name)
}

/// What is read by one call or, on a bad line, a few.
enum Piece {
    /// Small attachments that follow each other.
    Files(Vec<Rc<AttachmentRecord>>),
    /// Some bytes of a large one.
    Range(Range),
}

/// The pieces of these attachments, in their order.
fn pieces(
    records: impl Stream<Item = Result<AttachmentRecord>> + Unpin,
) -> impl Stream<Item = Result<Piece>> {
    let ranges: VecDeque<Range> = VecDeque::new();
    stream::try_unfold(
        (records, ranges, None::<AttachmentRecord>),
        |(mut records, mut ranges, mut next)| async move {
            let (mut files, mut bytes) = (Vec::new(), 0);
            loop {
                if let Some(range) = ranges.pop_front() {
                    return Ok(Some((Piece::Range(range), (records, ranges, next))));
                }
                let record = match next.take() {
                    Some(record) => Some(record),
                    None => records.try_next().await?,
                };
                match record {
                    Some(record)
                        if record.size <= SMALL_BYTES
                            && files.len() < FILES_AT_ONCE
                            && bytes + record.size <= FILE_BYTES_AT_ONCE =>
                    {
                        bytes += record.size;
                        files.push(Rc::new(record));
                    }
                    Some(record) if files.is_empty() => ranges.extend(Range::all_of(record)),
                    None if files.is_empty() => return Ok(None),
                    record => return Ok(Some((Piece::Files(files), (records, ranges, record)))),
                }
            }
        },
    )
}

impl Piece {
    async fn read(self, source: &impl Source) -> Result<Vec<(Range, Vec<u8>)>> {
        let files = match self {
            Piece::Range(range) => return Ok(vec![range.read(source).await?]),
            Piece::Files(files) => files,
        };
        let mut read: Vec<(Range, Vec<u8>)> = Vec::new();
        while let Some((first, rest)) = files.get(read.len()..).and_then(|left| Some((left.first()?, left))) {
            let more = source.read_files(rest).await.map_err(|error| error.on(subject(first)))?;
            if more.is_empty() || more.len() > rest.len() {
                return Err(Error::new(ErrorKind::BadAnswer, "other files came than were asked for")
                    .on(subject(first))
                    .expected(rest.len(), more.len()));
            }
            for (record, bytes) in rest.iter().zip(more) {
                check_length(record, bytes.len() as u64)?;
                read.push((Range { record: record.clone(), from: 0, bytes: record.size }, bytes));
            }
        }
        Ok(read)
    }
}

fn check_length(record: &AttachmentRecord, found: u64) -> Result<()> {
    if found == record.size {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadAnswer, "a file is not as long as its record says")
        .on(subject(record))
        .expected(format!("{} bytes", record.size), found))
}

/// Some bytes of an attachment.
struct Range {
    record: Rc<AttachmentRecord>,
    from: u64,
    bytes: u64,
}

impl Range {
    /// An attachment in ranges; one without bytes is a range too.
    fn all_of(record: AttachmentRecord) -> impl Iterator<Item = Self> {
        let record = Rc::new(record);
        let last = record.size.saturating_sub(1) / RANGE_BYTES;
        (0..=last).map(move |number| {
            let from = number * RANGE_BYTES;
            Self { record: record.clone(), from, bytes: (record.size - from).min(RANGE_BYTES) }
        })
    }

    async fn read(self, source: &impl Source) -> Result<(Self, Vec<u8>)> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < self.bytes {
            let (from, missing) = (self.from + bytes.len() as u64, self.bytes - bytes.len() as u64);
            let more = source.read(&self.record.sha256, from, missing).await;
            let more = more.map_err(|error| error.on(subject(&self.record)))?;
            if more.is_empty() || more.len() as u64 > missing {
                check_length(&self.record, from + more.len() as u64)?;
            }
            if bytes.is_empty() {
                bytes = more;
            } else {
                bytes.extend_from_slice(&more);
            }
        }
        Ok((self, bytes))
    }
}

/// Keeps the figures of one start, and tells them.
pub(super) struct Meter<'a, W> {
    watch: &'a W,
    progress: RefCell<Progress>,
}

impl<'a, W: Watch> Meter<'a, W> {
    pub(super) fn new(watch: &'a W, restarts: u32) -> Self {
        Self { watch, progress: RefCell::new(Progress { restarts, ..Progress::default() }) }
    }

    fn announce(&self, snapshot: &Snapshot) {
        let mut progress = self.progress.borrow_mut();
        for summary in &snapshot.collections {
            progress.documents_total += summary.documents;
            progress.attachments_total += summary.attachments;
            progress.bytes_total += summary.bytes + summary.attachment_bytes;
        }
    }

    pub(super) async fn enter(&self, phase: Phase) -> Result<()> {
        self.advance(|progress| (progress.phase, progress.subject) = (phase, None)).await
    }

    /// Enters a phase that counts bytes of its own.
    pub(super) async fn recount(&self, phase: Phase, bytes_total: u64) -> Result<()> {
        self.advance(|progress| {
            (progress.phase, progress.subject) = (phase, None);
            (progress.bytes, progress.bytes_total) = (0, bytes_total);
        })
        .await
    }

    pub(super) async fn read_back(&self, entry: Option<&str>, bytes: u64) -> Result<()> {
        self.advance(|progress| {
            progress.subject = entry.map(str::to_owned);
            progress.bytes += bytes;
        })
        .await
    }

    /// Counts what is done.
    pub(super) async fn add(
        &self,
        subject: Option<&str>,
        documents: u64,
        attachments: u64,
        bytes: u64,
    ) -> Result<()> {
        self.advance(|progress| {
            progress.subject = subject.map(str::to_owned);
            progress.documents += documents;
            progress.attachments += attachments;
            progress.bytes += bytes;
        })
        .await
    }

    /// Gives others a turn.
    pub(super) async fn pause(&self) -> Result<()> {
        self.watch.checkpoint().await
    }

    /// Reports the changed figures, and gives others a turn.
    pub(super) async fn advance(&self, change: impl FnOnce(&mut Progress)) -> Result<()> {
        let progress = {
            let mut progress = self.progress.borrow_mut();
            change(&mut progress);
            progress.clone()
        };
        self.watch.report(progress);
        self.watch.checkpoint().await
    }
}
