//! How much memory the large bodies of requests and answers take, all of them together.

use crate::failure::{Failure, Result};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// All of it, in KiB.
const BUDGET_KIB: u32 = 512 << 10;

/// Up to so many bytes a body is not counted.
const SMALL: usize = 64 << 10;

/// How long a large body waits for others to be done.
const WAIT: Duration = Duration::from_secs(10);

static BUDGET: Semaphore = Semaphore::const_new(BUDGET_KIB as usize);

/// A share of the memory; given back when dropped.
pub(crate) struct Share {
    _permit: Option<SemaphorePermit<'static>>,
}

/// A share of so many bytes.
///
/// # Errors
/// 503 where none is free for too long.
pub(crate) async fn share(bytes: usize) -> Result<Share> {
    share_of(&BUDGET, BUDGET_KIB, bytes).await
}

impl Share {
    /// Ties the share to these bytes: it is given back when nobody has them any more.
    pub(crate) fn hold(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: self })
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

async fn share_of(budget: &'static Semaphore, all: u32, bytes: usize) -> Result<Share> {
    if bytes <= SMALL {
        return Ok(Share { _permit: None });
    }
    let wanted = u32::try_from(bytes.div_ceil(1024)).map_or(all, |wanted| wanted.min(all));
    match tokio::time::timeout(WAIT, budget.acquire_many(wanted)).await {
        Ok(Ok(permit)) => Ok(Share { _permit: Some(permit) }),
        _ => Err(Failure::unavailable("too many large requests at once", 5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_is_given_back_with_the_last_of_its_bytes() {
        static TEN_MIB: Semaphore = Semaphore::const_new(10 << 10);
        let share = async |bytes| share_of(&TEN_MIB, 10 << 10, bytes).await.unwrap();
        let bytes = share(4 << 20).await.hold(vec![1; 10]);
        let part = bytes.slice(3..5);
        drop(bytes);
        assert_eq!(TEN_MIB.available_permits(), 6 << 10);
        let small = share(SMALL).await;
        assert_eq!(TEN_MIB.available_permits(), 6 << 10);
        assert_eq!(part, [1, 1][..]);
        drop((part, small));
        let all = share(1 << 40).await;
        assert_eq!(TEN_MIB.available_permits(), 0, "whoever wants more than there is gets all");
        drop(all);
        assert_eq!(TEN_MIB.available_permits(), 10 << 10);
    }
}
