//! Moments as the API writes them, and the clock that the schedule goes by.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

/// What tells the schedule and the snapshots the time. Tests bring one that they set.
pub trait Clock: Debug + Send + Sync {
    /// The moment that it is.
    fn now(&self) -> Timestamp;

    /// Waits so long.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// A moment, RFC 3339 in UTC with whole seconds.
pub(crate) fn text(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Now, RFC 3339 in UTC with whole seconds.
pub(crate) fn now() -> String {
    text(Timestamp::now())
}

/// The moment after so much time, RFC 3339 in UTC with whole seconds.
pub(crate) fn after(time: Duration) -> String {
    text(Timestamp::now().saturating_add(time).unwrap_or(Timestamp::MAX))
}

/// The minute that it is, RFC 3339 in UTC.
pub(crate) fn minute() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:00Z").to_string()
}

/// What an archive of this moment is called, without `.zip`: `dikas_YYYYMMDD_HHMMSS` by the clock on the server's wall.
pub(crate) fn file_name(moment: &str) -> String {
    file_name_in(moment, TimeZone::system())
}

/// The same by the clock on the wall of another zone.
pub(crate) fn file_name_in(moment: &str, zone: TimeZone) -> String {
    let moment = moment.parse::<Timestamp>().unwrap_or_else(|_| Timestamp::now());
    moment.to_zoned_datetime(zone).strftime("dikas_%Y%m%d_%H%M%S").to_string()
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
