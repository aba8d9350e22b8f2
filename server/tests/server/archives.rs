//! The archives in the backup folder.

use crate::bench::{Answer, Bench, document_path};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use dikas_archive::api::Ticket;
use dikas_archive::api::archives::{ArchiveCheck, CheckEvent, KeptFor, ScheduleState, StoredArchive};
use dikas_archive::digest::Sha256;
use dikas_server::schedule::config::Backup;
use dikas_server::schedule::when::When;
use http_body_util::BodyExt;
use jiff::tz::TimeZone;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tower::ServiceExt;

const GONE: StatusCode = StatusCode::GONE;

#[tokio::test]
async fn without_a_configuration_there_is_neither_an_archive_nor_a_schedule() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/backup/archives").await.expect(StatusCode::OK).data::<Vec<StoredArchive>>(), []);
    let state: ScheduleState = bench.get("/backup/schedule").await.expect(StatusCode::OK).data();
    let nothing = ScheduleState {
        schedule: None,
        running: None,
        next: None,
        last_attempt: None,
        last_success: None,
        free_bytes: None,
    };
    assert_eq!(state, nothing);
    bench.post("/backup/schedule/run", "").await.fails(StatusCode::CONFLICT, "no-schedule");
}

#[tokio::test]
async fn an_archive_is_listed_sent_in_ranges_and_removed() {
    let (bench, folder) = bench().await;
    let made = made(&bench).await;
    let path = folder.join(&made.name);
    assert!(made.name.starts_with("dikas_20") && made.name.ends_with(".zip"), "{}", made.name);
    assert_eq!(made.size, path.metadata().unwrap().len());
    assert_eq!(made.sha256, Some(Sha256::of(&fs::read(&path).unwrap())));
    assert_eq!((made.documents, made.attachments), (Some(2), Some(0)), "the user, and an article");
    assert_eq!(made.business.as_deref(), Some("DiKAS"));
    assert!(matches!(made.check, ArchiveCheck::Sound { .. }), "{:?}", made.check);
    assert_eq!(made.kept_for, [KeptFor::Newest, KeptFor::Day, KeptFor::Week, KeptFor::Month]);

    let file = format!("/backup/archives/{}/file", made.id);
    let whole = bench.get(&file).await.expect(StatusCode::OK);
    assert_eq!(whole.body, fs::read(&path).unwrap());
    assert!(whole.headers.contains_key("repr-digest"));
    assert_eq!(whole.header("content-disposition"), format!("attachment; filename=\"{}\"", made.name));
    let range = Request::get(format!("/api/v1{file}"))
        .header("authorization", format!("Bearer {}", bench.admin))
        .header("range", "bytes=4-9")
        .header("if-range", whole.header("etag"));
    let part = bench.send(range.body(Body::empty()).unwrap()).await.expect(StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, whole.body[4..10]);
    let head = bench.call(Method::HEAD, &file, Some(&bench.admin), "").await.expect(StatusCode::OK);
    assert_eq!(head.header("content-length"), made.size.to_string());

    let ticket = bench.post(&format!("/backup/archives/{}/ticket", made.id), "").await;
    let Ticket { ticket, expires_in } = ticket.expect(StatusCode::CREATED).data();
    assert_eq!(expires_in, 600);
    let sent = bench.call(Method::GET, &format!("{file}?ticket={ticket}"), None, "").await;
    assert_eq!(sent.expect(StatusCode::OK).body, whole.body);
    let other = format!("/backup/archives/{}/file?ticket={ticket}", "0".repeat(32));
    bench.call(Method::GET, &other, None, "").await.fails(StatusCode::UNAUTHORIZED, "unauthorized");

    bench.delete(&format!("/backup/archives/{}", made.id)).await.expect(StatusCode::OK);
    assert_eq!(names(&folder), [""; 0]);
    bench.get(&file).await.fails(GONE, "archive-gone");
    bench.delete(&format!("/backup/archives/{}", made.id)).await.fails(GONE, "archive-gone");
}

