//! Restores of archives without a manifest, of damaged ones, and of ones that are none.

use crate::backup::{Onlooker, archive};
use crate::staging::Server;
use crate::store::Store;
use dikas_archive::api::AttachmentRecord;
use dikas_archive::catalog::Category;
use dikas_archive::codec;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::InlineEncoder;
use dikas_archive::job::restore::http::HttpTarget;
use dikas_archive::job::restore::{Choice, Manner, Plan, check, stage};
use dikas_archive::manifest::MANIFEST_NAME;
use dikas_archive::reader::BackupReader;
use futures::executor::block_on;
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;

/// A ZIP of these entries; what ends in `.br` is compressed.
fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        let packed = name.ends_with(".br").then(|| codec::encode(content).unwrap().bytes);
        zip.write_all(packed.as_deref().unwrap_or(content)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn run(bytes: &[u8], choice: &Choice, server: &Server<'_>) -> Result<Plan> {
    block_on(async {
        let mut reader = BackupReader::open(Cursor::new(bytes))?;
        let plan = check(&mut reader, "backup.zip", choice, &()).await?;
        let target = HttpTarget::open(server, &plan.request(None)?).await?;
        stage(&mut reader, &plan, &target, &()).await?;
        Ok(plan)
    })
}

/// What was staged: collections with their lines, and attachments.
fn staged(bytes: &[u8], choice: &Choice) -> (Plan, Vec<(String, String)>, Vec<AttachmentRecord>) {
    let server = Server::calm();
    let plan = run(bytes, choice, &server).unwrap();
    let session = server.session.borrow();
    let session = session.as_ref().unwrap();
    let lines = session.request.collections.iter().map(|announced| {
        let name = announced.name.as_str();
        (name.to_owned(), String::from_utf8(session.lines(name)).unwrap())
    });
    (plan, lines.collect(), session.records())
}

/// Nothing was begun: not one request was sent.
fn refused(bytes: &[u8], choice: &Choice) -> Error {
    let server = Server::calm();
    let error = run(bytes, choice, &server).unwrap_err();
    assert_eq!(server.log.borrow().len(), 0, "{error}");
    error
}

fn only(category: Category) -> Choice {
    Choice::Selected { categories: vec![category], collections: Vec::new(), manner: Manner::Update }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

fn mixed() -> Vec<u8> {
    zipped(&[
        (
            "all.jsonl.br",
            b"{\"_id\":\"art_2\"}\r\n\r\n\n{\"_id\":\"x\",\"documentType\":\"Voucher\"}\n{\"_id\":\"art_1\",\r\t\"n\":1.50}",
        ),
        ("Alte Sachen.jsonl.br", b"{\"_id\":\"thing\"}\n"),
        ("rental-bikes.jsonl.br", b"{\"_id\":\"bike\"}\n"),
        ("tables.jsonl.br", b""),
        ("vouchers.jsonl.br", b"{\"_id\":\"cust_1\"}\n"),
        ("attachments/articles/art_1/b.png", PNG),
        ("attachments/articles/art_1/a.txt", b"text"),
        ("attachments/articles/art_9/lost.png", PNG),
        ("attachments/readme", b"of nobody"),
        ("notes.txt", b"unknown"),
    ])
}

/// What a restore leaves out.
fn left_out(plan: &Plan) -> Vec<&str> {
    plan.left_out().iter().filter_map(|why| why.subject.as_deref()).collect()
}

#[test]
fn without_a_manifest_documents_tell_where_they_belong() {
    let (plan, collections, records) = staged(&mixed(), &Choice::Full);
    let collections: Vec<(&str, &str)> =
        collections.iter().map(|(name, lines)| (name.as_str(), lines.as_str())).collect();
    assert_eq!(
        collections,
        [
            ("articles", "{\"_id\":\"art_2\"}\n{\"_id\":\"art_1\",\t\"n\":1.50}\n"),
            ("customers", "{\"_id\":\"cust_1\"}\n"),
            ("other", "{\"_id\":\"thing\"}\n"),
            ("rental-bikes", "{\"_id\":\"bike\"}\n"),
            // Its part is there, and empty.
            ("tables", ""),
            ("vouchers", "{\"_id\":\"x\",\"documentType\":\"Voucher\"}\n"),
        ]
    );
    let files: Vec<(&str, &str, u64)> = records
        .iter()
        .map(|record| (record.name.as_str(), record.media_type.as_str(), record.size))
        .collect();
    assert_eq!(files, [("a.txt", "text/plain", 4), ("b.png", "image/png", PNG.len() as u64)]);
    assert_eq!(left_out(&plan), ["attachments/articles/art_9/lost.png", "attachments/readme", "notes.txt"]);
    assert_eq!(plan.archive().source, None);
}

#[test]
fn what_was_not_chosen_is_passed_over_wherever_it_stands() {
    let (plan, collections, records) = staged(&mixed(), &only(Category::Vouchers));
    assert_eq!(
        collections,
        [("vouchers".to_owned(), "{\"_id\":\"x\",\"documentType\":\"Voucher\"}\n".to_owned())]
    );
    assert!(records.is_empty());
    // Each of these may be a file of a voucher.
    assert_eq!(left_out(&plan), ["attachments/readme", "notes.txt"]);
    assert_eq!(refused(&mixed(), &only(Category::Disco)).kind, ErrorKind::BadArgument);
}

#[test]
fn an_id_that_is_there_twice_is_named() {
    let twice = zipped(&[
        ("articles.jsonl.br", b"{\"_id\":\"art_1\"}\n"),
        ("more.jsonl.br", b"{\"_id\":\"cust_1\"}\n{\"_id\":\"art_1\",\"n\":2}\n"),
    ]);
    let error = refused(&twice, &Choice::Full);
    assert_eq!(error.kind, ErrorKind::BadDocument);
    assert_eq!(error.subject.as_deref(), Some("more.jsonl.br, line 2"));
    assert!(error.message.contains("art_1") && error.message.contains("articles"), "{error}");
    // Elsewhere it does not matter.
    assert!(run(&twice, &only(Category::Customers), &Server::calm()).is_ok());
    let apart = zipped(&[("a.jsonl.br", b"{\"_id\":\"1\"}\n"), ("b.jsonl.br", b"{\"_id\":\"1\"}\n")]);
    assert!(run(&apart, &Choice::Full, &Server::calm()).is_ok());
}

#[test]
fn damage_stops_a_restore_unless_it_concerns_only_what_was_not_chosen() {
    let articles: &[u8] = b"{\"_id\":\"art_1\"}\n";
    let bad = |name, lines: &'static [u8]| zipped(&[("articles.jsonl.br", articles), (name, lines)]);
    for (lines, kind) in [
        (&b"[1]\n"[..], ErrorKind::BadDocument),
        (b"{\"id\":\"x\"}\n", ErrorKind::BadDocument),
        (b"{\"_id\":\"tbl_1\"\n", ErrorKind::BadDocument),
    ] {
        let tables = bad("tables.jsonl.br", lines);
        let error = refused(&tables, &Choice::Full);
        assert_eq!((error.kind, error.subject.as_deref()), (kind, Some("tables.jsonl.br, line 1")));
        assert_eq!(refused(&tables, &only(Category::Tables)).kind, kind);
        let plan = run(&tables, &only(Category::Articles), &Server::calm()).unwrap();
        assert_eq!(plan.problems().len(), 1);
        assert_eq!(plan.problems()[0].kind, kind);
        // A part that could hold anything may hold what was chosen.
        assert_eq!(refused(&bad("stuff.jsonl.br", lines), &only(Category::Articles)).kind, kind);
    }
    // One that has held some of it may hold more.
    let tables = bad("tables.jsonl.br", b"{\"_id\":\"art_2\"}\nrubbish\n");
    assert_eq!(refused(&tables, &only(Category::Articles)).kind, ErrorKind::BadDocument);

    let mut cut = codec::encode(articles).unwrap().bytes;
    cut.pop();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("articles.jsonl.br", SimpleFileOptions::default()).unwrap();
    zip.write_all(&cut).unwrap();
    let error = refused(&zip.finish().unwrap().into_inner(), &Choice::Full);
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::DamagedPart, Some("articles.jsonl.br")));
}

