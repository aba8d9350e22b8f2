//! What a check says beside damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use std::io::Cursor;
use support::backup;

#[test]
fn a_file_without_its_document_is_noticed() {
    let lines = |ids: &[&str]| {
        ids.iter().map(|id| format!("{{\"_id\":\"{id}\"}}\n")).collect::<String>().into_bytes()
    };
    let files: Vec<(&str, &str, &str, &[u8])> = vec![
        ("articles", "a", "before the first", b"1"),
        ("articles", "b", "there", b"2"),
        ("articles", "c", "between", b"3"),
        ("articles", "c", "between, too", b"4"),
        ("articles", "d", "there", b"5"),
        ("articles", "e", "behind the last", b"6"),
        ("vouchers", "b", "of an empty collection", b"7"),
    ];
    let bytes = backup(&[("articles", lines(&["b", "bb", "d"])), ("vouchers", Vec::new())], &files);
    let verdict = BackupReader::open(Cursor::new(&bytes)).unwrap().verify(&mut |_| Ok(())).unwrap();
    let mut problems: Vec<_> =
        verdict.problems.iter().map(|problem| problem.subject.as_deref().unwrap()).collect();
    problems.sort_unstable();
    assert!(verdict.problems.iter().all(|problem| problem.kind == ErrorKind::Orphaned));
    let expected = [
        "attachments/articles/a/before the first",
        "attachments/articles/c/between",
        "attachments/articles/c/between%2C too",
        "attachments/articles/e/behind the last",
        "attachments/vouchers/b/of an empty collection",
    ];
    assert_eq!(problems, expected);
}
