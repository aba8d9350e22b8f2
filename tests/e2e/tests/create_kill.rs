//! Killed at any moment of `POST /backup/create`, the server leaves no file that passes for whole and is not: not with whoever
//! fetched it, and not in its data folder. The next backup works.
//!
//! `DIKAS_KILLS=50` kills so often; a few times is usual. The report says what those saw whose server went.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::api::BackupJob;
use dikas_archive::digest::Sha256;
use dikas_archive::reader::BackupReader;
use dikas_e2e::api::{Api, repr_digest};
use dikas_e2e::fill;
use dikas_e2e::server::{Killable, demo_login};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SERVER: &str = env!("CARGO_BIN_EXE_killable-server");

/// More than the sockets in between hold, so that it is not sent before somebody reads it.
const FILE_BYTES: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_leaves_nothing_that_passes_for_whole() {
    let kills: u32 = std::env::var("DIKAS_KILLS").ok().map_or(10, |kills| kills.parse().unwrap());
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut server = Killable::start(SERVER).await;
    let api = client(&server).await;
    fill::receipts(&api, 0..8_000).await;
    let (owner, file) = ("exp_scan", fill::noise(7, FILE_BYTES));
    api.put_document("expenses", owner, format!("{{\"_id\":\"{owner}\"}}")).await;
    api.put_attachment("expenses", owner, "scan.pdf", "application/pdf", file).await;

    let begun = Instant::now();
    let mut whole = Fetch::default();
    whole.fetch(&api, Duration::ZERO).await;
    assert_eq!(whole.seen(), Seen::Whole);
    let building = whole.answered.unwrap() - begun;
    println!("seed {seed}; building takes {building:?}, and sending is made to take as long");

    let mut seen: BTreeMap<(&str, Seen), u32> = BTreeMap::new();
    let mut kept = 0;
    for number in 0..kills {
        let span = building * 21 / 10 / kills;
        let when = span * number + span.mul_f64(fraction(seed, number));
        let api = client(&server).await;
        let fetching = tokio::spawn(async move {
            let mut fetch = Fetch::default();
            fetch.fetch(&api, building).await;
            fetch
        });
        tokio::time::sleep(when).await;
        server.kill();
        check_folder(server.data(), false);
        let fetch = fetching.await.unwrap();
        let phase = if fetch.answered.is_some() { "while it was sent" } else { "while it was built" };
        *seen.entry((phase, fetch.seen())).or_default() += 1;

        server.restart(SERVER);
        kept += check_folder(server.data(), true);
        let mut next = Fetch::default();
        next.fetch(&client(&server).await, Duration::ZERO).await;
        assert_eq!(next.seen(), Seen::Whole, "the next backup works");
    }
    println!("| killed | seen | times |\n|---|---|--:|");
    for ((phase, seen), times) in &seen {
        println!("| {phase} | {seen:?} | {times} |");
    }
    println!("{kept} archives were there after a start, and each of them was whole");
    assert_eq!(seen.values().sum::<u32>(), kills);
}

/// What somebody sees who fetches a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// The server went before it answered.
    NoAnswer,
    /// Fewer bytes came than were announced, and the client says so.
    Cut,
    /// All of it, with the digest that was announced.
    Whole,
}

/// A backup on its way to somebody.
#[derive(Default)]
struct Fetch {
    answered: Option<Instant>,
    length: usize,
    digest: String,
    bytes: Vec<u8>,
    /// Whether the client says that all is well.
    ended: bool,
}

impl Fetch {
    /// Fetches one, and takes so long for it at least.
    async fn fetch(&mut self, api: &Api, time: Duration) {
        let request = api.request(Method::POST, "/backup/create").header("content-type", "application/json");
        let request = request.body(json!({}).to_string());
        let Ok(mut answer) = request.send().await else { return };
        assert_eq!(answer.status(), StatusCode::OK);
        let begun = Instant::now();
        self.answered = Some(begun);
        self.length = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
        self.digest = answer.headers()["repr-digest"].to_str().unwrap().to_owned();
        while let Ok(chunk) = answer.chunk().await {
            let Some(chunk) = chunk else {
                self.ended = true;
                return;
            };
            self.bytes.extend_from_slice(&chunk);
            let due = begun + time.mul_f64(self.bytes.len() as f64 / self.length as f64);
            tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        }
    }

    /// What came of it: nothing that seems whole and is not.
    fn seen(&self) -> Seen {
        match self.answered {
            None => Seen::NoAnswer,
            Some(_) if self.ended => {
                assert_eq!(self.bytes.len(), self.length);
                assert_eq!(repr_digest(&self.bytes), self.digest);
                Seen::Whole
            }
            Some(_) => {
                assert!(self.bytes.len() < self.length, "an end that nobody noticed");
                Seen::Cut
            }
        }
    }
}

async fn client(server: &Killable) -> Api {
    let (username, password) = demo_login();
    Api::login(&server.url, &username, &password).await
}

/// How many archives count in this data folder, each of which has to be whole; `cleaned`, there must be nothing else.
fn check_folder(data: &Path, cleaned: bool) -> usize {
    #[derive(Deserialize)]
    struct Record {
        job: BackupJob,
    }
    let jobs = data.join("jobs");
    let mut names: Vec<String> = list(&jobs);
    let mut archives = 0;
    for name in names.clone().iter().filter(|name| name.ends_with(".json")) {
        let record: Record = serde_json::from_slice(&fs::read(jobs.join(name)).unwrap()).unwrap();
        let zip = name.replace(".json", ".zip");
        let archive = record.job.archive.unwrap();
        let bytes = fs::read(jobs.join(&zip)).unwrap();
        assert_eq!((bytes.len() as u64, Sha256::of(&bytes)), (archive.size, archive.sha256));
        let mut reader = BackupReader::open(File::open(jobs.join(&zip)).unwrap()).unwrap();
        let verdict = reader.verify(&mut |_| Ok(())).unwrap();
        assert!(verdict.is_sound() && verdict.has_manifest, "{verdict:?}");
        names.retain(|other| other != name && *other != zip);
        archives += 1;
    }
    if cleaned {
        assert_eq!(names, [""; 0], "left over");
        let others = list(data).into_iter().filter(|name| !name.starts_with("dikas.sqlite"));
        assert_eq!(others.collect::<Vec<_>>(), ["blobs", "installation", "jobs", "lock", "secret"]);
        assert_eq!(list(&data.join("blobs/uploads")), [""; 0]);
    }
    archives
}

fn list(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// A number from 0 to 1, always the same for the same seed.
fn fraction(seed: u128, number: u32) -> f64 {
    let digest = Sha256::of(format!("{seed} {number}").as_bytes());
    f64::from(u16::from_be_bytes([digest.as_bytes()[0], digest.as_bytes()[1]])) / 65_536.0
}
