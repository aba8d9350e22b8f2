//! A backup cut at a hundred places and with one byte wrong at a thousand: each is noticed, nothing panics, and every
//! document of a part that is not concerned can still be looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::inspect::{Inspector, Query};
use dikas_archive::limits::Limits;
use dikas_archive::reader::BackupReader;
use std::collections::HashSet;
use std::io::Cursor;
use std::ops::{ControlFlow, Range};
use support::{File, Lines, awkward, backup, receipts};

type Reader<'a> = BackupReader<Cursor<&'a [u8]>>;

/// An entry as it stands in the archive: its name, its local header and data, its central header, and if it is a part
/// its lines.
struct Piece {
    name: String,
    local: Range<usize>,
    central: Range<usize>,
    lines: Vec<Vec<u8>>,
}

fn realistic() -> (Vec<u8>, Vec<Piece>) {
    let large = receipts(0, 500);
    let picture: Vec<u8> =
        (0..3_000_u32).flat_map(|at| (at * at).wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let collections: Vec<Lines<'_>> = vec![
        ("articles", [&b"{\"_id\":\"a\"}\n"[..], &awkward()].concat()),
        ("customers", b"{\"_id\":\"cust_1\",\"name\":\"M\xc3\xbcller\"}\n".to_vec()),
        ("receipts", large),
        ("vouchers", Vec::new()),
    ];
    let files: Vec<File<'_>> =
        vec![("articles", "b", "Foto.png", &picture), ("customers", "cust_1", "leer", b"")];
    let bytes = backup(&collections, &files);
    let mut reader = BackupReader::open(Cursor::new(&bytes[..])).unwrap();
    let entries: Vec<_> =
        reader.entries().iter().map(|entry| (entry.name.clone(), entry.size as usize)).collect();
    let (mut local, mut pieces) = (0, Vec::new());
    // Each follows the one before without a gap, and so do the central headers.
    let mut central = entries.iter().map(|(name, size)| 30 + name.len() + size).sum::<usize>();
    for (name, size) in entries {
        let mut lines = Vec::new();
        if let Ok(mut part) = reader.lines(&name) {
            while let Some(line) = part.next_line().unwrap() {
                lines.push(line.to_vec());
            }
        }
        let (next, behind) = (local + 30 + name.len() + size, central + 46 + name.len());
        pieces.push(Piece { name, local: local..next, central: central..behind, lines });
        (local, central) = (next, behind);
    }
    (bytes, pieces)
}

/// Opens it, be it without its directory.
fn open(bytes: &[u8]) -> Option<Reader<'_>> {
    BackupReader::open(Cursor::new(bytes))
        .or_else(|_| BackupReader::salvage(Cursor::new(bytes), Limits::default(), &mut |_| Ok(())))
        .ok()
}

/// Every line that the inspector shows, and whether it told of a problem.
fn shown(reader: Reader<'_>) -> (HashSet<Vec<u8>>, bool) {
    let mut inspector = Inspector::open(reader, &mut |_| Ok(())).unwrap();
    let names: Vec<_> = inspector.index().collections.iter().map(|rows| rows.name.clone()).collect();
    let (mut lines, mut problem) = (HashSet::new(), !inspector.index().problems.is_empty());
    for name in names {
        let problems = inspector
            .each(&name, 0, &mut |_| Ok(()), &mut |_, line| {
                lines.insert(line.to_vec());
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        problem |= !problems.is_empty();
        // The same rows one page at a time, and all that a person does with them.
        let page = inspector.rows(&name, 0, 5, 1 << 20).unwrap();
        assert!(
            page.rows.iter().all(|row| lines.contains(row.text.as_bytes()) || row.text.contains('\u{fffd}'))
        );
        let _ = inspector.find("rcp_00000499", Some(&name));
    }
    for part in inspector.index().parts_of(None) {
        inspector.search(part, None, &Query::parse("müller"), &mut |_| Ok(()), &mut |_| Ok(())).unwrap();
    }
    (lines, problem)
}

/// Whether opening or checking finds something wrong.
fn is_noticed(bytes: &[u8]) -> bool {
    let opened = BackupReader::open(Cursor::new(bytes));
    opened.map_or(true, |mut reader| !reader.verify(&mut |_| Ok(())).unwrap().is_sound())
}

#[test]
fn a_cut_costs_only_what_it_cuts_off() {
    let (bytes, pieces) = realistic();
    for number in 0..100 {
        let length = bytes.len() * number / 100;
        let cut = &bytes[..length];
        assert!(is_noticed(cut), "cut to {length}");
        let Some(mut reader) = open(cut) else {
            assert!(length < pieces[0].local.end, "nothing is found in {length} bytes");
            continue;
        };
        assert!(!reader.verify(&mut |_| Ok(())).unwrap().is_sound());
        let (lines, _) = shown(reader);
        for piece in pieces.iter().filter(|piece| piece.local.end <= length) {
            assert!(piece.lines.iter().all(|line| lines.contains(line)), "{} in {length} bytes", piece.name);
        }
        // Of the part that is cut, the documents before the cut.
        let receipts = pieces.iter().find(|piece| piece.name.starts_with("receipts")).unwrap();
        if receipts.local.contains(&length) {
            let there = receipts.lines.iter().filter(|line| lines.contains(*line)).count();
            let share = (length - receipts.local.start) * receipts.lines.len() / receipts.local.len();
            assert!(there + 30 >= share, "{there} receipts of about {share}");
        }
    }
}

#[test]
fn a_wrong_byte_costs_only_the_entry_it_is_in() {
    let (bytes, pieces) = realistic();
    let genuine: HashSet<&Vec<u8>> = pieces.iter().flat_map(|piece| &piece.lines).collect();
    for number in 0..1_000 {
        let at = bytes.len() * number / 1_000;
        let mut ruined = bytes.clone();
        ruined[at] ^= [0x01, 0x20, 0x80, 0xff][number % 4];
        assert!(is_noticed(&ruined), "byte {at}");
        let mut reader = open(&ruined).unwrap();
        assert!(!reader.verify(&mut |_| Ok(())).unwrap().is_sound(), "byte {at}");
        let (lines, problem) = shown(reader);
        let broken = pieces.iter().filter(|piece| !piece.lines.iter().all(|line| lines.contains(line)));
        let broken: Vec<_> =
            broken.filter(|piece| !piece.local.contains(&at) && !piece.central.contains(&at)).collect();
        // A central header that says another place makes the entry there doubtful too.
        let in_directory = pieces.iter().any(|piece| piece.central.contains(&at));
        assert!(broken.len() <= usize::from(in_directory), "{} without byte {at}", broken[0].name);
        // What is shown beside the documents themselves comes with a problem.
        let unknown = lines.iter().filter(|line| !genuine.contains(line)).count();
        assert!(unknown == 0 || problem, "{unknown} strangers without byte {at}");
    }
}
