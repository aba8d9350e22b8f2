//! Restores that are disturbed: all of it or nothing, and the page says which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::api::{Api, Everything};
use dikas_e2e::browser::Browser;
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::restoring::{self, WORD, done, open, preview};
use dikas_e2e::server::{Killable, Local, demo_login};
use dikas_e2e::{native, page, until};
use reqwest::Method;
use std::path::PathBuf;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");
const EVER: usize = usize::MAX;

/// Where documents are being sent.
const MIDDLE: &str = "/documents/receipts/";

/// A server whose data has changed since a backup of it.
struct Shop {
    api: Api,
    file: PathBuf,
    backed_up: Everything,
    now: Everything,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn new(url: &str, login: &(String, String)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("before.zip");
        native::backup(url, login, &file).await.unwrap();
        let api = Api::login(url, &login.0, &login.1).await;
        let backed_up = api.everything().await;
        let article = br#"{"_id":"art_new","documentType":"Article","name":"only now"}"#;
        assert!(api.put_document("articles", "art_new", article.to_vec()).await.is_success());
        let now = api.everything().await;
        Self { api, file, backed_up, now, _folder: folder }
    }

    async fn assert_untouched(&self) {
        assert!(self.api.everything().await.lines == self.now.lines, "something has changed");
    }

    /// All is as in the backup. A counter is never set back.
    async fn assert_restored(&self) {
        let lines = self.api.everything().await.lines;
        assert!(lines["articles"] == self.backed_up.lines["articles"]);
        assert!(lines["receipts"] == self.backed_up.lines["receipts"]);
    }

    async fn no_session_is_left(&self) {
        until("the session to go", async || (!self.is_being_restored().await).then_some(())).await;
    }

    /// Whether a session is open.
    async fn is_being_restored(&self) -> bool {
        let answer = self.api.request(Method::GET, "/backup/restores").send().await.unwrap();
        answer.text().await.unwrap().contains("\"begun\"")
    }
}

/// A shop behind a proxy, and somebody signed in there.
async fn signed_in(browser: &Browser) -> (Local, Shop, Proxy) {
    let server = Local::demo().await;
    let shop = Shop::new(&server.url, &server.login).await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(browser, &proxy.url, &server.login).await;
    (server, shop, proxy)
}

