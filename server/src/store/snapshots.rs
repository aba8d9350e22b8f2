//! Snapshots: the store as it stood at one moment, while everybody goes on writing.
//!
//! Each open snapshot is a thread with a connection of its own that holds a reading transaction. It ends when it is
//! closed, after some time without a question, after some hours in all, when its owner opens too many others, or when
//! the write-ahead log, which cannot shrink meanwhile, has grown past its limit.

use super::view::View;
use super::{Store, documents, meta, missing, position, unsigned};
use crate::clock::Clock;
use crate::failure::{Failure, Result};
use crate::{clock, random};
use dikas_archive::api::{
    AttachmentPage, AttachmentRecord, CollectionSummary, Snapshot, SnapshotRequest, SourceInfo,
};
use dikas_archive::catalog::{self, CollectionName};
use dikas_archive::digest::Sha256;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Name and version of this product, as backups carry it.
const PRODUCT: &str = "DiKAS 26.3";

/// What a business is called that has not said its name.
const NAMELESS: &str = "DiKAS";

/// How many questions to one snapshot may be under way at once.
const QUESTIONS: usize = 4;

/// When snapshots end.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// Without a first question for this long.
    pub unasked: Duration,
    /// Without a question for this long.
    pub idle: Duration,
    /// This long after it was opened.
    pub life: Duration,
    /// When the write-ahead log is larger than this, in bytes.
    pub log_bytes: u64,
    /// How many may be open at once. That of the schedule is not counted: nobody takes its place.
    pub open: usize,
    /// How many of these may belong to backup tokens, all of them together: the others are kept for people.
    pub open_tokens: usize,
    /// How many one owner may have open at once; opening one more ends the one that was not asked for the longest time.
    pub open_each: usize,
    /// Lets the transaction go at once and pages from the live tables, so that a test can show what a snapshot is for.
    #[doc(hidden)]
    pub torn: bool,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        let unasked = Duration::from_secs(60);
        let (idle, life) = (Duration::from_secs(10 * 60), Duration::from_secs(6 * 60 * 60));
        Self { unasked, idle, life, log_bytes: 2 << 30, open: 8, open_tokens: 4, open_each: 3, torn: false }
    }
}

/// Whoever opened a snapshot; nobody else can read or close it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A user, by document id.
    User(String),
    /// A backup token, by id.
    Token(String),
    /// The server itself, for its schedule.
    Schedule,
}

impl Owner {
    /// Whether it is a backup token.
    pub fn is_token(&self) -> bool {
        matches!(self, Owner::Token(_))
    }
}

/// What becomes of a question where as many are under way as a snapshot answers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is refused with 429.
    AtOnce,
    /// It waits for its turn.
    Queued,
}

/// One page of documents.
#[derive(Debug)]
pub struct DocumentPage {
    /// JSON lines, each with its line feed.
    pub lines: Vec<u8>,
    /// How many.
    pub documents: u64,
    /// The last id, where there are documents behind it.
    pub next: Option<String>,
}

/// The open snapshots of a store.
#[derive(Debug)]
pub struct Snapshots {
    store: Arc<Store>,
    options: SnapshotOptions,
    clock: Arc<dyn Clock>,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    handles: HashMap<String, Handle>,
    stopping: bool,
}

#[derive(Debug)]
struct Handle {
    owner: Owner,
    questions: mpsc::Sender<Asked>,
    under_way: Arc<Semaphore>,
    asked: Instant,
}

/// A question, and its place among those under way.
type Asked = (Question, Option<OwnedSemaphorePermit>);

enum Question {
    Describe { reply: Reply<Snapshot> },
    Page { collection: CollectionName, after: String, max_bytes: usize, reply: Reply<DocumentPage> },
    Attachments { after: Option<String>, reply: Reply<AttachmentPage> },
    Files { digests: Vec<Sha256>, reply: Reply<Vec<AttachmentRecord>> },
    Close { reply: Reply<()> },
}

type Reply<T> = oneshot::Sender<Result<T>>;

impl Snapshots {
    /// None open yet. The clock tells the moment of each.
    pub fn new(store: Arc<Store>, options: SnapshotOptions, clock: Arc<dyn Clock>) -> Self {
        Self { store, options, clock, open: Arc::default() }
    }

