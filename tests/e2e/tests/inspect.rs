//! Backups that are looked into, in a real browser: with a manifest and without, whole and damaged, with nobody signed in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_e2e::browser::Browser;
use dikas_e2e::inspecting::{
    backup, choose, collection, compare, id, lines, open, pick, row, saved, search, take_out, verify,
};
use dikas_e2e::server::Local;
use dikas_e2e::tools::unzip;
use dikas_e2e::{page, sample, until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_browsed_by_somebody_who_is_not_signed_in() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    browser.goto(&server.url).await;
    // From the file beside the login there is a way in.
    choose(&browser, "#file", &file).await;
    browser.click("#look-inside").await;
    browser.find("#inspected").await;
    browser.click("#inspect-close").await;
    let said = open(&browser, &file).await;
    for part in ["21,892", "72", "pizzeria-2015.zip"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    browser.shot("inspect-contents").await;

    let receipts = lines(&file, "receipts");
    collection(&browser, "receipts").await;
    browser.shot("inspect-table").await;
    let heads = browser.text("#rows [role=row]").await;
    assert!(heads.contains("Employee") && !heads.contains("employeeId"), "{heads}");
    assert!(row(&browser, 0).await.contains(&id(&receipts[0])));
    // Only what is in sight exists.
    let drawn = browser.run("return document.querySelectorAll('#rows [data-row]').length", vec![]).await;
    assert!(drawn.as_u64().unwrap() < 60, "{drawn} rows");
    browser.fill("#jump-row", "20,000").await;
    browser.click("#jump-row-go").await;
    assert!(row(&browser, 19_999).await.contains(&id(&receipts[19_999])));
    // Keys go on from there.
    browser.client.active_element().await.unwrap().send_keys("\u{e015}\u{e015}\u{e007}").await.unwrap();
    assert_eq!(saved(&browser, &id(&receipts[20_001])).await, receipts[20_001]);
    browser.fill("#jump-id", "rcp_00012345").await;
    browser.click("#jump-id-go").await;
    assert_eq!(saved(&browser, "rcp_00012345").await, receipts[12_344]);
    let receipt = browser.text("#document .receipt").await;
    browser.shot("inspect-receipt").await;
    assert!(receipt.contains("Receipt 12345") && receipt.contains("VAT 7 %"), "{receipt}");

    // From a receipt to the article that it names.
    browser.click("#document .more summary").await;
    browser.click("#document .json button.link[title*=art_]").await;
    browser.find("#collection[data-collection=articles] #document[data-state=there][data-id^=art_]").await;
    browser.click("#collection-back").await;
    browser.click("#contents tr[data-collection=tables] a").await;
    browser.fill("#jump-id", "nobody").await;
    browser.click("#jump-id-go").await;
    until("word of it", async || browser.text("#not-found").await.contains("nobody").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_people_are_found_as_a_german_speaker_expects() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    browser.goto(&server.url).await;
    open(&browser, &file).await;
    assert_eq!(
        search(&browser, "receiptNumber:12345", "receipts").await,
        (1, vec!["rcp_00012345".to_owned()])
    );
    browser.shot("inspect-search").await;
    for query in ["koehler", "KÖHLER", "köhler stuttgart", "heuss-strasse"] {
        assert_eq!(search(&browser, query, "").await, (1, vec!["cust_00002".to_owned()]), "{query}");
    }
    let marked = browser.text("#hits mark").await;
    assert!(marked.contains("Straße"), "{marked}");
    // More than are listed are counted all the same.
    let (matches, listed) = search(&browser, "hawaiian", "receipts").await;
    let expected = lines(&file, "receipts").iter().filter(|line| memmem(line, b"hawaiian")).count();
    assert_eq!(matches, expected as u64);
    assert_eq!(listed.len(), expected.min(500));
    let found = std::fs::read(take_out(&browser, "lines").await).unwrap();
    assert_eq!(found.iter().filter(|byte| **byte == b'\n').count(), expected);
    assert_eq!(search(&browser, "nowhere to be found", "").await, (0, vec![]));
}

fn memmem(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|window| window == word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_file_is_called_sound_and_a_damaged_one_is_not() {
    let Some(sample) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "demo.zip").await;
    browser.goto(&server.url).await;
    open(&browser, &file).await;
    assert_eq!(verify(&browser).await, ("sound".to_owned(), vec![]));
    browser.shot("inspect-sound").await;
    browser.click("#inspect-close").await;

    // Nobody can tell whether something is missing of a backup without a manifest.
    open(&browser, &sample).await;
    assert_eq!(verify(&browser).await, ("complete".to_owned(), vec![]));
    browser.click("#inspect-close").await;

    let mut bytes = std::fs::read(&file).unwrap();
    let at = place(&bytes, b"receipts.jsonl.br") + 20_000;
    bytes[at] ^= 0x10;
    let damaged = folder.path().join("damaged.zip");
    std::fs::write(&damaged, &bytes).unwrap();
    open(&browser, &damaged).await;
    let (verdict, kinds) = verify(&browser).await;
    browser.shot("inspect-damaged").await;
    assert_eq!(verdict, "damaged");
    assert!(kinds.iter().all(|kind| kind == "damaged-entry" || kind == "damaged-part"), "{kinds:?}");
    assert!(!kinds.is_empty() && browser.text("#problems").await.contains("receipts.jsonl.br"));
    browser.click("#verify-report").await;
    let report = std::fs::read_to_string(browser.downloaded(".txt").await).unwrap();
    assert!(report.contains("receipts.jsonl.br") && report.contains("damaged.zip"), "{report}");
    // What is sound can still be read.
    let articles = lines(&file, "articles");
    collection(&browser, "articles").await;
    browser.click("#rows [data-row='3']").await;
    assert_eq!(saved(&browser, &id(&articles[3])).await, articles[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_shows_all_that_is_left() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "demo.zip").await;
    let articles = lines(&file, "articles");
    let bytes = std::fs::read(&file).unwrap();
    let cut = folder.path().join("cut.zip");
    std::fs::write(&cut, &bytes[..bytes.len() * 9 / 10]).unwrap();
    browser.goto(&server.url).await;
    open(&browser, &cut).await;
    browser.find("#salvaged").await;
    browser.shot("inspect-salvaged").await;
    collection(&browser, "articles").await;
    browser.fill("#jump-id", &id(&articles[7])).await;
    browser.click("#jump-id-go").await;
    assert_eq!(saved(&browser, &id(&articles[7])).await, articles[7]);
    let (verdict, kinds) = verify(&browser).await;
    assert_eq!(verdict, "damaged");
    assert_eq!(kinds[0], "damaged-directory", "{kinds:?}");
    // What is no archive at all is said to be none.
    browser.click("#inspect-close").await;
    let picture = folder.path().join("picture.zip");
    std::fs::write(&picture, b"\x89PNG\r\n\x1a\n and so on").unwrap();
    pick(&browser, &picture).await;
    let kind = browser.find("#inspect-error").await.attr("data-kind").await.unwrap();
    assert_eq!(kind.as_deref(), Some("not-an-archive"));
}

/// Where the data of an entry begins, by its local header.
fn place(archive: &[u8], name: &[u8]) -> usize {
    let at = archive.windows(name.len()).position(|window| window == name).unwrap();
    at + name.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_is_what_is_in() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    let api = server.api().await;
    let documents = [
        r#"{"_id":"cust_1","documentType":"Customer","name":"Müller; \"Söhne\"","cashBalance":12345678901234567890.50}"#,
        r#"{"_id":"cust_2","documentType":"Customer","name":"=1+1","address":{"city":"Köln","zip":"01067"}}"#,
        r#"{"_id":"cust_3","documentType":"Customer","name":"a\nb","cashBalance":-1}"#,
    ];
    api.post_documents("customers", documents.join("\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "few.zip").await;
    browser.goto(&server.url).await;
    open(&browser, &file).await;
    collection(&browser, "users").await;
    let users = std::fs::read_to_string(take_out(&browser, "csv").await).unwrap();
    assert!(!users.contains("argon2"), "a hash was taken out: {users}");
    assert!(unzip(&file).lines()["users"].windows(6).any(|bytes| bytes == b"argon2"));
    browser.click("#rows [data-row='0']").await;
    browser.find("#document[data-state=there]").await;
    browser.shot("inspect-user").await;
    assert!(!browser.text("#document").await.contains("argon2"), "a hash is shown");

    collection(&browser, "customers").await;
    assert_eq!(std::fs::read(take_out(&browser, "lines").await).unwrap(), unzip(&file).lines()["customers"]);
    let csv = std::fs::read_to_string(take_out(&browser, "csv").await).unwrap();
    let rows: Vec<&str> = csv.strip_prefix('\u{feff}').expect("a byte order mark").split("\r\n").collect();
    let head: Vec<_> = rows[0].split(',').collect();
    for column in ["_id", "name", "cashBalance", "address.city", "address.zip"] {
        assert!(head.contains(&column), "{column} is missing in {head:?}");
    }
    assert!(
        rows[1].contains(r#""Müller; ""Söhne""""#) && rows[1].contains("12345678901234567890.50"),
        "{csv}"
    );
    assert!(rows[2].contains("'=1+1") && rows[2].contains("01067"), "{csv}");
    assert!(csv.contains("\"a\nb\""), "{csv}");
    browser.click("#language").await;
    let german = std::fs::read_to_string(take_out(&browser, "csv").await).unwrap();
    assert!(german.starts_with("\u{feff}_id;") && german.contains("12345678901234567890,50"), "{german}");
    browser.shot("inspect-german").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_shown_and_what_could_run_is_not() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let folder = tempfile::tempdir().unwrap();
    let evil = [
        (
            "evil.svg",
            "image/svg+xml",
            r#"<svg xmlns="http://www.w3.org/2000/svg" onload="document.title='ran'"><script>document.title='ran'</script></svg>"#,
        ),
        ("evil.html", "text/html", "<script>document.title = 'ran'</script>"),
        // Its type and its name lie: its bytes tell.
        ("evil.png", "image/png", "<html><script>document.title = 'ran'</script>"),
    ];
    let articles = unzip(&backup(&server, &folder, "before.zip").await).lines()["articles"].clone();
    let article = id(articles.split(|byte| *byte == b'\n').next().unwrap());
    for (name, media_type, content) in evil {
        let status = api.put_attachment("articles", &article, name, media_type, content).await;
        assert!(status.is_success(), "{name}: {status}");
    }
    let file = backup(&server, &folder, "demo.zip").await;
    let files = unzip(&file).attachments();
    browser.goto(&server.url).await;
    open(&browser, &file).await;
    browser.click("#room-files").await;
    until("a picture", async || {
        let script = "return [...document.querySelectorAll('#tiles img')].some((it) => it.naturalWidth > 0)";
        (browser.run(script, vec![]).await == json!(true)).then_some(())
    })
    .await;
    browser.shot("inspect-files").await;
    for (name, _, content) in evil {
        let path = files.keys().find(|path| path.ends_with(name)).unwrap();
        let tile = format!("#tiles [data-path='{path}']");
        until(name, async || {
            let into = "document.querySelector(arguments[0])?.scrollIntoView()";
            browser.run(into, vec![json!(tile)]).await;
            browser.visible(&tile).await
        })
        .await;
        browser.click(&format!("{tile} [data-action=save]")).await;
        let ending = &name[4..];
        assert_eq!(std::fs::read_to_string(browser.downloaded(ending).await).unwrap(), content);
        assert!(browser.visible(&format!("{tile} img")).await.is_none(), "{name} became a picture");
    }
    assert_ne!(browser.client.title().await.unwrap(), "ran");
    let bad = "return document.querySelectorAll('iframe, object, embed, main svg:not(.icon)').length";
    assert_eq!(browser.run(bad, vec![]).await, 0);

    browser.click("#files-zip").await;
    let zip = browser.downloaded(".zip").await;
    dikas_e2e::tools::unzip_test(&zip);
    assert!(unzip(&zip).attachments() == files, "all files, and their bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_shows_exactly_what_was_changed() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let api = server.api().await;
    let folder = tempfile::tempdir().unwrap();
    let old = backup(&server, &folder, "old.zip").await;
    let tables = lines(&old, "tables");
    let (changed, removed) = (id(&tables[1]), id(&tables[2]));
    let mut document: Value = serde_json::from_slice(&tables[1]).unwrap();
    document["seats"] = json!(99);
    document["smoking"] = json!(true);
    api.put_document("tables", &changed, document.to_string()).await;
    api.delete_document("tables", &removed).await;
    let status = api.put_document("tables", "tbl_zz", r#"{"_id":"tbl_zz","documentType":"Table"}"#).await;
    assert!(status.is_success());
    let new = backup(&server, &folder, "new.zip").await;

    browser.goto(&server.url).await;
    open(&browser, &old).await;
    assert_eq!(compare(&browser, &new).await, json!({ "tables": [1, 1, 1] }));
    browser.click("#compare tr[data-collection=tables] button").await;
    browser.find("#differences [data-id=tbl_zz][data-kind=added]").await;
    browser.shot("inspect-compare").await;
    browser.find(&format!("#differences [data-id='{removed}'][data-kind=removed]")).await;
    let fields = format!("#differences [data-id='{changed}'][data-kind=changed]");
    let shown = browser.text(&fields).await;
    assert!(shown.contains("seats") && shown.contains("99"), "{shown}");
    assert!(shown.contains("smoking") && shown.contains("not there") && shown.contains("true"), "{shown}");
    let others = "return document.querySelectorAll('#differences li').length";
    assert_eq!(browser.run(others, vec![]).await, 3);
    // With itself there is nothing.
    assert_eq!(compare(&browser, &old).await, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_plain_http_under_another_name_it_works_too() {
    let arguments = ["--host-resolver-rules=MAP dikas.test 127.0.0.1"];
    let Some(browser) = Browser::start_with(&arguments).await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "demo.zip").await;
    browser.goto(&server.url.replace("127.0.0.1", "dikas.test")).await;
    assert_eq!(browser.run("return isSecureContext", vec![]).await, false);
    open(&browser, &file).await;
    let receipts = lines(&file, "receipts");
    collection(&browser, "receipts").await;
    browser.click("#rows [data-row='2']").await;
    browser.keep_downloads().await;
    assert_eq!(saved(&browser, &id(&receipts[2])).await, receipts[2]);
    assert_eq!(verify(&browser).await.0, "sound");
    // And somebody who is signed in finds the same.
    browser.click("#inspect-close").await;
    page::sign_in(&browser, &server.url, &server.login).await;
    open(&browser, &file).await;
    assert_eq!(search(&browser, &id(&receipts[2]), "receipts").await.1[0], id(&receipts[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_somebody_else_does_all_of_it_with_the_engine() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let server = Local::start().await;
    browser.goto(&server.url).await;
    let field = "const field = document.createElement('input');
        Object.assign(field, { type: 'file', id: 'mine' });
        document.body.append(field);";
    browser.run(field, vec![]).await;
    choose(&browser, "#mine", &file).await;
    let script = "
        const { openBackup } = await import('/engine/index.js');
        const backup = await openBackup(document.querySelector('#mine').files[0]);
        const read = async (options) => {
          const found = [];
          for await (const { row, text } of backup.documents({ collection: 'receipts', ...options })) found.push([row, text]);
          return found;
        };
        const last = await read({ from: 21347 });
        const some = await read({ from: 100, count: 3 });
        const bbq = await read({ search: 'articleId:art_bbq_ckn_l', count: 5 });
        const hits = [];
        const { matches, exact } = await backup.search({ query: 'brigadeiro', onHits: (found) => hits.push(...found) });
        const { attachments, total } = await backup.attachments({ collection: 'employees' });
        const picture = await backup.attachment(attachments[0].path);
        const verdict = await backup.verify();
        const stop = new AbortController();
        const begun = performance.now();
        setTimeout(() => stop.abort(), 20);
        const stopped = await backup.verify({ signal: stop.signal }).catch(({ kind }) => kind);
        const took = performance.now() - begun;
        const missing = await backup.attachment('attachments/none').catch(({ kind }) => kind);
        const nobody = await backup.find('nobody');
        backup.close();
        const closed = await backup.find('rcp_00000001').catch(({ kind }) => kind);
        return { last, some, bbq, hits, matches, exact, total, size: picture.size, type: picture.type, path: attachments[0].path,
          verdict, stopped, took, missing, nobody, closed };";
    let said = browser.run_async(script, vec![]).await;
    let receipts = lines(&file, "receipts");
    let expected = |from: usize, to: usize| {
        let rows = (from..to).map(|at| json!([at, String::from_utf8(receipts[at].clone()).unwrap()]));
        Value::Array(rows.collect())
    };
    assert_eq!(said["last"], expected(21_347, 21_350));
    assert_eq!(said["some"], expected(100, 103));
    let bbq = (0..receipts.len()).filter(|at| memmem(&receipts[*at], b"\"art_bbq_ckn_l\"")).take(5);
    assert_eq!(said["bbq"], Value::Array(bbq.map(|at| expected(at, at + 1)[0].clone()).collect()));
    assert_eq!((&said["matches"], &said["exact"]), (&json!(1), &json!(true)));
    assert_eq!(said["hits"][0]["id"], "cust_00001");
    assert_eq!(said["total"], 8);
    let picture = unzip(&file).read(said["path"].as_str().unwrap()).len();
    assert_eq!((&said["size"], &said["type"]), (&json!(picture), &json!("application/octet-stream")));
    assert_eq!((&said["verdict"]["sound"], &said["verdict"]["documents"]), (&json!(true), &json!(21_892)));
    assert_eq!(
        (&said["stopped"], &said["missing"], &said["closed"]),
        (&json!("cancelled"), &json!("missing-entry"), &json!("cancelled"))
    );
    assert!(said["took"].as_f64().unwrap() < 1_000.0, "{said}");
    assert!(said["nobody"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_shown_as_it_is_written() {
    let Some(browser) = Browser::start().await else { return };
    let server = Local::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = backup(&server, &folder, "demo.zip").await;
    browser.goto(&server.url).await;
    let odd = r#"{ "a" : 1.50 , "a":12345678901234567890, "s":"\u00fc\n\"]}" , "e":{}, "z":[ ], "n":[[],[1 ,2],{"x":null}],
        "exp": -0.0e+10, "ok":true, "surrogate":"\ud800", "key\u0020":1 }"#;
    let all = unzip(&file).lines().into_values().flatten().collect::<Vec<u8>>();
    let mut texts: Vec<&str> = std::str::from_utf8(&all).unwrap().lines().collect();
    texts.push(odd);
    // What is shown, its frame and its white space aside, is the text; and it means what JSON.parse makes of it.
    let script = r#"
        const { valueAt, members, items, decoded } = await import("/app/inspect/json.js");
        const { jsonView } = await import("/app/inspect/tree.js");
        function made(text, value) {
          if (value.kind === "object") return Object.fromEntries([...members(text, value)].map(({ key, value }) => [key, made(text, value)]));
          if (value.kind === "array") return [...items(text, value)].map((item) => made(text, item));
          const raw = text.slice(value.from, value.to);
          if (value.kind === "string") return decoded(raw);
          return value.kind === "number" ? Number(raw) : { true: true, false: false, null: null }[raw];
        }
        const wrong = a[0].filter((text) => JSON.stringify(made(text, valueAt(text))) !== JSON.stringify(JSON.parse(text)));
        const view = jsonView(a[0].at(-1));
        const pieces = [...view.querySelectorAll(".key, .string, .number, .word")].map((it) => it.textContent);
        // What is none ends a walk early, and harms nothing.
        for (const text of ["", "{", "{\"a\"", "{\"a\":", "[1,", "\"abc", "{\"a\":1 \"b\":2}", "[[[", "}", "{\"a\":}", "\"\\"]) jsonView(text);
        const deep = jsonView("[".repeat(500) + "]".repeat(500));
        return { count: a[0].length, wrong, pieces, deep: deep.querySelectorAll("details").length };"#;
    let said = browser.run_async(script, vec![json!(texts)]).await;
    assert_eq!((&said["count"], &said["wrong"]), (&json!(texts.len()), &json!([])));
    let pieces = [
        "a",
        "1.50",
        "a",
        "12345678901234567890",
        "s",
        r#""\u00fc\n\"]}""#,
        "e",
        "z",
        "n",
        "1",
        "2",
        "x",
        "null",
        "exp",
        "-0.0e+10",
        "ok",
        "true",
        "surrogate",
        r#""\ud800""#,
        r"key\u0020",
        "1",
    ];
    assert_eq!(said["pieces"], json!(pieces));
    assert!(said["deep"].as_u64().unwrap() < 10, "only what is unfolded exists: {}", said["deep"]);
}
