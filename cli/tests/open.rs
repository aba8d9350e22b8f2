//! `open`: the page and the backup on an address of this machine, for a browser that was not told anything else.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use support::{assert_ended, dikas_backup, stderr};

/// The program while it shows a file, and the browser that it started: a script that writes down what it is given.
struct Opened {
    process: Child,
    /// What it says.
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
    folder: tempfile::TempDir,
}

impl Opened {
    fn start(content: &[u8], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Bäckerei & Söhne.zip");
        std::fs::write(&file, content).unwrap();
        let browser = folder.path().join("xdg-open");
        std::fs::write(
            &browser,
            "#!/bin/sh\nprintf %s \"$1\" > \"$0.tmp\" && /bin/mv \"$0.tmp\" \"$0.url\"\n",
        )
        .unwrap();
        std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = dikas_backup();
        command.arg("open").arg(&file).args(arguments).env("PATH", folder.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().ends_with("Söhne.zip"));
        let url = lines.next().unwrap().unwrap().trim().to_owned();
        assert!(lines.next().unwrap().unwrap().contains("Ctrl-C"));
        Self { process, lines, url, folder }
    }

    /// What the browser was given.
    fn in_browser(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("xdg-open.url")).ok()
    }

    fn origin(&self) -> &str {
        self.url.split("/#").next().unwrap()
    }

    /// What the page does with its address: exchanges the code for the address of the file.
    async fn exchange(&self, url: &str) -> reqwest::Response {
        let (origin, code) = url.split_once("/#open=").unwrap();
        let http = dikas_backup::http::client().build().unwrap();
        http.post(format!("{origin}/open")).body(code.to_owned()).send().await.unwrap()
    }

    /// Where the page fetches the file.
    async fn file(&self, url: &str) -> String {
        let answer = self.exchange(url).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(answer["name"], "Bäckerei & Söhne.zip");
        format!("{}/{}", self.origin(), answer["address"].as_str().unwrap())
    }

    fn says(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_gets_the_page_and_the_file_in_ranges_and_nobody_else_anything() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut opened = Opened::start(&content, &[]);
    let patience = tokio::time::timeout(Duration::from_secs(30), async {
        while opened.in_browser().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    patience.await.unwrap();
    assert_eq!(opened.in_browser().unwrap(), opened.url);

    let http = dikas_backup::http::client().build().unwrap();
    let page = http.get(opened.origin()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-security-policy"], dikas_page::POLICY);
    assert!(page.text().await.unwrap().contains("app/main.js"));
    // It is there for one file at an address that does not come again: there is nothing to keep.
    for path in ["/sw.js", "/app-version.json", "/api/v1/health", "/file/", "/file/0/x.zip"] {
        let answer = http.get(format!("{}{path}", opened.origin())).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }

    let file = opened.file(&opened.url).await;
    let whole = http.get(&file).send().await.unwrap();
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(whole.headers()[name], value);
    }
    assert!(whole.bytes().await.unwrap() == content);
    let part = http.get(&file).header("range", "bytes=1048576-2097151").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), &part.headers()["content-range"]),
        (206, &"bytes 1048576-2097151/3000000".parse().unwrap())
    );
    assert!(part.bytes().await.unwrap() == content[1 << 20..2 << 20]);
    let head = http.head(&file).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "3000000");
    assert_eq!(http.post(&file).send().await.unwrap().status(), 405);

    // A name that somebody has pointed at this machine.
    for host in ["evil.example", "127.0.0.1", "evil.example:80"] {
        for url in [file.as_str(), opened.origin()] {
            let answer = http.get(url).header("host", host).send().await.unwrap();
            assert_eq!(answer.status(), 421, "{host}");
        }
    }

    let process = opened.process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    assert_eq!(opened.process.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_good_once_and_who_comes_second_gets_nothing_and_is_told_of() {
    let mut opened = Opened::start(b"a backup", &[]);
    let url = opened.url.clone();
    let file = opened.file(&url).await;
    assert!(opened.says().contains("once more"));
    let next = opened.says().trim().to_owned();
    assert_ne!(next, url);

    // Who reads the list of processes finds the address of before, and nothing that is still good.
    let secret = file.split('/').nth(4).unwrap().to_owned();
    assert_eq!(secret.len(), 32);
    let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&listed.stdout).contains(&secret));
    for _ in 0..3 {
        assert_eq!(opened.exchange(&url).await.status(), 410);
    }
    assert!(opened.says().contains("somebody else on this machine"));
    // A guess is no second use.
    assert_eq!(opened.exchange(&format!("{}/#open=guess", opened.origin())).await.status(), 404);

    // The one that the terminal shows is good, for another window; after that there is a third.
    assert_eq!(opened.file(&next).await, file);
    assert!(opened.says().contains("once more"));
    assert_eq!(opened.exchange(&next).await.status(), 410);
    let http = dikas_backup::http::client().build().unwrap();
    assert_eq!(http.get(&file).send().await.unwrap().text().await.unwrap(), "a backup");
    let evil = http.post(format!("{}/open", opened.origin())).header("host", "evil.example");
    let third = opened.says().split_once("/#open=").unwrap().1.to_owned();
    assert_eq!(evil.body(third).send().await.unwrap().status(), 421);
}

#[test]
fn without_a_browser_the_address_is_enough() {
    let opened = Opened::start(b"not even an archive", &["--no-browser"]);
    let mut stream = std::net::TcpStream::connect(opened.origin().strip_prefix("http://").unwrap()).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_ne!(&answer, b"HTTP/1.1 200", "a request without a host");
    assert_eq!(opened.in_browser(), None);
}

#[test]
fn what_is_no_file_is_said() {
    for path in ["/nowhere.zip", "/"] {
        let output = dikas_backup().args(["open", path, "--no-browser"]).output().unwrap();
        assert_ended(&output, 2);
        assert!(stderr(&output).contains(path), "{}", stderr(&output));
    }
}
