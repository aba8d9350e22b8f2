//! What stays, against an oracle that groups by calendar instead of counting.

use dikas_archive::api::archives::{Keep, KeptFor};
use dikas_server::schedule::keeping::{Candidate, kept};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What stays: of the newest so many groups, the newest good one each.
fn oracle(candidates: &[Candidate], keep: Keep, zone: &TimeZone) -> BTreeSet<(usize, KeptFor)> {
    let good = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.good);
    let newest = |of: &mut dyn Iterator<Item = (usize, &Candidate)>| {
        of.min_by_key(|(at, candidate)| (std::cmp::Reverse(candidate.created), *at)).map(|(at, _)| at)
    };
    let mut stay: BTreeSet<(usize, KeptFor)> =
        newest(&mut good()).map(|at| (at, KeptFor::Newest)).into_iter().collect();
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
    stay
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    // Two and a half years around both changes of summer time, often several a day.
    let candidate = (0i64..80_000_000, prop::bool::weighted(0.8)).prop_map(|(second, good)| {
        let created = Timestamp::from_second(1_735_000_000 + second).unwrap();
        Candidate { created, good }
    });
    let near = (0i64..400, prop::bool::weighted(0.8)).prop_map(|(hour, good)| Candidate {
        created: Timestamp::from_second(1_792_700_000 + hour * 3600).unwrap(),
        good,
    });
    prop::collection::vec(prop_oneof![candidate, near], 0..80)
}

fn keep() -> impl Strategy<Value = Keep> {
    (0u32..10, 0u32..6, 0u32..14).prop_map(|(daily, weekly, monthly)| Keep { daily, weekly, monthly })
}

fn zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec!["Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles", "UTC"])
        .prop_map(|name| TimeZone::get(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_stays_is_what_the_oracle_says(candidates in candidates(), keep in keep(), zone in zone()) {
        let reasons = kept(&candidates, keep, &zone);
        prop_assert_eq!(reasons.len(), candidates.len());
        let each = reasons.iter().enumerate();
        let found: BTreeSet<(usize, KeptFor)> =
            each.flat_map(|(at, reasons)| reasons.iter().map(move |reason| (at, *reason))).collect();
        prop_assert_eq!(found, oracle(&candidates, keep, &zone));
    }

    #[test]
    fn the_newest_good_one_stays_and_never_more_than_asked_for(
        candidates in candidates(),
        keep in keep(),
        zone in zone(),
    ) {
        let reasons = kept(&candidates, keep, &zone);
        let stay: Vec<&Candidate> =
            candidates.iter().zip(&reasons).filter(|(_, reasons)| !reasons.is_empty()).map(|(it, _)| it).collect();
        let newest = candidates.iter().filter(|candidate| candidate.good).map(|candidate| candidate.created).max();
        prop_assert_eq!(stay.iter().map(|candidate| candidate.created).max(), newest);
        prop_assert!(stay.iter().all(|candidate| candidate.good));
        prop_assert!(stay.len() <= (keep.daily + keep.weekly + keep.monthly + 1) as usize);
    }

    /// Removing night after night what does not stay leaves what would stay of all of them.
    #[test]
    fn removing_bit_by_bit_loses_nothing(mut candidates in candidates(), keep in keep(), zone in zone()) {
        // One that is damaged today was good yesterday: here all stay as they are.
        candidates.sort_by_key(|candidate| candidate.created);
        candidates.dedup_by_key(|candidate| candidate.created);
        let stay = |of: &[Candidate]| -> Vec<Candidate> {
            let reasons = kept(of, keep, &zone);
            of.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty()).map(|(it, _)| *it).collect()
        };
        let mut folder: Vec<Candidate> = Vec::new();
        for candidate in &candidates {
            folder.push(*candidate);
            if candidate.good {
                folder = stay(&folder);
            }
        }
        folder.retain(|candidate| candidate.good);
        prop_assert_eq!(folder, stay(&candidates));
    }
}
