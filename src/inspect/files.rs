//! The files of documents, by whose they are. A list of them costs what it shows, however many files there are.

use crate::reader::{Attachment, AttachmentInfo, BackupReader};
use serde::Serialize;
use std::io::{Read, Seek};
use std::ops::Range;

/// What the owner's collection is called where a file does not tell it.
pub const UNKNOWN: &str = "other";

/// Some of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesPage {
    /// The files.
    pub files: Vec<AttachmentInfo>,
    /// How many there are in all of those that were asked for.
    pub total: usize,
}

/// Where the files are.
#[derive(Debug)]
pub(super) struct Files {
    /// The entries that are files, where no manifest announces them.
    places: Vec<usize>,
    owners: Owners,
}

/// Collection and `_id`.
type Owner<'a> = (&'a str, &'a str);

/// The numbers of files in the order of their owners, and as they stand in the archive with each.
#[derive(Debug)]
struct Owners(Vec<usize>);

impl Files {
    pub(super) fn of<R: Read + Seek>(reader: &BackupReader<R>) -> Self {
        let files: Vec<Owner<'_>> = reader.each_attachment().map(owner).collect();
        let owners = Owners::of(files.len(), |number| files.get(number).copied());
        Self { places: reader.unannounced(), owners }
    }

    /// Those of a collection, or of one document of it, or all.
    pub(super) fn page<R: Read + Seek>(
        &self,
        reader: &BackupReader<R>,
        of: Option<(&str, Option<&str>)>,
        rows: Range<usize>,
    ) -> FilesPage {
        let file = |number: usize| reader.attachment_at(&self.places, number);
        let all = match of {
            None => 0..self.owners.0.len(),
            Some((collection, id)) => self.owners.range(|number| file(number).map(owner), collection, id),
        };
        let number = |at: usize| match of {
            None => Some(at),
            Some(_) => self.owners.0.get(at).copied(),
        };
        let shown = all.clone().skip(rows.start).take(rows.len());
        let files = shown.filter_map(number).filter_map(file).map(AttachmentInfo::from);
        FilesPage { files: files.collect(), total: all.len() }
    }
}

impl Owners {
    fn of<'a>(count: usize, owner: impl Fn(usize) -> Option<Owner<'a>>) -> Self {
        let mut numbers: Vec<usize> = (0..count).collect();
        numbers.sort_by_key(|number| owner(*number));
        Self(numbers)
    }

    /// Where those of this collection, or of one document of it, stand.
    fn range<'a>(
        &self,
        owner: impl Fn(usize) -> Option<Owner<'a>>,
        collection: &str,
        id: Option<&str>,
    ) -> Range<usize> {
        let order = |number: &usize| {
            let (its_collection, its_id) = owner(*number).unwrap_or_default();
            its_collection
                .cmp(collection)
                .then_with(|| id.map_or(std::cmp::Ordering::Equal, |id| its_id.cmp(id)))
        };
        let from = self.0.partition_point(|number| order(number).is_lt());
        let to = self.0.partition_point(|number| order(number).is_le());
        from..to
    }
}

fn owner(file: Attachment<'_>) -> Owner<'_> {
    (file.collection.unwrap_or(UNKNOWN), file.id.unwrap_or_default())
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_look_for_the_files_of_a_document_does_not_pass_all_files() {
        let steps = |count: usize| {
            let files: Vec<(String, String)> =
                (0..count).map(|at| (format!("c{}", at % 7), format!("d{}", at / 3))).collect();
            let looked = Cell::new(0_u32);
            let owner = |number: usize| {
                looked.set(looked.get() + 1);
                files.get(number).map(|(collection, id)| (collection.as_str(), id.as_str()))
            };
            let owners = Owners::of(count, owner);
            looked.set(0);
            assert_eq!(owners.range(owner, "c3", Some("d1")).len(), 1);
            assert_eq!(owners.range(owner, "c8", None).len(), 0);
            looked.get()
        };
        assert!(steps(40_000) < steps(10_000) + 20, "each look halves");
    }
}