#[tokio::test]
async fn what_was_put_there_by_hand_is_listed_by_what_its_manifest_tells() {
    let (bench, folder) = bench().await;
    let made = made(&bench).await;
    fs::copy(folder.join(&made.name), folder.join("von Hand (März).zip")).unwrap();
    fs::write(folder.join("broken.ZIP"), "no archive").unwrap();
    for ignored in [".hidden.zip", "notes.txt", "zip", ".zip"] {
        fs::write(folder.join(ignored), "not listed").unwrap();
    }
    fs::create_dir(folder.join("folder.zip")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.join(&made.name), folder.join("link.zip")).unwrap();

    let listed = list(&bench).await;
    let mut found: Vec<&str> = listed.iter().map(|archive| archive.name.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["broken.ZIP", &made.name, "von Hand (März).zip"]);
    let of = |name: &str| listed.iter().find(|archive| archive.name == name).unwrap().clone();
    let by_hand = of("von Hand (März).zip");
    assert_eq!((by_hand.documents, &by_hand.created), (made.documents, &made.created));
    assert_eq!((by_hand.sha256, &by_hand.check, by_hand.kept_for.len()), (None, &ArchiveCheck::Unchecked, 0));
    let broken = of("broken.ZIP");
    assert_eq!((broken.size, broken.documents, &broken.business), (10, None, &None));
    assert!(matches!(&broken.check, ArchiveCheck::Damaged { first, .. } if first.contains("not-an-archive")));

    let sent = bench.get(&format!("/backup/archives/{}/file", by_hand.id)).await.expect(StatusCode::OK);
    let disposition = "attachment; filename*=UTF-8''von%20Hand%20%28M%C3%A4rz%29%2Ezip";
    assert_eq!(sent.header("content-disposition"), disposition);
    let Some(CheckEvent::Done { archive }) = verify(&bench, &by_hand.id).await.pop() else { panic!() };
    assert!(matches!(archive.check, ArchiveCheck::Sound { .. }));
    let verified = bench.get(&format!("/backup/archives/{}/file", by_hand.id)).await.expect(StatusCode::OK);
    assert_eq!(verified.header("etag"), sent.header("etag"), "whoever reads it meanwhile goes on");
    assert_eq!(archive.sha256, made.sha256);
    assert_eq!(of_now(&bench, &by_hand.id).await, archive, "it is kept");
    // Another file of this name is another archive.
    fs::write(folder.join(&by_hand.name), "broken too").unwrap();
    assert!(matches!(of_now(&bench, &by_hand.id).await.check, ArchiveCheck::Damaged { .. }));
    let Some(CheckEvent::Done { archive }) = verify(&bench, &broken.id).await.pop() else { panic!() };
    assert!(matches!(archive.check, ArchiveCheck::Damaged { problems: 1, .. }));
}

#[tokio::test]
async fn damage_is_found_by_a_verification_and_a_wrong_size_without_one() {
    let (bench, folder) = bench().await;
    let made = made(&bench).await;
    let path = folder.join(&made.name);
    let bytes = fs::read(&path).unwrap();
    let file = format!("/backup/archives/{}/file", made.id);
    let before = bench.get(&file).await;
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    fs::write(&path, &damaged).unwrap();
    assert_eq!(of_now(&bench, &made.id).await.check, ArchiveCheck::Unchecked, "it was changed since");
    let events = verify(&bench, &made.id).await;
    assert!(matches!(events[0], CheckEvent::Progress { total, .. } if total == 2 * made.size), "{events:?}");
    let Some(CheckEvent::Done { archive }) = events.last() else { panic!("{events:?}") };
    assert!(
        matches!(&archive.check, ArchiveCheck::Damaged { problems, .. } if *problems >= 2),
        "{archive:?}"
    );
    assert_eq!(archive.kept_for, [], "a damaged one stands for nothing");
    let damaged = bench.get(&file).await;
    assert_ne!(damaged.header("etag"), before.header("etag"));
    assert!(before.headers.contains_key("repr-digest") && !damaged.headers.contains_key("repr-digest"));

    fs::write(&path, &bytes).unwrap();
    let Some(CheckEvent::Done { archive }) = verify(&bench, &made.id).await.pop() else { panic!() };
    assert!(matches!(archive.check, ArchiveCheck::Sound { .. }));
    assert_eq!(archive.kept_for.len(), 4);

    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let cut = of_now(&bench, &made.id).await;
    assert!(matches!(&cut.check, ArchiveCheck::Damaged { first, .. } if first.contains("was changed")));
    assert_eq!(cut.kept_for, []);
}

