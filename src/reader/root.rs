//! The folder of an archive that is the backup: the archive itself, unless somebody packed a folder that holds one.

use super::entry::Entry;
use super::names::{self, Index};
use super::refusal::Refusal;
use super::{BackupReader, is_fatal};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::path::ATTACHMENTS;
use std::collections::HashSet;
use std::io::{Read, Seek};

/// The most manifests with parts beside them that are read to find the one that counts.
const MANIFESTS: usize = 8;

/// How the name of a part ends.
pub(super) const PART_ENDING: &str = ".jsonl.br";

impl<R: Read + Seek> BackupReader<R> {
    /// Finds the backup's folder and its manifest, and takes the folder off the names of what is in it.
    pub(super) fn find_root(&mut self) -> Result<()> {
        for at in 0..self.entries.len() {
            let found = self.entries.get(at).map(|entry| self.index.is_addition(&self.entries, &entry.name));
            if let (Some(entry), Some(addition)) = (self.entries.get_mut(at), found) {
                entry.addition = addition;
            }
        }
        let folder = match self.root_by_manifest()? {
            Some((folder, manifest)) => {
                self.manifest = Some(Ok(manifest));
                folder
            }
            None => {
                let folder = self.common_folder();
                self.manifest = self.manifest_in(&folder)?;
                folder
            }
        };
        if !folder.is_empty() {
            self.enter(folder);
        }
        Ok(())
    }

    /// The folder of the one manifest whose parts, or one of them, are beside it.
    fn root_by_manifest(&mut self) -> Result<Option<(String, Manifest)>> {
        let mut found: Option<(String, Manifest)> = None;
        let mut tried: Vec<String> = Vec::new();
        let with_parts = self.part_folders();
        for folder in self.manifest_folders() {
            let is_file_of = |root: &String| {
                folder.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with(ATTACHMENTS))
            };
            if !with_parts.contains(&folder) || tried.iter().any(is_file_of) {
                continue;
            }
            tried.push(folder.clone());
            if let [first, second, ..] = &tried[..]
                && tried.len() > MANIFESTS
            {
                return Err(several(first, second));
            }
            let Some(Ok(manifest)) = self.manifest_in(&folder)? else { continue };
            if !self.holds_parts_of(&folder, &manifest) {
                continue;
            }
            if let Some((other, _)) = &found {
                return Err(several(other, &folder));
            }
            found = Some((folder, manifest));
        }
        Ok(found)
    }

    /// Whether a part that the manifest names is in this folder, if it names any.
    fn holds_parts_of(&self, folder: &str, manifest: &Manifest) -> bool {
        let mut parts = manifest.parts().map(|(_, part)| format!("{folder}{}", part.name)).peekable();
        parts.peek().is_none() || parts.any(|name| self.index.get(&self.entries, &name).is_some())
    }

    /// The folders that hold a `manifest.json`, the highest first, each with its slash.
    fn manifest_folders(&self) -> Vec<String> {
        let entries = self.entries.iter().filter(|entry| !entry.addition);
        let folders = entries.filter_map(|entry| entry.name.strip_suffix(MANIFEST_NAME));
        let mut folders: Vec<String> =
            folders.filter(|folder| folder.is_empty() || folder.ends_with('/')).map(str::to_owned).collect();
        folders.sort_by_cached_key(|folder| (folder.matches('/').count(), folder.clone()));
        folders.dedup();
        folders
    }

    /// The folders in which a part stands, each with its slash.
    fn part_folders(&self) -> HashSet<String> {
        let parts = self.entries.iter().filter(|entry| !entry.addition && entry.name.ends_with(PART_ENDING));
        parts.map(|entry| folder_of(&entry.name).to_owned()).collect()
    }

    /// The manifest of this folder, if any.
    fn manifest_in(&mut self, folder: &str) -> Result<Option<Result<Manifest>>> {
        let Some(at) = self.index.get(&self.entries, &format!("{folder}{MANIFEST_NAME}")) else {
            return Ok(None);
        };
        match self.read_manifest(at) {
            Err(error) if is_fatal(&error) || error.kind == ErrorKind::NewerFormat => Err(error),
            manifest => Ok(Some(manifest)),
        }
    }

    /// The folder that all files are in, where it looks like a backup's.
    fn common_folder(&self) -> String {
        let is_file = |name: &str| !name.ends_with('/') && names::flaw(name).is_none();
        let files = || self.entries.iter().filter(|entry| !entry.addition && is_file(&entry.name));
        let Some(first) = files().next().map(|entry| entry.name.as_str()) else { return String::new() };
        let mut common = folder_of(first);
        for entry in files() {
            while !entry.name.starts_with(common) {
                common = folder_of(common.strip_suffix('/').unwrap_or_default());
            }
        }
        if let Some(at) = find_folder(common, ATTACHMENTS) {
            common = common.get(..at).unwrap_or_default();
        }
        let of_a_backup = |name: &str| {
            let part = !name.contains('/') && name.ends_with(PART_ENDING);
            part || name.starts_with(ATTACHMENTS) || name == MANIFEST_NAME
        };
        let inside = |entry: &Entry| entry.name.strip_prefix(common).is_some_and(of_a_backup);
        match files().any(inside) {
            true => common.to_owned(),
            false => String::new(),
        }
    }

    /// Takes the folder off the names of what is in it.
    fn enter(&mut self, folder: String) {
        for entry in &mut self.entries {
            if let Some(name) = entry.name.strip_prefix(&folder).filter(|name| !name.is_empty()) {
                let name = name.to_owned();
                let whole = std::mem::replace(&mut entry.name, name);
                entry.raw_name.get_or_insert_with(|| whole.into_bytes().into());
                // A drive is none behind a folder, and one without it.
                if let Some(flaw) = names::flaw(&entry.name) {
                    entry.refuse(Refusal::Name(flaw));
                }
            }
        }
        self.index = Index::of(&self.entries);
        match self.lost_directory {
            Some(_) => self.index.refuse_repeated(&mut self.entries),
            None => self.index.refuse_duplicates(&mut self.entries),
        }
        self.canonical = false;
        self.folder = folder;
    }
}

/// The folder that a name is in, with its slash.
fn folder_of(name: &str) -> &str {
    name.rfind('/').and_then(|at| name.get(..=at)).unwrap_or_default()
}

/// Where a folder of this name, with its slash, begins in a path.
fn find_folder(path: &str, name: &str) -> Option<usize> {
    path.match_indices(name)
        .map(|(at, _)| at)
        .find(|at| *at == 0 || path.as_bytes().get(at - 1) == Some(&b'/'))
}

fn several(one: &str, other: &str) -> Error {
    let message = "the archive holds several backups: unpack it, and use one of them";
    Error::new(ErrorKind::ConflictingEntries, message).on(format!("{other}{MANIFEST_NAME}")).expected(
        "one manifest with its parts beside it",
        format!("{one}{MANIFEST_NAME} and {other}{MANIFEST_NAME}"),
    )
}
