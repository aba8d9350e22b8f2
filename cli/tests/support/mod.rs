//! The program, real servers in this process, and archives taken apart by other tools' code.

#![allow(dead_code, reason = "each test file uses some of it")]

use dikas_archive::digest::Sha256;
use dikas_archive::job::client::{Client, Patience, data};
use dikas_archive::job::transport::{Method, Request, Transport as _};
use dikas_backup::http::Http;
use dikas_server::schedule::config::Backup;
use dikas_server::schedule::when::When;
use dikas_server::{Config, DEMO_LOGIN, Server, Setup};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The program, without a login of the environment.
pub(crate) fn dikas_backup() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dikas-backup"));
    command.env_remove("DIKAS_PASSWORD");
    command
}

/// The sample backup; none where it is missing, which in CI is a failure.
pub(crate) fn sample() -> Option<PathBuf> {
    let folder = std::env::var_os("DIKAS_SAMPLES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples"),
        PathBuf::from,
    );
    let file = folder.join("pizzeria-2015.zip");
    if !file.exists() {
        assert!(!in_ci(), "no sample backup; set DIKAS_SAMPLES to its folder");
        // Written past the test harness, which swallows what a passing test prints.
        let mut out = std::io::stdout();
        let _ = writeln!(out, "skipped: the sample backup is not there; set DIKAS_SAMPLES to its folder");
        return None;
    }
    Some(file)
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Servers run beside the tests.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// A server on a free port, and somebody who may do everything there.
pub(crate) struct Shop {
    pub(crate) url: String,
    pub(crate) login: (String, String),
    /// A folder for files of the test.
    pub(crate) folder: TempDir,
    server: Option<Server>,
}

impl Shop {
    pub(crate) fn empty() -> Self {
        Self::start(None)
    }

    /// With some days of demo data, and a folder `backups` for the archives of the server.
    pub(crate) fn with_folder() -> Self {
        let mut shop = Self::demo();
        fs::create_dir(shop.file("backups")).unwrap();
        shop.restart();
        shop
    }

    /// With some days of demo data.
    pub(crate) fn demo() -> Self {
        Self::start(Some(3))
    }

    fn start(demo: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = runtime().block_on(Server::start(config(&folder, demo))).unwrap();
        let login = match server.setup() {
            Setup::Created { username, password } => ((*username).to_owned(), password.clone()),
            _ => demo_login(),
        };
        Self { url: format!("http://{}", server.address()), login, folder, server: Some(server) }
    }

    /// Ends the server, and starts it anew at another address, which is answered.
    pub(crate) fn restart(&mut self) -> String {
        let config = config(&self.folder, None);
        let old = self.server.take().unwrap();
        let new = runtime().block_on(async {
            old.stop().await;
            Server::start(config).await.unwrap()
        });
        self.url = format!("http://{}", new.address());
        self.server = Some(new);
        self.url.clone()
    }

    /// A file with a backup token.
    pub(crate) fn token_file(&self) -> PathBuf {
        let request = Request::new(Method::Post, "/auth/tokens").json(&serde_json::json!({"name": "cron"}));
        let file = self.file("token");
        fs::write(&file, self.call(request.unwrap())["token"].as_str().unwrap()).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        file
    }

