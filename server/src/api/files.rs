//! Answers whose body is a blob, whole or in part.

use super::checksum;
use crate::blobs::{Blobs, first_bytes, picture_type};
use crate::failure::{Failure, Result};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use axum::response::Response;
use dikas_archive::api::CRC32_HEADER;
use dikas_archive::digest::Sha256;
use dikas_page::{CHECKED_BYTES, Download};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io::Read as _;

/// Answers this blob as a download, or the one range of it that was asked for. Blocks.
pub(super) fn file_answer(
    blobs: &Blobs,
    digest: &Sha256,
    name: Option<&str>,
    request: &HeaderMap,
) -> Result<Response> {
    let (mut file, size) = blobs.read(digest)?;
    let media_type = picture_type(&first_bytes(&mut file)?).unwrap_or("application/octet-stream");
    let disposition = match name {
        Some(name) => {
            format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        }
        None => "attachment".to_owned(),
    };
    let (tag, sha256) = (format!("\"{digest}\""), Some(*digest));
    Ok(Download { file, size, tag, sha256, media_type, disposition }.answer(request)?)
}

/// Answers several small blobs, one behind the other, with their names as the entity tag. Blocks.
pub(super) fn files_answer(blobs: &Blobs, digests: &[Sha256], names: String) -> Result<Response> {
    let mut bytes = Vec::new();
    for digest in digests {
        let (file, size) = blobs.read(digest)?;
        if bytes.len() as u64 + size > CHECKED_BYTES {
            let message =
                format!("several files at once may have {CHECKED_BYTES} bytes together, and these have more");
            return Err(Failure::bad_request(message).on("sha256"));
        }
        file.take(size).read_to_end(&mut bytes)?;
    }
    Response::builder()
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_DISPOSITION, "attachment")
        .header(ETAG, format!("\"{names}\""))
        .header(CRC32_HEADER, checksum(crc32fast::hash(&bytes)))
        .body(Body::from(bytes))
        .map_err(Failure::internal)
}
