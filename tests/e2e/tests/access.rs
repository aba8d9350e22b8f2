//! The page without a mouse, on a phone, and for a screen reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::api::Api;
use dikas_e2e::browser::Browser;
use dikas_e2e::server::Local;
use dikas_e2e::{native, page, restoring};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    browser.goto(&server.url).await;
    browser.find("#username").await;
    tab_to(&browser, "username").await;
    keys(&browser, &server.login.0).await;
    tab_to(&browser, "password").await;
    keys(&browser, &server.login.1).await;
    keys(&browser, &Key::Enter.to_string()).await;
    browser.find("tr[data-category]").await;
    tab_to(&browser, "create-backup").await;
    keys(&browser, &Key::Enter.to_string()).await;
    page::finished(&browser).await;
    tab_to(&browser, "download").await;
    keys(&browser, &Key::Enter.to_string()).await;
    browser.downloaded(".zip").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_named_labelled_and_fits_a_phone_in_both_languages() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": false });
    browser.cdp("Emulation.setDeviceMetricsOverride", phone).await;
    browser.goto(&server.url).await;
    browser.find("#login").await;
    check_view(&browser, "login").await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.find("tr[data-category]").await;
    check_view(&browser, "ready").await;
    page::start(&browser).await;
    page::finished(&browser).await;
    browser.find("#archives > li").await;
    browser.run("document.querySelectorAll('details').forEach((it) => (it.open = true))", vec![]).await;
    check_view(&browser, "result").await;

    // The restore of what was just made: choice, preview, question, result, and what can be undone.
    let file = page::download(&browser).await;
    let article = br#"{"_id":"art_new","documentType":"Article","name":"only now"}"#;
    server.api().await.put_document("articles", "art_new", article.to_vec()).await;
    restoring::open(&browser, &file).await;
    check_view(&browser, "restore").await;
    restoring::preview(&browser).await;
    browser.run("document.querySelectorAll('details').forEach((it) => (it.open = true))", vec![]).await;
    check_view(&browser, "preview").await;
    browser.click("#proceed").await;
    browser.find("#confirm").await;
    browser.shot("phone-confirm-en").await;
    let wrong = browser.run(FAULTS, vec![json!("en")]).await;
    assert_eq!(wrong, json!([]), "confirm");
    browser.fill("#word", "restore").await;
    browser.click("#confirm-yes:enabled").await;
    restoring::done(&browser).await;
    browser.run("document.querySelectorAll('details').forEach((it) => (it.open = true))", vec![]).await;
    check_view(&browser, "restored").await;
    browser.click("#restored-close").await;
    browser.find("#points > li").await;
    check_view(&browser, "points").await;

    // What the server does by itself, with a token that is shown.
    browser.click("#view-automatic").await;
    browser.find("#schedule[data-state=none]").await;
    browser.fill("#token-name", "Office computer").await;
    browser.click("#token-create").await;
    browser.find("#tokens > [data-name='Office computer']").await;
    check_view(&browser, "automatic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_by_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.zip");
    native::backup(&server.url, &server.login, &file).await.unwrap();
    let article = br#"{"_id":"art_new","documentType":"Article","name":"only now"}"#;
    server.api().await.put_document("articles", "art_new", article.to_vec()).await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.find("tr[data-category]").await;
    tab_to(&browser, "view-restore").await;
    keys(&browser, &Key::Enter.to_string()).await;
    browser.find("#restore-title").await;
    // Choosing the file itself is a dialog of the system.
    restoring::open(&browser, &file).await;
    tab_to(&browser, "show-changes").await;
    keys(&browser, &Key::Enter.to_string()).await;
    restoring::previewed(&browser).await;
    tab_to(&browser, "proceed").await;
    keys(&browser, &Key::Enter.to_string()).await;
    browser.find("#confirm").await;
    keys(&browser, "RESTORE").await;
    keys(&browser, &Key::Enter.to_string()).await;
    restoring::done(&browser).await;
    tab_to(&browser, "undo").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_on_which_somebody_signed_in_before_waits_for_no_stranger() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.find("tr[data-category]").await;
    browser.click("#logout").await;
    browser.find("#login").await;
    for _ in 0..6 {
        assert!(Api::try_login(&server.url, &server.login.0, "guess").await.is_none());
    }
    page::sign_in(&browser, &server.url, &server.login).await;
    browser.find("tr[data-category]").await;
}

