//! Users come back, nobody is locked out, and old logins end.

use super::*;
use dikas_archive::api::restore::RestoreWarning;
use dikas_archive::damage::Reason;
use dikas_server::auth::{Role, user_document};

#[tokio::test]
async fn replaced_users_end_every_login_and_no_backup_token() {
    let bench = Bench::new().await;
    let token = bench.backup_token().await;
    let tokens = bench.login("admin", &bench.password).await;
    let admin = user_document("usr_old", "old", Role::Admin, "then").unwrap();
    let backup = Backup::of(&[("users", &[&admin])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let preview = session.preview().await;
    assert_eq!(preview.warnings, [RestoreWarning::LoginsEnd]);
    let outcome: RestoreOutcome = session.try_commit(preview.seq, None).await.expect(OK).data();
    assert!(outcome.logins_ended && !outcome.users_kept);

    bench.get("/backup/restore-points").await.fails(StatusCode::UNAUTHORIZED, "unauthorized");
    session.try_commit(preview.seq, None).await.fails(StatusCode::UNAUTHORIZED, "unauthorized");
    let refresh = serde_json::json!({ "refreshToken": tokens.refresh_token }).to_string();
    bench.call(Method::POST, "/auth/refresh", None, refresh).await.expect(StatusCode::UNAUTHORIZED);
    bench.try_login("admin", &bench.password).await.expect(StatusCode::UNAUTHORIZED);
    bench.login("old", "then").await;
    bench.call(Method::GET, "/backup/jobs", Some(&token), "").await.expect(OK);
    let state: Value = session.state(&session.secret).await.expect(OK).data();
    assert_eq!(state["outcome"]["loginsEnded"], true, "the secret alone tells");
}

#[tokio::test]
async fn users_among_whom_no_admin_can_log_in_are_not_taken() {
    let hashless =
        r#"{"_id":"usr_1","documentType":"User","username":"boss","role":"admin","passwordHash":"x"}"#;
    let till = user_document("usr_2", "till", Role::Till, "secret").unwrap();
    // The first user of a name is the one who logs in.
    let shadow = user_document("usr_0", "boss", Role::Till, "secret").unwrap();
    let boss = user_document("usr_1", "boss", Role::Admin, "secret").unwrap();
    let inactive = boss.replacen('{', r#"{"isActive":false,"#, 1);
    for users in [vec![], vec![hashless], vec![&*till], vec![&*shadow, &*boss], vec![&*inactive]] {
        let bench = Bench::new().await;
        let before = live(&bench, "users").await;
        let backup = Backup::of(&[("articles", &[r#"{"_id":"a"}"#]), ("users", &users)]);
        let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
        let preview = session.preview().await;
        assert_eq!(preview.warnings, [RestoreWarning::UsersKept], "{users:?}");
        assert_eq!(counts(changes_of(&preview.collections, "users").documents), [0, 0, 0, 0, 1]);
        let outcome: RestoreOutcome = session.try_commit(preview.seq, None).await.expect(OK).data();
        assert!(outcome.users_kept && !outcome.logins_ended);
        assert_eq!(live(&bench, "users").await, before);
        assert_eq!(live(&bench, "articles").await.len(), 1);
    }
}

#[tokio::test]
async fn an_admin_whom_the_backup_lacks_and_a_restore_keeps_counts() {
    let bench = Bench::new().await;
    let till = user_document("usr_till", "till", Role::Till, "secret").unwrap();
    let mut backup = Backup::of(&[("users", &[&till])]);
    backup.missing.push(Missing {
        collection: "users".parse().unwrap(),
        id: "usr_admin".to_owned(),
        name: None,
        reason: Reason::Changed,
        attachments: 0,
    });
    let outcome = restore(&bench, &backup, RestoreMode::Full).await;
    assert!(outcome.logins_ended && !outcome.users_kept);
    bench.login("admin", &bench.password).await;
    bench.login("till", "secret").await;
}

#[tokio::test]
async fn an_update_of_users_minds_the_admins_of_now() {
    let bench = Bench::new().await;
    // The only admin would become a till.
    let id = "usr_admin";
    let backup = Backup::of(&[("users", &[&user_document(id, "admin", Role::Till, "x").unwrap()])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Update).await;
    assert_eq!(session.preview().await.warnings, [RestoreWarning::UsersKept]);
    session.call(Method::DELETE, "", String::new()).await.expect(OK);

    // With another admin it may; unless that one goes before the commit.
    bench.user("other", Role::Admin).await;
    let session = Session::staged(&bench, &backup, RestoreMode::Update).await;
    let preview = session.preview().await;
    assert_eq!(preview.warnings, [RestoreWarning::LoginsEnd]);
    let demoted = user_document("usr_other", "other", Role::Till, "secret").unwrap();
    bench.put("/documents/users?id=usr_other", demoted).await.expect(OK);
    let preview = fresh(&session.try_commit(preview.seq, None).await, "live-changed");
    assert_eq!(preview.warnings, [RestoreWarning::UsersKept]);
    session.try_commit(preview.seq, None).await.expect(OK);
    bench.get("/backup/restore-points").await.expect(OK);
}
