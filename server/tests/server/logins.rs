//! Who gets in, and for how long.

use crate::bench::{Answer, Bench, document_path};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use dikas_archive::api::Tokens;
use dikas_server::auth::{Role, user_document};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

const OK: StatusCode = StatusCode::OK;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const PATH: &str = "/auth/tokens";

#[tokio::test]
async fn only_the_right_password_gets_in() {
    let bench = Bench::new().await;
    let tokens = bench.login("admin", &bench.password).await;
    assert_eq!(tokens.expires_in, 3600);
    for (name, password) in [("admin", "wrong"), ("admin", ""), ("nobody", "wrong"), ("", "")] {
        bench.try_login(name, password).await.fails(UNAUTHORIZED, "unauthorized");
    }
    let extra = r#"{"username":"admin","password":"x","role":"admin"}"#;
    let answer = bench.call(Method::POST, "/auth/login", None, extra).await;
    answer.fails(StatusCode::BAD_REQUEST, "bad-request");
}

#[tokio::test]
async fn a_hash_that_is_none_or_costs_too_much_lets_nobody_in() {
    let bench = Bench::new().await;
    for (number, hash) in
        ["", "plain", "$2b$10$abc", "$argon2id$v=19$m=4194304,t=100,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAA"]
            .iter()
            .enumerate()
    {
        let id = format!("usr_{number}");
        let user = json!({"_id": id, "username": id, "role": "admin", "passwordHash": hash}).to_string();
        bench.put(&document_path("users", &id), user).await.expect(StatusCode::CREATED);
        bench.try_login(&id, "").await.fails(UNAUTHORIZED, "unauthorized");
        bench.try_login(&id, hash).await.fails(UNAUTHORIZED, "unauthorized");
    }
}

#[tokio::test]
async fn guessing_waits_a_moment_and_keeps_nobody_else_out() {
    let bench = Bench::new().await;
    let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|from| Some((from, None)));
    for _ in 0..5 {
        log_in(&bench, one, "admin", "guess", None).await.fails(UNAUTHORIZED, "unauthorized");
    }
    let waits = log_in(&bench, one, "admin", &bench.password, None).await;
    let waits = waits.fails(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
    assert_eq!(waits.header("retry-after"), "1", "not a quarter of an hour");
    log_in(&bench, one, "somebody", "else", None).await.fails(UNAUTHORIZED, "unauthorized");
    log_in(&bench, other, "admin", &bench.password, None).await.expect(OK);
}

