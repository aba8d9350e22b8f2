//! A file on a server, as [`Blocks`] that are only read: each block is one request with Range (RFC 9110 section 14). In a
//! worker a request may be synchronous, so that the same reader serves here as for a file of this machine, and a backup
//! of any size opens at once.

use super::js;
use super::pages::Blocks;
use super::protocol::RemoteFile;
use super::rope::BlobSource;
use super::worker::Tokens;
use crate::error::{Error, ErrorKind, Result};
use std::io;
use std::rc::Rc;
use wasm_bindgen::JsCast as _;
use web_sys::{XmlHttpRequest, XmlHttpRequestResponseType};

/// How often a block is asked for that does not come.
const TRIES: u32 = 3;

/// What a proxy says where the server behind it does not answer.
const PROXY: [&str; 2] = ["status 502", "status 504"];

/// A file behind an address.
#[derive(Debug)]
pub(super) struct Ranges {
    file: RemoteFile,
    tokens: Rc<Tokens>,
}

impl Ranges {
    /// Reads this file, and no other that comes to be at its address.
    pub(super) fn new(file: RemoteFile, tokens: Rc<Tokens>) -> Self {
        Self { file, tokens }
    }

    fn load_range(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let last = at + bytes.len() as u64 - 1;
        let RemoteFile { url, size, tag, authorized } = &self.file;
        let token = if *authorized { self.tokens.last() } else { None };
        let answer = send(url, &format!("bytes={at}-{last}"), token.as_deref())?;
        let status = answer.status().unwrap_or_default();
        if status == 401 && *authorized {
            self.tokens.refuse();
            return Err(Error::new(ErrorKind::Unauthorized, "the login has ended").on(shown(url)));
        }
        if status != 206 {
            return Err(refused(url, "status 206", &format!("status {status}")));
        }
        let range = header(&answer, "content-range").unwrap_or_default();
        let wanted = format!("bytes {at}-{last}/{size}");
        if range != wanted || header(&answer, "etag") != *tag {
            let text = "the file at this address has changed since it was opened";
            return Err(Error::new(ErrorKind::Io, text).on(shown(url)).expected(wanted, range));
        }
        let content = answer.response().map_err(js::error)?.unchecked_into();
        let wanted = bytes.len();
        js::take(content, bytes).map_err(|found| refused(url, &wanted.to_string(), &found.to_string()))
    }
}

impl Blocks for Ranges {
    fn size(&self) -> u64 {
        self.file.size
    }

    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut tries = 1;
        loop {
            match self.load_range(at, bytes) {
                Err(error) if error.kind == ErrorKind::Unreachable && tries < TRIES => tries += 1,
                loaded => return Ok(loaded?),
            }
        }
    }

    fn store(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// What is looked into: a file of this machine, or one behind an address.
#[derive(Debug)]
pub(super) enum Given {
    /// A file that the person chose, or any other Blob.
    Blob(BlobSource),
    /// A file on a server.
    Ranges(Ranges),
}

impl Blocks for Given {
    fn size(&self) -> u64 {
        match self {
            Given::Blob(blob) => blob.size(),
            Given::Ranges(ranges) => ranges.size(),
        }
    }

    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Given::Blob(blob) => blob.load(at, bytes),
            Given::Ranges(ranges) => ranges.load(at, bytes),
        }
    }

    fn store(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// Sends a request and waits for the answer.
fn send(url: &str, range: &str, token: Option<&str>) -> Result<XmlHttpRequest> {
    let request = XmlHttpRequest::new().map_err(js::error)?;
    request.open_with_async("GET", url, false).map_err(js::error)?;
    request.set_response_type(XmlHttpRequestResponseType::Arraybuffer);
    request.set_request_header("range", range).map_err(js::error)?;
    if let Some(token) = token {
        request.set_request_header("authorization", &format!("Bearer {token}")).map_err(js::error)?;
    }
    request.send().map_err(|thrown| {
        // Browsers name the address, query and all.
        let why = js::text(thrown.unchecked_ref()).replace(url, shown(url));
        Error::new(ErrorKind::Unreachable, format!("the archive cannot be fetched: {why}")).on(shown(url))
    })?;
    Ok(request)
}

fn header(answer: &XmlHttpRequest, name: &str) -> Option<String> {
    answer.get_response_header(name).ok().flatten()
}

fn refused(url: &str, expected: &str, actual: &str) -> Error {
    let kind = if PROXY.contains(&actual) { ErrorKind::Gateway } else { ErrorKind::ServerError };
    Error::new(kind, "the archive cannot be fetched").on(shown(url)).expected(expected, actual)
}

/// The address without its query, which can hold what stands for a login.
fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(path, _)| path)
}
