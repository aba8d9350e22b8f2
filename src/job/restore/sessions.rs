//! Restores seen from outside: which one is open, how one ended, and what can be undone.

use super::Committed;
use crate::api::is_random_id;
use crate::api::restore::{
    CommitRequest, RestoreBegun, RestorePoint, RestorePreview, RestoreSession, RunningRestore, SECRET_HEADER,
};
use crate::error::{Error, ErrorKind, Result};
use crate::job::client::{Client, Patience, Refused, data};
use crate::job::transport::{Method, Request, Transport};

/// The restores of a server, for any admin.
#[derive(Debug)]
pub struct Restores<T> {
    client: Client<T>,
}

impl<T: Transport> Restores<T> {
    /// Those that this transport leads to.
    pub fn new(transport: T) -> Self {
        Self { client: Client::new(transport) }
    }

    /// The session that is open, if one is.
    ///
    /// # Errors
    /// Those of [`client::send`](crate::job::client::send), here and in every method.
    pub async fn running(&self) -> Result<Option<RunningRestore>> {
        let request = Request::new(Method::Get, "/backup/restores");
        let running: Vec<RunningRestore> = self.client.call(request, data, Patience::of(Method::Get)).await?;
        Ok(running.into_iter().next())
    }

    /// Throws away what a session has staged, whoever opened it; one that has ended counts as aborted.
    pub async fn abort(&self, id: &str) -> Result<()> {
        check_id(id)?;
        let request = Request::new(Method::Delete, path(id, ""));
        match self.client.call(request, |_| Ok(()), Patience::of(Method::Delete)).await {
            Err(error) if error.kind == ErrorKind::RestoreGone => Ok(()),
            result => result,
        }
    }

    /// What can be made live again, the newest first.
    pub async fn points(&self) -> Result<Vec<RestorePoint>> {
        let request = Request::new(Method::Get, "/backup/restore-points");
        self.client.call(request, data, Patience::of(Method::Get)).await
    }

    /// What making a restore point live would change.
    pub async fn preview_of(&self, point: &str) -> Result<RestorePreview> {
        check_id(point)?;
        let mut request = Request::new(Method::Get, format!("/backup/restore-points/{point}/preview"));
        request.idle_milliseconds = request.total_milliseconds;
        self.client.call(request, data, Patience::of(Method::Get)).await
    }

    /// Makes a restore point live, if what would change is still what the person has seen. After an answer that got lost it is
    /// sent again: the server then answers what the first one did.
    pub async fn activate(&self, point: &str, consent: &CommitRequest) -> Result<Committed> {
        check_id(point)?;
        let path = format!("/backup/restore-points/{point}/activate");
        let mut request = Request::new(Method::Post, path).json(consent)?;
        request.idle_milliseconds = request.total_milliseconds;
        let accept = |answer| Ok(Committed::Done { outcome: data(answer)? });
        self.client.ask(&mut request, accept, Patience::repeatable()).await.or_else(refused_with_preview)
    }
}

/// How a session is doing, or how it ended: with its secret alone, and no login.
///
/// # Errors
/// `restore-gone` where the server does not know it (any more); those of [`client::send`](crate::job::client::send).
pub async fn ended(transport: impl Transport, id: &str, secret: &str) -> Result<RestoreSession> {
    ended_with(&Client::new(transport), id, secret).await
}

pub(super) async fn ended_with<T: Transport>(
    client: &Client<T>,
    id: &str,
    secret: &str,
) -> Result<RestoreSession> {
    check_id(id)?;
    let request = Request::new(Method::Get, path(id, "")).header(SECRET_HEADER, secret);
    client.call_without_login(&request, data, Patience::of(Method::Get)).await
}

/// A refusal that shows what would change is no failure.
pub(super) fn refused_with_preview(refused: Refused) -> Result<Committed> {
    match (refused.error.kind, refused.data::<RestorePreview>()) {
        (ErrorKind::LiveChanged, Some(preview)) => Ok(Committed::LiveChanged { preview }),
        (ErrorKind::SignedLoss, Some(preview)) => Ok(Committed::SignedLoss { preview }),
        (ErrorKind::FilesLeftOut, Some(preview)) => Ok(Committed::FilesLeftOut { preview }),
        _ => Err(refused.error),
    }
}

pub(super) fn path(id: &str, rest: &str) -> String {
    format!("/backup/restores/{id}{rest}")
}

/// Id and secret become part of every request that follows, so they have to be what the API says.
pub(super) fn check_open(begun: RestoreBegun) -> Result<RestoreBegun> {
    check_id(&begun.id)?;
    check_id(&begun.secret)?;
    Ok(begun)
}

fn check_id(id: &str) -> Result<()> {
    if is_random_id(id) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadAnswer, "not the id of a restore")
        .expected("32 hex digits", format!("{id:?}")))
}
