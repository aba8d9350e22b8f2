//! Archives in the browser's file system: `dikas-backups/<id>.zip`, finished once `<id>.json` stands beside it. One with a
//! `<id>.journal` and no record that can be read was interrupted, and can be gone on with. What has neither is a leftover. A job
//! in another tab may still write both of these: its handle excludes ours. What has a record that cannot be read now, perhaps by
//! this version alone, is no leftover before its day is over.
//!
//! Whoever changes the folder holds a [`Lock`]: between two steps of one tab another would find half of it.

use super::journal::{self, Head};
use super::js;
use super::opfs::OpfsFile;
use super::pages::Paged;
use super::protocol::{Archive, Interrupted, Place, Storage};
use super::rope;
use super::turn::Timer;
use crate::api::{CollectionSummary, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::job::resume::Written;
use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::{AsyncIterator, Date, Function, IteratorNext, Promise};
use std::collections::BTreeSet;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemSyncAccessHandle, StorageEstimate, StorageManager,
};

const FOLDER: &str = "dikas-backups";

/// How long a finished archive stays, in milliseconds.
const LIFE: f64 = 24.0 * 3600.0 * 1000.0;

/// How long one that has lived its day stays from the moment on at which that was first noticed, in milliseconds: the clock may
/// have been wrong when it was made, or be wrong for the moment.
const NOTICE: f64 = 3600.0 * 1000.0;

/// How often, and in what distance in milliseconds, an exclusive handle is asked for: one can outlive a reload.
const TRIES: u32 = 5;
const BETWEEN_TRIES: u64 = 200;

/// The folder of this page's archives.
#[derive(Debug, Clone)]
pub(super) struct Archives(FileSystemDirectoryHandle);

impl Archives {
    /// Opens the folder; None where the browser gives this page no file system: on plain http, and in some private
    /// windows.
    pub(super) async fn open() -> Result<Option<Self>> {
        let Some(manager) = manager() else { return Ok(None) };
        // Old browsers have the file system, but not the handles that workers write with.
        let handles = js::property(&js_sys::global(), "FileSystemSyncAccessHandle");
        if !js::property(&manager, "getDirectory").is_function() || handles.is_undefined() {
            return Ok(None);
        }
        let root = match JsFuture::from(manager.get_directory()).await {
            Ok(root) => root.unchecked_into::<FileSystemDirectoryHandle>(),
            Err(refused) if is_withheld(&refused) => return Ok(None),
            Err(failed) => return Err(js::error(failed)),
        };
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        promised(root.get_directory_handle_with_options(FOLDER, &options))
            .await
            .map(|folder| Some(Self(folder)))
    }

    /// Creates the file of a new archive; the id is the wanted one, or with a number behind it where that is taken.
    pub(super) async fn create(&self, _: &Lock, wanted: &str) -> Result<(String, OpfsFile)> {
        let taken = self.names().await?;
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut ids = std::iter::once(wanted.to_owned()).chain(numbered);
        let free = |id: &String| !files(id).iter().any(|name| taken.contains(name));
        let id = ids.find(free).ok_or_else(|| Error::new(ErrorKind::Internal, "no free name"))?;
        match self.open_file(&zip(&id), true).await {
            Ok(file) => Ok((id, file)),
            Err(error) => {
                let _ = JsFuture::from(self.0.remove_entry(&zip(&id))).await;
                Err(error)
            }
        }
    }

    /// Creates the journal of a new archive.
    pub(super) async fn create_journal(&self, _: &Lock, id: &str) -> Result<OpfsFile> {
        self.open_file(&journal_file(id), true).await
    }

    /// Opens an interrupted archive and its journal, to go on with them.
    pub(super) async fn reopen(&self, _: &Lock, id: &str) -> Result<(OpfsFile, OpfsFile)> {
        // The journal is opened first: whoever has that has both.
        let journal = self.open_file(&journal_file(id), false).await?;
        Ok((self.open_file(&zip(id), false).await?, journal))
    }

