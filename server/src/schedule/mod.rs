//! Backups that the server makes by itself, at certain times.
//!
//! A run that was due while the server was off, or whose server was stopped or killed, is made up for once, however
//! many there were. A run that failed for another reason is over: the next one is that which is due next. When a run that
//! was due has made a good archive, the older ones go that the schedule does not keep; when not, none does. A run that a person
//! asks for removes none.

pub mod config;
mod hook;
mod journal;
pub mod keeping;
mod run;
pub mod when;

use crate::archives::Archives;
use crate::clock::{self, Clock};
use crate::failure::{Failure, Result};
use crate::jobs::{Jobs, Reserved};
use crate::making;
use crate::store::{Snapshots, Store};
use config::Backup;
use dikas_archive::api::archives::{Attempt, ScheduleState, Trigger};
use dikas_archive::api::restore::AuditEntry;
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::job::Progress;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use journal::{Journal, Place, UnderWay};
use run::Outcome;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long the schedule sleeps at most: a clock that was set, or a machine that slept, is noticed then.
const NAP: Duration = Duration::from_secs(60);

/// A run that begins later than this is one that is made up for.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// A clock that was set back by more than this has the schedule begin anew.
const SET_BACK: SignedDuration = SignedDuration::from_hours(1);

/// A run that takes longer than this hangs.
const HANGS: SignedDuration = SignedDuration::from_hours(12);

/// A run during which the server has ended so often is not made up for once more: it may be what ends it.
const INTERRUPTIONS: u32 = 5;

/// How runs are done.
#[derive(Debug, Clone)]
pub struct ScheduleOptions {
    /// How much of its disk an archive must leave free, in bytes.
    pub spare_bytes: u64,
    /// How long a run that is due waits for a backup that a person has begun, and then for a snapshot.
    pub patience: Duration,
    /// How long the hook may take.
    pub hook: Duration,
    /// Gets each archive once it has its name, before it is read back, so that a test can damage it.
    #[doc(hidden)]
    pub named: fn(&Path),
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        let (patience, hook) = (Duration::from_secs(30 * 60), Duration::from_secs(60));
        Self { spare_bytes: 256 << 20, patience, hook, named: |_| () }
    }
}

/// The schedule of a server, which may have none.
#[derive(Debug)]
pub(crate) struct Schedule {
    backup: Option<Arc<Backup>>,
    options: ScheduleOptions,
    archives: Arc<Archives>,
    store: Arc<Store>,
    snapshots: Arc<Snapshots>,
    jobs: Arc<Jobs>,
    clock: Arc<dyn Clock>,
    place: Place,
    state: Mutex<State>,
    /// Held by a run until it is in the journal.
    at_work: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
    /// Whether the server that was here before has ended while it made a backup.
    was_interrupted: bool,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    running: Option<Progress>,
}

