//! What `deploy/` holds and docs/operations.md shows: the lines for cron, run as they are written, and the other files, parsed
//! by programs and libraries that know them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use compose_spec::{Compose, Options};
use croner::Cron;
use dikas_archive::api::Envelope;
use dikas_archive::api::archives::NewToken;
use dikas_e2e::api::{Api, try_send};
use dikas_e2e::machine::Machine;
use dikas_e2e::server::{Killable, Local, demo_login};
use dikas_e2e::tools::unzip_test;
use dikas_e2e::{skip, until};
use parse_dockerfile::{Command as Call, HealthcheckArguments, Instruction, JsonOrStringArray, Source};
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr as _;
use std::sync::{Mutex, OnceLock};

const KILLABLE: &str = env!("CARGO_BIN_EXE_killable-server");

/// The name of the demo's business, which an empty server does not have.
const BUSINESS: &str = "Zum Goldenen Hirschen";

/// Where the lines for cron put their archives.
const BACKUPS: &str = "/var/backups/dikas";

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_for_cron_make_backups_as_they_are_written() {
    let lines = cron_lines();
    assert_eq!(lines.len(), 2);
    let Some(shop) = Shop::open().await else { return };
    for line in &lines {
        // A token that was mistyped or revoked.
        shop.hold("dkb_no_such_token");
        shop.assert_fails(line, ["unauthorized", "error: 401"]);

        shop.hold(&shop.token);
        let output = shop.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "cron would send a mail: {output:?}");
        let names = shop.machine.list(BACKUPS);
        let [name] = names.as_slice() else { panic!("{line}: {names:?}") };
        assert!(name.starts_with("dikas_2") && name.ends_with(".zip"), "{name}");
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(name);
        let archive = shop.machine.path(BACKUPS).join(name);
        assert_eq!(mode(&archive), 0o600, "an archive is for nobody else");
        fs::copy(&archive, &copy).unwrap();
        fs::remove_file(&archive).unwrap();
        unzip_test(&copy);
        good(Command::new(program("dikas-backup")).arg("verify").arg(&copy));
        assert_restores(&copy, &shop).await;
    }
    // A disk that is not mounted: nothing takes the place of its folder.
    fs::rename(shop.machine.path(BACKUPS), shop.machine.path("/var/elsewhere")).unwrap();
    for line in &lines {
        let output = shop.run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.lines().count() == 1, "{line}: {said}");
        assert!(shop.machine.list("/var/backups").is_empty(), "{line}");
    }
    fs::rename(shop.machine.path("/var/elsewhere"), shop.machine.path(BACKUPS)).unwrap();
    // A server that is away.
    let Shop { machine, server, .. } = &shop;
    drop(server.lock().unwrap().take());
    assert!(machine.list(BACKUPS).is_empty());
    for line in &lines {
        shop.assert_fails(line, ["unreachable", "connect to 127.0.0.1 port 5015"]);
    }
}

#[test]
fn the_documentation_shows_the_files() {
    let shown = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for entry in fs::read_dir(root().join("deploy")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let block = format!("\n{}```\n", fs::read_to_string(&path).unwrap());
        assert!(shown.contains(&block), "docs/operations.md shows another {name}");
    }
}

#[test]
fn systemd_knows_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("there is no systemd-analyze");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for name in ["dikas-backup.service", "dikas-backup.timer", "dikas-server.service"] {
        // It looks for the programs, which are not installed here.
        let unit = deployed(name)
            .replace("/usr/local/bin/dikas-backup", "/bin/true")
            .replace("/usr/local/bin/dikas-server", "/bin/true");
        let path = folder.path().join(name);
        fs::write(&path, unit).unwrap();
        units.push(path);
    }
    let output = good(Command::new("systemd-analyze").args(["--man=no", "verify"]).args(&units));
    // What it does not know, it says without failing.
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let timer = deployed("dikas-backup.timer");
    let when = timer.lines().find_map(|line| line.strip_prefix("OnCalendar=")).unwrap();
    good(Command::new("systemd-analyze").args(["calendar", when]));
}

