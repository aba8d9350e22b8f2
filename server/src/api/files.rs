//! Answers whose body is a blob, whole or in part.

use super::checksum;
use crate::blobs::{Blobs, first_bytes, picture_type};
use crate::failure::{Failure, Result};
use crate::memory::Share;
use crate::store::changed_file;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use axum::response::Response;
use dikas_archive::api::{AttachmentRecord, CRC32_HEADER};
use dikas_archive::digest::Sha256;
use dikas_page::{CHECKED_BYTES, Download};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::File;
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
    let disposition = name.map_or_else(|| "attachment".to_owned(), named);
    let (tag, sha256) = (format!("\"{digest}\""), Some(*digest));
    Ok(Download { file, size, tag, sha256, media_type, disposition }.answer(request)?)
}

/// Answers an archive under this name as a download, or the one range of it that was asked for. Blocks.
pub(super) fn archive_answer(
    file: File,
    name: &str,
    tag: String,
    sha256: Option<Sha256>,
    request: &HeaderMap,
) -> Result<Response> {
    // What is sent is what is open, whatever becomes of its name.
    let (size, media_type) = (file.metadata()?.len(), "application/zip");
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let disposition = match is_plain {
        true => format!("attachment; filename=\"{name}\""),
        false => named(name),
    };
    Ok(Download { file, size, tag, sha256, media_type, disposition }.answer(request)?)
}

/// A disposition with a name of any letters (RFC 6266 section 4.1, RFC 8187).
fn named(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// How many bytes several blobs of one answer have together at most.
pub(super) const FILES_BYTES: usize = CHECKED_BYTES as usize;

/// Answers several small blobs, one behind the other, with their names as the entity tag. Their bytes keep what they
/// need of this share. Blocks.
pub(super) fn files_answer(
    blobs: &Blobs,
    files: &[AttachmentRecord],
    names: String,
    mut share: Share,
) -> Result<Response> {
    let mut bytes = Vec::new();
    for record in files {
        let (file, size) = blobs.read(&record.sha256)?;
        if bytes.len() as u64 + size > CHECKED_BYTES {
            let message =
                format!("several files at once may have {CHECKED_BYTES} bytes together, and these have more");
            return Err(Failure::bad_request(message).on("sha256"));
        }
        let from = bytes.len();
        file.take(size).read_to_end(&mut bytes)?;
        if Sha256::of(bytes.get(from..).unwrap_or_default()) != record.sha256 {
            return Err(changed_file(record));
        }
    }
    share.shrink(bytes.len());
    Response::builder()
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_DISPOSITION, "attachment")
        .header(ETAG, format!("\"{names}\""))
        .header(CRC32_HEADER, checksum(crc32fast::hash(&bytes)))
        .body(Body::from(share.hold(bytes)))
        .map_err(Failure::internal)
}
