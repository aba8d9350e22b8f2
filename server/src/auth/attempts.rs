//! Failed logins: each makes the next one wait longer, and none locks a person out.
//!
//! Strangers are counted by address and name, and by address. A device that shows what an earlier login gave it is counted by
//! itself, so that no stranger can make it wait. Over all addresses a name only makes answers slow: whoever guesses from
//! everywhere keeps nobody from the right password.

use crate::failure::{Failure, Result};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures after which one name waits, from one address or on one device.
const OF_NAME: Rule = Rule { free: 5, longest: Duration::from_secs(30), at_once: [16, 1] };

/// Failures after which an address waits, whatever the name: many people can share one.
const OF_ADDRESS: Rule = Rule { free: 60, longest: Duration::from_secs(10), at_once: [64, 4] };

/// Failures of one name from anywhere after which its answers become slow.
const SLOW_AFTER: u32 = 100;

/// How much slower each further failure makes the answers of a name.
const SLOWER: Duration = Duration::from_millis(50);

/// The longest that an answer is held back.
const SLOWEST: Duration = Duration::from_secs(2);

/// After this long without a further failure, failures no longer count.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// How many counts are kept at most.
const COUNTS: usize = 100_000;

/// How often counts that are over are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Whose failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller<'a> {
    /// Someone unknown, who names a user.
    Stranger {
        /// The address that the call comes from.
        from: Option<IpAddr>,
        /// The name of the user.
        name: &'a str,
    },
    /// A device that the user logged in on before.
    Device(&'a str),
}

/// When a further attempt has to wait.
struct Rule {
    /// Failures that cost nothing.
    free: u32,
    longest: Duration,
    /// How many attempts may be under way at once, before and after that.
    at_once: [u32; 2],
}

impl Rule {
    /// How long the attempt after these failures waits: a second, and twice as long after each further one.
    fn wait(&self, failed: u32) -> Duration {
        let Some(doublings) = failed.checked_sub(self.free) else { return Duration::ZERO };
        Duration::from_secs(1 << doublings.min(16)).min(self.longest)
    }

    fn at_once(&self, failed: u32) -> u32 {
        let [before, after] = self.at_once;
        if failed < self.free { before } else { after }
    }
}

/// Failed logins.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    failed: HashMap<Key, Count>,
    swept: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    NameAt(Option<IpAddr>, String),
    Address(Option<IpAddr>),
    Name(String),
    Device(String),
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failed: u32,
    under_way: u32,
    last: Instant,
}

/// An attempt under way. Unless it succeeds, it has failed when it is dropped.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    keys: Vec<Key>,
    /// How long its answer is to be held back.
    pub(super) held: Duration,
    succeeded: bool,
}

impl Attempt<'_> {
    /// The password was right.
    pub(super) fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.attempts.end(&self.keys, self.succeeded, Instant::now());
    }
}

impl Attempts {
    /// Begins an attempt.
    ///
    /// # Errors
    /// 429 for one that has to wait; it leaves nothing behind.
    pub(super) fn begin(&self, caller: Caller<'_>, now: Instant) -> Result<Attempt<'_>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sweep(now);
        let keys = keys(caller);
        for key in &keys {
            counts.check(key, now)?;
        }
        for key in &keys {
            counts.count(key, now).under_way += 1;
        }
        let held = counts.slowness(caller);
        Ok(Attempt { attempts: self, keys, held, succeeded: false })
    }

    fn end(&self, keys: &[Key], succeeded: bool, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let count = counts.count(key, now);
            count.under_way = count.under_way.saturating_sub(1);
            if !succeeded {
                count.failed = count.failed.saturating_add(1);
                count.last = now;
            } else if matches!(key, Key::NameAt(..) | Key::Device(_)) {
                count.failed = 0;
            }
            if count.failed == 0 && count.under_way == 0 {
                counts.failed.remove(key);
            }
        }
    }
}

