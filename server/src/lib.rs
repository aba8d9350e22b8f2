//! The reference DiKAS server: documents, attachments and backups over HTTP, and the admin page.
//!
//! ```no_run
//! # async fn example() -> Result<(), dikas_server::Failure> {
//! use dikas_server::{Config, Server};
//!
//! let config = Config { listen: "127.0.0.1:0".into(), demo: Some(30), ..Config::new("/tmp/dikas") };
//! let server = Server::start(config).await?;
//! println!("http://{}", server.address());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Server`] is all of it on a socket. [`App`] with [`app`] is the same without one, for tests.

mod access;
mod api;
mod archives;
pub mod auth;
pub mod blobs;
mod clock;
mod connections;
pub mod demo;
mod downloads;
mod durable;
mod failure;
mod health;
mod jobs;
pub mod logs;
mod making;
mod memory;
mod private;
mod random;
mod rates;
mod restore_file;
mod room;
pub mod schedule;
mod scratch;
mod setup;
pub mod store;
mod strict;
mod unnamed;
mod web;

pub use access::{AccessRules, Network, Origin};
pub use api::ROLES_EXTENSION;
pub use clock::{Clock, SystemClock};
pub use connections::ConnectionLimits;
pub use dikas_page::POLICY;
pub use failure::{Failure, Result};
pub use jobs::JobOptions;
pub use rates::TokenRate;
pub use setup::{DEMO_LOGIN, Setup};
pub use unnamed::UnnamedFiles;

use archives::Archives;
use auth::Auth;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, middleware};
use jobs::Jobs;
use memory::Memory;
use rates::Rates;
use schedule::{Schedule, ScheduleOptions, config::Backup};
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{OldRows, RestoreOptions, Restores, SnapshotOptions, Snapshots, Store};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tower_http::catch_panic::CatchPanicLayer;

/// How long a backup gets to notice that it shall end.
const NOTICE: Duration = Duration::from_secs(10);

/// How long the answers of requests that have just ended may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often the clean-up looks for what has lived its day.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// How long writers have between two steps of those who rewrite rows of before.
const BETWEEN_STEPS: Duration = Duration::from_millis(20);

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder; made where it is missing.
    pub data: PathBuf,
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Fills an empty store with this many days of demo data.
    pub demo: Option<u32>,
    /// Life of an access token.
    pub access_life: Duration,
    /// When snapshots end.
    pub snapshots: SnapshotOptions,
    /// How often a backup token may open a snapshot or begin a job.
    pub token_rate: TokenRate,
    /// How backups are made that the server makes by itself.
    pub jobs: JobOptions,
    /// Backups that the server makes by itself, at certain times, and the folder of their archives.
    pub backup: Option<Backup>,
    /// How these are done.
    pub schedule: ScheduleOptions,
    /// What tells the schedule and the snapshots the time.
    pub clock: Arc<dyn Clock>,
    /// How restores are done.
    pub restores: RestoreOptions,
    /// How large bodies may be.
    pub limits: BodyLimits,
    /// What connections may take.
    pub connections: ConnectionLimits,
    /// Proxies and other sites that are believed.
    pub access: AccessRules,
    /// Bytes of the disk with the data folder that uploads leave free: for deletions, the log, and the database.
    pub spare_bytes: u64,
    /// Once the server shall stop, a backup under way gets so long, and then the requests that are left once more.
    pub grace: Duration,
}

impl Config {
    /// The usual, with this data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: "127.0.0.1:5015".to_owned(),
            demo: None,
            access_life: Duration::from_secs(3600),
            snapshots: SnapshotOptions::default(),
            token_rate: TokenRate::default(),
            jobs: JobOptions::default(),
            backup: None,
            schedule: ScheduleOptions::default(),
            clock: Arc::new(SystemClock),
            restores: RestoreOptions::default(),
            limits: BodyLimits::default(),
            connections: ConnectionLimits::default(),
            access: AccessRules::default(),
            spare_bytes: room::SPARE_BYTES,
            grace: Duration::from_secs(10),
        }
    }
}

/// How large bodies may be, in bytes. A single document has the limit of the format.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// Many documents in one call.
    pub bulk_bytes: usize,
    /// How many documents these may be.
    pub bulk_documents: usize,
    /// An attachment.
    pub attachment_bytes: u64,
    /// The memory that bodies of requests and answers take together; those of one caller take half of it at most.
    pub memory_bytes: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bulk_bytes: 64 << 20,
            bulk_documents: 100_000,
            attachment_bytes: 2 << 30,
            memory_bytes: 512 << 20,
        }
    }
}

/// Everything that requests share.
#[derive(Debug)]
pub struct App {
    store: Arc<Store>,
    snapshots: Arc<Snapshots>,
    rates: Arc<Rates>,
    jobs: Arc<Jobs>,
    archives: Arc<Archives>,
    schedule: Arc<Schedule>,
    restores: Restores,
    /// Tells the clean-up that there is something to do.
    cleaning: Notify,
    auth: Arc<Auth>,
    access: AccessRules,
    downloads: downloads::Downloads,
    limits: BodyLimits,
    memory: Memory,
    data: PathBuf,
    /// How much of the disk a file must leave free that comes to be restored.
    spare_bytes: u64,
    setup: Setup,
    _lock: File,
}

