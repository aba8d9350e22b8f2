//! That every piece of the benchmark still runs. Nothing here is about time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::bench::{self, Page, Way, first_page, server};
use dikas_e2e::server::Local;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_pieces_of_the_benchmark_run() {
    let local = Local::demo().await;
    let api = local.api().await;
    let receipts = bench::receipts(&api).await;

    {
        let Some(page) = Page::open(&local.url, &local.login).await else { return };
        page.load_receipts(&receipts).await;
        page.start_encoders(2).await;
        let encoded = page.encode(3).await;
        let folder = tempfile::tempdir().unwrap();
        let files = bench::files(folder.path(), &receipts);
        let by_c = bench::brotli(&files, Some(20));
        assert!((0.9..1.1).contains(&(encoded.size / by_c.size)), "{encoded:?} {by_c:?}");

        let before = page.back_up(Way::Engine).await;
        let (after, peak) = page.memory().await;
        assert_eq!(before.size, after.size);
        assert!(peak.job > 1 << 20 && peak.encoder > 1 << 20 && peak.tab >= peak.tab_before, "{peak:?}");
    }

    let noticed = server::load(&api, &receipts, Duration::from_millis(500), true).await;
    assert!(noticed.backups > 0 && noticed.reads.longest >= noticed.reads.middle, "{noticed:?}");
    assert!(server::create(&api).await.size > 1e5 && server::lines(&api).await.len() > receipts.len());

    let seen = first_page(&local.url, &local.login, 1).await.unwrap();
    assert!(seen.len() == 2 && seen.iter().all(|page| page.sign_in > 0.0 && page.create > 0.0), "{seen:?}");
}
