//! Backups that the server makes by itself, one at a time: the same job as in the browser, on a thread of its own.
//!
//! An archive is finished once `jobs/<id>.json` stands beside `jobs/<id>.zip` in the data folder. It stays for a day,
//! until its owner removes it, or until there is a place for the owner's next one. What a server that was killed left
//! unfinished goes at the next start.

use crate::auth::Principal;
use crate::failure::{Failure, Result};
use crate::making::{self, StoreSource};
use crate::store::{Owner, Snapshots, Store};
use crate::{clock, random};
use axum::http::StatusCode;
use dikas_archive::api::restore::{ArchiveInfo, AuditAction, AuditEnd, AuditEntry};
use dikas_archive::api::{BackupJob, JobArchive, JobState, Snapshot, SnapshotRequest};
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::job::backup::Outcome;
use dikas_archive::job::{Progress, Source, Watch};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How jobs are done.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// How long a finished archive stays.
    pub life: Duration,
    /// How much of the disk an archive must leave free, in bytes: the tills go on writing.
    pub spare_bytes: u64,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self { life: Duration::from_secs(24 * 60 * 60), spare_bytes: 256 << 20 }
    }
}

/// The jobs of a store.
#[derive(Debug)]
pub(crate) struct Jobs {
    store: Arc<Store>,
    snapshots: Arc<Snapshots>,
    folder: PathBuf,
    options: JobOptions,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    jobs: HashMap<String, Job>,
    /// Whether the schedule makes a backup.
    reserved: bool,
    stopping: bool,
}

/// The place of the one backup that is made at a time; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved(Arc<Mutex<Known>>);

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.0).reserved = false;
    }
}

#[derive(Debug)]
struct Job {
    owner: Owner,
    /// What the caller calls the request.
    key: Option<String>,
    view: BackupJob,
    cancelled: bool,
    /// Whether its thread has ended.
    ended: watch::Receiver<bool>,
    /// When it is forgotten, in seconds since 1970; none while it runs.
    until: Option<u64>,
}

/// What stands in the file beside a finished archive.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    owner: Owner,
    until: u64,
    job: BackupJob,
}

