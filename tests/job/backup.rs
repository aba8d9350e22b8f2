use crate::store::{Random, Store};
use crate::wire::{Wire, refusal};
use dikas_archive::api::{AttachmentPage, Snapshot, SnapshotRequest};
use dikas_archive::catalog::CollectionName;
use dikas_archive::codec;
use dikas_archive::digest::Sha256;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::backup::{Options, Outcome, Output, backup};
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::transport::{Method, TransportError};
use dikas_archive::job::{Encoder, InlineEncoder, Page, Phase, Progress, Source, Watch};
use dikas_archive::part::{EncodedPart, PART_BYTES};
use futures::executor::block_on;
use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;

/// Looks on, and cancels at the checkpoint of this number.
#[derive(Default)]
pub struct Onlooker {
    pub seen: RefCell<Vec<Progress>>,
    pub checkpoints: Cell<usize>,
    pub cancel_at: Option<usize>,
}

impl Watch for Onlooker {
    fn report(&self, progress: Progress) {
        self.seen.borrow_mut().push(progress);
    }

    async fn checkpoint(&self) -> Result<()> {
        let number = self.checkpoints.get();
        self.checkpoints.set(number + 1);
        if self.cancel_at.is_some_and(|at| number >= at) {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        Ok(())
    }
}

/// Finishes its parts in an order of its own, and counts how many it holds.
struct Shuffler {
    slots: usize,
    random: RefCell<Random>,
    held: Cell<usize>,
    most_held: Cell<usize>,
}

impl Shuffler {
    fn new(slots: usize) -> Self {
        let random = RefCell::new(Random(slots as u64));
        Self { slots, random, held: Cell::new(0), most_held: Cell::new(0) }
    }
}

impl Encoder for Shuffler {
    fn slots(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.slots).unwrap()
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        self.held.set(self.held.get() + 1);
        self.most_held.set(self.most_held.get().max(self.held.get()));
        let turns = self.random.borrow_mut().below(9);
        for _ in 0..turns {
            turn().await;
        }
        let encoded = codec::encode(&raw);
        self.held.set(self.held.get() - 1);
        encoded
    }
}

/// Gives every other future a turn.
pub async fn turn() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

pub fn archive(
    store: &Store,
    encoder: &impl Encoder,
    page_bytes: u64,
    watch: &Onlooker,
) -> Result<(Vec<u8>, Outcome)> {
    let mut out = Cursor::new(Vec::new());
    let open = async || Ok(store.clone());
    let outcome = block_on(backup(open, encoder, &mut out, &Options { page_bytes }, watch))?;
    Ok((out.into_inner(), outcome))
}

fn over(wire: &Wire<'_>, watch: &Onlooker) -> (Vec<u8>, Result<Outcome>) {
    let mut out = Cursor::new(b"what was here before".to_vec());
    let open = async || HttpSource::open(wire, &SnapshotRequest::default()).await;
    let options = Options { page_bytes: 20_000 };
    let result = block_on(backup(open, &InlineEncoder, &mut out, &options, watch));
    (out.into_inner(), result)
}

pub fn restaurant() -> Store {
    Store::generate(3, &[("articles", 90), ("counters", 0), ("customers", 300), ("receipts", 40)], 300)
}

/// The figures that a person sees never go back, and end where they should.
pub fn check_progress(seen: &[Progress], outcome: &Outcome) {
    for pair in seen.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        if a.restarts < b.restarts {
            continue;
        }
        assert!(a.documents <= b.documents && a.attachments <= b.attachments, "{a:?} {b:?}");
        assert!(a.phase as u8 <= b.phase as u8, "{a:?} {b:?}");
        assert!(a.bytes <= b.bytes || (a.phase != Phase::Verify && b.phase == Phase::Verify), "{a:?} {b:?}");
        assert!(b.bytes <= b.bytes_total && b.documents <= b.documents_total, "{b:?}");
    }
    let last = seen.last().unwrap();
    assert_eq!(last.phase, Phase::Verify);
    assert_eq!(
        (last.bytes, last.documents, last.attachments),
        (last.bytes_total, last.documents_total, last.attachments_total)
    );
    assert_eq!(last.documents, outcome.manifest.documents());
    assert_eq!(last.restarts, outcome.restarts);
}

