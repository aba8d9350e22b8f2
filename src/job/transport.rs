//! What the HTTP client needs of its surroundings: the browser brings `fetch`, the command line a client library, a
//! test a script. One request goes out, one whole answer comes back; everything clever lives above, in
//! [`client`](super::client) and [`http`](super::http).

use crate::error::{self, Error, ErrorKind};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Sends requests to one DiKAS server, waits, and knows the login.
#[allow(async_fn_in_trait, reason = "jobs run on one thread: no future has to be Send")]
pub trait Transport {
    /// Sends the request and takes the whole answer in, whatever its status. Several may be under way at once.
    ///
    /// An answer that breaks off is [`TransportError::Cut`], never a shorter answer; one that ends before its
    /// `Content-Length` is that too.
    async fn send(&self, request: &Request) -> Result<Response, TransportError>;

    /// Waits before the next try. May end early with [`TransportError::Cancelled`].
    async fn sleep(&self, milliseconds: u64) -> Result<(), TransportError>;

    /// A random number from 0 up to, not including, 1.
    fn random(&self) -> f64;

    /// The bearer token to use. `rejected` is the one that the server has just refused: the answer is then a newer
    /// one, or an error of kind `unauthorized`. [`Session`](super::session::Session) does that for a login.
    async fn token(&self, rejected: Option<&str>) -> error::Result<String>;
}

impl<T: Transport> Transport for &T {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        T::send(self, request).await
    }

    async fn sleep(&self, milliseconds: u64) -> Result<(), TransportError> {
        T::sleep(self, milliseconds).await
    }

    fn random(&self) -> f64 {
        T::random(self)
    }

    async fn token(&self, rejected: Option<&str>) -> error::Result<String> {
        T::token(self, rejected).await
    }
}

/// How long a server may send nothing before a request fails with [`TransportError::Timeout`].
pub const IDLE_MILLISECONDS: u64 = 45_000;

/// How long a request may take in all.
pub const TOTAL_MILLISECONDS: u64 = 300_000;

/// What a JSON answer may have at most: a thousand attachment records with long names fit in well.
pub const MAX_JSON_BYTES: u64 = 16 << 20;

/// One request to the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query, to be appended to the base URL (`http://host:5015/api/v1`): begins with `/`, is pure ASCII and
    /// percent-encoded already.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty means none.
    pub body: Vec<u8>,
    /// An answer with a longer body is [`TransportError::TooLarge`], found out before it has been taken in.
    pub max_bytes: u64,
    /// The longest silence, until the first byte of the answer or between two, in milliseconds.
    pub idle_milliseconds: u64,
    /// The longest time from sending to the last byte, in milliseconds.
    pub total_milliseconds: u64,
}

impl Request {
    /// A request without a body, with the usual limits.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            target: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
            max_bytes: MAX_JSON_BYTES,
            idle_milliseconds: IDLE_MILLISECONDS,
            total_milliseconds: TOTAL_MILLISECONDS,
        }
    }

    /// Appends one parameter of the query, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        self
    }

    /// Sets a header; there is at most one of a name.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set_header(name, value.into());
        self
    }

    /// Sends this as JSON.
    pub fn json(mut self, body: &impl serde::Serialize) -> error::Result<Self> {
        self.body =
            serde_json::to_vec(body).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        Ok(self.header("content-type", "application/json"))
    }

    pub(super) fn set_header(&mut self, name: &'static str, value: String) {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value));
    }
}

/// The methods that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Starts something.
    Post,
    /// Stores something under its name.
    Put,
    /// Ends or removes something.
    Delete,
}

impl Method {
    /// As it stands in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }

    /// Whether a request that may have arrived can be sent again without harm (RFC 9110 section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post)
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The whole body, any content coding undone.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// The media type without its parameters, in lower case.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// Why no whole answer came. The texts are the transport's own words, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportError {
    /// No connection: no such host, refused, offline, blocked.
    Unreachable(String),
    /// Who answers there cannot prove to be the server: nothing was sent, and asking again helps nobody.
    Untrusted(String),
    /// The connection broke after the request had left.
    Cut(String),
    /// The server was silent for too long, or took too long in all.
    Timeout,
    /// The answer kept coming, but not all of it in the time that the request may take in all: only so many bytes.
    Slow(u64),
    /// The body is longer than the request allows.
    TooLarge,
    /// The caller gave up.
    Cancelled,
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Unreachable(why) => {
                Error::new(ErrorKind::Unreachable, format!("the server cannot be reached: {why}"))
            }
            TransportError::Untrusted(why) => {
                Error::new(ErrorKind::Unreachable, format!("the server is not trusted: {why}"))
            }
            TransportError::Cut(why) => {
                Error::new(ErrorKind::Unreachable, format!("the connection to the server broke: {why}"))
            }
            TransportError::Timeout => {
                Error::new(ErrorKind::Unreachable, "the server did not answer in time")
            }
            TransportError::Slow(bytes) => {
                Error::new(ErrorKind::Unreachable, "the connection to the server is too slow")
                    .expected("a whole answer in time", format!("{bytes} bytes of it"))
            }
            TransportError::TooLarge => {
                Error::new(ErrorKind::BadAnswer, "the server's answer is longer than it may be")
            }
            TransportError::Cancelled => Error::new(ErrorKind::Cancelled, "cancelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awkward_ids_survive_a_query() {
        let id = "WS-1/2 50%&a=b+ä\u{2028}#?";
        let request = Request::new(Method::Get, "/x").query("after", id).query("maxBytes", "1");
        let (path, query) = request.target.split_once('?').unwrap();
        assert_eq!(path, "/x");
        assert!(request.target.is_ascii() && query.matches('&').count() == 1);
        let (value, rest) = query.strip_prefix("after=").unwrap().split_once('&').unwrap();
        assert_eq!(percent_encoding::percent_decode_str(value).decode_utf8().unwrap(), id);
        assert_eq!(rest, "maxBytes=1");
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let headers = vec![("Content-TYPE".to_owned(), " Application/JSON; charset=utf-8".to_owned())];
        let response = Response { status: 200, headers, body: Vec::new() };
        assert_eq!(response.media_type(), "application/json");
        assert_eq!(response.header("content-length"), None);
    }
}