impl Jobs {
    /// Opens the archives of this data folder; removes what is none.
    pub(crate) fn open(
        data: &Path,
        store: Arc<Store>,
        snapshots: Arc<Snapshots>,
        options: JobOptions,
    ) -> Result<Self> {
        let folder = data.join("jobs");
        fs::create_dir_all(&folder)?;
        let mut known = Known::default();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "json")
                && let Some(record) = read_record(&path)
            {
                let Record { owner, until, job: view } = record;
                let (_, ended) = watch::channel(true);
                let job = Job { owner, key: None, view, cancelled: false, ended, until: Some(until) };
                known.jobs.insert(job.view.id.clone(), job);
            }
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let kept = path.extension().is_some_and(|it| it == "json" || it == "zip");
            if !(kept && known.jobs.contains_key(id)) {
                fs::remove_file(&path)?;
            }
        }
        let jobs = Self { store, snapshots, folder, options, known: Arc::new(Mutex::new(known)) };
        jobs.forget_old();
        Ok(jobs)
    }

    /// Begins a backup. A request with the same key once more finds the job that the first one began. Blocks until the
    /// snapshot is open.
    ///
    /// # Errors
    /// 409 `job-running`, 507 where the disk has no room, and those of [`Snapshots::open`].
    pub(crate) fn start(
        self: &Arc<Self>,
        by: Principal,
        request: SnapshotRequest,
        key: Option<String>,
    ) -> Result<BackupJob> {
        let Principal { owner, name: who, .. } = by;
        self.forget_old();
        let (ending, ended) = watch::channel(false);
        let view = {
            let mut known = self.known();
            if known.stopping {
                return Err(Failure::unavailable("the server stops", 10));
            }
            let mut jobs = known.jobs.values();
            if let Some(same) = jobs.find(|job| job.owner == owner && key.is_some() && job.key == key) {
                return Ok(same.view.clone());
            }
            if !known.is_idle() {
                return Err(running());
            }
            let id = random::hex::<16>()?;
            let (state, progress) = (JobState::Running, Progress::default());
            let view = BackupJob { id: id.clone(), state, progress, archive: None, error: None };
            let (job_owner, job_view) = (owner.clone(), view.clone());
            let job = Job { owner: job_owner, key, view: job_view, cancelled: false, ended, until: None };
            known.jobs.insert(id, job);
            view
        };
        // From here on, whatever happens: dropped, it gives the place back.
        let task = Task { jobs: Arc::clone(self), id: view.id.clone(), owner, who, request, ending };
        let first = StoreSource::open(&self.store, &self.snapshots, &task.owner, &task.request)?;
        if let Err(refusal) = self.make_room(&task.owner, first.snapshot()) {
            let _ = futures::executor::block_on(first.close());
            return Err(refusal);
        }
        let thread = std::thread::Builder::new().name("backup".to_owned());
        thread.spawn(move || task.run(first))?;
        Ok(view)
    }

    /// Whether the disk has room for an archive of this snapshot. If so, the owner's earlier ones go.
    fn make_room(&self, owner: &Owner, snapshot: &Snapshot) -> Result<()> {
        let earlier: Vec<(String, u64)> = self
            .known()
            .jobs
            .values()
            .filter(|job| job.owner == *owner && job.until.is_some())
            .map(|job| (job.view.id.clone(), job.view.archive.as_ref().map_or(0, |archive| archive.size)))
            .collect();
        let needed = snapshot.archive_bytes().saturating_add(self.options.spare_bytes);
        let freed: u64 = earlier.iter().map(|(_, size)| size).sum();
        let free = fs4::available_space(&self.folder)?.saturating_add(freed);
        if free < needed {
            let message = format!(
                "the server's disk has not enough room for the archive: {needed} bytes are needed, {free} are free"
            );
            return Err(Failure::new(StatusCode::INSUFFICIENT_STORAGE, "no-space", message));
        }
        for (id, _) in earlier {
            self.forget(&id);
        }
        Ok(())
    }

    /// The jobs of this owner, the newest first.
    pub(crate) fn list(&self, owner: &Owner) -> Vec<BackupJob> {
        self.forget_old();
        let known = self.known();
        let mut own: Vec<&Job> = known.jobs.values().filter(|job| job.owner == *owner).collect();
        own.sort_by_key(|job| std::cmp::Reverse(job.until.unwrap_or(u64::MAX)));
        own.into_iter().map(|job| job.view.clone()).collect()
    }

    /// How this job is doing.
    ///
    /// # Errors
    /// 410 `job-gone`
    pub(crate) fn get(&self, id: &str, owner: &Owner) -> Result<BackupJob> {
        self.forget_old();
        let known = self.known();
        let job = known.jobs.get(id).filter(|job| job.owner == *owner && !job.cancelled);
        job.map(|job| job.view.clone()).ok_or_else(gone)
    }

    /// The file of a finished job, open.
    ///
    /// # Errors
    /// 410 `job-gone`; 409 `job-unfinished` for one that has no file.
    pub(crate) fn file(&self, id: &str, owner: &Owner) -> Result<(File, JobArchive)> {
        let archive = self.get(id, owner)?.archive.ok_or_else(|| {
            Failure::new(StatusCode::CONFLICT, "job-unfinished", "this job has no archive, or not yet")
        })?;
        Ok((File::open(self.path(id, "zip"))?, archive))
    }

    /// Waits until the job has ended, however it did.
    pub(crate) async fn ended(&self, id: &str) {
        let ended = self.known().jobs.get(id).map(|job| job.ended.clone());
        if let Some(mut ended) = ended {
            // An error says that its thread is gone: that is an end too.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Ends the job if it runs, and removes what it has made.
    ///
    /// # Errors
    /// 410 `job-gone`
    pub(crate) fn remove(&self, id: &str, owner: &Owner) -> Result<()> {
        {
            let mut known = self.known();
            let job = known.jobs.get_mut(id).filter(|job| job.owner == *owner).ok_or_else(gone)?;
            if job.until.is_none() {
                job.cancelled = true;
                return Ok(());
            }
        }
        self.forget(id);
        Ok(())
    }

    /// Keeps the place of the one backup that is made at a time for somebody else.
    ///
    /// # Errors
    /// 409 `job-running`
    pub(crate) fn reserve(&self) -> Result<Reserved> {
        let mut known = self.known();
        if !known.is_idle() {
            return Err(running());
        }
        known.reserved = true;
        Ok(Reserved(Arc::clone(&self.known)))
    }

    /// Begins no more, ends what runs, and waits for its end.
    pub(crate) async fn stop(&self) {
        let running: Vec<String> = {
            let mut known = self.known();
            known.stopping = true;
            let running = known.jobs.values_mut().filter(|job| job.until.is_none());
            running.map(|job| (job.cancelled = true, job.view.id.clone()).1).collect()
        };
        for id in running {
            self.ended(&id).await;
        }
    }

    /// Forgets what has lived its day.
    pub(crate) fn forget_old(&self) {
        let now = clock::unix();
        let old = |job: &&Job| job.until.is_some_and(|until| until <= now);
        let old: Vec<String> =
            self.known().jobs.values().filter(old).map(|job| job.view.id.clone()).collect();
        for id in old {
            self.forget(&id);
        }
    }

    /// Removes an ended job and its files; the record goes first, so that no archive counts that is half removed.
    fn forget(&self, id: &str) {
        self.known().jobs.remove(id);
        for ending in ["json", "zip"] {
            let path = self.path(id, ending);
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!("{} cannot be removed: {error}", path.display());
            }
        }
    }

    fn path(&self, id: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ending}"))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

impl Known {
    fn is_idle(&self) -> bool {
        !self.reserved && self.jobs.values().all(|job| job.until.is_some())
    }
}

/// A thread that panicked has changed nothing by halves.
fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job with a place of its own; dropped, it has ended.
struct Task {
    jobs: Arc<Jobs>,
    id: String,
    owner: Owner,
    /// The owner's name.
    who: String,
    request: SnapshotRequest,
    ending: watch::Sender<bool>,
}

impl Task {
    fn run(self, first: StoreSource) {
        let part = self.jobs.path(&self.id, "part");
        let made = catch_unwind(AssertUnwindSafe(|| self.make(first, &part)))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the job panicked")));
        let until = clock::unix() + self.jobs.options.life.as_secs();
        if let Err(error) = &made {
            tracing::warn!("a backup failed: {error}");
            let _ = fs::remove_file(part);
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
    fn entry(&self, made: &dikas_archive::error::Result<JobArchive>) -> AuditEntry {
        let (end, archive, error) = match made {
            Ok(made) => {
                let (name, size, sha256) = (made.name.clone(), made.size, Some(made.sha256));
                let created = Some(made.created.clone());
                (AuditEnd::Done, Some(ArchiveInfo { name, size, sha256, created, source: None }), None)
            }
            Err(error) if error.kind == ErrorKind::Cancelled => (AuditEnd::Aborted, None, None),
            Err(error) => (AuditEnd::Failed, None, Some(error.to_string())),
        };
        let entry = AuditEntry::new(clock::now(), self.who.clone(), AuditAction::Backup, end);
        AuditEntry { archive, error, ..entry }
    }

    /// Writes the archive under another name, and renames it once it is whole and on the disk.
    fn make(&self, first: StoreSource, part: &Path) -> dikas_archive::error::Result<JobArchive> {
        let mut file = File::options().read(true).write(true).create_new(true).open(part)?;
        let outcome = making::write(first, &self.request, &mut file, self)?;
        file.sync_all()?;
        drop(file);
        fs::rename(part, self.jobs.path(&self.id, "zip"))?;
        let archive = archive(outcome);
        self.record(&archive)?;
        Ok(archive)
    }

    /// Makes the archive count beyond the end of this process.
    fn record(&self, archive: &JobArchive) -> dikas_archive::error::Result<()> {
        let mut job = self.view();
        (job.state, job.archive) = (JobState::Finished, Some(archive.clone()));
        let until = clock::unix() + self.jobs.options.life.as_secs();
        let record = Record { owner: self.owner.clone(), until, job };
        let json = serde_json::to_vec(&record).map_err(std::io::Error::from)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.jobs.folder)?;
        std::io::Write::write_all(&mut file, &json)?;
        file.as_file().sync_all()?;
        file.persist(self.jobs.path(&self.id, "json")).map_err(|error| error.error)?;
        crate::blobs::sync_folder(&self.jobs.folder)?;
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
    }

    async fn checkpoint(&self) -> dikas_archive::error::Result<()> {
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
    }
}

/// The record of a finished archive whose file is there in full size.
fn read_record(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let size = fs::metadata(path.with_extension("zip")).ok()?.len();
    let own = path.file_stem().is_some_and(|stem| stem == record.job.id.as_str());
    let whole = record.job.archive.as_ref().is_some_and(|archive| archive.size == size);
    (own && whole).then_some(record)
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

fn running() -> Failure {
    let message =
        "the server is making a backup already, and makes one at a time: try again when it has ended";
    Failure::conflict("job-running", message)
}

fn gone() -> Failure {
    Failure::new(
        StatusCode::GONE,
        "job-gone",
        "the job is gone: it was removed, has expired, is not yours, or the server was started anew",
    )
}
