//! The names of entries. A program that packs a folder again may write `\` for `/` and letters in pieces, put a folder
//! on top, and add files of its own. Names are brought into one form first; every rule is then applied to that form.

use super::entry::Entry;
use super::refusal::{NameFlaw, Refusal};
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

/// What Windows keeps of a folder's looks and of the pictures in it, in any case of its letters.
const WINDOWS_LOOKS: [&str; 2] = ["desktop.ini", "Thumbs.db"];

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

/// What keeps this name from staying inside the folder that it is unpacked to, on every system.
pub(super) fn flaw(name: &str) -> Option<NameFlaw> {
    if name == THIS_FOLDER {
        return None;
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    if name.contains(['\\', '\0', char::REPLACEMENT_CHARACTER]) {
        Some(NameFlaw::Characters)
    } else if name.starts_with('/') {
        Some(NameFlaw::Absolute)
    } else if name.get(1..2) == Some(":") {
        Some(NameFlaw::Drive)
    } else if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        Some(NameFlaw::Segment)
    } else {
        None
    }
}

/// What was found without a directory, and where each name is. All but the first entry of a name are refused: what comes
/// later may stand within a file that was cut and is an archive itself.
pub(super) fn without_repeated(mut entries: Vec<Entry>) -> (Vec<Entry>, Index) {
    let index = Index::of(&entries);
    index.refuse_repeated(&mut entries);
    (entries, index)
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

    /// Refuses all entries whose names are equal, unless they are folders: those hold nothing.
    pub(super) fn refuse_duplicates(&self, entries: &mut [Entry]) {
        for (one, next) in self.equal(entries) {
            refuse(entries, one, Refusal::SameName);
            refuse(entries, next, Refusal::SameName);
        }
    }

    /// Refuses all but the first entry of a name.
    pub(super) fn refuse_repeated(&self, entries: &mut [Entry]) {
        for (_, next) in self.equal(entries) {
            refuse(entries, next, Refusal::NameBefore);
        }
    }

    /// Each two files of the same name that follow each other.
    fn equal(&self, entries: &[Entry]) -> Vec<(usize, usize)> {
        let pairs = self.0.iter().copied().zip(self.0.iter().copied().skip(1));
        let equal = |(one, next): &(usize, usize)| {
            name(entries, *one) == name(entries, *next) && !entries.get(*one).is_some_and(is_folder)
        };
        pairs.filter(equal).collect()
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
    /// name behind `._`, beside it or below `__MACOSX/`; or what macOS or Windows keeps of how a folder looks.
    pub(super) fn is_addition(&self, entries: &[Entry], name: &str) -> bool {
        let beside = name.strip_prefix(MACOS_FOLDER).unwrap_or(name);
        let (folder, file) = beside.rfind('/').map_or(("", beside), |at| beside.split_at(at + 1));
        let Some(file) = file.strip_prefix("._").filter(|file| !file.is_empty()) else {
            return file == MACOS_WINDOW
                || WINDOWS_LOOKS.iter().any(|looks| file.eq_ignore_ascii_case(looks));
        };
        let owner = format!("{folder}{file}");
        self.get(entries, &owner).is_some() || self.below(entries, &format!("{owner}/")).next().is_some()
    }
}

fn refuse(entries: &mut [Entry], at: usize, refusal: Refusal) {
    entries.get_mut(at).into_iter().for_each(|entry| entry.refuse(refusal));
}

fn is_folder(entry: &Entry) -> bool {
    entry.name.ends_with('/')
}

fn name(entries: &[Entry], at: usize) -> Option<&str> {
    entries.get(at).map(|entry| entry.name.as_str())
}