/// Begins a full restore and holds it up while it sends.
async fn begin(browser: &Browser, proxy: &Proxy, shop: &Shop) {
    open(browser, &shop.file).await;
    proxy.rule("PUT", MIDDLE, 0, 1, Fault::Hold);
    browser.click("#show-changes:enabled").await;
    proxy.held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_while_it_is_sent_nothing_has_changed_and_nothing_is_left() {
    let Some(browser) = Browser::start().await else { return };
    let (_server, shop, proxy) = signed_in(&browser).await;
    begin(&browser, &proxy, &shop).await;
    until("what it is doing", async || browser.text("#phase").await.starts_with("Sending").then_some(()))
        .await;
    browser.shot("restore-sending").await;
    assert!(shop.is_being_restored().await);
    browser.click("#cancel").await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "cancelled", "{}", failed.text);
    browser.shot("restore-cancelled").await;
    shop.no_session_is_left().await;
    shop.assert_untouched().await;

    // It can begin again at once, and the chosen file is still there.
    proxy.heal();
    browser.click("#error-again").await;
    restoring::previewed(&browser).await;
    restoring::confirm(&browser, &[WORD]).await;
    done(&browser).await;
    shop.assert_restored().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_or_a_closed_tab_leaves_everything_as_it_was() {
    let Some(browser) = Browser::start().await else { return };
    let (server, shop, proxy) = signed_in(&browser).await;
    begin(&browser, &proxy, &shop).await;
    browser.client.refresh().await.unwrap();
    proxy.heal();
    browser.find("#recovered").await;
    browser.shot("restore-recovered").await;
    shop.no_session_is_left().await;
    shop.assert_untouched().await;

    // A tab that is closed cannot say goodbye: the next one is told, and may go on.
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    page::sign_in(&browser, &proxy.url, &server.login).await;
    open(&browser, &shop.file).await;
    restoring::choose(&browser, "identical", &["articles"]).await;
    preview(&browser).await;
    browser.client.close_window().await.unwrap();
    browser.client.switch_to_window(first).await.unwrap();
    assert!(shop.is_being_restored().await);
    open(&browser, &shop.file).await;
    browser.click("#show-changes:enabled").await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "restore-running", "{}", failed.text);
    assert!(browser.text("#in-the-way").await.contains(&server.login.0));
    browser.shot("restore-running").await;
    browser.click("#insist").await;
    restoring::previewed(&browser).await;
    browser.click("#preview-back").await;
    shop.no_session_is_left().await;
    shop.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_still_told() {
    let Some(browser) = Browser::start().await else { return };
    let (_server, shop, proxy) = signed_in(&browser).await;
    open(&browser, &shop.file).await;
    preview(&browser).await;
    proxy.rule("POST", "/commit", 0, 1, Fault::DropAnswer);
    restoring::confirm(&browser, &[WORD]).await;
    let shown = done(&browser).await;
    assert!(shown.contains("removed"), "{shown}");
    shop.assert_restored().await;
    assert_eq!(proxy.count("/restore-points/"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_whose_answer_is_lost_is_still_told_and_happens_once() {
    let Some(browser) = Browser::start().await else { return };
    let (_server, shop, proxy) = signed_in(&browser).await;
    open(&browser, &shop.file).await;
    restoring::choose(&browser, "identical", &["articles"]).await;
    preview(&browser).await;
    restoring::confirm(&browser, &[]).await;
    done(&browser).await;
    proxy.rule("POST", "/activate", 0, 1, Fault::DropAnswer);
    browser.click("#undo").await;
    restoring::previewed(&browser).await;
    restoring::confirm(&browser, &[]).await;
    done(&browser).await;
    shop.assert_untouched().await;
    assert_eq!(proxy.count("/activate"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_changes_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let Some((server, disk)) = Killable::start_on_disk(SERVER, 96 << 20).await else { return };
    let login = demo_login();
    let shop = Shop::new(&server.url, &login).await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &login).await;

    // While documents are sent.
    begin(&browser, &proxy, &shop).await;
    disk.fill();
    proxy.heal();
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "server-full", "{}", failed.text);
    browser.shot("restore-server-full").await;
    disk.free();
    shop.assert_untouched().await;

    // Before the commit, which writes little: it may still find room in what the database has already.
    browser.click("#error-again").await;
    restoring::previewed(&browser).await;
    proxy.rule("POST", "/commit", 0, 1, Fault::Hold);
    restoring::confirm(&browser, &[WORD]).await;
    proxy.held().await;
    disk.fill();
    proxy.heal();
    let panel = browser.find("#restored, #error").await;
    let full = panel.attr("id").await.unwrap().as_deref() == Some("error");
    disk.free();
    if full {
        assert_eq!(page::failed(&browser).await.kind, "server-full");
        shop.assert_untouched().await;
    } else {
        shop.assert_restored().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_dropped_on_the_page_is_opened_and_one_of_another_kind_is_not() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let shop = Shop::new(&server.url, &server.login).await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.click("#view-restore").await;
    let notes = shop.file.with_file_name("notes.txt");
    std::fs::write(&notes, "milk, eggs").unwrap();
    browser.drop_on(".drop", &notes).await;
    assert_eq!(page::failed(&browser).await.kind, "not-an-archive");
    browser.click("#error-dismiss").await;
    browser.drop_on(".drop", &shop.file).await;
    browser.find("#restore-facts").await;
    restoring::choose(&browser, "identical", &["articles"]).await;
    let shown = preview(&browser).await;
    assert!(shown.contains("1 exist"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_around_the_commit_has_done_it_or_not() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Killable::start(SERVER).await;
    let login = demo_login();
    let shop = Shop::new(&server.url, &login).await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &login).await;

    // Before it: the server is back without the session, and nothing has changed.
    open(&browser, &shop.file).await;
    preview(&browser).await;
    proxy.rule("POST", "/commit", 0, 1, Fault::Hold);
    restoring::confirm(&browser, &[WORD]).await;
    proxy.held().await;
    browser.shot("committing").await;
    server.kill();
    server.restart(SERVER);
    proxy.heal();
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "restore-gone", "{}", failed.text);
    browser.shot("restore-gone").await;
    shop.assert_untouched().await;

    // After it, before the answer: the server knows, and the page says so.
    browser.click("#error-again").await;
    restoring::previewed(&browser).await;
    proxy.rule("POST", "/commit", 0, EVER, Fault::DropAnswer);
    proxy.rule("GET", "/backup/restores/", 0, 1, Fault::Hold);
    restoring::confirm(&browser, &[WORD]).await;
    proxy.held().await;
    server.kill();
    server.restart(SERVER);
    proxy.heal();
    done(&browser).await;
    shop.assert_restored().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_reloaded_during_the_commit_tells_afterwards_what_became_of_it() {
    let Some(browser) = Browser::start().await else { return };
    let (_server, shop, proxy) = signed_in(&browser).await;
    open(&browser, &shop.file).await;
    preview(&browser).await;
    proxy.rule("POST", "/commit", 0, EVER, Fault::DropAnswer);
    proxy.rule("GET", "/backup/restores/", 0, EVER, Fault::Hold);
    restoring::confirm(&browser, &[WORD]).await;
    proxy.held().await;
    browser.client.refresh().await.unwrap();
    proxy.heal();
    done(&browser).await;
    shop.assert_restored().await;
}
