//! The tool that makes trouble makes the trouble it says, and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::proxy::{Fault, Proxy};
use hyper::StatusCode;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_breaks_what_its_rules_say_and_passes_on_the_rest() {
    let origin = Proxy::start("http://127.0.0.1:1").await;
    origin.rule("GET", "/lines", 0, usize::MAX, Fault::Answer(StatusCode::OK, "1\n2\n3\n4\n".into()));
    let proxy = Proxy::start(&origin.url).await;
    let http = dikas_backup::http::client().build().unwrap();
    let get = async || http.get(format!("{}/lines?a=%2F", proxy.url)).bearer_auth("one").send().await;

    assert_eq!(get().await.unwrap().text().await.unwrap(), "1\n2\n3\n4\n");
    proxy.rule("GET", "/lines", 1, 1, Fault::CutAtLine);
    assert_eq!(get().await.unwrap().text().await.unwrap(), "1\n2\n3\n4\n");
    let cut = get().await.unwrap();
    assert_eq!(cut.content_length(), Some(4));
    assert_eq!(cut.text().await.unwrap(), "1\n2\n");
    assert_eq!(get().await.unwrap().text().await.unwrap(), "1\n2\n3\n4\n");

    proxy.rule("GET", "/lines", 0, usize::MAX, Fault::RefuseToken);
    assert_eq!(get().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let other = http.get(format!("{}/lines", proxy.url)).bearer_auth("two").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);

    proxy.heal();
    proxy.rule("GET", "/lines", 0, 1, Fault::Drop);
    assert!(get().await.is_err());
    assert_eq!(get().await.unwrap().status(), StatusCode::OK);
    assert_eq!(origin.count("GET /lines?a=%2F"), 5);
    proxy.cut_off();
    assert!(get().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_goes_on_when_it_is_let_go() {
    let origin = Proxy::start("http://127.0.0.1:1").await;
    origin.rule("GET", "/lines", 0, usize::MAX, Fault::Answer(StatusCode::OK, "1\n".into()));
    let proxy = Proxy::start(&origin.url).await;
    proxy.rule("GET", "/lines", 0, 1, Fault::Hold);
    let url = format!("{}/lines", proxy.url);
    let waiting = tokio::spawn(async move {
        dikas_backup::http::client().build().unwrap().get(url).send().await.unwrap().text().await.unwrap()
    });
    proxy.held().await;
    assert_eq!(origin.count("GET /lines"), 0);
    proxy.release();
    assert_eq!(waiting.await.unwrap(), "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn weather_is_made_as_it_is_ordered() {
    let origin = Proxy::start("http://127.0.0.1:1").await;
    for (path, lines) in [("/one", "1\n2\n3\n4\n"), ("/two", "5\n6\n")] {
        origin.rule("GET", path, 0, usize::MAX, Fault::Answer(StatusCode::OK, lines.into()));
    }
    let proxy = Proxy::start(&origin.url).await;
    let http = dikas_backup::http::client().build().unwrap();
    let get = async |path: &str| http.get(format!("{}{path}", proxy.url)).send().await.unwrap();

    proxy.rule("GET", "/one", 0, 1, Fault::RetryAfter(StatusCode::TOO_MANY_REQUESTS, 7));
    let busy = get("/one").await;
    assert_eq!(
        (busy.status(), &busy.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap())
    );
    assert_eq!(get("/one").await.text().await.unwrap(), "1\n2\n3\n4\n");

    proxy.heal();
    proxy.rule("GET", "/one", 0, 1, Fault::Garble);
    let garbled = get("/one").await.bytes().await.unwrap();
    let bits: u32 = garbled.iter().zip(b"1\n2\n3\n4\n").map(|(is, was)| (is ^ was).count_ones()).sum();
    assert_eq!((garbled.len(), bits), (8, 1));

    proxy.heal();
    proxy.rule("GET", "/", 1, 1, Fault::Repeat);
    for (path, expected) in [("/one", "1\n2\n3\n4\n"), ("/two", "1\n2\n3\n4\n"), ("/two", "5\n6\n")] {
        assert_eq!(get(path).await.text().await.unwrap(), expected);
    }

    proxy.heal();
    proxy.rule("GET", "/one", 0, 1, Fault::Drip(1, Duration::from_millis(20)));
    let start = Instant::now();
    assert_eq!(get("/one").await.text().await.unwrap(), "1\n2\n3\n4\n");
    assert!(start.elapsed() >= Duration::from_millis(160));

    proxy.heal();
    proxy.rule("GET", "/one", 0, 1, Fault::Stall);
    let mut stalled = get("/one").await;
    assert_eq!(stalled.content_length(), Some(8));
    assert_eq!(stalled.chunk().await.unwrap().unwrap(), "1\n2\n");
    assert!(tokio::time::timeout(Duration::from_millis(200), stalled.chunk()).await.is_err());

    proxy.heal();
    proxy.rule("GET", "/one", 0, 1, Fault::Portal);
    let portal = get("/one").await;
    assert_eq!(
        (portal.status(), &portal.headers()["content-type"]),
        (StatusCode::OK, &"text/html".parse().unwrap())
    );
}
