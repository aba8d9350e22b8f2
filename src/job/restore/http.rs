//! A restore session over HTTP. All that is sent can be sent again, so a lost answer costs a repetition and nothing else;
//! one to a commit is asked for by the session's secret.

use super::sessions::{self, check_open, refused_with_preview};
use super::{Committed, Piece, Target};
use crate::api::restore::{
    BatchStaged, BlobsQuestion, CommitRequest, ForeignBackup, MissingBlobs, Pause, RestoreBegun,
    RestorePreview, RestoreRequest, RestoreSession, RunningRestore,
};
use crate::api::{CRC32_HEADER, NDJSON};
use crate::catalog::CollectionName;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::job::client::{BAD_ANSWERS, Client, Patience, Refused, bad_answer, data};
use crate::job::transport::{Method, Request, Response, Transport};
use serde::{Deserialize, Serialize};

/// How long the server gets to throw a session away. One that it cannot be told about expires by itself.
const ABORT_MILLISECONDS: u64 = 5_000;

/// A body is given the time that it takes on a line this slow.
const BYTES_PER_MILLISECOND: u64 = 16;

/// A restore session of a server.
#[derive(Debug)]
pub struct HttpTarget<T> {
    client: Client<T>,
    begun: RestoreBegun,
}

/// Why a server opened no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOpened {
    /// What went wrong.
    pub error: Error,
    /// What stands in the way, where a person can do something about it.
    pub obstacle: Option<Box<Obstacle>>,
}

/// What stands in the way of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Obstacle {
    /// The backup is of another installation, or does not say of which: a business name has to be typed.
    Foreign {
        /// Both names.
        names: ForeignBackup,
    },
    /// Another session is open: it can be waited for, or aborted.
    Running {
        /// Whose it is.
        session: RunningRestore,
    },
}

impl From<NotOpened> for Error {
    fn from(refused: NotOpened) -> Self {
        refused.error
    }
}

impl<T: Transport> HttpTarget<T> {
    /// Opens a session, or finds the one that is open for the same request.
    ///
    /// # Errors
    /// `foreign-backup`, `unknown-origin` and `restore-running`, with what stands in the way; `server-full`; those of
    /// [`client::send`](crate::job::client::send), here and in every method of [`Target`].
    pub async fn open(transport: T, request: &RestoreRequest) -> Result<Self, NotOpened> {
        let client = Client::new(transport);
        match begin(&client, request).await {
            Ok(begun) => Ok(Self { client, begun }),
            Err(refused) => Err(NotOpened::of(refused)),
        }
    }

    /// Id and secret of the session: with these [`sessions::ended`] tells how it ended, whatever became of the login.
    pub fn session(&self) -> &RestoreBegun {
        &self.begun
    }

    fn path(&self, rest: &str) -> String {
        sessions::path(&self.begun.id, rest)
    }

    /// Sends a body, again where it arrives garbled.
    async fn put(&self, mut request: Request, accept: impl Fn(Response) -> Result<()>) -> Result<()> {
        // Until all of it has left, nothing can come back.
        request.idle_milliseconds += request.body.len() as u64 / BYTES_PER_MILLISECOND;
        request.total_milliseconds = request.total_milliseconds.max(request.idle_milliseconds);
        let mut tries = BAD_ANSWERS;
        loop {
            tries -= 1;
            match self.client.ask(&mut request, &accept, Patience::of(Method::Put)).await {
                Err(refused) if tries > 0 && is_garbled(&refused.error) => {}
                sent => return sent.map_err(Error::from),
            }
        }
    }

    async fn batch(&self, path: String, number: u64, lines: Vec<u8>) -> Result<()> {
        let mut request = Request::new(Method::Put, path)
            .header("content-type", NDJSON)
            .header(CRC32_HEADER, format!("{:08x}", crc32fast::hash(&lines)));
        request.body = lines;
        let accept = |answer| match data::<BatchStaged>(answer)? {
            staged if staged.batches > number => Ok(()),
            staged => Err(bad_answer("the server has not staged a batch that it took")
                .expected(format!("more than {number} batches"), staged.batches)),
        };
        self.put(request, accept).await
    }

    /// What became of a commit that failed like this.
    async fn settle(&self, refused: Refused) -> Result<Committed, Refused> {
        use ErrorKind::{BadAnswer, Cancelled, Gateway, RestoreGone, ServerError, Unauthorized, Unreachable};
        let kind = refused.error.kind;
        let unanswered = matches!(kind, BadAnswer | Cancelled | Gateway | ServerError | Unreachable);
        if !unanswered && !matches!(kind, RestoreGone | Unauthorized) {
            return Err(refused);
        }
        let RestoreBegun { id, secret, .. } = &self.begun;
        match sessions::ended_with(&self.client, id, secret).await {
            Ok(RestoreSession { outcome: Some(outcome), .. }) => Ok(Committed::Done { outcome }),
            Ok(_) => Err(refused),
            // It is not known any more: then nothing was committed.
            Err(error) if error.kind == RestoreGone => Err(refused),
            Err(_) => Ok(Committed::Unknown { error: refused.error }),
        }
    }
}

