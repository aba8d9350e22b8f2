//! `diff`: two backups compared, with manifests and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use support::{Shop, assert_ended, dikas_backup, entries, pack, sample, stderr, stdout};

fn diff(old: &Path, new: &Path, arguments: &[&str]) -> Output {
    dikas_backup().arg("diff").args([old, new]).args(arguments).output().unwrap()
}

fn last(output: &Output) -> Value {
    serde_json::from_str(stdout(output).lines().last().unwrap()).unwrap()
}

#[test]
fn what_changed_between_two_backups_is_named() {
    let shop = Shop::demo();
    let old = shop.create("old.zip");
    assert_ended(&diff(&old, &old, &[]), 0);
    let article = json!({"_id": "art_new", "documentType": "Article", "name": "Only \u{1b}now"}).to_string();
    shop.put("articles", "art_new", &article);
    let new = shop.create("new.zip");
    let changed = json!({"_id": "art_new", "documentType": "Article", "name": "Changed"}).to_string();
    shop.put("articles", "art_new", &changed);
    let newest = shop.create("newest.zip");

    let added = diff(&old, &new, &["--documents"]);
    assert_ended(&added, 1);
    assert!(stdout(&added).contains("+ articles art_new\n"), "{}", stdout(&added));
    assert!(stdout(&added).ends_with("different\n"));
    assert!(stdout(&diff(&new, &old, &["--documents"])).contains("- articles art_new\n"));
    let told = diff(&new, &newest, &["--documents", "--json"]);
    assert_ended(&told, 1);
    let first: Value = serde_json::from_str(stdout(&told).lines().next().unwrap()).unwrap();
    let field = json!([{"path": "name", "old": "\"Only \\u001bnow\"", "new": "\"Changed\""}]);
    assert_eq!(first, json!({"collection": "articles", "id": "art_new", "kind": "changed", "fields": field}));
    let summary = last(&told);
    assert_eq!((&summary["same"], stdout(&told).lines().count()), (&json!(false), 2));
    let articles =
        summary["collections"].as_array().unwrap().iter().find(|it| it["name"] == "articles").unwrap();
    assert_eq!([&articles["added"], &articles["removed"], &articles["changed"]], [0, 0, 1]);
    assert_eq!(last(&diff(&new, &new, &["--json"]))["same"], true);
}

#[test]
fn without_manifests_files_and_damage_count_too() {
    let Some(sample) = sample() else { return };
    let folder = tempfile::tempdir().unwrap();
    assert_ended(&diff(&sample, &sample, &[]), 0);
    // Packed anew by another program: what is in it is the same.
    let mut content = entries(&sample);
    let other = folder.path().join("other.zip");
    pack(&other, &content);
    assert_ended(&diff(&sample, &other, &[]), 0);

    let name = content.keys().find(|name| name.starts_with("attachments/")).unwrap().clone();
    content.insert(name, b"another picture".to_vec());
    pack(&other, &content);
    let changed = diff(&sample, &other, &["--json"]);
    assert_ended(&changed, 1);
    assert_eq!(last(&changed)["attachments"], json!({"added": 0, "removed": 0, "changed": 1, "same": 71}));

    let bytes = std::fs::read(&sample).unwrap();
    std::fs::write(&other, &bytes[..bytes.len() - 100]).unwrap();
    let damaged = diff(&sample, &other, &[]);
    assert_ended(&damaged, 1);
    assert!(!stderr(&damaged).is_empty());
    std::fs::write(&other, b"nothing").unwrap();
    assert_ended(&diff(&sample, &other, &[]), 2);
    assert_ended(&diff(&folder.path().join("nowhere"), &sample, &[]), 2);
}
