//! `create`: a backup of a server, into a file that has its name only once it is whole.

use crate::draft::{Place, with_ending};
use crate::ended::{Ended, Failure};
use crate::keeping::{Retained, keep_newest};
use crate::login::Server;
use crate::teller::{Onlooker, Teller, megabytes};
use crate::terminal::plain;
use crate::{login, verify, words};
use dikas_archive::api::SnapshotRequest;
use dikas_archive::catalog::Category;
use dikas_archive::damage::DocumentKey;
use dikas_archive::digest::Sha256;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::backup::{Options, Outcome, backup};
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::threads::Threads;
use dikas_backup::interrupt::Interrupt;
use serde_json::json;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// More threads than this wait for the network.
const MOST_THREADS: usize = 8;

/// What `create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// The new file, whose name ends in .zip; or a folder, in which it is named after the moment of its data: dikas_YYYYMMDD_HHMMSS.zip.
    ///
    /// While it is written its name ends in .part; only what is whole, read back and on the disk gets its name, and no
    /// file that is there is overwritten: where a moment's name is taken, as in the hour that comes twice, it gets a number, as
    /// in dikas_20261025_023000-2.zip. Only its owner can read it.
    #[arg(short, long, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Backs up this category alone; may be given several times.
    #[arg(long = "category", value_name = "CATEGORY", value_parser = login::category())]
    categories: Vec<Category>,
    /// Leaves this document out, or files of it, where they are damaged on the server; may be given several times.
    ///
    /// A backup that meets something damaged fails, and names it. One that is sound is backed up although it is named here. The
    /// backup says what is missing in it.
    #[arg(long, value_name = "COLLECTION/ID")]
    without: Vec<DocumentKey>,
    /// Removes old backups from the folder, so that the N newest stay, the new one among them.
    ///
    /// Only after all else has gone well, and only backups that are named as this command names them, that are of the same
    /// installation and the same choice of categories, and that it can read. All else stays, and does not count; so does what
    /// is dated after the new one, because then a clock was wrong. What is younger than 48 hours stays in any case. One in which
    /// something is missing (--without) takes the place of no complete one.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    keep: Option<NonZeroUsize>,
    /// Reads the file once more from the disk when it has its name, as `verify` does.
    ///
    /// One that is damaged is renamed, so that it does not pass for a backup: its name then ends in .damaged.
    #[arg(long)]
    verify: bool,
    /// Writes one JSON object per line to standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Says what was made even where nobody watches in a terminal.
    #[arg(short, long)]
    verbose: bool,
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "the new backup stays in any case: a number from 1".to_owned())
}

/// Makes a backup.
pub(crate) async fn create(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    let teller = match arguments.verbose || io::stdout().is_terminal() {
        true => Teller::new(arguments.json),
        // Whatever cron hears, it sends by mail.
        false => Teller::quiet(arguments.json),
    };
    let place = Place::of(&arguments.output).map_err(|error| Failure::new(Ended::Unusable, error))?;
    if arguments.keep.is_some() && place.folder().is_none() {
        let error =
            Error::new(ErrorKind::BadArgument, "--keep needs a folder, and there is none of this name");
        return Err(error.on(arguments.output.display().to_string()).into());
    }
    let http = arguments.server.connect(interrupt).await?;
    interrupt.listen();
    let mut draft = place.begin().map_err(|error| Failure::new(Ended::Unusable, error))?;
    let watch = Onlooker::new(teller, interrupt);
    let categories = (!arguments.categories.is_empty()).then(|| arguments.categories.clone());
    let request = SnapshotRequest { categories, without: arguments.without.clone() };
    let open = async || HttpSource::open(&http, &request).await;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
    let encoder = Threads::start(NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN))?;
    let outcome = backup(open, &encoder, &mut draft.file, &Options::default(), &watch).await?;
    watch.clear();
    let file = draft.keep(&outcome.manifest.created)?;
    if arguments.verify {
        verify_kept(&file, outcome.sha256, interrupt)?;
    }
    let Retained { removed, future } = match arguments.keep {
        Some(keep) => keep_newest(&file, &outcome.manifest, request.categories.as_deref(), keep)?,
        None => Retained::default(),
    };
    let shown = |file: &PathBuf| file.display().to_string();
    let [removed, future] = [removed, future].map(|files| files.iter().map(shown).collect::<Vec<_>>());
    teller.event(
        "done",
        &json!({
            "file": shown(&file),
            "size": outcome.size,
            "sha256": outcome.sha256,
            "created": outcome.manifest.created,
            "documents": outcome.manifest.documents(),
            "attachments": outcome.manifest.attachments.len(),
            "plainParts": outcome.plain_parts,
            "restarts": outcome.restarts,
            "missing": outcome.manifest.missing,
            "verified": arguments.verify,
            "removed": removed,
            "future": future,
        }),
    );
    teller.say(&told(&outcome, &shown(&file), &removed, &future));
    // On another way than the rest, so that cron sends it also where all else is well.
    words::complain_of_missing(&file, &outcome.manifest.missing);
    Ok(())
}

