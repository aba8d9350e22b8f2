//! A headless Chromium with a profile and a download folder of its own, driven by chromedriver.

use crate::{LONG, skip, until, until_within};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

const DRIVERS: &[&str] = &["chromedriver"];
const CHROMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "chrome"];

/// One browser at a time: two would fight for the processor, and the limits of the tests are for one.
static ONE: Mutex<()> = Mutex::const_new(());

/// The browser. Dropped, it takes chromedriver and everything that it started along.
pub struct Browser {
    /// The WebDriver session.
    pub client: Client,
    driver: Driver,
    folder: tempfile::TempDir,
    one: MutexGuard<'static, ()>,
}

impl Browser {
    /// Starts a browser; `None` where there is none, which is said (and in CI is a failure).
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with more arguments for Chromium.
    pub async fn start_with(arguments: &[&str]) -> Option<Self> {
        let driver = program("CHROMEDRIVER", DRIVERS);
        let chrome = program("CHROME", CHROMES);
        let (Some(driver), Some(chrome)) = (driver, chrome) else {
            skip("no chromedriver or no Chromium (set CHROMEDRIVER and CHROME)");
            return None;
        };
        require_wasm();

        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("downloads")).unwrap();
        Some(Self::start_in(folder, ONE.lock().await, &driver, &chrome, arguments).await)
    }

    /// Kills the browser as a power failure would, and starts it again with the same profile.
    pub async fn crash(self) -> Self {
        let Self { client, mut driver, folder, one } = self;
        driver.session = None;
        drop((driver, client));
        let program = |variable, names: &[&str]| program(variable, names).expect("it was there before");
        let driver = program("CHROMEDRIVER", DRIVERS);
        Self::start_in(folder, one, &driver, &program("CHROME", CHROMES), &[]).await
    }

    async fn start_in(
        folder: tempfile::TempDir,
        one: MutexGuard<'static, ()>,
        driver: &Path,
        chrome: &Path,
        arguments: &[&str],
    ) -> Self {
        let downloads = folder.path().join("downloads");
        let mut driver = Driver::start(driver);
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let mut args = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--lang=en",
            "--window-size=1200,900",
            &profile,
        ];
        args.extend(arguments);
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": chrome,
                "args": args,
                "prefs": {
                    "download.default_directory": downloads,
                    "download.prompt_for_download": false,
                    "profile.default_content_setting_values.automatic_downloads": 1,
                },
            },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("chromedriver should start Chromium");
        driver.session = client.session_id().await.unwrap();
        Self { client, driver, folder, one }
    }

    /// Opens a page.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The first element that matches and is displayed, as soon as there is one.
    pub async fn find(&self, css: &str) -> Element {
        self.find_within(LONG, css).await
    }

    /// The same with another patience.
    pub async fn find_within(&self, patience: Duration, css: &str) -> Element {
        until_within(patience, &format!("{css} on the page"), async || self.visible(css).await).await
    }

    /// The first element that matches and is displayed now.
    pub async fn visible(&self, css: &str) -> Option<Element> {
        for element in self.client.find_all(Locator::Css(css)).await.ok()? {
            if element.is_displayed().await.unwrap_or(false) {
                return Some(element);
            }
        }
        None
    }

    /// Waits until the element is displayed and clicks it.
    pub async fn click(&self, css: &str) {
        until(&format!("a click on {css}"), async || self.visible(css).await?.click().await.ok()).await;
    }

    /// Types into a field, in the place of what was there.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// The text of an element that is displayed, as soon as there is one.
    pub async fn text(&self, css: &str) -> String {
        until(&format!("text of {css}"), async || self.visible(css).await?.text().await.ok()).await
    }

    /// What the script returns.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What the body of an async function returns; what it throws fails the test. Arguments are `a`, an array.
    pub async fn run_async(&self, body: &str, arguments: Vec<Value>) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const a = [...arguments].slice(0, -1);
             (async () => {{ {body} }})().then((ok) => done({{ ok }}),
                 (e) => done({{ error: String(e?.stack ?? e), kind: e?.kind ?? null }}));"
        );
        let answer = self.client.execute_async(&script, arguments).await;
        let answer = answer.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(answer.get("error").is_none(), "{body}: {answer}");
        answer["ok"].clone()
    }

    /// Issues a command of the Chrome DevTools Protocol, and gives what it answers.
    pub async fn cdp(&self, cmd: &str, params: Value) -> Value {
        let session = self.driver.session.as_deref().expect("a session");
        let body = json!({ "cmd": cmd, "params": params }).to_string();
        let answer =
            self.driver.post(&format!("/session/{session}/goog/cdp/execute"), &body).expect("an answer");
        assert!(answer.contains(" 200 "), "{cmd}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str::<Value>(body).expect("JSON")["value"].take()
    }

    /// Drags a file from the desktop onto the first element that matches, and lets it go there.
    pub async fn drop_on(&self, css: &str, file: &Path) {
        self.find(css).await;
        let body =
            "const { x, y, width, height } = document.querySelector(arguments[0]).getBoundingClientRect();
                    return { x: x + width / 2, y: y + height / 2 }";
        let at = self.run(body, vec![css.into()]).await;
        for what in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": [file], "dragOperationsMask": 1 });
            let event = json!({ "type": what, "x": at["x"], "y": at["y"], "data": data });
            self.cdp("Input.dispatchDragEvent", event).await;
        }
    }

    /// The process from which all of the browser's descend.
    pub fn driver_process(&self) -> u32 {
        self.driver.process.id()
    }

    /// What the page and its workers wrote to the console since the last time.
    pub async fn console(&self) -> String {
        let session = self.driver.session.as_deref().expect("a session");
        self.driver.post(&format!("/session/{session}/se/log"), r#"{"type":"browser"}"#).unwrap_or_default()
    }

    /// Writes a picture of the page where `DIKAS_SHOTS` names a folder.
    pub async fn shot(&self, name: &str) {
        if let Some(folder) = std::env::var_os("DIKAS_SHOTS") {
            let picture = self.client.screenshot().await.unwrap();
            std::fs::write(PathBuf::from(folder).join(name).with_extension("png"), picture).unwrap();
        }
    }

    /// Says "keep" in advance: Chromium asks so when a file comes over plain http. In a private window it is the page that
    /// has to be told, for the folder of the browser is not its own.
    pub async fn keep_downloads(&self) {
        let params = json!({ "behavior": "allow", "downloadPath": self.downloads() });
        self.cdp("Page.setDownloadBehavior", params).await;
    }

    fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// The finished download whose name ends so, as soon as it is complete; it is moved out of the folder, so that
    /// the next one is told from it.
    pub async fn downloaded(&self, ending: &str) -> PathBuf {
        self.downloaded_within(LONG, ending).await
    }

    /// The same with another patience.
    pub async fn downloaded_within(&self, patience: Duration, ending: &str) -> PathBuf {
        let folder = self.downloads();
        let file = until_within(patience, &format!("a download that ends in {ending}"), async || {
            let files: Vec<_> =
                std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            // Chromium writes to a file of another name and renames it at the end.
            let complete = |file: &PathBuf| file.to_string_lossy().ends_with(ending);
            (files.len() == 1).then(|| files.into_iter().find(complete)).flatten()
        })
        .await;
        let kept = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let kept = kept.join(file.file_name().unwrap());
        std::fs::rename(&file, &kept).unwrap();
        kept
    }

    /// Every file of the page's private storage: its path, its size, and whether it ends like a ZIP archive, that is
    /// has an end of central directory (APPNOTE 4.3.16).
    pub async fn storage(&self) -> Vec<(String, u64, bool)> {
        let found = self
            .run_async(
                "const found = [];
                 async function walk(folder, path) {
                   for await (const [name, handle] of folder.entries()) {
                     if (handle.kind === 'directory') { await walk(handle, `${path}${name}/`); continue; }
                     const file = await handle.getFile();
                     const end = new Uint8Array(await file.slice(Math.max(0, file.size - 66000)).arrayBuffer());
                     const mark = end.findIndex((b, i) =>
                       b === 0x50 && end[i + 1] === 0x4b && end[i + 2] === 5 && end[i + 3] === 6);
                     found.push([path + name, file.size, mark >= 0]);
                   }
                 }
                 await walk(await navigator.storage.getDirectory(), '');
                 return found;",
                vec![],
            )
            .await;
        serde_json::from_value(found).unwrap()
    }
}

