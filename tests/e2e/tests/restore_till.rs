//! A till that writes every 100 ms while a backup is restored and the restore undone: what it was told is saved is not
//! lost, and the commit gets through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::api::Api;
use dikas_e2e::browser::Browser;
use dikas_e2e::restoring::{self, WORD, open, preview};
use dikas_e2e::server::Local;
use dikas_e2e::till::{Sold, Till};
use dikas_e2e::{native, page};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_till_sells_meanwhile_is_lost() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.zip");
    native::backup(&server.url, &server.login, &file).await.unwrap();
    let till = Till::start(
        &server.url,
        std::slice::from_ref(&server.login),
        "receipts",
        "rcp_till_".to_owned(),
        EVERY,
    )
    .await;

    page::sign_in(&browser, &server.url, &server.login).await;
    open(&browser, &file).await;
    preview(&browser).await;
    browser.find("#signed-loss").await;
    // Each receipt that comes is one more that the restore would drop: only a pause keeps the number still.
    let mut refusals = 0;
    loop {
        let number = restoring::number_in(&browser.text("#signed-loss").await);
        browser.click("#proceed").await;
        browser.find("#confirm").await;
        let paused = browser.run("return document.querySelector('#pause').checked", vec![]).await;
        assert_eq!(paused, refusals > 0, "a pause is offered where the till came in between");
        browser.fill("#acknowledge", &number).await;
        browser.fill(WORD.0, WORD.1).await;
        browser.click("#confirm-yes:enabled").await;
        let panel = browser.find("#restored, #error, #refused").await;
        match panel.attr("id").await.unwrap().as_deref() {
            Some("restored") => break,
            Some("refused") => refusals += 1,
            _ => panic!("{}", panel.text().await.unwrap()),
        }
        assert!(refusals < 4, "{}", panel.text().await.unwrap());
    }
    assert!((1..=2).contains(&refusals), "{refusals}");

    // The restore dropped what it had been told it would; undone, all of it is there, and what was sold since stays.
    if browser.visible("#username").await.is_some() {
        restoring::sign_in_again(&browser, &server.login).await;
    }
    browser.find("#undo").await;
    tokio::time::sleep(3 * EVERY).await;
    browser.click("#undo").await;
    restoring::previewed(&browser).await;
    restoring::confirm(&browser, &[]).await;
    restoring::done(&browser).await;
    let sold = till.stop().await;
    println!(
        "sold {}, {} met the pause, longest wait {:.0} ms",
        sold.documents.len(),
        sold.paused,
        sold.longest_ms
    );
    assert!(sold.paused > 0, "the pause was one");
    assert_kept(&server, "receipts", &sold).await;
}

async fn assert_kept(server: &Local, collection: &str, sold: &Sold) {
    let api: Api = server.api().await;
    assert!(!sold.documents.is_empty());
    for (id, body) in &sold.documents {
        assert_eq!(&api.document(collection, id).await, body, "{id}");
    }
}