impl App {
    /// Opens the data folder, and sets it up where it is fresh. Blocks.
    ///
    /// # Errors
    /// Where the folder cannot be used, is in use by another server, or holds a newer store.
    pub fn open(config: &Config) -> Result<Self> {
        store::folder::check(&config.data)?;
        let lock = lock_folder(&config.data)?;
        let store = Arc::new(Store::open(&config.data)?);
        private::close_folder(&config.data).map_err(|error| failure::unusable(&config.data, error))?;
        let auth = Arc::new(Auth::open(Arc::clone(&store), &config.data, config.access_life)?);
        let setup = setup::set_up(&store, &auth, config.demo)?;
        store.room().keep_free(config.spare_bytes);
        let clock = Arc::clone(&config.clock);
        let snapshots = Snapshots::new(Arc::clone(&store), config.snapshots.clone(), Arc::clone(&clock));
        let snapshots = Arc::new(snapshots);
        let rates = Arc::new(Rates::new(config.token_rate.clone()));
        let parts = jobs::Parts {
            store: Arc::clone(&store),
            snapshots: Arc::clone(&snapshots),
            rates: Arc::clone(&rates),
        };
        let jobs = Arc::new(Jobs::open(&config.data, parts, config.jobs.clone())?);
        let backup = config.backup.clone().map(Arc::new);
        let archives = Archives::open(backup.clone(), store.installation(), Arc::clone(&clock));
        let archives = Arc::new(archives);
        let parts = schedule::Parts {
            archives: Arc::clone(&archives),
            store: Arc::clone(&store),
            snapshots: Arc::clone(&snapshots),
            jobs: Arc::clone(&jobs),
            clock,
        };
        let schedule = Arc::new(Schedule::open(&config.data, backup, config.schedule.clone(), parts));
        let restores = Restores::open(Arc::clone(&store), config.restores.clone())?;
        Ok(Self {
            store,
            snapshots,
            rates,
            jobs,
            archives,
            schedule,
            restores,
            cleaning: Notify::new(),
            auth,
            access: config.access.clone(),
            downloads: downloads::Downloads::default(),
            limits: config.limits.clone(),
            memory: Memory::new(config.limits.memory_bytes),
            data: config.data.clone(),
            spare_bytes: config.jobs.spare_bytes,
            setup,
            _lock: lock,
        })
    }

    /// What became of the first start.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Removes what has lived its day and what nothing names any more. Blocks for as long as it takes.
    ///
    /// # Errors
    /// Where the disk or the database fails; the rest is done by the next run.
    pub fn clean(&self) -> Result<()> {
        self.jobs.forget_old();
        if let Err(failure) = self.store.note_position() {
            tracing::warn!("how far the database is cannot be noted: {failure}");
        }
        let tidied = self.auth.tidy();
        self.restores.clean(&self.snapshots)?;
        tidied
    }

    /// Gives the rows of before their digests, in small steps between the writes of everybody else. Blocks for as long
    /// as it takes.
    ///
    /// # Errors
    /// Where the database fails; the rest is done by the next start.
    pub fn add_digests(&self) -> Result<()> {
        let mut so_far = OldRows::default();
        while self.restores.may_clean() {
            // What is rewritten stays in the write-ahead log for as long as a snapshot is open.
            if !self.snapshots.any_open() && !self.store.add_digests(&mut so_far)? {
                break;
            }
            std::thread::sleep(BETWEEN_STEPS);
        }
        Ok(())
    }

    /// Has the running server clean up without waiting for its hour.
    fn clean_soon(&self) {
        self.cleaning.notify_one();
    }
}

/// The whole server as a service: API, page, and a word for whoever watches over it.
pub fn app(state: Arc<App>) -> Router {
    let router = api::router(&state).route(health::PATH, get(health::health)).fallback(web::page);
    catch_panics(router.with_state(state))
        .layer(middleware::from_fn(logs::requests))
        .layer(middleware::map_response(async |response| web::private(response)))
}

/// Answers 500 where a handler panics; the others go on.
fn catch_panics(router: Router) -> Router {
    router.layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Failure::internal(format_args!("a request panicked: {text}")).into_response()
    }))
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    app: Arc<App>,
    grace: Duration,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    digesting: JoinHandle<()>,
    scheduling: JoinHandle<()>,
}

