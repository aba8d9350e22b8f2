//! `killable-server DIR ADDR`: the server as a process that a test can kill. It says where it listens.
//! `DIKAS_TEST_ABORT_AT=point:count` ends it when a restore or the clean-up passes that point for the count-th time;
//! `DIKAS_TEST_NO_GRACE` has the clean-up take blobs at once, and restore points beyond three;
//! `DIKAS_TEST_MERGED_ROWS` says how many documents a commit merges by itself; `DIKAS_TEST_SPARE_BYTES`, how much
//! uploads, backups and restores leave free on the disk; `DIKAS_TEST_GRACE`, how many milliseconds a backup gets once the
//! server was asked to stop; `DIKAS_TEST_CONFIG`, which configuration file it takes.

use dikas_server::schedule::config::ConfigFile;
use dikas_server::store::CleanOptions;
use dikas_server::{Config, Server};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Whether it has said where it listens.
static SAID: AtomicBool = AtomicBool::new(false);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(listen)) = (arguments.next(), arguments.next()) else {
        return Err("usage: killable-server DIR ADDR".into());
    };
    let mut config = Config { listen, ..Config::new(data) };
    config.restores.at = pass;
    if std::env::var_os("DIKAS_TEST_NO_GRACE").is_some() {
        config.restores.clean = CleanOptions::at_once();
        config.restores.points_stay = Duration::ZERO;
    }
    if let Ok(rows) = std::env::var("DIKAS_TEST_MERGED_ROWS") {
        config.restores.merged_rows = rows.parse()?;
    }
    if let Ok(bytes) = std::env::var("DIKAS_TEST_SPARE_BYTES") {
        config.restores.spare_bytes = bytes.parse()?;
        config.spare_bytes = config.restores.spare_bytes;
        config.jobs.spare_bytes = config.restores.spare_bytes;
        config.schedule.spare_bytes = config.restores.spare_bytes;
    }
    if let Ok(milliseconds) = std::env::var("DIKAS_TEST_GRACE") {
        config.grace = Duration::from_millis(milliseconds.parse()?);
    }
    if let Ok(path) = std::env::var("DIKAS_TEST_CONFIG") {
        config.backup = ConfigFile::read(path.as_ref())?.backup;
    }
    let server = Server::start(config).await?;
    println!("http://{}", server.address());
    SAID.store(true, Ordering::Relaxed);
    signal(SignalKind::terminate())?.recv().await;
    server.stop().await;
    Ok(())
}

/// Ends the process without any more ado at the point that a test has named.
fn pass(point: &'static str) {
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("DIKAS_TEST_ABORT_AT") else { return };
    let (name, count) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if name == point && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == count.parse().unwrap_or(1) {
        // The clean-up of the start is faster than the start, now and then, and whoever waits for the address needs it.
        while !SAID.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::process::abort();
    }
}
