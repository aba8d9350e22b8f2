//! Chromium's DevTools protocol beside chromedriver: for the memory of workers, which chromedriver does not reach, and for
//! what it would do by itself.

use crate::LONG;
use crate::browser::Browser;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// How often workers are asked. Their memory never shrinks, so that only what grew last can be missed.
const INTERVAL: Duration = Duration::from_millis(100);

/// The size of a worker's WebAssembly memory: an engine that has started gives its exports once more. Before a worker
/// listens its script is still loading, and Chromium's tab crashes at a second import.
const MEMORY: &str = "onmessage && import(`${location.origin}/engine/pkg/${name}.js`)
    .then((engine) => engine.initSync().memory.buffer.byteLength)";

/// The most memory that was seen, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peak {
    /// WebAssembly memory of the worker of a job.
    pub job: u64,
    /// WebAssembly memory of the largest encoding worker.
    pub encoder: u64,
    /// Resident memory of the tab's process before.
    pub tab_before: u64,
    /// Resident memory of the tab's process.
    pub tab: u64,
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [job, encoder, before, tab] =
            [self.job, self.encoder, self.tab_before, self.tab].map(|bytes| bytes >> 20);
        write!(f, "job {job} MiB, encoder {encoder} MiB, tab {before} to {tab} MiB")
    }
}

/// Watches the memory of a browser's page and its workers until it is asked.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Peak>,
    tab: Tab,
    tab_before: u64,
}

impl Watcher {
    /// Begins to watch the page that is open.
    pub async fn start(browser: &Browser) -> Self {
        let tab = Tab::of(browser);
        tab.forget_peak();
        let tab_before = tab.resident("VmRSS");
        let mut line = Line::to(browser).await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || watch(&mut line, &stopped));
        Self { stop, thread, tab, tab_before }
    }

    /// The most that was seen.
    pub fn stop(self) -> Peak {
        self.stop.store(true, Ordering::Relaxed);
        let peak = self.thread.join().expect("the watcher's thread");
        Peak { tab_before: self.tab_before, tab: self.tab.resident("VmHWM"), ..peak }
    }
}

/// The process of the page: of all that draw pages the one with the most memory, for Chromium keeps a spare.
struct Tab(u32);

impl Tab {
    fn of(browser: &Browser) -> Self {
        let parents: HashMap<u32, u32> = processes().filter_map(|id| Some((id, parent(id)?))).collect();
        let descends = |id: &u32| {
            std::iter::successors(Some(*id), |id| parents.get(id).copied())
                .any(|id| id == browser.driver_process())
        };
        let draws = |id: &u32| {
            std::fs::read_to_string(format!("/proc/{id}/cmdline"))
                .is_ok_and(|it| it.contains("--type=renderer"))
        };
        let tabs = parents.keys().copied().filter(descends).filter(draws);
        Self(tabs.max_by_key(|id| Self(*id).resident("VmRSS")).expect("a process that draws the page"))
    }

    /// What the process took before is not to be seen in its peak.
    fn forget_peak(&self) {
        // As `man 5 proc_pid_clear_refs` has it.
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").expect("a process of this user");
    }

    fn resident(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() << 10
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(id: u32) -> Option<u32> {
    // The name, in brackets, may hold anything; behind it come the state and the parent.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The address of the page's DevTools.
async fn page_socket(browser: &Browser) -> String {
    let capabilities = browser.client.capabilities().expect("capabilities");
    let address =
        capabilities["goog:chromeOptions"]["debuggerAddress"].as_str().expect("an address").to_owned();
    let client = dikas_backup::http::client().build().unwrap();
    let listed =
        client.get(format!("http://{address}/json/list")).send().await.unwrap().bytes().await.unwrap();
    let targets: Vec<Value> = serde_json::from_slice(&listed).unwrap();
    let page = targets.iter().find(|target| target["type"] == "page").expect("a page");
    page["webSocketDebuggerUrl"].as_str().unwrap().to_owned()
}

/// A connection to the DevTools of the page.
pub struct Line {
    socket: WebSocket<TcpStream>,
    number: u64,
}

impl Line {
    /// Connects to the page that is open.
    pub async fn to(browser: &Browser) -> Self {
        let url = page_socket(browser).await;
        let address = url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).expect("Chromium listens for DevTools");
        let (mut socket, _) = tungstenite::client(&url, stream).expect("Chromium speaks with DevTools");
        socket.get_mut().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { socket, number: 0 }
    }

    /// Sends a command to the page.
    pub fn send(&mut self, method: &str, params: Value) {
        self.send_to(None, method, params);
    }

    fn send_to(&mut self, session: Option<&str>, method: &str, params: Value) {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.socket.send(Message::text(message.to_string())).expect("DevTools listens");
    }

    /// The next message, if one comes soon.
    fn next(&mut self) -> Option<Value> {
        match self.socket.read() {
            Ok(Message::Text(text)) => Some(serde_json::from_str(&text).expect("JSON")),
            Ok(_) => None,
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                None
            }
            Err(error) => panic!("DevTools: {error}"),
        }
    }

    /// Waits for the first of these events: its name and what it says.
    pub fn event(&mut self, names: &[&str]) -> (String, Value) {
        let start = Instant::now();
        while start.elapsed() < LONG {
            let Some(mut message) = self.next() else { continue };
            if let Some(name) = message["method"].as_str().filter(|name| names.contains(name)) {
                return (name.to_owned(), message["params"].take());
            }
        }
        panic!("waited {LONG:?} for {names:?}");
    }
}

/// A worker that was found, and whether it owes an answer.
struct Watched {
    encodes: bool,
    asked: bool,
}

fn watch(line: &mut Line, stop: &AtomicBool) -> Peak {
    let mut peak = Peak::default();
    let mut workers = HashMap::<String, Watched>::new();
    let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true });
    line.send("Target.setAutoAttach", attach.clone());
    let mut asked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if asked.elapsed() >= INTERVAL {
            asked = Instant::now();
            for (session, worker) in workers.iter_mut().filter(|(_, worker)| !worker.asked) {
                worker.asked = true;
                let question = json!({ "expression": MEMORY, "awaitPromise": true, "returnByValue": true });
                line.send_to(Some(session), "Runtime.evaluate", question);
            }
        }
        let Some(message) = line.next() else { continue };
        let session = message["sessionId"].as_str();
        let of_event = message["params"]["sessionId"].as_str();
        match (message["method"].as_str(), session, of_event) {
            (Some("Target.attachedToTarget"), parent, Some(child)) => {
                // A page starts the worker of a job, and that one starts encoders.
                workers.insert(child.to_owned(), Watched { encodes: parent.is_some(), asked: false });
                line.send_to(Some(child), "Target.setAutoAttach", attach.clone());
            }
            (Some("Target.detachedFromTarget"), _, Some(child)) => {
                workers.remove(child);
            }
            (None, Some(session), _) => {
                let Some(worker) = workers.get_mut(session) else { continue };
                let result = &message["result"];
                // The answer to setAutoAttach is empty.
                worker.asked &= result.get("result").is_none() && message.get("error").is_none();
                let seen = if worker.encodes { &mut peak.encoder } else { &mut peak.job };
                *seen = (*seen).max(result["result"]["value"].as_u64().unwrap_or_default());
            }
            _ => {}
        }
    }
    peak
}
