//! Workers that die while a backup is looked into.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::inspecting::{backup, collection, id, lines, open, row, saved, search, verify};
use dikas_e2e::proxy::{Fault, IN_A_WORKER, Proxy};
use dikas_e2e::server::Local;
use hyper::StatusCode;

/// Stands in every worker of the engine: asks the proxy what to do before each command that looks into a backup.
const SCRIPT: &str = r#"
    addEventListener("message", (event) => {
      const command = event.data.command?.inspect;
      if (!command || ask(`/inspect-${Object.keys(command)[0]}`) !== "trap") return;
      event.stopImmediatePropagation();
      trap();
    });
"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_dies_is_told_and_the_next_question_gets_another() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "demo.zip").await;
    let proxy = Proxy::start(&server.url).await;
    let script = Fault::Before(format!("{IN_A_WORKER}{SCRIPT}"));
    proxy.rule("GET", "/engine/worker.js", 0, usize::MAX, script);
    let dies = |path: &str| proxy.rule("GET", path, 0, 1, Fault::Answer(StatusCode::OK, "trap".to_owned()));
    browser.goto(&proxy.url).await;
    open(&browser, &file).await;

    let articles = lines(&file, "articles");
    collection(&browser, "articles").await;
    dies("/inspect-rows");
    browser.click("#rows [data-row='3']").await;
    let told = browser.find("#document [data-kind]").await.attr("data-kind").await.unwrap();
    assert_eq!(told.as_deref(), Some("internal"));
    browser.click("#rows [data-row='4']").await;
    assert_eq!(saved(&browser, &id(&articles[4])).await, articles[4]);
    assert!(row(&browser, 5).await.contains(&id(&articles[5])));

    dies("/inspect-verify");
    browser.click("#room-verify").await;
    browser.click("#verify-start").await;
    browser.find("#verify[data-state=failed] [data-kind=internal]").await;
    assert_eq!(verify(&browser).await, ("sound".to_owned(), vec![]));

    dies("/inspect-search");
    browser.click("#room-search").await;
    browser.fill("#search-query", "espresso").await;
    browser.click("#search-start").await;
    browser.find("#search[data-state=failed] [data-kind=internal]").await;
    let (matches, ids) = search(&browser, "espresso", "articles").await;
    assert!(matches > 0 && ids.len() as u64 == matches, "{matches} of {ids:?}");
    assert!(proxy.count("/inspect-join") > 3, "others took their places");
}
