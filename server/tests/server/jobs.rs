//! Backups that the server makes by itself.

use crate::bench::{Answer, Bench, attachment_path, document_path};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use dikas_archive::api::{BackupJob, JobArchive, JobState, Ticket};
use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_archive::manifest::Manifest;
use dikas_archive::reader::BackupReader;
use dikas_server::auth::Role;
use dikas_server::{App, TokenRate};
use serde_json::{Value, json};
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const GONE: StatusCode = StatusCode::GONE;

#[tokio::test]
async fn a_job_makes_an_archive_that_is_kept_until_it_is_removed() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let job: BackupJob = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    let job = ended(&bench, &bench.admin, &job).await;
    assert_eq!((job.state, &job.error), (JobState::Finished, &None));
    let archive = job.archive.clone().unwrap();
    assert_eq!((job.progress.documents, job.progress.attachments), (archive.documents, 2));

    let path = format!("/backup/jobs/{}", job.id);
    let file = bench.get(&format!("{path}/file")).await.expect(StatusCode::OK);
    check(&bench, &file, &archive).await;
    let manifest: Manifest = bench.get(&format!("{path}/manifest")).await.expect(StatusCode::OK).data();
    assert_eq!(Some(&manifest), reader(&file).manifest().unwrap());

    let range = Request::get(format!("/api/v1{path}/file"))
        .header("authorization", format!("Bearer {}", bench.admin))
        .header("range", "bytes=4-9")
        .body(Body::empty());
    let part = bench.send(range.unwrap()).await.expect(StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, file.body[4..10]);

    assert_eq!(bench.get("/backup/jobs").await.data::<Vec<BackupJob>>(), [job]);
    bench.delete(&path).await.expect(StatusCode::OK);
    for call in [path.clone(), format!("{path}/file"), format!("{path}/manifest")] {
        bench.get(&call).await.fails(GONE, "job-gone");
    }
    assert_eq!(left(&bench), [""; 0]);
}

