//! The admin page as a person uses it, by the hooks that `www/app/main.js` promises.

use crate::LONG;
use crate::browser::Browser;
use crate::devtools::{Peak, Watcher};
use std::path::PathBuf;
use std::time::Duration;

/// What the page says of a finished backup.
#[derive(Debug)]
pub struct Shown {
    /// Hex digits.
    pub sha256: String,
    /// The file's name.
    pub name: String,
    /// Digits of the number of documents.
    pub documents: String,
    /// Digits of the number of files.
    pub files: String,
}

/// What the page says of a failure.
#[derive(Debug)]
pub struct Failed {
    /// The stable kind.
    pub kind: String,
    /// All of the panel, technical details included.
    pub text: String,
}

/// Opens the page in English and signs in.
pub async fn sign_in(browser: &Browser, url: &str, (username, password): &(String, String)) {
    browser.goto(&format!("{url}/")).await;
    browser.fill("#username", username).await;
    browser.fill("#password", password).await;
    browser.click("#login").await;
    browser.find("#create-backup").await;
}

/// Starts a backup as soon as the page has said what will be in it.
pub async fn start(browser: &Browser) {
    browser.find("tr[data-category]").await;
    browser.click("#create-backup").await;
}

/// Waits until a backup has ended well; a failure of it fails the test.
pub async fn finished(browser: &Browser) -> Shown {
    finished_within(LONG, browser).await
}

/// The same with another patience.
pub async fn finished_within(patience: Duration, browser: &Browser) -> Shown {
    let panel = browser.find_within(patience, "#result, #error").await;
    if panel.attr("id").await.unwrap().as_deref() == Some("error") {
        let failed = failed(browser).await;
        panic!("the backup failed: {failed:?}\n{}", browser.console().await);
    }
    let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect();
    Shown {
        sha256: browser.text("#sha256").await,
        name: browser.text("#result-name").await,
        documents: digits(browser.text("#result-documents").await),
        files: digits(browser.text("#result-files").await),
    }
}

/// Makes a backup from the beginning to the end, and says what memory it took at most.
pub async fn watched(patience: Duration, browser: &Browser) -> (Shown, Peak) {
    browser.find("tr[data-category]").await;
    let watcher = Watcher::start(browser).await;
    start(browser).await;
    let shown = finished_within(patience, browser).await;
    (shown, watcher.stop())
}

/// Follows the download link of a finished backup.
pub async fn download(browser: &Browser) -> PathBuf {
    download_within(LONG, browser).await
}

/// The same with another patience.
pub async fn download_within(patience: Duration, browser: &Browser) -> PathBuf {
    browser.click("#download[href]").await;
    browser.downloaded_within(patience, ".zip").await
}

/// Waits until a backup has failed, and checks that the panel says what happened and what to do.
pub async fn failed(browser: &Browser) -> Failed {
    let panel = browser.find("#error").await;
    let kind = panel.attr("data-kind").await.unwrap().expect("a kind");
    // The details are folded away; textContent has them all the same.
    let text = browser.run("return document.querySelector('#error').textContent", vec![]).await;
    for part in ["#error h1", "#error .lead", "#error .todo"] {
        assert!(browser.text(part).await.len() > 8, "{part} says nothing: {text}");
    }
    Failed { kind, text: text.as_str().unwrap().to_owned() }
}

/// After a failure or a cancel there is nothing that looks whole: no archive in the list, no ZIP in the storage.
pub async fn assert_nothing_kept(browser: &Browser) {
    assert!(browser.visible("#archives > [data-archive]").await.is_none(), "an archive is listed");
    assert!(browser.visible("#download").await.is_none(), "a download is offered");
    let kept = browser.storage().await;
    assert!(kept.iter().all(|(_, _, whole)| !whole), "something in the storage looks whole: {kept:?}");
    assert!(
        kept.iter().all(|(path, ..)| !path.ends_with(".json")),
        "a record of an archive is left: {kept:?}"
    );
}
