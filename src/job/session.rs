//! A login that stays: access tokens live an hour, a backup may take longer.

use super::client::{self, Patience};
use super::transport::{Method, Request, Transport};
use crate::api::{LoginRequest, RefreshRequest, Tokens};
use crate::error::{Error, ErrorKind, Result};
use futures::lock::Mutex;

/// The tokens of one login. A [`Transport`] that owns one answers [`Transport::token`] with [`Session::token`].
#[derive(Debug)]
pub struct Session(Mutex<Tokens>);

impl Session {
    /// Goes on with tokens from elsewhere.
    pub fn new(tokens: Tokens) -> Self {
        Self(Mutex::new(tokens))
    }

    /// Logs in with name and password.
    ///
    /// # Errors
    /// `unauthorized` when they are wrong, and those of [`client::send`].
    pub async fn login(transport: &impl Transport, username: &str, password: &str) -> Result<Self> {
        let (username, password) = (username.to_owned(), password.to_owned());
        let body = LoginRequest { username, password, device_token: None };
        let request = Request::new(Method::Post, "/auth/login").json(&body)?;
        client::send(transport, &request, client::data, Patience::repeatable()).await.map(Self::new)
    }

    /// The access token, refreshed when it is the one that was `rejected`. Of several callers with the same rejected
    /// token only the first goes to the server.
    ///
    /// # Errors
    /// `unauthorized` when the login has ended, and those of [`client::send`].
    pub async fn token(&self, transport: &impl Transport, rejected: Option<&str>) -> Result<String> {
        let mut tokens = self.0.lock().await;
        if rejected == Some(tokens.access_token.as_str()) {
            let body = RefreshRequest { refresh_token: tokens.refresh_token.clone() };
            let request = Request::new(Method::Post, "/auth/refresh").json(&body)?;
            *tokens = client::send(transport, &request, client::data, Patience::repeatable()).await.map_err(
                |error| match error.kind {
                    ErrorKind::Unauthorized => Error { message: "the login has ended".to_owned(), ..error },
                    _ => error,
                },
            )?;
        }
        Ok(tokens.access_token.clone())
    }
}
