//! What becomes of one document or file when a backup or a restore point comes in: the one place that decides it.

use crate::failure::{Failure, Result};
use crate::store::documents::counter;
use crate::store::rot;
use dikas_archive::api::restore::Changes;
use dikas_archive::catalog::CollectionName;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::collections::BTreeSet;

/// Documents of one collection that shall come in.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) collection: CollectionName,
    /// The generation that holds them: staged, from before a restore, or what a merge took the place of.
    pub(super) generation: i64,
    pub(super) how: How,
    /// What the backup says is missing in it, by id and file name; no name for a document itself. It stays as it is.
    pub(super) missing: BTreeSet<(String, String)>,
}

impl Incoming {
    /// Whether the backup says that it lacks this document.
    fn lacks(&self, id: &str) -> bool {
        !self.missing.is_empty() && self.missing.contains(&(id.to_owned(), String::new()))
    }

    /// What becomes of a document, as in [`How::document`].
    pub(super) fn document(
        &self,
        id: &str,
        now: Option<Stored<'_>>,
        after: Option<Stored<'_>>,
        goes: bool,
    ) -> Verdict {
        if now.zip(after).is_some_and(|(now, after)| after.heals(&now, id)) {
            return Verdict::Healed;
        }
        match self.how.document(now, after, goes) {
            Verdict::Dropped if self.lacks(id) => Verdict::Kept,
            verdict => verdict,
        }
    }

    /// What becomes of a file, by the id of its owner and its name, as in [`How::file`].
    pub(super) fn file(
        &self,
        key: &(String, String),
        now: Option<&File>,
        after: Option<&File>,
        goes: bool,
        owner_stays: impl FnOnce() -> Result<bool>,
    ) -> Result<Verdict> {
        match self.how.file(now, after, goes, owner_stays)? {
            Verdict::Dropped if self.missing.contains(key) || self.lacks(&key.0) => Ok(Verdict::Kept),
            verdict => Ok(verdict),
        }
    }
}

/// How they come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Their generation becomes the live one. What was written to the live one after the position `carry_after`, and the
    /// other lacks, comes along; none carries nothing.
    Replace { carry_after: Option<i64> },
    /// They are written into the live generation.
    Merge(Rule),
}

/// What a merge does where both sides have a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The one that comes counts.
    Overwrite,
    /// The one that is there stays: it is signed.
    Add,
    /// The counter that stands higher counts, and none goes.
    Greater,
}

/// What becomes of a document or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Changed,
    /// The disk has changed the live one, and the one that comes is the one that was written. No law is touched.
    Healed,
    Same,
    Dropped,
    Kept,
}

impl Verdict {
    pub(super) fn count(self, changes: &mut Changes) {
        *match self {
            Self::New => &mut changes.new,
            Self::Changed | Self::Healed => &mut changes.changed,
            Self::Same => &mut changes.same,
            Self::Dropped => &mut changes.dropped,
            Self::Kept => &mut changes.kept,
        } += 1;
    }
}

/// A document as it stands in its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    pub(super) body: &'a [u8],
    /// The digest of what was written; none in a row of before.
    written: Option<&'a [u8]>,
    /// The position of its last write; 0 for a staged one.
    seq: i64,
}

impl<'a> Stored<'a> {
    /// The one in a row of document id, body, position and digest.
    pub(super) fn of(row: &'a Row<'_>) -> Result<Self> {
        let body = row.get_ref(1)?.as_blob().map_err(Failure::internal)?;
        let written = match row.get_ref(3)? {
            ValueRef::Null => None,
            ValueRef::Blob(written) => Some(written),
            _ => Some(rot::NO_DOCUMENT),
        };
        Ok(Self { body, written, seq: row.get(2)? })
    }

    /// Whether this is what was written as `now`, which is not that any more: its body has changed, or its digest has.
    fn heals(&self, now: &Self, id: &str) -> bool {
        let one_of_both = (self.body == now.body) != (self.written == now.written);
        let has_digests = now.written.is_some() && self.written.is_some();
        one_of_both && has_digests && self.written == Some(&rot::digest(id, self.body))
    }
}

/// An attachment without its owner and its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) media_type: String,
    pub(super) size: i64,
    pub(super) sha256: String,
    /// The position of its last write; 0 for a staged one.
    pub(super) seq: i64,
}

impl File {
    /// The one in a row of document id, name, type, size, digest and position.
    pub(super) fn of(row: &Row<'_>) -> Result<Self> {
        Ok(Self { media_type: row.get(2)?, size: row.get(3)?, sha256: row.get(4)?, seq: row.get(5)? })
    }

    fn same(&self, other: &Self) -> bool {
        (&self.media_type, self.size, &self.sha256) == (&other.media_type, other.size, &other.sha256)
    }
}

impl How {
    /// What becomes of a document that is sound: `now` is the live one, `goes` whether a merge added it that is undone.
    fn document(self, now: Option<Stored<'_>>, after: Option<Stored<'_>>, goes: bool) -> Verdict {
        match (now, after, self) {
            (None, _, _) => Verdict::New,
            (Some(now), Some(after), _) if now.body == after.body => Verdict::Same,
            (Some(_), Some(_), Self::Replace { .. } | Self::Merge(Rule::Overwrite)) => Verdict::Changed,
            (Some(_), Some(_), Self::Merge(Rule::Add)) => Verdict::Kept,
            (Some(now), Some(after), Self::Merge(Rule::Greater)) => {
                if counter(after.body) >= counter(now.body) { Verdict::Changed } else { Verdict::Kept }
            }
            (Some(now), None, Self::Replace { carry_after }) => {
                if carry_after.is_some_and(|after| now.seq > after) {
                    Verdict::Kept
                } else {
                    Verdict::Dropped
                }
            }
            (Some(_), None, Self::Merge(Rule::Overwrite)) if goes => Verdict::Dropped,
            (Some(_), None, Self::Merge(_)) => Verdict::Kept,
        }
    }

    /// What becomes of a file. A replacement carries it over only where its owner stays.
    pub(super) fn file(
        self,
        now: Option<&File>,
        after: Option<&File>,
        goes: bool,
        owner_stays: impl FnOnce() -> Result<bool>,
    ) -> Result<Verdict> {
        Ok(match (now, after, self) {
            (None, _, _) => Verdict::New,
            (Some(now), Some(after), _) if now.same(after) => Verdict::Same,
            (Some(_), Some(_), Self::Replace { .. } | Self::Merge(Rule::Overwrite)) => Verdict::Changed,
            (Some(_), Some(_), Self::Merge(_)) => Verdict::Kept,
            (Some(now), None, Self::Replace { carry_after }) => {
                let newer = carry_after.is_some_and(|after| now.seq > after);
                if newer && owner_stays()? { Verdict::Kept } else { Verdict::Dropped }
            }
            (Some(_), None, Self::Merge(Rule::Overwrite)) if goes => Verdict::Dropped,
            (Some(_), None, Self::Merge(_)) => Verdict::Kept,
        })
    }
}
