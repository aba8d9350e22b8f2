//! A backup of five million receipts, 5 GB of JSON, looked into in a real browser: `cargo xtask test --large`. The variable
//! `DIKAS_DOCUMENTS` asks for another number of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::bench::inspect::Archive;
use dikas_e2e::browser::Browser;
use dikas_e2e::devtools::Watcher;
use dikas_e2e::inspecting::{collection, open, row, saved, search, take_out, verify};
use dikas_e2e::server::Local;
use dikas_e2e::{fill, tools};
use std::time::Instant;

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn five_million_receipts_are_open_at_once_and_any_of_them_is_a_moment_away() {
    let Some(browser) = Browser::start().await else { return };
    let documents = std::env::var("DIKAS_DOCUMENTS").map_or(5_000_000, |it| it.parse().unwrap());
    // The file, what is taken out of it, and the browser's copy of that.
    tools::assert_room(documents * 2_500);
    let folder = tempfile::tempdir().unwrap();
    let Archive { file, size, bytes, .. } = Archive::of(folder.path(), documents, 0);
    println!("{documents} documents, {bytes} bytes of JSON in {size}");

    let server = Local::start().await;
    browser.goto(&server.url).await;
    let watcher = Watcher::start(&browser).await;
    let start = Instant::now();
    open(&browser, &file).await;
    println!("open: {:?}", start.elapsed());
    let start = Instant::now();
    collection(&browser, "receipts").await;
    println!("first rows: {:?}", start.elapsed());
    for wanted in [documents * 4 / 5, 3, documents / 2, documents - 1] {
        browser.fill("#jump-row", &wanted.to_string()).await;
        let start = Instant::now();
        browser.click("#jump-row-go").await;
        let cells = row(&browser, wanted - 1).await;
        println!("row {wanted}: {:?}", start.elapsed());
        assert!(cells.contains(&id(wanted - 1)), "{cells:?}");
    }
    let wanted = documents / 3;
    browser.fill("#jump-id", &id(wanted)).await;
    let start = Instant::now();
    browser.click("#jump-id-go").await;
    browser.find(&format!("#document[data-id='{}'][data-state=there]", id(wanted))).await;
    println!("by id: {:?}", start.elapsed());
    assert_eq!(saved(&browser, &id(wanted)).await, receipt(wanted));

    let start = Instant::now();
    let (matches, found) = search(&browser, &format!("receiptNumber:{wanted}"), "receipts").await;
    let took = start.elapsed();
    println!("search: {took:?}, {:.0} MB/s", bytes as f64 / 1e6 / took.as_secs_f64());
    // Its digits may stand in the numbers of others.
    assert!(matches >= 1 && found.contains(&id(wanted)), "{matches} {found:?}");
    let start = Instant::now();
    assert_eq!(verify(&browser).await, ("sound".to_owned(), vec![]));
    println!("verify: {:?}", start.elapsed());
    browser.click("#room-contents").await;
    browser.click("#contents tr[data-collection=receipts] a").await;
    let start = Instant::now();
    let taken = take_out(&browser, "lines").await;
    println!("take out: {:?}", start.elapsed());
    assert_eq!(taken.metadata().unwrap().len(), bytes);
    let peak = watcher.stop();
    println!("{peak}");
    assert!(peak.job <= 128 * MIB, "{peak}");
}

fn id(number: u64) -> String {
    format!("rcp_{number:010}")
}

fn receipt(number: u64) -> Vec<u8> {
    let mut line = Vec::new();
    fill::receipt(&mut line, number);
    line
}
