//! Backups that the server makes by itself: as an answer that is the archive, or as a job to watch.

use super::answer;
use super::request::{Params, Segments, json_or_default};
use crate::App;
use crate::auth::Principal;
use crate::failure::{Failure, Result, no_space};
use crate::jobs::Jobs;
use crate::store::Owner;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dikas_archive::api::{BackupJob, Envelope, JobArchive, SnapshotRequest, Ticket, is_random_id};
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::reader::BackupReader;
use dikas_page::Download;
use serde::Deserialize;
use std::fs::File;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct CreateParams {
    #[serde(default, rename = "as")]
    kind: Kind,
    key: Option<String>,
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    File,
    Job,
}

/// Makes a backup: built and read back first, then sent; or as a job.
#[utoipa::path(post, path = "/backup/create", tag = "backup", request_body = Option<SnapshotRequest>,
    params(
        ("as" = Option<String>, Query, description = "`file`, which is usual: the answer is the archive, once it is \
            whole. `job`: the answer is a job that goes on, and its archive is kept for a day."),
        ("key" = Option<String>, Query, description = "For `as=job`: 32 random lower-case hex digits. A request whose \
            answer got lost can be sent again with the same key, and finds its job.")),
    responses(
        (status = OK, description = "The archive.", body = Vec<u8>, content_type = "application/zip"),
        (status = ACCEPTED, description = "The job, with `as=job`.", body = Envelope<BackupJob>),
        (status = CONFLICT, description = "`job-running`: the server makes one backup at a time."),
        (status = TOO_MANY_REQUESTS, description = "Too many snapshots are open; Retry-After says when to try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn create_backup(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Params(CreateParams { kind, key }): Params<CreateParams>,
    body: Body,
) -> Result<Response> {
    let request: SnapshotRequest = json_or_default(body).await?;
    if request.categories.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::bad_request("at least one category has to be chosen").on("categories"));
    }
    if key.as_ref().is_some_and(|key| !is_random_id(key)) {
        return Err(Failure::bad_request("not 32 lower-case hex digits").on("key"));
    }
    let (jobs, by) = (Arc::clone(&app.jobs), principal.clone());
    let job = crate::blocking(move || jobs.start(by, request, key)).await?;
    if kind == Kind::Job {
        return Ok(answer(StatusCode::ACCEPTED, job));
    }
    let awaited = Awaited { jobs: Arc::clone(&app.jobs), id: job.id, owner: principal.owner };
    awaited.jobs.ended(&awaited.id).await;
    crate::blocking(move || {
        let job = awaited.jobs.get(&awaited.id, &awaited.owner)?;
        if let Some(error) = job.error {
            return Err(failed(error));
        }
        let (file, archive) = awaited.jobs.file(&awaited.id, &awaited.owner)?;
        download(file, &archive, &HeaderMap::new())
    })
    .await
}

/// A job that lasts as long as the request: when that goes, so does it. The open file can be read nevertheless.
struct Awaited {
    jobs: Arc<Jobs>,
    id: String,
    owner: Owner,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        // Then it is gone already.
        let _ = self.jobs.remove(&self.id, &self.owner);
    }
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

/// Says how far a job is, or how it ended.
#[utoipa::path(get, path = "/backup/jobs/{id}", tag = "backup",
    params(("id" = String, Path, description = "Id of the job.")),
    responses(
        (status = OK, description = "The job.", body = Envelope<BackupJob>),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn get_job(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let job = crate::blocking(move || app.jobs.get(&id, &principal.owner)).await?;
    Ok(answer(StatusCode::OK, job))
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
    let (jobs, job) = (Arc::clone(&app.jobs), id.clone());
    crate::blocking(move || jobs.remove(&job, &principal.owner)).await?;
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
        (status = OK, description = "The archive.", body = Vec<u8>, content_type = "application/zip"),
        (status = PARTIAL_CONTENT, description = "The range that was asked for.",
            body = Vec<u8>, content_type = "application/zip"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range begins behind the end."),
        (status = CONFLICT, description = "`job-unfinished`: it has no archive, or not yet."),
        (status = GONE, description = "`job-gone`: it was removed, has expired, or the server was started anew.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"])), ("x-dikas-ticket" = json!(true))))]
pub(super) async fn job_file(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    headers: HeaderMap,
) -> Result<Response> {
    crate::blocking(move || {
        let (file, archive) = app.jobs.file(&id, &principal.owner)?;
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
        app.auth.ticket(&principal.owner, &format!("/api/v1/backup/jobs/{id}/file"))
    });
    Ok(answer(StatusCode::CREATED, ticket.await?))
}

fn download(file: File, archive: &JobArchive, headers: &HeaderMap) -> Result<Response> {
    let disposition = format!("attachment; filename=\"{}\"", archive.name);
    let (size, tag) = (archive.size, format!("\"{}\"", archive.sha256));
    Ok(Download { file, size, tag, media_type: "application/zip", disposition }.answer(headers)?)
}

/// A job that failed, as an answer.
fn failed(error: Error) -> Failure {
    match error.kind {
        ErrorKind::ServerFull => no_space(),
        ErrorKind::SnapshotGone => Failure::unavailable(error.to_string(), 30),
        _ => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "backup-failed", error.to_string()),
    }
}
