//! Trouble on the device that makes the backup: no room, a tab that is closed, a worker that dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::devtools::Line;
use dikas_e2e::fill;
use dikas_e2e::page::{self, assert_nothing_kept};
use dikas_e2e::proxy::{Fault, IN_A_WORKER, Proxy};
use dikas_e2e::server::Local;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::time::Instant;

const EVER: usize = usize::MAX;
const MIDDLE: &str = "/documents/receipts";
const MB: u64 = 1_000_000;

/// What a person sees of the failure.
async fn said(browser: &Browser, what: &str, start: Instant) -> String {
    let said = browser.text("#error").await.replace('\n', " ");
    println!("| {what} | {:.1} s | {said} |", start.elapsed().as_secs_f64());
    assert!(said.contains("Nothing on the server was changed"), "{what}: {said}");
    said
}

/// What the origin of the page may store from now on; null means as much as ever.
async fn quota(browser: &Browser, origin: &str, bytes: Option<u64>) {
    let mut params = json!({ "origin": origin });
    if let Some(bytes) = bytes {
        params["quotaSize"] = bytes.into();
    }
    browser.cdp("Storage.overrideQuotaForOrigin", params).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_room_is_said_before_in_numbers_and_in_the_middle() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    let api = server.api().await;
    api.put_document("expenses", "exp_1", r#"{"_id":"exp_1","documentType":"Spending"}"#).await;
    fill::attachments(&api, "expenses", "exp_1", 0..24, |number| fill::noise(number, 1 << 20)).await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;

    // Before it starts.
    browser.find("tr[data-category]").await;
    quota(&browser, &proxy.url, Some(20 * MB)).await;
    let start = Instant::now();
    page::start(&browser).await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "no-space", "{}", failed.text);
    let text = said(&browser, "a quota that is too small", start).await;
    let sizes: Vec<f64> = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .windows(2)
        .filter(|pair| pair[1].starts_with("MB"))
        .map(|pair| pair[0].parse().expect("a size"))
        .collect();
    let [need, free] = sizes[..] else { panic!("two sizes: {text}") };
    assert!((50.0..60.0).contains(&need) && (15.0..=20.0).contains(&free), "{text}");
    assert!(text.contains("Make room"), "{text}");
    assert_eq!(proxy.count("/documents/"), 0, "nothing is fetched that there is no room for");
    assert_nothing_kept(&browser).await;
    browser.shot("no-space-before").await;
    browser.click("#language").await;
    browser.shot("no-space-before-de").await;
    let german = browser.text("#error .lead").await;
    assert!(german.contains("MB") && german.contains("frei"), "{german}");
    browser.click("#language").await;

    // In the middle: over the files, of which the server had announced less, and over the record of the archive. What was
    // found to be free before, Chromium has set aside.
    let mut snapshot = api.open_snapshot().await;
    let expenses = snapshot.collections.iter_mut().find(|it| it.name.as_str() == "expenses").unwrap();
    expenses.attachment_bytes = 5 << 20;
    let framed = json!({ "data": snapshot, "isSuccess": true, "message": null, "errors": [] }).to_string();
    let forged = Fault::Answer(StatusCode::CREATED, framed);
    for (what, times) in [("a device that fills up over the files", 1), ("one that fills up at the end", 0)] {
        quota(&browser, &proxy.url, None).await;
        proxy.heal();
        proxy.rule("POST", "/backup/snapshots", 0, times, forged.clone());
        proxy.rule("GET", "/blobs/", 8, 1, Fault::Hold);
        let start = Instant::now();
        browser.click("#error-again").await;
        proxy.held().await;
        quota(&browser, &proxy.url, Some(4 * MB)).await;
        proxy.release();
        let failed = page::failed(&browser).await;
        assert_eq!(failed.kind, "no-space", "{what}: {}", failed.text);
        assert_eq!(failed.text.contains("beleg_"), times > 0, "{what}: {}", failed.text);
        let text = said(&browser, what, start).await;
        assert!(text.contains("Make room"), "{text}");
        assert_nothing_kept(&browser).await;
        let stored: u64 = browser.storage().await.iter().map(|(_, size, _)| size).sum();
        assert_eq!(stored, 0, "what was written takes no room any more");
        browser.shot("no-space-middle").await;
    }

    // With room again, the next one is whole.
    proxy.heal();
    quota(&browser, &proxy.url, None).await;
    browser.click("#error-again").await;
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
}

