//! Backups that the server makes by itself, the same job as in the browser, on a thread of its own: one at a time for people and
//! the schedule, which comes first, and one at a time for backup tokens, which so keep nobody from a backup.
//!
//! An archive is finished once `jobs/<id>.json` stands beside `jobs/<id>.zip` in the data folder. It stays for a day,
//! until its owner removes it, or until the next but one of its owner begins; until the next one where the disk has no room
//! for both. What a server that was killed left
//! unfinished goes at the next start.

mod task;

use crate::auth::Principal;
use crate::failure::{Failure, Result, require_room, unusable};
use crate::making::{Moment, StoreSource};
use crate::rates::Rates;
use crate::store::{Owner, Snapshots, Store};
use crate::{clock, durable, private, random};
use axum::http::StatusCode;
use dikas_archive::api::{BackupJob, JobArchive, JobState, Snapshot};
use dikas_archive::job::{Progress, Source};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use task::Task;
pub(crate) use task::told;
use tokio::sync::{Notify, watch};

/// How jobs are done.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// How long a finished archive stays.
    pub life: Duration,
    /// How much of the disk an archive must leave free, in bytes: the tills go on writing.
    pub spare_bytes: u64,
}

/// How long a finished archive stays at least, after a start or a jump of the clock.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

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
    rates: Arc<Rates>,
    folder: PathBuf,
    options: JobOptions,
    known: Arc<Mutex<Known>>,
    /// Tells the schedule that a place may be free.
    freed: Arc<Notify>,
}

/// What jobs work with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Arc<Store>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) rates: Arc<Rates>,
}

#[derive(Debug, Default)]
struct Known {
    jobs: HashMap<String, Job>,
    /// Whether the schedule makes a backup.
    reserved: bool,
    /// Whether a run that is due waits for its place: it comes next.
    awaited: bool,
    stopping: bool,
}

/// The place of the one backup that is made at a time for people and the schedule; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    known: Arc<Mutex<Known>>,
    freed: Arc<Notify>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.known).reserved = false;
        self.freed.notify_waiters();
    }
}

/// A run that waits for its place; dropped, it waits no more.
struct Awaiting<'a>(&'a Mutex<Known>);

impl<'a> Awaiting<'a> {
    fn new(known: &'a Mutex<Known>) -> Self {
        lock(known).awaited = true;
        Self(known)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        lock(self.0).awaited = false;
    }
}

#[derive(Debug)]
struct Job {
    owner: Owner,
    /// What the caller calls the request.
    key: Option<String>,
    view: BackupJob,
    cancelled: bool,
    /// Whether its thread has ended; changes whenever it has come further.
    ended: watch::Receiver<bool>,
    /// When it is forgotten, in seconds since 1970; none while it runs.
    until: Option<u64>,
    /// Since when this process knows it: a clock that jumps ahead has nothing forgotten at once.
    since: Instant,
}

/// What stands in the file beside a finished archive.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    owner: Owner,
    until: u64,
    job: BackupJob,
}

impl Jobs {
    /// Opens the archives of this data folder, and removes what jobs left that did not get to their end. What no job made stays,
    /// and an archive whose record cannot be read.
    pub(crate) fn open(data: &Path, parts: Parts, options: JobOptions) -> Result<Self> {
        let Parts { store, snapshots, rates } = parts;
        let folder = data.join("jobs");
        let bad = |error| unusable(&folder, error);
        private::create_folder(&folder).map_err(bad)?;
        let (known, unreadable) = read_records(&folder).map_err(bad)?;
        let stays = |id: &str| known.jobs.contains_key(id) || unreadable.contains(id);
        let unfinished = |path: &Path| id_of(path).is_some_and(|(id, ending)| ending == "part" || !stays(id));
        for path in durable::remove_unfinished(&folder, unfinished).map_err(bad)? {
            if id_of(&path).is_none_or(|(id, _)| !stays(id)) {
                tracing::warn!("{} is none of this server's files, and stays", path.display());
            }
        }
        let (known, freed) = (Arc::new(Mutex::new(known)), Arc::default());
        let jobs = Self { store, snapshots, rates, folder, options, known, freed };
        jobs.forget_old();
        Ok(jobs)
    }

