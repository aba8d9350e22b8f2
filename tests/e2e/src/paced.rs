//! The body of an answer that comes at once, bit by bit, or stops in the middle.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// What is still to come of a body, and how.
pub(crate) struct Paced {
    rest: Bytes,
    step: usize,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
    /// With so many bytes left it stops, without an end.
    stops_with: Option<usize>,
}

impl Paced {
    /// All at once.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::drip(bytes, usize::MAX, Duration::ZERO)
    }

    /// So many bytes at a time, with a pause before each.
    pub(crate) fn drip(bytes: Bytes, step: usize, pause: Duration) -> Self {
        Self { rest: bytes, step, pause, timer: Box::pin(sleep(pause)), stops_with: None }
    }

    /// Half of it, and then nothing more, though the connection stays.
    pub(crate) fn stall(bytes: Bytes) -> Self {
        let (half, rest) = (bytes.len() / 2, bytes.len().div_ceil(2));
        Self { stops_with: Some(rest), ..Self::drip(bytes, half.max(1), Duration::ZERO) }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.stops_with == Some(self.rest.len()) {
            // Whoever drops the connection ends the wait.
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if !self.pause.is_zero() {
            ready!(self.timer.as_mut().poll(context));
            let next = Instant::now() + self.pause;
            self.timer.as_mut().reset(next);
        }
        let step = self.step.min(self.rest.len());
        let piece = self.rest.split_to(step);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.stops_with.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
