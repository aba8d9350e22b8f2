//! The Restore view as a person uses it, by the hooks that `www/app/main.js` promises.

use crate::browser::Browser;
use crate::tools::unzip;
use crate::until;
use fantoccini::Locator;
use std::path::Path;

/// Goes to the view and picks a file there, without waiting for what comes of it.
pub async fn pick(browser: &Browser, file: &Path) {
    browser.click("#view-restore").await;
    browser.find("#restore-title").await;
    let input = browser.client.find(Locator::Css("#restore-file")).await.unwrap();
    input.send_keys(file.to_str().unwrap()).await.unwrap();
}

/// Picks a file, and waits until the page has said what it is.
pub async fn open(browser: &Browser, file: &Path) {
    pick(browser, file).await;
    until("what the file is", async || {
        let shown = browser.visible("#restore-facts").await?.text().await.ok()?;
        shown.contains(file.file_name()?.to_str()?).then_some(())
    })
    .await;
}

/// Chooses these categories alone, in this mode.
pub async fn choose(browser: &Browser, mode: &str, categories: &[&str]) {
    browser.click(&format!("#mode-{mode}")).await;
    browser.click("#category-all").await;
    for category in categories {
        browser.click(&format!("#category-{category}")).await;
    }
}

/// Asks for the preview, and waits for it; a failure fails the test. The text that is shown.
pub async fn preview(browser: &Browser) -> String {
    browser.click("#show-changes:enabled").await;
    previewed(browser).await
}

/// Waits for the preview.
pub async fn previewed(browser: &Browser) -> String {
    let panel = browser.find("#preview, #error").await;
    let text = panel.text().await.unwrap();
    let id = panel.attr("id").await.unwrap();
    assert_eq!(id.as_deref(), Some("preview"), "{text}\n{}", browser.console().await);
    text
}

/// Confirms, with what has to be typed for it.
pub async fn confirm(browser: &Browser, typed: &[(&str, &str)]) {
    browser.click("#proceed").await;
    browser.find("#confirm").await;
    for (field, text) in typed {
        assert!(browser.visible("#confirm-yes:enabled").await.is_none(), "{field} should have to be filled");
        browser.fill(field, text).await;
    }
    browser.click("#confirm-yes:enabled").await;
}

/// What has to be typed for a full restore.
pub const WORD: (&str, &str) = ("#word", "RESTORE");

/// Waits until it is done; a failure fails the test. The text that is shown.
pub async fn done(browser: &Browser) -> String {
    let panel = browser.find("#restored, #error, #refused").await;
    let text = panel.text().await.unwrap();
    let id = panel.attr("id").await.unwrap();
    assert_eq!(id.as_deref(), Some("restored"), "{text}\n{}", browser.console().await);
    text
}

/// Signs in where the page asks for it, after a restore that replaced the users.
pub async fn sign_in_again(browser: &Browser, (username, password): &(String, String)) {
    browser.fill("#username", username).await;
    browser.fill("#password", password).await;
    browser.click("#login").await;
    browser.find("#logout").await;
}

/// The first number that a text names, without what separates its thousands.
pub fn number_in(text: &str) -> String {
    let mut words = text.split_whitespace();
    let number = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit())).expect("a number");
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Checks that two backups hold the same, to the byte: but for the moment and the installation in the manifest.
pub fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (unzip(one), unzip(other));
    assert_eq!(one.files(), other.files());
    for file in one.files().iter().filter(|name| *name != "manifest.json") {
        assert!(one.read(file) == other.read(file), "{file}");
    }
    let manifest = |mut manifest: serde_json::Value| {
        for changing in ["created", "source"] {
            manifest.as_object_mut().unwrap().remove(changing).expect(changing);
        }
        manifest
    };
    assert_eq!(manifest(one.manifest()), manifest(other.manifest()));
}
