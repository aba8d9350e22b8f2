//! Compares two backups, collection by collection and document by document; neither is held in memory.
//!
//! What manifests claim is never taken for what is there: every part and every file is read and checked as
//! [`BackupReader::verify`] does. Where both manifests say that the ids ascend, the two are merged as they are read, and
//! parts that are the same byte for byte are not compared line by line. Elsewhere digests of all ids and lines of one
//! collection are kept, and their number is bounded.

use super::chunks::{self, Chunk};
use super::fields::{FieldChange, differing};
use super::{IndexedPart, Inspector, index::Index};
use crate::catalog::{self, Category};
use crate::digest::Sha256;
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::PartEntry;
use crate::part::PART_BYTES;
use crate::problems::Problems;
use crate::reader::{BackupReader, OnProgress, is_fatal};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Seek};
use std::ops::ControlFlow;

/// How many bytes of documents without an order are looked up together.
const BATCH_BYTES: usize = 32 << 20;

/// How a collection differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: Category,
    /// Documents that only the new backup has.
    pub added: u64,
    /// Documents that only the old backup has.
    pub removed: u64,
    /// Documents whose bytes differ.
    pub changed: u64,
    /// Documents whose bytes are the same.
    pub same: u64,
    /// What is damaged in either: what it hides seems to be missing there.
    #[serde(flatten)]
    pub problems: Problems,
}

/// How the files of the documents differ, by their paths in the archives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparedFiles {
    /// Files that only the new backup has.
    pub added: u64,
    /// Files that only the old backup has.
    pub removed: u64,
    /// Files whose bytes differ, or cannot be read in either.
    pub changed: u64,
    /// Files whose bytes are the same.
    pub same: u64,
    /// What is damaged in either.
    #[serde(flatten)]
    pub problems: Problems,
}

/// A document that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its `_id`; empty where the line is no document.
    pub id: String,
    /// How it differs.
    pub kind: ChangeKind,
    /// The fields of a changed document that differ; none where only their order or white space does.
    pub fields: Vec<FieldChange>,
}

/// How a document differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only the new backup has it.
    Added,
    /// Only the old backup has it.
    Removed,
    /// Both have it, with other bytes.
    Changed,
}

/// What is told of each document that differs. An error from it ends the comparison.
pub type OnChange<'a> = &'a mut dyn FnMut(Change) -> Result<()>;

/// The names of all collections that either backup has, in their order.
pub fn collections(old: &Index, new: &Index) -> Vec<String> {
    let mut names = collections_in_order(old, new);
    names.sort_unstable();
    names
}

/// The same in the order in which they are best read: those of the old backup in the order of its parts, then the others.
pub fn collections_in_order(old: &Index, new: &Index) -> Vec<String> {
    let mut names = old.names_in_order();
    names.extend(new.names_in_order().into_iter().filter(|name| old.collection(name).is_none()));
    names
}

/// Compares a collection, and shows every document that differs where somebody wants to see them.
///
/// # Errors
/// `io`, those of `progress` and `on_change`; `limit-exceeded` where a manifest is missing and there are more documents
/// than [`Limits::unordered`](crate::limits::Limits::unordered). What is damaged stands in [`Compared::problems`].
pub fn compare<A: Read + Seek, B: Read + Seek>(
    old: &mut Inspector<A>,
    new: &mut Inspector<B>,
    collection: &str,
    progress: OnProgress<'_>,
    on_change: Option<OnChange<'_>>,
) -> Result<Compared> {
    let category = [old.index.collection(collection), new.index.collection(collection)];
    let category = category.into_iter().flatten().next().map(|rows| rows.category);
    let mut compared = Compared {
        name: collection.to_owned(),
        category: category.unwrap_or_else(|| catalog::category_of(collection)),
        added: 0,
        removed: 0,
        changed: 0,
        same: 0,
        problems: Problems::default(),
    };
    match (ordered_parts(old, collection), ordered_parts(new, collection)) {
        (Some(old_parts), Some(new_parts)) => {
            let old = Cursor::new(&mut old.reader, old_parts);
            let new = Cursor::new(&mut new.reader, new_parts);
            merge(old, new, &mut compared, progress, on_change)?;
        }
        _ => match_digests(old, new, &mut compared, progress, on_change)?,
    }
    Ok(compared)
}