    /// Opens a file so that nobody else can.
    async fn open_file(&self, name: &str, create: bool) -> Result<OpfsFile> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        let mut tries = 1;
        loop {
            // Without locks another tab may have taken a new file for a leftover: it is created anew each time.
            let file: FileSystemFileHandle = promised(self.0.get_file_handle_with_options(name, &options))
                .await
                .map_err(|error| error.on(name))?;
            match promised(file.create_sync_access_handle()).await {
                Ok(handle) => return Ok(OpfsFile::new(handle)?),
                Err(error) if tries == TRIES => return Err(error.on(name)),
                Err(_) => Timer::start(BETWEEN_TRIES)?.wait().await,
            }
            tries += 1;
        }
    }

    /// Makes an archive count as finished. Its file is still open, so that no other tab can take it for a leftover.
    pub(super) async fn finish(&self, _: &Lock, archive: &Archive) -> Result<()> {
        let json = serde_json::to_vec(archive)
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let name = sidecar(&archive.id);
        let file: FileSystemFileHandle =
            promised(self.0.get_file_handle_with_options(&name, &options)).await?;
        let handle: FileSystemSyncAccessHandle = promised(file.create_sync_access_handle()).await?;
        let written = handle.truncate_with_f64(0.0).and_then(|()| handle.write_with_u8_array(&json));
        let flushed = handle.flush();
        handle.close();
        let whole = written.map_err(js::error)? == json.len() as f64;
        flushed.map_err(js::error)?;
        if whole {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::NoSpace, "there is no space for the archive's record"))
        }
    }

    /// Removes what was remembered of an archive that has been finished.
    pub(super) async fn forget(&self, _: &Lock, id: &str) {
        // Beside a record it means nothing, and the next clean-up takes it.
        let _ = JsFuture::from(self.0.remove_entry(&journal_file(id))).await;
    }

    /// The archive as a file. It reads from the file system when it is read, and dies with its entry.
    pub(super) async fn file(&self, id: &str) -> Result<File> {
        let gone = |error: Error| error.on(id);
        let handle: FileSystemFileHandle = promised(self.0.get_file_handle(&zip(id))).await.map_err(gone)?;
        promised(handle.get_file()).await.map_err(gone)
    }

    /// Removes an archive. Its file goes first: where that is refused, all of the archive stays.
    pub(super) async fn remove(&self, _: &Lock, id: &str) -> Result<()> {
        for name in files(id) {
            if self.names().await?.contains(&name) {
                JsFuture::from(self.0.remove_entry(&name)).await.map_err(js::error)?;
            }
        }
        Ok(())
    }

    /// The finished archives, the newest first.
    pub(super) async fn list(&self, _: &Lock) -> Result<Vec<Archive>> {
        let mut finished = Vec::new();
        for id in self.names().await?.iter().filter_map(|name| name.strip_suffix(".json")) {
            finished.extend(self.record(id).await);
        }
        finished.sort_by(|a, b| b.finished.cmp(&a.finished).then_with(|| a.id.cmp(&b.id)));
        Ok(finished)
    }

    /// Removes finished archives that have lived their day, as far as they let themselves be removed, and an hour after that was
    /// first noticed. One from the future is not old: a clock was set back.
    pub(super) async fn remove_old(&self, lock: &Lock) -> Result<()> {
        self.remove_noticed(lock, NOTICE).await
    }

    /// Removes those that are old and were noticed so many milliseconds ago, and takes notice of the others that are old.
    async fn remove_noticed(&self, lock: &Lock, notice: f64) -> Result<()> {
        for archive in self.list(lock).await?.into_iter().filter(|it| age(&it.finished) >= LIFE) {
            let _ = match self.noticed(&archive).await {
                Some(ago) if ago >= notice => self.remove(lock, &archive.id).await,
                Some(_) => Ok(()),
                // Its record, written anew, has the time of this.
                None => self.finish(lock, &archive).await,
            };
        }
        Ok(())
    }

    /// How long ago it was noticed that an archive is old, in milliseconds; None where it was not, or in the future.
    async fn noticed(&self, archive: &Archive) -> Option<f64> {
        let written = self.written(&sidecar(&archive.id)).await?;
        let ago = Date::now() - written;
        (written - Date::parse(&archive.finished) >= LIFE && ago >= 0.0).then_some(ago)
    }

    /// When a file was last written, in milliseconds since 1970.
    async fn written(&self, name: &str) -> Option<f64> {
        let handle: FileSystemFileHandle = promised(self.0.get_file_handle(name)).await.ok()?;
        let file: File = promised(handle.get_file()).await.ok()?;
        Some(file.last_modified())
    }

    /// The archives that were interrupted within a day and are in nobody's hands, the newest first.
    pub(super) async fn interrupted(&self, _: &Lock) -> Result<Vec<Interrupted>> {
        let names = self.names().await?;
        let mut interrupted = Vec::new();
        for id in names.iter().filter_map(|name| name.strip_suffix(".journal")) {
            // A page that goes while it writes the record leaves one that is cut.
            if names.contains(&zip(id)) && self.record(id).await.is_none() {
                interrupted.extend(self.look_at(id).await.filter(|it| age(&it.begun) < LIFE));
            }
        }
        interrupted.sort_by(|a, b| b.begun.cmp(&a.begun).then_with(|| a.id.cmp(&b.id)));
        Ok(interrupted)
    }

    /// What an interrupted archive is; None where another tab writes it, or there is nothing to go on with.
    async fn look_at(&self, id: &str) -> Option<Interrupted> {
        let mut file = Paged::new(self.open_file(&journal_file(id), false).await.ok()?);
        let mut done = [0; 2];
        let take = |entry: Written| {
            let (documents, bytes, _, attachment_bytes) = entry.counts();
            done = [done[0] + documents, done[1] + bytes + attachment_bytes];
        };
        let (Head { snapshot, begun, .. }, _) = journal::read(&mut file, take).ok()??;
        let [documents, bytes] = done;
        let sum = |of: fn(&CollectionSummary) -> u64| snapshot.collections.iter().map(of).sum();
        Some(Interrupted {
            id: id.to_owned(),
            created: snapshot.created.clone(),
            begun,
            business: snapshot.source.business.clone(),
            documents,
            documents_total: sum(|collection| collection.documents),
            bytes,
            bytes_total: sum(|collection| collection.bytes + collection.attachment_bytes),
        })
    }

    /// The snapshot that an interrupted archive is of.
    pub(super) async fn snapshot_of(&self, _: &Lock, id: &str) -> Result<Snapshot> {
        let mut file = Paged::new(self.open_file(&journal_file(id), false).await?);
        let (head, _) = journal::read(&mut file, |_| ())?.ok_or_else(|| nothing_left(id))?;
        Ok(head.snapshot)
    }

    /// Removes what is neither of a finished archive, nor of one of these, which were interrupted, nor of one whose record cannot
    /// be read and is no day old.
    pub(super) async fn remove_leftovers(&self, lock: &Lock, interrupted: &[Interrupted]) -> Result<()> {
        let finished = self.list(lock).await?;
        let finished = finished.iter().flat_map(|archive| [zip(&archive.id), sidecar(&archive.id)]);
        let mut kept: BTreeSet<String> =
            finished.chain(interrupted.iter().flat_map(|it| [zip(&it.id), journal_file(&it.id)])).collect();
        let names = self.names().await?;
        for id in names.iter().filter_map(|name| name.strip_suffix(".json")) {
            if names.contains(&zip(id)) && !kept.contains(&zip(id)) && !self.is_old(&sidecar(id)).await {
                kept.extend(files(id));
            }
        }
        for name in names.difference(&kept) {
            // One that is in use refuses, and is for a later clean-up.
            let _ = JsFuture::from(self.0.remove_entry(name)).await;
        }
        Ok(())
    }

    /// Whether a file was last written a day ago or longer. One that cannot be asked is not old.
    async fn is_old(&self, name: &str) -> bool {
        self.written(name).await.is_some_and(|written| Date::now() - written >= LIFE)
    }

    /// The record of an archive whose file is there in full size.
    async fn record(&self, id: &str) -> Option<Archive> {
        let handle: FileSystemFileHandle = promised(self.0.get_file_handle(&sidecar(id))).await.ok()?;
        let file: File = promised(handle.get_file()).await.ok()?;
        let text = JsFuture::from(file.text()).await.ok()?.as_string()?;
        let archive: Archive = serde_json::from_slice(text.as_bytes()).ok()?;
        let size = js::to_u64(self.file(id).await.ok()?.size()).ok()?;
        (archive.id == id && archive.size == size).then_some(archive)
    }

    async fn names(&self) -> Result<BTreeSet<String>> {
        let keys: AsyncIterator = self.0.keys();
        let mut names = BTreeSet::new();
        loop {
            let next: IteratorNext =
                JsFuture::from(keys.next().map_err(js::error)?).await.map_err(js::error)?.unchecked_into();
            if next.done() {
                return Ok(names);
            }
            names.extend(next.value().as_string());
        }
    }
}

