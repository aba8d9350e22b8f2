//! A backup that the command line shows: read in ranges, in a browser that has no server, and at any size at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use dikas_archive::codec;
use dikas_backup::showing::{Showing, Used};
use dikas_e2e::browser::Browser;
use dikas_e2e::inspecting::{collection, row, search, verify};
use dikas_e2e::sample;
use serde_json::Value;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Shows a file in the browser; what serves it ends with the handle.
async fn show(browser: &Browser, file: &Path) -> (String, tokio::task::JoinHandle<()>) {
    let showing = Showing::start(file).await.unwrap();
    let url = showing.url().to_owned();
    let serving = tokio::spawn(async move { showing.serve(|_| {}).await.unwrap() });
    browser.goto(&url).await;
    (url, serving)
}

/// Where the page that is open reads the file.
async fn address(browser: &Browser) -> Value {
    browser.find("#inspected").await;
    let asked = "return performance.getEntriesByType('resource').map((it) => it.name)
        .find((it) => it.includes('/file/'))";
    browser.run(asked, vec![]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_shown_to_a_browser_without_a_server() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let (url, serving) = show(&browser, &file).await;
    let said = browser.text("#inspected").await;
    assert!(said.contains("21,892") && said.contains("pizzeria-2015.zip"), "{said}");
    browser.shot("open-sample").await;
    collection(&browser, "receipts").await;
    assert!(row(&browser, 0).await.contains(&"rcp_00000001".to_owned()));
    let (matches, ids) = search(&browser, "_id:rcp_00004711", "receipts").await;
    assert_eq!((matches, ids), (1, vec!["rcp_00004711".to_owned()]));
    assert_eq!(verify(&browser).await, ("complete".to_owned(), vec![]));
    // The address of the file stands nowhere where somebody sees it, and nothing of it is kept.
    let state = browser.run_async("return [location.hash, (await caches.keys()).length]", vec![]).await;
    assert!(!state[0].as_str().unwrap().contains("file") && state[1] == 0, "{state}");
    let asked = "return performance.getEntriesByType('resource').map((it) => it.name).filter((it) => it.includes('/file/'))";
    assert!(
        browser
            .run(asked, vec![])
            .await
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it.as_str().unwrap().starts_with(&url[..16]))
    );

    // When the program ends while the page is open, that is said.
    serving.abort();
    let _ = serving.await;
    browser.goto("about:blank").await;
    assert!(browser.client.goto(&url).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_comes_second_gets_no_backup_and_says_that_somebody_may_have_read_it() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.zip");
    std::fs::write(&file, [b"PK\x05\x06".as_slice(), &[0; 18]].concat()).unwrap();
    let showing = Showing::start(&file).await.unwrap();
    let url = showing.url().to_owned();
    let (tell, told) = std::sync::mpsc::channel();
    let serving = tokio::spawn(async move { showing.serve(move |used| tell.send(used).unwrap()).await });
    // A stranger has read the address in the list of processes.
    let (origin, code) = url.split_once("/#open=").unwrap();
    let http = dikas_backup::http::client().build().unwrap();
    let exchanged = http.post(format!("{origin}/open")).body(code.to_owned()).send().await.unwrap();
    assert_eq!(exchanged.status(), 200);
    browser.goto(&url).await;
    assert_eq!(
        browser.find("#inspect-error").await.attr("data-kind").await.unwrap().as_deref(),
        Some("address-used")
    );
    assert!(browser.text("#inspect-error .todo").await.contains("Ctrl-C"));
    assert!(browser.visible("#inspected").await.is_none());
    let Used::Once { next } = told.recv().unwrap() else { panic!("the first came second") };
    assert_eq!(told.recv().unwrap(), Used::Again);

    // Its owner's browser, with the next address; a reload asks for nothing again.
    browser.goto("about:blank").await;
    browser.goto(&next).await;
    browser.find("#inspected").await;
    browser.client.refresh().await.unwrap();
    browser.find("#inspect-file").await;
    assert!(matches!(told.recv().unwrap(), Used::Once { .. }));
    assert!(told.try_recv().is_err());
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_gigabytes_only_what_is_shown_is_read() {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.zip");
    large(&file);
    assert!(file.metadata().unwrap().len() > 5_000_000_000);
    let since = Instant::now();
    let (_, _serving) = show(&browser, &file).await;
    browser.find("#inspected").await;
    let opened = since.elapsed();
    collection(&browser, "articles").await;
    assert!(row(&browser, 0).await.contains(&"art_1".to_owned()));
    eprintln!("5 GB: open after {opened:?}, first row after {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_under_the_page_is_noticed() {
    let Some(sample) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changing.zip");
    std::fs::copy(&sample, &file).unwrap();
    let (_, _serving) = show(&browser, &file).await;
    let path = address(&browser).await;
    let open = "const { openBackup } = await import('/engine/index.js');
        globalThis.opened = await openBackup(a[0]);";
    browser.run_async(open, vec![path.clone()]).await;
    // Another file of the same length, as when a backup is written anew.
    let mut bytes = std::fs::read(&sample).unwrap();
    bytes.reverse();
    std::fs::write(&file, bytes).unwrap();
    let verify =
        "return globalThis.opened.verify().then(() => 'verified', (error) => [error.kind, error.message])";
    let told = browser.run_async(verify, vec![]).await;
    assert_eq!(told[0], "io", "{told}");
    assert!(told[1].as_str().unwrap().contains("has changed"), "{told}");
    // Opened anew, it is what it is.
    let again = "const { openBackup } = await import('/engine/index.js');
        return openBackup(a[0]).then(() => 'opened', (error) => error.kind);";
    assert_eq!(browser.run_async(again, vec![path]).await, "not-an-archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_answers_no_ranges_is_fetched_whole_and_one_that_answers_nothing_is_said() {
    let Some(file) = sample::sample() else { return };
    let Some(browser) = Browser::start().await else { return };
    let (_, _serving) = show(&browser, &file).await;
    let address = address(&browser).await;
    let told = browser
        .run_async(
            "const { openBackup } = await import('/engine/index.js');
             const [path] = a;
             const documents = (backup) => backup.summary.collections.reduce((sum, it) => sum + it.documents, 0);
             const whole = await openBackup('/icons/192.png').catch((error) => error.kind);
             const ranges = await openBackup(path).then(documents);
             const nothing = await openBackup('/file/nothing.zip').catch((error) => error.kind);
             return [whole, ranges, nothing];",
            vec![address],
        )
        .await;
    assert_eq!(told[1], 21_892);
    assert_eq!(told[2], "server-error");
    // All of it came, and is a picture.
    assert_eq!(told[0], "not-an-archive");
}

/// A backup of 5 GB, almost all of it one file that is a hole: an attachment, and one document.
fn large(path: &Path) {
    let (size, part) = (
        5_000_000_000_u64,
        codec::encode(b"{\"_id\":\"art_1\",\"documentType\":\"Article\"}\n").unwrap().bytes,
    );
    let mut file = File::create(path).unwrap();
    let small = [("articles.jsonl.br", part.len() as u64, crc32fast::hash(&part))];
    let zeros = crc32_of_zeros(size);
    let entries = [small[0], ("attachments/articles/art_1/hole.bin", size, zeros)];
    let mut directory = Vec::new();
    for (name, size, crc32) in entries {
        let at = file.stream_position().unwrap();
        let zip64 = size >= u64::from(u32::MAX);
        let (short, needed) = if zip64 { (u32::MAX, 45_u16) } else { (size as u32, 10) };
        let extra = |sizes: &[u64]| -> Vec<u8> {
            let body: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
            if zip64 {
                [&1_u16.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), &body].concat()
            } else {
                vec![]
            }
        };
        let common = |extra: &[u8]| {
            let mut head = Vec::new();
            head.extend(needed.to_le_bytes());
            head.extend([0, 0, 0, 0, 0, 0, 0x21, 0]);
            head.extend(crc32.to_le_bytes());
            head.extend(short.to_le_bytes());
            head.extend(short.to_le_bytes());
            head.extend((name.len() as u16).to_le_bytes());
            head.extend((extra.len() as u16).to_le_bytes());
            head
        };
        let more = extra(&[size, size]);
        file.write_all(b"PK\x03\x04").unwrap();
        file.write_all(&common(&more)).unwrap();
        file.write_all(name.as_bytes()).unwrap();
        file.write_all(&more).unwrap();
        if zip64 {
            file.seek(SeekFrom::Current(size as i64)).unwrap();
        } else {
            file.write_all(&part).unwrap();
        }
        directory.extend(b"PK\x01\x02");
        directory.extend(needed.to_le_bytes());
        directory.extend(common(&more));
        directory.extend([0; 10]);
        directory.extend((at as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        directory.extend(&more);
    }
    let at = file.stream_position().unwrap();
    file.write_all(&directory).unwrap();
    let end = file.stream_position().unwrap();
    file.write_all(b"PK\x06\x06").unwrap();
    for number in [44, 45 | 45 << 16, entries.len() as u64, entries.len() as u64, directory.len() as u64, at]
    {
        // Versions and disks share the second field.
        let bytes = number.to_le_bytes();
        if number == 45 | 45 << 16 {
            file.write_all(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        } else {
            file.write_all(&bytes).unwrap();
        }
    }
    file.write_all(b"PK\x06\x07\0\0\0\0").unwrap();
    file.write_all(&end.to_le_bytes()).unwrap();
    file.write_all(&[1, 0, 0, 0]).unwrap();
    file.write_all(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff").unwrap();
    file.write_all(&[0xff; 8]).unwrap();
    file.write_all(&[0, 0]).unwrap();
}

fn crc32_of_zeros(size: u64) -> u32 {
    let zeros = vec![0; 1 << 20];
    let mut hasher = crc32fast::Hasher::new();
    let mut left = size;
    while left > 0 {
        let count = left.min(zeros.len() as u64) as usize;
        hasher.update(&zeros[..count]);
        left -= count as u64;
    }
    hasher.finalize()
}
