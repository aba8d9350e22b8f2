//! The record of who did what.

use super::*;
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry, AuditPage};

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
        (4, "admin", AuditAction::Undo, AuditEnd::Done),
        (3, "admin", AuditAction::Restore, AuditEnd::Done),
        (2, "admin", AuditAction::Snapshot, AuditEnd::Done),
        (1, "cron", AuditAction::Backup, AuditEnd::Done),
    ];
    assert_eq!(told, expected);
    let [_, restored, _, backed_up] = &page.entries[..] else { panic!() };
    let sha256 = |entry: &AuditEntry| entry.archive.as_ref().unwrap().sha256.unwrap();
    assert_eq!(sha256(backed_up), Sha256::of(&archive.body));
    assert_eq!((sha256(restored), restored.mode), (Sha256::of(b"the file"), Some(RestoreMode::Update)));
    assert_eq!(restored.collections, ["articles".parse().unwrap()]);

    let first: AuditPage = bench.get("/audit?limit=3").await.expect(OK).data();
    assert_eq!((&first.entries[..], first.next), (&page.entries[..3], Some(2)));
    let second: AuditPage = bench.get("/audit?limit=3&before=2").await.expect(OK).data();
    assert_eq!((&second.entries[..], second.next), (&page.entries[3..], None));
}
