//! The admin page, behind the API.

use crate::failure::Failure;
use axum::http::header::ALLOW;
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
