//! Restores in a shopkeeper's words.

use crate::terminal::plain;
use dikas_archive::api::restore::{Changes, RestoreOutcome, RestorePreview, RestoreWarning};
use dikas_archive::damage::{DocumentKey, Missing};
use dikas_archive::error::Error;
use dikas_archive::job::restore::Plan;
use dikas_archive::problems::Problems;
use dikas_archive::reader::Note;
use std::path::Path;

/// More names than this nobody reads.
const NAMES: usize = 10;

/// What was found in the archive.
pub(crate) fn plan(plan: &Plan) -> String {
    let documents: u64 = plan.collections().iter().map(|collection| collection.documents).sum();
    let archive = plan.archive();
    let of = match (&archive.source, &archive.created) {
        (Some(source), Some(created)) => format!("{}, {}", plain(&source.business), plain(created)),
        _ => "no manifest: collections are told by their documents".to_owned(),
    };
    let mut text = format!(
        "{} ({of}) {}: {documents} documents and {} files to restore, and these are sound.\n",
        plain(&archive.name),
        soundness(plan),
        plan.attachments().attachments
    );
    let left_out = plan.left_out();
    if left_out.found() > 0 {
        text += &format!("ATTENTION: {} of the backup would not be restored:\n", files(left_out.found()));
        text += &listed(left_out.iter().map(|why| plain(&why.to_string())), left_out.found());
    }
    if !plan.problems().is_empty() {
        text += "Damaged, and no part of this restore:\n";
        let problems = plan.problems();
        text += &listed(problems.iter().map(|problem| plain(&problem.to_string())), problems.found());
    }
    text
}

/// What a whole reading says of the archive.
fn soundness(plan: &Plan) -> &'static str {
    match (plan.left_out().is_empty(), plan.problems().is_empty()) {
        (true, true) => "is sound",
        (true, false) => "is damaged, but not in what was chosen",
        (false, _) => "has files that cannot be restored",
    }
}

/// A number with its noun, in the singular where it is one.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A number of files.
pub(crate) fn files(number: u64) -> String {
    counted(number, "file", "files")
}

/// What is wrong with a backup, a line for each problem.
pub(crate) fn problems(problems: &Problems) -> String {
    let mut text: String =
        problems.iter().map(|problem| format!("{}\n", plain(&problem.to_string()))).collect();
    if problems.unlisted() > 0 {
        let more = counted(problems.unlisted(), "problem", "problems");
        text += &format!("and {more} more, {} in all\n", problems.found());
    }
    text
}

/// What is no fault of a backup and should be known.
pub(crate) fn notes(notes: &[Note]) -> String {
    notes.iter().map(|note| format!("Note: {}\n", plain(&note.to_string()))).collect()
}

/// Lists problems as [`problems`] does, for the output of errors.
pub(crate) fn complain(found: &Problems) {
    for line in problems(found).lines() {
        eprintln!("dikas-backup: {line}");
    }
}

/// What is missing in a backup, a line for each; nothing where nothing is.
pub(crate) fn missing(missing: &[Missing]) -> String {
    let line = |it: &Missing| {
        let files = match it.attachments {
            0 => String::new(),
            files => format!(", and its {files} files with it"),
        };
        format!("Missing, because it was damaged on the server: {}{files}\n", plain(&it.to_string()))
    };
    missing.iter().map(line).collect()
}

/// The same as [`missing`], on the way of what went wrong.
pub(crate) fn complain_of_missing(file: &Path, found: &[Missing]) {
    let file = plain(&file.display().to_string());
    for line in missing(found).lines() {
        eprintln!("dikas-backup: {file}: {line}");
    }
}

/// What to do about a backup that has met something damaged; nothing where that was not the trouble.
pub(crate) fn damaged(error: &Error) -> String {
    let mut keys: Vec<DocumentKey> = error.damaged.iter().map(Missing::document).collect();
    keys.dedup();
    if keys.is_empty() || !error.damaged.iter().all(Missing::can_be_left_out) {
        return error.damaged.iter().map(|it| format!("Damaged: {}\n", plain(&it.to_string()))).collect();
    }
    let option =
        |key: &DocumentKey| format!(" --without '{}'", plain(&key.to_string()).replace('\'', r"'\''"));
    format!("To go on without what is damaged:{}\n", keys.iter().map(option).collect::<String>())
}

