//! Encoding with helpers: workers of a browser, or whatever else a [`Crew`] brings. They are started in advance, replaced
//! when they die, and done without where none can be started.

use super::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::part::EncodedPart;
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroUsize;

/// A part that has cost so many helpers their lives gets no other.
const DEATHS: u32 = 2;

/// Brings helpers, and knows how to talk to them.
#[allow(async_fn_in_trait, reason = "jobs run on one thread: no future has to be Send")]
pub trait Crew {
    /// Compresses one part at a time. Dropping it ends it, whatever it is doing.
    type Helper;
    /// The lines of a part, where they survive the death of a helper.
    type Lines;

    /// Starts a helper; ready when this returns.
    async fn start(&self) -> Result<Self::Helper>;

    /// Keeps these lines until they are encoded.
    fn keep(&self, raw: Vec<u8>) -> Self::Lines;

    /// Has a helper compress these lines. It must end some time, be it with [`Failure::Died`].
    async fn encode(&self, helper: &Self::Helper, lines: &Self::Lines) -> Result<EncodedPart, Failure>;

    /// Compresses these lines without a helper.
    fn encode_alone(&self, lines: Self::Lines) -> Result<EncodedPart>;
}

/// Why a helper did not compress a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It is gone, or as good as gone; this is known of how. Another may have more luck.
    Died(String),
    /// It found out that the part cannot be compressed.
    Refused(Error),
}

/// Helpers, and parts that wait for one, first come, first served.
#[derive(Debug)]
pub struct Pool<C: Crew> {
    crew: C,
    /// How many helpers there may be.
    size: Cell<NonZeroUsize>,
    /// How many there are, those that are starting included.
    staffed: Cell<usize>,
    /// Whether one could not be started. Then no other is: those that there are have to do.
    exhausted: Cell<bool>,
    idle: RefCell<Vec<C::Helper>>,
    /// A sender that is dropped unsent asks to look again.
    waiting: RefCell<VecDeque<oneshot::Sender<C::Helper>>>,
}

impl<C: Crew> Pool<C> {
    /// A pool of at most so many helpers, none of which has been started yet.
    pub fn new(crew: C, size: NonZeroUsize) -> Self {
        Self {
            crew,
            size: Cell::new(size),
            staffed: Cell::new(0),
            exhausted: Cell::new(false),
            idle: RefCell::default(),
            waiting: RefCell::default(),
        }
    }

    /// Whoever brings the helpers.
    pub fn crew(&self) -> &C {
        &self.crew
    }

    /// Lets the pool have more helpers; never fewer, because parts may be under way in all of them.
    pub fn grow(&self, size: NonZeroUsize) {
        self.size.set(self.size.get().max(size));
    }

    /// Starts one more helper before a part asks for it; does nothing when there are as many as there may be. To be
    /// polled beside the job.
    pub async fn warm_up(&self) {
        if let Some(Ok(seat)) = self.start().await {
            seat.give_back();
        }
    }

    /// A helper for one part; None where there is none and none can be started.
    async fn take(&self) -> Option<Seat<'_, C>> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            if let Some(helper) = idle {
                return Some(self.seat(Some(helper)));
            }
            match self.start().await {
                Some(Ok(seat)) => return Some(seat),
                // It may have taken a while.
                Some(Err(_)) => continue,
                None if self.staffed.get() == 0 => return None,
                None => {}
            }
            let (sender, receiver) = oneshot::channel();
            self.waiting.borrow_mut().push_back(sender);
            if let Ok(helper) = receiver.await {
                return Some(self.seat(Some(helper)));
            }
        }
    }

    fn seat(&self, helper: Option<C::Helper>) -> Seat<'_, C> {
        Seat { pool: self, helper, kept: false }
    }

    /// Starts a helper, if there may be another.
    async fn start(&self) -> Option<Result<Seat<'_, C>>> {
        if self.exhausted.get() || self.staffed.get() >= self.size.get().get() {
            return None;
        }
        self.staffed.update(|staffed| staffed + 1);
        let mut seat = self.seat(None);
        match self.crew.start().await {
            Ok(helper) => {
                seat.helper = Some(helper);
                Some(Ok(seat))
            }
            Err(error) => {
                self.exhausted.set(true);
                Some(Err(error))
            }
        }
    }
}

impl<C: Crew> Encoder for Pool<C> {
    fn slots(&self) -> NonZeroUsize {
        self.size.get()
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        let lines = self.crew.keep(raw);
        let mut deaths = 0;
        loop {
            let Some(seat) = self.take().await else {
                return self.crew.encode_alone(lines);
            };
            let Some(helper) = &seat.helper else { continue };
            match self.crew.encode(helper, &lines).await {
                Ok(part) => {
                    seat.give_back();
                    return Ok(part);
                }
                Err(Failure::Refused(error)) => {
                    seat.give_back();
                    return Err(error);
                }
                Err(Failure::Died(how)) => {
                    deaths += 1;
                    if deaths == DEATHS {
                        let message = format!("a part could not be compressed in {DEATHS} attempts: {how}");
                        return Err(Error::new(ErrorKind::Internal, message));
                    }
                }
            }
        }
    }
}

/// The place of a helper in the pool, while it starts or works. Dropped, it is free, and its helper ended.
struct Seat<'a, C: Crew> {
    pool: &'a Pool<C>,
    /// None while it starts.
    helper: Option<C::Helper>,
    /// Whether the helper was given back.
    kept: bool,
}

impl<C: Crew> Seat<'_, C> {
    /// Gives the helper to whoever waits, else to the idle ones.
    fn give_back(mut self) {
        while let Some(helper) = self.helper.take() {
            let waiting = self.pool.waiting.borrow_mut().pop_front();
            match waiting {
                Some(waiting) => self.helper = waiting.send(helper).err(),
                None => self.pool.idle.borrow_mut().push(helper),
            }
        }
        self.kept = true;
    }
}

impl<C: Crew> Drop for Seat<'_, C> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.pool.staffed.update(|staffed| staffed - 1);
        // Those who wait may start one in its place, or learn that they have to do without.
        self.pool.waiting.take();
    }
}
