//! Backups that come back: by the page, in a real browser, into a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::api::{Api, Everything};
use dikas_e2e::browser::Browser;
use dikas_e2e::checks::first_difference;
use dikas_e2e::restoring::{self, WORD, assert_same, done, open, preview, sign_in_again};
use dikas_e2e::server::Local;
use dikas_e2e::{native, page, sample, until};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A backup of this server, made natively.
async fn backup(server: &Local, folder: &tempfile::TempDir, name: &str) -> PathBuf {
    let file = folder.path().join(name);
    native::backup(&server.url, &server.login, &file).await.unwrap();
    file
}

fn assert_unchanged(before: &Everything, after: &Everything, except: &[&str]) {
    assert_eq!(before.lines.keys().collect::<Vec<_>>(), after.lines.keys().collect::<Vec<_>>());
    for (name, lines) in before.lines.iter().filter(|(name, _)| !except.contains(&name.as_str())) {
        let found = &after.lines[name];
        assert!(found == lines, "{name}: {}", first_difference(found, lines));
    }
    let files = |all: &Everything| -> Vec<_> {
        let kept = all.attachments.iter().filter(|it| !except.contains(&it.collection.as_str()));
        kept.cloned().collect()
    };
    assert_eq!(files(before), files(after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_moves_to_an_empty_server_and_back_out_again() {
    let Some(browser) = Browser::start().await else { return };
    let (old, new) = (Local::demo().await, Local::start().await);
    let folder = tempfile::tempdir().unwrap();
    page::sign_in(&browser, &old.url, &old.login).await;
    page::start(&browser).await;
    page::finished(&browser).await;
    let file = page::download(&browser).await;
    let before = new.api().await.everything().await;

    page::sign_in(&browser, &new.url, &new.login).await;
    open(&browser, &file).await;
    // Of another installation: its name has to be typed.
    browser.find("#foreign").await;
    browser.shot("restore-choice").await;
    assert!(browser.visible("#show-changes:enabled").await.is_none());
    browser.fill("#business-name", &business(&file)).await;
    let shown = preview(&browser).await;
    browser.shot("restore-preview").await;
    assert!(shown.contains("Articles") && shown.contains(" new"), "{shown}");
    browser.find("#warnings > [data-kind=logins-end]").await;
    restoring::confirm(&browser, &[WORD]).await;
    done(&browser).await;
    browser.shot("restored-login").await;

    // The users are those of the backup now.
    browser.find("#logins-ended").await;
    sign_in_again(&browser, &old.login).await;
    browser.find("#undo").await;
    browser.shot("restored").await;
    browser.click("#view-backup").await;
    page::start(&browser).await;
    page::finished(&browser).await;
    assert_same(&file, &page::download(&browser).await);

    // And back: what was there before is there again.
    browser.click("#view-restore").await;
    browser.click("#undo").await;
    restoring::previewed(&browser).await;
    browser.shot("undo-preview").await;
    let lost = browser.visible("#signed-loss").await.is_some();
    assert!(lost, "undoing drops receipts of the backup");
    let number = restoring::number_in(&browser.text("#signed-loss").await);
    restoring::confirm(&browser, &[("#acknowledge", &number)]).await;
    done(&browser).await;
    sign_in_again(&browser, &new.login).await;
    // But for counters, which are never set back.
    assert_unchanged(&before, &new.api().await.everything().await, &["counters"]);
    // The way back from an undo is named for what it does.
    assert!(browser.text("#undo").await.contains("Take back the undo"));
    browser.click("#restored-close").await;
    let point = browser.text("#points > [data-action=undo]").await;
    assert!(point.contains("Before an undo") && point.contains("Take back the undo"), "{point}");
    browser.shot("restore-points").await;
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_comes_whole_into_an_empty_server() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    let folder = tempfile::tempdir().unwrap();
    page::sign_in(&browser, &server.url, &server.login).await;
    open(&browser, &file).await;
    browser.shot("restore-sample").await;
    // It does not say where it comes from: the name of the live business has to be typed.
    browser.find("#foreign").await;
    assert!(browser.visible("#show-changes:enabled").await.is_none());
    browser.fill("#business-name", "DiKAS").await;
    let shown = preview(&browser).await;
    // What it does not cover stays, the login with it.
    browser.find("#untouched").await;
    assert!(shown.contains("Users"), "{shown}");
    restoring::confirm(&browser, &[WORD]).await;
    done(&browser).await;
    browser.find("#undo").await;
    let back = backup(&server, &folder, "back.zip").await;
    sample::compare(&sample::unpacked().unwrap(), &dikas_e2e::tools::unzip(&back));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_menu_alone_with_its_pictures_and_nothing_else() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let before = api.everything().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    open(&browser, &file).await;
    browser.fill("#business-name", "Zum Goldenen Hirschen").await;
    restoring::choose(&browser, "identical", &["articles"]).await;
    browser.shot("restore-some").await;
    let shown = preview(&browser).await;
    browser.shot("restore-some-preview").await;
    assert!(shown.contains("exist only now and will go"), "{shown}");
    let rows = browser.run("return document.querySelectorAll('#changes > li').length", vec![]).await;
    assert_eq!(rows, 1, "{shown}");
    restoring::confirm(&browser, &[]).await;
    let shown = done(&browser).await;
    assert!(shown.contains("added") && shown.contains("removed"), "{shown}");
    browser.shot("restored-some").await;

    let after = api.everything().await;
    let articles = ["articles", "article-groups", "option-templates"];
    let unpacked = sample::unpacked().unwrap();
    let covered: Vec<&str> = articles.into_iter().filter(|it| unpacked.lines().contains_key(*it)).collect();
    assert!(!covered.is_empty());
    assert_unchanged(&before, &after, &covered);
    for name in &covered {
        let sorted = |lines: &[u8]| {
            let mut lines: Vec<_> = lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            lines.sort();
            lines
        };
        assert!(sorted(&after.lines[*name]) == sorted(&unpacked.lines()[*name]), "{name}");
    }
    let pictures = after.attachments.iter().filter(|it| covered.contains(&it.collection.as_str())).count();
    let of_them = |path: &&String| covered.iter().any(|it| path.starts_with(&format!("attachments/{it}/")));
    let expected = unpacked.attachments().keys().filter(of_them).count();
    assert!(expected > 0 && pictures == expected, "{pictures} of {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_writes_meanwhile_is_not_overwritten_unseen() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "before.zip").await;
    let before = api.everything().await;
    let (id, changed) = altered(&before, "articles");
    put(&api, "articles", &id, &changed).await;
    let receipt = br#"{"_id":"rcp_later","documentType":"Receipt2","total":100}"#;
    put(&api, "receipts", "rcp_later", receipt).await;

    page::sign_in(&browser, &server.url, &server.login).await;
    open(&browser, &file).await;
    assert!(browser.visible("#foreign").await.is_none());
    preview(&browser).await;
    browser.find("#signed-loss").await;
    // The till goes on, with what the restore would drop.
    let later = br#"{"_id":"rcp_later_still","documentType":"Receipt2","total":200}"#;
    put(&api, "receipts", "rcp_later_still", later).await;
    browser.shot("signed-loss").await;
    restoring::confirm(&browser, &[("#acknowledge", "1"), WORD]).await;
    browser.find("#refused[data-kind=live-changed]").await;
    browser.shot("live-changed").await;
    assert_eq!(api.document("receipts", "rcp_later_still").await, later, "nothing has changed");
    assert_eq!(restoring::number_in(&browser.text("#signed-loss").await), "2");
    restoring::confirm(&browser, &[("#acknowledge", "2"), WORD]).await;
    let shown = done(&browser).await;
    browser.find("#lost").await;
    assert!(shown.contains('2'), "{shown}");
    assert_unchanged(&before, &api_again(&server).await.everything().await, &["counters"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_backup_or_a_damaged_one_change_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let folder = tempfile::tempdir().unwrap();
    let whole = backup(&server, &folder, "whole.zip").await;
    let before = api.everything().await;
    page::sign_in(&browser, &server.url, &server.login).await;

    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let bytes = std::fs::read(&whole).unwrap();
    let picture = write("picture.png", b"\x89PNG\r\n\x1a\n and so on");
    let cut = write("cut.zip", &bytes[..bytes.len() / 2]);
    for file in [picture, cut] {
        restoring::pick(&browser, &file).await;
        let failed = page::failed(&browser).await;
        assert_eq!(failed.kind, "not-an-archive", "{}", failed.text);
        browser.shot("restore-not-an-archive").await;
        browser.click("#error-dismiss").await;
    }

    // A ZIP of something else holds nothing to restore.
    let other = folder.path().join("other.zip");
    let made = std::process::Command::new("zip").arg("-q").arg("-j").arg(&other).arg(&whole).status();
    assert!(made.unwrap().success());
    open(&browser, &other).await;
    browser.fill("#business-name", "Zum Goldenen Hirschen").await;
    browser.click("#show-changes:enabled").await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "missing-entry", "{}", failed.text);
    browser.shot("restore-other-zip").await;

    // One byte in the middle of the receipts.
    let mut damaged = bytes.clone();
    let at = entry_middle(&bytes, b"receipts.jsonl.br");
    damaged[at] ^= 1;
    let damaged = write("damaged.zip", &damaged);
    open(&browser, &damaged).await;
    browser.click("#show-changes").await;
    let failed = page::failed(&browser).await;
    assert_eq!(failed.kind, "damaged-entry", "{}", failed.text);
    assert!(failed.text.contains("receipts"), "{}", failed.text);
    browser.shot("restore-damaged").await;
    assert_unchanged(&before, &api.everything().await, &[]);
    // What is sound can be restored all the same.
    browser.click("#error-dismiss").await;
    restoring::choose(&browser, "identical", &["articles"]).await;
    preview(&browser).await;
    browser.find("#nothing").await;
    browser.click("#preview-back").await;
    browser.find("#restore-facts").await;
}

fn business(file: &std::path::Path) -> String {
    dikas_e2e::tools::unzip(file).manifest()["source"]["business"].as_str().unwrap().to_owned()
}

/// A document of a collection, with another name.
fn altered(all: &Everything, collection: &str) -> (String, Vec<u8>) {
    let line = all.lines[collection].split(|byte| *byte == b'\n').next().unwrap();
    let mut document: Value = serde_json::from_slice(line).unwrap();
    document["name"] = json!("another name");
    (document["_id"].as_str().unwrap().to_owned(), serde_json::to_vec(&document).unwrap())
}

async fn put(api: &Api, collection: &str, id: &str, body: &[u8]) {
    let status = api.put_document(collection, id, body.to_vec()).await;
    assert!(status.is_success(), "{collection} {id}: {status}");
}

/// After a restore of users every login of before has ended.
async fn api_again(server: &Local) -> Api {
    until("a login", async || Some(server.api().await)).await
}

/// Somewhere within the bytes of an entry.
fn entry_middle(zip: &[u8], name: &[u8]) -> usize {
    let at = zip.windows(name.len()).position(|window| window == name).expect("the entry");
    at + name.len() + 1000
}
