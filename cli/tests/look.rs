//! `inspect` of documents, and `verify`, on real files: every document as other tools' code unpacks it, and damage that is
//! told and hides nothing else.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use support::{Entries, assert_ended, dikas_backup, entries, lines, pack, sample, stderr, stdout};

fn run(file: &Path, command: &str, arguments: &[&str]) -> Output {
    dikas_backup().arg(command).arg(file).args(arguments).output().unwrap()
}

/// The lines of a part in their order, by another decoder.
fn part(archive: &Path, name: &str) -> Vec<Vec<u8>> {
    let mut decoded = Vec::new();
    brotli::BrotliDecompress(&mut entries(archive)[name].as_slice(), &mut decoded).unwrap();
    decoded.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn temporary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn documents_come_byte_for_byte_and_in_their_order() {
    let Some(sample) = sample() else { return };
    let receipts = part(&sample, "receipts.jsonl.br");
    let shown = run(&sample, "inspect", &["receipts"]);
    assert_ended(&shown, 0);
    assert!(shown.stdout == receipts.concat());
    let first = run(&sample, "inspect", &["receipts", "--limit", "3"]);
    assert!(first.stdout == receipts[..3].concat());
    assert_ended(&run(&sample, "inspect", &["nothing"]), 2);
    assert_ended(&run(&sample, "inspect", &["receipts", "--json"]), 2);
}

#[test]
fn a_search_finds_what_another_program_finds() {
    let Some(sample) = sample() else { return };
    let holds = |line: &[u8], test: &dyn Fn(&Value) -> bool| test(&serde_json::from_slice(line).unwrap());
    let receipts = part(&sample, "receipts.jsonl.br");
    let by_number: Vec<u8> = receipts
        .iter()
        .filter(|line| holds(line, &|it| it["_id"] == "rcp_00004711"))
        .flatten()
        .copied()
        .collect();
    let found = run(&sample, "inspect", &["receipts", "--search", "_id:RCP_00004711"]);
    assert!(!by_number.is_empty() && found.stdout == by_number, "{}", stdout(&found));
    let everywhere = run(&sample, "inspect", &["--search", "_id:rcp_00004711"]);
    assert_eq!(stdout(&everywhere), stdout(&found));

    let of_table = |it: &Value| it["tableId"].as_str().is_some_and(|id| id.contains("tbl_07"));
    let expected = receipts.iter().filter(|line| holds(line, &of_table)).count();
    let found = run(&sample, "inspect", &["receipts", "--search", "tableId:tbl_07"]);
    assert_eq!(stdout(&found).lines().count(), expected);
    let none = run(&sample, "inspect", &["receipts", "--search", "\"not to be found\""]);
    assert_ended(&none, 0);
    assert!(none.stdout.is_empty());
}

#[test]
fn tables_and_csv_have_a_row_for_each_document() {
    let Some(sample) = sample() else { return };
    let articles = lines(&sample)["articles"].len();
    let table = stdout(&run(&sample, "inspect", &["articles", "--format", "table"]));
    let mut rows = table.lines();
    let head: Vec<&str> = rows.next().unwrap().split_whitespace().collect();
    assert_eq!(head[..2], ["_id", "name"]);
    assert_eq!(rows.count(), articles);

    for (format, separator, price) in [("csv", ',', "20.75"), ("csv-de", ';', "\"20,75\"")] {
        let csv = stdout(&run(&sample, "inspect", &["articles", "--format", format]));
        let rows: Vec<&str> = csv.strip_prefix('\u{feff}').unwrap().split_terminator("\r\n").collect();
        assert_eq!(rows.len(), articles + 1);
        let head: Vec<&str> = rows[0].split(separator).collect();
        let at = head.iter().position(|name| *name == "price").unwrap();
        assert!(format == "csv" || rows[1].split(separator).nth(at) == Some(price), "{}", rows[1]);
        assert!(rows[1].contains(price));
    }
    assert_ended(&run(&sample, "inspect", &["--search", "pizza", "--format", "csv"]), 2);
}

#[test]
fn whoever_reads_no_further_has_read_enough() {
    let Some(sample) = sample() else { return };
    for arguments in [&["receipts"][..], &["receipts", "--format", "csv"], &["receipts", "--format", "table"]]
    {
        let mut command = dikas_backup();
        command.arg("inspect").arg(&sample).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut first = [0; 100];
        process.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = process.wait_with_output().unwrap();
        assert_ended(&output, 0);
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_terminal_sees_neither_commands_nor_password_hashes() {
    let file = temporary("terminal.zip");
    let document =
        "{\"_id\":\"u\",\"name\":\"x\\u001b[2J\u{9b}\u{202e}\",\"passwordHash\":\"$argon2id$v=19$secret\"}\n";
    let content = dikas_archive::codec::encode(document.as_bytes()).unwrap().bytes;
    pack(&file, &Entries::from([("users.jsonl.br".to_owned(), content)]));
    assert_eq!(run(&file, "inspect", &["users"]).stdout, document.as_bytes());
    let collection = serde_json::from_slice::<Value>(&run(&file, "inspect", &["--json"]).stdout).unwrap();
    let collection = collection["summary"]["collections"][0]["name"].as_str().unwrap().to_owned();
    for format in ["jsonl", "csv", "csv-de", "table"] {
        let command = format!(
            "'{}' inspect '{}' {collection} --format {format}",
            env!("CARGO_BIN_EXE_dikas-backup"),
            file.display()
        );
        // `script` gives it a terminal.
        let seen = std::process::Command::new("script").args(["-qec", &command, "/dev/null"]).output();
        let seen = seen.expect("`script` of util-linux");
        let seen = String::from_utf8(seen.stdout).unwrap();
        let seen = seen.rsplit("\r\u{1b}[K").next().unwrap();
        assert!(
            seen.contains('u') && !seen.contains(['\u{9b}', '\u{202e}', '\u{1b}', '\u{feff}']),
            "{format}: {seen:?}"
        );
        assert!(!seen.contains("secret"), "{format}: {seen:?}");
    }
}

#[test]
fn verify_answers_for_programs() {
    let Some(sample) = sample() else { return };
    let sound = run(&sample, "verify", &["--json"]);
    assert_ended(&sound, 0);
    let told: Value = serde_json::from_slice(&sound.stdout).unwrap();
    assert_eq!(
        (&told["sound"], &told["documents"], &told["hasManifest"]),
        (&true.into(), &21_892.into(), &false.into())
    );
    assert_eq!(told["sha256"], dikas_archive::digest::Sha256::of(&fs::read(&sample).unwrap()).to_string());

    let mut bytes = fs::read(&sample).unwrap();
    bytes[100_000] ^= 1;
    let file = temporary("flipped.zip");
    fs::write(&file, &bytes).unwrap();
    let damaged = run(&file, "verify", &["--json"]);
    assert_ended(&damaged, 1);
    let told: Value = serde_json::from_slice(&damaged.stdout).unwrap();
    assert_eq!(told["sound"], false);
    assert_eq!(told["problems"][0]["subject"], "receipts.jsonl.br");
    // What stands before the damage is shown, and that there is damage.
    let shown = run(&file, "inspect", &["receipts"]);
    assert_ended(&shown, 1);
    assert!(stderr(&shown).contains("receipts.jsonl.br"), "{}", stderr(&shown));
    assert_ended(&run(&file, "inspect", &["articles"]), 1);
}

#[test]
fn an_archive_without_its_directory_is_damaged_and_what_is_there_is_shown() {
    let Some(sample) = sample() else { return };
    let bytes = fs::read(&sample).unwrap();
    let file = temporary("cut.zip");
    fs::write(&file, &bytes[..bytes.len() - 3000]).unwrap();
    for arguments in [&[][..], &["--json"], &["tables"], &["tables", "--format", "table"]] {
        let shown = run(&file, "inspect", arguments);
        assert_ended(&shown, 1);
        assert!(stdout(&shown).contains("tables") || stdout(&shown).contains("tbl_07"), "{}", stdout(&shown));
    }
    assert_ended(&run(&file, "verify", &[]), 1);
    let target = tempfile::tempdir().unwrap();
    let output = target.path().to_str().unwrap();
    assert_ended(&run(&file, "extract", &["-o", output]), 1);
    let tables = fs::read(target.path().join("tables.jsonl")).unwrap();
    assert!(tables == part(&sample, "tables.jsonl.br").concat());

    fs::write(&file, b"PK\x03\x04").unwrap();
    for command in ["inspect", "verify"] {
        assert_ended(&run(&file, command, &[]), 2);
    }
}

/// Whether a process has a handler for this signal, as Linux tells it.
#[cfg(target_os = "linux")]
fn hears(process: u32, signal: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
}

/// Waits for what has to come, and fails where it never does.
#[cfg(target_os = "linux")]
fn within_a_minute<T>(mut answer: impl FnMut() -> Option<T>) -> T {
    let mut attempt = |_| {
        let answer = answer();
        if answer.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        answer
    };
    (0..6_000).find_map(&mut attempt).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn what_listens_to_nothing_is_ended_with_the_program_and_leaves_nothing() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    // It cannot even be opened before somebody writes to it: no work takes longer.
    let endless = folder.path().join("endless.zip");
    assert!(Command::new("mkfifo").arg(&endless).status().unwrap().success());
    let (endless, out) = (endless.to_str().unwrap(), folder.path().join("out"));
    for arguments in [
        &["verify", endless, "--json"][..],
        &["inspect", endless],
        &["inspect", endless, "receipts"],
        &["diff", endless, endless],
        &["extract", endless, "--output", out.to_str().unwrap()],
    ] {
        let program = dikas_backup();
        // Whatever this test was started to ignore.
        let mut run = Command::new("env");
        run.arg("--default-signal").arg(program.get_program()).args(arguments);
        let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        within_a_minute(|| hears(run.id(), 2).then_some(()));
        assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
        within_a_minute(|| run.try_wait().unwrap());
        let ended = run.wait_with_output().unwrap();
        assert_ended(&ended, 130);
        assert_eq!(stderr(&ended), "dikas-backup: cancelled [cancelled]\n");
        assert!(ended.stdout.is_empty() && !out.exists());
    }
}
