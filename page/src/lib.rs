//! The admin page as answers to HTTP requests, for every program that serves it: files of `www/`, embedded in release
//! builds and read from the disk in debug builds; and files of the disk, whole or in part ([`Download`]).
//!
//! Every answer of the page carries the policy that lets it load nothing from elsewhere and run nothing but its own
//! scripts, workers included.

mod download;
mod version;

pub use download::{CHECKED_BYTES, Download};
pub use version::VERSION_PATH;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

/// What the page may do (Content Security Policy Level 3).
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    connect-src 'self'; img-src 'self' blob:; style-src 'self'; manifest-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";

#[derive(Embed)]
#[folder = "../www"]
#[allow_missing = true]
struct Files;

/// The service worker of the page, which keeps it for when there is no network.
pub const SERVICE_WORKER_PATH: &str = "/sw.js";

/// Answers a GET or HEAD of this path.
pub fn answer(path: &str, request: &HeaderMap) -> Response {
    answer_of::<Files>(path, request)
}

fn answer_of<F: Embed>(path: &str, request: &HeaderMap) -> Response {
    let mut response = match path {
        VERSION_PATH => version::answer::<F>(),
        path => file_answer::<F>(path, request),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn file_answer<F: Embed>(path: &str, request: &HeaderMap) -> Response {
    let path = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    match find::<F>(path, request) {
        Some((file, encoding)) => embedded(path, file, encoding, request),
        None => (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "text/plain")], "Not found\n").into_response(),
    }
}

/// The file of this path, compressed where there is such a sibling and the browser takes it.
fn find<F: Embed>(path: &str, request: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    if path.split('/').any(|segment| segment.starts_with('.')) {
        return None;
    }
    for (encoding, suffix) in [("br", "br"), ("gzip", "gz")] {
        if accepts(request, encoding)
            && let Some(file) = F::get(&format!("{path}.{suffix}"))
        {
            return Some((file, Some(encoding)));
        }
    }
    F::get(path).map(|file| (file, None))
}

fn embedded(path: &str, file: EmbeddedFile, encoding: Option<&'static str>, request: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", version::digest(&file));
    let known = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = Response::builder()
        .header(CONTENT_TYPE, media_type(path))
        .header(CACHE_CONTROL, "no-cache")
        .header(VARY, "accept-encoding")
        .header(ETAG, tag);
    let mut body = Body::from(file.data);
    if known {
        (response, body) = (response.status(StatusCode::NOT_MODIFIED), Body::empty());
    } else if let Some(encoding) = encoding {
        response = response.header(CONTENT_ENCODING, encoding);
    }
    response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Whether `Accept-Encoding` names this coding and does not weigh it zero.
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|choice| {
        let mut parts = choice.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("wasm") => "application/wasm",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("ts" | "txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[derive(Embed)]
    #[folder = "tests/www"]
    struct Sample;

    async fn get(path: &'static str, headers: &[(HeaderName, &str)]) -> (Response<()>, String) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let response = answer_of::<Sample>(path, &headers);
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY, "{path}");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_best_sibling_that_the_browser_takes_is_sent() {
        for (accepted, coding, content) in [
            ("gzip, deflate, br", Some("br"), "as Brotli\n"),
            ("gzip;q=1.0, br;q=0", Some("gzip"), "as gzip\n"),
            ("GZIP", Some("gzip"), "as gzip\n"),
            ("identity", None, "as it is\n"),
            ("", None, "as it is\n"),
        ] {
            let (answer, body) = get("/engine.wasm", &[(ACCEPT_ENCODING, accepted)]).await;
            let headers = answer.headers();
            assert_eq!((answer.status(), body.as_str()), (StatusCode::OK, content), "{accepted}");
            assert_eq!(headers.get(CONTENT_ENCODING).map(|coding| coding.to_str().unwrap()), coding);
            assert_eq!(headers[CONTENT_TYPE], "application/wasm");
            assert_eq!(headers[VARY], "accept-encoding");
            let tag = headers[ETAG].to_str().unwrap();
            let known = [(ACCEPT_ENCODING, accepted), (IF_NONE_MATCH, tag)];
            let (again, body) = get("/engine.wasm", &known).await;
            assert_eq!((again.status(), body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{accepted}");
        }
    }

    #[tokio::test]
    async fn workers_and_what_is_missing_come_with_the_policy_too() {
        let (worker, body) = get("/worker.js", &[(ACCEPT_ENCODING, "br")]).await;
        assert_eq!((worker.status(), body.as_str()), (StatusCode::OK, "// A worker.\n"));
        assert_eq!(worker.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(!worker.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(get("/missing.js", &[]).await.0.status(), StatusCode::NOT_FOUND);
    }
}
