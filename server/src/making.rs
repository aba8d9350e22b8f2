//! An archive straight from the store: the same job as in the browser, on the thread that calls.

use crate::failure::{Failure, Result};
use crate::store::{Owner, Snapshots, Store};
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

/// How long a snapshot may go without a question while files are read past it.
const KEEP_ASKING: Duration = Duration::from_secs(60);

/// Writes the archive of this snapshot and reads it back; of a new one, once, where the snapshot goes meanwhile.
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
    let owner = first.owner.clone();
    let first = Cell::new(Some(first));
    let open = async || match first.take() {
        Some(first) => Ok(first),
        None => StoreSource::open(&store, &snapshots, &owner, request).map_err(error_of),
    };
    let encoder = Threads::start(encoders())?;
    futures::executor::block_on(backup(open, &encoder, file, &Options::default(), watch))
}

/// One open snapshot of the store, without HTTP in between.
pub(crate) struct StoreSource {
    store: Arc<Store>,
    snapshots: Arc<Snapshots>,
    owner: Owner,
    snapshot: Snapshot,
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
        let (store, snapshots) = (Arc::clone(store), Arc::clone(snapshots));
        Ok(Self { store, snapshots, owner: owner.clone(), snapshot, asked: Cell::new(Instant::now()) })
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
        let page = self.snapshots.page(id, &self.owner, collection.clone(), after, max_bytes).await;
        let page = page.map_err(error_of)?;
        Ok(Page { lines: page.lines, documents: page.documents, next: page.next })
    }

    async fn attachments(&self, after: Option<&str>) -> dikas_archive::error::Result<AttachmentPage> {
        let after = after.map(str::to_owned);
        self.snapshots.attachments(&self.snapshot.id, &self.owner, after).await.map_err(error_of)
    }

    async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> dikas_archive::error::Result<Vec<u8>> {
        if self.asked.get().elapsed() > KEEP_ASKING {
            self.asked.set(Instant::now());
            self.snapshots
                .names_blobs(&self.snapshot.id, &self.owner, vec![*blob])
                .await
                .map_err(error_of)?;
        }
        let (mut file, _) = self.store.blobs().read(blob).map_err(error_of)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(max_bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    async fn close(self) -> dikas_archive::error::Result<()> {
        self.snapshots.close(&self.snapshot.id, &self.owner).await.map_err(error_of)
    }
}

/// All but one of the cores, within reason: the tills need one too.
fn encoders() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new((cores - 1).clamp(1, MAX_ENCODERS)).unwrap_or(NonZeroUsize::MIN)
}

/// A failure of the store, as jobs tell it.
pub(crate) fn error_of(failure: Failure) -> Error {
    let kind = match failure.code() {
        "snapshot-gone" => ErrorKind::SnapshotGone,
        "no-space" => ErrorKind::NoSpace,
        _ => ErrorKind::ServerError,
    };
    Error::new(kind, failure.to_string())
}
