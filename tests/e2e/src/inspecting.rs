//! The Inspect view as a person uses it, by the hooks that `www/app/main.js` promises.

use crate::browser::Browser;
use crate::server::Local;
use crate::tools::unzip;
use crate::{native, until};
use fantoccini::Locator;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Goes to the view and picks a file there, without waiting for what comes of it.
pub async fn pick(browser: &Browser, file: &Path) {
    browser.click("#view-inspect").await;
    browser.find("#inspect-title").await;
    choose(browser, "#inspect-file", file).await;
}

/// Picks a file in this field.
pub async fn choose(browser: &Browser, field: &str, file: &Path) {
    let input = until(field, async || browser.client.find(Locator::Css(field)).await.ok()).await;
    input.send_keys(file.to_str().unwrap()).await.unwrap();
}

/// Picks a file, and waits until it is open; a failure fails the test. What the page says of it.
pub async fn open(browser: &Browser, file: &Path) -> String {
    pick(browser, file).await;
    let panel = browser.find("#inspected, #inspect-error").await;
    let text = panel.text().await.unwrap();
    let id = panel.attr("id").await.unwrap();
    assert_eq!(id.as_deref(), Some("inspected"), "{text}\n{}", browser.console().await);
    text
}

/// Goes to a collection, and waits for its first row.
pub async fn collection(browser: &Browser, name: &str) {
    browser.click("#room-contents").await;
    browser.click(&format!("#contents tr[data-collection={name}] a")).await;
    row(browser, 0).await;
}

/// The cells of a row, as soon as they are there.
pub async fn row(browser: &Browser, row: u64) -> Vec<String> {
    browser.find(&format!("#rows [data-row='{row}'][data-state=there]")).await;
    let script = "return [...document.querySelectorAll(`#rows [data-row='${arguments[0]}'] > span`)].map((it) => it.textContent)";
    serde_json::from_value(browser.run(script, vec![json!(row)]).await).unwrap()
}

/// The document that is shown, saved.
pub async fn saved(browser: &Browser, id: &str) -> Vec<u8> {
    browser.find(&format!("#document[data-id='{id}'][data-state=there]")).await;
    browser.click("#document-save").await;
    std::fs::read(browser.downloaded(".json").await).unwrap()
}

/// Searches, and waits for the end: how many documents, and the ids that are listed.
pub async fn search(browser: &Browser, query: &str, collection: &str) -> (u64, Vec<String>) {
    browser.click("#room-search").await;
    browser.fill("#search-query", query).await;
    let chosen = "const where = document.querySelector('#search-where'); where.value = arguments[0]; return where.value";
    assert_eq!(browser.run(chosen, vec![json!(collection)]).await, json!(collection));
    browser.click("#search-start").await;
    browser.find("#search[data-state=done]").await;
    let matches = browser.find("#matches[data-exact=true]").await.attr("data-matches").await.unwrap();
    let ids = "return [...document.querySelectorAll('#hits > li')].map((it) => it.dataset.id)";
    let ids = serde_json::from_value(browser.run(ids, vec![]).await).unwrap();
    (matches.unwrap().parse().unwrap(), ids)
}

/// Verifies, and waits for the verdict: what it is, and the kinds of the problems that are listed.
pub async fn verify(browser: &Browser) -> (String, Vec<String>) {
    browser.click("#room-verify").await;
    browser.click("#verify-start").await;
    let verdict = browser.find("#verdict").await.attr("data-verdict").await.unwrap().unwrap();
    let kinds = "return [...document.querySelectorAll('#problems tbody tr')].map((it) => it.dataset.kind)";
    (verdict, serde_json::from_value(browser.run(kinds, vec![]).await).unwrap())
}

/// Takes the collection or search result that is shown out, as `lines` or `csv`.
pub async fn take_out(browser: &Browser, kind: &str) -> PathBuf {
    browser.click(&format!("#take-out-{kind}")).await;
    browser.downloaded(if kind == "csv" { ".csv" } else { ".jsonl" }).await
}

/// Compares with another file, and waits for the end: of each collection that differs added, removed and changed.
pub async fn compare(browser: &Browser, other: &Path) -> Value {
    browser.click("#room-compare").await;
    choose(browser, "#compare-file", other).await;
    browser.find("#compare[data-state=done] #compared").await;
    let script = "
        const digits = (row, name) => Number(row.querySelector(`[data-count=${name}]`).textContent.replace(/\\D/g, ''));
        const rows = [...document.querySelectorAll('#compare tr[data-collection]')].map((row) =>
          [row.dataset.collection, ['added', 'removed', 'changed'].map((name) => digits(row, name))]);
        return Object.fromEntries(rows.filter(([, counts]) => counts.some((count) => count > 0)));";
    browser.run(script, vec![]).await
}

/// A backup of this server, made natively.
pub async fn backup(server: &Local, folder: &tempfile::TempDir, name: &str) -> PathBuf {
    let file = folder.path().join(name);
    native::backup(&server.url, &server.login, &file).await.unwrap();
    file
}

/// The lines of a collection as other tools unpack them.
pub fn lines(archive: &Path, collection: &str) -> Vec<Vec<u8>> {
    let all = unzip(archive).lines().remove(collection).unwrap();
    all.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The id of a document.
pub fn id(line: &[u8]) -> String {
    serde_json::from_slice::<Value>(line).unwrap()["_id"].as_str().unwrap().to_owned()
}
