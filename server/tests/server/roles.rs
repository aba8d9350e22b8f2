//! Who may call what: every operation that OpenAPI lists, as everybody.

use crate::bench::Bench;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use dikas_server::ROLES_EXTENSION;
use dikas_server::auth::Role;
use serde_json::{Value, json};

const ANYONE: &[&str] = &["anyone"];
const ADMIN: &[&str] = &["admin"];
const TILL: &[&str] = &["admin", "till"];
const BACKUP: &[&str] = &["admin", "backup-token"];

/// Every operation there is. One that is missing here fails the test.
const OPERATIONS: &[(&str, &str, &[&str])] = &[
    ("get", "/api/v1/openapi.json", ANYONE),
    ("post", "/api/v1/auth/login", ANYONE),
    ("post", "/api/v1/auth/refresh", ANYONE),
    ("post", "/api/v1/auth/logout", ANYONE),
    ("post", "/api/v1/auth/tokens", ADMIN),
    ("get", "/api/v1/auth/tokens", ADMIN),
    ("delete", "/api/v1/auth/tokens", ADMIN),
    ("get", "/api/v1/documents/{collection}", TILL),
    ("put", "/api/v1/documents/{collection}", TILL),
    ("post", "/api/v1/documents/{collection}", TILL),
    ("delete", "/api/v1/documents/{collection}", TILL),
    ("get", "/api/v1/documents/{collection}/attachments", TILL),
    ("put", "/api/v1/documents/{collection}/attachments", TILL),
    ("delete", "/api/v1/documents/{collection}/attachments", TILL),
    ("post", "/api/v1/backup/snapshots", BACKUP),
    ("get", "/api/v1/backup/snapshots/{id}", BACKUP),
    ("delete", "/api/v1/backup/snapshots/{id}", BACKUP),
    ("get", "/api/v1/backup/snapshots/{id}/documents/{collection}", BACKUP),
    ("get", "/api/v1/backup/snapshots/{id}/attachments", BACKUP),
    ("get", "/api/v1/backup/snapshots/{id}/blobs/{sha256}", BACKUP),
    ("post", "/api/v1/backup/create", BACKUP),
    ("get", "/api/v1/backup/jobs", BACKUP),
    ("post", "/api/v1/backup/jobs", BACKUP),
    ("get", "/api/v1/backup/jobs/{id}", BACKUP),
    ("delete", "/api/v1/backup/jobs/{id}", BACKUP),
    ("get", "/api/v1/backup/jobs/{id}/manifest", BACKUP),
    ("get", "/api/v1/backup/jobs/{id}/file", BACKUP),
    ("post", "/api/v1/backup/jobs/{id}/ticket", ADMIN),
    ("get", "/api/v1/backup/archives", ADMIN),
    ("delete", "/api/v1/backup/archives/{id}", ADMIN),
    ("get", "/api/v1/backup/archives/{id}/file", ADMIN),
    ("post", "/api/v1/backup/archives/{id}/ticket", ADMIN),
    ("post", "/api/v1/backup/archives/{id}/verify", ADMIN),
    ("get", "/api/v1/backup/schedule", ADMIN),
    ("post", "/api/v1/backup/schedule/run", ADMIN),
    ("post", "/api/v1/backup/restore", ADMIN),
    ("post", "/api/v1/backup/restores", ADMIN),
    ("get", "/api/v1/backup/restores", ADMIN),
    ("get", "/api/v1/backup/restores/{id}", ANYONE),
    ("delete", "/api/v1/backup/restores/{id}", ADMIN),
    ("put", "/api/v1/backup/restores/{id}/documents/{collection}/{n}", ADMIN),
    ("put", "/api/v1/backup/restores/{id}/attachments/{n}", ADMIN),
    ("post", "/api/v1/backup/restores/{id}/blobs/missing", ADMIN),
    ("put", "/api/v1/backup/restores/{id}/blobs/{sha256}", ADMIN),
    ("get", "/api/v1/backup/restores/{id}/preview", ADMIN),
    ("post", "/api/v1/backup/restores/{id}/pause", ADMIN),
    ("post", "/api/v1/backup/restores/{id}/commit", ADMIN),
    ("get", "/api/v1/backup/restore-points", ADMIN),
    ("get", "/api/v1/backup/restore-points/{id}/preview", ADMIN),
    ("post", "/api/v1/backup/restore-points/{id}/activate", ADMIN),
    ("get", "/api/v1/audit", ADMIN),
];

