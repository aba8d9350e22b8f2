//! What a start makes of a data folder that is not as a server left it, and which files the clean-up takes.

use crate::bench::{Bench, attachment_path, document_path};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use dikas_archive::digest::Sha256;
use dikas_server::store::CleanOptions;
use dikas_server::{App, Config, Setup, UnnamedFiles};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const DATABASE: &str = "dikas.sqlite";

/// A data folder with articles, each of which has a file, once its server has gone.
async fn folder_with_files(files: u32) -> TempDir {
    let bench = Bench::new().await;
    add_files(&bench, 0..files).await;
    bench.app.clean().unwrap();
    let Bench { folder, .. } = bench;
    folder
}

async fn add_files(bench: &Bench, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let id = format!("art_{number}");
        bench
            .put(&document_path("articles", &id), format!("{{\"_id\":\"{id}\"}}"))
            .await
            .expect(StatusCode::CREATED);
        let bytes = format!("file {number}");
        bench.put(&attachment_path("articles", &id, "f"), bytes).await.expect(StatusCode::CREATED);
    }
}

/// Why the server does not start on this folder.
fn refusal(data: &Path) -> String {
    App::open(&Config::new(data)).map(|_| ()).unwrap_err().to_string()
}

/// Every file of the folder but `lock`, with its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else if !path.ends_with("lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The server on this folder, whose clean-up takes at once what nothing names, and sets it aside.
fn start(folder: &TempDir) -> Arc<App> {
    start_with(
        folder,
        CleanOptions { quarantine: Duration::from_secs(30 * 86_400), ..CleanOptions::at_once() },
    )
}

fn start_with(folder: &TempDir, clean: CleanOptions) -> Arc<App> {
    let mut config = Config::new(folder.path().join("data"));
    config.restores.clean = clean;
    Arc::new(App::open(&config).unwrap())
}

/// How many files there are by themselves, and how many are set aside.
fn counts(folder: &TempDir) -> [usize; 2] {
    let tree = tree(&folder.path().join("data/blobs"));
    let aside = tree.keys().filter(|path| path.to_str().unwrap().contains("quarantine")).count();
    [tree.len() - aside, aside]
}

async fn health(app: &Arc<App>) -> (StatusCode, Value) {
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;
    let request = Request::get("/healthz").body(Body::empty()).unwrap();
    let answer = dikas_server::app(Arc::clone(app)).oneshot(request).await.unwrap();
    let status = answer.status();
    (status, serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

fn delete(app: &App, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let id = format!("art_{number}");
        app.store().delete_attachment(&"articles".parse().unwrap(), &id, "f").unwrap();
    }
}

#[tokio::test]
async fn a_folder_whose_database_is_gone_is_refused_and_nothing_in_it_changes() {
    let folder = folder_with_files(127).await;
    let data = folder.path().join("data");
    let database = fs::read(data.join(DATABASE)).unwrap();
    fs::write(data.join("blobs/uploads/.tmpAbCdEf"), "half").unwrap();
    type Damage = fn(&Path);
    let damages: [(Damage, &str); 3] = [
        (|path| fs::remove_file(path).unwrap(), "is missing"),
        (|path| fs::write(path, "").unwrap(), "is empty"),
        (|path| make_without_tables(path), "has no tables"),
    ];
    for (damage, how) in damages {
        fs::write(data.join(DATABASE), &database).unwrap();
        damage(&data.join(DATABASE));
        let before = tree(&data);
        for _ in 0..2 {
            let refusal = refusal(&data);
            let place = data.to_str().unwrap();
            for part in [place, how, "127 files in blobs/", "installation", "secret", "Put the database back"]
            {
                assert!(refusal.contains(part), "{part}: {refusal}");
            }
            let decision = UnnamedFiles::Remove.decide(&data).unwrap_err().to_string();
            assert!(decision.contains("127 files"), "{decision}");
        }
        assert!(tree(&data) == before, "{how}");
    }
    fs::write(data.join(DATABASE), database).unwrap();
    let app = start_with(&folder, CleanOptions::at_once());
    app.clean().unwrap();
    assert_eq!(counts(&folder), [127, 0]);
}

/// A database that has none of our tables, nor others.
fn make_without_tables(path: &Path) {
    fs::remove_file(path).unwrap();
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("CREATE TABLE x (x); DROP TABLE x").unwrap();
}

#[tokio::test]
async fn each_thing_of_an_installation_alone_keeps_a_new_database_away() {
    for name in [
        "blobs/ab/cdef",
        "blobs/quarantine/0/ab",
        "jobs/0.zip",
        "installation",
        "secret",
        "schedule.json",
        "database-check.json",
        "dikas.sqlite-wal",
        "dikas.sqlite-shm",
    ] {
        for empty in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            if empty {
                fs::write(folder.path().join(DATABASE), "").unwrap();
            }
            let before = tree(folder.path());
            let refusal = refusal(folder.path());
            let told = if name.contains('/') { "1 file in " } else { name };
            assert!(refusal.contains(told), "{name}: {refusal}");
            assert!(tree(folder.path()) == before, "{name}");
        }
    }
}

