//! Backups that the server makes by itself: as an answer that is the archive, or as a job to watch.

use super::files::archive_answer;
use super::lines::{lines, wants_lines};
use super::request::{Params, Segments, json_or_default};
use super::{Binary, answer};
use crate::App;
use crate::auth::Principal;
use crate::clock;
use crate::failure::{Failure, Result, no_space};
use crate::jobs::Jobs;
use crate::making::Moment;
use crate::store::Owner;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LOCATION, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use dikas_archive::api::archives::BackupRequest;
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use dikas_archive::api::{BackupJob, Envelope, JobArchive, JobState, Ticket, is_random_id};
use dikas_archive::damage::Damaged;
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::reader::BackupReader;
use futures::stream;
use serde::Deserialize;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Whoever is told line by line hears at most so often of a job, and at least so often.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Makes a backup: built and read back first, then sent. A caller that goes away while it is built ends it; once it is built,
/// it stays for a day at `Content-Location`, where a download that broke off can go on.
#[utoipa::path(post, path = "/backup/create", tag = "backup", request_body = Option<BackupRequest>,
    responses(
        (status = OK, description = "The archive.", body = Binary, content_type = "application/zip", headers(
            ("content-location" = String, description = "Where it stays, from here: `jobs/{id}/file`."),
            ("content-disposition" = String, description = "Its name: `dikas_YYYYMMDD_HHMMSS.zip`."),
            ("etag" = String, description = "The same there; for `If-Range`."),
            ("repr-digest" = String, description = "SHA-256 of the whole of it (RFC 9530)."))),
        (status = BAD_REQUEST, description = "`bad-request`: the field says what is wrong."),
        (status = CONFLICT, description = "`job-running`: the server makes one backup at a time for people and its schedule, and \
            one for backup tokens. `damaged-document`: \
            what is stored is not what was written; `data` says of which documents, and nothing was made.",
            body = Envelope<Damaged>),
        (status = GONE, description = "`snapshot-gone`: it was closed, has expired, or is not yours."),
        (status = TOO_MANY_REQUESTS, description = "Too many snapshots are open, all in all or of backup tokens, or this \
            token asks too often; Retry-After says when to try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn create_backup(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    body: Body,
) -> Result<Response> {
    let moment = json_or_default::<BackupRequest>(body).await?.try_into()?;
    let borrowed = matches!(moment, Moment::Of(_));
    let (jobs, by) = (Arc::clone(&app.jobs), principal.clone());
    let job = crate::blocking(move || jobs.start(by, moment, None)).await?;
    let awaited = Awaited { jobs: Arc::clone(&app.jobs), id: job.id, owner: principal.owner };
    awaited.jobs.ended(&awaited.id).await;
    crate::blocking(move || {
        let Awaited { jobs, id, owner } = &awaited;
        let job = jobs.get(id, owner).map_err(|failure| jobs.ended_early(failure))?;
        if let Some(error) = job.error {
            return Err(jobs.ended_early(failed(error, borrowed)));
        }
        let (file, archive) = jobs.file(id, owner)?;
        let mut response = download(file, &archive, &HeaderMap::new())?;
        // From where the request went: below the path of a proxy too.
        let place = format!("jobs/{id}/file").parse().map_err(Failure::internal)?;
        response.headers_mut().insert(CONTENT_LOCATION, place);
        Ok(response)
    })
    .await
}

/// A job that somebody waits for, and that ends with the request unless it is done.
struct Awaited {
    jobs: Arc<Jobs>,
    id: String,
    owner: Owner,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.jobs.abandon(&self.id, &self.owner);
    }
}

#[derive(Deserialize)]
pub(super) struct JobParams {
    key: Option<String>,
}

