//! Batches: checked, in order, idempotent, and complete or not at all.

use super::*;
use crate::bench::attachment_path;
use dikas_archive::api::restore::{BATCH_LINES, BatchStaged, FILES_IN_PIECES};

const LINES: &[&str] = &[r#"{"_id":"a"}"#, r#"{"_id":"b"}"#, r#"{"_id":"c"}"#];

fn backup() -> Backup {
    Backup::of(&[("articles", LINES), ("tables", &[])]).with_file("articles", "a", "f", "bytes")
}

#[tokio::test]
async fn a_batch_may_come_again_but_not_with_other_bytes_or_out_of_turn() {
    let bench = Bench::new().await;
    let session = Session::begin(&bench, &backup().request(RestoreMode::Full)).await;
    let (first, second) = ("{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n", "{\"_id\":\"c\"}\n");
    session.put_documents("articles", 1, second).await.fails(CONFLICT, "out-of-order");
    let staged: BatchStaged = session.put_documents("articles", 0, first).await.expect(OK).data();
    assert_eq!(staged, BatchStaged { batches: 1, lines: 2 });
    let again: BatchStaged = session.put_documents("articles", 0, first).await.expect(OK).data();
    assert_eq!(again, staged);
    session.put_documents("articles", 0, second).await.fails(CONFLICT, "batch-conflict");
    session.put_documents("articles", 1, second).await.expect(OK);
    session.put_documents("articles", 2, "{\"_id\":\"d\"}\n").await.fails(BAD, "bad-request");
    session.put_documents("customers", 0, first).await.fails(BAD, "bad-request");
    session.put_batch("documents/articles/x", first).await.fails(BAD, "bad-request");
    let state: Value = session.state(&session.secret).await.expect(OK).data();
    assert_eq!(state["staged"][0], serde_json::json!({"name": "articles", "batches": 2, "documents": 3}));
}

#[tokio::test]
async fn a_batch_is_checked_line_by_line() {
    let bench = Bench::new().await;
    let session = Session::begin(&bench, &backup().request(RestoreMode::Full)).await;
    for (batch, place) in [
        ("", "a batch is whole lines"),
        ("{\"_id\":\"a\"}", "a batch is whole lines"),
        ("{\"_id\":\"a\"}\n\n", "line 2: "),
        ("{\"_id\":\"a\"}\n{}\n", "line 2: "),
        ("{\"_id\":\"a\"}\n{\"_id\":\"a\",\"n\":1}\n", "line 2: "),
    ] {
        let answer = session.put_documents("articles", 0, batch).await.fails(BAD, "bad-document");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains(place), "{batch:?}: {text}");
    }
    let many: String = (0..=BATCH_LINES).map(|number| format!("{{\"_id\":\"{number}\"}}\n")).collect();
    session.put_documents("articles", 0, &many).await.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    let wide = format!("{{\"_id\":\"a\"}}\n{{\"_id\":\"b\",\"x\":\"{}\"}}\n", "x".repeat(4 << 20));
    session.put_documents("articles", 0, &wide).await.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    let batch = "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n";
    let garbled = session.put_batch_with("documents/articles/0", batch, "00000000").await;
    garbled.fails(BAD, "bad-request");
    session.put_documents("articles", 0, batch).await.expect(OK);
    session.put_documents("articles", 1, "{\"_id\":\"b\"}\n").await.fails(BAD, "bad-document");
}

#[tokio::test]
async fn only_line_ends_are_dropped_from_a_batch() {
    let bench = Bench::new().await;
    let line = "{ \"_id\" : \"a\",\t\"n\": 1.50e+3, \"n\": \"\u{2028}\\u0041\" }";
    let backup = Backup::of(&[("articles", &[&format!("{line}\r")])]);
    // `str::lines` would take the CR off, so that the request is made by hand.
    let mut request = backup.request(RestoreMode::Full);
    request.collections[0].documents = 1;
    let session = Session::begin(&bench, &request).await;
    session.stage(&backup).await;
    session.commit().await;
    assert_eq!(live(&bench, "articles").await, [line]);
}

#[tokio::test]
async fn what_is_incomplete_names_its_gap_and_changes_nothing() {
    let bench = Bench::new().await;
    let backup = backup();
    let session = Session::begin(&bench, &backup.request(RestoreMode::Full)).await;
    let gap = async |field: &str| {
        for answer in [session.try_preview().await, session.try_commit(0, None).await] {
            let answer = answer.fails(CONFLICT, "incomplete");
            let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(envelope["errors"][0]["field"], field, "{envelope}");
        }
    };
    gap("articles").await;
    session.put_documents("articles", 0, "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n").await.expect(OK);
    gap("articles").await;
    session.put_documents("articles", 1, "{\"_id\":\"c\"}\n").await.expect(OK);
    gap("attachments").await;
    session.put_batch("attachments/0", &backup.file_batches()[0]).await.expect(OK);
    let (record, bytes) = &backup.files[0];
    gap(&record.sha256.to_string()).await;
    let other = Sha256::of(b"other");
    assert_eq!(session.missing(&[other, record.sha256]).await, [other, record.sha256]);
    session.put_blob(&record.sha256, b"other".to_vec()).await.fails(BAD, "bad-blob");
    gap(&record.sha256.to_string()).await;
    session.put_blob(&record.sha256, bytes.clone()).await.expect(CREATED);
    session.put_blob(&record.sha256, bytes.clone()).await.expect(CREATED);
    assert_eq!(session.missing(&[other, record.sha256]).await, [other]);
    assert_eq!(live(&bench, "articles").await, [""; 0]);
    session.commit().await;
    assert_eq!(live(&bench, "articles").await, LINES);
}

