//! What a check says beside damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::error::ErrorKind;
use dikas_archive::reader::{BackupReader, Note};
use std::io::Cursor;
use support::{backup, zip_of};

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

#[test]
fn a_byte_order_mark_of_another_program_belongs_to_no_document() {
    let lines = "\u{feff}{\"_id\":\"art_1\"}\n{\"_id\":\"art_2\"}\n";
    let part = |text: &[u8]| dikas_archive::codec::encode(text).unwrap().bytes;
    let bytes = zip_of(&[
        ("articles.jsonl.br", part(lines.as_bytes())),
        ("tables.jsonl.br", part(b"{\"_id\":\"tbl_1\"}\n")),
    ]);
    let mut reader = BackupReader::open(Cursor::new(&bytes)).unwrap();
    let verdict = reader.verify(&mut |_| Ok(())).unwrap();
    assert!(verdict.is_sound(), "{:?}", verdict.problems);
    assert_eq!(verdict.marked_parts(), 1);
    assert_eq!((verdict.documents, verdict.notes), (3, vec![Note::ByteOrderMarks { parts: 1 }]));
    let mut given = reader.lines("articles.jsonl.br").unwrap();
    assert_eq!(given.next_line().unwrap(), Some(&b"{\"_id\":\"art_1\"}"[..]));

    // With a manifest every byte counts, and what stands there is said.
    let error = dikas_archive::document::parse(lines.lines().next().unwrap().as_bytes()).unwrap_err();
    assert!(error.actual.unwrap().contains("byte order mark"));
    let utf16: Vec<u8> = "{\"_id\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(dikas_archive::document::parse(&utf16).unwrap_err().actual.as_deref(), Some("UTF-16"));
}