    /// Opens a snapshot of this moment. Blocks for as long as it takes to begin a transaction.
    ///
    /// # Errors
    /// 429 when too many are open, 503 while the write-ahead log is too large or the server stops.
    pub fn open(&self, owner: Owner, request: &SnapshotRequest) -> Result<Snapshot> {
        let id = random::hex::<16>()?;
        let (place, inbox) = self.take_place(&id, owner)?;
        let log = self.store.path.with_extension("sqlite-wal");
        if log_bytes(&log) > self.options.log_bytes / 2 {
            // While another snapshot is open this truncates nothing, and costs next to nothing.
            self.store.checkpoint()?;
            if log_bytes(&log) > self.options.log_bytes {
                return Err(Failure::unavailable(
                    "the write-ahead log is too large for another snapshot",
                    30,
                ));
            }
        }
        let connection = self.store.reader()?;
        connection.execute_batch("BEGIN")?;
        let (snapshot, generations) = self.look(&connection, &id, request)?;
        if self.options.torn {
            connection.execute_batch("COMMIT")?;
        }
        let (described, options) = (snapshot.clone(), self.options.clone());
        let view = View { connection, snapshot: described, generations, store: Arc::clone(&self.store) };
        let held = Held { view, log, options };
        std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            let end = held.answer(&inbox);
            drop((held, place));
            match end {
                End::Closed(reply) => drop(reply.send(Ok(()))),
                End::Gone(why) => tracing::info!("a snapshot ended: {why}"),
            }
        })?;
        Ok(snapshot)
    }

    /// A place among the open ones, from the same owner's where that has too many, and what is asked there.
    fn take_place(&self, id: &str, owner: Owner) -> Result<(Place, mpsc::Receiver<Asked>)> {
        let mut open = super::lock(&self.open);
        if open.stopping {
            return Err(Failure::unavailable("the server stops", 10));
        }
        let own = || open.handles.iter().filter(|(_, handle)| handle.owner == owner);
        if own().count() >= self.options.open_each {
            let idlest = own().min_by_key(|(_, handle)| handle.asked).map(|(id, _)| id.clone());
            idlest.and_then(|id| open.handles.remove(&id));
        }
        self.require_place(&open, &owner)?;
        let (questions, inbox) = mpsc::channel();
        let (under_way, asked) = (Arc::new(Semaphore::new(QUESTIONS)), Instant::now());
        open.handles.insert(id.to_owned(), Handle { owner, questions, under_way, asked });
        Ok((Place { open: Arc::clone(&self.open), id: id.to_owned() }, inbox))
    }

    /// # Errors
    /// 429 where this owner has to wait until another snapshot is closed.
    fn require_place(&self, open: &Open, owner: &Owner) -> Result<()> {
        let count =
            |counts: fn(&Owner) -> bool| open.handles.values().filter(|handle| counts(&handle.owner)).count();
        let full = match owner {
            Owner::Schedule => return Ok(()),
            Owner::Token(_) if count(Owner::is_token) >= self.options.open_tokens => {
                format!(
                    "backup tokens have {} snapshots open already, which is their share",
                    self.options.open_tokens
                )
            }
            _ if count(|owner| *owner != Owner::Schedule) >= self.options.open => {
                format!("{} snapshots are open already", self.options.open)
            }
            _ => return Ok(()),
        };
        Err(Failure::too_many(full, 30))
    }

    /// What the snapshot holds, as it was said when it was opened.
    ///
    /// # Errors
    /// `snapshot-gone`
    pub async fn describe(&self, id: &str, owner: &Owner, turn: Turn) -> Result<Snapshot> {
        self.ask(id, owner, turn, |reply| Question::Describe { reply }).await
    }

    /// The documents behind `after`, whole lines, at least one where there is one, in about `max_bytes`.
    ///
    /// # Errors
    /// `snapshot-gone`; `not-found` for a collection that the snapshot does not cover; `damaged-document`.
    pub async fn page(
        &self,
        id: &str,
        owner: &Owner,
        collection: CollectionName,
        after: Option<String>,
        max_bytes: usize,
        turn: Turn,
    ) -> Result<DocumentPage> {
        let after = after.unwrap_or_default();
        self.ask(id, owner, turn, |reply| Question::Page { collection, after, max_bytes, reply }).await
    }

    /// The attachment records behind the cursor `after`.
    ///
    /// # Errors
    /// `snapshot-gone`, `bad-request` for a cursor that is none.
    pub async fn attachments(
        &self,
        id: &str,
        owner: &Owner,
        after: Option<String>,
        turn: Turn,
    ) -> Result<AttachmentPage> {
        self.ask(id, owner, turn, |reply| Question::Attachments { after, reply }).await
    }

    /// For each of these blobs the record of a file that has it.
    ///
    /// # Errors
    /// `snapshot-gone`, `not-found`
    pub async fn files(
        &self,
        id: &str,
        owner: &Owner,
        digests: Vec<Sha256>,
        turn: Turn,
    ) -> Result<Vec<AttachmentRecord>> {
        self.ask(id, owner, turn, |reply| Question::Files { digests, reply }).await
    }

    /// Lets the snapshot go.
    ///
    /// # Errors
    /// `snapshot-gone`
    pub async fn close(&self, id: &str, owner: &Owner) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        {
            let mut open = super::lock(&self.open);
            open.handles.get(id).filter(|handle| handle.owner == *owner).ok_or_else(gone)?;
            let handle = open.handles.remove(id).ok_or_else(gone)?;
            handle.questions.send((Question::Close { reply }, None)).map_err(|_| gone())?;
        }
        answer.await.map_err(|_| gone())?
    }

    /// Whether a snapshot is open, or about to be.
    pub fn any_open(&self) -> bool {
        !super::lock(&self.open).handles.is_empty()
    }

    /// Opens no more from now on.
    pub fn open_no_more(&self) {
        super::lock(&self.open).stopping = true;
    }

    /// Lets all snapshots go, and waits a second at most until they have ended.
    pub async fn close_all(&self) {
        super::lock(&self.open).handles.clear();
        let begun = Instant::now();
        // Each open snapshot shares the list of all.
        while Arc::strong_count(&self.open) > 1 && begun.elapsed() < Duration::from_secs(1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ask<T>(
        &self,
        id: &str,
        owner: &Owner,
        turn: Turn,
        question: impl FnOnce(Reply<T>) -> Question,
    ) -> Result<T> {
        let under_way = {
            let open = super::lock(&self.open);
            let handle = open.handles.get(id).filter(|handle| handle.owner == *owner).ok_or_else(gone)?;
            Arc::clone(&handle.under_way)
        };
        let permit = match turn {
            Turn::AtOnce => under_way.try_acquire_owned().map_err(|_| {
                Failure::too_many(format!("{QUESTIONS} requests to this snapshot are under way already"), 1)
            })?,
            Turn::Queued => under_way.acquire_owned().await.map_err(|_| gone())?,
        };
        let (reply, answer) = oneshot::channel();
        {
            // Meanwhile it may have gone.
            let mut open = super::lock(&self.open);
            let handle = open.handles.get_mut(id).ok_or_else(gone)?;
            handle.asked = Instant::now();
            handle.questions.send((question(reply), Some(permit))).map_err(|_| gone())?;
        }
        answer.await.map_err(|_| gone())?
    }

    /// What the snapshot holds, and the generation of each collection that has one.
    fn look(
        &self,
        connection: &Connection,
        id: &str,
        request: &SnapshotRequest,
    ) -> Result<(Snapshot, BTreeMap<CollectionName, Option<i64>>)> {
        let position = unsigned(position(connection)?);
        let created = clock::text(self.clock.now());
        let wanted = |name: &str| match &request.categories {
            Some(categories) => categories.contains(&catalog::category_of(name)),
            None => true,
        };
        let mut found = BTreeMap::new();
        for row in catalog::COLLECTIONS {
            found.insert(row.name.parse::<CollectionName>()?, (None, [0; 4]));
        }
        let sql = "SELECT name, live, documents, bytes, attachments, attachment_bytes
                   FROM collections JOIN generations ON generations.id = live";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let counts: [i64; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
            found.insert(row.get::<_, String>(0)?.parse()?, (Some(row.get(1)?), counts));
        }
        found.retain(|name, _| wanted(name.as_str()));
        let missing = match request.without.as_slice() {
            [] => Vec::new(),
            without => missing::leave_out(connection, self.store.blobs(), without, &mut found)?,
        };
        let summary = |(name, (_, counts)): (&CollectionName, &(Option<i64>, [i64; 4]))| {
            let [documents, bytes, attachments, attachment_bytes] = counts.map(unsigned);
            let category = catalog::category_of(name.as_str());
            CollectionSummary {
                name: name.clone(),
                category,
                documents,
                bytes,
                attachments,
                attachment_bytes,
            }
        };
        let collections = found.iter().map(summary).collect();
        let source = SourceInfo {
            installation: meta::<String>(connection, "installation")?.unwrap_or_default(),
            business: business(connection).unwrap_or_else(|_| NAMELESS.to_owned()),
            product: PRODUCT.to_owned(),
            position,
        };
        let generations = found.into_iter().map(|(name, (generation, _))| (name, generation)).collect();
        Ok((Snapshot { id: id.to_owned(), created, source, collections, missing }, generations))
    }
}