#[test]
fn what_is_no_backup_is_refused() {
    assert_eq!(refused(b"PK, but no ZIP", &Choice::Full).kind, ErrorKind::NotAnArchive);
    assert_eq!(refused(b"", &Choice::Full).kind, ErrorKind::NotAnArchive);
    for nothing in [zipped(&[]), zipped(&[("photo.png", PNG)])] {
        let error = refused(&nothing, &Choice::Full);
        assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::MissingEntry, Some(MANIFEST_NAME)));
    }
    let newer = zipped(&[(MANIFEST_NAME, b"{\"format\":\"dikas-backup\",\"version\":9}")]);
    let error = refused(&newer, &Choice::Full);
    assert_eq!(error.kind, ErrorKind::NewerFormat);
    assert!(error.actual.unwrap().contains('9'));
    let broken = zipped(&[(MANIFEST_NAME, b"{"), ("articles.jsonl.br", b"{\"_id\":\"art_1\"}\n")]);
    assert_eq!(refused(&broken, &Choice::Full).kind, ErrorKind::BadManifest);
}

/// The entries of one of our archives, as they stand.
fn entries(store: &Store) -> Vec<(String, Vec<u8>)> {
    let (bytes, _) = archive(store, &InlineEncoder, 1 << 20, &Onlooker::default()).unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut entry = zip.by_index(at).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.name().unwrap().into_owned(), content)
        })
        .collect()
}

