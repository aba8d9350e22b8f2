//! The archives in the server's backup folder.

use super::files::archive_answer;
use super::lines::lines;
use super::request::Segments;
use super::{Binary, answer};
use crate::App;
use crate::archives::Archives;
use crate::auth::Principal;
use crate::clock;
use crate::failure::{Failure, Result};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use dikas_archive::api::archives::{CheckEvent, StoredArchive};
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use dikas_archive::api::{Envelope, Ticket};
use dikas_archive::error::{Error, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often a verification tells how far it is.
const PACE: Duration = Duration::from_millis(100);

/// Lists the archives in the backup folder, the newest first.
#[utoipa::path(get, path = "/backup/archives", tag = "archives",
    responses(
        (status = OK, description = "The archives; none where no backup folder is configured.",
            body = Envelope<Vec<StoredArchive>>),
        (status = CONFLICT, description = "`no-folder`: the backup folder cannot be read.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn list_archives(State(app): State<Arc<App>>) -> Result<Response> {
    let archives = crate::shelving(move || app.archives.list()).await?;
    Ok(answer(StatusCode::OK, archives))
}

/// Answers an archive.
#[utoipa::path(get, path = "/backup/archives/{id}/file", tag = "archives",
    params(
        ("id" = String, Path, description = "Id of the archive."),
        ("ticket" = Option<String>, Query, description = "A ticket for this file, in the place of a login.")),
    responses(
        (status = OK, description = "The archive.", body = Binary, content_type = "application/zip"),
        (status = PARTIAL_CONTENT, description = "The range that was asked for.",
            body = Binary, content_type = "application/zip"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range begins behind the end."),
        (status = GONE, description = "`archive-gone`: there is no such archive, or no more.")),
    extensions(("x-dikas-roles" = json!(["admin"])), ("x-dikas-ticket" = json!(true))))]
pub(super) async fn archive_file(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    crate::shelving(move || {
        let (archive, file) = app.archives.file(&id)?;
        app.note_download(&method, &principal, &archive.name);
        archive_answer(file, &archive.name, archive.tag(), archive.digest(), &headers)
    })
    .await
}

/// Gives a ticket, with which a browser downloads this one file without a login, for ten minutes.
#[utoipa::path(post, path = "/backup/archives/{id}/ticket", tag = "archives",
    params(("id" = String, Path, description = "Id of the archive.")),
    responses(
        (status = CREATED, description = "The `ticket` of the query of `/backup/archives/{id}/file`.",
            body = Envelope<Ticket>),
        (status = GONE, description = "`archive-gone`: there is no such archive, or no more.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn archive_ticket(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let ticket = crate::shelving(move || {
        app.archives.file(&id)?;
        app.auth.ticket(&principal, &format!("/api/v1/backup/archives/{id}/file"))
    });
    Ok(answer(StatusCode::CREATED, ticket.await?))
}

/// Reads every byte of an archive on the server, and compares it with what it should be. Whoever hangs up ends that.
#[utoipa::path(post, path = "/backup/archives/{id}/verify", tag = "archives",
    params(("id" = String, Path, description = "Id of the archive.")),
    responses(
        (status = OK, description = "A line when it has come further, at most ten a second; the last says how it \
            ended.",
            body = CheckEvent, content_type = "application/x-ndjson"),
        (status = CONFLICT, description = "`archive-in-use`: somebody verifies it already."),
        (status = GONE, description = "`archive-gone`: there is no such archive, or no more.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn verify_archive(
    State(app): State<Arc<App>>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let (events, mut inbox) = mpsc::channel(16);
    let archives = Arc::clone(&app.archives);
    tokio::task::spawn_blocking(move || {
        let last = verify(&archives, &id, &events);
        // Nobody may be there any more.
        let _ = events.blocking_send(last);
    });
    // What is refused is an honest status: the first event tells.
    let first = match inbox.recv().await {
        Some(Ok(event)) => event,
        Some(Err(failure)) => return Err(failure),
        None => return Err(Failure::internal("a verification said nothing")),
    };
    let rest = futures::stream::unfold(inbox, async |mut inbox| {
        let event = inbox.recv().await?.unwrap_or_else(|failure| CheckEvent::Failed {
            error: Error::new(ErrorKind::ServerError, failure.to_string()),
        });
        Some((event, inbox))
    });
    lines(futures::StreamExt::chain(futures::stream::iter([first]), rest))
}

/// The last event of a verification, which tells the ones before by itself.
fn verify(archives: &Archives, id: &str, events: &mpsc::Sender<Result<CheckEvent>>) -> Result<CheckEvent> {
    let mut told: Option<Instant> = None;
    let checked = archives.verify(id, &mut |bytes, total| {
        if told.is_some_and(|told| told.elapsed() < PACE) && !events.is_closed() {
            return Ok(());
        }
        told = Some(Instant::now());
        let event = Ok(CheckEvent::Progress { bytes, total });
        events.blocking_send(event).map_err(|_| Error::new(ErrorKind::Cancelled, "the caller hung up"))
    })?;
    Ok(match checked {
        Ok(archive) => CheckEvent::Done { archive },
        Err(error) => CheckEvent::Failed { error: crate::jobs::told(error) },
    })
}

/// Removes an archive from the backup folder, for good.
#[utoipa::path(delete, path = "/backup/archives/{id}", tag = "archives",
    params(("id" = String, Path, description = "Id of the archive.")),
    responses(
        (status = OK, description = "It is gone."),
        (status = CONFLICT, description = "`archive-in-use`: it is being verified."),
        (status = GONE, description = "`archive-gone`: there is no such archive, or no more.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn remove_archive(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let (archives, archive) = (Arc::clone(&app.archives), id);
    let name = crate::shelving(move || archives.remove(&archive)).await?;
    tracing::info!("{} has removed the archive {name}", principal.name);
    let entry = AuditEntry::new(clock::now(), principal.name, AuditAction::ArchiveDelete, AuditEnd::Done);
    crate::blocking(move || {
        app.store.note(entry.about(name));
        Ok(())
    })
    .await?;
    Ok(answer(StatusCode::OK, ()))
}
