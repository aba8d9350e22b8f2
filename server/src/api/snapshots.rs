//! One moment of the store, page by page.

use super::documents::AnyDocument;
use super::files::{FILES_BYTES, file_answer, files_answer};
use super::request::{Params, Segments, Whole, json_or_default};
use super::{Binary, answer, checksum};
use crate::auth::Principal;
use crate::failure::{Failure, Result};
use crate::store::Turn;
use crate::{App, clock};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use dikas_archive::api::{
    AttachmentPage, CRC32_HEADER, DOCUMENTS_HEADER, Envelope, NDJSON, NEXT_HEADER, Snapshot, SnapshotRequest,
};
use dikas_archive::catalog::CollectionName;
use dikas_archive::damage::Damaged;
use dikas_archive::digest::Sha256;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What `maxBytes` can be.
const PAGE_BYTES: RangeInclusive<usize> = (64 << 10)..=(16 << 20);

/// How many files one call answers at most.
const FILES_AT_ONCE: usize = 64;

/// What `maxBytes` is where the caller does not say.
const USUAL_PAGE_BYTES: usize = 4 << 20;

/// Opens a snapshot of this moment.
#[utoipa::path(post, path = "/backup/snapshots", tag = "backup", request_body = Option<SnapshotRequest>,
    responses(
        (status = CREATED, description = "What it holds, by collection.", body = Envelope<Snapshot>),
        (status = CONFLICT, description = "`damaged-document`: of the collections that `without` names, more is damaged \
            than it names; `data` says what.", body = Envelope<Damaged>),
        (status = TOO_MANY_REQUESTS, description = "Too many are open, all in all or of backup tokens, or this token asks \
            too often; Retry-After says when to try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn open_snapshot(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    body: Body,
) -> Result<Response> {
    let request: SnapshotRequest = json_or_default(body).await?;
    if request.categories.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::bad_request("at least one category has to be chosen").on("categories"));
    }
    app.rates.take(&principal.owner)?;
    let snapshot = crate::blocking(move || {
        let snapshot = app.snapshots.open(principal.owner, &request)?;
        let entry = AuditEntry::new(clock::now(), principal.name, AuditAction::Snapshot, AuditEnd::Done);
        app.store.note(AuditEntry { missing: snapshot.missing.clone(), ..entry });
        Ok(snapshot)
    });
    Ok(answer(StatusCode::CREATED, snapshot.await?))
}