impl Counts {
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP) {
            let counts = |count: &Count| now.duration_since(count.last) < FORGOTTEN_AFTER;
            self.failed.retain(|_, count| count.under_way > 0 || counts(count));
            self.swept = Some(now);
        }
    }

    fn check(&self, key: &Key, now: Instant) -> Result<()> {
        let rule = match key {
            Key::NameAt(..) | Key::Device(_) => OF_NAME,
            Key::Address(_) => OF_ADDRESS,
            Key::Name(_) => return Ok(()),
        };
        let Some(count) = self.failed.get(key) else { return Ok(()) };
        let passed = now.duration_since(count.last);
        let failed = if passed >= FORGOTTEN_AFTER { 0 } else { count.failed };
        let mut left = rule.wait(failed).saturating_sub(passed);
        if count.under_way >= rule.at_once(failed) {
            left = left.max(Duration::from_secs(1));
        }
        if left.is_zero() {
            return Ok(());
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Err(Failure::too_many("too many failed logins", seconds))
    }

    fn count(&mut self, key: &Key, now: Instant) -> &mut Count {
        if self.failed.len() >= COUNTS && !self.failed.contains_key(key) {
            self.forget_older_half();
        }
        let count = self.failed.entry(key.clone()).or_insert(Count { failed: 0, under_way: 0, last: now });
        if now.duration_since(count.last) >= FORGOTTEN_AFTER {
            count.failed = 0;
        }
        count
    }

    /// Makes room: an attack from very many addresses makes nobody else wait.
    fn forget_older_half(&mut self) {
        let mut moments: Vec<Instant> = self.failed.values().map(|count| count.last).collect();
        let middle = moments.len() / 2;
        let (_, median, _) = moments.select_nth_unstable(middle);
        let median = *median;
        let mut room = self.failed.len() - middle;
        self.failed.retain(|_, count| {
            let goes = count.last <= median && room > 0;
            room -= usize::from(goes);
            !goes
        });
    }

    fn slowness(&self, caller: Caller<'_>) -> Duration {
        let Caller::Stranger { name, .. } = caller else { return Duration::ZERO };
        let failed = self.failed.get(&Key::Name(shortened(name))).map_or(0, |count| count.failed);
        (SLOWER * failed.saturating_sub(SLOW_AFTER).min(1000)).min(SLOWEST)
    }
}

