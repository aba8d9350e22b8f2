//! Restore sessions: data staged in generations of their own, beside the live ones, until a commit makes it live or the
//! session ends. One is open at a time.
//!
//! What is staged is in the database and named by its session; the session itself lives in memory and ends with the
//! server. How it ended is known for a day, written by the very transaction that ended it.

mod books;
mod commit;
mod judge;
pub(super) mod pieces;
mod plan;
mod points;
mod prepare;
mod request;
mod retire;
mod stage;
mod warnings;

use self::books::Beginning;
use self::commit::{Author, apply, generation};
use self::plan::Plan;
use self::stage::{Records, Staged};
use super::snapshots::business;
use super::{CleanOptions, Held, Owner, Store};
use crate::blobs::Upload;
use crate::failure::{Failure, Result, require_room};
use crate::{clock, random};
use dikas_archive::api::restore::{
    AuditAction, CommitRequest, ForeignBackup, Pause, RestoreBegun, RestoreMode, RestoreOutcome,
    RestorePreview, RestoreRequest, RestoreSession, RestoreState, RunningRestore, StagedCollection,
};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How restores are done.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// A session ends without a call for this long.
    pub idle: Duration,
    /// A session ends this long after it was opened.
    pub life: Duration,
    /// For how long writers are held off before a commit, at most.
    pub pause: Duration,
    /// For how long it is known how a session ended.
    pub remember: Duration,
    /// How much of the disk a restore must leave free, in bytes.
    pub spare_bytes: u64,
    /// How many documents and attachments of a collection a commit merges by itself; what is more is put together before
    /// it, so that no commit holds writers up for long.
    pub merged_rows: usize,
    /// When the clean-up takes files.
    pub clean: CleanOptions,
    /// Restore points of this time stay, besides the last few.
    pub points_stay: Duration,
    /// Learns how far a commit or the clean-up is, so that a test can end the process there.
    #[doc(hidden)]
    pub at: fn(&'static str),
}

impl Default for RestoreOptions {
    fn default() -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(60 * 60));
        Self {
            idle: 30 * minute,
            life: 12 * hour,
            pause: Duration::from_secs(30),
            remember: 24 * hour,
            spare_bytes: 256 << 20,
            merged_rows: 2_000,
            clean: CleanOptions::default(),
            points_stay: 48 * hour,
            at: |_| {},
        }
    }
}

/// The restores of a store.
#[derive(Debug)]
pub struct Restores {
    store: Arc<Store>,
    options: RestoreOptions,
    open: Mutex<Option<Arc<Open>>>,
    stopping: AtomicBool,
    /// Since when the clean-up may have run.
    began: Instant,
    /// Why the clean-up takes no files.
    held: Mutex<Option<Held>>,
}

/// The session that is open.
#[derive(Debug)]
struct Open {
    id: String,
    secret: String,
    owner: Owner,
    user: String,
    begun: String,
    opened: Instant,
    request: RestoreRequest,
    called: Mutex<(Instant, String)>,
    work: Mutex<Work>,
}

/// What has come so far. One call at a time works on it.
#[derive(Debug, Default)]
struct Work {
    collections: BTreeMap<CollectionName, Staged>,
    records: Records,
    /// Files of which not every piece is here.
    uploads: BTreeMap<Sha256, Upload>,
    /// The files whose bytes were read in this session, and are sound.
    sound: HashSet<Sha256>,
    plan: Option<Plan>,
    ended: bool,
}

impl Restores {
    /// None open. Sessions that a server left open which ended before they did are closed in the books; the clean-up
    /// takes what they had staged.
    pub fn open(store: Arc<Store>, options: RestoreOptions) -> Result<Self> {
        let (open, stopping) = (Mutex::default(), AtomicBool::new(false));
        let restores = Self { store, options, open, stopping, began: Instant::now(), held: Mutex::default() };
        restores.book_interrupted()?;
        Ok(restores)
    }