    /// Begins a backup of this moment. A request with the same key once more finds the job that the first one began. Blocks until the
    /// snapshot is open.
    ///
    /// # Errors
    /// 409 `job-running`, 429 for a token that asks too often, 507 where the disk has no room, those of [`Snapshots::open`],
    /// and `snapshot-gone`.
    pub(crate) fn start(
        self: &Arc<Self>,
        by: Principal,
        moment: Moment,
        key: Option<String>,
    ) -> Result<BackupJob> {
        let Principal { owner, name: who, .. } = by;
        self.forget_old();
        let (ending, ended) = watch::channel(false);
        let view = {
            let mut known = self.known();
            if known.stopping {
                return Err(stopping());
            }
            let mut jobs = known.jobs.values();
            if let Some(same) = jobs.find(|job| job.owner == owner && key.is_some() && job.key == key) {
                return Ok(same.view.clone());
            }
            if !known.is_free(&owner) || (known.awaited && !owner.is_token()) {
                return Err(running());
            }
            self.rates.take(&owner)?;
            let id = random::hex::<16>()?;
            let (state, progress) = (JobState::Running, Progress::default());
            let view = BackupJob { id: id.clone(), state, progress, archive: None, error: None };
            let (job_owner, job_view) = (owner.clone(), view.clone());
            let (until, since) = (None, Instant::now());
            let job = Job { owner: job_owner, key, view: job_view, cancelled: false, ended, until, since };
            known.jobs.insert(id, job);
            view
        };
        // From here on, whatever happens: dropped, it gives the place back.
        let task = Task { jobs: Arc::clone(self), id: view.id.clone(), owner, who, moment, ending };
        let first = match &task.moment {
            Moment::Now(request) => StoreSource::open(&self.store, &self.snapshots, &task.owner, request)?,
            Moment::Of(id) => {
                futures::executor::block_on(StoreSource::of(&self.store, &self.snapshots, &task.owner, id))?
            }
        };
        if let Err(refusal) = self.make_room(&task.owner, first.snapshot()) {
            let _ = futures::executor::block_on(first.close());
            return Err(refusal);
        }
        let thread = std::thread::Builder::new().name("backup".to_owned());
        thread.spawn(move || task.run(first))?;
        Ok(view)
    }

