//! A restore over a network that loses and garbles, and onto a server that is strict: what arrives is what the archive
//! holds, or nothing changes.

use crate::backup::{Onlooker, archive, restaurant};
use crate::staging::{Fate, SECRET, SESSION_ID, Server};
use crate::store::Store;
use dikas_archive::api::AttachmentRecord;
use dikas_archive::api::restore::{
    BATCH_BYTES, BATCH_LINES, CommitRequest, PIECE_BYTES, RestoreMode, RestorePreview, RestoreState,
    RunningRestore,
};
use dikas_archive::catalog::Category;
use dikas_archive::digest::Sha256;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::restore::http::{HttpTarget, NotOpened, Obstacle};
use dikas_archive::job::restore::sessions;
use dikas_archive::job::restore::{Choice, Committed, Consent, Manner, Plan, Target, check, commit, stage};
use dikas_archive::job::transport::Method;
use dikas_archive::job::{InlineEncoder, Phase, Progress, Watch};
use dikas_archive::reader::BackupReader;
use futures::executor::block_on;
use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;

fn backup_of(store: &Store) -> Vec<u8> {
    archive(store, &InlineEncoder, 1 << 20, &Onlooker::default()).unwrap().0
}

fn selected(categories: &[Category], manner: Manner) -> Choice {
    Choice::Selected { categories: categories.to_vec(), collections: Vec::new(), manner }
}

fn checked(bytes: &[u8], choice: &Choice) -> Result<Plan> {
    let mut reader = BackupReader::open(Cursor::new(bytes))?;
    block_on(check(&mut reader, "backup.zip", choice, &()))
}

/// Checks, opens a session and stages into it.
fn run(bytes: &[u8], choice: &Choice, server: &Server<'_>, watch: &impl Watch) -> Result<RestorePreview> {
    block_on(async {
        let mut reader = BackupReader::open(Cursor::new(bytes))?;
        let plan = check(&mut reader, "backup.zip", choice, watch).await?;
        let target = HttpTarget::open(server, &plan.request(None)?).await?;
        stage(&mut reader, &plan, &target, watch).await
    })
}

fn assert_holds(server: &Server<'_>, store: &Store, collections: &[&str]) {
    let session = server.session.borrow();
    let session = session.as_ref().expect("a session");
    let announced: Vec<_> =
        session.request.collections.iter().map(|announced| announced.name.as_str()).collect();
    assert_eq!(announced, collections);
    let contents = store.contents();
    for collection in collections {
        let truth: String =
            contents.documents[&collection.parse().unwrap()].values().map(String::as_str).collect();
        assert!(session.lines(collection) == truth.into_bytes(), "{collection}");
    }
    let truth: Vec<_> = contents
        .records
        .iter()
        .filter(|record| collections.contains(&record.collection.as_str()))
        .cloned()
        .collect();
    assert_eq!(session.records(), truth);
    for record in truth {
        assert!(server.blobs.borrow()[&record.sha256] == contents.blobs[&record.sha256]);
    }
}

/// The figures that a person sees never go back, and end where they should.
fn check_progress(seen: &[Progress]) {
    for pair in seen.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        assert!(b.bytes <= b.bytes_total && b.documents <= b.documents_total, "{b:?}");
        if a.phase == b.phase {
            assert!(a.bytes <= b.bytes && a.documents <= b.documents, "{a:?} {b:?}");
            assert!(a.attachments <= b.attachments, "{a:?} {b:?}");
        }
    }
    let mut phases: Vec<Phase> = seen.iter().map(|progress| progress.phase).collect();
    phases.dedup();
    assert_eq!(phases, [Phase::Check, Phase::Stage, Phase::Preview]);
    for phase in [Phase::Check, Phase::Stage] {
        let last = seen.iter().rfind(|progress| progress.phase == phase).unwrap();
        assert_eq!(last.bytes, last.bytes_total, "{last:?}");
        assert_eq!(
            (last.documents, last.attachments),
            (last.documents_total, last.attachments_total),
            "{last:?}"
        );
    }
}

