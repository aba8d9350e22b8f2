//! The till's everyday traffic.

use super::answer;
use super::request::{self, Params, Segments};
use crate::App;
use crate::auth::{Principal, Role};
use crate::failure::{Failure, Result};
use crate::store::{Owner, Rules, Tally};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dikas_archive::api::Envelope;
use dikas_archive::catalog::CollectionName;
use dikas_archive::document;
use dikas_archive::limits::MAX_DOCUMENT_BYTES;
use serde::Deserialize;
use std::sync::Arc;

/// What a till has no business with.
const ADMIN_ONLY: [&str; 4] = ["users", "settings", "printers", "print-templates"];

#[derive(Deserialize)]
pub(super) struct DocumentId {
    id: String,
}

/// A document, of which the server knows no more than its id.
#[derive(utoipa::ToSchema)]
pub(super) struct AnyDocument {
    /// Names it in its collection.
    #[schema(min_length = 1, max_length = 4096)]
    _id: String,
}

/// Answers one document, byte for byte as it is stored.
#[utoipa::path(get, path = "/documents/{collection}", tag = "documents",
    params(
        ("collection" = CollectionName, Path, description = "Name of the collection."),
        ("id" = String, Query, description = "`_id` of the document.")),
    responses(
        (status = OK, description = "The document.", body = AnyDocument, content_type = "application/json"),
        (status = NOT_FOUND, description = "There is no such document.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn get_document(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    Params(DocumentId { id }): Params<DocumentId>,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    let body = read(app, &principal.owner, collection, id).await?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// Stores one document. CR and LF are dropped; every other byte stays.
#[utoipa::path(put, path = "/documents/{collection}", tag = "documents",
    params(
        ("collection" = CollectionName, Path, description = "Name of the collection."),
        ("id" = String, Query, min_length = 1, max_length = 4096,
            description = "`_id` of the document, as in the body.")),
    request_body(content = AnyDocument, content_type = "application/json", description = "The document."),
    responses(
        (status = CREATED, description = "It is new.", body = Envelope<Tally>),
        (status = OK, description = "It was changed, or had the same bytes already.", body = Envelope<Tally>),
        (status = BAD_REQUEST, description = "The body is no document, or another one's."),
        (status = CONFLICT, description = "`signed-document`: it would change what fiscal law protects; \
            `counter-backwards`: a till would turn a counter back."),
        (status = PAYLOAD_TOO_LARGE, description = "It is larger than 32 MiB.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn put_document(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    Params(DocumentId { id }): Params<DocumentId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    let body = request::bytes(&app, &principal.owner, &headers, body, MAX_DOCUMENT_BYTES).await?;
    let tally = crate::writing(move || {
        let (document, body) = document::ingest(body.to_vec())?;
        if document.id != id {
            let message = format!("the document has another _id: expected {id:?}, found {:?}", document.id);
            return Err(Failure::new(StatusCode::BAD_REQUEST, "bad-document", message).on("_id"));
        }
        put(&app, &principal, &collection, &[(document.id, body)], |_| None)
    })
    .await?;
    let status = if tally.created > 0 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(status, tally))
}

/// Stores many documents, JSON lines: all of them or none.
#[utoipa::path(post, path = "/documents/{collection}", tag = "documents",
    params(("collection" = CollectionName, Path, description = "Name of the collection.")),
    request_body(content = AnyDocument, content_type = "application/x-ndjson", description = "One document per line."),
    responses(
        (status = OK, description = "What became of them.", body = Envelope<Tally>),
        (status = BAD_REQUEST, description = "A line is no document; the message names it."),
        (status = CONFLICT, description = "`signed-document`, `counter-backwards`; the message names the line."),
        (status = PAYLOAD_TOO_LARGE, description = "More than this server takes at once: 64 MiB, 100,000 documents.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn post_documents(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    let body = request::bytes(&app, &principal.owner, &headers, body, app.limits.bulk_bytes).await?;
    let tally = crate::writing(move || {
        let line = |index: usize| format!("line {}", index + 1);
        let mut documents = Vec::new();
        for (index, text) in document::lines(&body).enumerate() {
            if index >= app.limits.bulk_documents {
                let message = format!("the body has more than {} documents", app.limits.bulk_documents);
                return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message));
            }
            let (document, body) =
                document::ingest(text.to_vec()).map_err(|error| Failure::from(error).at(line(index)))?;
            documents.push((document.id, body));
        }
        put(&app, &principal, &collection, &documents, |index| Some(line(index)))
    })
    .await?;
    Ok(answer(StatusCode::OK, tally))
}

/// Deletes one document and its attachments.
#[utoipa::path(delete, path = "/documents/{collection}", tag = "documents",
    params(
        ("collection" = CollectionName, Path, description = "Name of the collection."),
        ("id" = String, Query, description = "`_id` of the document.")),
    responses(
        (status = OK, description = "It is gone."),
        (status = NOT_FOUND, description = "There is no such document."),
        (status = CONFLICT, description = "`signed-document`: fiscal law protects it.")),
    extensions(("x-dikas-roles" = json!(["admin", "till"]))))]
