//! What is wrong with an archive. A file that a stranger made can have a problem in each of a million entries: all of them are
//! counted, and the first thousand are kept.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Deref;

/// The problems of an archive; as a slice, the first [`Problems::KEPT`] of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Problems {
    #[serde(rename = "problems")]
    kept: Vec<Error>,
    found: u64,
    /// Digests of all that were told.
    #[serde(skip)]
    told: HashSet<u64>,
}

impl Problems {
    /// How many are kept.
    pub const KEPT: usize = 1_000;

    /// How many there are.
    pub fn found(&self) -> u64 {
        self.found
    }

    /// How many there are beyond those that are kept.
    pub fn unlisted(&self) -> u64 {
        self.found.saturating_sub(self.kept.len() as u64)
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Error) {
        self.told.insert(digest(&problem));
        self.found += 1;
        if self.kept.len() < Self::KEPT {
            self.kept.push(problem);
        }
    }

    /// Adds a problem that may have been told before, and then counts no more: what a directory shows to be wrong with an
    /// entry is met again when that is read.
    pub fn push_new(&mut self, problem: Error) {
        if !self.told.contains(&digest(&problem)) {
            self.push(problem);
        }
    }

    /// Adds all of these, of which some may have been told before.
    pub fn append_new(&mut self, other: Problems) {
        let unlisted = other.unlisted();
        other.kept.into_iter().for_each(|problem| self.push_new(problem));
        self.found += unlisted;
    }

    /// These without what is about a subject of others.
    pub fn beside(self, others: &Problems) -> Self {
        let unlisted = self.unlisted();
        let subjects: HashSet<&str> = others.iter().filter_map(|it| it.subject.as_deref()).collect();
        let is_new = |it: &Error| it.subject.as_deref().is_none_or(|subject| !subjects.contains(subject));
        let mut rest = Self::default();
        self.kept.into_iter().filter(is_new).for_each(|problem| rest.push_new(problem));
        rest.found += unlisted;
        rest
    }

    /// Adds all of these.
    pub fn append(&mut self, other: Problems) {
        let unlisted = other.unlisted();
        self.extend(other.kept);
        self.found += unlisted;
    }
}

/// A digest of what tells a problem from others.
fn digest(Error { kind, message, subject, .. }: &Error) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((kind, message, subject))
}

impl Extend<Error> for Problems {
    fn extend<T: IntoIterator<Item = Error>>(&mut self, problems: T) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

impl FromIterator<Error> for Problems {
    fn from_iter<T: IntoIterator<Item = Error>>(problems: T) -> Self {
        let mut all = Self::default();
        all.extend(problems);
        all
    }
}

impl Deref for Problems {
    type Target = [Error];

    fn deref(&self) -> &[Error] {
        &self.kept
    }
}

impl IntoIterator for Problems {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.iter()
    }
}

impl PartialEq for Problems {
    fn eq(&self, other: &Self) -> bool {
        (&self.kept, self.found) == (&other.kept, other.found)
    }
}

impl Eq for Problems {}

impl<const N: usize> PartialEq<[Error; N]> for Problems {
    fn eq(&self, other: &[Error; N]) -> bool {
        self.found == N as u64 && self.kept == *other
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn problem(number: u64) -> Error {
        Error::new(ErrorKind::DamagedEntry, "an entry is damaged").on(format!("entry {number}"))
    }

    #[test]
    fn all_are_counted_and_the_first_thousand_are_kept() {
        let mut problems: Problems = (0..2_500).map(problem).collect();
        assert_eq!((problems.found(), problems.len(), problems.unlisted()), (2_500, 1_000, 1_500));
        assert_eq!(problems.last(), Some(&problem(999)));
        problems.push_new(problem(7));
        assert_eq!(problems.found(), 2_500, "what was told before counts once");
        problems.push(problem(7));
        assert_eq!(problems.found(), 2_501, "two entries may have the same name");
        let mut more: Problems = (2_400..2_600).map(problem).collect();
        more.append(problems);
        assert_eq!((more.found(), more.len()), (2_701, 1_000));
    }
}