#[tokio::test]
async fn a_fresh_folder_is_one_that_holds_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    for left in ["blobs/uploads", "jobs", "lost+found"] {
        fs::create_dir_all(folder.path().join(left)).unwrap();
    }
    // What a start leaves that was ended before it had a database, and what is somebody else's.
    for left in ["lock", "dikas.new", "dikas.new-journal", "blobs/uploads/.tmpAbCdEf", "README", DATABASE] {
        fs::write(folder.path().join(left), "").unwrap();
    }
    let app = App::open(&Config::new(folder.path())).unwrap();
    assert!(matches!(app.setup(), Setup::Created { .. }));
    assert!(!folder.path().join("dikas.new").exists());
    let note: Value = serde_json::from_slice(&fs::read(folder.path().join("installation")).unwrap()).unwrap();
    assert_eq!(note["installation"], app.store().installation());
    drop(app);
    assert_eq!(*App::open(&Config::new(folder.path())).unwrap().setup(), Setup::Existing);
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_named() {
    let [one, other] = [folder_with_files(1).await, folder_with_files(2).await];
    let [data, foreign] = [&one, &other].map(|folder| folder.path().join("data"));
    let ids = [&data, &foreign]
        .map(|data| App::open(&Config::new(data)).unwrap().store().installation().to_owned());
    fs::copy(foreign.join(DATABASE), data.join(DATABASE)).unwrap();
    let before = tree(&data);
    let refused = refusal(&data);
    for part in [&ids[0], &ids[1], data.to_str().unwrap()] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(tree(&data) == before);

    fs::write(data.join(DATABASE), "no database at all".repeat(1000)).unwrap();
    let refused = refusal(&data);
    let path = data.join(DATABASE);
    assert!(refused.contains("not a database") && refused.contains(path.to_str().unwrap()), "{refused}");
    fs::remove_file(data.join(DATABASE)).unwrap();
    rusqlite::Connection::open(data.join(DATABASE))
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    assert!(refusal(&data).contains("another program"));
}

#[tokio::test]
async fn beside_an_older_database_no_file_is_taken_until_a_person_decides() {
    let folder = folder_with_files(3).await;
    let data = folder.path().join("data");
    let older = fs::read(data.join(DATABASE)).unwrap();
    let app = start(&folder);
    for number in 0..40 {
        let (sha256, size) = app.store().blobs().put(format!("later {number}").as_bytes()).unwrap();
        let record = dikas_archive::api::AttachmentRecord {
            collection: "articles".parse().unwrap(),
            id: "art_0".to_owned(),
            name: format!("later {number}"),
            media_type: "text/plain".to_owned(),
            size,
            sha256,
        };
        app.store().put_attachment(&record).unwrap();
    }
    app.clean().unwrap();
    drop(app);
    let newer = fs::read(data.join(DATABASE)).unwrap();
    fs::write(data.join(DATABASE), older).unwrap();

    // The copy goes on, and gets further than the other one was. That does not make it know more.
    for _ in 0..2 {
        let app = start_with(&folder, CleanOptions::at_once());
        for number in 0..50 {
            let body = format!("{{\"_id\":\"t\",\"n\":{number}}}").into_bytes();
            let rules = dikas_server::store::Rules::NONE;
            app.store()
                .put_documents(&"tables".parse().unwrap(), &[("t".to_owned(), body)], rules, |_| None)
                .unwrap();
        }
        app.clean().unwrap();
        let held = json!({ "status": "ok", "cleanUpHeld": "older-database" });
        assert_eq!(health(&app).await, (StatusCode::OK, held));
        assert_eq!(counts(&folder), [43, 0]);
    }

    let told = UnnamedFiles::Count.decide(&data).unwrap();
    assert!(told.contains("43 files in blobs, 40 of them") && told.contains("held"), "{told}");
    assert_eq!(counts(&folder), [43, 0]);
    let told = UnnamedFiles::Quarantine.decide(&data).unwrap();
    assert!(
        told.contains("3 files in blobs, 0 of them") && told.contains("\n40 files") && !told.contains("held"),
        "{told}"
    );
    let app = start(&folder);
    app.clean().unwrap();
    assert_eq!(health(&app).await.1, json!({ "status": "ok" }));
    assert_eq!(counts(&folder), [3, 40]);
    drop(app);

    // The right database turns up after all.
    fs::write(data.join(DATABASE), newer).unwrap();
    let app = start(&folder);
    app.clean().unwrap();
    assert_eq!(counts(&folder), [43, 0]);
    drop(app);
    UnnamedFiles::Remove.decide(&data).unwrap();
    assert_eq!(counts(&folder), [43, 0]);
}

