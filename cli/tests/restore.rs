//! Backups made and restored by the program, between real servers: the same bytes come back, and what cannot be restored
//! changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use dikas_archive::codec;
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{
    Entries, Shop, assert_ended, demo_login, entries, files, lines, manifest, pack, sample, stderr, stdout,
    write,
};

#[test]
fn a_backup_restored_elsewhere_gives_the_same_backup() {
    let demo = Shop::demo();
    let first = demo.create("first.zip");
    let mut other = Shop::empty();

    // It is of another business, and nobody said so.
    assert_ended(&other.restore(&first, &["--yes"]), 3);
    assert_ended(&other.restore(&first, &["--yes", "--business", "Somebody else"]), 3);
    let business = business_of(&first);
    let looked = other.restore(&first, &["--dry-run", "--business", &business]);
    assert_ended(&looked, 0);
    assert!(stdout(&looked).contains("dry run: nothing was changed"), "{}", stdout(&looked));
    assert!(stdout(&looked).contains("receipts"), "{}", stdout(&looked));
    assert_eq!(other.restores(), ["aborted"]);

    let done = other.restore(&first, &["--yes", "--business", &business]);
    assert_ended(&done, 0);
    assert!(stdout(&done).contains("everybody has to log in again"), "{}", stdout(&done));
    // The users are those of the backup now.
    other.login = demo_login();
    assert_eq!(other.restores(), ["done", "aborted"]);
    let second = other.create("second.zip");
    let (mut one, mut two) = (entries(&first), entries(&second));
    assert!(one.len() > 30 && one.remove("manifest.json").is_some() && two.remove("manifest.json").is_some());
    assert!(one.keys().eq(two.keys()));
    for (name, content) in &one {
        assert!(two[name] == *content, "{name}");
    }
    assert_eq!(manifest(&first), manifest(&second));
}

#[test]
fn a_backup_of_another_program_is_restored_line_by_line() {
    let Some(sample) = sample() else { return };
    let shop = Shop::empty();
    let refused = shop.restore(&sample, &["--yes"]);
    assert!(stderr(&refused).contains("--business \"DiKAS\""), "{}", stderr(&refused));
    assert_eq!(shop.restores(), [""; 0]);
    let done = shop.restore(&sample, &["--yes", "--business", "DiKAS"]);
    assert_ended(&done, 0);
    // It has no users: the admin is still there, and makes a backup.
    let backup = shop.create("backup.zip");
    let (found, expected) = (lines(&backup), lines(&sample));
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 21_892);
    for (collection, lines) in &expected {
        assert!(found[collection] == *lines, "{collection}");
        assert_eq!(files(&backup, collection), files(&sample, collection));
    }
    let count: usize = expected.keys().map(|collection| files(&backup, collection).len()).sum();
    assert_eq!(count, 72);
    let manifest = manifest(&backup);
    let of_type = |media_type: &str| {
        let files = manifest["attachments"].as_array().unwrap().iter();
        files.filter(|file| file["type"] == media_type).count()
    };
    assert_eq!(of_type("image/bmp") + of_type("image/gif"), 72);
}

#[test]
fn only_the_menu_is_put_back_and_all_else_stays_byte_for_byte() {
    let Some(sample) = sample() else { return };
    let shop = Shop::demo();
    let before = shop.create("before.zip");
    let own = ["--business", "Zum Goldenen Hirschen", "--category", "articles", "--yes"];
    let done = shop.restore(&sample, &[&own[..], &["--mode", "identical"]].concat());
    assert_ended(&done, 0);
    let after = shop.create("after.zip");
    let (old, new, wanted) = (entries(&before), entries(&after), lines(&sample));
    let menu = ["articles", "article-groups"];
    let is_menu = |name: &str| {
        menu.iter().any(|collection| {
            name.starts_with(&format!("{collection}."))
                || name.starts_with(&format!("attachments/{collection}/"))
        })
    };
    let rest = |entries: &Entries| -> Entries {
        let rest = entries.iter().filter(|(name, _)| !is_menu(name) && *name != "manifest.json");
        rest.map(|(name, content)| (name.clone(), content.clone())).collect()
    };
    assert!(rest(&old) == rest(&new), "what was not chosen");
    for collection in menu {
        assert!(lines(&after)[collection] == wanted[collection], "{collection}");
        assert_eq!(files(&after, collection), files(&sample, collection));
    }
    // The same once more changes nothing.
    let again = shop.restore(&sample, &[&own[..], &["--json"]].concat());
    assert_ended(&again, 0);
    assert!(outcome_of(&stdout(&again))["restorePoint"].is_null());
}