/// Describes an open snapshot once more, for whoever goes on with a backup of it.
#[utoipa::path(get, path = "/backup/snapshots/{id}", tag = "backup",
    params(("id" = String, Path, description = "Id of the snapshot.")),
    responses(
        (status = OK, description = "What it holds, as when it was opened.", body = Envelope<Snapshot>),
        (status = GONE, description = "`snapshot-gone`: it was closed or has expired.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn get_snapshot(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    Ok(answer(StatusCode::OK, app.snapshots.describe(&id, &principal.owner, Turn::AtOnce).await?))
}

/// Closes a snapshot.
#[utoipa::path(delete, path = "/backup/snapshots/{id}", tag = "backup",
    params(("id" = String, Path, description = "Id of the snapshot.")),
    responses(
        (status = OK, description = "It is closed."),
        (status = GONE, description = "`snapshot-gone`: it was closed or has expired.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn close_snapshot(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
) -> Result<Response> {
    app.snapshots.close(&id, &principal.owner).await?;
    Ok(answer(StatusCode::OK, ()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageParams {
    after: Option<String>,
    max_bytes: Option<Whole>,
}

/// Answers a page of documents: whole lines in the order of their ids as bytes, at least one where there is one.
#[utoipa::path(get, path = "/backup/snapshots/{id}/documents/{collection}", tag = "backup",
    params(
        ("id" = String, Path, description = "Id of the snapshot."),
        ("collection" = CollectionName, Path, description = "Name of the collection."),
        ("after" = Option<String>, Query, description = "Where the page before ended."),
        ("maxBytes" = Option<u64>, Query, description = "About how much: 64 KiB to 16 MiB, usually 4 MiB.")),
    responses(
        (status = OK, description = "JSON lines, byte for byte as they are stored.",
            body = AnyDocument, content_type = "application/x-ndjson", headers(
                ("dikas-documents" = u64, description = "How many lines."),
                ("dikas-next" = String, description = "`after` of the next page, percent-encoded; absent on the last."),
                ("dikas-crc32" = String, description = "CRC-32 of the body, 8 lower-case hex digits."))),
        (status = NOT_FOUND, description = "The snapshot does not cover this collection."),
        (status = CONFLICT, description = "`damaged-document`: what is stored is not what was written; `data` says of \
            which documents, from here on.", body = Envelope<Damaged>),
        (status = GONE, description = "`snapshot-gone`: it was closed or has expired."),
        (status = TOO_MANY_REQUESTS, description = "Too many requests to it are under way; Retry-After says when to \
            try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn snapshot_documents(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments((id, collection)): Segments<(String, String)>,
    Params(PageParams { after, max_bytes }): Params<PageParams>,
) -> Result<Response> {
    let collection: CollectionName =
        collection.parse().map_err(|error| Failure::from(error).on("collection"))?;
    let max_bytes = max_bytes
        .and_then(|Whole(bytes)| usize::try_from(bytes).ok())
        .unwrap_or(USUAL_PAGE_BYTES)
        .clamp(*PAGE_BYTES.start(), *PAGE_BYTES.end());
    let mut share = app.memory.share(&principal.owner, max_bytes).await?;
    let page = app.snapshots.page(&id, &principal.owner, collection, after, max_bytes, Turn::AtOnce).await?;
    // A single document can be longer.
    share.grow(page.lines.len()).await?;
    share.shrink(page.lines.len());
    let mut answer = Response::builder()
        .header(CONTENT_TYPE, NDJSON)
        .header(DOCUMENTS_HEADER, page.documents)
        .header(CRC32_HEADER, checksum(crc32fast::hash(&page.lines)));
    if let Some(next) = &page.next {
        answer = answer.header(NEXT_HEADER, utf8_percent_encode(next, NON_ALPHANUMERIC).to_string());
    }
    answer.body(Body::from(share.hold(page.lines))).map_err(Failure::internal)
}

#[derive(Deserialize)]
pub(super) struct ListParams {
    after: Option<String>,
}

/// Lists attachments in the order of collection, id and name as bytes.
#[utoipa::path(get, path = "/backup/snapshots/{id}/attachments", tag = "backup",
    params(
        ("id" = String, Path, description = "Id of the snapshot."),
        ("after" = Option<String>, Query, description = "`next` of the page before.")),
    responses(
        (status = OK, description = "At most 1,000 records, and where the next page begins.",
            body = Envelope<AttachmentPage>),
        (status = CONFLICT, description = "`damaged-document`: files of this page are not there, or not in their sizes; \
            `data` says which.", body = Envelope<Damaged>),
        (status = GONE, description = "`snapshot-gone`: it was closed or has expired."),
        (status = TOO_MANY_REQUESTS, description = "Too many requests to it are under way; Retry-After says when to \
            try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn snapshot_attachments(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(id): Segments<String>,
    Params(ListParams { after }): Params<ListParams>,
) -> Result<Response> {
    Ok(answer(StatusCode::OK, app.snapshots.attachments(&id, &principal.owner, after, Turn::AtOnce).await?))
}

/// Answers the bytes of a file that the snapshot names, or of several small ones.
#[utoipa::path(get, path = "/backup/snapshots/{id}/blobs/{sha256}", tag = "backup",
    params(
        ("id" = String, Path, description = "Id of the snapshot."),
        ("sha256" = String, Path, pattern = "^[0-9a-f]{64}(,[0-9a-f]{64}){0,63}$",
            description = "Digest of the content, 64 lower-case hex digits; or of \
            several, at most 64, with commas between them: then the answer is their bytes, one behind the other, 16 MiB \
            at most.")),
    responses(
        (status = OK, description = "All bytes; octet-stream unless they are a picture.",
            body = Binary, content_type = "application/octet-stream"),
        (status = PARTIAL_CONTENT, description = "The range that was asked for.",
            body = Binary, content_type = "application/octet-stream", headers(
                ("dikas-crc32" = String, description = "CRC-32 of a body of up to 16 MiB, 8 lower-case hex digits."))),
        (status = RANGE_NOT_SATISFIABLE, description = "The range begins behind the end."),
        (status = NOT_FOUND, description = "The snapshot names no such blob."),
        (status = CONFLICT, description = "`damaged-document`: one of several files is not what was written; `data` says \
            which.", body = Envelope<Damaged>),
        (status = GONE, description = "`snapshot-gone`: it was closed or has expired."),
        (status = TOO_MANY_REQUESTS, description = "Too many requests to it are under way; Retry-After says when to \
            try again.")),
    extensions(("x-dikas-roles" = json!(["admin", "backup-token"]))))]
pub(super) async fn snapshot_blob(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments((id, sha256)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let parse = |digits: &str| digits.parse().map_err(|error| Failure::from(error).on("sha256"));
    let digests: Vec<Sha256> = sha256.split(',').map(parse).collect::<Result<_>>()?;
    if digests.len() > FILES_AT_ONCE {
        return Err(Failure::bad_request(format!("at most {FILES_AT_ONCE} digests")).on("sha256"));
    }
    let files = app.snapshots.files(&id, &principal.owner, digests, Turn::AtOnce).await?;
    if let [file] = files.as_slice() {
        let digest = file.sha256;
        return crate::blocking(move || file_answer(app.store.blobs(), &digest, None, &headers)).await;
    }
    let share = app.memory.share(&principal.owner, FILES_BYTES).await?;
    crate::blocking(move || files_answer(app.store.blobs(), &files, sha256, share)).await
}
