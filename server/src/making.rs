//! An archive straight from the store: the same job as in the browser, on the thread that calls.

use crate::failure::{Failure, Result};
use crate::store::{Owner, Snapshots, Store, Turn};
use dikas_archive::api::archives::BackupRequest;
use dikas_archive::api::restore::{ArchiveInfo, AuditAction, AuditEnd, AuditEntry};
use dikas_archive::api::{AttachmentPage, Snapshot, SnapshotRequest};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::job::backup::{Options, Outcome, backup};
use dikas_archive::job::threads::Threads;
use dikas_archive::job::{Page, Source, Watch};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most threads that compress.
const MAX_ENCODERS: usize = 4;

/// How far these threads stand behind all others, as Unix counts it: whoever sells has the cores first.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// How long a snapshot may go without a question while files are read past it.
const KEEP_ASKING: Duration = Duration::from_secs(60);

/// What an archive is of.
#[derive(Debug, Clone)]
pub(crate) enum Moment {
    /// What this covers, as it is now.
    Now(SnapshotRequest),
    /// The open snapshot with this id.
    Of(String),
}

impl TryFrom<BackupRequest> for Moment {
    type Error = Failure;

    fn try_from(request: BackupRequest) -> Result<Self> {
        match request {
            BackupRequest { categories: Some(_), snapshot: Some(_), .. } => {
                let message = "a snapshot covers what it was opened for: categories cannot be chosen besides";
                Err(Failure::bad_request(message).on("categories"))
            }
            BackupRequest { snapshot: Some(_), without, .. } if !without.is_empty() => {
                let message = "a snapshot lacks what it was opened without: nothing can be left out besides";
                Err(Failure::bad_request(message).on("without"))
            }
            BackupRequest { snapshot: Some(id), .. } => Ok(Moment::Of(id)),
            BackupRequest { categories: Some(none), .. } if none.is_empty() => {
                Err(Failure::bad_request("at least one category has to be chosen").on("categories"))
            }
            BackupRequest { categories, without, .. } => {
                Ok(Moment::Now(SnapshotRequest { categories, without }))
            }
        }
    }
}

/// Writes the archive of this snapshot and reads it back; of a new one, once, where one of its own goes meanwhile.
///
/// # Errors
/// Those of [`backup`].
pub(crate) fn write(
    first: StoreSource,
    request: &SnapshotRequest,
    file: &mut File,
    watch: &impl Watch,
) -> dikas_archive::error::Result<Outcome> {
    let (store, snapshots) = (Arc::clone(&first.store), Arc::clone(&first.snapshots));
    let (owner, id, borrowed) = (first.owner.clone(), first.snapshot.id.clone(), first.borrowed);
    let first = Cell::new(Some(first));
    let open = async || match first.take() {
        Some(first) => Ok(first),
        None if borrowed => StoreSource::of(&store, &snapshots, &owner, &id).await.map_err(error_of),
        None => StoreSource::open(&store, &snapshots, &owner, request).map_err(error_of),
    };
    let encoder = encoders()?;
    futures::executor::block_on(backup(open, &encoder, file, &Options::default(), watch))
}

/// One open snapshot of the store, without HTTP in between.
pub(crate) struct StoreSource {
    store: Arc<Store>,
    snapshots: Arc<Snapshots>,
    owner: Owner,
    snapshot: Snapshot,
    /// Whoever opened it will close it.
    borrowed: bool,
    asked: Cell<Instant>,
}

impl StoreSource {
    /// Opens a snapshot. Blocks.
    ///
    /// # Errors
    /// Those of [`Snapshots::open`].
    pub(crate) fn open(
        store: &Arc<Store>,
        snapshots: &Arc<Snapshots>,
        owner: &Owner,
        request: &SnapshotRequest,
    ) -> Result<Self> {
        let snapshot = snapshots.open(owner.clone(), request)?;
        Ok(Self::new(store, snapshots, owner, snapshot, false))
    }

    /// The owner's snapshot with this id, which stays open.
    ///
    /// # Errors
    /// `snapshot-gone`
    pub(crate) async fn of(
        store: &Arc<Store>,
        snapshots: &Arc<Snapshots>,
        owner: &Owner,
        id: &str,
    ) -> Result<Self> {
        let snapshot = snapshots.describe(id, owner, Turn::Queued).await?;
        Ok(Self::new(store, snapshots, owner, snapshot, true))
    }

