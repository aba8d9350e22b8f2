//! The page without a server: one visit, and it opens again, all of it of one version.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use dikas_e2e::browser::Browser;
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::server::{Killable, Local};
use dikas_e2e::until;
use hyper::StatusCode;
use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");

/// What the browser keeps: the current version, and all of them with their files.
const KEPT: &str = "
    const versions = {};
    for (const name of await caches.keys()) {
      if (!name.startsWith('dikas-app-')) continue;
      const keys = await (await caches.open(name)).keys();
      versions[name.slice('dikas-app-'.length)] = keys.map(({ url }) => new URL(url).pathname);
    }
    const notes = await caches.open('dikas-notes');
    return { current: await (await notes.match('/current'))?.text() ?? null, versions };";

#[tokio::test(flavor = "multi_thread")]
async fn after_one_visit_the_page_opens_without_the_server_and_its_engine_works() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Killable::start(SERVER).await;
    browser.goto(&format!("{}/", server.url)).await;
    let kept = whole(&browser).await;
    let files = kept["versions"][kept["current"].as_str().unwrap()].as_array().unwrap();
    for path in ["/", "/app/main.js", "/engine/pkg/making_bg.wasm", "/icons/192.png", "/app-version.json"] {
        assert!(files.contains(&json!(path)), "{path} of {files:?}");
    }
    assert!(!files.iter().any(|path| path.as_str().unwrap().starts_with("/api")), "{files:?}");

    server.kill();
    // The page that came from the network goes on, too.
    open_an_archive(&browser).await;
    browser.goto("about:blank").await;
    browser.goto(&format!("{}/", server.url)).await;
    browser.find("#username").await;
    open_an_archive(&browser).await;
    assert_eq!(browser.run_async(KEPT, vec![]).await, kept);
    assert_eq!(from_the_network(&browser).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_is_taken_whole_and_used_at_the_next_opening() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    let proxy = Proxy::start(&server.url).await;
    let page = format!("{}/", proxy.url);
    browser.goto(&page).await;
    let first = whole(&browser).await;
    let old = first["current"].as_str().unwrap().to_owned();

    // A version of which one file does not come, and then one of which a file is not what the list says.
    let style = dikas_backup::http::client()
        .build()
        .unwrap()
        .get(format!("{}/style.css", server.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let changed = format!("body {{ --new: 1 }}\n{style}");
    let sha256 = dikas_archive::digest::Sha256::of(changed.as_bytes()).to_string();
    let mut list: Value = json_at(&format!("{}/app-version.json", server.url)).await;
    list["version"] = json!("new");
    for file in list["files"].as_array_mut().unwrap() {
        if file["path"] == "style.css" {
            file["sha256"] = json!(sha256);
        }
    }
    let listed = Fault::Answer(StatusCode::OK, list.to_string());
    for fault in [Fault::Drop, Fault::Garble, Fault::Answer(StatusCode::NOT_FOUND, changed.clone())] {
        proxy.heal();
        proxy.rule("GET", "/app-version.json", 0, usize::MAX, listed.clone());
        proxy.rule("GET", "/style.css", 0, usize::MAX, fault);
        let asked = proxy.count("GET /style.css");
        browser.goto("about:blank").await;
        browser.goto(&page).await;
        browser.find("#username").await;
        until("the new version to be tried", async || (proxy.count("GET /style.css") > asked).then_some(()))
            .await;
        until("nothing to be left of it", async || {
            (browser.run_async(KEPT, vec![]).await == first).then_some(())
        })
        .await;
        assert!(!is_new(&browser).await);
    }

    // Now it comes. Whoever has the page open keeps the old one, workers included.
    proxy.heal();
    proxy.rule("GET", "/app-version.json", 0, usize::MAX, listed);
    proxy.rule("GET", "/style.css", 0, usize::MAX, Fault::Before("body { --new: 1 }\n".into()));
    let unchanged = proxy.count("GET /app/main.js");
    browser.goto("about:blank").await;
    browser.goto(&page).await;
    let both = until("the new version", async || {
        let kept = browser.run_async(KEPT, vec![]).await;
        (kept["current"] == "new").then_some(kept)
    })
    .await;
    assert!(both["versions"].get(&old).is_some(), "{both}");
    assert!(!is_new(&browser).await);
    open_an_archive(&browser).await;
    assert_eq!(from_the_network(&browser).await, json!([]));
    assert_eq!(proxy.count("GET /app/main.js"), unchanged, "what is the same is not fetched again");

    browser.goto("about:blank").await;
    proxy.cut_off();
    browser.goto(&page).await;
    browser.find("#username").await;
    assert!(is_new(&browser).await);
    open_an_archive(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_plain_http_from_elsewhere_does_without() {
    let arguments = ["--host-resolver-rules=MAP dikas.test 127.0.0.1"];
    let Some(browser) = Browser::start_with(&arguments).await else { return };
    let server = Local::start().await;
    let port = server.url.rsplit(':').next().unwrap();
    browser.goto(&format!("http://dikas.test:{port}/")).await;
    browser.find("#username").await;
    let can = "return [isSecureContext, 'serviceWorker' in navigator]";
    assert_eq!(browser.run(can, vec![]).await, json!([false, false]));
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let console = browser.console().await;
    assert!(!console.contains("offline.js") && !console.contains("sw.js"), "{console}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_installed() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    browser.goto(&format!("{}/", server.url)).await;
    let manifest = browser
        .run_async(
            "const link = document.querySelector('link[rel=manifest]');
             const manifest = await (await fetch(link.href)).json();
             const icons = [];
             for (const { src, sizes } of manifest.icons) {
               const image = new Image();
               image.src = URL.createObjectURL(await (await fetch(src)).blob());
               await image.decode();
               icons.push([sizes, `${image.naturalWidth}x${image.naturalHeight}`]);
             }
             return { ...manifest, icons };",
            vec![],
        )
        .await;
    assert_eq!(manifest["display"], "standalone");
    assert_eq!(manifest["start_url"], "./#inspect");
    for icon in manifest["icons"].as_array().unwrap() {
        assert_eq!(icon[0], icon[1]);
    }
    whole(&browser).await;
    let faults = browser.cdp("Page.getInstallabilityErrors", json!({})).await;
    assert_eq!(faults["installabilityErrors"], json!([]), "{faults}");
}

/// Waits until a version is kept whole and the worker serves.
async fn whole(browser: &Browser) -> Value {
    browser.find("#username").await;
    until("the page to be kept", async || {
        let kept = browser.run_async(KEPT, vec![]).await;
        let serves = browser.run("return Boolean(navigator.serviceWorker.controller)", vec![]).await;
        (!kept["current"].is_null() && serves == true).then_some(kept)
    })
    .await
}

async fn is_new(browser: &Browser) -> bool {
    let style = "return getComputedStyle(document.body).getPropertyValue('--new')";
    browser.run(style, vec![]).await == "1"
}

/// Opens an archive, which takes the engine and a worker.
async fn open_an_archive(browser: &Browser) {
    let opened = browser
        .run_async(
            "const { openBackup } = await import('/engine/index.js');
             const end = new Uint8Array(22);
             end.set([0x50, 0x4b, 5, 6]);
             const backup = await openBackup(new File([end], 'empty.zip'));
             backup.close();
             return backup.manifest;",
            vec![],
        )
        .await;
    assert_eq!(opened, Value::Null);
}

/// What of the page came from elsewhere than the service worker.
async fn from_the_network(browser: &Browser) -> Value {
    let asked = "return performance.getEntriesByType('resource')
        .filter((it) => it.workerStart === 0 && /\\.(js|css|wasm|svg)$/.test(it.name)).map((it) => it.name)";
    browser.run(asked, vec![]).await
}

async fn json_at(url: &str) -> Value {
    serde_json::from_str(
        &dikas_backup::http::client().build().unwrap().get(url).send().await.unwrap().text().await.unwrap(),
    )
    .unwrap()
}