const DIALOG: &str = "Page.javascriptDialogOpening";
const ANSWERED: &str = "Page.javascriptDialogClosed";
const LOADED: &str = "Page.loadEventFired";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_closes_the_page_of_a_running_backup_is_asked_first() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    let mut line = Line::to(&browser).await;
    line.send("Page.enable", json!({}));
    let asked = |line: &mut Line| -> Value {
        let (_, dialog) = line.event(&[DIALOG]);
        assert_eq!(dialog["type"], "beforeunload", "{dialog}");
        dialog
    };

    // Closed, and thought better of.
    proxy.rule("GET", MIDDLE, 0, 1, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    line.send("Page.close", json!({}));
    asked(&mut line);
    line.send("Page.handleJavaScriptDialog", json!({ "accept": false }));
    assert_eq!(line.event(&[ANSWERED]).1["result"], false);
    proxy.release();
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);

    // An archive that lies in the browser's storage holds nobody up, nor does a page that does nothing.
    for removes in [true, false] {
        line.send("Page.reload", json!({}));
        assert_eq!(line.event(&[DIALOG, LOADED]).0, LOADED);
        browser.find("tr[data-category]").await;
        if removes {
            browser.click("#archives [data-action=remove]").await;
            browser.click("#answer-yes").await;
            let gone = async || browser.visible("#archives > li").await.is_none().then_some(());
            dikas_e2e::until("the list to be empty", gone).await;
        }
    }

    // Left all the same.
    proxy.rule("GET", MIDDLE, 0, 1, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    line.send("Page.reload", json!({}));
    asked(&mut line);
    line.send("Page.handleJavaScriptDialog", json!({ "accept": true }));
    line.event(&[LOADED]);
    browser.find("#create-backup").await;
    assert_nothing_kept(&browser).await;
    proxy.heal();
    page::start(&browser).await;
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
}

const GOES_ON: &str = "/job-goes-on";

/// Stands in every worker of the engine: that of a job asks the proxy what to do whenever it reports documents. It says
/// more often that it lives.
const SCRIPT: &str = r#"{
  const [post, every] = [postMessage.bind(globalThis), setInterval];
  globalThis.setInterval = (then, ms, ...rest) => every(then, ms === 5_000 ? 100 : ms, ...rest);
  globalThis.postMessage = (message, ...rest) => {
    post(message, ...rest);
    if (message.event?.progress?.phase !== "documents") return;
    const deed = ask("/job-goes-on");
    // The engine asks for the time without catching what that may throw: as if it had trapped by itself.
    if (deed === "trap") Date.now = trap;
    if (deed === "close") close();
    if (deed === "hang") for (;;);
  };
}
"#;

/// The page looks at its workers every half a second instead of every ten.
const HASTE: &str = "{
  const every = setInterval;
  globalThis.setInterval = (then, ms, ...rest) => every(then, ms === 10_000 ? 500 : ms, ...rest);
}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_dies_or_falls_silent_ends_with_a_word() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let proxy = Proxy::start(&server.url).await;
    let set_up = || {
        proxy.heal();
        proxy.rule("GET", "/engine/worker.js", 0, EVER, Fault::Before(format!("{IN_A_WORKER}{SCRIPT}")));
        proxy.rule("GET", "/engine/index.js", 0, EVER, Fault::Before(HASTE.to_owned()));
    };
    set_up();
    page::sign_in(&browser, &proxy.url, &server.login).await;
    for (deed, word) in [("close", "silent for 120 seconds"), ("hang", "silent"), ("trap", "unreachable")] {
        set_up();
        proxy.rule("GET", GOES_ON, 0, 1, Fault::Answer(StatusCode::OK, deed.to_owned()));
        page::start(&browser).await;
        let start = Instant::now();
        let failed = page::failed(&browser).await;
        assert_eq!(failed.kind, "internal", "{deed}: {}", failed.text);
        assert!(failed.text.contains(word), "{deed}: {}", failed.text);
        said(&browser, &format!("the worker of the job: {deed}"), start).await;
        assert_nothing_kept(&browser).await;
        browser.shot(&format!("job-worker-{deed}")).await;
        browser.click("#error-dismiss").await;
    }

    // One that has long nothing to report is not silent, and the next backup is whole.
    set_up();
    proxy.rule("GET", MIDDLE, 0, 1, Fault::Hold);
    page::start(&browser).await;
    proxy.held().await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    proxy.release();
    page::finished(&browser).await;
    check_archive(&page::download(&browser).await, &api.everything().await);
}