#[test]
fn a_backup_of_one_category_leaves_the_others() {
    let shop = Shop::demo();
    let part = shop.file("menu.zip");
    assert_ended(&shop.run("create", &["-o", part.to_str().unwrap(), "--category", "articles"]), 0);
    let covered: Vec<String> = lines(&part).into_keys().collect();
    assert_eq!(covered, ["article-groups", "articles", "option-templates"]);
    let article = json!({"_id": "art_new", "documentType": "Article", "name": "Only now"}).to_string();
    let customer = json!({"_id": "cust_new", "documentType": "Customer"}).to_string();
    shop.put("articles", "art_new", &article);
    shop.put("customers", "cust_new", &customer);
    let before = shop.create("before.zip");

    let done = shop.restore(&part, &["--yes", "--json", "--pause-till"]);
    assert_ended(&done, 0);
    let events: Vec<Value> = stdout(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    for name in ["progress", "checked", "preview", "done"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let preview = events.iter().find(|event| event["event"] == "preview").unwrap();
    let articles = preview["collections"].as_array().unwrap().iter().find(|it| it["name"] == "articles");
    assert_eq!(articles.unwrap()["documents"]["dropped"], 1);

    let after = shop.create("after.zip");
    let (old, new) = (lines(&before), lines(&after));
    for (collection, lines) in old {
        if collection == "articles" {
            assert_eq!(new[&collection].len() + 1, lines.len());
        } else {
            assert!(new[&collection] == lines, "{collection}");
        }
    }
}

#[test]
fn signed_documents_are_lost_only_by_their_exact_number() {
    let shop = Shop::demo();
    let backup = shop.create("backup.zip");
    for number in 1..=2 {
        let id = format!("rcp_9999_{number}");
        let receipt = json!({"_id": id, "documentType": "Receipt2", "total": 1}).to_string();
        shop.put("receipts", &id, &receipt);
    }
    let refused = shop.restore(&backup, &["--yes"]);
    assert_ended(&refused, 3);
    assert!(stdout(&refused).contains("ATTENTION: 2 signed documents"), "{}", stdout(&refused));
    assert!(stderr(&refused).contains("--accept-signed-loss 2"), "{}", stderr(&refused));
    assert_ended(&shop.restore(&backup, &["--yes", "--accept-signed-loss", "3"]), 3);
    assert_eq!(lines(&shop.create("still.zip"))["receipts"].len(), lines(&backup)["receipts"].len() + 2);
    assert_eq!(shop.restores(), ["aborted", "aborted"]);

    assert_ended(&shop.restore(&backup, &["--yes", "--accept-signed-loss", "2"]), 0);
    assert_eq!(lines(&shop.create("after.zip"))["receipts"], lines(&backup)["receipts"]);
}

#[test]
fn nobody_restores_without_being_asked_or_without_the_right() {
    let shop = Shop::demo();
    let backup = shop.create("backup.zip");
    // There is no terminal, and no --yes.
    let refused = shop.restore(&backup, &[]);
    assert_ended(&refused, 3);
    assert!(stderr(&refused).contains("--yes"), "{}", stderr(&refused));
    assert_ended(&shop.restore(&backup, &["--yes", "--mode", "identical"]), 2);
    assert_ended(&shop.restore(&backup, &["--yes", "--category", "other"]), 2);
    assert_ended(&shop.restore(&backup, &["--yes", "--category", "nonsense"]), 2);

    let token = shop.token_file();
    let token = token.to_str().unwrap();
    let with_token = |command: &str, arguments: &[&str]| {
        let mut run = support::dikas_backup();
        run.arg(command).args(["--url", &shop.url, "--token-file", token]).args(arguments);
        run.output().unwrap()
    };
    let folder = shop.file("backups");
    fs::create_dir(&folder).unwrap();
    assert_ended(&with_token("create", &["-o", folder.to_str().unwrap(), "--json"]), 0);
    let made: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(made.len() == 1 && made[0].starts_with("dikas_20") && made[0].ends_with(".zip"), "{made:?}");
    let refused = with_token("restore", &[backup.to_str().unwrap(), "--yes"]);
    assert_ended(&refused, 1);
    assert!(stderr(&refused).contains("[forbidden]"), "{}", stderr(&refused));
    assert!(shop.restores().is_empty());
}

#[test]
fn a_backup_that_fails_leaves_no_file() {
    let shop = Shop::demo();
    let file = shop.file("backup.zip");
    let mut run = support::dikas_backup();
    run.args(["create", "--url", &shop.url, "--user", "admin", "-o"]).arg(&file);
    let refused = run.env("DIKAS_PASSWORD", "wrong").output().unwrap();
    assert_ended(&refused, 1);
    assert!(stderr(&refused).contains("[unauthorized]"), "{}", stderr(&refused));
    // Nobody answers there.
    let mut run = support::dikas_backup();
    run.args(["create", "--url", "ftp://127.0.0.1:9", "--user", "admin", "-o"]).arg(&file);
    assert_ended(&run.env("DIKAS_PASSWORD", "x").output().unwrap(), 2);
    assert!(!file.exists() && !shop.file("backup.zip.part").exists());

    let whole = shop.create("backup.zip");
    let bytes = fs::read(&whole).unwrap();
    // What is there stays.
    assert_ended(&shop.run("create", &["-o", file.to_str().unwrap()]), 2);
    assert!(fs::read(&whole).unwrap() == bytes);
}

#[test]
fn what_cannot_be_restored_is_named_and_changes_nothing() {
    let shop = Shop::demo();
    let whole = shop.create("whole.zip");
    let sound = entries(&whole);
    let part = |lines: &[u8]| codec::encode(lines).unwrap().bytes;
    let bare = |lines: &[u8]| Entries::from([("articles.jsonl.br".to_owned(), part(lines))]);
    let with = |name: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let mut entries = sound.clone();
        let content = change(entries[name].clone());
        entries.insert(name.to_owned(), content);
        entries
    };
    let without = |name: &str| {
        let mut entries = sound.clone();
        entries.remove(name).unwrap();
        entries
    };
    let replaced = |from: &'static str, to: &'static str| {
        move |json: Vec<u8>| String::from_utf8(json).unwrap().replacen(from, to, 1).into_bytes()
    };
    let articles = sound["articles.jsonl.br"].clone();
    let cases: Vec<(&str, Entries, &str, &str)> = vec![
        ("an empty ZIP", Entries::new(), "missing-entry", "manifest.json"),
        ("a part is missing", without("articles.jsonl.br"), "missing-entry", "articles.jsonl.br"),
        (
            "a newer format",
            with("manifest.json", &replaced("\"version\": 1", "\"version\": 7")),
            "newer-format",
            "manifest.json",
        ),
        (
            "sums that do not add up",
            with("manifest.json", &replaced("\"documents\": ", "\"documents\": 1")),
            "bad-manifest",
            "manifest.json",
        ),
        (
            "another part in its place",
            with("articles.jsonl.br", &|_| part(b"{\"_id\":\"art_1\"}\n")),
            "damaged",
            "articles.jsonl.br",
        ),
        ("no object", bare(b"{\"_id\":\"art_1\"}\n[1]\n"), "bad-document", "articles.jsonl.br, line 2"),
        ("no _id", bare(b"{\"id\":\"art_1\"}\n"), "bad-document", "articles.jsonl.br, line 1"),
        (
            "the same _id twice",
            bare(b"{\"_id\":\"art_1\"}\n{\"_id\":\"art_1\"}\n"),
            "bad-document",
            "articles.jsonl.br, line 2",
        ),
    ];
    for (what, content, kind, named) in cases {
        let file = shop.file("bad.zip");
        pack(&file, &content);
        let refused = shop.restore(&file, &["--yes", "--json"]);
        assert_ended(&refused, 2);
        let last: Value = serde_json::from_str(stdout(&refused).lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["exitCode"]), (&json!("failed"), &json!(2)), "{what}");
        assert!(last["error"]["kind"].as_str().unwrap().starts_with(kind), "{what}: {last}");
        assert!(last["error"]["subject"].as_str().unwrap().starts_with(named), "{what}: {last}");
    }
    let bytes = fs::read(&whole).unwrap();
    let at = bytes.windows(articles.len()).position(|window| window == articles).unwrap();
    let mut flipped = bytes.clone();
    flipped[at + articles.len() / 2] ^= 0x10;
    for (bytes, kind) in [
        (b"This is no ZIP.".to_vec(), "[not-an-archive]"),
        (Vec::new(), "[not-an-archive]"),
        (bytes[..bytes.len() / 2].to_vec(), "[not-an-archive]"),
        (flipped, "articles.jsonl.br"),
    ] {
        let file = shop.file("bad.zip");
        write(&file, &bytes);
        let refused = shop.restore(&file, &["--yes"]);
        assert_ended(&refused, 2);
        assert!(stderr(&refused).contains(kind), "{}", stderr(&refused));
    }
    assert_ended(&shop.restore(&shop.file("nowhere.zip"), &["--yes"]), 2);

    // No session was ever opened, and a backup is what it was.
    assert!(shop.restores().is_empty());
    let (mut before, mut after) = (sound, entries(&shop.create("after.zip")));
    before.remove("manifest.json");
    after.remove("manifest.json");
    assert!(before == after);
}