    /// Makes sure that the disk has room for an archive of this snapshot. The owner's earlier jobs are forgotten then; the newest
    /// archive stays where there is room for that as well, for somebody may still fetch it.
    fn make_room(&self, owner: &Owner, snapshot: &Snapshot) -> Result<()> {
        let earlier: Vec<BackupJob> =
            self.list(owner).into_iter().filter(|job| job.state != JobState::Running).collect();
        let size_of = |job: &BackupJob| job.archive.as_ref().map_or(0, |archive| archive.size);
        let needed = snapshot.archive_bytes().saturating_add(self.options.spare_bytes);
        let free = fs4::available_space(&self.folder)?;
        require_room("the archive", needed, free.saturating_add(earlier.iter().map(size_of).sum()))?;
        let newest = earlier.iter().find(|job| job.archive.is_some());
        let older: u64 = earlier.iter().map(size_of).sum::<u64>() - newest.map_or(0, size_of);
        let stays = newest.filter(|_| free.saturating_add(older) >= needed).map(|job| job.id.clone());
        for job in earlier {
            if stays.as_ref() != Some(&job.id) {
                self.forget(&job.id);
            }
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

    /// The same, and what changes whenever it has come further, and when it has ended.
    ///
    /// # Errors
    /// 410 `job-gone`
    pub(crate) fn follow(&self, id: &str, owner: &Owner) -> Result<(BackupJob, watch::Receiver<bool>)> {
        let job = self.get(id, owner)?;
        let ended = self.known().jobs.get(id).map(|job| job.ended.clone()).ok_or_else(gone)?;
        Ok((job, ended))
    }

    /// The file of a finished job, open.
    ///
    /// # Errors
    /// 410 `job-gone`; 409 `job-unfinished` for one that has no file.
    pub(crate) fn file(&self, id: &str, owner: &Owner) -> Result<(File, JobArchive)> {
        let archive = self.get(id, owner)?.archive.ok_or_else(|| {
            Failure::new(StatusCode::CONFLICT, "job-unfinished", "this job has no archive, or not yet")
        })?;
        match File::open(self.path(id, "zip")) {
            Ok(file) => Ok((file, archive)),
            // It was removed this moment.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(error.into()),
        }
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

    /// Keeps the place of the one backup that is made at a time for a run that a person asks for.
    ///
    /// # Errors
    /// 409 `job-running`, also while a run that is due waits: that comes first.
    pub(crate) fn reserve(&self) -> Result<Reserved> {
        let is_awaited = self.known().awaited;
        self.take_place().filter(|_| !is_awaited).ok_or_else(running)
    }

    /// Waits for that place; from now on nobody else gets it before.
    pub(crate) async fn reserve_next(&self) -> Reserved {
        let _awaiting = Awaiting::new(&self.known);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on it hears of a place, also of one that is given back before it waits.
            freed.as_mut().enable();
            if let Some(place) = self.take_place() {
                return place;
            }
            freed.await;
        }
    }

    fn take_place(&self) -> Option<Reserved> {
        let mut known = self.known();
        if !known.is_free(&Owner::Schedule) {
            return None;
        }
        known.reserved = true;
        Some(Reserved { known: Arc::clone(&self.known), freed: Arc::clone(&self.freed) })
    }

    /// Takes notice that whoever waited for a job has gone: it ends if it runs, and what failed is forgotten. An archive
    /// stays.
    pub(crate) fn abandon(&self, id: &str, owner: &Owner) {
        let failed = {
            let mut known = self.known();
            let Some(job) = known.jobs.get_mut(id).filter(|job| job.owner == *owner) else { return };
            job.cancelled |= job.until.is_none();
            job.until.is_some() && job.view.archive.is_none()
        };
        if failed {
            self.forget(id);
        }
    }

    /// Begins no more, lets what runs go on for so long, ends what still runs then, and waits for its end.
    pub(crate) async fn stop(&self, grace: Duration) {
        let running: Vec<String> = {
            let mut known = self.known();
            known.stopping = true;
            let running = known.jobs.values().filter(|job| job.until.is_none());
            running.map(|job| job.view.id.clone()).collect()
        };
        let ended = async {
            for id in &running {
                self.ended(id).await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_ok() {
            return;
        }
        for id in &running {
            if let Some(job) = self.known().jobs.get_mut(id) {
                job.cancelled = true;
            }
            self.ended(id).await;
        }
    }

    /// Why a job is not there any more that was waited for.
    pub(crate) fn ended_early(&self, failure: Failure) -> Failure {
        if self.known().stopping { stopping() } else { failure }
    }

    /// Forgets what has lived its day, by the clock, and has been known for a while, by one that nobody sets. One that a clock
    /// that was wrong would keep for years has a day from now.
    pub(crate) fn forget_old(&self) {
        let now = clock::unix();
        let latest = now.saturating_add(self.options.life.as_secs());
        let least = self.options.life.min(KNOWN_FOR);
        let old: Vec<String> = {
            let mut known = self.known();
            for job in known.jobs.values_mut() {
                job.until = job.until.map(|until| until.min(latest));
            }
            let is_over = |job: &&Job| job.until.is_some_and(|until| until <= now);
            let old = known.jobs.values().filter(is_over).filter(|job| job.since.elapsed() >= least);
            old.map(|job| job.view.id.clone()).collect()
        };
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
    /// Whether a backup for this owner can begin: tokens have a place of their own, and none of the others.
    fn is_free(&self, owner: &Owner) -> bool {
        let mut running = self.jobs.values().filter(|job| job.until.is_none());
        let is_taken = running.any(|job| job.owner.is_token() == owner.is_token());
        !is_taken && (owner.is_token() || !self.reserved)
    }
}

/// A thread that panicked has changed nothing by halves.
fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The jobs whose archives are there, and the ids of those whose records cannot be read.
fn read_records(folder: &Path) -> io::Result<(Known, HashSet<String>)> {
    let (mut known, mut unreadable) = (Known::default(), HashSet::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some((id, "json")) = id_of(&path) else { continue };
        match read_record(&path, id) {
            Ok(Some(Record { owner, until, job: view })) => {
                let (_, ended) = watch::channel(true);
                let (until, since) = (Some(until), Instant::now());
                let job = Job { owner, key: None, view, cancelled: false, ended, until, since };
                known.jobs.insert(id.to_owned(), job);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!("{} cannot be read, and stays with its archive: {error}", path.display());
                unreadable.insert(id.to_owned());
            }
        }
    }
    Ok((known, unreadable))
}

/// The record of a finished archive whose file is there in full size; none where it is not.
///
/// # Errors
/// Where the disk does not say so much, or the record is of another version: this one writes none by halves.
fn read_record(path: &Path, id: &str) -> io::Result<Option<Record>> {
    let record: Record = serde_json::from_slice(&fs::read(path)?)?;
    let size = match fs::metadata(path.with_extension("zip")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?.len(),
    };
    let whole = record.job.archive.as_ref().is_some_and(|archive| archive.size == size);
    Ok((record.job.id == id && whole).then_some(record))
}

/// The id of the job that made a file of this name, and how the name ends.
fn id_of(path: &Path) -> Option<(&str, &str)> {
    let (id, ending) = path.file_name()?.to_str()?.split_once('.')?;
    let random = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (random && ["json", "zip", "part"].contains(&ending)).then_some((id, ending))
}

fn stopping() -> Failure {
    Failure::unavailable("the server stops", 10)
}

fn running() -> Failure {
    let message = "the server is making a backup already: one at a time for people and its schedule, and one for backup \
        tokens; try again when it has ended";
    Failure::conflict("job-running", message)
}

fn gone() -> Failure {
    Failure::new(
        StatusCode::GONE,
        "job-gone",
        "the job is gone: it was removed, has expired, is not yours, or the server was started anew",
    )
}