#[test]
fn what_is_staged_is_what_the_archive_holds() {
    let store = restaurant();
    let bytes = backup_of(&store);
    let (server, watch) = (Server::calm(), Onlooker::default());
    // One of the files is there already.
    let known = store.contents().records[0].sha256;
    server.blobs.borrow_mut().insert(known, store.contents().blobs[&known].clone());
    let preview = run(&bytes, &Choice::Full, &server, &watch).unwrap();
    assert_eq!(preview.seq, 40);
    assert_holds(&server, &store, &["articles", "counters", "customers", "receipts"]);
    check_progress(&watch.seen.borrow());
    assert_eq!(server.state(), Some(RestoreState::Open));
    assert!(server.most_under_way.get() > 1, "collections and files come at the same time");
    assert_eq!(server.count(Method::Put, "/blobs/") + 1, store.contents().blobs.len());
    assert_eq!(server.count(Method::Put, &known.to_string()), 0);

    let session = server.session.borrow();
    let request = &session.as_ref().unwrap().request;
    assert_eq!(request.mode, RestoreMode::Full);
    assert_eq!(request.archive.sha256, Some(Sha256::of(&bytes)));
    assert_eq!(request.archive.size, bytes.len() as u64);
    assert_eq!(request.archive.created.as_deref(), Some("2026-11-23T18:59:41Z"));
    assert_eq!(request.archive.source.as_ref(), Some(&store.contents().snapshot.source));
}

#[test]
fn a_selective_restore_stages_what_was_chosen_and_no_more() {
    let store = restaurant();
    let bytes = backup_of(&store);
    let server = Server::calm();
    run(&bytes, &selected(&[Category::Articles], Manner::Update), &server, &()).unwrap();
    assert_holds(&server, &store, &["articles"]);
    assert_eq!(server.session.borrow().as_ref().unwrap().request.mode, RestoreMode::Update);

    let server = Server::calm();
    let collections = vec!["counters".parse().unwrap(), "customers".parse().unwrap()];
    let choice = Choice::Selected { categories: Vec::new(), collections, manner: Manner::Identical };
    run(&bytes, &choice, &server, &()).unwrap();
    assert_holds(&server, &store, &["counters", "customers"]);
    assert_eq!(server.session.borrow().as_ref().unwrap().request.mode, RestoreMode::Identical);

    for choice in [
        selected(&[Category::Vouchers], Manner::Update),
        selected(&[Category::Other], Manner::Update),
        selected(&[Category::Articles, Category::Disco], Manner::Identical),
        selected(&[], Manner::Update),
    ] {
        assert_eq!(checked(&bytes, &choice).unwrap_err().kind, ErrorKind::BadArgument, "{choice:?}");
    }
    for name in ["tables", "rental-bikes"] {
        let collections = vec![name.parse().unwrap()];
        let choice = Choice::Selected { categories: Vec::new(), collections, manner: Manner::Update };
        let error = checked(&bytes, &choice).unwrap_err();
        assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::BadArgument, Some(name)));
    }
}

#[test]
fn whatever_gets_lost_comes_again() {
    let store = Store::generate(3, &[("articles", 40), ("receipts", 9)], 300);
    let bytes = backup_of(&store);
    let calm = Server::calm();
    run(&bytes, &Choice::Full, &calm, &()).unwrap();
    let requests = calm.log.borrow().len();
    assert!(requests > 6);
    for fate in [Fate::Lost, Fate::AnswerLost, Fate::Garbled, Fate::Refused(429), Fate::Refused(503)] {
        for number in 0..requests {
            let server = Server::new(move |at, _| if at == number { fate } else { Fate::Arrives });
            run(&bytes, &Choice::Full, &server, &())
                .unwrap_or_else(|error| panic!("{fate:?} {number}: {error}"));
            assert_holds(&server, &store, &["articles", "receipts"]);
        }
        // Every second one, all the way.
        let server = Server::new(move |at, _| if at % 2 == 0 { fate } else { Fate::Arrives });
        run(&bytes, &Choice::Full, &server, &()).unwrap_or_else(|error| panic!("{fate:?}: {error}"));
        assert_holds(&server, &store, &["articles", "receipts"]);
    }
}

