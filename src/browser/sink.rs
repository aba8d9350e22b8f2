//! Where a new archive goes: the browser's file system, else a chain of Blobs.

use super::archives::{Archives, Lock, check_space, no_space, nothing_left};
use super::journal::{Head, Journal};
use super::opfs::OpfsFile;
use super::pages::{Blocks, Paged};
use super::protocol::{Archive, Notice, Place};
use super::rope::{self, BlobRope};
use super::{js, making};
use crate::api::{Snapshot, SnapshotRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::job::backup::{Outcome, Output};
use crate::job::resume::Written;
use js_sys::Date;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem;
use wasm_bindgen::JsValue;
use web_sys::File;

/// An archive in the making.
#[derive(Debug)]
pub(super) struct Draft {
    id: String,
    head: Head,
    bytes: Paged<Sink>,
    /// None in memory, where nothing outlives the page.
    shelf: Option<Shelf>,
}

/// The place of a draft in the browser's file system.
#[derive(Debug)]
struct Shelf {
    archives: Archives,
    journal: Journal<Paged<OpfsFile>>,
    /// What an interrupted backup has left here, until it is gone on with.
    begun: Vec<Written>,
    /// How many entries the journal has of that.
    entries: usize,
}

/// The bytes of a new archive.
#[derive(Debug)]
enum Sink {
    Disk(OpfsFile),
    Memory(BlobRope),
}

impl Draft {
    /// A place for an archive of this snapshot. Archives of earlier backups go, but not before there is one.
    ///
    /// # Errors
    /// `no-space` where the browser has a file system and too little room in it, `no-storage` where it has none and the
    /// archive is too large for its memory.
    pub(super) async fn begin(snapshot: &Snapshot, request: SnapshotRequest) -> Result<Self> {
        let wanted = name(&snapshot.created);
        let SnapshotRequest { categories, without } = request;
        let head = Head { snapshot: snapshot.clone(), categories, without, begun: now() };
        if let Ok(Some(archives)) = Archives::open().await {
            match Self::on_disk(archives, &wanted, head.clone()).await {
                Err(error) if error.kind == ErrorKind::NoSpace => return Err(error),
                // Some private windows have the folder, and refuse every file in it.
                Err(_) => {}
                draft => return draft,
            }
        }
        let attachments: u64 =
            snapshot.collections.iter().map(|collection| collection.attachment_bytes).sum();
        if attachments > rope::MAX_BYTES {
            return Err(rope::too_large(rope::MAX_BYTES, attachments));
        }
        making::notice(Notice::InMemory { limit: rope::MAX_BYTES });
        let bytes = Paged::new(Sink::Memory(BlobRope::default()));
        Ok(Self { id: wanted, head, bytes, shelf: None })
    }

    /// The file of a new archive, in the place of those of earlier backups.
    async fn on_disk(archives: Archives, wanted: &str, head: Head) -> Result<Self> {
        let lock = Lock::wait().await;
        archives.remove_leftovers(&lock, &[]).await?;
        let earlier = archives.list(&lock).await?;
        let (needed, freed) =
            (2 * head.snapshot.archive_bytes(), earlier.iter().map(|archive| archive.size).sum::<u64>());
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
        let journal = Journal::create(Paged::new(archives.create_journal(&lock, &id).await?))?;
        for archive in earlier {
            // One that refuses to go takes space, but no harm comes of it.
            let _ = archives.remove(&lock, &archive.id).await;
        }
        let shelf = Shelf { archives, journal, begun: Vec::new(), entries: 0 };
        Ok(Self { id, head, bytes: Paged::new(Sink::Disk(file)), shelf: Some(shelf) })
    }

    /// Takes up the draft of a backup that was interrupted.
    ///
    /// # Errors
    /// `snapshot-gone` where nothing is left of it, `io` where another tab has it.
    pub(super) async fn resume(id: &str) -> Result<Self> {
        let archives = Archives::open().await?.ok_or_else(|| nothing_left(id))?;
        let (file, journal) = archives.reopen(&Lock::wait().await, id).await?;
        let (journal, head, begun) = Journal::open(Paged::new(journal))?.ok_or_else(|| nothing_left(id))?;
        let shelf = Some(Shelf { archives, journal, entries: begun.len(), begun });
        let bytes = Paged::new(Sink::Disk(file));
        Ok(Self { id: id.to_owned(), head, bytes, shelf })
    }

    /// What it is of.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Keeps the archive, which has been verified, and hands it over as a file.
    pub(super) async fn keep(self, outcome: &Outcome) -> Result<(Archive, File)> {
        let Outcome { manifest, size, sha256, .. } = outcome;
        let (id, shelf) = (self.id, self.shelf);
        let sink = self.bytes.into_blocks()?;
        if sink.size() != *size {
            return Err(Error::new(ErrorKind::Io, "the archive has not the size that was written")
                .expected(size, sink.size()));
        }
        let name = format!("{id}.zip");
        let archive = Archive {
            id: id.clone(),
            name: name.clone(),
            place: if shelf.is_some() { Place::Disk } else { Place::Memory },
            created: manifest.created.clone(),
            finished: now(),
            size: *size,
            sha256: *sha256,
            documents: manifest.documents(),
            attachments: manifest.attachments.len() as u64,
            business: manifest.source.business.clone(),
        };
        let file = match (sink, shelf) {
            (Sink::Memory(rope), _) => rope.into_file(&name, "application/zip")?,
            (Sink::Disk(file), Some(Shelf { archives, journal, .. })) => {
                let synced = file.sync();
                // Held until the file is closed: before, it cannot be removed, and its record alone would be.
                let lock = Lock::wait().await;
                let finished = match synced {
                    Ok(()) => archives.finish(&lock, &archive).await,
                    Err(error) => Err(error.into()),
                };
                drop((file, journal));
                if let Err(error) = finished {
                    // It is whole, and nobody would find it.
                    let _ = archives.remove(&lock, &id).await;
                    return Err(error);
                }
                archives.forget(&lock, &id).await;
                archives.file(&id).await?
            }
            (Sink::Disk(_), None) => return Err(Error::new(ErrorKind::Internal, "a file without a folder")),
        };
        if js::to_u64(file.size())? != *size {
            return Err(Error::new(ErrorKind::Io, "the browser gives back an archive of another size")
                .expected(size, file.size()));
        }
        Ok((archive, file))
    }

    /// Lets go of an archive that did not come to its end. What can be gone on with stays, and this is its id; all else
    /// goes, and what refuses to go is a leftover, which the next clean-up takes.
    pub(super) async fn set_aside(mut self) -> Option<String> {
        let mut shelf = self.shelf.take()?;
        shelf.journal.store();
        let stays = shelf.journal.remembers() && self.bytes.flush().is_ok();
        let Shelf { archives, journal, .. } = shelf;
        // An open file cannot be removed.
        drop((self.bytes, journal));
        if stays {
            return Some(self.id);
        }
        discard(&archives, &self.id).await;
        None
    }
}

/// Removes all of an archive that has not been finished.
async fn discard(archives: &Archives, id: &str) {
    let _ = archives.remove(&Lock::wait().await, id).await;
}

impl Output for Draft {
    fn clear(&mut self) -> io::Result<()> {
        if let Some(shelf) = &mut self.shelf {
            (shelf.begun, shelf.entries) = (Vec::new(), 0);
            shelf.journal.clear()?;
        }
        self.bytes.clear()
    }

    fn begun(&mut self) -> Vec<Written> {
        self.shelf.as_mut().map(|shelf| mem::take(&mut shelf.begun)).unwrap_or_default()
    }

    fn found(&mut self, entries: &[Written]) {
        let Some(shelf) = &mut self.shelf else { return };
        if shelf.entries > entries.len() {
            shelf.journal.begin(&self.head);
            entries.iter().for_each(|entry| shelf.journal.push_entry(entry));
        }
    }

    fn begin(&mut self, snapshot: &Snapshot) {
        self.head.snapshot = snapshot.clone();
        if let Some(shelf) = &mut self.shelf {
            shelf.journal.begin(&self.head);
        }
    }

    fn wrote(&mut self, entry: &Written) {
        if let Some(shelf) = &mut self.shelf {
            if matches!(entry, Written::Part { .. }) {
                // What is remembered is worth more when it is there. A full disk says so once more at the next write.
                let _ = self.bytes.flush();
            }
            shelf.journal.push_entry(entry);
        }
    }

    fn remembers(&self) -> bool {
        self.shelf.as_ref().is_some_and(|shelf| shelf.journal.remembers())
    }
}

impl Read for Draft {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(bytes)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
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

/// This moment by the browser's clock.
fn now() -> String {
    String::from(Date::new(&JsValue::from_f64(Date::now())).to_iso_string())
}