impl<T: Transport> Target for HttpTarget<T> {
    async fn documents(&self, collection: &CollectionName, number: u64, lines: Vec<u8>) -> Result<()> {
        self.batch(self.path(&format!("/documents/{collection}/{number}")), number, lines).await
    }

    async fn attachments(&self, number: u64, records: Vec<u8>) -> Result<()> {
        self.batch(self.path(&format!("/attachments/{number}")), number, records).await
    }

    async fn missing(&self, blobs: &[Sha256]) -> Result<Vec<Sha256>> {
        let question = BlobsQuestion { sha256: blobs.to_vec() };
        let request = Request::new(Method::Post, self.path("/blobs/missing")).json(&question)?;
        let answer: MissingBlobs = self.client.call(request, data, Patience::repeatable()).await?;
        Ok(answer.missing)
    }

    async fn blob(&self, sha256: &Sha256, piece: Piece) -> Result<()> {
        let mut request = Request::new(Method::Put, self.path(&format!("/blobs/{sha256}")))
            .header("content-type", "application/octet-stream");
        // What is whole is checked by its digest.
        if !piece.is_whole() {
            request = request.query("from", &piece.from.to_string()).query("size", &piece.size.to_string());
            request = request.header(CRC32_HEADER, format!("{:08x}", crc32fast::hash(&piece.bytes)));
        }
        request.body = piece.bytes;
        self.put(request, |_| Ok(())).await
    }

    async fn preview(&self) -> Result<RestorePreview> {
        let mut request = Request::new(Method::Get, self.path("/preview"));
        request.idle_milliseconds = request.total_milliseconds;
        self.client.call(request, data, Patience::of(Method::Get)).await
    }

    async fn pause(&self) -> Result<Pause> {
        let request = Request::new(Method::Post, self.path("/pause"));
        self.client.call(request, data, Patience::repeatable()).await
    }

    async fn commit(&self, request: &CommitRequest) -> Result<Committed> {
        let mut request = Request::new(Method::Post, self.path("/commit")).json(request)?;
        request.idle_milliseconds = request.total_milliseconds;
        let accept = |answer| Ok(Committed::Done { outcome: data(answer)? });
        // A commit that replaces users voids this login: then the secret tells, and nobody has to log in for that.
        let mut asked = self.client.ask_once(&mut request, accept, Patience::repeatable()).await;
        if let Err(refused) = asked {
            asked = self.settle(refused).await;
        }
        if asked.as_ref().is_err_and(|refused| refused.error.kind == ErrorKind::Unauthorized) {
            asked = self.client.ask(&mut request, accept, Patience::repeatable()).await;
        }
        asked.or_else(refused_with_preview)
    }

    async fn abort(&self) -> Result<()> {
        let mut request = Request::new(Method::Delete, self.path(""));
        request.idle_milliseconds = ABORT_MILLISECONDS;
        request.total_milliseconds = ABORT_MILLISECONDS;
        match self.client.farewell(request).await {
            Err(error) if error.kind == ErrorKind::RestoreGone => Ok(()),
            result => result,
        }
    }
}

impl NotOpened {
    fn of(refused: Refused) -> Self {
        let obstacle = match refused.error.kind {
            ErrorKind::ForeignBackup | ErrorKind::UnknownOrigin => {
                refused.data().map(|names| Obstacle::Foreign { names })
            }
            ErrorKind::RestoreRunning => refused.data().map(|session| Obstacle::Running { session }),
            _ => None,
        };
        Self { error: refused.error, obstacle: obstacle.map(Box::new) }
    }
}

async fn begin<T: Transport>(client: &Client<T>, request: &RestoreRequest) -> Result<RestoreBegun, Refused> {
    let mut request = Request::new(Method::Post, "/backup/restores").json(request)?;
    // By its key the server knows a request whose answer got lost.
    client.ask(&mut request, |answer| check_open(data(answer)?), Patience::repeatable()).await
}

/// Whether the server says that a body is not what was sent.
fn is_garbled(error: &Error) -> bool {
    let bad_blob = || error.actual.as_deref().is_some_and(|code| code.ends_with(" bad-blob"));
    error.subject.as_deref() == Some(CRC32_HEADER) || bad_blob()
}