#[test]
fn files_that_would_be_left_out_are_a_question_that_yes_does_not_answer() {
    let shop = Shop::demo();
    let mut content = entries(&shop.create("whole.zip"));
    let lost = content.keys().find(|name| name.starts_with("attachments/articles/")).unwrap().clone();
    content.remove(&lost);
    let file = shop.file("lost.zip");
    pack(&file, &content);
    for choice in [&[][..], &["--category", "articles"], &["--category", "articles", "--mode", "identical"]] {
        let refused = shop.restore(&file, &[&["--yes"][..], choice].concat());
        assert_ended(&refused, 3);
        assert!(stderr(&refused).contains("--without-files 1"), "{}", stderr(&refused));
        assert!(stdout(&refused).contains(&lost), "{}", stdout(&refused));
        assert_ended(&shop.restore(&file, &[&["--yes", "--without-files", "2"][..], choice].concat()), 3);
    }
    let before = files(&shop.create("before.zip"), "articles");
    let update = ["--yes", "--category", "articles", "--without-files", "1", "--json"];
    let done = shop.restore(&file, &update);
    assert_ended(&done, 0);
    assert_eq!(outcome_of(&stdout(&done))["filesLeftOut"], 1);
    assert_eq!(files(&shop.create("after.zip"), "articles"), before, "what is not in the backup stays");
}

