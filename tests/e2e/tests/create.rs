//! `POST /backup/create` over a real network: the bytes that a snapshot gives everywhere, downloads that break off, callers
//! that go away, a disk that fills up, and a server that is asked to stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::{BackupJob, Envelope};
use dikas_e2e::api::{Api, repr_digest, try_send};
use dikas_e2e::checks::check_archive;
use dikas_e2e::proxy::Proxy;
use dikas_e2e::server::{Killable, Local, demo_login};
use dikas_e2e::{fill, native, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");

/// So many receipts that a backup of them takes some time.
const RECEIPTS: u64 = 40_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_gives_the_same_bytes_by_the_server_and_over_http() {
    let server = Local::demo().await;
    let api = server.api().await;
    let snapshot = api.open_snapshot().await;
    let proxy = Proxy::start(&server.url).await;
    proxy.pin(&snapshot);
    let folder = tempfile::tempdir().unwrap();
    let [over_http, by_server] = ["http.zip", "server.zip"].map(|name| folder.path().join(name));
    native::backup(&proxy.url, &server.login, &over_http).await.unwrap();
    // What is sold meanwhile is in neither of them.
    let later = br#"{"_id":"art_later"}"#.to_vec();
    assert_eq!(api.put_document("articles", "art_later", later).await, StatusCode::CREATED);
    let made = api.create(json!({ "snapshot": snapshot.id })).await.bytes().await.unwrap();
    assert!(fs::read(&over_http).unwrap() == made);
    fs::write(&by_server, &made).unwrap();
    check_archive(&by_server, &api.read(&snapshot).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_goes_on_where_the_archive_stays() {
    let server = Local::demo().await;
    let api = server.api().await;
    let mut answer = api.create(json!({})).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (place, tag, digest) = (header("content-location"), header("etag"), header("repr-digest"));
    let length: usize = header("content-length").parse().unwrap();
    let mut bytes = answer.chunk().await.unwrap().unwrap().to_vec();
    drop(answer);
    assert!(bytes.len() < length, "all of it came at once");
    let rest = api.request(Method::GET, &format!("/backup/{place}"));
    let rest = rest.header("range", format!("bytes={}-", bytes.len())).header("if-range", tag);
    let rest = rest.send().await.unwrap();
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(rest.headers()["repr-digest"], digest);
    bytes.extend_from_slice(&rest.bytes().await.unwrap());
    assert_eq!(bytes.len(), length);
    assert_eq!(digest, repr_digest(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_ends_what_is_built_and_not_what_is_done() {
    let server = Killable::start(SERVER).await;
    let api = many(&server.url).await;
    let jobs = server.data().join("jobs");
    let creating = tokio::spawn(try_send(api.request(Method::POST, "/backup/create")));
    until("it to begin", async || (!own_jobs(&api).await.is_empty()).then_some(())).await;
    creating.abort();
    assert!(creating.await.unwrap_err().is_cancelled(), "it was too fast");
    until("the job to end", async || own_jobs(&api).await.is_empty().then_some(())).await;
    until("its file to go", async || fs::read_dir(&jobs).unwrap().next().is_none().then_some(())).await;
    drop(api.create(json!({})).await);
    assert!(own_jobs(&api).await[0].archive.is_some(), "an archive that is done stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_is_said_and_nothing_is_left() {
    let Some((server, disk)) = Killable::start_on_disk(SERVER, 256 << 20).await else { return };
    let api = many(&server.url).await;
    let creating = tokio::spawn(try_send(api.request(Method::POST, "/backup/create")));
    until("documents to be written", async || {
        own_jobs(&api).await.first().is_some_and(|job| job.progress.documents > 0).then_some(())
    })
    .await;
    disk.fill();
    let (status, body) = creating.await.unwrap().unwrap();
    disk.free();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), answer["errors"][0]["code"].as_str()), (507, Some("no-space")), "{answer}");
    assert_eq!(disk.list("jobs"), [""; 0]);
    let made = api.create(json!({})).await;
    let digest = made.headers()["repr-digest"].clone();
    assert_eq!(digest, repr_digest(&made.bytes().await.unwrap()));

    // Where it can be known before, it is.
    disk.fill();
    let (status, body) = try_send(api.request(Method::POST, "/backup/create")).await.unwrap();
    let text = String::from_utf8(body).unwrap();
    assert!(status == StatusCode::INSUFFICIENT_STORAGE && text.contains("bytes are needed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_lets_a_backup_get_done_or_says_that_it_cannot() {
    for (grace, done) in [(60_000, true), (0, false)] {
        let mut server = Killable::start(SERVER).await;
        server.kill();
        server.environment.insert("DIKAS_TEST_GRACE", grace.to_string());
        server.restart(SERVER);
        let api = many(&server.url).await;
        let request = api.request(Method::POST, "/backup/create");
        let creating = tokio::spawn(async move {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            (status, headers, answer.bytes().await)
        });
        until("it to begin", async || (!own_jobs(&api).await.is_empty()).then_some(())).await;
        assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
        let (status, headers, body) = creating.await.unwrap();
        assert!(server.wait().success(), "it ends in order");
        let mut left: Vec<String> = fs::read_dir(server.data().join("jobs"))
            .unwrap()
            .map(|entry| entry.unwrap().path().extension().unwrap().to_string_lossy().into_owned())
            .collect();
        left.sort();
        if done {
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers["repr-digest"], repr_digest(&body.unwrap()));
            assert_eq!(left, ["json", "zip"]);
        } else {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(headers.contains_key("retry-after"));
            let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
            assert_eq!(body["message"], "the server stops");
            assert_eq!(left, [""; 0]);
        }
    }
}

/// A client of a server that a backup keeps busy for a while.
async fn many(url: &str) -> Api {
    let (username, password) = demo_login();
    let api = Api::login(url, &username, &password).await;
    fill::receipts(&api, 0..RECEIPTS).await;
    api
}

async fn own_jobs(api: &Api) -> Vec<BackupJob> {
    let (_, body) = try_send(api.request(Method::GET, "/backup/jobs")).await.unwrap();
    serde_json::from_slice::<Envelope<_>>(&body).unwrap().data.unwrap()
}
