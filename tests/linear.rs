//! What a command costs grows as the file does: four times the parts, no more than about four times the bytes that are
//! read. Bytes are counted, not seconds. The looks at runs and at collections are counted where they are made, in the
//! tests of `inspect::runs` and `manifest`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::codec;
use dikas_archive::inspect::compare::{collections_in_order, compare, compare_files};
use dikas_archive::inspect::{Inspector, Query};
use dikas_archive::reader::BackupReader;
use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::rc::Rc;
use support::zip_of;

/// Counts what is read.
struct Counted(Cursor<Vec<u8>>, Rc<Cell<u64>>);

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(out)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Parts of as many collections, and as many files, from a program that writes no manifest.
fn archive(parts: u64) -> Vec<u8> {
    let part = |at: u64| codec::encode(format!("{{\"_id\":\"x{at}\"}}\n").as_bytes()).unwrap().bytes;
    let names: Vec<(String, Vec<u8>)> = (0..parts)
        .flat_map(|at| {
            [
                (format!("c{at}.jsonl.br"), part(at)),
                (format!("attachments/c{at}/x{at}/a.txt"), vec![b'x'; 99]),
            ]
        })
        .collect();
    let entries: Vec<(&str, Vec<u8>)> = names.iter().map(|(name, it)| (name.as_str(), it.clone())).collect();
    zip_of(&entries)
}

/// What a walk over an archive reads, in bytes for each byte that there is.
fn cost(parts: u64, walk: impl Fn(&mut Inspector<Counted>, &mut Inspector<Counted>)) -> f64 {
    let bytes = archive(parts);
    let read = Rc::new(Cell::new(0));
    let open = || {
        let reader = BackupReader::open(Counted(Cursor::new(bytes.clone()), Rc::clone(&read))).unwrap();
        Inspector::open(reader, &mut |_| Ok(())).unwrap()
    };
    let (mut one, mut other) = (open(), open());
    walk(&mut one, &mut other);
    read.get() as f64 / bytes.len() as f64
}

#[test]
fn no_walk_over_an_archive_reads_it_more_often_the_larger_it_is() {
    type Walk = fn(&mut Inspector<Counted>, &mut Inspector<Counted>);
    let walks: [(&str, Walk); 4] = [
        ("verify", |one, _| drop(one.reader().verify(&mut |_| Ok(())).unwrap())),
        ("extract", |one, _| {
            for name in one.index().names_in_order() {
                let on_row = &mut |_, _: &[u8]| Ok(ControlFlow::Continue(()));
                assert!(one.each(&name, 0, &mut |_| Ok(()), on_row).unwrap().is_empty());
            }
        }),
        ("search", |one, _| {
            let query = Query::parse("x7");
            for part in one.index().parts_of(None) {
                one.search(part, None, &query, &mut |_| Ok(()), &mut |_| Ok(())).unwrap();
            }
        }),
        ("diff", |one, other| {
            for name in collections_in_order(one.index(), other.index()) {
                assert_eq!(compare(one, other, &name, &mut |_| Ok(()), None).unwrap().same, 1);
            }
            assert!(compare_files(one, other, &mut |_| Ok(())).unwrap().problems.is_empty());
        }),
    ];
    for (what, walk) in walks {
        // Each archive is larger than the block that is kept of it.
        let (small, large) = (cost(4_000, walk), cost(16_000, walk));
        assert!(large < 1.5 * small, "{what}: reads {small:.1} and {large:.1} times what there is");
    }
}
