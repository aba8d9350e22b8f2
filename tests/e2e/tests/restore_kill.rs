//! Killed at any moment, a restore or an undo has happened or it has not: document by document, file by file, in the
//! database, and in what the server says of it. A till goes on writing all the while.
//!
//! `DIKAS_KILLS=240` kills so often, spread evenly over restores and undos, and tries every statement in every mode; a few
//! times is usual. The report says how many ended with the old state and how many with the new one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::restore::{CommitRequest, RestoreMode, RestoreOutcome, RestorePreview, RestoreState};
use dikas_archive::api::{AttachmentRecord, Envelope, Snapshot};
use dikas_archive::digest::Sha256;
use dikas_archive::document;
use dikas_e2e::api::{Api, Everything, try_send};
use dikas_e2e::server::{Killable, demo_login};
use dikas_e2e::staging::{Backup, Staging};
use dikas_e2e::till::Till;
use dikas_e2e::until;
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");

/// What is restored: with files, signed, counting, and merely many.
const COVERED: &[&str] = &["articles", "counters", "customers", "day-closes", "vouchers"];

/// Where the till writes meanwhile.
const BESIDE: &str = "shifts";

const MODES: [RestoreMode; 3] = [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update];

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Restore(RestoreMode),
    /// The undo of a restore in this mode.
    Undo(RestoreMode),
}

/// Where a process ends by itself before a commit begins, and which time it passes there.
const BEFORE_COMMIT: &[&str] = &["staged:1", "staged:4", "prepare-documents:2"];

