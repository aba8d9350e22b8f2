//! A search finds what a slow and simple one finds, however words are spelled, and marks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use dikas_archive::codec;
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::inspect::{Hit, Inspector, Query};
use dikas_archive::reader::BackupReader;
use proptest::prelude::*;
use serde_json::Value;
use std::io::Cursor;
use support::{backup, receipts, zip_of};
use unicode_normalization::UnicodeNormalization;

fn open(bytes: Vec<u8>) -> Inspector<Cursor<Vec<u8>>> {
    Inspector::open(BackupReader::open(Cursor::new(bytes)).unwrap(), &mut |_| Ok(())).unwrap()
}

fn hits(bytes: Vec<u8>, collection: Option<&str>, query: &str) -> Vec<(String, u64)> {
    let mut inspector = open(bytes);
    let query = Query::parse(query);
    let mut found = Vec::new();
    for part in inspector.index().parts_of(collection) {
        let mut on_hit = |hit: Hit| {
            assert!(query.matches(hit.text.as_bytes()));
            found.push((hit.collection, hit.row));
            Ok(())
        };
        assert_eq!(inspector.search(part, collection, &query, &mut |_| Ok(()), &mut on_hit).unwrap(), None);
    }
    found
}

/// The folding, said once more and slowly.
fn folded(text: &str) -> String {
    let mut out = String::new();
    for c in text.nfd().flat_map(char::to_lowercase) {
        match c {
            'ß' => out += "ss",
            '\u{308}' if out.ends_with(['a', 'o', 'u']) => out.push('e'),
            '\u{300}'..='\u{36f}' => {}
            c if c.is_whitespace() || c < ' ' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn any_scalar(value: &Value, path: &mut Vec<String>, test: &mut dyn FnMut(&[String], &str) -> bool) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(name, value)| {
            path.push(folded(name));
            let found = any_scalar(value, path, test);
            path.pop();
            found
        }),
        Value::Array(items) => items.iter().any(|item| any_scalar(item, path, test)),
        Value::String(text) => test(path, text),
        other => test(path, &other.to_string()),
    }
}

