//! Runs that go wrong, and who is told.

use super::{Shop, due, names, verify};
use crate::lifecycle::http;
use dikas_archive::api::archives::{ArchiveCheck, Attempt, Trigger};
use dikas_archive::api::restore::AuditEnd;
use dikas_archive::error::ErrorKind;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A moment at which the shop opens, and the night after it.
const EVENING: &str = "2026-06-01T18:00:00Z";
const NIGHT: &str = "2026-06-02T02:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn too_little_room_is_said_before_anything_is_written() {
    let full = u64::MAX / 2;
    let shop = Shop::open("0 4 * * *", EVENING, |config, _| config.schedule.spare_bytes = full).await;
    shop.hand.go_to(NIGHT).await;
    let Attempt { trigger, archive, error, .. } = shop.last();
    assert_eq!((trigger, archive), (due(NIGHT), None));
    let error = error.unwrap();
    assert_eq!(error.kind, ErrorKind::ServerFull, "{error}");
    assert!(error.expected.unwrap().ends_with("bytes") && error.actual.unwrap().ends_with("free"));
    assert_eq!(error.subject.as_deref(), shop.folder().to_str());
    assert_eq!(names(&shop.folder()), [""; 0]);
    assert_eq!(shop.audit().last().unwrap().end, AuditEnd::Failed);
    // Its snapshot is closed, so that others have its place.
    for _ in 0..3 {
        assert_eq!(shop.call("POST", "/backup/snapshots", "").0, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_one_fails_the_run_and_not_the_server() {
    let shop = Shop::open("0 4 * * *", EVENING, |config, backup| {
        let file = config.data.with_file_name("file");
        fs::write(&file, "").unwrap();
        backup.folder = file.join("below");
    });
    let shop = shop.await;
    shop.hand.go_to(NIGHT).await;
    let error = shop.last().error.unwrap();
    assert_eq!(error.kind, ErrorKind::ServerError);
    assert!(error.subject.unwrap().ends_with("file/below"));
    assert_eq!(shop.state().free_bytes, None);
    shop.sell(2);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_hook_is_told_what_went_wrong() {
    let shop = Shop::open("0 4 * * *", EVENING, |config, backup| {
        let told = config.data.with_file_name("told");
        let script =
            format!("env | grep ^DIKAS_ | sort > '{}'; echo \"$1\" >> '{0}'; [ -z \"$2\" ]", told.display());
        backup.hook = ["/bin/sh", "-c", &script, "hook", "an argument; $(false)"].map(str::to_owned).to_vec();
    });
    let shop = shop.await;
    let told = shop.home.path().join("told");
    shop.hand.go_to(NIGHT).await;
    let good = shop.last();
    assert_eq!(good.error, None);
    assert!(!told.exists(), "nobody is told of what went well");

    fs::rename(shop.folder(), shop.folder().with_extension("away")).unwrap();
    shop.hand.go_to("2026-06-03T02:00:00Z").await;
    let failed = shop.last();
    assert_eq!((&failed.hook_error, shop.state().last_success), (&None, Some(good)));
    let expected = format!(
        "DIKAS_DUE=2026-06-03T02:00:00Z\nDIKAS_ERROR={}\nDIKAS_ERROR_KIND=server-error\nDIKAS_EVENT=backup-failed\n\
         DIKAS_LAST_SUCCESS=2026-06-02T02:00:00Z\nan argument; $(false)\n",
        failed.error.unwrap()
    );
    assert_eq!(fs::read_to_string(&told).unwrap(), expected);

    // For a run that somebody has asked for there is no time at which it was due.
    shop.run();
    let asked = shop.ended().await;
    assert!(matches!(asked.trigger, Trigger::Person { .. }) && asked.error.is_some());
    let begun = Instant::now();
    while !fs::read_to_string(&told).unwrap().contains("DIKAS_DUE=\n") {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_or_hangs_is_ended_and_that_is_shown() {
    for (hook, expected) in [
        (&["/bin/sh", "-c", "exit 3"][..], "/bin/sh has failed: exit status: 3"),
        (&["/no/such/program"], "/no/such/program cannot be started: No such file or directory (os error 2)"),
        (&["/bin/sh", "-c", "sleep 987654 & wait"], "/bin/sh took longer than 1 s, and was ended"),
    ] {
        let shop = Shop::open("0 4 * * *", EVENING, |config, backup| {
            config.schedule.hook = Duration::from_secs(1);
            backup.folder = config.data.with_file_name("nowhere");
            backup.hook = hook.iter().map(|&part| part.to_owned()).collect();
        });
        let shop = shop.await;
        shop.hand.go_to(NIGHT).await;
        assert_eq!(shop.last().hook_error.as_deref(), Some(expected));
        // What it has started is ended too.
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        assert_eq!(commands.filter(|command| command == b"sleep\0987654\0").count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_damaged_on_the_disk_counts_for_nothing() {
    let shop = Shop::open("0 4 * * *", EVENING, |config, backup| {
        backup.keep.daily = 1;
        backup.keep.weekly = 0;
        backup.keep.monthly = 0;
        // Of the second night, a bit is lost.
        config.schedule.named = |path: &Path| {
            if path.ends_with("dikas_20260603_040000.zip") {
                let mut bytes = fs::read(path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                fs::write(path, bytes).unwrap();
            }
        };
    });
    let shop = shop.await;
    shop.hand.go_to(NIGHT).await;
    let good = shop.last();
    shop.hand.go_to("2026-06-03T02:00:00Z").await;
    let damaged = shop.last();
    let error = damaged.error.unwrap();
    assert_eq!(error.kind, ErrorKind::DamagedEntry, "{error}");
    assert!(error.message.starts_with("the archive is damaged on the disk: "), "{error}");
    assert_eq!(error.subject, damaged.archive);
    assert_eq!(damaged.removed, [""; 0]);
    assert_eq!(shop.state().last_success, Some(good.clone()));
    let listed = shop.archives();
    assert!(matches!(listed[0].check, ArchiveCheck::Damaged { .. }), "{:?}", listed[0].check);
    assert!(matches!(listed[1].check, ArchiveCheck::Sound { .. }));
    let reasons: Vec<usize> = listed.iter().map(|archive| archive.kept_for.len()).collect();
    assert_eq!(reasons, [0, 2], "the older one is the newest good one");
    assert!(!verify(&shop.folder().join(damaged.archive.as_ref().unwrap())).is_sound());

    // The next good one takes the place of the good one. What is left of a day that has no other, a person may still want.
    shop.hand.go_to("2026-06-04T02:00:00Z").await;
    assert_eq!(shop.last().removed, [good.archive.unwrap()]);
    let id = listed[0].id.clone();
    assert_eq!(shop.archives().iter().filter(|archive| archive.id == id).count(), 1);
    let (status, body) = shop.call("DELETE", &format!("/backup/archives/{id}"), "");
    assert_eq!(status, 200, "{body}");
    shop.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schedule_did_not_make_is_never_removed() {
    let shop = Shop::open("0 4 * * *", EVENING, |_, backup| {
        (backup.keep.daily, backup.keep.weekly, backup.keep.monthly) = (1, 0, 0);
    });
    let shop = shop.await;
    shop.hand.go_to(NIGHT).await;
    let first = shop.folder().join(shop.last().archive.unwrap());
    fs::copy(&first, shop.folder().join("dikas_20200101_040000.zip")).unwrap();
    fs::write(shop.folder().join("older.zip"), "anything").unwrap();
    // Made by the schedule of another shop that shares the folder.
    fs::copy(&first, shop.folder().join("dikas_20260101_040000.zip")).unwrap();
    let record = fs::read_to_string(first.with_extension("zip.json")).unwrap();
    let own: serde_json::Value = serde_json::from_str(&record).unwrap();
    let theirs = record.replace(own["madeBy"].as_str().unwrap(), &"0".repeat(32));
    fs::write(shop.folder().join("dikas_20260101_040000.zip.json"), theirs).unwrap();
    shop.hand.go_to("2026-06-03T02:00:00Z").await;
    assert_eq!(shop.last().removed, [""; 0]);
    shop.hand.go_to("2026-06-04T02:00:00Z").await;
    assert_eq!(shop.last().removed, ["dikas_20260602_040000.zip"]);
    let mut left: Vec<String> = shop.archives().into_iter().map(|archive| archive.name).collect();
    left.sort();
    let expected = [
        "dikas_20200101_040000.zip",
        "dikas_20260101_040000.zip",
        "dikas_20260603_040000.zip",
        "dikas_20260604_040000.zip",
        "older.zip",
    ];
    assert_eq!(left, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_reads_them_back_the_newest_that_is_known_to_be_sound_stays() {
    let shop = Shop::open("0 4 * * *", EVENING, |_, backup| {
        (backup.keep.daily, backup.keep.weekly, backup.keep.monthly) = (1, 0, 0);
        backup.verify = false;
    });
    let shop = shop.await;
    shop.hand.go_to(NIGHT).await;
    let checked = shop.archives().remove(0);
    let (status, _) = shop.call("POST", &format!("/backup/archives/{}/verify", checked.id), "");
    assert_eq!(status, 200);
    for night in ["2026-06-03T02:00:00Z", "2026-06-04T02:00:00Z", "2026-06-05T02:00:00Z"] {
        shop.hand.go_to(night).await;
        assert_eq!(shop.last().error, None);
    }
    let left: Vec<(String, bool)> = shop
        .archives()
        .into_iter()
        .map(|archive| (archive.name, archive.check == ArchiveCheck::Unchecked))
        .collect();
    let name = |day: u32| format!("dikas_202606{day:02}_040000.zip");
    assert_eq!(left, [(name(5), true), (name(4), true), (name(2), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_in_a_run_leaves_nothing_and_makes_up_for_it() {
    let mut shop = Shop::open("0 4 * * *", EVENING, |_, _| ()).await;
    shop.sell_many();
    shop.hand.go_to("2026-06-02T01:59:59Z").await;
    tokio::time::timeout(Duration::from_millis(20), shop.hand.go_to(NIGHT)).await.unwrap_err();
    let begun = Instant::now();
    while shop.state().running.is_none_or(|progress| progress.documents == 0) {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(names(&shop.folder())[0].starts_with(".dikas_"), "{:?}", names(&shop.folder()));
    // Meanwhile nobody begins another one.
    for path in ["/backup/create", "/backup/schedule/run"] {
        let (status, body) = shop.call("POST", path, "");
        assert!(status == 409 && body.contains("job-running"), "{status} {body}");
    }
    let begun = Instant::now();
    shop.close().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(names(&shop.folder()), [""; 0]);

    shop.reopen("2026-06-02T02:30:00Z").await;
    shop.hand.go_to("2026-06-02T02:31:00Z").await;
    assert_eq!((shop.last().trigger, shop.last().error), (super::catch_up(NIGHT), None));
    let ends: Vec<AuditEnd> = shop.audit().iter().map(|entry| entry.end).collect();
    assert_eq!(ends, [AuditEnd::Aborted, AuditEnd::Done]);
    shop.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_persons_backup_but_not_for_ever() {
    let shop = Shop::open("0 4 * * *", EVENING, |config, _| {
        config.schedule.patience = Duration::from_millis(10);
    });
    let shop = shop.await;
    shop.sell_many();
    let (status, job) = shop.call("POST", "/backup/jobs", "");
    assert_eq!(status, 202);
    shop.hand.go_to(NIGHT).await;
    let error = shop.last().error.unwrap();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    let job: serde_json::Value = serde_json::from_str(&job).unwrap();
    assert_eq!(
        shop.call("DELETE", &format!("/backup/jobs/{}", job["data"]["id"].as_str().unwrap()), "").0,
        200
    );

    let shop = Shop::open("0 4 * * *", EVENING, |_, _| ()).await;
    shop.sell_many();
    assert_eq!(shop.call("POST", "/backup/jobs", "").0, 202);
    shop.hand.go_to(NIGHT).await;
    assert_eq!((shop.last().trigger, shop.last().error), (due(NIGHT), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_places_that_a_run_needs() {
    let shop = Shop::open("0 4 * * *", EVENING, |config, _| {
        (config.snapshots.open, config.snapshots.open_tokens) = (2, 1);
    });
    let shop = shop.await;
    shop.sell_many();
    let (status, token) = shop.call("POST", "/auth/tokens", r#"{"name":"greedy"}"#);
    assert_eq!(status, 201);
    let token: Value = serde_json::from_str(&token).unwrap();
    let as_token =
        |path: &str, body: &str| http(shop.address, "POST", path, token["data"]["token"].as_str(), body);
    let (status, snapshot) = as_token("/backup/snapshots", "");
    assert_eq!((status, as_token("/backup/snapshots", "").0), (201, 429), "the share of tokens");
    assert_eq!(shop.call("POST", "/backup/snapshots", "").0, 201);
    assert_eq!(shop.call("POST", "/backup/snapshots", "").0, 429, "all are taken");
    let snapshot: Value = serde_json::from_str(&snapshot).unwrap();
    let body = json!({ "snapshot": snapshot["data"]["id"] }).to_string();
    assert_eq!(as_token("/backup/jobs", &body).0, 202);
    shop.hand.go_to(NIGHT).await;
    assert_eq!((shop.last().trigger, shop.last().error), (due(NIGHT), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_due_comes_before_all_who_ask_later() {
    let shop = Shop::open("0 4 * * *", EVENING, |_, _| ()).await;
    shop.sell_many();
    let (status, job) = shop.call("POST", "/backup/jobs", "");
    assert_eq!(status, 202);
    shop.hand.go_to("2026-06-02T01:59:59Z").await;
    tokio::time::timeout(Duration::from_millis(20), shop.hand.go_to(NIGHT)).await.unwrap_err();
    let job: Value = serde_json::from_str(&job).unwrap();
    // Nobody gets in before the run, whose archive is there then.
    while shop.call("POST", "/backup/jobs", "").0 == 409 {}
    assert_eq!(shop.archives().len(), 1);
    let attempt = shop.ended().await;
    assert_eq!((attempt.trigger, attempt.error), (due(NIGHT), None));
    let path = format!("/backup/jobs/{}", job["data"]["id"].as_str().unwrap());
    assert!(shop.call("GET", &path, "").1.contains("finished"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_until_a_snapshot_can_be_opened() {
    let mut shop = Shop::open("0 4 * * *", EVENING, |config, _| config.snapshots.log_bytes = 1 << 20).await;
    let reader = hold_the_log(&shop, 1);
    let night = shop.hand.go_to(NIGHT);
    tokio::time::timeout(Duration::from_secs(1), night).await.unwrap_err();
    assert!(shop.state().running.is_some());
    drop(reader);
    assert_eq!(shop.ended().await.error, None);

    // Not for ever, and not when the server stops.
    let reader = hold_the_log(&shop, 2);
    shop.run();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(shop.state().running.is_some());
    shop.close().await;
    drop(reader);
    shop.config.schedule.patience = Duration::from_millis(10);
    shop.reopen("2026-06-02T12:00:00Z").await;
    assert_eq!(shop.last().error.unwrap().kind, ErrorKind::Cancelled);
    let _reader = hold_the_log(&shop, 3);
    shop.run();
    let error = shop.ended().await.error.unwrap();
    assert!(error.message.contains("the write-ahead log is too large"), "{error}");
}

/// Reads the database for as long as the answer lives, so that its write-ahead log, which is large by then, cannot shrink.
fn hold_the_log(shop: &Shop, round: u32) -> rusqlite::Connection {
    let reader = rusqlite::Connection::open(shop.config.data.join("dikas.sqlite")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM documents;").unwrap();
    let filling = "x".repeat(1000);
    let lines: String = (0..3000)
        .map(|number| format!("{{\"_id\":\"art_{round}_{number}\",\"filling\":\"{filling}\"}}\n"))
        .collect();
    assert_eq!(shop.call("POST", "/documents/articles", &lines).0, 200);
    reader
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_left_goes_at_the_next_start_and_what_somebody_writes_stays() {
    let mut shop = Shop::open("0 4 * * *", EVENING, |_, _| ()).await;
    shop.hand.go_to(NIGHT).await;
    let made = shop.last().archive.unwrap();
    shop.close().await;
    let folder = shop.folder();
    for left in [".dikas_a.zip.part", ".dikas_b.json.part", "dikas_x.zip.part", "notes.json"] {
        fs::write(folder.join(left), "half").unwrap();
    }
    let record = format!("{made}.json");
    fs::copy(folder.join(&record), folder.join("dikas_20250101_040000.zip.json")).unwrap();
    let other = fs::File::create(folder.join(".dikas_c.zip.part")).unwrap();
    other.try_lock().unwrap();
    shop.reopen("2026-06-02T03:00:00Z").await;
    let mut left = names(&folder);
    left.sort();
    assert_eq!(left, [".dikas_c.zip.part", &made, &record, "dikas_x.zip.part", "notes.json"]);
    assert_eq!(shop.archives().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_the_server_again_and_again_is_told_and_given_up() {
    let mut shop = Shop::open("0 4 * * *", EVENING, |config, backup| {
        let told = config.data.with_file_name("told");
        let script = format!("echo $DIKAS_DUE >> '{}'", told.display());
        backup.hook = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    })
    .await;
    let told = shop.home.path().join("told");
    let journal = shop.config.data.join("schedule.json");
    shop.close().await;
    let as_left_by_a_kill = |before: u32| {
        let mut left: Value = serde_json::from_slice(&fs::read(&journal).unwrap()).unwrap();
        left["underWay"] = json!({ "trigger": { "by": "schedule", "due": NIGHT }, "began": NIGHT });
        left["interruptions"] = json!(before);
        fs::write(&journal, left.to_string()).unwrap();
    };

    as_left_by_a_kill(4);
    shop.reopen("2026-06-02T02:30:00Z").await;
    shop.hand.go_to("2026-06-02T03:00:00Z").await;
    assert!(shop.last().error.unwrap().message.contains("the server ended"));
    assert_eq!(shop.archives(), []);
    assert_eq!(fs::read_to_string(&told).unwrap(), format!("{NIGHT}\n"));
    shop.hand.go_to("2026-06-03T02:00:00Z").await;
    assert_eq!((shop.last().trigger, shop.last().error), (due("2026-06-03T02:00:00Z"), None));
    shop.close().await;

    // After one that was good, a single end is made up for again.
    let mut left: Value = serde_json::from_slice(&fs::read(&journal).unwrap()).unwrap();
    assert_eq!(left["interruptions"], 0);
    left["handled"] = json!(EVENING);
    fs::write(&journal, left.to_string()).unwrap();
    as_left_by_a_kill(0);
    shop.reopen("2026-06-03T03:00:00Z").await;
    shop.hand.go_to("2026-06-03T03:30:00Z").await;
    assert_eq!((shop.last().trigger, shop.last().error), (super::catch_up("2026-06-03T02:00:00Z"), None));
    assert_eq!(fs::read_to_string(&told).unwrap(), format!("{NIGHT}\n{NIGHT}\n"));
    shop.check();
}
