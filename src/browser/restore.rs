//! Restores in a worker. The command that prepares one leaves its session to the next, which commits it or throws it away;
//! undo needs no more than the server.

use super::fetch::Fetch;
use super::opening::open_file;
use super::protocol::{Event, Item, Refusal, RemoteFile, RestoreCommand, Server};
use super::turn::PageWatch;
use super::worker::{Failure, Job, Tokens, post};
use crate::api::restore::{CommitRequest, RestoreMode};
use crate::catalog::Category;
use crate::error::{Error, ErrorKind, Result};
use crate::job::restore::http::{HttpTarget, NotOpened, Obstacle};
use crate::job::restore::sessions::{self, Restores};
use crate::job::restore::{Choice, Committed, Consent, Manner, Target, check, commit, stage};
use crate::job::{Progress, Watch};
use std::cell::RefCell;
use std::rc::Rc;
use web_sys::Blob;

/// The session that was prepared.
pub(super) type Kept = RefCell<Option<Rc<HttpTarget<Fetch>>>>;

impl Job {
    pub(super) async fn restore(
        &self,
        command: RestoreCommand,
        file: Option<Blob>,
    ) -> Result<Event, Failure> {
        match command {
            RestoreCommand::Prepare { url, name, remote, mode, categories, collections, business_name } => {
                let choice = choice(mode, categories, collections)?;
                self.prepare(&url, &name, &choice, business_name.as_deref(), (remote, file)).await
            }
            RestoreCommand::Commit { seq, acknowledge_signed, acknowledge_files_left_out, pause_till } => {
                let watch = PageWatch::new(self.signal.clone());
                let consent = Consent { seq, acknowledge_signed, acknowledge_files_left_out, pause_till };
                ended(commit(&*self.kept()?, &consent, &watch).await?)
            }
            RestoreCommand::Abort => {
                self.kept()?.abort().await?;
                Ok(Event::Removed)
            }
            RestoreCommand::AskEnd { session: Item { url, id }, secret } => {
                let session = sessions::ended(self.transport(&url)?, &id, &secret).await?;
                Ok(Event::RestoreEnd { state: session.state, outcome: session.outcome })
            }
            RestoreCommand::Stop(Item { url, id }) => {
                self.restores(&url)?.abort(&id).await?;
                Ok(Event::Removed)
            }
            RestoreCommand::ListPoints(Server { url }) => {
                Ok(Event::RestorePoints { points: self.restores(&url)?.points().await? })
            }
            RestoreCommand::PreviewUndo(Item { url, id }) => {
                Ok(Event::Preview { preview: self.restores(&url)?.preview_of(&id).await? })
            }
            RestoreCommand::Undo { point: Item { url, id }, seq, acknowledge_signed } => {
                let consent = CommitRequest { seq, acknowledge_signed, acknowledge_files_left_out: None };
                ended(self.restores(&url)?.activate(&id, &consent).await?)
            }
        }
    }

    async fn prepare(
        &self,
        url: &str,
        name: &str,
        choice: &Choice,
        business_name: Option<&str>,
        (remote, file): (Option<RemoteFile>, Option<Blob>),
    ) -> Result<Event, Failure> {
        let watch = Reading { watch: PageWatch::new(self.signal.clone()), tokens: &self.tokens };
        let mut archive = open_file(remote, file, &self.tokens)?;
        let plan = check(&mut archive, name, choice, &watch).await?;
        let target = HttpTarget::open(self.transport(url)?, &plan.request(business_name)?).await?;
        let session = target.session();
        post(&Event::RestoreBegun { id: session.id.clone(), secret: session.secret.clone() }, None);
        let preview = stage(&mut archive, &plan, &target, &watch).await?;
        watch.watch.flush();
        self.restore.replace(Some(Rc::new(target)));
        Ok(Event::Prepared { preview, left_out: plan.left_out().iter().cloned().collect() })
    }

    fn kept(&self) -> Result<Rc<HttpTarget<Fetch>>> {
        let missing = || Error::new(ErrorKind::BadArgument, "no restore is prepared");
        self.restore.borrow().clone().ok_or_else(missing)
    }

    fn restores(&self, url: &str) -> Result<Restores<Fetch>> {
        Ok(Restores::new(self.transport(url)?))
    }
}

/// Reading takes longer than a token lives where the line is slow, and cannot wait for the next one: that is seen to in between.
struct Reading<'a> {
    watch: PageWatch,
    tokens: &'a Tokens,
}

impl Watch for Reading<'_> {
    fn report(&self, progress: Progress) {
        self.watch.report(progress);
    }

    async fn checkpoint(&self) -> Result<()> {
        self.watch.checkpoint().await?;
        self.tokens.keep_fresh().await
    }
}

fn choice(
    mode: RestoreMode,
    categories: Option<Vec<Category>>,
    collections: Option<Vec<String>>,
) -> Result<Choice> {
    let manner = match mode {
        RestoreMode::Full => return Ok(Choice::Full),
        RestoreMode::Identical => Manner::Identical,
        RestoreMode::Update => Manner::Update,
    };
    let names = collections.unwrap_or_default().into_iter().map(|name| name.parse());
    let collections = names.collect::<Result<_>>()?;
    Ok(Choice::Selected { categories: categories.unwrap_or_default(), collections, manner })
}

/// A commit that has changed nothing is a failure that brings a fresh preview.
fn ended(committed: Committed) -> Result<Event, Failure> {
    let (kind, message, preview) = match committed {
        Committed::Done { outcome } => return Ok(Event::Restored { outcome }),
        // The page asks by the session's secret how it ended, as soon as somebody answers.
        Committed::Unknown { error } => return Err(error.into()),
        Committed::LiveChanged { preview } => {
            (ErrorKind::LiveChanged, "what would be dropped or overwritten has changed", preview)
        }
        Committed::SignedLoss { preview } => (
            ErrorKind::SignedLoss,
            "the number of signed documents that would be lost was not stated",
            preview,
        ),
        Committed::FilesLeftOut { preview } => {
            (ErrorKind::FilesLeftOut, "the number of files that would be left out was not stated", preview)
        }
    };
    Err(Failure { data: Some(Box::new(Refusal::Preview(preview))), ..Error::new(kind, message).into() })
}

impl From<NotOpened> for Failure {
    fn from(refused: NotOpened) -> Self {
        let data = refused.obstacle.map(|obstacle| match *obstacle {
            Obstacle::Foreign { names } => Refusal::Foreign(names).into(),
            Obstacle::Running { session } => Refusal::Running(session).into(),
        });
        Self { data, ..refused.error.into() }
    }
}
