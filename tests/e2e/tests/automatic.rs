//! The Automatic view: a real server makes backups into a folder, and a real browser does with them what a person would.
//! `DIKAS_SHOTS` names a folder for pictures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::restoring::{self, done, preview};
use dikas_e2e::server::Local;
use dikas_e2e::{looks, page, until};
use dikas_server::schedule::config::ConfigFile;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::path::{Path, PathBuf};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_on_the_server_from_its_making_to_its_end() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let proxy = Proxy::start(&server.url).await;
    page::sign_in(&browser, &proxy.url, &server.login).await;
    browser.keep_downloads().await;
    browser.click("#view-automatic").await;
    browser.find("#schedule[data-state=waiting]").await;
    assert_eq!(browser.text("#schedule-when").await, "Every day at 04:00, Europe/Berlin");
    assert!(browser.text("[data-fact=success] dd").await.contains("none yet"));
    assert!(browser.text("#stored-state").await.contains("no backups"));

    assert!(browser.text("#run-hint").await.contains("removes none"));
    browser.click("#run-now:enabled").await;
    browser.find("#stored > [data-archive]").await;
    let file = only_file(folder.path());
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let success = browser.text("[data-fact=success] dd").await;
    assert!(success.contains(&name), "{success}");
    assert!(browser.text("[data-fact=attempt] dd").await.contains(&server.login.0));
    look(&browser, "ready").await;

    // A check can be cancelled; another one reads all of it.
    proxy.rule("POST", "/verify", 0, 1, Fault::Hold);
    browser.click("#stored [data-action=check]").await;
    browser.find("#stored > [data-check=checking] progress").await;
    proxy.held().await;
    browser.click("#stored > [data-check=checking] [id$=-stop]").await;
    browser.find("#stored > [data-check=sound]").await;
    proxy.release();
    browser.click("#stored [data-action=check]:enabled").await;
    until("a sound archive", async || {
        let said = browser.run("return document.querySelector('#announcer').textContent", vec![]).await;
        said.as_str()?.contains("is sound").then_some(())
    })
    .await;
    browser.find("#stored > [data-check=sound] [data-action=check]").await;

    browser.click("#stored [data-action=download]").await;
    let downloaded = browser.downloaded(".zip").await;
    assert!(std::fs::read(&downloaded).unwrap() == std::fs::read(&file).unwrap());
    assert_eq!(downloaded.file_name(), file.file_name());

    // Looked into where it is: only in pieces.
    let file_asked =
        || ["GET", "HEAD"].map(|method| proxy.count(&format!("{method} /api/v1/backup/archives/")));
    let before = file_asked()[0];
    let tickets = proxy.count("ticket");
    browser.click("#stored [data-action=look]").await;
    browser.find("#inspected").await;
    assert!(browser.text("#inspect-title").await.contains(&name));
    browser.click("#inspected ~ * a[href*='in/articles'], main a[href*='in/articles']").await;
    browser.find("#rows [data-row='0'][data-state=there]").await;
    let in_pieces = || assert_eq!(file_asked()[0] - before, proxy.count(" bytes="), "only in pieces");
    assert!(proxy.count(" bytes=") > 0, "it is read from the server");
    assert_eq!(proxy.count("ticket"), tickets, "no address stands for a login");
    in_pieces();
    // What fails is told without what stands for a login.
    proxy.rule("GET", "/file", 0, usize::MAX, Fault::Drop);
    browser.click("#room-verify").await;
    browser.click("#verify-start").await;
    let told = browser.text("#verify[data-state=failed] .problem, #verify #problems").await;
    assert!(told.contains("/file") && !told.contains("ticket"), "{told}");
    proxy.heal();

    // Restored from where it is.
    let api = server.api().await;
    let articles = api.everything().await.lines["articles"].clone();
    let article = br#"{"_id":"art_new","documentType":"Article","name":"only now"}"#;
    assert!(api.put_document("articles", "art_new", article.to_vec()).await.is_success());
    browser.click("#view-automatic").await;
    browser.click("#stored [data-action=restore]").await;
    browser.find("#restore-facts").await;
    assert_eq!(browser.text("#restore-name").await, name);
    restoring::choose(&browser, "identical", &["articles"]).await;
    preview(&browser).await;
    restoring::confirm(&browser, &[]).await;
    done(&browser).await;
    assert!(api.everything().await.lines["articles"] == articles);
    in_pieces();

    browser.click("#view-automatic").await;
    browser.click("#stored [data-action=remove]").await;
    assert!(browser.text("dialog p").await.contains("the last good backup"));
    browser.shot("automatic-remove").await;
    browser.click("#answer-no").await;
    assert!(file.exists());
    browser.click("#stored [data-action=remove]").await;
    browser.click("#answer-yes").await;
    until("an empty list", async || browser.text("#stored-state").await.contains("no backups").then_some(()))
        .await;
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_page_makes_a_backup_until_it_is_revoked() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.click("#view-automatic").await;
    browser.find("#schedule[data-state=none]").await;
    assert!(browser.text("#schedule-lines").await.starts_with("[backup]"));
    browser.fill("#token-name", "Office computer").await;
    browser.click("#token-create").await;
    let token = browser.text("#new-token").await;
    let command = browser.text("#token-command").await;
    assert!(command.starts_with(&format!("dikas-backup create --url {}", server.url)), "{command}");
    browser.find("#tokens > [data-name='Office computer']").await;
    look(&browser, "token").await;
    // It survives a change of the language, and is gone once it is put away.
    browser.click("#language").await;
    assert_eq!(browser.text("#new-token").await, token);
    browser.click("#language").await;
    // Whoever comes next does not see it.
    browser.click("#logout").await;
    browser.find("#username").await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.click("#view-automatic").await;
    browser.find("#tokens > [data-name='Office computer']").await;
    assert!(browser.visible("#new-token").await.is_none());
    browser.fill("#token-name", "Another").await;
    browser.click("#token-create").await;
    browser.find("#new-token").await;
    browser.click("#tokens > [data-name='Another'] [data-action=revoke]").await;
    browser.click("#answer-yes").await;
    until("no token", async || browser.visible("#new-token").await.is_none().then_some(())).await;

    assert_eq!(create(&server, &token).await, StatusCode::OK);
    browser.click("#view-backup").await;
    browser.click("#view-automatic").await;
    assert!(!browser.text("#tokens .about").await.contains("never"));
    browser.click("#tokens [data-action=revoke]").await;
    browser.click("#answer-yes").await;
    until("no tokens", async || browser.text("#tokens-state").await.contains("no tokens").then_some(()))
        .await;
    assert_eq!(create(&server, &token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_says_what_happened_and_what_to_do() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("backups");
    std::fs::create_dir(&place).unwrap();
    let server = server(&place).await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.click("#view-automatic").await;
    browser.click("#run-now:enabled").await;
    browser.find("#stored > [data-archive]").await;
    // The drive has gone: where the folder was, there is a file.
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "").unwrap();
    browser.click("#run-now:enabled").await;
    let failed = browser.find("#run-error").await.text().await.unwrap();
    assert!(
        failed.contains("could not get at the folder") && failed.contains(place.to_str().unwrap()),
        "{failed}"
    );
    assert!(!browser.text("[data-fact=success] dd").await.contains("none yet"));
    assert!(browser.text("[data-fact=attempt] dd").await.contains("failed"));
    browser.find("#stored-unlisted[data-kind=no-folder]").await;
    look(&browser, "failed").await;
    // And it is well again.
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    browser.click("#run-now:enabled").await;
    until("no failure", async || browser.visible("#run-error").await.is_none().then_some(())).await;
    browser.find("#stored > [data-archive]").await;
    // Whoever signs out leaves nothing of the server open.
    browser.click("#stored [data-action=look]").await;
    browser.find("#inspected").await;
    let script = "return JSON.parse(sessionStorage.getItem('dikas.session')).accessToken";
    let token = browser.run(script, vec![]).await.as_str().unwrap().to_owned();
    let mut api = server.api().await;
    api.token = token;
    let calls = async || api.request(Method::GET, "/auth/tokens").send().await.unwrap().status();
    assert_eq!(calls().await, StatusCode::OK);
    browser.click("#logout").await;
    until("a closed backup", async || browser.visible("#inspected").await.is_none().then_some(())).await;
    // Nor is a token of that login of any use to anybody.
    until("a logout", async || (calls().await == StatusCode::UNAUTHORIZED).then_some(())).await;
    browser.find("#inspect-title").await;
}

