//! What the server answers when it cannot do what it was asked to.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dikas_archive::api::{ApiError, Envelope};
use dikas_archive::damage::{Damaged, Missing};
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::job::client::kind_of;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// The result of what the server does.
pub type Result<T> = std::result::Result<T, Failure>;

/// An honest status, a stable code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    retry_after: Option<u64>,
    data: Option<Box<Value>>,
}

impl Failure {
    /// A failure with this status and code.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None, data: None }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// 401: no login, or one that has ended.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: this login may not do that.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    /// 409: what is there stands against it.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 409: fiscal law forbids the change.
    pub fn signed(what: &str) -> Self {
        let message = "signed documents are kept as they are: they can be added, not changed or deleted";
        Self::conflict("signed-document", message).on(what)
    }

    /// 409: what is stored is not what was written.
    pub fn damaged_document(error: Error) -> Self {
        let damaged = error.damaged.to_vec();
        Self::of(StatusCode::CONFLICT, "damaged-document", error).with(&Damaged { damaged })
    }

    /// 410: the snapshot has expired, was closed, or belongs to somebody else.
    pub fn snapshot_gone(why: &str) -> Self {
        Self::new(StatusCode::GONE, "snapshot-gone", format!("the snapshot is gone: {why}"))
    }

    /// 410: the restore session has ended, or is not there.
    pub fn restore_gone(why: &str) -> Self {
        Self::new(StatusCode::GONE, "restore-gone", format!("the restore is gone: {why}"))
    }

    /// 413: more bytes than allowed.
    pub fn too_large(limit: u64) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    /// 429: too much at once; again after `seconds`.
    pub fn too_many(message: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", message).again_after(seconds)
    }

    /// 503: not now; again after `seconds`.
    pub fn unavailable(message: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).again_after(seconds)
    }

    /// 503: writers are held off for a moment, while a restore is committed.
    pub fn paused(seconds: u64) -> Self {
        let message = "nobody can write for a moment: a backup is being restored";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "paused", message).again_after(seconds)
    }

    /// 422: an archive that cannot be restored as it is. What is wrong with the request, or with this server, is told as ever.
    pub fn unusable(error: Error) -> Self {
        match error.kind {
            ErrorKind::BadArgument | ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Internal => error.into(),
            kind => Self::of(StatusCode::UNPROCESSABLE_ENTITY, kind.code(), error),
        }
    }

    /// An error, told with this status and code.
    fn of(status: StatusCode, code: &'static str, error: Error) -> Self {
        let mut message = error.message;
        if let (Some(expected), Some(actual)) = (error.expected, error.actual) {
            message = format!("{message}: expected {expected}, found {actual}");
        }
        let failure = Self::new(status, code, message);
        match error.subject {
            Some(subject) => failure.on(subject),
            None => failure,
        }
    }

    /// The same as whoever calls over HTTP understands it.
    pub fn as_error(&self) -> Error {
        let kind = kind_of(self.status.as_u16(), self.code).unwrap_or(ErrorKind::ServerError);
        let error = Error::new(kind, self.message.clone()).damaged(self.damaged());
        match &self.field {
            Some(field) => error.on(field),
            None => error,
        }
    }

    /// What is damaged, where that is why.
    pub(crate) fn damaged(&self) -> Vec<Missing> {
        let told = self.data.as_deref().filter(|_| self.code == "damaged-document");
        told.and_then(|data| Damaged::deserialize(data).ok()).unwrap_or_default().damaged
    }

    /// 500: our fault. The reason goes to the log and not to the caller.
    pub fn internal(reason: impl fmt::Display) -> Self {
        tracing::error!("{reason}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
    }

    /// Names the field, parameter or document concerned; the innermost name stays.
    #[must_use]
    pub fn on(mut self, field: impl Into<String>) -> Self {
        self.field.get_or_insert_with(|| field.into());
        self
    }

    /// Says where in the request it happened, such as `line 3`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Answers this besides, where the code promises it.
    #[must_use]
    pub fn with(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::to_value(data).ok().map(Box::new);
        self
    }

    fn again_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(field) = &self.field {
            write!(f, " ({field})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind {
            ErrorKind::BadDocument => (StatusCode::BAD_REQUEST, "bad-document"),
            ErrorKind::BadArgument => (StatusCode::BAD_REQUEST, "bad-request"),
            ErrorKind::LimitExceeded => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            ErrorKind::NoSpace => return no_space(),
            _ => return Self::internal(error),
        };
        Self::of(status, code, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Error::from(error).into()
    }
}

/// 507: the disk is full.
pub(crate) fn no_space() -> Failure {
    tracing::error!("the disk with the data folder is full");
    Failure::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "no-space",
        "the server's disk is full; nothing was stored",
    )
}

/// 507 where less is free than `purpose` needs, in bytes.
pub(crate) fn require_room(purpose: &str, needed: u64, free: u64) -> Result<()> {
    if free >= needed {
        return Ok(());
    }
    let message = format!(
        "the server's disk has not enough room for {purpose}: {needed} bytes are needed, {free} are free; nothing has changed"
    );
    Err(Failure::new(StatusCode::INSUFFICIENT_STORAGE, "no-space", message))
}

/// 400: what the server was started on cannot be used, and why.
pub(crate) fn unusable(path: &Path, why: impl fmt::Display) -> Failure {
    Failure::bad_request(format!("cannot use {}: {why}", path.display()))
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let envelope = Envelope {
            data: self.data,
            is_success: false,
            message: Some(self.message.clone()),
            errors: vec![ApiError { code: self.code.to_owned(), message: self.message, field: self.field }],
        };
        let mut response = (self.status, Json(envelope)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
