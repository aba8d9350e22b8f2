//! How the Inspect view looks: in every room, on a desk and on a phone, by day and by night. `DIKAS_SHOTS` names a folder for
//! the pictures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::inspecting::{backup, collection, compare, id, lines, open, search, verify};
use dikas_e2e::looks;
use dikas_e2e::server::Local;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_room_fits_a_desk_and_a_phone_by_day_and_by_night() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "dikas_20261125_040000.zip").await;
    browser.goto(&server.url).await;
    browser.click("#view-inspect").await;
    look(&browser, "start").await;
    open(&browser, &file).await;
    look(&browser, "contents").await;
    collection(&browser, "receipts").await;
    look(&browser, "receipts").await;
    browser.click("#rows [data-row='3']").await;
    browser.find("#document[data-state=there] .receipt").await;
    look(&browser, "receipt").await;
    collection(&browser, "articles").await;
    browser.click("#rows [data-row='2']").await;
    browser.find("#document[data-state=there] .json").await;
    look(&browser, "article").await;
    search(&browser, "schnitzel", "").await;
    look(&browser, "search").await;
    browser.click("#room-files").await;
    browser.find("#tiles img").await;
    look(&browser, "files").await;
    verify(&browser).await;
    look(&browser, "verify").await;
    let table = lines(&file, "tables").pop().unwrap();
    server.api().await.delete_document("tables", &id(&table)).await;
    let newer = backup(&server, &folder, "dikas_20261126_040000.zip").await;
    compare(&browser, &newer).await;
    browser.click("#compare tr[data-collection=tables] button").await;
    browser.find("#differences [data-id]").await;
    look(&browser, "compare").await;
}

/// Takes pictures at both widths in both themes. Nothing may stick out of the page.
async fn look(browser: &Browser, name: &str) {
    for theme in ["light", "dark"] {
        let dress = "if (document.documentElement.dataset.theme !== arguments[0]) document.querySelector('#theme').click()";
        browser.run(dress, vec![json!(theme)]).await;
        for (width, height) in [(1280, 1000), (390, 844)] {
            let name = format!("look-{name}-{width}-{theme}");
            looks::picture(browser, &name, (width, height), ".grid *, .scroller *, .json *").await;
        }
    }
    looks::done(browser).await;
}
