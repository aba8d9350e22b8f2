//! The log: one line for each thing that happened, as text for people or as JSON for programs; and a line for each request.
//!
//! A line names the route of a request and never its path, its query or its headers, so that no id, ticket or token gets into
//! the log.

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Body as _, Frame, SizeHint};
use std::io::IsTerminal as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What is logged stands in this variable of the environment, such as `debug` or `warn,dikas_server::logs=debug`; where it is
/// not set, `info` and what is worse.
const FILTER: &str = "RUST_LOG";

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// Begins to write the log to the standard error stream.
///
/// # Errors
/// Where the filter of the environment is none, or there is a log already.
pub fn start(format: LogFormat) -> Result<(), Box<dyn std::error::Error>> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).with_env_var(FILTER);
    let filter = filter.from_env().map_err(|error| format!("{FILTER}: {error}"))?;
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let started = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| -> Box<dyn std::error::Error> { error })
}

/// Logs each request, once its answer has left.
pub(crate) async fn requests(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("page", MatchedPath::as_str);
    let mut entry = Entry {
        method: request.method().clone(),
        route: route.to_owned(),
        begun: Instant::now(),
        status: None,
        bytes: 0,
        expected: None,
    };
    let response = next.run(request).await;
    entry.status = Some(response.status());
    let length = || response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    entry.expected = match entry.method {
        Method::HEAD => Some(0),
        _ => response.body().size_hint().exact().or_else(length),
    };
    response.map(|body| Body::new(Counted { body, entry }))
}

/// What is logged of a request, when it is dropped.
struct Entry {
    method: Method,
    route: String,
    begun: Instant,
    /// None until there is an answer.
    status: Option<StatusCode>,
    /// So many bytes of the answer's body have left.
    bytes: u64,
    /// So many should; none where its end is not known.
    expected: Option<u64>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Self { method, route, bytes, .. } = self;
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Some(status) = self.status else {
            tracing::info!(%method, route, ms, "the caller of a request went away");
            return;
        };
        let (code, bytes) = (status.as_u16(), *bytes);
        if self.expected.is_none_or(|expected| bytes < expected) {
            tracing::info!(%method, route, status = code, ms, bytes, "an answer broke off");
        } else if status.is_server_error() {
            tracing::warn!(%method, route, status = code, ms, bytes, "a request failed");
        } else if status.is_client_error() {
            tracing::info!(%method, route, status = code, ms, bytes, "a request was refused");
        } else {
            tracing::debug!(%method, route, status = code, ms, bytes, "a request was answered");
        }
    }
}

/// A body whose bytes are counted on their way out.
struct Counted {
    body: Body,
    entry: Entry,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.entry.bytes += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            }
            Poll::Ready(None) => self.entry.expected = Some(self.entry.bytes),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