/// Compares the files of all documents by what is read of them.
///
/// # Errors
/// `io`, and those of `progress`. What is damaged stands in [`ComparedFiles::problems`].
pub fn compare_files<A: Read + Seek, B: Read + Seek>(
    old: &mut Inspector<A>,
    new: &mut Inspector<B>,
    progress: OnProgress<'_>,
) -> Result<ComparedFiles> {
    let mut files = ComparedFiles::default();
    let mut before = digests(&mut old.reader, &mut files.problems, progress)?;
    for (path, digest) in digests(&mut new.reader, &mut files.problems, progress)? {
        match before.remove(&path) {
            None => files.added += 1,
            Some(known) if known.is_some() && known == digest => files.same += 1,
            Some(_) => files.changed += 1,
        }
    }
    files.removed = before.len() as u64;
    Ok(files)
}

/// The digest of each file; none of one that is not what it should be, which is a problem.
fn digests<R: Read + Seek>(
    reader: &mut BackupReader<R>,
    problems: &mut Problems,
    progress: OnProgress<'_>,
) -> Result<HashMap<String, Option<Sha256>>> {
    let mut digests = HashMap::new();
    let mut paths: Vec<String> = reader.each_attachment().map(|file| file.path.to_owned()).collect();
    paths.sort_by_cached_key(|path| reader.position(path));
    for path in paths {
        let digest = match reader.verified_digest(&path, progress) {
            Ok(digest) => Some(digest),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                problems.push(error);
                None
            }
        };
        digests.insert(path, digest);
    }
    Ok(digests)
}

impl Compared {
    fn count(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::Added => self.added += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Changed => self.changed += 1,
        }
    }
}

impl Change {
    fn of(old: Option<&[u8]>, new: Option<&[u8]>) -> Self {
        let (kind, line) = match (old, new) {
            (Some(_), Some(new)) => (ChangeKind::Changed, new),
            (Some(old), None) => (ChangeKind::Removed, old),
            (None, new) => (ChangeKind::Added, new.unwrap_or_default()),
        };
        let fields = old.zip(new).map(|(old, new)| differing(old, new)).unwrap_or_default();
        Self { id: document::id_of(line).unwrap_or_default(), kind, fields }
    }
}

/// The parts of a collection whose documents ascend, each no larger than the format lets it be; none where a manifest
/// does not say so.
fn ordered_parts<R: Read + Seek>(inspector: &Inspector<R>, collection: &str) -> Option<Vec<PartEntry>> {
    if inspector.index.collection(collection).is_none() {
        return Some(Vec::new());
    }
    let manifest = inspector.reader.manifest().ok().flatten()?;
    let entry = manifest.collection(collection)?;
    let plain = |part: &PartEntry| part.bytes <= PART_BYTES as u64 || part.documents == 1;
    entry.parts.iter().all(plain).then(|| entry.parts.clone())
}

/// A place among the documents of a collection whose ids ascend.
struct Cursor<'a, R> {
    reader: &'a mut BackupReader<R>,
    parts: std::vec::IntoIter<PartEntry>,
    /// Whether the part that comes next is what its manifest says, once that is known.
    next_is_sound: Option<bool>,
    chunk: Option<Chunk>,
    line: u64,
    /// The id of the document where it stands, else of the one before.
    id: String,
    found: bool,
    problems: Problems,
}

impl<'a, R: Read + Seek> Cursor<'a, R> {
    fn new(reader: &'a mut BackupReader<R>, parts: Vec<PartEntry>) -> Self {
        Self {
            reader,
            parts: parts.into_iter(),
            next_is_sound: None,
            chunk: None,
            line: 0,
            id: String::new(),
            found: false,
            problems: Problems::default(),
        }
    }

    /// The part that comes next, where the one before has been read to its end.
    fn next_part(&self) -> Option<&PartEntry> {
        let between = self.chunk.as_ref().is_none_or(|chunk| self.line >= chunk.lines());
        self.parts.as_slice().first().filter(|_| between)
    }

    /// Reads the part that comes next, unless that was done; answers whether it is what its manifest says.
    fn is_next_sound(&mut self, progress: OnProgress<'_>) -> Result<bool> {
        if let Some(sound) = self.next_is_sound {
            return Ok(sound);
        }
        let Some(part) = self.parts.as_slice().first() else { return Ok(false) };
        let problems = self.reader.verify_named(&part.name, progress)?;
        let sound = problems.is_empty();
        self.problems.append(problems);
        self.next_is_sound = Some(sound);
        Ok(sound)
    }

