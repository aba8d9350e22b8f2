//! `create` as cron runs it, `tokens`, and what a shell completes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use dikas_archive::api::{CollectionSummary, Snapshot};
use dikas_archive::manifest::CollectionEntry;
use dikas_archive::reader::BackupReader;
use dikas_archive::writer::BackupWriter;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{Shop, assert_ended, dikas_backup, lines, stderr, stdout};

/// Runs `create` with a token, and no terminal.
fn create(url: &str, token: &Path, to: &Path, arguments: &[&str]) -> Output {
    begun(url, token, to, arguments).output().unwrap()
}

fn begun(url: &str, token: &Path, to: &Path, arguments: &[&str]) -> Command {
    let mut run = dikas_backup();
    run.args(["create", "--url", url, "--token-file"]).arg(token).arg("-o").arg(to).args(arguments);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn last_event(output: &Output) -> Value {
    serde_json::from_str(stdout(output).lines().last().unwrap()).unwrap()
}

#[test]
fn it_is_quiet_when_all_is_well_and_says_one_line_when_not() {
    let shop = Shop::demo();
    let token = shop.token_file();
    let (quiet, loud) = (shop.file("quiet.zip"), shop.file("loud.zip"));
    let made = create(&shop.url, &token, &quiet, &["--verify"]);
    assert_ended(&made, 0);
    assert_eq!((stdout(&made), stderr(&made)), (String::new(), String::new()));
    assert_eq!(fs::metadata(&quiet).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(stdout(&create(&shop.url, &token, &loud, &["--verbose"])).contains("SHA-256"));

    // Over http nobody has to have certificates.
    let mut bare = begun(&shop.url, &token, &shop.file("bare.zip"), &[]);
    bare.envs([("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")]);
    assert_ended(&bare.output().unwrap(), 0);
    // A folder that is not there is not made a file.
    for missing in ["backups", "backups/", "backups/dikas"] {
        let refused = create(&shop.url, &token, &shop.file(missing), &[]);
        assert_ended(&refused, 2);
        assert!(
            !shop.file("backups").exists() && stderr(&refused).contains("folder"),
            "{}",
            stderr(&refused)
        );
    }

    fs::write(&token, "dkb_wrong").unwrap();
    let refused = create(&shop.url, &token, &shop.file("none.zip"), &[]);
    assert_ended(&refused, 1);
    assert!(stdout(&refused).is_empty() && stderr(&refused).lines().count() == 1, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("[unauthorized]"), "{}", stderr(&refused));
    assert!(!shop.file("none.zip").exists() && !shop.file("none.zip.part").exists());
}

#[test]
fn so_many_backups_stay_and_nothing_else_goes() {
    let (shop, other) = (Shop::demo(), Shop::empty());
    let token = shop.token_file();
    let folder = shop.file("backups");
    fs::create_dir(&folder).unwrap();
    let foreign = [
        "dikas_20200101_000000.zip",
        "dikas_20200102_000000.zip",
        "dikas_20200103_000000.zip",
        "dikas_20200104_000000.zip",
        "dikas_20200104_000000.zip.json",
    ];
    fs::write(folder.join(foreign[0]), "no backup").unwrap();
    fs::rename(other.create("other.zip"), folder.join(foreign[1])).unwrap();
    let part = shop.file("part.zip");
    assert_ended(&create(&shop.url, &token, &part, &["--category", "articles"]), 0);
    fs::rename(part, folder.join(foreign[2])).unwrap();

    // Of the same shop, but made by the schedule of its server, whose record lies beside it.
    fs::rename(shop.create("own.zip"), folder.join(foreign[3])).unwrap();
    fs::write(folder.join(foreign[4]), "{}").unwrap();

    let run = |keep: &str| {
        let output = create(&shop.url, &token, &folder, &["--keep", keep, "--json"]);
        assert_ended(&output, 0);
        let done = last_event(&output);
        let removed: Vec<PathBuf> = serde_json::from_value(done["removed"].clone()).unwrap();
        (PathBuf::from(done["file"].as_str().unwrap()), removed)
    };
    // Two of the same second have names of their own, too, and what was just made stays.
    let made = [run("1"), run("1")].map(|(file, removed)| {
        assert_eq!(removed, [""; 0].map(PathBuf::from));
        file
    });
    let old: Vec<PathBuf> = [3, 4, 5, 6].map(|days| older(&folder, &made[0], days)).to_vec();
    let (third, removed) = run("5");
    assert_eq!(removed, old[2..]);
    let (fourth, removed) = run("2");
    assert_eq!(removed, old[..2]);
    let mut expected: Vec<String> = foreign.map(str::to_owned).to_vec();
    let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
    expected.extend([&made[0], &made[1], &third, &fourth].map(name));
    expected.sort();
    let mut left = names(&folder);
    left.sort();
    assert_eq!(left, expected);
    let kept = names(&folder);
    assert_ended(&create(&shop.url, &token, &folder, &["--keep", "0"]), 2);
    assert_ended(&create(&shop.url, &token, &shop.file("file.zip"), &["--keep", "1"]), 2);
    assert_eq!(names(&folder), kept);
}

/// Makes a backup of the same series with empty collections, dated the given number of days earlier.
fn older(folder: &Path, like: &Path, days: i64) -> PathBuf {
    let manifest =
        BackupReader::open(fs::File::open(like).unwrap()).unwrap().into_manifest().unwrap().unwrap();
    let moment = manifest.created.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days);
    let file = folder.join(moment.strftime("dikas_%Y%m%d_%H%M%S.zip").to_string());
    let empty = |it: &CollectionEntry| CollectionSummary {
        name: it.name.clone(),
        category: it.category,
        documents: 0,
        bytes: 0,
        attachments: 0,
        attachment_bytes: 0,
    };
    let snapshot = Snapshot {
        id: "0".repeat(32),
        created: moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        source: manifest.source,
        collections: manifest.collections.iter().map(empty).collect(),
        missing: Vec::new(),
    };
    let out = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&file).unwrap();
    BackupWriter::new(out).finish(&snapshot).unwrap();
    file
}

