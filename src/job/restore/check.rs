//! The first reading: all that is to be restored is read and compared, and what will be sent is counted and digested,
//! before a server hears of it.

use super::batch::{Cut, Cutter, Filling, Sum};
use super::files::{self, StagedFile};
use super::read::{self, Group, Seen, Taker};
use super::{Choice, Chosen, Plan};
use crate::api::restore::{AnnouncedAttachments, AnnouncedCollection, ArchiveInfo};
use crate::catalog::{self, CollectionName};
use crate::digest::{Hasher, Sha256};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::job::backup::Meter;
use crate::job::{Phase, Watch};
use crate::manifest::MANIFEST_NAME;
use crate::problems::Problems;
use crate::reader::{BackupReader, EntryKind, is_fatal};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Seek};

/// How much of the file is read between two checkpoints.
const STEP_BYTES: usize = 4 << 20;

/// Reads all that the choice is about, and says what a restore of it would send. `name` is that of the file, for the
/// server's record.
///
/// Memory holds a batch of each collection that is open, 32 MiB of them at most, the list of attachments, and without a
/// manifest some 40 bytes for each document, by which one that is there twice is found.
///
/// A file that is damaged, missing, or without its document is left out, and so is what nothing explains:
/// [`Plan::left_out`] has them, and a commit needs their number.
///
/// # Errors
/// Of documents, what is damaged or missing, with its entry named, unless it concerns only what was not chosen;
/// `bad-manifest`;
/// `missing-entry` where this is no backup at all; `bad-argument` where it holds nothing of what was chosen; those of
/// [`Watch::checkpoint`].
pub async fn check<R: Read + Seek>(
    archive: &mut BackupReader<R>,
    name: &str,
    choice: &Choice,
    watch: &impl Watch,
) -> Result<Plan> {
    let chosen = Chosen::of(choice)?;
    archive.require_backup()?;
    let meter = Meter::new(watch, 0);
    let groups = read::groups(archive, &chosen)?;
    let files = files::chosen(archive, &chosen)?;
    meter.recount(Phase::Check, to_read(archive, &groups, &files)).await?;

    let (created, source) = match archive.manifest()? {
        Some(manifest) => (Some(manifest.created.clone()), Some(manifest.source.clone())),
        None => (None, None),
    };
    let missing = archive.manifest()?.map(|manifest| manifest.missing.clone()).unwrap_or_default();
    let missing = missing.into_iter().filter(|it| chosen.has(&it.collection)).collect();
    let mut checking = Checking::new(&meter, archive, &files)?;
    let mut plan = Plan {
        archive: ArchiveInfo { name: name.to_owned(), size: archive.length(), sha256: None, created, source },
        mode: choice.mode(),
        collections: Vec::new(),
        attachments: announced_attachments(&[])?,
        chosen,
        groups: Vec::new(),
        files: Vec::new(),
        missing,
        left_out: Problems::default(),
        problems: Problems::default(),
    };
    checking.read_groups(archive, groups, &mut plan).await?;
    let Checking { sums, owners, .. } = checking;
    require_something(choice, &sums)?;
    plan.collections = sums.into_iter().map(|(name, sum)| announced(name, &sum)).collect();
    for file in files {
        if !owners.is_there(&file) {
            plan.left_out.push(files::without_document(file));
            continue;
        }
        match files::check(archive, &file, &meter).await {
            Ok(record) => plan.files.push(StagedFile { path: file.path, record }),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => plan.left_out.push(error),
        }
    }
    not_understood(archive, &mut plan.left_out);
    // All that was chosen has been read: what else the directory shows concerns the rest.
    plan.problems.append_new(archive.verify_unread().problems.beside(&plan.left_out));
    files::sort(&mut plan.files);
    plan.attachments = announced_attachments(&plan.files)?;
    plan.attachments.left_out = plan.left_out.found();
    plan.archive.sha256 = Some(digest_of_file(archive, &meter).await?);
    Ok(plan)
}