#[test]
fn words_are_found_in_values_however_they_are_spelled() {
    let line = r#"{"_id":"cust_1","name":"J\u00f6rg M\u00DCLLER","street":"Große Straße","tags":["VIP",{"since":2015}],"note":"say \"hi\"","address":{"city":"Cafe\u0301"},"total":9007199254740993.10}"#;
    for found in [
        "",
        "müller",
        "MUELLER jörg",
        "joerg",
        "\"grosse strasse\"",
        "vip",
        "tags:vip",
        "since:2015",
        "tags.since:201",
        "address.city:café",
        "city:CAFE",
        "address:cafe",
        "NAME:müller",
        "total:9007199254740993.1",
        "note:hi",
        "\"say \"",
        "note:",
        "2015",
        "cust_1",
    ] {
        assert!(Query::parse(found).matches(line.as_bytes()), "{found}");
    }
    for missing in [
        "muller",
        "street",
        "city:vip",
        "address.name:müller",
        "müller meier",
        "total:9007199254740992",
        "nothing:",
    ] {
        assert!(!Query::parse(missing).matches(line.as_bytes()), "{missing}");
    }
    // Amounts as they are written here.
    for (found, total) in [
        ("12,50", "12.5"),
        ("12,50", "12.50"),
        ("total:12,5", "112.55"),
        ("12,00", "12"),
        ("12,50", "\"12,50 €\""),
    ] {
        assert!(
            Query::parse(found).matches(format!("{{\"_id\":\"a\",\"total\":{total}}}").as_bytes()),
            "{found} {total}"
        );
    }
    for (missing, total) in [("12,50", "12.55"), ("12,50", "112.5"), ("12,00", "120"), ("12,", "12")] {
        assert!(
            !Query::parse(missing).matches(format!("{{\"_id\":\"a\",\"total\":{total}}}").as_bytes()),
            "{missing} {total}"
        );
    }
    // A time and an address are no fields.
    assert!(Query::parse("12:30 http://x").matches(br#"{"_id":"a","t":"12:30","u":"http://x"}"#));
}

#[test]
fn marks_cover_what_was_found() {
    let query = Query::parse("müller name:VIP");
    let marked =
        |text: &str| query.marks(text).into_iter().map(|mark| text[mark].to_owned()).collect::<Vec<_>>();
    assert_eq!(marked("Frau Müller, Herr MUELLER, vip"), ["Müller", "MUELLER", "vip"]);
    let document = r#"{"_id":"müller1","name":"M\u00fcllervip","other":"vip","n":1}"#;
    let marks: Vec<_> = query.marks_in(document).into_iter().map(|mark| &document[mark]).collect();
    assert_eq!(marks, ["müller", "M\\u00fcllervip"]);
    assert_eq!(Query::parse("").marks("x"), []);
    assert_eq!(Query::parse("12,50").marks("12.5").first(), Some(&(0..4)));
}

#[test]
fn hits_name_their_rows_in_every_part() {
    let bytes = backup(&[("articles", support::awkward()), ("receipts", receipts(0, 120_000))], &[]);
    assert_eq!(hits(bytes.clone(), None, "rcp_00111111"), [("receipts".to_owned(), 111_111)]);
    assert_eq!(hits(bytes.clone(), Some("articles"), "rcp_00111111"), []);
    assert_eq!(hits(bytes.clone(), None, "still"), [("articles".to_owned(), 1)]);
    let many = hits(bytes.clone(), Some("receipts"), "table:t7 total:77.5");
    let expected =
        (0..120_000_u64).filter(|at| at % 23 == 7 && format!("{}.50", at * 7919 % 10_007).contains("77.5"));
    assert_eq!(many, expected.map(|at| ("receipts".to_owned(), at)).collect::<Vec<_>>());
    assert_eq!(hits(bytes.clone(), None, "").len(), 120_005);

    // It ends when the caller says so.
    let mut inspector = open(bytes);
    let stop = |_| Err(Error::new(ErrorKind::Cancelled, "enough"));
    let ended = inspector.search(1, None, &Query::parse("rcp"), &mut |_| Ok(()), &mut |hit| stop(hit));
    assert_eq!(ended.unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn mixed_parts_are_searched_by_collection() {
    let lines = "{\"_id\":\"art_1\",\"n\":\"Öl\"}\n{\"_id\":\"cust_1\",\"n\":\"oel\"}\n{\"_id\":\"art_2\",\"n\":\"\\u00d6L\"}\n";
    let bytes = zip_of(&[("mixed.jsonl.br", codec::encode(lines.as_bytes()).unwrap().bytes)]);
    assert_eq!(
        hits(bytes.clone(), Some("articles"), "öl"),
        [("articles".to_owned(), 0), ("articles".to_owned(), 1)]
    );
    assert_eq!(hits(bytes.clone(), None, "oel").len(), 3);
    assert_eq!(hits(bytes, Some("customers"), "öl"), [("customers".to_owned(), 0)]);
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-cA-CäöüÄÖÜß\u{308}éÉ \"\\\\1.]{0,12}", "\\PC{0,10}"];
    let leaf = prop_oneof![text.prop_map(Value::from), (0..120_u32).prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abAäÄ]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_naive_search_agrees(
        documents in prop::collection::vec(prop::collection::btree_map("[abAäÄ]{1,2}", values(), 0..4), 1..8),
        words in prop::collection::vec((prop::option::of("[abAÄä]{1,2}(\\.[abä])?"), "[a-cA-Cäöüß1.]{1,3}"), 0..3),
        ascii in any::<bool>(),
    ) {
        let mut lines = String::new();
        let mut expected = Vec::new();
        for (at, members) in documents.iter().enumerate() {
            let mut document: serde_json::Map<String, Value> = members.clone().into_iter().collect();
            document.insert("_id".to_owned(), format!("x{at}").into());
            let value = Value::Object(document);
            let found = words.iter().all(|(field, word)| {
                let names: Vec<String> = field.iter().flat_map(|field| field.split('.')).map(folded).collect();
                let word = folded(word);
                any_scalar(&value, &mut Vec::new(), &mut |path, text| {
                    let there = names.is_empty() || path.windows(names.len()).any(|part| part == names);
                    there && folded(text).contains(&word)
                })
            });
            if found {
                expected.push(("part".to_owned(), at as u64));
            }
            for c in value.to_string().chars() {
                if ascii && !c.is_ascii() {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| lines += &format!("\\u{unit:04x}"));
                } else {
                    lines.push(c);
                }
            }
            lines.push('\n');
        }
        let typed: Vec<String> = words
            .iter()
            .map(|(field, word)| field.as_ref().map_or(word.clone(), |field| format!("{field}:{word}")))
            .collect();
        let bytes = zip_of(&[("part.jsonl.br", codec::encode(lines.as_bytes()).unwrap().bytes)]);
        prop_assert_eq!(hits(bytes, None, &typed.join(" ")), expected, "{:?} in {}", typed, lines);
    }
}
