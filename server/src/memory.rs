//! The memory that the large bodies of requests and answers take: bounded for all of them together, and for one caller.

use crate::failure::{Failure, Result};
use crate::store::Owner;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body of up to this many bytes is not counted.
const SMALL: usize = 64 << 10;

/// How long a large body waits for others to be done.
const WAIT: Duration = Duration::from_secs(10);

/// The memory of one server.
#[derive(Debug)]
pub(crate) struct Memory {
    /// KiB in all.
    all: u32,
    free: Arc<Semaphore>,
    /// KiB of one caller: half of all.
    each: u32,
    own: Mutex<HashMap<Owner, Arc<Semaphore>>>,
    wait: Duration,
}

impl Memory {
    /// This many bytes for all callers together.
    pub(crate) fn new(bytes: usize) -> Self {
        let all = kib(bytes).clamp(2, u32::MAX >> 4);
        let free = Arc::new(Semaphore::new(all as usize));
        Self { all, free, each: all / 2, own: Mutex::default(), wait: WAIT }
    }

    /// A share of this many bytes for this caller.
    ///
    /// # Errors
    /// 503 where none is free for too long.
    pub(crate) async fn share(&self, owner: &Owner, bytes: usize) -> Result<Share> {
        let own = {
            let mut callers = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody has a share of one that is there alone.
            callers.retain(|_, own| Arc::strong_count(own) > 1);
            let own = callers.entry(owner.clone());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(self.each as usize))))
        };
        let (free, most) = (Arc::clone(&self.free), self.each.min(self.all));
        let mut share = Share { own, free, most, wait: self.wait, held: None };
        share.grow(bytes).await?;
        Ok(share)
    }
}

/// A share of the memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    own: Arc<Semaphore>,
    free: Arc<Semaphore>,
    /// KiB that it can have: with more bytes it has all that its caller can have.
    most: u32,
    wait: Duration,
    held: Option<[OwnedSemaphorePermit; 2]>,
}

impl Share {
    /// Makes it one of this many bytes, where it is less. Of several that wait for each other, the first to have
    /// waited for too long gives up, and the others go on.
    ///
    /// # Errors
    /// 503 where none is free for too long.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<()> {
        let more = self.wanted(bytes).saturating_sub(self.held());
        if more == 0 {
            return Ok(());
        }
        let both = async {
            let own = Arc::clone(&self.own).acquire_many_owned(more).await?;
            Ok::<_, tokio::sync::AcquireError>([own, Arc::clone(&self.free).acquire_many_owned(more).await?])
        };
        let Ok(Ok(more)) = tokio::time::timeout(self.wait, both).await else {
            return Err(Failure::unavailable("too many large requests at once", 5));
        };
        match &mut self.held {
            Some(held) => held.iter_mut().zip(more).for_each(|(held, more)| held.merge(more)),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// Makes it one of this many bytes, where it is more.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let less = self.held().saturating_sub(self.wanted(bytes)) as usize;
        for held in self.held.iter_mut().flatten() {
            drop(held.split(less));
        }
    }

    /// Ties the share to these bytes: it is given back when nobody has them any more.
    pub(crate) fn hold(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: self })
    }

    fn wanted(&self, bytes: usize) -> u32 {
        if bytes <= SMALL { 0 } else { kib(bytes).min(self.most) }
    }

    fn held(&self) -> u32 {
        let held = self.held.as_ref().and_then(|[own, _]| u32::try_from(own.num_permits()).ok());
        held.unwrap_or_default()
    }
}

struct Held<T> {
    bytes: T,
    _share: Share,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// 20 MiB, of which nobody is waited for.
    fn memory() -> Memory {
        Memory { wait: Duration::from_millis(10), ..Memory::new(20 * MIB) }
    }

    fn free(memory: &Memory) -> usize {
        memory.free.available_permits() << 10
    }

    fn till(name: &str) -> Owner {
        Owner::User(name.to_owned())
    }

    #[tokio::test]
    async fn a_share_is_given_back_with_the_last_of_its_bytes() {
        let memory = memory();
        let bytes = memory.share(&till("a"), 4 * MIB).await.unwrap().hold(vec![1; 10]);
        let part = bytes.slice(3..5);
        drop(bytes);
        assert_eq!(free(&memory), 16 * MIB);
        let small = memory.share(&till("a"), SMALL).await.unwrap();
        assert_eq!(free(&memory), 16 * MIB);
        assert_eq!(part, [1, 1][..]);
        drop((part, small));
        assert_eq!(free(&memory), 20 * MIB);
    }

    #[tokio::test]
    async fn a_share_grows_and_shrinks_with_its_bytes() {
        let memory = memory();
        let mut share = memory.share(&till("a"), 1).await.unwrap();
        assert_eq!(free(&memory), 20 * MIB, "that nothing has come yet takes nothing");
        for (bytes, left) in [(3 * MIB, 17 * MIB), (2 * MIB, 17 * MIB), (6 * MIB, 14 * MIB)] {
            share.grow(bytes).await.unwrap();
            assert_eq!(free(&memory), left);
        }
        share.shrink(MIB);
        assert_eq!(free(&memory), 19 * MIB);
        share.shrink(SMALL);
        assert_eq!(free(&memory), 20 * MIB);
    }

    #[tokio::test]
    async fn one_caller_leaves_half_to_the_others() {
        let memory = memory();
        let all = memory.share(&till("a"), 1 << 40).await.unwrap();
        assert_eq!(free(&memory), 10 * MIB, "more than there is is all that it can have");
        let refused = memory.share(&till("a"), MIB).await.unwrap_err();
        assert_eq!(refused.code(), "unavailable");
        let other = memory.share(&till("b"), 10 * MIB).await.unwrap();
        drop(all);
        memory.share(&till("a"), 10 * MIB).await.unwrap();
        drop(other);
        memory.share(&till("c"), 1).await.unwrap();
        assert_eq!(free(&memory), 20 * MIB);
        assert_eq!(memory.own.lock().unwrap().len(), 1, "who has no share any more is forgotten");
    }

    #[tokio::test]
    async fn half_arrived_bodies_that_wait_for_each_other_do_not_wait_for_ever() {
        let memory = memory();
        let arrive = async || {
            let mut share = memory.share(&till("a"), 4 * MIB).await?;
            tokio::task::yield_now().await;
            share.grow(8 * MIB).await?;
            Ok::<_, Failure>(())
        };
        let (first, second) = tokio::join!(arrive(), arrive());
        assert!(first.is_ok() || second.is_ok(), "one of them gets through");
        assert_eq!(free(&memory), 20 * MIB);
    }
}
