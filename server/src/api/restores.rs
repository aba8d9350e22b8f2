//! Restores: data is staged, previewed, and made live in one piece.

use super::attachments::receive;
use super::documents::AnyDocument;
use super::request::{Params, Segments, Whole, bytes, header, json, json_up_to};
use super::{Binary, answer};
use crate::App;
use crate::auth::Principal;
use crate::failure::{Failure, Result};
use crate::store::{Place, bad_blob};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use dikas_archive::api::restore::{
    BATCH_BYTES, BatchStaged, BlobsQuestion, CommitRequest, MISSING_BLOBS, MissingBlobs, PIECE_BYTES, Pause,
    RestoreBegun, RestoreOutcome, RestorePreview, RestoreRequest, RestoreSession, RunningRestore,
    SECRET_HEADER,
};
use dikas_archive::api::{AttachmentRecord, CRC32_HEADER, Envelope};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use dikas_archive::limits::MAX_DOCUMENT_BYTES;
use serde::Deserialize;
use std::sync::Arc;

/// How large the bodies are that list collections or digests.
const LIST_BYTES: usize = 1 << 20;

/// Opens a restore session.
#[utoipa::path(post, path = "/backup/restores", tag = "restore", request_body = RestoreRequest,
    responses(
        (status = CREATED, description = "Id and secret. The same key again finds the same session.",
            body = Envelope<RestoreBegun>),
        (status = BAD_REQUEST, description = "What is announced cannot be; the field says what."),
        (status = CONFLICT, description = "`restore-running`: another one is open, and `data` says whose. \
            `foreign-backup`: the backup is of another installation, and its business name was not typed; `data` has \
            both names. `unknown-origin`: the backup does not say which installation it is of, and the business name of \
            this one was not typed."),
        (status = INSUFFICIENT_STORAGE, description = "`no-space`: what is announced does not fit; nothing was begun.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn begin_restore(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    body: Body,
) -> Result<Response> {
    let request: RestoreRequest = json_up_to(body, LIST_BYTES).await?;
    let begun =
        crate::restoring(move || app.restores.begin(&principal.owner, &principal.name, request)).await?;
    Ok(answer(StatusCode::CREATED, begun))
}

/// Lists the session that is open, whoever opened it.
#[utoipa::path(get, path = "/backup/restores", tag = "restore",
    responses((status = OK, description = "One session, or none.", body = Envelope<Vec<RunningRestore>>)),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn list_restores(State(app): State<Arc<App>>) -> Result<Response> {
    Ok(answer(StatusCode::OK, crate::restoring(move || app.restores.running()).await?))
}

/// Stages a batch of documents: JSON lines, each ending with a line feed.
#[utoipa::path(put, path = "/backup/restores/{id}/documents/{collection}/{n}", tag = "restore",
    params(
        ("id" = String, Path, description = "Id of the session."),
        ("collection" = CollectionName, Path, description = "Name of a collection that was announced."),
        ("n" = u64, Path, description = "Number of the batch; they come in order, from 0."),
        ("dikas-crc32" = String, Header, pattern = "^[0-9a-f]{8}$",
            description = "CRC-32 of the body, 8 lower-case hex digits.")),
    request_body(content = AnyDocument, content_type = "application/x-ndjson",
        description = "At most 4 MiB and 4,000 lines; or a single line that is longer."),
    responses(
        (status = OK, description = "It is staged, now or since the first time.", body = Envelope<BatchStaged>),
        (status = BAD_REQUEST, description = "`bad-document`: a line is none, or comes twice; the message names it."),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = CONFLICT, description = "`batch-conflict`: the batch is there with other bytes. `out-of-order`: \
            another batch comes first."),
        (status = GONE, description = "`restore-gone`: the session has ended."),
        (status = PAYLOAD_TOO_LARGE, description = "The batch is too large.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn stage_documents(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments((id, collection, number)): Segments<(String, String, Whole)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let collection: CollectionName =
        collection.parse().map_err(|error| Failure::from(error).on("collection"))?;
    let body = batch(&app, &principal, &headers, body).await?;
    let stage = move || app.restores.stage_documents(&id, &principal.owner, &collection, number.0, &body);
    Ok(answer(StatusCode::OK, crate::restoring(stage).await?))
}

/// Stages a batch of attachment records: one per line, as compact JSON.
#[utoipa::path(put, path = "/backup/restores/{id}/attachments/{n}", tag = "restore",
    params(
        ("id" = String, Path, description = "Id of the session."),
        ("n" = u64, Path, description = "Number of the batch; they come in order, from 0."),
        ("dikas-crc32" = String, Header, pattern = "^[0-9a-f]{8}$",
            description = "CRC-32 of the body, 8 lower-case hex digits.")),
    request_body(content = AttachmentRecord, content_type = "application/x-ndjson",
        description = "At most 4 MiB and 4,000 lines."),
    responses(
        (status = OK, description = "It is staged, now or since the first time.", body = Envelope<BatchStaged>),
        (status = BAD_REQUEST, description = "`bad-document`: a line is no record, or comes twice; the message names it."),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = CONFLICT, description = "`batch-conflict`: the batch is there with other bytes. `out-of-order`: \
            another batch comes first."),
        (status = GONE, description = "`restore-gone`: the session has ended."),
        (status = PAYLOAD_TOO_LARGE, description = "The batch is too large.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn stage_attachments(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments((id, number)): Segments<(String, Whole)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let body = batch(&app, &principal, &headers, body).await?;
    let stage = move || app.restores.stage_attachments(&id, &principal.owner, number.0, &body);
    Ok(answer(StatusCode::OK, crate::restoring(stage).await?))
}

/// Says which blobs the server lacks.
#[utoipa::path(post, path = "/backup/restores/{id}/blobs/missing", tag = "restore", request_body = BlobsQuestion,
    params(("id" = String, Path, description = "Id of the session.")),
    responses(
        (status = OK, description = "Those that have to be sent.", body = Envelope<MissingBlobs>),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = GONE, description = "`restore-gone`: the session has ended."),
        (status = PAYLOAD_TOO_LARGE, description = "More than 10,000 digests.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn missing_blobs(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    body: Body,
) -> Result<Response> {
    let BlobsQuestion { sha256 } = json_up_to(body, LIST_BYTES).await?;
    if sha256.len() > MISSING_BLOBS {
        let message = format!("at most {MISSING_BLOBS} digests, found {}", sha256.len());
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message));
    }
    let ask = move || app.restores.missing_blobs(&id, &principal.owner, &sha256);
    Ok(answer(StatusCode::OK, MissingBlobs { missing: crate::restoring(ask).await? }))
}