#[test]
fn the_archive_holds_what_the_store_held() {
    let store = restaurant();
    let watch = Onlooker::default();
    let (bytes, outcome) = archive(&store, &InlineEncoder, 20_000, &watch).unwrap();
    assert_eq!(outcome.size, bytes.len() as u64);
    assert_eq!(outcome.sha256, Sha256::of(&bytes));
    assert_eq!((outcome.plain_parts, outcome.restarts), (0, 0));
    check_progress(&watch.seen.borrow(), &outcome);

    // Unpacked by the zip crate and Google's decoder, port by another hand than the one we verify with.
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let contents = store.contents();
    for collection in &outcome.manifest.collections {
        let mut lines = Vec::new();
        for part in &collection.parts {
            let mut entry = zip.by_name(&part.name).unwrap();
            brotli::BrotliDecompress(&mut entry, &mut lines).unwrap();
        }
        let truth: String = contents.documents[&collection.name].values().map(String::as_str).collect();
        assert!(lines == truth.into_bytes(), "{}", collection.name);
    }
    assert_eq!(outcome.manifest.collections.len(), contents.documents.len());
    assert!(contents.records.len() > 14, "several pages of records");
    assert_eq!(outcome.manifest.attachments.len(), contents.records.len());
    for (entry, record) in outcome.manifest.attachments.iter().zip(&contents.records) {
        let mut file = Vec::new();
        std::io::copy(&mut zip.by_name(&entry.path).unwrap(), &mut file).unwrap();
        assert!(file == contents.blobs[&record.sha256]);
    }
}

#[test]
fn the_way_does_not_change_a_byte() {
    // Two parts of articles, one of customers, none of tables.
    let store = Store::generate(5, &[("articles", 450), ("customers", 20), ("tables", 0)], 30_000);
    let (expected, outcome) = archive(&store, &InlineEncoder, 2 << 20, &Onlooker::default()).unwrap();
    assert!(outcome.manifest.parts().count() > 2);
    for (slots, page_bytes) in [(1, 64 << 10), (2, 8 << 20), (3, 1 << 20), (4, 300_000)] {
        let (encoder, watch) = (Shuffler::new(slots), Onlooker::default());
        let (bytes, outcome) = archive(&store, &encoder, page_bytes, &watch).unwrap();
        assert!(bytes == expected, "{slots} slots, pages of {page_bytes}");
        assert!(encoder.most_held.get() <= slots);
        check_progress(&watch.seen.borrow(), &outcome);
    }
    let wire = Wire::new(&store, |_, _, _, answer| Ok(answer));
    let (bytes, result) = over(&wire, &Onlooker::default());
    assert!(bytes == expected && result.is_ok(), "over HTTP");
}

#[test]
fn the_encoder_is_kept_busy_while_pages_are_fetched() {
    let store = Store::generate(5, &[("articles", 700)], 40_000);
    let encoder = Shuffler::new(3);
    archive(&store, &encoder, PART_BYTES as u64, &Onlooker::default()).unwrap();
    assert_eq!(encoder.most_held.get(), 3);
}

#[test]
fn a_slow_encoder_holds_the_pages_back() {
    const PAGE_BYTES: u64 = 1 << 20;
    struct Counted<'a>(&'a Store, &'a Cell<u64>);
    impl Source for Counted<'_> {
        fn snapshot(&self) -> &Snapshot {
            self.0.snapshot()
        }
        async fn page(&self, collection: &CollectionName, after: Option<&str>, max: u64) -> Result<Page> {
            let page = self.0.page(collection, after, max).await?;
            self.1.set(self.1.get() + page.lines.len() as u64);
            Ok(page)
        }
        async fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
            self.0.attachments(after).await
        }
        async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> Result<Vec<u8>> {
            self.0.read(blob, from, max_bytes).await
        }
        async fn close(self) -> Result<()> {
            Ok(())
        }
    }
    struct Slow<'a> {
        served: &'a Cell<u64>,
        encoded: Cell<u64>,
        lead: Cell<u64>,
    }
    impl Encoder for Slow<'_> {
        fn slots(&self) -> NonZeroUsize {
            NonZeroUsize::MIN
        }
        async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
            for _ in 0..200 {
                turn().await;
            }
            self.lead.set(self.lead.get().max(self.served.get() - self.encoded.get()));
            self.encoded.set(self.encoded.get() + raw.len() as u64);
            codec::encode(&raw)
        }
    }
    let store = Store::generate(5, &[("articles", 700)], 65_000);
    let served = Cell::new(0);
    let encoder = Slow { served: &served, encoded: Cell::new(0), lead: Cell::new(0) };
    let mut out = Cursor::new(Vec::new());
    let options = Options { page_bytes: PAGE_BYTES };
    let open = async || Ok(Counted(&store, &served));
    block_on(backup(open, &encoder, &mut out, &options, &())).unwrap();
    // One part in the encoder, one that waits, one that is being filled, two pages.
    let bound = 3 * PART_BYTES as u64 + 2 * PAGE_BYTES;
    assert!(served.get() > bound + PART_BYTES as u64, "enough to tell");
    assert!(encoder.lead.get() <= bound, "{} of {bound}", encoder.lead.get());
}

