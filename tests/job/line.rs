//! Lines that are slow, and answers that were touched on their way: in the end the archive is the one that a good line
//! gives.

use crate::backup::{Onlooker, archive, restaurant};
use crate::store::Store;
use crate::wire::{Answer, Wire};
use dikas_archive::api::SnapshotRequest;
use dikas_archive::error::{ErrorKind, Result};
use dikas_archive::job::InlineEncoder;
use dikas_archive::job::backup::{Options, backup};
use dikas_archive::job::client::BAD_ANSWERS;
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::transport::{Response, TransportError};
use futures::executor::block_on;
use std::cell::{Cell, RefCell};
use std::io::Cursor;

/// What the server gives at least.
const SMALLEST: u64 = 64 << 10;

fn over(wire: &Wire<'_>) -> Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let open = async || HttpSource::open(wire, &SnapshotRequest::default()).await;
    block_on(backup(open, &InlineEncoder, &mut out, &Options::default(), &()))?;
    Ok(out.into_inner())
}

fn truth(store: &Store) -> Vec<u8> {
    archive(store, &InlineEncoder, 4 << 20, &Onlooker::default()).unwrap().0
}

/// Of an answer that is longer, no more than so many bytes come in the time that a request may take.
fn in_time(bytes: u64, answer: Response) -> Answer {
    if answer.body.len() as u64 > bytes { Err(TransportError::Slow(bytes)) } else { Ok(answer) }
}

#[test]
fn on_a_slow_line_less_is_asked_for_and_all_of_it_comes() {
    let store = Store::generate(5, &[("customers", 300), ("receipts", 3000)], 700);
    let truth = truth(&store);
    for bytes in [100_000, 300_000, 1_000_000] {
        let slow = Cell::new(0);
        let wire = Wire::new(&store, |_, _, _, answer| {
            let answer = in_time(bytes, answer);
            slow.set(slow.get() + u32::from(answer.is_err()));
            answer
        });
        assert!(over(&wire).unwrap() == truth, "{bytes}");
        assert_eq!(slow.get(), 1, "{bytes}: what was learnt of the line is remembered");
        assert!(wire.sleeps.borrow().is_empty());
    }
}

#[test]
fn a_line_too_slow_for_the_smallest_page_ends_with_a_word() {
    let store = Store::generate(5, &[("customers", 300)], 700);
    let wire = Wire::new(&store, |_, _, request, answer| {
        in_time(if request.target.contains("/documents/") { SMALLEST / 2 } else { u64::MAX }, answer)
    });
    let error = over(&wire).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::Unreachable, Some("customers")));
    assert!(error.message.contains("too slow"), "{error}");
    assert!(wire.log.borrow().len() < 10);
}

#[test]
fn a_bit_turned_over_in_any_answer_is_noticed_and_the_answer_asked_for_again() {
    let store = restaurant();
    let truth = truth(&store);
    let all = Wire::new(&store, |_, _, _, answer| Ok(answer));
    assert!(over(&all).unwrap() == truth);
    let requests = all.log.borrow().len();
    assert!(requests > 10);
    for number in 0..requests - 1 {
        let touched = Cell::new(false);
        let wire = Wire::new(&store, |_, now, _, mut answer| {
            let at = (number * 7919) % answer.body.len().max(1);
            if let Some(byte) = answer.body.get_mut(at).filter(|_| now == number) {
                *byte ^= 1 << (number % 8);
                touched.set(true);
            }
            Ok(answer)
        });
        assert!(over(&wire).expect("one bad answer is survived") == truth, "answer {number}");
        assert_eq!(wire.log.borrow().len(), requests + usize::from(touched.get()), "answer {number}");
    }
}

#[test]
fn files_that_come_garbled_each_time_are_given_up() {
    let store = restaurant();
    let wire = Wire::new(&store, |_, _, request, mut answer| {
        if let Some(byte) = answer.body.first_mut().filter(|_| request.target.contains("/blobs/")) {
            *byte ^= 1;
        }
        Ok(answer)
    });
    let error = over(&wire).unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadAnswer, "{error}");
    assert!(error.message.contains("garbled") && error.message.contains("proxy"), "{error}");
    let log = wire.log.borrow();
    let target = |at: usize| log.iter().filter(|request| request.target == log[at].target).count();
    let first = log.iter().position(|request| request.target.contains("/blobs/")).unwrap();
    assert!((first..log.len()).any(|at| target(at) == BAD_ANSWERS as usize));
}

#[test]
fn the_answer_to_the_request_before_is_not_taken_for_this_one() {
    let store = restaurant();
    let truth = truth(&store);
    let all = Wire::new(&store, |_, _, _, answer| Ok(answer));
    assert!(over(&all).unwrap() == truth);
    let requests = all.log.borrow().len();
    for number in 1..requests - 1 {
        let before = RefCell::new(Response::default());
        let wire = Wire::new(&store, |_, now, _, answer| {
            let before = before.replace(answer.clone());
            Ok(if now == number { before } else { answer })
        });
        let request = all.log.borrow()[number].target.clone();
        assert!(over(&wire).unwrap_or_else(|error| panic!("{request}: {error}")) == truth, "{request}");
    }
}
