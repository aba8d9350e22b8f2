//! The second reading: what was announced is sent.

use super::batch::{Batch, Cut, Cutter, Filling, Sum};
use super::files::{Pieces, StagedFile};
use super::flight::{Flight, Lane, Load};
use super::read::{self, Group, Seen, Taker};
use super::{Plan, Target};
use crate::api::restore::{MISSING_BLOBS, RestorePreview};
use crate::catalog::CollectionName;
use crate::digest::Sha256;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::job::backup::Meter;
use crate::job::{Phase, Watch};
use crate::reader::BackupReader;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Seek};

/// Sends what the plan announced, and asks what a commit would change. Six calls are under way at most, with 16 MiB in
/// their bodies, unless a document alone has more: a large file is sent in pieces.
///
/// # Errors
/// Those of [`Target`], of [`BackupReader`] and of [`Watch::checkpoint`]; `io` when the archive is not the one that was
/// checked. The session is aborted then, unless the error may pass: the same can be staged again into a session of the same
/// request.
pub async fn stage<R: Read + Seek>(
    archive: &mut BackupReader<R>,
    plan: &Plan,
    target: &impl Target,
    watch: &impl Watch,
) -> Result<RestorePreview> {
    let meter = Meter::new(watch, 0);
    let staged = async {
        send_all(archive, plan, target, &meter).await?;
        meter.enter(Phase::Preview).await?;
        target.preview().await
    };
    let staged = staged.await;
    if staged.as_ref().is_err_and(|error| !may_pass(error)) {
        // One that cannot be aborted expires by itself, and what matters is the first error.
        let _ = target.abort().await;
    }
    staged
}

/// Whether the same session can be gone on with, because this may be over by then.
fn may_pass(error: &Error) -> bool {
    use ErrorKind::{BadAnswer, ServerError, ServerFull, Unauthorized, Unreachable};
    let servers_fault = error.actual.as_deref().is_some_and(|status| status.starts_with('5'));
    match error.kind {
        BadAnswer | ServerFull | Unauthorized | Unreachable => true,
        ServerError => servers_fault,
        _ => false,
    }
}

async fn send_all<R: Read + Seek>(
    archive: &mut BackupReader<R>,
    plan: &Plan,
    target: &impl Target,
    meter: &Meter<'_, impl Watch>,
) -> Result<()> {
    meter
        .advance(|progress| {
            progress.phase = Phase::Stage;
            progress.documents_total = plan.collections.iter().map(|collection| collection.documents).sum();
            progress.attachments_total = plan.attachments.attachments;
            let documents = plan.collections.iter().map(|collection| collection.bytes);
            progress.bytes_total = documents.fold(plan.attachments.bytes, u64::saturating_add);
        })
        .await?;
    let mut staging = Staging { target, meter, flight: Flight::new(), sums: BTreeMap::new() };
    for Group { collection, parts } in &plan.groups {
        let mut cutter = Cutter::default();
        for part in parts {
            let of_it = (part.as_str(), collection.as_ref());
            let mut seen = Seen::default();
            read::read_part(archive, of_it, &plan.chosen, &mut cutter, &mut staging, &mut seen).await?;
        }
        for cut in cutter.cut() {
            staging.batch(cut).await?;
        }
    }
    staging.compare(plan)?;
    let mut filling = Filling::default();
    for file in &plan.files {
        if let Some(batch) = filling.push(&file.line()?) {
            staging.records(batch).await?;
        }
    }
    if let Some(batch) = filling.cut() {
        staging.records(batch).await?;
    }
    staging.blobs(archive, &plan.files).await?;
    staging.land_all().await
}

struct Staging<'a, T, W> {
    target: &'a T,
    meter: &'a Meter<'a, W>,
    flight: Flight<'a>,
    sums: BTreeMap<CollectionName, Sum>,
}

impl<'a, T: Target, W: Watch> Staging<'a, T, W> {
    async fn send(&mut self, load: Load, call: impl Future<Output = Result<()>> + 'a) -> Result<()> {
        while !self.flight.has_room_for(&load) {
            self.land().await?;
        }
        if let Some(arrived) = self.flight.launch(load, call)? {
            self.count(arrived).await?;
        }
        Ok(())
    }