    fn new(
        store: &Arc<Store>,
        snapshots: &Arc<Snapshots>,
        owner: &Owner,
        snapshot: Snapshot,
        borrowed: bool,
    ) -> Self {
        let (store, snapshots, owner) = (Arc::clone(store), Arc::clone(snapshots), owner.clone());
        Self { store, snapshots, owner, snapshot, borrowed, asked: Cell::new(Instant::now()) }
    }
}

impl Source for StoreSource {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    async fn page(
        &self,
        collection: &CollectionName,
        after: Option<&str>,
        max_bytes: u64,
    ) -> dikas_archive::error::Result<Page> {
        let (id, after) = (&self.snapshot.id, after.map(str::to_owned));
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let collection = collection.clone();
        let asked = self.snapshots.page(id, &self.owner, collection, after, max_bytes, Turn::Queued);
        let page = asked.await.map_err(error_of)?;
        Ok(Page { lines: page.lines, documents: page.documents, next: page.next })
    }

    async fn attachments(&self, after: Option<&str>) -> dikas_archive::error::Result<AttachmentPage> {
        let after = after.map(str::to_owned);
        let asked = self.snapshots.attachments(&self.snapshot.id, &self.owner, after, Turn::Queued);
        asked.await.map_err(error_of)
    }

    async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> dikas_archive::error::Result<Vec<u8>> {
        if self.asked.get().elapsed() > KEEP_ASKING {
            self.asked.set(Instant::now());
            let id = &self.snapshot.id;
            let asked = self.snapshots.files(id, &self.owner, vec![*blob], Turn::Queued);
            asked.await.map_err(error_of)?;
        }
        let (mut file, _) = self.store.blobs().read(blob).map_err(error_of)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(max_bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    async fn close(self) -> dikas_archive::error::Result<()> {
        if self.borrowed {
            return Ok(());
        }
        self.snapshots.close(&self.snapshot.id, &self.owner).await.map_err(error_of)
    }
}

/// What the audit says of an archive that was made, or was not. One that was cancelled has no error.
pub(crate) fn audit_entry(
    at: String,
    who: String,
    archive: Option<ArchiveInfo>,
    error: Option<&Error>,
) -> AuditEntry {
    let (end, error) = match error {
        None => (AuditEnd::Done, None),
        Some(error) if error.kind == ErrorKind::Cancelled => (AuditEnd::Aborted, None),
        Some(error) => (AuditEnd::Failed, Some(error.to_string())),
    };
    AuditEntry { archive, error, ..AuditEntry::new(at, who, AuditAction::Backup, end) }
}

/// A thread that compresses for each core, within reason.
fn encoders() -> dikas_archive::error::Result<Threads> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = NonZeroUsize::new(cores.min(MAX_ENCODERS)).unwrap_or(NonZeroUsize::MIN);
    let start = || {
        give_way();
        Threads::start(count)
    };
    // Threads stand where the one stands that starts them, and the one that calls stays where it is.
    let started = std::thread::scope(|scope| scope.spawn(start).join());
    started.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "no thread compresses")))
}

/// Has this thread stand behind all others.
#[cfg(target_os = "linux")]
fn give_way() {
    // Where it may not, all are equal, which is slower for them and no more.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Elsewhere a thread has no priority of its own.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// A failure of the store, as jobs tell it.
pub(crate) fn error_of(failure: Failure) -> Error {
    let kind = match failure.code() {
        "snapshot-gone" => ErrorKind::SnapshotGone,
        "no-space" => ErrorKind::NoSpace,
        "damaged-document" | "damaged-database" => return failure.as_error(),
        _ => ErrorKind::ServerError,
    };
    Error::new(kind, failure.to_string())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use dikas_archive::job::Encoder as _;
    use std::fs;
    use std::path::Path;

    #[test]
    fn threads_that_compress_stand_behind_all_others() {
        let own = || niceness(Path::new("/proc/thread-self"));
        let before = own();
        let encoders = encoders().unwrap();
        assert_eq!(own(), before);
        // A thread that has worked has its name.
        futures::executor::block_on(encoders.encode(b"{}\n".to_vec())).unwrap();
        let mut found = 0;
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            // One may end meanwhile.
            if fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "encoder") {
                assert_eq!(niceness(&task.path()), NICENESS);
                found += 1;
            }
        }
        assert!(found > 0);
    }

    fn niceness(task: &Path) -> i32 {
        let stat = fs::read_to_string(task.join("stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.split(' ').nth(16).unwrap().parse().unwrap()
    }
}
