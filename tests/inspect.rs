//! Rows, runs and places of documents, with a manifest and without, sound and damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::codec;
use dikas_archive::error::{ErrorKind, Result};
use dikas_archive::inspect::{Index, Inspector, Place, UNKNOWN};
use dikas_archive::limits::Limits;
use dikas_archive::reader::{AttachmentInfo, BackupReader};
use proptest::prelude::*;
use std::io::Cursor;
use std::ops::ControlFlow;
use support::{awkward, backup, receipts, zip_of};

type Bytes = Cursor<Vec<u8>>;

fn inspect(bytes: Vec<u8>) -> Inspector<Bytes> {
    Inspector::open(BackupReader::open(Cursor::new(bytes)).unwrap(), &mut |_| Ok(())).unwrap()
}

fn without_manifest(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let parts: Vec<_> =
        parts.iter().map(|(name, lines)| (*name, codec::encode(lines).unwrap().bytes)).collect();
    zip_of(&parts)
}

/// Every row of a collection, asked for in pages of this size.
fn all_rows(inspector: &mut Inspector<Bytes>, collection: &str, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let page = inspector.rows(collection, texts.len() as u64, count, usize::MAX).unwrap();
        assert_eq!((page.problem, page.hidden), (None, 0));
        if page.rows.is_empty() {
            return texts;
        }
        for row in page.rows {
            assert_eq!(row.row, texts.len() as u64);
            texts.push(row.text);
        }
    }
}

fn place(collection: &str, row: u64) -> Option<Place> {
    Some(Place { collection: collection.to_owned(), row })
}

#[test]
fn a_manifest_leads_to_every_row_at_once() {
    let lines = receipts(0, 120_000);
    let bytes =
        backup(&[("articles", awkward()), ("receipts", lines.clone()), ("vouchers", Vec::new())], &[]);
    let mut inspector = inspect(bytes);
    assert!(inspector.index().collection("receipts").unwrap().runs.len() > 1);
    let texts = all_rows(&mut inspector, "receipts", 7_000);
    assert!(texts.iter().map(|text| format!("{text}\n")).collect::<String>().as_bytes() == lines);

    let page = inspector.rows("receipts", 119_999, 10, 1).unwrap();
    assert_eq!((page.rows.len(), page.rows[0].id.as_str()), (1, "rcp_00119999"));
    assert_eq!(inspector.rows("receipts", 5, 10, 1).unwrap().rows.len(), 1);
    assert!(inspector.rows("receipts", 120_000, 10, 1).unwrap().rows.is_empty());
    assert!(inspector.rows("vouchers", 0, 10, 1).unwrap().rows.is_empty());
    assert_eq!(inspector.rows("nothing", 0, 10, 1).unwrap_err().kind, ErrorKind::BadArgument);

    for row in [0, 1, 59_000, 60_000, 119_999] {
        let id = format!("rcp_{row:08}");
        assert_eq!(inspector.find(&id, None).unwrap(), place("receipts", row));
        assert_eq!(inspector.find(&id, Some("receipts")).unwrap(), place("receipts", row));
        assert_eq!(inspector.find(&id, Some("articles")).unwrap(), None);
    }
    assert_eq!(inspector.find("dä", None).unwrap(), place("articles", 3));
    assert_eq!(inspector.find("rcp_00000000x", None).unwrap(), None);
    assert_eq!(inspector.find("x", Some("nothing")).unwrap_err().kind, ErrorKind::BadArgument);
}

