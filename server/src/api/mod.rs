//! The API under `/api/v1`. Each operation states its roles in OpenAPI as `x-dikas-roles`, and that statement is what
//! the guard enforces: a route without it answers nobody.

mod archives;
mod attachments;
mod auth;
mod documents;
mod files;
mod jobs;
mod lines;
mod request;
mod restore_file;
mod restore_points;
mod restores;
mod schedule;
mod snapshots;

use crate::App;
use crate::access;
use crate::auth::Role;
use crate::failure::{Failure, Result};
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, OriginalUri, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use dikas_archive::api::{CRC32_HEADER, Envelope};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The extension in which each operation states who may call it: `anyone`, or roles.
pub const ROLES_EXTENSION: &str = "x-dikas-roles";

#[derive(OpenApi)]
#[openapi(
    info(title = "DiKAS", version = "1", description = "Documents, attachments, backups."),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("bearer", scheme);
        openapi.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
    }
}

/// Every route of the API, guarded.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = OpenApiRouter::new()
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::create_token, auth::list_tokens, auth::delete_token))
        .routes(routes!(
            documents::get_document,
            documents::put_document,
            documents::delete_document,
            documents::post_documents
        ))
        .routes(routes!(
            attachments::get_attachment,
            attachments::put_attachment,
            attachments::delete_attachment
        ))
        .routes(routes!(snapshots::open_snapshot))
        .routes(routes!(snapshots::get_snapshot, snapshots::close_snapshot))
        .routes(routes!(snapshots::snapshot_documents))
        .routes(routes!(snapshots::snapshot_attachments))
        .routes(routes!(snapshots::snapshot_blob))
        .routes(routes!(jobs::create_backup))
        .routes(routes!(jobs::list_jobs, jobs::begin_job))
        .routes(routes!(jobs::get_job, jobs::remove_job))
        .routes(routes!(jobs::job_manifest))
        .routes(routes!(jobs::job_file))
        .routes(routes!(jobs::job_ticket))
        .routes(routes!(archives::list_archives))
        .routes(routes!(archives::remove_archive))
        .routes(routes!(archives::archive_file))
        .routes(routes!(archives::archive_ticket))
        .routes(routes!(archives::verify_archive))
        .routes(routes!(schedule::get_schedule))
        .routes(routes!(schedule::run_schedule))
        .routes(routes!(restores::begin_restore, restores::list_restores))
        .routes(routes!(restores::get_restore, restores::abort_restore))
        .routes(routes!(restores::stage_documents))
        .routes(routes!(restores::stage_attachments))
        .routes(routes!(restores::missing_blobs))
        .routes(routes!(restores::put_blob))
        .routes(routes!(restores::preview_restore))
        .routes(routes!(restores::pause_writers))
        .routes(routes!(restores::commit_restore))
        .routes(routes!(restore_file::restore_file))
        .routes(routes!(restore_points::list_points))
        .routes(routes!(restore_points::preview_point))
        .routes(routes!(restore_points::activate_point))
        .routes(routes!(restore_points::audit))
        .routes(routes!(openapi));
    let (router, mut openapi) =
        OpenApiRouter::with_openapi(Description::openapi()).nest("/api/v1", routes).split_for_parts();
    state_common_failures(&mut openapi);
    let guard = Guard { app: Arc::clone(app), callers: Arc::new(callers(&openapi)) };
    let router = router
        .route_layer(middleware::from_fn_with_state(guard, check))
        .layer(Extension(Arc::new(openapi)))
        .layer(middleware::from_fn_with_state(Arc::clone(app), access::screen));
    match app.access.cors() {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Answers data in the frame of every JSON answer, with its checksum.
fn answer<T: Serialize>(status: StatusCode, data: T) -> Response {
    let envelope = Envelope { data: Some(data), is_success: true, message: None, errors: Vec::new() };
    match serde_json::to_vec(&envelope) {
        Ok(json) => {
            let crc32 = checksum(crc32fast::hash(&json));
            (status, [(CONTENT_TYPE.as_str(), "application/json"), (CRC32_HEADER, &crc32)], json)
                .into_response()
        }
        Err(error) => Failure::internal(error).into_response(),
    }
}

/// Bytes as they are.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Binary(());

/// A CRC-32 as [`CRC32_HEADER`] has it.
fn checksum(crc32: u32) -> String {
    format!("{crc32:08x}")
}

/// States what can become of any call, where the operation says nothing more exact.
fn state_common_failures(openapi: &mut utoipa::openapi::OpenApi) {
    for item in openapi.paths.paths.values_mut() {
        for (writes, operation) in
            [(false, &mut item.get), (true, &mut item.put), (true, &mut item.post), (true, &mut item.delete)]
        {
            let Some(operation) = operation else { continue };
            let (guarded, takes) = (operation.security.is_none(), operation.request_body.is_some());
            let asks = takes || operation.parameters.is_some();
            for (applies, status, description) in [
                (guarded, "401", "`unauthorized`: there is no login, or it has ended."),
                (
                    guarded,
                    "403",
                    "`forbidden`: this login may not do that. `cross-site`: nor may a page of another site.",
                ),
                (!guarded, "403", "`cross-site`: a page of another site may not call this server."),
                (asks, "400", "`bad-request`: what is asked for cannot be; the field says why."),
                (takes, "413", "`too-large`: the body has more bytes than this call takes."),
                (takes, "408", "`too-slow`: the body comes too slowly."),
                (
                    takes,
                    "415",
                    "`unsupported-media-type`: the body has another `Content-Type`. One without a body needs none.",
                ),
                (true, "503", "Not now; Retry-After says when to try again."),
                (writes, "507", "`no-space`: the server's disk is full; nothing was stored."),
            ] {
                if applies {
                    let responses = &mut operation.responses.responses;
                    let response = || utoipa::openapi::Response::new(description).into();
                    responses.entry(status.to_owned()).or_insert_with(response);
                }
            }
        }
    }
}

/// What this document is made of.
#[utoipa::path(get, path = "/openapi.json", tag = "about",
    responses((status = OK, description = "This description.", body = Object, content_type = "application/json")),
    security(()), extensions(("x-dikas-roles" = json!(["anyone"]))))]
