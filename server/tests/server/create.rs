//! `POST /backup/create` and the jobs beneath it, as scripts see them.

use crate::bench::{Answer, Bench};
use crate::jobs::{create, ended, fill, left, manifest, many};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dikas_archive::api::{BackupJob, JobState, NDJSON, Snapshot};
use dikas_archive::digest::Sha256;
use dikas_archive::error::ErrorKind;
use dikas_server::auth::Role;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, Instant};
use tower::ServiceExt as _;

const CREATE: &str = "/backup/create";

#[tokio::test]
async fn all_that_a_script_needs_is_said_before_the_first_byte_and_stays_true() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let token = bench.backup_token().await;
    let made = bench.call(Method::POST, CREATE, Some(&token), "").await.expect(StatusCode::OK);
    let digest = Sha256::of(&made.body);
    assert_eq!(made.header("content-type"), "application/zip");
    assert_eq!(made.header("content-length"), made.body.len().to_string());
    assert_eq!(made.header("etag"), format!("\"{digest}\""));
    assert_eq!(made.header("repr-digest"), format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes())));
    let name = made.header("content-disposition");
    let stamp = name.strip_prefix("attachment; filename=\"dikas_").unwrap().strip_suffix(".zip\"").unwrap();
    let form: String = stamp.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(form, "99999999_999999", "{name}");

    // It stays where the answer says, for its owner alone, and a download goes on there.
    let place = format!("/api/v1/backup/{}", made.header("content-location"));
    let from = |token: &str, headers: &[(&str, &str)]| {
        let mut request = Request::get(&place).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    };
    bench.send(from(&bench.admin, &[])).await.fails(StatusCode::GONE, "job-gone");
    let half = made.body.len() / 2;
    let range = format!("bytes={half}-");
    let tag = made.header("etag");
    let rest = bench.send(from(&token, &[("range", &range), ("if-range", tag)])).await;
    let rest = rest.expect(StatusCode::PARTIAL_CONTENT);
    assert_eq!(rest.body, made.body[half..]);
    for header in ["etag", "repr-digest", "content-disposition"] {
        assert_eq!(rest.header(header), made.header(header));
    }
    let other = bench.send(from(&token, &[("range", &range), ("if-range", "\"another\"")])).await;
    assert_eq!(other.expect(StatusCode::OK).body, made.body, "of another archive a part is worth nothing");
    let head = from(&token, &[]).map(|_| Body::empty());
    let (mut parts, body) = head.into_parts();
    parts.method = Method::HEAD;
    let head = bench.send(Request::from_parts(parts, body)).await.expect(StatusCode::OK);
    assert_eq!(head.header("content-length"), made.body.len().to_string());
    assert_eq!(left(&bench).len(), 2, "the archive and its record: {:?}", left(&bench));

    let job: Vec<BackupJob> = bench.call(Method::GET, "/backup/jobs", Some(&token), "").await.data();
    assert_eq!(place, format!("/api/v1/backup/jobs/{}/file", job[0].id));
    assert_eq!((job[0].state, job[0].archive.as_ref().unwrap().sha256), (JobState::Finished, digest));
}

