//! The page below a path of a proxy that takes the path off: all of it works, and no request leaves the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use dikas_e2e::browser::Browser;
use dikas_e2e::inspecting;
use dikas_e2e::proxy::Proxy;
use dikas_e2e::restoring::{self, done, preview};
use dikas_e2e::server::Local;
use dikas_e2e::{native, page, until};
use dikas_server::schedule::config::ConfigFile;
use serde_json::json;

const BELOW: &str = "/shop/dikas";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_below_a_path_and_no_request_leaves_it() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[backup]\nwhen = \"0 4 * * *\"\nfolder = {:?}\n", folder.path()))
        .unwrap();
    let backup = ConfigFile::read(file.path()).unwrap().backup;
    let server = Local::demo_with(|config| config.backup = backup).await;
    let proxy = Proxy::start_below(&server.url, BELOW).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    page::start(&browser).await;
    page::finished(&browser).await;
    let backup = page::download(&browser).await;

    // A restore, from the file.
    let api = server.api().await;
    let articles = api.everything().await.lines["articles"].clone();
    let article = br#"{"_id":"art_new","documentType":"Article","name":"only now"}"#;
    assert!(api.put_document("articles", "art_new", article.to_vec()).await.is_success());
    restoring::open(&browser, &backup).await;
    restoring::choose(&browser, "identical", &["articles"]).await;
    preview(&browser).await;
    restoring::confirm(&browser, &[]).await;
    done(&browser).await;
    assert!(api.everything().await.lines["articles"] == articles);

    // A backup that lies on the server, and the line for another machine.
    browser.click("#view-automatic").await;
    browser.click("#run-now:enabled").await;
    browser.find("#stored > [data-archive]").await;
    browser.click("#stored [data-action=look]:enabled").await;
    browser.find("#inspected").await;
    inspecting::collection(&browser, "articles").await;
    browser.click("#view-automatic").await;
    browser.fill("#token-name", "office").await;
    browser.click("#token-create").await;
    let command = browser.text("#token-command").await;
    assert!(command.starts_with(&format!("dikas-backup create --url {} ", proxy.url)), "{command}");

    // A reload keeps the login, which is of this path alone.
    browser.client.refresh().await.unwrap();
    browser.find("#logout").await;
    let kept = browser.run("return Object.keys(sessionStorage)", vec![]).await;
    assert!(kept.as_array().unwrap().contains(&json!(format!("dikas{BELOW}.session"))), "{kept}");
    assert_eq!(proxy.astray(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_the_page_opens_without_a_server_and_leaves_the_caches_of_others_alone() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    let proxy = Proxy::start_below(&server.url, BELOW).await;
    let root = format!("http://127.0.0.1:{}", proxy.port);
    browser.goto(&format!("{}/", proxy.url)).await;
    browser.find("#username").await;
    // A page at the root of the same host has a cache of its own.
    browser
        .run_async("await caches.open('dikas-app-of-the-root'); await caches.open('dikas-notes')", vec![])
        .await;
    let worker = until("the worker to serve", async || {
        let script = "return navigator.serviceWorker.controller?.scriptURL ?? null";
        browser.run(script, vec![]).await.as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(worker, format!("{}/sw.js", proxy.url));
    let manifest = "const link = document.querySelector('link[rel=manifest]');
        const manifest = await (await fetch(link.href)).json();
        return [manifest.start_url, manifest.scope, ...manifest.icons.map((it) => it.src)]
          .map((path) => new URL(path, link.href).href.slice(a[0].length));";
    let addresses = browser.run_async(manifest, vec![json!(root)]).await;
    for address in addresses.as_array().unwrap() {
        assert!(address.as_str().unwrap().starts_with(&format!("{BELOW}/")), "{addresses}");
    }
    let faults = browser.cdp("Page.getInstallabilityErrors", json!({})).await;
    assert_eq!(faults["installabilityErrors"], json!([]), "{faults}");

    assert_eq!(proxy.astray(), Vec::<String>::new());
    proxy.cut_off();
    browser.goto("about:blank").await;
    browser.goto(&format!("{}/", proxy.url)).await;
    browser.find("#username").await;
    let open = "const { openBackup } = await import(`${a[0]}/engine/index.js`);
        const end = new Uint8Array(22);
        end.set([0x50, 0x4b, 5, 6]);
        const backup = await openBackup(new File([end], 'empty.zip'));
        backup.close();
        return [backup.manifest, await caches.has('dikas-app-of-the-root'), await caches.has('dikas-notes')];";
    assert_eq!(browser.run_async(open, vec![json!(BELOW)]).await, json!([null, true, true]));
    assert_eq!(proxy.astray(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reaches_a_server_below_a_path() {
    let server = Local::demo().await;
    let proxy = Proxy::start_below(&server.url, BELOW).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/", proxy.url);
    let outcome = native::backup(&url, &server.login, &folder.path().join("backup.zip")).await.unwrap();
    assert!(outcome.manifest.documents() > 1000);
    // Where a backup of the server stays is said from where it was asked for.
    let place = server.api().await.create(json!({})).await.headers()["content-location"].clone();
    assert!(place.to_str().unwrap().starts_with("jobs/"), "{place:?}");
    assert_eq!(proxy.astray(), Vec::<String>::new());
}
