//! Which archives stay: the newest good one always, the last good one of each of so many days, weeks and months, and each
//! that is younger than two days, so that a mistake is noticed before the archive from before it goes.
//!
//! Whether an archive is old is told by the moment of its data and the moment that the caller states. One that is dated after
//! that moment comes from a clock that was wrong, or that is wrong now: it takes the place of no other. Nor does an archive in
//! which something is missing take the place of a complete one, which may be the last that holds it.

use dikas_archive::api::archives::{Keep, KeptFor};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The age below which an archive stays, whatever else is there.
pub const SETTLING: SignedDuration = SignedDuration::from_hours(48);

/// A run that comes later than this after it was due may be that of a clock which has jumped ahead.
pub const PAUSE: SignedDuration = SignedDuration::from_hours(45 * 24);

/// An archive, as far as keeping it depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The moment of its data.
    pub created: Timestamp,
    /// What is known of its bytes.
    pub quality: Quality,
    /// Whether nothing is missing in it that was damaged when it was made.
    pub is_complete: bool,
}

/// What is known of the bytes of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// They were read, and are as they should be.
    Sound,
    /// Nothing is known to be wrong with them.
    Unchecked,
    /// Something is wrong with them, or they are not the schedule's: it stands for no day, week or month.
    Unfit,
}

/// Why each of these stays at this moment, in their order; an empty list for one that does not, and for one that is dated
/// later.
///
/// Of those of the same moment the first counts as the newest. Days, weeks (Monday to Sunday) and months are those of
/// the zone, and only those that have a good archive count. Where nobody has checked the newest good one, the newest that is
/// known to be sound stays as well.
///
/// Complete ones stay as if there were no others; each other one stays as if it and the complete ones were alike.
pub fn kept(candidates: &[Candidate], keep: Keep, zone: &TimeZone, at: Timestamp) -> Vec<Vec<KeptFor>> {
    let complete = kept_of(|it| it.is_complete, candidates, keep, zone, at);
    let all = kept_of(|_| true, candidates, keep, zone, at);
    let either = candidates.iter().zip(complete.into_iter().zip(all));
    either.map(|(it, (complete, all))| if it.is_complete { complete } else { all }).collect()
}

/// Whether an archive of this moment is old enough to be removed at that moment. One that is dated later is not.
pub fn is_settled(created: Timestamp, at: Timestamp) -> bool {
    at.duration_since(created) >= SETTLING
}

/// The last of these moments from before a pause that nobody can tell from a clock which has jumped ahead: what is from then or
/// earlier may be hours old. None where there was no such pause before this moment, or where archives of more than
/// [`PAUSE`] have followed it. `due` tells when an archive should have followed one of a moment.
pub fn before_pause(
    moments: impl IntoIterator<Item = Timestamp>,
    at: Timestamp,
    due: impl Fn(Timestamp) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let mut past: Vec<Timestamp> = moments.into_iter().filter(|moment| *moment <= at).collect();
    past.sort();
    let mut later = at;
    for moment in past.into_iter().rev() {
        if later.duration_since(due(moment).unwrap_or(moment)) > PAUSE {
            return Some(moment);
        }
        if at.duration_since(moment) > PAUSE {
            return None;
        }
        later = moment;
    }
    None
}

/// As [`kept`], where only those count that are `counted`.
fn kept_of(
    counted: fn(&Candidate) -> bool,
    candidates: &[Candidate],
    keep: Keep,
    zone: &TimeZone,
    at: Timestamp,
) -> Vec<Vec<KeptFor>> {
    let mut newest_first: Vec<usize> = (0..candidates.len()).collect();
    newest_first.sort_by_key(|at| std::cmp::Reverse(candidates.get(*at).map(|candidate| candidate.created)));
    let mut spans = [
        Span { of: KeptFor::Day, left: keep.daily, begin: |day| day, last: None },
        Span { of: KeptFor::Week, left: keep.weekly, begin: monday, last: None },
        Span { of: KeptFor::Month, left: keep.monthly, begin: Date::first_of_month, last: None },
    ];
    let mut reasons = vec![Vec::new(); candidates.len()];
    let (mut newest, mut newest_sound) = (true, true);
    for index in newest_first {
        let (Some(candidate), Some(reasons)) = (candidates.get(index), reasons.get_mut(index)) else {
            continue;
        };
        if candidate.quality == Quality::Unfit || candidate.created > at || !counted(candidate) {
            continue;
        }
        let is_first_sound = candidate.quality == Quality::Sound && std::mem::take(&mut newest_sound);
        if std::mem::take(&mut newest) || is_first_sound {
            reasons.push(KeptFor::Newest);
        }
        let day = zone.to_datetime(candidate.created).date();
        reasons.extend(spans.iter_mut().filter_map(|span| span.take(day)));
        if reasons.is_empty() && !is_settled(candidate.created, at) {
            reasons.push(KeptFor::Recent);
        }
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