/// What a schedule works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) archives: Arc<Archives>,
    pub(crate) store: Arc<Store>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Schedule {
    /// The schedule of this data folder, asleep; see [`Schedule::keep`].
    pub(crate) fn open(
        data: &Path,
        backup: Option<Arc<Backup>>,
        options: ScheduleOptions,
        parts: Parts,
    ) -> Self {
        let Parts { archives, store, snapshots, jobs, clock } = parts;
        let place = Place::new(data);
        let now = clock.now();
        let mut journal = backup.as_ref().map_or_else(Journal::default, |_| place.read(now));
        let mut was_interrupted = false;
        if let Some(UnderWay { trigger, began }) = journal.under_way.take() {
            let error = Error::new(ErrorKind::ServerError, "the server ended while it made the backup");
            tracing::error!("the backup that began at {began} was not finished: the server ended");
            let ended = clock::text(now);
            if let Some(due) = due_of(&trigger) {
                journal.interruptions += 1;
                if journal.interruptions >= INTERRUPTIONS {
                    tracing::error!(
                        "it is not tried again: the server has ended in it {INTERRUPTIONS} times"
                    );
                    journal.handled = Some(due).max(journal.handled);
                    journal.interruptions = 0;
                }
            }
            let interrupted = Outcome { error: Some(error), ..Outcome::default() };
            journal.last_attempt = Some(attempt(trigger, began, ended, interrupted));
            was_interrupted = true;
        }
        let state = Mutex::new(State { journal, running: None });
        let (at_work, stopping) = (tokio::sync::Mutex::default(), watch::Sender::new(false));
        let schedule = Self {
            backup,
            options,
            archives,
            store,
            snapshots,
            jobs,
            clock,
            place,
            state,
            at_work,
            stopping,
            was_interrupted,
        };
        if schedule.backup.is_some() {
            schedule.note();
        }
        schedule
    }

    /// Makes what is due, until the server stops.
    pub(crate) async fn keep(self: Arc<Self>) {
        let Some(backup) = self.backup.clone() else { return };
        let interrupted = self.state().journal.last_attempt.clone().filter(|_| self.was_interrupted);
        if let Some(interrupted) = interrupted {
            self.call_hook(&interrupted).await;
        }
        // When it was last awake; before that, nothing could be made.
        let mut awake = self.clock.now();
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow() {
            let now = self.clock.now();
            if let Some(due) = backup.when.last(now)
                && self.is_open(due, now).await
            {
                let text = clock::text(due);
                let trigger = match due < awake || now.duration_since(due) > LATE {
                    true => Trigger::CatchUp { due: text },
                    false => Trigger::Schedule { due: text },
                };
                self.run_due(due, trigger).await;
                awake = now;
                continue;
            }
            let next = backup.when.next(now).map_or(SignedDuration::MAX, |next| next.duration_since(now));
            let nap = Duration::try_from(next).map_or(NAP, |next| next.min(NAP));
            tokio::select! {
                () = self.clock.sleep(nap) => {}
                _ = stopping.changed() => {}
            }
            awake = now;
        }
    }

    /// Whether what was due then is still to be made.
    async fn is_open(self: &Arc<Self>, due: Timestamp, now: Timestamp) -> bool {
        let handled = self.state().journal.handled.unwrap_or(now);
        if handled.duration_since(now) > SET_BACK {
            tracing::warn!("the clock was set back: what is due from now on is made");
            self.remember(|journal| journal.handled = Some(now)).await;
            return false;
        }
        due > handled
    }

    async fn run_due(self: &Arc<Self>, due: Timestamp, trigger: Trigger) {
        let mut stopping = self.stopping.subscribe();
        let place = tokio::select! {
            place = tokio::time::timeout(self.options.patience, self.jobs.reserve_next()) => place,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        self.run(trigger, place.ok(), Some(due)).await;
    }

    /// Begins a run because somebody asks for it.
    ///
    /// # Errors
    /// 409 `no-schedule` and `job-running`; 503 while the server stops.
    pub(crate) fn run_now(self: &Arc<Self>, name: String) -> Result<()> {
        if self.backup.is_none() {
            let message = "this server has no schedule: its configuration has no table [backup]";
            return Err(Failure::conflict("no-schedule", message));
        }
        if *self.stopping.borrow() {
            return Err(Failure::unavailable("the server stops", 10));
        }
        let place = self.jobs.reserve()?;
        self.report(Progress::default());
        let schedule = Arc::clone(self);
        tokio::spawn(async move { schedule.run(Trigger::Person { name }, Some(place), None).await });
        Ok(())
    }

    /// One run, from its beginning to the hook.
    async fn run(self: &Arc<Self>, trigger: Trigger, place: Option<Reserved>, due: Option<Timestamp>) {
        let at_work = self.at_work.lock().await;
        let began = clock::text(self.clock.now());
        let outcome = match place {
            Some(place) => {
                self.report(Progress::default());
                let under_way = UnderWay { trigger: trigger.clone(), began: began.clone() };
                self.remember(|journal| journal.under_way = Some(under_way)).await;
                let schedule = Arc::clone(self);
                let retires = !matches!(trigger, Trigger::Person { .. });
                let ran = tokio::task::spawn_blocking(move || run::run(&schedule, retires)).await;
                drop(place);
                // It catches its panics: what was not begun any more ends with the process.
                ran.unwrap_or_else(|_| Outcome { error: Some(server_stops()), ..Outcome::default() })
            }
            None => {
                let message = "the server was making another backup all the while";
                let minutes = format!("{} minutes at most", self.options.patience.as_secs() / 60);
                let error = Error::new(ErrorKind::Busy, message).expected(minutes, "longer");
                Outcome { error: Some(error), ..Outcome::default() }
            }
        };
        // What was stopped is made up for.
        let stopped = outcome.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Cancelled);
        self.tell(&trigger, &outcome).await;
        let is_good = outcome.is_good;
        let attempt = attempt(trigger, began, clock::text(self.clock.now()), outcome);
        self.remember(|journal| {
            journal.under_way = None;
            journal.last_attempt = Some(attempt.clone());
            if is_good {
                journal.last_success = Some(attempt.clone());
            }
            if !stopped {
                journal.handled = due.max(journal.handled);
                journal.interruptions = 0;
            }
        })
        .await;
        self.state().running = None;
        drop(at_work);
        if !stopped {
            self.call_hook(&attempt).await;
        }
    }

    /// Says in the log and in the audit how a run ended.
    async fn tell(&self, trigger: &Trigger, outcome: &Outcome) {
        let Outcome { archive, missing, removed, error, .. } = outcome;
        let made = archive.as_ref().map_or("no archive", |archive| archive.name.as_str());
        match error {
            None => {
                let removed = removed.len();
                tracing::info!("a backup was made: {made}; {removed} older ones were removed");
                for it in missing {
                    tracing::warn!("{it} is damaged, and missing in {made}");
                }
            }
            Some(error) if error.kind == ErrorKind::Cancelled => {
                tracing::warn!("a backup was not finished, because the server stops");
            }
            Some(error) => tracing::error!("a backup failed ({made}): {error}"),
        }
        let who = match trigger {
            Trigger::Person { name } => name.clone(),
            _ => "schedule".to_owned(),
        };
        let now = clock::text(self.clock.now());
        let entry = making::audit_entry(now, who, archive.clone(), error.as_ref());
        let entry = AuditEntry { missing: missing.clone(), ..entry };
        let store = Arc::clone(&self.store);
        if let Err(failure) = crate::writing(move || store.audit(&entry)).await {
            tracing::warn!("a backup is not in the audit: {failure}");
        }
    }

    /// Has the hook tell of a run that failed.
    async fn call_hook(self: &Arc<Self>, attempt: &Attempt) {
        let Some(backup) = &self.backup else { return };
        let Some(error) = attempt.error.as_ref().filter(|_| !backup.hook.is_empty()) else { return };
        let due = match &attempt.trigger {
            Trigger::Schedule { due } | Trigger::CatchUp { due } => due.clone(),
            Trigger::Person { .. } => String::new(),
        };
        let last_success = self.state().journal.last_success.as_ref().map(|attempt| attempt.ended.clone());
        let variables = [
            ("DIKAS_EVENT", "backup-failed".to_owned()),
            ("DIKAS_ERROR_KIND", error.kind.code().to_owned()),
            ("DIKAS_ERROR", error.to_string()),
            ("DIKAS_DUE", due),
            ("DIKAS_LAST_SUCCESS", last_success.unwrap_or_default()),
        ];
        let Err(why) = hook::run(&backup.hook, &variables, self.options.hook).await else { return };
        tracing::error!("the hook that tells of a failed backup failed too: {why}");
        self.remember(|journal| {
            if let Some(last) = journal.last_attempt.as_mut().filter(|last| *last == attempt) {
                last.hook_error = Some(why);
            }
        })
        .await;
    }

    /// What is configured, and how it went. Blocks.
    pub(crate) fn describe(&self) -> ScheduleState {
        // Nobody waits for this while the disk of the archives is asked, which may take its time.
        let (journal, running) = {
            let state = self.state();
            (state.journal.clone(), state.running.clone())
        };
        let backup = self.backup.as_deref();
        let next = backup.and_then(|backup| backup.when.next(self.clock.now())).map(clock::text);
        ScheduleState {
            schedule: backup.map(Backup::describe),
            running,
            next,
            last_attempt: journal.last_attempt,
            last_success: journal.last_success,
            free_bytes: backup.and_then(|backup| fs4::available_space(&backup.folder).ok()),
        }
    }

    /// Whether the last run was a good one, and the one under way does not hang; none before the first.
    pub(crate) fn is_well(&self) -> Option<bool> {
        let Journal { last_attempt, under_way, .. } = self.state().journal.clone();
        let began = under_way.and_then(|run| run.began.parse::<Timestamp>().ok());
        if began.is_some_and(|began| self.clock.now().duration_since(began) > HANGS) {
            return Some(false);
        }
        last_attempt.map(|attempt| attempt.error.is_none())
    }

    /// Begins no more, ends the run under way, and waits for its end.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        drop(self.at_work.lock().await);
    }

    fn may_go_on(&self) -> dikas_archive::error::Result<()> {
        match *self.stopping.borrow() {
            false => Ok(()),
            true => Err(server_stops()),
        }
    }

    fn report(&self, progress: Progress) {
        self.state().running = Some(progress);
    }

    fn progress(&self) -> Progress {
        self.state().running.clone().unwrap_or_default()
    }

    fn zone(&self) -> TimeZone {
        self.backup.as_ref().map_or(TimeZone::UTC, |backup| backup.when.zone().clone())
    }

    /// Changes the journal, here and on the disk.
    async fn remember(self: &Arc<Self>, change: impl FnOnce(&mut Journal)) {
        change(&mut self.state().journal);
        let schedule = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || schedule.note()).await {
            tracing::error!("what the schedule has done cannot be kept: {error}");
        }
    }

    /// Puts the journal on the disk, as it is now. Blocks.
    fn note(&self) {
        if let Err(error) = self.place.write(|| self.state().journal.clone()) {
            tracing::error!("what the schedule has done cannot be kept: {error}");
        }
    }

    /// A thread that panicked has changed nothing by halves.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a run ends that is made up for.
fn server_stops() -> Error {
    Error::new(ErrorKind::Cancelled, "the server was stopped")
}

/// When a run was due; none where a person has asked for it.
fn due_of(trigger: &Trigger) -> Option<Timestamp> {
    match trigger {
        Trigger::Schedule { due } | Trigger::CatchUp { due } => due.parse().ok(),
        Trigger::Person { .. } => None,
    }
}

fn attempt(trigger: Trigger, began: String, ended: String, outcome: Outcome) -> Attempt {
    let Outcome { archive, removed, error, .. } = outcome;
    let (archive, size) = archive.map(|archive| (archive.name, archive.size)).unzip();
    Attempt { trigger, began, ended, archive, size, removed, error, hook_error: None }
}
