//! Reads a finished archive back: what counts is what the place where it was written gives back. A part is not decoded
//! once more: whoever compressed it has decoded those very bytes, and its digest in the manifest is theirs.

use super::backup::{Meter, Output};
use super::{Phase, Watch};
use crate::digest::{Hasher, Sha256};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::reader::{BackupReader, Verdict};
use std::io::Read;

/// How much is read between two checkpoints.
const STEP_BYTES: u64 = 4 << 20;

/// Compares all that the archive holds, byte by byte, with its own headers and the digests of the manifest, and that with
/// the one that was meant, which is answered, with size and digest of the whole file.
pub(super) async fn verify(
    out: &mut impl Output,
    manifest: Manifest,
    meter: &Meter<'_, impl Watch>,
) -> Result<(Manifest, u64, Sha256)> {
    let (manifest, size) = verify_entries(out, manifest, meter).await?;
    out.rewind()?;
    let mut hasher = Hasher::default();
    let read = drain(out, None, meter, |bytes| hasher.update(bytes)).await?;
    if read != size {
        let error = Error::new(ErrorKind::Io, "the archive changed while it was read back");
        return Err(error.expected(format!("{size} bytes"), read));
    }
    Ok((manifest, size, hasher.finish()))
}

async fn verify_entries(
    out: &mut impl Output,
    manifest: Manifest,
    meter: &Meter<'_, impl Watch>,
) -> Result<(Manifest, u64)> {
    // With very many attachments the one that was meant and the one that is read need not be in memory together.
    let meant = manifest.measure()?;
    drop(manifest);
    out.rewind()?;
    let mut reader = BackupReader::open(out)?;
    let stored: u64 = reader.entries().iter().map(|entry| entry.stored_size).sum();
    meter.recount(Phase::Verify, stored.saturating_add(reader.length())).await?;
    let other = || Error::new(ErrorKind::BadManifest, "the manifest is not read as it was written");
    if reader.manifest()?.map(Manifest::measure).transpose()? != Some(meant) {
        return Err(other().on(MANIFEST_NAME));
    }
    let Verdict { problems, notes, .. } = reader.verify_directory();
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    if let Some(note) = notes.into_iter().next() {
        return Err(Error::new(ErrorKind::DamagedDirectory, note.to_string()));
    }
    for at in 0..reader.entries().len() {
        let Some(name) = reader.entries().get(at).map(|entry| entry.name.clone()) else { continue };
        drain(&mut reader.entry(&name)?, Some(&name), meter, |_| ()).await?;
    }
    let size = reader.length();
    Ok((reader.into_manifest()?.ok_or_else(other)?, size))
}

/// Reads to the end, step by step.
async fn drain(
    input: &mut impl Read,
    subject: Option<&str>,
    meter: &Meter<'_, impl Watch>,
    mut take: impl FnMut(&[u8]),
) -> Result<u64> {
    let (mut total, mut buffer) = (0, Vec::new());
    loop {
        buffer.clear();
        let read = Read::take(&mut *input, STEP_BYTES).read_to_end(&mut buffer)? as u64;
        if read == 0 {
            return Ok(total);
        }
        take(&buffer);
        total += read;
        meter.read_back(subject, read).await?;
    }
}
