//! A till that goes on selling, whatever the server is doing, and remembers what it was told is saved.

use crate::api::{Api, try_send};
use reqwest::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long it waits before it tries again what was refused for a moment.
const AGAIN: Duration = Duration::from_millis(50);

/// A till at work; it stops where the server goes away.
pub struct Till {
    end: Arc<AtomicBool>,
    task: JoinHandle<Sold>,
}

/// What a till has done.
#[derive(Debug, Default)]
pub struct Sold {
    /// The documents that were acknowledged, by id.
    pub documents: BTreeMap<String, Vec<u8>>,
    /// The longest time that one took to be acknowledged while nobody asked for a pause, in milliseconds.
    pub longest_ms: f64,
    /// How many of them met a pause.
    pub paused: u32,
    /// How often it had to log in again.
    pub logins: u32,
}

impl Till {
    /// Writes a document into this collection again and again, with so much time in between. Their ids begin with `prefix`.
    /// Where its login is void, it tries all of these.
    pub async fn start(
        url: &str,
        logins: &[(String, String)],
        collection: &'static str,
        prefix: String,
        every: Duration,
    ) -> Self {
        let end = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&end);
        let mut api = log_in(url, logins).await;
        let logins = logins.to_vec();
        let task = tokio::spawn(async move {
            let mut sold = Sold::default();
            for number in 0.. {
                let id = format!("{prefix}{number}");
                let body = format!("{{\"_id\":\"{id}\",\"total\":{number}.50}}").into_bytes();
                if !sold.sell(&mut api, &logins, collection, &id, &body).await
                    || ended.load(Ordering::Relaxed)
                {
                    break;
                }
                tokio::time::sleep(every).await;
            }
            sold
        });
        Self { end, task }
    }

    /// Lets it finish what it is doing.
    pub async fn stop(self) -> Sold {
        self.end.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

impl Sold {
    /// Writes one document, however often that takes; whether the server is still there.
    async fn sell(
        &mut self,
        api: &mut Api,
        logins: &[(String, String)],
        collection: &str,
        id: &str,
        body: &[u8],
    ) -> bool {
        let begun = Instant::now();
        let mut paused = false;
        loop {
            let path = format!("/documents/{collection}?id={id}");
            let request = api.request(Method::PUT, &path).header("content-type", "application/json");
            let Some((status, answer)) = try_send(request.body(body.to_vec())).await else { return false };
            if status.is_success() {
                break;
            }
            if status == StatusCode::UNAUTHORIZED {
                *api = log_in(&api.url, logins).await;
                self.logins += 1;
                continue;
            }
            let text = String::from_utf8_lossy(&answer);
            let pause = status == StatusCode::SERVICE_UNAVAILABLE && text.contains("\"paused\"");
            assert!(pause, "{status}: {text}");
            paused = true;
            tokio::time::sleep(AGAIN).await;
        }
        self.documents.insert(id.to_owned(), body.to_vec());
        self.paused += u32::from(paused);
        if !paused {
            self.longest_ms = self.longest_ms.max(begun.elapsed().as_secs_f64() * 1000.0);
        }
        true
    }
}

async fn log_in(url: &str, logins: &[(String, String)]) -> Api {
    // A login that failed makes the next one of its name wait, half a minute at most.
    for _ in 0..40 {
        for (username, password) in logins {
            if let Some(api) = Api::try_login(url, username, password).await {
                return api;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("nobody can log in any more");
}
