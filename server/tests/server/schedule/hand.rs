//! A clock that a test sets.

use dikas_server::Clock;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// A clock that stands still until it is set. Whoever sleeps by it wakes at the moment that he waits for.
#[derive(Debug)]
pub(crate) struct Hand {
    state: Mutex<State>,
    woken: Notify,
    asleep: Notify,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    next: u64,
    /// Until when each sleeper sleeps.
    sleepers: BTreeMap<u64, Timestamp>,
}

impl Hand {
    pub(crate) fn at(moment: &str) -> Self {
        let state = State { now: moment.parse().unwrap(), next: 0, sleepers: BTreeMap::new() };
        Self { state: Mutex::new(state), woken: Notify::new(), asleep: Notify::new() }
    }

    /// Goes on to this moment, from one moment at which somebody wakes to the next. Each time, waits until he sleeps
    /// again.
    pub(crate) async fn go_to(&self, moment: &str) {
        let moment = moment.parse().unwrap();
        loop {
            let wakes = self.somebody_sleeps().await;
            let mut state = self.state();
            if wakes > moment {
                state.now = moment;
                return;
            }
            // Whoever slept too long, because the clock was set, wakes as well.
            state.now = wakes.max(state.now);
            let now = state.now;
            state.sleepers.retain(|_, until| *until > now);
            drop(state);
            self.woken.notify_waiters();
        }
    }

    /// Jumps to this moment, as when a machine slept or its clock was set. Whoever sleeps goes on sleeping for as long
    /// as he meant to.
    pub(crate) fn jump_to(&self, moment: &str) {
        let mut state = self.state();
        let moment: Timestamp = moment.parse().unwrap();
        let jump = moment.duration_since(state.now);
        state.now = moment;
        for until in state.sleepers.values_mut() {
            *until = until.checked_add(jump).unwrap();
        }
    }

    /// When the first one wakes, once somebody sleeps.
    async fn somebody_sleeps(&self) -> Timestamp {
        loop {
            let asleep = self.asleep.notified();
            if let Some(first) = self.state().sleepers.values().min() {
                return *first;
            }
            asleep.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let sleeper = {
                let mut state = self.state();
                let (sleeper, until) = (state.next, state.now + time);
                state.next += 1;
                state.sleepers.insert(sleeper, until);
                Sleeper { hand: self, sleeper }
            };
            self.asleep.notify_waiters();
            loop {
                let woken = self.woken.notified();
                if !self.state().sleepers.contains_key(&sleeper.sleeper) {
                    return;
                }
                woken.await;
            }
        })
    }
}

/// Dropped, it sleeps no more.
struct Sleeper<'a> {
    hand: &'a Hand,
    sleeper: u64,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.hand.state().sleepers.remove(&self.sleeper);
    }
}
