//! Real and awkward data, there and back by the native job: in by the documents API, out as a backup, and judged by
//! programs that know nothing of this project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::error::ErrorKind;
use dikas_archive::reader::BackupReader;
use dikas_e2e::checks::{check_archive, first_difference};
use dikas_e2e::native;
use dikas_e2e::proxy::{Fault, Proxy};
use dikas_e2e::server::Local;
use dikas_e2e::{awkward, sample};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

#[test]
fn the_sample_is_read_as_unzip_and_brotli_read_it() {
    let (Some(file), Some(tools)) = (sample::sample(), sample::unpacked()) else { return };
    let mut reader = BackupReader::open(File::open(file).unwrap()).unwrap();
    assert!(reader.manifest().unwrap().is_none());
    let summary = reader.summary(&mut |_| Ok(())).unwrap();
    assert_eq!(summary.problems, []);
    assert_eq!(summary.collections.iter().map(|it| it.documents).sum::<u64>(), 21_892);
    let expected = tools.lines();
    assert_eq!(summary.collections.len(), expected.len());
    for collection in summary.collections {
        let mut found = Vec::new();
        for part in &collection.parts {
            let mut lines = reader.lines(part).unwrap();
            while let Some(line) = lines.next_line().unwrap() {
                found.extend_from_slice(line);
                found.push(b'\n');
            }
        }
        let name = &collection.name;
        assert!(found == expected[name], "{name}: {}", first_difference(&found, &expected[name]));
    }
    let mut found = BTreeMap::new();
    for attachment in summary.attachments {
        let mut bytes = Vec::new();
        reader.attachment(&attachment.path).unwrap().read_to_end(&mut bytes).unwrap();
        found.insert(attachment.path, bytes);
    }
    assert_eq!(found.len(), 72);
    assert!(found == tools.attachments());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_comes_back_out_of_a_server_line_by_line_and_file_by_file() {
    let Some(sample) = sample::unpacked() else { return };
    let server = Local::start().await;
    let api = server.api().await;
    sample::load(&api, &sample).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.zip");
    native::backup(&server.url, &server.login, &file).await.unwrap();
    let backup = check_archive(&file, &api.everything().await);
    sample::compare(&sample, &backup);
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_documents_and_names_come_out_as_they_went_in() {
    let server = Local::start().await;
    let api = server.api().await;
    let awkward = awkward::load(&api).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.zip");
    native::backup(&server.url, &server.login, &file).await.unwrap();
    let backup = check_archive(&file, &api.everything().await);
    awkward.compare(&backup);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_or_lost_on_the_way_leaves_an_empty_file_or_a_whole_one() {
    let server = Local::start().await;
    let api = server.api().await;
    awkward::load(&api).await;
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (Fault::CutAtLine, 1, None),
        (Fault::Drop, 2, None),
        (Fault::RefuseToken, usize::MAX, None),
        (Fault::CutAtLine, usize::MAX, Some(ErrorKind::BadAnswer)),
        (Fault::CutAtLineAndStrip, usize::MAX, Some(ErrorKind::BadAnswer)),
        (Fault::Drop, usize::MAX, Some(ErrorKind::Unreachable)),
    ];
    for (number, (fault, times, expected)) in cases.into_iter().enumerate() {
        let case = format!("{fault:?}, {times} times");
        let proxy = Proxy::start(&server.url).await;
        proxy.rule("GET", "/documents/articles", 0, times, fault);
        let file = folder.path().join(format!("{number}.zip"));
        let result = native::backup(&proxy.url, &server.login, &file).await;
        match expected {
            None => {
                result.unwrap_or_else(|error| panic!("{case}: {error}"));
                check_archive(&file, &api.everything().await);
            }
            Some(kind) => {
                assert_eq!(result.unwrap_err().kind, kind, "{case}");
                assert_eq!(file.metadata().unwrap().len(), 0, "{case}: something is left");
            }
        }
    }
}
