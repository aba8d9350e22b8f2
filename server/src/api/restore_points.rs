//! The states from before restores, and the record of who did what.

use super::answer;
use super::request::{Params, Segments, Whole, json};
use crate::App;
use crate::auth::Principal;
use crate::failure::Result;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dikas_archive::api::Envelope;
use dikas_archive::api::restore::{AuditPage, CommitRequest, RestoreOutcome, RestorePoint, RestorePreview};
use serde::Deserialize;
use std::sync::Arc;

/// Lists the states from before the last restores.
#[utoipa::path(get, path = "/backup/restore-points", tag = "restore",
    responses((status = OK, description = "Ten at most, the newest first.", body = Envelope<Vec<RestorePoint>>)),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn list_points(State(app): State<Arc<App>>) -> Result<Response> {
    Ok(answer(StatusCode::OK, crate::restoring(move || app.store.restore_points()).await?))
}

/// Says what would change if a restore point were made live.
#[utoipa::path(get, path = "/backup/restore-points/{id}/preview", tag = "restore",
    params(("id" = String, Path, description = "Id of the restore point.")),
    responses(
        (status = OK, description = "What a person should see first.", body = Envelope<RestorePreview>),
        (status = NOT_FOUND, description = "There is no such restore point, or no more.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn preview_point(
    State(app): State<Arc<App>>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    Ok(answer(StatusCode::OK, crate::restoring(move || app.store.preview_point(&id)).await?))
}

/// Makes a restore point live: the collections that its restore changed become what they were before it. It uses the point
/// up; repeated within a day, the call answers what the first one did.
#[utoipa::path(post, path = "/backup/restore-points/{id}/activate", tag = "restore", request_body = CommitRequest,
    params(("id" = String, Path, description = "Id of the restore point.")),
    responses(
        (status = OK, description = "What it has done. The state from just before is a restore point too.",
            body = Envelope<RestoreOutcome>),
        (status = NOT_FOUND, description = "There is no such restore point, or no more."),
        (status = CONFLICT, description = "`live-changed`: something that would be lost has changed since the preview; \
            `data` is a fresh one. `signed-loss`: signed documents would be lost, and `data` says how many. Nothing has \
            changed.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn activate_point(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    body: Body,
) -> Result<Response> {
    let request: CommitRequest = json(body).await?;
    let cleaner = Arc::clone(&app);
    let outcome = crate::restoring(move || app.restores.undo(&id, &principal.name, request)).await?;
    cleaner.clean_soon();
    Ok(answer(StatusCode::OK, outcome))
}

#[derive(Deserialize)]
pub(super) struct AuditParams {
    before: Option<Whole>,
    limit: Option<Whole>,
}

/// Tells who backed up, fetched, removed or restored what, who logged in or out or failed to, from which address, and who made and
/// changed users and backup tokens. Entries are only added, and no restore erases them. Failed logins are counted, by name and
/// address, a minute long.
#[utoipa::path(get, path = "/audit", tag = "restore",
    params(
        ("before" = Option<u64>, Query, description = "`next` of the page before."),
        ("limit" = Option<u64>, Query, description = "How many; at most 1,000.")),
    responses((status = OK, description = "The newest first.", body = Envelope<AuditPage>)),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn audit(
    State(app): State<Arc<App>>,
    Params(AuditParams { before, limit }): Params<AuditParams>,
) -> Result<Response> {
    let [before, limit] = [before, limit].map(|number| number.map(|Whole(number)| number));
    let page = crate::restoring(move || {
        app.auth.tell_refused();
        if let Err(failure) = app.store.flush_notes() {
            tracing::warn!("entries of the audit wait until the store can be written: {failure}");
        }
        app.store.audit_page(before, limit)
    });
    Ok(answer(StatusCode::OK, page.await?))
}
