//! Files of documents.

use super::documents::allowed;
use super::files::file_answer;
use super::request::{Params, Segments, content_length, next_chunk};
use super::{Binary, answer};
use crate::App;
use crate::auth::Principal;
use crate::blobs::Upload;
use crate::failure::{Failure, Result};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dikas_archive::api::{AttachmentRecord, Envelope};
use dikas_archive::catalog::CollectionName;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct Which {
    id: String,
    name: Option<String>,
}

/// Answers a file of a document; without `name`, the records of all its files.
#[utoipa::path(get, path = "/documents/{collection}/attachments", tag = "attachments",
    params(
        ("collection" = CollectionName, Path, description = "Collection of the owner."),
        ("id" = String, Query, description = "`_id` of the owner."),
        ("name" = Option<String>, Query, min_length = 1, max_length = 255,
            pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", description = "File name.")),
    responses(
        (status = OK, description = "The bytes, whose type is octet-stream unless they are a picture; or the records.",
            content((Binary = "application/octet-stream"), (Envelope<Vec<AttachmentRecord>> = "application/json"))),
        (status = PARTIAL_CONTENT, description = "The range that was asked for.",
            body = Binary, content_type = "application/octet-stream"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range begins behind the end."),
        (status = NOT_FOUND, description = "There is no such file.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn get_attachment(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    Params(Which { id, name }): Params<Which>,
    headers: HeaderMap,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    let Some(name) = name else {
        let records = crate::blocking(move || app.store.attachments(&collection, &id)).await?;
        return Ok(answer(StatusCode::OK, records));
    };
    crate::blocking(move || {
        let missing = || Failure::not_found("there is no such attachment").on(&name);
        let record = app.store.attachment(&collection, &id, &name)?.ok_or_else(missing)?;
        file_answer(app.store.blobs(), &record.sha256, Some(&record.name), &headers)
    })
    .await
}

/// Stores a file of a document that is there already.
#[utoipa::path(put, path = "/documents/{collection}/attachments", tag = "attachments",
    params(
        ("collection" = CollectionName, Path, description = "Collection of the owner."),
        ("id" = String, Query, description = "`_id` of the owner."),
        ("name" = String, Query, min_length = 1, max_length = 255,
            pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
            description = "File name: 1 to 255 bytes, no control characters.")),
    request_body(content = Option<Binary>, content_type = "*/*", description = "The bytes; Content-Type is kept."),
    responses(
        (status = CREATED, description = "It is new.", body = Envelope<AttachmentRecord>),
        (status = OK, description = "It replaced another, or was there already; for a signed document, with the type it had.",
            body = Envelope<AttachmentRecord>),
        (status = NOT_FOUND, description = "There is no such document."),
        (status = CONFLICT, description = "`signed-document`: it would replace what fiscal law protects."),
        (status = PAYLOAD_TOO_LARGE, description = "It is larger than this server takes.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn put_attachment(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    Params(which): Params<Which>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    let name = file_name(which.name)?;
    let media_type = media_type(&headers)?;
    let id = which.id;
    if crate::blocking({
        let (app, collection, id) = (Arc::clone(&app), collection.clone(), id.clone());
        move || app.store.document_bytes(&collection, &id)
    })
    .await?
    .is_none()
    {
        return Err(Failure::not_found("there is no such document").on(id));
    }
    let upload = receive(&app, &headers, body, || {}).await?;
    let (record, created) = crate::writing(move || {
        let (sha256, size) = app.store.blobs().keep(upload)?;
        let record = AttachmentRecord { collection, id, name, media_type, size, sha256 };
        app.store.put_attachment(&record)
    })
    .await?;
    Ok(answer(if created { StatusCode::CREATED } else { StatusCode::OK }, record))
}

/// Deletes a file of a document.
#[utoipa::path(delete, path = "/documents/{collection}/attachments", tag = "attachments",
    params(
        ("collection" = CollectionName, Path, description = "Collection of the owner."),
        ("id" = String, Query, description = "`_id` of the owner."),
        ("name" = String, Query, min_length = 1, max_length = 255,
            pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", description = "File name.")),
    responses(
        (status = OK, description = "It is gone."),
        (status = NOT_FOUND, description = "There is no such file."),
        (status = CONFLICT, description = "`signed-document`: fiscal law protects it.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn delete_attachment(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    Params(which): Params<Which>,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    let name = file_name(which.name)?;
    crate::writing(move || app.store.delete_attachment(&collection, &which.id, &name)).await?;
    Ok(answer(StatusCode::OK, ()))
}

/// Takes a body in as a blob that has no name yet; calls `on_chunk` whenever some of it has come.
pub(super) async fn receive(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    on_chunk: impl Fn(),
) -> Result<Upload> {
    let stated = content_length(headers).unwrap_or_default();
    if stated > app.limits.attachment_bytes {
        return Err(Failure::too_large(app.limits.attachment_bytes));
    }
    app.store.room().require(stated)?;
    let mut upload = app.store.blobs().upload(app.limits.attachment_bytes)?;
    let mut stream = body.into_data_stream();
    while let Some(chunk) = next_chunk(&mut stream).await? {
        upload = crate::writing(move || {
            upload.write(&chunk)?;
            Ok(upload)
        })
        .await?;
        on_chunk();
    }
    Ok(upload)
}

/// A name that a file can have. It is data and never a path, so a slash in it is fine.
fn file_name(name: Option<String>) -> Result<String> {
    let name = name.unwrap_or_default();
    if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
        let message = "a file name has 1 to 255 bytes and no control characters";
        return Err(Failure::bad_request(message).on("name"));
    }
    Ok(name)
}

fn media_type(headers: &HeaderMap) -> Result<String> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok("application/octet-stream".to_owned()) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.len() <= 255);
    let text = text.ok_or_else(|| Failure::bad_request("this is no media type").on("content-type"))?;
    Ok(text.to_owned())
}
