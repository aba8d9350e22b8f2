//! Jobs: straight-line async code over a few small traits, the same in the browser, in the command line and in the
//! server. Nothing here knows a runtime, a clock or a source of randomness: whoever calls brings a [`Source`] (or a
//! [`Transport`](transport::Transport) for [`HttpSource`](http::HttpSource)), an [`Encoder`] and a [`Watch`].
//!
//! ```
//! use dikas_archive::api::SnapshotRequest;
//! use dikas_archive::error::Result;
//! use dikas_archive::job::InlineEncoder;
//! use dikas_archive::job::backup::{Options, Outcome, backup};
//! use dikas_archive::job::http::HttpSource;
//! use dikas_archive::job::transport::Transport;
//! use std::fs::File;
//!
//! async fn save(server: &impl Transport, file: &mut File) -> Result<Outcome> {
//!     let open = async || HttpSource::open(server, &SnapshotRequest::default()).await;
//!     backup(open, &InlineEncoder, file, &Options::default(), &()).await
//! }
//! ```

pub mod backup;
pub mod client;
pub mod http;
pub mod pool;
mod queue;
mod refusal;
pub mod remote;
pub mod restore;
pub mod resume;
pub mod session;
#[cfg(not(target_arch = "wasm32"))]
pub mod threads;
pub mod transport;
mod verify;

use crate::api::{AttachmentPage, AttachmentRecord, Snapshot};
use crate::catalog::CollectionName;
use crate::codec;
use crate::digest::Sha256;
use crate::error::Result;
use crate::part::EncodedPart;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::rc::Rc;

/// Documents of one collection: whole lines, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// JSON lines; the last one ends in a line feed too.
    pub lines: Vec<u8>,
    /// How many lines.
    pub documents: u64,
    /// Where the next page goes on: the last id of this one. None on the last page.
    pub next: Option<String>,
}

/// One open snapshot: over HTTP, or of the server's own store.
#[allow(async_fn_in_trait, reason = "jobs run on one thread: no future has to be Send")]
pub trait Source {
    /// What the snapshot holds.
    fn snapshot(&self) -> &Snapshot;

    /// The documents behind `after`, at least one where there is one, in about `max_bytes` bytes.
    async fn page(&self, collection: &CollectionName, after: Option<&str>, max_bytes: u64) -> Result<Page>;

    /// The attachment records behind the cursor `after`.
    async fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage>;

    /// Bytes of a blob, from `from` on, at most `max_bytes` and at least one where there is one.
    async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> Result<Vec<u8>>;

    /// Files that are small and follow each other, the first of them at least, each whole: so that a hundred thousand need
    /// not as many calls. Whoever overrides this answers none but these, in their order.
    async fn read_files(&self, files: &[Rc<AttachmentRecord>]) -> Result<Vec<Vec<u8>>> {
        match files.first() {
            Some(first) => Ok(vec![read_file(self, first).await?]),
            None => Ok(Vec::new()),
        }
    }

    /// Lets the snapshot go.
    async fn close(self) -> Result<()>;
}

/// The bytes of a file, fewer where its end comes before what its record says.
async fn read_file(source: &(impl Source + ?Sized), file: &AttachmentRecord) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(missing) = file.size.checked_sub(bytes.len() as u64).filter(|missing| *missing > 0) {
        let more = source.read(&file.sha256, bytes.len() as u64, missing).await?;
        if more.is_empty() {
            break;
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

/// Compresses parts, on this thread or on others.
#[allow(async_fn_in_trait, reason = "jobs run on one thread: no future has to be Send")]
pub trait Encoder {
    /// How many parts may be under way at once. Together they have no more than so many times
    /// [`PART_BYTES`](crate::part::PART_BYTES), unless one alone has more.
    fn slots(&self) -> NonZeroUsize;

    /// Compresses these JSON lines and checks the result with an independent decoder.
    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart>;
}

/// Compresses on the thread that asks, one part at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct InlineEncoder;

impl Encoder for InlineEncoder {
    fn slots(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        codec::encode(&raw)
    }
}

/// Whoever looks on: shows progress, and may cancel.
#[allow(async_fn_in_trait, reason = "jobs run on one thread: no future has to be Send")]
pub trait Watch {
    /// Takes notice of how far the job is. Within one start no figure ever goes back.
    fn report(&self, progress: Progress);

    /// Gives others a turn; several may be waiting at once. An error, of kind `cancelled`, ends the job.
    async fn checkpoint(&self) -> Result<()>;
}

/// Nobody looks on.
impl Watch for () {
    fn report(&self, _: Progress) {}

    async fn checkpoint(&self) -> Result<()> {
        Ok(())
    }
}

/// What a job is doing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Asking the server for a snapshot.
    #[default]
    Open,
    /// Reading again what an interrupted run has left.
    Resume,
    /// Fetching, compressing and writing documents.
    Documents,
    /// Fetching and writing attachments.
    Attachments,
    /// Writing the manifest and the directory.
    Finish,
    /// Reading the whole archive back and comparing.
    Verify,
    /// Reading all that is to be restored, and comparing, before a server hears of it.
    Check,
    /// Sending what is to be restored to the server, where it changes nothing yet.
    Stage,
    /// Having the server compare it with what is live.
    Preview,
    /// Having the server make it live.
    Commit,
}

/// How far a job is. Bytes are those of JSON lines and attachments; in [`Phase::Verify`] and [`Phase::Check`], those of
/// the archive, which is read once entry by entry and once as a whole.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What the job is doing.
    pub phase: Phase,
    /// The collection or entry in hand.
    pub subject: Option<String>,
    /// Documents done.
    pub documents: u64,
    /// Documents in all.
    pub documents_total: u64,
    /// Attachments done.
    pub attachments: u64,
    /// Attachments in all.
    pub attachments_total: u64,
    /// Bytes done in this phase's count.
    pub bytes: u64,
    /// Bytes in all in this phase's count.
    pub bytes_total: u64,
    /// How often the job had to start over, because the server had let its snapshot go. Everything else counts from
    /// 0 again then.
    pub restarts: u32,
}
