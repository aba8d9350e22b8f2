//! One moment: pairs of documents that always change together come out of a snapshot together, while a writer goes on
//! from before the snapshot until after its last page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::job::backup::Options;
use dikas_e2e::api::Api;
use dikas_e2e::server::Local;
use dikas_e2e::tools::unzip;
use dikas_e2e::{native, until};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinHandle;

const PAIRS: u64 = 1_000;
const PAGE_BYTES: u64 = 64 << 10;

/// How many pairs change between two pages.
const BETWEEN: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_tears_no_pair_that_changes_together() {
    let server = Local::start().await;
    let (torn, pages) = torn_pairs(&server).await;
    assert!(pages >= 6, "{pages} pages are too few to show anything");
    assert_eq!(torn, 0, "torn pairs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_tears_no_pair_either() {
    let server = Local::start().await;
    let writer = Writer::start(&server).await;
    writer.progress(PAIRS).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.zip");
    let options = Options { page_bytes: PAGE_BYTES };
    native::backup_with(&server.url, &server.login, &file, &options).await.unwrap();
    writer.progress(BETWEEN).await;
    writer.stop().await;
    assert_eq!(torn(&unzip(&file).lines()["articles"]), 0, "torn pairs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_check_notices_pages_from_the_live_tables() {
    let server = Local::start_with(|config| config.snapshots.torn = true).await;
    let (torn, _) = torn_pairs(&server).await;
    assert!(torn > 0, "a server without snapshots tears pairs, and the check should see it");
}

/// How many pairs came out of a snapshot with different versions, and on how many pages.
async fn torn_pairs(server: &Local) -> (u64, u64) {
    let api = server.api().await;
    let writer = Writer::start(server).await;
    writer.progress(PAIRS).await;
    let snapshot = api.open_snapshot().await;
    writer.progress(BETWEEN).await;
    let mut pages = 1;
    let lines = api
        .pages(&snapshot, "articles", PAGE_BYTES, async || {
            pages += 1;
            writer.progress(BETWEEN).await;
        })
        .await;
    writer.progress(BETWEEN).await;
    writer.stop().await;
    api.close_snapshot(&snapshot).await;
    (torn(&lines), pages)
}

/// How many of these pairs have different versions; all of them have to be there.
fn torn(lines: &[u8]) -> u64 {
    let mut versions = BTreeMap::<u64, Vec<u64>>::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let document: serde_json::Value = serde_json::from_slice(line).unwrap();
        let field = |name: &str| document[name].as_u64().unwrap();
        versions.entry(field("pair")).or_default().push(field("version"));
    }
    assert_eq!(versions.len() as u64, PAIRS);
    assert!(versions.values().all(|pair| pair.len() == 2), "every document comes once");
    versions.values().filter(|pair| pair[0] != pair[1]).count() as u64
}

/// Somebody who goes on writing.
struct Writer {
    changes: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Puts all pairs in, and goes on changing them.
    async fn start(server: &Local) -> Self {
        let api = server.api().await;
        let all: String = (0..PAIRS).map(|number| pair(number, 0)).collect();
        api.post_documents("articles", all).await;
        let (changes, end) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn(write(api, Arc::clone(&changes), Arc::clone(&end)));
        Self { changes, end, task }
    }

    /// Waits until so many more pairs have changed.
    async fn progress(&self, count: u64) {
        let changes = || self.changes.load(Ordering::Relaxed);
        let goal = changes() + count;
        until("the writer to go on", async || (changes() >= goal).then_some(())).await;
    }

    async fn stop(self) {
        self.end.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

/// Changes one pair after the other, round and round, both halves in one call, which is one transaction.
async fn write(api: Api, changes: Arc<AtomicU64>, end: Arc<AtomicBool>) {
    // A step that shares no divisor with the number of pairs reaches all of them, on all pages, in turn.
    for turn in 1.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        api.post_documents("articles", pair(turn * 7 % PAIRS, turn)).await;
        changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two documents that lie far apart in the order of ids.
fn pair(number: u64, version: u64) -> String {
    let half = |side| {
        let filling = "x".repeat(150);
        format!(
            "{{\"_id\":\"art_{side}_{number:04}\",\"pair\":{number},\"version\":{version},\"filling\":\"{filling}\"}}\n"
        )
    };
    half("a") + &half("z")
}
