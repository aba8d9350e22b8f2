//! One run: an archive from the store into the backup folder, read back from the disk, and those removed that the schedule
//! does not keep beside it. A run that a person asks for removes none: that person may want the one from before a mistake.

use super::Schedule;
use super::config::Backup;
use crate::archives::Record;
use crate::jobs::told;
use crate::making::{self, StoreSource, error_of};
use crate::store::Owner;
use crate::{clock, durable};
use axum::http::StatusCode;
use dikas_archive::api::SnapshotRequest;
use dikas_archive::api::archives::ArchiveCheck;
use dikas_archive::api::restore::ArchiveInfo;
use dikas_archive::damage::Missing;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::{Phase, Progress, Source, Watch};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long a run waits before it asks for a snapshot once more.
const AGAIN: Duration = Duration::from_millis(500);

/// What became of a run.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The archive, once it has its name.
    pub(super) archive: Option<ArchiveInfo>,
    /// What is missing in it, because it is damaged and the configuration names it.
    pub(super) missing: Vec<Missing>,
    /// Whether the archive is good, as far as the run has looked.
    pub(super) is_good: bool,
    /// The archives that it removed.
    pub(super) removed: Vec<String>,
    pub(super) error: Option<Error>,
}

/// Does a run, and removes older archives where it `retires`. Blocks for as long as it takes.
pub(super) fn run(schedule: &Schedule, retires: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let done = catch_unwind(AssertUnwindSafe(|| steps(schedule, retires, &mut outcome)))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the run panicked")));
    outcome.error = done.err().map(told);
    outcome
}

fn steps(schedule: &Schedule, retires: bool, outcome: &mut Outcome) -> Result<()> {
    let Some(backup) = &schedule.backup else { return Ok(()) };
    let damage = check_database(schedule)?;
    let (archive, missing) = write(schedule, backup)?;
    let name = archive.name.clone();
    (outcome.archive, outcome.missing) = (Some(archive), missing);
    (schedule.options.named)(&backup.folder.join(&name));
    if backup.verify {
        read_back(schedule, &name)?;
    }
    if let Some(damage) = damage {
        // It holds all that can be read, and takes the place of none that was made before.
        schedule.archives.doubt(&name, &damage);
        return Err(damage);
    }
    outcome.is_good = true;
    if retires {
        outcome.removed = schedule.archives.retain(&name).map_err(|failure| {
            Error::new(ErrorKind::ServerError, format!("older archives cannot be removed: {failure}"))
        })?;
    }
    Ok(())
}

/// What is wrong with the database as a whole; none where it is sound. Each document is compared when it is read.
fn check_database(schedule: &Schedule) -> Result<Option<Error>> {
    let checked = schedule.store.check_database();
    schedule.may_go_on()?;
    let check = checked.map_err(error_of)?;
    Ok(check.problems.into_iter().next().map(|first| {
        let message = "the check of the database has found damage: the archive holds what can be read, counts for no \
                       day, and older ones stay; have the disk checked, and restore a good backup";
        Error::new(ErrorKind::DamagedDatabase, message).expected("a sound database", first)
    }))
}

/// Writes an archive; it has its name once it is whole and on the disk.
fn write(schedule: &Schedule, backup: &Backup) -> Result<(ArchiveInfo, Vec<Missing>)> {
    let folder = backup.folder.as_path();
    let request = SnapshotRequest { categories: None, without: backup.without.clone() };
    let in_folder = |error: std::io::Error| Error::from(error).on(folder.display().to_string());
    if !folder.is_dir() {
        let message = "the backup folder is not there: make it, or mount its disk";
        return Err(Error::new(ErrorKind::ServerError, message).on(folder.display().to_string()));
    }
    let source = open(schedule, &request)?;
    let needed = source.snapshot().archive_bytes().saturating_add(schedule.options.spare_bytes);
    let room = fs4::available_space(folder).map_err(in_folder).and_then(|free| match free < needed {
        true => {
            let message = "the disk of the backup folder has not enough room";
            Err(Error::new(ErrorKind::NoSpace, message)
                .on(folder.display().to_string())
                .expected(format!("{needed} bytes"), format!("{free} free")))
        }
        false => schedule.archives.begin(folder).map_err(in_folder),
    });
    let mut file = match room {
        Ok(file) => file,
        Err(error) => {
            let _ = futures::executor::block_on(source.close());
            return Err(error);
        }
    };
    let made = making::write(source, &request, file.as_file_mut(), schedule)?;
    durable::sync(file.as_file())?;
    let installation = schedule.store.installation();
    let record = Record::new(&made.manifest, file.as_file(), made.sha256, installation)?;
    schedule.may_go_on()?;
    let zone = schedule.zone();
    let name = clock::file_name_in(&made.manifest.created, zone);
    let name = schedule.archives.finish(folder, file, &name, &record).map_err(in_folder)?;
    let (sha256, created) = (Some(made.sha256), Some(made.manifest.created));
    let archive = ArchiveInfo { name, size: made.size, sha256, created, source: None };
    Ok((archive, made.manifest.missing))
}

/// Opens a snapshot, for which the schedule has a place of its own; where the write-ahead log is too large for one, once it can.
fn open(schedule: &Schedule, request: &SnapshotRequest) -> Result<StoreSource> {
    let begun = Instant::now();
    loop {
        let opened = StoreSource::open(&schedule.store, &schedule.snapshots, &Owner::Schedule, request);
        match opened {
            Err(failure)
                if failure.status() == StatusCode::SERVICE_UNAVAILABLE
                    && begun.elapsed() < schedule.options.patience =>
            {
                schedule.may_go_on()?;
                std::thread::sleep(AGAIN);
            }
            opened => return opened.map_err(error_of),
        }
    }
}

fn read_back(schedule: &Schedule, name: &str) -> Result<()> {
    let before = schedule.progress();
    let found = schedule.archives.read_back(name, &mut |bytes, bytes_total| {
        let (phase, subject) = (Phase::Verify, Some(name.to_owned()));
        schedule.report(Progress { phase, subject, bytes, bytes_total, ..before.clone() });
        schedule.may_go_on()
    });
    let found = found.inspect_err(|error| {
        if error.kind != ErrorKind::Cancelled {
            // What nobody can read must not take the place of what somebody can.
            schedule.archives.doubt(name, error);
        }
    })?;
    match found {
        ArchiveCheck::Damaged { first, .. } => {
            let message = format!("the archive is damaged on the disk: {first}");
            Err(Error::new(ErrorKind::DamagedEntry, message).on(name))
        }
        _ => Ok(()),
    }
}

impl Watch for Schedule {
    fn report(&self, progress: Progress) {
        Schedule::report(self, progress);
    }

    async fn checkpoint(&self) -> Result<()> {
        self.may_go_on()
    }
}
