//! A file on a server, as [`Blocks`] that are only read: each block is one request with Range (RFC 9110 section 14). In a
//! worker a request may be synchronous, so that the same reader serves here as for a file of this machine, and a backup
//! of any size opens at once.

use super::js;
use super::pages::Blocks;
use super::rope::BlobSource;
use crate::error::{Error, ErrorKind, Result};
use js_sys::Uint8Array;
use std::io;
use wasm_bindgen::JsCast as _;
use web_sys::{XmlHttpRequest, XmlHttpRequestResponseType};

/// How often a block is asked for that does not come.
const TRIES: u32 = 3;

/// A file behind an address.
#[derive(Debug)]
pub struct Ranges {
    url: String,
    size: u64,
    /// Another one when the file is another.
    tag: Option<String>,
}

impl Ranges {
    /// The file at this address, whose server answers ranges.
    ///
    /// # Errors
    /// `unreachable`; `server-error` where there is no such file, or where its server does not say its size.
    pub fn open(url: &str) -> Result<Self> {
        let answer = send("HEAD", url, None).or_else(|_| send("HEAD", url, None))?;
        let status = answer.status().unwrap_or_default();
        if status != 200 {
            return Err(refused(url, "status 200", &format!("status {status}")));
        }
        let length = header(&answer, "content-length").and_then(|length| length.parse().ok());
        let size = length.ok_or_else(|| refused(url, "a Content-Length", "none"))?;
        Ok(Self { url: url.to_owned(), size, tag: header(&answer, "etag") })
    }

    fn load_range(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let last = at + bytes.len() as u64 - 1;
        let answer = send("GET", &self.url, Some(&format!("bytes={at}-{last}")))?;
        let status = answer.status().unwrap_or_default();
        if status != 206 {
            return Err(refused(&self.url, "status 206", &format!("status {status}")));
        }
        let range = header(&answer, "content-range").unwrap_or_default();
        let wanted = format!("bytes {at}-{last}/{}", self.size);
        if range != wanted || header(&answer, "etag") != self.tag {
            let text = "the file at this address has changed since it was opened";
            return Err(Error::new(ErrorKind::Io, text).on(&self.url).expected(wanted, range));
        }
        let content = Uint8Array::new(&answer.response().map_err(js::error)?);
        if content.length() as usize != bytes.len() {
            return Err(refused(&self.url, &bytes.len().to_string(), &content.length().to_string()));
        }
        content.copy_to(bytes);
        Ok(())
    }
}

impl Blocks for Ranges {
    fn size(&self) -> u64 {
        self.size
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
pub enum Given {
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
fn send(method: &str, url: &str, range: Option<&str>) -> Result<XmlHttpRequest> {
    let request = XmlHttpRequest::new().map_err(js::error)?;
    request.open_with_async(method, url, false).map_err(js::error)?;
    request.set_response_type(XmlHttpRequestResponseType::Arraybuffer);
    if let Some(range) = range {
        request.set_request_header("range", range).map_err(js::error)?;
    }
    request.send().map_err(|thrown| {
        let why = js::text(thrown.unchecked_ref());
        Error::new(ErrorKind::Unreachable, format!("the archive cannot be fetched: {why}")).on(url)
    })?;
    Ok(request)
}

fn header(answer: &XmlHttpRequest, name: &str) -> Option<String> {
    answer.get_response_header(name).ok().flatten()
}

fn refused(url: &str, expected: &str, actual: &str) -> Error {
    Error::new(ErrorKind::ServerError, "the archive cannot be fetched").on(url).expected(expected, actual)
}
