//! What the API says of itself holds: shapes, numbers, headers, failures.

use crate::bench::{Answer, Bench, document_path};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;

/// The first number that has more than 63 bits.
const TOO_LARGE: &str = "9223372036854775808";

/// A digest in the right form.
fn digest() -> String {
    "0".repeat(64)
}

async fn send(bench: &Bench, method: Method, path: &str, media_type: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    let request = request.header("authorization", format!("Bearer {}", bench.admin));
    bench.send(request.header("content-type", media_type).body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn every_operation_states_the_failures_that_its_request_can_cause() {
    let bench = Bench::new().await;
    let openapi: Value = serde_json::from_slice(&bench.get("/openapi.json").await.body).unwrap();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let stated = |status: &str| operation["responses"][status].is_object();
            let takes = operation["requestBody"].is_object();
            if takes || operation["parameters"].is_array() {
                assert!(stated("400"), "{method} {path}");
            }
            for status in ["408", "413", "415"] {
                assert_eq!(stated(status), takes, "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_no_object_and_a_whole_number_has_63_bits() {
    let bench = Bench::new().await;
    let login = r#"["admin","secret"]"#;
    for (path, body) in [
        ("/auth/login", login),
        ("/auth/refresh", r#"["token"]"#),
        ("/auth/tokens", r#"["cron"]"#),
        ("/backup/snapshots", "[null]"),
        ("/backup/create", "[null,null]"),
        ("/backup/jobs", "[]"),
        ("/backup/restores", "[]"),
        ("/backup/restores/a/blobs/missing", "[[]]"),
        ("/backup/restores/a/commit", "[1,1]"),
        ("/backup/restore-points/a/activate", "[1]"),
        ("/backup/restores/a/commit", &format!(r#"{{"seq":{TOO_LARGE}}}"#)),
        ("/backup/restores/a/commit", r#"{"seq":1,"seq":1}"#),
        ("/backup/restores/a/commit", r#"{"seq":1} {}"#),
    ] {
        let answer = send(&bench, Method::POST, path, "application/json", body).await;
        let answer = answer.fails(StatusCode::BAD_REQUEST, "bad-request");
        assert!(String::from_utf8_lossy(&answer.body).contains("the body does not fit"), "{path} {body}");
    }
    let blob = format!("/backup/restores/a/blobs/{}", digest());
    for (method, path, media_type) in [
        (Method::GET, format!("/audit?limit={TOO_LARGE}"), "application/json"),
        (Method::GET, format!("/audit?before={TOO_LARGE}"), "application/json"),
        (Method::GET, format!("/backup/snapshots/a/documents/b?maxBytes={TOO_LARGE}"), "application/json"),
        (Method::POST, format!("/backup/restore?acknowledge={TOO_LARGE}"), "application/zip"),
        (Method::POST, format!("/backup/restore?withoutFiles={TOO_LARGE}"), "application/zip"),
        (Method::PUT, format!("{blob}?from={TOO_LARGE}&size=1"), "application/octet-stream"),
        (Method::PUT, format!("/backup/restores/a/attachments/{TOO_LARGE}"), "application/x-ndjson"),
        (Method::PUT, format!("/backup/restores/a/documents/b/{TOO_LARGE}"), "application/x-ndjson"),
    ] {
        let answer = send(&bench, method, &path, media_type, "").await;
        answer.fails(StatusCode::BAD_REQUEST, "bad-request");
    }
}

#[tokio::test]
async fn a_header_that_is_missing_is_named_and_null_is_as_good_as_no_body() {
    let bench = Bench::new().await;
    let answer = bench.get("/backup/restores/a").await.fails(StatusCode::BAD_REQUEST, "bad-request");
    assert!(String::from_utf8_lossy(&answer.body).contains("dikas-restore-secret"));
    for body in ["", "null", "{}"] {
        let answer = send(&bench, Method::POST, "/backup/snapshots", "application/json", body).await;
        answer.expect(StatusCode::CREATED);
    }
    let path = format!("{}%00", document_path("articles", "a"));
    bench.get(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
}
