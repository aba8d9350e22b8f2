//! Whether the server can do its work, for whatever watches over it: `GET /healthz`. It is no part of the API, so that OpenAPI
//! does not list it: no login, no frame, and no word beyond what is wrong.

use crate::App;
use crate::failure::{Failure, Result};
use crate::store::{DatabaseCheck, Held};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where it is asked.
pub(crate) const PATH: &str = "/healthz";

/// How long a check may take before that is what is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer.
#[derive(Debug, Serialize)]
struct Health {
    status: Status,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// How the last run of the schedule ended; nothing where there was none. It does not make the server a failing one:
    /// whoever starts failing servers anew would help no backup, and stop the tills.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<LastBackup>,
    /// What the last check of the whole database found; nothing before the first. It is made before each run of the schedule,
    /// never here.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseCheck>,
    /// Why the clean-up takes no files until a person decides. The server can work all the same.
    #[serde(skip_serializing_if = "Option::is_none", rename = "cleanUpHeld")]
    held: Option<Held>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum LastBackup {
    Good,
    Failed,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Ok,
    Failing,
}

/// Something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Problem {
    /// The database does not answer.
    Store,
    /// Nothing can be written into the data folder.
    DataFolder,
    /// The checks take too long, which is not for whoever asks to wait for.
    Slow,
}

/// 200 where all is well, 503 with what is wrong.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    // However many ask, one looks, in nobody's way.
    static AT_ONCE: Semaphore = Semaphore::const_new(1);
    let backup = app.schedule.is_well().map(|well| if well { LastBackup::Good } else { LastBackup::Failed });
    let database = app.store.last_check();
    let held = app.restores.held();
    let checked = crate::blocking_among(&AT_ONCE, move || Ok(app.problems()));
    let problems = match tokio::time::timeout(PATIENCE, checked).await {
        Ok(Ok(problems)) => problems,
        Ok(Err(_)) => vec![Problem::Store],
        Err(_) => vec![Problem::Slow],
    };
    let (code, status) = match problems.as_slice() {
        [] => (StatusCode::OK, Status::Ok),
        _ => (StatusCode::SERVICE_UNAVAILABLE, Status::Failing),
    };
    (code, Json(Health { status, problems, backup, database, held })).into_response()
}

impl App {
    /// What is wrong with it. Blocks.
    fn problems(&self) -> Vec<Problem> {
        let checks: [(Problem, Result<()>); 2] =
            [(Problem::Store, self.store.check()), (Problem::DataFolder, self.try_writing())];
        let failed = checks.into_iter().filter_map(|(problem, checked)| {
            let failure = checked.err()?;
            tracing::warn!("{problem:?} is not well: {failure}");
            Some(problem)
        });
        failed.collect()
    }

    fn try_writing(&self) -> Result<()> {
        let mut file = tempfile::tempfile_in(&self.data)?;
        file.write_all(b"x").map_err(Failure::from)
    }
}
