//! When a run is due: a cron expression on the wall clock of a time zone.
//!
//! The expression has five fields and is matched against the clock on the wall alone. Where the wall clock jumps:
//!
//! - A time that does not exist, because summer time begins, is due at the first moment after the gap; several that
//!   fall into it are due once.
//! - A time that comes twice, because summer time ends, is due once: the first time.

use croner::Cron;
use croner::errors::CronError;
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::fmt;

/// What the five fields are called, and what they may be.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, or SUN to SAT"),
];

/// More than any zone's clock is ever set back at once in our days.
const LONGEST_FOLD: SignedDuration = SignedDuration::from_hours(24);

/// When something is due, again and again.
#[derive(Debug, Clone)]
pub struct When {
    text: String,
    cron: Cron,
    zone: TimeZone,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWhen {
    /// Where in the expression, counted in characters from 1.
    pub column: usize,
    /// What is wrong there, without a full stop.
    pub message: String,
}

impl fmt::Display for BadWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (character {})", self.message, self.column)
    }
}

impl std::error::Error for BadWhen {}

impl When {
    /// Reads an expression: minute, hour, day of the month, month, day of the week.
    ///
    /// # Errors
    /// The first field that is wrong; an expression without five fields, or whose time never comes.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, BadWhen> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let names = FIELDS.map(|(name, _)| name).join(", ");
            let message =
                format!("a cron expression has five fields ({names}), and this has {}", fields.len());
            return Err(BadWhen { column: 1, message });
        }
        for (at, (field, (name, range))) in fields.iter().zip(FIELDS).enumerate() {
            if let Err(why) = check_field(at, field) {
                let column = column_of(text, at);
                let number = at + 1;
                let message =
                    format!("field {number}, the {name}, cannot be {field:?}: {why}; it is {range}");
                return Err(BadWhen { column, message });
            }
        }
        let wrong = |error: CronError| BadWhen { column: 1, message: sentence(&error) };
        let when = Self { text: fields.join(" "), cron: text.parse().map_err(wrong)?, zone };
        match when.next(Timestamp::now()) {
            Some(_) => Ok(when),
            None => Err(BadWhen { column: column_of(text, 2), message: "this day never comes".to_owned() }),
        }
    }

    /// The expression, with one space between its fields.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone whose clock it means.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first moment after this one; none where it never comes.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = Civil(self.zone.to_datetime(after));
        loop {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let moment = self.moment(civil.0)?;
            // Between the two passes of a time that comes twice, the wall clock knows times whose moment is over.
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// The last moment up to this one; none where there was none.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        let latest = self.zone.to_datetime(until).saturating_add(LONGEST_FOLD);
        let mut civil = Civil(latest);
        loop {
            civil = self.cron.find_previous_occurrence(&civil, false).ok()?;
            let moment = self.moment(civil.0)?;
            if moment <= until {
                return Some(moment);
            }
        }
    }

    /// When the wall clock shows this, or would have to.
    fn moment(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            // Read with the offset behind the gap, it is a moment before it; the next change of offset is its end.
            AmbiguousOffset::Gap { .. } => {
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
            _ => ambiguous.earlier().ok(),
        }
    }
}

/// Whether this field can be so, whatever the others are.
fn check_field(at: usize, field: &str) -> Result<(), String> {
    if field.split(',').any(str::is_empty) {
        return Err("nothing stands beside a comma".to_owned());
    }
    let mut alone = ["*"; FIELDS.len()];
    if let Some(place) = alone.get_mut(at) {
        *place = field;
    }
    alone.join(" ").parse::<Cron>().map(drop).map_err(|error| sentence(&error))
}

/// Where this field begins, in characters from 1.
fn column_of(text: &str, field: usize) -> usize {
    let fields = text.split_whitespace();
    let mut begins = fields.map(|field| field.as_ptr() as usize - text.as_ptr() as usize);
    let begin = begins.nth(field).unwrap_or_default();
    text.get(..begin).map_or(1, |before| before.chars().count() + 1)
}

