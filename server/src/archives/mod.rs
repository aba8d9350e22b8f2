//! The backup folder: the archives that lie there, be they made by the schedule or put there by hand.
//!
//! An archive `X.zip` has a record `X.zip.json` beside it with what is known about it. One that is written lies there
//! as `.dikas_….zip.part`, locked, until it is whole and on the disk; its record comes first, so that none of ours is
//! ever without one. What a server that was killed left behind goes at the next start.
//!
//! Names come from the folder alone: a request names an archive by a digest of its name. Links and whatever else is not
//! a plain file are not there.

mod check;
mod record;

pub(crate) use record::Record;

use crate::clock::{self, Clock};
use crate::failure::{Failure, Result};
use crate::schedule::config::Backup;
use crate::schedule::keeping::{Candidate, PAUSE, Quality, before_pause, is_settled, kept};
use axum::http::StatusCode;
use check::{Checked, check};
use dikas_archive::api::archives::{ArchiveCheck, KeptFor, StoredArchive};
use dikas_archive::digest::Sha256;
use dikas_archive::error::Error;
use jiff::Timestamp;
use record::Stamp;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// How the names of files begin and end that are being written.
const PART: (&str, &str) = (".dikas_", ".part");

/// Tells how many of how many bytes were read. An error ends the reading.
pub(crate) type OnRead<'a> = &'a mut dyn FnMut(u64, u64) -> dikas_archive::error::Result<()>;

/// The archives in the backup folder.
#[derive(Debug)]
pub(crate) struct Archives {
    backup: Option<Arc<Backup>>,
    installation: String,
    clock: Arc<dyn Clock>,
    /// What the manifests of archives without a record tell.
    told: Mutex<HashMap<String, Record>>,
    /// The names of those that are being verified.
    busy: Mutex<HashSet<String>>,
}

/// An archive, and what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    pub(crate) name: String,
    record: Record,
    /// Whether its file is another one than the record knew.
    is_changed: bool,
}

impl Archive {
    /// The moment of its data; none where its record names none.
    fn created(&self) -> Option<Timestamp> {
        self.record.created.parse().ok()
    }

    /// Whether nothing is missing in it that was damaged when it was made.
    fn is_complete(&self) -> bool {
        self.record.missing == 0
    }

    /// Whether nothing is known to be wrong with it.
    fn is_good(&self) -> bool {
        self.quality() != Quality::Unfit
    }

    fn quality(&self) -> Quality {
        match self.record.check {
            ArchiveCheck::Sound { .. } => Quality::Sound,
            ArchiveCheck::Unchecked => Quality::Unchecked,
            ArchiveCheck::Damaged { .. } => Quality::Unfit,
        }
    }

    /// The digest of its file, as far as nothing speaks against it.
    pub(crate) fn digest(&self) -> Option<Sha256> {
        self.record.sha256.filter(|_| self.is_good() && !self.is_changed)
    }

    /// The entity tag of its file: the same for as long as the file is, whatever is found out about it.
    pub(crate) fn tag(&self) -> String {
        let Record { size, modified, .. } = &self.record;
        format!("\"{size:x}-{modified:x}\"")
    }

    fn told(self, kept_for: Vec<KeptFor>, now: Timestamp) -> StoredArchive {
        let in_future = self.created().is_some_and(|created| created > now);
        let Self { name, record, .. } = self;
        let Record { size, created, sha256, documents, attachments, business, check, .. } = record;
        StoredArchive {
            id: id_of(&name),
            name,
            size,
            created,
            sha256,
            documents,
            attachments,
            business,
            check,
            kept_for,
            in_future,
        }
    }
}

impl Archives {
    /// The archives in the folder of this schedule; without one there are none. Removes what a server that was killed
    /// has left there.
    pub(crate) fn open(backup: Option<Arc<Backup>>, installation: &str, clock: Arc<dyn Clock>) -> Self {
        let (told, busy) = (Mutex::default(), Mutex::default());
        let archives = Self { backup, installation: installation.to_owned(), clock, told, busy };
        if let Some(backup) = &archives.backup
            && let Err(error) = archives.tidy(&backup.folder)
        {
            tracing::error!("the backup folder {} cannot be used: {error}", backup.folder.display());
        }
        archives
    }

