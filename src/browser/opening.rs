//! An archive that a page names: a file, or an address.

use super::pages::Paged;
use super::protocol::RemoteFile;
use super::ranges::{Given, Ranges};
use super::rope::BlobSource;
use super::worker::Tokens;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::reader::BackupReader;
use std::rc::Rc;
use web_sys::Blob;

/// The most that is decoded of an archive without a manifest, in bytes: some minutes of work.
const MAX_LINES_BYTES: u64 = 64 << 30;

/// The archive on a server or, without that, beside a command.
pub(super) fn open_file(
    remote: Option<RemoteFile>,
    file: Option<Blob>,
    tokens: &Rc<Tokens>,
) -> Result<BackupReader<Paged<Given>>> {
    BackupReader::open_with(given(remote, file, tokens)?, limits())
}

/// What is on a server or, without that, beside a command.
pub(super) fn given(
    remote: Option<RemoteFile>,
    file: Option<Blob>,
    tokens: &Rc<Tokens>,
) -> Result<Paged<Given>> {
    let missing = || Error::new(ErrorKind::BadArgument, "not a file");
    Ok(Paged::new(match remote {
        Some(remote) => Given::Ranges(Ranges::new(remote, Rc::clone(tokens))),
        None => Given::Blob(BlobSource::new(file.ok_or_else(missing)?)?),
    }))
}

/// What a browser allows an archive.
pub(super) fn limits() -> Limits {
    Limits { lines_bytes: MAX_LINES_BYTES, ..Limits::default() }
}