#[test]
fn a_source_without_an_end_is_left() {
    struct Endless(Snapshot, Cell<u32>);
    impl Source for &Endless {
        fn snapshot(&self) -> &Snapshot {
            &self.0
        }
        async fn page(&self, _: &CollectionName, _: Option<&str>, _: u64) -> Result<Page> {
            let number = self.1.replace(self.1.get() + 1);
            assert!(number < 1000, "the job believes everything");
            let id = format!("art_{number:08}");
            let lines = format!("{{\"_id\":\"{id}\"}}\n").into_bytes();
            Ok(Page { lines, documents: 1, next: Some(id) })
        }
        async fn attachments(&self, _: Option<&str>) -> Result<AttachmentPage> {
            Ok(AttachmentPage { attachments: Vec::new(), next: None })
        }
        async fn read(&self, _: &Sha256, _: u64, _: u64) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }
        async fn close(self) -> Result<()> {
            Ok(())
        }
    }
    let endless = Endless(Store::tiny().contents().snapshot.clone(), Cell::new(0));
    let mut out = Cursor::new(Vec::new());
    let open = async || Ok(&endless);
    let error = block_on(backup(open, &InlineEncoder, &mut out, &Options::default(), &())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Incomplete);
}

#[test]
fn cancelled_at_any_moment_nothing_is_left() {
    let store = restaurant();
    let whole = Onlooker::default();
    archive(&store, &InlineEncoder, 20_000, &whole).unwrap();
    let checkpoints = whole.checkpoints.get();
    assert!(checkpoints > 20);
    for cancel_at in 0..checkpoints {
        let watch = Onlooker { cancel_at: Some(cancel_at), ..Onlooker::default() };
        let wire = Wire::new(&store, |_, _, _, answer| Ok(answer));
        let (bytes, result) = over(&wire, &watch);
        assert_eq!(result.unwrap_err().kind, ErrorKind::Cancelled);
        assert!(bytes.is_empty());
        assert_eq!(watch.checkpoints.get(), cancel_at + 1, "nothing goes on after a cancel");
        assert_eq!(wire.count(Method::Post, "snapshots"), wire.count(Method::Delete, "snapshots"));
    }
}

#[test]
fn a_snapshot_that_goes_is_replaced_once() {
    let store = restaurant();
    let (expected, _) = archive(&store, &InlineEncoder, 20_000, &Onlooker::default()).unwrap();
    for moment in [1, 4, 12] {
        let wire = Wire::new(&store, |_, number, _, answer| {
            Ok(if number == moment { refusal(410, "snapshot-gone") } else { answer })
        });
        let watch = Onlooker::default();
        let (bytes, result) = over(&wire, &watch);
        let outcome = result.unwrap();
        assert!(bytes == expected);
        assert_eq!(outcome.restarts, 1);
        check_progress(&watch.seen.borrow(), &outcome);
        assert_eq!(wire.count(Method::Post, "snapshots"), 2);
    }
    let wire = Wire::new(&store, |_, number, request, answer| {
        Ok(if number > 3 && request.target.contains("/documents/") {
            refusal(410, "snapshot-gone")
        } else {
            answer
        })
    });
    let (bytes, result) = over(&wire, &Onlooker::default());
    assert_eq!(result.unwrap_err().kind, ErrorKind::SnapshotGone);
    assert!(bytes.is_empty());
    assert_eq!(wire.count(Method::Post, "snapshots"), 2);
}