    /// Ends the clean-up at its next step, for good.
    pub fn clean_no_more(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the clean-up may go on.
    pub fn may_clean(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }

    /// For how long the server has run.
    pub(super) fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// Why the clean-up takes no files, if there is a reason.
    pub(crate) fn held(&self) -> Option<Held> {
        *super::lock(&self.held)
    }

    pub(super) fn hold(&self, why: Option<Held>) {
        *super::lock(&self.held) = why;
    }

    pub(super) fn options(&self) -> &RestoreOptions {
        &self.options
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Opens a session.
    ///
    /// # Errors
    /// `bad-request`, `foreign-backup`, `unknown-origin`, `restore-running`, `no-space`
    pub fn begin(&self, owner: &Owner, user: &str, request: RestoreRequest) -> Result<RestoreBegun> {
        request::check(&request)?;
        self.expire()?;
        let mut open = super::lock(&self.open);
        if let Some(running) = &*open {
            if request.key.is_some() && running.request.key == request.key && running.owner == *owner {
                return self.begun(running);
            }
            return Err(running.in_the_way());
        }
        self.check_origin(&request)?;
        self.check_space(&request)?;
        let (id, secret) = (random::hex::<16>()?, random::hex::<16>()?);
        let begun = clock::now();
        let new = Beginning { id: &id, secret: &secret, owner, user, begun: &begun, request: &request };
        let mut collections = BTreeMap::new();
        self.store.write(|write| {
            self.book_begin(write, &new)?;
            for name in request.collections.iter().map(|it| &it.name) {
                let generation = generation(write, name.as_str())?;
                let sql = "UPDATE generations SET session = ?1 WHERE id = ?2";
                write.transaction.prepare_cached(sql)?.execute((&id, generation))?;
                collections.insert(name.clone(), Staged::new(generation));
            }
            Ok(())
        })?;
        let work = Work { collections, ..Work::default() };
        let session = Open {
            id,
            secret,
            owner: owner.clone(),
            user: user.to_owned(),
            begun,
            opened: Instant::now(),
            request,
            called: Mutex::new((Instant::now(), clock::now())),
            work: Mutex::new(work),
        };
        let answer = self.begun(&session);
        *open = Some(Arc::new(session));
        answer
    }

    fn begun(&self, session: &Open) -> Result<RestoreBegun> {
        let left = self.options.life.saturating_sub(session.opened.elapsed());
        Ok(RestoreBegun {
            id: session.id.clone(),
            secret: session.secret.clone(),
            expires: clock::after(left),
            idle_seconds: self.options.idle.as_secs(),
        })
    }

    /// Lets a backup of another installation pass only if a person typed whose it is, and one that does not say whose it is
    /// only if the person typed what it is restored into.
    fn check_origin(&self, request: &RestoreRequest) -> Result<()> {
        let typed = request.business_name.as_deref().map(str::trim);
        let Some(source) = request.archive.origin() else {
            let here = self.store.read(business)?;
            if typed == Some(here.trim()) {
                return Ok(());
            }
            let message = format!(
                "the backup does not say which installation it is of: the business name of this one, {here:?}, has to be typed"
            );
            let names = ForeignBackup { backup: None, here };
            return Err(Failure::conflict("unknown-origin", message).on("businessName").with(&names));
        };
        if source.installation == self.store.installation() || typed == Some(source.business.trim()) {
            return Ok(());
        }
        let here = self.store.read(business)?;
        let message = format!(
            "the backup is of another installation, {:?}, and this is {here:?}: the business name of the backup has to \
             be typed",
            source.business
        );
        let both = ForeignBackup { backup: Some(source.business.clone()), here };
        Err(Failure::conflict("foreign-backup", message).on("businessName").with(&both))
    }

    /// Refuses at once what cannot fit. Documents are written twice, to the log and to the database, and once more where a
    /// merge may be large; files that are here already are not sent, so that of attachments only what goes beyond those of
    /// now counts.
    fn check_space(&self, request: &RestoreRequest) -> Result<()> {
        let documents = request.collections.iter().fold(0, |sum: u64, it| sum.saturating_add(it.bytes));
        let here: i64 = self.store.read(|connection| {
            let sql = "SELECT coalesce(sum(attachment_bytes), 0) FROM collections
                       JOIN generations ON generations.id = live";
            Ok(connection.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
        })?;
        let files = request.attachments.bytes.saturating_sub(super::unsigned(here));
        let times = if request.mode == RestoreMode::Full { 2 } else { 4 };
        let needed =
            documents.saturating_mul(times).saturating_add(files).saturating_add(self.options.spare_bytes);
        let free = fs4::available_space(self.store.path.parent().unwrap_or(&self.store.path))?;
        require_room("the restore", needed, free)
    }

    /// Whether a session can be opened now.
    ///
    /// # Errors
    /// `restore-running`
    pub fn check_free(&self) -> Result<()> {
        self.expire()?;
        match &*super::lock(&self.open) {
            Some(running) => Err(running.in_the_way()),
            None => Ok(()),
        }
    }

    /// What is open now.
    pub fn running(&self) -> Result<Vec<RunningRestore>> {
        self.expire()?;
        Ok(super::lock(&self.open).iter().map(|session| session.running()).collect())
    }

    /// What would change.
    ///
    /// # Errors
    /// `incomplete`, `restore-gone`, `forbidden`
    pub fn preview(&self, id: &str, owner: &Owner) -> Result<RestorePreview> {
        self.with(id, owner, |session, work| self.plan(session, work))
    }

    fn plan(&self, session: &Open, work: &mut Work) -> Result<RestorePreview> {
        work.check_complete(&self.store, &session.request)?;
        let staged = work.collections.iter().map(|(name, staged)| (name, staged.generation()));
        let mut plan = self.store.read(|connection| {
            let mut incoming = Vec::new();
            for (name, generation) in staged {
                let how = plan::how(connection, session.request.mode, name)?;
                incoming.push(request::incoming(&session.request, name, generation, how));
            }
            Plan::compute(connection, incoming)
        })?;
        self.prepare(session, &mut plan, work.plan.take().as_ref())?;
        let files_left_out = session.request.attachments.left_out;
        let preview = RestorePreview { files_left_out, ..plan.preview() };
        work.plan = Some(plan);
        Ok(preview)
    }

    /// Makes what is staged live: all of it, or nothing. Repeated, it answers what the first call did.
    ///
    /// # Errors
    /// `incomplete`, `live-changed`, `signed-loss`, `files-left-out`, `restore-gone`, `forbidden`
    pub fn commit(&self, id: &str, owner: &Owner, request: CommitRequest) -> Result<RestoreOutcome> {
        let done = self.with(id, owner, |session, work| {
            if work.plan.is_none() {
                self.plan(session, work)?;
            }
            let left_out = session.request.attachments.left_out;
            if request.acknowledge_files_left_out.unwrap_or_default() != left_out {
                let message = format!(
                    "{left_out} files of the backup would not be restored, and their exact number was not acknowledged"
                );
                let failure = Failure::conflict("files-left-out", message).on("acknowledgeFilesLeftOut");
                return Err(with_fresh_preview(failure, || self.plan(session, work)));
            }
            let Some(plan) = &mut work.plan else { return Err(Failure::internal("no plan")) };
            // What a person has seen may be older than the plan: nothing that it costs may have changed in between.
            plan.seq = plan.seq.min(i64::try_from(request.seq).unwrap_or(i64::MAX));
            let author = Author {
                user: &session.user,
                action: AuditAction::Restore,
                archive: Some(&session.request.archive),
                mode: Some(session.request.mode),
                files_left_out: left_out,
            };
            let acknowledged = request.acknowledge_signed.unwrap_or_default();
            let done = self.store.write(|write| {
                let outcome = apply(write, plan, acknowledged, &author, &self.options)?;
                self.book_end(write, id, RestoreState::Committed, None, Some(&outcome))?;
                (self.options.at)("commit-end");
                Ok(outcome)
            });
            (self.options.at)("commit-done");
            match done {
                Ok(outcome) => {
                    work.ended = true;
                    Ok(outcome)
                }
                Err(failure) => Err(with_fresh_preview(failure, || self.plan(session, work))),
            }
        });
        match done {
            Ok(outcome) => {
                self.session(id).inspect(|session| self.close(session));
                Ok(outcome)
            }
            // It may be this very commit, asked for again.
            Err(failure) if failure.code() == "restore-gone" => {
                let ended = self.ended(id)?.filter(|ended| ended.owner == *owner);
                ended.and_then(|ended| ended.session.outcome).ok_or(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Ends a session; its owner or another admin may. Nothing has changed then.
    ///
    /// # Errors
    /// `restore-gone`
    pub fn abort(&self, id: &str, user: &str) -> Result<()> {
        self.expire()?;
        let session = self.session(id).ok_or_else(|| self.gone(id))?;
        self.end(&session, RestoreState::Aborted, user)
    }

    /// Holds writers off for some seconds, until the session ends.
    ///
    /// # Errors
    /// `restore-gone`, `forbidden`
    pub fn pause(&self, id: &str, owner: &Owner) -> Result<Pause> {
        self.with(id, owner, |_, _| {
            let left = self.store.pause(self.options.pause);
            Ok(Pause { seconds: left.as_secs_f64().ceil() as u64 })
        })
    }

    /// How a session is doing, or how it ended, for whoever has its secret.
    ///
    /// # Errors
    /// `restore-gone`
    pub fn state(&self, id: &str, secret: &str) -> Result<RestoreSession> {
        self.expire()?;
        let hash = Sha256::of(secret.as_bytes());
        if let Some(session) = self.session(id).filter(|it| Sha256::of(it.secret.as_bytes()) == hash) {
            let work = super::lock(&session.work);
            if !work.ended {
                return Ok(session.view(&work));
            }
        }
        let ended = self.ended(id)?.filter(|ended| ended.secret_hash == hash.to_string());
        match ended {
            Some(ended) => Ok(ended.session),
            // Whoever lacks the secret does not learn how it ended.
            None => Err(self.gone("")),
        }
    }

    /// Notes that somebody still sends something to this session.
    pub fn note_call(&self, id: &str) {
        self.session(id).inspect(|session| session.touch());
    }

    /// Ends the session that is open if nobody called for too long, or it is too old.
    pub fn expire(&self) -> Result<()> {
        let Some(session) = super::lock(&self.open).clone() else { return Ok(()) };
        let idle = super::lock(&session.called).0.elapsed();
        let expired = idle >= self.options.idle || session.opened.elapsed() >= self.options.life;
        // One that is being worked on is not idle.
        if expired && session.work.try_lock().is_ok() {
            self.end(&session, RestoreState::Expired, &session.user)?;
        }
        Ok(())
    }

    /// Whether a session is open.
    pub(super) fn is_open(&self) -> bool {
        super::lock(&self.open).is_some()
    }

    fn end(&self, session: &Arc<Open>, state: RestoreState, who: &str) -> Result<()> {
        let mut work = super::lock(&session.work);
        if work.ended {
            return Err(self.gone(&session.id));
        }
        self.store.write(|write| self.book_end(write, &session.id, state, Some(who), None))?;
        work.ended = true;
        drop(work);
        self.close(session);
        Ok(())
    }

    fn close(&self, session: &Open) {
        self.store.go_on();
        super::lock(&self.open).take_if(|open| open.id == session.id);
    }

    /// Runs a call of the owner on a session that is open.
    fn with<T>(
        &self,
        id: &str,
        owner: &Owner,
        work: impl FnOnce(&Open, &mut Work) -> Result<T>,
    ) -> Result<T> {
        self.expire()?;
        let session = self.session(id).ok_or_else(|| self.gone(id))?;
        if session.owner != *owner {
            let message = format!(
                "{} has opened this restore: another admin can end it, and not go on with it",
                session.user
            );
            return Err(Failure::forbidden(message).on(id));
        }
        session.touch();
        let mut guard = super::lock(&session.work);
        if guard.ended {
            return Err(self.gone(id));
        }
        let result = work(&session, &mut guard);
        session.touch();
        result
    }

    fn session(&self, id: &str) -> Option<Arc<Open>> {
        super::lock(&self.open).clone().filter(|session| session.id == id)
    }
}

impl Open {
    fn touch(&self) {
        *super::lock(&self.called) = (Instant::now(), clock::now());
    }

    fn running(&self) -> RunningRestore {
        let called = super::lock(&self.called).1.clone();
        RunningRestore { id: self.id.clone(), user: self.user.clone(), begun: self.begun.clone(), called }
    }

    fn in_the_way(&self) -> Failure {
        let message = format!(
            "{} restores a backup since {}, and one restore is done at a time: an admin can end that one",
            self.user, self.begun
        );
        Failure::conflict("restore-running", message).on(&self.id).with(&self.running())
    }

    fn view(&self, work: &MutexGuard<'_, Work>) -> RestoreSession {
        let staged = work.collections.iter().map(|(name, staged)| StagedCollection {
            name: name.clone(),
            batches: staged.batches(),
            documents: staged.lines(),
        });
        RestoreSession {
            id: self.id.clone(),
            state: RestoreState::Open,
            user: self.user.clone(),
            begun: self.begun.clone(),
            ended: None,
            mode: self.request.mode,
            staged: staged.collect(),
            attachment_batches: work.records.batches(),
            outcome: None,
        }
    }
}

/// Adds a fresh preview to a failure that asks a person again.
fn with_fresh_preview(failure: Failure, preview: impl FnOnce() -> Result<RestorePreview>) -> Failure {
    if !matches!(failure.code(), "live-changed" | "signed-loss" | "files-left-out") {
        return failure;
    }
    match preview() {
        Ok(preview) => failure.with(&preview),
        Err(other) => other,
    }
}
