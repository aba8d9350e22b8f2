//! Reading requests, with failures in the frame of every other answer.

use crate::failure::{Failure, Result};
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;

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

/// The whole body, of at most `limit` bytes.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Bytes> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Failure::bad_request(format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(Failure::too_large(limit as u64));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// A JSON body of at most 64 KiB.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T> {
    parse(&bytes(body, 64 << 10).await?)
}

/// A JSON body of at most 64 KiB, or none at all.
pub(super) async fn json_or_default<T: DeserializeOwned + Default>(body: Body) -> Result<T> {
    let bytes = bytes(body, 64 << 10).await?;
    if bytes.is_empty() { Ok(T::default()) } else { parse(&bytes) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::bad_request(format!("the body does not fit: {error}")))
}
