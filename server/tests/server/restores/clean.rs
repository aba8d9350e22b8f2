//! The clean-up, begun at every step of a backup, a restore and an undo: it takes nothing that any of them needs.

use super::*;
use crate::bench::{attachment_path, document_path};
use dikas_archive::api::restore::RestorePoint;
use dikas_server::App;
use dikas_server::store::CleanOptions;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// The server whose clean-up is begun where a restore passes a point of its own.
static WATCHED: Mutex<Option<Arc<App>>> = Mutex::new(None);

/// The points that were passed, and the clean-ups that were begun there.
static BEGUN: Mutex<Vec<(&str, thread::JoinHandle<()>)>> = Mutex::new(Vec::new());

/// Long enough for a clean-up that nobody holds up, in milliseconds.
const HEAD_START: u64 = 20;

fn begin_clean_up(point: &'static str) {
    let app = WATCHED.lock().unwrap().clone();
    let (false, Some(app)) = (point.starts_with("clean-"), app) else { return };
    let (done, wait) = mpsc::channel();
    let clean_up = thread::spawn(move || {
        app.clean().unwrap();
        let _ = done.send(());
    });
    // Within a transaction it has to wait for its end; elsewhere it comes first.
    let _ = wait.recv_timeout(Duration::from_millis(HEAD_START));
    BEGUN.lock().unwrap().push((point, clean_up));
}

/// Where clean-ups were begun since it was last asked for, once all of them have ended.
fn begun() -> Vec<&'static str> {
    let begun = std::mem::take(&mut *BEGUN.lock().unwrap());
    let ended = begun.into_iter().map(|(point, clean_up)| {
        clean_up.join().unwrap();
        point
    });
    ended.collect()
}

/// Cleans up, and requires that nothing is gone that is named.
fn clean_up(bench: &Bench) {
    bench.app.clean().unwrap();
    every_named_file_is_there(bench);
}

/// Requires that each file that a live document or one that is staged names can be read whole.
fn every_named_file_is_there(bench: &Bench) {
    let connection = Connection::open(bench.folder.path().join("data/dikas.sqlite")).unwrap();
    let mut named = connection.prepare("SELECT DISTINCT sha256, size FROM attachments").unwrap();
    let named = named.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?))).unwrap();
    for (digest, size) in named.map(Result::unwrap) {
        let damage = bench.app.store().blobs().damage(&digest.parse().unwrap(), size.into());
        assert_eq!(damage, None, "{digest}");
    }
}

/// The file of each of these documents, as the live data has it.
async fn files(bench: &Bench, ids: &[&str]) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::new();
    for id in ids {
        let answer = bench.get(&attachment_path("articles", id, "f")).await;
        assert!(matches!(answer.status, StatusCode::OK | StatusCode::NOT_FOUND), "{id}: {}", answer.status);
        found.push((answer.status == OK).then(|| answer.body.to_vec()));
    }
    found
}