/// Reads a backup that has its name once more. One that is not what was written loses it.
fn verify_kept(file: &Path, written: Sha256, interrupt: &Interrupt) -> Result<()> {
    let Err(error) = is_as_written(file, written, interrupt) else { return Ok(()) };
    if error.kind == ErrorKind::Cancelled {
        fs::remove_file(file)?;
        return Err(error);
    }
    let damaged = with_ending(file, ".damaged");
    let message = match fs::rename(file, &damaged) {
        Ok(()) => format!("the backup is damaged on the disk, and is now {}", damaged.display()),
        Err(why) => format!("the backup is damaged on the disk, and cannot be renamed ({why})"),
    };
    Err(Error { message: format!("{message}: {}", error.message), ..error })
}

fn is_as_written(file: &Path, written: Sha256, interrupt: &Interrupt) -> Result<()> {
    let (found, verdict) = verify::from_disk(file, interrupt)?;
    if let Some(problem) = verdict.problems.into_iter().next() {
        return Err(problem);
    }
    if found == written {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Io, "the file is not what was written");
    Err(error.expected(format!("SHA-256 {written}"), found))
}

fn told(outcome: &Outcome, file: &str, removed: &[String], future: &[String]) -> String {
    let mut text = format!(
        "{}: {} documents and {} files of {}, {}\nSHA-256 {}",
        plain(file),
        outcome.manifest.documents(),
        outcome.manifest.attachments.len(),
        plain(&outcome.manifest.source.business),
        megabytes(outcome.size),
        outcome.sha256
    );
    for file in removed {
        text += &format!("\nRemoved {}", plain(file));
    }
    for file in future {
        text += &format!("\nDated after this backup, and neither counted nor removed: {}", plain(file));
    }
    if outcome.restarts > 0 {
        text += "\nThe server let its first snapshot go; the backup is of a later one.";
    }
    if outcome.plain_parts > 0 {
        text += "\nSome parts could not be compressed safely and are stored uncompressed. They are whole.";
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use dikas_archive::api::{Snapshot, SourceInfo};
    use dikas_archive::writer::BackupWriter;

    #[test]
    fn what_the_disk_has_spoilt_does_not_pass_for_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dikas_20261123_185941.zip");
        let source = SourceInfo {
            installation: "0".repeat(32),
            business: "Zum Goldenen Hirschen".to_owned(),
            product: "DiKAS 26.3".to_owned(),
            position: 1,
        };
        let (id, created) = ("0".repeat(32), "2026-11-23T18:59:41Z".to_owned());
        let snapshot = Snapshot { id, created, source, collections: Vec::new(), missing: Vec::new() };
        let out = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&file).unwrap();
        BackupWriter::new(out).finish(&snapshot).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let written = Sha256::of(&bytes);
        let interrupt = Interrupt::default();
        verify_kept(&file, written, &interrupt).unwrap();
        assert!(file.exists());

        bytes[45] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let error = verify_kept(&file, written, &interrupt).unwrap_err();
        let damaged = folder.path().join("dikas_20261123_185941.zip.damaged");
        assert!(error.message.contains(".damaged") && !file.exists(), "{error}");
        assert_eq!(fs::read(damaged).unwrap(), bytes);

        // Sound in itself, but of another moment.
        let other = Snapshot { created: "2026-11-24T18:59:41Z".to_owned(), ..snapshot };
        let out = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&file).unwrap();
        BackupWriter::new(out).finish(&other).unwrap();
        assert!(verify_kept(&file, written, &interrupt).is_err() && !file.exists());
    }
}
