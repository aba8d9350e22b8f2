//! What callers may take of the memory and of the disk.

use crate::bench::{Bench, attachment_path, document_path};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use dikas_server::auth::Role;
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::time::Duration;
use tower::ServiceExt as _;

const MIB: usize = 1 << 20;

fn document(bytes: usize) -> String {
    format!(r#"{{"_id":"a","text":"{}"}}"#, "x".repeat(bytes))
}

fn request(bench: &Bench, method: Method, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    request.header("authorization", format!("Bearer {}", bench.admin)).body(body).unwrap()
}

#[tokio::test]
async fn bodies_that_trickle_take_what_has_come_of_them() {
    let bench = Bench::with(|config| config.limits.memory_bytes = 16 * MIB).await;
    let mut senders = Vec::new();
    for _ in 0..20 {
        let (sender, pieces) = futures::channel::mpsc::unbounded::<Result<Bytes, Infallible>>();
        sender.unbounded_send(Ok(Bytes::from(vec![b' '; 100_000]))).unwrap();
        let body = Body::from_stream(pieces);
        let request = request(&bench, Method::POST, "/documents/articles", body);
        senders.push((sender, tokio::spawn(bench.router.clone().oneshot(request))));
    }
    tokio::task::yield_now().await;
    bench.put(&document_path("articles", "a"), document(MIB)).await.expect(StatusCode::CREATED);
    assert!(senders.iter().all(|(_, answer)| !answer.is_finished()), "all of them are still under way");
}

#[tokio::test]
async fn documents_that_are_being_sent_count_until_they_are_read() {
    let bench = Bench::with(|config| config.limits.memory_bytes = 12 * MIB).await;
    let path = document_path("articles", "a");
    let document = document(2 * MIB - 100);
    bench.put(&path, document.clone()).await.expect(StatusCode::CREATED);
    let get = || bench.router.clone().oneshot(request(&bench, Method::GET, &path, Body::empty()));
    let (first, second) = (get().await.unwrap(), get().await.unwrap());
    assert_eq!([first.status(), second.status()], [StatusCode::OK; 2]);
    let mut third = tokio::spawn(get());
    // One caller has 6 MiB, of which two answers hold 4, and reading a third takes 4 for a moment.
    let waited = tokio::time::timeout(Duration::from_millis(500), &mut third).await;
    assert!(waited.is_err(), "it waits for what others hold");
    let till = bench.user("till", Role::Till).await;
    bench.call(Method::GET, &path, Some(&till), "").await.expect(StatusCode::OK);
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), document);
    assert_eq!(third.await.unwrap().unwrap().status(), StatusCode::OK);
    drop(second);
}

#[tokio::test]
async fn what_would_fill_the_disk_is_refused_and_what_makes_room_is_not() {
    let bench = Bench::with(|config| config.spare_bytes = u64::MAX / 4).await;
    let user = document_path("users", "usr_admin");
    for (method, path) in [
        (Method::PUT, document_path("articles", "a")),
        (Method::POST, "/documents/articles".to_owned()),
        (Method::PUT, attachment_path("users", "usr_admin", "a.txt")),
    ] {
        let refused = bench.call(method, &path, Some(&bench.admin), document(1)).await;
        refused.fails(StatusCode::INSUFFICIENT_STORAGE, "no-space");
    }
    assert_eq!(bench.blobs(), [""; 0]);
    bench.delete(&user).await.expect(StatusCode::OK);
}
