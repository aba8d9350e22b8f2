use crate::backup::turn;
use dikas_archive::codec;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::Encoder as _;
use dikas_archive::job::pool::{Crew, Failure, Pool};
use dikas_archive::part::EncodedPart;
use futures::executor::block_on;
use futures::future::{join, join_all};
use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;

/// Helpers that do as the test wants. Everything they do is noted.
#[derive(Default)]
struct Scripted {
    /// How many can be started.
    can_start: Cell<usize>,
    /// How many attempts at this part end with the helper's death.
    deadly: Option<(Vec<u8>, Cell<u32>)>,
    refused: Option<Vec<u8>>,
    started: Cell<usize>,
    alive: Rc<Cell<usize>>,
    most_alive: Cell<usize>,
    /// The first byte of each part, as it is begun.
    begun: RefCell<Vec<u8>>,
    alone: Cell<usize>,
}

struct Helper(Rc<Cell<usize>>);

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.update(|alive| alive - 1);
    }
}

impl Crew for Scripted {
    type Helper = Helper;
    type Lines = Vec<u8>;

    async fn start(&self) -> Result<Helper> {
        turn().await;
        if self.can_start.get() == 0 {
            return Err(Error::new(ErrorKind::Internal, "no more"));
        }
        self.can_start.update(|left| left - 1);
        self.started.update(|started| started + 1);
        self.alive.update(|alive| alive + 1);
        self.most_alive.set(self.most_alive.get().max(self.alive.get()));
        Ok(Helper(Rc::clone(&self.alive)))
    }

    fn keep(&self, raw: Vec<u8>) -> Vec<u8> {
        raw
    }

    async fn encode(&self, _: &Helper, lines: &Vec<u8>) -> Result<EncodedPart, Failure> {
        self.begun.borrow_mut().push(lines[0]);
        turn().await;
        if self.refused.as_ref() == Some(lines) {
            return Err(Failure::Refused(Error::new(ErrorKind::BadDocument, "not this one")));
        }
        if let Some((deadly, times)) = &self.deadly
            && deadly == lines
            && times.get() > 0
        {
            times.update(|times| times - 1);
            return Err(Failure::Died("out of memory".to_owned()));
        }
        codec::encode(lines).map_err(Failure::Refused)
    }

    fn encode_alone(&self, lines: Vec<u8>) -> Result<EncodedPart> {
        self.alone.update(|alone| alone + 1);
        codec::encode(&lines)
    }
}

fn line(letter: u8) -> Vec<u8> {
    vec![letter; 100]
}

fn pool(size: usize, can_start: usize, change: impl FnOnce(&mut Scripted)) -> Pool<Scripted> {
    let mut crew = Scripted { can_start: Cell::new(can_start), ..Scripted::default() };
    change(&mut crew);
    Pool::new(crew, NonZeroUsize::new(size).unwrap())
}

fn encode_all(pool: &Pool<Scripted>, letters: &[u8]) -> Vec<Result<EncodedPart>> {
    block_on(join_all(letters.iter().map(|letter| pool.encode(line(*letter)))))
}

fn assert_right(results: &[Result<EncodedPart>], letters: &[u8]) {
    for (result, letter) in results.iter().zip(letters) {
        assert_eq!(result.as_ref().unwrap(), &codec::encode(&line(*letter)).unwrap());
    }
}

#[test]
fn helpers_are_shared_first_come_first_served() {
    let pool = pool(2, 9, |_| ());
    assert_right(&encode_all(&pool, b"abcdefg"), b"abcdefg");
    assert_eq!(*pool.crew().begun.borrow(), b"abcdefg");
    assert_eq!((pool.crew().started.get(), pool.crew().alone.get()), (2, 0));
    let alive = Rc::clone(&pool.crew().alive);
    assert_eq!(alive.get(), 2);
    drop(pool);
    assert_eq!(alive.get(), 0, "helpers end with their pool");
}

#[test]
fn a_helper_that_was_started_in_advance_is_waited_for() {
    let pool = pool(1, 9, |_| ());
    let (_, part) = block_on(join(pool.warm_up(), pool.encode(line(b'a'))));
    part.unwrap();
    assert_eq!(pool.crew().started.get(), 1);

    pool.grow(NonZeroUsize::new(3).unwrap());
    pool.grow(NonZeroUsize::MIN);
    assert_eq!(pool.slots().get(), 3, "it never shrinks");
    block_on(join_all((0..5).map(|_| pool.warm_up())));
    assert_eq!((pool.crew().started.get(), pool.crew().alive.get()), (3, 3));
    assert_right(&encode_all(&pool, b"abc"), b"abc");
    assert_eq!(pool.crew().started.get(), 3);
}

#[test]
fn a_helper_that_dies_is_replaced_and_its_part_done_again() {
    for size in [1, 2] {
        let pool = pool(size, 9, |crew| crew.deadly = Some((line(b'b'), Cell::new(1))));
        assert_right(&encode_all(&pool, b"abcd"), b"abcd");
        assert_eq!(pool.crew().started.get(), size + 1);
        assert_eq!((pool.crew().most_alive.get(), pool.crew().alive.get()), (size, size));
    }
}

#[test]
fn a_part_that_kills_twice_is_an_error_and_the_others_are_done() {
    let pool = pool(2, 9, |crew| crew.deadly = Some((line(b'b'), Cell::new(9))));
    let mut results = encode_all(&pool, b"abcd");
    let error = results.remove(1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.message.contains("2 attempts") && error.message.contains("out of memory"), "{error}");
    assert_right(&results, b"acd");
    assert_eq!(pool.crew().alone.get(), 0, "what kills a helper would kill the job");
}

#[test]
fn a_part_that_is_refused_costs_no_helper() {
    let pool = pool(1, 9, |crew| crew.refused = Some(line(b'b')));
    let mut results = encode_all(&pool, b"abc");
    assert_eq!(results.remove(1).unwrap_err().kind, ErrorKind::BadDocument);
    assert_right(&results, b"ac");
    assert_eq!(pool.crew().started.get(), 1);
}

#[test]
fn where_no_helper_can_be_started_it_works_without() {
    // How many can be started, and how many of these die.
    for (can_start, dying) in [(0, 0), (1, 0), (2, 0), (1, 1)] {
        let pool = pool(3, can_start, |crew| crew.deadly = Some((line(b'b'), Cell::new(dying))));
        block_on(pool.warm_up());
        assert_right(&encode_all(&pool, b"abcdef"), b"abcdef");
        let without = can_start as u32 == dying;
        assert_eq!(pool.crew().alone.get() > 0, without, "{can_start} start and {dying} die");
    }
}

#[test]
fn a_job_that_is_dropped_ends_its_helpers_at_work() {
    let pool = pool(1, 9, |_| ());
    let mut part = Box::pin(pool.encode(line(b'a')));
    block_on(async {
        while pool.crew().begun.borrow().is_empty() {
            assert!(futures::poll!(&mut part).is_pending());
        }
    });
    assert_eq!(pool.crew().alive.get(), 1);
    drop(part);
    assert_eq!(pool.crew().alive.get(), 0);
    assert_right(&encode_all(&pool, b"b"), b"b");
}
