//! A reverse proxy that makes trouble: it stands between a client and the server, passes everything on, and breaks what
//! its rules say. Requests are counted, so that a test can also say what was *not* asked.

use crate::paced::Paced;
use dikas_archive::api::Snapshot;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// For scripts that stand in a worker by [`Fault::Before`]: `trap` breaks it as a fault of the engine would, `ask` waits for
/// what the proxy answers at a path, nothing where that is a refusal.
pub const IN_A_WORKER: &str = r#"
    const trap = () => {
      const bytes = [0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,5,1,1,97,0,0,10,5,1,3,0,0,11];
      new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports.a();
    };
    const ask = (path) => {
      const request = new XMLHttpRequest();
      request.open("GET", path, false);
      request.send();
      return request.status === 200 ? request.responseText : "";
    };
"#;

/// What happens to a request that a rule is for.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection ends without an answer, and the server hears nothing of the request.
    Drop,
    /// The server does what it is asked to, but its answer gets lost.
    DropAnswer,
    /// The proxy answers in the server's place.
    Answer(StatusCode, String),
    /// The answer's body ends after half of its lines, with a Content-Length that agrees: nothing but the header
    /// that counts the documents can tell.
    CutAtLine,
    /// The same, and every header of ours is lost, as behind a proxy that passes on only what it knows.
    CutAtLineAndStrip,
    /// This text stands before the body: a script that makes trouble from within.
    Before(String),
    /// The request waits until [`Proxy::release`], and then meets the other rules.
    Hold,
    /// 401 to every request that bears the token of the first request this rule saw.
    RefuseToken,
    /// The proxy refuses in the server's place, and asks to wait so many seconds.
    RetryAfter(StatusCode, u64),
    /// The page of a captive portal, with status 200.
    Portal,
    /// One bit in the middle of the body is turned over.
    Garble,
    /// The answer to the request before, of those that this rule is for, headers and all.
    Repeat,
    /// The body comes so many bytes at a time, with a pause before each.
    Drip(usize, Duration),
    /// Half of the body comes, and then nothing more, though the connection stays.
    Stall,
}

/// For which requests a [`Fault`] is meant.
#[derive(Debug)]
struct Rule {
    method: &'static str,
    path: String,
    /// Requests that this rule let pass before it begins.
    skip: usize,
    /// How often it applies.
    times: usize,
    seen: usize,
    token: Option<String>,
    last: Option<Answer>,
    fault: Fault,
}

/// An answer as it goes out.
#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Debug)]
struct State {
    upstream: String,
    /// The path that is taken off; empty where there is none.
    below: &'static str,
    http: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<(Instant, String)>>,
    held: watch::Sender<usize>,
    releases: watch::Sender<usize>,
}

