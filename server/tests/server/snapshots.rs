//! One moment, whatever happens meanwhile; and when it ends.

use crate::bench::{Answer, Bench, attachment_path, document_path, encode};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use dikas_archive::api::{AttachmentPage, Snapshot};
use dikas_archive::catalog::COLLECTIONS;
use dikas_server::auth::Role;
use std::time::Duration;

const GONE: StatusCode = StatusCode::GONE;

#[tokio::test]
async fn a_snapshot_holds_its_moment() {
    let bench = Bench::new().await;
    many(&bench, 0).await;
    bench.put(&attachment_path("articles", "art_0", "a.txt"), "one").await.expect(StatusCode::CREATED);
    let snapshot = bench.snapshot().await;
    let lines = bench.lines(&snapshot, "articles").await;

    many(&bench, 1).await;
    bench.delete(&document_path("articles", "art_0")).await.expect(StatusCode::OK);
    bench
        .put(&document_path("articles", "art_/new"), r#"{"_id":"art_/new"}"#)
        .await
        .expect(StatusCode::CREATED);
    bench.put(&document_path("a-new-one", "x"), r#"{"_id":"x"}"#).await.expect(StatusCode::CREATED);

    assert!(bench.lines(&snapshot, "articles").await == lines, "the lines of the moment changed");
    let files = attachments(&bench, &snapshot).await;
    assert_eq!(files.attachments.len(), 1);
    let blob = format!("/backup/snapshots/{}/blobs/{}", snapshot.id, files.attachments[0].sha256);
    assert_eq!(bench.get(&blob).await.expect(StatusCode::OK).body, "one");

    let later = bench.snapshot().await;
    assert!(later.source.position > snapshot.source.position);
    assert!(bench.lines(&later, "articles").await != lines);
    assert!(attachments(&bench, &later).await.attachments.is_empty());
    let unnamed = blob.replace(&snapshot.id, &later.id);
    bench.get(&unnamed).await.fails(StatusCode::NOT_FOUND, "not-found");
    let unknown = format!("/backup/snapshots/{}/documents/a-new-one", snapshot.id);
    bench.get(&unknown).await.fails(StatusCode::NOT_FOUND, "not-found");
}

#[tokio::test]
async fn the_torn_one_does_not() {
    let bench = Bench::with(|config| config.snapshots.torn = true).await;
    many(&bench, 0).await;
    let snapshot = bench.snapshot().await;
    let lines = bench.lines(&snapshot, "articles").await;
    many(&bench, 1).await;
    assert!(bench.lines(&snapshot, "articles").await != lines);
}

#[tokio::test]
async fn it_covers_the_whole_catalog_and_whatever_else_there_is() {
    let bench = Bench::new().await;
    bench.put(&document_path("zz-other", "x"), r#"{"_id":"x"}"#).await.expect(StatusCode::CREATED);
    let name = r#"{"_id":"cfg_1","businessName":"Zum Löwen"}"#;
    bench.put(&document_path("settings", "cfg_1"), name).await.expect(StatusCode::CREATED);
    let snapshot = bench.snapshot().await;
    let mut expected: Vec<&str> = COLLECTIONS.iter().map(|row| row.name).chain(["zz-other"]).collect();
    expected.sort_unstable();
    let names: Vec<&str> = snapshot.collections.iter().map(|collection| collection.name.as_str()).collect();
    assert_eq!(names, expected);
    assert_eq!(snapshot.source.business, "Zum Löwen");
    assert_eq!(snapshot.source.product, "DiKAS 26.3");
    assert_eq!(snapshot.source.position, 3);
    assert_eq!(snapshot.created.len(), "2026-11-23T18:59:41Z".len());
    assert!(bench.lines(&snapshot, "vouchers").await.is_empty());

    let some = r#"{"categories":["articles","other"]}"#;
    let some: Snapshot = bench.post("/backup/snapshots", some).await.expect(StatusCode::CREATED).data();
    let names: Vec<&str> = some.collections.iter().map(|collection| collection.name.as_str()).collect();
    assert_eq!(names, ["article-groups", "articles", "option-templates", "zz-other"]);
    let settings = format!("/backup/snapshots/{}/documents/settings", some.id);
    bench.get(&settings).await.fails(StatusCode::NOT_FOUND, "not-found");
    for wrong in [r#"{"categories":[]}"#, r#"{"categories":["x"]}"#, r#"{"category":[]}"#, "x"] {
        bench.post("/backup/snapshots", wrong).await.fails(StatusCode::BAD_REQUEST, "bad-request");
    }
}

#[tokio::test]
async fn its_sums_are_those_of_what_it_serves() {
    let bench = Bench::new().await;
    let mut dice = 1u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (dice >> 33) % sides
    };
    for _ in 0..400 {
        let collection = ["articles", "employees", "other-things"][roll(3) as usize];
        let id = format!("{}", roll(12));
        let name = format!("file {}", roll(3));
        match roll(5) {
            0 => drop(bench.delete(&document_path(collection, &id)).await),
            1 => drop(bench.delete(&attachment_path(collection, &id, &name)).await),
            2 => {
                drop(bench.put(&attachment_path(collection, &id, &name), "x".repeat(roll(9) as usize)).await)
            }
            _ => {
                let body = format!(r#"{{"_id":"{id}","x":"{}"}}"#, "y".repeat(roll(40) as usize));
                drop(bench.put(&document_path(collection, &id), body).await);
            }
        }
    }
    let snapshot = bench.snapshot().await;
    let files = attachments(&bench, &snapshot).await.attachments;
    for summary in &snapshot.collections {
        let name = &summary.name;
        let lines = bench.lines(&snapshot, name.as_str()).await;
        assert_eq!(summary.bytes, lines.len() as u64, "{name}");
        let count = lines.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(summary.documents, count as u64, "{name}");
        let own: Vec<_> = files.iter().filter(|file| file.collection == *name).collect();
        assert_eq!(summary.attachments, own.len() as u64, "{name}");
        assert_eq!(summary.attachment_bytes, own.iter().map(|file| file.size).sum::<u64>(), "{name}");
    }
    assert!(files.len() > 3, "the dice made too few files to show anything");
}

#[tokio::test]
async fn attachments_come_in_pages() {
    let bench = Bench::new().await;
    for (collection, id) in [("articles", "ä"), ("articles", "b"), ("customers", "a")] {
        let body = format!(r#"{{"_id":"{id}"}}"#);
        bench.put(&document_path(collection, id), body).await.expect(StatusCode::CREATED);
    }
    let mut expected = Vec::new();
    for number in 0..700 {
        for (collection, id) in [("articles", "b"), ("articles", "ä"), ("customers", "a")] {
            let name = format!("{number}.txt");
            bench.put(&attachment_path(collection, id, &name), "same").await.expect(StatusCode::CREATED);
            expected.push((collection.to_owned(), id.to_owned(), name));
        }
    }
    expected.sort();
    let snapshot = bench.snapshot().await;
    let (mut found, mut sizes, mut after) = (Vec::new(), Vec::new(), String::new());
    loop {
        let path = format!("/backup/snapshots/{}/attachments{after}", snapshot.id);
        let page: AttachmentPage = bench.get(&path).await.expect(StatusCode::OK).data();
        sizes.push(page.attachments.len());
        found.extend(
            page.attachments.into_iter().map(|file| (file.collection.to_string(), file.id, file.name)),
        );
        let Some(next) = page.next else { break };
        after = format!("?after={}", encode(&next));
    }
    assert_eq!(sizes, [1000, 1000, 100]);
    assert_eq!(found, expected);
    let wrong = format!("/backup/snapshots/{}/attachments?after=x", snapshot.id);
    bench.get(&wrong).await.fails(StatusCode::BAD_REQUEST, "bad-request");
}

#[tokio::test]
async fn nobody_reads_a_snapshot_of_somebody_else() {
    let bench = Bench::new().await;
    let other = bench.user("other", Role::Admin).await;
    let (token, another) = (bench.backup_token().await, bench.backup_token().await);
    let opened = bench.call(Method::POST, "/backup/snapshots", Some(&token), "").await;
    let snapshot: Snapshot = opened.expect(StatusCode::CREATED).data();
    let page = format!("/backup/snapshots/{}/documents/articles", snapshot.id);
    for stranger in [&bench.admin, &other, &another] {
        bench.call(Method::GET, &page, Some(stranger), Body::empty()).await.fails(GONE, "snapshot-gone");
        let path = format!("/backup/snapshots/{}", snapshot.id);
        for method in [Method::GET, Method::DELETE] {
            bench.call(method, &path, Some(stranger), Body::empty()).await.fails(GONE, "snapshot-gone");
        }
    }
    bench.call(Method::GET, &page, Some(&token), Body::empty()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn it_ends_when_it_is_closed() {
    let bench = Bench::with(|config| config.snapshots.open = 2).await;
    let (first, _second) = (bench.snapshot().await, bench.snapshot().await);
    let full = bench.post("/backup/snapshots", "").await;
    let full = full.fails(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
    assert!(full.header("retry-after").parse::<u64>().unwrap() > 0);
    let path = format!("/backup/snapshots/{}", first.id);
    assert_eq!(bench.get(&path).await.expect(StatusCode::OK).data::<Snapshot>(), first);
    bench.delete(&path).await.expect(StatusCode::OK);
    bench.delete(&path).await.fails(GONE, "snapshot-gone");
    bench.get(&path).await.fails(GONE, "snapshot-gone");
    page(&bench, &first).await.fails(GONE, "snapshot-gone");
    bench.snapshot().await;
}

#[tokio::test]
async fn it_ends_when_nobody_asks() {
    let bench = Bench::with(|config| config.snapshots.idle = Duration::from_secs(4)).await;
    let snapshot = bench.snapshot().await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        page(&bench, &snapshot).await.expect(StatusCode::OK);
    }
    tokio::time::sleep(Duration::from_millis(6000)).await;
    page(&bench, &snapshot).await.fails(GONE, "snapshot-gone");
}

#[tokio::test]
async fn it_ends_soon_when_nobody_asks_at_all() {
    let bench = Bench::with(|config| config.snapshots.unasked = Duration::from_millis(200)).await;
    let snapshot = bench.snapshot().await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    page(&bench, &snapshot).await.fails(GONE, "snapshot-gone");
}

#[tokio::test]
async fn one_owner_does_not_take_the_places_of_others() {
    let bench = Bench::new().await;
    let opened = [bench.snapshot().await, bench.snapshot().await, bench.snapshot().await];
    page(&bench, &opened[0]).await.expect(StatusCode::OK);
    let mut last = bench.snapshot().await;
    page(&bench, &opened[1]).await.fails(GONE, "snapshot-gone");
    for snapshot in [&opened[0], &opened[2], &last] {
        page(&bench, snapshot).await.expect(StatusCode::OK);
    }
    for _ in 0..20 {
        last = bench.snapshot().await;
    }
    page(&bench, &last).await.expect(StatusCode::OK);
    let token = bench.backup_token().await;
    bench.call(Method::POST, "/backup/snapshots", Some(&token), "").await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn it_ends_after_its_life_however_busy_it_is() {
    let bench = Bench::with(|config| config.snapshots.life = Duration::from_millis(500)).await;
    let snapshot = bench.snapshot().await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if page(&bench, &snapshot).await.status == GONE {
            return;
        }
    }
    panic!("it lives on");
}

#[tokio::test]
async fn it_ends_when_the_log_grows_too_large_and_the_next_one_can_open() {
    let bench = Bench::with(|config| config.snapshots.log_bytes = 4 << 20).await;
    let snapshot = bench.snapshot().await;
    for version in 0..40 {
        many(&bench, version).await;
        if page(&bench, &snapshot).await.status == GONE {
            assert!(version > 1, "the log cannot be that large yet");
            let next = bench.snapshot().await;
            page(&bench, &next).await.expect(StatusCode::OK);
            return;
        }
    }
    panic!("it lives on");
}

async fn page(bench: &Bench, snapshot: &Snapshot) -> Answer {
    bench.get(&format!("/backup/snapshots/{}/documents/articles", snapshot.id)).await
}

async fn attachments(bench: &Bench, snapshot: &Snapshot) -> AttachmentPage {
    bench.get(&format!("/backup/snapshots/{}/attachments", snapshot.id)).await.data()
}

/// 2,000 articles, one of them larger than a page.
async fn many(bench: &Bench, version: u32) {
    let mut lines = String::new();
    for number in 0..2_000 {
        let filling = "ä".repeat(if number == 1_000 { 100_000 } else { 100 });
        lines += &format!("{{\"_id\":\"art_{number}\",\"version\":{version},\"filling\":\"{filling}\"}}\n");
    }
    bench.post("/documents/articles", lines).await.expect(StatusCode::OK);
}
