//! Files that come in pieces. One that does not become whole goes with its session.

use super::Restores;
use crate::failure::{Failure, Result};
use crate::store::Owner;
use axum::http::StatusCode;
use dikas_archive::api::restore::FILES_IN_PIECES;
use dikas_archive::digest::Sha256;

/// Where a piece belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where in the file it begins.
    pub from: u64,
    /// How many bytes the file has.
    pub size: u64,
}

impl Restores {
    /// Takes a piece of a file in; the last one makes it a blob. One that is here already changes nothing. Answers how many
    /// bytes of the file are here.
    ///
    /// # Errors
    /// `out-of-order`, `bad-blob`, `too-large`, `bad-request`, `no-space`, `restore-gone`, `forbidden`
    pub fn stage_piece(
        &self,
        id: &str,
        owner: &Owner,
        digest: &Sha256,
        Place { from, size }: Place,
        limit: u64,
        bytes: &[u8],
    ) -> Result<u64> {
        let end = from.saturating_add(bytes.len() as u64);
        if bytes.is_empty() || end > size {
            let message = format!("a piece of {} bytes from {from} on is none of {size} bytes", bytes.len());
            return Err(Failure::bad_request(message).on("from"));
        }
        if size > limit {
            return Err(Failure::too_large(limit));
        }
        self.with(id, owner, |_, work| {
            let blobs = self.store.blobs();
            let here = match work.uploads.get(digest) {
                Some(upload) => upload.size(),
                // What came last may have made it whole, and its answer got lost.
                None if from > 0 && blobs.size(digest)? == Some(size) => return Ok(size),
                None => 0,
            };
            if end <= here {
                return Ok(here);
            }
            if from != here {
                let message = format!("another piece comes first: the one from {here} on");
                return Err(Failure::conflict("out-of-order", message).on("from"));
            }
            if here == 0 && work.uploads.len() >= FILES_IN_PIECES {
                let message = format!("{FILES_IN_PIECES} other files have begun and are not whole yet");
                return Err(Failure::conflict("out-of-order", message).on("sha256"));
            }
            let mut upload = match work.uploads.remove(digest) {
                Some(upload) => upload,
                None => blobs.upload(limit)?,
            };
            upload.write(bytes)?;
            if end < size {
                work.uploads.insert(*digest, upload);
                return Ok(end);
            }
            let found = upload.digest();
            if found != *digest {
                return Err(bad_blob(digest, &found));
            }
            blobs.keep(upload)?;
            Ok(size)
        })
    }
}

/// Bytes that are not what they are called.
pub fn bad_blob(expected: &Sha256, found: &Sha256) -> Failure {
    let message = format!("the bytes have another digest: expected {expected}, found {found}");
    Failure::new(StatusCode::BAD_REQUEST, "bad-blob", message).on("sha256")
}
