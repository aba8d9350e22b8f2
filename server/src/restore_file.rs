//! A whole restore of one file: the same checks, session and guards as for whoever comes over the network, without a network
//! in between.

use crate::App;
use crate::auth::Principal;
use crate::clock;
use crate::failure::Failure;
use crate::store::Place;
use dikas_archive::api::archives::FileRestored;
use dikas_archive::api::restore::{CommitRequest, Pause, RestorePreview, RestoreRequest};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use dikas_archive::error::{Error, Result};
use dikas_archive::job::Watch;
use dikas_archive::job::restore::{Choice, Committed, Consent, Piece, Target, check, commit, stage};
use dikas_archive::reader::BackupReader;
use std::cell::RefCell;
use std::fmt;
use std::fs::File;

/// Nobody looks at a fresh preview: so often a commit is tried again that a till came in the way of.
const TRIES: u32 = 5;

/// What somebody wants to be restored, and agrees to.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) choice: Choice,
    /// How many signed documents may be dropped or changed.
    pub(crate) acknowledge: Option<u64>,
    /// How many files of the archive may be left out.
    pub(crate) without_files: Option<u64>,
    /// Whose backup it is, where that is another business; what it is restored into, where it does not say.
    pub(crate) business_name: Option<String>,
    /// Whether to stop before the commit.
    pub(crate) dry_run: bool,
}

/// Why nothing has changed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It lies with the file, or nobody waits any more.
    File(Error),
    /// It lies with the server, or with what somebody did not agree to.
    Server(Failure),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Server(failure) => failure.fmt(f),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Server(failure)
    }
}

/// Whoever looks on.
pub(crate) trait Onlooker: Watch {
    /// This will change.
    fn preview(&self, preview: &RestorePreview);
}

/// Checks the file, stages it, compares, and makes it live. Blocks for as long as that takes.
pub(crate) fn restore(
    app: &App,
    by: &Principal,
    wish: &Wish,
    file: File,
    onlooker: &impl Onlooker,
) -> Result<FileRestored, Refused> {
    futures::executor::block_on(async {
        let mut archive = BackupReader::open(file)?;
        let stem = archive.manifest()?.map(|manifest| clock::file_name(&manifest.created));
        let name = format!("{}.zip", stem.as_deref().unwrap_or("backup"));
        let plan = check(&mut archive, &name, &wish.choice, onlooker).await?;
        let request = plan.request(wish.business_name.as_deref())?;
        // No key: whoever sends the same file a second time meanwhile shall not share the session of the first.
        let session = Session::begin(app, by, RestoreRequest { key: None, ..request })?;
        let staged = stage(&mut archive, &plan, &session, onlooker).await;
        let mut preview = staged.map_err(|error| session.refused(error))?;
        let left_out: Vec<Error> = plan.left_out().iter().cloned().collect();
        let mut tries = 0;
        loop {
            onlooker.preview(&preview);
            if wish.dry_run {
                return Ok(FileRestored { preview, outcome: None, left_out });
            }
            let consent = Consent {
                acknowledge_signed: wish.acknowledge,
                acknowledge_files_left_out: wish.without_files,
                ..Consent::to(&preview)
            };
            tries += 1;
            match commit(&session, &consent, onlooker).await.map_err(|error| session.refused(error)) {
                Ok(Committed::Done { outcome }) => {
                    return Ok(FileRestored { preview, outcome: Some(outcome), left_out });
                }
                Ok(_) => return Err(Failure::internal("a commit that ended in no way that it can").into()),
                Err(Refused::Server(failure)) if failure.code() == "live-changed" && tries < TRIES => {
                    preview = session.preview().await.map_err(|error| session.refused(error))?;
                }
                Err(refused) => return Err(refused),
            }
        }
    })
}

/// A session of the store. Dropped before its commit, it leaves nothing.
struct Session<'a> {
    app: &'a App,
    by: &'a Principal,
    id: String,
    /// What the store said when it last refused something.
    refusal: RefCell<Option<Failure>>,
}

impl<'a> Session<'a> {
    fn begin(app: &'a App, by: &'a Principal, request: RestoreRequest) -> Result<Self, Failure> {
        let id = app.restores.begin(&by.owner, &by.name, request)?.id;
        Ok(Self { app, by, id, refusal: RefCell::default() })
    }

    /// Keeps the failure, for an error says less.
    fn note<T>(&self, result: crate::failure::Result<T>) -> Result<T> {
        result.map_err(|failure| {
            let error = failure.as_error();
            self.refusal.replace(Some(failure));
            error
        })
    }

    /// Ends the session, unless it has ended.
    fn end(&self) -> Result<(), Failure> {
        match self.app.restores.abort(&self.id, &self.by.name) {
            Err(failure) if failure.code() == "restore-gone" => Ok(()),
            ended => ended,
        }
    }

    /// Who is to blame for an error.
    fn refused(&self, error: Error) -> Refused {
        self.refusal.take().map_or(Refused::File(error), Refused::Server)
    }
}

impl Target for Session<'_> {
    async fn documents(&self, collection: &CollectionName, number: u64, lines: Vec<u8>) -> Result<()> {
        let (restores, owner) = (&self.app.restores, &self.by.owner);
        self.note(restores.stage_documents(&self.id, owner, collection, number, &lines))?;
        Ok(())
    }

    async fn attachments(&self, number: u64, records: Vec<u8>) -> Result<()> {
        let (restores, owner) = (&self.app.restores, &self.by.owner);
        self.note(restores.stage_attachments(&self.id, owner, number, &records))?;
        Ok(())
    }

    async fn missing(&self, blobs: &[Sha256]) -> Result<Vec<Sha256>> {
        self.note(self.app.restores.missing_blobs(&self.id, &self.by.owner, blobs))
    }

    async fn blob(&self, sha256: &Sha256, piece: Piece) -> Result<()> {
        let (app, owner) = (self.app, &self.by.owner);
        if piece.size == 0 {
            self.note(app.store.blobs().put(&[]))?;
            return Ok(());
        }
        let Piece { from, size, bytes } = piece;
        let (place, limit) = (Place { from, size }, app.limits.attachment_bytes);
        self.note(app.restores.stage_piece(&self.id, owner, sha256, place, limit, &bytes))?;
        Ok(())
    }

    async fn preview(&self) -> Result<RestorePreview> {
        self.note(self.app.restores.preview(&self.id, &self.by.owner))
    }

    async fn pause(&self) -> Result<Pause> {
        self.note(self.app.restores.pause(&self.id, &self.by.owner))
    }

    async fn commit(&self, request: &CommitRequest) -> Result<Committed> {
        let outcome = self.note(self.app.restores.commit(&self.id, &self.by.owner, *request))?;
        Ok(Committed::Done { outcome })
    }

    async fn abort(&self) -> Result<()> {
        self.end().map_err(|failure| failure.as_error())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // One that was committed is gone; one that cannot be aborted expires.
        if let Err(failure) = self.end() {
            tracing::warn!("a restore that ended early is still open: {failure}");
        }
        self.app.clean_soon();
    }
}
