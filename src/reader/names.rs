//! The names of entries. A program that packs a folder again may write `\` for `/` and letters in pieces, put a folder
//! on top, and add files of its own. Names are brought into one form first; every rule is then applied to that form.

use super::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use std::collections::{HashMap, HashSet};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The systems of "version made by" (APPNOTE.TXT section 4.4.2) whose separator is the backslash: FAT, HPFS, NTFS,
/// VFAT.
const BACKSLASH_SYSTEMS: [u16; 4] = [0, 6, 10, 14];

/// The folder that was packed.
const THIS_FOLDER: &str = "./";

/// The folder in which macOS keeps its additions apart.
const MACOS_FOLDER: &str = "__MACOSX/";

/// What macOS keeps of a folder's window.
const MACOS_WINDOW: &str = ".DS_Store";

/// Whether a backslash in a name separates folders, by the system that the archive was made on.
pub(super) fn has_backslashes(made_by: u16) -> bool {
    BACKSLASH_SYSTEMS.contains(&(made_by >> 8))
}

/// The one form of a name: `/` between folders, in NFC, without the `./` in front with which some tools write the
/// folder that they pack.
pub(super) fn normalised(mut name: String, backslashes: bool) -> String {
    if backslashes && name.contains('\\') {
        name = name.replace('\\', "/");
    }
    if let Some(rest) = name.strip_prefix(THIS_FOLDER).filter(|rest| !rest.is_empty()) {
        name = rest.to_owned();
    }
    match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => name,
        _ => name.nfc().collect(),
    }
}

/// Fails unless this name stays inside the folder that it is unpacked to, on every system.
pub(super) fn check(name: &str) -> Result<()> {
    if name == THIS_FOLDER {
        return Ok(());
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    let reason = if name.contains(['\\', '\0', char::REPLACEMENT_CHARACTER]) {
        "it has a backslash, a zero or bytes that are no text"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.get(1..2) == Some(":") {
        "it begins with a drive"
    } else if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "it has an empty segment, . or .."
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::UnsafeName, format!("an entry's name is not safe: {reason}")))
}

/// Refuses all entries whose names are equal, unless they are folders: those hold nothing.
pub(super) fn refuse_duplicates(entries: &mut [Entry]) {
    let mut counts: HashMap<&str, u32> = HashMap::with_capacity(entries.len());
    for entry in entries.iter() {
        *counts.entry(entry.name.as_str()).or_default() += 1;
    }
    let twice: Vec<bool> = entries.iter().map(|entry| counts.get(entry.name.as_str()) > Some(&1)).collect();
    for (entry, _) in entries.iter_mut().zip(twice).filter(|(entry, twice)| *twice && !is_folder(entry)) {
        entry.refuse(Error::new(ErrorKind::ConflictingEntries, "two entries have the same name"));
    }
}

/// Refuses all but the first entry of a name: what comes later may stand within a file that was cut and is an archive
/// itself.
pub(super) fn refuse_repeated(entries: &mut [Entry]) {
    let mut names = HashSet::with_capacity(entries.len());
    let repeated: Vec<bool> = entries.iter().map(|entry| !names.insert(entry.name.as_str())).collect();
    for (entry, _) in
        entries.iter_mut().zip(repeated).filter(|(entry, repeated)| *repeated && !is_folder(entry))
    {
        entry.refuse(Error::new(ErrorKind::ConflictingEntries, "an entry before has the same name"));
    }
}

/// The places of entries, in the order of their names.
#[derive(Debug)]
pub(super) struct Index(Vec<usize>);

impl Index {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut places: Vec<usize> = (0..entries.len()).collect();
        places.sort_by_key(|at| name(entries, *at));
        Self(places)
    }

    /// The entry of this name, the first one where there are several.
    pub(super) fn get(&self, entries: &[Entry], wanted: &str) -> Option<usize> {
        let at = self.below(entries, wanted).next()?;
        (name(entries, at) == Some(wanted)).then_some(at)
    }

    /// The entries whose names begin like this, in the order of their names.
    pub(super) fn below(&self, entries: &[Entry], prefix: &str) -> impl Iterator<Item = usize> {
        let from = self.0.partition_point(|at| name(entries, *at) < Some(prefix));
        let rest = self.0.get(from..).unwrap_or_default().iter().copied();
        rest.take_while(move |at| name(entries, *at).is_some_and(|name| name.starts_with(prefix)))
    }

    /// Whether this is what macOS adds beside a file or folder that is there too: its attributes in a file of the same
    /// name behind `._`, beside it or below `__MACOSX/`; or how its window looks.
    pub(super) fn is_addition(&self, entries: &[Entry], name: &str) -> bool {
        let beside = name.strip_prefix(MACOS_FOLDER).unwrap_or(name);
        let (folder, file) = beside.rfind('/').map_or(("", beside), |at| beside.split_at(at + 1));
        let Some(file) = file.strip_prefix("._").filter(|file| !file.is_empty()) else {
            return file == MACOS_WINDOW;
        };
        let owner = format!("{folder}{file}");
        self.get(entries, &owner).is_some() || self.below(entries, &format!("{owner}/")).next().is_some()
    }
}

fn is_folder(entry: &Entry) -> bool {
    entry.name.ends_with('/')
}

fn name(entries: &[Entry], at: usize) -> Option<&str> {
    entries.get(at).map(|entry| entry.name.as_str())
}
