//! Who may call at all: bodies have their type, and pages of other sites are refused.

use crate::bench::{Answer, Bench};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn a_body_has_the_type_of_its_call_and_no_body_needs_none() {
    let bench = Bench::new().await;
    let openapi: Value = serde_json::from_slice(&bench.get("/openapi.json").await.body).unwrap();
    let mut walked = 0;
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let types = operation["requestBody"]["content"].as_object();
            let types: Vec<&str> =
                types.map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default();
            assert_eq!(operation["responses"]["415"].is_object(), !types.is_empty(), "{method} {path}");
            for (media_type, fits) in [
                (Some("text/plain"), types == ["*/*"]),
                (Some("application/x-www-form-urlencoded"), types == ["*/*"]),
                (Some("multipart/form-data; boundary=x"), types == ["*/*"]),
                (None, types == ["*/*"]),
                (types.first().copied().filter(|first| *first != "*/*"), true),
            ] {
                if media_type.is_none() && fits && types != ["*/*"] {
                    continue;
                }
                let answer = send(&bench, method, path, media_type, "x").await;
                let refused = answer.status == StatusCode::UNSUPPORTED_MEDIA_TYPE;
                assert_eq!(refused, !fits, "{method} {path} {media_type:?}: {}", answer.status);
                walked += usize::from(refused);
            }
            let answer = send(&bench, method, path, None, "").await;
            assert_ne!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {path}");
        }
    }
    assert!(walked > 100, "{walked}");
    let with_charset = "application/json; charset=utf-8";
    let answer = send(&bench, "post", "/api/v1/backup/snapshots", Some(with_charset), "{}").await;
    answer.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_page_of_another_site_can_do_nothing_unless_it_is_allowed() {
    let allowed = "https://office.example".parse().unwrap();
    let bench = Bench::with(|config| config.access.allowed_origins = vec![allowed]).await;
    let call = async |method: Method, path: &str, origin: &str| {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        let request = request.header("host", "till:5015").header("origin", origin);
        let login = json!({"username": "admin", "password": bench.password}).to_string();
        bench.send(request.header("content-type", "application/json").body(Body::from(login)).unwrap()).await
    };
    for origin in ["http://evil.example", "http://till:80", "https://office.example.evil.example", "null"] {
        let answer =
            call(Method::POST, "/auth/login", origin).await.fails(StatusCode::FORBIDDEN, "cross-site");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
        let said = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(said.contains("forward Host") && said.contains("access.allowed_origins"), "{said}");
        let asked = call(Method::OPTIONS, "/auth/login", origin).await;
        assert!(!asked.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    call(Method::POST, "/auth/login", "http://till:5015").await.expect(StatusCode::OK);
    for (method, path) in [(Method::POST, "/auth/login"), (Method::OPTIONS, "/backup/create")] {
        let answer = call(method, path, "https://office.example").await.expect(StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin"), "https://office.example");
    }
}

async fn send(
    bench: &Bench,
    method: &str,
    path: &str,
    media_type: Option<&str>,
    body: &'static str,
) -> Answer {
    let path = path.replace("{collection}", "articles").replace("{id}", &"0".repeat(32));
    let path = path.replace("{n}", "0").replace("{sha256}", &"0".repeat(64));
    let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(&path);
    // A logout would end the login of the walk.
    if !path.ends_with("/logout") {
        request = request.header("authorization", format!("Bearer {}", bench.admin));
    }
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    bench.send(request.body(Body::from(body)).unwrap()).await
}