    /// Waits for one call, if one is under way.
    async fn land(&mut self) -> Result<bool> {
        match self.flight.next().await? {
            Some(arrived) => self.count(arrived).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn land_all(&mut self) -> Result<()> {
        while self.land().await? {}
        Ok(())
    }

    async fn count(&self, Load { subject, counts: (documents, attachments, bytes), .. }: Load) -> Result<()> {
        self.meter.add(Some(&subject), documents, attachments, bytes).await
    }

    async fn records(&mut self, Batch { number, lines, .. }: Batch) -> Result<()> {
        let subject = "attachments".to_owned();
        let load = Load { lane: Lane::Records, held: lines.len(), subject, counts: (0, 0, 0) };
        let target = self.target;
        self.send(load, async move { target.attachments(number, lines).await }).await
    }

    /// Asks which files are missing, and brings those.
    async fn blobs<R: Read + Seek>(
        &mut self,
        archive: &mut BackupReader<R>,
        files: &[StagedFile],
    ) -> Result<()> {
        // Where several attachments have the same content, it is sent once and counts for all of them.
        let mut shared: HashMap<Sha256, (u64, u64)> = HashMap::new();
        let mut first = Vec::new();
        for file in files {
            let (count, bytes) = shared.entry(file.record.sha256).or_insert_with(|| {
                first.push(file);
                (0, 0)
            });
            (*count, *bytes) = (*count + 1, *bytes + file.record.size);
        }
        for asked in first.chunks(MISSING_BLOBS) {
            let digests: Vec<Sha256> = asked.iter().map(|file| file.record.sha256).collect();
            let missing: HashSet<Sha256> = self.target.missing(&digests).await?.into_iter().collect();
            for file in asked {
                let (attachments, bytes) = shared.get(&file.record.sha256).copied().unwrap_or_default();
                if missing.contains(&file.record.sha256) {
                    self.file(archive, file, (attachments, bytes)).await?;
                } else {
                    self.meter.add(Some(&file.record.name), 0, attachments, bytes).await?;
                }
            }
        }
        Ok(())
    }

    /// Brings a file, which counts for so many attachments and bytes.
    async fn file<R: Read + Seek>(
        &mut self,
        archive: &mut BackupReader<R>,
        file: &StagedFile,
        (attachments, mut bytes): (u64, u64),
    ) -> Result<()> {
        let (target, sha256) = (self.target, file.record.sha256);
        let mut pieces = Pieces::of(archive, file)?;
        while let Some(held) = pieces.next_bytes() {
            let subject = file.record.name.clone();
            let mut load = Load { lane: Lane::File(sha256), held, subject, counts: (0, 0, held as u64) };
            // Not more of it is in memory than may be under way.
            while !self.flight.has_room_for(&load) {
                self.land().await?;
            }
            let piece = pieces.next(self.meter).await?;
            bytes -= held as u64;
            if pieces.next_bytes().is_none() {
                load.counts = (0, attachments, held as u64 + bytes);
            }
            let path = file.path.clone();
            let call = async move {
                let sent = target.blob(&sha256, piece).await;
                sent.map_err(|error| error.on(path))
            };
            self.send(load, call).await?;
        }
        Ok(())
    }

    /// The server would notice too; but here it is known whose fault it is.
    fn compare(&self, plan: &Plan) -> Result<()> {
        for announced in &plan.collections {
            let sent = self.sums.get(&announced.name).cloned().unwrap_or_default();
            if sent.sha256() != announced.sha256 {
                let message = "the archive changed while it was read";
                return Err(Error::new(ErrorKind::Io, message)
                    .on(announced.name.as_str())
                    .expected(announced.sha256, sent.sha256()));
            }
        }
        Ok(())
    }
}

impl<T: Target, W: Watch> Taker for Staging<'_, T, W> {
    fn document(&mut self, _: &CollectionName, _: &Document) -> Result<()> {
        Ok(())
    }

    async fn batch(&mut self, (collection, batch): Cut) -> Result<()> {
        match self.sums.get_mut(&collection) {
            Some(sum) => sum.add(&batch),
            None => self.sums.entry(collection.clone()).or_default().add(&batch),
        }
        let Batch { number, count, lines } = batch;
        let load = Load {
            lane: Lane::Documents(collection.clone()),
            held: lines.len(),
            subject: collection.to_string(),
            counts: (count, 0, lines.len() as u64),
        };
        let target = self.target;
        self.send(load, async move {
            let staged = target.documents(&collection, number, lines).await;
            staged.map_err(|error| error.on(format!("{collection}, batch {number}")))
        })
        .await
    }

    async fn read(&mut self, _: &str, _: u64) -> Result<()> {
        self.meter.pause().await
    }
}
