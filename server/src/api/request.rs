//! Reading requests, with failures in the frame of every other answer.

use crate::App;
use crate::connections::TooSlow;
use crate::failure::{Failure, Result};
use crate::store::Owner;
use crate::strict::{self, MOST};
use axum::body::{Body, BodyDataStream};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How large a JSON body may be.
const SMALL: usize = 64 << 10;

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Query(params) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection: QueryRejection| Failure::bad_request(rejection.body_text()))?;
        Ok(Self(params))
    }
}

/// Parts of the path.
pub(super) struct Segments<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Path(segments) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| Failure::bad_request(rejection.body_text()))?;
        Ok(Self(segments))
    }
}

/// A whole number in a query or a path.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Whole(pub(super) u64);

impl TryFrom<u64> for Whole {
    type Error = String;

    fn try_from(number: u64) -> std::result::Result<Self, String> {
        match number {
            ..=MOST => Ok(Self(number)),
            _ => Err(format!("expected a number up to {MOST}, found {number}")),
        }
    }
}

/// The header of this name.
///
/// # Errors
/// `bad-request` where it is missing, or no text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| Failure::bad_request("this header is missing, or no text").on(name))
}

/// The whole body of an upload, of at most `limit` bytes. While anybody has it, it counts for as much memory as it
/// takes together with one copy.
///
/// # Errors
/// `too-large`; `no-space`; 503 where too many large bodies are under way.
pub(super) async fn bytes(
    app: &App,
    owner: &Owner,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes> {
    let stated = content_length(headers).unwrap_or_default();
    if stated > limit as u64 {
        return Err(Failure::too_large(limit as u64));
    }
    app.store.room().require(stated)?;
    let mut share = app.memory.share(owner, 0).await?;
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut stream).await? {
        let length = bytes.len() + chunk.len();
        if length > limit {
            return Err(Failure::too_large(limit as u64));
        }
        share.grow(length.saturating_mul(2)).await?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(share.hold(bytes))
}

/// How many bytes the body has, where that is said.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(body: Body, limit: usize) -> Result<BytesMut> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut stream).await? {
        if bytes.len() + chunk.len() > limit {
            return Err(Failure::too_large(limit as u64));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What comes next of a body; none at its end.
///
/// # Errors
/// `too-slow`; `bad-request` where it breaks off.
pub(super) async fn next_chunk(body: &mut BodyDataStream) -> Result<Option<Bytes>> {
    body.next().await.transpose().map_err(|error| {
        let error = error.into_inner();
        match error.downcast_ref::<TooSlow>() {
            Some(slow) => Failure::new(StatusCode::REQUEST_TIMEOUT, "too-slow", slow.to_string()),
            None => Failure::bad_request(format!("the body broke off: {error}")),
        }
    })
}

/// A JSON body of at most 64 KiB.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T> {
    parse(&read(body, SMALL).await?)
}

/// A JSON body of at most `limit` bytes.
pub(super) async fn json_up_to<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T> {
    parse(&read(body, limit).await?)
}

/// A JSON body of at most 64 KiB; null, or none at all, stands for the usual.
pub(super) async fn json_or_default<T: DeserializeOwned + Default>(body: Body) -> Result<T> {
    let bytes = read(body, SMALL).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    Ok(parse::<Option<T>>(&bytes)?.unwrap_or_default())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    strict::from_slice(bytes).map_err(|error| Failure::bad_request(format!("the body does not fit: {error}")))
}
