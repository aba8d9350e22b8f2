//! What is in a backup, for people: from the manifest, or told by looking at every document.

use super::{BLOCK_BYTES, BackupReader, Entry, EntryKind, Lines, Note, OnProgress, Role, is_fatal};
use crate::catalog::{self, Category};
use crate::document::{self, Document};
use crate::error::{ErrorKind, Result};
use crate::limits::Limits;
use crate::manifest::AttachmentEntry;
use crate::path::ATTACHMENTS;
use crate::problems::Problems;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Seek};

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its collections, in the order of their names as bytes.
    pub collections: Vec<CollectionInfo>,
    /// Its attachments, in the order of the archive.
    pub attachments: Vec<AttachmentInfo>,
    /// What the directory and the manifest show to be wrong, and what could not be read while looking: without a manifest
    /// every part is read, with one none is.
    #[serde(flatten)]
    pub problems: Problems,
    /// What is unusual and takes nothing from the backup.
    pub notes: Vec<Note>,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionInfo {
    /// Its name; without a manifest, for documents that nobody knows, the stem of the part's name.
    pub name: String,
    /// Its category.
    pub category: Category,
    /// How many documents.
    pub documents: u64,
    /// Bytes of JSON lines, line feeds included.
    pub bytes: u64,
    /// The entries with documents of it.
    pub parts: Vec<String>,
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct AttachmentInfo {
    /// The name of the entry.
    pub path: String,
    /// Collection of the owner, where it is known.
    pub collection: Option<String>,
    /// `_id` of the owner, where it is known; without a manifest, the folder's name.
    pub id: Option<String>,
    /// File name.
    pub name: String,
    /// Media type, where a manifest says it.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Size in bytes.
    pub size: u64,
}

/// An [`AttachmentInfo`], as an open archive keeps it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the same fields")]
pub struct Attachment<'a> {
    pub path: &'a str,
    pub collection: Option<&'a str>,
    pub id: Option<&'a str>,
    pub name: &'a str,
    pub media_type: Option<&'a str>,
    pub size: u64,
}

impl<R: Read + Seek> BackupReader<R> {
    /// What is in the backup. Without a manifest this reads every part.
    ///
    /// # Errors
    /// `io`, those of `progress`, and `limit-exceeded` when the parts hold more than
    /// [`Limits::lines_bytes`](crate::limits::Limits::lines_bytes); what is damaged stands in [`Summary::problems`].
    pub fn summary(&mut self, progress: OnProgress<'_>) -> Result<Summary> {
        let (attachments, notes) = (self.attachments(), self.notes());
        let mut problems = self.verify_unread().problems;
        if let Some(manifest) = self.sound_manifest() {
            let collections = manifest.collections.iter().map(|collection| CollectionInfo {
                name: collection.name.to_string(),
                category: collection.category,
                documents: collection.documents,
                bytes: collection.bytes,
                parts: collection.parts.iter().map(|part| part.name.clone()).collect(),
            });
            return Ok(Summary { collections: collections.collect(), attachments, problems, notes });
        }
        let mut found = BTreeMap::new();
        let mut left = self.limits.lines_bytes;
        for at in 0..self.entries.len() {
            if self.kind(at) == EntryKind::Part
                && let Err(error) = self.look_through(at, &mut left, &mut found, progress)
            {
                let used_up = error.kind == ErrorKind::LimitExceeded && left == 0;
                if is_fatal(&error) || used_up {
                    return Err(error);
                }
                problems.push_new(error);
            }
        }
        Ok(Summary { collections: found.into_values().collect(), attachments, problems, notes })
    }

    fn look_through(
        &mut self,
        at: usize,
        left: &mut u64,
        found: &mut BTreeMap<String, CollectionInfo>,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let Some((part, stored)) = self.entries.get(at).map(|entry| (entry.name.clone(), entry.stored_size))
        else {
            return Ok(());
        };
        let limits = Limits { entry_bytes: self.limits.entry_bytes.min(*left), ..self.limits.clone() };
        let mut read = 0;
        let counted = self.lines_within(at, limits).and_then(|mut lines| {
            let counted = count(&mut lines, &part, found, progress);
            *left = left.saturating_sub(lines.bytes());
            read = lines.documents();
            counted
        });
        if read == 0 {
            // Empty, or so damaged that nothing of it can be read: its name says which collection that concerns.
            let name = stem(&part);
            found.entry(name.to_owned()).or_insert_with(|| empty(name, catalog::category_of(name)));
        }
        counted.and_then(|()| progress(stored))
    }