/// Why a snapshot ended.
enum End {
    /// Its owner wished it, and learns when it is done.
    Closed(Reply<()>),
    /// Something else did.
    Gone(&'static str),
}

/// The open transaction of one snapshot, on its own thread.
struct Held {
    view: View,
    log: PathBuf,
    options: SnapshotOptions,
}

impl Held {
    /// Answers until the end. The inbox hangs up when the server stops, or the owner opens too many others.
    fn answer(&self, inbox: &mpsc::Receiver<Asked>) -> End {
        let opened = Instant::now();
        let (mut asked, mut idle) = (opened, self.options.idle.min(self.options.unasked));
        loop {
            if opened.elapsed() >= self.options.life {
                return End::Gone("it was open for too long");
            }
            if log_bytes(&self.log) > self.options.log_bytes {
                return End::Gone("the write-ahead log grew too large");
            }
            let idle_left = idle.saturating_sub(asked.elapsed());
            let (question, permit) = match inbox.recv_timeout(idle_left.min(Duration::from_secs(1))) {
                Ok(asked) => asked,
                Err(RecvTimeoutError::Timeout) if asked.elapsed() >= idle => {
                    return End::Gone("nobody asked for too long");
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return End::Gone("the server stops, or its owner opened too many others");
                }
            };
            match question {
                Question::Describe { reply } => send(reply, permit, Ok(self.view.snapshot.clone())),
                // Whoever asked has gone.
                Question::Page { reply, .. } if reply.is_closed() => {}
                Question::Page { collection, after, max_bytes, reply } => {
                    send(reply, permit, self.view.page(&collection, &after, max_bytes));
                }
                Question::Attachments { after, reply } => {
                    send(reply, permit, self.view.attachments(after.as_deref()));
                }
                Question::Files { digests, reply } => {
                    send(reply, permit, digests.iter().map(|digest| self.view.file(digest)).collect());
                }
                Question::Close { reply } => return End::Closed(reply),
            }
            (asked, idle) = (Instant::now(), self.options.idle);
        }
    }
}

/// One of the places for open snapshots; given back when dropped.
struct Place {
    open: Arc<Mutex<Open>>,
    id: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        super::lock(&self.open).handles.remove(&self.id);
    }
}