/// What will be read, in bytes of the archive.
fn to_read<R: Read + Seek>(archive: &BackupReader<R>, groups: &[Group], files: &[files::Found]) -> u64 {
    let parts = groups.iter().flat_map(|group| &group.parts).map(String::as_str);
    let wanted: HashSet<&str> = parts.chain(files.iter().map(|file| file.path.as_str())).collect();
    let entries = archive.entries().iter().filter(|entry| wanted.contains(entry.name.as_str()));
    entries.map(|entry| entry.stored_size).fold(archive.length(), u64::saturating_add)
}

/// Adds the entries that neither the manifest nor a rule knows: each may be a file whose name was changed.
fn not_understood<R: Read + Seek>(archive: &BackupReader<R>, left_out: &mut Problems) {
    for (_, entry) in
        archive.entries().iter().enumerate().filter(|(at, _)| archive.kind(*at) == EntryKind::Other)
    {
        let message = "nothing in the backup says what this entry is";
        let unknown = || Error::new(ErrorKind::Orphaned, message).on(entry.name.as_str());
        left_out.push(entry.problem().unwrap_or_else(unknown));
    }
}

async fn digest_of_file<R: Read + Seek>(
    archive: &mut BackupReader<R>,
    meter: &Meter<'_, impl Watch>,
) -> Result<Sha256> {
    let (mut hasher, mut at) = (Hasher::default(), 0);
    loop {
        let bytes = archive.file_bytes(at, STEP_BYTES)?;
        if bytes.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(&bytes);
        at += bytes.len() as u64;
        meter.read_back(None, bytes.len() as u64).await?;
    }
}

/// Nobody shall believe that something was restored which the backup does not hold.
fn require_something(choice: &Choice, covered: &BTreeMap<CollectionName, Sum>) -> Result<()> {
    let nothing = |of: &str| {
        Err(Error::new(ErrorKind::BadArgument, "the backup holds nothing of what was chosen").on(of))
    };
    match choice {
        Choice::Full if covered.is_empty() => {
            let message = "the backup covers no collection";
            Err(Error::new(ErrorKind::MissingEntry, message).on(MANIFEST_NAME))
        }
        Choice::Full => Ok(()),
        Choice::Selected { categories, collections, .. } => {
            for category in categories {
                if !covered.keys().any(|name| catalog::category_of(name.as_str()) == *category) {
                    return nothing(category.as_str());
                }
            }
            match collections.iter().find(|name| !covered.contains_key(*name)) {
                Some(name) => nothing(name.as_str()),
                None => Ok(()),
            }
        }
    }
}

fn announced(name: CollectionName, sum: &Sum) -> AnnouncedCollection {
    let sha256 = sum.sha256();
    AnnouncedCollection { name, documents: sum.count, bytes: sum.bytes, batches: sum.batches, sha256 }
}

fn announced_attachments(files: &[StagedFile]) -> Result<AnnouncedAttachments> {
    let mut sum = Sum::default();
    let mut filling = Filling::default();
    for file in files {
        if let Some(batch) = filling.push(&file.line()?) {
            sum.add(&batch);
        }
    }
    if let Some(batch) = filling.cut() {
        sum.add(&batch);
    }
    let bytes = files.iter().map(|file| file.record.size).fold(0, u64::saturating_add);
    let (attachments, batches, sha256) = (sum.count, sum.batches, sum.sha256());
    Ok(AnnouncedAttachments { attachments, bytes, batches, sha256, left_out: 0 })
}

struct Checking<'a, W> {
    meter: &'a Meter<'a, W>,
    sums: BTreeMap<CollectionName, Sum>,
    owners: Owners,
    /// Digests of all ids, where no order keeps one from coming twice.
    ids: Option<HashMap<CollectionName, HashSet<u128>>>,
}

impl<'a, W: Watch> Checking<'a, W> {
    fn new<R: Read + Seek>(
        meter: &'a Meter<'a, W>,
        archive: &BackupReader<R>,
        files: &[files::Found],
    ) -> Result<Self> {
        let ids = archive.manifest()?.is_none().then(HashMap::new);
        Ok(Self { meter, sums: BTreeMap::new(), owners: Owners::of(files), ids })
    }

