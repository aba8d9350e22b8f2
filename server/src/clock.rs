//! Moments as the API writes them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now, RFC 3339 in UTC with whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The moment after so much time, RFC 3339 in UTC with whole seconds.
pub(crate) fn after(time: std::time::Duration) -> String {
    let then = Timestamp::now().saturating_add(time).unwrap_or(Timestamp::MAX);
    then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The minute that it is, RFC 3339 in UTC.
pub(crate) fn minute() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:00Z").to_string()
}

/// What an archive of this moment is called, without `.zip`: `dikas_YYYYMMDD_HHMMSS` by the clock on the server's wall.
pub(crate) fn file_name(moment: &str) -> String {
    let moment = moment.parse::<Timestamp>().unwrap_or_else(|_| Timestamp::now());
    moment.to_zoned_datetime(TimeZone::system()).strftime("dikas_%Y%m%d_%H%M%S").to_string()
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
