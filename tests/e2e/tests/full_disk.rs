//! A till that fills the server's disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::api::{Api, try_send};
use dikas_e2e::server::{Killable, demo_login};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use reqwest::{Body, Method, StatusCode};
use std::collections::BTreeMap;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");
const MIB: usize = 1 << 20;
const SPARE: usize = 16 * MIB;

fn document(id: usize, bytes: usize) -> String {
    format!(r#"{{"_id":"{id}","text":"{}"}}"#, "x".repeat(bytes))
}

/// How many of these were stored until one was refused for want of room.
async fn until_full(most: usize, mut store: impl AsyncFnMut(usize) -> StatusCode) -> usize {
    for number in 0..most {
        match store(number).await {
            StatusCode::CREATED => {}
            status => {
                assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
                return number;
            }
        }
    }
    panic!("{most} were stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_uploads_have_filled_has_room_to_delete_and_then_to_store_again() {
    let environment = BTreeMap::from([("DIKAS_TEST_SPARE_BYTES", SPARE.to_string())]);
    let bytes = 96 * MIB as u64;
    let Some((server, disk)) = Killable::start_on_disk_with(SERVER, bytes, environment).await else { return };
    let (username, password) = demo_login();
    let api = Api::login(&server.url, &username, &password).await;
    assert!(api.put_document("articles", "owner", r#"{"_id":"owner"}"#).await.is_success());

    let file = async |number: usize| {
        let bytes = vec![u8::try_from(number).unwrap(); 4 * MIB];
        api.put_attachment("articles", "owner", &format!("{number}.bin"), "text/plain", bytes).await
    };
    let mut files = 0;
    while disk.free_bytes() > (SPARE + 16 * MIB) as u64 {
        assert_eq!(file(files).await, StatusCode::CREATED);
        files += 1;
    }
    let one = async |number: usize| {
        api.put_document("articles", &number.to_string(), document(number, 64 << 10)).await
    };
    let documents = until_full(1000, one).await;
    assert!(documents > 10, "{documents}");
    assert!(until_full(files + 5, async |number| file(files + number).await).await < 5);
    assert!(disk.free_bytes() >= SPARE as u64 / 2, "{} bytes are free", disk.free_bytes());

    // The refused caller hears that, whether it says how much it has or not.
    let body = Full::new(Bytes::from(vec![7; 100 * MIB]));
    for body in [Body::wrap(body.clone()), Body::wrap(body.map_frame(|frame| frame))] {
        let path = "/documents/articles/attachments?id=owner&name=large.bin";
        let (status, answer) = try_send(api.request(Method::PUT, path).body(body)).await.expect("an answer");
        let text = String::from_utf8(answer).unwrap();
        assert!(status == StatusCode::INSUFFICIENT_STORAGE && text.contains("no-space"), "{status} {text}");
    }

    for number in 0..documents {
        api.delete_document("articles", &number.to_string()).await;
    }
    Api::login(&server.url, &username, &password).await;
    assert_eq!(one(0).await, StatusCode::CREATED, "what was deleted makes room for others");
}
