//! How often a backup token may begin what costs the server much: each has a number of turns, which come back by and by.
//! Whoever logs in with a password, and the schedule, are not counted.

use crate::failure::{Failure, Result};
use crate::store::Owner;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a backup token may open a snapshot or begin a job.
#[derive(Debug, Clone)]
pub struct TokenRate {
    /// How often in a row.
    pub burst: u32,
    /// How long until one more turn comes back.
    pub every: Duration,
}

impl Default for TokenRate {
    fn default() -> Self {
        Self { burst: 12, every: Duration::from_secs(30) }
    }
}

/// The turns that tokens have taken.
#[derive(Debug)]
pub(crate) struct Rates {
    rate: TokenRate,
    /// When each token that has taken a turn has all of them back.
    whole_again: Mutex<HashMap<Owner, Instant>>,
}

impl Rates {
    pub(crate) fn new(rate: TokenRate) -> Self {
        Self { rate, whole_again: Mutex::default() }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// 429 with the time until the next turn, for a token that has none left.
    pub(crate) fn take(&self, owner: &Owner) -> Result<()> {
        self.take_at(owner, Instant::now())
    }

    fn take_at(&self, owner: &Owner, now: Instant) -> Result<()> {
        if !matches!(owner, Owner::Token(_)) {
            return Ok(());
        }
        let TokenRate { burst, every } = self.rate;
        let mut whole_again = self.whole_again.lock().unwrap_or_else(PoisonError::into_inner);
        whole_again.retain(|_, at| *at > now);
        let at = whole_again.get(owner).copied().unwrap_or(now);
        let wait = at.duration_since(now).saturating_sub(every * burst.saturating_sub(1));
        if !wait.is_zero() {
            let pace = every.as_secs().max(1);
            let message =
                format!("this backup token asks too often: {burst} times in a row, then every {pace} s");
            return Err(Failure::too_many(message, wait.as_secs_f64().ceil() as u64));
        }
        whole_again.insert(owner.clone(), at + every);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    #[test]
    fn each_token_has_turns_of_its_own_that_come_back_one_by_one() {
        let rates = Rates::new(TokenRate { burst: 3, every: EVERY });
        let start = Instant::now();
        let [one, two] = ["one", "two"].map(|id| Owner::Token(id.to_owned()));
        let takes = |owner: &Owner, after: Duration| rates.take_at(owner, start + after).is_ok();
        for _ in 0..3 {
            assert!(takes(&one, Duration::ZERO));
        }
        let refused = rates.take_at(&one, start).unwrap_err();
        assert_eq!((refused.code(), refused.status().as_u16()), ("too-many-requests", 429));
        assert!(takes(&two, Duration::ZERO), "another token has its own");
        assert!(!takes(&one, EVERY - Duration::from_millis(1)));
        assert!(takes(&one, EVERY) && !takes(&one, EVERY));
        // After a long pause all are back, and no more than all.
        let later = EVERY * 100;
        let taken = (0..10).filter(|_| takes(&one, later)).count();
        assert_eq!(taken, 3);
        assert_eq!(rates.whole_again.lock().unwrap().len(), 1, "who has all turns is forgotten");
    }

    #[test]
    fn people_and_the_schedule_are_not_counted() {
        let rates = Rates::new(TokenRate { burst: 1, every: EVERY });
        for owner in [Owner::User("usr_1".to_owned()), Owner::Schedule] {
            assert!((0..100).all(|_| rates.take(&owner).is_ok()));
        }
    }
}
