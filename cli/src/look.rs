//! `inspect` and `verify`: what is in a backup, and whether it is sound.

use crate::terminal::{plain, plain_json};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::manifest::Manifest;
use dikas_archive::reader::{BackupReader, Summary, Verdict};
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Answers whether nothing is wrong.
pub(crate) fn inspect(file: &Path, as_json: bool) -> Result<bool> {
    let mut reader = open(file)?;
    let manifest = match reader.manifest() {
        Ok(manifest) => manifest.cloned(),
        Err(error) => {
            eprintln!("dikas-backup: {}", plain(&error.to_string()));
            None
        }
    };
    let sound_manifest = reader.manifest().is_ok();
    let summary = reader.summary(&mut |_| Ok(()))?;
    let mut out = io::stdout().lock();
    if as_json {
        let head = manifest.as_ref().map(|manifest| {
            json!({"version": manifest.version, "created": manifest.created, "source": manifest.source})
        });
        let answer = json!({"size": reader.length(), "manifest": head, "summary": summary}).to_string();
        writeln!(out, "{}", plain_json(&answer))?;
    } else {
        write!(out, "{}", describe(manifest.as_ref(), &summary))?;
    }
    Ok(sound_manifest && summary.problems.is_empty())
}

/// Answers whether nothing is wrong.
pub(crate) fn verify(file: &Path) -> Result<bool> {
    let mut reader = open(file)?;
    let sha256 = reader.sha256(&mut |_| Ok(()))?;
    let Verdict { problems, entries, documents, has_manifest } = reader.verify(&mut |_| Ok(()))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{entries} entries, {documents} documents, {} bytes", reader.length())?;
    writeln!(out, "SHA-256 {sha256}")?;
    for problem in &problems {
        writeln!(out, "{}", plain(&problem.to_string()))?;
    }
    let verdict = match (problems.is_empty(), has_manifest) {
        (true, true) => "sound",
        (true, false) => "sound; without a manifest nobody can tell whether something is missing",
        (false, _) => "damaged",
    };
    writeln!(out, "{verdict}")?;
    Ok(problems.is_empty())
}

/// Opens a backup; what is wrong with it names the file.
pub(crate) fn open(path: &Path) -> Result<BackupReader<File>> {
    let on_path = |error: Error| error.on(path.display().to_string());
    let file = File::open(path).map_err(|error| on_path(error.into()))?;
    if file.metadata()?.is_dir() {
        return Err(on_path(Error::new(ErrorKind::NotAnArchive, "this is a folder")));
    }
    BackupReader::open(file).map_err(on_path)
}

fn describe(manifest: Option<&Manifest>, summary: &Summary) -> String {
    let mut text = match manifest {
        Some(Manifest { created, source, .. }) => {
            format!("{}, {}, by {}\n\n", plain(&source.business), plain(created), plain(&source.product))
        }
        None => "No manifest: collections are told by their documents.\n\n".to_owned(),
    };
    for collection in &summary.collections {
        text += &format!(
            "{:<24} {:<10} {:>9} documents {:>12} bytes\n",
            plain(&collection.name),
            collection.category.as_str(),
            collection.documents,
            collection.bytes
        );
    }
    let sizes: u64 = summary.attachments.iter().map(|attachment| attachment.size).sum();
    let documents: u64 = summary.collections.iter().map(|collection| collection.documents).sum();
    text += &format!("\n{documents} documents, {} attachments of {sizes} bytes\n", summary.attachments.len());
    for problem in &summary.problems {
        text += &format!("{}\n", plain(&problem.to_string()));
    }
    text
}
