//! Backups at certain times: the real server, real SQLite and real archives, by a clock that the test sets.

mod command;
mod hand;
mod keeping;
mod rot;
mod trouble;
mod weeks;

use crate::archives::nightly;
use crate::lifecycle::{http, http_at, login};
use dikas_archive::api::Envelope;
use dikas_archive::api::archives::{Attempt, KeptFor, ScheduleState, StoredArchive, Trigger};
use dikas_archive::api::restore::{AuditAction, AuditEntry, AuditPage};
use dikas_server::schedule::config::Backup;
use dikas_server::schedule::when::When;
use dikas_server::{Config, Server, Setup};
use hand::Hand;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A shop whose server makes backups by the hand's clock.
struct Shop {
    hand: Arc<Hand>,
    config: Config,
    server: Option<Server>,
    address: SocketAddr,
    token: String,
    home: TempDir,
}

impl Shop {
    /// One that is opened for the first time at this moment, with a schedule in German time.
    async fn open(when: &str, moment: &str, change: impl FnOnce(&mut Config, &mut Backup)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let backups = home.path().join("backups");
        fs::create_dir(&backups).unwrap();
        let hand = Arc::new(Hand::at(moment));
        let mut backup = nightly(&backups);
        backup.when = When::parse(when, TimeZone::get("Europe/Berlin").unwrap()).unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".into(),
            clock: Arc::clone(&hand) as _,
            ..Config::new(home.path().join("data"))
        };
        change(&mut config, &mut backup);
        config.backup = Some(backup);
        let server = Server::start(config.clone()).await.unwrap();
        let Setup::Created { password, .. } = server.setup().clone() else { panic!() };
        let address = server.address();
        let token = login(address, "admin", &password);
        let shop = Self { hand, config, server: Some(server), address, token, home };
        shop.sell(1);
        shop
    }

    async fn close(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    /// The same shop once more, where it is this moment now.
    async fn reopen(&mut self, moment: &str) {
        self.hand.jump_to(moment);
        let server = Server::start(self.config.clone()).await.unwrap();
        self.address = server.address();
        self.server = Some(server);
    }

    fn sell(&self, number: u32) {
        let path = format!("/documents/receipts?id=rec_{number}");
        let (status, _) = self.call("PUT", &path, &format!(r#"{{"_id":"rec_{number}"}}"#));
        assert_eq!(status, 201);
    }

    /// Enough for a backup to take a second.
    fn sell_many(&self) {
        let mut dice = 1u64;
        for batch in 0..6 {
            let mut lines = String::new();
            for number in 0..20_000 {
                dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let filling = dice ^ (dice >> 29);
                lines +=
                    &format!("{{\"_id\":\"art_{batch}_{number}\",\"filling\":\"{dice:x}{filling:x}\"}}\n");
            }
            assert_eq!(self.call("POST", "/documents/articles", &lines).0, 200);
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        http(self.address, method, path, Some(&self.token), body)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.call("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<Envelope<T>>(&body).unwrap().data.unwrap()
    }

    fn state(&self) -> ScheduleState {
        self.get("/backup/schedule")
    }

    fn last(&self) -> Attempt {
        self.state().last_attempt.unwrap()
    }

    fn archives(&self) -> Vec<StoredArchive> {
        self.get("/backup/archives")
    }

    /// The archives, the oldest first, and why each stays.
    fn kept(&self) -> Vec<(String, Vec<KeptFor>)> {
        self.archives().into_iter().rev().map(|archive| (archive.name, archive.kept_for)).collect()
    }

    /// Who backed up, and how that ended; the oldest first.
    fn audit(&self) -> Vec<AuditEntry> {
        let page: AuditPage = self.get("/audit");
        page.entries.into_iter().rev().filter(|entry| entry.action == AuditAction::Backup).collect()
    }

    /// What whoever watches over the server is told; it has to be well.
    fn health(&self) -> String {
        let (status, body) = http_at(self.address, "GET", "/healthz", None, "");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The same without the outcome of the check of the database.
    fn health_of_backup(&self) -> Value {
        let mut health: Value = serde_json::from_str(&self.health()).unwrap();
        health.as_object_mut().unwrap().remove("database");
        health
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("backups")
    }

    /// Asks for a run, and does not wait for it.
    fn run(&self) -> ScheduleState {
        let (status, body) = self.call("POST", "/backup/schedule/run", "");
        assert_eq!(status, 202, "{body}");
        serde_json::from_str::<Envelope<ScheduleState>>(&body).unwrap().data.unwrap()
    }

    /// Waits for the end of what runs, and of the hook.
    async fn ended(&self) -> Attempt {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let state = self.state();
            if let Some(attempt) = state.last_attempt.filter(|_| state.running.is_none()) {
                return attempt;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not end");
    }

    /// Each archive is whole, and has its record; nothing else lies there.
    fn check(&self) {
        let mut names = names(&self.folder());
        names.sort();
        let archives: Vec<&String> = names.iter().filter(|name| name.ends_with(".zip")).collect();
        for name in &archives {
            let verdict = verify(&self.folder().join(name));
            assert!(verdict.is_sound(), "{name}: {:?}", verdict.problems);
            assert!(names.contains(&format!("{name}.json")), "{names:?}");
        }
        assert_eq!(names.len(), 2 * archives.len(), "{names:?}");
    }
}

fn verify(path: &Path) -> dikas_archive::reader::Verdict {
    let file = fs::File::open(path).unwrap();
    dikas_archive::reader::BackupReader::open(file).unwrap().verify(&mut |_| Ok(())).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn due(moment: &str) -> Trigger {
    Trigger::Schedule { due: moment.to_owned() }
}

fn catch_up(moment: &str) -> Trigger {
    Trigger::CatchUp { due: moment.to_owned() }
}