#[tokio::test]
async fn a_decision_about_files_makes_no_database_and_counting_migrates_none() {
    let folder = folder_with_files(3).await;
    let typo = folder.path().join("date");
    for decision in [UnnamedFiles::Count, UnnamedFiles::Quarantine, UnnamedFiles::Remove] {
        let refusal = decision.decide(&typo).unwrap_err().to_string();
        assert!(refusal.contains("date") && refusal.contains("has no database"), "{refusal}");
        assert!(!typo.exists());
    }
    let data = folder.path().join("data");
    let version = |set: Option<i64>| {
        let connection = rusqlite::Connection::open(data.join(DATABASE)).unwrap();
        if let Some(version) = set {
            connection.pragma_update(None, "user_version", version).unwrap();
        }
        connection.query_row("PRAGMA user_version", (), |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = version(None) - 1;
    version(Some(before));
    let refusal = UnnamedFiles::Count.decide(&data).unwrap_err().to_string();
    assert!(refusal.contains("start the server once"), "{refusal}");
    assert_eq!(version(None), before);
}

#[tokio::test]
async fn a_note_that_cannot_be_read_holds_the_clean_up() {
    let folder = folder_with_files(3).await;
    let note = folder.path().join("data/installation");
    fs::write(&note, "{").unwrap();
    let app = start_with(&folder, CleanOptions::at_once());
    delete(&app, 0..1);
    drop(app);
    let app = start_with(&folder, CleanOptions::at_once());
    app.clean().unwrap();
    assert_eq!(health(&app).await.1["cleanUpHeld"], "unreadable-note");
    assert_eq!(counts(&folder), [3, 0]);
    drop(app);
    UnnamedFiles::Quarantine.decide(&folder.path().join("data")).unwrap();
    assert_eq!(counts(&folder), [2, 1]);
    UnnamedFiles::Remove.decide(&folder.path().join("data")).unwrap();
    assert_eq!(counts(&folder), [2, 0]);
}

#[tokio::test]
async fn the_clean_up_waits_for_hours_of_running_and_for_old_files() {
    let folder = folder_with_files(3).await;
    let waits = Duration::from_secs(3600);
    for (wait, grace, taken) in
        [(waits, Duration::ZERO, 0), (Duration::ZERO, waits, 0), (Duration::ZERO, Duration::ZERO, 1)]
    {
        let app = start_with(&folder, CleanOptions { wait, grace, ..CleanOptions::at_once() });
        if taken == 0 && wait == waits {
            delete(&app, 0..1);
        }
        app.clean().unwrap();
        assert_eq!(counts(&folder), [3 - taken, 0]);
    }
    let usual = CleanOptions::default();
    assert!(
        usual.wait >= Duration::from_secs(2 * 3600) && usual.quarantine >= Duration::from_secs(30 * 86_400)
    );
}

#[tokio::test]
async fn most_of_the_files_are_not_taken_without_a_persons_word() {
    let folder = folder_with_files(40).await;
    let clean = CleanOptions { handful: CleanOptions::default().handful, ..CleanOptions::at_once() };
    let app = start_with(&folder, clean.clone());
    delete(&app, 0..21);
    app.clean().unwrap();
    let (status, told) = health(&app).await;
    assert_eq!((status, &told["cleanUpHeld"]), (StatusCode::OK, &json!("most-files")));
    assert_eq!(counts(&folder), [40, 0]);

    // Not most any more: they are named again, by others.
    let (sha256, size) = app.store().blobs().put(b"file 0").unwrap();
    let record = dikas_archive::api::AttachmentRecord {
        collection: "articles".parse().unwrap(),
        id: "art_39".to_owned(),
        name: "again".to_owned(),
        media_type: "text/plain".to_owned(),
        size,
        sha256,
    };
    app.store().put_attachment(&record).unwrap();
    app.clean().unwrap();
    assert_eq!(health(&app).await.1, json!({ "status": "ok" }));
    assert_eq!(counts(&folder), [20, 0]);

    // A handful may go, be it most or all.
    delete(&app, 21..40);
    app.store().delete_attachment(&"articles".parse().unwrap(), "art_39", "again").unwrap();
    app.clean().unwrap();
    assert_eq!(counts(&folder), [0, 0]);
}

#[tokio::test]
async fn what_the_clean_up_took_comes_back_for_a_month_of_running_whatever_the_clock_says() {
    let folder = folder_with_files(3).await;
    let data = folder.path().join("data");
    let app = start(&folder);
    delete(&app, 0..2);
    app.clean().unwrap();
    assert_eq!(counts(&folder), [1, 2]);
    drop(app);
    // Years by the dates of the files, and not by how long servers have run.
    for path in tree(&data.join("blobs")).into_keys() {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    let app = start(&folder);
    app.clean().unwrap();
    assert_eq!(counts(&folder), [1, 2]);

    // A restore asks what is missing: not what was set aside.
    let digest = Sha256::of(b"file 0");
    assert_eq!(app.store().blobs().size(&digest).unwrap(), Some(6));
    assert_eq!(counts(&folder), [2, 1]);
    app.clean().unwrap();
    assert_eq!(counts(&folder), [1, 2]);
    drop(app);

    let note = data.join("installation");
    let mut content: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    for (days, left) in [(29, [1, 2]), (32, [1, 0])] {
        content["runningSeconds"] = json!(days * 86_400);
        fs::write(&note, content.to_string()).unwrap();
        start(&folder).clean().unwrap();
        assert_eq!(counts(&folder), left, "{days} days");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_an_open_folder_holds_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (strangers, of_the_folder) in [(false, 0o700), (true, 0o755)] {
        let bench = Bench::new().await;
        add_files(&bench, 0..1).await;
        crate::jobs::finished(&bench).await;
        let data = bench.folder.path().join("data");
        // As version 0.1.0 made them where the folder was there already.
        for path in
            tree(&data).into_keys().chain(["blobs", "blobs/uploads", "jobs"].map(|name| data.join(name)))
        {
            open(&path, if path.is_dir() { 0o755 } else { 0o644 });
        }
        open(&data, 0o755);
        if strangers {
            fs::write(data.join("somebody's.txt"), "x").unwrap();
            open(&data.join("somebody's.txt"), 0o644);
        }
        let bench = bench.restarted().await;
        add_files(&bench, 1..2).await;
        crate::jobs::finished(&bench).await;
        assert_eq!(mode(&data), of_the_folder, "a folder of others stays as it is");
        for name in ["blobs", "jobs"] {
            assert_eq!(mode(&data.join(name)), 0o700, "{name}");
        }
        let mut seen = 0;
        for path in tree(&data).into_keys().filter(|path| !path.ends_with("somebody's.txt")) {
            if path.starts_with(data.join("blobs")) && mode(&path) == 0o644 {
                // Behind a closed folder.
                continue;
            }
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            seen += 1;
        }
        assert!(seen >= 9, "database, -wal, -shm, installation, secret, two jobs, a file: {seen}");
        assert_eq!(mode(&data.join("lock")), 0o600);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_start_that_fails_names_the_path() {
    for name in ["", "lock", "installation", "secret", DATABASE, "blobs/uploads", "jobs"] {
        let folder = folder_with_files(1).await;
        let data = folder.path().join("data");
        let path = if name.is_empty() { data.clone() } else { data.join(name) };
        put_in_the_way(&path);
        let refused = refusal(&data);
        assert!(
            refused.contains(path.to_str().unwrap()) && !refused.contains("its log says why"),
            "{name}: {refused}"
        );
    }
}

/// Puts a folder where there should be a file, or a file where there should be a folder.
fn put_in_the_way(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
        fs::write(path, "a file").unwrap();
    } else {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }
}