/// Begins a backup that goes on by itself, for whatever outlasts the patience of a proxy. Its archive is kept for a day.
#[utoipa::path(post, path = "/backup/jobs", tag = "backup", request_body = Option<BackupRequest>,
    params(
        ("key" = Option<String>, Query, pattern = "^[0-9a-f]{32}$",
            description = "32 random lower-case hex digits. A request whose answer got lost \
            can be sent again with the same key, and finds its job.")),
    responses(
        (status = ACCEPTED, description = "The job.", body = Envelope<BackupJob>, headers(
            ("location" = String, description = "Where it can be watched, from here: `jobs/{id}`."))),
        (status = BAD_REQUEST, description = "`bad-request`: the field says what is wrong."),
        (status = CONFLICT, description = "`job-running`: the server makes one backup at a time for people and its schedule, and \
            one for backup tokens. `damaged-document`: of the collections that `without` names, more is damaged than it \
            names; `data` says what.", body = Envelope<Damaged>),
        (status = GONE, description = "`snapshot-gone`: it was closed, has expired, or is not yours."),
        (status = TOO_MANY_REQUESTS, description = "Too many snapshots are open, all in all or of backup tokens, or this \
            token asks too often; Retry-After says when to try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn begin_job(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Params(JobParams { key }): Params<JobParams>,
    body: Body,
) -> Result<Response> {
    let moment = json_or_default::<BackupRequest>(body).await?.try_into()?;
    if key.as_ref().is_some_and(|key| !is_random_id(key)) {
        return Err(Failure::bad_request("not 32 lower-case hex digits").on("key"));
    }
    let job = crate::blocking(move || app.jobs.start(principal, moment, key)).await?;
    let place = format!("jobs/{}", job.id).parse().map_err(Failure::internal)?;
    let mut response = answer(StatusCode::ACCEPTED, job);
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}

/// Lists the own jobs, the newest first.
#[utoipa::path(get, path = "/backup/jobs", tag = "backup",
    responses((status = OK, description = "Those that run, and those that ended within a day and were not removed.",
        body = Envelope<Vec<BackupJob>>)),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn list_jobs(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Response> {
    let jobs = crate::blocking(move || Ok(app.jobs.list(&principal.owner))).await?;
    Ok(answer(StatusCode::OK, jobs))
}

/// Says how far a job is, or how it ended; with `Accept: application/x-ndjson` again and again, until it has ended.
#[utoipa::path(get, path = "/backup/jobs/{id}", tag = "backup",
    params(("id" = String, Path, description = "Id of the job.")),
    responses(
        (status = OK, description = "The job. As JSON lines: the job at each change, at most ten times a second, and at \
            least every ten seconds; the last line says how it ended.",
            content((Envelope<BackupJob> = "application/json"), (BackupJob = "application/x-ndjson"))),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn get_job(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let owner = principal.owner;
    let (jobs, job) = (Arc::clone(&app.jobs), id.clone());
    if !wants_lines(&headers) {
        let job = crate::blocking(move || jobs.get(&job, &owner)).await?;
        return Ok(answer(StatusCode::OK, job));
    }
    let asker = owner.clone();
    let (view, changes) = crate::blocking(move || jobs.follow(&job, &asker)).await?;
    let following = Following { jobs: Arc::clone(&app.jobs), owner, view, changes, told: false };
    lines(stream::unfold(Some(following), Following::line))
}

/// A job that somebody is told of line by line.
struct Following {
    jobs: Arc<Jobs>,
    owner: Owner,
    view: BackupJob,
    changes: watch::Receiver<bool>,
    told: bool,
}

impl Following {
    /// The next line, and what comes after it.
    async fn line(following: Option<Self>) -> Option<(BackupJob, Option<Self>)> {
        let mut following = following?;
        if following.told {
            following.wait().await;
        }
        following.told = true;
        let view = following.view.clone();
        let goes_on = view.state == JobState::Running;
        Some((view, goes_on.then_some(following)))
    }

    /// Waits until there is something to tell.
    async fn wait(&mut self) {
        tokio::time::sleep(LEAST_PAUSE).await;
        // One that says nothing for so long is still there; so is one whose last word this was.
        let _ = tokio::time::timeout(LONGEST_PAUSE - LEAST_PAUSE, self.changes.changed()).await;
        let (jobs, id, owner) = (Arc::clone(&self.jobs), self.view.id.clone(), self.owner.clone());
        match crate::blocking(move || jobs.get(&id, &owner)).await {
            Ok(view) => self.view = view,
            Err(gone) => {
                self.view.state = JobState::Failed;
                self.view.error = Some(Error::new(ErrorKind::JobGone, gone.to_string()));
            }
        }
    }
}

/// Ends a job if it runs, and removes its archive.
#[utoipa::path(delete, path = "/backup/jobs/{id}", tag = "backup",
    params(("id" = String, Path, description = "Id of the job.")),
    responses(
        (status = OK, description = "Nothing of it is left."),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn remove_job(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let (shared, job) = (Arc::clone(&app), id.clone());
    crate::blocking(move || {
        let archive = shared.jobs.get(&job, &principal.owner).ok().and_then(|job| job.archive);
        shared.jobs.remove(&job, &principal.owner)?;
        if let Some(archive) = archive {
            let action = AuditAction::ArchiveDelete;
            let entry = AuditEntry::new(clock::now(), principal.name, action, AuditEnd::Done);
            shared.store.note(entry.about(archive.name));
        }
        Ok(())
    })
    .await?;
    app.jobs.ended(&id).await;
    Ok(answer(StatusCode::OK, ()))
}

/// Answers the manifest of a finished archive.
#[utoipa::path(get, path = "/backup/jobs/{id}/manifest", tag = "backup",
    params(("id" = String, Path, description = "Id of the job.")),
    responses(
        (status = OK, description = "What the archive says it holds: FORMAT.md.", body = Envelope<Object>),
        (status = CONFLICT, description = "`job-unfinished`: it has no archive, or not yet."),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn job_manifest(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    crate::blocking(move || {
        let (file, _) = app.jobs.file(&id, &principal.owner)?;
        let reader = BackupReader::open(file)?;
        let manifest =
            reader.manifest()?.ok_or_else(|| Failure::internal("an archive without a manifest"))?;
        Ok(answer(StatusCode::OK, manifest))
    })
    .await
}

/// Answers a finished archive.
#[utoipa::path(get, path = "/backup/jobs/{id}/file", tag = "backup",
    params(
        ("id" = String, Path, description = "Id of the job."),
        ("ticket" = Option<String>, Query, description = "A ticket for this file, in the place of a login.")),
    responses(
        (status = OK, description = "The archive.", body = Binary, content_type = "application/zip"),
        (status = PARTIAL_CONTENT, description = "The range that was asked for.",
            body = Binary, content_type = "application/zip"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range begins behind the end."),
        (status = CONFLICT, description = "`job-unfinished`: it has no archive, or not yet."),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"])), ("x-dikas-ticket" = json!(true))))]
pub(super) async fn job_file(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    crate::blocking(move || {
        let (file, archive) = app.jobs.file(&id, &principal.owner)?;
        app.note_download(&method, &principal, &archive.name);
        download(file, &archive, &headers)
    })
    .await
}

/// Gives a ticket, with which a browser downloads this one file without a login, for ten minutes.
#[utoipa::path(post, path = "/backup/jobs/{id}/ticket", tag = "backup",
    params(("id" = String, Path, description = "Id of the job.")),
    responses(
        (status = CREATED, description = "The `ticket` of the query of `/backup/jobs/{id}/file`.",
            body = Envelope<Ticket>),
        (status = CONFLICT, description = "`job-unfinished`: it has no archive, or not yet."),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn job_ticket(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let ticket = crate::blocking(move || {
        app.jobs.file(&id, &principal.owner)?;
        app.auth.ticket(&principal, &format!("{}/file", path(&id)))
    });
    Ok(answer(StatusCode::CREATED, ticket.await?))
}

/// Where a job is found.
fn path(id: &str) -> String {
    format!("/api/v1/backup/jobs/{id}")
}

fn download(file: File, archive: &JobArchive, headers: &HeaderMap) -> Result<Response> {
    let JobArchive { name, sha256, .. } = archive;
    archive_answer(file, name, format!("\"{sha256}\""), Some(*sha256), headers)
}

/// A job that failed, as an answer. Where the caller's own snapshot went, a new try with it cannot help.
fn failed(error: Error, borrowed: bool) -> Failure {
    match error.kind {
        ErrorKind::ServerFull => no_space(),
        ErrorKind::SnapshotGone if borrowed => Failure::new(StatusCode::GONE, "snapshot-gone", error.message),
        ErrorKind::SnapshotGone => Failure::unavailable(error.to_string(), 30),
        ErrorKind::DamagedDocument => Failure::damaged_document(error),
        _ => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "backup-failed", error.to_string()),
    }
}
