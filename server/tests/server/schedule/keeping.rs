//! What stays, against an oracle that groups by calendar instead of counting.

use dikas_archive::api::archives::{Keep, KeptFor};
use dikas_server::schedule::keeping::{Candidate, Quality, before_pause, is_settled, kept};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What stays of the complete ones alone, and of the others what stays of all.
fn oracle(
    candidates: &[Candidate],
    keep: Keep,
    zone: &TimeZone,
    at: Timestamp,
) -> BTreeSet<(usize, KeptFor)> {
    let complete = |index: usize| candidates[index].is_complete;
    let mut stay = oracle_of(|it| it.is_complete, candidates, keep, zone, at);
    let all = oracle_of(|_| true, candidates, keep, zone, at);
    stay.extend(all.into_iter().filter(|(index, _)| !complete(*index)));
    stay
}

/// Of those that count, in the newest so many groups, the newest good one each; and whatever else is younger than two days.
fn oracle_of(
    counted: fn(&Candidate) -> bool,
    candidates: &[Candidate],
    keep: Keep,
    zone: &TimeZone,
    at: Timestamp,
) -> BTreeSet<(usize, KeptFor)> {
    let good = || {
        let all = candidates.iter().enumerate();
        all.filter(|(_, it)| it.quality != Quality::Unfit && it.created <= at && counted(it))
    };
    let newest = |of: &mut dyn Iterator<Item = (usize, &Candidate)>| {
        of.min_by_key(|(at, candidate)| (std::cmp::Reverse(candidate.created), *at)).map(|(at, _)| at)
    };
    let mut stay: BTreeSet<(usize, KeptFor)> =
        newest(&mut good()).map(|at| (at, KeptFor::Newest)).into_iter().collect();
    let mut sound = good().filter(|(_, candidate)| candidate.quality == Quality::Sound);
    stay.extend(newest(&mut sound).map(|at| (at, KeptFor::Newest)));
    for (reason, count, format) in [
        (KeptFor::Day, keep.daily, "%Y-%m-%d"),
        (KeptFor::Week, keep.weekly, "%G-%V"),
        (KeptFor::Month, keep.monthly, "%Y-%m"),
    ] {
        let group = |candidate: &Candidate| {
            candidate.created.to_zoned_datetime(zone.clone()).strftime(format).to_string()
        };
        let mut groups: BTreeMap<String, Vec<(usize, &Candidate)>> = BTreeMap::new();
        for (at, candidate) in good() {
            groups.entry(group(candidate)).or_default().push((at, candidate));
        }
        for (_, members) in groups.into_iter().rev().take(count as usize) {
            stay.extend(newest(&mut members.into_iter()).map(|at| (at, reason)));
        }
    }
    let kept: BTreeSet<usize> = stay.iter().map(|(at, _)| *at).collect();
    let seconds = |candidate: &Candidate| at.as_second() - candidate.created.as_second();
    let recent = good().filter(|(index, it)| !kept.contains(index) && seconds(it) < 172_800);
    stay.extend(recent.map(|(index, _)| (index, KeptFor::Recent)));
    stay
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    // Two and a half years around both changes of summer time, often several a day.
    let far = (0i64..80_000_000).prop_map(|second| 1_735_000_000 + second);
    let near = (0i64..400).prop_map(|hour| 1_792_700_000 + hour * 3600);
    let complete = prop::bool::weighted(0.7);
    let candidate =
        (prop_oneof![far, near], quality(), complete).prop_map(|(second, quality, is_complete)| Candidate {
            created: Timestamp::from_second(second).unwrap(),
            quality,
            is_complete,
        });
    prop::collection::vec(candidate, 0..80)
}

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![6 => Just(Quality::Sound), 2 => Just(Quality::Unchecked), 2 => Just(Quality::Unfit)]
}

/// A moment before, among and behind those of the candidates.
fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![1_700_000_000i64..1_830_000_000, 1_792_700_000i64..1_794_200_000]
        .prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn keep() -> impl Strategy<Value = Keep> {
    (0u32..10, 0u32..6, 0u32..14).prop_map(|(daily, weekly, monthly)| Keep { daily, weekly, monthly })
}

fn zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec!["Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles", "UTC"])
        .prop_map(|name| TimeZone::get(name).unwrap())
}

