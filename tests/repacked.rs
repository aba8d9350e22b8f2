//! A backup that was unpacked and packed again reads as it did before: Safari unpacks a download by itself, Finder puts
//! a folder on top and adds files of its own, PowerShell writes backslashes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::codec;
use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_archive::reader::{BackupReader, Entry, EntryKind, Note};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use support::fake::{Fake, archive, fake};
use support::{File, Lines, awkward, backup, receipts};
use unicode_normalization::UnicodeNormalization as _;

type Reader<'a> = BackupReader<Cursor<&'a [u8]>>;

fn open(bytes: &[u8]) -> Reader<'_> {
    BackupReader::open(Cursor::new(bytes)).unwrap()
}

/// What a program makes of the unpacked files.
#[derive(Debug, Clone, Copy)]
struct Habit {
    folder: &'static str,
    backslashes: bool,
    decomposed: bool,
    macos: bool,
    folders: bool,
}

fn habit() -> impl Strategy<Value = Habit> {
    let folder = prop::sample::select(vec!["", "DiKAS 2026-11-23/", "über/uns/", "attachments/"]);
    (folder, any::<[bool; 4]>()).prop_map(|(folder, [backslashes, decomposed, macos, folders])| Habit {
        folder,
        backslashes,
        decomposed,
        macos,
        folders,
    })
}

/// The entries of an archive: name and content.
fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = open(bytes);
    let names: Vec<String> = reader.entries().iter().map(|entry| entry.name.clone()).collect();
    names.into_iter().map(|name| (name.clone(), content(&mut reader, &name))).collect()
}

fn content(reader: &mut Reader<'_>, name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    reader.entry(name).unwrap().read_to_end(&mut content).unwrap();
    content
}

fn packed_again(files: &[(String, Vec<u8>)], habit: Habit) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |name: &str, content: &[u8]| {
        let name = match habit.decomposed {
            true => name.nfd().collect(),
            false => name.to_owned(),
        };
        let entry = fake(&if habit.backslashes { name.replace('/', "\\") } else { name }, content);
        all.push(if habit.backslashes { Fake { made_by: 20, external: 0, ..entry } } else { entry });
    };
    if habit.folders && !habit.folder.is_empty() {
        add(habit.folder, b"");
        add(&format!("{}attachments/", habit.folder), b"");
    }
    // In the order of a file system's folder, not in that of the format.
    for (name, content) in files.iter().rev() {
        add(&format!("{}{name}", habit.folder), content);
        if habit.macos {
            let whole = format!("{}{name}", habit.folder);
            let (folder, file) = whole
                .rsplit_once('/')
                .map_or((String::new(), whole.as_str()), |(folder, file)| (format!("{folder}/"), file));
            add(&format!("__MACOSX/{folder}._{file}"), b"\0\x05\x16\x07");
        }
    }
    if habit.macos {
        add(&format!("{}.DS_Store", habit.folder), b"Bud1");
        if let Some(folder) = habit.folder.strip_suffix('/') {
            let at = folder.rfind('/').map_or(0, |at| at + 1);
            add(&format!("__MACOSX/{}._{}", &folder[..at], &folder[at..]), b"");
        }
    }
    archive(&all)
}

/// Every document by its collection, and every attachment by its owner.
fn holds(bytes: &[u8]) -> (BTreeMap<String, Sha256>, BTreeMap<String, Sha256>) {
    let mut reader = open(bytes);
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    assert!(summary.problems.is_empty(), "{:?}", summary.problems);
    let (mut documents, mut files) = (BTreeMap::new(), BTreeMap::new());
    for collection in summary.collections {
        let mut all = Vec::new();
        for part in collection.parts {
            let mut lines = reader.documents(&part).unwrap();
            while let Some((_, line)) = lines.next_document().unwrap() {
                all.extend([line, b"\n"].concat());
            }
        }
        documents.insert(collection.name, Sha256::of(&all));
    }
    for file in summary.attachments {
        let owner = format!("{:?} {:?} {}", file.collection, file.id, file.name);
        files.insert(owner, Sha256::of(&content(&mut reader, &file.path)));
    }
    (documents, files)
}

fn shop() -> Vec<u8> {
    let files: Vec<File<'_>> = vec![
        ("articles", "a/b%20ä", "Größe.txt", b"1"),
        ("articles", "b", "._x", b"of a person"),
        ("articles", "b", "manifest.json", b"{}"),
        ("articles", "b", "x", b"2"),
        ("articles", "b", "x.jsonl.br", b"no part"),
        ("articles", "c", "a\\b.txt", b"3"),
    ];
    let collections: Vec<Lines<'_>> =
        vec![("articles", awkward()), ("receipts", receipts(0, 50)), ("vouchers", Vec::new())];
    backup(&collections, &files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_backup_that_was_packed_again_holds_the_same(habit in habit()) {
        let whole = shop();
        let again = packed_again(&entries(&whole), habit);
        prop_assert_eq!(holds(&whole), holds(&again));
        let reader = open(&again);
        prop_assert!(reader.manifest().unwrap().is_some());
        let folder = Note::Folder { name: habit.folder.to_owned() };
        let mut notes = vec![Note::Repacked];
        notes.extend((!habit.folder.is_empty()).then_some(folder));
        prop_assert_eq!(reader.notes(), notes);
        let verdict = open(&again).verify(&mut |_| Ok(())).unwrap();
        prop_assert!(verdict.is_sound(), "{:?}", verdict.problems);
        for (at, entry) in reader.entries().iter().enumerate() {
            prop_assert!(reader.kind(at) != EntryKind::Other, "{}", entry.name);
        }
    }

    #[test]
    fn and_so_does_one_without_a_manifest(habit in habit()) {
        // Without a manifest nothing tells this folder from that of the files.
        prop_assume!(habit.folder != "attachments/");
        let mut files = entries(&shop());
        files.retain(|(name, _)| name != "manifest.json");
        let plain = Habit { folder: "", backslashes: false, decomposed: false, macos: false, folders: false };
        prop_assert_eq!(holds(&packed_again(&files, plain)), holds(&packed_again(&files, habit)));
    }
}

