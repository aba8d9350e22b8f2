//! A backup in the shape that the manual describes, written by other tools, without a manifest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::inspect::csv::{Csv, Dialect, Header};
use dikas_archive::inspect::{Columns, Inspector, Query};
use dikas_archive::reader::BackupReader;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;

#[test]
fn the_sample_is_read_in_full() {
    let Some(path) = support::sample() else { return };
    let mut reader = BackupReader::open(File::open(path).unwrap()).unwrap();
    assert!(reader.manifest().unwrap().is_none());
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    assert_eq!(summary.problems, []);
    let documents: Vec<_> =
        summary.collections.iter().map(|found| (found.name.as_str(), found.documents)).collect();
    assert_eq!(summary.collections.len(), 8);
    assert_eq!(documents.iter().map(|(_, count)| count).sum::<u64>(), 21_892);
    assert!(documents.contains(&("receipts", 21_350)));
    assert_eq!(summary.attachments.len(), 72);

    let photo = summary.attachments.iter().find(|file| file.name == "Foto Andrew ä.bmp").unwrap();
    assert_eq!((photo.collection.as_deref(), photo.id.as_deref()), (Some("employees"), Some("emp_001")));
    let mut bytes = Vec::new();
    reader.attachment(&photo.path).unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"BM") && bytes.len() as u64 == photo.size);

    let verdict = reader.verify(&mut |_| Ok(())).unwrap();
    assert_eq!(verdict.problems, []);
    assert_eq!((verdict.documents, verdict.entries, verdict.has_manifest), (21_892, 80, false));
}

#[test]
fn the_sample_is_looked_into() {
    let Some(path) = support::sample() else { return };
    let reader = BackupReader::open(File::open(path).unwrap()).unwrap();
    let mut inspector = Inspector::open(reader, &mut |_| Ok(())).unwrap();
    let receipts = inspector.index().collection("receipts").unwrap().clone();
    assert_eq!((receipts.documents, receipts.runs.len()), (21_350, 1));
    let page = inspector.rows("receipts", 21_340, 100, 1 << 20).unwrap();
    assert_eq!((page.rows.len(), page.problem), (10, None));
    assert_eq!(page.rows[9].id, "rcp_00021350");
    let place = inspector.find("cust_00002", None).unwrap().unwrap();
    assert_eq!((place.collection.as_str(), place.row), ("customers", 1));

    let query = Query::parse("KOEHLER city:stuttgart");
    let mut hits = Vec::new();
    for part in inspector.index().parts_of(None) {
        let mut on_hit = |hit| {
            hits.push(hit);
            Ok(())
        };
        assert_eq!(inspector.search(part, None, &query, &mut |_| Ok(()), &mut on_hit).unwrap(), None);
    }
    let found: Vec<_> = hits.iter().map(|hit| (hit.collection.as_str(), hit.id.as_str())).collect();
    assert_eq!(found, [("customers", "cust_00002")]);
    let marked = query.marks_in(&hits[0].text).into_iter().map(|mark| &hits[0].text[mark]);
    assert_eq!(marked.collect::<Vec<_>>(), ["Köhler", "Stuttgart"]);

    let sample = inspector.rows("receipts", 0, 100, usize::MAX).unwrap().rows;
    let columns = Columns::of(sample.iter().map(|row| row.text.as_str()));
    let paths: Vec<_> = columns.columns.iter().map(|column| column.path.as_str()).collect();
    assert_eq!(paths[..4], ["_id", "receiptNumber", "date", "gross"]);
    assert_eq!(columns.cells(&sample[0].text)[..4], ["rcp_00000001", "1", "2015-01-01T11:38:36Z", "13.25"]);

    let mut header = Header::default();
    let mut each = |on_row: &mut dyn FnMut(&[u8])| {
        let mut on_row = |_, line: &[u8]| {
            on_row(line);
            Ok(ControlFlow::Continue(()))
        };
        assert_eq!(inspector.each("day-closes", 0, &mut |_| Ok(()), &mut on_row).unwrap(), []);
    };
    each(&mut |line| header.add(line));
    let csv = Csv::new(header, Dialect::German);
    let mut table = csv.head();
    each(&mut |line| csv.row(line, &mut table));
    let table = String::from_utf8(table).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("\u{feff}_id;_rev;documentType;zNumber;date;"));
    assert!(lines.next().unwrap().ends_with(";\"2713,85\""));
}
