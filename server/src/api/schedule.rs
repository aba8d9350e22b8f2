//! What the server does by itself.

use super::answer;
use crate::App;
use crate::auth::Principal;
use crate::failure::Result;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dikas_archive::api::Envelope;
use dikas_archive::api::archives::ScheduleState;
use std::sync::Arc;

/// Says which backups the server makes by itself, and how that went.
#[utoipa::path(get, path = "/backup/schedule", tag = "schedule",
    responses((status = OK, description = "The schedule, when it is due next, and its last run, apart from the last \
        that made a good archive.", body = Envelope<ScheduleState>)),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn get_schedule(State(app): State<Arc<App>>) -> Result<Response> {
    let state = crate::shelving(move || Ok(app.schedule.describe())).await?;
    Ok(answer(StatusCode::OK, state))
}

/// Begins a run of the schedule now.
#[utoipa::path(post, path = "/backup/schedule/run", tag = "schedule",
    responses(
        (status = ACCEPTED, description = "It has begun: `running` says how far it is, and `lastAttempt` how it ended.",
            body = Envelope<ScheduleState>),
        (status = CONFLICT, description = "`no-schedule`: none is configured; `job-running`: the server makes one \
            backup at a time.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn run_schedule(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Response> {
    app.schedule.run_now(principal.name)?;
    let state = crate::shelving(move || Ok(app.schedule.describe())).await?;
    Ok(answer(StatusCode::ACCEPTED, state))
}
