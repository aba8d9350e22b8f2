//! Interrupted at any moment, a backup goes on where it was, and gives the same bytes.

use crate::backup::{Onlooker, archive, check_progress, restaurant};
use crate::store::Store;
use crate::wire::{Wire, refusal};
use dikas_archive::api::{Snapshot, SnapshotRequest};
use dikas_archive::codec;
use dikas_archive::digest::Sha256;
use dikas_archive::error::{ErrorKind, Result};
use dikas_archive::job::backup::{Options, Outcome, Output, backup};
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::resume::Written;
use dikas_archive::job::transport::{Method, TransportError};
use dikas_archive::job::{Encoder, InlineEncoder, Phase};
use dikas_archive::part::EncodedPart;
use futures::executor::block_on;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;

/// A place that remembers, as a file with a journal does.
#[derive(Default)]
struct Remembering {
    bytes: Cursor<Vec<u8>>,
    snapshot: Option<Snapshot>,
    entries: Vec<Written>,
}

impl Output for Remembering {
    fn clear(&mut self) -> io::Result<()> {
        (self.snapshot, self.entries) = (None, Vec::new());
        self.bytes.clear()
    }

    fn begun(&mut self) -> Vec<Written> {
        self.entries.clone()
    }

    fn found(&mut self, entries: &[Written]) {
        self.entries = entries.to_vec();
    }

    fn begin(&mut self, snapshot: &Snapshot) {
        self.snapshot = Some(snapshot.clone());
    }

    fn wrote(&mut self, entry: &Written) {
        let json = serde_json::to_string(entry).unwrap();
        self.entries.push(serde_json::from_str(&json).unwrap());
    }

    fn remembers(&self) -> bool {
        self.snapshot.is_some()
    }
}

impl Read for Remembering {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(bytes)
    }
}

impl Write for Remembering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Remembering {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// Compresses nothing twice: these tests make the same few parts again and again.
#[derive(Default)]
struct Remembered(RefCell<HashMap<Sha256, EncodedPart>>);

impl Encoder for Remembered {
    fn slots(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        let mut known = self.0.borrow_mut();
        Ok(known.entry(Sha256::of(&raw)).or_insert_with(|| codec::encode(&raw).unwrap()).clone())
    }
}

thread_local! {
    static ENCODER: Remembered = Remembered::default();
}

/// Begins, or goes on, over this network.
fn run(wire: &Wire<'_>, out: &mut Remembering, watch: &Onlooker) -> Result<Outcome> {
    let known = RefCell::new(out.snapshot.clone());
    let open = async || match known.take() {
        Some(snapshot) => HttpSource::resume(wire, snapshot).await,
        None => HttpSource::open(wire, &SnapshotRequest::default()).await,
    };
    let options = Options { page_bytes: 400_000 };
    ENCODER.with(|encoder| block_on(backup(open, encoder, out, &options, watch)))
}

fn calm(store: &Store) -> Wire<'_> {
    Wire::new(store, |_, _, _, answer| Ok(answer))
}

/// From this request on, nobody answers.
fn gone_from(store: &Store, first: usize) -> Wire<'_> {
    Wire::new(store, move |_, number, _, answer| match number {
        number if number < first => Ok(answer),
        _ => Err(TransportError::Unreachable("refused".to_owned())),
    })
}

/// Several parts in one collection, one in another, none in a third, and files.
fn shop() -> Store {
    Store::generate(7, &[("articles", 450), ("customers", 20), ("tables", 0)], 30_000)
}

#[test]
fn interrupted_at_any_request_it_goes_on_and_gives_the_same_bytes() {
    // Every request of the small one; of the large one, which has several parts to a collection, some.
    for (store, step) in [(restaurant(), 1), (shop(), 7)] {
        let (expected, _) = archive(&store, &InlineEncoder, 400_000, &Onlooker::default()).unwrap();
        let whole = calm(&store);
        run(&whole, &mut Remembering::default(), &Onlooker::default()).unwrap();
        let requests = whole.log.borrow().len();
        let mut saved = 0;
        for first in (0..requests - 1).step_by(step) {
            let mut out = Remembering::default();
            let wire = gone_from(&store, first);
            let error = run(&wire, &mut out, &Onlooker::default()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unreachable);
            assert_eq!(wire.count(Method::Delete, "snapshots"), 0, "the snapshot stays open");
            assert!(!out.bytes.get_ref().windows(4).any(|four| four == b"PK\x05\x06"), "it looks whole");
            assert_eq!(out.snapshot.is_some(), first > 0);

            let (kept, watch) = (out.entries.len(), Onlooker::default());
            let wire = calm(&store);
            let outcome = run(&wire, &mut out, &watch).unwrap();
            assert!(out.bytes.get_ref() == &expected, "interrupted at request {first}");
            assert_eq!(outcome.restarts, 0);
            assert_eq!(
                out.entries.len(),
                outcome.manifest.parts().count() + outcome.manifest.attachments.len()
            );
            check_progress(&watch.seen.borrow(), &outcome);
            let replayed = watch.seen.borrow().iter().any(|progress| progress.phase == Phase::Resume);
            assert_eq!(replayed, kept > 0);
            if kept > 0 {
                assert_eq!(wire.count(Method::Post, "snapshots"), 0);
                assert!(wire.log.borrow().len() <= requests, "nothing is fetched that is there");
                saved += requests - wire.log.borrow().len();
            }
        }
        assert!(saved > 0, "going on saves requests");
    }
}