#[test]
fn what_is_from_before_a_pause_is_in_doubt_until_as_long_a_time_has_archives() {
    let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
    let nightly = |moment: Timestamp| Some(moment + SignedDuration::from_hours(24));
    let found = |days: &[i64], at| before_pause(days.iter().map(|it| day(*it)), day(at), nightly);
    assert_eq!(found(&[1, 2, 3, 4], 4), None);
    assert_eq!(found(&[1, 2, 48], 48), None);
    assert_eq!(found(&[1, 2, 49], 49), Some(day(2)));
    assert_eq!(found(&[1, 2, 3650, 3651, 3652], 3652), Some(day(2)));
    // Those that are dated later are of no account.
    assert_eq!(found(&[1, 2, 3, 3650], 3), None);
    assert_eq!(found(&[1, 100, 110, 120, 145], 145), Some(day(1)));
    assert_eq!(found(&[1, 100, 110, 120, 146], 146), None);
    // Four times a year, a quarter is no pause.
    let quarterly = |moment: Timestamp| Some(moment + SignedDuration::from_hours(24 * 91));
    assert_eq!(before_pause([1, 92, 183].map(day), day(183), quarterly), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_stays_is_what_the_oracle_says(
        candidates in candidates(),
        keep in keep(),
        zone in zone(),
        at in moment(),
    ) {
        let reasons = kept(&candidates, keep, &zone, at);
        prop_assert_eq!(reasons.len(), candidates.len());
        let each = reasons.iter().enumerate();
        let found: BTreeSet<(usize, KeptFor)> =
            each.flat_map(|(at, reasons)| reasons.iter().map(move |reason| (at, *reason))).collect();
        prop_assert_eq!(found, oracle(&candidates, keep, &zone, at));
    }

    #[test]
    fn the_newest_good_one_stays_and_never_more_than_asked_for(
        candidates in candidates(),
        keep in keep(),
        zone in zone(),
        at in moment(),
    ) {
        let reasons = kept(&candidates, keep, &zone, at);
        let stay: Vec<(&Candidate, &Vec<KeptFor>)> =
            candidates.iter().zip(&reasons).filter(|(_, reasons)| !reasons.is_empty()).collect();
        let newest = |fits: fn(Quality) -> bool| {
            let past = candidates.iter().filter(|candidate| candidate.created <= at);
            past.filter(|candidate| fits(candidate.quality)).map(|candidate| candidate.created).max()
        };
        let created = |quality: fn(Quality) -> bool| {
            stay.iter().filter(|(it, _)| quality(it.quality)).map(|(it, _)| it.created).max()
        };
        prop_assert_eq!(created(|_| true), newest(|quality| quality != Quality::Unfit));
        prop_assert_eq!(created(|it| it == Quality::Sound), newest(|quality| quality == Quality::Sound));
        prop_assert!(stay.iter().all(|(candidate, _)| candidate.quality != Quality::Unfit));
        let asked_for = stay.iter().filter(|(_, reasons)| reasons.as_slice() != [KeptFor::Recent]).count();
        prop_assert!(asked_for <= 2 * (keep.daily + keep.weekly + keep.monthly + 2) as usize);
    }

    /// Whatever is left out night after night, the complete ones stay as if those nights had not been.
    #[test]
    fn one_in_which_something_is_missing_takes_the_place_of_no_complete_one(
        candidates in candidates(),
        keep in keep(),
        zone in zone(),
        at in moment(),
    ) {
        let reasons = kept(&candidates, keep, &zone, at);
        let (complete, reasons): (Vec<Candidate>, Vec<Vec<KeptFor>>) =
            candidates.iter().copied().zip(reasons).filter(|(it, _)| it.is_complete).unzip();
        prop_assert_eq!(&kept(&complete, keep, &zone, at), &reasons);
        let good = |it: &Candidate| it.quality != Quality::Unfit && it.created <= at;
        let newest = complete.iter().filter(|it| good(it)).map(|it| it.created).max();
        let stay = complete.iter().zip(&reasons).filter(|(_, reasons)| reasons.contains(&KeptFor::Newest));
        prop_assert_eq!(stay.map(|(it, _)| it.created).max(), newest);
    }

    /// Whatever a clock that was wrong has left, the rest stays as if it were not there.
    #[test]
    fn one_that_is_dated_later_takes_the_place_of_none(
        candidates in candidates(),
        keep in keep(),
        zone in zone(),
        at in moment(),
    ) {
        let reasons = kept(&candidates, keep, &zone, at);
        let (past, reasons): (Vec<Candidate>, Vec<Vec<KeptFor>>) =
            candidates.iter().copied().zip(reasons).filter(|(candidate, _)| candidate.created <= at).unzip();
        prop_assert_eq!(kept(&past, keep, &zone, at), reasons);
    }

    #[test]
    fn what_is_younger_than_two_days_stays(
        candidates in candidates(),
        keep in keep(),
        zone in zone(),
        at in moment(),
    ) {
        for (candidate, reasons) in candidates.iter().zip(kept(&candidates, keep, &zone, at)) {
            let old = candidate.created + SignedDuration::from_hours(48) <= at;
            prop_assert_eq!(is_settled(candidate.created, at), old);
            let past = candidate.created <= at && candidate.quality != Quality::Unfit;
            prop_assert!(!past || old || !reasons.is_empty(), "{candidate:?}");
        }
    }

    /// Removing night after night what does not stay leaves what would stay of all of them.
    #[test]
    fn removing_bit_by_bit_loses_nothing(mut candidates in candidates(), keep in keep(), zone in zone()) {
        // One that is damaged today was good yesterday: here all stay as they are.
        candidates.sort_by_key(|candidate| candidate.created);
        candidates.dedup_by_key(|candidate| candidate.created);
        let stay = |of: &[Candidate], at: Timestamp| -> Vec<Candidate> {
            let reasons = kept(of, keep, &zone, at);
            of.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty()).map(|(it, _)| *it).collect()
        };
        let mut folder: Vec<Candidate> = Vec::new();
        for candidate in &candidates {
            folder.push(*candidate);
            if candidate.quality != Quality::Unfit {
                folder = stay(&folder, candidate.created);
            }
        }
        let last = candidates.iter().map(|candidate| candidate.created).max().unwrap_or_default();
        prop_assert_eq!(stay(&folder, last), stay(&candidates, last));
    }
}