/// Stands between the program and the server, and cuts the connection over which so many bytes were answered in all.
struct Shears {
    url: String,
    upstream: Arc<Mutex<String>>,
    reached: Receiver<()>,
    go_on: Sender<()>,
}

impl Shears {
    fn start(upstream: &str, cut_at: Vec<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = |url: &str| url.trim_start_matches("http://").to_owned();
        let upstream = Arc::new(Mutex::new(address(upstream)));
        let (reach, reached) = channel();
        let (go_on, going) = channel();
        let going = Arc::new(Mutex::new(going));
        let (answered, cut_at) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(cut_at)));
        let to = Arc::clone(&upstream);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(to.lock().unwrap().as_str()) else { continue };
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let (reach, going) = (reach.clone(), Arc::clone(&going));
                let (answered, cut_at) = (Arc::clone(&answered), Arc::clone(&cut_at));
                thread::spawn(move || {
                    let (mut server, mut client) = (server, client);
                    let mut buffer = vec![0; 16 << 10];
                    while let Ok(count) = server.read(&mut buffer)
                        && count > 0
                    {
                        let before = answered.fetch_add(count as u64, Ordering::SeqCst);
                        let cuts = {
                            let mut cut_at = cut_at.lock().unwrap();
                            let due = cut_at.first().is_some_and(|at| before + count as u64 >= *at);
                            due.then(|| cut_at.remove(0)).is_some()
                        };
                        if cuts {
                            reach.send(()).unwrap();
                            going.lock().unwrap().recv().unwrap();
                            break;
                        }
                        if client.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
                });
            }
        });
        Self { url, upstream, reached, go_on }
    }
}

#[test]
fn a_connection_that_drops_costs_nothing() {
    let shop = Shop::demo();
    let whole = shop.create("whole.zip");
    let token = shop.token_file();
    let shears = Shears::start(&shop.url, vec![100_000, 1_000_000, 3_000_000]);
    let file = shop.file("cut.zip");
    let run = begun(&shears.url, &token, &file, &["--json"]).spawn().unwrap();
    for _ in 0..3 {
        shears.reached.recv_timeout(Duration::from_secs(60)).unwrap();
        shears.go_on.send(()).unwrap();
    }
    let output = run.wait_with_output().unwrap();
    assert_ended(&output, 0);
    assert_eq!(last_event(&output)["restarts"], 0);
    assert_eq!(lines(&file), lines(&whole));
}

