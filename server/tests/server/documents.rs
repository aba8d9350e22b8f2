//! The ingest rule, the signed rule, counters, and all or nothing.

use crate::bench::{Bench, document_path};
use axum::http::{Method, StatusCode};
use dikas_archive::limits::MAX_DOCUMENT_BYTES;
use dikas_server::auth::Role;
use serde_json::{Value, json};

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// Ids and bodies that other programs have broken.
const AWKWARD: &[(&str, &str)] = &[
    ("art_line", "{\"_id\":\"art_line\",\"text\":\"a\u{2028}b\u{2029}c\u{85}d\"}"),
    (
        "art_digits",
        r#"{"_id":"art_digits","n":123456789012345678901234567890123456789012345678901234567890.10}"#,
    ),
    ("art_twice", r#"{"_id":"art_twice","in":{"a":1,"a":2},"b":1,"b":2}"#),
    ("art_/%ä 100", "{\"_id\":\"art_/%ä 100\",\"e\":\"\\u00e4\\/\\ud83d\\ude00\"}"),
    ("art_escaped", r#"{"x":{"_id":"inner"},"_i\u0064":"art_\u0065scaped"}"#),
    ("art_space", "{ \"_id\" : \"art_space\" ,\t\"zero\": -0.0, \"e\": 1E+2 }  "),
    ("art_\u{1F600}", "{\"_id\":\"art_\u{1F600}\",\"lone\":\"\\ud800\"}"),
    ("art_+&=?#", r#"{"_id":"art_+&=?#"}"#),
];

#[tokio::test]
async fn what_goes_in_comes_out_byte_for_byte() {
    let bench = Bench::new().await;
    for (id, body) in AWKWARD {
        bench.put(&document_path("articles", id), *body).await.expect(CREATED);
        let answer = bench.get(&document_path("articles", id)).await.expect(OK);
        assert_eq!(answer.body, body.as_bytes(), "{id}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let mut sorted: Vec<_> = AWKWARD.to_vec();
    sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let expected: String = sorted.iter().map(|(_, body)| format!("{body}\n")).collect();
    let snapshot = bench.snapshot().await;
    assert_eq!(bench.lines(&snapshot, "articles").await, expected.as_bytes());
}

#[tokio::test]
async fn only_line_ends_are_dropped() {
    let bench = Bench::new().await;
    let path = document_path("settings", "cfg_1");
    bench.put(&path, "{\r\n  \"_id\": \"cfg_1\",\r\n  \"a\": [ 1,\n2 ]\r\n}\r\n").await.expect(CREATED);
    assert_eq!(bench.get(&path).await.body, "{  \"_id\": \"cfg_1\",  \"a\": [ 1,2 ]}");
    let answer = bench.put(&path, "{  \"_id\": \"cfg_1\",  \"a\": [ 1,2 ]}").await.expect(OK);
    assert_eq!(answer.data::<Value>(), json!({"created": 0, "changed": 0, "unchanged": 1}));
}

#[tokio::test]
async fn what_is_no_document_is_refused_and_stores_nothing() {
    let bench = Bench::new().await;
    let path = document_path("articles", "art_1");
    let before = bench.snapshot().await.source.position;
    for body in [
        "",
        "[]",
        "{}",
        r#"{"_id":1}"#,
        r#"{"_id":"art_2"}"#,
        r#"{"_id":"art_1","_id":"art_1"}"#,
        r#"{"_id":"art_1"} {}"#,
        r#"{"_id":"art_1",}"#,
        r#"{"_id":"art_1","a":01}"#,
        "{\"_id\":\"art_1\",\"a\":\"\u{1}\"}",
    ] {
        bench.put(&path, body).await.fails(BAD, "bad-document");
    }
    let not_utf8 = b"{\"_id\":\"art_1\",\"a\":\"\xFF\"}".to_vec();
    bench.put(&path, not_utf8).await.fails(BAD, "bad-document");
    let deep = format!(r#"{{"_id":"art_1","a":{}{}}}"#, "[".repeat(600), "]".repeat(600));
    bench.put(&path, deep).await.fails(BAD, "bad-document");
    let large = vec![b' '; MAX_DOCUMENT_BYTES + 1];
    bench.put(&path, large).await.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    bench.put("/documents/articles", r#"{"_id":"art_1"}"#).await.fails(BAD, "bad-request");
    bench.put("/documents/Articles?id=a", r#"{"_id":"a"}"#).await.fails(BAD, "bad-request");
    bench.get(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.get("/documents/%FF?id=a").await.fails(BAD, "bad-request");
    assert_eq!(bench.snapshot().await.source.position, before);
}

#[tokio::test]
async fn signed_documents_are_added_and_then_stay() {
    let bench = Bench::new().await;
    for collection in ["receipts", "day-closes", "invoices"] {
        let path = document_path(collection, "x");
        let all = format!("/documents/{collection}");
        bench.put(&path, r#"{"_id":"x","n":1}"#).await.expect(CREATED);
        bench.put(&path, r#"{"_id":"x","n":1}"#).await.expect(OK);
        bench.put(&path, "{\"_id\":\"x\",\n\"n\":1}").await.expect(OK);
        bench.put(&path, r#"{"_id":"x","n":2}"#).await.fails(CONFLICT, "signed-document");
        bench.put(&path, r#"{"_id":"x","n":1 }"#).await.fails(CONFLICT, "signed-document");
        bench.delete(&path).await.fails(CONFLICT, "signed-document");
        let two = "{\"_id\":\"y\"}\n{\"_id\":\"x\",\"n\":2}\n";
        bench.post(&all, two).await.fails(CONFLICT, "signed-document");
        bench.get(&document_path(collection, "y")).await.fails(StatusCode::NOT_FOUND, "not-found");
        let again = "{\"_id\":\"y\"}\n{\"_id\":\"y\",\"other\":1}\n";
        bench.post(&all, again).await.fails(CONFLICT, "signed-document");
        assert_eq!(bench.get(&path).await.body, r#"{"_id":"x","n":1}"#);
    }
}

#[tokio::test]
async fn many_documents_come_in_together_or_not_at_all() {
    let bench = Bench::new().await;
    let path = "/documents/customers";
    let tally = bench.post(path, "{\"_id\":\"a\"}\r\n{\"_id\":\"b\"}\n{\"_id\":\"c\"}").await.expect(OK);
    assert_eq!(tally.data::<Value>(), json!({"created": 3, "changed": 0, "unchanged": 0}));
    let tally =
        bench.post(path, "{\"_id\":\"a\"}\n{\"_id\":\"b\",\"x\":1}\n{\"_id\":\"d\"}\n").await.expect(OK);
    assert_eq!(tally.data::<Value>(), json!({"created": 1, "changed": 1, "unchanged": 1}));
    let wrong = bench.post(path, "{\"_id\":\"e\"}\n{\"_id\":\"f\"}\n{\"_id\":7}\n").await;
    let wrong: Value = serde_json::from_slice(&wrong.fails(BAD, "bad-document").body).unwrap();
    assert!(wrong["message"].as_str().unwrap().starts_with("line 3: "), "{wrong}");
    bench.post(path, "{\"_id\":\"e\"}\n\n{\"_id\":\"f\"}\n").await.fails(BAD, "bad-document");
    bench.get(&document_path("customers", "e")).await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.post(path, "").await.expect(OK);
}

#[tokio::test]
async fn a_bulk_that_is_too_large_is_refused() {
    let bench = Bench::with(|config| config.limits.bulk_bytes = 100).await;
    let fits = format!("{{\"_id\":\"{}\"}}\n", "x".repeat(89));
    bench.post("/documents/customers", fits.clone()).await.expect(OK);
    let answer = bench.post("/documents/customers", fits + " ").await;
    answer.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
}

#[tokio::test]
async fn a_bulk_of_too_many_documents_is_refused() {
    let bench = Bench::with(|config| config.limits.bulk_documents = 2).await;
    let lines = "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n";
    bench.post("/documents/customers", lines).await.expect(OK);
    let more = format!("{lines}{{\"_id\":\"c\"}}");
    let answer = bench.post("/documents/customers", more).await;
    let answer = answer.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    assert!(String::from_utf8_lossy(&answer.body).contains("more than 2 documents"));
}

#[tokio::test]
async fn a_till_turns_no_counter_back() {
    let bench = Bench::new().await;
    let till = bench.user("till", Role::Till).await;
    let path = document_path("counters", "cnt_r");
    let at = |value: &str| format!(r#"{{"_id":"cnt_r","documentType":"Counter","value":{value}}}"#);
    let put = async |value: &str| bench.call(Method::PUT, &path, Some(&till), at(value)).await;
    put("10").await.expect(CREATED);
    put("11").await.expect(OK);
    put("10").await.fails(CONFLICT, "counter-backwards");
    for wrong in ["\"12\"", "12.0", "1e3", "-1", "null"] {
        put(wrong).await.fails(CONFLICT, "counter-backwards");
    }
    let bulk = format!("{}\n{}\n", at("12"), at("9"));
    let answer = bench.call(Method::POST, "/documents/counters", Some(&till), bulk).await;
    answer.fails(CONFLICT, "counter-backwards");
    let answer = bench.call(Method::DELETE, &path, Some(&till), "").await;
    answer.fails(CONFLICT, "counter-backwards");
    assert_eq!(bench.get(&path).await.body, at("11"));
    bench.put(&path, at("3")).await.expect(OK);
    put("9007199254740993").await.expect(OK);
    put("9007199254740992").await.fails(CONFLICT, "counter-backwards");
    bench.put(&path, at("\"x\"")).await.expect(OK);
    put("5").await.fails(CONFLICT, "counter-backwards");
    bench.delete(&path).await.expect(OK);
    put("-1").await.fails(CONFLICT, "counter-backwards");
}

#[tokio::test]
async fn a_document_can_be_deleted_once() {
    let bench = Bench::new().await;
    let path = document_path("articles", "art_1");
    bench.delete(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.put(&path, r#"{"_id":"art_1"}"#).await.expect(CREATED);
    bench.delete(&path).await.expect(OK);
    bench.get(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.delete(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
}
