//! `diff`: what has changed from one backup to another.

use crate::look;
use crate::out::Out;
use crate::teller::Bar;
use crate::terminal::{plain, plain_json};
use crate::words;
use dikas_archive::error::{Error, Result};
use dikas_archive::inspect::Inspector;
use dikas_archive::inspect::compare::{
    Change, ChangeKind, Compared, ComparedFiles, collections_in_order, compare, compare_files,
};
use dikas_backup::interrupt::Interrupt;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::File;
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

/// Answers whether both hold the same, and all of both could be read.
pub(crate) fn diff(arguments: &Arguments, interrupt: &Interrupt) -> Result<bool> {
    let mut old = open(&arguments.old, interrupt)?;
    let mut new = open(&arguments.new, interrupt)?;
    let mut problems = look::problems(&old);
    problems.append(look::problems(&new));
    let [missing_in_old, missing_in_new] = [&mut old, &mut new].map(|it| look::missing(it.reader()));
    let total = old.reader().length() + new.reader().length();
    let mut bar = Bar::new("Comparing", total, interrupt);
    let mut out = Out::new();
    let mut compared = Vec::new();
    for collection in collections_in_order(old.index(), new.index()) {
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
    let files = compare_files(&mut old, &mut new, &mut |bytes| bar.add(bytes))?;
    bar.clear();
    compared.sort_by(|one, next| one.name.cmp(&next.name));
    for collection in &compared {
        problems.append_new(collection.problems.clone());
    }
    problems.append_new(files.problems.clone());
    let differ = compared.iter().any(|it| it.added + it.removed + it.changed > 0)
        || files.added + files.removed + files.changed > 0;
    let is_same = !differ && problems.is_empty();
    if arguments.json {
        let mut answer = json!({
            "same": is_same, "damaged": !problems.is_empty(), "collections": compared,
            "missing": {"old": missing_in_old, "new": missing_in_new},
            "attachments": {
                "added": files.added, "removed": files.removed, "changed": files.changed, "same": files.same,
            },
        });
        merge(&mut answer, &problems);
        let _ = out.write(format!("{}\n", plain_json(&answer.to_string())))?;
    } else {
        let _ = out.write(table(&compared, &files))?;
        words::complain(&problems);
        words::complain_of_missing(&arguments.old, &missing_in_old);
        words::complain_of_missing(&arguments.new, &missing_in_new);
        let _ = out.write(match (differ, problems.is_empty()) {
            (false, true) => "the same\n",
            (true, true) => "different\n",
            (_, false) => "damaged: nobody can tell whether they were the same\n",
        })?;
    }
    out.finish()?;
    Ok(is_same)
}

/// Adds the members of another object.
fn merge(answer: &mut Value, members: &impl Serialize) {
    if let (Some(answer), Ok(Value::Object(members))) =
        (answer.as_object_mut(), serde_json::to_value(members))
    {
        answer.extend(members);
    }
}

fn open(path: &Path, interrupt: &Interrupt) -> Result<Inspector<File>> {
    let reader = look::open_damaged(path, interrupt)?;
    let mut bar = Bar::new("Reading", reader.length(), interrupt);
    let on_path = |error: Error| error.on(path.display().to_string());
    Inspector::open(reader, &mut |bytes| bar.add(bytes)).map_err(on_path)
}

fn line(collection: &str, change: &Change) -> String {
    let mut line = json!({"collection": collection});
    merge(&mut line, change);
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

fn table(compared: &[Compared], files: &ComparedFiles) -> String {
    let row = |name: &str, [added, removed, changed, same]: [u64; 4]| {
        format!("{name:<24} {added:>9} {removed:>9} {changed:>9} {same:>9}\n")
    };
    let mut text = format!("{:<24} {:>9} {:>9} {:>9} {:>9}\n", "", "added", "removed", "changed", "the same");
    for Compared { name, added, removed, changed, same, .. } in compared {
        text += &row(&plain(name), [*added, *removed, *changed, *same]);
    }
    text + &row("(files)", [files.added, files.removed, files.changed, files.same])
}