    /// Takes the part that comes next.
    fn take_part(&mut self) -> Option<PartEntry> {
        self.leave();
        self.next_is_sound = None;
        self.parts.next()
    }

    /// Passes over the part that comes next.
    fn pass_part(&mut self) {
        if let Some(part) = self.take_part() {
            self.id = part.last;
        }
    }

    /// Moves on to a document, be it the one where it stands; answers whether there is one.
    fn find(&mut self, progress: OnProgress<'_>) -> Result<bool> {
        while !self.found {
            match self.chunk.as_ref().and_then(|chunk| chunk.line(self.line)) {
                Some(line) => match document::id_of(line) {
                    Ok(id) if id > self.id => (self.id, self.found) = (id, true),
                    Ok(_) => self.give_up("documents are not in the order of their ids"),
                    Err(_) => self.give_up("a line is no document"),
                },
                None => {
                    self.is_next_sound(progress)?;
                    let Some(part) = self.take_part() else { return Ok(false) };
                    let chunk = chunks::load(self.reader, &part.name, 0)?;
                    progress(0)?;
                    if let Some(problem) = chunk.problem.clone() {
                        self.problems.push_new(problem);
                    }
                    self.chunk = Some(chunk);
                }
            }
        }
        Ok(true)
    }

    /// The line of the document where it stands.
    fn line(&self) -> &[u8] {
        self.chunk.as_ref().and_then(|chunk| chunk.line(self.line)).unwrap_or_default()
    }

    fn step(&mut self) {
        (self.line, self.found) = (self.line + 1, false);
    }

    fn leave(&mut self) {
        (self.chunk, self.line, self.found) = (None, 0, false);
    }

    /// Leaves the rest of a part that is not what its manifest says.
    fn give_up(&mut self, message: &str) {
        let part = self.chunk.take().map(|chunk| chunk.part).unwrap_or_default();
        let place = format!("{part}, line {}", self.line + 1);
        self.problems.push(Error::new(ErrorKind::DamagedPart, message).on(place));
        self.leave();
    }
}

fn merge<A: Read + Seek, B: Read + Seek>(
    mut old: Cursor<'_, A>,
    mut new: Cursor<'_, B>,
    compared: &mut Compared,
    progress: OnProgress<'_>,
    mut on_change: Option<OnChange<'_>>,
) -> Result<()> {
    loop {
        while let Some(documents) = equal_parts(&old, &new)
            && old.is_next_sound(progress)?
            && new.is_next_sound(progress)?
        {
            compared.same += documents;
            old.pass_part();
            new.pass_part();
        }
        let order = match (old.find(progress)?, new.find(progress)?) {
            (true, true) => old.id.cmp(&new.id),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => break,
        };
        let one = order.is_le().then(|| old.line());
        let other = order.is_ge().then(|| new.line());
        if one == other {
            compared.same += 1;
        } else {
            let change = |old, new| if on_change.is_some() { Some(Change::of(old, new)) } else { None };
            compared.count(kind_of(one.is_some(), other.is_some()));
            if let (Some(change), Some(on_change)) = (change(one, other), on_change.as_mut()) {
                on_change(change)?;
            }
        }
        if order.is_le() {
            old.step();
        }
        if order.is_ge() {
            new.step();
        }
    }
    compared.problems.append(old.problems);
    compared.problems.append(new.problems);
    Ok(())
}

/// How many documents the parts that come next have, where they are the same by what the manifests claim.
fn equal_parts<A: Read + Seek, B: Read + Seek>(old: &Cursor<'_, A>, new: &Cursor<'_, B>) -> Option<u64> {
    let (one, other) = (old.next_part()?, new.next_part()?);
    (one.sha256 == other.sha256 && one.documents == other.documents).then_some(one.documents)
}

fn kind_of(in_old: bool, in_new: bool) -> ChangeKind {
    match (in_old, in_new) {
        (true, true) => ChangeKind::Changed,
        (true, false) => ChangeKind::Removed,
        (false, _) => ChangeKind::Added,
    }
}

/// What is kept of a document where nothing is known of the order: its row and its length, and digests of its id and its
/// line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    id: u128,
    row: u64,
    bytes: usize,
    line: u128,
}

