//! Where a new archive goes: the browser's file system, else a chain of Blobs.

use super::archives::{Archives, Lock, check_space, no_space};
use super::opfs::OpfsFile;
use super::pages::{Blocks, Paged};
use super::protocol::{Archive, Notice, Place};
use super::rope::{self, BlobRope};
use super::{js, worker};
use crate::api::Snapshot;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::job::backup::Output;
use crate::manifest::Manifest;
use js_sys::Date;
use std::io::{self, Seek};
use wasm_bindgen::JsValue;
use web_sys::File;

/// The bytes of a new archive.
#[derive(Debug)]
pub(super) enum Sink {
    Disk(OpfsFile),
    Memory(BlobRope),
}

/// The place of a new archive, to keep it there or to leave nothing.
#[derive(Debug)]
pub(super) struct Berth {
    id: String,
    archives: Option<Archives>,
}

impl Berth {
    /// A place for an archive of this snapshot. Archives of earlier backups go, but not before there is one.
    pub(super) async fn prepare(snapshot: &Snapshot) -> Result<(Self, Paged<Sink>)> {
        let wanted = name(&snapshot.created);
        if let Ok(Some(archives)) = Archives::open().await {
            match on_disk(&archives, &wanted, snapshot).await {
                Ok((id, file)) => {
                    return Ok((Self { id, archives: Some(archives) }, Paged::new(Sink::Disk(file))));
                }
                Err(error) if error.kind == ErrorKind::NoSpace => return Err(error),
                // Some private windows have the folder, and refuse every file in it.
                Err(_) => {}
            }
        }
        let attachments: u64 =
            snapshot.collections.iter().map(|collection| collection.attachment_bytes).sum();
        if attachments > rope::MAX_BYTES {
            return Err(rope::too_large(rope::MAX_BYTES, attachments));
        }
        worker::notice(Notice::InMemory { limit: rope::MAX_BYTES });
        Ok((Self { id: wanted, archives: None }, Paged::new(Sink::Memory(BlobRope::default()))))
    }

    /// Keeps the archive, which has been verified, and hands it over as a file.
    pub(super) async fn keep(
        &self,
        out: Paged<Sink>,
        manifest: &Manifest,
        size: u64,
        sha256: Sha256,
    ) -> Result<(Archive, File)> {
        let sink = out.into_blocks()?;
        if sink.size() != size {
            return Err(Error::new(ErrorKind::Io, "the archive has not the size that was written")
                .expected(size, sink.size()));
        }
        let name = format!("{}.zip", self.id);
        let archive = Archive {
            id: self.id.clone(),
            name: name.clone(),
            place: if self.archives.is_some() { Place::Disk } else { Place::Memory },
            created: manifest.created.clone(),
            finished: String::from(Date::new(&JsValue::from_f64(Date::now())).to_iso_string()),
            size,
            sha256,
            documents: manifest.documents(),
            attachments: manifest.attachments.len() as u64,
            business: manifest.source.business.clone(),
        };
        let file = match (sink, &self.archives) {
            (Sink::Memory(rope), _) => rope.into_file(&name)?,
            (Sink::Disk(file), Some(archives)) => {
                file.sync()?;
                // Held until the file is closed: before, it cannot be removed, and its record alone would be.
                let lock = Lock::wait().await;
                archives.finish(&lock, &archive).await?;
                drop(file);
                archives.file(&self.id).await?
            }
            (Sink::Disk(_), None) => return Err(Error::new(ErrorKind::Internal, "a file without a folder")),
        };
        if js::to_u64(file.size())? != size {
            return Err(Error::new(ErrorKind::Io, "the browser gives back an archive of another size")
                .expected(size, file.size()));
        }
        Ok((archive, file))
    }

    /// Leaves nothing; what refuses to go is a leftover, which the next clean-up takes.
    pub(super) async fn discard(&self) {
        if let Some(archives) = &self.archives {
            let _ = archives.remove(&Lock::wait().await, &self.id).await;
        }
    }
}

impl Output for Paged<Sink> {
    fn clear(&mut self) -> io::Result<()> {
        self.truncate(0)?;
        self.rewind()
    }
}

impl Blocks for Sink {
    fn size(&self) -> u64 {
        match self {
            Sink::Disk(file) => file.size(),
            Sink::Memory(rope) => rope.size(),
        }
    }

    fn load(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Sink::Disk(file) => file.load(at, bytes),
            Sink::Memory(rope) => rope.load(at, bytes),
        }
    }

    fn store(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Disk(file) => file.store(at, bytes),
            Sink::Memory(rope) => rope.store(at, bytes),
        }
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        match self {
            Sink::Disk(file) => file.truncate(size),
            Sink::Memory(rope) => rope.truncate(size),
        }
    }
}

/// The file of a new archive, in the place of those of earlier backups.
async fn on_disk(archives: &Archives, wanted: &str, snapshot: &Snapshot) -> Result<(String, OpfsFile)> {
    let lock = Lock::wait().await;
    archives.remove_leftovers(&lock).await?;
    let earlier = archives.list(&lock).await?;
    let (needed, freed) =
        (2 * snapshot.archive_bytes(), earlier.iter().map(|archive| archive.size).sum::<u64>());
    check_space(needed, freed).await?;
    let (id, mut file) = archives.create(&lock, wanted).await?;
    match file.room_for(needed.saturating_sub(freed)) {
        Ok(room) if room + freed >= needed => {}
        room => {
            drop(file);
            let _ = archives.remove(&lock, &id).await;
            return Err(no_space(needed, room? + freed));
        }
    }
    for archive in earlier {
        // One that refuses to go takes space, but no harm comes of it.
        let _ = archives.remove(&lock, &archive.id).await;
    }
    Ok((id, file))
}

/// The name of an archive without `.zip`: `dikas_YYYYMMDD_HHMMSS`, the snapshot's moment as the person's clock shows it.
fn name(created: &str) -> String {
    let moment = Date::new(&JsValue::from_str(created));
    format!(
        "dikas_{:04}{:02}{:02}_{:02}{:02}{:02}",
        moment.get_full_year(),
        moment.get_month() + 1,
        moment.get_date(),
        moment.get_hours(),
        moment.get_minutes(),
        moment.get_seconds()
    )
}