#[tokio::test]
async fn a_device_that_is_known_waits_for_no_stranger() {
    let bench = Bench::new().await;
    bench.user("boss", Role::Admin).await;
    let known = bench.login("boss", "secret").await.device_token.unwrap();
    let of_admin = bench.login("admin", &bench.password).await.device_token.unwrap();
    for _ in 0..6 {
        bench.try_login("boss", "guess").await;
    }
    let try_with = async |device: &str| log_in(&bench, None, "boss", "secret", Some(device)).await;
    for stranger in ["", "x", &of_admin, &bench.admin] {
        try_with(stranger).await.fails(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
    }
    log_in(&bench, None, "boss", "guess", Some(&known)).await.fails(UNAUTHORIZED, "unauthorized");
    let again: Tokens = try_with(&known).await.expect(OK).data();
    try_with(&again.device_token.unwrap()).await.expect(OK);

    // It lets nobody in, and ends with the password.
    let as_token = bench.call(Method::GET, PATH, Some(&known), Body::empty()).await;
    as_token.fails(UNAUTHORIZED, "unauthorized");
    let new = user_document("usr_boss", "boss", Role::Admin, "secret").unwrap();
    bench.put(&document_path("users", "usr_boss"), new).await.expect(OK);
    for _ in 0..6 {
        bench.try_login("boss", "guess").await;
    }
    try_with(&known).await.fails(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
}

#[tokio::test]
async fn behind_a_proxy_that_is_trusted_each_client_is_counted_by_itself() {
    for (trusted, status) in [("192.0.2.0/24", OK), ("192.0.2.9", StatusCode::TOO_MANY_REQUESTS)] {
        let bench =
            Bench::with(|config| config.access.trusted_proxies = vec![trusted.parse().unwrap()]).await;
        for number in 0..65 {
            let guess = Some(([192, 0, 2, 1], Some("203.0.113.66")));
            log_in(&bench, guess, &format!("name {number}"), "guess", None).await;
        }
        let admin = Some(([192, 0, 2, 1], Some("203.0.113.1")));
        log_in(&bench, admin, "admin", &bench.password, None).await.expect(status);
    }
}

#[tokio::test]
async fn right_logins_are_no_guesses() {
    let bench = Bench::new().await;
    for _ in 0..70 {
        bench.login("admin", &bench.password).await;
    }
}

#[tokio::test]
async fn tokens_are_for_what_they_are_for() {
    let bench = Bench::new().await;
    let tokens = bench.login("admin", &bench.password).await;
    let try_with = async |token: &str| bench.call(Method::GET, PATH, Some(token), Body::empty()).await.status;
    let refresh = async |token: &str| {
        let body = json!({"refreshToken": token}).to_string();
        bench.call(Method::POST, "/auth/refresh", None, body).await
    };
    assert_eq!(try_with(&tokens.access_token).await, OK);
    assert_eq!(try_with(&tokens.refresh_token).await, UNAUTHORIZED);
    refresh(&tokens.access_token).await.fails(UNAUTHORIZED, "unauthorized");
    let soon: Tokens = refresh(&tokens.refresh_token).await.expect(OK).data();
    assert_ne!(soon.access_token, tokens.access_token, "what was refused is never given out again");
    assert_eq!(try_with(&soon.access_token).await, OK);
}

#[tokio::test]
async fn access_tokens_run_out() {
    let bench = Bench::with(|config| config.access_life = Duration::ZERO).await;
    let tokens = bench.login("admin", &bench.password).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let answer = bench.call(Method::GET, PATH, Some(&tokens.access_token), Body::empty()).await;
    answer.fails(UNAUTHORIZED, "unauthorized");
    let body = json!({"refreshToken": tokens.refresh_token}).to_string();
    bench.call(Method::POST, "/auth/refresh", None, body).await.expect(OK);
}

#[tokio::test]
async fn a_refresh_token_that_is_used_again_ends_its_login() {
    let bench = Bench::new().await;
    let other = bench.login("admin", &bench.password).await;
    let first = bench.login("admin", &bench.password).await;
    let second: Tokens = refresh(&bench, &first).await.expect(OK).data();
    let repeated: Tokens = refresh(&bench, &first).await.expect(OK).data();
    // The answer may have been lost: both do, until one was used.
    assert_eq!([status(&bench, &second).await, status(&bench, &repeated).await], [OK, OK]);
    let third: Tokens = refresh(&bench, &repeated).await.expect(OK).data();
    refresh(&bench, &second).await.expect(OK);
    refresh(&bench, &first).await.fails(UNAUTHORIZED, "unauthorized");
    refresh(&bench, &third).await.fails(UNAUTHORIZED, "unauthorized");
    for tokens in [&first, &second, &repeated, &third] {
        assert_eq!(status(&bench, tokens).await, UNAUTHORIZED, "all of them have ended");
    }
    assert_eq!(status(&bench, &other).await, OK, "another login of the same user has not");
}

#[tokio::test]
async fn a_logout_ends_the_whole_login_and_no_other() {
    let bench = Bench::with(|config| config.access_life = Duration::from_secs(60)).await;
    let log_out =
        async |token: Option<&str>, body: String| bench.call(Method::POST, "/auth/logout", token, body).await;
    let by_refresh_token = |tokens: &Tokens| json!({"refreshToken": tokens.refresh_token}).to_string();
    let other = bench.login("admin", &bench.password).await;
    for by_body in [true, false] {
        let tokens = bench.login("admin", &bench.password).await;
        let renewed: Tokens = refresh(&bench, &tokens).await.expect(OK).data();
        for _ in 0..2 {
            let ended = match by_body {
                true => log_out(None, by_refresh_token(&tokens)).await,
                false => log_out(Some(&tokens.access_token), String::new()).await,
            };
            ended.expect(OK);
        }
        for tokens in [&tokens, &renewed] {
            assert_eq!(status(&bench, tokens).await, UNAUTHORIZED);
            refresh(&bench, tokens).await.fails(UNAUTHORIZED, "unauthorized");
        }
    }
    assert_eq!(status(&bench, &other).await, OK);
    let device = other.device_token.unwrap();
    for nonsense in ["", "x", &device] {
        let body = json!({"refreshToken": nonsense}).to_string();
        log_out(None, body).await.fails(UNAUTHORIZED, "unauthorized");
    }
    let token = bench.backup_token().await;
    for token in [None, Some(token.as_str())] {
        log_out(token, String::new()).await.fails(StatusCode::BAD_REQUEST, "bad-request");
    }
    bench.call(Method::GET, "/backup/jobs", Some(&token), Body::empty()).await.expect(OK);
}

#[tokio::test]
async fn logins_and_their_ends_outlive_the_server() {
    let bench = Bench::new().await;
    let [stays, goes, used] = [
        bench.login("admin", &bench.password).await,
        bench.login("admin", &bench.password).await,
        bench.login("admin", &bench.password).await,
    ];
    let body = json!({"refreshToken": goes.refresh_token}).to_string();
    bench.call(Method::POST, "/auth/logout", None, body).await.expect(OK);
    let renewed: Tokens = refresh(&bench, &used).await.expect(OK).data();
    refresh(&bench, &renewed).await.expect(OK);
    let bench = bench.restarted().await;
    assert_eq!([status(&bench, &stays).await, status(&bench, &goes).await], [OK, UNAUTHORIZED]);
    refresh(&bench, &used).await.fails(UNAUTHORIZED, "unauthorized");
    assert_eq!(status(&bench, &renewed).await, UNAUTHORIZED);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let bench = Bench::new().await;
    let (head, rest) = bench.admin.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let cut = format!("{head}.{claims}.{}", &signature[1..]);
    for token in ["", "x", "dkb_", "a.b.c", &unsigned, &cut] {
        let answer = bench.call(Method::GET, PATH, Some(token), Body::empty()).await;
        answer.fails(UNAUTHORIZED, "unauthorized");
    }
    let other = Bench::new().await;
    let answer = bench.call(Method::GET, PATH, Some(&other.admin), Body::empty()).await;
    answer.fails(UNAUTHORIZED, "unauthorized");
}

#[tokio::test]
async fn what_the_user_is_now_counts() {
    let bench = Bench::new().await;
    let token = bench.user("boss", Role::Admin).await;
    let status = async || bench.call(Method::GET, PATH, Some(&token), Body::empty()).await.status;
    assert_eq!(status().await, OK);
    let path = document_path("users", "usr_boss");
    let user: Value = serde_json::from_slice(&bench.get(&path).await.body).unwrap();
    // Everything but role and password may change under a login.
    let mut renamed = user.clone();
    renamed["displayName"] = json!("The boss");
    bench.put(&path, renamed.to_string()).await.expect(OK);
    assert_eq!(status().await, OK);
    let mut demoted = user.clone();
    demoted["role"] = json!("till");
    bench.put(&path, demoted.to_string()).await.expect(OK);
    bench.put(&path, user.to_string()).await.expect(OK);
    assert_eq!(status().await, UNAUTHORIZED, "another role ends a login, also one that was given back");
    let token = bench.login("boss", "secret").await.access_token;
    let status = async || bench.call(Method::GET, PATH, Some(&token), Body::empty()).await.status;
    assert_eq!(status().await, OK);
    let new = user_document("usr_boss", "boss", Role::Admin, "new").unwrap();
    bench.put(&path, new).await.expect(OK);
    assert_eq!(status().await, UNAUTHORIZED, "a new password voids old tokens");
    bench.put(&path, user.to_string()).await.expect(OK);
    bench.delete(&path).await.expect(OK);
    assert_eq!(status().await, UNAUTHORIZED);
}

#[tokio::test]
async fn a_user_who_is_not_active_is_out_at_the_next_call() {
    let bench = Bench::new().await;
    bench.user("boss", Role::Admin).await;
    let Tokens { access_token, refresh_token, .. } = bench.login("boss", "secret").await;
    let path = document_path("users", "usr_boss");
    let mut user: Value = serde_json::from_slice(&bench.get(&path).await.body).unwrap();
    let call = async || bench.call(Method::GET, PATH, Some(&access_token), Body::empty()).await;
    let refresh = async || {
        let body = json!({"refreshToken": refresh_token}).to_string();
        bench.call(Method::POST, "/auth/refresh", None, body).await
    };
    call().await.expect(OK);
    let made = bench.call(Method::POST, PATH, Some(&access_token), r#"{"name":"cron"}"#).await;
    let backup_token = made.data::<Value>()["token"].as_str().unwrap().to_owned();

    user["isActive"] = json!(false);
    bench.put(&path, user.to_string()).await.expect(OK);
    call().await.fails(UNAUTHORIZED, "unauthorized");
    refresh().await.fails(UNAUTHORIZED, "unauthorized");
    bench.try_login("boss", "secret").await.fails(UNAUTHORIZED, "unauthorized");
    // What fetches backups at night goes on until it is revoked.
    let snapshot = bench.call(Method::POST, "/backup/snapshots", Some(&backup_token), "").await;
    snapshot.expect(StatusCode::CREATED);

    user["isActive"] = json!(true);
    bench.put(&path, user.to_string()).await.expect(OK);
    bench.try_login("boss", "secret").await.expect(OK);
}

#[tokio::test]
async fn backup_tokens_are_shown_once_and_can_be_made_void() {
    let bench = Bench::new().await;
    let token = bench.backup_token().await;
    assert!(token.starts_with("dkb_") && token.len() == 4 + 64);
    let list = bench.get(PATH).await.expect(OK);
    assert!(!String::from_utf8_lossy(&list.body).contains(&token[4..]));
    let list: Value = list.data();
    assert_eq!((&list[0]["name"], &list[0]["lastUsed"]), (&json!("cron"), &Value::Null));
    bench.call(Method::POST, "/backup/snapshots", Some(&token), "").await.expect(StatusCode::CREATED);
    assert!(bench.get(PATH).await.data::<Value>()[0]["lastUsed"].is_string());
    let path = format!("{PATH}?id={}", list[0]["id"].as_str().unwrap());
    bench.delete(&path).await.expect(OK);
    bench.delete(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    let answer = bench.call(Method::POST, "/backup/snapshots", Some(&token), "").await;
    answer.fails(UNAUTHORIZED, "unauthorized");
    bench.post(PATH, r#"{"name":" "}"#).await.fails(StatusCode::BAD_REQUEST, "bad-request");
}

/// Logs in from an address, perhaps of a proxy that names another one.
async fn log_in(
    bench: &Bench,
    from: Option<([u8; 4], Option<&str>)>,
    name: &str,
    password: &str,
    device: Option<&str>,
) -> Answer {
    let mut body = json!({"username": name, "password": password});
    if let Some(device) = device {
        body["deviceToken"] = json!(device);
    }
    let mut request = Request::post("/api/v1/auth/login").header("content-type", "application/json");
    if let Some((address, forwarded)) = from {
        request = request.extension(ConnectInfo(SocketAddr::from((address, 4711))));
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
    }
    bench.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn refresh(bench: &Bench, tokens: &Tokens) -> Answer {
    let body = json!({"refreshToken": tokens.refresh_token}).to_string();
    bench.call(Method::POST, "/auth/refresh", None, body).await
}

/// What a call with these answers.
async fn status(bench: &Bench, tokens: &Tokens) -> StatusCode {
    bench.call(Method::GET, PATH, Some(&tokens.access_token), Body::empty()).await.status
}
