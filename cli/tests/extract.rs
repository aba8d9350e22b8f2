//! `extract`: what comes out is what other tools unpack, and whatever an archive says, nothing leaves the folder.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;
use support::{Entries, assert_ended, dikas_backup, entries, lines, pack, sample, stderr, stdout};

fn extract(archive: &Path, folder: &Path, arguments: &[&str]) -> Output {
    dikas_backup().arg("extract").arg(archive).arg("-o").arg(folder).args(arguments).output().unwrap()
}

/// Every file below a folder with its content; links are not followed.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// What other tools' code takes out of an archive: documents sorted by their ids, files by their paths.
fn expected(archive: &Path) -> (BTreeMap<String, BTreeSet<Vec<u8>>>, Entries) {
    let documents = lines(archive).into_iter().map(|(name, lines)| (name, lines.into_iter().collect()));
    let mut files = entries(archive);
    files.retain(|name, _| name.starts_with("attachments/"));
    (documents.collect(), files)
}

#[test]
fn all_of_a_backup_comes_out_as_other_tools_unpack_it() {
    let Some(sample) = sample() else { return };
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new").join("folder");
    let done = extract(&sample, &target, &["--json"]);
    assert_ended(&done, 0);
    let told: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!((&told["documents"], &told["attachments"]), (&21_892.into(), &72.into()));

    let mut found = files(&target);
    assert_eq!(
        told["bytes"].as_u64().unwrap(),
        found.values().map(|content| content.len() as u64).sum::<u64>()
    );
    let (documents, attachments) = expected(&sample);
    for (name, content) in attachments {
        assert!(found.remove(&name).unwrap() == content, "{name}");
    }
    for (collection, lines) in documents {
        let content = found.remove(&format!("{collection}.jsonl")).unwrap();
        assert!(
            content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<BTreeSet<_>>()
                == lines
        );
    }
    assert!(found.is_empty(), "{:?}", found.keys());

    // What is there stays, unless somebody says otherwise.
    fs::write(target.join("tables.jsonl"), "mine").unwrap();
    let again = extract(&sample, &target, &["--collection", "tables"]);
    assert_ended(&again, 1);
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    assert_eq!(fs::read(target.join("tables.jsonl")).unwrap(), b"mine");
    assert_ended(&extract(&sample, &target, &["--collection", "tables", "--force"]), 0);
    assert_eq!(fs::read_to_string(target.join("tables.jsonl")).unwrap().lines().count(), 20);
}

#[test]
fn only_what_was_asked_for_comes_out() {
    let Some(sample) = sample() else { return };
    let names = |arguments: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        assert_ended(&extract(&sample, folder.path(), arguments), 0);
        files(folder.path()).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(
        names(&["--collection", "tables", "--collection", "employees"]),
        ["employees.jsonl", "tables.jsonl"]
    );
    let attachments: Vec<String> = expected(&sample).1.into_keys().collect();
    assert_eq!(names(&["--attachments"]), attachments);
    let mut articles = names(&["--attachments", "--collection", "articles"]);
    assert_eq!(articles.remove(0), "articles.jsonl");
    let of_articles = attachments.iter().filter(|name| name.starts_with("attachments/articles/"));
    assert!(!articles.is_empty() && articles.iter().eq(of_articles));
    let folder = tempfile::tempdir().unwrap();
    assert_ended(&extract(&sample, folder.path(), &["--collection", "nothing"]), 2);
}

#[test]
fn what_is_damaged_does_not_come_out_and_all_else_does() {
    let Some(sample) = sample() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(&sample).unwrap();
    let (name, content) = expected(&sample).1.pop_first().unwrap();
    assert!(content.len() > 100);
    // The name stands in the local header first, and the content behind it.
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
    bytes[at + 60] ^= 1;
    let damaged = folder.path().join("damaged.zip");
    fs::write(&damaged, bytes).unwrap();
    let target = folder.path().join("out");
    let done = extract(&damaged, &target, &[]);
    assert_ended(&done, 1);
    assert!(stderr(&done).contains(&name), "{}", stderr(&done));
    assert!(stdout(&done).contains("21892 documents and 71 files"), "{}", stdout(&done));
    let found = files(&target);
    assert_eq!(found.len(), 8 + 71);
    assert!(!found.contains_key(&name));
}

/// A part with one document that nobody knows.
fn part(id: &str) -> Vec<u8> {
    dikas_archive::codec::encode(format!("{{\"_id\":\"{id}\"}}\n").as_bytes()).unwrap().bytes
}

