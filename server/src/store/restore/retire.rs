//! Which restore points go when one is added: the oldest, and young ones late, so that a restore that is tried again and
//! again does not cost the state from before the first try.

use crate::failure::Result;
use jiff::Timestamp;
use rusqlite::Connection;
use std::time::Duration;

/// How many stay, however old they are.
const LEAST: usize = 3;

/// How many there are at most, however young they are: each holds up to a whole business.
const MOST: usize = 10;

/// Removes the restore points that are too many by now. The clean-up takes what they held.
pub(super) fn retire(connection: &Connection, now: &str, stay: Duration) -> Result<()> {
    let mut dates = connection.prepare_cached("SELECT created FROM restore_points ORDER BY seq DESC")?;
    let dates = dates.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let sql = "DELETE FROM restore_points WHERE id IN
               (SELECT id FROM restore_points ORDER BY seq DESC LIMIT -1 OFFSET ?1)";
    let kept = i64::try_from(kept(&dates, now, stay)).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute([kept])?;
    Ok(())
}

/// How many of these stay, counted from the newest: the last few, and those of a certain time up to some more.
///
/// A clock that was wrong makes points look younger, never older: none is older than one that was made before it, and
/// the time is counted back from the earliest of now and the last few.
fn kept(newest_first: &[String], now: &str, stay: Duration) -> usize {
    let last = newest_first.iter().take(LEAST).map(String::as_str);
    let reference = last.chain([now]).map(|date| date.parse().unwrap_or(Timestamp::MIN)).min();
    let limit = reference.and_then(|reference| reference.checked_sub(stay).ok()).unwrap_or(Timestamp::MIN);
    let is_young = |date: &String| date.parse::<Timestamp>().map_or(true, |date| date > limit);
    let young = newest_first.iter().rposition(is_young).map_or(0, |oldest| oldest + 1);
    young.clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    /// How many of points of these days stay, the newest first, on the day of the newest.
    fn kept_of(days: &[u64]) -> usize {
        let text = |day: &u64| crate::clock::text(Timestamp::from_second((day * DAY) as i64).unwrap());
        let dates: Vec<String> = days.iter().map(text).collect();
        kept(&dates, dates.first().map_or("", String::as_str), Duration::from_secs(2 * DAY))
    }

    #[test]
    fn the_last_three_stay_and_all_of_two_days_and_there_is_an_end_to_it() {
        assert_eq!(kept_of(&[400, 300, 200, 100, 1]), 3);
        assert_eq!(kept_of(&[400, 400, 400, 400, 399, 1]), 5);
        assert_eq!(kept_of(&[400, 400, 400, 398, 1]), 3, "two days are over after two days");
        assert_eq!(kept_of(&[400; 20]), 10);
        assert_eq!(kept_of(&[400]), 3);
    }

    #[test]
    fn a_clock_that_was_wrong_removes_nothing_before_its_time() {
        let (ahead, back) = (4000, 1);
        assert_eq!(kept_of(&[ahead, 400, 400, 400, 400]), 5, "now is wrong");
        assert_eq!(kept_of(&[ahead, ahead, 400, 400, 400]), 5, "now and the newest are wrong");
        assert_eq!(kept_of(&[400, ahead, ahead, 400, 400, 400]), 6);
        assert_eq!(kept_of(&[back, 400, 400, 400, 400]), 5);
        assert_eq!(kept_of(&[back, back, back, back, 400, 400]), 6);
        assert_eq!(kept_of(&[400, 400, 400, back, 400]), 5, "one is as young as those before it");
        assert_eq!(
            kept_of(&[ahead, ahead, ahead, ahead, ahead, 400]),
            5,
            "a clock that stays ahead is believed"
        );
        let unreadable = ["", "", "", "", "x"].map(str::to_owned);
        assert_eq!(kept(&unreadable, "1990-01-01T00:00:00Z", Duration::ZERO), 5);
    }
}