/// Stores a blob, whole or piece by piece.
#[utoipa::path(put, path = "/backup/restores/{id}/blobs/{sha256}", tag = "restore",
    params(
        ("id" = String, Path, description = "Id of the session."),
        ("sha256" = Sha256, Path, description = "Digest of the bytes."),
        ("from" = Option<u64>, Query, description = "The body is a piece of at most 8 MiB, which begins here. Pieces come in \
            order; each may come again."),
        ("size" = Option<u64>, Query, description = "With `from`: how many bytes the whole has."),
        ("dikas-crc32" = Option<String>, Header, pattern = "^[0-9a-f]{8}$",
            description = "With `from`: CRC-32 of the piece, 8 lower-case hex \
            digits.")),
    request_body(content = Option<Binary>, content_type = "application/octet-stream", description = "The bytes."),
    responses(
        (status = CREATED, description = "It is on the disk."),
        (status = OK, description = "The piece is here; others are to follow."),
        (status = BAD_REQUEST, description = "`bad-blob`: the bytes have another digest; they were thrown away."),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = CONFLICT, description = "`out-of-order`: another piece comes first, or too many files have begun."),
        (status = GONE, description = "`restore-gone`: the session has ended."),
        (status = PAYLOAD_TOO_LARGE, description = "It is larger than this server takes.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn put_blob(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments((id, sha256)): Segments<(String, String)>,
    Params(piece): Params<PieceParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let expected: Sha256 = sha256.parse().map_err(|error| Failure::from(error).on("sha256"))?;
    if let Some(place) = piece.place()? {
        let body = checked(&app, &principal, &headers, body, PIECE_BYTES).await?;
        let limit = app.limits.attachment_bytes;
        let stage = move || app.restores.stage_piece(&id, &principal.owner, &expected, place, limit, &body);
        let whole = crate::restoring(stage).await? == place.size;
        return Ok(answer(if whole { StatusCode::CREATED } else { StatusCode::OK }, ()));
    }
    let may = {
        let (app, id, owner) = (Arc::clone(&app), id.clone(), principal.owner.clone());
        move || app.restores.takes_blobs(&id, &owner)
    };
    crate::restoring(may.clone()).await?;
    let called = || app.restores.note_call(&id);
    let upload = receive(&app, &headers, body, called).await?;
    crate::restoring(move || {
        let found = upload.digest();
        if found != expected {
            return Err(bad_blob(&expected, &found));
        }
        app.store.blobs().keep(upload)?;
        // One that ended meanwhile keeps the blob from nobody: the clean-up takes it.
        may()
    })
    .await?;
    Ok(answer(StatusCode::CREATED, ()))
}

#[derive(Deserialize)]
pub(super) struct PieceParams {
    from: Option<Whole>,
    size: Option<Whole>,
}

impl PieceParams {
    /// Where the body belongs; none where it is the whole.
    fn place(&self) -> Result<Option<Place>> {
        match (self.from, self.size) {
            (None, None) => Ok(None),
            (Some(Whole(from)), Some(Whole(size))) => Ok(Some(Place { from, size })),
            _ => Err(Failure::bad_request("`from` and `size` come together").on("from")),
        }
    }
}

