//! What `cargo xtask bench` measures, piece by piece. `src/bin/bench.rs` puts the pieces together.

pub mod inspect;
pub mod restore;
pub mod server;

use crate::LONG;
use crate::api::Api;
use crate::browser::{Browser, checkout};
use crate::devtools::{Peak, Watcher};
use crate::server::demo_login;
use fantoccini::wd::TimeoutConfiguration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The script that the page runs.
const SCRIPT: &str = include_str!("../../bench/bench.js");

/// Longer than a backup of 5 GB by the slowest.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How large parts are, in bytes.
const PART_BYTES: u64 = 8 << 20;

/// The libraries that others would take, as npm lays them out.
const LIBRARIES: [(&str, &str); 4] = [
    ("brotli_wasm.js", "brotli-wasm/pkg.web/brotli_wasm.js"),
    ("brotli_wasm_bg.wasm", "brotli-wasm/pkg.web/brotli_wasm_bg.wasm"),
    ("client-zip.js", "client-zip/index.js"),
    ("zip.js", "@zip.js/zip.js/index.min.js"),
];

/// One run of something.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Milliseconds.
    pub ms: f64,
    /// Bytes that came out.
    pub size: f64,
    /// Milliseconds of each phase, where the job tells.
    #[serde(default)]
    pub phases: BTreeMap<String, f64>,
}

/// What is compared over whole backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `createBackup` of the engine.
    Engine,
    /// brotli-wasm within client-zip.
    BrotliWasm,
    /// zip.js with the browser's deflate.
    ZipJs,
}

/// How long the page took, in milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FirstPage {
    /// From the start of the navigation until one can sign in.
    pub sign_in: f64,
    /// From the click on "Sign in" until "Create backup" can be clicked and what will be saved is shown.
    pub create: f64,
}

/// A release server of its own process.
pub struct Shop {
    /// Such as `http://127.0.0.1:40123`.
    pub url: String,
    /// Who may do everything there.
    pub login: (String, String),
    process: Child,
}

impl Shop {
    /// Starts the server on this folder, filled with two years of demo data where it is empty.
    pub fn start(server: &Path, data: &Path) -> Self {
        Self::run(Command::new(server).arg("--demo"), data)
    }

    /// The same, left empty.
    pub fn empty(server: &Path, data: &Path) -> Self {
        Self::run(&mut Command::new(server), data)
    }

    fn run(command: &mut Command, data: &Path) -> Self {
        command.arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut shop = Self { url: String::new(), login: demo_login(), process };
        let said = BufReader::new(shop.process.stdout.take().unwrap()).lines();
        for line in said.map_while(Result::ok) {
            if let Some((_, password)) = line.split_once("  password ") {
                shop.login.1 = password.trim().to_owned();
            } else if let Some((_, url)) = line.split_once("listens on ") {
                shop.url = url.to_owned();
                return shop;
            }
        }
        panic!("the server should say where it listens");
    }

    /// A client that is logged in.
    pub async fn api(&self) -> Api {
        let (username, password) = &self.login;
        Api::login(&self.url, username, password).await
    }