#[test]
fn a_server_that_goes_at_any_moment_leaves_nothing_that_looks_whole() {
    let store = restaurant();
    let fine = Wire::new(&store, |_, _, _, answer| Ok(answer));
    over(&fine, &Onlooker::default()).1.unwrap();
    let requests = fine.log.borrow().len();
    for last in 0..requests - 1 {
        let wire = Wire::new(&store, |_, number, _, answer| match number {
            number if number < last => Ok(answer),
            _ => Err(TransportError::Unreachable("refused".to_owned())),
        });
        let (bytes, result) = over(&wire, &Onlooker::default());
        assert_eq!(result.unwrap_err().kind, ErrorKind::Unreachable);
        assert!(bytes.is_empty());
    }
    // Only the farewell is lost: the backup is whole without it.
    let wire = Wire::new(&store, |_, _, request, answer| match request.method {
        Method::Delete => Err(TransportError::Timeout),
        _ => Ok(answer),
    });
    assert!(over(&wire, &Onlooker::default()).1.is_ok());
}

#[test]
fn an_hour_that_ends_at_any_moment_is_refreshed() {
    let store = restaurant();
    let (expected, _) = archive(&store, &InlineEncoder, 20_000, &Onlooker::default()).unwrap();
    let wire = Wire::new(&store, |wire, number, _, answer| {
        if number % 5 == 2 {
            wire.expire_token();
        }
        Ok(answer)
    });
    let (bytes, result) = over(&wire, &Onlooker::default());
    result.unwrap();
    assert!(bytes == expected);
}

/// A source that lies: what it answers passes through the hands of the test.
struct Liar<'a> {
    store: &'a Store,
    snapshot: Snapshot,
    page: fn(&mut Page),
    records: fn(&mut AttachmentPage),
    blob: fn(&mut Vec<u8>),
}

impl<'a> Liar<'a> {
    fn new(store: &'a Store) -> Self {
        let snapshot = store.contents().snapshot.clone();
        Self { store, snapshot, page: |_| (), records: |_| (), blob: |_| () }
    }
}

impl Source for &Liar<'_> {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    async fn page(&self, collection: &CollectionName, after: Option<&str>, max_bytes: u64) -> Result<Page> {
        let mut page = self.store.page_of(collection.as_str(), after, max_bytes);
        if collection.as_str() == "customers" && after.is_some() {
            (self.page)(&mut page);
        }
        Ok(page)
    }

    async fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
        let mut page = self.store.records_after(after);
        if after.is_some() {
            (self.records)(&mut page);
        }
        Ok(page)
    }

    async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> Result<Vec<u8>> {
        let mut bytes = self.store.read(blob, from, max_bytes).await?;
        (self.blob)(&mut bytes);
        Ok(bytes)
    }

    async fn close(self) -> Result<()> {
        Err(Error::new(ErrorKind::Unreachable, "too late"))
    }
}

