//! Snapshots: the store as it stood at one moment, while everybody goes on writing.
//!
//! Each open snapshot is a thread with a connection of its own that holds a reading transaction. It ends when it is
//! closed, after some time without a question, after some hours in all, or when the write-ahead log, which cannot
//! shrink meanwhile, has grown past its limit.

use super::{Store, attachments, documents, meta, position, unsigned};
use crate::failure::{Failure, Result};
use crate::{clock, random};
use dikas_archive::api::{
    AttachmentPage, AttachmentRecord, CollectionSummary, Snapshot, SnapshotRequest, SourceInfo,
};
use dikas_archive::catalog::{self, CollectionName};
use dikas_archive::digest::Sha256;
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Name and version of this product, as backups carry it.
const PRODUCT: &str = "DiKAS 26.3";

/// What a business is called that has not said its name.
const NAMELESS: &str = "DiKAS";

/// How many attachment records one answer holds at most.
const ATTACHMENTS_PER_PAGE: usize = 1000;

/// When snapshots end.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// Without a question for this long.
    pub idle: Duration,
    /// This long after it was opened.
    pub life: Duration,
    /// When the write-ahead log is larger than this, in bytes.
    pub log_bytes: u64,
    /// How many may be open at once.
    pub open: usize,
    /// Lets the transaction go at once and pages from the live tables, so that a test can show what a snapshot is for.
    #[doc(hidden)]
    pub torn: bool,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        let (idle, life) = (Duration::from_secs(10 * 60), Duration::from_secs(6 * 60 * 60));
        Self { idle, life, log_bytes: 2 << 30, open: 8, torn: false }
    }
}

/// Whoever opened a snapshot; nobody else can read or close it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A user, by document id.
    User(String),
    /// A backup token, by id.
    Token(String),
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
    handles: Arc<Mutex<HashMap<String, Handle>>>,
    open: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Handle {
    owner: Owner,
    questions: mpsc::Sender<Question>,
}

enum Question {
    Page { collection: CollectionName, after: String, max_bytes: usize, reply: Reply<DocumentPage> },
    Attachments { after: Option<String>, reply: Reply<AttachmentPage> },
    Blob { digest: Sha256, reply: Reply<()> },
    Close { reply: Reply<()> },
}

type Reply<T> = oneshot::Sender<Result<T>>;

impl Snapshots {
    /// None open yet.
    pub fn new(store: Arc<Store>, options: SnapshotOptions) -> Self {
        Self { store, options, handles: Arc::default(), open: Arc::default() }
    }