fn business_of(archive: &std::path::Path) -> String {
    let manifest: Value = serde_json::from_slice(&entries(archive)["manifest.json"]).unwrap();
    manifest["source"]["business"].as_str().unwrap().to_owned()
}

fn outcome_of(told: &str) -> Value {
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "done", "{told}");
    last["outcome"].clone()
}

#[test]
fn a_till_goes_on_while_the_program_restores() {
    let shop = Shop::demo();
    let file = shop.create("before.zip");
    let before = lines(&file);
    shop.put("articles", "art_new", r#"{"_id":"art_new","name":"only now"}"#);
    let selling = AtomicBool::new(true);
    let sold = std::thread::scope(|scope| {
        let till = scope.spawn(|| {
            let mut sold = Vec::new();
            while selling.load(Ordering::Relaxed) {
                let id = format!("rcp_till_{}", sold.len());
                let receipt = format!(r#"{{"_id":"{id}","total":{}.50}}"#, sold.len());
                shop.put("receipts", &id, &receipt);
                sold.push(receipt + "\n");
                std::thread::sleep(Duration::from_millis(100));
            }
            sold
        });
        for arguments in [&["--mode", "identical", "--pause-till"][..], &["--mode", "update"]] {
            let some = [&["--category", "articles", "--category", "customers", "--yes"], arguments].concat();
            assert_ended(&shop.restore(&file, &some), 0);
        }
        selling.store(false, Ordering::Relaxed);
        till.join().unwrap()
    });
    let after = lines(&shop.create("after.zip"));
    assert_eq!(after["articles"], before["articles"]);
    assert!(!sold.is_empty());
    for receipt in sold {
        assert!(after["receipts"].contains(&receipt.clone().into_bytes()), "{receipt}");
    }
}
