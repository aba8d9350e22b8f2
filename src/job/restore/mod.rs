//! The restore: archive → check → batches → preview → commit.
//!
//! ```
//! use dikas_archive::error::Result;
//! use dikas_archive::job::restore::http::HttpTarget;
//! use dikas_archive::job::restore::{Choice, Committed, Consent, check, commit, stage};
//! use dikas_archive::job::transport::Transport;
//! use dikas_archive::reader::BackupReader;
//! use std::fs::File;
//!
//! async fn put_back(server: &impl Transport, file: File) -> Result<Committed> {
//!     let mut archive = BackupReader::open(file)?;
//!     let plan = check(&mut archive, "backup.zip", &Choice::Full, &()).await?;
//!     let session = HttpTarget::open(server, &plan.request(None)?).await?;
//!     let preview = stage(&mut archive, &plan, &session, &()).await?;
//!     // Here a person looks at the preview, and says yes.
//!     commit(&session, &Consent::to(&preview), &()).await
//! }
//! ```

mod batch;
mod check;
mod files;
mod flight;
pub mod http;
mod read;
pub mod sessions;
mod stage;

pub use check::check;
pub use stage::stage;

use super::backup::Meter;
use super::{Phase, Watch};
use crate::api::restore::{
    AnnouncedAttachments, AnnouncedCollection, ArchiveInfo, CommitRequest, Pause, RestoreMode,
    RestoreOutcome, RestorePreview, RestoreRequest,
};
use crate::catalog::{self, COLLECTIONS, Category, CollectionName};
use crate::damage::Missing;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::problems::Problems;
use files::StagedFile;
use read::Group;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What shall be restored, and what becomes of the documents that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Choice {
    /// Every collection that the backup covers becomes what it was.
    Full,
    /// These alone, each of which the backup has to cover.
    Selected {
        /// Categories: as much of each as the backup covers.
        categories: Vec<Category>,
        /// Single collections.
        collections: Vec<CollectionName>,
        /// What becomes of the documents that are there.
        manner: Manner,
    },
}

/// What a selective restore makes of the documents that are there. Signed collections only ever gain documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// The chosen collections become what the backup holds.
    Identical,
    /// Documents of the backup are added or take the place of those with their ids; all others stay.
    Update,
}

impl Choice {
    /// As the server calls it.
    pub fn mode(&self) -> RestoreMode {
        match self {
            Choice::Full => RestoreMode::Full,
            Choice::Selected { manner: Manner::Identical, .. } => RestoreMode::Identical,
            Choice::Selected { manner: Manner::Update, .. } => RestoreMode::Update,
        }
    }
}

/// The collections that a choice names, whatever a backup covers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Chosen {
    All,
    Only(BTreeSet<CollectionName>),
}

impl Chosen {
    /// What DiKAS does not know is restored with all else or not at all: nobody can say what belongs to it.
    fn of(choice: &Choice) -> Result<Self> {
        let Choice::Selected { categories, collections, .. } = choice else { return Ok(Self::All) };
        let refuse = |message, of: &str| Err(Error::new(ErrorKind::BadArgument, message).on(of));
        if categories.contains(&Category::Other) {
            return refuse("this is restored with a full restore only", Category::Other.as_str());
        }
        if let Some(unknown) = collections.iter().find(|name| catalog::collection(name.as_str()).is_none()) {
            return refuse("DiKAS knows no such collection", unknown.as_str());
        }
        if categories.is_empty() && collections.is_empty() {
            return refuse("nothing was chosen", "choice");
        }
        let rows = COLLECTIONS.iter().filter(|row| categories.contains(&row.category));
        let mut chosen = rows.map(|row| row.name.parse()).collect::<Result<BTreeSet<_>>>()?;
        chosen.extend(collections.iter().cloned());
        Ok(Self::Only(chosen))
    }

    fn has(&self, collection: &CollectionName) -> bool {
        match self {
            Chosen::All => true,
            Chosen::Only(names) => names.contains(collection),
        }
    }
}

/// An archive that was read and found sound, as far as it was chosen, and what a restore of it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    archive: ArchiveInfo,
    mode: RestoreMode,
    collections: Vec<AnnouncedCollection>,
    attachments: AnnouncedAttachments,
    chosen: Chosen,
    groups: Vec<Group>,
    files: Vec<StagedFile>,
    missing: Vec<Missing>,
    left_out: Problems,
    problems: Problems,
}

impl Plan {
    /// The archive, its digest included.
    pub fn archive(&self) -> &ArchiveInfo {
        &self.archive
    }

    /// Every collection that the restore is about, empty ones included, in the order of their names as bytes.
    pub fn collections(&self) -> &[AnnouncedCollection] {
        &self.collections
    }

    /// How many attachments will be restored, and their bytes.
    pub fn attachments(&self) -> &AnnouncedAttachments {
        &self.attachments
    }

    /// What was damaged when the backup was made, and is missing in it; of what was chosen.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Files of the archive that will not be restored though they concern what was chosen, each with the reason.
    pub fn left_out(&self) -> &Problems {
        &self.left_out
    }

