//! Calls that are under way at once: bounded in number and in bytes, one of each lane.

use crate::catalog::CollectionName;
use crate::digest::Sha256;
use crate::error::Result;
use futures::future::{FutureExt as _, LocalBoxFuture};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::fmt;
use std::future::Future;

/// So many calls are under way at once, so that small ones do not each cost a round trip: as many as a browser has
/// connections to a server.
const CALLS: usize = 6;

/// Their bodies have at most so many bytes together, unless one alone has more.
const BYTES: usize = 16 << 20;

/// Calls that have to arrive in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lane {
    /// The batches of a collection.
    Documents(CollectionName),
    /// The batches of attachment records.
    Records,
    /// The pieces of a file.
    File(Sha256),
}

/// What a call carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Load {
    /// Where it goes.
    pub(super) lane: Lane,
    /// Bytes of its body.
    pub(super) held: usize,
    /// What it is about, for whoever looks on.
    pub(super) subject: String,
    /// Documents, attachments and their bytes, as progress counts them.
    pub(super) counts: (u64, u64, u64),
}

/// The calls under way. Dropped, they end.
pub(super) struct Flight<'a> {
    calls: FuturesUnordered<LocalBoxFuture<'a, Result<Load>>>,
    loads: Vec<(Lane, usize)>,
}

impl<'a> Flight<'a> {
    pub(super) fn new() -> Self {
        Self { calls: FuturesUnordered::new(), loads: Vec::new() }
    }

    /// Whether this can be sent now.
    pub(super) fn has_room_for(&self, load: &Load) -> bool {
        let held: usize = self.loads.iter().map(|(_, held)| held).sum();
        let free = self.loads.iter().all(|(lane, _)| *lane != load.lane);
        let fits = self.loads.len() < CALLS && held + load.held <= BYTES;
        free && (self.loads.is_empty() || fits)
    }

    /// Sends it. Answers what has arrived meanwhile.
    pub(super) fn launch(
        &mut self,
        load: Load,
        call: impl Future<Output = Result<()>> + 'a,
    ) -> Result<Option<Load>> {
        self.loads.push((load.lane.clone(), load.held));
        self.calls.push(async move { call.await.map(|()| load) }.boxed_local());
        // It leaves now, not when somebody next waits.
        match self.calls.next().now_or_never().flatten() {
            Some(arrived) => self.arrived(arrived).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for one; none where none is under way.
    pub(super) async fn next(&mut self) -> Result<Option<Load>> {
        match self.calls.next().await {
            Some(arrived) => self.arrived(arrived).map(Some),
            None => Ok(None),
        }
    }

    fn arrived(&mut self, arrived: Result<Load>) -> Result<Load> {
        let load = arrived?;
        let place = self.loads.iter().position(|(lane, held)| *lane == load.lane && *held == load.held);
        if let Some(place) = place {
            self.loads.swap_remove(place);
        }
        Ok(load)
    }
}

impl fmt::Debug for Flight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("loads", &self.loads).finish_non_exhaustive()
    }
}
