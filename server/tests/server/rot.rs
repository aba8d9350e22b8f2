//! What the disk has changed by itself: noticed by whatever reads it for a backup, named, and left out only when told so.

use crate::bench::{Bench, attachment_path, document_path};
use axum::http::StatusCode;
use dikas_archive::api::restore::{AuditAction, AuditPage};
use dikas_archive::api::{BackupJob, Snapshot};
use dikas_archive::damage::{Damaged, Missing, Reason};
use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use dikas_server::{Config, Server};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::slice;
use std::time::Duration;

const CONFLICT: StatusCode = StatusCode::CONFLICT;

#[tokio::test]
async fn a_flipped_bit_of_a_receipt_stops_a_backup_and_is_named_with_all_others() {
    let bench = receipts(400).await;
    bench.put(&document_path("vouchers", "vou_1"), r#"{"_id":"vou_1","x":"mark vou_1"}"#).await;
    for id in ["rcp_0007", "rcp_0399", "vou_1"] {
        flip(&bench, id);
    }
    let snapshot = bench.snapshot().await;
    let page = format!("/backup/snapshots/{}/documents/receipts", snapshot.id);
    let refused = bench.get(&page).await.fails_with_data(CONFLICT, "damaged-document");
    let envelope: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(envelope["errors"][0]["field"], "receipts/rcp_0007");
    let message = envelope["message"].as_str().unwrap();
    assert!(message.contains("and 2 more") && message.contains("nothing was backed up"), "{message}");
    let all =
        [changed("receipts", "rcp_0007"), changed("receipts", "rcp_0399"), changed("vouchers", "vou_1")];
    assert_eq!(damaged(&envelope), all);
    // What stands before it is given; from behind it, the next one is met.
    let behind =
        bench.get(&format!("{page}?after=rcp_0007")).await.fails_with_data(CONFLICT, "damaged-document");
    assert_eq!(damaged(&serde_json::from_slice(&behind.body).unwrap()), all[1..]);
    bench.get(&page.replace("/receipts", "/articles")).await.expect(StatusCode::OK);

    let refused = bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");
    assert_eq!(damaged(&serde_json::from_slice(&refused.body).unwrap()), all);
    let job: BackupJob = bench.post("/backup/jobs", "").await.expect(StatusCode::ACCEPTED).data();
    let error = crate::jobs::ended(&bench, &bench.admin, &job).await.error.unwrap();
    assert_eq!((error.kind, error.damaged.as_slice()), (ErrorKind::DamagedDocument, all.as_slice()));
}

#[tokio::test]
async fn a_page_of_the_database_that_cannot_be_read_is_named_by_the_last_document_before_it() {
    let bench = receipts(400).await;
    ruin_page(&bench, "rcp_0200");
    let refused = bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");
    let found = damaged(&serde_json::from_slice(&refused.body).unwrap());
    assert_eq!((found.len(), found[0].reason), (1, Reason::UnreadableAfter));
    assert!(("rcp_0100".."rcp_0200").contains(&found[0].id.as_str()), "{found:?}");
    let some = r#"{"categories":["articles"]}"#;
    bench.post("/backup/create", some).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_backup_without_what_is_damaged_is_whole_and_says_what_it_lacks() {
    let bench = receipts(400).await;
    for id in ["rcp_0007", "rcp_0010"] {
        for name in ["a.txt", "b.txt"] {
            let path = attachment_path("receipts", id, name);
            bench.put(&path, format!("{id} {name}")).await.expect(StatusCode::CREATED);
        }
    }
    flip(&bench, "rcp_0007");
    let digest = Sha256::of(b"rcp_0010 b.txt").to_string();
    let (head, tail) = digest.split_at(2);
    let blob = bench.folder.path().join("data/blobs").join(head).join(tail);
    fs::write(&blob, "rcp_0010 B.txt").unwrap();
    let create = |ids: &str| {
        let keys: Vec<Value> = ids.split(' ').map(|id| json!({"collection": "receipts", "id": id})).collect();
        let body = json!({ "without": keys }).to_string();
        let bench = &bench;
        async move { bench.post("/backup/create", body).await }
    };
    let document = Missing { attachments: 2, ..changed("receipts", "rcp_0007") };
    let file = Missing { name: Some("b.txt".to_owned()), ..changed("receipts", "rcp_0010") };
    // Of the collection that is named, all that is damaged has to be.
    let refused = create("rcp_0010").await.fails_with_data(CONFLICT, "damaged-document");
    assert_eq!(damaged(&serde_json::from_slice(&refused.body).unwrap()), slice::from_ref(&document));
    let refused = create("rcp_0007 rcp_0008").await.fails_with_data(CONFLICT, "damaged-document");
    assert_eq!(damaged(&serde_json::from_slice(&refused.body).unwrap()), slice::from_ref(&file));

    let made = create("rcp_0007 rcp_0008 rcp_0010 rcp_none").await.expect(StatusCode::OK);
    let manifest = crate::jobs::manifest(&made);
    assert_eq!(manifest.missing, [document.clone(), file.clone()]);
    let receipts = manifest.collections.iter().find(|it| it.name.as_str() == "receipts").unwrap();
    assert_eq!((receipts.documents, manifest.attachments.len()), (399, 1));
    let mut archive = BackupReader::open(Cursor::new(made.body.to_vec())).unwrap();
    let verdict = archive.verify(&mut |_| Ok(())).unwrap();
    assert!(verdict.is_sound(), "{:?}", verdict.problems);

    // The same over a snapshot, in pages that end on either side of it.
    let body = json!({"without": [{"collection": "receipts", "id": "rcp_0007"}, {"collection": "receipts", "id": "rcp_0010"}]});
    let snapshot = bench.post("/backup/snapshots", body.to_string()).await.expect(StatusCode::CREATED);
    let snapshot: Snapshot = snapshot.data();
    assert_eq!(snapshot.missing, [document.clone(), file.clone()]);
    let lines = bench.lines(&snapshot, "receipts").await;
    let expected: String = (0..400).filter(|&it| it != 7).map(|it| receipt(it) + "\n").collect();
    assert!(lines == expected.as_bytes());
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(StatusCode::OK);
    let audit: AuditPage = bench.get("/audit").await.data();
    let lacking: Vec<_> = audit.entries.iter().filter(|it| !it.missing.is_empty()).collect();
    let actions: Vec<_> = lacking.iter().map(|it| it.action).collect();
    assert_eq!(actions, [AuditAction::Snapshot, AuditAction::Backup]);
    assert!(lacking.iter().all(|it| it.missing == [document.clone(), file.clone()]));

    // A file that is not there at all is found before any is fetched.
    fs::remove_file(&blob).unwrap();
    let refused = create("rcp_0007").await.fails_with_data(CONFLICT, "damaged-document");
    let found = damaged(&serde_json::from_slice(&refused.body).unwrap());
    assert_eq!(found, [Missing { reason: Reason::Unreadable, ..file }]);
}

#[tokio::test]
async fn a_record_that_the_disk_has_changed_stops_a_backup_and_is_left_out_when_told_so() {
    // The last letter of the name, of the type, the size and the first digit, in the order in which they lie in a row.
    let (name, media_type) = ("mark rcp_0001", "application/octet-stream");
    let other = "mark rcp_0000";
    for (what, at) in [("name", 12), ("type", 36), ("size", 37), ("sha256", 38)] {
        let bench = receipts(3).await;
        for id in ["rcp_0001", "rcp_0002"] {
            bench.put(&attachment_path("receipts", id, name), id).await.expect(StatusCode::CREATED);
        }
        change(&bench, "rcp_0001", |bytes, mark| {
            let is_record = bytes[mark - 8..].starts_with(b"rcp_0001")
                && bytes[mark + name.len()..].starts_with(media_type.as_bytes());
            bytes[mark + at] ^= u8::from(is_record);
        });
        let name = if what == "name" { other } else { name };
        let file = Missing { name: Some(name.to_owned()), ..changed("receipts", "rcp_0001") };
        let refused = bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");
        let envelope = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(damaged(&envelope), slice::from_ref(&file), "{what}");
        assert_eq!(envelope["errors"][0]["field"], format!("receipts/rcp_0001/{name}"));

        let without = r#"{"without":[{"collection":"receipts","id":"rcp_0001"}]}"#;
        let made = bench.post("/backup/create", without).await.expect(StatusCode::OK);
        let manifest = crate::jobs::manifest(&made);
        assert_eq!((manifest.missing.as_slice(), manifest.attachments.len()), (slice::from_ref(&file), 1));
        let mut archive = BackupReader::open(Cursor::new(made.body.to_vec())).unwrap();
        let verdict = archive.verify(&mut |_| Ok(())).unwrap();
        assert!(verdict.is_sound(), "{what}: {:?}", verdict.problems);
    }
}

#[tokio::test]
async fn the_file_that_was_written_heals_its_record_and_no_other_does() {
    let bench = receipts(2).await;
    let (path, name) = (attachment_path("receipts", "rcp_0001", "mark rcp_0001"), "mark rcp_0001");
    bench.put(&path, "bytes").await.expect(StatusCode::CREATED);
    change(&bench, "rcp_0001", |bytes, mark| {
        let is_record = bytes[mark + name.len()..].starts_with(b"application/octet-stream");
        bytes[mark + name.len()] ^= u8::from(is_record);
    });
    // The connection that writes remembers the page as it was.
    let bench = bench.restarted().await;
    bench.put(&path, "other").await.fails(CONFLICT, "signed-document");
    bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");
    bench.put(&path, "bytes").await.expect(StatusCode::OK);
    bench.post("/backup/create", "").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_bytes_that_were_written_heal_a_signed_document_and_no_others_do() {
    let bench = receipts(3).await;
    flip(&bench, "rcp_0001");
    // The connection that writes remembers the page as it was.
    let bench = bench.restarted().await;
    let path = document_path("receipts", "rcp_0001");
    // Nor do those that the disk has made of them: nothing makes these the ones that were signed.
    for other in ["Mark", "park"] {
        let other = receipt(1).replace("mark", other);
        bench.put(&path, other).await.fails(CONFLICT, "signed-document");
    }
    bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");
    bench.put(&path, receipt(1)).await.expect(StatusCode::OK);
    bench.post("/backup/create", "").await.expect(StatusCode::OK);
    bench.put(&path, receipt(1)).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_finds_rows_of_before_gives_them_digests_while_it_serves() {
    let bench = receipts(50).await;
    bench.put(&attachment_path("receipts", "rcp_0007", "f"), "bytes").await.expect(StatusCode::CREATED);
    let Bench { router, app, folder, .. } = bench;
    drop((router, app));
    let path = folder.path().join("data/dikas.sqlite");
    let connection = Connection::open(&path).unwrap();
    let as_before = "UPDATE documents SET digest = NULL; UPDATE attachments SET digest = NULL;
        DELETE FROM meta WHERE key LIKE '%digests-since';";
    connection.execute_batch(as_before).unwrap();
    let config = Config { listen: "127.0.0.1:0".into(), ..Config::new(folder.path().join("data")) };
    let server = Server::start(config).await.unwrap();
    let number = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, u32>(0)).unwrap();
    while number("SELECT count(*) FROM meta WHERE key LIKE '%digests-since'") < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for table in ["documents", "attachments"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE digest IS NULL OR length(digest) <> 16");
        assert_eq!(number(&sql), 0, "{table}");
    }
    server.stop().await;
}

/// A shop with that many receipts, all of them in the database file.
async fn receipts(count: usize) -> Bench {
    let bench = Bench::new().await;
    let lines: String = (0..count).map(|number| receipt(number) + "\n").collect();
    bench.post("/documents/receipts", lines).await.expect(StatusCode::OK);
    bench
}

fn receipt(number: usize) -> String {
    format!(r#"{{"_id":"rcp_{number:04}","x":"mark rcp_{number:04}","y":"{}"}}"#, "y".repeat(400))
}

/// Changes one bit of this document in the file, behind the back of everybody.
fn flip(bench: &Bench, id: &str) {
    change(bench, id, |bytes, at| bytes[at] ^= 0x20);
}

/// Overwrites the page of the file that holds this document.
fn ruin_page(bench: &Bench, id: &str) {
    change(bench, id, |bytes, at| bytes[at & !0x3FFF..][..64].fill(0xFF));
}

fn change(bench: &Bench, id: &str, change: impl Fn(&mut [u8], usize)) {
    bench.app.store().checkpoint().unwrap();
    let mut bytes = fs::read(database(bench)).unwrap();
    let mark = format!("mark {id}");
    let windows = bytes.windows(mark.len()).enumerate();
    let found: Vec<usize> = windows.filter_map(|(at, it)| (it == mark.as_bytes()).then_some(at)).collect();
    // Pages that were split leave copies behind.
    assert!(!found.is_empty(), "{id} is not in the file");
    for at in found {
        change(&mut bytes, at);
    }
    File::options().write(true).open(database(bench)).unwrap().write_all(&bytes).unwrap();
}

fn database(bench: &Bench) -> PathBuf {
    bench.folder.path().join("data/dikas.sqlite")
}

fn changed(collection: &str, id: &str) -> Missing {
    let (collection, id) = (collection.parse().unwrap(), id.to_owned());
    Missing { collection, id, name: None, reason: Reason::Changed, attachments: 0 }
}

fn damaged(envelope: &Value) -> Vec<Missing> {
    serde_json::from_value::<Damaged>(envelope["data"].clone()).unwrap().damaged
}