/// A ZIP of entries as they stand.
fn packed(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn with_a_manifest_every_chosen_entry_is_what_it_says() {
    let store = Store::generate(9, &[("articles", 30), ("customers", 30)], 300);
    let whole = entries(&store);
    // Unpacked and packed again by another tool: nothing is lost by that.
    let (_, collections, records) = staged(&packed(&whole), &Choice::Full);
    assert_eq!((collections.len(), records.len()), (2, store.contents().records.len()));

    let picture = whole.iter().map(|(name, _)| name).find(|name| name.starts_with("attachments/articles/"));
    let (part, picture) = ("articles.jsonl.br".to_owned(), picture.unwrap());
    // Without a part nothing is restored; a file can be left out, if a person says so.
    let problem = |bytes: &[u8], name: &String| match name == &part {
        true => refused(bytes, &Choice::Full),
        false => {
            let (plan, _, _) = staged(bytes, &Choice::Full);
            assert_eq!(left_out(&plan), [name.as_str()]);
            plan.left_out()[0].clone()
        }
    };
    for name in [&part, picture] {
        let without: Vec<_> = whole.iter().filter(|(other, _)| other != name).cloned().collect();
        let error = problem(&packed(&without), name);
        assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::MissingEntry, Some(name.as_str())));
        assert!(run(&packed(&without), &only(Category::Customers), &Server::calm()).is_ok());

        let mut other = whole.clone();
        for (_, content) in other.iter_mut().filter(|(other, _)| other == name) {
            content.push(b'x');
        }
        let error = problem(&packed(&other), name);
        let damaged = [ErrorKind::DamagedEntry, ErrorKind::DamagedPart].contains(&error.kind);
        assert!(damaged && error.subject.as_ref() == Some(name), "{error}");
        assert!(run(&packed(&other), &only(Category::Customers), &Server::calm()).is_ok());
    }

    // A manifest whose sums agree, and which nevertheless lies.
    let mut lying = whole.clone();
    for (_, content) in lying.iter_mut().filter(|(name, _)| name == MANIFEST_NAME) {
        let text = String::from_utf8(std::mem::take(content)).unwrap();
        *content = text.replace("\"documents\": 30", "\"documents\": 31").into_bytes();
    }
    let error = refused(&packed(&lying), &Choice::Full);
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::DamagedPart, Some("articles.jsonl.br")));

    // A byte of the archive itself.
    let (mut bytes, _) = archive(&store, &InlineEncoder, 1 << 20, &Onlooker::default()).unwrap();
    bytes[100] ^= 1;
    let error = refused(&bytes, &Choice::Full);
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::DamagedPart, Some("articles.jsonl.br")));
    assert!(run(&bytes, &only(Category::Customers), &Server::calm()).is_ok());
}

#[test]
fn collections_that_mix_are_cut_alike_every_time() {
    // More than may wait in batches that are not full: thirty collections in turn, by the names of their parts.
    let filler = "x".repeat(1 << 20);
    let parts: Vec<(String, String)> = (0..34)
        .map(|at| {
            let first = format!("{{\"_id\":\"{at}\",\"x\":\"{filler}\"}}\n");
            (format!("kind-{at:02}.jsonl.br"), first)
        })
        .collect();
    let again: Vec<(String, String)> = (0..34)
        .map(|at| (format!("folder/kind-{at:02}.jsonl.br"), format!("{{\"_id\":\"{at} again\"}}\n")))
        .collect();
    let all: Vec<(&str, &[u8])> =
        parts.iter().chain(&again).map(|(name, lines)| (name.as_str(), lines.as_bytes())).collect();
    let bytes = zipped(&all);
    let server = Server::calm();
    let plan = run(&bytes, &Choice::Full, &server).unwrap();
    let batches: Vec<u64> = plan.collections().iter().map(|collection| collection.batches).collect();
    assert_eq!(batches.iter().filter(|batches| **batches == 2).count(), 32, "{batches:?}");
    assert_eq!(plan.collections().iter().map(|collection| collection.documents).sum::<u64>(), 68);
    assert_eq!(run(&bytes, &Choice::Full, &Server::calm()).unwrap(), plan);
}
