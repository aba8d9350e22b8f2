//! The worker of one job: takes a command, does it, answers with events.

use super::archives::{Archives, Lock, storage};
use super::encoder::Workers;
use super::fetch::Fetch;
use super::inspect::Inspected;
use super::journal::Head;
use super::js;
use super::pages::Paged;
use super::protocol::{Archive, Command, Contents, Event, Item, Notice, Place, Refusal, RemoteFile, Server};
use super::ranges::{Given, Ranges};
use super::restore::Kept;
use super::rope::BlobSource;
use super::sink::Draft;
use super::turn::{PageWatch, Signal};
use crate::api::{JobArchive, Snapshot, SnapshotRequest};
use crate::catalog::Category;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Source;
use crate::job::backup::{Options, backup};
use crate::job::http::HttpSource;
use crate::job::remote::Remote;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::reader::BackupReader;
use futures::channel::oneshot;
use js_sys::{Function, Object, Reflect};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, File, MessageEvent};

/// The most that is decoded of an archive without a manifest, in bytes: some minutes of work.
const MAX_LINES_BYTES: u64 = 64 << 30;

/// To be called once in every worker, before anything else: a panic becomes an event of kind `internal`. It leaves
/// the module unusable, so whoever receives it ends the worker.
#[wasm_bindgen]
pub fn prepare() {
    std::panic::set_hook(Box::new(|panic| {
        let error = Error::new(ErrorKind::Internal, format!("the engine has a bug: {panic}"));
        failed(error.into());
    }));
}

/// Makes this worker take commands. `spawn` starts an encoding worker: `() => Promise<Worker>`.
#[wasm_bindgen]
pub fn start(spawn: Function) -> Result<(), JsValue> {
    let job = Rc::new(Job {
        signal: Signal::default(),
        tokens: Rc::default(),
        spawn,
        restore: Kept::default(),
        inspected: Inspected::default(),
    });
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let data = message.data();
        match js::from_js(&js::property(&data, "command")) {
            Ok(Command::Cancel) => job.signal.raise(),
            Ok(Command::Token { token }) => job.tokens.answer(Ok(token)),
            Ok(Command::NoToken { message }) => {
                job.tokens.answer(Err(Error::new(ErrorKind::Unauthorized, message)));
            }
            Ok(command) => {
                let job = Rc::clone(&job);
                let blob = |name| js::property(&data, name).dyn_into().ok();
                let files = Files { file: blob("file"), other: blob("other") };
                spawn_local(async move {
                    match job.run(command, files).await {
                        Ok((event, file)) => post(&event, file.as_ref()),
                        Err(failure) => failed(failure),
                    }
                });
            }
            Err(error) => failed(error.into()),
        }
    });
    let scope = js::scope().map_err(js::thrown)?;
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The worker listens as long as it lives.
    on_message.forget();
    Ok(())
}

/// What this worker is there for.
pub(super) struct Job {
    pub(super) signal: Signal,
    tokens: Rc<Tokens>,
    spawn: Function,
    /// What was prepared by one command, for the next.
    pub(super) restore: Kept,
    /// The archive that is looked at.
    pub(super) inspected: Inspected,
}

/// What came beside a command.
pub(super) struct Files {
    pub(super) file: Option<Blob>,
    pub(super) other: Option<Blob>,
}

pub(super) type Answer = (Event, Option<File>);

/// Why a job failed, what is left of it to go on with, and what the server says beside that.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) interrupted: Option<String>,
    pub(super) data: Option<Box<Refusal>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, interrupted: None, data: None }
    }
}

impl Job {
    async fn run(&self, command: Command, files: Files) -> Result<Answer, Failure> {
        match command {
            Command::CreateBackup { url, categories, on_server: true } => {
                Ok(self.back_up_on_server(&url, categories).await?)
            }
            Command::CreateBackup { url, categories, .. } => self.back_up(&url, categories).await,
            Command::ResumeBackup(Item { url, id }) => self.resume(&url, &id).await,
            Command::Restore(command) => Ok((self.restore(command, files.file).await?, None)),
            Command::Inspect(command) => Ok(self.inspect(command, files)?),
            command => Ok(self.answer(command).await?),
        }
    }