    /// Opens a snapshot of this moment. Blocks for as long as it takes to begin a transaction.
    ///
    /// # Errors
    /// 429 when too many are open, 503 while the write-ahead log is too large.
    pub fn open(&self, owner: Owner, request: &SnapshotRequest) -> Result<Snapshot> {
        let slot = Slot::take(&self.open, self.options.open)?;
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
        let id = random::hex::<16>()?;
        let (snapshot, generations) = self.describe(&connection, &id, request)?;
        if self.options.torn {
            connection.execute_batch("COMMIT")?;
        }
        let (questions, inbox) = mpsc::channel();
        super::lock(&self.handles).insert(id.clone(), Handle { owner, questions });
        let held = Held { id: id.clone(), connection, generations, log, options: self.options.clone() };
        let handles = Arc::clone(&self.handles);
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            let end = held.answer(&inbox);
            super::lock(&handles).remove(&held.id);
            drop((held, slot));
            match end {
                End::Closed(reply) => drop(reply.send(Ok(()))),
                End::Gone(why) => tracing::info!("a snapshot ended: {why}"),
            }
        });
        if let Err(error) = thread {
            super::lock(&self.handles).remove(&id);
            return Err(error.into());
        }
        Ok(snapshot)
    }

    /// The documents behind `after`, whole lines, at least one where there is one, in about `max_bytes`.
    ///
    /// # Errors
    /// `snapshot-gone`; `not-found` for a collection that the snapshot does not cover.
    pub async fn page(
        &self,
        id: &str,
        owner: &Owner,
        collection: CollectionName,
        after: Option<String>,
        max_bytes: usize,
    ) -> Result<DocumentPage> {
        let after = after.unwrap_or_default();
        self.ask(id, owner, |reply| Question::Page { collection, after, max_bytes, reply }).await
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
    ) -> Result<AttachmentPage> {
        self.ask(id, owner, |reply| Question::Attachments { after, reply }).await
    }

    /// Whether the snapshot names this blob.
    ///
    /// # Errors
    /// `snapshot-gone`, `not-found`
    pub async fn names_blob(&self, id: &str, owner: &Owner, digest: Sha256) -> Result<()> {
        self.ask(id, owner, |reply| Question::Blob { digest, reply }).await
    }

    /// Lets the snapshot go.
    ///
    /// # Errors
    /// `snapshot-gone`
    pub async fn close(&self, id: &str, owner: &Owner) -> Result<()> {
        self.ask(id, owner, |reply| Question::Close { reply }).await
    }

    /// Lets all snapshots go.
    pub fn close_all(&self) {
        super::lock(&self.handles).clear();
    }

    async fn ask<T>(
        &self,
        id: &str,
        owner: &Owner,
        question: impl FnOnce(Reply<T>) -> Question,
    ) -> Result<T> {
        let gone = || Failure::snapshot_gone("it was closed, has expired, or is not yours");
        let (reply, answer) = oneshot::channel();
        {
            let handles = super::lock(&self.handles);
            let handle = handles.get(id).filter(|handle| handle.owner == *owner).ok_or_else(gone)?;
            handle.questions.send(question(reply)).map_err(|_| gone())?;
        }
        answer.await.map_err(|_| gone())?
    }

    /// What the snapshot holds, and the generation of each collection that has one.
    fn describe(
        &self,
        connection: &Connection,
        id: &str,
        request: &SnapshotRequest,
    ) -> Result<(Snapshot, BTreeMap<CollectionName, Option<i64>>)> {
        let position = unsigned(position(connection)?);
        let created = clock::now();
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
            business: business(connection)?,
            product: PRODUCT.to_owned(),
            position,
        };
        let generations = found.into_iter().map(|(name, (generation, _))| (name, generation)).collect();
        Ok((Snapshot { id: id.to_owned(), created, source, collections }, generations))
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
    id: String,
    connection: Connection,
    generations: BTreeMap<CollectionName, Option<i64>>,
    log: PathBuf,
    options: SnapshotOptions,
}

