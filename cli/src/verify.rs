//! `verify`: reads every byte of a backup and compares it with what it should be.

use crate::look;
use crate::out::Out;
use crate::teller::Bar;
use crate::terminal::{plain, plain_json};
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
    let mut out = Out::new();
    if *json {
        let sound = verdict.is_sound();
        let mut answer = json!({"sound": sound, "size": size, "sha256": sha256});
        if let (Some(answer), Ok(serde_json::Value::Object(verdict))) =
            (answer.as_object_mut(), serde_json::to_value(&verdict))
        {
            answer.extend(verdict);
        }
        let _ = out.write(format!("{}\n", plain_json(&answer.to_string())))?;
    } else {
        let Verdict { problems, entries, documents, has_manifest, notes } = &verdict;
        let mut text = format!("{entries} entries, {documents} documents, {size} bytes\nSHA-256 {sha256}\n");
        for note in notes {
            text += &format!("Note: {}\n", plain(&note.to_string()));
        }
        for problem in problems {
            text += &format!("{}\n", plain(&problem.to_string()));
        }
        text += match (problems.is_empty(), has_manifest) {
            (true, true) => "sound\n",
            (true, false) => "sound; without a manifest nobody can tell whether something is missing\n",
            (false, _) => "damaged\n",
        };
        let _ = out.write(text)?;
    }
    out.finish()?;
    Ok(verdict.is_sound())
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
