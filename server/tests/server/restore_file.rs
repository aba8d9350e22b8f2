//! `POST /backup/restore`: a whole restore in one call.

use crate::bench::{Answer, Bench, document_path};
use crate::create::told_lines;
use crate::jobs::{fill, many};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use dikas_archive::api::NDJSON;
use dikas_archive::api::archives::{FileRestored, RestoreEvent};
use dikas_archive::api::restore::{ForeignBackup, RestorePreview, RunningRestore};
use dikas_archive::error::ErrorKind;
use futures::stream;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const RESTORE: &str = "/backup/restore";
const OK: StatusCode = StatusCode::OK;
const BAD: StatusCode = StatusCode::BAD_REQUEST;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const UNUSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

#[tokio::test]
async fn a_backup_comes_back_in_one_call() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let archive = backup(&bench).await;
    let before = all(&bench).await;
    change(&bench).await;
    let changed = all(&bench).await;

    let tried: FileRestored = restore(&bench, "?dryRun=true", &archive).await.expect(OK).data();
    assert_eq!(tried.outcome, None);
    assert_eq!(all(&bench).await, changed, "a dry run changes nothing");
    let restored: FileRestored = restore(&bench, "", &archive).await.expect(OK).data();
    assert_eq!(restored.preview.collections, tried.preview.collections);
    let outcome = restored.outcome.unwrap();
    assert!(outcome.restore_point.is_some());
    assert_eq!(all(&bench).await, before);
    nothing_is_left(&bench).await;

    let entry = &bench.audit("restore").await[0];
    assert_eq!(entry["mode"], "full");
    let name = entry["archive"]["name"].as_str().unwrap();
    assert!(name.starts_with("dikas_20") && name.ends_with(".zip"), "{name}");
}

