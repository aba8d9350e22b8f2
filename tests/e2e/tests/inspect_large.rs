//! A backup of five million receipts, 5 GB of JSON, looked into in a real browser: `cargo xtask test --large`. The variable
//! `DIKAS_DOCUMENTS` asks for another number of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::{CollectionSummary, Snapshot, SourceInfo};
use dikas_archive::catalog::Category;
use dikas_archive::codec;
use dikas_archive::part::{EncodedPart, PartCutter, RawPartInfo};
use dikas_archive::writer::BackupWriter;
use dikas_e2e::browser::Browser;
use dikas_e2e::devtools::Watcher;
use dikas_e2e::inspecting::{collection, open, row, saved, search, take_out, verify};
use dikas_e2e::server::Local;
use dikas_e2e::tools;
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

const MIB: u64 = 1 << 20;

/// How many receipts one thread writes before it hands their parts over.
const AT_ONCE: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn five_million_receipts_are_open_at_once_and_any_of_them_is_a_moment_away() {
    let Some(browser) = Browser::start().await else { return };
    let documents = std::env::var("DIKAS_DOCUMENTS").map_or(5_000_000, |it| it.parse().unwrap());
    // The file, what is taken out of it, and the browser's copy of that.
    tools::assert_room(documents * 2_500);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.zip");
    let bytes = write(&file, documents);
    println!("{documents} documents, {bytes} bytes of JSON in {}", file.metadata().unwrap().len());

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
        assert!(cells.contains(&id(wanted)), "{cells:?}");
    }
    let wanted = documents / 3;
    browser.fill("#jump-id", &id(wanted)).await;
    let start = Instant::now();
    browser.click("#jump-id-go").await;
    browser.find(&format!("#document[data-id='{}'][data-state=there]", id(wanted))).await;
    println!("by id: {:?}", start.elapsed());
    assert_eq!(saved(&browser, &id(wanted)).await, receipt(wanted).trim_end().as_bytes());

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
    format!("rcp_{number:08}")
}

/// About a kilobyte, as receipts have.
fn receipt(number: u64) -> String {
    let mut line = format!(
        r#"{{"_id":"{}","_rev":"1-{:032x}","documentType":"Receipt2","receiptNumber":{number},"date":"2025-{:02}-{:02}T{:02}:{:02}:00Z","employeeId":"emp_{:03}","lines":["#,
        id(number),
        mixed(number),
        number % 12 + 1,
        number % 28 + 1,
        number % 12 + 10,
        number % 60,
        number % 17,
    );
    let mut total = 0;
    for at in 0..4 {
        let article = mixed(number * 7 + at) % 300;
        total += 250 + article * 5;
        let comma = if at > 0 { "," } else { "" };
        let cents = 250 + article * 5;
        write!(
            line,
            r#"{comma}{{"position":{},"articleId":"art_{article:04}","name":"Gericht Nr. {article} mit Soße","quantity":1,"unitPrice":{}.{:02},"taxRate":19}}"#,
            at + 1,
            cents / 100,
            cents % 100,
        )
        .unwrap();
    }
    let [one, two, three, four] = [1, 2, 3, 4].map(|salt| mixed(number.wrapping_mul(31) + salt));
    writeln!(
        line,
        r#"],"total":{}.{:02},"payments":[{{"type":"cash","amount":{}.{:02}}}],"fiscal":{{"clientId":"KASSE-01","processType":"Kassenbeleg-V1","transactionNumber":{number},"signatureCounter":{},"signature":"{one:016x}{two:016x}{three:016x}{four:016x}"}}}}"#,
        total / 100,
        total % 100,
        total / 100,
        total % 100,
        number * 2,
    )
    .unwrap();
    line
}

/// A number that looks like any other.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}

/// Writes the backup with all cores; answers how many bytes of JSON are in it.
fn write(file: &Path, documents: u64) -> u64 {
    let mut writer = BackupWriter::new(BufWriter::new(File::create_new(file).unwrap()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (mut bytes, mut number) = (0, 0);
    let mut first = 1;
    while first <= documents {
        let starts: Vec<u64> =
            (0..cores).map(|at| first + at * AT_ONCE).filter(|it| *it <= documents).collect();
        let made: Vec<Vec<(RawPartInfo, EncodedPart)>> = std::thread::scope(|scope| {
            let threads: Vec<_> = starts
                .iter()
                .map(|from| scope.spawn(move || parts(*from, (from + AT_ONCE - 1).min(documents))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (info, part) in made.into_iter().flatten() {
            number += 1;
            bytes += part.raw_bytes;
            writer.part(&RawPartInfo { number, ..info }, &part).unwrap();
        }
        first += cores * AT_ONCE;
    }
    let summary = CollectionSummary {
        name: "receipts".parse().unwrap(),
        category: Category::Revenue,
        documents,
        bytes,
        attachments: 0,
        attachment_bytes: 0,
    };
    let source = SourceInfo {
        installation: "0".repeat(32),
        business: "Großer Betrieb".to_owned(),
        product: "DiKAS 26.3".to_owned(),
        position: documents,
    };
    let created = "2026-11-25T04:00:00Z".to_owned();
    let snapshot = Snapshot { id: "0".repeat(32), created, source, collections: vec![summary] };
    writer.finish(&snapshot).unwrap();
    bytes
}

fn parts(from: u64, to: u64) -> Vec<(RawPartInfo, EncodedPart)> {
    let mut cutter = PartCutter::new("receipts".parse().unwrap());
    let mut parts = Vec::new();
    for number in from..=to {
        parts.extend(cutter.push(receipt(number).as_bytes()).unwrap());
    }
    parts.extend(cutter.finish());
    parts
        .into_iter()
        .map(|part| {
            let (info, lines) = part.split();
            let encoded = codec::encode(&lines).unwrap();
            (info, encoded)
        })
        .collect()
}