fn keys(caller: Caller<'_>) -> Vec<Key> {
    match caller {
        Caller::Stranger { from, name } => {
            let (from, name) = (from.map(network), shortened(name));
            vec![Key::NameAt(from, name.clone()), Key::Address(from), Key::Name(name)]
        }
        Caller::Device(device) => vec![Key::Device(device.to_owned())],
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

/// Whom an address stands for: whoever has one of IPv6 has all of its /64 (RFC 6177).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(attempts: &Attempts) -> usize {
        attempts.0.lock().unwrap().failed.len()
    }

    fn stranger<'a>(from: &str, name: &'a str) -> Caller<'a> {
        Caller::Stranger { from: Some(from.parse().unwrap()), name }
    }

    /// Fails at this moment; whether it had not to wait.
    fn fail(attempts: &Attempts, caller: Caller<'_>, now: Instant) -> bool {
        let Ok(mut attempt) = attempts.begin(caller, now) else { return false };
        attempts.end(&std::mem::take(&mut attempt.keys), false, now);
        true
    }

    /// How many seconds each further attempt waits that comes as soon as it may.
    fn waits(attempts: &Attempts, caller: Caller<'_>, tries: usize) -> Vec<u64> {
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..tries {
            let before = now;
            while !fail(attempts, caller, now) {
                now += Duration::from_secs(1);
            }
            waits.push(now.duration_since(before).as_secs());
        }
        waits
    }

    #[test]
    fn waits_grow_and_never_become_a_lock() {
        let attempts = Attempts::default();
        let expected = [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30];
        assert_eq!(waits(&attempts, stranger("192.0.2.1", "admin"), 13), expected);
        assert_eq!(waits(&attempts, Caller::Device("d"), 13), expected);
        assert_eq!(waits(&attempts, stranger("192.0.2.2", "admin"), 5), [0; 5], "elsewhere nobody waits");
        assert_eq!(waits(&attempts, stranger("192.0.2.1", "till"), 5), [0; 5], "nor does another name");
    }

    #[test]
    fn a_success_is_no_failure_and_ends_the_wait_of_its_name() {
        let attempts = Attempts::default();
        let (admin, now) = (stranger("192.0.2.1", "admin"), Instant::now());
        for _ in 0..200 {
            attempts.begin(admin, now).unwrap().succeed();
        }
        assert_eq!(kept(&attempts), 0);
        let under_way = attempts.begin(admin, now).unwrap();
        for _ in 0..5 {
            assert!(fail(&attempts, admin, now));
        }
        assert!(!fail(&attempts, admin, now));
        under_way.succeed();
        assert!(fail(&attempts, admin, now));
    }

    #[test]
    fn tills_that_log_in_at_once_do_not_wait_for_each_other_and_guesses_at_once_do() {
        let attempts = Attempts::default();
        let (till, now) = (stranger("192.0.2.1", "till"), Instant::now());
        let tills: Vec<_> = (0..16).map(|_| attempts.begin(till, now).unwrap()).collect();
        assert!(attempts.begin(till, now).is_err());
        tills.into_iter().for_each(Attempt::succeed);
        let guesses: Vec<_> = (0..16).map(|_| attempts.begin(till, now).unwrap()).collect();
        drop(guesses);
        let later = Instant::now() + OF_NAME.longest;
        let one = attempts.begin(till, later).unwrap();
        assert!(attempts.begin(till, later).is_err(), "one after the other from here on");
        one.succeed();
        attempts.begin(till, later).unwrap().succeed();
    }

    #[test]
    fn nobody_outside_makes_a_device_wait_and_a_name_from_everywhere_only_slows_down() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..5_000u32 {
            let from = Some(IpAddr::from((0xcb00_0000 + number).to_be_bytes()));
            assert!(fail(&attempts, Caller::Stranger { from, name: "admin" }, now));
        }
        let held = |caller| attempts.begin(caller, now).unwrap().held;
        assert_eq!(held(stranger("198.51.100.7", "admin")), SLOWEST);
        assert_eq!(held(stranger("198.51.100.7", "till")), Duration::ZERO);
        assert_eq!(held(Caller::Device("known")), Duration::ZERO);
    }

    #[test]
    fn one_address_waits_for_many_names_and_a_refused_attempt_leaves_nothing_behind() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..1000 {
            let (from, name) = (format!("2001:db8::{number:x}"), format!("name {number}"));
            assert_eq!(
                fail(&attempts, stranger(&from, &name), now),
                number < 60,
                "one /64 is one address: {number}"
            );
        }
        assert_eq!(kept(&attempts), 121);
        for from in ["2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"] {
            assert!(fail(&attempts, stranger(from, "name"), now));
        }
        assert_eq!(kept(&attempts), 126);
        assert!(fail(&attempts, stranger("2001:db8::1", "other"), now + OF_ADDRESS.longest));
    }

    #[test]
    fn counts_do_not_grow_without_end_and_keep_nobody_out() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..120_000u32 {
            let from = Some(IpAddr::from(number.to_be_bytes()));
            assert!(fail(&attempts, Caller::Stranger { from, name: "name" }, now));
        }
        assert!(kept(&attempts) <= COUNTS);
        assert!(fail(&attempts, stranger("198.51.100.7", "known"), now + FORGOTTEN_AFTER));
        assert_eq!(kept(&attempts), 3, "what is over is forgotten");
    }
}
