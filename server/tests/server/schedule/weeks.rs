//! Whole weeks, with the changes of summer time in them.

use super::{Shop, catch_up, due};
use dikas_archive::api::archives::{Keep, KeptFor, Trigger};
use dikas_archive::api::restore::AuditEnd;
use serde_json::json;
use std::fs;

use KeptFor::{Day, Month, Newest, Week};

const KEEP: Keep = Keep { daily: 3, weekly: 2, monthly: 2 };

#[tokio::test(flavor = "multi_thread")]
async fn a_week_in_which_summer_time_begins() {
    let mut shop = Shop::open("30 2 * * *", "2026-03-27T00:00:00Z", |_, backup| backup.keep = KEEP).await;
    let first = shop.state();
    assert_eq!(first.next.as_deref(), Some("2026-03-27T01:30:00Z"));
    assert_eq!((first.last_attempt, first.last_success, first.running), (None, None, None));
    assert_eq!(shop.health(), r#"{"status":"ok"}"#);
    assert_eq!(first.schedule.unwrap().zone, "Europe/Berlin");
    assert!(first.free_bytes.unwrap() > 0);

    // Friday night.
    shop.hand.go_to("2026-03-27T01:29:59Z").await;
    assert_eq!(shop.state().last_attempt, None);
    shop.hand.go_to("2026-03-27T01:30:00Z").await;
    let friday = shop.last();
    assert_eq!(friday.trigger, due("2026-03-27T01:30:00Z"));
    assert_eq!((friday.began.as_str(), &friday.error), ("2026-03-27T01:30:00Z", &None));
    assert_eq!(friday.archive.as_deref(), Some("dikas_20260327_023000.zip"));
    let state = shop.state();
    assert_eq!((state.last_success, state.next.as_deref()), (Some(friday), Some("2026-03-28T01:30:00Z")));

    // Saturday night. In the night to Sunday there is no half past two: the clock goes from two to three.
    shop.hand.go_to("2026-03-28T12:00:00Z").await;
    assert_eq!(shop.last().trigger, due("2026-03-28T01:30:00Z"));
    shop.hand.go_to("2026-03-29T00:59:59Z").await;
    assert_eq!(shop.last().trigger, due("2026-03-28T01:30:00Z"));
    shop.hand.go_to("2026-03-29T01:00:00Z").await;
    let sunday = shop.last();
    assert_eq!(sunday.trigger, due("2026-03-29T01:00:00Z"));
    assert_eq!(sunday.archive.as_deref(), Some("dikas_20260329_030000.zip"));
    assert_eq!(shop.state().next.as_deref(), Some("2026-03-30T00:30:00Z"), "half past two in summer");
    shop.hand.go_to("2026-03-30T12:00:00Z").await;
    assert_eq!(shop.last().trigger, due("2026-03-30T00:30:00Z"));
    assert_eq!(shop.last().removed, ["dikas_20260327_023000.zip"], "the fourth day");

    // The server is off from Monday to Thursday: three nights are missed, and made up for once.
    shop.close().await;
    shop.reopen("2026-04-02T08:00:00Z").await;
    shop.hand.go_to("2026-04-02T08:01:00Z").await;
    let thursday = shop.last();
    assert_eq!(thursday.trigger, catch_up("2026-04-02T00:30:00Z"));
    assert_eq!(thursday.archive.as_deref(), Some("dikas_20260402_100000.zip"));
    assert_eq!(thursday.removed, ["dikas_20260328_023000.zip"]);
    assert_eq!(shop.state().next.as_deref(), Some("2026-04-03T00:30:00Z"));
    shop.hand.go_to("2026-04-03T12:00:00Z").await;
    assert_eq!(shop.last().trigger, due("2026-04-03T00:30:00Z"));

    // Of March, the last one is that of the 30th; of the week before, that of Sunday.
    let expected = [
        ("dikas_20260329_030000.zip", vec![Week]),
        ("dikas_20260330_023000.zip", vec![Day, Month]),
        ("dikas_20260402_100000.zip", vec![Day]),
        ("dikas_20260403_023000.zip", vec![Newest, Day, Week, Month]),
    ];
    assert_eq!(shop.kept(), expected.map(|(name, reasons)| (name.to_owned(), reasons)));
    let audit = shop.audit();
    assert_eq!(audit.len(), 6);
    assert!(audit.iter().all(|entry| entry.who == "schedule" && entry.end == AuditEnd::Done));
    assert_eq!(audit[5].at, "2026-04-03T00:30:00Z");
    shop.check();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_in_which_summer_time_ends() {
    let mut shop = Shop::open("30 2 * * *", "2026-10-22T12:00:00Z", |_, backup| backup.keep = KEEP).await;
    shop.hand.go_to("2026-10-24T12:00:00Z").await;
    assert_eq!(shop.last().trigger, due("2026-10-24T00:30:00Z"));

    // Half past two comes twice, and the first counts.
    shop.hand.go_to("2026-10-25T00:30:00Z").await;
    let sunday = shop.last();
    assert_eq!(sunday.trigger, due("2026-10-25T00:30:00Z"));
    assert_eq!(sunday.archive.as_deref(), Some("dikas_20261025_023000.zip"));
    assert_eq!(shop.state().next.as_deref(), Some("2026-10-26T01:30:00Z"));
    // Off and on again between the two.
    shop.close().await;
    shop.reopen("2026-10-25T01:10:00Z").await;
    shop.hand.go_to("2026-10-25T12:00:00Z").await;
    assert_eq!(shop.last(), sunday);

    // Somebody asks for one in the hour that comes twice, by whose clock it has a name that is taken.
    shop.hand.go_to("2026-10-26T01:30:00Z").await;
    let monday = shop.last();
    assert_eq!(monday.archive.as_deref(), Some("dikas_20261026_023000.zip"));
    shop.run();
    let asked = shop.ended().await;
    assert_eq!(asked.trigger, Trigger::Person { name: "admin".to_owned() });
    assert_eq!(asked.archive.as_deref(), Some("dikas_20261026_023000-2.zip"));
    assert_eq!(asked.removed, [""; 0], "a run that a person asks for removes nothing");
    assert_eq!(shop.state().last_success, Some(asked));

    // A night in which the folder is away: nothing is removed, and the last success stays what it is.
    let before = shop.kept();
    fs::rename(shop.folder(), shop.folder().with_extension("away")).unwrap();
    shop.hand.go_to("2026-10-27T12:00:00Z").await;
    let failed = shop.last();
    assert_eq!(failed.trigger, due("2026-10-27T01:30:00Z"));
    assert_eq!((&failed.archive, failed.removed.len()), (&None, 0));
    assert!(failed.error.unwrap().message.contains("mount its disk"));
    assert_eq!(shop.health_of_backup(), json!({"status": "ok", "backup": "failed"}));
    assert_eq!(shop.state().last_success.unwrap().began, "2026-10-26T01:30:00Z");
    fs::rename(shop.folder().with_extension("away"), shop.folder()).unwrap();
    assert_eq!(shop.kept(), before);
    // It is not tried again before the next night, and a start does not make up for it.
    shop.close().await;
    shop.reopen("2026-10-27T13:00:00Z").await;
    shop.hand.go_to("2026-10-28T01:29:00Z").await;
    assert_eq!(shop.last().trigger, due("2026-10-27T01:30:00Z"));

    // On Thursday the machine sleeps over the time, and wakes in the morning; a minute later that is noticed.
    shop.hand.go_to("2026-10-28T12:00:00Z").await;
    assert_eq!((shop.last().trigger, shop.last().error), (due("2026-10-28T01:30:00Z"), None));
    let removed = ["dikas_20261024_023000.zip".to_owned(), monday.archive.unwrap()];
    assert_eq!(shop.last().removed, removed, "of Monday, a later one stays, and two days have passed");
    assert_eq!(shop.health_of_backup(), json!({"status": "ok", "backup": "good"}));
    shop.hand.jump_to("2026-10-29T07:00:00Z");
    shop.hand.go_to("2026-10-29T07:01:00Z").await;
    assert_eq!(shop.last().trigger, catch_up("2026-10-29T01:30:00Z"));

    let expected = [
        ("dikas_20261025_023000.zip", vec![Week]),
        ("dikas_20261026_023000-2.zip", vec![Day]),
        ("dikas_20261028_023000.zip", vec![Day]),
        ("dikas_20261029_080100.zip", vec![Newest, Day, Week, Month]),
    ];
    let kept = shop.kept();
    let expected = expected.map(|(name, reasons)| (name.to_owned(), reasons));
    assert_eq!(kept, expected);
    let audit = shop.audit();
    let ends: Vec<(&str, AuditEnd)> = audit.iter().map(|entry| (entry.who.as_str(), entry.end)).collect();
    let done = ("schedule", AuditEnd::Done);
    let expected =
        [done, done, done, done, ("admin", AuditEnd::Done), ("schedule", AuditEnd::Failed), done, done];
    assert_eq!(ends, expected);
    shop.check();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nights_of_a_clock_that_was_ahead_cost_no_night_and_are_marked() {
    let three = Keep { daily: 3, weekly: 0, monthly: 0 };
    let shop = Shop::open("30 2 * * *", "2026-04-26T12:00:00Z", |_, backup| backup.keep = three).await;
    let nights = async |days: &[&str]| {
        for day in days {
            shop.hand.go_to(&format!("{day}T12:00:00Z")).await;
            let last = shop.last();
            assert_eq!((last.trigger, &last.error), (due(&format!("{day}T00:30:00Z")), &None));
        }
    };
    nights(&["2026-04-27", "2026-04-28", "2026-04-29", "2026-04-30"]).await;
    // Ten years ahead for three nights, which are nights like others as long as nobody notices.
    shop.hand.jump_to("2036-05-01T12:00:00Z");
    shop.hand.go_to("2036-05-01T12:01:00Z").await;
    nights(&["2036-05-02", "2036-05-03"]).await;
    let ahead: Vec<String> = shop.archives().into_iter().take(3).map(|archive| archive.name).collect();
    assert!(ahead.iter().all(|name| name.starts_with("dikas_203605")), "{ahead:?}");
    // Hours ago they were made, whatever the clock says.
    let before: Vec<String> = shop.archives().into_iter().skip(3).map(|archive| archive.name).collect();
    assert_eq!(before, ["30", "29", "28"].map(|day| format!("dikas_202604{day}_023000.zip")));

    shop.hand.jump_to("2026-05-03T12:00:00Z");
    nights(&["2026-05-04", "2026-05-05", "2026-05-06", "2026-05-07", "2026-05-08"]).await;
    let listed = shop.archives();
    let (future, past): (Vec<_>, Vec<_>) = listed.into_iter().partition(|archive| archive.in_future);
    let names: Vec<String> = future.iter().map(|archive| archive.name.clone()).collect();
    assert_eq!(names, ahead, "nobody but a person removes them");
    assert!(future.iter().all(|archive| archive.kept_for.is_empty()));
    let kept: Vec<(&str, &[KeptFor])> =
        past.iter().map(|archive| (archive.name.as_str(), archive.kept_for.as_slice())).collect();
    let expected: [(&str, &[KeptFor]); 3] = [
        ("dikas_20260508_023000.zip", &[Newest, Day]),
        ("dikas_20260507_023000.zip", &[Day]),
        ("dikas_20260506_023000.zip", &[Day]),
    ];
    assert_eq!(kept, expected);
    assert_eq!(shop.last().removed, ["dikas_20260505_023000.zip"]);
    shop.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_falls_back_by_years_has_nothing_removed() {
    let one = Keep { daily: 1, weekly: 0, monthly: 0 };
    let shop = Shop::open("30 2 * * *", "2026-05-01T12:00:00Z", |_, backup| backup.keep = one).await;
    shop.hand.go_to("2026-05-02T12:00:00Z").await;
    let good = shop.last().archive.unwrap();
    shop.hand.jump_to("2000-01-01T12:00:00Z");
    for day in ["2000-01-02", "2000-01-03", "2000-01-04"] {
        shop.hand.go_to(&format!("{day}T12:00:00Z")).await;
        assert_eq!(shop.last().error, None);
    }
    let names: Vec<String> = shop.archives().into_iter().map(|archive| archive.name).collect();
    assert_eq!(names, [&good, "dikas_20000104_023000.zip", "dikas_20000103_023000.zip"]);
    // Right again, the night of before is what it was.
    shop.hand.jump_to("2026-05-02T13:00:00Z");
    shop.hand.go_to("2026-05-03T12:00:00Z").await;
    assert!(shop.archives().iter().any(|archive| archive.name == good));
    shop.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_a_person_asks_for_after_a_mistake_takes_nothing_from_the_night() {
    let shop = Shop::open("0 4 * * *", "2026-06-01T18:00:00Z", |_, backup| backup.keep = KEEP).await;
    shop.hand.go_to("2026-06-02T07:00:00Z").await;
    let night = shop.last().archive.unwrap();
    shop.run();
    let asked = shop.ended().await;
    assert_eq!((asked.error, asked.removed), (None, Vec::new()));
    let reasons = |name: &str| {
        let archive = shop.archives().into_iter().find(|archive| archive.name == name);
        archive.map(|archive| archive.kept_for)
    };
    assert_eq!(reasons(&night), Some(vec![KeptFor::Recent]));
    // Nor does the next night, which is less than two days later.
    shop.hand.go_to("2026-06-03T07:00:00Z").await;
    assert_eq!((shop.last().error, shop.last().removed), (None, Vec::new()));
    assert_eq!(reasons(&night), Some(vec![KeptFor::Recent]));
    shop.hand.go_to("2026-06-04T07:00:00Z").await;
    assert_eq!(shop.last().removed, std::slice::from_ref(&night));
    assert_eq!(reasons(&night), None);
    shop.check();
}
