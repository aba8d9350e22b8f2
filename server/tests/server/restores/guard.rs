//! What fiscal law protects, and what has changed since somebody looked.

use super::*;
use crate::bench::{attachment_path, document_path};

const A: &str = r#"{"_id":"rcp_a","total":1}"#;
const B: &str = r#"{"_id":"rcp_b","total":1}"#;
const C: &str = r#"{"_id":"rcp_c","total":1}"#;
const B_OTHER: &str = r#"{"_id":"rcp_b","total":2}"#;

async fn bench() -> Bench {
    set_up(Bench::new().await).await
}

async fn set_up(bench: Bench) -> Bench {
    put(&bench, "receipts", &[A, B]).await;
    bench.put(&attachment_path("receipts", "rcp_a", "scan"), "scan").await.expect(CREATED);
    bench
}

#[tokio::test]
async fn a_selective_restore_only_adds_signed_documents() {
    let modes = [RestoreMode::Identical, RestoreMode::Update];
    for (mode, merged_rows) in modes.into_iter().flat_map(|mode| [(mode, 0), (mode, 100)]) {
        let bench = Bench::with(|config| config.restores.merged_rows = merged_rows).await;
        let bench = set_up(bench).await;
        let backup = Backup::of(&[("receipts", &[B_OTHER, C])]);
        let backup =
            backup.with_file("receipts", "rcp_b", "note", "n").with_file("receipts", "rcp_c", "x", "x");
        let session = Session::staged(&bench, &backup, mode).await;
        let preview = session.preview().await;
        assert_eq!(counts(preview.collections[0].documents), [1, 0, 0, 0, 2]);
        assert_eq!(counts(preview.collections[0].attachments), [2, 0, 0, 0, 1]);
        assert_eq!(preview.signed_loss, 0);
        // Sold meanwhile, with an id that the backup has as well: what is there stays.
        put(&bench, "receipts", &[r#"{"_id":"rcp_c","total":7}"#, r#"{"_id":"rcp_d"}"#]).await;
        session.try_commit(preview.seq, None).await.expect(OK);
        let expected = [A, B, r#"{"_id":"rcp_c","total":7}"#, r#"{"_id":"rcp_d"}"#];
        assert_eq!(live(&bench, "receipts").await, expected);
        assert_eq!(bench.get(&attachment_path("receipts", "rcp_b", "note")).await.expect(OK).body, "n");
    }
}

#[tokio::test]
async fn a_full_restore_loses_signed_documents_only_when_their_number_is_acknowledged() {
    let bench = bench().await;
    // One changed, one dropped with its file; and the files of a third that stays.
    put(&bench, "receipts", &[C]).await;
    bench.put(&attachment_path("receipts", "rcp_c", "scan"), "scan").await.expect(CREATED);
    let backup = Backup::of(&[("receipts", &[B_OTHER, C])]).with_file("receipts", "rcp_c", "scan", "other");
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let preview = session.preview().await;
    assert_eq!(counts(preview.collections[0].documents), [0, 1, 1, 1, 0]);
    assert_eq!((preview.signed_loss, preview.collections[0].signed_loss), (3, 3));
    for wrong in [None, Some(0), Some(2), Some(4)] {
        let refused = session.try_commit(preview.seq, wrong).await;
        assert_eq!(fresh(&refused, "signed-loss").signed_loss, 3, "{wrong:?}");
        assert_eq!(live(&bench, "receipts").await, [A, B, C]);
    }
    let outcome: RestoreOutcome = session.try_commit(preview.seq, Some(3)).await.expect(OK).data();
    assert_eq!(outcome.signed_loss, 3);
    assert_eq!(bench.audit("restore").await[0]["signedLoss"], 3);
    assert_eq!(live(&bench, "receipts").await, [B_OTHER, C]);
}

#[tokio::test]
async fn an_acknowledgement_of_what_is_not_lost_is_refused_too() {
    let bench = bench().await;
    let backup = Backup::of(&[("receipts", &[A, B, C])]).with_file("receipts", "rcp_a", "scan", "scan");
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let seq = session.preview().await.seq;
    fresh(&session.try_commit(seq, Some(1)).await, "signed-loss");
    session.try_commit(seq, None).await.expect(OK);
    assert_eq!(live(&bench, "receipts").await, [A, B, C]);
}

#[tokio::test]
async fn what_changed_since_the_preview_is_not_lost_unseen() {
    let bench = Bench::new().await;
    put(&bench, "articles", &[r#"{"_id":"a","n":1}"#, r#"{"_id":"b","n":1}"#]).await;
    let backup = Backup::of(&[("articles", &[r#"{"_id":"a","n":0}"#])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let first = session.preview().await;
    // Each of these would be lost.
    for written in [r#"{"_id":"a","n":2}"#, r#"{"_id":"new"}"#] {
        put(&bench, "articles", &[written]).await;
        let answer = session.try_commit(first.seq, None).await;
        let preview = fresh(&answer, "live-changed");
        assert!(preview.seq > first.seq);
        assert!(live(&bench, "articles").await.contains(&written.to_owned()));
        session.try_commit(first.seq, None).await.fails_with_data(CONFLICT, "live-changed");
    }
    // What the backup has with the same bytes is not lost, and other collections are nobody's concern.
    let seq = session.preview().await.seq;
    put(&bench, "articles", &[r#"{"_id":"a","n":0}"#]).await;
    put(&bench, "customers", &[r#"{"_id":"x"}"#]).await;
    session.try_commit(seq, None).await.expect(OK);
    assert_eq!(live(&bench, "articles").await, [r#"{"_id":"a","n":0}"#]);
}

#[tokio::test]
async fn an_update_minds_only_what_it_would_overwrite_and_what_is_gone() {
    let bench = Bench::new().await;
    let (a, b) = (r#"{"_id":"a","n":1}"#, r#"{"_id":"b","n":1}"#);
    put(&bench, "articles", &[a, b]).await;
    let backup = Backup::of(&[("articles", &[a, r#"{"_id":"b","n":0}"#])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Update).await;
    let seq = session.preview().await.seq;
    put(&bench, "articles", &[r#"{"_id":"z"}"#]).await;
    // It was the same when the preview was made, and is not there any more: the plan would not bring it back.
    bench.delete(&document_path("articles", "a")).await.expect(OK);
    let preview = fresh(&session.try_commit(seq, None).await, "live-changed");
    assert_eq!(counts(preview.collections[0].documents), [1, 1, 0, 0, 1]);
    put(&bench, "articles", &[r#"{"_id":"b","n":5}"#]).await;
    let preview = fresh(&session.try_commit(preview.seq, None).await, "live-changed");
    session.try_commit(preview.seq, None).await.expect(OK);
    assert_eq!(live(&bench, "articles").await, [a, r#"{"_id":"b","n":0}"#, r#"{"_id":"z"}"#]);
}

#[tokio::test]
async fn a_file_that_came_since_the_preview_is_not_lost_unseen() {
    let bench = Bench::new().await;
    put(&bench, "articles", &[r#"{"_id":"a","n":1}"#]).await;
    let backup = Backup::of(&[("articles", &[r#"{"_id":"a","n":0}"#])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Identical).await;
    let seq = session.preview().await.seq;
    bench.put(&attachment_path("articles", "a", "picture"), "p").await.expect(CREATED);
    let preview = fresh(&session.try_commit(seq, None).await, "live-changed");
    assert_eq!(counts(preview.collections[0].attachments), [0, 0, 0, 1, 0]);
}
