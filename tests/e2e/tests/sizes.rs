//! Large documents and files through the page, the memory that they take, and the places where an archive can go.
//! `large.rs` has what takes longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::limits::MAX_DOCUMENT_BYTES;
use dikas_e2e::api::Api;
use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::devtools::{Peak, Watcher};
use dikas_e2e::proxy::Proxy;
use dikas_e2e::server::{Local, demo_login};
use dikas_e2e::tools::{sha256sum, unzip, unzip_test};
use dikas_e2e::{LONG, fill, page, restoring};
use reqwest::StatusCode;
use serde_json::Value;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;

/// 300 MB, which is no multiple of anything that the engine reads or writes at once.
const LARGE_FILE: usize = 300_000_000;

/// The job holds two pages, the part that is filled, one that waits, what came back from encoders and waits for its turn,
/// or four ranges of files: some 20 MiB with two encoders, and no more than one part in addition for each of eight.
const JOB: u64 = 96 * MIB;

/// An encoder holds a part, its compressed form, what that is decoded to again, and the tables of both: some 30 MiB, and
/// the tables of a part that compresses badly are larger.
const ENCODER: u64 = 96 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn large_documents_and_files_come_out_whole_and_take_the_memory_that_they_may() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    page::sign_in(&browser, &server.url, &server.login).await;

    fill::receipts(&api, 0..30_000).await;
    let (_, peak) = back_up(&browser, "parts of 8 MiB").await;
    assert!(peak.job <= JOB && peak.encoder <= ENCODER, "{peak}");

    // Files pass the job in ranges: whatever their size, they take no more of it.
    for (name, bytes) in [("nothing.pdf", vec![]), ("large.mp4", fill::noise(1, LARGE_FILE))] {
        put_document(&api, "art_with_files", b"{\"_id\":\"art_with_files\"}".to_vec()).await;
        let status = api.put_attachment("articles", "art_with_files", name, "video/mp4", bytes).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let (file, peak) = back_up(&browser, "files of 0 bytes and of 300 MB").await;
    assert!(peak.job <= JOB && peak.encoder <= ENCODER, "{peak}");
    let peak = restore_elsewhere(&browser, &file).await;
    println!("restored: {peak}");
    assert!(peak.job <= JOB, "{peak}");
    // Whoever comes back to the first is still signed in there.
    browser.goto(&format!("{}/", server.url)).await;

    // A document is never cut, so that memory grows with the largest ones: the job holds up to four of them, as pages and
    // as parts, and an encoder two, and what is compressed of one.
    for number in 0..4 {
        let id = format!("art_large_{number}");
        put_document(&api, &id, fill::large(&id, 20_000_000 + number)).await;
    }
    let (_, peak) = back_up(&browser, "documents of 20 MB").await;
    assert!(peak.job <= 128 * MIB && peak.encoder <= 128 * MIB, "{peak}");

    put_document(&api, "art_largest", fill::large("art_largest", MAX_DOCUMENT_BYTES)).await;
    let (file, peak) = back_up(&browser, "a document of 32 MiB").await;
    assert!(peak.job <= 208 * MIB && peak.encoder <= 160 * MIB, "{peak}");
    // The last one has all of it.
    check_archive(&file, &api.everything().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_an_archive_changes_none_of_its_bytes() {
    let Some(browser) = Browser::start_with(&["--host-resolver-rules=MAP dikas.test 127.0.0.1"]).await else {
        return;
    };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    let snapshot = api.open_snapshot().await;
    proxy.pin(&snapshot);

    let mut files = Vec::new();
    for (url, place) in
        [(proxy.url.clone(), "disk"), (proxy.url.replace("127.0.0.1", "dikas.test"), "memory")]
    {
        page::sign_in(&browser, &url, &server.login).await;
        assert_eq!(storage(&browser).await["place"], place);
        browser.keep_downloads().await;
        page::start(&browser).await;
        let shown = page::finished(&browser).await;
        let file = page::download(&browser).await;
        assert_eq!(sha256sum(&file), shown.sha256, "{place}");
        files.push(file);
    }
    let [disk, memory] = files.as_slice() else { unreachable!() };
    assert!(std::fs::read(disk).unwrap() == std::fs::read(memory).unwrap(), "one snapshot, the same bytes");
    check_archive(disk, &api.read(&snapshot).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_window_makes_backups_and_says_where_they_go_and_what_that_limits() {
    let Some(browser) = Browser::start_with(&["--incognito"]).await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.find("tr[data-category]").await;
    let storage = storage(&browser).await;
    let room = browser.text("#room").await;
    println!("a private window: {storage}, {room:?}");
    browser.shot("private").await;
    match storage["place"].as_str() {
        Some("disk") => assert!(room.contains("free in this browser"), "{room}"),
        Some("memory") => assert!(room.contains("built in memory") && room.contains("1.07 GB"), "{room}"),
        _ => panic!("{storage}"),
    }
    browser.keep_downloads().await;
    page::start(&browser).await;
    let shown = page::finished(&browser).await;
    let file = page::download(&browser).await;
    assert_eq!(sha256sum(&file), shown.sha256);
    check_archive(&file, &api.everything().await);
}

/// Makes a backup and downloads it; says what memory it took.
async fn back_up(browser: &Browser, what: &str) -> (PathBuf, Peak) {
    let (shown, peak) = page::watched(LONG, browser).await;
    println!("{what}: {peak}");
    let file = page::download(browser).await;
    assert_eq!(sha256sum(&file), shown.sha256, "{what}");
    unzip_test(&file);
    browser.click("#another").await;
    (file, peak)
}

/// Restores all of an archive into an empty shop; says what memory it took.
async fn restore_elsewhere(browser: &Browser, file: &Path) -> Peak {
    let other = Local::start().await;
    page::sign_in(browser, &other.url, &other.login).await;
    restoring::open(browser, file).await;
    let business = unzip(file).manifest()["source"]["business"].as_str().unwrap().to_owned();
    browser.fill("#business-name", &business).await;
    let watcher = Watcher::start(browser).await;
    restoring::preview(browser).await;
    restoring::confirm(browser, &[restoring::WORD]).await;
    restoring::done(browser).await;
    let peak = watcher.stop();
    let (username, password) = demo_login();
    let large = Api::login(&other.url, &username, &password).await.everything().await;
    let large = large.attachments.iter().find(|it| it.name == "large.mp4").unwrap();
    assert_eq!(large.size, LARGE_FILE as u64);
    peak
}

async fn put_document(api: &Api, id: &str, document: Vec<u8>) {
    let status = api.put_document("articles", id, document).await;
    assert!(status.is_success(), "{id}: {status}");
}

/// Where the engine says that archives go.
async fn storage(browser: &Browser) -> Value {
    let script =
        "const engine = await import(`${location.origin}/engine/index.js`); return engine.storage();";
    browser.run_async(script, vec![]).await
}
