//! The admin page, behind the API.

use crate::failure::Failure;
use axum::http::header::{ALLOW, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// Answers a file of the page.
pub(crate) async fn page(method: Method, uri: Uri, request: HeaderMap) -> Response {
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") {
        return Failure::not_found("there is no such call").on(path).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    dikas_page::answer(path, &request)
}

/// 405: the path knows these methods only.
pub(crate) fn not_allowed(methods: &str) -> Response {
    let message = format!("this path knows only {methods}");
    let mut response =
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message).into_response();
    if let Ok(allow) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// No answer is for guessing its type, and none for a cache that does not say so.
pub(crate) fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