#[tokio::test]
async fn count_bytes_and_digest_have_to_be_as_announced() {
    let backup = backup();
    let changes: [fn(&mut RestoreRequest); 5] = [
        |request| request.collections[0].documents += 1,
        |request| request.collections[0].bytes += 1,
        |request| request.collections[0].sha256 = Sha256::of(b"other"),
        |request| request.attachments.bytes += 1,
        |request| request.attachments.sha256 = Sha256::of(b"other"),
    ];
    let bench = Bench::new().await;
    for change in changes {
        let mut request = backup.request(RestoreMode::Full);
        change(&mut request);
        let session = Session::begin(&bench, &request).await;
        session.stage(&backup).await;
        session.try_preview().await.fails(CONFLICT, "incomplete");
        session.call(Method::DELETE, "", String::new()).await.expect(OK);
    }
}

#[tokio::test]
async fn a_file_needs_its_owner_in_the_backup() {
    let bench = Bench::new().await;
    put(&bench, "articles", &[r#"{"_id":"z"}"#]).await;
    let backup = Backup::of(&[("articles", LINES)]).with_file("articles", "z", "f", "x");
    let session = Session::staged(&bench, &backup, RestoreMode::Update).await;
    session.try_preview().await.fails(CONFLICT, "incomplete");
    session.call(Method::DELETE, "", String::new()).await.expect(OK);
    let stranger = Backup::of(&[("articles", LINES)]).with_file("tables", "z", "f", "x");
    let session = Session::begin(&bench, &stranger.request(RestoreMode::Update)).await;
    session.put_batch("attachments/0", &stranger.file_batches()[0]).await.fails(BAD, "bad-request");
    for wrong in ["{}\n", "\n", "{\"collection\":\"articles\",\"id\":\"a\",\"name\":\"\"}\n"] {
        session.put_batch("attachments/0", wrong).await.fails(BAD, "bad-document");
    }
}

#[tokio::test]
async fn a_file_may_come_in_pieces() {
    let bench = Bench::with(|config| config.limits.attachment_bytes = 100).await;
    let bytes = "0123456789".repeat(3);
    let backup = Backup::of(&[("articles", &[r#"{"_id":"a"}"#])]).with_file("articles", "a", "film", &bytes);
    let session = Session::begin(&bench, &backup.request(RestoreMode::Full)).await;
    let digest = Sha256::of(bytes.as_bytes());
    let put = async |digest: &Sha256, from: usize, size: usize, piece: &str| {
        session.put_batch(&format!("blobs/{digest}?from={from}&size={size}"), piece).await
    };
    put(&digest, 10, 30, &bytes[10..20]).await.fails(CONFLICT, "out-of-order");
    put(&digest, 0, 30, &bytes[..10]).await.expect(OK);
    put(&digest, 20, 30, &bytes[20..]).await.fails(CONFLICT, "out-of-order");
    // Each may come again.
    for _ in 0..2 {
        put(&digest, 0, 30, &bytes[..10]).await.expect(OK);
        put(&digest, 10, 30, &bytes[10..20]).await.expect(OK);
    }
    assert_eq!(session.missing(&[digest]).await, [digest], "it is not whole yet");
    for _ in 0..2 {
        put(&digest, 20, 30, &bytes[20..]).await.expect(CREATED);
    }
    assert_eq!(session.missing(&[digest]).await, []);

    // What cannot be a piece, and what is not the file that it should be.
    put(&digest, 20, 30, "12345678901").await.fails(BAD, "bad-request");
    put(&digest, 0, 30, "").await.fails(BAD, "bad-request");
    put(&digest, 0, 101, "1").await.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    let path = format!("blobs/{digest}?from=0");
    session.put_batch(&path, "1").await.fails(BAD, "bad-request");
    let path = format!("blobs/{digest}?from=0&size=30");
    session.put_batch_with(&path, "1", "00000000").await.fails(BAD, "bad-request");
    let other = Sha256::of(b"something else");
    put(&other, 0, 4, "ab").await.expect(OK);
    put(&other, 2, 4, "cd").await.fails(BAD, "bad-blob");
    put(&other, 2, 4, "cd").await.fails(CONFLICT, "out-of-order");

    // Not without end, and nothing of it outlives the session.
    for number in 0..FILES_IN_PIECES {
        put(&Sha256::of(&[number as u8]), 0, 2, "x").await.expect(OK);
    }
    put(&other, 0, 2, "x").await.fails(CONFLICT, "out-of-order");
    let uploads = bench.folder.path().join("data/blobs/uploads");
    assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), FILES_IN_PIECES);
    for (number, batch) in backup.file_batches().iter().enumerate() {
        session.put_batch(&format!("attachments/{number}"), batch).await.expect(OK);
    }
    session.put_documents("articles", 0, &backup.collections["articles"][0]).await.expect(OK);
    session.commit().await;
    assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0);
    assert_eq!(bench.get(&attachment_path("articles", "a", "film")).await.expect(OK).body, bytes);
}
