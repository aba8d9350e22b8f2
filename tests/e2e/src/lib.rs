//! What the end-to-end tests share: a server, a proxy that makes trouble, a client of the API, a browser, the
//! command-line tools that stand as independent witnesses, the sample backup, and what `cargo xtask bench` measures.
//!
//! Everything here panics when it fails: it belongs to tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is the failure of a test"
)]

pub mod api;
pub mod awkward;
pub mod bench;
pub mod browser;
pub mod checks;
pub mod devtools;
pub mod fill;
pub mod inspecting;
pub mod looks;
pub mod machine;
pub mod native;
mod paced;
pub mod page;
pub mod proxy;
pub mod restoring;
pub mod sample;
pub mod server;
pub mod staging;
pub mod till;
pub mod tools;

use std::io::Write as _;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow and busy machine, a job that gives a dead server up (two minutes at most)
/// included.
pub const LONG: Duration = Duration::from_secs(150);

/// Whether a missing browser or sample is a failure: in CI nothing is skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Says in one line that a test was skipped, or fails in CI.
pub fn skip(why: &str) {
    assert!(!in_ci(), "in CI nothing is skipped: {why}");
    // Written past the test harness, which swallows what a passing test prints.
    let _ = writeln!(std::io::stdout(), "skipped: {why}");
}

/// Asks again and again until there is an answer; panics after [`LONG`], naming what it waited for.
pub async fn until<T, F>(what: &str, ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    until_within(LONG, what, ask).await
}

/// The same with another patience.
pub async fn until_within<T, F>(patience: Duration, what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