/// The proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where the server is seen through it, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// Its port.
    pub port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts in front of the server at this address.
    pub async fn start(upstream: &str) -> Self {
        Self::start_below(upstream, "").await
    }

    /// The same, but the server is seen below this path, such as `/dikas`, and hears nothing of it. What is asked for
    /// elsewhere is not there.
    pub async fn start_below(upstream: &str, below: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            below,
            http: dikas_backup::http::client().build().unwrap(),
            rules: Mutex::default(),
            log: Mutex::default(),
            held: watch::Sender::new(0),
            releases: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { url: format!("http://127.0.0.1:{port}{below}"), port, state, task }
    }

    /// From now on, the fault happens to requests with this method whose path and query contain `path`: not to the
    /// first `skip` of them, and to `times` at most. The first rule that applies wins.
    pub fn rule(&self, method: &'static str, path: &str, skip: usize, times: usize, fault: Fault) {
        let path = path.to_owned();
        let rule = Rule { method, path, skip, times, seen: 0, token: None, last: None, fault };
        self.state.rules.lock().unwrap().push(rule);
    }

    /// Whoever opens a snapshot through this proxy gets this one, which is open already, and nobody closes it: so all
    /// read the very same one.
    pub fn pin(&self, snapshot: &Snapshot) {
        let framed =
            |data| json!({ "data": data, "isSuccess": true, "message": null, "errors": [] }).to_string();
        let opened = framed(serde_json::to_value(snapshot).unwrap());
        self.rule("POST", "/backup/snapshots", 0, usize::MAX, Fault::Answer(StatusCode::CREATED, opened));
        let closed = Fault::Answer(StatusCode::OK, framed(json!({})));
        self.rule("DELETE", "/backup/snapshots", 0, usize::MAX, closed);
    }

    /// The server is gone for whoever asks through this proxy.
    pub fn cut_off(&self) {
        self.rule("", "", 0, usize::MAX, Fault::Drop);
        // No other rule comes before this one, and what is held shares the fate of the rest.
        self.state.rules.lock().unwrap().rotate_right(1);
        self.release();
    }

    /// Forgets every rule and lets go what is held.
    pub fn heal(&self) {
        self.state.rules.lock().unwrap().clear();
        self.release();
    }

    /// Waits until some request is held.
    pub async fn held(&self) {
        let mut held = self.state.held.subscribe();
        tokio::time::timeout(crate::LONG, held.wait_for(|count| *count > 0))
            .await
            .expect("a request should have come that is to be held")
            .unwrap();
    }

    /// Whether some request is held.
    pub fn is_holding(&self) -> bool {
        *self.state.held.borrow() > 0
    }

    /// Lets go what is held now.
    pub fn release(&self) {
        self.state.releases.send_modify(|count| *count += 1);
    }

    /// How many requests came whose `METHOD path?query`, with its `Range` behind it, contains this.
    pub fn count(&self, part: &str) -> usize {
        self.times(part).len()
    }

    /// The requests, each as `METHOD path?query`, that were for nothing below the path.
    pub fn astray(&self) -> Vec<String> {
        let log = self.state.log.lock().unwrap();
        let target = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
        let lines = log.iter().map(|(_, line)| line.clone());
        lines.filter(|line| self.state.upstream_target(&target(line)).is_none()).collect()
    }

    /// When these came.
    pub fn times(&self, part: &str) -> Vec<Instant> {
        let log = self.state.log.lock().unwrap();
        log.iter().filter(|(_, line)| line.contains(part)).map(|(time, _)| *time).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| pass(Arc::clone(&state), request));
            // An error is a connection that was dropped on purpose, or by the client.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A request that is held counts until it is released, or its client has gone.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

async fn pass(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Paced>, Failure> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let token = head.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let range = head.headers.get("range").and_then(|range| range.to_str().ok()).unwrap_or_default();
    let line = format!("{} {target} {range}", head.method);
    state.log.lock().unwrap().push((Instant::now(), line));
    let body = body.collect().await?.to_bytes();

    let ask = |held| state.fault_for(head.method.as_str(), &target, token.as_deref(), held);
    let mut releases = state.releases.subscribe();
    let mut fault = ask(false);
    if matches!(fault, Some(Fault::Hold)) {
        let held = Held::new(&state.held);
        releases.changed().await?;
        drop(held);
        fault = ask(true);
    }
    match fault {
        Some(Fault::Drop) => return Err("dropped on purpose".into()),
        Some(Fault::Answer(status, body)) => return answer(status, body),
        Some(Fault::RefuseToken) => {
            return answer(StatusCode::UNAUTHORIZED, failure("unauthorized", "the access token has run out"));
        }
        Some(Fault::RetryAfter(status, seconds)) => {
            let mut answer = answer(status, failure("too-many", "too much at once"))?;
            answer.headers_mut().insert("retry-after", seconds.into());
            return Ok(answer);
        }
        Some(Fault::Portal) => {
            let mut answer = answer(StatusCode::OK, "<h1>Welcome to our WLAN</h1>\n".to_owned())?;
            answer.headers_mut().insert("content-type", "text/html".parse()?);
            return Ok(answer);
        }
        Some(Fault::Repeat) => {
            if let Some(before) = state.last(head.method.as_str(), &target) {
                return Ok(before.respond(Paced::whole));
            }
        }
        _ => {}
    }

    let Some(upstream) = state.upstream_target(&target) else {
        return answer(StatusCode::NOT_FOUND, "There is nothing here.\n".to_owned());
    };
    let mut headers = head.headers;
    for hop in ["connection", "keep-alive", "transfer-encoding", "content-length"] {
        headers.remove(hop);
    }
    if matches!(fault, Some(Fault::Before(_))) {
        // What the client has is not what it is to get.
        headers.remove("if-none-match");
    }
    let answer = state.http.request(head.method.clone(), upstream).headers(headers).body(body).send().await?;
    if matches!(fault, Some(Fault::DropAnswer)) {
        answer.bytes().await?;
        return Err("the answer was dropped on purpose".into());
    }
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for hop in ["connection", "keep-alive", "transfer-encoding"] {
        headers.remove(hop);
    }
    let mut body = answer.bytes().await?;
    state.remember(
        head.method.as_str(),
        &target,
        &Answer { status, headers: headers.clone(), body: body.clone() },
    );
    if matches!(fault, Some(Fault::Garble)) && !body.is_empty() {
        let mut garbled = body.to_vec();
        garbled[body.len() / 2] ^= 1;
        body = garbled.into();
    }
    if matches!(fault, Some(Fault::CutAtLine | Fault::CutAtLineAndStrip)) && status.is_success() {
        body = first_half(body);
        headers.insert("content-length", body.len().into());
    }
    if let Some(Fault::Before(text)) = &fault {
        body = [text.as_bytes(), &body].concat().into();
        headers.insert("content-length", body.len().into());
        headers.remove("etag");
    }
    if matches!(fault, Some(Fault::CutAtLineAndStrip)) {
        let ours: Vec<_> =
            headers.keys().filter(|name| name.as_str().starts_with("dikas-")).cloned().collect();
        for name in ours {
            headers.remove(name);
        }
    }
    Ok(Answer { status, headers, body }.respond(|body| match fault {
        Some(Fault::Drip(step, pause)) => Paced::drip(body, step, pause),
        Some(Fault::Stall) => Paced::stall(body),
        _ => Paced::whole(body),
    }))
}

