//! Restores as their callers see them: real batches, real commits, and everything that can be refused.

mod audit;
mod clean;
mod guard;
mod heal;
mod modes;
mod points;
mod random;
mod sessions;
mod staging;
mod users;

use crate::bench::{Answer, Bench};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use dikas_archive::api::restore::{
    AnnouncedAttachments, AnnouncedCollection, ArchiveInfo, Changes, CollectionChanges, CommitRequest,
    RestoreBegun, RestoreMode, RestoreOutcome, RestorePreview, RestoreRequest, SECRET_HEADER,
};
use dikas_archive::api::{AttachmentRecord, CRC32_HEADER, NDJSON, SourceInfo};
use dikas_archive::damage::Missing;
use dikas_archive::digest::Sha256;
use serde_json::Value;
use std::collections::BTreeMap;

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const BAD: StatusCode = StatusCode::BAD_REQUEST;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const GONE: StatusCode = StatusCode::GONE;

/// So many lines each batch has: enough batches for little data.
const LINES: usize = 2;

/// What an archive would hold.
#[derive(Debug, Clone, Default)]
struct Backup {
    /// Batches by collection.
    collections: BTreeMap<String, Vec<String>>,
    files: Vec<(AttachmentRecord, Vec<u8>)>,
    missing: Vec<Missing>,
}

impl Backup {
    fn of(collections: &[(&str, &[&str])]) -> Self {
        let batches = |lines: &&[&str]| lines.chunks(LINES).map(|batch| batch.join("\n") + "\n").collect();
        let collections =
            collections.iter().map(|(name, lines)| ((*name).to_owned(), batches(lines))).collect();
        Self { collections, ..Self::default() }
    }

    fn with_file(mut self, collection: &str, id: &str, name: &str, bytes: &str) -> Self {
        let record = AttachmentRecord {
            collection: collection.parse().unwrap(),
            id: id.to_owned(),
            name: name.to_owned(),
            media_type: "text/plain".to_owned(),
            size: bytes.len() as u64,
            sha256: Sha256::of(bytes.as_bytes()),
        };
        self.files.push((record, bytes.as_bytes().to_vec()));
        self
    }

    fn request(&self, mode: RestoreMode) -> RestoreRequest {
        let collections = self.collections.iter().map(|(name, batches)| {
            let all = batches.concat();
            AnnouncedCollection {
                name: name.parse().unwrap(),
                documents: all.lines().count() as u64,
                bytes: all.len() as u64,
                batches: batches.len() as u64,
                sha256: Sha256::of(all.as_bytes()),
            }
        });
        let (name, created) = ("dikas_20261123_040000.zip".to_owned(), "2026-11-23T04:00:00Z".to_owned());
        let archive = ArchiveInfo { name, size: 1, sha256: None, created: Some(created), source: None };
        RestoreRequest {
            key: None,
            archive,
            // The archive does not say whose it is.
            business_name: Some("DiKAS".to_owned()),
            mode,
            collections: collections.collect(),
            attachments: AnnouncedAttachments {
                attachments: self.files.len() as u64,
                bytes: self.files.iter().map(|(record, _)| record.size).sum(),
                batches: self.file_batches().len() as u64,
                sha256: Sha256::of(self.file_batches().concat().as_bytes()),
                left_out: 0,
            },
            missing: self.missing.clone(),
        }
    }

    fn file_batches(&self) -> Vec<String> {
        let line = |(record, _): &(AttachmentRecord, _)| serde_json::to_string(record).unwrap() + "\n";
        self.files.chunks(LINES).map(|batch| batch.iter().map(line).collect()).collect()
    }
}

/// A session of the bench's admin.
struct Session<'a> {
    bench: &'a Bench,
    id: String,
    secret: String,
}

impl<'a> Session<'a> {
    async fn begin(bench: &'a Bench, request: &RestoreRequest) -> Self {
        let begun: RestoreBegun = try_begin(bench, request).await.expect(CREATED).data();
        Self { bench, id: begun.id, secret: begun.secret }
    }

    /// Begins, and stages everything.
    async fn staged(bench: &'a Bench, backup: &Backup, mode: RestoreMode) -> Self {
        let session = Self::begin(bench, &backup.request(mode)).await;
        session.stage(backup).await;
        session
    }

    async fn stage(&self, backup: &Backup) {
        for (name, batches) in &backup.collections {
            for (number, batch) in batches.iter().enumerate() {
                self.put_documents(name, number, batch).await.expect(OK);
            }
        }
        for (number, batch) in backup.file_batches().iter().enumerate() {
            self.put_batch(&format!("attachments/{number}"), batch).await.expect(OK);
        }
        let digests: Vec<Sha256> = backup.files.iter().map(|(record, _)| record.sha256).collect();
        for digest in self.missing(&digests).await {
            let (_, bytes) = backup.files.iter().find(|(record, _)| record.sha256 == digest).unwrap();
            self.put_blob(&digest, bytes.clone()).await.expect(CREATED);
        }
    }