#[tokio::test]
async fn the_archive_is_what_the_snapshot_gives_elsewhere() {
    let bench = Bench::new().await;
    fill(&bench).await;
    // Two snapshots of a store at rest differ in their moment alone, and that stands in the manifest.
    let one = bench.post("/backup/create", "").await.expect(StatusCode::OK);
    let other = bench.post("/backup/create", "").await.expect(StatusCode::OK);
    let (first, second) = (manifest(&one), manifest(&other));
    assert_eq!(Manifest { created: second.created.clone(), ..first.clone() }, second);
    let sound = |answer: &Answer, manifest: &Manifest| {
        let mut reader = reader(answer);
        let mut entries = Vec::new();
        for part in manifest.collections.iter().flat_map(|collection| &collection.parts) {
            entries.push((part.name.clone(), part.sha256));
        }
        for attachment in &manifest.attachments {
            let mut bytes = Vec::new();
            reader.attachment(&attachment.path).unwrap().read_to_end(&mut bytes).unwrap();
            entries.push((attachment.path.clone(), Sha256::of(&bytes)));
        }
        entries
    };
    assert_eq!(sound(&one, &first), sound(&other, &second));
    if first.created == second.created {
        assert!(one.body == other.body, "the same snapshot, the same bytes");
    }
    let some = bench.post("/backup/create", r#"{"categories":["customers"]}"#).await;
    let names: Vec<String> =
        manifest(&some).collections.iter().map(|collection| collection.name.to_string()).collect();
    assert_eq!(names, ["customer-transactions", "customers"]);
}

#[tokio::test]
async fn one_runs_at_a_time_and_a_cancelled_one_leaves_nothing() {
    let bench = Bench::new().await;
    many(&bench).await;
    let token = bench.backup_token().await;
    let key = "0123456789abcdef".repeat(2);
    let again = format!("/backup/jobs?key={key}");
    let job: BackupJob = bench.post(&again, "").await.expect(StatusCode::ACCEPTED).data();
    let other = bench.user("other", Role::Admin).await;
    for caller in [&bench.admin, &other] {
        create(&bench, caller).await.fails(StatusCode::CONFLICT, "job-running");
    }
    let same: BackupJob = bench.post(&again, "").await.expect(StatusCode::ACCEPTED).data();
    assert_eq!(same.id, job.id, "a request that was sent again finds its job");
    assert_eq!(same.state, JobState::Running, "too few documents to see it run");
    let file = format!("/backup/jobs/{}/file", job.id);
    bench.get(&file).await.fails(StatusCode::CONFLICT, "job-unfinished");

    let path = format!("/backup/jobs/{}", job.id);
    bench.delete(&path).await.expect(StatusCode::OK);
    bench.get(&path).await.fails(GONE, "job-gone");
    assert_eq!(left(&bench), [""; 0]);
    // Its place is free, and so is that of its snapshot.
    let next: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    bench
        .call(Method::DELETE, &format!("/backup/jobs/{}", next.id), Some(&token), "")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn tokens_have_a_place_of_their_own_and_take_that_of_nobody_else() {
    let bench = Bench::new().await;
    many(&bench).await;
    let (token, another) = (bench.backup_token().await, bench.backup_token().await);
    let theirs: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    for caller in [&token, &another] {
        create(&bench, caller).await.fails(StatusCode::CONFLICT, "job-running");
    }
    let own: BackupJob = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    let (theirs, own) = (ended(&bench, &token, &theirs).await, ended(&bench, &bench.admin, &own).await);
    assert_eq!((theirs.error, own.error), (None, None));
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_when_it_may_and_others_are_not_held_up() {
    let every = Duration::from_secs(3600);
    let bench = Bench::with(|config| config.token_rate = TokenRate { burst: 3, every }).await;
    let (token, another) = (bench.backup_token().await, bench.backup_token().await);
    let open = async |caller: &str| bench.call(Method::POST, "/backup/snapshots", Some(caller), "").await;
    open(&token).await.expect(StatusCode::CREATED);
    let job: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    ended(&bench, &token, &job).await;
    bench.call(Method::POST, "/backup/create", Some(&token), "").await.expect(StatusCode::OK);
    for path in ["/backup/snapshots", "/backup/jobs", "/backup/create"] {
        let refused = bench.call(Method::POST, path, Some(&token), "").await;
        let refused = refused.fails(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{seconds}");
    }
    open(&another).await.expect(StatusCode::CREATED);
    for _ in 0..10 {
        open(&bench.admin).await.expect(StatusCode::CREATED);
    }
}

#[tokio::test]
async fn whoever_hangs_up_ends_the_backup() {
    let bench = Bench::new().await;
    many(&bench).await;
    let request = bench.post("/backup/create", "");
    assert!(tokio::time::timeout(Duration::from_millis(300), request).await.is_err(), "it was too fast");
    for _ in 0..600 {
        if left(&bench).is_empty() && bench.get("/backup/jobs").await.data::<Vec<BackupJob>>().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it goes on: {:?}", left(&bench));
}

#[tokio::test]
async fn nobody_touches_a_job_of_somebody_else_and_each_keeps_two_archives() {
    let bench = Bench::new().await;
    let other = bench.user("other", Role::Admin).await;
    let (token, another) = (bench.backup_token().await, bench.backup_token().await);
    let job: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    ended(&bench, &token, &job).await;
    let path = format!("/backup/jobs/{}", job.id);
    for stranger in [&bench.admin, &other, &another] {
        for (method, rest) in [(Method::GET, ""), (Method::GET, "/file"), (Method::DELETE, "")] {
            let answer = bench.call(method, &format!("{path}{rest}"), Some(stranger), "").await;
            answer.fails(GONE, "job-gone");
        }
        let list = bench.call(Method::GET, "/backup/jobs", Some(stranger), "").await;
        assert_eq!(list.data::<Vec<BackupJob>>(), []);
    }
    // The next one of somebody else leaves it alone, and so does the next one of its own; the one after that takes its place.
    let theirs: BackupJob = create(&bench, &other).await.expect(StatusCode::ACCEPTED).data();
    ended(&bench, &other, &theirs).await;
    bench.call(Method::GET, &path, Some(&token), "").await.expect(StatusCode::OK);
    // Which is the newer one, seconds tell.
    let second = || tokio::time::sleep(Duration::from_millis(1_100));
    second().await;
    let next: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    ended(&bench, &token, &next).await;
    bench.call(Method::GET, &format!("{path}/file"), Some(&token), "").await.expect(StatusCode::OK);
    assert_eq!(left(&bench).len(), 6, "three archives with their records: {:?}", left(&bench));
    second().await;
    let last: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    bench.call(Method::GET, &path, Some(&token), "").await.fails(GONE, "job-gone");
    ended(&bench, &token, &last).await;
    bench
        .call(Method::GET, &format!("/backup/jobs/{}/file", next.id), Some(&token), "")
        .await
        .expect(StatusCode::OK);
    assert_eq!(left(&bench).len(), 6, "three archives with their records: {:?}", left(&bench));
}

#[tokio::test]
async fn a_ticket_opens_one_file_for_one_user() {
    let bench = Bench::new().await;
    let mut files = Vec::new();
    for owner in [bench.admin.clone(), bench.user("other", Role::Admin).await] {
        let job: BackupJob = create(&bench, &owner).await.expect(StatusCode::ACCEPTED).data();
        ended(&bench, &owner, &job).await;
        files.push((owner, format!("/backup/jobs/{}", job.id)));
    }
    let (owner, path) = &files[1];
    let ticket = bench.call(Method::POST, &format!("{path}/ticket"), Some(owner), "").await;
    let Ticket { ticket, expires_in } = ticket.expect(StatusCode::CREATED).data();
    assert_eq!(expires_in, 600);
    let with = |path: &str, rest: &str| format!("{path}{rest}?ticket={ticket}");
    let file = bench.call(Method::GET, &with(path, "/file"), None, "").await.expect(StatusCode::OK);
    assert!(reader(&file).manifest().unwrap().is_some());
    bench.call(Method::HEAD, &with(path, "/file"), None, "").await.expect(StatusCode::OK);

    let refused = StatusCode::UNAUTHORIZED;
    for wrong in
        [with(&files[0].1, "/file"), with(path, "/manifest"), with(path, ""), "/backup/jobs".to_owned()]
    {
        bench.call(Method::GET, &wrong, None, "").await.fails(refused, "unauthorized");
        bench.call(Method::GET, &wrong, Some(&ticket), "").await.fails(refused, "unauthorized");
    }
    bench.call(Method::DELETE, &with(path, ""), None, "").await.fails(refused, "unauthorized");
    let login = format!("{path}/file?ticket={owner}");
    bench.call(Method::GET, &login, None, "").await.fails(refused, "unauthorized");
    let stranger = bench.post(&format!("{path}/ticket"), "").await;
    stranger.fails(GONE, "job-gone");

    // It ends with the user.
    bench.delete(&document_path("users", "usr_other")).await.expect(StatusCode::OK);
    bench.call(Method::GET, &with(path, "/file"), None, "").await.fails(refused, "unauthorized");
}

#[tokio::test]
async fn a_full_disk_is_said_before_anything_is_written() {
    let bench = Bench::with(|config| config.jobs.spare_bytes = u64::MAX / 2).await;
    for path in ["/backup/create", "/backup/jobs"] {
        let full = bench.post(path, "").await.fails(StatusCode::INSUFFICIENT_STORAGE, "no-space");
        let text = String::from_utf8_lossy(&full.body).into_owned();
        assert!(text.contains("bytes are needed") && text.contains("are free"), "{text}");
    }
    assert_eq!(left(&bench), [""; 0]);
    assert_eq!(bench.get("/backup/jobs").await.data::<Vec<BackupJob>>(), []);
}

#[tokio::test]
async fn an_archive_lives_its_day_and_no_longer() {
    let bench = Bench::with(|config| config.jobs.life = Duration::from_secs(3)).await;
    let job: BackupJob = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    ended(&bench, &bench.admin, &job).await;
    let path = format!("/backup/jobs/{}", job.id);
    bench.get(&path).await.expect(StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(4100)).await;
    bench.get(&path).await.fails(GONE, "job-gone");
    assert_eq!(left(&bench), [""; 0]);
}

#[tokio::test]
async fn what_a_killed_server_left_goes_and_what_was_finished_stays() {
    let bench = Bench::new().await;
    let job: BackupJob = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    let job = ended(&bench, &bench.admin, &job).await;
    let data = bench.folder.path().join("data");
    let folder = data.join("jobs");
    let copied = bench.folder.path().join("copied");
    std::fs::create_dir_all(copied.join("jobs")).unwrap();
    copy(&data, &copied);
    copy(&folder, &copied.join("jobs"));
    let jobs = copied.join("jobs");
    let [half, unrecorded, cut, other, unreadable] = ["1", "2", "3", "4", "5"].map(|digit| digit.repeat(32));
    std::fs::write(jobs.join(format!("{half}.part")), "half").unwrap();
    std::fs::write(jobs.join(format!("{unrecorded}.zip")), "whole, but nobody's").unwrap();
    std::fs::write(jobs.join(".tmpAbCdEf"), "a record that was being written").unwrap();
    let record = std::fs::read_to_string(jobs.join(format!("{}.json", job.id))).unwrap();
    std::fs::write(jobs.join(format!("{cut}.json")), record.replace(&job.id, &cut)).unwrap();
    std::fs::write(jobs.join(format!("{cut}.zip")), "cut").unwrap();
    // A folder in the place of a record stands for one that the disk cannot read just now: what belongs to it stays.
    std::fs::create_dir(jobs.join(format!("{unreadable}.json"))).unwrap();
    std::fs::write(jobs.join(format!("{unreadable}.zip")), "of it").unwrap();
    // What no job made, and what another version may be able to read.
    std::fs::create_dir(jobs.join("a folder")).unwrap();
    std::fs::write(jobs.join("dikas_20261125_040000.zip"), "somebody's").unwrap();
    std::fs::write(jobs.join(format!("{other}.json")), "{\"version\":9}").unwrap();
    std::fs::write(jobs.join(format!("{other}.zip")), "of another version").unwrap();

    let app = App::open(&dikas_server::Config::new(&copied)).unwrap();
    let mut found: Vec<String> = names(&jobs);
    found.sort();
    let mut expected = ["a folder".to_owned(), "dikas_20261125_040000.zip".to_owned()].to_vec();
    let kept = [&job.id, &other, &unreadable];
    expected.extend(kept.iter().flat_map(|id| [format!("{id}.json"), format!("{id}.zip")]));
    expected.sort();
    assert_eq!(found, expected);
    let router = dikas_server::app(Arc::new(app));
    let again = Bench { router, ..bench };
    let kept: BackupJob = again.get(&format!("/backup/jobs/{}", job.id)).await.expect(StatusCode::OK).data();
    assert_eq!(kept.archive, job.archive);
    let file = again.get(&format!("/backup/jobs/{}/file", job.id)).await.expect(StatusCode::OK);
    assert_eq!(Sha256::of(&file.body), job.archive.unwrap().sha256);
}

#[tokio::test]
async fn a_clock_that_is_wrong_at_a_start_ends_no_archive() {
    let bench = Bench::new().await;
    let job = finished(&bench).await;
    let folder = bench.folder.path().join("data/jobs");
    let record = folder.join(format!("{}.json", job.id));
    let mut past: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    past["until"] = json!(1_000_000_000);
    std::fs::write(&record, past.to_string()).unwrap();
    let bench = bench.restarted().await;
    bench.app.clean().unwrap();
    assert_eq!(names(&folder).len(), 2);
}

#[tokio::test]
async fn a_job_that_cannot_be_done_says_why() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let blobs = bench.folder.path().join("data/blobs");
    for folder in std::fs::read_dir(blobs).unwrap().flatten() {
        std::fs::remove_dir_all(folder.path()).unwrap();
    }
    let job: BackupJob = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    let job = ended(&bench, &bench.admin, &job).await;
    assert_eq!((job.state, &job.archive), (JobState::Failed, &None));
    let error = job.error.unwrap();
    assert_eq!(error.kind, ErrorKind::DamagedDocument);
    assert!(error.subject.unwrap().contains("articles/art_1/"));
    assert_eq!(left(&bench), [""; 0]);
    bench.post("/backup/create", "").await.fails_with_data(StatusCode::CONFLICT, "damaged-document");
}

pub(crate) async fn create(bench: &Bench, caller: &str) -> Answer {
    bench.call(Method::POST, "/backup/jobs", Some(caller), "").await
}

pub(crate) async fn ended(bench: &Bench, caller: &str, job: &BackupJob) -> BackupJob {
    for _ in 0..2400 {
        let path = format!("/backup/jobs/{}", job.id);
        let job: BackupJob =
            bench.call(Method::GET, &path, Some(caller), "").await.expect(StatusCode::OK).data();
        if job.state != JobState::Running {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not end");
}

/// Whether the archive holds what a snapshot of this store serves.
async fn check(bench: &Bench, file: &Answer, archive: &JobArchive) {
    assert_eq!(file.body.len() as u64, archive.size);
    assert_eq!(Sha256::of(&file.body), archive.sha256);
    let snapshot = bench.snapshot().await;
    let mut reader = reader(file);
    let manifest = reader.manifest().unwrap().unwrap().clone();
    for collection in &manifest.collections {
        let mut lines = Vec::new();
        for part in &collection.parts {
            let mut part = reader.lines(&part.name).unwrap();
            while let Some(line) = part.next_line().unwrap() {
                lines.extend_from_slice(line);
                lines.push(b'\n');
            }
        }
        let name = collection.name.as_str();
        assert!(lines == bench.lines(&snapshot, name).await, "{name}");
    }
    let names: Vec<_> = snapshot.collections.iter().map(|collection| &collection.name).collect();
    assert_eq!(manifest.collections.iter().map(|collection| &collection.name).collect::<Vec<_>>(), names);
    assert_eq!(manifest.attachments.len(), 2);
    assert!(manifest.source.position == snapshot.source.position);
}

pub(crate) fn reader(answer: &Answer) -> BackupReader<Cursor<Vec<u8>>> {
    BackupReader::open(Cursor::new(answer.body.to_vec())).unwrap()
}

pub(crate) fn manifest(answer: &Answer) -> Manifest {
    reader(answer).manifest().unwrap().unwrap().clone()
}

/// A backup that the server has made by itself for the admin.
pub(crate) async fn finished(bench: &Bench) -> BackupJob {
    let job: BackupJob = create(bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    ended(bench, &bench.admin, &job).await
}

/// What lies in the folder of the jobs.
pub(crate) fn left(bench: &Bench) -> Vec<String> {
    names(&bench.folder.path().join("data/jobs"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    for name in names(from) {
        if from.join(&name).is_file() && name != "lock" {
            std::fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

pub(crate) async fn fill(bench: &Bench) {
    for (collection, id, name) in [("articles", "art_1", "ä.txt"), ("customers", "cust_/1", "b")] {
        let body = json!({ "_id": id, "n": 1.50 }).to_string();
        bench.put(&document_path(collection, id), body).await.expect(StatusCode::CREATED);
        let bytes = name.repeat(1000);
        bench.put(&attachment_path(collection, id, name), bytes).await.expect(StatusCode::CREATED);
    }
}

/// So many documents that a backup of them takes some seconds.
pub(crate) async fn many(bench: &Bench) {
    let mut dice = 1u64;
    for batch in 0..12 {
        let mut lines = String::new();
        for number in 0..20_000 {
            dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            lines += &format!(
                "{{\"_id\":\"art_{batch}_{number}\",\"filling\":\"{dice:x}{:x}\"}}\n",
                dice ^ number
            );
        }
        bench.post("/documents/articles", lines).await.expect(StatusCode::OK).data::<Value>();
    }
}
