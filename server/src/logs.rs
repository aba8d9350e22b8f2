//! The log: one line for each thing that happened, as text for people or as JSON for programs; and a line for each request.
//!
//! A line names the route of a request and never its path, its query or its headers, so that no id, ticket or token gets into
//! the log. Names come from outside: what could forge a line, command a terminal or turn text around is escaped, in every line.

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use dikas_archive::plain::{plain, plain_json};
use hyper::body::{Body as _, Frame, SizeHint};
use std::io::{self, Write};
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
    let writer = move || Escaped { format, to: io::stderr() };
    let log = tracing_subscriber::fmt().with_writer(writer).with_env_filter(filter);
    let started = match format {
        LogFormat::Text => log.with_ansi(false).with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| -> Box<dyn std::error::Error> { error })
}

/// Writes lines of a log, each of which comes in one piece.
struct Escaped<W> {
    format: LogFormat,
    to: W,
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (&*text, ""),
        };
        let shown = match self.format {
            LogFormat::Text => plain(text),
            LogFormat::Json => plain_json(text),
        };
        self.to.write_all(format!("{shown}{end}").as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_name_forges_a_line_of_the_log() {
        let name = "a.jpg\n2026-11-23T18:59:41Z  INFO all is well\r\u{1b}[2J\u{202e}\u{9b}\u{2028}\0";
        for format in [LogFormat::Text, LogFormat::Json] {
            let kept = Kept::default();
            let to = kept.clone();
            let log = tracing_subscriber::fmt().with_writer(move || Escaped { format, to: to.clone() });
            let log: Box<dyn tracing::Subscriber + Send + Sync> = match format {
                LogFormat::Text => Box::new(log.with_ansi(false).finish()),
                LogFormat::Json => Box::new(log.json().flatten_event(true).finish()),
            };
            tracing::subscriber::with_default(log, || {
                tracing::warn!("the entry {name} is damaged");
                tracing::warn!(name, other = %name, debug = ?name, "an entry is damaged");
            });
            let written = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            let lines: Vec<&str> = written.split_terminator('\n').collect();
            assert_eq!(lines.len(), 2, "{written}");
            for line in lines {
                assert_eq!(plain(line), line);
                if format == LogFormat::Json {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    assert!(line.to_string().contains("all is well"), "{line}");
                }
            }
        }
    }
}
