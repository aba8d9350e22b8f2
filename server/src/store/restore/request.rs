//! Whether a restore announces what can be.

use super::judge::{How, Incoming};
use crate::failure::{Failure, Result};
use dikas_archive::api::restore::RestoreRequest;
use dikas_archive::api::{is_moment, is_random_id};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use std::fmt::Display;

/// The longest file name of an archive, in bytes.
const MAX_NAME: usize = 255;

/// # Errors
/// `bad-request`, naming the field.
pub(super) fn check(request: &RestoreRequest) -> Result<()> {
    let bad = |field: &dyn Display, message: &str| Err(Failure::bad_request(message).on(field.to_string()));
    if request.key.as_ref().is_some_and(|key| !is_random_id(key)) {
        return bad(&"key", "not 32 lower-case hex digits");
    }
    let archive = &request.archive;
    if archive.name.is_empty() || archive.name.len() > MAX_NAME {
        return bad(&"archive.name", "a file name has 1 to 255 bytes");
    }
    if archive.created.as_ref().is_some_and(|created| !is_moment(created)) {
        return bad(&"archive.created", "not a moment such as 2026-11-23T18:59:41Z");
    }
    if request.collections.is_empty() {
        return bad(&"collections", "at least one collection has to be restored");
    }
    if !request.collections.is_sorted_by(|one, next| one.name < next.name) {
        return bad(&"collections", "collections come once each, in the order of their names");
    }
    let batches =
        request.collections.iter().map(|it| (it.name.as_str(), it.documents, it.batches, it.sha256));
    let files = &request.attachments;
    let records = ("attachments", files.attachments, files.batches, files.sha256);
    for (name, lines, batches, sha256) in batches.chain([records]) {
        if (lines == 0) != (batches == 0) || batches > lines {
            return bad(&name, "each batch has a line at least, and each line is in a batch");
        }
        if lines == 0 && sha256 != Sha256::of(b"") {
            return bad(&name, "the digest of nothing is that of no bytes");
        }
    }
    Ok(())
}

/// What comes into this collection, and what the backup says is missing in it there.
pub(super) fn incoming(
    request: &RestoreRequest,
    collection: &CollectionName,
    generation: i64,
    how: How,
) -> Incoming {
    let own = request.missing.iter().filter(|it| it.collection == *collection);
    let missing = own.map(|it| (it.id.clone(), it.name.clone().unwrap_or_default())).collect();
    Incoming { collection: collection.clone(), generation, how, missing }
}
