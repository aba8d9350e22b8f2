//! Answers whose body is a blob, whole or in part (RFC 9110 section 14).

use super::checksum;
use crate::blobs::{Blobs, first_bytes, picture_type};
use crate::failure::{Failure, Result};
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dikas_archive::api::CRC32_HEADER;
use dikas_archive::digest::Sha256;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// A longer body bears no checksum: it would have to be read twice, and whoever fetches that much has its digest.
const CHECKED_BYTES: u64 = 16 << 20;

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
    Download { file, size, digest, media_type, disposition }.answer(request)
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

/// A file on its way out.
pub(super) struct Download<'a> {
    pub(super) file: File,
    pub(super) size: u64,
    /// Of its content.
    pub(super) digest: &'a Sha256,
    pub(super) media_type: &'a str,
    /// The header of this name.
    pub(super) disposition: String,
}

impl Download<'_> {
    /// The whole of it, or the one range that was asked for. Blocks.
    pub(super) fn answer(self, request: &HeaderMap) -> Result<Response> {
        let Self { mut file, size, digest, media_type, disposition } = self;
        let tag = format!("\"{digest}\"");
        let current = request.get(IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
        let wanted = request.get(RANGE).filter(|_| current).and_then(|value| value.to_str().ok());
        let answer = Response::builder()
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_DISPOSITION, disposition)
            .header(ACCEPT_RANGES, "bytes")
            .header(ETAG, tag);
        let (answer, first, length) = match wanted.map_or(Range::Whole, |text| range(text, size)) {
            Range::Whole => (answer, 0, size),
            Range::Part { first, last } => {
                let answer = answer
                    .status(StatusCode::PARTIAL_CONTENT)
                    .header(CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
                (answer, first, last - first + 1)
            }
            Range::Unsatisfiable => {
                let answer = answer
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(CONTENT_RANGE, format!("bytes */{size}"));
                return answer.body(Body::empty()).map_err(Failure::internal);
            }
        };
        file.seek(SeekFrom::Start(first))?;
        let answer = if length <= CHECKED_BYTES {
            let crc32 = crc32(&mut (&file).take(length))?;
            file.seek(SeekFrom::Start(first))?;
            answer.header(CRC32_HEADER, checksum(crc32))
        } else {
            answer
        };
        let reader = tokio::fs::File::from_std(file).take(length);
        let body = Body::from_stream(ReaderStream::with_capacity(reader, BUFFER));
        answer.header(CONTENT_LENGTH, length).body(body).map_err(Failure::internal)
    }
}

fn crc32(bytes: &mut impl Read) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { first: u64, last: u64 },
    Unsatisfiable,
}

/// Reads a `Range` header. One that is malformed, asks for several ranges, or concerns an empty file is as good as none
/// (RFC 9110 section 14.2 allows that).
fn range(text: &str, size: u64) -> Range {
    if size == 0 {
        return Range::Whole;
    }
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
        };
        Some(match (first, last) {
            ("", suffix) => {
                let length = number(suffix)?.min(size);
                (size - length, size.checked_sub(1).filter(|_| length > 0))
            }
            (first, "") => (number(first)?, size.checked_sub(1)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                (first, size.checked_sub(1).map(|end| last.min(end)))
            }
        })
    };
    match parse() {
        None => Range::Whole,
        Some((first, Some(last))) if first <= last => Range::Part { first, last },
        Some(_) => Range::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, range};

    #[test]
    fn one_range_is_answered_and_nonsense_ignored() {
        let part = |first, last| Range::Part { first, last };
        let cases = [
            ("bytes=0-", 10, part(0, 9)),
            ("bytes=3-5", 10, part(3, 5)),
            ("bytes=3-99999999999999999999999", 10, part(3, 9)),
            ("bytes=-4", 10, part(6, 9)),
            ("bytes=-40", 10, part(0, 9)),
            ("bytes=9-9", 10, part(9, 9)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=0-", 0, Range::Whole),
            ("bytes=5-3", 10, Range::Whole),
            ("bytes=0-1,4-5", 10, Range::Whole),
            ("bytes=+1-2", 10, Range::Whole),
            ("bytes=-", 10, Range::Whole),
            ("lines=0-1", 10, Range::Whole),
        ];
        for (text, size, expected) in cases {
            assert_eq!(range(text, size), expected, "{text} of {size}");
        }
    }
}
