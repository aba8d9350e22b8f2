//! Checks everything: every entry is read, every document parsed, and all is compared with the manifest.

use super::{BLOCK_BYTES, BackupReader, EntryKind, Note, OnProgress, Role, is_fatal};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{AttachmentEntry, CollectionEntry, MANIFEST_NAME, Manifest};
use serde::Serialize;
use std::io::{Read, Seek};

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Everything that is wrong: of the directory and the manifest first, then of the entries in their order, of each
    /// entry the first; of a part also the attachments whose documents are not in it.
    pub problems: Vec<Error>,
    /// How many entries were read.
    pub entries: u64,
    /// How many documents were read.
    pub documents: u64,
    /// Whether a manifest says what the backup has to hold. Without one nobody can tell whether something is missing.
    pub has_manifest: bool,
    /// What is unusual and takes nothing from the backup.
    pub notes: Vec<Note>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl<R: Read + Seek> BackupReader<R> {
    /// Reads everything and compares. Does what [`BackupReader::verify_directory`] and then, for each entry,
    /// [`BackupReader::verify_entry`] do.
    ///
    /// # Errors
    /// `io`, and those of `progress`; what is damaged stands in the verdict.
    pub fn verify(&mut self, progress: OnProgress<'_>) -> Result<Verdict> {
        let mut verdict = self.verify_directory();
        for at in 0..self.entries.len() {
            self.verify_entry(at, &mut verdict, progress)?;
        }
        Ok(verdict)
    }

    /// Compares the directory with the manifest, without reading an entry: the beginning of a verdict.
    pub fn verify_directory(&self) -> Verdict {
        let mut problems: Vec<Error> = self.lost_directory.iter().cloned().collect();
        if let Some(Err(error)) = &self.manifest {
            problems.push(error.clone());
        }
        if let Some(manifest) = self.sound_manifest() {
            if !self.canonical && self.lost_directory.is_none() {
                let message = "the ZIP headers are not those that a backup has";
                problems.push(Error::new(ErrorKind::DamagedDirectory, message));
            }
            problems.extend(self.not_as_named(manifest));
            let places: Vec<_> =
                named(manifest).filter_map(|(name, _)| self.index.get(&self.entries, name)).collect();
            let manifest_at = self.index.get(&self.entries, MANIFEST_NAME);
            if !places.is_sorted() || places.last().copied() >= manifest_at {
                let message = "the entries are not in the order of the manifest";
                problems.push(Error::new(ErrorKind::DamagedDirectory, message));
            }
            for (entry, _) in
                self.entries.iter().zip(&self.roles).filter(|(_, role)| matches!(role, Role::Other))
            {
                let message = "the manifest does not name an entry";
                problems.push(Error::new(ErrorKind::BadManifest, message).on(entry.name.as_str()));
            }
        }
        let has_manifest = self.sound_manifest().is_some();
        Verdict { problems, entries: 0, documents: 0, has_manifest, notes: self.notes() }
    }

    /// What the directory alone shows to be wrong with what the backup holds, for a reader that reads no more than it needs:
    /// entries that are missing, have another size, or cannot be read. Parts of a backup without a manifest are left out,
    /// since every one of them is read.
    pub(crate) fn directory_problems(&self) -> Vec<Error> {
        let missing = self.sound_manifest().into_iter().flat_map(|manifest| self.not_as_named(manifest));
        let read = |role: &Role| matches!(role, Role::Part(None));
        let entries = self.entries.iter().zip(&self.roles).filter(|(_, role)| !read(role));
        missing.chain(entries.filter_map(|(entry, _)| entry.problem.clone())).collect()
    }

    /// The entries that the manifest names and that are missing or have another size.
    fn not_as_named(&self, manifest: &Manifest) -> impl Iterator<Item = Error> {
        named(manifest).filter_map(|(name, size)| {
            let Some(at) = self.index.get(&self.entries, name) else {
                let message = "an entry that the manifest names is missing";
                return Some(Error::new(ErrorKind::MissingEntry, message).on(name));
            };
            let found = self.entries.get(at).map_or(0, |entry| entry.size);
            let message = "an entry has not the size that the manifest says";
            (found != size)
                .then(|| Error::new(ErrorKind::DamagedEntry, message).on(name).expected(size, found))
        })
    }

    /// Reads one entry, counted as in [`BackupReader::entries`], and adds to the verdict what is wrong with it.
    ///
    /// # Errors
    /// As [`BackupReader::verify`].
    pub fn verify_entry(&mut self, at: usize, verdict: &mut Verdict, progress: OnProgress<'_>) -> Result<()> {
        let result = match self.kind(at) {
            EntryKind::Part => self.verify_part(at, verdict, progress),
            _ => self.verify_content(at, progress),
        };
        verdict.entries += 1;
        match result {
            Err(error) if is_fatal(&error) => return Err(error),
            // Why the manifest cannot be used stands there already.
            Err(error) if self.kind(at) == EntryKind::Manifest && self.manifest().is_err() => drop(error),
            Err(error) => verdict.problems.push(error),
            Ok(()) => {}
        }
        progress(self.entries.get(at).map_or(0, |entry| entry.stored_size))
    }

    fn verify_content(&mut self, at: usize, progress: OnProgress<'_>) -> Result<()> {
        let mut content = self.open_entry(at)?;
        let mut buffer = vec![0; BLOCK_BYTES];
        while content.read(&mut buffer)? > 0 {
            progress(0)?;
        }
        self.file_without_part(at).map_or(Ok(()), |file| Err(orphaned(file)))
    }

    fn verify_part(&mut self, at: usize, verdict: &mut Verdict, progress: OnProgress<'_>) -> Result<()> {
        // Both the documents and the owners of files ascend.
        let mut owners = self.owners(at).into_iter().peekable();
        let mut absent = Vec::new();
        let mut documents = self.documents_at(at)?;
        let mut reported = 0;
        while let Some((document, _)) = documents.next_document()? {
            verdict.documents += 1;
            while let Some(owner) = owners.next_if(|owner| *owner < document.id) {
                absent.push(owner);
            }
            owners.next_if_eq(&document.id);
            if documents.bytes() - reported >= BLOCK_BYTES as u64 {
                reported = documents.bytes();
                progress(0)?;
            }
        }
        let files = self.files_of(at).iter().filter(|file| absent.binary_search(&file.record.id).is_ok());
        verdict.problems.extend(files.map(orphaned));
        Ok(())
    }

    /// The ids of the documents that files belong to, each once, as far as they have to be in this part.
    fn owners(&self, part: usize) -> Vec<String> {
        let mut owners: Vec<&str> = self.files_of(part).iter().map(|file| file.record.id.as_str()).collect();
        owners.dedup();
        owners.into_iter().map(str::to_owned).collect()
    }

    /// The attachments whose owners have to be in this part, by what the manifest says.
    fn files_of(&self, part: usize) -> &[AttachmentEntry] {
        let (Some(Role::Part(Some((collection, _)))), Some(part)) =
            (self.roles.get(part), self.part_entry(part))
        else {
            return &[];
        };
        let Some(manifest) = self.sound_manifest() else { return &[] };
        let Some(collection) = manifest.collections.get(*collection) else { return &[] };
        let (first, last) = ((&collection.name, &part.first), (&collection.name, &part.last));
        let files = &manifest.attachments;
        let from = files.partition_point(|file| (&file.record.collection, &file.record.id) < first);
        let to = files.partition_point(|file| (&file.record.collection, &file.record.id) <= last);
        files.get(from..to).unwrap_or_default()
    }

    /// The attachment that this entry is, where no part can have its owner.
    fn file_without_part(&self, at: usize) -> Option<&AttachmentEntry> {
        let Some(Role::Attachment(Some(number))) = self.roles.get(at) else { return None };
        let manifest = self.sound_manifest()?;
        let file = manifest.attachments.get(*number)?;
        let of_it = |collection: &&CollectionEntry| collection.name == file.record.collection;
        let parts = manifest.collections.iter().find(of_it).map_or(&[][..], |collection| &collection.parts);
        let part = parts.get(parts.partition_point(|part| part.last < file.record.id));
        part.is_none_or(|part| part.first > file.record.id).then_some(file)
    }
}

/// Name and size of every part and attachment, in the order of the archive.
fn named(manifest: &Manifest) -> impl Iterator<Item = (&str, u64)> {
    let parts = manifest.parts().map(|(_, part)| (part.name.as_str(), part.size));
    parts.chain(manifest.attachments.iter().map(|file| (file.path.as_str(), file.record.size)))
}

fn orphaned(file: &AttachmentEntry) -> Error {
    let owner = format!("the document {:?} in {}", file.record.id, file.record.collection);
    Error::new(ErrorKind::Orphaned, "the document that an attachment belongs to is not in the backup")
        .on(file.path.as_str())
        .expected(owner, "none")
}
