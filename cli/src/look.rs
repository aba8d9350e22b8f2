//! `inspect`: what is in a backup.

use crate::out::Out;
use crate::rows::{self, Wanted};
use crate::teller::Bar;
use crate::terminal::{plain, plain_json};
use crate::words;
use dikas_archive::damage::Missing;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::inspect::Inspector;
use dikas_archive::limits::Limits;
use dikas_archive::manifest::Manifest;
use dikas_archive::problems::Problems;
use dikas_archive::reader::{BackupReader, Summary};
use dikas_backup::interrupt::Interrupt;
use serde::Serialize;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What `inspect` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup.
    file: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
    /// Answers one JSON object instead of text, of the backup as a whole.
    #[arg(long, conflicts_with_all = ["collection", "search", "limit", "format"])]
    json: bool,
}

/// What is told as JSON. It is written as it is, and never a tree of values: there may be a million files.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    size: u64,
    manifest: Option<serde_json::Value>,
    summary: &'a Summary,
}

/// Shows what is in a backup, or documents of it. Answers whether nothing is wrong with what was read.
pub(crate) fn inspect(arguments: &Arguments, interrupt: &Interrupt) -> Result<bool> {
    let Arguments { file, wanted, json } = arguments;
    if wanted.collection.is_some() || wanted.search.is_some() {
        return rows::show(file, wanted, interrupt);
    }
    summary(file, *json, interrupt)
}

fn summary(file: &Path, as_json: bool, interrupt: &Interrupt) -> Result<bool> {
    let mut reader = open_damaged(file, interrupt)?;
    let manifest = reader.manifest().ok().flatten().cloned();
    let mut bar = Bar::new("Reading", reader.length(), interrupt);
    let summary = reader.summary(&mut |bytes| bar.add(bytes))?;
    bar.clear();
    let mut out = Out::new();
    if as_json {
        let answer = Answer {
            size: reader.length(),
            manifest: manifest.as_ref().map(|manifest| {
                let Manifest { version, created, source, missing, .. } = manifest;
                json!({"version": version, "created": created, "source": source, "missing": missing})
            }),
            summary: &summary,
        };
        let answer = serde_json::to_string(&answer).unwrap_or_default();
        let _ = out.write(plain_json(&answer))?;
        let _ = out.write("\n")?;
    } else {
        let _ = out.write(describe(manifest.as_ref(), &summary))?;
    }
    out.finish()?;
    Ok(summary.problems.is_empty())
}

/// Opens a backup; what is wrong with it names the file.
///
/// # Errors
/// Also where the file is an archive, and no backup.
pub(crate) fn open(path: &Path) -> Result<BackupReader<File>> {
    let reader = BackupReader::open(opened(path)?);
    backup(reader, path)
}

/// Opens a backup for who only looks, even where its directory is gone: [`BackupReader::lost_directory`] says so.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_damaged(path: &Path, interrupt: &Interrupt) -> Result<BackupReader<File>> {
    let file = opened(path)?;
    let mut bar = Bar::new("Looking for entries", file.metadata()?.len(), interrupt);
    let reader = BackupReader::salvage(file, Limits::default(), &mut |bytes| bar.add(bytes));
    backup(reader, path)
}

/// What was found wrong while a backup was opened.
pub(crate) fn problems(inspector: &Inspector<File>) -> Problems {
    inspector.index().problems.clone()
}

/// What is missing in a backup, because it was damaged on the server. A manifest that cannot be read is among its problems.
pub(crate) fn missing(reader: &BackupReader<File>) -> Vec<Missing> {
    reader.manifest().ok().flatten().map_or_else(Vec::new, |manifest| manifest.missing.clone())
}

fn backup(reader: Result<BackupReader<File>>, path: &Path) -> Result<BackupReader<File>> {
    let reader = reader.and_then(|reader| reader.require_backup().map(|()| reader));
    reader.map_err(|error| match is_piece(path) && error.kind == ErrorKind::NotAnArchive {
        true => Error::new(
            ErrorKind::NotAnArchive,
            "this is one piece of a split archive: put all pieces into one file first, such as with `7z x` of the first \
             piece, or `zip -s 0 SPLIT.zip --out WHOLE.zip`",
        ),
        false => error,
    }.on(path.display().to_string()))
}

/// Whether programs that split archives give their pieces such names: `.z01`, or `.zip.001`.
fn is_piece(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let digits = ending.strip_prefix('z').unwrap_or(&ending);
    digits.len() >= 2 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn opened(path: &Path) -> Result<File> {
    let on_path = |error: Error| error.on(path.display().to_string());
    let file = File::open(path).map_err(|error| on_path(error.into()))?;
    match file.metadata()?.is_dir() {
        true => Err(on_path(Error::new(ErrorKind::NotAnArchive, "this is a folder"))),
        false => Ok(file),
    }
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
    text += &words::notes(&summary.notes);
    text += &words::missing(manifest.map_or(&[], |manifest| &manifest.missing));
    text += &words::problems(&summary.problems);
    text += match (summary.problems.is_empty(), manifest) {
        (false, _) => "damaged\n",
        (true, Some(manifest)) if !manifest.missing.is_empty() => {
            "all else is there by its table of contents; `dikas-backup verify` reads every byte\n"
        }
        (true, Some(_)) => "complete by its table of contents; `dikas-backup verify` reads every byte\n",
        (true, None) => "",
    };
    text
}
