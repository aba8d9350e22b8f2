//! Lines cut into batches, where nothing but the archive and the choice decide: whoever sends the same again sends the
//! same batches.

use crate::api::restore::{BATCH_BYTES, BATCH_LINES};
use crate::catalog::CollectionName;
use crate::digest::{Hasher, Sha256};
use crate::part::append;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

/// So many bytes may wait in batches that are not full. An archive without a manifest can mix its collections.
const OPEN_BYTES: usize = 32 << 20;

/// Whole lines, to be staged at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Counts from 0.
    pub(super) number: u64,
    /// How many lines.
    pub(super) count: u64,
    /// The lines, each with its line feed.
    pub(super) lines: Vec<u8>,
}

/// A batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Filling {
    number: u64,
    count: u64,
    lines: Vec<u8>,
}

impl Filling {
    /// Takes a line in, which has no line feed; answers the batch that was full before it.
    pub(super) fn push(&mut self, line: &[u8]) -> Option<Batch> {
        let line = without_cr(line);
        let full = self.lines.len() + line.len() + 1 > BATCH_BYTES || self.count >= BATCH_LINES as u64;
        let before = if full { self.cut() } else { None };
        append(&mut self.lines, &line, BATCH_BYTES);
        append(&mut self.lines, b"\n", BATCH_BYTES);
        self.count += 1;
        before
    }

    /// The batch as far as it is filled; none where nothing is in it.
    pub(super) fn cut(&mut self) -> Option<Batch> {
        if self.count == 0 {
            return None;
        }
        let (count, lines) = (mem::take(&mut self.count), mem::take(&mut self.lines));
        let number = self.number;
        self.number += 1;
        Some(Batch { number, count, lines })
    }
}

/// In a document CR is only white space, and the server drops it too.
fn without_cr(line: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'\r', line) {
        None => Cow::Borrowed(line),
        Some(_) => Cow::Owned(line.iter().copied().filter(|byte| *byte != b'\r').collect()),
    }
}

/// Cuts the lines of several collections.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    open: BTreeMap<CollectionName, Filling>,
    bytes: usize,
}

/// A batch, and its collection.
pub(super) type Cut = (CollectionName, Batch);

impl Cutter {
    /// Takes a line in; answers the batches that are ready.
    pub(super) fn push(&mut self, collection: &CollectionName, line: &[u8]) -> Vec<Cut> {
        let filling = match self.open.get_mut(collection) {
            Some(filling) => filling,
            None => self.open.entry(collection.clone()).or_default(),
        };
        let before = filling.lines.len();
        let full = filling.push(line);
        self.bytes = self.bytes + filling.lines.len() - before;
        let mut ready: Vec<Cut> = full.map(|batch| (collection.clone(), batch)).into_iter().collect();
        if self.bytes > OPEN_BYTES {
            ready.extend(self.cut());
        }
        ready
    }

    /// All that is open, in the order of the collections.
    pub(super) fn cut(&mut self) -> Vec<Cut> {
        self.bytes = 0;
        let cut = self.open.iter_mut().filter_map(|(name, filling)| Some((name.clone(), filling.cut()?)));
        cut.collect()
    }
}

/// What some batches come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) batches: u64,
    hasher: Hasher,
}

impl Sum {
    pub(super) fn add(&mut self, batch: &Batch) {
        self.count += batch.count;
        self.bytes += batch.lines.len() as u64;
        self.batches += 1;
        self.hasher.update(&batch.lines);
    }

    /// The digest of their lines.
    pub(super) fn sha256(&self) -> Sha256 {
        self.hasher.clone().finish()
    }
}
