//! Nights in which the disk has changed something by itself.

use super::{Shop, names, verify};
use dikas_archive::api::archives::{ArchiveCheck, KeptFor};
use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::fs::File;
use std::io::Write as _;

use KeptFor::{Day, Newest};

const EVENING: &str = "2026-06-01T18:00:00Z";
const FIRST: &str = "2026-06-02T02:00:00Z";
const SECOND: &str = "2026-06-03T02:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_backed_up_as_far_as_it_can_be_read_and_the_good_archives_stay() {
    let shop = Shop::open("0 4 * * *", EVENING, |_, backup| {
        (backup.keep.daily, backup.keep.weekly, backup.keep.monthly) = (1, 0, 0);
    });
    let shop = shop.await;
    shop.hand.go_to(FIRST).await;
    let good = shop.last();
    assert_eq!(good.error, None);
    let told = database(&shop);
    assert_eq!((&told["sound"], &told["problems"]), (&Value::Bool(true), &Value::Null));

    // A table that no backup reads.
    let root = sql(&shop, "SELECT rootpage FROM sqlite_schema WHERE name = 'undone'");
    change(&shop, |bytes| bytes[(root as usize - 1) << 14..][..64].fill(0xFF));
    shop.hand.go_to(SECOND).await;
    let attempt = shop.last();
    let error = attempt.error.unwrap();
    assert_eq!((error.kind, attempt.removed.len()), (ErrorKind::DamagedDatabase, 0), "{error}");
    assert_eq!(shop.state().last_success, Some(good.clone()));
    let listed = shop.archives();
    assert_eq!(listed.len(), 2);
    assert!(matches!(listed[0].check, ArchiveCheck::Damaged { .. }), "{:?}", listed[0]);
    assert!(verify(&shop.folder().join(attempt.archive.unwrap())).is_sound());
    assert_eq!((Some(&listed[1].name), listed[1].kept_for.len()), (good.archive.as_ref(), 2));
    let told = database(&shop);
    assert_eq!(told["sound"], false);
    assert!(!told["problems"].as_array().unwrap().is_empty(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_meets_a_bad_document_fails_and_the_hook_is_told_which() {
    let shop = Shop::open("0 4 * * *", EVENING, |config, backup| {
        let told = config.data.with_file_name("told");
        let script = format!("echo \"$DIKAS_ERROR_KIND $DIKAS_ERROR\" > '{}'", told.display());
        backup.hook = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    });
    let shop = shop.await;
    flip_first(&shop);
    shop.hand.go_to(FIRST).await;
    let attempt = shop.last();
    let error = attempt.error.unwrap();
    assert_eq!((error.kind, attempt.archive), (ErrorKind::DamagedDocument, None));
    assert_eq!(error.subject.as_deref(), Some("receipts/rec_1"));
    assert_eq!(error.damaged.len(), 1);
    assert_eq!(names(&shop.folder()), [""; 0]);
    assert!(database(&shop)["sound"] == true, "its pages are as they should be: {}", database(&shop));
    let told = fs::read_to_string(shop.home.path().join("told")).unwrap();
    assert!(told.starts_with("damaged-document ") && told.contains("receipts/rec_1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_without_what_the_configuration_names_and_the_audit_says_so() {
    let shop = Shop::open("0 4 * * *", EVENING, |_, backup| {
        backup.without = ["receipts/rec_1", "receipts/rec_2"].map(|key| key.parse().unwrap()).to_vec();
    });
    let shop = shop.await;
    shop.sell(2);
    flip_first(&shop);
    shop.hand.go_to(FIRST).await;
    let attempt = shop.last();
    assert_eq!(attempt.error, None);
    let missing = shop.audit().last().unwrap().missing.clone();
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), ["receipts/rec_1"]);
    let path = shop.folder().join(attempt.archive.unwrap());
    let mut archive = BackupReader::open(File::open(path).unwrap()).unwrap();
    let manifest = archive.manifest().unwrap().unwrap();
    assert_eq!(manifest.missing, missing);
    assert!(manifest.collections.iter().any(|it| it.name.as_str() == "receipts" && it.documents == 1));
    assert!(archive.verify(&mut |_| Ok(())).unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn nights_in_which_a_receipt_is_missing_never_take_the_place_of_the_last_that_holds_it() {
    let shop = Shop::open("0 4 * * *", EVENING, |_, backup| {
        (backup.keep.daily, backup.keep.weekly, backup.keep.monthly) = (2, 0, 0);
        backup.without = vec!["receipts/rec_1".parse().unwrap()];
    });
    let shop = shop.await;
    shop.sell(2);
    shop.hand.go_to("2026-06-02T07:00:00Z").await;
    shop.hand.go_to("2026-06-03T07:00:00Z").await;
    flip_first(&shop);
    for day in 4..12 {
        shop.hand.go_to(&format!("2026-06-{day:02}T07:00:00Z")).await;
        assert_eq!(shop.last().error, None);
    }
    let expected = [
        ("dikas_20260602_040000.zip", vec![Day]),
        ("dikas_20260603_040000.zip", vec![Newest, Day]),
        ("dikas_20260610_040000.zip", vec![Day]),
        ("dikas_20260611_040000.zip", vec![Newest, Day]),
    ];
    assert_eq!(shop.kept(), expected.clone().map(|(name, reasons)| (name.to_owned(), reasons)));
    let receipts = |name: &str| {
        let archive = BackupReader::open(File::open(shop.folder().join(name)).unwrap()).unwrap();
        let manifest = archive.manifest().unwrap().unwrap();
        manifest.collections.iter().find(|it| it.name.as_str() == "receipts").unwrap().documents
    };
    assert_eq!([receipts(expected[1].0), receipts(expected[3].0)], [2, 1]);
}

fn database(shop: &Shop) -> Value {
    serde_json::from_str::<Value>(&shop.health()).unwrap()["database"].take()
}

fn sql(shop: &Shop, sql: &str) -> u32 {
    let connection = Connection::open(shop.config.data.join("dikas.sqlite")).unwrap();
    connection.query_row(sql, (), |row| row.get(0)).unwrap()
}

/// Changes one bit of the first receipt.
fn flip_first(shop: &Shop) {
    change(shop, |bytes| {
        let body = br#"{"_id":"rec_1"}"#;
        let found = bytes.windows(body.len()).enumerate().filter(|(_, it)| it == body);
        let found: Vec<usize> = found.map(|(at, _)| at).collect();
        assert!(!found.is_empty());
        for at in found {
            bytes[at + 2] ^= 1;
        }
    });
}

/// Changes the file of the database behind the back of the server.
fn change(shop: &Shop, change: impl FnOnce(&mut [u8])) {
    sql(shop, "PRAGMA wal_checkpoint(TRUNCATE)");
    let path = shop.config.data.join("dikas.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    File::options().write(true).open(path).unwrap().write_all(&bytes).unwrap();
}