/// A month of demo data, and a schedule into this folder.
async fn server(folder: &Path) -> Local {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = format!("[backup]\nwhen = \"0 4 * * *\"\nfolder = \"{}\"\n", folder.display());
    std::fs::write(file.path(), lines).unwrap();
    let backup = ConfigFile::read(file.path()).unwrap().backup;
    Local::demo_with(|config| config.backup = backup).await
}

/// The one archive in a folder.
fn only_file(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut archives = files.filter(|path| path.extension().is_some_and(|it| it == "zip"));
    let file = archives.next().expect("an archive");
    assert_eq!(archives.next(), None);
    file
}

async fn create(server: &Local, token: &str) -> StatusCode {
    let client = dikas_backup::http::client().build().unwrap();
    let request = client.request(Method::POST, format!("{}/api/v1/backup/create", server.url));
    request.bearer_auth(token).send().await.unwrap().status()
}

/// Takes pictures of the whole view at both widths in both themes, in German too. Nothing may stick out of the page.
async fn look(browser: &Browser, name: &str) {
    for (language, theme) in [("en", "light"), ("en", "dark"), ("de", "light")] {
        let dress = "if (document.documentElement.dataset.theme !== arguments[0]) document.querySelector('#theme').click();
            if (document.documentElement.lang !== arguments[1]) document.querySelector('#language').click()";
        browser.run(dress, vec![json!(theme), json!(language)]).await;
        browser.find("#schedule:is([data-state=waiting], [data-state=none])").await;
        for (width, height) in [(1280, 1700), (390, 2300)] {
            let name = format!("automatic-{name}-{width}-{language}-{theme}");
            looks::picture(browser, &name, (width, height), ":not(*)").await;
            let tabs = "return new Set([...document.querySelectorAll('.tabs a')].map((it) => it.getBoundingClientRect().top)).size";
            assert_eq!(
                browser.run(tabs, vec![]).await,
                1,
                "the names of the views fit into a line of {width}"
            );
        }
    }
    let back = "document.querySelector('#language').click(); return null";
    browser.run(back, vec![]).await;
    looks::done(browser).await;
}