impl Held {
    /// Answers until the end. The inbox hangs up when the server stops.
    fn answer(&self, inbox: &mpsc::Receiver<Question>) -> End {
        let opened = Instant::now();
        let mut asked = opened;
        loop {
            if opened.elapsed() >= self.options.life {
                return End::Gone("it was open for too long");
            }
            if log_bytes(&self.log) > self.options.log_bytes {
                return End::Gone("the write-ahead log grew too large");
            }
            let idle_left = self.options.idle.saturating_sub(asked.elapsed());
            match inbox.recv_timeout(idle_left.min(Duration::from_secs(1))) {
                Ok(Question::Page { collection, after, max_bytes, reply }) => {
                    let _ = reply.send(self.page(&collection, &after, max_bytes));
                }
                Ok(Question::Attachments { after, reply }) => {
                    let _ = reply.send(self.attachments(after.as_deref()));
                }
                Ok(Question::Blob { digest, reply }) => {
                    let _ = reply.send(self.names_blob(&digest));
                }
                Ok(Question::Close { reply }) => return End::Closed(reply),
                Err(RecvTimeoutError::Timeout) if asked.elapsed() >= self.options.idle => {
                    return End::Gone("nobody asked for too long");
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return End::Gone("the server stops"),
            }
            asked = Instant::now();
        }
    }

    fn page(&self, collection: &CollectionName, after: &str, max_bytes: usize) -> Result<DocumentPage> {
        let generation = self.generations.get(collection).ok_or_else(|| {
            Failure::not_found("the snapshot does not cover this collection").on(collection.as_str())
        })?;
        let mut page = DocumentPage { lines: Vec::new(), documents: 0, next: None };
        let Some(generation) = generation else { return Ok(page) };
        let sql = "SELECT id, body FROM documents WHERE generation = ?1 AND id > ?2 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((generation, after))?;
        let mut last = String::new();
        while let Some(row) = rows.next()? {
            let body = row.get_ref(1)?.as_blob().map_err(Failure::internal)?;
            if page.documents > 0 && page.lines.len() + body.len() + 1 > max_bytes {
                page.next = Some(last);
                break;
            }
            page.lines.extend_from_slice(body);
            page.lines.push(b'\n');
            page.documents += 1;
            last.clear();
            last.push_str(row.get_ref(0)?.as_str().map_err(Failure::internal)?);
        }
        Ok(page)
    }

    fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
        let cursor = match after {
            Some(after) => serde_json::from_str::<(CollectionName, String, String)>(after)
                .map(Some)
                .map_err(|_| Failure::bad_request("not a cursor of this list").on("after"))?,
            None => None,
        };
        let sql = format!(
            "SELECT {} FROM attachments WHERE generation = ?1 AND (document_id, name) > (?2, ?3)
             ORDER BY document_id, name LIMIT ?4",
            attachments::COLUMNS
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found: Vec<AttachmentRecord> = Vec::new();
        for (collection, generation) in &self.generations {
            let (id, name) = match &cursor {
                Some((passed, ..)) if collection < passed => continue,
                Some((passed, id, name)) if collection == passed => (id.as_str(), name.as_str()),
                _ => ("", ""),
            };
            // One more than fits tells whether there is another page.
            let room = ATTACHMENTS_PER_PAGE + 1 - found.len();
            let mut rows = statement.query((generation, id, name, i64::try_from(room).unwrap_or(0)))?;
            while let Some(row) = rows.next()? {
                found.push(attachments::record(collection, row)?);
            }
        }
        let more = found.len() > ATTACHMENTS_PER_PAGE;
        found.truncate(ATTACHMENTS_PER_PAGE);
        let next = match found.last() {
            Some(last) if more => {
                let cursor = (&last.collection, &last.id, &last.name);
                Some(serde_json::to_string(&cursor).map_err(Failure::internal)?)
            }
            _ => None,
        };
        Ok(AttachmentPage { attachments: found, next })
    }

    fn names_blob(&self, digest: &Sha256) -> Result<()> {
        let sql = "SELECT 1 FROM attachments WHERE sha256 = ?1 AND generation = ?2 LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let digits = digest.to_string();
        for generation in self.generations.values().flatten() {
            let found: Option<i64> =
                statement.query_row((&digits, generation), |row| row.get(0)).optional()?;
            if found.is_some() {
                return Ok(());
            }
        }
        Err(Failure::not_found("the snapshot names no such blob").on(digits))
    }
}

/// One of the places for open snapshots; given back when dropped.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>, most: usize) -> Result<Self> {
        let slot = Self(Arc::clone(open));
        if open.fetch_add(1, Ordering::AcqRel) >= most {
            return Err(Failure::too_many(format!("{most} snapshots are open already"), 30));
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The `businessName` of the first settings document that has one.
fn business(connection: &Connection) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Settings {
        business_name: String,
    }
    let settings = documents::documents(connection, "settings")?;
    let mut names = settings.iter().filter_map(|body| serde_json::from_slice::<Settings>(body).ok());
    Ok(names.next().map_or_else(|| NAMELESS.to_owned(), |settings| settings.business_name))
}

fn log_bytes(log: &PathBuf) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}