/// Answers a question that is under way no longer, so that whoever gets the answer may ask the next one.
fn send<T>(reply: Reply<T>, permit: Option<OwnedSemaphorePermit>, answer: Result<T>) {
    drop(permit);
    let _ = reply.send(answer);
}

fn gone() -> Failure {
    Failure::snapshot_gone("it was closed, has expired, or is not yours")
}

/// The `businessName` of the first settings document that has one.
pub(super) fn business(connection: &Connection) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Settings {
        business_name: String,
    }
    let settings = documents::documents(connection, "settings")?;
    let names = settings.iter().filter_map(|body| serde_json::from_slice::<Settings>(body).ok());
    let mut names = names.map(|settings| settings.business_name).filter(|name| !name.trim().is_empty());
    Ok(names.next().unwrap_or_else(|| NAMELESS.to_owned()))
}

fn log_bytes(log: &PathBuf) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_takes_a_few_questions_at_once_and_none_once_the_server_stops() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let snapshots = Snapshots::new(store, SnapshotOptions::default(), Arc::new(crate::SystemClock));
        let owner = Owner::User("usr_1".to_owned());
        let id = snapshots.open(owner.clone(), &SnapshotRequest::default()).unwrap().id;
        let under_way = Arc::clone(&super::super::lock(&snapshots.open).handles[&id].under_way);
        let busy = under_way.try_acquire_many(4).unwrap();
        let refused = snapshots.attachments(&id, &owner, None, Turn::AtOnce).await.unwrap_err();
        assert_eq!(refused.code(), "too-many-requests");
        let mut queued = Box::pin(snapshots.attachments(&id, &owner, None, Turn::Queued));
        assert!(futures::poll!(&mut queued).is_pending(), "it waits for its turn");
        drop(busy);
        queued.await.unwrap();
        for _ in 0..10 {
            snapshots.attachments(&id, &owner, None, Turn::AtOnce).await.unwrap();
        }
        snapshots.open_no_more();
        let refused = snapshots.open(owner.clone(), &SnapshotRequest::default()).unwrap_err();
        assert_eq!(refused.code(), "unavailable");
        snapshots.attachments(&id, &owner, None, Turn::AtOnce).await.unwrap();
        snapshots.close_all().await;
        let refused = snapshots.attachments(&id, &owner, None, Turn::AtOnce).await.unwrap_err();
        assert_eq!(refused.code(), "snapshot-gone");
        assert_eq!(Arc::strong_count(&snapshots.open), 1, "its thread has ended");
    }
}
