//! Bodies of requests, which have to come at a pace.

use axum::BoxError;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Bytes that come in each stretch of time, unless the body ends in it. A trickle is not a body.
const PACE: usize = 64 << 10;

/// Why a body was given up.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body comes too slowly")
    }
}

impl std::error::Error for TooSlow {}

/// A body on its way in.
pub(super) struct Arriving(Arc<Mutex<State>>);

/// The same body, for after its request was answered.
pub(super) struct Rest(Arc<Mutex<State>>);

struct State {
    body: Incoming,
    /// The caller sends nothing before it is asked to (RFC 9110 section 10.1.1), which the first look into the body
    /// does.
    waits: bool,
    stretch: Stretch,
    /// Since when the next piece is waited for, and for how long.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Arriving {
    /// The body of a request with these headers, [`PACE`] of which comes in each stretch of this length.
    pub(super) fn new(body: Incoming, headers: &HeaderMap, length: Duration) -> (Self, Rest) {
        let waits = headers.contains_key(EXPECT);
        let stretch = Stretch::new(length);
        let state = Arc::new(Mutex::new(State { body, waits, stretch, waiting: None }));
        (Self(Arc::clone(&state)), Rest(state))
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        lock(&self.0).poll(context)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

impl Rest {
    pub(super) fn is_at_end(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    /// Takes in what is still to come, within one stretch. Answers whether that was all.
    pub(super) async fn discard(self) -> bool {
        let Some(length) = self.is_coming() else { return self.is_at_end() };
        let all = std::future::poll_fn(|context| {
            loop {
                match ready!(lock(&self.0).poll(context)) {
                    Some(Ok(_)) => {}
                    end => return Poll::Ready(end.is_none()),
                }
            }
        });
        tokio::time::timeout(length, all).await.unwrap_or(false)
    }

    /// For how long at most the rest is waited for; none where none comes.
    fn is_coming(&self) -> Option<Duration> {
        let state = lock(&self.0);
        (!state.waits && !state.body.is_end_stream()).then_some(state.stretch.length)
    }
}

impl State {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.waits = false;
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let waited = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.stretch.came(frame.data_ref().map_or(0, Bytes::len), waited);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|frame| frame.map_err(BoxError::from))),
            Poll::Pending => self.poll_over(context).map(|()| Some(Err(TooSlow.into()))),
        }
    }

    /// Ready when the stretch is over.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.stretch.left;
        let wait = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
        let (_, over) = self.waiting.get_or_insert_with(wait);
        over.as_mut().poll(context)
    }
}

/// A stretch of time spent waiting for the other side: that the server is busy does not count.
struct Stretch {
    length: Duration,
    /// Of the length, what is left.
    left: Duration,
    bytes: usize,
}

impl Stretch {
    fn new(length: Duration) -> Self {
        Self { length, left: length, bytes: 0 }
    }

    /// Notes what came after a wait, and begins anew when that was enough.
    fn came(&mut self, bytes: usize, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
        self.bytes += bytes;
        if self.bytes >= PACE {
            (self.bytes, self.left) = (0, self.length);
        }
    }
}

/// A poll that panicked leaves a body that ends.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until a body is given up of which this much comes each second.
    fn given_up(bytes: usize) -> Option<u64> {
        let mut stretch = Stretch::new(Duration::from_secs(30));
        (1..=300).find(|_| {
            stretch.came(bytes, Duration::from_secs(1));
            stretch.left.is_zero()
        })
    }

    #[test]
    fn a_trickle_renews_nothing_and_a_slow_line_is_waited_for() {
        assert_eq!(given_up(0), Some(30));
        assert_eq!(given_up(1), Some(30));
        assert_eq!(given_up(PACE / 31), Some(30));
        assert_eq!(given_up(PACE / 29), None);
    }

    #[test]
    fn the_time_that_the_server_takes_does_not_count() {
        let mut stretch = Stretch::new(Duration::from_secs(30));
        (0..100).for_each(|_| stretch.came(1, Duration::ZERO));
        assert_eq!(stretch.left, Duration::from_secs(30));
    }
}