    /// How much memory its process took at most so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        restore::peak_memory(&self.process).expect("the server runs")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A data folder with the demo data and its receipts so many times again, each time with other ids. It is made once.
pub async fn data(server: &Path, work: &Path, copies: u32) -> PathBuf {
    let folder = work.join(format!("data-{copies}"));
    let made = work.join(format!("data-{copies}.made"));
    if made.is_file() {
        return folder;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(work).unwrap();
    let shop = Shop::start(server, &folder);
    if copies > 0 {
        let api = shop.api().await;
        for page in receipts(&api).await {
            let page = String::from_utf8(page).unwrap();
            for copy in 1..=copies {
                let opening = "{\"_id\":\"rcp_";
                let again = page.replace(opening, &format!("{opening}{copy:03}_"));
                assert!(again.len() > page.len(), "receipts begin with their id");
                api.post_documents("receipts", again).await;
            }
        }
    }
    drop(shop);
    std::fs::write(&made, "").unwrap();
    folder
}

/// All receipts, in parts as the engine cuts them.
pub async fn receipts(api: &Api) -> Vec<Vec<u8>> {
    let snapshot = api.open_snapshot().await;
    let lines = api.pages(&snapshot, "receipts", PART_BYTES, async || {}).await;
    api.close_snapshot(&snapshot).await;
    cut(&lines)
}

/// Lines in parts.
fn cut(lines: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let most = &rest[..rest.len().min(PART_BYTES as usize)];
        let end = most.iter().rposition(|byte| *byte == b'\n').expect("a line below 8 MiB") + 1;
        let (part, more) = rest.split_at(end);
        parts.push(part.to_vec());
        rest = more;
    }
    parts
}

/// The parts as files for the C tool.
pub fn files(folder: &Path, parts: &[Vec<u8>]) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).unwrap();
    let write = |(at, part): (usize, &Vec<u8>)| {
        let file = folder.join(format!("{at:04}.jsonl"));
        std::fs::write(&file, part).unwrap();
        file
    };
    parts.iter().enumerate().map(write).collect()
}

/// How many bytes a snapshot of everything holds.
pub async fn size(api: &Api) -> u64 {
    let snapshot = api.open_snapshot().await;
    api.close_snapshot(&snapshot).await;
    snapshot.collections.iter().map(|it| it.bytes + it.attachment_bytes).sum()
}

/// The C tool's turn: one process for all files, which it compresses into files beside them.
pub fn brotli(files: &[PathBuf], window: Option<u8>) -> Run {
    let mut command = Command::new("brotli");
    command.args(["-q", "5", "--keep", "--force"]);
    if let Some(window) = window {
        command.args(["-w", &window.to_string()]);
    }
    command.args(files);
    let start = Instant::now();
    let status = command.status().unwrap();
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    assert!(status.success(), "{command:?}: {status}");
    let size = |file: &PathBuf| std::fs::metadata(file.with_added_extension("br")).unwrap().len();
    Run { ms, size: files.iter().map(size).sum::<u64>() as f64, phases: BTreeMap::new() }
}

/// The page of a server in a browser of its own, with the script of the benchmark in it.
pub struct Page {
    /// The browser.
    pub browser: Browser,
    token: Value,
}

impl Page {
    /// Opens the page in a new browser and signs the script in.
    pub async fn open(url: &str, (username, password): &(String, String)) -> Option<Self> {
        let browser = Browser::start().await?;
        let timeouts = TimeoutConfiguration::new(Some(PATIENCE), Some(LONG), None);
        browser.client.update_timeouts(timeouts).await.unwrap();
        // The page's policy allows no script from elsewhere, which this one is, and the libraries are.
        browser.cdp("Page.setBypassCSP", json!({ "enabled": true })).await;
        browser.goto(&format!("{url}/")).await;
        let load = "const blob = new Blob([a[0]], { type: 'text/javascript' });
                    window.bench = await import(URL.createObjectURL(blob));";
        browser.run_async(load, vec![SCRIPT.into()]).await;
        let mut page = Self { browser, token: Value::Null };
        page.token = page.call("login", vec![username.as_str().into(), password.as_str().into()]).await;
        Some(page)
    }

    async fn call(&self, function: &str, arguments: Vec<Value>) -> Value {
        let body = format!("return window.bench.{function}(...a);");
        self.browser.run_async(&body, arguments).await
    }

    async fn run(&self, function: &str, argument: Value) -> Run {
        serde_json::from_value(self.call(function, vec![argument]).await).unwrap()
    }