    /// What leaves nothing behind.
    async fn answer(&self, command: Command) -> Result<Answer> {
        let event = match command {
            Command::AskHeld(Item { url, id }) => self.is_held(&url, &id).await?,
            Command::Contents { url, categories } => self.contents(&url, categories).await?,
            Command::ListArchives { clean_up } => list(clean_up).await?,
            Command::OpenArchive { id } => {
                return Ok((Event::ArchiveFile, Some(archives().await?.file(&id).await?)));
            }
            Command::RemoveArchive { id } => {
                archives().await?.remove(&Lock::wait().await, &id).await?;
                Event::Removed
            }
            Command::ListServerArchives(Server { url }) => {
                let jobs = Remote::new(self.transport(&url)?).list().await?;
                let archives = jobs.into_iter().filter_map(|job| Some(on_server(job.id, job.archive?)));
                Event::Archives { archives: archives.collect(), interrupted: Vec::new() }
            }
            Command::GetServerAddress(Item { url, id }) => {
                let transport = self.transport(&url)?;
                let target = Remote::new(&transport).download(&id).await?;
                Event::Address { url: transport.address(&target) }
            }
            Command::RemoveServerArchive(Item { url, id }) => {
                Remote::new(self.transport(&url)?).remove(&id).await?;
                Event::Removed
            }
            Command::Storage => Event::Storage { storage: storage().await },
            Command::CreateBackup { .. }
            | Command::ResumeBackup(_)
            | Command::Restore(_)
            | Command::Inspect(_)
            | Command::Token { .. }
            | Command::NoToken { .. }
            | Command::Cancel => return Err(Error::new(ErrorKind::Internal, "not a job")),
        };
        Ok((event, None))
    }

    /// Makes a backup in this browser or, where that has no place for it, on the server.
    async fn back_up(&self, url: &str, categories: Option<Vec<Category>>) -> Result<Answer, Failure> {
        let encoder = Workers::start(self.spawn.clone(), self.signal.clone());
        let source = self.open(url, categories.clone()).await?;
        encoder.prepare_for(source.snapshot());
        let made = match Draft::begin(source.snapshot(), categories.clone()).await {
            Ok(draft) => self.make(url, Some(source), draft, &encoder).await,
            Err(error) => {
                let _ = source.close().await;
                Err(error.into())
            }
        };
        match made {
            Err(Failure { error, .. }) if error.kind == ErrorKind::NoStorage => {
                drop(encoder);
                notice(Notice::OnServer);
                Ok(self.back_up_on_server(url, categories).await?)
            }
            made => made,
        }
    }

    /// Goes on with a backup that was interrupted.
    async fn resume(&self, url: &str, id: &str) -> Result<Answer, Failure> {
        let encoder = Workers::start(self.spawn.clone(), self.signal.clone());
        let draft = Draft::resume(id).await?;
        encoder.prepare_for(&draft.head().snapshot);
        self.make(url, None, draft, &encoder).await
    }

    /// Fills a draft: from this source, which has just been opened, or from the one that it has been of.
    async fn make(
        &self,
        url: &str,
        source: Option<HttpSource<Fetch>>,
        mut draft: Draft,
        encoder: &Workers,
    ) -> Result<Answer, Failure> {
        let Head { snapshot, categories, .. } = draft.head().clone();
        let held = source.is_none().then_some(snapshot);
        let first = RefCell::new((source, held));
        let open = async || {
            let (opened, held) = first.take();
            match (opened, held) {
                (Some(source), _) => Ok(source),
                (None, Some(snapshot)) => HttpSource::resume(self.transport(url)?, snapshot).await,
                (None, None) => {
                    notice(Notice::StartedOver);
                    self.open(url, categories.clone()).await
                }
            }
        };
        let watch = PageWatch::new(self.signal.clone());
        let outcome = match backup(open, encoder, &mut draft, &Options::default(), &watch).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(Failure { interrupted: draft.set_aside().await, ..error.into() }),
        };
        watch.flush();
        let (archive, file) = draft.keep(&outcome).await?;
        if outcome.plain_parts > 0 {
            notice(Notice::PlainParts { parts: outcome.plain_parts });
        }
        Ok((Event::BackedUp { archive, contents: contents(outcome.manifest) }, Some(file)))
    }

    async fn back_up_on_server(&self, url: &str, categories: Option<Vec<Category>>) -> Result<Answer> {
        let watch = PageWatch::new(self.signal.clone());
        let remote = Remote::new(self.transport(url)?);
        let (id, archive, manifest) = remote.backup(&SnapshotRequest { categories }, &watch).await?;
        watch.flush();
        if archive.restarts > 0 {
            notice(Notice::StartedOver);
        }
        if archive.plain_parts > 0 {
            notice(Notice::PlainParts { parts: archive.plain_parts });
        }
        Ok((Event::BackedUp { archive: on_server(id, archive), contents: contents(manifest) }, None))
    }

    async fn is_held(&self, url: &str, id: &str) -> Result<Event> {
        let snapshot = archives().await?.snapshot_of(&Lock::wait().await, id).await?;
        match HttpSource::resume(self.transport(url)?, snapshot).await {
            Ok(_) => Ok(Event::Held { held: true }),
            Err(error) if error.kind == ErrorKind::SnapshotGone => Ok(Event::Held { held: false }),
            Err(error) => Err(error),
        }
    }

    async fn contents(&self, url: &str, categories: Option<Vec<Category>>) -> Result<Event> {
        let source = self.open(url, categories).await?;
        let snapshot = source.snapshot().clone();
        // The answer does not depend on the farewell: a snapshot that nobody closes expires.
        let _ = source.close().await;
        let Snapshot { created, source, collections, .. } = snapshot;
        Ok(Event::Contents(Contents { created, source, collections }))
    }

    async fn open(&self, url: &str, categories: Option<Vec<Category>>) -> Result<HttpSource<Fetch>> {
        HttpSource::open(self.transport(url)?, &SnapshotRequest { categories }).await
    }

    pub(super) fn transport(&self, url: &str) -> Result<Fetch> {
        Fetch::new(url, self.signal.clone(), Rc::clone(&self.tokens))
    }
}