impl Server {
    /// Opens the data folder, listens and serves.
    ///
    /// # Errors
    /// Those of [`App::open`], or where the address is in use.
    pub async fn start(config: Config) -> Result<Self> {
        let listener = TcpListener::bind(&config.listen).await.map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::AddrInUse => "another program listens there already".to_owned(),
                _ => error.to_string(),
            };
            Failure::bad_request(format!("cannot listen on {}: {why}", config.listen))
        })?;
        let address = listener.local_addr()?;
        let (limits, access, grace) = (config.connections.clone(), config.access.clone(), config.grace);
        let app = Arc::new(blocking(move || App::open(&config)).await?);
        let router = self::app(Arc::clone(&app));
        let (stop, stopped) = oneshot::channel::<()>();
        let sweeping = tokio::spawn(sweep(Arc::clone(&app)));
        let digested = Arc::clone(&app);
        let digesting = tokio::task::spawn_blocking(move || {
            if let Err(failure) = digested.add_digests() {
                tracing::warn!("rows of before have not all got their digests: {failure}");
            }
        });
        let scheduling = tokio::spawn(Arc::clone(&app.schedule).keep());
        let serving = tokio::spawn(async move {
            connections::serve(listener, router, limits, access, async { drop(stopped.await) }).await;
        });
        Ok(Self { address, app, grace, stop, serving, sweeping, digesting, scheduling })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What became of the first start.
    pub fn setup(&self) -> &Setup {
        self.app.setup()
    }

    /// Lets what is under way end, as long as [`Config::grace`] allows, and stops. A backup that does not get done in that time
    /// ends without leaving anything, and whoever waits for it is told. Snapshots that are open last as long.
    pub async fn stop(self) {
        self.app.snapshots.open_no_more();
        self.app.restores.clean_no_more();
        self.app.store.check_no_more();
        self.app.clean_soon();
        let _ = self.stop.send(());
        let mut scheduling = self.scheduling;
        let scheduled = async {
            self.app.schedule.stop().await;
            let _ = (&mut scheduling).await;
        };
        if tokio::time::timeout(NOTICE, scheduled).await.is_err() {
            tracing::warn!("a run of the schedule has not ended in time");
            scheduling.abort();
        }
        if tokio::time::timeout(self.grace + NOTICE, self.app.jobs.stop(self.grace)).await.is_err() {
            tracing::warn!("a backup has not ended in time");
        }
        let mut serving = self.serving;
        if tokio::time::timeout(self.grace.max(LAST_WORDS), &mut serving).await.is_err() {
            serving.abort();
        }
        let _ = self.sweeping.await;
        if tokio::time::timeout(NOTICE, self.digesting).await.is_err() {
            tracing::warn!("the check of the database has not ended in time");
        }
        self.app.snapshots.close_all().await;
        let app = Arc::clone(&self.app);
        let last = move || {
            let tidied = app.auth.tidy();
            app.store.note_position().and_then(|()| app.store.checkpoint()).and(tidied)
        };
        if let Err(failure) = blocking(last).await {
            tracing::warn!("the last checkpoint failed: {failure}");
        }
    }
}

/// Cleans up, at once and then from time to time, until the server stops.
async fn sweep(app: Arc<App>) {
    while app.restores.may_clean() {
        let cleaned = Arc::clone(&app);
        if let Err(failure) = blocking(move || cleaned.clean()).await {
            tracing::warn!("the clean-up did not get to its end: {failure}");
        }
        let _ = tokio::time::timeout(SWEEP, app.cleaning.notified()).await;
    }
}

/// Runs what blocks on a thread where it may, so many at once and no more: each may need a connection to the database.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    static AT_ONCE: Semaphore = Semaphore::const_new(32);
    blocking_among(&AT_ONCE, work).await
}

/// The same for what writes: writers wait for each other, and nobody who reads or logs in waits behind them.
async fn writing<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    static AT_ONCE: Semaphore = Semaphore::const_new(8);
    blocking_among(&AT_ONCE, work).await
}

/// The same for restores, whose calls wait for each other: not in the way of anybody else.
async fn restoring<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    static AT_ONCE: Semaphore = Semaphore::const_new(8);
    blocking_among(&AT_ONCE, work).await
}

/// The same for what asks the backup folder, whose disk may be away, and hang: not in the way of anybody else.
async fn shelving<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    static AT_ONCE: Semaphore = Semaphore::const_new(8);
    blocking_among(&AT_ONCE, work).await
}

async fn blocking_among<T: Send + 'static>(
    at_once: &'static Semaphore,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let permit = at_once.acquire().await.map_err(Failure::internal)?;
    let work = move || {
        let _permit = permit;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::internal(format_args!("a request failed: {error}"))),
    }
}

/// Makes the data folder, and keeps other servers out of it for as long as the file is open.
fn lock_folder(data: &Path) -> Result<File> {
    private::create_folder(data).map_err(|error| failure::unusable(data, error))?;
    let path = data.join("lock");
    let usable = |error: std::io::Error| failure::unusable(&path, error);
    let lock = private::file(File::options().write(true).create(true)).open(&path).map_err(usable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::bad_request(format!(
            "the data folder {} is in use by another running server",
            data.display()
        ))),
        Err(TryLockError::Error(error)) => Err(usable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_is_a_failure_of_one_request() {
        let handler = async || -> &'static str { panic!("on this thread") };
        let router = catch_panics(Router::new().route("/", get(handler)));
        for _ in 0..2 {
            let answer =
                router.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.headers()["content-type"], "application/json");
        }
        let failure = blocking(|| -> Result<()> { panic!("on another thread") }).await.unwrap_err();
        assert_eq!(failure.code(), "internal");
    }
}
