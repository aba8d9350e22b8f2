//! An archive that a page names: a file, or an address.

use super::pages::Paged;
use super::ranges::{Given, Ranges};
use super::rope::BlobSource;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::reader::BackupReader;
use web_sys::Blob;

/// The most that is decoded of an archive without a manifest, in bytes: some minutes of work.
const MAX_LINES_BYTES: u64 = 64 << 30;

/// The archive beside a command.
pub(super) fn open_file(file: Option<Blob>) -> Result<BackupReader<Paged<Given>>> {
    let file = file.ok_or_else(|| Error::new(ErrorKind::BadArgument, "not a file"))?;
    open_given(Given::Blob(BlobSource::new(file)?))
}

/// The archive at an address.
pub(super) fn open_address(url: &str) -> Result<BackupReader<Paged<Given>>> {
    open_given(Given::Ranges(Ranges::open(url)?))
}

fn open_given(given: Given) -> Result<BackupReader<Paged<Given>>> {
    let limits = Limits { lines_bytes: MAX_LINES_BYTES, ..Limits::default() };
    BackupReader::open_with(Paged::new(given), limits)
}
