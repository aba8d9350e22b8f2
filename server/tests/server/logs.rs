//! The log of a real process.

use crate::lifecycle::{Process, address, command, http, login};
use serde_json::Value;
use std::io::Read as _;
use std::process::{Command, Stdio};

#[cfg(unix)]
#[test]
fn every_request_is_a_line_of_the_log_without_what_is_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &["--log-format", "json"]);
    let (mut process, lines) = Process::run(command.env("RUST_LOG", "debug").stderr(Stdio::piped()));
    let (address, password) = (address(&lines), lines[2].split_whitespace().last().unwrap().to_owned());
    let token = login(address, "admin", &password);
    http(address, "PUT", "/documents/articles?id=art_secret", Some(&token), r#"{"_id":"art_secret"}"#);
    let (_, created) = http(address, "POST", "/backup/jobs", Some(&token), "");
    let job: Value = serde_json::from_str(&created).unwrap();
    let id = job["data"]["id"].as_str().unwrap();
    http(address, "GET", &format!("/backup/jobs/{id}/file?ticket=ticket_secret"), None, "");
    http(address, "GET", "/documents/articles?id=none", None, "");

    let mut stderr = process.0.stderr.take().unwrap();
    let kill = Command::new("kill").arg(process.0.id().to_string()).status().unwrap();
    assert!(kill.success() && process.0.wait().unwrap().success());
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    for secret in [token.as_str(), password.as_str(), id, "art_secret", "ticket_secret"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["route"].is_string()).collect();
    let of = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        assert!(line["ms"].is_u64() && line["bytes"].is_u64() && line["timestamp"].is_string(), "{line}");
        (text("level"), text("method"), text("route"), line["status"].as_u64().unwrap())
    };
    let expected = [
        ("DEBUG", "POST", "/api/v1/auth/login", 200),
        ("DEBUG", "PUT", "/api/v1/documents/{collection}", 201),
        ("DEBUG", "POST", "/api/v1/backup/jobs", 202),
        ("INFO", "GET", "/api/v1/backup/jobs/{id}/file", 401),
        ("INFO", "GET", "/api/v1/documents/{collection}", 401),
    ];
    let expected = expected.map(|(level, method, route, status)| {
        (level.to_owned(), method.to_owned(), route.to_owned(), status)
    });
    assert_eq!(requests.into_iter().map(of).collect::<Vec<_>>(), expected);
}

#[test]
fn a_filter_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), &[]).env("RUST_LOG", "loud=very=so").stderr(Stdio::piped()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("dikas-server: RUST_LOG: "), "{said}");
}
