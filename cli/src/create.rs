//! `create`: a backup of a server, into a file that has its name only once it is whole.

use crate::ended::{Ended, Failure};
use crate::login::Server;
use crate::teller::{Onlooker, Teller, megabytes};
use crate::terminal::plain;
use dikas_archive::api::SnapshotRequest;
use dikas_archive::catalog::Category;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::backup::{Options, Outcome, backup};
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::threads::Threads;
use dikas_backup::interrupt::Interrupt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use std::fs::{self, File, TryLockError};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// More threads than this wait for the network.
const MOST_THREADS: usize = 8;

/// What `create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// The new file; or a folder, in which it is named after the moment of its data.
    #[arg(short, long, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Backs up this category alone; may be given several times.
    #[arg(long = "category", value_name = "CATEGORY")]
    categories: Vec<Category>,
    /// Writes one JSON object per line to standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Makes a backup.
pub(crate) async fn create(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    let teller = Teller::new(arguments.json);
    let place = Place::of(&arguments.output).map_err(|error| Failure::new(Ended::Unusable, error))?;
    let http = arguments.server.connect(interrupt).await?;
    interrupt.listen();
    let mut draft = place.begin().map_err(|error| Failure::new(Ended::Unusable, error))?;
    let watch = Onlooker::new(teller, interrupt);
    let categories = (!arguments.categories.is_empty()).then(|| arguments.categories.clone());
    let request = SnapshotRequest { categories };
    let open = async || HttpSource::open(&http, &request).await;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
    let encoder = Threads::start(NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN))?;
    let outcome = backup(open, &encoder, &mut draft.file, &Options::default(), &watch).await?;
    watch.clear();
    let file = draft.keep(&outcome)?;
    let shown = file.display().to_string();
    teller.event(
        "done",
        &json!({
            "file": shown,
            "size": outcome.size,
            "sha256": outcome.sha256,
            "created": outcome.manifest.created,
            "documents": outcome.manifest.documents(),
            "attachments": outcome.manifest.attachments.len(),
            "plainParts": outcome.plain_parts,
            "restarts": outcome.restarts,
        }),
    );
    teller.say(&told(&outcome, &shown));
    Ok(())
}

fn told(outcome: &Outcome, file: &str) -> String {
    let mut text = format!(
        "{}: {} documents and {} files of {}, {}\nSHA-256 {}",
        plain(file),
        outcome.manifest.documents(),
        outcome.manifest.attachments.len(),
        plain(&outcome.manifest.source.business),
        megabytes(outcome.size),
        outcome.sha256
    );
    if outcome.restarts > 0 {
        text += "\nThe server let its first snapshot go; the backup is of a later one.";
    }
    if outcome.plain_parts > 0 {
        text += "\nSome parts could not be compressed safely and are stored uncompressed. They are whole.";
    }
    text
}

/// Where the backup will be.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    /// None where the moment of the data will tell.
    name: Option<String>,
}

impl Place {
    fn of(output: &Path) -> Result<Self> {
        if output.is_dir() {
            return Ok(Self { folder: output.to_owned(), name: None });
        }
        let folder = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let name = output.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            let message = "this cannot be the name of a file";
            return Err(Error::new(ErrorKind::BadArgument, message).on(output.display().to_string()));
        };
        let place = Self { folder: folder.unwrap_or(Path::new(".")).to_owned(), name: Some(name.to_owned()) };
        place.refuse_taken(output)?;
        Ok(place)
    }

    /// No backup takes the place of another file.
    fn refuse_taken(&self, file: &Path) -> Result<()> {
        if !file.exists() {
            return Ok(());
        }
        let message = "there is a file of this name already";
        Err(Error::new(ErrorKind::BadArgument, message).on(file.display().to_string()))
    }

    /// Opens the file that is being written. Its name says that it is none yet.
    fn begin(self) -> Result<Draft> {
        let name = self.name.as_deref().unwrap_or("dikas.zip");
        let path = self.folder.join(format!("{name}.part"));
        let on_path = |error: Error| error.on(path.display().to_string());
        // What an earlier run has left is overwritten, unless that still runs.
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| on_path(error.into()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(on_path(Error::new(ErrorKind::Busy, "another backup is being written here")));
            }
            Err(TryLockError::Error(error)) => return Err(on_path(error.into())),
        }
        file.set_len(0).map_err(|error| on_path(error.into()))?;
        Ok(Draft { file, path: Some(path), place: self })
    }
}

/// A backup that is being written. Dropped, it is removed.
#[derive(Debug)]
struct Draft {
    file: File,
    path: Option<PathBuf>,
    place: Place,
}

impl Draft {
    /// Gives the file its name, once it is on the disk.
    fn keep(mut self, outcome: &Outcome) -> Result<PathBuf> {
        let name = match &self.place.name {
            Some(name) => name.clone(),
            None => name_of(&outcome.manifest.created)?,
        };
        let file = self.place.folder.join(name);
        self.place.refuse_taken(&file)?;
        self.file.sync_all()?;
        if let Some(path) = &self.path {
            fs::rename(path, &file).map_err(|error| Error::from(error).on(file.display().to_string()))?;
        }
        self.path = None;
        // The name has to be on the disk too; Windows opens no folder, and needs that less.
        #[cfg(unix)]
        File::open(&self.place.folder)?.sync_all()?;
        Ok(file)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed has a name that says what it is.
            let _ = fs::remove_file(path);
        }
    }
}

/// A file name after a moment, in the time of this place.
fn name_of(created: &str) -> Result<String> {
    let moment: Timestamp =
        created.parse().map_err(|error: jiff::Error| Error::new(ErrorKind::BadAnswer, error.to_string()))?;
    Ok(moment.to_zoned_datetime(TimeZone::system()).strftime("dikas_%Y%m%d_%H%M%S.zip").to_string())
}