    async fn put_documents(&self, collection: &str, number: usize, batch: &str) -> Answer {
        self.put_batch(&format!("documents/{collection}/{number}"), batch).await
    }

    async fn put_batch(&self, path: &str, batch: &str) -> Answer {
        self.put_batch_with(path, batch, &format!("{:08x}", crc32fast::hash(batch.as_bytes()))).await
    }

    async fn put_batch_with(&self, path: &str, batch: &str, crc32: &str) -> Answer {
        let request = Request::put(format!("/api/v1/backup/restores/{}/{path}", self.id))
            .header("authorization", format!("Bearer {}", self.bench.admin))
            .header(
                "content-type",
                if path.starts_with("blobs") { "application/octet-stream" } else { NDJSON },
            )
            .header(CRC32_HEADER, crc32);
        self.bench.send(request.body(Body::from(batch.to_owned())).unwrap()).await
    }

    async fn missing(&self, digests: &[Sha256]) -> Vec<Sha256> {
        let body = serde_json::json!({ "sha256": digests }).to_string();
        let answer = self.call(Method::POST, "blobs/missing", body).await.expect(OK);
        serde_json::from_value(answer.data::<Value>()["missing"].clone()).unwrap()
    }

    async fn put_blob(&self, digest: &Sha256, bytes: Vec<u8>) -> Answer {
        let path = format!("/backup/restores/{}/blobs/{digest}", self.id);
        self.bench.put(&path, bytes).await
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Answer {
        let path = format!("/backup/restores/{}/{path}", self.id);
        self.bench.call(method, path.trim_end_matches('/'), Some(&self.bench.admin), body).await
    }

    async fn try_preview(&self) -> Answer {
        self.call(Method::GET, "preview", String::new()).await
    }

    async fn preview(&self) -> RestorePreview {
        self.try_preview().await.expect(OK).data()
    }

    async fn try_commit(&self, seq: u64, acknowledge_signed: Option<u64>) -> Answer {
        let request = CommitRequest { seq, acknowledge_signed, acknowledge_files_left_out: None };
        self.call(Method::POST, "commit", serde_json::to_string(&request).unwrap()).await
    }

    /// Previews and commits.
    async fn commit(&self) -> RestoreOutcome {
        let seq = self.preview().await.seq;
        self.try_commit(seq, None).await.expect(OK).data()
    }

    /// How the session is doing, with its secret alone.
    async fn state(&self, secret: &str) -> Answer {
        let request =
            Request::get(format!("/api/v1/backup/restores/{}", self.id)).header(SECRET_HEADER, secret);
        self.bench.send(request.body(Body::empty()).unwrap()).await
    }
}

async fn try_begin(bench: &Bench, request: &RestoreRequest) -> Answer {
    bench.post("/backup/restores", serde_json::to_string(request).unwrap()).await
}

/// Restores a backup.
async fn restore(bench: &Bench, backup: &Backup, mode: RestoreMode) -> RestoreOutcome {
    Session::staged(bench, backup, mode).await.commit().await
}

/// Puts documents in as a till does.
async fn put(bench: &Bench, collection: &str, lines: &[&str]) {
    bench.post(&format!("/documents/{collection}"), lines.join("\n")).await.expect(OK);
}

/// The documents of a collection, line by line.
async fn live(bench: &Bench, collection: &str) -> Vec<String> {
    let snapshot = bench.snapshot().await;
    let lines = bench.lines(&snapshot, collection).await;
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(OK);
    String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect()
}

/// The preview that comes with a failure.
fn fresh(answer: &Answer, code: &str) -> RestorePreview {
    assert_eq!(answer.status, CONFLICT);
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&envelope["isSuccess"], &envelope["errors"][0]["code"]), (&false.into(), &code.into()));
    serde_json::from_value(envelope["data"].clone()).unwrap()
}

fn changes_of<'a>(all: &'a [CollectionChanges], name: &str) -> &'a CollectionChanges {
    all.iter().find(|changes| changes.name.as_str() == name).unwrap()
}

/// New, changed, the same, dropped, kept.
fn counts(changes: Changes) -> [u64; 5] {
    [changes.new, changes.changed, changes.same, changes.dropped, changes.kept]
}

/// Whose backup it is, where that matters.
fn source(installation: &str) -> SourceInfo {
    let installation = installation.to_owned();
    SourceInfo {
        installation,
        business: "Zum Hirschen".to_owned(),
        product: "DiKAS 26.3".to_owned(),
        position: 7,
    }
}
