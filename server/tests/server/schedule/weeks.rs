//! Whole weeks, with the changes of summer time in them.

use super::{Shop, catch_up, due};
use dikas_archive::api::archives::{Keep, KeptFor, Trigger};
use dikas_archive::api::restore::AuditEnd;
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
    assert_eq!(asked.removed, [monday.archive.unwrap()], "it is not the last of its day");
    assert_eq!(shop.state().last_success, Some(asked));

    // A night in which the folder is away: nothing is removed, and the last success stays what it is.
    let before = shop.kept();
    fs::rename(shop.folder(), shop.folder().with_extension("away")).unwrap();
    shop.hand.go_to("2026-10-27T12:00:00Z").await;
    let failed = shop.last();
    assert_eq!(failed.trigger, due("2026-10-27T01:30:00Z"));
    assert_eq!((&failed.archive, failed.removed.len()), (&None, 0));
    assert!(failed.error.unwrap().message.contains("mount its disk"));
    assert_eq!(shop.health(), r#"{"status":"ok","backup":"failed"}"#);
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
    assert_eq!(shop.health(), r#"{"status":"ok","backup":"good"}"#);
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
async fn a_clock_that_was_set_back_holds_nothing_up() {
    let one = Keep { daily: 1, weekly: 0, monthly: 0 };
    let shop = Shop::open("30 2 * * *", "2030-01-01T12:00:00Z", |_, backup| backup.keep = one).await;
    shop.hand.go_to("2030-01-02T12:00:00Z").await;
    let wrong = shop.last();
    assert_eq!(wrong.trigger, due("2030-01-02T01:30:00Z"));
    shop.hand.jump_to("2026-05-01T12:00:00Z");
    for day in ["2026-05-02", "2026-05-03"] {
        shop.hand.go_to(&format!("{day}T12:00:00Z")).await;
        let last = shop.last();
        assert_eq!((last.trigger, &last.error), (due(&format!("{day}T00:30:00Z")), &None));
        // The one that seems to be newer does not have the new one removed.
        let names: Vec<String> = shop.archives().into_iter().map(|archive| archive.name).collect();
        assert_eq!(names, [wrong.archive.clone().unwrap(), last.archive.unwrap()]);
    }
    shop.check();
}