/// Says what would change: what is staged against what is live.
#[utoipa::path(get, path = "/backup/restores/{id}/preview", tag = "restore",
    params(("id" = String, Path, description = "Id of the session.")),
    responses(
        (status = OK, description = "What a person should see before the commit.", body = Envelope<RestorePreview>),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = CONFLICT, description = "`incomplete`: something that was announced is not staged; the message names it."),
        (status = GONE, description = "`restore-gone`: the session has ended.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn preview_restore(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let preview = crate::restoring(move || app.restores.preview(&id, &principal.owner)).await?;
    Ok(answer(StatusCode::OK, preview))
}

/// Holds all writers off, until the session ends, or for 30 seconds.
#[utoipa::path(post, path = "/backup/restores/{id}/pause", tag = "restore",
    params(("id" = String, Path, description = "Id of the session.")),
    responses(
        (status = OK, description = "Nobody writes from now on.", body = Envelope<Pause>),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = GONE, description = "`restore-gone`: the session has ended.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn pause_writers(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let pause = crate::restoring(move || app.restores.pause(&id, &principal.owner)).await?;
    Ok(answer(StatusCode::OK, pause))
}

/// Makes what is staged live: all of it, or nothing.
#[utoipa::path(post, path = "/backup/restores/{id}/commit", tag = "restore", request_body = CommitRequest,
    params(("id" = String, Path, description = "Id of the session.")),
    responses(
        (status = OK, description = "What it has done; the same when it is asked again.", body = Envelope<RestoreOutcome>),
        (status = FORBIDDEN, description = "`forbidden`: the session is somebody else's."),
        (status = CONFLICT, description = "`incomplete`. `live-changed`: something that would be lost has changed since the \
            preview; `data` is a fresh one. `signed-loss`: signed documents would be lost, and `data` says how many. \
            `files-left-out`: files of the backup would not be restored, and `data` says how many. Nothing has changed."),
        (status = GONE, description = "`restore-gone`: the session has ended.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn commit_restore(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    body: Body,
) -> Result<Response> {
    let request: CommitRequest = json(body).await?;
    let cleaner = Arc::clone(&app);
    let outcome = crate::restoring(move || app.restores.commit(&id, &principal.owner, request)).await?;
    cleaner.clean_soon();
    Ok(answer(StatusCode::OK, outcome))
}

/// Ends a session; another admin than its owner may do that too. Nothing has changed then.
#[utoipa::path(delete, path = "/backup/restores/{id}", tag = "restore",
    params(("id" = String, Path, description = "Id of the session.")),
    responses(
        (status = OK, description = "It has ended, and what it had staged goes."),
        (status = GONE, description = "`restore-gone`: it has ended already.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn abort_restore(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    let cleaner = Arc::clone(&app);
    crate::restoring(move || app.restores.abort(&id, &principal.name)).await?;
    cleaner.clean_soon();
    Ok(answer(StatusCode::OK, ()))
}

/// Says how a session is doing, or how it ended: for a day, and without a login, which a restore may have ended.
#[utoipa::path(get, path = "/backup/restores/{id}", tag = "restore",
    params(
        ("id" = String, Path, description = "Id of the session."),
        ("dikas-restore-secret" = String, Header, description = "Its secret.")),
    responses(
        (status = OK, description = "The session.", body = Envelope<RestoreSession>),
        (status = GONE, description = "`restore-gone`: there is no such session, no more, or the secret is wrong.")),
    security(()), extensions(("x-dikas-roles" = json!(["anyone"]))))]
pub(super) async fn get_restore(
    State(app): State<Arc<App>>,
    Segments(id): Segments<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let secret = header(&headers, SECRET_HEADER)?.to_owned();
    let session = crate::restoring(move || app.restores.state(&id, &secret)).await?;
    Ok(answer(StatusCode::OK, session))
}

/// The body of a batch, as its checksum says that it was sent.
async fn batch(app: &App, principal: &Principal, headers: &HeaderMap, body: Body) -> Result<Bytes> {
    checked(app, principal, headers, body, BATCH_BYTES.max(MAX_DOCUMENT_BYTES + 1)).await
}

/// A body of at most `limit` bytes that has the checksum that its header states.
async fn checked(
    app: &App,
    principal: &Principal,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes> {
    let stated = headers.get(CRC32_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = bytes(app, &principal.owner, headers, body, limit).await?;
    let found = format!("{:08x}", crc32fast::hash(&body));
    if stated.as_deref() != Some(&found) {
        let stated = stated.unwrap_or_else(|| "none".to_owned());
        let message = format!("the body has another checksum: expected {stated}, found {found}");
        return Err(Failure::bad_request(message).on(CRC32_HEADER));
    }
    Ok(body)
}
