//! The API over reqwest, for the HTTP client of the jobs.

use crate::interrupt::Interrupt;
use crate::trust;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::session::Session;
use dikas_archive::job::transport::{Method, Request, Response, Transport, TransportError};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Sends the requests of a job to one server, until its interrupt is raised.
#[derive(Debug)]
pub struct Http {
    api: String,
    client: reqwest::Client,
    login: Login,
    interrupt: Interrupt,
    hurry: u64,
}

/// Who calls.
#[derive(Debug)]
enum Login {
    Nobody,
    /// A backup token, or an access token that somebody else has got.
    Token(String),
    Session(Session),
}

impl Http {
    /// Talks to the server at this address, without a login yet.
    ///
    /// # Errors
    /// `bad-argument` where this is no address.
    pub fn new(url: &str) -> Result<Self> {
        Self::with_certificates(url, None)
    }

    /// The same, and over https trusts these certificates and what they vouch for (PEM), beside those of the system.
    ///
    /// # Errors
    /// `bad-argument` where this is no address, or no certificate.
    pub fn with_certificates(url: &str, pem: Option<&[u8]>) -> Result<Self> {
        let url = url.trim_end_matches('/');
        let wrong = |message: &str| {
            Error::new(ErrorKind::BadArgument, message)
                .expected("an address such as http://till.example:5015", format!("{url:?}"))
        };
        let is_secure = url.starts_with("https://");
        if !(is_secure || url.starts_with("http://")) || url.contains(['?', '#', '@']) {
            return Err(wrong("not the address of a server"));
        }
        let mut client = client().https_only(is_secure);
        if !is_secure {
            // Small containers have no certificates, and none is needed here.
            client = client.tls_certs_only([]);
        }
        if let Some(pem) = pem {
            client = client.tls_backend_preconfigured(trust::trusting(pem)?);
        }
        let client = client.build().map_err(|error| Error::new(ErrorKind::Internal, words_of(&error)))?;
        let api = format!("{url}/api/v1");
        Ok(Self { api, client, login: Login::Nobody, interrupt: Interrupt::default(), hurry: 1 })
    }

    /// Gives up when this is raised. What is told a server to let something go still leaves.
    #[must_use]
    pub fn until(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// Waits so many times less long than it should: for tests.
    #[must_use]
    pub fn hurried(mut self, hurry: u64) -> Self {
        self.hurry = hurry.max(1);
        self
    }

    /// Calls with this token, which nobody renews.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.login = Login::Token(token.to_owned());
        self
    }

    /// Logs in with name and password, and renews the login as long as it lasts.
    ///
    /// # Errors
    /// `unauthorized` when they are wrong, and those of [`client::send`](dikas_archive::job::client::send).
    pub async fn log_in(mut self, username: &str, password: &str) -> Result<Self> {
        self.login = Login::Session(Session::login(&self, username, password).await?);
        Ok(self)
    }

    async fn exchange(&self, request: &Request) -> Result<Response, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut outgoing = self.client.request(method, format!("{}{}", self.api, request.target));
        for (name, value) in &request.headers {
            outgoing = outgoing.header(*name, value);
        }
        let end = Instant::now() + Duration::from_millis(request.total_milliseconds);
        let idle = Duration::from_millis(request.idle_milliseconds);
        let patience = || end.min(Instant::now() + idle);

        let sent = timeout_at(patience(), outgoing.body(request.body.clone()).send()).await;
        let mut answer = sent.map_err(|_| TransportError::Timeout)?.map_err(lost)?;
        let status = answer.status().as_u16();
        let pairs = answer.headers().iter();
        let headers = pairs
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        loop {
            let next = timeout_at(patience(), answer.chunk()).await;
            let Some(chunk) = next.map_err(|_| TransportError::Timeout)?.map_err(lost)? else { break };
            if (body.len() + chunk.len()) as u64 > request.max_bytes {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body })
    }
}

impl Transport for Http {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        if request.method == Method::Delete {
            return self.exchange(request).await;
        }
        tokio::select! {
            answer = self.exchange(request) => answer,
            () = self.interrupt.raised() => Err(TransportError::Cancelled),
        }
    }

    async fn sleep(&self, milliseconds: u64) -> Result<(), TransportError> {
        tokio::select! {
            () = sleep(Duration::from_millis(milliseconds / self.hurry)) => Ok(()),
            () = self.interrupt.raised() => Err(TransportError::Cancelled),
        }
    }

    fn random(&self) -> f64 {
        // Its keys are random; waits need no more than that.
        (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    async fn token(&self, rejected: Option<&str>) -> Result<String> {
        match &self.login {
            Login::Session(session) => session.token(self, rejected).await,
            Login::Token(token) if rejected.is_none() => Ok(token.clone()),
            Login::Token(_) => Err(Error::new(ErrorKind::Unauthorized, "the server refuses this token")),
            Login::Nobody => Err(Error::new(ErrorKind::Unauthorized, "no login")),
        }
    }
}

fn lost(error: reqwest::Error) -> TransportError {
    let words = words_of(&error);
    if let Some(why) = distrust(&error) {
        return TransportError::Untrusted(why);
    }
    if error.is_connect() { TransportError::Unreachable(words) } else { TransportError::Cut(words) }
}

/// What becomes a client that goes through no proxy and follows no redirect, which could take a password or a token
/// elsewhere. It takes care that there is cryptography for it to use.
pub fn client() -> reqwest::ClientBuilder {
    // Whoever comes second finds what the first has installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}

/// What is wrong with the certificate of the one who answers, if that is why.
fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(refusal) = error.downcast_ref() {
        return trust::distrust(refusal);
    }
    // What an error of the system was made from is no source of it.
    let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match within {
        Some(within) => distrust(within),
        None => error.source().and_then(distrust),
    }
}

/// The reason of reasons says most.
fn words_of(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(deeper) = reason.source() {
        reason = deeper;
    }
    reason.to_string()
}
