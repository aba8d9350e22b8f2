//! The real server on a free port and a data folder of its own: in this process, or as a child that can be killed.

use crate::api::Api;
use dikas_server::{Config, DEMO_LOGIN, Server, Setup};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A server in this process.
pub struct Local {
    /// Such as `http://127.0.0.1:40123`.
    pub url: String,
    /// A login that may do everything.
    pub login: (String, String),
    _server: Server,
    _data: TempDir,
}

impl Local {
    /// An empty one.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// One with a month of demo data.
    pub async fn demo() -> Self {
        Self::demo_with(|_| {}).await
    }

    /// One with a month of demo data that is set up otherwise.
    pub async fn demo_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open(demo_data().await, change).await
    }

    /// An empty one that is set up otherwise.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open(tempfile::tempdir().unwrap(), change).await
    }

    /// An empty one whose data stays in memory, where there is a place for it: a disk takes minutes to make sure of each
    /// of very many files.
    pub async fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::open(folder.unwrap(), |_| {}).await
    }

    async fn open(data: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { listen: "127.0.0.1:0".into(), ..Config::new(data.path()) };
        change(&mut config);
        let server = Server::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        let (username, password) = match server.setup() {
            Setup::Created { username, password } => ((*username).to_owned(), password.clone()),
            _ => demo_login(),
        };
        let url = format!("http://{}", server.address());
        Self { url, login: (username, password), _server: server, _data: data }
    }

    /// A client that is logged in.
    pub async fn api(&self) -> Api {
        Api::login(&self.url, &self.login.0, &self.login.1).await
    }
}

/// Name and password of the demo data.
pub fn demo_login() -> (String, String) {
    (DEMO_LOGIN.0.to_owned(), DEMO_LOGIN.1.to_owned())
}

/// A copy of a data folder with a month of demo data. Making it takes seconds, so that it happens once in a process; what
/// earlier processes made is removed, for nothing runs at the end of this one.
async fn demo_data() -> TempDir {
    static MADE: OnceCell<PathBuf> = OnceCell::const_new();
    let made = MADE.get_or_init(async || {
        let name = "dikas-e2e-demo-";
        for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
            let process =
                entry.file_name().to_str().and_then(|it| it.strip_prefix(name)?.parse::<u32>().ok());
            if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let folder = std::env::temp_dir().join(format!("{name}{}", std::process::id()));
        let config = Config { listen: "127.0.0.1:0".into(), demo: Some(30), ..Config::new(&folder) };
        Server::start(config).await.unwrap_or_else(|error| panic!("{error}")).stop().await;
        folder
    });
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(made.await.join(".")).arg(copy.path()).status();
    assert!(copied.unwrap().success());
    copy
}

/// A server of its own process, with a month of demo data.
pub struct Killable {
    /// Such as `http://127.0.0.1:40123`; the same after [`Killable::restart`].
    pub url: String,
    /// The process's environment at its next start, besides the one of this process.
    pub environment: BTreeMap<&'static str, String>,
    process: Child,
    data: TempDir,
}

impl Killable {
    /// Starts the `program`, which is this crate's `killable-server`.
    pub async fn start(program: &str) -> Self {
        let (data, environment) = (demo_data().await, BTreeMap::new());
        let (process, url) = spawn(program, data.path(), "127.0.0.1:0", &environment);
        Self { url, environment, process, data }
    }

    /// One whose data lies on a disk of its own of so many bytes, with a month of demo data; none where this system lets
    /// nobody but root make such a disk. It cannot be started again, for the disk goes with its process.
    pub async fn start_on_disk(program: &str, bytes: u64) -> Option<(Self, Disk)> {
        Self::start_on_disk_with(program, bytes, BTreeMap::new()).await
    }

    /// The same with something in the process's environment.
    pub async fn start_on_disk_with(
        program: &str,
        bytes: u64,
        mut environment: BTreeMap<&'static str, String>,
    ) -> Option<(Self, Disk)> {
        let data = demo_data().await;
        let disk = data.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        environment.entry("DIKAS_TEST_SPARE_BYTES").or_insert_with(|| "0".to_owned());
        let script = format!(
            "mount -t tmpfs -o size={bytes} none {disk} && cd {data} && cp -r blobs secret dikas.sqlite* {disk} && exec {program} {disk} \
             127.0.0.1:0",
            disk = disk.display(),
            data = data.path().display(),
        );
        let (process, url) = mounting(&script, &environment)?;
        let disk = Disk(
            Path::new("/proc")
                .join(process.id().to_string())
                .join("root")
                .join(disk.strip_prefix("/").unwrap()),
        );
        Some((Self { url, environment, process, data }, disk))
    }

    /// One to which this folder is an empty disk that nobody may write; none where this system lets nobody but root make
    /// such a disk.
    pub async fn start_beside_read_only(
        program: &str,
        folder: &Path,
        environment: BTreeMap<&'static str, String>,
    ) -> Option<Self> {
        let data = demo_data().await;
        let script = format!(
            "mount -t tmpfs -o ro none {} && exec {program} {} 127.0.0.1:0",
            folder.display(),
            data.path().display(),
        );
        let (process, url) = mounting(&script, &environment)?;
        Some(Self { url, environment, process, data })
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has ended by itself; how it did.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Ends it as a power failure would.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        self.wait();
    }

    /// Starts it again, with the same data, at the same address.
    pub fn restart(&mut self, program: &str) {
        let listen = self.url.strip_prefix("http://").unwrap();
        let (process, url) = spawn(program, self.data.path(), listen, &self.environment);
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

/// A disk that only one server sees.
pub struct Disk(PathBuf);

impl Disk {
    /// What lies in a folder of it.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Makes a folder on it.
    pub fn make(&self, folder: &str) {
        std::fs::create_dir(self.0.join(folder)).unwrap();
    }

    /// Takes all the space that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        let block = vec![1; 1 << 16];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[1]).is_ok() {}
    }

    /// How much space is left.
    pub fn free_bytes(&self) -> u64 {
        let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().map(|number| number.parse::<u64>().unwrap()).product()
    }

    /// Gives it back.
    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

fn spawn(
    program: &str,
    data: &Path,
    listen: &str,
    environment: &BTreeMap<&'static str, String>,
) -> (Child, String) {
    let mut command = Command::new(program);
    command.arg(data).arg(listen).envs(environment);
    listening(command)
}

/// Starts a server by a script that may mount what only the server sees; none where this system lets nobody but root do
/// so.
fn mounting(script: &str, environment: &BTreeMap<&'static str, String>) -> Option<(Child, String)> {
    let may_mount = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        crate::skip("only root can make a disk here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]).envs(environment);
    Some(listening(command))
}

/// Starts a server that says where it listens.
fn listening(mut command: Command) -> (Child, String) {
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().to_owned();
    assert!(url.starts_with("http://"), "the server should say where it listens: {line:?}");
    (process, url)
}
