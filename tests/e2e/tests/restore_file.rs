//! `POST /backup/restore` over a real network: from one server into another, and uploads that are cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::archives::{FileRestored, RestoreEvent};
use dikas_archive::api::{Envelope, NDJSON};
use dikas_e2e::api::{query, try_send};
use dikas_e2e::server::{Killable, Local, demo_login};
use dikas_e2e::{api::Api, until};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");

/// The media type of an archive.
const ZIP: &str = "application/zip";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_made_another_restores_and_gives_again() {
    let [from, to, again] = [Local::demo().await, Local::start().await, Local::start().await];
    let source = from.api().await;
    let archive = source.create(json!({})).await.bytes().await.unwrap();
    let expected = source.everything().await;
    let path = format!("/backup/restore?businessName={}", query(&expected.snapshot.source.business));

    let request = to.api().await.request(Method::POST, &path).header("content-type", ZIP);
    let (status, body) = try_send(request.body(archive.clone())).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let restored: FileRestored = serde_json::from_slice::<Envelope<_>>(&body).unwrap().data.unwrap();
    let outcome = restored.outcome.unwrap();
    assert!(outcome.logins_ended, "the users are those of the backup now");

    // As lines, and the body in pieces of which nobody knows how many there are.
    let pieces = reqwest::Body::wrap(Full::new(archive).map_frame(|frame| frame));
    let request = again.api().await.request(Method::POST, &path).header("accept", NDJSON);
    let (status, body) = try_send(request.header("content-type", ZIP).body(pieces)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let last = body.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    assert!(matches!(serde_json::from_slice(last).unwrap(), RestoreEvent::Done { .. }));

    let (username, password) = demo_login();
    for server in [&to, &again] {
        let found = Api::login(&server.url, &username, &password).await.everything().await;
        assert!(found.lines == expected.lines);
        assert_eq!(found.attachments, expected.attachments);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_leaves_nothing() {
    let server = Killable::start(SERVER).await;
    let (username, password) = demo_login();
    let api = Api::login(&server.url, &username, &password).await;
    let archive = api.create(json!({})).await.bytes().await.unwrap();
    let before = api.everything().await;
    let address = server.url.strip_prefix("http://").unwrap();
    for (length, sent, hangs_up) in
        [(archive.len(), archive.len() / 2, true), (archive.len(), archive.len(), true), (9, 9, false)]
    {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /api/v1/backup/restore HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/zip\r\ncontent-length: {length}\r\n\r\n",
            api.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&archive[..sent]).unwrap();
        if !hangs_up {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("not-an-archive"), "{answer}");
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    until("the session to go", async || {
        let (_, body) = try_send(api.request(Method::GET, "/backup/restores")).await.unwrap();
        String::from_utf8(body).unwrap().contains("\"data\":[]").then_some(())
    })
    .await;
    assert!(api.everything().await.lines == before.lines);
    let mut names: Vec<String> = std::fs::read_dir(server.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("dikas.sqlite"))
        .collect();
    names.sort();
    assert_eq!(names, ["blobs", "installation", "jobs", "lock", "secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_disk_has_no_room_for_is_refused_and_whoever_sends_it_hears_that() {
    let Some((server, disk)) = Killable::start_on_disk(SERVER, 64 << 20).await else { return };
    let (username, password) = demo_login();
    let api = Api::login(&server.url, &username, &password).await;
    let before = api.everything().await;
    let body = Full::new(Bytes::from(vec![7; 128 << 20]));
    for (body, expected) in [
        (reqwest::Body::wrap(body.clone()), "134217728 bytes are needed"),
        (reqwest::Body::wrap(body.map_frame(|frame| frame)), "bytes are needed"),
    ] {
        let request = api.request(Method::POST, "/backup/restore").header("accept", NDJSON);
        let request = request.header("content-type", ZIP).body(body);
        let (status, answer) = try_send(request).await.expect("an answer");
        let text = String::from_utf8(answer).unwrap();
        assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{text}");
        assert!(text.contains("no-space") && text.contains(expected), "{text}");
    }
    assert_eq!(disk.list("jobs"), [""; 0]);
    assert!(api.everything().await.lines == before.lines);
    // What was taken in is given back: there is room for the shop's own backup.
    api.create(json!({})).await;
}