/// Presses Tab until this element has the focus, and checks that each stop on the way can be seen.
async fn tab_to(browser: &Browser, id: &str) {
    let mut passed = Vec::new();
    for _ in 0..60 {
        keys(browser, &Key::Tab.to_string()).await;
        let focus = browser
            .run(
                "const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
                 const ring = (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none';
                 return { id: e.id, tag: e.tagName, ring, size: r.width * r.height };",
                vec![],
            )
            .await;
        if focus["id"] == id {
            assert_eq!(focus["ring"], true, "the focus on {id} cannot be seen: {focus}");
            assert!(focus["size"].as_f64().unwrap() > 100.0, "{focus}");
            return;
        }
        passed.push(focus);
    }
    panic!("Tab never comes to {id}: {passed:?}");
}

/// Presses and lets go one key after the other, wherever the focus is.
async fn keys(browser: &Browser, keys: &str) {
    let presses = keys.chars().flat_map(|value| [KeyAction::Down { value }, KeyAction::Up { value }]);
    let sequence = presses.fold(KeyActions::new("keyboard".into()), |sequence, press| sequence.then(press));
    browser.client.perform_actions(sequence).await.unwrap();
}

async fn check_view(browser: &Browser, view: &str) {
    for language in ["en", "de"] {
        let shown = browser.run("return document.documentElement.lang", vec![]).await;
        if shown != language {
            browser.click("#language").await;
        }
        browser.shot(&format!("phone-{view}-{language}")).await;
        let wrong = browser.run(FAULTS, vec![json!(language)]).await;
        assert_eq!(wrong, json!([]), "{view}, {language}");
    }
    browser.click("#language").await;
}

/// Finds what keeps people out: the rules of WCAG 2.2 that a script can judge.
const FAULTS: &str = r"
    const wrong = [];
    const shown = (e) => e.checkVisibility() && !e.closest('[aria-hidden=true]');
    const all = (css) => [...document.querySelectorAll(css)].filter(shown);
    const named = (e) => (e.getAttribute('aria-label') || e.textContent || e.title || '').trim() !== ''
      || [...(e.getAttribute('aria-labelledby') ?? '').split(' ')].some((id) => document.getElementById(id)?.textContent);
    const root = document.documentElement;
    if (root.lang !== arguments[0]) wrong.push(`lang is ${root.lang}`);
    if (!document.title.trim()) wrong.push('no title');
    if (all('main').length !== 1) wrong.push('not one main');
    if (all('h1').length !== 1) wrong.push(`${all('h1').length} h1`);
    if (root.scrollWidth > root.clientWidth) {
      const wide = all('body *').filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1);
      wrong.push(`scrolls sideways: ${root.scrollWidth}, ${wide.slice(0, 5).map((e) => e.outerHTML.slice(0, 80))}`);
    }
    for (const e of all('input, select, textarea, progress, meter')) {
      if (![...(e.labels ?? [])].some((label) => label.textContent.trim()) && !e.getAttribute('aria-label')
        && !e.getAttribute('aria-labelledby')) wrong.push(`no label: ${e.outerHTML}`);
    }
    for (const e of all('button, a[href], summary, [role=button]')) {
      if (!named(e)) wrong.push(`no name: ${e.outerHTML.slice(0, 120)}`);
      const { width, height } = e.getBoundingClientRect();
      if ((width < 24 || height < 24) && !e.matches('.skip, .unseen, p a')) wrong.push(`small target: ${e.outerHTML.slice(0, 120)} ${width}x${height}`);
    }
    for (const e of all('img')) if (!e.hasAttribute('alt')) wrong.push(`no alt: ${e.outerHTML}`);
    for (const e of all('[tabindex]')) if (e.tabIndex > 0) wrong.push(`tabindex: ${e.outerHTML.slice(0, 120)}`);
    for (const e of all('th')) if (!e.scope) wrong.push(`th without scope: ${e.outerHTML.slice(0, 120)}`);
    const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
    const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
    if (twice.length) wrong.push(`ids twice: ${twice}`);
    for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for]')) {
      for (const id of `${e.getAttribute('aria-labelledby') ?? ''} ${e.getAttribute('aria-describedby') ?? ''} ${e.htmlFor ?? ''}`.split(' ')) {
        if (id && !document.getElementById(id)) wrong.push(`names ${id}, which is not there: ${e.outerHTML.slice(0, 120)}`);
      }
    }
    const levels = all('h1, h2, h3, h4').map((e) => Number(e.tagName[1]));
    levels.forEach((level, i) => { if (i > 0 && level > levels[i - 1] + 1) wrong.push(`heading levels ${levels}`); });
    return wrong;";
