//! Logging in, staying logged in, and tokens for cron.

use super::request::{Params, json, json_or_default};
use super::{answer, bearer};
use crate::access::Client;
use crate::auth::{BACKUP_TOKEN_PREFIX, Principal};
use crate::failure::{Failure, Result};
use crate::{App, clock, random};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dikas_archive::api::archives::{BackupToken, NewToken, TokenRequest};
use dikas_archive::api::{Envelope, LoginRequest, RefreshRequest, Tokens};
use serde::Deserialize;
use std::sync::Arc;

/// Logs a user in.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LoginRequest,
    responses(
        (status = OK, description = "Access and refresh token, and the device's.", body = Envelope<Tokens>),
        (status = UNAUTHORIZED, description = "User name or password is wrong."),
        (status = TOO_MANY_REQUESTS, description = "Logins have just failed: Retry-After says when \
            to try again, half a minute at most. The password was not checked.")),
    security(()), extensions(("x-dikas-roles" = json!(["anyone"]))))]
pub(super) async fn login(
    State(app): State<Arc<App>>,
    Extension(Client(from)): Extension<Client>,
    body: Body,
) -> Result<Response> {
    Ok(answer(StatusCode::OK, app.auth.login(json(body).await?, from).await?))
}

/// Gives new tokens for a refresh token, which is used up. Used again, its whole login ends; but for two minutes, unless the new
/// one was used, the same call is answered once more, for the answer may have been lost.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = RefreshRequest,
    responses(
        (status = OK, description = "Access and refresh token.", body = Envelope<Tokens>),
        (status = UNAUTHORIZED, description = "The login has ended.")),
    security(()), extensions(("x-dikas-roles" = json!(["anyone"]))))]
pub(super) async fn refresh(State(app): State<Arc<App>>, body: Body) -> Result<Response> {
    let request: RefreshRequest = json(body).await?;
    let tokens = crate::blocking(move || app.auth.refresh(&request.refresh_token)).await?;
    Ok(answer(StatusCode::OK, tokens))
}

/// Ends a login: its refresh token, all its access tokens and tickets. Named by the refresh token in the body or, without a
/// body, by the access token of the call; either may have run out.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", request_body = Option<RefreshRequest>,
    params(("authorization" = Option<String>, Header, description = "An access token, where there is no body.")),
    responses(
        (status = OK, description = "It has ended, now or before."),
        (status = BAD_REQUEST, description = "`bad-request`: there is neither, or a backup token, which is revoked."),
        (status = UNAUTHORIZED, description = "That is no token of a login.")),
    security(()), extensions(("x-dikas-roles" = json!(["anyone"]))))]
pub(super) async fn logout(
    State(app): State<Arc<App>>,
    Extension(Client(from)): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let request: Option<RefreshRequest> = json_or_default(body).await?;
    let token = match request {
        Some(RefreshRequest { refresh_token }) => refresh_token,
        None => bearer(&headers)
            .map_err(|_| Failure::bad_request("a refresh token or an access token is needed"))?,
    };
    if token.starts_with(BACKUP_TOKEN_PREFIX) {
        return Err(Failure::bad_request("a backup token does not log out: revoke it"));
    }
    crate::writing(move || app.auth.log_out(&token, from)).await?;
    Ok(answer(StatusCode::OK, ()))
}

/// Makes a long-lived token that can open and read its own snapshots, and nothing else.
#[utoipa::path(post, path = "/auth/tokens", tag = "auth", request_body = TokenRequest,
    responses((status = CREATED, description = "The token, this one time.", body = Envelope<NewToken>)),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn create_token(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    body: Body,
) -> Result<Response> {
    let TokenRequest { name } = json(body).await?;
    if name.trim().is_empty() || name.chars().count() > 100 {
        return Err(Failure::bad_request("a token has a name of 1 to 100 characters").on("name"));
    }
    let token = format!("{BACKUP_TOKEN_PREFIX}{}", random::hex::<32>()?);
    let secret = token.clone();
    let add = move || app.store.add_token(&secret, &name, &principal.name, &clock::now());
    let about = crate::writing(add).await?;
    Ok(answer(StatusCode::CREATED, NewToken { token, about }))
}

/// Lists the backup tokens, without their secrets.
#[utoipa::path(get, path = "/auth/tokens", tag = "auth",
    responses((status = OK, description = "All backup tokens, the oldest first.", body = Envelope<Vec<BackupToken>>)),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn list_tokens(State(app): State<Arc<App>>) -> Result<Response> {
    Ok(answer(StatusCode::OK, crate::blocking(move || app.store.tokens()).await?))
}

#[derive(Deserialize)]
pub(super) struct TokenId {
    id: String,
}

/// Makes a backup token void.
#[utoipa::path(delete, path = "/auth/tokens", tag = "auth", params(("id" = String, Query, description = "Its id.")),
    responses(
        (status = OK, description = "It is void."),
        (status = NOT_FOUND, description = "There is no such token.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn delete_token(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Params(TokenId { id }): Params<TokenId>,
) -> Result<Response> {
    crate::writing(move || app.store.delete_token(&id, &principal.name, &clock::now())).await?;
    Ok(answer(StatusCode::OK, ()))
}