    /// The attachments, in the order of the archive. A manifest says which there have to be: also those that are missing.
    /// Without one their folders name the owners.
    pub fn attachments(&self) -> Vec<AttachmentInfo> {
        self.each_attachment().map(AttachmentInfo::from).collect()
    }

    /// The same one by one, without a copy of what a backup may have a hundred thousand of.
    pub fn each_attachment(&self) -> impl Iterator<Item = Attachment<'_>> {
        let announced = self.sound_manifest().into_iter().flat_map(|manifest| &manifest.attachments);
        let found = self.entries.iter().zip(&self.roles);
        let found = found.filter(|(_, role)| matches!(role, Role::Attachment(None)));
        announced.map(Attachment::announced).chain(found.map(|(entry, _)| Attachment::found(entry)))
    }

    /// The places of the attachments that no manifest announces, counted as in [`BackupReader::entries`].
    pub(crate) fn unannounced(&self) -> Vec<usize> {
        let roles = self.roles.iter().enumerate();
        roles.filter(|(_, role)| matches!(role, Role::Attachment(None))).map(|(at, _)| at).collect()
    }

    /// The attachment of this number, counted as in [`BackupReader::each_attachment`], whose `unannounced` are known.
    pub(crate) fn attachment_at(&self, unannounced: &[usize], number: usize) -> Option<Attachment<'_>> {
        let announced = self.sound_manifest().map_or(&[][..], |manifest| &manifest.attachments);
        match number.checked_sub(announced.len()) {
            None => announced.get(number).map(Attachment::announced),
            Some(at) => self.entries.get(*unannounced.get(at)?).map(Attachment::found),
        }
    }
}

impl<'a> Attachment<'a> {
    fn announced(AttachmentEntry { path, record }: &'a AttachmentEntry) -> Self {
        Self {
            path,
            collection: Some(record.collection.as_str()),
            id: Some(&record.id),
            name: &record.name,
            media_type: Some(&record.media_type),
            size: record.size,
        }
    }

    fn found(entry: &'a Entry) -> Self {
        let path = entry.name.strip_prefix(ATTACHMENTS).unwrap_or(&entry.name);
        let mut segments = path.splitn(3, '/');
        let (collection, id, name) = match (segments.next(), segments.next(), segments.next()) {
            (Some(collection), Some(id), Some(name)) => (Some(collection), Some(id), name),
            _ => (None, None, path),
        };
        Self { path: &entry.name, collection, id, name, media_type: None, size: entry.size }
    }
}

impl From<Attachment<'_>> for AttachmentInfo {
    fn from(Attachment { path, collection, id, name, media_type, size }: Attachment<'_>) -> Self {
        Self {
            path: path.to_owned(),
            collection: collection.map(str::to_owned),
            id: id.map(str::to_owned),
            name: name.to_owned(),
            media_type: media_type.map(str::to_owned),
            size,
        }
    }
}

/// Adds the documents of a part to what was found.
fn count<R: Read + Seek>(
    lines: &mut Lines<'_, R>,
    part: &str,
    found: &mut BTreeMap<String, CollectionInfo>,
    progress: OnProgress<'_>,
) -> Result<()> {
    let mut reported = 0;
    let mut number = 0_u64;
    while let Some(line) = lines.next_line()? {
        number += 1;
        let document = document::parse(line).map_err(|error| error.on(format!("{part}, line {number}")))?;
        let (name, category) = collection_of(&document, part);
        let bytes = line.len() as u64 + 1;
        let info = match found.get_mut(name) {
            Some(info) => info,
            None => found.entry(name.to_owned()).or_insert_with(|| empty(name, category)),
        };
        info.documents += 1;
        info.bytes += bytes;
        if info.parts.last().map(String::as_str) != Some(part) {
            info.parts.push(part.to_owned());
        }
        if lines.bytes() - reported >= BLOCK_BYTES as u64 {
            reported = lines.bytes();
            progress(0)?;
        }
    }
    Ok(())
}

fn empty(name: &str, category: Category) -> CollectionInfo {
    CollectionInfo { name: name.to_owned(), category, documents: 0, bytes: 0, parts: Vec::new() }
}

/// The collection of a document in a backup without a manifest, and its category: told by its `documentType`, else by
/// its id, else by the name of the part that it stands in.
pub fn collection_of<'a>(document: &Document, part: &'a str) -> (&'a str, Category) {
    if let Some(row) = catalog::recognise(document.document_type.as_deref(), &document.id) {
        return (row.name, row.category);
    }
    (stem(part), catalog::category_of(stem(part)))
}

/// The collection that the name of a part tells.
pub(crate) fn stem(part: &str) -> &str {
    let file = part.rsplit('/').next().unwrap_or(part);
    file.split('.').next().unwrap_or(file)
}