/// What there is in this browser.
async fn list(clean_up: bool) -> Result<Event> {
    let Some(archives) = Archives::open().await? else {
        return Ok(Event::Archives { archives: Vec::new(), interrupted: Vec::new() });
    };
    let lock = Lock::wait().await;
    let interrupted = archives.interrupted(&lock).await?;
    if clean_up {
        archives.remove_old(&lock).await?;
        archives.remove_leftovers(&lock, &interrupted).await?;
    }
    Ok(Event::Archives { archives: archives.list(&lock).await?, interrupted })
}

/// What an archive holds. Its manifest with all the attachments does not travel: the archive has it.
fn contents(manifest: Manifest) -> Contents {
    let collections = manifest.summaries();
    Contents { created: manifest.created, source: manifest.source, collections }
}

/// An archive that the server keeps.
fn on_server(id: String, archive: JobArchive) -> Archive {
    let JobArchive { name, created, finished, size, sha256, documents, attachments, business, .. } = archive;
    let place = Place::Server;
    Archive { id, name, place, created, finished, size, sha256, documents, attachments, business }
}

/// The archive beside a command.
pub(super) fn open_file(file: Option<Blob>) -> Result<BackupReader<Paged<Given>>> {
    BackupReader::open_with(given(None, file)?, limits())
}

/// What is on a server or, without that, beside a command.
pub(super) fn given(remote: Option<RemoteFile>, file: Option<Blob>) -> Result<Paged<Given>> {
    let missing = || Error::new(ErrorKind::BadArgument, "not a file");
    Ok(Paged::new(match remote {
        Some(remote) => Given::Ranges(Ranges::new(remote)),
        None => Given::Blob(BlobSource::new(file.ok_or_else(missing)?)?),
    }))
}

/// What a browser allows an archive.
pub(super) fn limits() -> Limits {
    Limits { lines_bytes: MAX_LINES_BYTES, ..Limits::default() }
}

async fn archives() -> Result<Archives> {
    let missing = || Error::new(ErrorKind::NoStorage, "the browser gives this page no file system");
    Archives::open().await?.ok_or_else(missing)
}

/// Tells the page that the job has failed.
fn failed(Failure { error, interrupted, data }: Failure) {
    post(&Event::Failed { error, interrupted, data: data.map(|data| *data) }, None);
}

/// Posts an event to the page, with a file beside it.
pub(super) fn post(event: &Event, file: Option<&File>) {
    let message = Object::new();
    let sent = js::to_js(event).map_err(js::thrown).and_then(|event| {
        Reflect::set(&message, &"event".into(), &event)?;
        if let Some(file) = file {
            Reflect::set(&message, &"file".into(), file)?;
        }
        let scope = js::scope().map_err(js::thrown)?;
        scope.post_message(&message)
    });
    // Where posting fails there is nobody left to tell.
    let _ = sent;
}

/// Tells the page something that the person should know.
pub(super) fn notice(notice: Notice) {
    post(&Event::Notice { notice }, None);
}

/// The page's logins, asked for by message.
#[derive(Debug, Default)]
pub(super) struct Tokens(RefCell<Vec<oneshot::Sender<Result<String>>>>);

impl Tokens {
    /// A token that is not the rejected one.
    pub(super) async fn ask(&self, rejected: Option<&str>) -> Result<String> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().push(sender);
        post(&Event::NeedToken { rejected: rejected.map(str::to_owned) }, None);
        receiver.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unauthorized, "no login")))
    }

    fn answer(&self, answer: Result<String>) {
        for waiting in self.0.take() {
            // Whoever no longer waits needs no token.
            let _ = waiting.send(answer.clone());
        }
    }
}