async fn openapi(Extension(openapi): Extension<Arc<utoipa::openapi::OpenApi>>) -> Response {
    Json(&*openapi).into_response()
}

/// The extension of an operation that a ticket in the query opens as well as a login does.
const TICKET_EXTENSION: &str = "x-dikas-ticket";

/// Who may call which operation.
type Callers = HashMap<(Method, String), Access>;

#[derive(Debug)]
struct Access {
    /// None stands for anyone.
    roles: Option<Vec<Role>>,
    by_ticket: bool,
    /// The media types that its body can have; none where it takes no body.
    types: Vec<String>,
}

impl Access {
    /// Makes sure that a body is what the operation takes: no page of another site can send that without asking first.
    ///
    /// # Errors
    /// `unsupported-media-type`
    fn require_type(&self, headers: &HeaderMap) -> Result<()> {
        let stated = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        let found = stated.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        let takes = |media_type: &String| media_type == "*/*" || media_type.eq_ignore_ascii_case(found);
        if self.types.iter().any(takes) || (self.types.is_empty() && found == "application/json") {
            return Ok(());
        }
        let found = stated.map_or_else(|| "none".to_owned(), |stated| format!("{stated:?}"));
        let expected = if self.types.is_empty() { "no body".to_owned() } else { self.types.join(" or ") };
        let message = format!(
            "the body has a type that this call does not take: expected {expected}, found {found}{}",
            curl_hint(&found, self.types.first())
        );
        Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message)
            .on("content-type"))
    }
}

/// What to do where curl has made a form of a file: `-F` wraps it, and `-d` drops its line ends.
fn curl_hint(found: &str, wanted: Option<&String>) -> String {
    match wanted {
        Some(wanted) if found.contains("multipart/form-data") || found.contains("x-www-form-urlencoded") => {
            format!(
                "; with curl, send the file as it is: -H 'Content-Type: {wanted}' --data-binary @FILE, and neither -F nor -d"
            )
        }
        _ => String::new(),
    }
}

#[derive(Clone)]
struct Guard {
    app: Arc<App>,
    callers: Arc<Callers>,
}

impl Guard {
    /// The methods that this path knows, as `Allow` lists them.
    fn methods(&self, path: &str) -> String {
        let known = self.callers.keys().filter(|(_, of)| of == path).map(|(method, _)| method.as_str());
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        known.join(", ")
    }
}

fn callers(openapi: &utoipa::openapi::OpenApi) -> Callers {
    let mut callers = Callers::new();
    for (path, item) in &openapi.paths.paths {
        for (method, operation) in operations(item) {
            let extension = |name| operation.extensions.as_ref().and_then(|extensions| extensions.get(name));
            let stated = extension(ROLES_EXTENSION).cloned().unwrap_or_default();
            let roles = match stated == serde_json::json!(["anyone"]) {
                true => None,
                false => Some(serde_json::from_value(stated).unwrap_or_default()),
            };
            let by_ticket = extension(TICKET_EXTENSION) == Some(&serde_json::json!(true));
            let types = match &operation.request_body {
                Some(RefOr::T(body)) => body.content.keys().cloned().collect(),
                Some(RefOr::Ref(_)) | None => Vec::new(),
            };
            callers.insert((method, path.clone()), Access { roles, by_ticket, types });
        }
    }
    callers
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Lets a request pass whose caller has one of the roles that the operation states, and whose body has a type that it takes.
async fn check(
    State(guard): State<Guard>,
    path: MatchedPath,
    OriginalUri(uri): OriginalUri,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let Some(access) = guard.callers.get(&(method, path.as_str().to_owned())) else {
        return Ok(crate::web::not_allowed(&guard.methods(path.as_str())));
    };
    if let Some(roles) = &access.roles {
        let app = Arc::clone(&guard.app);
        let principal = match ticket(&uri).filter(|_| access.by_ticket) {
            Some(ticket) => crate::blocking(move || app.auth.ticket_holder(&ticket, uri.path())).await?,
            None => {
                let token = bearer(request.headers())?;
                crate::blocking(move || app.auth.principal(&token)).await?
            }
        };
        if !roles.contains(&principal.role) {
            return Err(Failure::forbidden("this login may not do that"));
        }
        request.extensions_mut().insert(principal);
    }
    if has_body(&request) {
        access.require_type(request.headers())?;
    }
    Ok(next.run(request).await)
}

/// Whether a body comes (RFC 9112 section 6.3), or is there.
fn has_body(request: &Request) -> bool {
    let headers = request.headers();
    headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(TRANSFER_ENCODING)
        || request.body().size_hint().lower() > 0
}

/// The `ticket` of a query.
fn ticket(uri: &Uri) -> Option<String> {
    #[derive(Deserialize)]
    struct Ticket {
        ticket: String,
    }
    Query::<Ticket>::try_from_uri(uri).ok().map(|Query(found)| found.ticket)
}

fn bearer(headers: &HeaderMap) -> Result<String> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    token.ok_or_else(|| Failure::unauthorized("a bearer token is needed"))
}
