//! Trouble, met through the page: the person is told what happened and what to do, and never holds a file that only
//! looks whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::page::{self, assert_nothing_kept};
use dikas_e2e::proxy::{Fault, Proxy, failure};
use dikas_e2e::server::{Killable, Local, demo_login};
use hyper::StatusCode;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");
const EVER: usize = usize::MAX;

/// Somewhere in the middle of a backup: the pages of the largest collection, after those before it.
const MIDDLE: &str = "/documents/receipts";

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_in_the_middle_nothing_is_left() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;

    proxy.rule("GET", MIDDLE, 0, EVER, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    browser.find("#running").await;
    browser.shot("running").await;
    // The server never answers: cancelling must not wait for it.
    browser.click("#cancel").await;
    assert_eq!(page::failed(&browser).await.kind, "cancelled");
    browser.shot("cancelled").await;
    assert_nothing_kept(&browser).await;

    // And nothing stands in the way of the next one.
    proxy.heal();
    browser.click("#create-backup").await;
    page::finished(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_cut_between_two_lines_is_noticed() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;

    for fault in [Fault::CutAtLine, Fault::CutAtLineAndStrip] {
        proxy.heal();
        proxy.rule("GET", MIDDLE, 0, EVER, fault);
        page::start(&browser).await;
        let failed = page::failed(&browser).await;
        assert_eq!(failed.kind, "bad-answer", "{}", failed.text);
        assert!(failed.text.contains("receipts"), "which collection? {}", failed.text);
        assert_nothing_kept(&browser).await;
        browser.shot("bad-answer").await;
        browser.click("#error-dismiss").await;
    }

    // Cut once, it is asked for again, and the backup is whole.
    proxy.heal();
    proxy.rule("GET", MIDDLE, 0, 1, Fault::CutAtLine);
    page::start(&browser).await;
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out_in_the_middle_is_renewed_or_asked_for() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;

    // The access token alone: nobody notices.
    proxy.rule("GET", MIDDLE, 0, EVER, Fault::RefuseToken);
    page::start(&browser).await;
    page::finished(&browser).await;
    assert_eq!(proxy.count("POST /api/v1/auth/refresh"), 1);
    check_archive(&page::download(&browser).await, &api.everything().await);
    browser.click("#another").await;

    // The refresh token too: the person signs in again, and the backup goes on where it stopped.
    proxy.heal();
    let ended = Fault::Answer(StatusCode::UNAUTHORIZED, failure("unauthorized", "the login has ended"));
    proxy.rule("POST", "/auth/refresh", 0, EVER, ended.clone());
    proxy.rule("GET", MIDDLE, 0, EVER, Fault::RefuseToken);
    browser.find("tr[data-category]").await;
    let before = proxy.count("POST /api/v1/backup/snapshots");
    page::start(&browser).await;
    browser.find("dialog #password").await;
    browser.shot("sign-in-again").await;
    browser.fill("dialog #username", &server.login.0).await;
    browser.fill("dialog #password", &server.login.1).await;
    browser.click("dialog #login").await;
    page::finished(&browser).await;
    assert_eq!(proxy.count("POST /api/v1/backup/snapshots"), before + 1, "it went on and did not start over");
    check_archive(&page::download(&browser).await, &api.everything().await);
    // The archive of before goes when the next one starts: what is left below is not of a failure.
    remove_archive(&browser).await;

    // Or gives up.
    proxy.heal();
    proxy.rule("POST", "/auth/refresh", 0, EVER, ended);
    proxy.rule("GET", MIDDLE, 0, EVER, Fault::RefuseToken);
    page::start(&browser).await;
    browser.click("dialog #give-up").await;
    assert_eq!(page::failed(&browser).await.kind, "unauthorized");
    assert_nothing_kept(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_waited_for_and_given_up_in_the_end() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Killable::start(SERVER).await;
    let login = demo_login();
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &login).await;

    // Back with its data, but the snapshot is gone: the backup starts over, and says so.
    browser.find("tr[data-category]").await;
    let before = proxy.count("POST /api/v1/backup/snapshots");
    proxy.rule("GET", MIDDLE, 0, 1, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    server.kill();
    proxy.release();
    browser.find("#notices > [data-code=waiting]").await;
    // Held up once more, so that what the page says can be seen.
    proxy.rule("GET", "/blobs/", 0, 1, Fault::Hold);
    server.restart(SERVER);
    proxy.held().await;
    browser.find("#notices > [data-code=started-over]").await;
    browser.shot("started-over").await;
    proxy.release();
    page::finished(&browser).await;
    assert!(proxy.count("POST /api/v1/backup/snapshots") >= before + 2);
    let api = dikas_e2e::api::Api::login(&server.url, &login.0, &login.1).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
    remove_archive(&browser).await;

    // Gone for good.
    proxy.heal();
    proxy.rule("GET", MIDDLE, 0, 1, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    server.kill();
    proxy.release();
    browser.find("#notices > [data-code=waiting]").await;
    browser.shot("waiting").await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "unreachable", "{}", failed.text);
    browser.shot("unreachable").await;
    assert_nothing_kept(&browser).await;
    // A server that is gone is no reason to call the browser too old, nor to lose the icons.
    browser.find("tr[data-category]").await;
    browser.find("#create-backup").await;
    let icons = "return [...document.querySelectorAll('svg.icon')].filter((it) => it.checkVisibility())
        .map((it) => it.getBBox().width)";
    let widths: Vec<f64> = serde_json::from_value(browser.run(icons, vec![]).await).unwrap();
    assert!(!widths.is_empty() && widths.iter().all(|width| *width > 0.0), "{widths:?}");
}

/// Removes what the last backup left, so that what is there later is of the next one.
async fn remove_archive(browser: &Browser) {
    browser.click("#archives [data-action=remove]").await;
    browser.click("#answer-yes").await;
    browser.find("#create-backup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_between_page_and_server_has_words_of_its_own() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let proxy = Proxy::start(&server.url).await;
    browser.goto(&format!("{}/", proxy.url)).await;
    let page = "<html><h1>nginx</h1></html>";
    let faults = [
        (StatusCode::TEMPORARY_REDIRECT, "redirected", "https://"),
        (StatusCode::BAD_GATEWAY, "gateway", "behind it does not"),
        (StatusCode::GATEWAY_TIMEOUT, "gateway", "behind it does not"),
        (StatusCode::SERVICE_UNAVAILABLE, "gateway", "behind it does not"),
        (StatusCode::PAYLOAD_TOO_LARGE, "proxy-limit", "client_max_body_size"),
    ];
    for (status, kind, words) in faults {
        proxy.heal();
        proxy.rule("POST", "/auth/login", 0, EVER, Fault::Answer(status, page.to_owned()));
        browser.fill("#username", &server.login.0).await;
        browser.fill("#password", &server.login.1).await;
        browser.click("#login").await;
        let problem = browser.find(&format!("#login-problem[data-kind={kind}]")).await;
        assert!(problem.text().await.unwrap().contains(words), "{status}");
    }
    proxy.heal();
    let refusal = r#"{"isSuccess":false,"message":"no","errors":[{"code":"cross-site","message":"no"}]}"#;
    proxy.rule("POST", "/auth/login", 0, EVER, Fault::Answer(StatusCode::FORBIDDEN, refusal.to_owned()));
    browser.fill("#username", &server.login.0).await;
    browser.fill("#password", &server.login.1).await;
    browser.click("#login").await;
    let problem = browser.find("#login-problem[data-kind=cross-site]").await;
    assert!(problem.text().await.unwrap().contains("access.allowed_origins"));

    // The engine says the same, and asks once where asking again helps nobody.
    proxy.heal();
    page::sign_in(&browser, &proxy.url, &server.login).await;
    for (status, kind) in
        [(StatusCode::PERMANENT_REDIRECT, "redirected"), (StatusCode::PAYLOAD_TOO_LARGE, "proxy-limit")]
    {
        proxy.rule("GET", MIDDLE, 0, EVER, Fault::Answer(status, page.to_owned()));
        let before = proxy.count(MIDDLE);
        page::start(&browser).await;
        assert_eq!(page::failed(&browser).await.kind, kind);
        assert_eq!(proxy.count(MIDDLE) - before, 1);
        assert_nothing_kept(&browser).await;
        browser.click("#error-dismiss").await;
        proxy.heal();
    }
}