#[tokio::test]
async fn every_operation_lets_in_whom_it_states_and_nobody_else() {
    let bench = Bench::new().await;
    let callers = [
        ("none", None),
        ("admin", Some(bench.admin.clone())),
        ("till", Some(bench.user("till", Role::Till).await)),
        ("backup-token", Some(bench.backup_token().await)),
    ];
    let openapi: Value = serde_json::from_slice(&bench.get("/openapi.json").await.body).unwrap();
    let mut seen = 0;
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let listed = OPERATIONS.iter().find(|(m, p, _)| m == method && p == path);
            let (.., roles) = listed.unwrap_or_else(|| panic!("{method} {path} is not listed"));
            assert_eq!(operation[ROLES_EXTENSION], json!(roles), "{method} {path}");
            assert_eq!(operation["security"] == json!([{}]), *roles == ANYONE, "{method} {path}");
            for (role, token) in &callers {
                // It would end the login of the walk.
                let token = token.as_ref().filter(|_| !path.ends_with("/logout"));
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let answer = bench
                    .call(method.clone(), &concrete(path), token.map(String::as_str), Body::empty())
                    .await;
                let refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                let allowed = *roles == ANYONE || roles.contains(role);
                assert_eq!(refused, !allowed, "{method} {path} as {role}: {}", answer.status);
                if refused {
                    let expected = if token.is_none() { 401 } else { 403 };
                    assert_eq!(answer.status, expected, "{method} {path} as {role}");
                }
            }
            let responses = &operation["responses"];
            let bodiless = ["/ticket", "/pause", "/verify", "/run"].iter().any(|end| path.ends_with(end));
            if matches!(method.as_str(), "put" | "post") && !bodiless {
                let body = operation["requestBody"]["content"].as_object();
                assert!(body.is_some_and(|content| !content.is_empty()), "{method} {path} states no body");
            }
            if method == "get" {
                let body = responses["200"]["content"].as_object();
                assert!(body.is_some_and(|content| !content.is_empty()), "{method} {path} states no answer");
            }
            let stated = |status: &str| responses[status].is_object();
            if *roles != ANYONE {
                assert_eq!([stated("401"), stated("403")], [true, true], "{method} {path}");
            }
            assert_eq!([stated("503"), stated("507")], [true, method != "get"], "{method} {path}");
            seen += 1;
        }
    }
    assert_eq!(seen, OPERATIONS.len(), "an operation is listed that does not exist");
}

#[tokio::test]
async fn a_till_touches_neither_users_nor_settings() {
    let bench = Bench::new().await;
    let till = bench.user("till", Role::Till).await;
    for row in dikas_archive::catalog::COLLECTIONS {
        let admins = ["users", "settings", "printers", "print-templates"].contains(&row.name);
        let id = format!("{}1", row.id_prefix);
        let path = crate::bench::document_path(row.name, &id);
        let body = format!(r#"{{"_id":"{id}","value":1}}"#);
        let attachment = crate::bench::attachment_path(row.name, &id, "a");
        for (method, path, body, fine) in [
            (Method::PUT, path.as_str(), body.as_str(), StatusCode::CREATED),
            (Method::POST, &format!("/documents/{}", row.name), &body, StatusCode::OK),
            (Method::GET, &path, "", StatusCode::OK),
            (Method::PUT, &attachment, "a", StatusCode::CREATED),
            (Method::GET, &attachment, "", StatusCode::OK),
        ] {
            let answer = bench.call(method.clone(), path, Some(&till), body.to_owned()).await;
            let expected = if admins { StatusCode::FORBIDDEN } else { fine };
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_till_makes_no_new_collections() {
    let bench = Bench::new().await;
    let till = bench.user("till", Role::Till).await;
    let path = crate::bench::document_path("a-new-one", "a");
    let put = async |token: &str| bench.call(Method::PUT, &path, Some(token), r#"{"_id":"a"}"#).await;
    put(&till).await.fails(StatusCode::FORBIDDEN, "forbidden");
    bench.call(Method::DELETE, &path, Some(&till), "").await.fails(StatusCode::NOT_FOUND, "not-found");
    put(&till).await.fails(StatusCode::FORBIDDEN, "forbidden");
    put(&bench.admin).await.expect(StatusCode::CREATED);
    put(&till).await.expect(StatusCode::OK);
}

fn concrete(path: &str) -> String {
    let path = path.strip_prefix("/api/v1").unwrap();
    let path = path.replace("{collection}", "articles").replace("{id}", &"0".repeat(32)).replace("{n}", "0");
    path.replace("{sha256}", &"0".repeat(64))
}