#[test]
fn what_did_not_reach_the_disk_is_fetched_again() {
    let store = shop();
    let (expected, _) = archive(&store, &InlineEncoder, 400_000, &Onlooker::default()).unwrap();
    let requests = {
        let wire = calm(&store);
        run(&wire, &mut Remembering::default(), &Onlooker::default()).unwrap();
        wire.log.borrow().len()
    };
    let interrupted = || {
        let mut out = Remembering::default();
        run(&gone_from(&store, requests - 2), &mut out, &Onlooker::default()).unwrap_err();
        assert!(out.entries.len() > 6);
        out
    };
    let length = interrupted().bytes.get_ref().len();
    let check = |mut out: Remembering, what: &str| {
        // And interrupted once more: what was written again is remembered in its place.
        run(&gone_from(&store, 2), &mut out, &Onlooker::default()).unwrap_err();
        run(&calm(&store), &mut out, &Onlooker::default()).unwrap();
        assert!(out.bytes.get_ref() == &expected, "{what}");
    };
    for at in (0..length).step_by(length / 5) {
        let mut out = interrupted();
        out.bytes.get_mut().truncate(at);
        check(out, &format!("cut at {at}"));
        let mut out = interrupted();
        out.bytes.get_mut()[at..(at + 3000).min(length)].fill(0);
        check(out, &format!("a hole at {at}"));
    }
    for entries in 1..4 {
        let mut out = interrupted();
        out.entries.truncate(entries);
        check(out, &format!("{entries} entries remembered"));
    }
}

#[test]
fn what_does_not_fit_is_refused_and_dropped() {
    let store = shop();
    let mut out = Remembering::default();
    run(&gone_from(&store, 40), &mut out, &Onlooker::default()).unwrap_err();
    let Some(Written::Part { at, .. }) = out.entries.first_mut() else { panic!("no part") };
    *at += 1;
    // The bytes that it names are there, but not where they would be written.
    out.bytes.get_mut().insert(0, b'x');
    let error = run(&calm(&store), &mut out, &Onlooker::default()).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::Io, Some("articles.jsonl.br")));
    assert!(out.bytes.get_ref().is_empty() && !out.remembers());
}

#[test]
fn a_snapshot_that_is_gone_is_said_or_replaced() {
    let store = shop();
    let (expected, _) = archive(&store, &InlineEncoder, 400_000, &Onlooker::default()).unwrap();
    let mut out = Remembering::default();
    run(&gone_from(&store, 40), &mut out, &Onlooker::default()).unwrap_err();
    assert!(!out.entries.is_empty());
    let (bytes, entries) = (out.bytes.clone(), out.entries.clone());

    // At once: whoever wanted to go on has to know.
    let wire = Wire::new(&store, |_, _, _, _| Ok(refusal(410, "snapshot-gone")));
    assert_eq!(run(&wire, &mut out, &Onlooker::default()).unwrap_err().kind, ErrorKind::SnapshotGone);
    assert!(out.bytes.get_ref().is_empty());

    // Another moment under the same id is another snapshot.
    let mut other = Remembering { bytes, snapshot: Some(store.contents().snapshot.clone()), entries };
    other.snapshot.as_mut().unwrap().created = "2001-01-01T00:00:00Z".to_owned();
    let error = run(&calm(&store), &mut other, &Onlooker::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::SnapshotGone);

    // In the middle: the job starts over, as always.
    let mut out = Remembering::default();
    run(&gone_from(&store, 40), &mut out, &Onlooker::default()).unwrap_err();
    let wire = Wire::new(&store, |_, number, _, answer| {
        Ok(if number == 3 { refusal(410, "snapshot-gone") } else { answer })
    });
    let watch = Onlooker::default();
    let outcome = run(&wire, &mut out, &watch).unwrap();
    assert_eq!(outcome.restarts, 1);
    assert!(out.bytes.get_ref() == &expected);
    check_progress(&watch.seen.borrow(), &outcome);
}

#[test]
fn who_cancels_wants_nothing_kept() {
    let store = shop();
    let mut out = Remembering::default();
    run(&gone_from(&store, 40), &mut out, &Onlooker::default()).unwrap_err();
    assert!(out.remembers());
    let watch = Onlooker { cancel_at: Some(5), ..Onlooker::default() };
    let wire = calm(&store);
    assert_eq!(run(&wire, &mut out, &watch).unwrap_err().kind, ErrorKind::Cancelled);
    assert!(out.bytes.get_ref().is_empty() && !out.remembers());
    assert_eq!(wire.count(Method::Delete, "snapshots"), 1);
}
