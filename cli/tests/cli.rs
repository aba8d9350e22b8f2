//! The command line on real files: exit codes and output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use support::{dikas_backup, sample};

fn run(args: &[&str], file: &Path) -> Output {
    dikas_backup().args(args).arg(file).output().unwrap()
}

#[test]
fn the_exit_code_says_sound_damaged_or_not_readable() {
    let Some(file) = sample() else { return };
    let sound = run(&["verify"], &file);
    assert_eq!(sound.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&sound.stdout).contains("21892 documents"));

    let inspected = run(&["inspect", "--json"], &file);
    assert_eq!(inspected.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(answer["summary"]["collections"].as_array().unwrap().len(), 8);
    assert_eq!(answer["summary"]["attachments"].as_array().unwrap().len(), 72);

    let mut bytes = fs::read(&file).unwrap();
    bytes[100_000] ^= 1;
    let damaged = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("damaged.zip");
    fs::write(&damaged, &bytes).unwrap();
    let found = run(&["verify"], &damaged);
    assert_eq!(found.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&found.stdout).contains("receipts.jsonl.br"));

    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(run(&["verify"], &damaged).status.code(), Some(1));
    fs::write(&damaged, &bytes[..20]).unwrap();
    assert_eq!(run(&["verify"], &damaged).status.code(), Some(2));
    assert_eq!(run(&["inspect"], Path::new("/nowhere.zip")).status.code(), Some(2));
}

#[test]
fn a_name_in_an_archive_can_neither_forge_a_line_nor_command_the_terminal() {
    let part = dikas_archive::codec::encode(b"{\"_id\":\"q\"}\n").unwrap();
    let hostile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile.zip");
    let mut writer = zip::ZipWriter::new(fs::File::create(&hostile).unwrap());
    writer.start_file("x\nsound\u{9b}\u{202e}.jsonl.br", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(&part.bytes).unwrap();
    writer.finish().unwrap();

    for args in [&["inspect"][..], &["inspect", "--json"], &["verify"]] {
        let shown = String::from_utf8(run(args, &hostile).stdout).unwrap();
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{1b}']), "{args:?}: {shown:?}");
        assert!(args == ["verify"] || !shown.lines().any(|line| line.starts_with("sound")), "{shown:?}");
    }
    let json = run(&["inspect", "--json"], &hostile).stdout;
    let answer: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(answer["summary"]["collections"][0]["name"].as_str().unwrap().contains("x\nsound"));
}
