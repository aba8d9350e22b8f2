//! `verify`: reads every byte of a backup and compares it with what it should be.

use crate::out::Out;
use crate::teller::Bar;
use crate::terminal::plain_json;
use crate::{look, words};
use dikas_archive::damage::Missing;
use dikas_archive::digest::Sha256;
use dikas_archive::error::Result;
use dikas_archive::reader::{BackupReader, Verdict};
use dikas_backup::interrupt::Interrupt;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What `verify` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup.
    file: PathBuf,
    /// Answers one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Answers whether nothing is wrong.
pub(crate) fn verify(Arguments { file, json }: &Arguments, interrupt: &Interrupt) -> Result<bool> {
    let mut reader = look::open_damaged(file, interrupt)?;
    let size = reader.length();
    let (sha256, verdict) = read_all(&mut reader, interrupt)?;
    let missing = look::missing(&reader);
    let mut out = Out::new();
    let _ = out.write(match json {
        true => format!("{}\n", plain_json(&as_json(&verdict, size, &sha256, &missing).to_string())),
        false => described(&verdict, size, &sha256, &missing),
    })?;
    out.finish()?;
    Ok(verdict.is_sound())
}

fn as_json(verdict: &Verdict, size: u64, sha256: &Sha256, missing: &[Missing]) -> serde_json::Value {
    let mut answer = json!({"sound": verdict.is_sound(), "size": size, "sha256": sha256, "missing": missing});
    if let (Some(answer), Ok(serde_json::Value::Object(verdict))) =
        (answer.as_object_mut(), serde_json::to_value(verdict))
    {
        answer.extend(verdict);
    }
    answer
}

fn described(verdict: &Verdict, size: u64, sha256: &Sha256, missing: &[Missing]) -> String {
    let Verdict { problems, entries, documents, has_manifest, notes } = verdict;
    let mut text = format!("{entries} entries, {documents} documents, {size} bytes\nSHA-256 {sha256}\n");
    text += &words::notes(notes);
    text += &words::problems(problems);
    text += &words::missing(missing);
    text + match (problems.is_empty(), has_manifest, notes.as_slice()) {
        (true, true, []) => "sound\n",
        (true, true, _) => "sound: every byte is as it should be\n",
        (true, false, _) => "sound; without a manifest nobody can tell whether something is missing\n",
        (false, ..) => "damaged\n",
    }
}

/// Reads a file that was just written from the disk, as far as this system can be told to forget what it has in memory.
/// Answers the digest of the whole file, and what is wrong in it.
///
/// # Errors
/// `cancelled`, `io`, and those of a file that cannot be opened as a backup.
pub(crate) fn from_disk(file: &Path, interrupt: &Interrupt) -> Result<(Sha256, Verdict)> {
    #[cfg(target_os = "linux")]
    if let Ok(file) = File::open(file) {
        // Where it keeps them nevertheless, these are read.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    read_all(&mut look::open(file)?, interrupt)
}

fn read_all(reader: &mut BackupReader<File>, interrupt: &Interrupt) -> Result<(Sha256, Verdict)> {
    // The whole file for its digest, and then every entry.
    let mut bar = Bar::new("Verifying", reader.length().saturating_mul(2), interrupt);
    let sha256 = reader.sha256(&mut |bytes| bar.add(bytes))?;
    let verdict = reader.verify(&mut |bytes| bar.add(bytes))?;
    Ok((sha256, verdict))
}