#[test]
fn batches_are_cut_where_the_rule_says() {
    let mut lines: Vec<String> =
        (0..BATCH_LINES + 1).map(|at| format!("{{\"_id\":\"art_{at:05}\"}}\n")).collect();
    let long = |id: &str, bytes: usize| format!("{{\"_id\":\"{id}\",\"x\":\"{}\"}}\n", "x".repeat(bytes));
    lines.push(long("art_a", BATCH_BYTES / 2));
    lines.push(long("art_b", BATCH_BYTES / 2));
    lines.push(long("art_c", BATCH_BYTES * 2));
    lines.push(long("art_d", 1));
    let documents = [(
        "articles".parse().unwrap(),
        lines
            .iter()
            .map(|line| (line[8..line.find("\",").or(line.find("\"}")).unwrap()].to_owned(), line.clone()))
            .collect(),
    )];
    let store = Store::new(documents.into_iter().collect(), Vec::new(), Default::default());
    let server = Server::calm();
    run(&backup_of(&store), &Choice::Full, &server, &()).unwrap();
    let session = server.session.borrow();
    let counts: Vec<usize> = session.as_ref().unwrap().batches["articles"]
        .iter()
        .map(|batch| batch.iter().filter(|byte| **byte == b'\n').count())
        .collect();
    assert_eq!(counts, [BATCH_LINES, 2, 1, 1, 1]);
}

#[test]
fn memory_is_bounded_however_slow_the_server() {
    let store = Store::generate(11, &[("articles", 500), ("customers", 500), ("receipts", 500)], 16_000);
    let server = Server::calm();
    run(&backup_of(&store), &Choice::Full, &server, &()).unwrap();
    assert_holds(&server, &store, &["articles", "customers", "receipts"]);
    assert!(server.most_held.get() <= 16 << 20, "{}", server.most_held.get());
    assert!(server.most_under_way.get() <= 6);
}

#[test]
fn large_files_come_in_pieces_and_are_never_whole_in_memory() {
    let lines = [("art_1", 2 * PIECE_BYTES + 1), ("art_2", PIECE_BYTES), ("art_3", PIECE_BYTES + 5)];
    let (mut documents, mut records, mut blobs) = (BTreeMap::new(), Vec::new(), HashMap::new());
    for (id, size) in lines {
        documents.insert(id.to_owned(), format!("{{\"_id\":\"{id}\"}}\n"));
        let bytes: Vec<u8> = (0..size).map(|at| (at / 251 + at) as u8).collect();
        let sha256 = Sha256::of(&bytes);
        records.push(AttachmentRecord {
            collection: "articles".parse().unwrap(),
            id: id.to_owned(),
            name: "film.mp4".to_owned(),
            media_type: "video/mp4".to_owned(),
            size: size as u64,
            sha256,
        });
        blobs.insert(sha256, bytes);
    }
    let store = Store::new([("articles".parse().unwrap(), documents)].into(), records, blobs);
    let bytes = backup_of(&store);
    for fate in [Fate::Arrives, Fate::Lost, Fate::AnswerLost, Fate::Garbled, Fate::Refused(503)] {
        let server = Server::new(move |at, _| if at % 5 < 2 { fate } else { Fate::Arrives });
        run(&bytes, &Choice::Full, &server, &()).unwrap_or_else(|error| panic!("{fate:?}: {error}"));
        assert_holds(&server, &store, &["articles"]);
        let pieces = server.count(Method::Put, "?from=");
        assert_eq!((pieces > 5, pieces == 5), (fate != Fate::Arrives, fate == Fate::Arrives), "{fate:?}");
        assert!(server.most_held.get() <= 16 << 20, "{}", server.most_held.get());
    }
}

#[test]
fn a_cancelled_restore_leaves_no_session_behind() {
    let store = Store::generate(3, &[("articles", 30), ("receipts", 9)], 300);
    let bytes = backup_of(&store);
    let calm = Onlooker::default();
    run(&bytes, &Choice::Full, &Server::calm(), &calm).unwrap();
    let mut aborted = 0;
    for cancel_at in 0..calm.checkpoints.get() {
        let (server, watch) =
            (Server::calm(), Onlooker { cancel_at: Some(cancel_at), ..Onlooker::default() });
        let error = run(&bytes, &Choice::Full, &server, &watch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled, "{cancel_at}");
        assert_ne!(server.state(), Some(RestoreState::Open), "{cancel_at}");
        aborted += usize::from(server.state() == Some(RestoreState::Aborted));
    }
    assert!(aborted > 5);
}