#[test]
fn a_server_that_starts_anew_half_way_gets_a_backup_of_a_later_moment() {
    let mut shop = Shop::demo();
    let token = shop.token_file();
    let shears = Shears::start(&shop.url, vec![1_000_000]);
    let file = shop.file("later.zip");
    let run = begun(&shears.url, &token, &file, &["--json"]).spawn().unwrap();
    shears.reached.recv_timeout(Duration::from_secs(60)).unwrap();
    let url = shop.restart();
    *shears.upstream.lock().unwrap() = url.trim_start_matches("http://").to_owned();
    shears.go_on.send(()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_ended(&output, 0);
    assert_eq!(last_event(&output)["restarts"], 1);
    assert_eq!(lines(&file), lines(&shop.create("whole.zip")));
}

#[test]
fn what_the_system_ends_leaves_nothing() {
    let shop = Shop::demo();
    let (token, file) = (shop.token_file(), shop.file("ended.zip"));
    // It accepts, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // A terminal that is closed sends two of its signals, one by the shell and one by the system.
    for signals in [&["-TERM"][..], &["-HUP"], &["-QUIT"], &["-INT"], &["-HUP", "-HUP"], &["-HUP", "-TERM"]] {
        let program = begun(&url, &token, &file, &[]);
        // Whatever this test was started to ignore.
        let mut run = Command::new("env");
        if cfg!(target_os = "linux") {
            run.arg("--default-signal");
        }
        run.arg(program.get_program()).args(program.get_args());
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (_held, _) = listener.accept().unwrap();
        assert!(shop.file("ended.zip.part").exists());
        let kill =
            |signal: &&str| Command::new("kill").args([signal, &*run.id().to_string()]).status().unwrap();
        // It may have ended before the second one.
        let sent: Vec<bool> = signals.iter().map(|signal| kill(signal).success()).collect();
        assert!(sent[0]);
        assert_ended(&run.wait_with_output().unwrap(), 130);
        assert!(!file.exists() && !shop.file("ended.zip.part").exists(), "{signals:?}");
    }
}

#[test]
fn a_token_is_made_shown_once_used_and_revoked() {
    let shop = Shop::demo();
    let tokens = |arguments: &[&str]| {
        let (command, rest) = arguments.split_first().unwrap();
        let mut run = dikas_backup();
        run.args(["tokens", command, "--url", &shop.url, "--user", &shop.login.0]).args(rest);
        run.env("DIKAS_PASSWORD", &shop.login.1).output().unwrap()
    };
    let list = || -> Vec<Value> { serde_json::from_str(&stdout(&tokens(&["list", "--json"]))).unwrap() };
    assert!(stdout(&tokens(&["list"])).contains("no token"));
    let file = shop.file("backup.token");
    let made = tokens(&["create", "büro", "-o", file.to_str().unwrap()]);
    assert_ended(&made, 0);
    assert!(stdout(&made).is_empty());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    assert!(secret.trim().starts_with("dkb_"));
    // A file that is there is not overwritten, and no token made for nobody.
    assert_ended(&tokens(&["create", "again", "-o", file.to_str().unwrap()]), 2);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    assert_eq!((list().len(), &list()[0]["name"], &list()[0]["lastUsed"]), (1, &json!("büro"), &Value::Null));

    assert_ended(&create(&shop.url, &file, &shop.file("one.zip"), &[]), 0);
    assert!(list()[0]["lastUsed"].is_string());
    assert!(!stdout(&tokens(&["list"])).contains(secret.trim()));
    let shown = tokens(&["create", "büro"]);
    assert!(stdout(&shown).starts_with("dkb_"), "{}", stdout(&shown));

    let several = tokens(&["revoke", "büro"]);
    assert_ended(&several, 2);
    assert!(stderr(&several).contains("several"), "{}", stderr(&several));
    assert_ended(&tokens(&["revoke", "nobody"]), 2);
    assert_ended(&tokens(&["revoke", list()[0]["id"].as_str().unwrap()]), 0);
    assert_ended(&tokens(&["revoke", "büro"]), 0);
    assert!(list().is_empty());
    assert_ended(&create(&shop.url, &file, &shop.file("two.zip"), &[]), 1);
}

#[test]
fn every_command_explains_itself_and_is_completed() {
    let help = dikas_backup().arg("--help").output().unwrap();
    assert_ended(&help, 0);
    let commands = stdout(&help);
    let commands: Vec<&str> = commands
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in &commands {
        let help = dikas_backup().args([command, "--help"]).output().unwrap();
        assert_ended(&help, 0);
        let says = |what| stdout(&help).contains(what);
        assert!(
            says("Usage: dikas-backup") && (says("Exit codes:") || *command == "completions"),
            "{command}"
        );
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = dikas_backup().args(["completions", shell]).output().unwrap();
        assert_ended(&script, 0);
        let script = stdout(&script);
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
    }
    let completing = "source <(\"$0\" completions bash); COMP_WORDS=(dikas-backup ver); COMP_CWORD=1; \
        _dikas__backup dikas-backup ver dikas-backup; echo \"${COMPREPLY[*]}\"";
    let completed =
        Command::new("bash").args(["-c", completing, env!("CARGO_BIN_EXE_dikas-backup")]).output().unwrap();
    assert_eq!(stdout(&completed).trim(), "verify", "{}", stderr(&completed));
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let shop = Shop::demo();
    let token = shop.token_file();
    let mode = |mode| fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
    for shared in [0o644, 0o640, 0o604, 0o620] {
        mode(shared);
        let refused = create(&shop.url, &token, &shop.file("none.zip"), &[]);
        assert_ended(&refused, 2);
        let said = stderr(&refused);
        assert!(said.contains("chmod 600") && said.contains(token.to_str().unwrap()), "{said}");
        assert!(said.contains(&format!("mode 0{shared:o}")), "{said}");
    }
    for private in [0o600, 0o400] {
        mode(private);
        assert_ended(&create(&shop.url, &token, &shop.file(&format!("{private:o}.zip")), &[]), 0);
    }
    // What comes through a pipe has no mode that says anything.
    mode(0o644);
    let mut run = begun(&shop.url, Path::new("/dev/stdin"), &shop.file("piped.zip"), &[]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&fs::read(&token).unwrap()).unwrap();
    drop(writer);
    assert_ended(&run.stdin(reader).output().unwrap(), 0);
}

#[test]
fn a_backup_goes_on_without_a_damaged_receipt_that_is_named_and_says_so_wherever_it_is_read() {
    let shop = Shop::demo();
    let id = spoil_a_receipt(&shop);
    let refused = create(&shop.url, &shop.token_file(), &shop.file("none.zip"), &["--json"]);
    assert_ended(&refused, 1);
    let key = format!("receipts/{id}");
    let told = stderr(&refused);
    assert!(told.contains("[damaged-document]") && told.contains(&format!("--without '{key}'")), "{told}");
    assert_eq!(last_event(&refused)["error"]["damaged"][0]["id"], id);
    assert!(!shop.file("none.zip").exists());

    let file = shop.file("without.zip");
    let made = create(&shop.url, &shop.token_file(), &file, &["--json", "--without", &key]);
    assert_ended(&made, 0);
    assert_eq!(last_event(&made)["missing"][0]["reason"], "changed");
    assert_eq!(support::manifest(&file)["missing"][0]["id"], id);
    // Cron hears it, though nothing else.
    let made = create(&shop.url, &shop.token_file(), &shop.file("quiet.zip"), &["--without", &key]);
    assert_ended(&made, 0);
    assert!(stdout(&made).is_empty() && stderr(&made).contains(&key), "{}", stderr(&made));
    for command in ["inspect", "verify"] {
        let looked = dikas_backup().arg(command).arg(&file).output().unwrap();
        assert_ended(&looked, 0);
        assert!(stdout(&looked).contains(&key), "{}", stdout(&looked));
    }
    let told = stdout(&dikas_backup().arg("inspect").arg(&file).output().unwrap());
    assert!(told.contains("all else is there") && !told.contains("complete"), "{told}");
    let rows = dikas_backup().arg("inspect").arg(&file).arg("receipts").output().unwrap();
    assert_ended(&rows, 0);
    assert!(stderr(&rows).contains(&key) && !stdout(&rows).contains("Missing"), "{}", stderr(&rows));
    let folder = shop.file("extracted");
    let extracted = |more: &[&str]| {
        let mut run = dikas_backup();
        run.args(["extract", "--force"]).arg(&file).arg("-o").arg(&folder).args(more).output().unwrap()
    };
    assert!(stderr(&extracted(&[])).contains(&key));
    let told: Value = serde_json::from_str(&stdout(&extracted(&["--json"]))).unwrap();
    assert_eq!(told["missing"][0]["id"], id);
    let differ = |more: &[&str]| dikas_backup().arg("diff").args([&file, &file]).args(more).output().unwrap();
    assert!(stderr(&differ(&[])).contains(&key));
    let told: Value = serde_json::from_str(&stdout(&differ(&["--json"]))).unwrap();
    assert_eq!(
        (&told["missing"]["old"][0]["id"], &told["missing"]["new"][0]["id"]),
        (&json!(id), &json!(id))
    );
    let previewed = shop.restore(&file, &["--dry-run"]);
    assert!(stdout(&previewed).contains("missing in this backup"), "{}", stdout(&previewed));
    let wrong = create(&shop.url, &shop.token_file(), &shop.file("none.zip"), &["--without", "receipts"]);
    assert_ended(&wrong, 2);
}

/// Changes one bit of the first receipt in the file of the database; answers its id.
fn spoil_a_receipt(shop: &Shop) -> String {
    let path = shop.folder.path().join("data/dikas.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let mark = br#""documentType":"Receipt2""#;
    let at = bytes.windows(mark.len()).position(|it| it == mark).unwrap();
    let from = bytes[..at].iter().rposition(|byte| *byte == b'{').unwrap();
    let id = String::from_utf8_lossy(&bytes[from..at]);
    let id = id.split('"').find(|part| part.starts_with("rcp_")).unwrap().to_owned();
    // Pages that were split leave copies behind.
    let whole = bytes[from..at + mark.len()].to_vec();
    for at in 0..bytes.len() - whole.len() {
        if bytes[at..].starts_with(&whole) {
            bytes[at + whole.len() - 2] ^= 1;
        }
    }
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&bytes).unwrap();
    id
}