    /// All archives, the newest first.
    ///
    /// # Errors
    /// 409 `no-folder`
    pub(crate) fn list(&self) -> Result<Vec<StoredArchive>> {
        let Some(backup) = &self.backup else { return Ok(Vec::new()) };
        let archives = self.all(&backup.folder)?;
        let now = self.clock.now();
        let reasons = self.reasons(backup, &archives, now);
        Ok(archives.into_iter().zip(reasons).map(|(archive, kept_for)| archive.told(kept_for, now)).collect())
    }

    /// The archive of this id, and its file.
    ///
    /// # Errors
    /// 410 `archive-gone`, 409 `no-folder`
    pub(crate) fn file(&self, id: &str) -> Result<(Archive, File)> {
        let (backup, archive) = self.find(id)?;
        match File::open(backup.folder.join(&archive.name)) {
            Ok(file) => Ok((archive, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all of an archive and compares; what was found stands in its record from then on.
    ///
    /// # Errors
    /// 410 `archive-gone`, 409 `archive-in-use` and `no-folder`. Inside: where it cannot be read, and those of
    /// `progress`.
    pub(crate) fn verify(
        &self,
        id: &str,
        progress: OnRead<'_>,
    ) -> Result<dikas_archive::error::Result<StoredArchive>> {
        let (archive, file) = self.file(id)?;
        let _busy = self.occupy(&archive.name).ok_or_else(in_use)?;
        Ok(self.check(archive, file, progress).and_then(|_| {
            let mut listed = self.list().map_err(io::Error::other)?.into_iter();
            listed
                .find(|archive| archive.id == id)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
        }))
    }

    /// Reads back an archive that the schedule has just written; what was found stands in its record from then on.
    pub(crate) fn read_back(
        &self,
        name: &str,
        progress: OnRead<'_>,
    ) -> dikas_archive::error::Result<ArchiveCheck> {
        let _busy = self.occupy(name);
        let (archive, file) = self.file(&id_of(name)).map_err(io::Error::other)?;
        self.check(archive, file, progress)
    }

    fn check(
        &self,
        archive: Archive,
        file: File,
        progress: OnRead<'_>,
    ) -> dikas_archive::error::Result<ArchiveCheck> {
        let Archive { name, record, .. } = archive;
        let stamp = Stamp::of(&file.metadata()?)?;
        let Checked { sha256, check } =
            check(file, record.expected(), &clock::text(self.clock.now()), progress)?;
        if let Some(backup) = &self.backup {
            record.seen(stamp, sha256, check.clone()).write(&backup.folder, &name)?;
        }
        Ok(check)
    }

    /// Notes that an archive of the schedule cannot be read back: it counts as damaged until it is found to be sound.
    pub(crate) fn doubt(&self, name: &str, error: &Error) {
        let Ok((backup, Archive { record, .. })) = self.find(&id_of(name)) else { return };
        let at = clock::text(self.clock.now());
        let check = ArchiveCheck::Damaged { at, problems: 1, first: error.to_string() };
        if let Err(error) = (Record { check, ..record }).write(&backup.folder, name) {
            tracing::error!("what is wrong with {name} cannot be noted: {error}");
        }
    }

    /// Removes an archive.
    ///
    /// # Errors
    /// 410 `archive-gone`, 409 `archive-in-use` and `no-folder`
    pub(crate) fn remove(&self, id: &str) -> Result<String> {
        let (backup, archive) = self.find(id)?;
        let _busy = self.occupy(&archive.name).ok_or_else(in_use)?;
        remove(&backup.folder, &archive.name)?;
        Ok(archive.name)
    }

    /// Removes those of the schedule that it does not keep beside the one that it has just `made`. Never one that is younger than
    /// [`SETTLING`](crate::schedule::keeping::SETTLING), and never one that is dated later than that one, or whose moment
    /// nobody knows: then a clock was wrong; and none from before a pause after which the clock may have jumped ahead. What is
    /// damaged goes only where a good one of its day stays: else it may be all that
    /// there is, and most of it sound. Answers their names.
    pub(crate) fn retain(&self, made: &str) -> Result<Vec<String>> {
        let Some(backup) = &self.backup else { return Ok(Vec::new()) };
        let archives = self.all(&backup.folder)?;
        let made = archives.iter().find(|archive| archive.name == made).and_then(Archive::created);
        let made = made.ok_or_else(gone)?;
        let reasons = self.reasons(backup, &archives, made);
        let zone = backup.when.zone();
        let day_of = |archive: &Archive| Some(zone.to_datetime(archive.created()?).date());
        let stay = archives.iter().zip(&reasons).filter(|(_, reasons)| !reasons.is_empty());
        let good_days: HashSet<_> =
            stay.map(|(archive, _)| (day_of(archive), archive.is_complete())).collect();
        let ours = archives.iter().filter(|archive| self.is_ours(archive));
        let doubtful = before_pause(ours.filter_map(Archive::created), made, |it| backup.when.next(it));
        let mut removed = Vec::new();
        for (archive, reasons) in archives.into_iter().zip(reasons) {
            let is_old = archive.created().is_some_and(|created| is_settled(created, made));
            let day = day_of(&archive);
            let is_replaced = archive.is_good()
                || good_days.contains(&(day, true))
                || (!archive.is_complete() && good_days.contains(&(day, false)));
            let is_unwanted = self.is_ours(&archive) && reasons.is_empty() && is_replaced && is_old;
            if is_unwanted && archive.created() <= doubtful {
                let (name, days) = (archive.name, PAUSE.as_hours() / 24);
                tracing::warn!("{name} stays: no archive for {days} days, or the clock jumped ahead");
                continue;
            }
            // One that somebody verifies has time until the next run.
            if is_unwanted && let Some(_busy) = self.occupy(&archive.name) {
                match remove(&backup.folder, &archive.name) {
                    // Somebody was faster.
                    Err(failure) if failure.code() == "archive-gone" => {}
                    done => done?,
                }
                removed.push(archive.name);
            }
        }
        removed.sort();
        Ok(removed)
    }

    /// Why the schedule keeps each of these at this moment.
    fn reasons(&self, backup: &Backup, archives: &[Archive], at: Timestamp) -> Vec<Vec<KeptFor>> {
        let candidates: Vec<Candidate> = archives
            .iter()
            .map(|archive| {
                // What the schedule did not make, and what has no moment, stands for nothing.
                let is_known = self.is_ours(archive) && archive.created().is_some();
                let quality = if is_known { archive.quality() } else { Quality::Unfit };
                let (created, is_complete) = (archive.created().unwrap_or_default(), archive.is_complete());
                Candidate { created, quality, is_complete }
            })
            .collect();
        kept(&candidates, backup.keep, backup.when.zone(), at)
    }

    /// Whether the schedule of this very installation made it.
    fn is_ours(&self, archive: &Archive) -> bool {
        archive.record.made_by.as_ref() == Some(&self.installation)
    }

    /// Begins an archive; dropped, nothing of it is left. What others have left goes, too: the disk may not have been
    /// there at the start.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub(crate) fn begin(&self, folder: &Path) -> io::Result<NamedTempFile> {
        self.tidy(folder)?;
        part(folder, ".zip")
    }

    /// Gives an archive that is whole its name, which begins with this one; once this answers, it and its record are on
    /// the disk.
    pub(crate) fn finish(
        &self,
        folder: &Path,
        mut file: NamedTempFile,
        name: &str,
        record: &Record,
    ) -> io::Result<String> {
        for number in 1u32.. {
            let name = match number {
                1 => format!("{name}.zip"),
                number => format!("{name}-{number}.zip"),
            };
            // With its record an archive has the name to itself.
            if folder.join(&name).symlink_metadata().is_ok() || !record.claim(folder, &name)? {
                continue;
            }
            match file.persist_noclobber(folder.join(&name)) {
                Ok(_) => {}
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    file = error.file;
                    record::remove(folder, &name)?;
                    continue;
                }
                // Not every file system can rename without replacing.
                Err(error) => {
                    if let Err(error) = error.file.persist(folder.join(&name)) {
                        record::remove(folder, &name)?;
                        return Err(error.error);
                    }
                }
            }
            crate::durable::sync_folder(folder)?;
            return Ok(name);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn find(&self, id: &str) -> Result<(&Backup, Archive)> {
        let backup = self.backup.as_deref().ok_or_else(gone)?;
        for entry in fs::read_dir(&backup.folder).map_err(|error| no_folder(&backup.folder, &error))? {
            if let Some(name) = archive_name(&entry?)
                && id_of(&name) == id
                && let Some(archive) = self.look(&backup.folder, name)?
            {
                return Ok((backup, archive));
            }
        }
        Err(gone())
    }

    /// The newest first; of those of one moment, that which was written last.
    fn all(&self, folder: &Path) -> Result<Vec<Archive>> {
        let mut archives = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| no_folder(folder, &error))? {
            if let Some(name) = archive_name(&entry?) {
                archives.extend(self.look(folder, name)?);
            }
        }
        let age = |archive: &Archive| {
            let Archive { name, record, .. } = archive;
            (record.created.clone(), record.modified, name.clone())
        };
        archives.sort_by_cached_key(|archive| Reverse(age(archive)));
        Ok(archives)
    }

    /// What is known about the archive of this name; none where it is gone by now, or no plain file.
    fn look(&self, folder: &Path, name: String) -> Result<Option<Archive>> {
        let Ok(metadata) = folder.join(&name).symlink_metadata() else { return Ok(None) };
        if !metadata.is_file() {
            return Ok(None);
        }
        let stamp = Stamp::of(&metadata)?;
        if let Some(record) = Record::read(folder, &name) {
            let is_changed = record.stamp() != stamp;
            if let Some(record) = record.at(stamp) {
                return Ok(Some(Archive { name, record, is_changed }));
            }
        }
        let known = lock(&self.told).get(&name).filter(|record| record.stamp() == stamp).cloned();
        let record = match known {
            Some(record) => record,
            None => {
                let record = Record::told(&folder.join(&name), stamp, &clock::text(self.clock.now()));
                lock(&self.told).insert(name.clone(), record.clone());
                record
            }
        };
        Ok(Some(Archive { name, record, is_changed: false }))
    }

    /// Removes what is half written and nobody writes any more, and records of archives that are gone.
    fn tidy(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // What belongs to somebody else may be closed to this server, and is no reason to make no backup.
            if let Err(error) = self.tidy_entry(folder, &entry) {
                tracing::warn!("{} cannot be tidied up: {error}", entry.path().display());
            }
        }
        Ok(())
    }

    fn tidy_entry(&self, folder: &Path, entry: &fs::DirEntry) -> io::Result<()> {
        let Ok(name) = entry.file_name().into_string() else { return Ok(()) };
        if !entry.file_type()?.is_file() {
            return Ok(());
        }
        if name.starts_with(PART.0) && name.ends_with(PART.1) {
            // Whoever writes it holds the lock, be it another server.
            if File::open(entry.path())?.try_lock().is_ok() {
                fs::remove_file(entry.path())?;
            }
        } else if let Some(archive) = record::archive_of(&name)
            && is_missing(&folder.join(archive))
            && Record::read(folder, archive).is_some_and(|it| it.made_by.as_ref() == Some(&self.installation))
        {
            fs::remove_file(entry.path())?;
        }
        Ok(())
    }

    /// Keeps others from verifying or removing an archive; none where somebody does.
    fn occupy(&self, name: &str) -> Option<Busy<'_>> {
        let free = lock(&self.busy).insert(name.to_owned());
        free.then(|| Busy { archives: self, name: name.to_owned() })
    }
}

struct Busy<'a> {
    archives: &'a Archives,
    name: String,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.archives.busy).remove(&self.name);
    }
}

