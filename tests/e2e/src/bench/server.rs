//! Backups that the server makes by itself, measured: how long they take, and what everybody else notices of them.

use super::{PART_BYTES, Run, cut, middle};
use crate::api::Api;
use dikas_archive::document;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So many clients read, and one writes.
pub const READERS: u64 = 20;

/// How long each reader and the writer rest after an answer.
pub const READ_EVERY: Duration = Duration::from_millis(50);
/// See [`READ_EVERY`].
pub const WRITE_EVERY: Duration = Duration::from_millis(100);

/// Where the writer writes.
const BESIDE: &str = "notes-beside-backups";

/// Has the server make a backup, and fetches it; the size is that of the archive.
pub async fn create(api: &Api) -> Run {
    let start = Instant::now();
    let mut answer = api.create(json!({})).await;
    let ms = || start.elapsed().as_secs_f64() * 1000.0;
    let (built, mut size) = (ms(), 0);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        size += chunk.len();
    }
    Run { ms: ms(), size: size as f64, phases: BTreeMap::from([("built".to_owned(), built)]) }
}

/// All lines of all collections, in parts as the engine cuts them.
pub async fn lines(api: &Api) -> Vec<Vec<u8>> {
    let snapshot = api.open_snapshot().await;
    let mut parts = Vec::new();
    for collection in &snapshot.collections {
        let lines = api.pages(&snapshot, collection.name.as_str(), PART_BYTES, async || {}).await;
        parts.extend(cut(&lines));
    }
    api.close_snapshot(&snapshot).await;
    parts
}

/// How long answers took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of them took no longer.
    pub middle: f64,
    /// Nineteen of twenty took no longer.
    pub most: f64,
    /// The longest.
    pub longest: f64,
}

impl Latency {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let most = all[(all.len() * 19 / 20).min(all.len() - 1)];
        Self { longest: all[all.len() - 1], middle: middle(all), most }
    }
}

/// What everybody noticed.
#[derive(Debug, Clone, Copy)]
pub struct Noticed {
    /// Reading one document.
    pub reads: Latency,
    /// Writing one.
    pub writes: Latency,
    /// How many backups were made meanwhile.
    pub backups: u32,
}

/// Has everybody read and write for so long, without backups or beside one after the other.
pub async fn load(api: &Api, receipts: &[Vec<u8>], time: Duration, with_backups: bool) -> Noticed {
    let lines = receipts.iter().flat_map(|part| document::lines(part));
    let ids: Arc<Vec<String>> = Arc::new(lines.step_by(37).map(|it| document::id_of(it).unwrap()).collect());
    let stop = Arc::<AtomicBool>::default();
    let mut readers = Vec::new();
    for reader in 0..READERS {
        let (api, ids, stop) = (api.clone(), Arc::clone(&ids), Arc::clone(&stop));
        readers.push(tokio::spawn(async move {
            let mut took = Vec::new();
            for turn in 0_u64.. {
                let at = (reader * 7919 + turn * 104_729) % ids.len() as u64;
                let begun = Instant::now();
                api.document("receipts", &ids[at as usize]).await;
                took.push(begun.elapsed().as_secs_f64() * 1000.0);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                tokio::time::sleep(READ_EVERY).await;
            }
            took
        }));
    }
    let writer = tokio::spawn({
        let (api, stop) = (api.clone(), Arc::clone(&stop));
        async move {
            let mut took = Vec::new();
            for turn in 0_u64.. {
                let id = format!("note_{with_backups}_{turn}");
                let begun = Instant::now();
                let body = format!("{{\"_id\":\"{id}\",\"total\":{turn}.50}}");
                let status = api.put_document(BESIDE, &id, body).await;
                took.push(begun.elapsed().as_secs_f64() * 1000.0);
                assert!(matches!(status, StatusCode::OK | StatusCode::CREATED), "{status}");
                // The next table is of the same data.
                api.delete_document(BESIDE, &id).await;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                tokio::time::sleep(WRITE_EVERY).await;
            }
            took
        }
    });
    let begun = Instant::now();
    let mut backups = 0;
    while begun.elapsed() < time {
        if with_backups {
            create(api).await;
            backups += 1;
        } else {
            tokio::time::sleep(time - begun.elapsed().min(time)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut reads = Vec::new();
    for reader in readers {
        reads.extend(reader.await.unwrap());
    }
    Noticed { reads: Latency::of(reads), writes: Latency::of(writer.await.unwrap()), backups }
}

/// Removes what the server keeps of the backups that it made for this login.
pub async fn forget(api: &Api) {
    let (_, body) = crate::api::try_send(api.request(Method::GET, "/backup/jobs")).await.unwrap();
    let jobs: serde_json::Value = serde_json::from_slice(&body).unwrap();
    for job in jobs["data"].as_array().unwrap() {
        let path = format!("/backup/jobs/{}", job["id"].as_str().unwrap());
        crate::api::try_send(api.request(Method::DELETE, &path)).await.unwrap();
    }
}