#[test]
fn the_same_file_goes_on_where_it_was() {
    let store = restaurant();
    let bytes = backup_of(&store);
    let calm = Server::calm();
    run(&bytes, &Choice::Full, &calm, &()).unwrap();
    for first in [3, calm.log.borrow().len() / 2, calm.log.borrow().len() - 1] {
        let gone = std::cell::Cell::new(true);
        let server = Server::new(|at, _| if at >= first && gone.get() { Fate::Lost } else { Fate::Arrives });
        let error = run(&bytes, &Choice::Full, &server, &()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert_eq!(server.state(), Some(RestoreState::Open), "it can be gone on with");
        assert_eq!(server.count(Method::Delete, ""), 0);
        gone.set(false);
        // Another process, with the same file and the same choice. The server would notice another request.
        run(&bytes, &Choice::Full, &server, &()).unwrap();
        assert_holds(&server, &store, &["articles", "counters", "customers", "receipts"]);
    }
    let key = |choice| checked(&bytes, &choice).unwrap().request(None).unwrap().key.unwrap();
    let full = key(Choice::Full);
    assert!(full.len() == 32 && full == key(Choice::Full));
    assert_ne!(full, key(selected(&[Category::Articles], Manner::Update)));
}

#[test]
fn what_the_server_will_never_take_ends_the_session() {
    let store = restaurant();
    let server = Server::new(|_, request| match request.target.contains("customers/0") {
        true => Fate::Refused(400),
        false => Fate::Arrives,
    });
    let error = run(&backup_of(&store), &Choice::Full, &server, &()).unwrap_err();
    assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::ServerError, Some("customers, batch 0")));
    assert_eq!(server.state(), Some(RestoreState::Aborted));
    // A full disk may have room later.
    let server = Server::new(|_, request| match request.target.contains("customers/0") {
        true => Fate::Refused(507),
        false => Fate::Arrives,
    });
    let error = run(&backup_of(&store), &Choice::Full, &server, &()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ServerFull);
    assert_eq!(server.state(), Some(RestoreState::Open));
}

#[test]
fn what_stands_in_the_way_is_told() {
    let store = restaurant();
    let plan = checked(&backup_of(&store), &Choice::Full).unwrap();
    let open = |server: &Server<'_>, name: Option<&str>| {
        block_on(HttpTarget::open(server, &plan.request(name).unwrap())).map(|_| ())
    };
    let mut foreign = Server::calm();
    foreign.installation = Some("0".repeat(32));
    let NotOpened { error, obstacle } = open(&foreign, None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ForeignBackup);
    let Some(Obstacle::Foreign { names }) = obstacle.map(|it| *it) else { panic!() };
    assert_eq!((names.to_type(), names.here.as_str()), ("Gasthaus Ähre", "Hier"));
    assert!(open(&foreign, Some("Gasthaus")).is_err());
    assert!(open(&foreign, Some(names.to_type())).is_ok());

    let mut busy = Server::calm();
    let running = RunningRestore {
        id: "1".repeat(32),
        user: "chefin".to_owned(),
        begun: "2026-11-23T18:00:00Z".to_owned(),
        called: "2026-11-23T18:01:00Z".to_owned(),
    };
    busy.other = Some(running.clone());
    let NotOpened { error, obstacle } = open(&busy, None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::RestoreRunning);
    assert_eq!(obstacle.map(|it| *it), Some(Obstacle::Running { session: running }));
}

/// Stages everything, and leaves the rest to the test.
fn staged<'a>(server: &'a Server<'a>) -> (HttpTarget<&'a Server<'a>>, RestorePreview) {
    let bytes = backup_of(&restaurant());
    block_on(async {
        let mut reader = BackupReader::open(Cursor::new(bytes)).unwrap();
        let plan = check(&mut reader, "backup.zip", &Choice::Full, &()).await.unwrap();
        let target = HttpTarget::open(server, &plan.request(None).unwrap()).await.unwrap();
        let preview = stage(&mut reader, &plan, &target, &()).await.unwrap();
        (target, preview)
    })
}

