//! A backup that the server makes by itself, watched from here: for whoever has no place to build it in.

use super::Watch;
use super::client::{Client, Patience, bad_answer, data};
use super::transport::{Method, Request, Response, Transport};
use crate::api::{BackupJob, JobArchive, JobState, SnapshotRequest, Ticket, is_random_id};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::manifest::Manifest;

/// How often the server is asked how far it is.
const ASK_MILLISECONDS: u64 = 1_000;

/// How long the server gets to take notice that a job is not wanted any more.
const CANCEL_MILLISECONDS: u64 = 5_000;

/// The jobs of one login on a server.
#[derive(Debug)]
pub struct Remote<T> {
    client: Client<T>,
}

impl<T: Transport> Remote<T> {
    /// Those that this transport leads to.
    pub fn new(transport: T) -> Self {
        Self { client: Client::new(transport) }
    }

    /// Has the server make a backup, and waits for it. Whatever goes wrong here, `cancelled` included, ends the job there
    /// too. Answers the job's id, what was made, and what that says it holds.
    ///
    /// # Errors
    /// `busy` while the server makes another backup, `server-full`, `job-gone` when the server was started anew, what the
    /// job failed with, and those of [`client::send`](super::client::send).
    pub async fn backup(
        &self,
        request: &SnapshotRequest,
        watch: &impl Watch,
    ) -> Result<(String, JobArchive, Manifest)> {
        // By its key the server knows a request whose answer got lost.
        let half = || (self.client.random() * f64::from(u32::MAX)) as u32;
        let key = format!("{:08x}{:08x}{:08x}{:08x}", half(), half(), half(), half());
        let request = Request::new(Method::Post, "/backup/jobs").query("key", &key).json(request)?;
        let job = self.client.call(request, check_job, Patience::repeatable()).await?;
        let id = job.id.clone();
        match self.follow(job, watch).await {
            Ok((archive, manifest)) => Ok((id, archive, manifest)),
            Err(error) => {
                let mut request = Request::new(Method::Delete, path(&id, ""));
                request.idle_milliseconds = CANCEL_MILLISECONDS;
                request.total_milliseconds = CANCEL_MILLISECONDS;
                // A server that does not hear it keeps the archive for its day.
                let _ = self.client.farewell(request).await;
                Err(error)
            }
        }
    }

    async fn follow(&self, mut job: BackupJob, watch: &impl Watch) -> Result<(JobArchive, Manifest)> {
        loop {
            watch.report(job.progress.clone());
            watch.checkpoint().await?;
            match (job.state, job.archive, job.error) {
                (JobState::Running, ..) => {}
                (JobState::Finished, Some(archive), _) => {
                    return Ok((archive, self.manifest(&job.id).await?));
                }
                (_, _, Some(error)) => return Err(error),
                _ => return Err(bad_answer("the job has ended, and the server does not say how")),
            }
            self.client.sleep(ASK_MILLISECONDS).await?;
            let request = Request::new(Method::Get, path(&job.id, ""));
            job = self.client.call(request, check_job, Patience::of(Method::Get)).await?;
        }
    }

    async fn manifest(&self, id: &str) -> Result<Manifest> {
        let mut request = Request::new(Method::Get, path(id, "/manifest"));
        request.max_bytes = Limits::default().manifest_bytes;
        self.client.call(request, data, Patience::of(Method::Get)).await
    }

    /// The jobs that the server still knows, the newest first. The server is asked once.
    ///
    /// # Errors
    /// Those of [`client::send`](super::client::send).
    pub async fn list(&self) -> Result<Vec<BackupJob>> {
        let jobs: Vec<BackupJob> =
            self.client.call(Request::new(Method::Get, "/backup/jobs"), data, Patience::none()).await?;
        jobs.iter().try_for_each(|job| check_id(&job.id))?;
        Ok(jobs)
    }

    /// Removes a job with its archive; one that is gone already counts as removed.
    ///
    /// # Errors
    /// Those of [`client::send`](super::client::send).
    pub async fn remove(&self, id: &str) -> Result<()> {
        check_id(id)?;
        let request = Request::new(Method::Delete, path(id, ""));
        match self.client.call(request, |_| Ok(()), Patience::of(Method::Delete)).await {
            Err(error) if error.kind == ErrorKind::JobGone => Ok(()),
            result => result,
        }
    }

    /// The path and query, below `/api/v1`, under which the archive can be downloaded for some minutes without a login.
    ///
    /// # Errors
    /// `job-gone`, and those of [`client::send`](super::client::send).
    pub async fn download(&self, id: &str) -> Result<String> {
        check_id(id)?;
        let request = Request::new(Method::Post, path(id, "/ticket"));
        let ticket: Ticket = self.client.call(request, data, Patience::repeatable()).await?;
        Ok(Request::new(Method::Get, path(id, "/file")).query("ticket", &ticket.ticket).target)
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/backup/jobs/{id}{rest}")
}

fn check_job(response: Response) -> Result<BackupJob> {
    let job: BackupJob = data(response)?;
    check_id(&job.id)?;
    Ok(job)
}

/// The id becomes part of every path that follows, so it has to be what the API says.
fn check_id(id: &str) -> Result<()> {
    if is_random_id(id) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadAnswer, "not the id of a job").expected("32 hex digits", format!("{id:?}")))
}
