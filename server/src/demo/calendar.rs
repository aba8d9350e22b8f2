//! Days and moments: German local time in, UTC out.

use std::fmt;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(i64);

/// A second, counted from 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Date {
    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
    pub(super) const fn of(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year - era * 400;
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(era * 146_097 + day_of_era - 719_468)
    }

    /// Year, month and day: `civil_from_days` of the same page.
    pub(super) fn civil(self) -> (i64, i64, i64) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z - era * 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
    }

    pub(super) fn year(self) -> i64 {
        self.civil().0
    }

    /// 0 is Monday.
    pub(super) fn weekday(self) -> i64 {
        (self.0 + 3).rem_euclid(7)
    }

    pub(super) fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// The number of the day, to seed with.
    pub(super) fn number(self) -> i64 {
        self.0
    }

    /// `20260630`.
    pub(super) fn digits(self) -> String {
        self.to_string().replace('-', "")
    }

    /// This second of the local day; at the earliest 03:00, so that the hour of the change of time is never met.
    pub(super) fn at(self, second: i64) -> Moment {
        let (year, ..) = self.civil();
        let last_sunday = |month| {
            let last = Date::of(year, month, 31);
            last.plus(-((last.weekday() + 1) % 7))
        };
        let summer = last_sunday(3) <= self && self < last_sunday(10);
        Moment(self.0 * 86_400 + second - if summer { 7_200 } else { 3_600 })
    }
}

impl Moment {
    pub(super) fn plus(self, seconds: i64) -> Self {
        Self(self.0 + seconds)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.rem_euclid(86_400);
        let date = Date(self.0.div_euclid(86_400));
        write!(f, "{date}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn days_and_time_zones_are_those_of_the_almanac() {
        assert_eq!(Date::of(1970, 1, 1).number(), 0);
        let last = Date::of(2026, 6, 30);
        assert_eq!((last.weekday(), last.to_string().as_str()), (1, "2026-06-30"));
        assert_eq!(Date::of(2024, 2, 28).plus(1).to_string(), "2024-02-29");
        // In 2025 summer time began on March 30 and ended on October 26.
        let noon = |month, day| Date::of(2025, month, day).at(12 * 3_600).to_string();
        assert_eq!(noon(3, 29), "2025-03-29T11:00:00Z");
        assert_eq!(noon(3, 30), "2025-03-30T10:00:00Z");
        assert_eq!(noon(10, 25), "2025-10-25T10:00:00Z");
        assert_eq!(noon(10, 26), "2025-10-26T11:00:00Z");
        for number in -1_000..40_000 {
            let date = Date::of(1970, 1, 1).plus(number);
            let (year, month, day) = date.civil();
            assert_eq!(Date::of(year, month, day), date);
        }
    }
}
