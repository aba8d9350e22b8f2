//! Answers whose body is a file, whole or in part (RFC 9110 section 14).

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dikas_archive::api::CRC32_HEADER;
use dikas_archive::digest::Sha256;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// A longer body bears no checksum: it would have to be read twice, and whoever fetches that much has its digest.
pub const CHECKED_BYTES: u64 = 16 << 20;

/// Digest of the whole file, also where only a range of it is answered (RFC 9530 section 3).
const REPR_DIGEST: &str = "repr-digest";

/// A file on its way out.
#[derive(Debug)]
pub struct Download<'a> {
    /// It is read from where it is asked for.
    pub file: File,
    /// Its bytes.
    pub size: u64,
    /// Its entity tag: another one with other content.
    pub tag: String,
    /// The digest of its content, where it is known.
    pub sha256: Option<Sha256>,
    /// Of its content.
    pub media_type: &'a str,
    /// The header of this name.
    pub disposition: String,
}

impl Download<'_> {
    /// The whole of it, or the one range that was asked for, with its checksum where it is short. Blocks.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn answer(self, request: &HeaderMap) -> io::Result<Response> {
        let Self { mut file, size, tag, sha256, media_type, disposition } = self;
        let current = request.get(IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
        let wanted = request.get(RANGE).filter(|_| current).and_then(|value| value.to_str().ok());
        let mut answer = Response::builder()
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_DISPOSITION, disposition)
            .header(ACCEPT_RANGES, "bytes")
            .header(ETAG, tag);
        if let Some(sha256) = sha256 {
            answer = answer.header(REPR_DIGEST, format!("sha-256=:{}:", STANDARD.encode(sha256.as_bytes())));
        }
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
                return answer.body(Body::empty()).map_err(io::Error::other);
            }
        };
        file.seek(SeekFrom::Start(first))?;
        let answer = if length <= CHECKED_BYTES {
            let crc32 = crc32(&mut (&file).take(length))?;
            file.seek(SeekFrom::Start(first))?;
            answer.header(CRC32_HEADER, format!("{crc32:08x}"))
        } else {
            answer
        };
        let reader = tokio::fs::File::from_std(file).take(length);
        let body = Body::from_stream(ReaderStream::with_capacity(reader, BUFFER));
        answer.header(CONTENT_LENGTH, length).body(body).map_err(io::Error::other)
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