impl Answer {
    fn respond(self, pace: impl FnOnce(Bytes) -> Paced) -> Response<Paced> {
        let mut response = Response::new(pace(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl Rule {
    fn is_for(&self, method: &str, target: &str) -> bool {
        (self.method.is_empty() || self.method == method) && target.contains(&self.path)
    }
}

impl State {
    /// Where the server has what is asked for here; none where that is not below the path.
    fn upstream_target(&self, target: &str) -> Option<String> {
        let target = target.strip_prefix(self.below).filter(|rest| rest.starts_with('/'))?;
        Some(format!("{}{target}", self.upstream))
    }

    fn fault_for(&self, method: &str, target: &str, token: Option<&str>, held: bool) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        for rule in rules.iter_mut() {
            if !rule.is_for(method, target) {
                continue;
            }
            match rule.fault {
                Fault::Hold if held => continue,
                Fault::RefuseToken => {
                    let Some(token) = token else { continue };
                    if rule.token.get_or_insert_with(|| token.to_owned()) != token {
                        continue;
                    }
                }
                _ => {}
            }
            rule.seen += 1;
            if rule.seen > rule.skip && rule.seen - rule.skip <= rule.times {
                return Some(rule.fault.clone());
            }
        }
        None
    }

    /// Keeps an answer for the rules that repeat it.
    fn remember(&self, method: &str, target: &str, answer: &Answer) {
        for rule in self.rules.lock().unwrap().iter_mut() {
            if matches!(rule.fault, Fault::Repeat) && rule.is_for(method, target) {
                rule.last = Some(answer.clone());
            }
        }
    }

    fn last(&self, method: &str, target: &str) -> Option<Answer> {
        let rules = self.rules.lock().unwrap();
        rules.iter().filter(|rule| rule.is_for(method, target)).find_map(|rule| rule.last.clone())
    }
}

/// A failure in the API's own frame.
pub fn failure(code: &str, message: &str) -> String {
    json!({
        "data": null,
        "isSuccess": false,
        "message": message,
        "errors": [{ "code": code, "message": message }],
    })
    .to_string()
}

fn answer(status: StatusCode, body: String) -> Result<Response<Paced>, Failure> {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Paced::whole(Bytes::from(body)))?)
}

/// Half of the lines, whole ones.
fn first_half(body: Bytes) -> Bytes {
    let ends: Vec<usize> =
        body.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let keep = if ends.len() < 2 { 0 } else { ends[ends.len() / 2 - 1] };
    body.slice(..keep)
}
