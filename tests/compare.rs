//! Two backups compared give what two maps compared give, with manifests and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::codec;
use dikas_archive::error::ErrorKind;
use dikas_archive::inspect::Inspector;
use dikas_archive::inspect::compare::{Change, ChangeKind, Compared, collections, compare};
use dikas_archive::limits::Limits;
use dikas_archive::reader::BackupReader;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use support::{backup, receipts, zip_of};

type Open = Inspector<Cursor<Vec<u8>>>;

fn open(bytes: Vec<u8>) -> Open {
    Inspector::open(BackupReader::open(Cursor::new(bytes)).unwrap(), &mut |_| Ok(())).unwrap()
}

fn changes(old: &mut Open, new: &mut Open, collection: &str) -> (Compared, Vec<Change>) {
    let mut found = Vec::new();
    let mut on_change = |change| {
        found.push(change);
        Ok(())
    };
    let compared = compare(old, new, collection, &mut |_| Ok(()), Some(&mut on_change)).unwrap();
    assert_eq!(compare(old, new, collection, &mut |_| Ok(()), None).unwrap(), compared);
    (compared, found)
}

fn counts(compared: &Compared) -> [u64; 4] {
    [compared.added, compared.removed, compared.changed, compared.same]
}

fn replaced(lines: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(lines.to_vec()).unwrap().replacen(from, to, 1).into_bytes()
}

#[test]
fn what_differs_is_named_field_by_field() {
    let before = receipts(0, 120_000);
    let line = String::from_utf8(receipts(90_000, 1)).unwrap();
    let after = [
        &replaced(&before, &line, &line.replace("\"table\":\"T", "\"table\":\"X"))[..],
        &receipts(120_000, 7),
    ]
    .concat();
    let mut old = open(backup(&[("receipts", before), ("vouchers", b"{\"_id\":\"v\"}\n".to_vec())], &[]));
    let mut new = open(backup(&[("customers", b"{\"_id\":\"c\"}\n".to_vec()), ("receipts", after)], &[]));
    assert_eq!(collections(old.index(), new.index()), ["customers", "receipts", "vouchers"]);
    let (compared, found) = changes(&mut old, &mut new, "receipts");
    assert_eq!(counts(&compared), [7, 0, 1, 119_999]);
    assert_eq!((found[0].id.as_str(), found[0].kind), ("rcp_00090000", ChangeKind::Changed));
    let field = &found[0].fields[0];
    assert_eq!((field.path.as_str(), field.old.as_deref()), ("table", Some("\"T1\"")));
    assert!(found[1..].iter().all(|change| change.kind == ChangeKind::Added && change.fields.is_empty()));
    assert_eq!(counts(&changes(&mut old, &mut new, "vouchers").0), [0, 1, 0, 0]);
    assert_eq!(counts(&changes(&mut old, &mut new, "customers").0), [1, 0, 0, 0]);

    // The first part is the same in both, so that it is not decoded.
    let parts = |inspector: &mut Open| inspector.reader().manifest().unwrap().unwrap().clone();
    assert_eq!(
        parts(&mut old).collections[0].parts[0].sha256,
        parts(&mut new).collections[1].parts[0].sha256
    );
}

#[test]
fn damage_is_told_beside_the_counts() {
    let lines = receipts(0, 1_000);
    let mut bytes = backup(&[("receipts", lines.clone())], &[]);
    let at = bytes.len() / 4;
    bytes[at] ^= 0xff;
    let mut new = open(bytes);
    let mut old = open(backup(&[("receipts", receipts(0, 1_001))], &[]));
    let (compared, _) = changes(&mut old, &mut new, "receipts");
    assert_eq!(compared.problems.len(), 1);
    assert_eq!(compared.removed + compared.changed + compared.same, 1_001);
}

#[test]
fn digests_are_bounded() {
    let limits = Limits { unordered: 1, ..Limits::default() };
    let part = codec::encode(b"{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n").unwrap().bytes;
    let bytes = zip_of(&[("misc.jsonl.br", part)]);
    let reader = BackupReader::open_with(Cursor::new(bytes.clone()), limits).unwrap();
    let mut small = Inspector::open(reader, &mut |_| Ok(())).unwrap();
    let mut other = open(bytes);
    let error = compare(&mut other, &mut small, "misc", &mut |_| Ok(()), None).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::LimitExceeded, Some("misc")));
    assert_eq!(counts(&changes(&mut other, &mut open(zip_of(&[])), "misc").0), [0, 2, 0, 0]);
}

#[test]
fn the_sample_equals_itself() {
    let Some(path) = support::sample() else { return };
    let bytes = std::fs::read(path).unwrap();
    let (mut old, mut new) = (open(bytes.clone()), open(bytes));
    let mut same = 0;
    for name in collections(old.index(), new.index()) {
        let (compared, found) = changes(&mut old, &mut new, &name);
        assert_eq!((found.len(), compared.problems.len()), (0, 0));
        same += compared.same;
    }
    assert_eq!(same, 21_892);
}

/// An archive of these documents with a manifest, or without one and in another order.
fn archive(documents: &BTreeMap<u8, u8>, with_manifest: bool) -> Open {
    let lines = documents.iter().map(|(id, value)| format!("{{\"_id\":\"x{id:03}\",\"n\":{value}}}\n"));
    if with_manifest {
        return open(backup(&[("things", lines.collect::<String>().into_bytes())], &[]));
    }
    let lines: String = lines.rev().collect();
    open(zip_of(&[("things.jsonl.br", codec::encode(lines.as_bytes()).unwrap().bytes)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn maps_agree(
        old in prop::collection::btree_map(0..40_u8, 0..3_u8, 0..30),
        new in prop::collection::btree_map(0..40_u8, 0..3_u8, 0..30),
        manifests in any::<(bool, bool)>(),
    ) {
        let (compared, found) =
            changes(&mut archive(&old, manifests.0), &mut archive(&new, manifests.1), "things");
        let mut expected = BTreeMap::new();
        for id in 0..40_u8 {
            let kind = match (old.get(&id), new.get(&id)) {
                (Some(old), Some(new)) if old != new => ChangeKind::Changed,
                (Some(_), None) => ChangeKind::Removed,
                (None, Some(_)) => ChangeKind::Added,
                _ => continue,
            };
            expected.insert(format!("x{id:03}"), format!("{kind:?}"));
        }
        let same = old.iter().filter(|(id, value)| new.get(*id) == Some(*value)).count() as u64;
        prop_assert_eq!(compared.same, same);
        prop_assert_eq!(compared.added + compared.removed + compared.changed, found.len() as u64);
        prop_assert!(found.iter().all(|change| (change.kind == ChangeKind::Changed) == (change.fields.len() == 1)));
        let found: BTreeMap<_, _> =
            found.into_iter().map(|change| (change.id, format!("{:?}", change.kind))).collect();
        prop_assert_eq!(found, expected);
    }
}
