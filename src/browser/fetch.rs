//! The API over `fetch`, for the HTTP client of the jobs.

use super::js;
use super::turn::{Signal, Timer, cancelled};
use super::worker::Tokens;
use crate::error::{Error, ErrorKind, Result};
use crate::job::transport::{Method, Request, Response, Transport, TransportError};
use futures::future::{Either, select};
use js_sys::{Array, Date, Uint8Array};
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, RequestCache, RequestCredentials, RequestInit,
    RequestRedirect,
};

/// Sends the requests of a job, until its signal is raised.
#[derive(Debug)]
pub(super) struct Fetch {
    base: String,
    signal: Signal,
    tokens: Rc<Tokens>,
    token: RefCell<Option<String>>,
}

impl Fetch {
    /// Talks to the server at this address.
    pub(super) fn new(url: &str, signal: Signal, tokens: Rc<Tokens>) -> Result<Self> {
        let url = url.trim_end_matches('/');
        if !(url.starts_with("http://") || url.starts_with("https://")) || url.contains(['?', '#']) {
            return Err(Error::new(ErrorKind::BadArgument, "not the address of a server")
                .expected("an address such as https://till.example:5015", format!("{url:?}")));
        }
        Ok(Self { base: format!("{url}/api/v1"), signal, tokens, token: RefCell::default() })
    }

    /// The whole address of this path and query, below `/api/v1`.
    pub(super) fn address(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }

    async fn exchange(&self, request: &Request, controller: &AbortController) -> Outcome {
        let init = RequestInit::new();
        init.set_method(request.method.as_str());
        init.set_signal(Some(&controller.signal()));
        init.set_cache(RequestCache::NoStore);
        init.set_credentials(RequestCredentials::Omit);
        init.set_redirect(RequestRedirect::Manual);
        let headers = Headers::new().map_err(sent)?;
        for (name, value) in &request.headers {
            headers.set(name, value).map_err(sent)?;
        }
        init.set_headers(&headers);
        if !request.body.is_empty() {
            init.set_body(&Uint8Array::from(request.body.as_slice()));
        }
        let deadline = Date::now() + request.total_milliseconds as f64;
        let patience = Patience { idle: request.idle_milliseconds, deadline };
        // An answer that has begun and runs into the deadline is not silent, but slow.
        let late = |error, bytes: usize| match error {
            TransportError::Timeout if bytes > 0 && Date::now() >= deadline => {
                TransportError::Slow(bytes as u64)
            }
            error => error,
        };

        let scope = js::scope().map_err(|error| TransportError::Unreachable(error.message))?;
        let answer = scope.fetch_with_str_and_init(&self.address(&request.target), &init);
        let answer = patience.within(JsFuture::from(answer)).await?.map_err(sent)?;
        let answer: web_sys::Response = answer.dyn_into().map_err(sent)?;
        // Browsers do not say where a redirect leads.
        if js::property(&answer, "type").as_string().as_deref() == Some("opaqueredirect") {
            return Ok(Response { status: 302, ..Response::default() });
        }
        let mut response =
            Response { status: answer.status(), headers: header_list(&answer), body: Vec::new() };

        // With a content coding the length is that of the coded body, and fetch checks it by itself.
        let announced = match response.header("content-encoding") {
            None => response.header("content-length").and_then(|value| value.parse::<u64>().ok()),
            Some(_) => None,
        };
        if announced.is_some_and(|bytes| bytes > request.max_bytes) {
            return Err(TransportError::TooLarge);
        }
        if let Some(bytes) = announced.and_then(|bytes| usize::try_from(bytes).ok()) {
            // Growing by and by would take twice the memory, which never shrinks.
            response.body.reserve_exact(bytes);
        }
        if let Some(body) = answer.body() {
            let reader: ReadableStreamDefaultReader =
                body.get_reader().dyn_into().map_err(|other| broken(other.into()))?;
            loop {
                let chunk = patience.within(JsFuture::from(reader.read())).await;
                let chunk = chunk.map_err(|error| late(error, response.body.len()))?.map_err(broken)?;
                if js::property(&chunk, "done").is_truthy() {
                    break;
                }
                let chunk: Uint8Array = js::property(&chunk, "value").dyn_into().map_err(broken)?;
                if response.body.len() as u64 + u64::from(chunk.length()) > request.max_bytes {
                    return Err(TransportError::TooLarge);
                }
                let before = response.body.len();
                response.body.resize(before + chunk.length() as usize, 0);
                if let Some(target) = response.body.get_mut(before..) {
                    chunk.copy_to(target);
                }
            }
        }
        match announced {
            Some(bytes) if bytes != response.body.len() as u64 && answer.status() != 304 => {
                Err(TransportError::Cut(format!("{} of {bytes} bytes came", response.body.len())))
            }
            _ => Ok(response),
        }
    }
}

type Outcome = Result<Response, TransportError>;

impl Transport for Fetch {
    async fn send(&self, request: &Request) -> Outcome {
        let controller = AbortController::new().map_err(sent)?;
        let exchange = self.exchange(request, &controller);
        // A cancelled job still says goodbye: its snapshot need not wait to expire.
        let outcome = match request.method {
            Method::Delete => exchange.await,
            _ => self.signal.unless(exchange).await.unwrap_or(Err(TransportError::Cancelled)),
        };
        if outcome.is_err() {
            controller.abort();
        }
        outcome
    }

    async fn sleep(&self, milliseconds: u64) -> Result<(), TransportError> {
        let mut timer = Timer::start(milliseconds).map_err(|error| TransportError::Cut(error.message))?;
        self.signal.unless(timer.wait()).await.ok_or(TransportError::Cancelled)
    }

    fn random(&self) -> f64 {
        js_sys::Math::random()
    }

    async fn token(&self, rejected: Option<&str>) -> Result<String> {
        let known = self.token.borrow().clone();
        if let Some(token) = known.filter(|token| rejected != Some(token)) {
            return Ok(token);
        }
        if self.signal.is_raised() {
            return Err(cancelled());
        }
        let token = self.signal.unless(self.tokens.ask(rejected)).await.ok_or_else(cancelled)??;
        self.token.replace(Some(token.clone()));
        Ok(token)
    }
}

/// How long an answer may keep us waiting.
struct Patience {
    idle: u64,
    deadline: f64,
}

impl Patience {
    async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T, TransportError> {
        let left = (self.deadline - Date::now()).max(0.0) as u64;
        let mut timer =
            Timer::start(self.idle.min(left)).map_err(|error| TransportError::Cut(error.message))?;
        match select(pin!(future), pin!(timer.wait())).await {
            Either::Left((outcome, _)) => Ok(outcome),
            Either::Right(_) => Err(TransportError::Timeout),
        }
    }
}

/// `fetch` does not tell a refused connection from one that broke before the answer.
fn sent(thrown: JsValue) -> TransportError {
    TransportError::Unreachable(js::text(&thrown))
}

fn broken(thrown: JsValue) -> TransportError {
    TransportError::Cut(js::text(&thrown))
}

fn header_list(answer: &web_sys::Response) -> Vec<(String, String)> {
    let pairs = js_sys::try_iter(&answer.headers()).ok().flatten();
    let pair = |entry: Result<JsValue, JsValue>| {
        let pair: Array = entry.ok()?.dyn_into().ok()?;
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    };
    pairs.map(|entries| entries.filter_map(pair).collect()).unwrap_or_default()
}