#[test]
fn an_index_travels_as_json() {
    let bytes = backup(&[("receipts", receipts(0, 50))], &[]);
    let inspector = inspect(bytes.clone());
    let json = serde_json::to_string(inspector.index()).unwrap();
    let index: Index = serde_json::from_str(&json).unwrap();
    assert_eq!(index, *inspector.index());
    let mut other = Inspector::with_index(BackupReader::open(Cursor::new(bytes)).unwrap(), index);
    assert_eq!(other.rows("receipts", 49, 9, 9).unwrap().rows[0].id, "rcp_00000049");
    // That of another backup is an error or nothing, and no crash.
    let mut stranger = Inspector::with_index(
        BackupReader::open(Cursor::new(without_manifest(&[("a.jsonl.br", b"{\"_id\":\"a\"}\n")]))).unwrap(),
        other.index().clone(),
    );
    assert!(stranger.rows("receipts", 0, 9, 9).unwrap().problem.is_some());
}

#[test]
fn the_same_id_twice_and_no_order_are_found_by_reading() {
    let lines = b"{\"_id\":\"z\"}\n\n{\"_id\":\"a\",\"n\":1}\r\n{\"_id\":\"a\",\"n\":2}";
    let mut inspector =
        inspect(without_manifest(&[("misc.jsonl.br", lines), ("b.jsonl.br", b"{\"_id\":\"b\"}\n")]));
    assert_eq!(inspector.find("a", None).unwrap(), place("misc", 1));
    assert_eq!(inspector.find("b", None).unwrap(), place("b", 0));
    assert_eq!(inspector.find("b", Some("misc")).unwrap(), None);
    assert_eq!(all_rows(&mut inspector, "misc", 1).len(), 3);
}

