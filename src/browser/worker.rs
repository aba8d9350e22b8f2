//! The worker of one job: takes a command, does it, answers with events.

use super::archives::{Archives, Lock, storage};
use super::encoder::Workers;
use super::fetch::Fetch;
use super::js;
use super::pages::Paged;
use super::protocol::{Command, Event, Found, Notice, Summary};
use super::rope::BlobSource;
use super::sink::Berth;
use super::turn::{PageWatch, Signal};
use crate::api::SnapshotRequest;
use crate::catalog::{Category, category_of};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Source;
use crate::job::backup::{Options, backup};
use crate::job::http::HttpSource;
use crate::limits::Limits;
use crate::reader::{self, BackupReader, CollectionInfo};
use futures::channel::oneshot;
use js_sys::{Function, Object, Reflect};
use std::cell::RefCell;
use std::collections::BTreeMap;
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
        post(&Event::Failed { error }, None);
    }));
}

/// Makes this worker take commands. `spawn` starts an encoding worker: `() => Promise<Worker>`.
#[wasm_bindgen]
pub fn start(spawn: Function) -> Result<(), JsValue> {
    let job = Rc::new(Job { signal: Signal::default(), tokens: Rc::default(), spawn });
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
                let file = js::property(&data, "file").dyn_into().ok();
                spawn_local(async move {
                    match job.run(command, file).await {
                        Ok((event, file)) => post(&event, file.as_ref()),
                        Err(error) => post(&Event::Failed { error }, None),
                    }
                });
            }
            Err(error) => post(&Event::Failed { error }, None),
        }
    });
    let scope = js::scope().map_err(js::thrown)?;
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The worker listens as long as it lives.
    on_message.forget();
    Ok(())
}

struct Job {
    signal: Signal,
    tokens: Rc<Tokens>,
    spawn: Function,
}

type Answer = (Event, Option<File>);

impl Job {
    async fn run(&self, command: Command, file: Option<Blob>) -> Result<Answer> {
        match command {
            Command::CreateBackup { url, categories } => self.create_backup(&url, categories).await,
            Command::Contents { url, categories } => self.contents(&url, categories).await,
            Command::OpenBackup => open_backup(file),
            Command::ListArchives { clean_up } => {
                let Some(archives) = Archives::open().await? else {
                    return Ok((Event::Archives { archives: Vec::new() }, None));
                };
                let lock = Lock::wait().await;
                if clean_up {
                    archives.remove_old(&lock).await?;
                    archives.remove_leftovers(&lock).await?;
                }
                Ok((Event::Archives { archives: archives.list(&lock).await? }, None))
            }
            Command::OpenArchive { id } => Ok((Event::ArchiveFile, Some(archives().await?.file(&id).await?))),
            Command::RemoveArchive { id } => {
                archives().await?.remove(&Lock::wait().await, &id).await?;
                Ok((Event::Removed, None))
            }
            Command::Storage => Ok((Event::Storage { storage: storage().await }, None)),
            Command::Token { .. } | Command::NoToken { .. } | Command::Cancel => {
                Err(Error::new(ErrorKind::Internal, "not a job"))
            }
        }
    }

    async fn create_backup(&self, url: &str, categories: Option<Vec<Category>>) -> Result<Answer> {
        let encoder = Workers::start(self.spawn.clone(), self.signal.clone());
        let source = self.open(url, categories.clone()).await?;
        encoder.prepare_for(source.snapshot());
        let (berth, mut out) = match Berth::prepare(source.snapshot()).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = source.close().await;
                return Err(error);
            }
        };
        let first = RefCell::new(Some(source));
        let open = async || match first.take() {
            Some(source) => Ok(source),
            None => {
                notice(Notice::StartedOver);
                self.open(url, categories.clone()).await
            }
        };
        let watch = PageWatch::new(self.signal.clone());
        let kept = match backup(open, &encoder, &mut out, &Options::default(), &watch).await {
            Ok(outcome) => {
                watch.flush();
                berth
                    .keep(out, &outcome.manifest, outcome.size, outcome.sha256)
                    .await
                    .map(|kept| (kept, outcome))
            }
            // An open file cannot be removed.
            Err(error) => {
                drop(out);
                Err(error)
            }
        };
        let ((archive, file), outcome) = match kept {
            Ok(kept) => kept,
            Err(error) => {
                berth.discard().await;
                return Err(error);
            }
        };
        if outcome.plain_parts > 0 {
            notice(Notice::PlainParts { parts: outcome.plain_parts });
        }
        Ok((Event::BackedUp { archive, manifest: outcome.manifest }, Some(file)))
    }

    async fn contents(&self, url: &str, categories: Option<Vec<Category>>) -> Result<Answer> {
        let source = self.open(url, categories).await?;
        let snapshot = source.snapshot().clone();
        // The answer does not depend on the farewell: a snapshot that nobody closes expires.
        let _ = source.close().await;
        let event = Event::Contents {
            created: snapshot.created,
            source: snapshot.source,
            collections: snapshot.collections,
        };
        Ok((event, None))
    }

    async fn open(&self, url: &str, categories: Option<Vec<Category>>) -> Result<HttpSource<Fetch>> {
        let transport = Fetch::new(url, self.signal.clone(), Rc::clone(&self.tokens))?;
        HttpSource::open(transport, &SnapshotRequest { categories }).await
    }
}

/// Looks through an archive. Where it has no manifest, that is reading all documents.
fn open_backup(file: Option<Blob>) -> Result<Answer> {
    let file = file.ok_or_else(|| Error::new(ErrorKind::BadArgument, "not a file"))?;
    let limits = Limits { lines_bytes: MAX_LINES_BYTES, ..Limits::default() };
    let mut reader = BackupReader::open_with(Paged::new(BlobSource::new(file)?), limits)?;
    let reader::Summary { collections, attachments, mut problems } = reader.summary(&mut |_| Ok(()))?;
    let manifest = match reader.manifest() {
        Ok(manifest) => manifest.cloned(),
        Err(error) => {
            problems.insert(0, error);
            None
        }
    };
    let mut found = BTreeMap::new();
    for CollectionInfo { name, category, documents, bytes, .. } in collections {
        let of_it =
            Found { name: name.clone(), category, documents, bytes, attachments: 0, attachment_bytes: 0 };
        found.insert(name, of_it);
    }
    for attachment in &attachments {
        let name = attachment.collection.as_deref().unwrap_or("other");
        let of_it = found.entry(name.to_owned()).or_insert_with(|| Found {
            name: name.to_owned(),
            category: category_of(name),
            documents: 0,
            bytes: 0,
            attachments: 0,
            attachment_bytes: 0,
        });
        of_it.attachments += 1;
        of_it.attachment_bytes += attachment.size;
    }
    let collections = found.into_values().collect();
    let summary = Summary { size: reader.length(), collections, attachments, problems };
    Ok((Event::Opened { manifest, summary }, None))
}

async fn archives() -> Result<Archives> {
    let missing = || Error::new(ErrorKind::NoStorage, "the browser gives this page no file system");
    Archives::open().await?.ok_or_else(missing)
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
