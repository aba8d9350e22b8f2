//! Starting, stopping, and being killed, with real sockets and processes.

use dikas_server::{Config, DEMO_LOGIN, Server, Setup};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_on_its_socket_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { listen: "127.0.0.1:0".into(), ..Config::new(folder.path().join("new/data")) };
    let server = Server::start(config.clone()).await.unwrap();
    let Setup::Created { password, .. } = server.setup().clone() else { panic!() };
    let address = server.address();
    let token = login(address, "admin", &password);
    let (status, _) = http(address, "PUT", "/documents/articles?id=a", Some(&token), r#"{"_id":"a"}"#);
    assert_eq!(status, 201);

    let busy = Server::start(Config { listen: address.to_string(), ..Config::new(folder.path()) }).await;
    let busy = busy.unwrap_err().to_string();
    assert!(busy.contains(&address.to_string()) && busy.contains("listens there already"), "{busy}");
    let locked = Server::start(config.clone()).await.unwrap_err().to_string();
    assert!(locked.contains("in use by another running server"), "{locked}");

    let (status, snapshot) = http(address, "POST", "/backup/snapshots", Some(&token), "");
    assert_eq!(status, 201);
    let snapshot: Value = serde_json::from_str(&snapshot).unwrap();
    server.stop().await;
    assert!(TcpStream::connect(address).is_err());

    let server = Server::start(config).await.unwrap();
    assert_eq!(*server.setup(), Setup::Existing);
    let address = server.address();
    let (status, body) = http(address, "GET", "/documents/articles?id=a", Some(&token), "");
    assert_eq!((status, body.as_str()), (200, r#"{"_id":"a"}"#), "login and document survive");
    let path = format!("/backup/snapshots/{}/documents/articles", snapshot["data"]["id"].as_str().unwrap());
    assert_eq!(http(address, "GET", &path, Some(&token), "").0, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_data_fills_an_empty_store_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        |demo| Config { listen: "127.0.0.1:0".into(), demo, ..Config::new(folder.path().join("demo")) };
    for _ in 0..2 {
        let server = Server::start(config(Some(2))).await.unwrap();
        assert_eq!(*server.setup(), Setup::Demo);
        login(server.address(), DEMO_LOGIN.0, DEMO_LOGIN.1);
        server.stop().await;
    }
    let other = Config { listen: "127.0.0.1:0".into(), ..Config::new(folder.path().join("other")) };
    Server::start(other.clone()).await.unwrap().stop().await;
    let server = Server::start(Config { demo: Some(2), ..other }).await.unwrap();
    assert_eq!(*server.setup(), Setup::NotDemo);
}

#[test]
fn a_killed_server_has_kept_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (process, lines) = Process::start(folder.path(), &[]);
    let (address, password) = (address(&lines), lines[2].split_whitespace().last().unwrap().to_owned());
    let token = login(address, "admin", &password);
    for number in 0..50 {
        let path = format!("/documents/receipts?id={number}");
        assert_eq!(http(address, "PUT", &path, Some(&token), &format!(r#"{{"_id":"{number}"}}"#)).0, 201);
    }
    drop(process);

    let (process, lines) = Process::start(folder.path(), &[]);
    let address = self::address(&lines);
    for number in 0..50 {
        let path = format!("/documents/receipts?id={number}");
        assert_eq!(http(address, "GET", &path, Some(&token), "").0, 200, "{number}");
    }
    drop(process);
}

#[test]
fn a_demo_that_was_killed_while_filling_is_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process(command(folder.path(), &["--demo", "400"]).spawn().unwrap());
    let begun = Instant::now();
    while !folder.path().join("dikas.sqlite").exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(150));
    drop(process);

    let (process, lines) = Process::start(folder.path(), &["--demo", "3"]);
    login(address(&lines), DEMO_LOGIN.0, DEMO_LOGIN.1);
    drop(process);
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, _) = Process::start(folder.path(), &[]);
    let kill = Command::new("kill").arg(process.0.id().to_string()).status().unwrap();
    assert!(kill.success());
    assert!(process.0.wait().unwrap().success());
    let log = std::fs::metadata(folder.path().join("dikas.sqlite-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the write-ahead log is worked in");
}

#[cfg(unix)]
#[test]
fn whoever_asks_twice_does_not_wait_for_requests_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, lines) = Process::start(folder.path(), &[]);
    let mut stream = TcpStream::connect(address(&lines)).unwrap();
    write!(stream, "POST /api/v1/auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let id = process.0.id().to_string();
    let kill = || assert!(Command::new("kill").arg(&id).status().unwrap().success());
    kill();
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(process.0.try_wait().unwrap(), None, "it waits for the request");
    kill();
    assert_eq!(process.0.wait().unwrap().code(), Some(1));
}

pub(crate) fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dikas-server"));
    command.arg("--data").arg(folder).args(["--listen", "127.0.0.1:0"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The program, running; killed when dropped.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start(folder: &Path, more: &[&str]) -> (Self, Vec<String>) {
        Self::run(&mut command(folder, more))
    }

    pub(crate) fn run(command: &mut Command) -> (Self, Vec<String>) {
        let mut process = Self(command.spawn().unwrap());
        let mut lines = Vec::new();
        for line in BufReader::new(process.0.stdout.take().unwrap()).lines() {
            lines.push(line.unwrap());
            if lines.last().unwrap().contains("http://") {
                return (process, lines);
            }
        }
        panic!("it did not start: {lines:?}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn address(lines: &[String]) -> SocketAddr {
    lines.last().unwrap().split("http://").nth(1).unwrap().parse().unwrap()
}

pub(crate) fn login(address: SocketAddr, username: &str, password: &str) -> String {
    let body = json!({"username": username, "password": password}).to_string();
    let (status, answer) = http(address, "POST", "/auth/login", None, &body);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["data"]["accessToken"].as_str().unwrap().to_owned()
}

/// One request of the API over a connection of its own; the status and the body.
pub(crate) fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    http_at(address, method, &format!("/api/v1{path}"), token, body)
}

/// The same wherever the path leads.
pub(crate) fn http_at(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let bearer = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let length = body.len();
    let about = match body {
        "" => "",
        lines if lines.ends_with('\n') => "content-type: application/x-ndjson\r\n",
        _ => "content-type: application/json\r\n",
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{bearer}{about}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
