//! Restore points: undo, and undo of the undo.

use super::*;
use crate::bench::{attachment_path, document_path};
use dikas_archive::api::restore::{AuditAction, RestorePoint};
use dikas_server::store::CleanOptions;
use std::time::Duration;

const NOW: &[&str] = &[r#"{"_id":"a","n":1}"#, r#"{"_id":"b","n":1}"#, r#"{"_id":"c","n":1}"#];
const THEN: &[&str] = &[r#"{"_id":"b","n":1}"#, r#"{"_id":"c","n":0}"#, r#"{"_id":"d","n":0}"#];

async fn points(bench: &Bench) -> Vec<RestorePoint> {
    bench.get("/backup/restore-points").await.expect(OK).data()
}

async fn preview(bench: &Bench, point: &RestorePoint) -> RestorePreview {
    bench.get(&format!("/backup/restore-points/{}/preview", point.id)).await.expect(OK).data()
}

async fn activate(bench: &Bench, point: &RestorePoint, seq: u64, acknowledge_signed: Option<u64>) -> Answer {
    let body =
        serde_json::to_string(&CommitRequest { seq, acknowledge_signed, acknowledge_files_left_out: None })
            .unwrap();
    bench.post(&format!("/backup/restore-points/{}/activate", point.id), body).await
}

/// Makes the newest point live.
async fn undo(bench: &Bench) -> RestoreOutcome {
    let newest = points(bench).await.remove(0);
    let seq = preview(bench, &newest).await.seq;
    activate(bench, &newest, seq, None).await.expect(OK).data()
}

#[tokio::test]
async fn an_undo_brings_back_every_mode_and_can_be_undone() {
    let modes = [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update];
    for (mode, merged_rows) in modes.into_iter().flat_map(|mode| [(mode, 0), (mode, 100)]) {
        let bench = Bench::with(|config| config.restores.merged_rows = merged_rows).await;
        put(&bench, "articles", NOW).await;
        bench.put(&attachment_path("articles", "b", "f"), "now").await.expect(CREATED);
        bench.put(&attachment_path("articles", "a", "only"), "o").await.expect(CREATED);
        let backup = Backup::of(&[("articles", THEN)]);
        let backup = backup.with_file("articles", "b", "f", "then").with_file("articles", "b", "new", "n");
        let backup = backup.with_file("articles", "d", "file", "d");
        restore(&bench, &backup, mode).await;
        let restored = live(&bench, "articles").await;
        let files = async || {
            let mut found = Vec::new();
            for (id, name) in [("b", "f"), ("b", "new"), ("a", "only"), ("d", "file")] {
                let answer = bench.get(&attachment_path("articles", id, name)).await;
                found.push(if answer.status == OK { answer.body } else { "-".into() });
            }
            found
        };
        let restored_files = files().await;
        let point = points(&bench).await.remove(0);
        assert_eq!((point.action, point.user.as_str()), (AuditAction::Restore, "admin"));
        assert_eq!(point.collections, ["articles".parse().unwrap()]);

        undo(&bench).await;
        assert_eq!(live(&bench, "articles").await, NOW, "{mode:?}");
        assert_eq!(files().await, ["now", "-", "o", "-"], "{mode:?}");
        let point = points(&bench).await.remove(0);
        assert_eq!((point.action, point.archive.is_none()), (AuditAction::Undo, true));
        undo(&bench).await;
        assert_eq!(live(&bench, "articles").await, restored, "{mode:?}");
        assert_eq!(files().await, restored_files, "{mode:?}");
        assert_eq!(points(&bench).await.len(), 1, "each undo uses one up and makes one");
    }
}

#[tokio::test]
async fn an_undo_keeps_signed_documents_that_are_newer() {
    let bench = Bench::new().await;
    let receipt = |id: u32, total: u32| format!(r#"{{"_id":"rcp_{id}","total":{total}}}"#);
    put(&bench, "receipts", &[&receipt(1, 1), &receipt(2, 1)]).await;
    let backup = Backup::of(&[("receipts", &[&receipt(1, 1), &receipt(3, 1)])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let seq = session.preview().await.seq;
    session.try_commit(seq, Some(1)).await.expect(OK);
    // Sold since: one anew, one under an id that the state from before has with other bytes.
    put(&bench, "receipts", &[&receipt(2, 9), &receipt(4, 1)]).await;
    bench.put(&attachment_path("receipts", "rcp_4", "scan"), "s").await.expect(CREATED);
    bench.put(&attachment_path("receipts", "rcp_1", "late"), "l").await.expect(CREATED);
    bench.put(&attachment_path("receipts", "rcp_3", "gone"), "g").await.expect(CREATED);

    let point = points(&bench).await.remove(0);
    let preview = preview(&bench, &point).await;
    assert_eq!(counts(preview.collections[0].documents), [0, 1, 1, 1, 1]);
    assert_eq!(counts(preview.collections[0].attachments), [0, 0, 0, 1, 2]);
    assert_eq!(preview.signed_loss, 2, "what came with the restore, and what was sold under an old id");
    for wrong in [None, Some(1), Some(3)] {
        assert_eq!(fresh(&activate(&bench, &point, preview.seq, wrong).await, "signed-loss").signed_loss, 2);
    }
    activate(&bench, &point, preview.seq, Some(2)).await.expect(OK);
    assert_eq!(live(&bench, "receipts").await, [receipt(1, 1), receipt(2, 1), receipt(4, 1)]);
    assert_eq!(bench.get(&attachment_path("receipts", "rcp_4", "scan")).await.expect(OK).body, "s");
    assert_eq!(bench.get(&attachment_path("receipts", "rcp_1", "late")).await.expect(OK).body, "l");
}

#[tokio::test]
async fn an_undo_of_added_receipts_has_to_be_acknowledged() {
    let bench = Bench::new().await;
    put(&bench, "receipts", &[r#"{"_id":"1"}"#]).await;
    restore(&bench, &Backup::of(&[("receipts", &[r#"{"_id":"2"}"#])]), RestoreMode::Identical).await;
    let point = points(&bench).await.remove(0);
    let seq = preview(&bench, &point).await.seq;
    fresh(&activate(&bench, &point, seq, None).await, "signed-loss");
    activate(&bench, &point, seq, Some(1)).await.expect(OK);
    assert_eq!(live(&bench, "receipts").await, [r#"{"_id":"1"}"#]);
}

#[tokio::test]
async fn an_undo_turns_no_counter_back_and_loses_nothing_unseen() {
    let bench = Bench::new().await;
    put(&bench, "articles", NOW).await;
    put(&bench, "counters", &[r#"{"_id":"c","value":1}"#]).await;
    let backup = Backup::of(&[
        ("articles", THEN),
        ("counters", &[r#"{"_id":"c","value":5}"#, r#"{"_id":"d","value":1}"#]),
    ]);
    restore(&bench, &backup, RestoreMode::Full).await;
    let point = points(&bench).await.remove(0);
    let before = preview(&bench, &point).await;
    put(&bench, "articles", &[r#"{"_id":"e"}"#]).await;
    put(&bench, "counters", &[r#"{"_id":"c","value":6}"#]).await;
    let fresh = fresh(&activate(&bench, &point, before.seq, None).await, "live-changed");
    assert_eq!(counts(changes_of(&fresh.collections, "articles").documents), [1, 1, 1, 2, 0]);
    let outcome: RestoreOutcome = activate(&bench, &point, fresh.seq, None).await.expect(OK).data();
    assert_eq!(live(&bench, "articles").await, NOW);
    assert_eq!(live(&bench, "counters").await, [r#"{"_id":"c","value":6}"#, r#"{"_id":"d","value":1}"#]);

    // Asked again, the server tells what it has done, and does no more.
    put(&bench, "articles", &[r#"{"_id":"f"}"#]).await;
    let again: RestoreOutcome = activate(&bench, &point, fresh.seq, None).await.expect(OK).data();
    assert_eq!((again, live(&bench, "articles").await.len()), (outcome, NOW.len() + 1));
    let unknown = RestorePoint { id: "0".repeat(32), ..point };
    activate(&bench, &unknown, fresh.seq, None).await.fails(StatusCode::NOT_FOUND, "not-found");
}

#[tokio::test]
async fn an_undo_touches_what_its_restore_touched_and_nothing_else() {
    let bench = Bench::new().await;
    put(&bench, "articles", NOW).await;
    put(&bench, "tables", NOW).await;
    restore(&bench, &Backup::of(&[("articles", THEN)]), RestoreMode::Full).await;
    restore(&bench, &Backup::of(&[("tables", THEN)]), RestoreMode::Full).await;
    let older = points(&bench).await.remove(1);
    let seq = preview(&bench, &older).await.seq;
    activate(&bench, &older, seq, None).await.expect(OK);
    assert_eq!(live(&bench, "articles").await, NOW);
    assert_eq!(live(&bench, "tables").await, THEN);
}

#[tokio::test]
async fn three_points_are_kept_and_the_clean_up_takes_the_rest() {
    let bench = Bench::with(|config| {
        config.restores.clean = CleanOptions::at_once();
        config.restores.points_stay = Duration::ZERO;
    })
    .await;
    for number in 0..5 {
        let line = format!(r#"{{"_id":"a","n":{number}}}"#);
        let backup =
            Backup::of(&[("articles", &[&line])]).with_file("articles", "a", "f", &number.to_string());
        restore(&bench, &backup, RestoreMode::Full).await;
    }
    // A session that is given up, and a file that is deleted.
    let given_up = Backup::of(&[("tables", NOW)]).with_file("tables", "a", "f", "given up");
    let session = Session::staged(&bench, &given_up, RestoreMode::Full).await;
    session.call(Method::DELETE, "", String::new()).await.expect(OK);
    put(&bench, "customers", &[r#"{"_id":"x"}"#]).await;
    bench.put(&attachment_path("customers", "x", "f"), "deleted").await.expect(CREATED);
    bench.delete(&document_path("customers", "x")).await.expect(OK);
    assert_eq!(points(&bench).await.len(), 3);

    let snapshot = bench.snapshot().await;
    bench.app.clean().unwrap();
    assert_eq!(bench.blobs().len(), 7, "an open snapshot may name what is gone");
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(OK);
    bench.app.clean().unwrap();
    let digest = |number: u32| Sha256::of(number.to_string().as_bytes()).to_string();
    let mut expected: Vec<String> = (1..5).map(digest).collect();
    expected.sort();
    assert_eq!(bench.blobs(), expected);
    for number in 1..4 {
        let oldest = points(&bench).await.pop().unwrap();
        let seq = preview(&bench, &oldest).await.seq;
        activate(&bench, &oldest, seq, None).await.expect(OK);
        assert_eq!(live(&bench, "articles").await, [format!(r#"{{"_id":"a","n":{number}}}"#)]);
        assert_eq!(
            bench.get(&attachment_path("articles", "a", "f")).await.expect(OK).body,
            number.to_string()
        );
    }
}

#[tokio::test]
async fn a_restore_that_is_tried_again_and_again_does_not_cost_the_state_from_before() {
    let bench = Bench::with(|config| config.restores.clean = CleanOptions::at_once()).await;
    put(&bench, "articles", NOW).await;
    bench.put(&attachment_path("articles", "a", "f"), "now").await.expect(CREATED);
    for number in 0..9 {
        let line = format!(r#"{{"_id":"wrong","n":{number}}}"#);
        restore(&bench, &Backup::of(&[("articles", &[&line])]), RestoreMode::Full).await;
        bench.app.clean().unwrap();
    }
    let first = points(&bench).await.pop().unwrap();
    let seq = preview(&bench, &first).await.seq;
    activate(&bench, &first, seq, None).await.expect(OK);
    assert_eq!(live(&bench, "articles").await, NOW);
    assert_eq!(bench.get(&attachment_path("articles", "a", "f")).await.expect(OK).body, "now");
    for number in 9..12 {
        let line = format!(r#"{{"_id":"wrong","n":{number}}}"#);
        restore(&bench, &Backup::of(&[("articles", &[&line])]), RestoreMode::Full).await;
    }
    assert_eq!(points(&bench).await.len(), 10, "there is an end to it");
}
