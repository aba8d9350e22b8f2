//! Connections that fall silent, trickle, do not read, or are too many.

use crate::lifecycle::{http_at, login};
use dikas_server::{Config, ConnectionLimits, Server, Setup};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SHORT: Duration = Duration::from_millis(500);

/// Bounds every wait of these tests.
const PATIENCE: Duration = Duration::from_secs(30);

async fn server(change: impl FnOnce(&mut ConnectionLimits)) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { listen: "127.0.0.1:0".into(), ..Config::new(folder.path()) };
    change(&mut config.connections);
    (Server::start(config).await.unwrap(), folder)
}

/// A connection on which this was sent.
fn connected(address: SocketAddr, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What the server answers to somebody who sends a byte every 50 milliseconds, until it has had enough.
fn answer_to_a_trickle(mut stream: TcpStream) -> String {
    let mut sender = stream.try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        let begun = Instant::now();
        while sender.write_all(b"1").is_ok() {
            assert!(begun.elapsed() < PATIENCE, "each byte renews the time");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..bytes]);
    }
    trickle.join().unwrap();
    String::from_utf8(answer).unwrap()
}

const LOGIN: &str = "POST /api/v1/auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_fall_silent_or_trickle_are_given_up() {
    let (server, _folder) = server(|limits| (limits.head, limits.body) = (SHORT, SHORT)).await;
    let address = server.address();
    assert_eq!(rest(connected(address, "GET / HTTP/1.1\r\nhost:")), "");
    assert_eq!(answer_to_a_trickle(connected(address, "GET / HTTP/1.1\r\nhost:")), "");
    let body = format!("{LOGIN}content-length: 60000\r\n\r\n");
    let chunked = format!("{LOGIN}transfer-encoding: chunked\r\n\r\n10000\r\n");
    for answer in [rest(connected(address, &body)), answer_to_a_trickle(connected(address, &body))] {
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too-slow"), "{answer}");
    }
    let answer = answer_to_a_trickle(connected(address, &chunked));
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too-slow"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_is_given_up() {
    let (server, _folder) = server(|limits| (limits.most, limits.write) = (1, SHORT)).await;
    let address = server.address();
    let Setup::Created { username, password } = server.setup() else { panic!("{:?}", server.setup()) };
    let token = login(address, username, password);
    // More than the buffers of two sockets hold.
    let document = format!(r#"{{"_id":"a","text":"{}"}}"#, "x".repeat(24 << 20));
    let put = || http_at(address, "PUT", "/api/v1/documents/articles?id=a", Some(&token), &document);
    assert_eq!(free(put, |(status, _)| *status).0, 201);
    let head = "GET /api/v1/documents/articles?id=a HTTP/1.1\r\nhost: test\r\n";
    let get = || {
        let mut stream = connected(address, &format!("{head}authorization: Bearer {token}\r\n\r\n"));
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (stream, std::str::from_utf8(&first[9..]).unwrap().parse().unwrap())
    };
    let (reader, status) = free(get, |(_, status)| *status);
    assert_eq!(status, 200);
    // Its place is free again, though it is still there.
    let ask = || http_at(address, "GET", "/api/v1/openapi.json", None, "");
    assert_eq!(free(ask, |(status, _)| *status).0, 200);
    drop(reader);
    server.stop().await;
}

/// The first answer to this that is no refusal for want of a place.
fn free<T>(ask: impl Fn() -> T, status: impl Fn(&T) -> u16) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if status(&answer) != 503 || begun.elapsed() > PATIENCE {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_places_are_told_when_to_try_again_and_the_servers_health() {
    let (server, _folder) = server(|limits| (limits.most, limits.head) = (2, PATIENCE)).await;
    let address = server.address();
    let silent = [connected(address, "GET /"), connected(address, "GET /")];
    let ask = |path: &str| rest(connected(address, &format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")));
    let refused = ask("/api/v1/openapi.json");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("too many connections"), "{refused}");
    for header in ["retry-after: 5", "x-content-type-options: nosniff", "cache-control: no-store"] {
        assert!(refused.contains(header), "{refused}");
    }
    let health = ask("/healthz");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"ok\""), "{health}");
    drop(silent);
    let ask = || http_at(address, "GET", "/api/v1/openapi.json", None, "");
    assert_eq!(free(ask, |(status, _)| *status).0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_refused_while_it_sends_hears_why() {
    let (server, _folder) = server(|_| ()).await;
    let path = "/api/v1/documents/articles?id=a";
    let (status, answer) = http_at(server.address(), "PUT", path, None, &"x".repeat(16 << 20));
    assert!(status == 401 && answer.contains("unauthorized"), "{status} {answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_waits_to_be_asked_for_its_body_is_refused_at_once() {
    let (server, _folder) = server(|limits| limits.body = PATIENCE * 10).await;
    let head = "PUT /api/v1/documents/articles?id=a HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n";
    let stream = connected(server.address(), &format!("{head}content-length: 1000000\r\n\r\n"));
    let mut answer = [0; 12];
    (&stream).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    drop(stream);
    server.stop().await;
}