/// A file under a name that says it is unfinished, locked.
fn part(folder: &Path, kind: &str) -> io::Result<NamedTempFile> {
    let file =
        tempfile::Builder::new().prefix(PART.0).suffix(&format!("{kind}{}", PART.1)).tempfile_in(folder)?;
    match file.as_file().try_lock() {
        // Without locks nobody takes it for a leftover either.
        Err(TryLockError::Error(error)) if crate::durable::is_unsupported(&error) => {}
        locked => locked?,
    }
    Ok(file)
}

/// Whether nothing is there. A disk that cannot tell says nothing of the kind.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The archive goes first: without its record it would be nobody's.
fn remove(folder: &Path, name: &str) -> Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone()),
        removed => removed?,
    }
    record::remove(folder, name)?;
    crate::durable::sync_folder(folder)?;
    Ok(())
}

/// The name of a file that may be an archive.
fn archive_name(entry: &fs::DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty() && !stem.starts_with('.') && ending.eq_ignore_ascii_case("zip")).then_some(name)
}

/// Names an archive in paths.
fn id_of(name: &str) -> String {
    Sha256::of(name.as_bytes()).to_string().chars().take(32).collect()
}

fn gone() -> Failure {
    Failure::new(
        StatusCode::GONE,
        "archive-gone",
        "there is no such archive in the backup folder, or no more",
    )
}

fn in_use() -> Failure {
    Failure::conflict("archive-in-use", "the archive is being verified: try again when that has ended")
}

fn no_folder(folder: &Path, error: &io::Error) -> Failure {
    Failure::conflict("no-folder", format!("the backup folder {} cannot be read: {error}", folder.display()))
}

/// A thread that panicked has changed nothing by halves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