#[tokio::test]
async fn what_is_chosen_is_restored_and_nothing_else() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let archive = backup(&bench).await;
    for (query, article, later) in [
        ("?category=articles", "1.5", true),
        ("?category=articles&mode=update", "1.5", true),
        ("?category=articles&mode=identical", "1.5", false),
        ("?category=customers&category=settings", "2", true),
    ] {
        change(&bench).await;
        let restored: FileRestored = restore(&bench, query, &archive).await.expect(OK).data();
        assert!(restored.outcome.is_some());
        let kept = bench.get(&document_path("articles", "art_1")).await.expect(OK);
        assert_eq!(kept.body, format!(r#"{{"_id":"art_1","n":{article}}}"#), "{query}");
        let status = bench.get(&document_path("articles", "art_later")).await.status;
        assert_eq!(status == OK, later, "{query}");
    }
    for (query, field) in [
        ("?category=cakes", "category"),
        ("?category=other", "other"),
        ("?mode=update", "mode"),
        ("?mode=full&category=articles", "mode"),
        ("?mode=merge&category=articles", "mode"),
        ("?acknowledge=all", "acknowledge"),
        ("?dryRun=perhaps", "dryRun"),
        ("?yes=1", "yes"),
    ] {
        let refused = restore(&bench, query, &archive).await.fails(BAD, "bad-request");
        assert_eq!(refused.field(), field, "{query}");
    }
    let some = bench.post("/backup/create", r#"{"categories":["customers"]}"#).await.expect(OK).body;
    let refused = restore(&bench, "?category=articles", &some).await.fails(BAD, "bad-request");
    assert_eq!(refused.field(), "articles");
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn signed_documents_are_lost_only_by_their_number() {
    let bench = Bench::new().await;
    let archive = backup(&bench).await;
    for id in ["rcp_1", "rcp_2"] {
        let path = document_path("receipts", id);
        bench.put(&path, format!(r#"{{"_id":"{id}"}}"#)).await.expect(StatusCode::CREATED);
    }
    let before = all(&bench).await;
    for query in ["", "?acknowledge=0", "?acknowledge=1", "?acknowledge=3"] {
        let refused = restore(&bench, query, &archive).await.fails_with_data(CONFLICT, "signed-loss");
        let preview: RestorePreview = refused.frame("data");
        assert_eq!(preview.signed_loss, 2);
        let RestoreEvent::Failed { error } = told(&bench, query, &archive).await.pop().unwrap() else {
            panic!()
        };
        assert_eq!(error.kind, ErrorKind::SignedLoss);
        assert_eq!(all(&bench).await, before);
    }
    nothing_is_left(&bench).await;
    // A selective restore costs none.
    restore(&bench, "?category=revenue&mode=identical", &archive).await.expect(OK);
    assert_eq!(all(&bench).await, before);
    let restored: FileRestored = restore(&bench, "?acknowledge=2", &archive).await.expect(OK).data();
    assert_eq!(restored.outcome.unwrap().signed_loss, 2);
}

#[tokio::test]
async fn the_backup_of_another_business_needs_its_name() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let settings = r#"{"_id":"cfg_1","businessName":"Café Zwölf & Söhne"}"#;
    bench.put(&document_path("settings", "cfg_1"), settings).await.expect(StatusCode::CREATED);
    let archive = backup(&bench).await;
    let other = Bench::new().await;
    let refused = restore(&other, "", &archive).await.fails_with_data(CONFLICT, "foreign-backup");
    let names: ForeignBackup = refused.frame("data");
    assert_eq!(names.to_type(), "Café Zwölf & Söhne");
    restore(&other, "?businessName=Anton", &archive).await.fails_with_data(CONFLICT, "foreign-backup");
    let query = format!("?businessName={}", crate::bench::encode(names.to_type()));
    restore(&other, &query, &archive).await.expect(OK);
    let article = other.app.store().document(&"articles".parse().unwrap(), "art_1").unwrap();
    assert!(article.is_some());
    // Its users are those of the backup now.
    let unknown = other.get("/audit").await;
    unknown.fails(StatusCode::UNAUTHORIZED, "unauthorized");
    assert_eq!(other.try_login("admin", &bench.password).await.status, OK);
}

#[tokio::test]
async fn a_damaged_body_changes_nothing_and_is_told_by_its_entry() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let archive = backup(&bench).await;
    change(&bench).await;
    let before = all(&bench).await;
    // In the middle of the first entry's bytes, behind its header.
    let mut garbled = archive.to_vec();
    garbled[60] ^= 1;
    let cases: [(&[u8], &str, &str); 4] = [
        (&garbled, "damaged-entry", "articles.jsonl.br"),
        (&archive[..archive.len() - 1], "not-an-archive", ""),
        (b"no archive", "not-an-archive", ""),
        (b"", "not-an-archive", ""),
    ];
    for (body, code, field) in cases {
        let body = Bytes::copy_from_slice(body);
        let refused = restore(&bench, "", &body).await.fails(UNUSABLE, code);
        assert_eq!(refused.field(), field);
        let events = told(&bench, "", &body).await;
        let Some(RestoreEvent::Failed { error }) = events.last() else { panic!("{events:?}") };
        assert_eq!(error.kind.code(), code);
        assert_eq!(all(&bench).await, before);
    }
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn a_script_is_told_line_by_line() {
    let bench = Bench::new().await;
    many(&bench).await;
    let archive = backup(&bench).await;
    change(&bench).await;
    let events = told(&bench, "", &archive).await;
    let (last, before) = events.split_last().unwrap();
    let (preview, progress) = before.split_last().unwrap();
    assert!(matches!(last, RestoreEvent::Done { outcome } if outcome.restore_point.is_some()), "{last:?}");
    let is_progress = |event: &RestoreEvent| matches!(event, RestoreEvent::Progress(_));
    // The commit is a phase of its own, behind the preview.
    let (preview, progress) =
        if is_progress(preview) { progress.split_last().unwrap() } else { (preview, progress) };
    assert!(matches!(preview, RestoreEvent::Preview { .. }), "{preview:?}");
    assert!(progress.len() >= 3 && progress.iter().all(is_progress), "{}", progress.len());
    let dry = told(&bench, "?dryRun=true", &archive).await;
    assert_eq!(dry.last(), Some(&RestoreEvent::Aborted));
    assert!(matches!(dry[dry.len() - 2], RestoreEvent::Preview { .. }));
    nothing_is_left(&bench).await;
}

#[tokio::test]
async fn an_archive_without_a_manifest_needs_the_name_of_this_business_and_the_number_of_files_left_out() {
    let part = dikas_archive::codec::encode(b"{\"_id\":\"art_1\"}\n").unwrap().bytes;
    let archive = zipped(&[
        ("shop/articles.jsonl.br", &part),
        ("shop/attachments/articles/art_1/a.txt", b"text"),
        ("shop/attachments/articles/art_2/lost.txt", b"of a document that is not there"),
        ("shop/attachments/loose.txt", b"of nothing"),
    ]);
    let bench = Bench::new().await;
    let refused = restore(&bench, "", &archive).await.fails_with_data(CONFLICT, "unknown-origin");
    assert_eq!(
        refused.frame::<ForeignBackup>("data"),
        ForeignBackup { backup: None, here: "DiKAS".to_owned() }
    );
    for mode in ["", "&category=articles", "&category=articles&mode=identical"] {
        let named = format!("?businessName=DiKAS{mode}");
        let tried: FileRestored =
            restore(&bench, &format!("{named}&dryRun=true"), &archive).await.expect(OK).data();
        let subjects: Vec<_> = tried.left_out.iter().filter_map(|why| why.subject.as_deref()).collect();
        assert_eq!(subjects, ["attachments/articles/art_2/lost.txt", "attachments/loose.txt"]);
        for wrong in ["", "&withoutFiles=1", "&withoutFiles=3"] {
            let refused = restore(&bench, &format!("{named}{wrong}"), &archive).await;
            let refused = refused.fails_with_data(CONFLICT, "files-left-out");
            assert_eq!(refused.frame::<RestorePreview>("data").files_left_out, 2);
        }
        let query = format!("{named}&withoutFiles=2");
        let restored: FileRestored = restore(&bench, &query, &archive).await.expect(OK).data();
        assert_eq!(restored.outcome.unwrap().files_left_out, 2);
    }
}

/// A ZIP of these entries, stored, as another tool would write it.
fn zipped(entries: &[(&str, &[u8])]) -> Bytes {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        let fixed = [&[20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0], &crc32fast::hash(data).to_le_bytes()[..]].concat();
        let sizes = [&size[..], &size, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        let at = (bytes.len() as u32).to_le_bytes();
        bytes.extend([&b"PK\x03\x04"[..], &fixed, &sizes, name.as_bytes(), data].concat());
        let rest = [&[0; 10][..], &at, name.as_bytes()].concat();
        directory.extend([&b"PK\x01\x02\x14\x03"[..], &fixed, &sizes, &rest].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let lengths = [(directory.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
    bytes.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &lengths, &[0, 0]].concat());
    bytes.into()
}

#[tokio::test]
async fn another_restore_and_a_full_disk_are_told_at_once() {
    let bench = Bench::with(|config| config.jobs.spare_bytes = u64::MAX / 2).await;
    let full = restore(&bench, "", &Bytes::from_static(b"x")).await;
    let full = full.fails(StatusCode::INSUFFICIENT_STORAGE, "no-space");
    assert!(full.text().contains("bytes are needed"), "{}", full.text());

    let bench = Bench::new().await;
    let archive = backup(&bench).await;
    let request = serde_json::json!({
        "archive": { "name": "x.zip", "size": 1, "created": null, "source": null },
        "businessName": "DiKAS",
        "mode": "update",
        "collections": [{ "name": "articles", "documents": 0, "bytes": 0, "batches": 0,
            "sha256": dikas_archive::digest::Sha256::of(b"") }],
        "attachments": { "attachments": 0, "bytes": 0, "batches": 0,
            "sha256": dikas_archive::digest::Sha256::of(b"") },
    });
    bench.post("/backup/restores", request.to_string()).await.expect(StatusCode::CREATED);
    let refused = restore(&bench, "", &archive).await.fails_with_data(CONFLICT, "restore-running");
    assert_eq!(refused.frame::<RunningRestore>("data").user, "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_and_a_caller_that_goes_leave_nothing() {
    let bench = Bench::new().await;
    many(&bench).await;
    let archive = backup(&bench).await;
    change(&bench).await;
    let before = document(&bench).await;
    let folder = files(&bench.folder.path().join("data"));
    let half = archive.slice(..archive.len() / 2);
    let cut = stream::iter([Ok(half), Err(std::io::Error::other("the line went dead"))]);
    let refused = bench.post(RESTORE, Body::from_stream(cut)).await.fails(BAD, "bad-request");
    assert!(refused.text().contains("the body broke off"), "{}", refused.text());
    nothing_is_left(&bench).await;

    for (milliseconds, accept) in [(50, "*/*"), (400, "*/*"), (400, NDJSON), (900, NDJSON)] {
        let call = bench.send(request(&bench, "", accept, archive.clone()));
        let waited = tokio::time::timeout(Duration::from_millis(milliseconds), call).await;
        assert!(waited.is_err(), "it was too fast");
        for _ in 0..600 {
            if bench.get("/backup/restores").await.data::<Vec<RunningRestore>>().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nothing_is_left(&bench).await;
        assert_eq!(document(&bench).await, before);
    }
    let now = files(&bench.folder.path().join("data"));
    assert_eq!(now, folder, "no file stays");
}

async fn backup(bench: &Bench) -> Bytes {
    bench.post("/backup/create", "").await.expect(OK).body
}

async fn restore(bench: &Bench, query: &str, archive: &Bytes) -> Answer {
    bench.send(request(bench, query, "application/json", archive.clone())).await
}

async fn told(bench: &Bench, query: &str, archive: &Bytes) -> Vec<RestoreEvent> {
    let answer = bench.send(request(bench, query, NDJSON, archive.clone())).await.expect(OK);
    assert_eq!(answer.header("content-type"), NDJSON);
    told_lines(&answer.body)
}

fn request(bench: &Bench, query: &str, accept: &str, archive: Bytes) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1{RESTORE}{query}"))
        .header("authorization", format!("Bearer {}", bench.admin))
        .header("accept", accept)
        .header("content-type", "application/zip")
        .body(Body::from(archive))
        .unwrap()
}

/// Changes one article and adds another.
async fn change(bench: &Bench) {
    bench.put(&document_path("articles", "art_1"), r#"{"_id":"art_1","n":2}"#).await;
    bench.put(&document_path("articles", "art_later"), r#"{"_id":"art_later"}"#).await;
}

async fn document(bench: &Bench) -> Bytes {
    bench.get(&document_path("articles", "art_1")).await.expect(OK).body
}

/// All that is live, but for what nobody backs up.
async fn all(bench: &Bench) -> Vec<Vec<u8>> {
    let snapshot = bench.snapshot().await;
    let mut lines = Vec::new();
    for collection in &snapshot.collections {
        lines.push(bench.lines(&snapshot, collection.name.as_str()).await);
    }
    lines
}

async fn nothing_is_left(bench: &Bench) {
    assert_eq!(bench.get("/backup/restores").await.data::<Vec<RunningRestore>>(), []);
    bench.app.clean().unwrap();
}

/// The files in a folder, those of the database and of blobs aside.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

impl Answer {
    fn frame<T: serde::de::DeserializeOwned>(&self, name: &str) -> T {
        let envelope: Value = serde_json::from_slice(&self.body).unwrap();
        serde_json::from_value(envelope[name].clone()).unwrap()
    }

    fn field(&self) -> String {
        self.frame::<Value>("errors")[0]["field"].as_str().unwrap_or_default().to_owned()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
