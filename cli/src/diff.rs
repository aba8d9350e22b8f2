//! `diff`: what has changed from one backup to another.

use crate::look;
use crate::out::Out;
use crate::teller::Bar;
use crate::terminal::{plain, plain_json};
use dikas_archive::digest::{Hasher, Sha256};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::inspect::Inspector;
use dikas_archive::inspect::compare::{Change, ChangeKind, Compared, collections, compare};
use dikas_archive::reader::{AttachmentInfo, BackupReader};
use dikas_backup::interrupt::Interrupt;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// So much of a value is told to a person.
const VALUE: usize = 200;

/// What `diff` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The older backup.
    old: PathBuf,
    /// The newer one.
    new: PathBuf,
    /// Names each document that differs, and its fields that do.
    #[arg(long)]
    documents: bool,
    /// Answers one JSON object instead of text; with --documents, behind a line for each document that differs.
    #[arg(long)]
    json: bool,
}

/// The files of the documents, by their paths in the archives.
#[derive(Debug, Default, Serialize)]
struct Files {
    added: u64,
    removed: u64,
    changed: u64,
    same: u64,
}

/// Answers whether both hold the same, and all of both could be read.
pub(crate) fn diff(arguments: &Arguments, interrupt: &Interrupt) -> Result<bool> {
    let mut old = open(&arguments.old, interrupt)?;
    let mut new = open(&arguments.new, interrupt)?;
    let mut problems = look::problems(&mut old);
    problems.extend(look::problems(&mut new));
    let total = old.reader().length() + new.reader().length();
    let mut bar = Bar::new("Comparing", total, interrupt);
    let mut out = Out::new();
    let mut compared = Vec::new();
    for collection in collections(old.index(), new.index()) {
        let mut tell = |change: Change| {
            let told = match arguments.json {
                true => line(&collection, &change),
                false => described(&collection, &change),
            };
            out.write(told).map(drop)
        };
        let on_change = arguments.documents.then_some(&mut tell as &mut dyn FnMut(Change) -> Result<()>);
        compared.push(compare(&mut old, &mut new, &collection, &mut |bytes| bar.add(bytes), on_change)?);
    }
    bar.clear();
    let files = files(old.reader(), new.reader(), interrupt, &mut problems)?;
    problems.extend(compared.iter().flat_map(|collection| collection.problems.iter().cloned()));
    let differ = compared.iter().any(|it| it.added + it.removed + it.changed > 0)
        || files.added + files.removed + files.changed > 0;
    let is_same = !differ && problems.is_empty();
    if arguments.json {
        let answer =
            json!({"same": is_same, "collections": compared, "attachments": files, "problems": problems});
        let _ = out.write(format!("{}\n", plain_json(&answer.to_string())))?;
    } else {
        let _ = out.write(table(&compared, &files))?;
        for problem in &problems {
            eprintln!("dikas-backup: {}", plain(&problem.to_string()));
        }
        let _ = out.write(match (differ, problems.is_empty()) {
            (false, true) => "the same\n",
            (true, _) => "different\n",
            (false, false) => "damaged: nobody can tell whether they are the same\n",
        })?;
    }
    out.finish()?;
    Ok(is_same)
}

fn open(path: &Path, interrupt: &Interrupt) -> Result<Inspector<File>> {
    let reader = look::open_damaged(path, interrupt)?;
    let mut bar = Bar::new("Reading", reader.length(), interrupt);
    let on_path = |error: Error| error.on(path.display().to_string());
    Inspector::open(reader, &mut |bytes| bar.add(bytes)).map_err(on_path)
}

/// Compares files by their digests: those of the manifests, and where one is missing those of what is there.
fn files(
    old: &mut BackupReader<File>,
    new: &mut BackupReader<File>,
    interrupt: &Interrupt,
    problems: &mut Vec<Error>,
) -> Result<Files> {
    let mut before = digests(old, interrupt, problems)?;
    let mut files = Files::default();
    for (path, digest) in digests(new, interrupt, problems)? {
        match before.remove(&path) {
            None => files.added += 1,
            Some(known) if known == digest => files.same += 1,
            Some(_) => files.changed += 1,
        }
    }
    files.removed = before.len() as u64;
    Ok(files)
}

/// None for a file that cannot be read, which is a problem.
fn digests(
    reader: &mut BackupReader<File>,
    interrupt: &Interrupt,
    problems: &mut Vec<Error>,
) -> Result<BTreeMap<String, Option<Sha256>>> {
    if let Ok(Some(manifest)) = reader.manifest() {
        let files = manifest.attachments.iter();
        return Ok(files.map(|file| (file.path.clone(), Some(file.record.sha256))).collect());
    }
    let attachments = reader.attachments();
    let mut bar = Bar::new("Reading files", attachments.iter().map(|file| file.size).sum(), interrupt);
    let mut digests = BTreeMap::new();
    let mut buffer = vec![0; 256 << 10];
    for AttachmentInfo { path, .. } in attachments {
        let digest = digest(reader, &path, &mut buffer, &mut bar);
        let digest = match digest {
            Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
            Err(error) => {
                problems.push(error);
                None
            }
            Ok(digest) => Some(digest),
        };
        digests.insert(path, digest);
    }
    Ok(digests)
}

fn digest(
    reader: &mut BackupReader<File>,
    path: &str,
    buffer: &mut [u8],
    bar: &mut Bar<'_>,
) -> Result<Sha256> {
    let mut content = reader.attachment(path)?;
    let mut hasher = Hasher::default();
    loop {
        let count = content.read(buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hasher.finish());
        };
        hasher.update(bytes);
        bar.add(count as u64)?;
    }
}

fn line(collection: &str, change: &Change) -> String {
    let mut line = json!({"collection": collection});
    if let (Some(line), Ok(Value::Object(members))) = (line.as_object_mut(), serde_json::to_value(change)) {
        line.extend(members);
    }
    format!("{}\n", plain_json(&line.to_string()))
}

fn described(collection: &str, change: &Change) -> String {
    let sign = match change.kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
    };
    let mut text = format!("{sign} {} {}\n", plain(collection), plain(&change.id));
    for field in &change.fields {
        let (old, new) = (value(field.old.as_deref()), value(field.new.as_deref()));
        text += &format!("    {}: {old} -> {new}\n", plain(&field.path));
    }
    if change.kind == ChangeKind::Changed && change.fields.is_empty() {
        text += "    only white space or the order of fields\n";
    }
    text
}

fn value(raw: Option<&str>) -> String {
    let Some(raw) = raw else { return "nothing".to_owned() };
    let short: String = raw.chars().take(VALUE).collect();
    let more = if short.len() < raw.len() { "…" } else { "" };
    format!("{}{more}", plain(&short))
}

fn table(compared: &[Compared], files: &Files) -> String {
    let row = |name: &str, [added, removed, changed, same]: [u64; 4]| {
        format!("{name:<24} {added:>9} {removed:>9} {changed:>9} {same:>9}\n")
    };
    let mut text = format!("{:<24} {:>9} {:>9} {:>9} {:>9}\n", "", "added", "removed", "changed", "the same");
    for Compared { name, added, removed, changed, same, .. } in compared {
        text += &row(&plain(name), [*added, *removed, *changed, *same]);
    }
    text + &row("(files)", [files.added, files.removed, files.changed, files.same])
}
