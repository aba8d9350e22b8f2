//! Sessions: one at a time, bound to their owner, and known for a day.

use super::*;
use crate::bench::document_path;
use dikas_archive::api::restore::RunningRestore;
use dikas_server::auth::Role;
use std::time::{Duration, Instant};

const LINES: &[&str] = &[r#"{"_id":"a"}"#];

fn backup() -> Backup {
    Backup::of(&[("articles", LINES)])
}

#[tokio::test]
async fn one_restore_at_a_time_and_another_admin_can_end_it() {
    let bench = Bench::new().await;
    let session = Session::staged(&bench, &backup(), RestoreMode::Full).await;
    let token = bench.user("other", Role::Admin).await;
    let other = async |method: Method, path: &str, body: &str| {
        bench.call(method, &format!("/backup/restores{path}"), Some(&token), body.to_owned()).await
    };
    let request = serde_json::to_string(&backup().request(RestoreMode::Full)).unwrap();
    let answer = other(Method::POST, "", &request).await;
    let answer = answer.fails_with_data(CONFLICT, "restore-running");
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
    let running: RunningRestore = serde_json::from_value(envelope["data"].clone()).unwrap();
    assert_eq!((running.id.as_str(), running.user.as_str()), (session.id.as_str(), "admin"));
    let listed: Vec<RunningRestore> = other(Method::GET, "", "").await.expect(OK).data();
    assert_eq!(listed[0].id, session.id);

    let digest = Sha256::of(b"x");
    for (method, path, body) in [
        (Method::GET, "preview", ""),
        (Method::POST, "pause", ""),
        (Method::POST, "commit", r#"{"seq":0}"#),
        (Method::POST, "blobs/missing", r#"{"sha256":[]}"#),
        (Method::PUT, &format!("blobs/{digest}"), "x"),
    ] {
        let answer = other(method, &format!("/{}/{path}", session.id), body).await;
        answer.fails(StatusCode::FORBIDDEN, "forbidden");
    }
    let path = format!("/{}", session.id);
    other(Method::DELETE, &path, "").await.expect(OK);
    other(Method::DELETE, &path, "").await.fails(GONE, "restore-gone");
    session.try_preview().await.fails(GONE, "restore-gone");
    let state: Value = session.state(&session.secret).await.expect(OK).data();
    assert_eq!(state["state"], "aborted");
    let audit = bench.audit("restore").await;
    assert_eq!((&audit[0]["end"], &audit[0]["who"]), (&"aborted".into(), &"other".into()));
    assert_eq!(audit[0]["archive"]["name"], "dikas_20261123_040000.zip");
    Session::staged(&bench, &backup(), RestoreMode::Full).await.commit().await;
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again() {
    let bench = Bench::new().await;
    let mut request = backup().request(RestoreMode::Full);
    request.key = Some("0123456789abcdef0123456789abcdef".to_owned());
    let session = Session::begin(&bench, &request).await;
    let again: RestoreBegun = try_begin(&bench, &request).await.expect(CREATED).data();
    assert_eq!((again.id, again.secret), (session.id.clone(), session.secret.clone()));
    session.stage(&backup()).await;
    let seq = session.preview().await.seq;
    let first: RestoreOutcome = session.try_commit(seq, None).await.expect(OK).data();
    let again: RestoreOutcome = session.try_commit(seq, None).await.expect(OK).data();
    assert_eq!(first, again);
    let state: Value = session.state(&session.secret).await.expect(OK).data();
    assert_eq!(serde_json::from_value::<RestoreOutcome>(state["outcome"].clone()).unwrap(), first);
    session.put_documents("articles", 0, "{\"_id\":\"a\"}\n").await.fails(GONE, "restore-gone");
    for wrong in ["", "0123456789abcdef0123456789abcdef"] {
        session.state(wrong).await.fails(GONE, "restore-gone");
    }
    let points: Value = bench.get("/backup/restore-points").await.expect(OK).data();
    assert_eq!(points.as_array().unwrap().len(), 1, "it was done once");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything() {
    let bench = Bench::new().await;
    let changes: [fn(&mut RestoreRequest); 9] = [
        |request| request.key = Some("x".to_owned()),
        |request| request.archive.name = String::new(),
        |request| request.archive.created = Some("yesterday".to_owned()),
        |request| request.collections.clear(),
        |request| request.collections.push(request.collections[0].clone()),
        |request| request.collections[0].batches = 0,
        |request| request.collections[0].batches = 2,
        |request| request.attachments.batches = 1,
        |request| request.attachments.sha256 = Sha256::of(b"x"),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut request = backup().request(RestoreMode::Full);
        change(&mut request);
        let answer = try_begin(&bench, &request).await;
        assert_eq!(answer.status, BAD, "{number}");
        answer.fails(BAD, "bad-request");
    }
    let mut request = backup().request(RestoreMode::Full);
    request.collections[0].bytes = 1 << 60;
    try_begin(&bench, &request).await.fails(StatusCode::INSUFFICIENT_STORAGE, "no-space");
    assert_eq!(bench.get("/backup/restores").await.data::<Vec<RunningRestore>>(), []);
}

#[tokio::test]
async fn a_backup_of_another_business_needs_its_name_typed() {
    let bench = Bench::new().await;
    let mut request = backup().request(RestoreMode::Full);
    request.archive.source = Some(source(&"f".repeat(32)));
    for typed in [None, Some("Zum"), Some("DiKAS")] {
        request.business_name = typed.map(str::to_owned);
        let answer = try_begin(&bench, &request).await.fails_with_data(CONFLICT, "foreign-backup");
        let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(envelope["data"], serde_json::json!({"backup": "Zum Hirschen", "here": "DiKAS"}));
    }
    request.business_name = Some(" Zum Hirschen ".to_owned());
    let session = Session::begin(&bench, &request).await;
    session.call(Method::DELETE, "", String::new()).await.expect(OK);
    request.archive.source = Some(source(bench.app.store().installation()));
    request.business_name = None;
    Session::begin(&bench, &request).await;
}

#[tokio::test]
async fn a_backup_that_does_not_say_whose_it_is_needs_the_name_of_this_business_typed() {
    let bench = Bench::new().await;
    let settings = r#"{"_id":"cfg_1","businessName":"Café Zwölf"}"#;
    bench.put(&document_path("settings", "cfg_1"), settings).await.expect(CREATED);
    let nobody = SourceInfo { business: " ".to_owned(), ..source(&"f".repeat(32)) };
    for source in [None, Some(source("")), Some(nobody)] {
        let mut request = backup().request(RestoreMode::Full);
        request.archive.source = source;
        for typed in [None, Some(""), Some(" "), Some("DiKAS"), Some("Zum Hirschen")] {
            request.business_name = typed.map(str::to_owned);
            let answer = try_begin(&bench, &request).await.fails_with_data(CONFLICT, "unknown-origin");
            let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(envelope["data"], serde_json::json!({"backup": null, "here": "Café Zwölf"}));
        }
        request.business_name = Some(" Café Zwölf ".to_owned());
        let session = Session::begin(&bench, &request).await;
        session.call(Method::DELETE, "", String::new()).await.expect(OK);
    }
}

#[tokio::test]
async fn files_that_are_left_out_have_to_be_acknowledged_in_every_mode() {
    for mode in [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update] {
        let bench = Bench::new().await;
        let mut request = backup().request(mode);
        request.attachments.left_out = 2;
        let session = Session::begin(&bench, &request).await;
        session.stage(&backup()).await;
        let preview = session.preview().await;
        assert_eq!(preview.files_left_out, 2);
        let commit = async |files: Option<u64>| {
            let request = CommitRequest {
                seq: preview.seq,
                acknowledge_signed: None,
                acknowledge_files_left_out: files,
            };
            session.call(Method::POST, "commit", serde_json::to_string(&request).unwrap()).await
        };
        for wrong in [None, Some(0), Some(1), Some(3)] {
            let refused = commit(wrong).await;
            assert_eq!(fresh(&refused, "files-left-out").files_left_out, 2);
            assert_eq!(live(&bench, "articles").await, [""; 0], "nothing has changed");
        }
        let outcome: RestoreOutcome = commit(Some(2)).await.expect(OK).data();
        assert_eq!(outcome.files_left_out, 2);
        assert_eq!(live(&bench, "articles").await, LINES);
    }
}

#[tokio::test]
async fn nobody_writes_during_a_pause() {
    let bench = Bench::with(|config| config.restores.pause = Duration::from_secs(3)).await;
    let session = Session::staged(&bench, &backup(), RestoreMode::Full).await;
    let write = async || bench.put(&document_path("customers", "x"), r#"{"_id":"x"}"#).await;
    write().await.expect(CREATED);
    let pause: Value = session.call(Method::POST, "pause", String::new()).await.expect(OK).data();
    let paused = Instant::now();
    assert_eq!(pause["seconds"], 3);
    let refused = write().await.fails(StatusCode::SERVICE_UNAVAILABLE, "paused");
    assert!(("1"..="3").contains(&refused.header("retry-after")));
    bench.delete(&document_path("customers", "x")).await.fails(StatusCode::SERVICE_UNAVAILABLE, "paused");
    bench.get(&document_path("customers", "x")).await.expect(OK);
    session.call(Method::POST, "pause", String::new()).await.expect(OK);
    // Asked for again, it lasts no longer.
    tokio::time::sleep(Duration::from_millis(3050).saturating_sub(paused.elapsed())).await;
    write().await.expect(OK);
    session.call(Method::POST, "pause", String::new()).await.expect(OK);
    session.commit().await;
    write().await.expect(OK);
}

#[tokio::test]
async fn a_session_that_nobody_calls_ends() {
    let bench = Bench::with(|config| config.restores.idle = Duration::from_secs(2)).await;
    let session = Session::staged(&bench, &backup(), RestoreMode::Full).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    session.try_preview().await.fails(GONE, "restore-gone");
    let state: Value = session.state(&session.secret).await.expect(OK).data();
    assert_eq!(state["state"], "expired");
    assert_eq!(bench.audit("restore").await[0]["end"], "expired");
    let session = Session::staged(&bench, &backup(), RestoreMode::Full).await;
    session.commit().await;
}

#[tokio::test]
async fn a_new_server_ends_what_was_open_and_remembers_what_was_done() {
    let bench = Bench::new().await;
    let done = Session::staged(&bench, &backup(), RestoreMode::Full).await;
    let outcome = done.commit().await;
    let open = Session::staged(&bench, &Backup::of(&[("tables", LINES)]), RestoreMode::Full).await;
    let [done, open] = [done, open].map(|session| (session.id, session.secret));
    let bench = bench.restarted().await;
    bench.app.clean().unwrap();
    let [done, open] = [done, open].map(|(id, secret)| Session { bench: &bench, id, secret });
    let state: Value = done.state(&done.secret).await.expect(OK).data();
    assert_eq!(serde_json::from_value::<RestoreOutcome>(state["outcome"].clone()).unwrap(), outcome);
    let again: RestoreOutcome = done.try_commit(0, None).await.expect(OK).data();
    assert_eq!(again, outcome);
    let state: Value = open.state(&open.secret).await.expect(OK).data();
    assert_eq!(state["state"], "interrupted");
    open.try_preview().await.fails(GONE, "restore-gone");
    let audit = bench.audit("restore").await;
    assert_eq!(audit.iter().map(|entry| &entry["end"]).collect::<Vec<_>>(), ["interrupted", "done"]);
    assert_eq!(live(&bench, "tables").await, [""; 0]);
    assert_eq!(live(&bench, "articles").await, LINES);
}
