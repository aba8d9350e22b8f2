//! Blobs that nothing names, set aside before they are removed: `blobs/quarantine/<seconds>/<digest>`. The folder is named
//! after the running time of all servers by which everything in it had been set aside, because a clock may be wrong. A blob
//! that something names after all comes back.

use super::Blobs;
use crate::durable::sync_folder;
use crate::failure::Result;
use crate::private;
use dikas_archive::digest::Sha256;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const NAME: &str = "quarantine";

/// How many folders the quarantine has at most, about.
const BATCHES: u64 = 30;

impl Blobs {
    /// The running time of the last batch that was set aside, in seconds; 0 where there is none.
    pub fn last_set_aside(&self) -> u64 {
        self.batches().into_iter().map(|(number, _)| number).max().unwrap_or_default()
    }

    /// Sets these blobs aside, those that were written anew meanwhile left out, as of this running time; they stay for as
    /// long as `keep`, which may be no time at all. `removable` is asked once more about each.
    pub fn set_aside(
        &self,
        digests: &[Sha256],
        running: u64,
        [grace, keep]: [Duration; 2],
        removable: impl Fn(&Sha256) -> Result<bool>,
    ) -> Result<()> {
        let number = running.next_multiple_of((keep.as_secs() / BATCHES).max(1));
        let batch = self.quarantine().join(number.to_string());
        for digest in digests {
            if !removable(digest)? {
                continue;
            }
            let _names = self.names();
            if !self.is_older(digest, grace) {
                continue;
            }
            if keep.is_zero() {
                fs::remove_file(self.path(digest))?;
            } else {
                private::create_folder(&batch)?;
                fs::rename(self.path(digest), batch.join(digest.to_string()))?;
            }
        }
        if batch.exists() {
            sync_folder(&batch)?;
            sync_folder(&self.quarantine())?;
        }
        Ok(())
    }

    /// Brings a blob back that was set aside; whether there was one. It counts as written anew.
    pub fn bring_back(&self, digest: &Sha256) -> Result<bool> {
        let _names = self.names();
        let name = digest.to_string();
        for (_, batch) in self.batches() {
            let (from, to) = (batch.join(&name), self.path(digest));
            if !from.exists() {
                continue;
            }
            let folder = to.parent().unwrap_or(&self.folder);
            private::create_folder(folder)?;
            if let Ok(file) = File::options().write(true).open(&from) {
                let _ = file.set_modified(SystemTime::now());
            }
            fs::rename(&from, &to)?;
            sync_folder(folder)?;
            sync_folder(&self.folder)?;
            tracing::info!("the file {digest} is named again, and came back from {}", batch.display());
            return Ok(true);
        }
        Ok(false)
    }

    /// Brings those back that something names and that are missing.
    pub fn bring_back_named(&self, named: impl Fn(&Sha256) -> Result<bool>) -> Result<()> {
        for (_, batch) in self.batches() {
            for (digest, _) in set_aside_in(&batch)? {
                if !self.path(&digest).exists() && named(&digest)? {
                    self.bring_back(&digest)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what was set aside `keep` ago by the running time of the servers, where it is `removable`, or there again.
    /// Answers how many files and bytes that were.
    pub fn empty(
        &self,
        running: u64,
        keep: Duration,
        removable: impl Fn(&Sha256) -> Result<bool>,
    ) -> Result<[u64; 2]> {
        let mut removed = [0; 2];
        for (number, batch) in self.batches() {
            if running < number.saturating_add(keep.as_secs()) {
                continue;
            }
            for (digest, bytes) in set_aside_in(&batch)? {
                if self.path(&digest).exists() || removable(&digest)? {
                    let _names = self.names();
                    fs::remove_file(batch.join(digest.to_string()))?;
                    removed = [removed[0] + 1, removed[1] + bytes];
                }
            }
            // One that still holds something stays.
            let _ = fs::remove_dir(&batch);
        }
        let _ = fs::remove_dir(self.quarantine());
        Ok(removed)
    }

    /// How many files and bytes are set aside.
    pub fn count_set_aside(&self) -> Result<[u64; 2]> {
        let mut found = [0; 2];
        for (_, batch) in self.batches() {
            let files = set_aside_in(&batch)?;
            let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
            found = [found[0] + files.len() as u64, found[1] + bytes];
        }
        Ok(found)
    }

    /// The folders of what was set aside, each with the running time of its name.
    fn batches(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(self.quarantine()).into_iter().flatten().flatten();
        let batch = |path: PathBuf| Some((path.file_name()?.to_str()?.parse().ok()?, path));
        entries.filter_map(|entry| batch(entry.path())).collect()
    }

    fn quarantine(&self) -> PathBuf {
        self.folder.join(NAME)
    }
}

/// The blobs in a folder of the quarantine, each with its size.
fn set_aside_in(batch: &std::path::Path) -> Result<Vec<(Sha256, u64)>> {
    let entries = match fs::read_dir(batch) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let digest = entry.file_name().to_str().and_then(|name| name.parse::<Sha256>().ok());
        // Something else may take it away or bring it back at this moment.
        if let (Some(digest), Ok(metadata)) = (digest, entry.metadata()) {
            found.push((digest, metadata.len()));
        }
    }
    Ok(found)
}