/// What would change.
pub(crate) fn preview(preview: &RestorePreview) -> String {
    let mut text = format!(
        "\n{:<24} {:>9} {:>9} {:>9} {:>10} {:>10}\n",
        "", "new", "changed", "the same", "only now,", "only now,"
    );
    text += &format!("{:<24} {:>9} {:>9} {:>9} {:>10} {:>10}\n", "", "", "", "", "will go", "will stay");
    for collection in &preview.collections {
        text += &row(collection.name.as_str(), &collection.documents);
        if collection.attachments != Changes::default() {
            text += &row("  files of them", &collection.attachments);
        }
    }
    if !preview.untouched.is_empty() {
        let names = preview.untouched.iter();
        let names: Vec<String> =
            names.map(|collection| format!("{} ({})", collection.name, collection.documents)).collect();
        text += &format!("\nStay as they are: {}.\n", plain(&names.join(", ")));
    }
    for warning in &preview.warnings {
        text += &format!("\nNote: {}\n", warning_in_words(warning));
    }
    if preview.files_left_out > 0 {
        let files = files(preview.files_left_out);
        text += &format!("\nATTENTION: {files} of the backup would not be restored.\n");
    }
    if preview.signed_loss > 0 {
        text += &format!(
            "\nATTENTION: {} signed documents would be dropped or changed. Fiscal law forbids to lose them.\n",
            preview.signed_loss
        );
    }
    text
}

/// What was done.
pub(crate) fn outcome(outcome: &RestoreOutcome) -> String {
    let sum = |of: fn(&Changes) -> u64| {
        outcome.collections.iter().map(|collection| of(&collection.documents)).sum::<u64>()
    };
    let mut text = format!(
        "Live since {}: {} documents new, {} changed, {} gone.\n",
        plain(&outcome.committed),
        sum(|changes| changes.new),
        sum(|changes| changes.changed),
        sum(|changes| changes.dropped)
    );
    text += &match &outcome.restore_point {
        // By its name: behind an undo, the newest is no restore.
        Some(point) => format!(
            "`dikas-backup undo --point {}` takes it back, and so does the server's Restore page.\n",
            plain(point)
        ),
        None => "Everything was like that already.\n".to_owned(),
    };
    if outcome.users_kept {
        text += "The users of before were kept: with those of the backup no admin could have logged in.\n";
    }
    if outcome.logins_ended {
        text += "Users have changed: everybody has to log in again.\n";
    }
    text
}

fn row(name: &str, changes: &Changes) -> String {
    let Changes { new, changed, same, dropped, kept } = changes;
    format!("{:<24} {new:>9} {changed:>9} {same:>9} {dropped:>10} {kept:>10}\n", plain(name))
}

fn warning_in_words(warning: &RestoreWarning) -> String {
    match warning {
        RestoreWarning::OpenOrders { orders } => {
            format!("{orders} orders that are closed now would be open again, and their tables with them.")
        }
        RestoreWarning::Vouchers { vouchers, cents } => {
            format!(
                "{vouchers} vouchers that were redeemed since would be valid again, {} in all.",
                euros(*cents)
            )
        }
        RestoreWarning::Balances { customers, raised, lowered } => format!(
            "the balances of {customers} customers would change: {} more for some, {} less for others.",
            euros(*raised),
            euros(*lowered)
        ),
        RestoreWarning::Missing { missing, kept } => format!(
            "{missing} documents or files are missing in this backup, because they were damaged when it was made; {kept} of \
             them are on the server now, and stay as they are there."
        ),
        RestoreWarning::LoginsEnd => "users change, and everybody has to log in again.".to_owned(),
        RestoreWarning::UsersKept => {
            "with the users of the backup no admin could log in: those of now are kept.".to_owned()
        }
    }
}

fn euros(cents: u64) -> String {
    format!("{}.{:02} euros", cents / 100, cents % 100)
}

fn listed(names: impl Iterator<Item = String>, count: u64) -> String {
    let more = count.saturating_sub(NAMES as u64);
    let mut text: String = names.take(NAMES).map(|name| format!("  {name}\n")).collect();
    if more > 0 {
        text += &format!("  and {more} more\n");
    }
    text
}