fn match_digests<A: Read + Seek, B: Read + Seek>(
    old: &mut Inspector<A>,
    new: &mut Inspector<B>,
    compared: &mut Compared,
    progress: OnProgress<'_>,
    on_change: Option<OnChange<'_>>,
) -> Result<()> {
    let one = known(old, &compared.name, &mut compared.problems, progress)?;
    let other = known(new, &compared.name, &mut compared.problems, progress)?;
    let mut changes = Vec::new();
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    // Where an id comes several times, the first is compared with the first, the second with the second.
    loop {
        let order = match (one.peek(), other.peek()) {
            (Some(old), Some(new)) => old.id.cmp(&new.id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let old = if order.is_le() { one.next() } else { None };
        let new = if order.is_ge() { other.next() } else { None };
        if old.map(|old| old.line) == new.map(|new| new.line) {
            compared.same += 1;
        } else {
            compared.count(kind_of(old.is_some(), new.is_some()));
            if on_change.is_some() {
                changes.push((old, new));
            }
        }
    }
    let Some(on_change) = on_change else { return Ok(()) };
    changes.sort_unstable_by_key(|(one, other)| (one.map(|one| one.row), other.map(|other| other.row)));
    tell(old, new, &compared.name, &changes, progress, on_change)
}

/// Shows documents that differ, in the order of the old ones. Their lines stand anywhere in the archives: as many as fit
/// into memory come from one reading.
fn tell<A: Read + Seek, B: Read + Seek>(
    old: &mut Inspector<A>,
    new: &mut Inspector<B>,
    collection: &str,
    changes: &[(Option<Known>, Option<Known>)],
    progress: OnProgress<'_>,
    on_change: OnChange<'_>,
) -> Result<()> {
    let mut rest = changes;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(one, other): &&(Option<Known>, Option<Known>)| {
            bytes += one.iter().chain(other).map(|known| known.bytes).sum::<usize>();
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (batch, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let ones = lines_of(old, collection, batch.iter().filter_map(|(one, _)| *one), progress)?;
        let others = lines_of(new, collection, batch.iter().filter_map(|(_, other)| *other), progress)?;
        for (one, other) in batch {
            let line = |lines: &HashMap<u64, Vec<u8>>, known: &Option<Known>| {
                known.map(|known| lines.get(&known.row).cloned().unwrap_or_default())
            };
            let (one, other) = (line(&ones, one), line(&others, other));
            on_change(Change::of(one.as_deref(), other.as_deref()))?;
        }
        rest = behind;
    }
    Ok(())
}

/// The lines of some documents, by their rows.
fn lines_of<R: Read + Seek>(
    inspector: &mut Inspector<R>,
    collection: &str,
    documents: impl Iterator<Item = Known>,
    progress: OnProgress<'_>,
) -> Result<HashMap<u64, Vec<u8>>> {
    let wanted: BTreeSet<u64> = documents.map(|known| known.row).collect();
    let (mut lines, mut next) = (HashMap::new(), wanted.iter().copied().peekable());
    let Some(first) = next.peek().copied() else { return Ok(lines) };
    inspector.each(collection, first, &mut |_| progress(0), &mut |row, line| {
        if next.next_if_eq(&row).is_some() {
            lines.insert(row, line.to_vec());
        }
        Ok(if next.peek().is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(lines)
}

/// What is to be known of every document of a collection, in the order of the digests of their ids.
fn known<R: Read + Seek>(
    inspector: &mut Inspector<R>,
    collection: &str,
    problems: &mut Problems,
    progress: OnProgress<'_>,
) -> Result<Vec<Known>> {
    let Some(rows) = inspector.index.collection(collection) else { return Ok(Vec::new()) };
    let (most, found) = (inspector.reader.limits().unordered, rows.documents);
    if found > most {
        let message = "too many documents to be compared without a manifest that says their order";
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .on(collection)
            .expected(format!("at most {most}"), found));
    }
    for part in inspector.index.parts_of(Some(collection)) {
        // Without a manifest there is no more to compare it with than its lines.
        if let Some(IndexedPart { name, ids: Some(_) }) = inspector.index.parts.get(part) {
            problems.append(inspector.reader.verify_named(name, &mut |_| progress(0))?);
        }
    }
    let mut known = Vec::new();
    let damage = inspector.each(collection, 0, progress, &mut |row, line| {
        let digest = Sha256::of(line).short();
        let id = document::id_of(line).map_or(digest, |id| Sha256::of(id.as_bytes()).short());
        known.push(Known { id, row, bytes: line.len(), line: digest });
        Ok(ControlFlow::Continue(()))
    })?;
    problems.append_new(damage);
    known.sort_unstable();
    Ok(known)
}
