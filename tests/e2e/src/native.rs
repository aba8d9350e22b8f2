//! The backup job as a native program runs it: the same code as in the browser, over reqwest.

use dikas_archive::api::SnapshotRequest;
use dikas_archive::error::Result;
use dikas_archive::job::InlineEncoder;
use dikas_archive::job::backup::{self, Options, Outcome};
use dikas_archive::job::http::HttpSource;
use dikas_backup::http::Http;
use std::fs::File;
use std::path::Path;

/// Waits are a hundredth of what they should be, so that no test takes minutes.
const HURRY: u64 = 100;

/// Backs everything up into a new file at `file`.
pub async fn backup(url: &str, login: &(String, String), file: &Path) -> Result<Outcome> {
    backup_with(url, login, file, &Options::default()).await
}

/// The same, with pages of another size.
pub async fn backup_with(
    url: &str,
    login: &(String, String),
    file: &Path,
    options: &Options,
) -> Result<Outcome> {
    let transport = Http::new(url)?.hurried(HURRY).log_in(&login.0, &login.1).await?;
    let mut out = File::options().read(true).write(true).create_new(true).open(file)?;
    let everything = SnapshotRequest::default();
    let open = async || HttpSource::open(&transport, &everything).await;
    backup::backup(open, &InlineEncoder, &mut out, options, &()).await
}
