//! `restore-points` and `undo` against a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Shop, assert_ended, entries, lines, stderr, stdout};

fn points(shop: &Shop) -> Vec<Value> {
    let listed = shop.run("restore-points", &["--json"]);
    assert_ended(&listed, 0);
    serde_json::from_str(&stdout(&listed)).unwrap()
}

/// Everything but the manifest, which says when it was made.
fn content(shop: &Shop, name: &str) -> support::Entries {
    let mut content = entries(&shop.create(name));
    content.remove("manifest.json");
    content
}

#[test]
fn an_undo_brings_back_what_was_there_and_can_be_undone() {
    let shop = Shop::demo();
    let menu = shop.file("menu.zip");
    assert_ended(&shop.run("create", &["-o", menu.to_str().unwrap(), "--category", "articles"]), 0);
    assert_ended(&shop.run("undo", &["--yes"]), 2);
    let nothing = shop.run("restore-points", &[]);
    assert_ended(&nothing, 0);
    assert_eq!(stdout(&nothing), "There is nothing to undo.\n");

    let article = json!({"_id": "art_new", "documentType": "Article", "name": "Only now"}).to_string();
    shop.put("articles", "art_new", &article);
    let before = content(&shop, "before.zip");
    assert_ended(&shop.restore(&menu, &["--yes"]), 0);
    let after = content(&shop, "after.zip");
    assert!(before != after);
    let listed = points(&shop);
    assert_eq!(listed.len(), 1);
    let id = listed[0]["id"].as_str().unwrap();
    let text = stdout(&shop.run("restore-points", &[]));
    assert!(
        text.contains(id) && text.contains("the restore of menu.zip by") && text.contains("articles"),
        "{text}"
    );

    // Nobody is there to confirm, and looking changes nothing.
    assert_ended(&shop.run("undo", &[]), 3);
    let looked = shop.run("undo", &["--dry-run"]);
    assert_ended(&looked, 0);
    assert!(stdout(&looked).contains("dry run: nothing was changed"), "{}", stdout(&looked));
    assert_ended(&shop.run("undo", &["--yes", "--point", "0123456789abcdef0123456789abcdef"]), 2);
    assert!(content(&shop, "still.zip") == after);

    let undone = shop.run("undo", &["--yes", "--json", "--point", id]);
    assert_ended(&undone, 0);
    let events: Vec<Value> =
        stdout(&undone).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["point", "preview", "done"]);
    assert!(content(&shop, "undone.zip") == before);
    // Once more, it undoes no undo, but says what can be done.
    let listed = points(&shop);
    assert_eq!((listed.len(), &listed[0]["action"]), (1, &json!("undo")));
    let undo = listed[0]["id"].as_str().unwrap();
    for arguments in [&["--yes"][..], &["--yes", "--json"], &["--dry-run"], &["--yes", "--point", id]] {
        assert_ended(&shop.run("undo", arguments), 2);
    }
    let again = stderr(&shop.run("undo", &["--yes"]));
    assert!(
        again.contains("the last thing done was an undo, at ")
            && again.contains(&format!("undo --point {undo}")),
        "{again}"
    );
    let used = stderr(&shop.run("undo", &["--yes", "--point", id]));
    assert!(used.contains("an undo has used it up"), "{used}");
    assert!(content(&shop, "unchanged.zip") == before);
    // By its name, the undo can be taken back.
    let back = shop.run("undo", &["--yes", "--point", undo]);
    assert_ended(&back, 0);
    assert!(stdout(&back).contains("an undo by"), "{}", stdout(&back));
    let next = points(&shop)[0]["id"].as_str().unwrap().to_owned();
    assert!(stdout(&back).contains(&format!("undo --point {next}` takes it back")), "{}", stdout(&back));
    assert!(content(&shop, "again.zip") == after);
    // The restore is live again: nothing is said of one that was undone.
    let refused = stderr(&shop.run("undo", &["--yes"]));
    assert!(refused.contains(&format!("`undo --point {next}` takes it back")), "{refused}");
    assert!(refused.contains("the last thing done was an undo") && !refused.contains("undone"), "{refused}");
}

#[test]
fn behind_an_undo_an_earlier_restore_is_named_and_can_be_undone() {
    let shop = Shop::demo();
    let menu = shop.file("menu.zip");
    assert_ended(&shop.run("create", &["-o", menu.to_str().unwrap(), "--category", "articles"]), 0);
    let before = content(&shop, "before.zip");
    for number in 1..=2 {
        let id = format!("art_new_{number}");
        let article = json!({"_id": id, "documentType": "Article", "name": "Only now"}).to_string();
        shop.put("articles", &id, &article);
        assert_ended(&shop.restore(&menu, &["--yes"]), 0);
    }
    let earlier = points(&shop)[1]["id"].as_str().unwrap().to_owned();
    assert_ended(&shop.run("undo", &["--yes"]), 0);
    let refused = shop.run("undo", &["--yes"]);
    assert_ended(&refused, 2);
    let told = stderr(&refused);
    assert!(
        told.contains(&format!("`undo --point {earlier}` undoes the restore of menu.zip as well")),
        "{told}"
    );
    assert_ended(&shop.run("undo", &["--yes", "--point", &earlier]), 0);
    assert!(content(&shop, "now.zip") != before, "the first article of now is back");
}

#[test]
fn an_undo_keeps_the_receipts_that_are_newer() {
    let shop = Shop::demo();
    let backup = shop.create("backup.zip");
    let article = json!({"_id": "art_new", "documentType": "Article", "name": "Only now"}).to_string();
    shop.put("articles", "art_new", &article);
    assert_ended(&shop.restore(&backup, &["--yes"]), 0);
    let receipt = json!({"_id": "rcp_9999", "documentType": "Receipt2", "total": 1}).to_string();
    shop.put("receipts", "rcp_9999", &receipt);
    assert_ended(&shop.run("undo", &["--yes"]), 0);
    let now = lines(&shop.create("now.zip"));
    let has = |collection: &str, id: &str| {
        now[collection].iter().any(|line| String::from_utf8_lossy(line).contains(&format!("\"{id}\"")))
    };
    assert!(has("articles", "art_new") && has("receipts", "rcp_9999"));
}