pub(super) async fn delete_document(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Segments(collection): Segments<String>,
    Params(DocumentId { id }): Params<DocumentId>,
) -> Result<Response> {
    let collection = allowed(&principal, &collection)?;
    crate::writing(move || {
        app.store.delete_document(&collection, &id, rules(&principal))?;
        review(&app, &collection, &[id])
    })
    .await?;
    Ok(answer(StatusCode::OK, ()))
}

/// A document, which counts for the memory that it takes until nobody has it any more.
async fn read(app: Arc<App>, owner: &Owner, collection: CollectionName, id: String) -> Result<Bytes> {
    let (reader, of, named) = (Arc::clone(&app), collection.clone(), id.clone());
    let length = crate::blocking(move || reader.store.document_bytes(&of, &named)).await?;
    let missing = || Failure::not_found("there is no such document").on(&id);
    let length = usize::try_from(length.ok_or_else(missing)?).unwrap_or(usize::MAX);
    // The database has a copy of its own while it reads.
    let mut share = app.memory.share(owner, length.saturating_mul(2)).await?;
    let named = id.clone();
    let body = crate::blocking(move || app.store.document(&collection, &named)).await?.ok_or_else(missing)?;
    share.grow(body.len()).await?;
    share.shrink(body.len());
    Ok(share.hold(body))
}

fn put(
    app: &App,
    principal: &Principal,
    collection: &CollectionName,
    documents: &[(String, Vec<u8>)],
    place: impl Fn(usize) -> Option<String>,
) -> Result<Tally> {
    let tally = app.store.put_documents(collection, documents, rules(principal), place)?;
    let ids: Vec<String> = documents.iter().map(|(id, _)| id.clone()).collect();
    review(app, collection, &ids)?;
    Ok(tally)
}

/// Ends the logins of users whose role or password is another one now, or who may log in no more.
fn review(app: &App, collection: &CollectionName, ids: &[String]) -> Result<()> {
    if collection.as_str() == "users" { app.auth.review(ids) } else { Ok(()) }
}

/// The collection of this name, where the caller may touch it.
pub(super) fn allowed(principal: &Principal, collection: &str) -> Result<CollectionName> {
    let name: CollectionName = collection.parse().map_err(|error| Failure::from(error).on("collection"))?;
    if principal.role != Role::Admin && ADMIN_ONLY.contains(&name.as_str()) {
        return Err(Failure::forbidden("a till may not touch this collection").on(name.as_str()));
    }
    Ok(name)
}

fn rules(principal: &Principal) -> Rules<'_> {
    let rules = if principal.role == Role::Admin { Rules::NONE } else { Rules::TILL };
    Rules { by: Some(&principal.name), ..rules }
}
