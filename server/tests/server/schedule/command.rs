//! The configuration as the program takes it.

use crate::lifecycle::{Process, address, http, login};
use dikas_archive::api::Envelope;
use dikas_archive::api::archives::{ScheduleState, Trigger};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const GOOD: &str = "[backup]\nwhen = \"0 4 * * *\"\nfolder = \"FOLDER\"\n\n[backup.keep]\ndaily = 1\n";

#[test]
fn a_good_file_is_explained_and_a_bad_one_says_where() {
    let home = tempfile::tempdir().unwrap();
    let good = config(home.path(), GOOD);
    let Output { status, stdout, stderr } = run(&["--check-config", good.to_str().unwrap()]);
    let text = String::from_utf8(stdout).unwrap();
    assert_eq!((status.code(), stderr.as_slice()), (Some(0), &b""[..]), "{text}");
    assert!(
        text.contains("0 4 * * * in Europe/Berlin") && text.contains("1 daily, 4 weekly, 12 monthly"),
        "{text}"
    );
    assert_eq!(text.lines().filter(|line| line.contains(" 04:00 CE")).count(), 5, "{text}");

    for (bad, expected) in [
        (
            GOOD.replace("daily", "dayly"),
            "line 6, column 1: backup.keep.dayly: unknown field `dayly`, expected one of `daily`",
        ),
        (
            GOOD.replace("[backup.keep]", "[backup.keeps]"),
            "line 5, column 9: backup.keeps: unknown field `keeps`",
        ),
        (
            GOOD.replace("0 4 *", "0 25 *"),
            "line 2, column 11: backup.when: field 2, the hour, cannot be \"25\"",
        ),
    ] {
        let bad = config(home.path(), &bad);
        let shown = format!("dikas-server: {}, {expected}", bad.display());
        let checked = run(&["--check-config", bad.to_str().unwrap()]);
        let text = String::from_utf8(checked.stderr).unwrap();
        assert!(checked.status.code() == Some(2) && text.starts_with(&shown), "{text}");
        // The server does not start with it either, and touches nothing.
        let data = home.path().join("data");
        let started = run(&["--data", data.to_str().unwrap(), "--config", bad.to_str().unwrap()]);
        let text = String::from_utf8(started.stderr).unwrap();
        assert!(started.status.code() == Some(1) && text.starts_with(&shown), "{text}");
        assert!(!data.exists());
    }
    let missing = run(&["--check-config", "/no/such/file"]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(
        missing.status.code() == Some(2) && text.contains("/no/such/file: cannot be read: No such file"),
        "{text}"
    );
    assert_eq!(run(&["--check-config", "a", "--data", "b"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2), "a data folder is needed");
}

#[test]
fn the_program_makes_up_for_what_was_missed_and_for_a_journal_that_nobody_can_read() {
    for journal in [r#"{"handled":"2026-01-01T03:00:00Z"}"#, "{"] {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("backups")).unwrap();
        let config = config(home.path(), GOOD);
        let data = home.path().join("data");
        // A journal without its database is refused: the folder is one that a server was at home in.
        let (first, lines) = Process::start(&data, &[]);
        let password = lines[2].split_whitespace().last().unwrap().to_owned();
        drop(first);
        std::fs::write(data.join("schedule.json"), journal).unwrap();
        let (_process, lines) = Process::start(&data, &["--config", config.to_str().unwrap()]);
        let (address, begun) = (address(&lines), Instant::now());
        let token = login(address, "admin", &password);
        let state = loop {
            let (status, state) = http(address, "GET", "/backup/schedule", Some(&token), "");
            assert_eq!(status, 200);
            let state: Envelope<ScheduleState> = serde_json::from_str(&state).unwrap();
            let state = state.data.unwrap();
            if state.last_attempt.is_some() {
                break state;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{state:?}");
            std::thread::sleep(Duration::from_millis(20));
        };
        let attempt = state.last_attempt.unwrap();
        assert!(matches!(attempt.trigger, Trigger::CatchUp { .. }) && attempt.error.is_none(), "{attempt:?}");
        assert_eq!(state.last_success, Some(attempt));
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dikas-server")).args(arguments).output().unwrap()
}

/// A file with this text, in which FOLDER is a folder beside it.
fn config(home: &Path, text: &str) -> PathBuf {
    let path = home.join("server.toml");
    std::fs::write(&path, text.replace("FOLDER", home.join("backups").to_str().unwrap())).unwrap();
    path
}