#[test]
fn names_that_want_to_leave_the_folder_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = folder.path().join("in").join("hostile.zip");
    fs::create_dir(folder.path().join("in")).unwrap();
    let names = [
        "attachments/../../evil.txt",
        "attachments/articles/../../../evil.txt",
        "/evil.txt",
        "attachments//evil.txt",
        "attachments/articles/..\\..\\..\\evil.txt",
        "attachments/articles/C:\\evil.txt",
        "attachments/articles/a\u{1b}[2J\u{202e}/evil.txt",
        "attachments/con/nul.txt",
        "attachments/articles/.dikas-backup.part",
        "../evil.jsonl.br",
        "..\\evil.jsonl.br",
        "con.jsonl.br",
    ];
    let mut archive: Entries =
        names.iter().map(|name| ((*name).to_owned(), part(name.trim_start_matches(|c| c != 'e')))).collect();
    archive.insert("attachments/articles/art_1/good.txt".to_owned(), b"good".to_vec());
    archive.insert("sound.jsonl.br".to_owned(), part("sound"));
    pack(&hostile, &archive);

    let target = folder.path().join("out");
    let done = extract(&hostile, &target, &[]);
    let shown = format!("{}{}", stdout(&done), stderr(&done));
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    assert!(matches!(done.status.code(), Some(1 | 2)), "{shown}");
    for (name, _) in files(folder.path()) {
        assert!(name.starts_with("out/") || name == "in/hostile.zip", "{name}");
        let segments = name.split('/').map(|segment| segment.split('.').next().unwrap().to_lowercase());
        assert!(
            !name.contains(['\\', ':', '\u{1b}']) && !segments.clone().any(|it| it == "con" || it == "nul"),
            "{name}"
        );
        assert!(!name.contains(".dikas-backup-"), "an unfinished file was left: {name}");
    }
}

#[test]
fn links_in_the_folder_lead_nowhere() {
    let Some(sample) = sample() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (outside, target) = (folder.path().join("outside"), folder.path().join("out"));
    for made in [&outside, &target] {
        fs::create_dir(made).unwrap();
    }
    fs::write(outside.join("precious"), "precious").unwrap();
    let untouched = || {
        let found = files(&outside);
        found.len() == 1 && found["precious"] == b"precious"
    };
    symlink(&outside, target.join("attachments")).unwrap();
    symlink(outside.join("precious"), target.join("tables.jsonl")).unwrap();
    symlink(outside.join("new"), target.join("employees.jsonl")).unwrap();

    let done = extract(&sample, &target, &["--json"]);
    assert_ended(&done, 1);
    let told: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!(told["attachments"], 0);
    assert_eq!(told["problems"].as_array().unwrap().len(), 72 + 2);
    assert!(untouched());

    // With --force the links go, and not what they led to; a link in the place of a folder is still none.
    let forced = extract(&sample, &target, &["--force"]);
    assert_ended(&forced, 1);
    assert!(untouched());
    assert!(target.join("tables.jsonl").symlink_metadata().unwrap().is_file());
    assert_eq!(files(&target).len(), 8);
    // The folder itself is what the person chose, be it a link.
    let link = folder.path().join("link");
    let chosen = folder.path().join("chosen");
    fs::create_dir(&chosen).unwrap();
    symlink(&chosen, &link).unwrap();
    assert_ended(&extract(&sample, &link, &["--collection", "tables"]), 0);
    assert_eq!(files(&chosen).into_keys().collect::<Vec<_>>(), ["tables.jsonl"]);
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    let Some(sample) = sample() else { return };
    // A limit on the size of files stands for a full disk.
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f 100; exec '{}' extract '{}' -o '{}' --collection receipts",
        env!("CARGO_BIN_EXE_dikas-backup"),
        sample.display(),
        folder.path().display()
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_ended(&output, 1);
    assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn what_is_no_backup_is_said_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no.zip");
    fs::write(&file, b"nothing").unwrap();
    let target: PathBuf = folder.path().join("out");
    assert_ended(&extract(&file, &target, &[]), 2);
    assert!(!target.exists());
}

#[test]
fn what_is_taken_out_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(sample) = sample() else { return };
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new").join("folder");
    let mut command = dikas_backup();
    let extract = command.arg("extract").arg(&sample).arg("-o").arg(&target);
    // Whatever the shell would give away.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(extract.get_program()).args(extract.get_args());
    assert_ended(&shell.output().unwrap(), 0);
    let mut left = vec![folder.path().join("new")];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode, if metadata.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        seen += 1;
        if metadata.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen > 72, "{seen}");
}