    async fn read_groups<R: Read + Seek>(
        &mut self,
        archive: &mut BackupReader<R>,
        groups: Vec<Group>,
        plan: &mut Plan,
    ) -> Result<()> {
        let most = archive.limits().lines_bytes;
        let mut total = 0_u64;
        for Group { collection, parts } in groups {
            if let Some(collection) = &collection {
                self.sums.entry(collection.clone()).or_default();
            }
            let mut cutter = Cutter::default();
            let mut wanted = Vec::new();
            for part in parts {
                let mut seen = Seen::default();
                let of_it = (part.as_str(), collection.as_ref());
                match read::read_part(archive, of_it, &plan.chosen, &mut cutter, self, &mut seen).await {
                    Ok(bytes) => total = total.saturating_add(bytes),
                    Err(error) if concerns(&part, &error, seen, &plan.chosen) || collection.is_some() => {
                        return Err(error);
                    }
                    Err(error) => plan.problems.push(error),
                }
                if total > most {
                    return Err(Error::new(ErrorKind::LimitExceeded, "the parts hold too many documents")
                        .on(part)
                        .expected(format!("at most {most} bytes"), total));
                }
                if collection.is_none() && seen.all == 0 {
                    self.cover_empty(&part, &plan.chosen);
                }
                if collection.is_some() || seen.chosen > 0 {
                    wanted.push(part);
                }
            }
            for cut in cutter.cut() {
                self.batch(cut).await?;
            }
            plan.groups.push(Group { collection, parts: wanted });
        }
        Ok(())
    }

    /// An empty part says that its collection was empty.
    fn cover_empty(&mut self, part: &str, chosen: &Chosen) {
        let collection = named_by(part).filter(|name| chosen.has(name));
        if let Some(collection) = collection {
            self.sums.entry(collection).or_default();
        }
    }
}

impl<W: Watch> Taker for Checking<'_, W> {
    fn document(&mut self, collection: &CollectionName, document: &Document) -> Result<()> {
        self.owners.found(collection, &document.id);
        let Some(ids) = &mut self.ids else { return Ok(()) };
        let known = match ids.get_mut(collection) {
            Some(known) => known,
            None => ids.entry(collection.clone()).or_default(),
        };
        if known.insert(Sha256::of(document.id.as_bytes()).short()) {
            return Ok(());
        }
        let message = format!("the _id {:?} is there twice in {collection}", document.id);
        Err(Error::new(ErrorKind::BadDocument, message))
    }

    async fn batch(&mut self, (collection, batch): Cut) -> Result<()> {
        self.sums.entry(collection).or_default().add(&batch);
        self.meter.pause().await
    }

    async fn read(&mut self, part: &str, bytes: u64) -> Result<()> {
        self.meter.read_back(Some(part), bytes).await
    }
}

/// Whether an error in this part, which has no manifest to say whose it is, may cost something that was chosen.
fn concerns(part: &str, error: &Error, seen: Seen, chosen: &Chosen) -> bool {
    let others =
        named_by(part).is_some_and(|name| catalog::collection(name.as_str()).is_some() && !chosen.has(&name));
    is_fatal(error) || seen.chosen > 0 || !others
}

/// The collection that a part without a document of its own is named after.
fn named_by(part: &str) -> Option<CollectionName> {
    let file = part.rsplit('/').next().unwrap_or(part);
    file.split('.').next()?.parse().ok()
}

/// The documents that own files, and whether they are there.
struct Owners(HashMap<CollectionName, HashMap<String, bool>>);

impl Owners {
    fn of(files: &[files::Found]) -> Self {
        let mut owners: HashMap<CollectionName, HashMap<String, bool>> = HashMap::new();
        for (collection, id, _) in files.iter().filter_map(|file| file.owner.as_ref()) {
            owners.entry(collection.clone()).or_default().insert(id.clone(), false);
        }
        Self(owners)
    }

    fn found(&mut self, collection: &CollectionName, id: &str) {
        if let Some(found) = self.0.get_mut(collection).and_then(|ids| ids.get_mut(id)) {
            *found = true;
        }
    }

    fn is_there(&self, file: &files::Found) -> bool {
        let found = |(collection, id, _): &(CollectionName, String, String)| {
            self.0.get(collection).and_then(|ids| ids.get(id)).copied()
        };
        file.owner.as_ref().and_then(found).unwrap_or(false)
    }
}