#[tokio::test]
async fn an_archive_that_is_verified_stays_until_that_has_ended_or_its_caller_has_gone() {
    let (bench, folder) = bench().await;
    // So many that it takes a while to read them all.
    for batch in 0..6 {
        let lines: String =
            (0..20_000).map(|number| format!("{{\"_id\":\"art_{batch}_{number}\"}}\n")).collect();
        bench.post("/documents/articles", lines).await.expect(StatusCode::OK);
    }
    let made = made(&bench).await;
    let path = format!("/backup/archives/{}", made.id);
    let verify = Request::post(format!("/api/v1{path}/verify"))
        .header("authorization", format!("Bearer {}", bench.admin))
        .body(Body::empty());
    let answer = bench.router.clone().oneshot(verify.unwrap()).await.unwrap();
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"{\"event\":\"progress\""));
    bench.delete(&path).await.fails(StatusCode::CONFLICT, "archive-in-use");
    bench.post(&format!("{path}/verify"), "").await.fails(StatusCode::CONFLICT, "archive-in-use");
    drop(body);
    for _ in 0..400 {
        if bench.delete(&path).await.status == StatusCode::OK {
            assert_eq!(names(&folder), [""; 0]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it goes on");
}

#[tokio::test]
async fn no_request_reaches_a_file_outside_of_the_folder() {
    let (bench, folder) = bench().await;
    made(&bench).await;
    fs::write(folder.parent().unwrap().join("secret.zip"), "secret").unwrap();
    for id in
        ["..", ".", "%2e%2e", "..%2Fsecret.zip", "..%5Csecret.zip", "secret.zip", "%00", "", "dikas_1.zip"]
    {
        for (method, rest) in [(Method::GET, "/file"), (Method::POST, "/verify"), (Method::DELETE, "")] {
            let path = format!("/backup/archives/{id}{rest}");
            let answer = bench.call(method.clone(), &path, Some(&bench.admin), "").await;
            let refused = [400, 404, 405, 410].contains(&answer.status.as_u16());
            assert!(refused, "{method} {path}: {}", answer.status);
        }
    }
    assert_eq!(list(&bench).await.len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said() {
    let (bench, folder) = bench().await;
    fs::remove_dir_all(&folder).unwrap();
    bench.get("/backup/archives").await.fails(StatusCode::CONFLICT, "no-folder");
    let state: ScheduleState = bench.get("/backup/schedule").await.expect(StatusCode::OK).data();
    assert_eq!(state.free_bytes, None);
}

/// A schedule of this folder, every night at four.
pub(crate) fn nightly(folder: &Path) -> Backup {
    Backup {
        without: Vec::new(),
        when: When::parse("0 4 * * *", TimeZone::get("Europe/Berlin").unwrap()).unwrap(),
        folder: folder.to_owned(),
        keep: Default::default(),
        verify: true,
        hook: Vec::new(),
    }
}

/// A shop with a backup folder.
async fn bench() -> (Bench, PathBuf) {
    let mut folder = PathBuf::new();
    let bench = Bench::with(|config| {
        folder = config.data.with_file_name("backups");
        fs::create_dir(&folder).unwrap();
        config.backup = Some(nightly(&folder));
    });
    let bench = bench.await;
    bench.put(&document_path("articles", "art_1"), r#"{"_id":"art_1"}"#).await.expect(StatusCode::CREATED);
    (bench, folder)
}

/// The archive of a run that somebody has asked for.
async fn made(bench: &Bench) -> StoredArchive {
    let state: ScheduleState =
        bench.post("/backup/schedule/run", "").await.expect(StatusCode::ACCEPTED).data();
    assert!(state.running.is_some() || state.last_attempt.is_some());
    for _ in 0..2400 {
        let state: ScheduleState = bench.get("/backup/schedule").await.expect(StatusCode::OK).data();
        if let Some(attempt) = state.last_attempt.filter(|_| state.running.is_none()) {
            assert_eq!(attempt.error, None);
            let archives = list(bench).await;
            return archives.into_iter().find(|it| Some(&it.name) == attempt.archive.as_ref()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not end");
}

async fn list(bench: &Bench) -> Vec<StoredArchive> {
    bench.get("/backup/archives").await.expect(StatusCode::OK).data()
}

async fn of_now(bench: &Bench, id: &str) -> StoredArchive {
    list(bench).await.into_iter().find(|archive| archive.id == id).unwrap()
}

async fn verify(bench: &Bench, id: &str) -> Vec<CheckEvent> {
    let path = format!("/backup/archives/{id}/verify");
    let answer: Answer = bench.post(&path, "").await.expect(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = answer.body.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