#[test]
fn two_backups_in_one_archive_are_refused_and_both_named() {
    let files = entries(&shop());
    let below = |folder: &str| -> Vec<Fake> {
        files.iter().map(|(name, content)| fake(&format!("{folder}{name}"), content)).collect()
    };
    for (one, other) in [("monday/", "tuesday/"), ("", "copy/")] {
        let bytes = archive(&[below(one), below(other)].concat());
        let error = BackupReader::open(Cursor::new(&bytes[..])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ConflictingEntries);
        assert_eq!(error.actual, Some(format!("{one}manifest.json and {other}manifest.json")));
    }
    // What is not beside the parts that it names does not count.
    let bytes = archive(&[below("monday/"), vec![fake("manifest.json", &files[files.len() - 1].1)]].concat());
    assert_eq!(open(&bytes).notes(), [Note::Repacked, Note::Folder { name: "monday/".to_owned() }]);
}

#[test]
fn names_that_become_equal_are_both_refused() {
    let windows = |name: &str| Fake { made_by: 20, external: 0, ..fake(name, b"x") };
    for (one, other) in [
        (fake("attachments/a/b/ä", b"1"), fake("attachments/a/b/a\u{308}", b"2")),
        (fake("attachments/a/b/c", b"1"), windows("attachments\\a\\b\\c")),
        (fake("attachments/a/b/c", b"1"), fake("./attachments/a/b/c", b"2")),
    ] {
        let bytes = archive(&[one, other, fake("attachments/a/b/sound", b"3")]);
        let reader = open(&bytes);
        let problems: Vec<_> =
            reader.entries().iter().filter_map(Entry::problem).map(|problem| problem.kind).collect();
        assert_eq!(problems, [ErrorKind::ConflictingEntries; 2]);
    }
    // In the backup's folder and beside it.
    let mut files: Vec<Fake> =
        entries(&shop()).iter().map(|(name, content)| fake(&format!("top/{name}"), content)).collect();
    files.push(fake("articles.jsonl.br", b"another"));
    let bytes = archive(&files);
    assert_eq!(open(&bytes).lines("articles.jsonl.br").unwrap_err().kind, ErrorKind::ConflictingEntries);
}

#[test]
fn a_backslash_separates_only_where_the_system_that_packed_has_it_so_and_leads_nowhere_else() {
    let name = |made_by: u16, name: &str| {
        let bytes = archive(&[Fake { made_by, external: 0, ..fake(name, b"x") }]);
        let reader = open(&bytes);
        let entry = &reader.entries()[0];
        (entry.name.clone(), entry.problem().map(|problem| problem.kind))
    };
    assert_eq!(name(20, "attachments\\a\\b\\c"), ("attachments/a/b/c".to_owned(), None));
    assert_eq!(name(10 << 8 | 20, "a\\b"), ("a/b".to_owned(), None));
    assert_eq!(name(3 << 8 | 20, "a\\b"), ("a\\b".to_owned(), Some(ErrorKind::UnsafeName)));
    for bad in ["..\\x", "a\\..\\x", "\\\\host\\share", "\\x", "C:\\x", "a\\\\b"] {
        assert_eq!(name(20, bad).1, Some(ErrorKind::UnsafeName), "{bad}");
    }
}

#[test]
fn what_windows_keeps_of_how_a_folder_looks_is_no_part_of_the_backup() {
    let names = ["desktop.ini", "attachments/a/b/Desktop.INI", "attachments/a/Thumbs.db", "THUMBS.DB"];
    let part = codec::encode(b"{\"_id\":\"b\"}\n").unwrap().bytes;
    let mut all = vec![fake("a.jsonl.br", &part), fake("attachments/a/b/my-desktop.ini", b"of a person")];
    all.extend(names.map(|name| fake(name, b"of Windows")));
    let bytes = archive(&all);
    let mut reader = open(&bytes);
    let kinds: Vec<_> = (2..all.len()).map(|at| reader.kind(at)).collect();
    assert_eq!(kinds, [EntryKind::Addition; 4]);
    assert_eq!(reader.attachments().len(), 1);
    assert!(reader.verify(&mut |_| Ok(())).unwrap().is_sound());
}

#[test]
fn only_what_is_beside_its_file_is_what_macos_adds() {
    let bytes = archive(&[
        fake("attachments/a/b/x", b"1"),
        fake("attachments/a/b/._x", b"\0\x05\x16\x07"),
        fake("attachments/a/b/._mine", b"of a person"),
        fake("__MACOSX/attachments/a/b/._x", b""),
        fake("__MACOSX/attachments/a/._b", b"of a folder"),
        fake("__MACOSX/._nothing", b""),
        fake("__MACOSX/notes.txt", b""),
    ]);
    let reader = open(&bytes);
    let kinds: Vec<_> = (0..reader.entries().len()).map(|at| reader.kind(at)).collect();
    use EntryKind::{Addition, Attachment, Other};
    assert_eq!(kinds, [Attachment, Addition, Attachment, Addition, Addition, Other, Other]);
    let names: Vec<_> = reader.attachments().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["x", "._mine"]);
}
