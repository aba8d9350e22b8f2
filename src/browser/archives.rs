//! Archives in the browser's file system: `dikas-backups/<id>.zip`, finished once `<id>.json` stands beside it. What
//! has none is removed, unless a job in another tab still writes it: its handle excludes ours.

use super::js;
use super::opfs::OpfsFile;
use super::protocol::{Archive, Place, Storage};
use super::rope;
use super::turn::{Timer, promised};
use crate::error::{Error, ErrorKind, Result};
use js_sys::{AsyncIterator, Date, IteratorNext};
use std::collections::BTreeSet;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemSyncAccessHandle, StorageEstimate, StorageManager,
};

const FOLDER: &str = "dikas-backups";

/// How long a finished archive stays, in milliseconds.
const LIFE: f64 = 24.0 * 3600.0 * 1000.0;

/// How often, and in what distance in milliseconds, an exclusive handle is asked for: one can outlive a reload.
const TRIES: u32 = 5;
const BETWEEN_TRIES: u64 = 200;

/// The folder of this page's archives.
#[derive(Debug, Clone)]
pub(super) struct Archives(FileSystemDirectoryHandle);

impl Archives {
    /// Opens the folder; None where the browser gives this page no file system: on plain http, and in some private
    /// windows.
    pub(super) async fn open() -> Option<Self> {
        let manager = manager()?;
        // Old browsers have the file system, but not the handles that workers write with.
        let handles = js::property(&js_sys::global(), "FileSystemSyncAccessHandle");
        if !js::property(&manager, "getDirectory").is_function() || handles.is_undefined() {
            return None;
        }
        let root: FileSystemDirectoryHandle = promised(manager.get_directory()).await.ok()?;
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        promised(root.get_directory_handle_with_options(FOLDER, &options)).await.ok().map(Self)
    }

    /// Creates the file of a new archive; the id is the wanted one, or with a number behind it where that is taken.
    pub(super) async fn create(&self, wanted: &str) -> Result<(String, OpfsFile)> {
        let taken = self.names().await?;
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut ids = std::iter::once(wanted.to_owned()).chain(numbered);
        let free = |id: &String| !taken.contains(&zip(id)) && !taken.contains(&sidecar(id));
        let id = ids.find(free).ok_or_else(|| Error::new(ErrorKind::Internal, "no free name"))?;
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let file: FileSystemFileHandle =
            promised(self.0.get_file_handle_with_options(&zip(&id), &options)).await?;
        let mut tries = 1;
        let handle: FileSystemSyncAccessHandle = loop {
            match promised(file.create_sync_access_handle()).await {
                Ok(handle) => break handle,
                Err(error) if tries == TRIES => return Err(error.on(zip(&id))),
                Err(_) => Timer::start(BETWEEN_TRIES)?.wait().await,
            }
            tries += 1;
        };
        Ok((id, OpfsFile::new(handle)?))
    }

    /// Makes an archive count as finished. Its file is still open, so that no other tab can take it for a leftover.
    pub(super) async fn finish(&self, archive: &Archive) -> Result<()> {
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

    /// The archive as a file. It reads from the file system when it is read, and dies with its entry.
    pub(super) async fn file(&self, id: &str) -> Result<File> {
        let gone = |error: Error| error.on(id);
        let handle: FileSystemFileHandle = promised(self.0.get_file_handle(&zip(id))).await.map_err(gone)?;
        promised(handle.get_file()).await.map_err(gone)
    }

    /// Removes an archive. Its record goes first: a file alone is a leftover, which the next clean-up takes.
    pub(super) async fn remove(&self, id: &str) -> Result<()> {
        for name in [sidecar(id), zip(id)] {
            if self.names().await?.contains(&name) {
                JsFuture::from(self.0.remove_entry(&name)).await.map_err(js::error)?;
            }
        }
        Ok(())
    }

    /// Removes leftovers and what has lived its day, and gives the finished archives, the newest first.
    pub(super) async fn list(&self) -> Result<Vec<Archive>> {
        let names = self.names().await?;
        let mut finished = Vec::new();
        let mut kept = BTreeSet::new();
        for id in names.iter().filter_map(|name| name.strip_suffix(".json")) {
            if let Some(archive) = self.record(id).await
                && (Date::now() - Date::parse(&archive.finished)).abs() < LIFE
            {
                kept.extend([zip(id), sidecar(id)]);
                finished.push(archive);
            }
        }
        for name in names.difference(&kept) {
            // One that is in use refuses, and is for a later clean-up.
            let _ = JsFuture::from(self.0.remove_entry(name)).await;
        }
        finished.sort_by(|a, b| b.finished.cmp(&a.finished).then_with(|| a.id.cmp(&b.id)));
        Ok(finished)
    }

    /// The record of an archive whose file is there in full size.
    async fn record(&self, id: &str) -> Option<Archive> {
        let handle: FileSystemFileHandle = promised(self.0.get_file_handle(&sidecar(id))).await.ok()?;
        let file: File = promised(handle.get_file()).await.ok()?;
        let text = JsFuture::from(file.text()).await.ok()?.as_string()?;
        let archive: Archive = serde_json::from_str(&text).ok()?;
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

fn sidecar(id: &str) -> String {
    format!("{id}.json")
}

/// Where archives go and how much space is there.
pub(super) async fn storage() -> Storage {
    let place = if Archives::open().await.is_some() { Place::Disk } else { Place::Memory };
    let estimate = estimate().await;
    Storage {
        place,
        quota: estimate.map(|(quota, _)| quota),
        usage: estimate.map(|(_, usage)| usage),
        limit: (place == Place::Memory).then_some(rope::MAX_BYTES),
    }
}

/// Refuses a backup that the browser has no space for.
pub(super) async fn check_space(needed: u64) -> Result<()> {
    match estimate().await {
        Some((quota, usage)) if quota.saturating_sub(usage) < needed => {
            let text = "the browser has not enough space for the archive and its download";
            Err(Error::new(ErrorKind::NoSpace, text)
                .expected(format!("{needed} bytes"), format!("{} bytes", quota.saturating_sub(usage))))
        }
        _ => Ok(()),
    }
}

/// Quota and usage in bytes, as far as the browser says.
async fn estimate() -> Option<(u64, u64)> {
    let manager = manager()?;
    let estimate: StorageEstimate = JsFuture::from(manager.estimate().ok()?).await.ok()?.unchecked_into();
    let number = |value: Option<f64>| value.and_then(|value| js::to_u64(value.trunc()).ok());
    Some((number(estimate.get_quota())?, number(estimate.get_usage())?))
}

/// `navigator.storage`, which only secure contexts have.
fn manager() -> Option<StorageManager> {
    let manager: JsValue = js::scope().ok()?.navigator().storage().into();
    (!manager.is_undefined()).then(|| manager.unchecked_into())
}
