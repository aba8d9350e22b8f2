//! Killed at any moment, a run of the schedule leaves no file that passes for a whole archive and is none, and nothing
//! else for long: the next start tidies up, makes up for what was due, and does what it is asked to.
//!
//! `DIKAS_KILLS=50` kills so often, spread evenly over the time that a run takes; a few times is usual. The report says
//! what the runs had left. Besides, a disk that fills up, and one that nobody may write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::Envelope;
use dikas_archive::api::archives::{Attempt, ScheduleState, StoredArchive, Trigger};
use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use dikas_e2e::api::{Api, try_send};
use dikas_e2e::server::{Killable, demo_login};
use dikas_e2e::{fill, until};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");

/// So many receipts that a run takes some time.
const RECEIPTS: u64 = 20_000;

/// Days of which the schedule keeps an archive: fewer than there are runs, so that only the two days for which each
/// archive stays keep them.
const DAYS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_leaves_nothing_that_passes_for_whole() {
    let kills: u32 = std::env::var("DIKAS_KILLS").ok().map_or(10, |kills| kills.parse().unwrap());
    let mut scene = Scene::open().await;
    let asked = scene.how_long(false).await;
    let due = scene.how_long(true).await;
    println!("a run takes {asked:?}; from a start to the end of a run that is made up for, {due:?}");
    println!(
        "| killed | nothing | half an archive | an archive, unreported | an archive, reported |\n|---|--:|--:|--:|--:|"
    );
    for (what, is_due, time) in
        [("runs that were asked for", false, asked), ("runs that were due", true, due)]
    {
        let each = kills.div_ceil(2);
        let mut seen: BTreeMap<Left, u32> = BTreeMap::new();
        for number in 0..each {
            // A bit more than a run takes: some are over by then.
            let when = time * 13 / 10 * (2 * number + 1) / (2 * each);
            *seen.entry(scene.round(is_due, when).await).or_default() += 1;
        }
        let of = |left: Left| seen.get(&left).copied().unwrap_or_default();
        println!(
            "| {what} | {} | {} | {} | {} |",
            of(Left::Nothing),
            of(Left::Half),
            of(Left::Unreported),
            of(Left::Reported)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_in_a_run_is_said_and_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    // Only the server sees its disk, at the place where its data lies; the configuration is written once that is known.
    let config = home.path().join("server.toml");
    let link = home.path().join("backups");
    fs::write(&config, configuration(&link)).unwrap();
    let environment = BTreeMap::from([("DIKAS_TEST_CONFIG", config.to_str().unwrap().to_owned())]);
    let started = Killable::start_on_disk_with(SERVER, 256 << 20, environment).await;
    let Some((server, disk)) = started else { return };
    std::os::unix::fs::symlink(server.data().join("disk/backups"), &link).unwrap();
    disk.make("backups");
    let api = api(&server).await;
    fill::receipts(&api, 0..2 * RECEIPTS).await;
    run(&api).await;
    until("documents to be written", async || {
        state(&api).await.running.is_some_and(|progress| progress.documents > 0).then_some(())
    })
    .await;
    disk.fill();
    let failed = ended(&api).await;
    disk.free();
    let error = failed.error.unwrap();
    assert_eq!((error.kind, failed.archive), (ErrorKind::ServerFull, None), "{error}");
    assert_eq!(disk.list("backups"), [""; 0]);
    run(&api).await;
    assert_eq!(ended(&api).await.error, None);
    assert_eq!(disk.list("backups").len(), 2, "an archive with its record");

    // Where it can be known before, it is.
    disk.fill();
    run(&api).await;
    let error = ended(&api).await.error.unwrap();
    assert_eq!(error.kind, ErrorKind::ServerFull);
    assert!(error.message.contains("has not enough room"), "{error}");
    disk.free();
    assert_eq!(disk.list("backups").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_nobody_may_write_fails_the_run_and_says_why() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let config = home.path().join("server.toml");
    fs::write(&config, configuration(&folder)).unwrap();
    let environment = BTreeMap::from([
        ("DIKAS_TEST_CONFIG", config.to_str().unwrap().to_owned()),
        ("DIKAS_TEST_SPARE_BYTES", "0".to_owned()),
    ]);
    let Some(server) = Killable::start_beside_read_only(SERVER, &folder, environment).await else { return };
    let api = api(&server).await;
    run(&api).await;
    let Attempt { error, archive, .. } = ended(&api).await;
    let error = error.unwrap();
    assert_eq!((error.kind, archive), (ErrorKind::ServerError, None), "{error}");
    assert!(error.message.contains("Read-only file system"), "{error}");
    assert_eq!(error.subject.as_deref(), folder.to_str());
    assert_eq!(state(&api).await.last_success, None);
    assert_eq!(
        api.put_document("articles", "art_1", br#"{"_id":"art_1"}"#.to_vec()).await,
        StatusCode::CREATED
    );
}

/// What a killed run had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Nothing,
    /// Under a name that says so.
    Half,
    /// A whole one, of which the journal does not know yet.
    Unreported,
    Reported,
}

/// A server with a schedule that is never due while a test runs.
struct Scene {
    server: Killable,
    home: TempDir,
}

impl Scene {
    async fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut server = Killable::start(SERVER).await;
        fill::receipts(&api(&server).await, 0..RECEIPTS).await;
        let scene_folder = home.path().join("backups");
        fs::create_dir(&scene_folder).unwrap();
        let config = home.path().join("server.toml");
        fs::write(&config, configuration(&scene_folder)).unwrap();
        server.kill();
        server.environment.insert("DIKAS_TEST_CONFIG", config.to_str().unwrap().to_owned());
        server.restart(SERVER);
        Self { server, home }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("backups")
    }

    /// Begins a run: asks for it, or starts the server anew with one that was missed.
    async fn begin(&mut self, is_due: bool) {
        if is_due {
            self.server.kill();
            let mut journal = self.journal();
            journal["handled"] = json!("2020-01-01T00:00:00Z");
            fs::write(self.server.data().join("schedule.json"), journal.to_string()).unwrap();
            self.server.restart(SERVER);
        } else {
            run(&api(&self.server).await).await;
        }
    }

    /// How long a run takes.
    async fn how_long(&mut self, is_due: bool) -> Duration {
        let before = last(&self.journal());
        self.begin(is_due).await;
        let begun = Instant::now();
        self.succeeded(is_due, before.as_ref()).await;
        begun.elapsed()
    }

    /// Kills the server so long after a run began, and looks at what comes of it.
    async fn round(&mut self, is_due: bool, when: Duration) -> Left {
        let (archives_before, before) = (archives(&self.folder()), last(&self.journal()));
        self.begin(is_due).await;
        tokio::time::sleep(when).await;
        self.server.kill();

        // Whatever has the name of an archive is one, and none is old enough to be removed, killed or not.
        let left = archives(&self.folder());
        assert!(archives_before.is_subset(&left), "{archives_before:?}, then {left:?}");
        for name in &left {
            check(&self.folder().join(name));
            assert!(self.folder().join(format!("{name}.json")).exists(), "{name} has no record");
        }
        let journal = self.journal();
        let is_half = names(&self.folder()).iter().any(|name| name.ends_with(".part"));
        let is_new = left.difference(&archives_before).next().is_some();
        let left = match (journal["underWay"].is_null() && last(&journal) != before, is_new, is_half) {
            (true, ..) => Left::Reported,
            (_, true, _) => Left::Unreported,
            (_, _, true) => Left::Half,
            _ => Left::Nothing,
        };

        self.server.restart(SERVER);
        if is_due {
            // It is made up for, unless it was done.
            self.succeeded(true, before.as_ref()).await;
        } else {
            // Whoever has asked for it sees how it ended, and can ask again.
            let api = api(&self.server).await;
            let ScheduleState { running, last_attempt, .. } = state(&api).await;
            let (last, message) = (last_attempt.unwrap(), "the server ended while it made the backup");
            assert_eq!(running, None);
            assert_eq!(last.error.is_none(), journal["underWay"].is_null());
            assert!(last.error.as_ref().is_none_or(|error| error.message == message));
            run(&api).await;
            self.succeeded(false, Some(&last)).await;
        }
        self.check_tidy(&api(&self.server).await).await;
        left
    }

    /// Waits for a good run that is another one than this.
    async fn succeeded(&self, is_due: bool, before: Option<&Attempt>) {
        let api = api(&self.server).await;
        let attempt = until("a good run", async || {
            let state = state(&api).await;
            let is_over = state.running.is_none();
            state.last_attempt.filter(|last| is_over && last.error.is_none() && before != Some(last))
        })
        .await;
        assert_eq!(matches!(attempt.trigger, Trigger::CatchUp { .. }), is_due, "{attempt:?}");
        assert_eq!(state(&api).await.last_success, Some(attempt));
    }

    /// What the schedule has noted.
    fn journal(&self) -> Value {
        serde_json::from_slice(&fs::read(self.server.data().join("schedule.json")).unwrap()).unwrap()
    }

    /// Archives with their records, each of them good, and nothing else.
    async fn check_tidy(&self, api: &Api) {
        let found = archives(&self.folder());
        let mut expected: BTreeSet<String> = found.iter().map(|name| format!("{name}.json")).collect();
        expected.extend(found.iter().cloned());
        assert_eq!(names(&self.folder()), expected);
        assert!(!found.is_empty());
        let listed: Vec<StoredArchive> = get(api, "/backup/archives").await;
        assert!(listed.iter().all(|archive| !archive.kept_for.is_empty()), "{listed:?}");
        assert_eq!(listed.into_iter().map(|archive| archive.name).collect::<BTreeSet<_>>(), found);
    }
}

fn configuration(folder: &Path) -> String {
    // Once in four years, at a moment that no test meets.
    format!(
        "[backup]\nwhen = \"59 23 29 2 *\"\nfolder = \"{}\"\n\n[backup.keep]\ndaily = {DAYS}\nweekly = 0\nmonthly = 0\n",
        folder.display()
    )
}

async fn api(server: &Killable) -> Api {
    let (username, password) = demo_login();
    Api::login(&server.url, &username, &password).await
}

async fn run(api: &Api) {
    let (status, body) = try_send(api.request(Method::POST, "/backup/schedule/run")).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{}", String::from_utf8_lossy(&body));
}

/// Waits for the end of the run that was begun.
async fn ended(api: &Api) -> Attempt {
    until("the run to end", async || {
        let state = state(api).await;
        state.last_attempt.filter(|_| state.running.is_none())
    })
    .await
}

async fn state(api: &Api) -> ScheduleState {
    get(api, "/backup/schedule").await
}

async fn get<T: DeserializeOwned>(api: &Api, path: &str) -> T {
    let (status, body) = try_send(api.request(Method::GET, path)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice::<Envelope<T>>(&body).unwrap().data.unwrap()
}

/// The last run that is over.
fn last(journal: &Value) -> Option<Attempt> {
    serde_json::from_value(journal["lastAttempt"].clone()).unwrap()
}

fn check(path: &Path) {
    let verdict = BackupReader::open(File::open(path).unwrap()).unwrap().verify(&mut |_| Ok(())).unwrap();
    assert!(verdict.is_sound() && verdict.has_manifest, "{}: {:?}", path.display(), verdict.problems);
    assert!(verdict.documents >= RECEIPTS);
}

fn archives(folder: &Path) -> BTreeSet<String> {
    names(folder).into_iter().filter(|name| name.ends_with(".zip")).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