#[test]
fn a_commit_is_done_once_however_often_it_is_sent() {
    for fate in [Fate::Arrives, Fate::Lost, Fate::AnswerLost, Fate::Refused(503), Fate::Refused(500)] {
        let times = std::cell::Cell::new(0);
        let server = Server::new(|_, request| {
            let first = request.target.ends_with("/commit") && times.replace(times.get() + 1) == 0;
            if first { fate } else { Fate::Arrives }
        });
        let (target, preview) = staged(&server);
        let consent = Consent { pause_till: true, ..Consent::to(&preview) };
        let watch = Onlooker::default();
        let committed = block_on(commit(&target, &consent, &watch)).unwrap();
        let Committed::Done { outcome } = committed else { panic!("{committed:?}") };
        assert_eq!(outcome.seq, 41, "{fate:?}");
        assert_eq!(server.count(Method::Post, "/pause"), 1);
        assert_eq!(watch.seen.borrow().last().unwrap().phase, Phase::Commit);
    }
}

#[test]
fn a_commit_that_ends_the_login_is_told_by_its_secret() {
    let times = std::cell::Cell::new(0);
    let server = Server::new(|_, request| {
        let first = request.target.ends_with("/commit") && times.replace(times.get() + 1) == 0;
        if first { Fate::AnswerLost } else { Fate::Arrives }
    });
    server.ends_logins.set(true);
    let (target, preview) = staged(&server);
    let asked = server.asked_for_tokens.get();
    let committed = block_on(commit(&target, &Consent::to(&preview), &())).unwrap();
    let Committed::Done { outcome } = committed else { panic!("{committed:?}") };
    assert!(outcome.logins_ended);
    assert_eq!(server.asked_for_tokens.get(), asked, "nobody has to log in to learn it");
    let told = block_on(sessions::ended(&server, SESSION_ID, SECRET)).unwrap();
    assert_eq!((told.state, told.outcome), (RestoreState::Committed, Some(outcome)));
    let unknown = block_on(sessions::ended(&server, SESSION_ID, SESSION_ID)).unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::RestoreGone);
}

#[test]
fn a_commit_whose_end_nobody_knows_says_so() {
    let server = Server::new(|at, request| {
        let committing = request.target.ends_with("/commit");
        let asking = request.method == Method::Get && request.target.ends_with(SESSION_ID);
        if at > 3 && (committing || asking) { Fate::Lost } else { Fate::Arrives }
    });
    let (target, preview) = staged(&server);
    let committed = block_on(commit(&target, &Consent::to(&preview), &())).unwrap();
    let Committed::Unknown { error } = committed else { panic!("{committed:?}") };
    assert_eq!(error.kind, ErrorKind::Unreachable);
}

#[test]
fn a_refused_commit_brings_a_fresh_preview() {
    let server = Server::calm();
    let (target, preview) = staged(&server);
    server.seq.set(44);
    server.signed_loss.set(7);
    let committed = block_on(commit(&target, &Consent::to(&preview), &())).unwrap();
    let Committed::LiveChanged { preview } = committed else { panic!("{committed:?}") };
    assert_eq!(preview.seq, 44);
    for wrong in [None, Some(6)] {
        let consent = Consent { acknowledge_signed: wrong, ..Consent::to(&preview) };
        let committed = block_on(commit(&target, &consent, &())).unwrap();
        let Committed::SignedLoss { preview } = committed else { panic!("{committed:?}") };
        assert_eq!(preview.signed_loss, 7);
    }
    let request = CommitRequest { seq: 44, acknowledge_signed: Some(7), acknowledge_files_left_out: None };
    assert!(matches!(block_on(target.commit(&request)).unwrap(), Committed::Done { .. }));
    // What has been committed cannot be aborted, and nobody minds.
    block_on(target.abort()).unwrap();
    assert_eq!(server.state(), Some(RestoreState::Committed));
}

#[test]
fn a_cancel_before_the_commit_changes_nothing() {
    let server = Server::calm();
    let (target, preview) = staged(&server);
    let watch = Onlooker { cancel_at: Some(0), ..Onlooker::default() };
    let error = block_on(commit(&target, &Consent::to(&preview), &watch)).unwrap_err();
    assert_eq!(error, Error::new(ErrorKind::Cancelled, "cancelled"));
    assert_eq!(server.count(Method::Post, "/commit"), 0);
    block_on(target.abort()).unwrap();
    assert_eq!(server.state(), Some(RestoreState::Aborted));
}