    /// Fetches the receipts to encode; how many bytes they are.
    pub async fn load_receipts(&self, receipts: &[Vec<u8>]) {
        let bytes = self.call("loadReceipts", vec![self.token.clone()]).await;
        let expected: usize = receipts.iter().map(Vec::len).sum();
        assert_eq!(
            bytes.as_u64(),
            Some(expected as u64),
            "the page's receipts and the C tool's are the same"
        );
    }

    /// Ends the encoding workers and starts so many others.
    pub async fn start_encoders(&self, count: usize) {
        self.call("startEncoders", vec![count.into()]).await;
    }

    /// Encodes and verifies the receipts so many times over; the size is that of one time.
    pub async fn encode(&self, times: usize) -> Run {
        self.run("encodeReceipts", times.into()).await
    }

    /// Brings the libraries of a `node_modules` folder in; false where there are none.
    pub async fn load_libraries(&self, folder: &Path) -> bool {
        let mut files = Map::new();
        for (name, path) in LIBRARIES {
            let Ok(bytes) = std::fs::read(folder.join(path)) else { return false };
            files.insert(name.to_owned(), base64(&bytes).into());
        }
        self.call("loadLibraries", vec![files.into()]).await;
        true
    }

    /// A whole backup.
    pub async fn back_up(&self, way: Way) -> Run {
        let function = match way {
            Way::Engine => "backUp",
            Way::BrotliWasm => "withBrotliWasm",
            Way::ZipJs => "withZipJs",
        };
        self.run(function, self.token.clone()).await
    }

    /// A whole backup by the engine, and the memory that it takes.
    pub async fn memory(&self) -> (Run, Peak) {
        let watcher = Watcher::start(&self.browser).await;
        let run = self.back_up(Way::Engine).await;
        (run, watcher.stop())
    }
}

/// Notes when the page can be used; asks for it before the page's own scripts run.
const NOTE: &str = "
    const seen = {};
    globalThis.firstPage = seen;
    let clicked;
    addEventListener('click', ({ target }) => {
      if (target.closest?.('#login')) clicked = performance.now();
    }, { capture: true });
    const usable = (css) => document.querySelector(css)?.disabled === false;
    new MutationObserver(() => {
      if (usable('#login')) seen.signIn ??= performance.now();
      if (clicked && usable('#create-backup') && document.querySelector('tr[data-category]')) {
        seen.create ??= performance.now() - clicked;
      }
    }).observe(document, { subtree: true, childList: true, attributes: true });
";

/// Opens the page in a new browser and signs in: the first time, with nothing cached, and so many times more.
pub async fn first_page(url: &str, login: &(String, String), again: usize) -> Option<Vec<FirstPage>> {
    let browser = Browser::start().await?;
    browser.cdp("Page.enable", json!({})).await;
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NOTE })).await;
    let mut seen = Vec::new();
    for _ in 0..=again {
        crate::page::sign_in(&browser, url, login).await;
        browser.find("tr[data-category]").await;
        let noted = browser.run("return globalThis.firstPage", vec![]).await;
        seen.push(serde_json::from_value(noted).unwrap());
        browser.run("sessionStorage.clear()", vec![]).await;
    }
    Some(seen)
}

/// The middle of some measurements.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

/// The version of a library in a `node_modules` folder.
pub fn version(folder: &Path, library: &str) -> Option<String> {
    let package = std::fs::read(folder.join(library).join("package.json")).ok()?;
    Some(serde_json::from_slice::<Value>(&package).ok()?["version"].as_str()?.to_owned())
}

/// What a module of the engine weighs on its way to the browser, in bytes: as Brotli and as gzip.
pub fn module_over_the_wire(name: &str) -> (u64, u64) {
    let file = checkout().join(format!("www/engine/pkg/{name}_bg.wasm"));
    let size = |suffix| std::fs::metadata(file.with_extension(suffix)).unwrap().len();
    (size("wasm.br"), size("wasm.gz"))
}

/// Base64 (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let number =
            chunk.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let padding = digit > chunk.len();
            let value = number >> (18 - 6 * digit) & 63;
            text.push(if padding { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
}
