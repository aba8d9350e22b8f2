//! The workers that compress parts, when they die, fall silent or do not start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::page::{self, assert_nothing_kept};
use dikas_e2e::proxy::{Fault, IN_A_WORKER, Proxy};
use dikas_e2e::server::Local;
use dikas_e2e::until;
use hyper::StatusCode;

/// Stands in every worker of the engine: an encoder asks the proxy what to do when it starts and before each part.
const SCRIPT: &str = r#"
    let encodes;
    addEventListener("message", (event) => {
      encodes ??= event.data.role === "encoder";
      if (!encodes) return;
      const deed = ask(event.data.role ? "/encoder-starts" : "/encoder-gets-a-part");
      if (deed) event.stopImmediatePropagation();
      if (deed === "trap") trap();
      if (deed === "close") close();
      if (deed === "hang") for (;;);
    });
"#;

/// The two minutes that one may be silent, and the half that one may load, are a second.
const HASTE: &str = r#"
    const wait = setTimeout;
    globalThis.setTimeout = (then, ms, ...rest) => wait(then, ms === 120_000 || ms === 30_000 ? 1000 : ms, ...rest);
"#;

const EVER: usize = usize::MAX;
const STARTS: &str = "/encoder-starts";
const PART: &str = "/encoder-gets-a-part";

async fn open(browser: &Browser, server: &Local, haste: &str) -> Proxy {
    let proxy = Proxy::start(&server.url).await;
    set_up(&proxy, haste);
    page::sign_in(browser, &proxy.url, &server.login).await;
    proxy
}

/// Forgets all other rules.
fn set_up(proxy: &Proxy, haste: &str) {
    proxy.heal();
    proxy.rule("GET", "/engine/worker.js", 0, EVER, Fault::Before(format!("{IN_A_WORKER}{SCRIPT}{haste}")));
}

fn deed(what: &str) -> Fault {
    Fault::Answer(StatusCode::OK, what.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_dies_or_falls_silent_is_replaced_and_its_part_done_again() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = open(&browser, &server, HASTE).await;
    for what in ["trap", "close", "hang"] {
        set_up(&proxy, HASTE);
        proxy.rule("GET", PART, 2, 1, deed(what));
        let (started, parts) = (proxy.count(STARTS), proxy.count(PART));
        page::start(&browser).await;
        page::finished(&browser).await;
        check_archive(&page::download(&browser).await, &api.everything().await);
        assert_eq!(proxy.count(STARTS) - started, 2, "{what}: a month needs one, and one in its place");
        assert!(proxy.count(PART) - parts > 10, "{what}");
        browser.click("#another").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ends_two_of_them_ends_the_backup_with_a_word() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let proxy = open(&browser, &server, HASTE).await;
    proxy.rule("GET", PART, 2, 2, deed("trap"));
    page::start(&browser).await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "internal", "{}", failed.text);
    assert!(failed.text.contains("2 attempts") && failed.text.contains("unreachable"), "{}", failed.text);
    assert_eq!(proxy.count(STARTS), 2);
    assert_nothing_kept(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_none_starts_the_backup_is_made_without() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = open(&browser, &server, HASTE).await;
    for what in ["trap", "close"] {
        set_up(&proxy, HASTE);
        proxy.rule("GET", STARTS, 0, EVER, deed(what));
        page::start(&browser).await;
        page::finished(&browser).await;
        check_archive(&page::download(&browser).await, &api.everything().await);
        assert_eq!(proxy.count(PART), 0, "{what}");
        browser.click("#another").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_ready_before_the_snapshot_is_and_a_cancel_does_not_wait_for_it() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let proxy = open(&browser, &server, "").await;
    browser.find("tr[data-category]").await;
    proxy.rule("POST", "/backup/snapshots", 0, 1, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    until("an encoder that starts", async || (proxy.count(STARTS) == 1).then_some(())).await;
    assert!(proxy.is_holding(), "the snapshot is still awaited");
    proxy.release();
    page::finished(&browser).await;
    assert_eq!(proxy.count(STARTS), 1);
    browser.click("#archives [data-action=remove]").await;
    browser.click("#answer-yes").await;

    // The next one does not become ready, and may take half a minute.
    set_up(&proxy, "");
    proxy.rule("GET", STARTS, 0, EVER, Fault::Hold);
    let pages = proxy.count("/documents/");
    page::start(&browser).await;
    proxy.held().await;
    until("documents that wait for it", async || (proxy.count("/documents/") > pages + 1).then_some(()))
        .await;
    browser.click("#cancel").await;
    assert_eq!(page::failed(&browser).await.kind, "cancelled");
    assert_nothing_kept(&browser).await;
}
