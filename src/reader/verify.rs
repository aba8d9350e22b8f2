//! Checks everything: every entry is read, every document parsed, and all is compared with the manifest.

use super::{BLOCK_BYTES, BackupReader, Entry, EntryKind, Note, OnProgress, Role, is_fatal};
use crate::digest::{Hasher, Sha256};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{AttachmentEntry, MANIFEST_NAME, Manifest};
use crate::problems::Problems;
use serde::Serialize;
use std::io::{Read, Seek};

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Everything that is wrong: of the directory and the manifest first, then of the entries in their order, of each
    /// entry the first; of a part also the attachments whose documents are not in it.
    #[serde(flatten)]
    pub problems: Problems,
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

    /// How many parts begin with a byte order mark.
    pub fn marked_parts(&self) -> u64 {
        let marks = self.notes.iter().filter_map(|note| match note {
            Note::ByteOrderMarks { parts } => Some(*parts),
            _ => None,
        });
        marks.sum()
    }

    fn count_mark(&mut self) {
        for note in &mut self.notes {
            if let Note::ByteOrderMarks { parts } = note {
                *parts += 1;
                return;
            }
        }
        self.notes.push(Note::ByteOrderMarks { parts: 1 });
    }
}

impl<R: Read + Seek> BackupReader<R> {
    /// Reads everything and compares. Does what [`BackupReader::verify_directory`] and then, for each entry,
    /// [`BackupReader::verify_entry`] do. Whether it is a backup at all, [`BackupReader::require_backup`] says.
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
        let mut problems: Problems = self.lost_directory.iter().cloned().collect();
        if let Some(Err(error)) = &self.manifest {
            problems.push(error.clone());
        }
        if let Some(manifest) = self.sound_manifest() {
            let in_order = self.verify_names(manifest, &mut problems);
            if !self.is_repacked() {
                self.verify_layout(in_order, &mut problems);
            }
            let unknown =
                self.entries.iter().zip(&self.roles).filter(|(_, role)| matches!(role, Role::Other));
            for (entry, _) in unknown {
                let message = "the manifest does not name an entry";
                problems.push(Error::new(ErrorKind::BadManifest, message).on(entry.name.as_str()));
            }
        }
        let has_manifest = self.sound_manifest().is_some();
        Verdict { problems, notes: self.notes(), entries: 0, documents: 0, has_manifest }
    }

    /// The same, and each entry that the directory alone shows to be unreadable: all that can be said without reading.
    pub fn verify_unread(&self) -> Verdict {
        let mut verdict = self.verify_directory();
        verdict.problems.extend(self.entries.iter().filter_map(Entry::problem));
        verdict
    }

    /// Whether this is a backup at all: it has a manifest, be it damaged, or documents.
    ///
    /// # Errors
    /// `missing-entry` where it has neither. Of an archive without its directory nobody can tell.
    pub fn require_backup(&self) -> Result<()> {
        let documents = |role: &Role| matches!(role, Role::Part(_));
        if self.lost_directory.is_some() || self.manifest.is_some() || self.roles.iter().any(documents) {
            return Ok(());
        }
        let message = "this is no backup: it has neither a manifest nor documents";
        Err(Error::new(ErrorKind::MissingEntry, message)
            .on(MANIFEST_NAME)
            .expected("manifest.json, or entries that end in .jsonl.br", self.first_names()))
    }

    /// The first entries, for a person who wonders which file this is.
    fn first_names(&self) -> String {
        let names: Vec<&str> = self.entries.iter().take(3).map(|entry| entry.name.as_str()).collect();
        match self.entries.len() {
            0 => "no entry".to_owned(),
            all if all > names.len() => format!("{} and {} more", names.join(", "), all - names.len()),
            _ => names.join(", "),
        }
    }

    /// Compares what the manifest names with what is there; answers whether all of it lies in the manifest's order.
    fn verify_names(&self, manifest: &Manifest, problems: &mut Problems) -> bool {
        let (mut in_order, mut last) = (true, None);
        for (name, size) in named(manifest) {
            let Some(at) = self.index.get(&self.entries, name) else {
                problems.push(self.missing(name));
                continue;
            };
            in_order &= last < Some(at);
            last = Some(at);
            let found = self.entries.get(at).map_or(0, |entry| entry.size);
            if found != size {
                let message = "an entry has not the size that the manifest says";
                problems.push(Error::new(ErrorKind::DamagedEntry, message).on(name).expected(size, found));
            }
        }
        in_order && last < self.index.get(&self.entries, MANIFEST_NAME)
    }

    /// Compares the layout of the ZIP with the only one that FORMAT.md section 2 lets a writer choose.
    fn verify_layout(&self, in_order: bool, problems: &mut Problems) {
        if !self.canonical && self.lost_directory.is_none() {
            let message = "the ZIP headers are not those that a backup has";
            let error = Error::new(ErrorKind::DamagedDirectory, message);
            problems.push(match self.entries.iter().find(|entry| !entry.canonical) {
                Some(entry) => error.on(entry.name.as_str()),
                None => error.on("the end of the archive"),
            });
        }
        if !in_order {
            let message = "the entries are not in the order of the manifest";
            problems.push(Error::new(ErrorKind::DamagedDirectory, message));
        }
    }

    /// Whether another program has packed all of the archive: a fault in a header of ours would be in one entry.
    pub(super) fn is_repacked(&self) -> bool {
        self.lost_directory.is_none() && self.entries.iter().all(|entry| !entry.canonical)
    }

    /// Reads one entry, counted as in [`BackupReader::entries`], and adds to the verdict what is wrong with it.
    ///
    /// # Errors
    /// As [`BackupReader::verify`].
    pub fn verify_entry(&mut self, at: usize, verdict: &mut Verdict, progress: OnProgress<'_>) -> Result<()> {
        let result = match self.kind(at) {
            EntryKind::Part => self.verify_part(at, verdict, progress),
            _ => self.read_content(at, &mut |_| (), progress),
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

    /// Reads the entry of this name as [`BackupReader::verify_entry`] does; answers what is wrong with it, be it that it is
    /// missing.
    ///
    /// # Errors
    /// As [`BackupReader::verify`].
    pub fn verify_named(&mut self, name: &str, progress: OnProgress<'_>) -> Result<Problems> {
        let mut verdict = Verdict::default();
        match self.find(name) {
            Ok(at) => self.verify_entry(at, &mut verdict, progress)?,
            Err(missing) => verdict.problems.push(missing),
        }
        Ok(verdict.problems)
    }

    /// The digest of a file, as it is read; with a manifest, once it was compared with that.
    ///
    /// # Errors
    /// What is wrong with the file, `io`, and those of `progress`.
    pub fn verified_digest(&mut self, path: &str, progress: OnProgress<'_>) -> Result<Sha256> {
        let at = self.find(path)?;
        let mut hasher = Hasher::default();
        self.read_content(at, &mut |bytes| hasher.update(bytes), progress)?;
        progress(self.entries.get(at).map_or(0, |entry| entry.stored_size))?;
        Ok(hasher.finish())
    }

    /// Reads an entry that is no part to its end.
    fn read_content(
        &mut self,
        at: usize,
        on_bytes: &mut dyn FnMut(&[u8]),
        progress: OnProgress<'_>,
    ) -> Result<()> {
        // A million small entries need no large buffer each.
        let size = self.entries.get(at).map_or(0, |entry| entry.size);
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(BLOCK_BYTES).clamp(1, BLOCK_BYTES)];
        let mut content = self.open_entry(at)?;
        loop {
            let count = content.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            on_bytes(bytes);
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
        if documents.has_mark() {
            verdict.count_mark();
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
        let collection = manifest.collection(file.record.collection.as_str());
        let parts = collection.map_or(&[][..], |collection| &collection.parts);
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