/// What the parser says, in the way of our own messages.
fn sentence(error: &CronError) -> String {
    let text = match error {
        CronError::ComponentError(text) | CronError::InvalidPattern(text) => text.clone(),
        CronError::IllegalCharacters(_) => "it has a character that means nothing there".to_owned(),
        error => error.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A time on the wall, as the search for matches needs it: without a zone.
#[derive(Debug, Clone, Copy)]
struct Civil(DateTime);

impl CronDateTime for Civil {
    fn to_civil(&self) -> CivilDateTime {
        let [month, day] = [self.0.month(), self.0.day()].map(unsigned);
        let [hour, minute, second] = [self.0.hour(), self.0.minute(), self.0.second()].map(unsigned);
        // Its parts are in range already.
        let date = CivilDate::from_parts_unchecked(i32::from(self.0.year()), month, day);
        CivilDateTime::new(date, CivilTime::from_parts_unchecked(hour, minute, second))
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(unsigned(self.0.weekday().to_sunday_zero_offset()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (part(civil.month())?, part(civil.day())?);
        let (hour, minute, second) = (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
        let datetime = DateTime::new(year, month, day, hour, minute, second, 0);
        datetime.map(|it| Resolution::Single(Self(it))).map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

fn unsigned(part: i8) -> u32 {
    u32::from(part.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(text: &str, zone: &str) -> When {
        When::parse(text, TimeZone::get(zone).unwrap()).unwrap()
    }

    /// The first moments from `after` on, as the clock on the wall shows them.
    fn coming(when: &When, after: &str, count: usize) -> Vec<String> {
        let mut moment: Timestamp = after.parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            moment = when.next(moment).unwrap();
            assert_eq!(when.last(moment), Some(moment), "it is its own last");
            found.push(moment.to_zoned_datetime(when.zone.clone()).strftime("%d.%m. %H:%M %Z").to_string());
        }
        found
    }

    #[test]
    fn a_time_that_does_not_exist_is_due_behind_the_gap() {
        let nightly = when("30 2 * * *", "Europe/Berlin");
        let expected = ["28.03. 02:30 CET", "29.03. 03:00 CEST", "30.03. 02:30 CEST"];
        assert_eq!(coming(&nightly, "2026-03-27T12:00:00Z", 3), expected);
        // Several that fall into the gap are one, together with the one that stands there.
        let often = when("*/20 1-3 * * *", "Europe/Berlin");
        let expected = ["01:40 CET", "03:00 CEST", "03:20 CEST"].map(|time| format!("29.03. {time}"));
        assert_eq!(coming(&often, "2026-03-29T00:39:00Z", 3), expected);
        let last = |at: &str| nightly.last(at.parse().unwrap()).unwrap().to_string();
        assert_eq!(last("2026-03-29T00:59:59Z"), "2026-03-28T01:30:00Z");
        assert_eq!(last("2026-03-29T01:00:00Z"), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_time_that_comes_twice_is_due_the_first_time() {
        let nightly = when("30 2 * * *", "Europe/Berlin");
        let expected = ["24.10. 02:30 CEST", "25.10. 02:30 CEST", "26.10. 02:30 CET"];
        assert_eq!(coming(&nightly, "2026-10-23T12:00:00Z", 3), expected);
        let hourly = when("0 * * * *", "Europe/Berlin");
        let expected = ["01:00 CEST", "02:00 CEST", "03:00 CET"].map(|time| format!("25.10. {time}"));
        assert_eq!(coming(&hourly, "2026-10-24T22:30:00Z", 3), expected);
        // In the second pass, what the first has done is the last.
        let last = |at: &str| nightly.last(at.parse().unwrap()).unwrap().to_string();
        for second_pass in ["2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:50:00Z"] {
            assert_eq!(last(second_pass), "2026-10-25T00:30:00Z");
            assert_eq!(coming(&nightly, second_pass, 1), ["26.10. 02:30 CET"]);
        }
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let monday = when("0 0 * * MON", "Pacific/Auckland");
        assert_eq!(
            monday.next("2026-06-01T00:00:00Z".parse().unwrap()).unwrap().to_string(),
            "2026-06-07T12:00:00Z"
        );
        // A day of the month or a day of the week: either, as cron has it.
        let either = when("0 4 1 * 7", "UTC");
        let expected = ["01.02. 04:00 UTC", "08.02. 04:00 UTC"];
        assert_eq!(coming(&either, "2026-01-31T00:00:00Z", 2), expected);
    }

    #[test]
    fn each_moment_is_the_only_one_between_its_neighbours() {
        for text in ["7 * * * *", "*/25 * * * *", "15 2 * * 0", "59 23 28-31 * *"] {
            for zone in ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"] {
                let when = when(text, zone);
                let mut moment: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
                for _ in 0..300 {
                    let next = when.next(moment).unwrap();
                    assert!(next > moment);
                    let middle = moment + (next - moment) / 2;
                    assert_eq!(when.next(middle), Some(next), "{text} {zone} {middle}");
                    assert_eq!(when.last(next), Some(next), "{text} {zone} {next}");
                    let before = when.last(middle).unwrap();
                    assert_eq!(when.next(before), Some(next), "{text} {zone} {middle}");
                    moment = next;
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, column, part) in [
            ("", 1, "this has 0"),
            ("0 4 * *", 1, "this has 4"),
            ("0 0 4 * * *", 1, "this has 6"),
            ("@daily", 1, "this has 1"),
            ("61 4 * * *", 1, "field 1, the minute, cannot be \"61\": number out of bounds; it is 0 to 59"),
            ("0  24 * * *", 4, "field 2, the hour, cannot be \"24\""),
            ("0 4 ä * *", 5, "field 3, the day of the month"),
            ("0 4 ? 13 *", 7, "field 4, the month"),
            ("0 4 * * MON-FOO", 9, "field 5, the day of the week"),
            ("0 4 * * 5-1", 9, "field 5"),
            ("*/0 4 * * *", 1, "step cannot be zero"),
            ("0 4, * * *", 3, "nothing stands beside a comma"),
            ("0 4 31 2 *", 5, "this day never comes"),
        ] {
            let bad = When::parse(text, TimeZone::UTC).unwrap_err();
            assert!(bad.message.contains(part), "{text:?}: {bad}");
            assert_eq!(bad.column, column, "{text:?}: {bad}");
        }
    }
}