#[tokio::test]
async fn what_shall_be_backed_up_is_said_in_one_way() {
    let bench = Bench::new().await;
    for path in [CREATE, "/backup/jobs"] {
        for (wrong, field) in [
            (r#"{"categories":[]}"#, Some("categories")),
            (r#"{"categories":["articles"],"snapshot":"a"}"#, Some("categories")),
            (r#"{"snapshots":"a"}"#, None),
            (r#"{"categories":["cakes"]}"#, None),
            ("x", None),
        ] {
            let answer = bench.post(path, wrong).await.fails(StatusCode::BAD_REQUEST, "bad-request");
            let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(envelope["errors"][0]["field"].as_str(), field, "{wrong}");
        }
    }
    bench.post("/backup/jobs?key=x", "").await.fails(StatusCode::BAD_REQUEST, "bad-request");
    let begun = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED);
    let job: BackupJob = begun.data();
    assert_eq!(begun.header("location"), format!("jobs/{}", job.id));
    ended(&bench, &bench.admin, &job).await;
}

#[tokio::test]
async fn an_open_snapshot_gives_the_same_bytes_again_and_stays_open() {
    let bench = Bench::new().await;
    fill(&bench).await;
    let some = r#"{"categories":["customers"]}"#;
    let snapshot: Snapshot = bench.post("/backup/snapshots", some).await.data();
    let of = format!(r#"{{"snapshot":"{}"}}"#, snapshot.id);
    let first = bench.post(CREATE, of.clone()).await.expect(StatusCode::OK);
    fill_more(&bench).await;
    let job: BackupJob = bench.post("/backup/jobs", of.clone()).await.expect(StatusCode::ACCEPTED).data();
    ended(&bench, &bench.admin, &job).await;
    let second = bench.get(&format!("/backup/jobs/{}/file", job.id)).await.expect(StatusCode::OK);
    assert!(first.body == second.body);
    let manifest = manifest(&first);
    assert_eq!((&manifest.created, &manifest.source), (&snapshot.created, &snapshot.source));
    let names: Vec<_> = snapshot.collections.iter().map(|collection| &collection.name).collect();
    assert_eq!(manifest.collections.iter().map(|collection| &collection.name).collect::<Vec<_>>(), names);

    // It is its owner's to use and to close.
    let other = bench.user("other", Role::Admin).await;
    for stranger in [&other, &bench.backup_token().await] {
        let answer = bench.call(Method::POST, CREATE, Some(stranger), of.clone()).await;
        answer.fails(StatusCode::GONE, "snapshot-gone");
    }
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(StatusCode::OK);
    for path in [CREATE, "/backup/jobs"] {
        bench.post(path, of.clone()).await.fails(StatusCode::GONE, "snapshot-gone");
    }
    bench.post(CREATE, r#"{"snapshot":"../x"}"#).await.fails(StatusCode::GONE, "snapshot-gone");
}

#[tokio::test]
async fn a_snapshot_that_goes_meanwhile_ends_its_backup_and_is_not_replaced() {
    let bench = Bench::new().await;
    many(&bench).await;
    let snapshot = bench.snapshot().await;
    let of = format!(r#"{{"snapshot":"{}"}}"#, snapshot.id);
    let job: BackupJob = bench.post("/backup/jobs", of.clone()).await.expect(StatusCode::ACCEPTED).data();
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(StatusCode::OK);
    let job = ended(&bench, &bench.admin, &job).await;
    assert_eq!((job.state, job.error.unwrap().kind), (JobState::Failed, ErrorKind::SnapshotGone));
    assert_eq!(left(&bench), [""; 0]);

    let snapshot = bench.snapshot().await;
    let of = format!(r#"{{"snapshot":"{}"}}"#, snapshot.id);
    let close = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(StatusCode::OK);
    };
    let (answer, ()) = tokio::join!(bench.post(CREATE, of), close);
    answer.fails(StatusCode::GONE, "snapshot-gone");
    assert_eq!(left(&bench), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_told_line_by_line_until_it_has_ended() {
    let bench = Bench::new().await;
    many(&bench).await;
    let token = bench.backup_token().await;
    let job: BackupJob = create(&bench, &token).await.expect(StatusCode::ACCEPTED).data();
    let begun = Instant::now();
    let lines = told(&bench, &token, &job.id).await;
    let [.., last] = lines.as_slice() else { panic!("no line") };
    assert_eq!((last.state, last.id.as_str()), (JobState::Finished, job.id.as_str()));
    assert!(last.archive.is_some());
    let most = begun.elapsed().as_millis() / 100 + 2;
    assert!((3..=most).contains(&(lines.len() as u128)), "{} lines, at most {most}", lines.len());
    assert!(lines[..lines.len() - 1].iter().all(|line| line.state == JobState::Running));
    assert!(lines.is_sorted_by(|one, next| one.progress.documents <= next.progress.documents));
    assert_eq!(
        told(&bench, &token, &job.id).await,
        std::slice::from_ref(last),
        "one that has ended is told once"
    );

    // Without asking for lines, and to strangers.
    bench.call(Method::GET, &format!("/backup/jobs/{}", job.id), Some(&token), "").await.data::<BackupJob>();
    let stranger = stream(&bench, &bench.admin, &job.id).await;
    assert_eq!(stranger.status(), StatusCode::GONE);

    // One that somebody removes says so.
    let job: BackupJob = create(&bench, &bench.admin).await.expect(StatusCode::ACCEPTED).data();
    let remove = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.delete(&format!("/backup/jobs/{}", job.id)).await.expect(StatusCode::OK);
    };
    let (lines, ()) = tokio::join!(told(&bench, &bench.admin, &job.id), remove);
    let last = lines.last().unwrap();
    assert_eq!((last.state, last.error.as_ref().unwrap().kind), (JobState::Failed, ErrorKind::JobGone));
}

#[tokio::test]
async fn who_may_not_is_told_so_and_begins_nothing() {
    let bench = Bench::new().await;
    let till = bench.user("till", Role::Till).await;
    let revoked = bench.backup_token().await;
    let tokens: Value = bench.get("/auth/tokens").await.data();
    let id = tokens[0]["id"].as_str().unwrap();
    bench.delete(&format!("/auth/tokens?id={id}")).await.expect(StatusCode::OK);
    for path in [CREATE, "/backup/jobs"] {
        for (token, status, code) in [
            (None, StatusCode::UNAUTHORIZED, "unauthorized"),
            (Some("dikas-wrong"), StatusCode::UNAUTHORIZED, "unauthorized"),
            (Some(revoked.as_str()), StatusCode::UNAUTHORIZED, "unauthorized"),
            (Some(till.as_str()), StatusCode::FORBIDDEN, "forbidden"),
        ] {
            bench.call(Method::POST, path, token, "").await.fails(status, code);
        }
    }
    assert_eq!(left(&bench), [""; 0]);
}

/// All lines that are told of a job, until the body ends.
async fn told(bench: &Bench, token: &str, id: &str) -> Vec<BackupJob> {
    let answer = stream(bench, token, id).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], NDJSON);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    told_lines(&body)
}

/// A body of JSON lines.
pub(crate) fn told_lines<T: DeserializeOwned>(body: &[u8]) -> Vec<T> {
    assert!(body.ends_with(b"\n"));
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

async fn stream(bench: &Bench, token: &str, id: &str) -> axum::response::Response {
    let request = Request::get(format!("/api/v1/backup/jobs/{id}"))
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "text/plain, Application/X-NDJSON;q=0.9")
        .body(Body::empty());
    bench.router.clone().oneshot(request.unwrap()).await.unwrap()
}

async fn fill_more(bench: &Bench) {
    let path = crate::bench::document_path("customers", "cust_later");
    let put: Answer = bench.put(&path, r#"{"_id":"cust_later"}"#).await;
    put.expect(StatusCode::CREATED);
}
