//! Reads a file from the disk, whole, and compares it with what it should be.

use super::OnRead;
use dikas_archive::api::archives::ArchiveCheck;
use dikas_archive::digest::{Hasher, Sha256};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::limits::Limits;
use dikas_archive::problems::Problems;
use dikas_archive::reader::BackupReader;
use std::fs::File;
use std::io::{Read as _, Seek as _};

/// How much is read at once.
const BUFFER: usize = 1 << 20;

/// What a file was found to be.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) sha256: Sha256,
    pub(super) check: ArchiveCheck,
}

/// Reads the file once for its digest, and once for its entries, each compared with the manifest; `now` is the moment
/// of that. `progress` counts both.
///
/// # Errors
/// Where the file cannot be read, and those of `progress`; what is wrong with it stands in the answer.
pub(super) fn check(
    mut file: File,
    expected: Option<&Sha256>,
    now: &str,
    progress: OnRead<'_>,
) -> Result<Checked> {
    forget_cached(&file);
    let total = file.metadata()?.len().saturating_mul(2);
    let mut read = 0;
    let mut on_bytes = |bytes: u64| {
        read += bytes;
        progress(read.min(total), total)
    };
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        on_bytes(count as u64)?;
    }
    let sha256 = hasher.finish();
    file.rewind()?;
    let salvaged = BackupReader::salvage(file, Limits::default(), &mut |_| on_bytes(0));
    let backup = salvaged.and_then(|reader| reader.require_backup().map(|()| reader));
    let mut problems = match backup.and_then(|mut reader| reader.verify(&mut on_bytes)) {
        Ok(verdict) => verdict.problems,
        Err(error) if matches!(error.kind, ErrorKind::Io | ErrorKind::Cancelled | ErrorKind::Internal) => {
            return Err(error);
        }
        Err(error) => Problems::from_iter([error]),
    };
    if let Some(expected) = expected.filter(|expected| **expected != sha256) {
        let error = Error::new(ErrorKind::DamagedEntry, "the file is not the one that was written");
        problems.push(error.expected(expected, sha256));
    }
    let at = now.to_owned();
    let check = match problems.first() {
        None => ArchiveCheck::Sound { at },
        Some(first) => ArchiveCheck::Damaged { at, problems: problems.found(), first: first.to_string() },
    };
    Ok(Checked { sha256, check })
}

/// Has the system read the file from the disk, as far as it can, and not from what it has in memory.
fn forget_cached(file: &File) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        tracing::debug!("what is cached of a file cannot be forgotten: {error}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
