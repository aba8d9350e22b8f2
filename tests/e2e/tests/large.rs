//! Backups of the size of a big shop, each at two sizes: what there is more of takes no more memory, beyond a kibibyte
//! for each entry of the archive. They take three quarters of an hour and 12 GB of disk: `cargo xtask test --large`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::digest::Sha256;
use dikas_e2e::browser::Browser;
use dikas_e2e::devtools::Peak;
use dikas_e2e::server::Local;
use dikas_e2e::tools::{self, Summing};
use dikas_e2e::{fill, page};
use hyper::body::Bytes;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GB: u64 = 1_000_000_000;

/// Longer than a backup of any size here takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Bytes of the large file.
const LARGE_FILE: usize = 300_000_000;

/// How much WebAssembly memory differs between two runs of the same job: which parts are in memory at the same time is a
/// matter of chance, and each has up to 8 MiB.
const CHANCE: u64 = 24 * MIB;

/// The same for the process of the tab, where the browser's own buffers and garbage come on top.
const TAB_CHANCE: u64 = 160 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_files_take_at_most_a_kibibyte_each() {
    let Some(browser) = Browser::start().await else { return };
    tools::assert_room(2 * GB);
    let server = Local::in_memory().await;
    let api = server.api().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    fill::documents(&api, "expenses", 0..1, |out, _| out.extend_from_slice(b"{\"_id\":\"exp_1\"}")).await;

    let mut runs = Vec::new();
    for (from, to) in [(0, 10_000), (10_000, 100_000)] {
        let start = Instant::now();
        fill::attachments(&api, "expenses", "exp_1", from..to, content).await;
        println!("{} files stored in {} s", to - from, start.elapsed().as_secs());
        let (peak, file) = back_up(&browser, &format!("{to} files")).await;
        check_files(&file, to);
        runs.push((peak, to));
    }
    assert_flat(&runs, "files");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_million_documents_take_no_more_than_half_a_million() {
    let Some(browser) = Browser::start().await else { return };
    tools::assert_room(6 * GB);
    let server = Local::start().await;
    let api = server.api().await;
    page::sign_in(&browser, &server.url, &server.login).await;

    let mut runs = Vec::new();
    let mut lines = Summing::start();
    let mut bytes = 0;
    for (from, to) in [(0, 500_000), (500_000, 5_000_000)] {
        let start = Instant::now();
        let write = |out: &mut Vec<u8>, number| {
            let at = out.len();
            fill::time_entry(out, number);
            lines.add(&out[at..]);
            lines.add(b"\n");
            bytes += (out.len() - at + 1) as u64;
        };
        fill::documents(&api, "time-entries", from..to, write).await;
        println!("{} documents stored in {} s", to - from, start.elapsed().as_secs());
        let (peak, file) = back_up(&browser, &format!("{to} documents, {bytes} bytes")).await;
        let parts = parts(&file, "time-entries", to, bytes);
        runs.push((peak, parts.len() as u64));
        if to == 5_000_000 {
            assert_eq!(
                tools::sha256sum_of_lines(&file, &parts),
                std::mem::replace(&mut lines, Summing::start()).sum()
            );
        }
    }
    assert_flat(&runs, "parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_past_4_gib_takes_no_more_than_one_file_of_it() {
    let Some(browser) = Browser::start().await else { return };
    tools::assert_room(10 * GB);
    let server = Local::start().await;
    let api = server.api().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    fill::documents(&api, "expenses", 0..1, |out, _| out.extend_from_slice(b"{\"_id\":\"exp_1\"}")).await;

    // The server keeps the same bytes once, and the archive has them each time.
    let large = Bytes::from(fill::noise(1, LARGE_FILE));
    let digest = Sha256::of(&large).to_string();
    let mut runs = Vec::new();
    for (from, to) in [(0, 1), (1, 15)] {
        fill::attachments(&api, "expenses", "exp_1", from..to, |_| large.clone()).await;
        let (peak, file) = back_up(&browser, &format!("{to} files of 300 MB")).await;
        let mut listed = tools::zipinfo(&file);
        listed.retain(|(path, _)| path.starts_with("attachments/"));
        let expected: Vec<_> = (0..to).map(|number| (path(number), LARGE_FILE as u64)).collect();
        assert!(listed == expected, "{listed:?}");
        assert_eq!(tools::sha256sum_of_entry(&file, &path(to - 1)), digest);
        runs.push((peak, to));
        std::fs::remove_file(&file).unwrap();
    }
    assert_flat(&runs, "files of 300 MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_300_mb_goes_through_memory_where_there_is_no_file_system() {
    let Some(browser) = Browser::start_with(&["--host-resolver-rules=MAP dikas.test 127.0.0.1"]).await else {
        return;
    };
    tools::assert_room(2 * GB);
    let server = Local::demo().await;
    let api = server.api().await;
    fill::documents(&api, "articles", 0..1, |out, _| out.extend_from_slice(b"{\"_id\":\"art_1\"}")).await;
    fill::attachments(&api, "articles", "art_1", 0..1, |_| fill::noise(1, LARGE_FILE)).await;
    page::sign_in(&browser, &server.url.replace("127.0.0.1", "dikas.test"), &server.login).await;
    browser.keep_downloads().await;
    let (peak, file) = back_up(&browser, "a file of 300 MB without a file system").await;
    browser.find("#notices > [data-code=in-memory], #result").await;
    dikas_e2e::checks::check_archive(&file, &api.everything().await);
    assert!(peak.job <= 96 * MIB, "{peak}");
}

/// Some contents of files occur once, most of them often.
fn content(number: u64) -> Vec<u8> {
    let seed = if number.is_multiple_of(20) { number } else { number % 7 };
    fill::noise(seed, 100 + (seed % 900) as usize)
}

fn path(number: u64) -> String {
    format!("attachments/expenses/exp_1/beleg_{number:06}.pdf")
}

/// Makes a backup and downloads it; says how long that took and what memory.
async fn back_up(browser: &Browser, what: &str) -> (Peak, PathBuf) {
    // What the server holds is asked for when the page opens.
    browser.client.refresh().await.unwrap();
    let start = Instant::now();
    let (shown, peak) = page::watched(PATIENCE, browser).await;
    let made = start.elapsed().as_secs();
    let file = page::download_within(PATIENCE, browser).await;
    let size = file.metadata().unwrap().len();
    println!("{what}: {size} bytes in {made} s; {peak}");
    assert_eq!(tools::sha256sum(&file), shown.sha256);
    tools::unzip_test(&file);
    (peak, file)
}

/// That the second run took no more memory than the first, beyond what chance and its entries make.
fn assert_flat(runs: &[(Peak, u64)], entries: &str) {
    let [(less, few), (more, many)] = runs else { panic!("two runs") };
    let allowed = (many - few) * KIB;
    println!("{few} {entries}: {less}; {many} {entries}: {more}");
    for (what, before, after, chance) in [
        ("job", less.job, more.job, CHANCE),
        ("encoder", less.encoder, more.encoder, CHANCE),
        ("tab", less.tab, more.tab, TAB_CHANCE),
    ] {
        let grown = after.saturating_sub(before);
        assert!(grown <= allowed + chance, "{what}: {} MiB more: {less}; {more}", grown / MIB);
    }
}

/// Every file, as `sha256sum` finds it, and the manifest's word on it.
fn check_files(archive: &Path, count: u64) {
    let unzipped = tools::unzip(archive);
    let manifest = unzipped.manifest();
    let listed = manifest["attachments"].as_array().unwrap();
    assert_eq!(listed.len() as u64, count);
    for (number, entry) in (0..).zip(listed) {
        assert_eq!(entry["path"], path(number));
        assert_eq!(entry["sha256"], Sha256::of(&content(number)).to_string());
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    unzipped.sha256sum_check(listed.iter().map(|entry| (text(&entry["sha256"]), text(&entry["path"]))));
    let files = unzipped.files().into_iter().filter(|path| path.starts_with("attachments/"));
    assert_eq!(files.count() as u64, count);
}

/// The parts of a collection, which hold so many documents in so many bytes by the manifest.
fn parts(archive: &Path, collection: &str, documents: u64, bytes: u64) -> Vec<String> {
    let manifest: Value =
        serde_json::from_slice(&tools::unzip_one(archive, "manifest.json")).expect("manifest.json is JSON");
    let collections = manifest["collections"].as_array().unwrap();
    let found = collections.iter().find(|it| it["name"] == collection).unwrap();
    assert_eq!((&found["documents"], &found["bytes"]), (&documents.into(), &bytes.into()));
    let parts = found["parts"].as_array().unwrap();
    parts.iter().map(|part| part["name"].as_str().unwrap().to_owned()).collect()
}
