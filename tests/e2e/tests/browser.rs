//! The main job, clicked in a real browser: the archive that comes out is judged by programs that know nothing of this
//! project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::server::Local;
use dikas_e2e::tools::sha256sum;
use dikas_e2e::{awkward, native, page, sample, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_clicked_watched_downloaded_whole_and_the_same_as_natively() {
    let server = Local::demo().await;
    let api = server.api().await;
    // Browser, native job and this test read the very same snapshot.
    let proxy = Proxy::start(&server.url).await;
    let snapshot = api.open_snapshot().await;
    proxy.pin(&snapshot);

    let Some(browser) = Browser::start().await else { return };
    page::sign_in(&browser, &proxy.url, &server.login).await;
    browser.shot("ready").await;
    watch_progress(&browser).await;
    // Each phase is held up until it can be seen: on a fast machine they fly past.
    proxy.rule("GET", "/documents/receipts", 0, 1, Fault::Hold);
    proxy.rule("GET", "/blobs/", 3, 1, Fault::Hold);
    page::start(&browser).await;
    for phase in ["Fetching and compressing", "Fetching pictures"] {
        proxy.held().await;
        until(phase, async || browser.text("#phase").await.starts_with(phase).then_some(())).await;
        browser.shot(phase).await;
        proxy.release();
        until("the request to go on", async || (!proxy.is_holding()).then_some(())).await;
    }
    let shown = page::finished(&browser).await;
    browser.shot("result").await;
    check_progress(&browser).await;

    let file = page::download(&browser).await;
    let served = api.read(&snapshot).await;
    check_archive(&file, &served);
    assert_eq!(shown.sha256, sha256sum(&file));
    assert_eq!(shown.name, file.file_name().unwrap().to_str().unwrap());
    let documents: u64 = snapshot.collections.iter().map(|it| it.documents).sum();
    assert_eq!(shown.documents, documents.to_string());
    assert_eq!(shown.files, served.attachments.len().to_string());

    let natively = file.with_extension("native.zip");
    native::backup(&proxy.url, &server.login, &natively).await.unwrap();
    assert!(
        std::fs::read(&natively).unwrap() == std::fs::read(&file).unwrap(),
        "the same snapshot, the same bytes"
    );

    // It is still there after a reload, until the person removes it.
    browser.client.refresh().await.unwrap();
    browser.click("#archives [data-action=download]").await;
    let again = browser.downloaded(".zip").await;
    assert_eq!(sha256sum(&again), shown.sha256);
    browser.click("#archives [data-action=remove]").await;
    browser.click("#answer-yes").await;
    until("the list to be empty", async || browser.visible("#archives > li").await.is_none().then_some(()))
        .await;
    page::assert_nothing_kept(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_opened_and_comes_back_out_of_a_server_line_by_line_and_file_by_file() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let unpacked = sample::unpacked().unwrap();
    let server = Local::start().await;
    let api = server.api().await;
    sample::load(&api, &unpacked).await;

    browser.goto(&server.url).await;
    let input = browser.client.find(fantoccini::Locator::Css("#file")).await.unwrap();
    input.send_keys(file.to_str().unwrap()).await.unwrap();
    let text = browser.text("#opened").await;
    browser.shot("sample").await;
    for part in ["21,892", "72", "pizzeria-2015.zip"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let rows =
        browser.run("return document.querySelectorAll('#opened tr[data-collection]').length", vec![]).await;
    assert_eq!(rows, 8, "{text}");

    page::sign_in(&browser, &server.url, &server.login).await;
    page::start(&browser).await;
    page::finished(&browser).await;
    let file = page::download(&browser).await;
    let backup = check_archive(&file, &api.everything().await);
    sample::compare(&unpacked, &backup);
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_documents_and_names_come_out_as_they_went_in() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    let api = server.api().await;
    let awkward = awkward::load(&api).await;
    page::sign_in(&browser, &server.url, &server.login).await;
    page::start(&browser).await;
    page::finished(&browser).await;
    let file = page::download(&browser).await;
    let backup = check_archive(&file, &api.everything().await);
    awkward.compare(&backup);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_plain_http_under_another_name_it_works_without_the_file_system() {
    let Some(browser) = Browser::start_with(&["--host-resolver-rules=MAP dikas.test 127.0.0.1"]).await else {
        return;
    };
    let server = Local::demo().await;
    let api = server.api().await;
    let url = server.url.replace("127.0.0.1", "dikas.test");
    page::sign_in(&browser, &url, &server.login).await;
    let secure =
        browser.run("return isSecureContext || 'getDirectory' in (navigator.storage ?? {})", vec![]).await;
    assert_eq!(secure, false, "this should be the case of a tablet in the restaurant");
    page::start(&browser).await;
    let shown = page::finished(&browser).await;
    browser.shot("plain-http").await;
    browser.find("#insecure").await;
    browser.keep_downloads().await;
    let file = page::download(&browser).await;
    assert_eq!(sha256sum(&file), shown.sha256);
    check_archive(&file, &api.everything().await);
}

/// Notes what the page shows of the progress, whenever it changes.
async fn watch_progress(browser: &Browser) {
    let script = "window.noted = [];
        new MutationObserver(() => {
          const bar = document.querySelector('#progress');
          if (bar) noted.push([bar.value, document.querySelector('#phase').textContent]);
        }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });";
    browser.run(script, vec![]).await;
}

async fn check_progress(browser: &Browser) {
    let noted: Vec<(f64, String)> =
        serde_json::from_value(browser.run("return noted", vec![]).await).unwrap();
    assert!(noted.is_sorted_by(|one, next| one.0 <= next.0), "the bar went back: {noted:?}");
    assert!(noted.last().unwrap().0 > 0.5, "the bar never came far: {noted:?}");
    // A bar at 100 % while there is work left is a lie.
    let full = noted.iter().find(|(value, text)| *value >= 1.0 && !text.starts_with("Reading"));
    assert_eq!(full, None);
}