#[test]
fn the_proxies_take_their_path_off_and_are_in_the_way_of_nothing() {
    let nginx = deployed("nginx.conf");
    let directives: Vec<&str> = nginx.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    for directive in [
        "location /dikas/ {",
        "proxy_pass http://127.0.0.1:5015/;",
        "proxy_set_header Host $http_host;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "client_max_body_size 0;",
        "proxy_buffering off;",
        "proxy_request_buffering off;",
        "proxy_read_timeout 1h;",
    ] {
        assert!(directives.contains(&directive), "{directive}");
    }
    let caddy = deployed("Caddyfile");
    for text in [&nginx, &caddy] {
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
    for directive in ["redir /dikas /dikas/ 301", "handle_path /dikas/*", "reverse_proxy 127.0.0.1:5015"] {
        assert!(caddy.contains(directive), "{directive}");
    }
}

#[test]
fn the_server_knows_its_configuration() {
    let output = good(
        Command::new(program("dikas-server")).arg("--check-config").arg(root().join("deploy/dikas.toml")),
    );
    assert!(String::from_utf8(output.stdout).unwrap().contains("04:00"));
}

#[test]
fn the_image_runs_both_programs_for_somebody_who_is_not_root() {
    let text = deployed("Dockerfile");
    let file = parse_dockerfile::parse(&text).unwrap();
    let stages: Vec<_> = file.stages().collect();
    let [build, image] = stages.as_slice() else { panic!("{}", stages.len()) };
    assert_eq!(build.from.image.value, "rust:1.95-bookworm");
    let mut said = Vec::new();
    for instruction in image.instructions {
        match instruction {
            Instruction::Copy(copy) => said.extend(copy.src.iter().map(|source| match source {
                Source::Path(path) => path.value.to_string(),
                _ => panic!("only what was built is copied"),
            })),
            Instruction::User(user) => said.push(format!("user {}", user.arguments.value)),
            Instruction::Stopsignal(signal) => said.push(format!("stopped by {}", signal.arguments.value)),
            Instruction::Volume(volume) => match &volume.arguments {
                JsonOrStringArray::String(folders) => said.push(format!("keeps {}", folders[0].value)),
                JsonOrStringArray::Json(_) => panic!("one folder"),
            },
            Instruction::Healthcheck(check) => {
                let HealthcheckArguments::Cmd { arguments: Call::Exec(words), .. } = &check.arguments else {
                    panic!("a program, without a shell")
                };
                said.push(format!("asks {}", words.value.last().unwrap().value));
            }
            _ => {}
        }
    }
    let expected = [
        "/src/target/release/dikas-server",
        "/src/target/release/dikas-backup",
        "user dikas",
        "keeps /data",
        "stopped by SIGTERM",
        "asks http://127.0.0.1:5015/healthz",
    ];
    assert_eq!(said, expected);
}

#[test]
fn the_compose_file_is_one_and_names_its_volumes() {
    let text = deployed("compose.yaml");
    let compose: Compose = Options::default().from_yaml_str(&text).unwrap();
    compose.validate_all().unwrap();
    let volumes: Vec<_> = compose.volumes.keys().map(ToString::to_string).collect();
    assert_eq!(volumes, ["dikas-data", "dikas-backups", "couchdb-data"]);
    let services: Vec<_> = compose.services.iter().collect();
    let [(server, dikas), (database, couchdb)] = services.as_slice() else { panic!("{services:?}") };
    assert_eq!((server.as_str(), database.as_str()), ("dikas", "couchdb"));
    assert_eq!((dikas.profiles.len(), couchdb.profiles.len()), (0, 1));
    for service in [dikas, couchdb] {
        assert_eq!(service.stop_grace_period.unwrap().as_secs(), 30);
    }
}

/// A server at the address that the lines name, on a machine that has what they name.
struct Shop {
    machine: Machine,
    server: Mutex<Option<Process>>,
    /// A backup token.
    token: String,
    /// What it had when the token was made, and nothing was sold after that.
    documents: BTreeMap<String, Vec<u8>>,
    _data: Killable,
}

impl Shop {
    async fn open() -> Option<Self> {
        let mut data = Killable::start(KILLABLE).await;
        let (username, password) = demo_login();
        let api = Api::login(&data.url, &username, &password).await;
        let request = api.request(Method::POST, "/auth/tokens").header("content-type", "application/json");
        let (status, answer) = try_send(request.body(json!({ "name": "cron" }).to_string())).await.unwrap();
        assert!(status.is_success());
        let token = serde_json::from_slice::<Envelope<NewToken>>(&answer).unwrap().data.unwrap().token;
        let documents = sold(&api).await;
        data.kill();

        let machine = Machine::start(&[program("dikas-server"), program("dikas-backup")])?;
        // The data come with it, for the root is its own.
        copy(data.data(), &machine.path("/var/lib/dikas"));
        machine.make(BACKUPS);
        machine.make("/etc/dikas");
        let mut command = machine.command("/usr/local/bin/dikas-server");
        command.args(["--data", "/var/lib/dikas"]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Process(command.spawn().unwrap());
        until("the server to answer", async || {
            let ask = ["--fail", "--silent", "http://127.0.0.1:5015/healthz"];
            machine.command("/usr/bin/curl").args(ask).output().unwrap().status.success().then_some(())
        })
        .await;
        Some(Self { machine, server: Some(server).into(), token, documents, _data: data })
    }

    /// Puts a token where both lines look for it.
    fn hold(&self, token: &str) {
        fs::write(self.machine.path("/etc/dikas/token"), format!("{token}\n")).unwrap();
        let header = format!("Authorization: Bearer {token}\n");
        fs::write(self.machine.path("/etc/dikas/header"), header).unwrap();
        for name in ["token", "header"] {
            let file = self.machine.path("/etc/dikas").join(name);
            fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }

    /// Runs a command as cron does, only with less: nothing in the environment but an empty PATH, no terminal, no input.
    fn run(&self, line: &str) -> Output {
        let mut command = self.machine.command("/usr/bin/setsid");
        command.args(["--wait", "/usr/bin/env", "-i", "PATH=", "/bin/sh", "-c", line]);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// It fails with one line, which says why in one of these words, and leaves nothing.
    fn assert_fails(&self, line: &str, words: [&str; 2]) {
        let output = self.run(line);
        assert!(!output.status.success(), "{line}");
        let said = String::from_utf8(output.stderr).unwrap();
        println!("{}: {}", output.status, said.trim_end());
        assert_eq!(said.lines().count(), 1, "{line}: {said}");
        assert!(words.iter().any(|word| said.contains(word)), "{line}: {said}");
        assert!(self.machine.list(BACKUPS).is_empty(), "{line}: {:?}", self.machine.list(BACKUPS));
    }
}

/// A second server takes the archive back and has what the first one had.
async fn assert_restores(archive: &Path, shop: &Shop) {
    let second = Local::start().await;
    let mut command = Command::new(program("dikas-backup"));
    command.arg("restore").arg(archive).args(["--url", &second.url, "--user", &second.login.0, "--yes"]);
    command.args(["--business", BUSINESS]);
    good(command.env("DIKAS_PASSWORD", &second.login.1).stdin(Stdio::null()));
    let (username, password) = demo_login();
    let restored = sold(&Api::login(&second.url, &username, &password).await).await;
    assert!(restored == shop.documents, "something is missing");
}

/// The documents of two collections that a restore leaves as they were.
async fn sold(api: &Api) -> BTreeMap<String, Vec<u8>> {
    let mut lines = api.everything().await.lines;
    lines.retain(|collection, _| matches!(collection.as_str(), "articles" | "receipts"));
    assert_eq!(lines.len(), 2);
    lines
}

/// The commands of deploy/crontab as cron gives them to the shell.
fn cron_lines() -> Vec<String> {
    let text = deployed("crontab");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let command = |line: &str| {
        let mut rest = line;
        let mut fields = Vec::new();
        for _ in 0..5 {
            let (field, behind) = rest.split_once(' ').unwrap();
            fields.push(field);
            rest = behind.trim_start();
        }
        Cron::from_str(&fields.join(" ")).unwrap();
        // A bare percent sign would end the command there.
        assert_eq!(rest.matches('%').count(), rest.matches("\\%").count(), "{line}");
        rest.replace("\\%", "%")
    };
    lines.map(command).collect()
}

/// A program of this workspace, built for this test once: Cargo builds those of its own package only.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let arguments = ["build", "--quiet", "--package", "dikas-server", "--package", "dikas-backup"];
        good(Command::new(env!("CARGO")).args(arguments).current_dir(root()));
    });
    Path::new(KILLABLE).with_file_name(name)
}

fn deployed(name: &str) -> String {
    fs::read_to_string(root().join("deploy").join(name)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    good(Command::new("cp").arg("-r").arg(from.join(".")).arg(to));
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// Runs it to a good end.
fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// Killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