#[test]
fn rows_behind_a_damaged_part_are_still_there() {
    let lines = receipts(0, 120_000);
    let mut bytes = backup(&[("receipts", lines)], &[]);
    let whole = inspect(bytes.clone());
    let runs = whole.index().collection("receipts").unwrap().runs.clone();
    // In the middle of the second part.
    let manifest = BackupReader::open(Cursor::new(&bytes)).unwrap().into_manifest().unwrap().unwrap();
    let sizes: Vec<u64> = manifest.collections[0].parts.iter().map(|part| part.size).collect();
    let at = sizes[0] + 2 * 60 + sizes[1] / 2;
    bytes[at as usize] ^= 1;

    let mut inspector = inspect(bytes);
    let (from, lines) = (runs[1].row, runs[1].lines);
    let mut shown = 0;
    let page = loop {
        let page = inspector.rows("receipts", from + shown, 1000, usize::MAX).unwrap();
        assert!(page.problem.is_some());
        for row in &page.rows {
            assert_eq!(row.id, format!("rcp_{:08}", row.row));
        }
        shown += page.rows.len() as u64;
        if page.hidden > 0 {
            break page;
        }
    };
    assert_eq!(shown + page.hidden, lines);
    assert!(shown > lines / 3, "{shown} of {lines}");
    assert_eq!(inspector.rows("receipts", from + shown, 10, 1000).unwrap().hidden, page.hidden);
    let behind = inspector.rows("receipts", runs[2].row, 1, 1).unwrap();
    assert_eq!((behind.problem, behind.rows[0].row), (None, runs[2].row));

    assert!(inspector.find(&format!("rcp_{:08}", from + lines - 1), None).is_err());
    assert_eq!(inspector.find(&format!("rcp_{from:08}"), None).unwrap(), place("receipts", from));
    assert_eq!(
        inspector.find(&format!("rcp_{:08}", runs[2].row), None).unwrap(),
        place("receipts", runs[2].row)
    );
    let mut seen = 0;
    let problems = inspector
        .each("receipts", 0, &mut |_| Ok(()), &mut |_, _| {
            seen += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!((seen, problems.len()), (120_000 - page.hidden, 1));
}

#[test]
fn a_line_that_is_no_document_hides_nothing() {
    let lines = b"{\"_id\":\"art_1\"}\nrubbish\n{\"_id\":\"art_2\"}\n";
    let mut inspector = inspect(without_manifest(&[("articles.jsonl.br", lines)]));
    assert_eq!(inspector.index().problems[0].subject.as_deref(), Some("articles.jsonl.br, line 2"));
    let page = inspector.rows("articles", 0, 9, 1000).unwrap();
    let rows: Vec<_> = page.rows.iter().map(|row| (row.id.as_str(), row.text.len())).collect();
    assert_eq!(rows, [("art_1", 15), ("", 7), ("art_2", 15)]);
}

#[test]
fn runs_are_bounded() {
    let lines = b"{\"_id\":\"art_1\"}\n{\"_id\":\"cust_1\"}\n".repeat(50);
    let bytes = without_manifest(&[("mixed.jsonl.br", &lines)]);
    let open = |runs| -> Result<Inspector<Bytes>> {
        let limits = Limits { runs, ..Limits::default() };
        Inspector::open(BackupReader::open_with(Cursor::new(bytes.clone()), limits)?, &mut |_| Ok(()))
    };
    assert_eq!(open(100).unwrap().index().collection("customers").unwrap().documents, 50);
    assert_eq!(open(99).unwrap_err().kind, ErrorKind::LimitExceeded);
}

#[test]
fn a_part_of_any_size_is_read_in_pieces() {
    // More than one chunk of 16 MiB; the text differs enough that a wrong byte is not far from where it does harm.
    let line = |at: u64| {
        let text: String =
            (0..40).map(|word| format!("{:x} ", (at * 40 + word) * 2_654_435_761 % 4_294_967_291)).collect();
        format!("{{\"_id\":\"{at:06}\",\"text\":\"{}\"}}\n", text.repeat(10))
    };
    let count = 8_000;
    let lines: String = (0..count).map(line).collect();
    assert!(lines.len() > 24 << 20);
    let mut bytes = without_manifest(&[("long.jsonl.br", lines.as_bytes())]);
    let mut inspector = inspect(bytes.clone());
    for row in [0, 7_999, 3, 6_000, 1] {
        let page = inspector.rows("long", row, 2, usize::MAX).unwrap();
        assert_eq!((page.rows[0].id.as_str(), page.problem), (format!("{row:06}").as_str(), None));
    }
    assert_eq!(inspector.find("007999", None).unwrap(), place("long", 7_999));
    let mut seen = 0;
    let mut on_row = |row, _: &[u8]| {
        assert_eq!(row, 6_000 + seen);
        seen += 1;
        Ok(ControlFlow::Continue(()))
    };
    assert_eq!(inspector.each("long", 6_000, &mut |_| Ok(()), &mut on_row).unwrap(), []);
    assert_eq!(seen, 2_000);

    let at = bytes.len() * 9 / 10;
    bytes[at] ^= 1;
    let mut inspector = inspect(bytes);
    assert_eq!(inspector.index().problems.len(), 1);
    let shown = inspector.index().collection("long").unwrap().documents;
    assert!((7_000..count).contains(&shown), "{shown}");
    let page = inspector.rows("long", shown - 1, 5, usize::MAX).unwrap();
    assert_eq!((page.rows.len(), page.problem.is_some()), (1, true));
    let mut seen = 0;
    let mut on_row = |_, _: &[u8]| {
        seen += 1;
        Ok(ControlFlow::Continue(()))
    };
    assert_eq!(inspector.each("long", 0, &mut |_| Ok(()), &mut on_row).unwrap().len(), 1);
    assert_eq!(seen, shown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the parts mix, each collection's rows are its lines in their order.
    #[test]
    fn runs_keep_the_lines_of_each_collection(
        parts in prop::collection::vec(prop::collection::vec(0..3usize, 0..40), 1..4),
        page in 1..9usize,
    ) {
        const PREFIXES: [(&str, &str); 3] = [("art_", "articles"), ("cust_", "customers"), ("x", "part")];
        let mut expected: [Vec<String>; 3] = Default::default();
        let mut entries = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let mut lines = String::new();
            for (at, which) in part.iter().enumerate() {
                let line = format!("{{\"_id\":\"{}{number}-{at}\"}}", PREFIXES[*which].0);
                lines += &line;
                lines.push('\n');
                expected[*which].push(line);
            }
            entries.push((format!("part.{number}.jsonl.br"), lines));
        }
        let entries: Vec<_> = entries.iter().map(|(name, lines)| (name.as_str(), lines.as_bytes())).collect();
        let mut inspector = inspect(without_manifest(&entries));
        for ((prefix, name), lines) in PREFIXES.iter().zip(&expected) {
            if lines.is_empty() {
                prop_assert!(inspector.index().collection(name).is_none());
                continue;
            }
            prop_assert_eq!(&all_rows(&mut inspector, name, page), lines);
            let mut each = Vec::new();
            let from = lines.len() as u64 / 2;
            inspector.each(name, from, &mut |_| Ok(()), &mut |row, line| {
                each.push((row, String::from_utf8(line.to_vec()).unwrap()));
                Ok(ControlFlow::Continue(()))
            }).unwrap();
            prop_assert_eq!(each, (from..).zip(lines[from as usize..].iter().cloned()).collect::<Vec<_>>());
            let last = lines.last().unwrap();
            let id = last.trim_start_matches("{\"_id\":\"").trim_end_matches("\"}");
            prop_assert!(id.starts_with(prefix));
            prop_assert_eq!(inspector.find(id, None).unwrap(), place(name, lines.len() as u64 - 1));
        }
    }
}

#[test]
fn files_are_listed_page_by_page_by_whose_they_are() {
    let names = ["b/2/x", "a/1/x", "b/1/y", "stray", "a/1/w", "a/2/x"];
    let paths: Vec<String> = names.iter().map(|name| format!("attachments/{name}")).collect();
    let files: Vec<(&str, Vec<u8>)> = paths.iter().map(|path| (path.as_str(), vec![b'x'])).collect();
    let stranger = zip_of(&[vec![("a.jsonl.br", codec::encode(b"").unwrap().bytes)], files].concat());
    let lines = b"{\"_id\":\"art_1\"}\n{\"_id\":\"art_2\"}\n".to_vec();
    let ours = backup(
        &[("articles", lines), ("customers", b"{\"_id\":\"art_1\"}\n".to_vec())],
        &[
            ("articles", "art_1", "a.png", b"1"),
            ("articles", "art_1", "b.png", b"2"),
            ("articles", "art_2", "a.png", b"3"),
            ("customers", "art_1", "a.png", b"4"),
        ],
    );
    for (bytes, count) in [(ours, 4), (stranger, names.len())] {
        let mut inspector = inspect(bytes);
        let all = inspector.reader().attachments();
        assert_eq!(all.len(), count);
        assert_eq!(listed(&mut inspector, None, None), all);
        for file in &all {
            let collection = file.collection.as_deref().unwrap_or(UNKNOWN);
            let of_it = |file: &&AttachmentInfo| file.collection.as_deref().unwrap_or(UNKNOWN) == collection;
            let mut wanted: Vec<AttachmentInfo> = all.iter().filter(of_it).cloned().collect();
            wanted.sort_by(|one, next| one.id.cmp(&next.id));
            assert_eq!(listed(&mut inspector, Some(collection), None), wanted);
            wanted.retain(|other| other.id == file.id);
            assert_eq!(listed(&mut inspector, Some(collection), file.id.as_deref()), wanted);
        }
        assert_eq!(inspector.files(Some("nothing"), None, 0, 9).total, 0);
        assert_eq!(inspector.files(None, None, usize::MAX, 9).files, []);
    }
}

/// All files that are asked for, two at a time.
fn listed(
    inspector: &mut Inspector<Bytes>,
    collection: Option<&str>,
    id: Option<&str>,
) -> Vec<AttachmentInfo> {
    let mut found = Vec::new();
    loop {
        let page = inspector.files(collection, id, found.len(), 2);
        found.extend(page.files);
        if found.len() >= page.total {
            return found;
        }
    }
}