fn zip(id: &str) -> String {
    format!("{id}.zip")
}

fn journal_file(id: &str) -> String {
    format!("{id}.journal")
}

fn sidecar(id: &str) -> String {
    format!("{id}.json")
}

/// Says that there is nothing to go on with.
pub(super) fn nothing_left(id: &str) -> Error {
    Error::new(ErrorKind::SnapshotGone, "nothing is left of this backup to go on with").on(id)
}

/// What belongs to an archive, in the order in which it goes.
fn files(id: &str) -> [String; 3] {
    [zip(id), journal_file(id), sidecar(id)]
}

/// How long ago a moment was, in milliseconds; less than nothing for one from the future.
fn age(moment: &str) -> f64 {
    Date::now() - Date::parse(moment)
}

/// Where archives go and how much space is there.
pub(super) async fn storage() -> Storage {
    let place = if matches!(Archives::open().await, Ok(Some(_))) { Place::Disk } else { Place::Memory };
    let estimate = estimate().await;
    Storage {
        place,
        quota: estimate.map(|(quota, _)| quota),
        usage: estimate.map(|(_, usage)| usage),
        limit: (place == Place::Memory).then_some(rope::MAX_BYTES),
    }
}

/// Refuses a backup that the browser has no space for, even when so many bytes are freed before.
pub(super) async fn check_space(needed: u64, freed: u64) -> Result<()> {
    let Some((quota, usage)) = estimate().await else { return Ok(()) };
    let free = quota.saturating_sub(usage.saturating_sub(freed));
    if free >= needed { Ok(()) } else { Err(no_space(needed, free)) }
}

