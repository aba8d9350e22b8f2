//! One job on its thread: makes the archive, and says how it ended.

use super::{Jobs, Record};
use crate::making::{self, Moment, StoreSource};
use crate::store::Owner;
use crate::{clock, durable, private};
use dikas_archive::api::restore::{ArchiveInfo, AuditEntry};
use dikas_archive::api::{BackupJob, JobArchive, JobState, SnapshotRequest};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::backup::Outcome;
use dikas_archive::job::{Progress, Watch};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// A job with a place of its own; dropped, it has ended.
pub(super) struct Task {
    pub(super) jobs: Arc<Jobs>,
    pub(super) id: String,
    pub(super) owner: Owner,
    /// The owner's name.
    pub(super) who: String,
    pub(super) moment: Moment,
    /// Whether it has ended; sent anew whenever it has come further.
    pub(super) ending: watch::Sender<bool>,
}

impl Task {
    /// Makes the archive of this snapshot. Blocks for as long as it takes.
    pub(super) fn run(self, first: StoreSource) {
        let part = self.jobs.path(&self.id, "part");
        let made = catch_unwind(AssertUnwindSafe(|| self.make(first, &part)))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the job panicked")));
        let until = clock::unix() + self.jobs.options.life.as_secs();
        if let Err(error) = &made {
            tracing::warn!("a backup failed: {error}");
            // One that has its name already does not count without its record, and would only take room.
            for path in [part, self.jobs.path(&self.id, "json"), self.jobs.path(&self.id, "zip")] {
                let _ = fs::remove_file(path);
            }
        }
        if let Err(failure) = self.jobs.store.audit(&self.entry(&made)) {
            tracing::warn!("a backup is not in the audit: {failure}");
        }
        let mut known = self.jobs.known();
        if let Some(job) = known.jobs.get_mut(&self.id) {
            job.until = Some(until);
            match made {
                Ok(archive) => {
                    (job.view.state, job.view.archive) = (JobState::Finished, Some(archive));
                }
                Err(error) => (job.view.state, job.view.error) = (JobState::Failed, Some(told(error))),
            }
        }
    }

    /// What the audit says of it.
    fn entry(&self, made: &Result<JobArchive>) -> AuditEntry {
        let archive = made.as_ref().ok().map(|made| {
            let (name, size, sha256) = (made.name.clone(), made.size, Some(made.sha256));
            ArchiveInfo { name, size, sha256, created: Some(made.created.clone()), source: None }
        });
        let missing = made.as_ref().map_or_else(|_| Vec::new(), |made| made.missing.clone());
        let entry = making::audit_entry(clock::now(), self.who.clone(), archive, made.as_ref().err());
        AuditEntry { missing, ..entry }
    }

    /// Writes the archive under another name, and renames it once it is whole and on the disk.
    fn make(&self, first: StoreSource, part: &Path) -> Result<JobArchive> {
        let mut file = private::file(File::options().read(true).write(true).create_new(true)).open(part)?;
        let request = match &self.moment {
            Moment::Now(request) => request,
            Moment::Of(_) => &SnapshotRequest::default(),
        };
        let outcome = making::write(first, request, &mut file, self)?;
        file.sync_all()?;
        drop(file);
        fs::rename(part, self.jobs.path(&self.id, "zip"))?;
        let archive = archive(outcome);
        self.record(&archive)?;
        Ok(archive)
    }

    /// Makes the archive count beyond the end of this process.
    fn record(&self, archive: &JobArchive) -> Result<()> {
        let mut job = self.view();
        (job.state, job.archive) = (JobState::Finished, Some(archive.clone()));
        let until = clock::unix() + self.jobs.options.life.as_secs();
        let record = Record { owner: self.owner.clone(), until, job };
        durable::write_json(&self.jobs.folder, &format!("{}.json", self.id), &record)?;
        Ok(())
    }

    fn view(&self) -> BackupJob {
        let known = self.jobs.known();
        let view = known.jobs.get(&self.id).map(|job| job.view.clone());
        view.unwrap_or_else(|| BackupJob {
            id: self.id.clone(),
            state: JobState::Running,
            progress: Progress::default(),
            archive: None,
            error: None,
        })
    }
}

impl Watch for Task {
    fn report(&self, progress: Progress) {
        if let Some(job) = self.jobs.known().jobs.get_mut(&self.id) {
            job.view.progress = progress;
        }
        self.ending.send_replace(false);
    }

    async fn checkpoint(&self) -> Result<()> {
        let known = self.jobs.known();
        match known.jobs.get(&self.id) {
            Some(job) if !job.cancelled => Ok(()),
            _ => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let unwanted = {
            let mut known = self.jobs.known();
            let job = known.jobs.get_mut(&self.id);
            // One that never ran, or that nobody wants any more.
            job.is_none_or(|job| job.cancelled || job.until.is_none())
        };
        if unwanted {
            self.jobs.forget(&self.id);
        }
        self.ending.send_replace(true);
        self.jobs.freed.notify_waiters();
    }
}

fn archive(outcome: Outcome) -> JobArchive {
    let Outcome { manifest, size, sha256, plain_parts, restarts } = outcome;
    JobArchive {
        name: format!("{}.zip", clock::file_name(&manifest.created)),
        created: manifest.created.clone(),
        finished: clock::now(),
        size,
        sha256,
        documents: manifest.documents(),
        attachments: manifest.attachments.len() as u64,
        business: manifest.source.business.clone(),
        plain_parts,
        restarts,
        missing: manifest.missing,
    }
}

/// What the caller is told: its own disk is not meant.
pub(crate) fn told(error: Error) -> Error {
    let kind = match error.kind {
        ErrorKind::NoSpace => ErrorKind::ServerFull,
        ErrorKind::Io => ErrorKind::ServerError,
        kind => kind,
    };
    Error { kind, ..error }
}
