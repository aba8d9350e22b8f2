//! Moments as the API writes them.

use jiff::Timestamp;

/// Now, RFC 3339 in UTC with whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The minute that it is, RFC 3339 in UTC.
pub(crate) fn minute() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:00Z").to_string()
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
