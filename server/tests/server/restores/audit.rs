//! The record of who did what.

use super::*;
use axum::extract::ConnectInfo;
use axum::http::Request;
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry, AuditPage};
use dikas_server::auth::{Role, user_document};
use std::net::SocketAddr;

#[tokio::test]
async fn the_audit_tells_who_backed_up_and_restored_what() {
    let bench = Bench::new().await;
    let token = bench.backup_token().await;
    let archive = bench.call(Method::POST, "/backup/create", Some(&token), "").await.expect(OK);
    let snapshot = bench.snapshot().await;
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(OK);
    let backup = Backup::of(&[("articles", &[r#"{"_id":"a"}"#])]);
    let mut request = backup.request(RestoreMode::Update);
    request.archive.sha256 = Some(Sha256::of(b"the file"));
    let session = Session::begin(&bench, &request).await;
    session.stage(&backup).await;
    session.commit().await;
    let points: Value = bench.get("/backup/restore-points").await.expect(OK).data();
    let path = format!("/backup/restore-points/{}", points[0]["id"].as_str().unwrap());
    let preview: RestorePreview = bench.get(&format!("{path}/preview")).await.expect(OK).data();
    let body = format!(r#"{{"seq":{}}}"#, preview.seq);
    bench.post(&format!("{path}/activate"), body).await.expect(OK);

    let page: AuditPage = bench.get("/audit").await.expect(OK).data();
    let told: Vec<_> =
        page.entries.iter().map(|it| (it.number, it.who.as_str(), it.action, it.end)).collect();
    let expected = [
        (6, "admin", AuditAction::Undo, AuditEnd::Done),
        (5, "admin", AuditAction::Restore, AuditEnd::Done),
        (4, "admin", AuditAction::Snapshot, AuditEnd::Done),
        (3, "cron", AuditAction::Backup, AuditEnd::Done),
        (2, "admin", AuditAction::TokenCreate, AuditEnd::Done),
        (1, "admin", AuditAction::Login, AuditEnd::Done),
    ];
    assert_eq!(told, expected);
    let [_, restored, _, backed_up, ..] = &page.entries[..] else { panic!() };
    let sha256 = |entry: &AuditEntry| entry.archive.as_ref().unwrap().sha256.unwrap();
    assert_eq!(sha256(backed_up), Sha256::of(&archive.body));
    assert_eq!((sha256(restored), restored.mode), (Sha256::of(b"the file"), Some(RestoreMode::Update)));
    assert_eq!(restored.collections, ["articles".parse().unwrap()]);

    let first: AuditPage = bench.get("/audit?limit=3").await.expect(OK).data();
    assert_eq!((&first.entries[..], first.next), (&page.entries[..3], Some(4)));
    let second: AuditPage = bench.get("/audit?limit=3&before=4").await.expect(OK).data();
    assert_eq!((&second.entries[..], second.next), (&page.entries[3..], None));
}

#[tokio::test]
async fn the_audit_tells_of_logins_tokens_users_and_archives() {
    let bench = Bench::new().await;
    let from = SocketAddr::from(([192, 0, 2, 7], 4711));
    let log_in = async |name: &str, password: &str| {
        let body = serde_json::json!({"username": name, "password": password}).to_string();
        let request = Request::post("/api/v1/auth/login").header("content-type", "application/json");
        bench.send(request.extension(ConnectInfo(from)).body(Body::from(body)).unwrap()).await
    };
    for _ in 0..8 {
        log_in("admin", "guess").await;
    }
    log_in("stranger\n", "guess").await;
    let failed = bench.audit("login").await;
    let told =
        |entry: &Value| [&entry["who"], &entry["end"], &entry["address"], &entry["times"]].map(Value::clone);
    assert_eq!(
        told(&failed[0]),
        ["stranger\n", "failed", "192.0.2.7", "1"].map(|text| match text {
            "1" => serde_json::json!(1),
            text => serde_json::json!(text),
        })
    );
    assert_eq!(
        (&failed[1]["who"], &failed[1]["times"]),
        (&serde_json::json!("admin"), &serde_json::json!(8))
    );

    // Users, by whom, and what has changed of them.
    bench.user("boss", Role::Till).await;
    let path = "/documents/users?id=usr_boss";
    let mut user: Value = serde_json::from_slice(&bench.get(path).await.body).unwrap();
    user["role"] = "admin".into();
    bench.put(path, user.to_string()).await.expect(OK);
    bench.put(path, user.to_string()).await.expect(OK);
    user["isActive"] = false.into();
    bench.put(path, user.to_string()).await.expect(OK);
    let new = user_document("usr_boss", "boss", Role::Admin, "new").unwrap();
    bench.post("/documents/users", format!("{new}\n")).await.expect(OK);
    bench.delete(path).await.expect(OK);
    let mut changes = bench.audit("user-change").await;
    changes.reverse();
    let details: Vec<&str> = changes.iter().map(|entry| entry["detail"].as_str().unwrap()).collect();
    let expected = [
        "role: \"till\" -> \"admin\"",
        "isActive: none -> false",
        "isActive: false -> none; another password",
    ];
    assert_eq!(details, expected);
    for action in ["user-create", "user-change", "user-delete"] {
        let entry = &bench.audit(action).await[0];
        assert_eq!(
            (entry["who"].as_str(), entry["subject"].as_str()),
            (Some("admin"), Some("boss (usr_boss)"))
        );
    }
    let page = bench.get("/audit").await;
    assert!(!String::from_utf8_lossy(&page.body).contains("argon2"), "no hash of a password is told");

    // Tokens, archives, and the end of a login.
    bench.backup_token().await;
    let id = bench.get("/auth/tokens").await.data::<Value>()[0]["id"].as_str().unwrap().to_owned();
    bench.delete(&format!("/auth/tokens?id={id}")).await.expect(OK);
    for action in ["token-create", "token-revoke"] {
        assert_eq!(bench.audit(action).await[0]["subject"], format!("cron ({id})"));
    }
    bench.post("/backup/create", "").await.expect(OK);
    let jobs: Value = bench.get("/backup/jobs").await.expect(OK).data();
    let job = format!("/backup/jobs/{}", jobs[0]["id"].as_str().unwrap());
    let file = format!("{job}/file");
    bench.call(Method::HEAD, &file, Some(&bench.admin), Body::empty()).await.expect(OK);
    assert!(bench.audit("archive-download").await.is_empty());
    for _ in 0..3 {
        bench.get(&file).await.expect(OK);
    }
    assert_eq!(bench.audit("archive-download").await.len(), 1);
    bench.delete(&job).await.expect(OK);
    let deleted = &bench.audit("archive-delete").await[0];
    assert!(deleted["subject"].as_str().unwrap().ends_with(".zip"), "{deleted}");
    let other = bench.login("admin", &bench.password).await;
    bench.call(Method::POST, "/auth/logout", Some(&other.access_token), Body::empty()).await.expect(OK);
    assert_eq!(bench.audit("logout").await[0]["who"], "admin");
}
