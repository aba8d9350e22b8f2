//! What is written as CSV, Python's reader gives back field by field.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]
#![cfg(not(target_arch = "wasm32"))]

use dikas_archive::inspect::csv::{Csv, Dialect, Header};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const READER: &str = "\
import csv, json, sys
with open(sys.argv[1], encoding='utf-8-sig', newline='') as file:
    print(json.dumps(list(csv.reader(file, delimiter=sys.argv[2], strict=True))))
";

fn read_by_python(table: &[u8], separator: &str) -> Vec<Vec<String>> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("table{}.csv", separator == ";"));
    fs::write(&file, table).unwrap();
    let output = Command::new("python3").args(["-c", READER]).arg(&file).arg(separator).output();
    let output =
        output.unwrap_or_else(|error| panic!("cannot run python3 ({error}); install Debian's python3"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A value's raw text, and its field in an English and a German table.
fn values() -> impl Strategy<Value = (String, String, String)> {
    let same = |raw: &str| (raw.to_owned(), raw.to_owned(), raw.to_owned());
    prop_oneof![
        "(=|\\+|-|@|\t|\r|)[a-zäß;,\"'\r\n\t €\u{2028}]{0,12}".prop_map(|text| {
            let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let field = if formula { format!("'{text}") } else { text.clone() };
            (serde_json::to_string(&text).unwrap(), field.clone(), field)
        }),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?".prop_map(|raw| (
            raw.clone(),
            raw.clone(),
            raw.replace('.', ",")
        )),
        Just(same("true")),
        Just(("null".to_owned(), String::new(), String::new())),
        Just(same("[{\"a\":[1,\"x;y\"]},-2.5]")),
        Just(("[\"=a\",1.5]".to_owned(), "'=a, 1.5".to_owned(), "'=a, 1.5".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn another_reader_agrees(rows in prop::collection::vec(prop::collection::vec(values(), 3), 1..200)) {
        let documents: Vec<String> = rows
            .iter()
            .map(|row| format!("{{\"_id\":\"x\",\"one\":{},\"in\":{{\"two\":{}}},\"=\":{}}}", row[0].0, row[1].0, row[2].0))
            .collect();
        for (dialect, separator) in [(Dialect::English, ","), (Dialect::German, ";")] {
            let mut header = Header::default();
            documents.iter().for_each(|document| header.add(document.as_bytes()));
            let csv = Csv::new(header, dialect);
            let mut table = csv.head();
            documents.iter().for_each(|document| csv.row(document.as_bytes(), &mut table));
            let expected = rows.iter().map(|row| {
                let field = |at: usize| if separator == ";" { row[at].2.clone() } else { row[at].1.clone() };
                vec!["x".to_owned(), field(0), field(1), field(2)]
            });
            let head = ["_id", "one", "in.two", "'="].map(str::to_owned).to_vec();
            prop_assert_eq!(read_by_python(&table, separator), [head].into_iter().chain(expected).collect::<Vec<_>>());
        }
    }
}