/// The same within a commit, be it of a restore or an undo, and whether what it did is seen afterwards.
const IN_COMMIT: &[(&str, bool)] = &[
    ("commit-begun:1", false),
    ("commit-checked:1", false),
    ("commit-point:1", false),
    ("commit-collection:1", false),
    ("commit-collection:3", false),
    ("commit-audited:1", false),
    ("commit-end:1", false),
    ("commit-done:1", true),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_has_happened_or_not() {
    let kills: u32 = std::env::var("DIKAS_KILLS").ok().map_or(10, |kills| kills.parse().unwrap());
    let mut scene = Scene::open().await;
    let Durations { restore, commit, undo } = scene.durations().await;
    println!("a restore takes {restore:?}, its commit {commit:?}, an undo {undo:?}");
    // What is killed, and when: spread evenly over each.
    type Kind = (&'static str, fn(RestoreMode) -> Act, fn(Duration) -> Kill, Range<Duration>);
    let nothing = Duration::ZERO;
    let kinds: [Kind; 5] = [
        ("restores, at any time", Act::Restore, Kill::After, nothing..restore),
        ("restores, from the commit to its answer", Act::Restore, Kill::AfterCommitBegan, nothing..commit),
        ("restores, around the answer", Act::Restore, Kill::AfterCommitBegan, commit * 7 / 8..commit * 9 / 8),
        ("undos, from the request to its answer", Act::Undo, Kill::AfterCommitBegan, nothing..undo),
        ("undos, around the answer", Act::Undo, Kill::AfterCommitBegan, undo * 7 / 8..undo * 9 / 8),
    ];
    let each = kills.div_ceil(kinds.len() as u32);
    println!("| killed | old | new |\n|---|--:|--:|");
    let mut seed = 0;
    for (what, act, kill, span) in kinds {
        let mut seen = [0, 0];
        for number in 0..each {
            let when = span.start + (span.end - span.start) * (2 * number + 1) / (2 * each);
            let mode = MODES[number as usize % MODES.len()];
            seen[usize::from(scene.round(act(mode), seed, &kill(when)).await)] += 1;
            seed += 1;
        }
        println!("| {what} | {} | {} |", seen[0], seen[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_at_a_statement_has_happened_or_not() {
    let mut scene = Scene::open().await;
    let every_mode = std::env::var_os("DIKAS_KILLS").is_some();
    let modes = |number: usize| MODES.iter().cycle().skip(number).take(if every_mode { 3 } else { 1 });
    for (number, point) in BEFORE_COMMIT.iter().enumerate() {
        for mode in modes(number) {
            // Only an update has something to prepare.
            let mode = if point.starts_with("prepare") { &RestoreMode::Update } else { mode };
            let new = scene.round(Act::Restore(*mode), number as u32, &Kill::At(point)).await;
            assert!(!new, "{point} {mode:?}");
        }
    }
    for (number, (point, expected)) in IN_COMMIT.iter().enumerate() {
        for mode in modes(number) {
            for act in [Act::Restore(*mode), Act::Undo(*mode)] {
                let new = scene.round(act, number as u32, &Kill::At(point)).await;
                assert_eq!(new, *expected, "{point} {act:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_that_is_killed_is_taken_up_again() {
    let mut scene = Scene::open().await;
    for point in ["clean-rows:1", "clean-rows:3", "clean-blob:1"] {
        let backup = scene.backup(7).await;
        let api = scene.api().await;
        for mode in [RestoreMode::Full; 5] {
            let session = Staging::stage(&api, &backup, mode).await.unwrap();
            let preview = session.preview().await.unwrap();
            session.commit(&preview).await.unwrap();
        }
        let abandoned = scene.backup(8).await;
        Staging::stage(&api, &abandoned, RestoreMode::Full).await.unwrap();
        let expected = scene.look().await;
        scene.server.kill();
        // The start itself may be what is ended.
        scene.server.environment.insert("DIKAS_TEST_ABORT_AT", point.to_owned());
        scene.server.restart(SERVER);
        scene.server.wait();
        scene.server.environment.remove("DIKAS_TEST_ABORT_AT");
        scene.server.restart(SERVER);
        scene.check_cleaned().await;
        assert_eq!(scene.look().await, expected, "{point}");
    }
}

/// When the process ends.
enum Kill {
    /// So long after the restore began.
    After(Duration),
    /// So long after the commit was sent.
    AfterCommitBegan(Duration),
    /// By itself, at this point.
    At(&'static str),
}

/// How long each takes that is killed.
struct Durations {
    restore: Duration,
    commit: Duration,
    undo: Duration,
}

/// What somebody knows whose server went away.
struct Killed {
    /// The session, where it was a restore and had begun.
    session: Option<Staging>,
    answered: bool,
}

/// A server, and what is known about it.
struct Scene {
    server: Killable,
}

/// What the covered collections hold: documents by collection and id, digests by collection, id and name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    documents: BTreeMap<(String, String), Vec<u8>>,
    files: BTreeMap<(String, String, String), Sha256>,
}

impl Scene {
    async fn open() -> Self {
        let mut server = Killable::start(SERVER).await;
        server.environment.insert("DIKAS_TEST_NO_GRACE", "1".to_owned());
        server.kill();
        server.restart(SERVER);
        Self { server }
    }

    async fn api(&self) -> Api {
        let (username, password) = demo_login();
        Api::login(&self.server.url, &username, &password).await
    }

    /// How long each takes that is killed later.
    async fn durations(&mut self) -> Durations {
        let backup = self.backup(99).await;
        self.restart();
        let api = self.api().await;
        let till = self.till(99).await;
        let begun = Instant::now();
        let session = Staging::stage(&api, &backup, RestoreMode::Full).await.unwrap();
        let preview = session.preview().await.unwrap();
        let commit = Instant::now();
        let point = session.commit(&preview).await.unwrap().restore_point.unwrap();
        let [restore, commit] = [begun.elapsed(), commit.elapsed()];
        let preview = preview_undo(&api, &point).await.unwrap();
        let undo = Instant::now();
        undo_to(&api, &point, &preview).await.unwrap();
        let undo = undo.elapsed();
        till.stop().await;
        Durations { restore, commit, undo }
    }

    /// Starts the server anew, as each that is killed has just been.
    fn restart(&mut self) {
        self.server.kill();
        self.server.restart(SERVER);
    }

    async fn till(&self, seed: u32) -> Till {
        let prefix = format!("till_{seed}_");
        Till::start(&self.server.url, &[demo_login()], BESIDE, prefix, Duration::ZERO).await
    }

    /// A backup that differs from what is live in every way there is.
    async fn backup(&self, seed: u32) -> Backup {
        let now = self.look().await;
        let mut backup = Backup::default();
        for name in COVERED {
            let mut lines = BTreeMap::new();
            for (number, ((_, id), body)) in
                now.documents.iter().filter(|((of, _), _)| of == name).enumerate()
            {
                match number as u32 % 5 {
                    _ if *name == "counters" => drop(lines.insert(id.clone(), body.clone())),
                    0 if seed.is_multiple_of(2) => {}
                    1 => drop(lines.insert(id.clone(), [b"{ ", &body[1..]].concat())),
                    _ => drop(lines.insert(id.clone(), body.clone())),
                }
            }
            for number in 0..20 {
                let id = format!("new_{seed}_{number}");
                lines.insert(id.clone(), format!("{{\"_id\":\"{id}\",\"value\":{number}}}").into_bytes());
            }
            let ids: BTreeSet<String> = lines.keys().cloned().collect();
            backup.lines.insert(
                (*name).to_owned(),
                lines.into_values().fold(Vec::new(), |mut all, line| {
                    all.extend_from_slice(&line);
                    all.push(b'\n');
                    all
                }),
            );
            for (number, id) in ids.iter().enumerate().filter(|(number, _)| number % 7 == 0) {
                let bytes = format!("{seed} {number} {}", "x".repeat(number * 100)).into_bytes();
                let sha256 = Sha256::of(&bytes);
                backup.files.0.push(AttachmentRecord {
                    collection: name.parse().unwrap(),
                    id: id.clone(),
                    name: "file.txt".to_owned(),
                    media_type: "text/plain".to_owned(),
                    size: bytes.len() as u64,
                    sha256,
                });
                backup.files.1.insert(sha256, bytes);
            }
        }
        backup
    }

    /// Does it, ends the process on the way, starts it again, and compares. Whether the new state is what is there.
    async fn round(&mut self, act: Act, seed: u32, kill: &Kill) -> bool {
        self.server.kill();
        // Large merges in turn with small ones; that is, for these few documents.
        let preparing = matches!(kill, Kill::At(point) if point.starts_with("prepare"));
        let rows = if seed.is_multiple_of(2) || preparing { "5" } else { "2000" };
        self.server.environment.insert("DIKAS_TEST_MERGED_ROWS", rows.to_owned());
        self.server.restart(SERVER);
        let before = self.look().await;
        let backup = self.backup(seed).await;
        let (Act::Restore(mode) | Act::Undo(mode)) = act;
        let restored = restored(&before, &backup, mode);
        assert_ne!(before, restored);
        let (old, expected, point) = match act {
            Act::Restore(_) => (before, restored, None),
            Act::Undo(_) => {
                let api = self.api().await;
                let session = Staging::stage(&api, &backup, mode).await.unwrap();
                let preview = session.preview().await.unwrap();
                let point = session.commit(&preview).await.unwrap().restore_point.unwrap();
                let undone = undone(&restored, &before);
                (restored, undone, Some(point))
            }
        };
        if let Kill::At(point) = kill {
            self.server.environment.insert("DIKAS_TEST_ABORT_AT", (*point).to_owned());
        }
        self.restart();
        let till = self.till(seed).await;
        let start = Instant::now();
        let Killed { session, answered } = match &point {
            None => self.kill_restore(backup, mode, kill).await,
            Some(point) => self.kill_undo(point, kill).await,
        };
        let acknowledged = till.stop().await.documents;
        self.server.environment.remove("DIKAS_TEST_ABORT_AT");
        self.server.restart(SERVER);
        self.check_cleaned().await;

        let now = self.look().await;
        let new = now == expected;
        assert!(new || now == old, "{act:?}: neither old nor new, {:?} after the begin", start.elapsed());
        assert!(new || !answered, "{act:?}: what was answered has happened");
        if let Some(session) = session {
            let told = session.state().await;
            let expected = if new { RestoreState::Committed } else { RestoreState::Interrupted };
            assert_eq!((told.state, told.outcome.is_some()), (expected, new));
        }
        let api = self.api().await;
        if let Some(point) = point {
            let used = preview_undo(&api, &point).await.is_none();
            assert_eq!(used, new, "{act:?}: a point goes with its undo");
        }
        for (id, body) in acknowledged {
            assert_eq!(api.document(BESIDE, &id).await, body, "{id}");
        }
        new
    }

    async fn kill_restore(&mut self, backup: Backup, mode: RestoreMode, kill: &Kill) -> Killed {
        let api = self.api().await;
        let (ready, begun) = tokio::sync::oneshot::channel();
        let restore = tokio::spawn(async move {
            let session = Staging::begin(&api, &backup, mode).await?;
            let told = session.clone();
            let (commits, committing) = tokio::sync::oneshot::channel();
            let _ = ready.send((told, committing));
            session.put(&backup).await?;
            let preview = session.preview().await?;
            let _ = commits.send(());
            session.commit(&preview).await
        });
        let session = match kill {
            Kill::After(delay) => {
                tokio::time::sleep(*delay).await;
                self.server.kill();
                begun.await.ok().map(|(session, _)| session)
            }
            Kill::AfterCommitBegan(delay) => {
                let (session, committing) = begun.await.unwrap();
                committing.await.unwrap();
                tokio::time::sleep(*delay).await;
                self.server.kill();
                Some(session)
            }
            Kill::At(_) => {
                let (session, _) = begun.await.unwrap();
                self.server.wait();
                Some(session)
            }
        };
        Killed { session, answered: restore.await.unwrap().is_some() }
    }

    async fn kill_undo(&mut self, point: &str, kill: &Kill) -> Killed {
        let api = self.api().await;
        let preview = preview_undo(&api, point).await.unwrap();
        let id = point.to_owned();
        let undo = tokio::spawn(async move { undo_to(&api, &id, &preview).await });
        match kill {
            Kill::After(delay) | Kill::AfterCommitBegan(delay) => {
                tokio::time::sleep(*delay).await;
                self.server.kill();
            }
            Kill::At(_) => {
                self.server.wait();
            }
        }
        Killed { session: None, answered: undo.await.unwrap().is_some() }
    }

    /// What is live: every document, and every file, whose bytes are what its record says.
    async fn look(&self) -> State {
        let api = self.api().await;
        let snapshot = api.open_snapshot().await;
        let Everything { lines, attachments, .. } = api.read(&snapshot).await;
        let mut state = State { documents: BTreeMap::new(), files: BTreeMap::new() };
        for name in COVERED {
            for line in document::lines(&lines[*name]) {
                let id = document::id_of(line).unwrap();
                state.documents.insert(((*name).to_owned(), id), line.to_vec());
            }
        }
        for record in attachments.into_iter().filter(|record| COVERED.contains(&record.collection.as_str())) {
            check_blob(&api, &snapshot, &record).await;
            let key = (record.collection.to_string(), record.id, record.name);
            state.files.insert(key, record.sha256);
        }
        api.close_snapshot(&snapshot).await;
        state
    }

    /// Waits until the clean-up of the start is through: nothing is left that nothing names, and the file is sound.
    async fn check_cleaned(&self) {
        let data = self.server.data();
        let path = data.join("dikas.sqlite");
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        let count = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
        let named = "(SELECT live FROM collections UNION SELECT generation FROM restore_point_parts)";
        until("the clean-up", async || {
            let rows = count(&format!("SELECT count(*) FROM generations WHERE id NOT IN {named}"));
            (rows == 0 && left_blobs(&connection, data).is_empty()).then_some(())
        })
        .await;
        for table in ["documents", "attachments", "added"] {
            let left = count(&format!("SELECT count(*) FROM {table} WHERE generation NOT IN {named}"));
            assert_eq!(left, 0, "{table}");
        }
        assert_eq!(count("SELECT count(*) FROM restores WHERE state = '\"open\"'"), 0);
        assert!(count("SELECT count(*) FROM restore_points") <= 3);
        let wrong = "SELECT count(*) FROM generations AS g WHERE documents !=
            (SELECT count(*) FROM documents WHERE generation = g.id) OR attachments !=
            (SELECT count(*) FROM attachments WHERE generation = g.id)";
        assert_eq!(count(wrong), 0, "counts that are kept along");
        let sound: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

/// The blobs on the disk that no row names, and uploads that were broken off.
fn left_blobs(connection: &Connection, data: &Path) -> Vec<String> {
    let mut named = connection.prepare_cached("SELECT 1 FROM attachments WHERE sha256 = ?1").unwrap();
    let mut left = Vec::new();
    for folder in std::fs::read_dir(data.join("blobs")).unwrap().flatten() {
        let head = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let digits = format!("{head}{}", file.file_name().to_str().unwrap());
            if !named.exists([&digits]).unwrap() {
                left.push(digits);
            }
        }
    }
    left
}

async fn check_blob(api: &Api, snapshot: &Snapshot, record: &AttachmentRecord) {
    let path = format!("/backup/snapshots/{}/blobs/{}", snapshot.id, record.sha256);
    let (status, bytes) = try_send(api.request(Method::GET, &path)).await.unwrap();
    assert!(status.is_success(), "{record:?}: {status}");
    assert_eq!((bytes.len() as u64, Sha256::of(&bytes)), (record.size, record.sha256));
}

/// What a restore has to make of a state: told by rules of its own, not by the server's.
fn restored(old: &State, backup: &Backup, mode: RestoreMode) -> State {
    let mut new = old.clone();
    let signed = |name: &str| mode != RestoreMode::Full && name == "day-closes";
    let keeps = |name: &str| mode == RestoreMode::Update || signed(name) || name == "counters";
    new.documents.retain(|(name, _), _| keeps(name));
    new.files.retain(|(name, ..), _| keeps(name));
    for (name, lines) in &backup.lines {
        for line in document::lines(lines) {
            let key = (name.clone(), document::id_of(line).unwrap());
            if !(signed(name) && new.documents.contains_key(&key)) {
                new.documents.insert(key, line.to_vec());
            }
        }
    }
    for record in &backup.files.0 {
        let name = record.collection.to_string();
        let key = (name.clone(), record.id.clone(), record.name.clone());
        if !((signed(&name) || name == "counters") && new.files.contains_key(&key)) {
            new.files.insert(key, record.sha256);
        }
    }
    new
}

/// What an undo has to make of a state: the one from before, but counters never go back.
fn undone(now: &State, before: &State) -> State {
    let mut state = before.clone();
    state.documents.retain(|(name, _), _| name != "counters");
    state.files.retain(|(name, ..), _| name != "counters");
    let counters = now.documents.iter().filter(|((name, _), _)| name == "counters");
    state.documents.extend(counters.map(|(key, body)| (key.clone(), body.clone())));
    let files = now.files.iter().filter(|((name, ..), _)| name == "counters");
    state.files.extend(files.map(|(key, digest)| (key.clone(), *digest)));
    state
}

/// What an undo would change; none where the point is gone or the server.
async fn preview_undo(api: &Api, point: &str) -> Option<RestorePreview> {
    let path = format!("/backup/restore-points/{point}/preview");
    let (status, body) = try_send(api.request(Method::GET, &path)).await?;
    status.is_success().then(|| data_of(&body))
}

/// Makes a restore point live; none where the server went away.
async fn undo_to(api: &Api, point: &str, preview: &RestorePreview) -> Option<RestoreOutcome> {
    let consent = CommitRequest {
        seq: preview.seq,
        acknowledge_signed: Some(preview.signed_loss),
        acknowledge_files_left_out: None,
    };
    let path = format!("/backup/restore-points/{point}/activate");
    let body = serde_json::to_string(&consent).unwrap();
    let request = api.request(Method::POST, &path).header("content-type", "application/json");
    let (status, body) = try_send(request.body(body)).await?;
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Some(data_of(&body))
}

fn data_of<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice::<Envelope<T>>(body).unwrap().data.unwrap()
}
