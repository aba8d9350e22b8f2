//! The real server on a free port and a data folder of its own: in this process, or as a child that can be killed.

use crate::api::Api;
use dikas_server::{Config, DEMO_LOGIN, Server, Setup};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A server in this process.
pub struct Local {
    /// Such as `http://127.0.0.1:40123`.
    pub url: String,
    /// A login that may do everything.
    pub login: (String, String),
    _server: Server,
    _data: tempfile::TempDir,
}

impl Local {
    /// An empty one.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// One with this many days of demo data.
    pub async fn demo(days: u32) -> Self {
        Self::start_with(|config| config.demo = Some(days)).await
    }

    /// One that is set up otherwise.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config { listen: "127.0.0.1:0".into(), ..Config::new(data.path()) };
        change(&mut config);
        let server = Server::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        let (username, password) = match server.setup() {
            Setup::Created { username, password } => ((*username).to_owned(), password.clone()),
            Setup::Demo => (DEMO_LOGIN.0.to_owned(), DEMO_LOGIN.1.to_owned()),
            other => panic!("a fresh folder, and yet {other:?}"),
        };
        let url = format!("http://{}", server.address());
        Self { url, login: (username, password), _server: server, _data: data }
    }

    /// A client that is logged in.
    pub async fn api(&self) -> Api {
        Api::login(&self.url, &self.login.0, &self.login.1).await
    }
}

/// A server of its own process, with a few days of demo data.
pub struct Killable {
    /// Such as `http://127.0.0.1:40123`; the same after [`Killable::restart`].
    pub url: String,
    process: Child,
    data: tempfile::TempDir,
}

impl Killable {
    /// Starts the `program`, which is this crate's `killable-server`.
    pub fn start(program: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (process, url) = spawn(program, data.path(), "127.0.0.1:0");
        Self { url, process, data }
    }

    /// Ends it as a power failure would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, with the same data, at the same address.
    pub fn restart(&mut self, program: &str) {
        let (process, url) = spawn(program, self.data.path(), self.url.strip_prefix("http://").unwrap());
        assert_eq!(url, self.url);
        self.process = process;
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &str, data: &std::path::Path, listen: &str) -> (Child, String) {
    let mut command = Command::new(program);
    let mut process = command.arg(data).arg(listen).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().to_owned();
    assert!(url.starts_with("http://"), "the server should say where it listens: {line:?}");
    (process, url)
}
