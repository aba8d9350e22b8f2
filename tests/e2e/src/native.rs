//! The backup job as a native program runs it: the same code as in the browser, over reqwest.

use crate::LONG;
use dikas_archive::api::SnapshotRequest;
use dikas_archive::error::Result;
use dikas_archive::job::InlineEncoder;
use dikas_archive::job::backup::{self, Options, Outcome};
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::session::Session;
use dikas_archive::job::transport::{Request, Response, Transport, TransportError};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// A transport over reqwest. Waits are a hundredth of what they should be, so that no test takes minutes.
pub struct Http {
    api: String,
    http: reqwest::Client,
    session: Option<Session>,
}

impl Http {
    /// Logs in.
    pub async fn login(url: &str, (username, password): (&str, &str)) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
        let mut transport = Self { api: format!("{url}/api/v1"), http, session: None };
        transport.session = Some(Session::login(&transport, username, password).await?);
        Ok(transport)
    }
}

impl Transport for Http {
    async fn send(&self, request: &Request) -> std::result::Result<Response, TransportError> {
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes()).unwrap();
        let mut outgoing = self.http.request(method, format!("{}{}", self.api, request.target));
        for (name, value) in &request.headers {
            outgoing = outgoing.header(*name, value);
        }
        let lost = |error: reqwest::Error| match () {
            () if error.is_connect() => TransportError::Unreachable(error.to_string()),
            () if error.is_timeout() => TransportError::Timeout,
            () => TransportError::Cut(error.to_string()),
        };
        let answer = outgoing.body(request.body.clone()).send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let pairs = answer.headers().iter();
        let headers =
            pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let body = answer.bytes().await.map_err(lost)?.to_vec();
        if body.len() as u64 > request.max_bytes {
            return Err(TransportError::TooLarge);
        }
        Ok(Response { status, headers, body })
    }

    async fn sleep(&self, milliseconds: u64) -> std::result::Result<(), TransportError> {
        tokio::time::sleep(Duration::from_millis(milliseconds / 100)).await;
        Ok(())
    }

    fn random(&self) -> f64 {
        0.5
    }

    async fn token(&self, rejected: Option<&str>) -> Result<String> {
        self.session.as_ref().expect("a login").token(self, rejected).await
    }
}

/// Backs everything up into a new file at `file`.
pub async fn backup(url: &str, login: &(String, String), file: &Path) -> Result<Outcome> {
    backup_with(url, login, file, &Options::default()).await
}

/// The same, with pages of another size.
pub async fn backup_with(
    url: &str,
    login: &(String, String),
    file: &Path,
    options: &Options,
) -> Result<Outcome> {
    let transport = Http::login(url, (&login.0, &login.1)).await?;
    let mut out = File::options().read(true).write(true).create_new(true).open(file)?;
    let everything = SnapshotRequest::default();
    let open = async || HttpSource::open(&transport, &everything).await;
    backup::backup(open, &InlineEncoder, &mut out, options, &()).await
}
