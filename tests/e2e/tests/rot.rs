//! What the disk of the server has changed: the page names it, and makes the backup without it when a person says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::reader::BackupReader;
use dikas_e2e::browser::Browser;
use dikas_e2e::page;
use dikas_e2e::server::Local;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_receipt_is_named_and_left_out_when_a_person_says_so() {
    let Some(browser) = Browser::start().await else { return };
    let mut data = PathBuf::new();
    let server = Local::demo_with(|config| data.clone_from(&config.data)).await;
    let ids = spoil(&data);
    page::sign_in(&browser, &server.url, &server.login).await;
    page::start(&browser).await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "damaged-document", "{}", failed.text);
    let named = browser.text("#error-damaged").await;
    assert!(ids.iter().all(|id| named.contains(id)), "{named}");
    assert!(browser.visible("#error-consequences").await.is_some());
    browser.shot("damaged").await;
    page::assert_nothing_kept(&browser).await;

    browser.click("#error-without").await;
    page::finished(&browser).await;
    let missing = browser.text("#missing-list").await;
    assert!(ids.iter().all(|id| missing.contains(id)), "{missing}");
    browser.shot("missing").await;
    let mut archive = BackupReader::open(File::open(page::download(&browser).await).unwrap()).unwrap();
    let manifest = archive.manifest().unwrap().unwrap();
    let missing: Vec<String> = manifest.missing.iter().map(ToString::to_string).collect();
    assert_eq!(missing, ids.map(|id| format!("receipts/{id}")));
    assert!(archive.verify(&mut |_| Ok(())).unwrap().is_sound());
}

/// Changes two receipts as a disk does it, without a word to the store; answers their ids.
fn spoil(data: &Path) -> [String; 2] {
    let connection = Connection::open(data.join("dikas.sqlite")).unwrap();
    let sql = "SELECT id FROM documents JOIN collections ON live = generation WHERE name = 'receipts'
               ORDER BY id LIMIT 1 OFFSET ?1";
    [3, 50].map(|offset| {
        let id: String = connection.query_row(sql, [offset], |row| row.get(0)).unwrap();
        let spoil =
            "UPDATE documents SET body = CAST(replace(body, 'Receipt2', 'Receipt3') AS BLOB) WHERE id = ?1";
        assert_eq!(connection.execute(spoil, [&id]).unwrap(), 1);
        id
    })
}