async fn stage_step_by_step(session: &Session<'_>, backup: &Backup) {
    let clean = || clean_up(session.bench);
    for (name, batches) in &backup.collections {
        for (number, batch) in batches.iter().enumerate() {
            session.put_documents(name, number, batch).await.expect(OK);
            clean();
        }
    }
    let digests: Vec<Sha256> = backup.files.iter().map(|(record, _)| record.sha256).collect();
    let missing = session.missing(&digests).await;
    clean();
    // What is not missing has to stay, though no row may name it before its record comes.
    for digest in &missing {
        let (_, bytes) = backup.files.iter().find(|(record, _)| record.sha256 == *digest).unwrap();
        session.put_blob(digest, bytes.clone()).await.expect(CREATED);
        clean();
    }
    for (number, batch) in backup.file_batches().iter().enumerate() {
        session.put_batch(&format!("attachments/{number}"), batch).await.expect(OK);
        clean();
    }
    assert_eq!(session.missing(&digests).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_at_any_step_takes_nothing_that_is_needed() {
    // As a test takes what it finds, and as a server sets it aside and brings back what is named again.
    let at_once = CleanOptions::at_once();
    let with_quarantine = CleanOptions { quarantine: CleanOptions::default().quarantine, ..at_once.clone() };
    for clean in [at_once, with_quarantine] {
        clean_up_at_any_step(&clean).await;
    }
}

async fn clean_up_at_any_step(clean: &CleanOptions) {
    for (mode, merged_rows) in [
        (RestoreMode::Full, 100),
        (RestoreMode::Identical, 100),
        (RestoreMode::Update, 100),
        (RestoreMode::Update, 1),
    ] {
        let bench = Bench::with(|config| {
            config.restores.clean = clean.clone();
            config.restores.merged_rows = merged_rows;
            config.restores.at = begin_clean_up;
        })
        .await;
        let ids = ["a", "b", "c", "d"];
        put(&bench, "articles", &[r#"{"_id":"a"}"#, r#"{"_id":"b"}"#, r#"{"_id":"c"}"#]).await;
        for (id, bytes) in [("a", "of now"), ("b", "of both"), ("c", "given up")] {
            bench.put(&attachment_path("articles", id, "f"), bytes).await.expect(CREATED);
        }

        // A backup sees what has gone since, until it has read it.
        let snapshot = bench.snapshot().await;
        clean_up(&bench);
        bench.delete(&document_path("articles", "c")).await.expect(OK);
        clean_up(&bench);
        assert_eq!(bench.lines(&snapshot, "articles").await.iter().filter(|byte| **byte == b'\n').count(), 3);
        clean_up(&bench);
        for bytes in ["of now", "of both", "given up"] {
            let path = format!("/backup/snapshots/{}/blobs/{}", snapshot.id, Sha256::of(bytes.as_bytes()));
            assert_eq!(bench.get(&path).await.expect(OK).body, bytes);
            clean_up(&bench);
        }

        // One file is only on the disk, and another is still to come.
        let lines = [r#"{"_id":"b","n":1}"#, r#"{"_id":"c","n":1}"#, r#"{"_id":"d","n":1}"#];
        let backup = Backup::of(&[("articles", &lines)]).with_file("articles", "b", "f", "of both");
        let backup = backup.with_file("articles", "c", "f", "given up");
        let backup = backup.with_file("articles", "d", "f", "of the backup");
        let session = Session::begin(&bench, &backup.request(mode)).await;
        bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(OK);
        *WATCHED.lock().unwrap() = Some(Arc::clone(&bench.app));
        clean_up(&bench);
        stage_step_by_step(&session, &backup).await;
        let seq = session.preview().await.seq;
        clean_up(&bench);
        session.try_commit(seq, None).await.expect(OK);
        let passed = begun();
        for point in ["staged", "commit-begun", "commit-collection", "commit-end", "commit-done"] {
            assert!(passed.contains(&point), "{point} is not among {passed:?}");
        }
        assert_eq!(passed.contains(&"prepare-documents"), mode == RestoreMode::Update && merged_rows == 1);
        clean_up(&bench);
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let of_a = if mode == RestoreMode::Update { text("of now") } else { None };
        let restored = [of_a, text("of both"), text("given up"), text("of the backup")];
        assert_eq!(files(&bench, &ids).await, restored, "{mode:?}");

        // Back, and forth again.
        let before = [text("of now"), text("of both"), None, None];
        for expected in [before, restored] {
            let points: Vec<RestorePoint> = bench.get("/backup/restore-points").await.expect(OK).data();
            let path = format!("/backup/restore-points/{}", points[0].id);
            clean_up(&bench);
            let preview: RestorePreview = bench.get(&format!("{path}/preview")).await.expect(OK).data();
            clean_up(&bench);
            let consent = CommitRequest {
                seq: preview.seq,
                acknowledge_signed: None,
                acknowledge_files_left_out: None,
            };
            let body = serde_json::to_string(&consent).unwrap();
            bench.post(&format!("{path}/activate"), body).await.expect(OK);
            assert!(begun().contains(&"commit-collection"));
            clean_up(&bench);
            assert_eq!(files(&bench, &ids).await, expected, "{mode:?}");
        }
        *WATCHED.lock().unwrap() = None;
    }
}
