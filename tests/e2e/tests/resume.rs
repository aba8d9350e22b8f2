//! Backups that are interrupted go on where they were, or say why they cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::api::Api;
use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::page::{self, assert_nothing_kept};
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::server::{Killable, Local, demo_login};
use dikas_e2e::{native, until};
use serde_json::json;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");
const EVER: usize = usize::MAX;

/// Behind all documents, and some of the files.
const MIDDLE: &str = "/blobs/";

/// Begins a backup and holds it up in its middle.
async fn begin(browser: &Browser, proxy: &Proxy) {
    proxy.rule("GET", MIDDLE, 5, 1, Fault::Hold);
    page::start(browser).await;
    proxy.held().await;
}

/// Goes on with what is offered, and checks that nothing was fetched twice that had been written.
async fn go_on(browser: &Browser, proxy: &Proxy, api: &Api) {
    // The page opens one to say what a new backup would hold.
    browser.find("tr[data-category]").await;
    let (snapshots, pages) = (opened(proxy), proxy.count("/documents/"));
    browser.find("#interrupted[data-state=held]").await;
    browser.shot("interrupted").await;
    browser.click("#resume").await;
    page::finished(browser).await;
    assert_eq!(opened(proxy), snapshots, "it went on with the same moment");
    assert_eq!(proxy.count("/documents/"), pages, "the documents were there already");
    check_archive(&page::download(browser).await, &api.everything().await);
    let left = browser.storage().await;
    assert!(left.iter().all(|(path, ..)| !path.ends_with(".journal")), "{left:?}");
}

fn opened(proxy: &Proxy) -> usize {
    proxy.count("POST /api/v1/backup/snapshots")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_reloaded_goes_on_to_the_same_bytes() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    let snapshot = api.open_snapshot().await;
    proxy.pin(&snapshot);
    page::sign_in(&browser, &proxy.url, &server.login).await;
    begin(&browser, &proxy).await;
    browser.client.refresh().await.unwrap();
    proxy.release();

    browser.find("#interrupted[data-state=held]").await;
    browser.click("#resume").await;
    page::finished(&browser).await;
    let file = page::download(&browser).await;
    check_archive(&file, &api.read(&snapshot).await);
    let natively = file.with_extension("native.zip");
    native::backup(&proxy.url, &server.login, &natively).await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert!(std::fs::read(&natively).unwrap() == bytes);
    let by_server = api.create(json!({ "snapshot": snapshot.id })).await;
    assert!(by_server.bytes().await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_crashed_goes_on_twice() {
    let Some(mut browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    begin(&browser, &proxy).await;
    browser = browser.crash().await;
    proxy.heal();
    page::sign_in(&browser, &proxy.url, &server.login).await;
    browser.find("#interrupted[data-state=held]").await;
    proxy.rule("GET", MIDDLE, 5, 1, Fault::Hold);
    browser.click("#resume").await;
    proxy.held().await;
    browser = browser.crash().await;
    proxy.heal();
    page::sign_in(&browser, &proxy.url, &server.login).await;
    go_on(&browser, &proxy, &api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_too_long_is_gone_on_with_when_it_is_back() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    begin(&browser, &proxy).await;
    proxy.cut_off();
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "unreachable", "{}", failed.text);
    browser.shot("unreachable-can-go-on").await;
    assert_nothing_kept(&browser).await;
    proxy.heal();
    let (snapshots, pages) = (opened(&proxy), proxy.count("/documents/"));
    browser.click("#error-resume").await;
    page::finished(&browser).await;
    assert_eq!((opened(&proxy), proxy.count("/documents/")), (snapshots, pages));
    check_archive(&page::download(&browser).await, &api.everything().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_moment_is_gone_the_page_says_so() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Killable::start(SERVER).await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &demo_login()).await;
    begin(&browser, &proxy).await;
    browser.client.refresh().await.unwrap();
    browser.find("#interrupted[data-state=held]").await;

    // It goes between the question and the click.
    server.kill();
    server.restart(SERVER);
    proxy.heal();
    browser.click("#resume").await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "moment-gone", "{}", failed.text);
    browser.shot("moment-gone").await;
    assert_nothing_kept(&browser).await;

    // Or before the question.
    browser.click("#error-dismiss").await;
    begin(&browser, &proxy).await;
    browser.client.refresh().await.unwrap();
    server.kill();
    server.restart(SERVER);
    proxy.heal();
    browser.client.refresh().await.unwrap();
    browser.find("#interrupted[data-state=gone]").await;
    browser.shot("interrupted-gone").await;
    assert!(browser.visible("#resume").await.is_none());
    browser.click("#discard").await;
    until("the card to go", async || browser.visible("#interrupted").await.is_none().then_some(())).await;
    assert_eq!(browser.storage().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tab_does_not_offer_what_is_being_written() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    let first = browser.client.window().await.unwrap();
    begin(&browser, &proxy).await;
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    page::sign_in(&browser, &proxy.url, &server.login).await;
    browser.find("tr[data-category]").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(browser.visible("#interrupted").await.is_none());
    browser.client.switch_to_window(first).await.unwrap();
    proxy.release();
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_or_begun_anew_nothing_of_it_stays() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    begin(&browser, &proxy).await;
    browser.client.refresh().await.unwrap();
    proxy.heal();
    browser.find("#interrupted[data-state=held]").await;
    proxy.rule("GET", MIDDLE, 0, EVER, Fault::Hold);
    browser.click("#resume").await;
    proxy.held().await;
    browser.click("#cancel").await;
    assert_eq!(page::failed(&browser).await.kind, "cancelled");
    assert_eq!(browser.storage().await, []);

    proxy.heal();
    browser.click("#error-dismiss").await;
    begin(&browser, &proxy).await;
    browser.client.refresh().await.unwrap();
    proxy.heal();
    browser.find("#interrupted").await;
    page::start(&browser).await;
    page::finished(&browser).await;
    let kept = browser.storage().await;
    assert_eq!(kept.len(), 2, "an archive and its record: {kept:?}");
}
