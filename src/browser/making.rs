//! Backups in a worker: made, gone on with, listed and handed over.

use super::archives::{Archives, Lock, storage};
use super::encoder::Workers;
use super::fetch::Fetch;
use super::journal::Head;
use super::protocol::{Archive, Command, Contents, Event, Item, Notice, Place, Server};
use super::sink::Draft;
use super::turn::PageWatch;
use super::worker::{Answer, Failure, Job, post};
use crate::api::{JobArchive, Snapshot, SnapshotRequest};
use crate::catalog::Category;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Source;
use crate::job::backup::{Options, backup};
use crate::job::http::HttpSource;
use crate::job::remote::Remote;
use crate::manifest::Manifest;
use std::cell::RefCell;

impl Job {
    pub(super) async fn make_backups(&self, command: Command) -> Result<Answer, Failure> {
        match command {
            Command::CreateBackup { url, categories, without, on_server: true } => {
                Ok(self.back_up_on_server(&url, &SnapshotRequest { categories, without }).await?)
            }
            Command::CreateBackup { url, categories, without, .. } => {
                self.back_up(&url, &SnapshotRequest { categories, without }).await
            }
            Command::ResumeBackup(Item { url, id }) => self.resume(&url, &id).await,
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
    async fn back_up(&self, url: &str, request: &SnapshotRequest) -> Result<Answer, Failure> {
        let encoder = Workers::start(self.spawn.clone(), self.signal.clone());
        let source = self.open(url, request).await?;
        encoder.prepare_for(source.snapshot());
        let made = match Draft::begin(source.snapshot(), request.clone()).await {
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
                Ok(self.back_up_on_server(url, request).await?)
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
        let Head { snapshot, categories, without, .. } = draft.head().clone();
        let request = SnapshotRequest { categories, without };
        let held = source.is_none().then_some(snapshot);
        let first = RefCell::new((source, held));
        let open = async || {
            let (opened, held) = first.take();
            match (opened, held) {
                (Some(source), _) => Ok(source),
                (None, Some(snapshot)) => HttpSource::resume(self.transport(url)?, snapshot).await,
                (None, None) => {
                    notice(Notice::StartedOver);
                    self.open(url, &request).await
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

    async fn back_up_on_server(&self, url: &str, request: &SnapshotRequest) -> Result<Answer> {
        let watch = PageWatch::new(self.signal.clone());
        let remote = Remote::new(self.transport(url)?);
        let (id, archive, manifest) = remote.backup(request, &watch).await?;
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
        let source = self.open(url, &SnapshotRequest { categories, without: Vec::new() }).await?;
        let snapshot = source.snapshot().clone();
        // The answer does not depend on the farewell: a snapshot that nobody closes expires.
        let _ = source.close().await;
        let Snapshot { created, source, collections, missing, .. } = snapshot;
        Ok(Event::Contents(Contents { created, source, collections, missing }))
    }

    async fn open(&self, url: &str, request: &SnapshotRequest) -> Result<HttpSource<Fetch>> {
        HttpSource::open(self.transport(url)?, request).await
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
    let Manifest { created, source, missing, .. } = manifest;
    Contents { created, source, collections, missing }
}

/// An archive that the server keeps.
fn on_server(id: String, archive: JobArchive) -> Archive {
    let JobArchive { name, created, finished, size, sha256, documents, attachments, business, .. } = archive;
    let place = Place::Server;
    Archive { id, name, place, created, finished, size, sha256, documents, attachments, business }
}

async fn archives() -> Result<Archives> {
    let missing = || Error::new(ErrorKind::NoStorage, "the browser gives this page no file system");
    Archives::open().await?.ok_or_else(missing)
}

/// Tells the page something that the person should know.
pub(super) fn notice(notice: Notice) {
    post(&Event::Notice { notice }, None);
}
