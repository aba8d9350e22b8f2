//! What the disk has changed, and a restore from a sound backup writes as it was: it is no loss, and stays healed.

use super::*;
use crate::bench::attachment_path;
use dikas_archive::api::restore::RestorePoint;
use dikas_server::auth::Role;
use rusqlite::Connection;

const RECEIPTS: [&str; 4] = [
    r#"{"_id":"rcp_6","total":6}"#,
    r#"{"_id":"rcp_7","total":7}"#,
    r#"{"_id":"rcp_8","total":8}"#,
    r#"{"_id":"rcp_9","total":9}"#,
];
const COUNTER: &str = r#"{"_id":"receipt","value":117}"#;

/// How a restore can bring receipts in: mode, and how many rows a commit merges by itself.
const WAYS: [(RestoreMode, usize); 4] = [
    (RestoreMode::Identical, 100),
    (RestoreMode::Update, 100),
    (RestoreMode::Update, 0),
    (RestoreMode::Full, 100),
];

#[tokio::test]
async fn a_restore_heals_signed_documents_and_counters_that_the_disk_has_changed() {
    for (mode, merged_rows) in WAYS {
        let bench = Bench::with(|config| config.restores.merged_rows = merged_rows).await;
        // The last receipt is only in the backup.
        put(&bench, "receipts", &RECEIPTS[..3]).await;
        put(&bench, "counters", &[COUNTER]).await;
        flip(&bench, "body", "rcp_7", 18);
        flip(&bench, "digest", "rcp_8", 3);
        flip(&bench, "body", "receipt", 25);
        bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");

        let backup = Backup::of(&[("receipts", &RECEIPTS), ("counters", &[COUNTER])]);
        let session = Session::staged(&bench, &backup, mode).await;
        let preview = session.preview().await;
        let of = |name| counts(changes_of(&preview.collections, name).documents);
        assert_eq!((of("receipts"), of("counters")), ([1, 2, 1, 0, 0], [0, 1, 0, 0, 0]), "{mode:?}");
        assert_eq!(preview.signed_loss, 0, "{mode:?}");
        session.try_commit(preview.seq, None).await.expect(OK);
        bench.post("/backup/create", "").await.expect(OK);
        assert_eq!(live(&bench, "receipts").await, RECEIPTS);
        assert_eq!(live(&bench, "counters").await, [COUNTER]);

        // An undo takes the receipt that came, and brings no rot back.
        let points: Vec<RestorePoint> = bench.get("/backup/restore-points").await.expect(OK).data();
        let path = format!("/backup/restore-points/{}", points[0].id);
        let preview: RestorePreview = bench.get(&format!("{path}/preview")).await.expect(OK).data();
        assert_eq!(preview.signed_loss, 1, "{mode:?}");
        let (seq, acknowledge_signed) = (preview.seq, Some(1));
        let consent = CommitRequest { seq, acknowledge_signed, acknowledge_files_left_out: None };
        bench.post(&format!("{path}/activate"), serde_json::to_string(&consent).unwrap()).await.expect(OK);
        bench.post("/backup/create", "").await.expect(OK);
        assert_eq!(live(&bench, "receipts").await, RECEIPTS[..3]);
    }
}

#[tokio::test]
async fn a_restore_of_other_bytes_heals_no_signed_document() {
    let bench = Bench::new().await;
    put(&bench, "receipts", &RECEIPTS).await;
    flip(&bench, "body", "rcp_7", 18);
    let other = RECEIPTS[1].replace("7}", "8}");
    let backup = Backup::of(&[("receipts", &[&other])]);
    let preview = Session::staged(&bench, &backup, RestoreMode::Identical).await.preview().await;
    assert_eq!(counts(changes_of(&preview.collections, "receipts").documents), [0, 0, 0, 0, 4]);
}

#[tokio::test]
async fn a_document_whose_digest_the_disk_has_changed_is_healed_by_its_own_bytes() {
    let bench = Bench::new().await;
    put(&bench, "receipts", &RECEIPTS).await;
    flip(&bench, "digest", "rcp_7", 3);
    bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");
    bench.put("/documents/receipts?id=rcp_7", RECEIPTS[1]).await.expect(OK);
    bench.post("/backup/create", "").await.expect(OK);
    assert_eq!(live(&bench, "receipts").await, RECEIPTS);
}

#[tokio::test]
async fn a_till_heals_a_counter_that_the_disk_has_raised() {
    let bench = Bench::new().await;
    let till = bench.user("till", Role::Till).await;
    put(&bench, "counters", &[COUNTER]).await;
    flip(&bench, "body", "receipt", 25);
    let path = "/documents/counters?id=receipt";
    bench.call(Method::PUT, path, Some(&till), COUNTER.replace("117", "118")).await.expect(CONFLICT);
    bench.call(Method::PUT, path, Some(&till), COUNTER).await.expect(OK);
    assert_eq!(live(&bench, "counters").await, [COUNTER]);
}

#[tokio::test]
async fn a_restore_heals_a_file_that_the_disk_has_changed() {
    let bench = Bench::new().await;
    put(&bench, "receipts", &RECEIPTS).await;
    bench.put(&attachment_path("receipts", "rcp_7", "f"), "seven").await.expect(CREATED);
    let digest = Sha256::of(b"seven");
    let digits = digest.to_string();
    let (head, tail) = digits.split_at(2);
    let blob = bench.folder.path().join("data/blobs").join(head).join(tail);
    std::fs::write(&blob, "sEven").unwrap();
    bench.post("/backup/create", "").await.fails_with_data(CONFLICT, "damaged-document");

    let backup = Backup::of(&[("receipts", &RECEIPTS)]).with_file("receipts", "rcp_7", "f", "seven");
    let session = Session::begin(&bench, &backup.request(RestoreMode::Identical)).await;
    assert_eq!(session.missing(&[digest]).await, [digest]);
    session.stage(&backup).await;
    // One that rots before the session has read it stops the restore, until it is sent.
    std::fs::write(&blob, "sEven").unwrap();
    let answer = session.try_preview().await.fails(CONFLICT, "incomplete");
    assert!(String::from_utf8_lossy(&answer.body).contains("sent again"));
    session.put_blob(&digest, b"seven".to_vec()).await.expect(CREATED);
    session.commit().await;
    bench.post("/backup/create", "").await.expect(OK);
}

/// Changes one bit of a column of a document behind the server's back.
fn flip(bench: &Bench, column: &str, id: &str, at: usize) {
    let connection = Connection::open(bench.folder.path().join("data/dikas.sqlite")).unwrap();
    let sql = format!("SELECT {column} FROM documents WHERE id = ?1");
    let mut bytes: Vec<u8> = connection.query_row(&sql, [id], |row| row.get(0)).unwrap();
    bytes[at] ^= 4;
    let sql = format!("UPDATE documents SET {column} = ?1 WHERE id = ?2");
    assert_eq!(connection.execute(&sql, (bytes, id)).unwrap(), 1);
}