    /// A file of the test.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program against this server, logged in.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut run = dikas_backup();
        run.arg(command).args(["--url", &self.url, "--user", &self.login.0]).args(arguments);
        run.env("DIKAS_PASSWORD", &self.login.1).output().unwrap()
    }

    /// Backs everything up.
    pub(crate) fn create(&self, name: &str) -> PathBuf {
        let file = self.file(name);
        assert_ended(&self.run("create", &["-o", file.to_str().unwrap()]), 0);
        assert!(!self.file(&format!("{name}.part")).exists());
        file
    }

    /// Restores, with these arguments beside the file.
    pub(crate) fn restore(&self, file: &Path, arguments: &[&str]) -> Output {
        self.run("restore", &[&[file.to_str().unwrap()], arguments].concat())
    }

    /// The `data` that the API answers.
    pub(crate) fn call(&self, request: Request) -> Value {
        runtime().block_on(async {
            let http = Http::new(&self.url).unwrap().log_in(&self.login.0, &self.login.1).await.unwrap();
            Client::new(http).call(request, data, Patience::repeatable()).await.unwrap()
        })
    }

    /// Sends bytes; answers status and body.
    pub(crate) fn send(&self, path: &str, content_type: &str, bytes: &[u8]) -> (u16, String) {
        runtime().block_on(async {
            let http = Http::new(&self.url).unwrap().log_in(&self.login.0, &self.login.1).await.unwrap();
            let token = http.token(None).await.unwrap();
            let mut request = Request::new(Method::Post, path);
            request = request.header("authorization", format!("Bearer {token}"));
            if !content_type.is_empty() {
                request = request.header("content-type", content_type);
            }
            request.body = bytes.to_vec();
            let answer = http.send(&request).await.unwrap();
            (answer.status, String::from_utf8(answer.body).unwrap())
        })
    }

    /// Puts a file into the folder for archives, and has the server check it.
    pub(crate) fn check(&self, name: &str, bytes: &[u8]) -> Value {
        fs::write(self.file("backups").join(name), bytes).unwrap();
        let archives = self.call(Request::new(Method::Get, "/backup/archives"));
        let archive = archives.as_array().unwrap().iter().find(|archive| archive["name"] == name).unwrap();
        let path = format!("/backup/archives/{}/verify", archive["id"].as_str().unwrap());
        let (status, lines) = self.send(&path, "", b"");
        assert_eq!(status, 200, "{lines}");
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        last["archive"]["check"].clone()
    }

    pub(crate) fn put(&self, collection: &str, id: &str, document: &str) {
        let mut request = Request::new(Method::Put, format!("/documents/{collection}")).query("id", id);
        request = request.header("content-type", "application/json");
        request.body = document.as_bytes().to_vec();
        self.call(request);
    }

    /// How each restore that was begun here ended, the newest first.
    pub(crate) fn restores(&self) -> Vec<String> {
        let page = self.call(Request::new(Method::Get, "/audit"));
        let entries = page["entries"].as_array().unwrap().iter();
        let restores = entries.filter(|entry| entry["action"] == "restore");
        restores.map(|entry| entry["end"].as_str().unwrap().to_owned()).collect()
    }
}

fn config(folder: &TempDir, demo: Option<u32>) -> Config {
    let grace = Duration::from_millis(200);
    let backups = folder.path().join("backups");
    let backup = backups.is_dir().then(|| Backup {
        without: Vec::new(),
        when: When::parse("0 4 1 1 *", TimeZone::UTC).unwrap(),
        folder: backups,
        keep: Default::default(),
        verify: true,
        hook: Vec::new(),
    });
    Config { listen: "127.0.0.1:0".into(), demo, grace, backup, ..Config::new(folder.path().join("data")) }
}

pub(crate) fn demo_login() -> (String, String) {
    (DEMO_LOGIN.0.to_owned(), DEMO_LOGIN.1.to_owned())
}

pub(crate) fn assert_ended(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", stdout(output), stderr(output));
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The entries of an archive, by their names.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

/// Every entry of an archive, as the zip crate unpacks it.
pub(crate) fn entries(archive: &Path) -> Entries {
    let mut zip = zip::ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let entries = (0..zip.len()).map(|at| {
        let mut entry = zip.by_index(at).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.name().unwrap().into_owned(), content)
    });
    entries.collect()
}

/// Writes a ZIP of these entries.
pub(crate) fn pack(file: &Path, entries: &Entries) {
    let mut zip = zip::ZipWriter::new(File::create(file).unwrap());
    for (name, content) in entries {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, content).unwrap();
    }
    zip.finish().unwrap();
}

/// The lines of each collection, sorted by their ids; parts are decoded by Google's own decoder, ported to Rust.
pub(crate) fn lines(archive: &Path) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut found: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for (name, content) in entries(archive) {
        let Some(stem) = name.strip_suffix(".jsonl.br") else { continue };
        let collection = stem.split('.').next().unwrap().to_owned();
        let mut decoded = Vec::new();
        brotli::BrotliDecompress(&mut content.as_slice(), &mut decoded).unwrap();
        let documents = found.entry(collection).or_default();
        for line in decoded.split_inclusive(|byte| *byte == b'\n') {
            let document: Value = serde_json::from_slice(line).unwrap();
            documents.push((document["_id"].as_str().unwrap().to_owned(), line.to_vec()));
        }
    }
    let sorted = found.into_iter().map(|(collection, mut documents)| {
        documents.sort();
        (collection, documents.into_iter().map(|(_, line)| line).collect())
    });
    sorted.collect()
}

/// Digests of the attachments of a collection.
pub(crate) fn files(archive: &Path, collection: &str) -> Vec<Sha256> {
    let folder = format!("attachments/{collection}/");
    let entries = entries(archive);
    let own = entries.iter().filter(|(name, _)| name.starts_with(&folder));
    let mut digests: Vec<Sha256> = own.map(|(_, content)| Sha256::of(content)).collect();
    digests.sort();
    digests
}

/// The manifest without what may differ between two backups of the same data.
pub(crate) fn manifest(archive: &Path) -> Value {
    let mut manifest: Value = serde_json::from_slice(&entries(archive)["manifest.json"]).unwrap();
    let members = manifest.as_object_mut().unwrap();
    members.remove("created");
    members.remove("source");
    manifest
}

pub(crate) fn write(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).unwrap();
}