fn lie(store: &Store, change: impl FnOnce(&mut Liar<'_>)) -> Result<Outcome> {
    let mut liar = Liar::new(store);
    change(&mut liar);
    let mut out = Cursor::new(Vec::new());
    let options = Options { page_bytes: 20_000 };
    let watch = Onlooker::default();
    let result = block_on(backup(async || Ok(&liar), &InlineEncoder, &mut out, &options, &watch));
    assert_eq!(result.is_ok(), !out.get_ref().is_empty());
    result
}

#[test]
fn a_source_that_keeps_something_back_is_caught() {
    let store = restaurant();
    lie(&store, |_| ()).unwrap();
    let kind = |change: fn(&mut Liar<'_>)| lie(&store, change).unwrap_err().kind;

    // Documents.
    assert_eq!(kind(|liar| liar.page = |page| page.next = None), ErrorKind::Incomplete);
    assert_eq!(kind(|liar| liar.page = |page| page.lines.push(b'\n')), ErrorKind::BadDocument);
    assert_eq!(kind(|liar| liar.page = |page| page.lines.truncate(30)), ErrorKind::BadDocument);
    fn reorder(page: &mut Page) {
        let mut lines: Vec<_> = page.lines.split_inclusive(|&byte| byte == b'\n').collect();
        lines.reverse();
        page.lines = lines.concat();
    }
    let error = lie(&store, |liar| liar.page = reorder).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::BadDocument, Some("customers")));
    fn hollow(page: &mut Page) {
        (page.lines, page.documents) = (Vec::new(), 0);
    }
    assert_eq!(kind(|liar| liar.page = hollow), ErrorKind::BadAnswer);
    for change in [-1, 1] {
        let error = lie(&store, |liar| {
            let summary = &mut liar.snapshot.collections[2];
            summary.documents = summary.documents.saturating_add_signed(change);
        });
        let error = error.unwrap_err();
        assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::Incomplete, Some("customers")));
        assert_eq!(kind(|liar| liar.snapshot.collections[0].bytes += 1), ErrorKind::Incomplete);
    }

    // Attachments.
    assert_eq!(kind(|liar| liar.records = |page| page.next = None), ErrorKind::Incomplete);
    assert_eq!(kind(|liar| liar.records = |page| page.attachments.reverse()), ErrorKind::BadAnswer);
    assert_eq!(kind(|liar| liar.records = |page| page.attachments.clear()), ErrorKind::BadAnswer);
    assert_eq!(kind(|liar| liar.snapshot.collections[0].attachments -= 1), ErrorKind::Incomplete);
    assert_eq!(kind(|liar| liar.snapshot.collections[0].attachment_bytes += 1), ErrorKind::Incomplete);
    fn bigger(page: &mut AttachmentPage) {
        page.attachments.iter_mut().for_each(|record| record.size += 1);
    }
    assert_eq!(kind(|liar| liar.records = bigger), ErrorKind::BadAnswer);

    // Their bytes: wrong, none, too many.
    assert_eq!(kind(|liar| liar.blob = |bytes| bytes[0] ^= 1), ErrorKind::DamagedDocument);
    assert_eq!(kind(|liar| liar.blob = Vec::clear), ErrorKind::BadAnswer);
    assert_eq!(kind(|liar| liar.blob = |bytes| bytes.push(0)), ErrorKind::BadAnswer);
    // Few at a time is slow, not wrong.
    lie(&store, |liar| liar.blob = |bytes| bytes.truncate(1000)).unwrap();
}

/// A disk that gives back one byte otherwise than it was written.
struct Rotten {
    inner: Cursor<Vec<u8>>,
    at: u64,
    bit: u8,
}

impl Read for Rotten {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let from = self.inner.position();
        let count = self.inner.read(buffer)?;
        if (from..from + count as u64).contains(&self.at) {
            buffer[(self.at - from) as usize] ^= self.bit;
        }
        Ok(count)
    }
}

impl Write for Rotten {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Seek for Rotten {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl Output for Rotten {
    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }
}

#[test]
fn a_disk_that_forgets_one_bit_is_noticed() {
    let store = Store::tiny();
    let run = |at, bit| {
        let mut out = Rotten { inner: Cursor::new(Vec::new()), at, bit };
        let open = async || Ok(store.clone());
        let result = block_on(backup(open, &InlineEncoder, &mut out, &Options::default(), &()));
        (result, out.inner.into_inner())
    };
    let (outcome, whole) = run(u64::MAX, 1);
    assert_eq!(outcome.unwrap().size, whole.len() as u64);
    for at in 0..whole.len() {
        let (result, left) = run(at as u64, 1 << (at % 8));
        // The lower half of "version made by" is for people: nothing is read by it.
        if result.is_ok() && whole[..at].ends_with(b"PK\x01\x02") {
            continue;
        }
        assert!(result.is_err(), "byte {at} of {}", whole.len());
        assert!(left.is_empty());
    }
}

#[test]
fn an_encoder_that_fails_ends_the_backup() {
    struct Broken;
    impl Encoder for Broken {
        fn slots(&self) -> NonZeroUsize {
            NonZeroUsize::MIN
        }
        async fn encode(&self, _: Vec<u8>) -> Result<EncodedPart> {
            Err(Error::new(ErrorKind::Internal, "the worker ended"))
        }
    }
    let error = archive(&restaurant(), &Broken, 20_000, &Onlooker::default()).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::Internal, Some("articles")));
}
