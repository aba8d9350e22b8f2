//! Where an archive is put together: in the browser's file system, in its memory, or by the server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::page;
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::server::Local;
use dikas_e2e::tools::sha256sum;
use dikas_e2e::until;
use hyper::StatusCode;
use serde_json::json;

const EVER: usize = usize::MAX;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_memory_is_made_by_the_server() {
    let Some(browser) = Browser::start_with(&["--host-resolver-rules=MAP dikas.test 127.0.0.1"]).await else {
        return;
    };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    // The server says that there are 2 GB of files: nobody has to make them.
    let mut snapshot = api.open_snapshot().await;
    snapshot.collections[0].attachment_bytes += 2 << 30;
    let said = json!({ "data": snapshot, "isSuccess": true, "message": null, "errors": [] }).to_string();
    proxy.rule("POST", "/backup/snapshots", 0, EVER, Fault::Answer(StatusCode::CREATED, said));

    page::sign_in(&browser, &proxy.url.replace("127.0.0.1", "dikas.test"), &server.login).await;
    browser.keep_downloads().await;
    browser.find("#room[data-place=server]").await;
    browser.shot("too-large-for-memory").await;
    proxy.rule("GET", "/backup/jobs/", 0, 1, Fault::Hold);
    page::start(&browser).await;
    browser.find("#notices > [data-code=on-server]").await;
    browser.shot("on-server").await;
    proxy.held().await;
    proxy.release();
    let shown = page::finished(&browser).await;
    browser.shot("on-server-result").await;
    let file = page::download(&browser).await;
    assert_eq!(sha256sum(&file), shown.sha256);
    check_archive(&file, &api.everything().await);

    // It is there after a reload, until the person removes it.
    browser.client.refresh().await.unwrap();
    browser.click("#archives [data-action=download]").await;
    assert_eq!(sha256sum(&browser.downloaded(".zip").await), shown.sha256);
    browser.click("#archives [data-action=remove]").await;
    browser.click("#answer-yes").await;
    until("the list to be empty", async || browser.visible("#archives > li").await.is_none().then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_browser_has_no_room_the_server_can_be_asked() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    let quota = json!({ "origin": server.url, "quotaSize": 1_000_000 });
    browser.cdp("Storage.overrideQuotaForOrigin", quota).await;
    page::start(&browser).await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "no-space", "{}", failed.text);
    page::assert_nothing_kept(&browser).await;
    browser.shot("no-space").await;
    browser.click("#error-server").await;
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
}
