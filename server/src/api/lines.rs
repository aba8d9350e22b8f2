//! Answers that tell how far something is: JSON lines, for as long as it takes.

use crate::failure::{Failure, Result};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::Response;
use dikas_archive::api::NDJSON;
use futures::{Stream, StreamExt as _};
use serde::Serialize;

/// Whether the caller wants to be told line by line.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|choice| {
        let name = choice.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(NDJSON)
    })
}

/// Answers each of these as a line, when it comes.
pub(super) fn lines<T: Serialize>(events: impl Stream<Item = T> + Send + 'static) -> Result<Response> {
    let lines = events.map(|event| {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(line)
    });
    Response::builder().header(CONTENT_TYPE, NDJSON).body(Body::from_stream(lines)).map_err(Failure::internal)
}