/// chromedriver on a port of its own.
struct Driver {
    process: Child,
    port: u16,
    session: Option<String>,
}

impl Driver {
    /// It takes a free port of one address family and ends when that of the other is taken: then it gets another turn.
    fn start(program: &Path) -> Self {
        let started = (0..3).find_map(|_| Self::try_start(program));
        started.expect("chromedriver ended without naming its port")
    }

    fn try_start(program: &Path) -> Option<Self> {
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            if out.read_line(&mut line).unwrap() == 0 {
                process.wait().unwrap();
                return None;
            }
            let port = line
                .trim()
                .rsplit_once("successfully on port ")
                .map(|(_, port)| port.trim_end_matches('.').to_owned());
            if let Some(port) = port.and_then(|port| port.parse().ok()) {
                break port;
            }
        };
        // A full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Some(Self { process, port, session: None })
    }

    fn post(&self, path: &str, body: &str) -> Option<String> {
        self.request("POST", path, body)
    }

    /// One request over a plain socket, so that it works where no runtime does any more.
    fn request(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(LONG)).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = Vec::new();
        // chromedriver may keep the connection open in spite of the header: the length says when it is done.
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if length.is_some_and(|length| rest.len() >= length) {
                break;
            }
        }
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Ending the session ends Chromium; killing chromedriver alone would leave it behind.
        if let Some(session) = &self.session {
            self.request("DELETE", &format!("/session/{session}"), "");
        }
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program that the variable names, else the first of these names on the path.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The page cannot work without the engine.
fn require_wasm() {
    let wasm = checkout().join("www/engine/pkg/dikas_archive_bg.wasm");
    assert!(wasm.is_file(), "{} is missing: run `cargo xtask build` first", wasm.display());
}

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