    /// What is damaged, but concerns only what was not chosen.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// What to open a session with. `business_name` is what a person typed, for a server that has refused with
    /// `foreign-backup` or `unknown-origin`.
    ///
    /// Its key follows from all that it says: whoever asks again for the same, be it in another process with the same
    /// file, finds the session that is still open, and may send everything once more.
    ///
    /// # Errors
    /// `internal`: it can always be written.
    pub fn request(&self, business_name: Option<&str>) -> Result<RestoreRequest> {
        let mut request = RestoreRequest {
            key: None,
            archive: self.archive.clone(),
            business_name: business_name.map(str::to_owned),
            mode: self.mode,
            collections: self.collections.clone(),
            attachments: self.attachments.clone(),
            missing: self.missing.clone(),
        };
        let all = serde_json::to_vec(&request);
        let all = all.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        request.key = Some(format!("{:032x}", Sha256::of(&all).short()));
        Ok(request)
    }
}

/// One restore session: over HTTP, or a store's own. Batches of a collection come in their order, each may come again.
#[allow(async_fn_in_trait, reason = "jobs run on one thread: no future has to be Send")]
pub trait Target {
    /// Stages a batch of documents: whole JSON lines. Numbers count from 0.
    async fn documents(&self, collection: &CollectionName, number: u64, lines: Vec<u8>) -> Result<()>;

    /// Stages a batch of attachment records, one per line.
    async fn attachments(&self, number: u64, records: Vec<u8>) -> Result<()>;

    /// Those of these files, at most [`MISSING_BLOBS`](crate::api::restore::MISSING_BLOBS), that are not there yet.
    async fn missing(&self, blobs: &[Sha256]) -> Result<Vec<Sha256>>;

    /// Brings a file, or a piece of it; pieces come in their order, and each may come again.
    async fn blob(&self, sha256: &Sha256, piece: Piece) -> Result<()>;

    /// What a commit would change.
    async fn preview(&self) -> Result<RestorePreview>;

    /// Lets nobody write until the commit, for some seconds.
    async fn pause(&self) -> Result<Pause>;

    /// Makes all of it live, or nothing.
    async fn commit(&self, request: &CommitRequest) -> Result<Committed>;

    /// Throws away what is staged. One that has ended already counts as aborted.
    async fn abort(&self) -> Result<()>;
}

/// Bytes of a file: all of them, or at most [`PIECE_BYTES`](crate::api::restore::PIECE_BYTES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where in the file it begins.
    pub from: u64,
    /// How many bytes the file has.
    pub size: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Whether it is the whole file.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum Committed {
    /// All of it is live.
    Done {
        /// What has changed.
        outcome: RestoreOutcome,
    },
    /// Nothing has changed: what would be dropped or overwritten is not what the preview showed.
    LiveChanged {
        /// A fresh one.
        preview: RestorePreview,
    },
    /// Nothing has changed: the number of signed documents that would be dropped or changed was not stated.
    SignedLoss {
        /// A fresh one, with the number.
        preview: RestorePreview,
    },
    /// Nothing has changed: the number of files that the restore leaves out was not stated.
    FilesLeftOut {
        /// A fresh one, with the number.
        preview: RestorePreview,
    },
    /// Nobody knows: the answer got lost, and the server cannot be asked. [`sessions::ended`] will tell, within a day.
    Unknown {
        /// What came instead of the answer.
        error: Error,
    },
}

/// What a person agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// [`RestorePreview::seq`] of the preview that the person has seen.
    pub seq: u64,
    /// How many signed documents may be dropped or changed; null where nothing was said about that.
    pub acknowledge_signed: Option<u64>,
    /// How many files of the backup may be left out; null where nothing was said about that.
    pub acknowledge_files_left_out: Option<u64>,
    /// Whether the till pauses until the commit, so that nothing can come between.
    pub pause_till: bool,
}

impl Consent {
    /// To what this preview shows, as long as no signed document is lost and no file left out.
    pub fn to(preview: &RestorePreview) -> Self {
        Self {
            seq: preview.seq,
            acknowledge_signed: None,
            acknowledge_files_left_out: None,
            pause_till: false,
        }
    }
}

/// Makes what is staged live, if it is still what the person has seen. After a refusal the session is open, and another
/// consent may follow.
///
/// # Errors
/// Those of [`Target`] and [`Watch::checkpoint`]. With `cancelled` from the checkpoint nothing has changed.
pub async fn commit(target: &impl Target, consent: &Consent, watch: &impl Watch) -> Result<Committed> {
    let meter = Meter::new(watch, 0);
    meter.enter(Phase::Commit).await?;
    if consent.pause_till {
        target.pause().await?;
    }
    let Consent { seq, acknowledge_signed, acknowledge_files_left_out, .. } = *consent;
    target.commit(&CommitRequest { seq, acknowledge_signed, acknowledge_files_left_out }).await
}
