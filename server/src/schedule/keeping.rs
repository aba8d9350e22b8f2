//! Which archives stay: the newest good one always, and the last good one of each of so many days, weeks and months.

use dikas_archive::api::archives::{Keep, KeptFor};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// An archive, as far as keeping it depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The moment of its data.
    pub created: Timestamp,
    /// Whether nothing is known to be wrong with it. One that is damaged stands for no day, week or month.
    pub good: bool,
}

/// Why each of these stays, in their order; an empty list for one that does not.
///
/// Of those of the same moment the first counts as the newest. Days, weeks (Monday to Sunday) and months are those of
/// the zone, and only those that have a good archive count.
pub fn kept(candidates: &[Candidate], keep: Keep, zone: &TimeZone) -> Vec<Vec<KeptFor>> {
    let mut newest_first: Vec<usize> = (0..candidates.len()).collect();
    newest_first.sort_by_key(|at| std::cmp::Reverse(candidates.get(*at).map(|candidate| candidate.created)));
    let mut spans = [
        Span { of: KeptFor::Day, left: keep.daily, begin: |day| day, last: None },
        Span { of: KeptFor::Week, left: keep.weekly, begin: monday, last: None },
        Span { of: KeptFor::Month, left: keep.monthly, begin: Date::first_of_month, last: None },
    ];
    let mut reasons = vec![Vec::new(); candidates.len()];
    let mut newest = true;
    for at in newest_first {
        let (Some(candidate), Some(reasons)) = (candidates.get(at), reasons.get_mut(at)) else { continue };
        if !candidate.good {
            continue;
        }
        if std::mem::take(&mut newest) {
            reasons.push(KeptFor::Newest);
        }
        let day = zone.to_datetime(candidate.created).date();
        reasons.extend(spans.iter_mut().filter_map(|span| span.take(day)));
    }
    reasons
}

/// Days, weeks or months, of which so many are still to find.
struct Span {
    of: KeptFor,
    left: u32,
    /// The first day of the one that a day is in.
    begin: fn(Date) -> Date,
    last: Option<Date>,
}

impl Span {
    /// Whether the archive of this day is the last of one that counts. Days come from the newest to the oldest.
    fn take(&mut self, day: Date) -> Option<KeptFor> {
        let begin = (self.begin)(day);
        if self.left == 0 || self.last == Some(begin) {
            return None;
        }
        self.left -= 1;
        self.last = Some(begin);
        Some(self.of)
    }
}

fn monday(day: Date) -> Date {
    let since = i64::from(day.weekday().to_monday_zero_offset());
    day.checked_sub(jiff::Span::new().days(since)).unwrap_or(day)
}