/// The refusal of a backup that needs more bytes than are free.
pub(super) fn no_space(needed: u64, free: u64) -> Error {
    let text = "the browser has not enough space for the archive and its download";
    Error::new(ErrorKind::NoSpace, text).expected(format!("{needed} bytes"), format!("{free} bytes"))
}

/// Awaits a promise, typed.
async fn promised<T: JsCast>(promise: Promise) -> Result<T> {
    let value = JsFuture::from(promise).await.map_err(js::error)?;
    value.dyn_into().map_err(|_| Error::new(ErrorKind::Internal, "the browser answered with another type"))
}

/// The right to change the folder of archives, which one job in all tabs has at a time. Dropping it gives it back, as
/// does the end of the worker.
#[derive(Debug)]
pub(super) struct Lock(Option<Function>);

impl Lock {
    /// Waits for it. Where the browser has no locks (Safari before 15.4), everybody gets one.
    pub(super) async fn wait() -> Self {
        Self(Self::granted().await)
    }

    /// What gives it back, once it is granted. By hand, because web-sys calls this API unstable.
    async fn granted() -> Option<Function> {
        let locks = js::property(&js::scope().ok()?.navigator(), "locks");
        let request: Function = js::property(&locks, "request").dyn_into().ok()?;
        let (sender, receiver) = oneshot::channel();
        let granted = Closure::once_into_js(move || {
            let mut sender = Some(sender);
            Promise::new(&mut |release: Function, _: Function| {
                // Whoever no longer waits gives it back at once.
                if let Some(Err(release)) = sender.take().map(|sender| sender.send(release)) {
                    let _ = release.call0(&JsValue::UNDEFINED);
                }
            })
        });
        let held: Promise = request.call2(&locks, &FOLDER.into(), &granted).ok()?.unchecked_into();
        match select(receiver, JsFuture::from(held)).await {
            Either::Left((release, _)) => release.ok(),
            // It was refused: this page has no locks.
            Either::Right(_) => None,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Quota and usage in bytes, as far as the browser says.
async fn estimate() -> Option<(u64, u64)> {
    let manager = manager()?;
    let estimate: StorageEstimate = JsFuture::from(manager.estimate().ok()?).await.ok()?.unchecked_into();
    let number = |value: Option<f64>| value.and_then(|value| js::to_u64(value.trunc()).ok());
    Some((number(estimate.get_quota())?, number(estimate.get_usage())?))
}

/// Whether the browser withholds the file system from this page, rather than having trouble with it.
fn is_withheld(thrown: &JsValue) -> bool {
    match thrown.dyn_ref::<DomException>() {
        Some(exception) => matches!(exception.name().as_str(), "SecurityError" | "NotSupportedError"),
        None => thrown.is_instance_of::<js_sys::TypeError>(),
    }
}

/// `navigator.storage`, which only secure contexts have.
fn manager() -> Option<StorageManager> {
    let manager: JsValue = js::scope().ok()?.navigator().storage().into();
    (!manager.is_undefined()).then(|| manager.unchecked_into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::pages::Blocks as _;
    use crate::digest::Sha256;
    use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

    wasm_bindgen_test_configure!(run_in_dedicated_worker);

    /// The record of an archive of one byte that was finished so many milliseconds ago.
    fn record(id: &str, ago: f64) -> Archive {
        let finished = Date::new(&JsValue::from_f64(Date::now() - ago)).to_iso_string();
        Archive {
            id: id.to_owned(),
            name: zip(id),
            place: Place::Disk,
            created: "2026-11-23T10:00:00.000Z".to_owned(),
            finished: String::from(finished),
            size: 1,
            sha256: Sha256::of(b"x"),
            documents: 0,
            attachments: 0,
            business: String::new(),
        }
    }

    async fn ids(archives: &Archives, lock: &Lock) -> Vec<String> {
        archives.list(lock).await.unwrap().into_iter().map(|archive| archive.id).collect()
    }

    #[wasm_bindgen_test]
    async fn only_what_is_old_or_left_over_goes() {
        let archives = Archives::open().await.unwrap().unwrap();
        let lock = Lock::wait().await;
        for (id, ago) in [("old", LIFE), ("new", LIFE - 60_000.0), ("future", -2.0 * LIFE)] {
            let (given, mut file) = archives.create(&lock, id).await.unwrap();
            assert_eq!(given, id);
            file.store(0, b"x").unwrap();
            archives.finish(&lock, &record(id, ago)).await.unwrap();
        }
        drop(archives.create(&lock, "half").await.unwrap());
        let (_, writing) = archives.create(&lock, "half").await.unwrap();

        assert_eq!(ids(&archives, &lock).await, ["future", "new", "old"]);
        // Noticed just now.
        archives.remove_old(&lock).await.unwrap();
        assert_eq!(ids(&archives, &lock).await, ["future", "new", "old"]);
        archives.remove_noticed(&lock, 0.0).await.unwrap();
        archives.remove_leftovers(&lock, &[]).await.unwrap();
        assert_eq!(ids(&archives, &lock).await, ["future", "new"]);
        let left = ["future.json", "future.zip", "half-2.zip", "new.json", "new.zip"];
        assert_eq!(
            archives.names().await.unwrap().iter().collect::<Vec<_>>(),
            left.iter().collect::<Vec<_>>()
        );
        drop(writing);

        let used: FileSystemFileHandle = promised(archives.0.get_file_handle("new.zip")).await.unwrap();
        let used: FileSystemSyncAccessHandle = promised(used.create_sync_access_handle()).await.unwrap();
        assert!(archives.remove(&lock, "new").await.is_err());
        used.close();
        assert_eq!(ids(&archives, &lock).await, ["future", "new"], "one that refuses to go stays whole");

        for id in ["future", "new"] {
            archives.remove(&lock, id).await.unwrap();
        }
        archives.remove_leftovers(&lock, &[]).await.unwrap();
        assert!(archives.names().await.unwrap().is_empty());
    }

    #[wasm_bindgen_test]
    async fn what_has_a_record_that_cannot_be_read_is_no_leftover() {
        let archives = Archives::open().await.unwrap().unwrap();
        let lock = Lock::wait().await;
        for id in ["cut", "whole", "gone"] {
            let (_, mut file) = archives.create(&lock, id).await.unwrap();
            file.store(0, b"x").unwrap();
            archives.finish(&lock, &record(id, 0.0)).await.unwrap();
        }
        // A record that was cut, or that a later version has written; and one whose archive has gone.
        archives.open_file(&sidecar("cut"), false).await.unwrap().truncate(7).unwrap();
        JsFuture::from(archives.0.remove_entry(&zip("gone"))).await.unwrap();
        archives.remove_leftovers(&lock, &[]).await.unwrap();
        let left = ["cut.json", "cut.zip", "whole.json", "whole.zip"];
        assert!(archives.names().await.unwrap().iter().eq(left));
        for id in ["cut", "whole"] {
            archives.remove(&lock, id).await.unwrap();
        }
        assert!(archives.names().await.unwrap().is_empty());
    }

    #[wasm_bindgen_test]
    async fn one_has_the_lock_at_a_time() {
        let first = Lock::wait().await;
        assert!(first.0.is_some(), "this browser has locks");
        let mut second = Box::pin(Lock::wait());
        let mut moment = Timer::start(100).unwrap();
        match select(&mut second, Box::pin(moment.wait())).await {
            Either::Left(_) => panic!("two have it"),
            Either::Right(_) => drop(first),
        }
        drop(second.await);
        drop(Lock::wait().await);
    }
}
