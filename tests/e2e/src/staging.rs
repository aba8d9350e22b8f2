//! A restore as the API describes it, written out by hand: batches, blobs, preview, commit.

use crate::api::{Api, try_send};
use dikas_archive::api::restore::{
    AnnouncedAttachments, AnnouncedCollection, ArchiveInfo, BATCH_BYTES, BATCH_LINES, CommitRequest,
    ForeignBackup, RestoreBegun, RestoreMode, RestoreOutcome, RestorePreview, RestoreRequest, RestoreSession,
    SECRET_HEADER,
};
use dikas_archive::api::{AttachmentRecord, CRC32_HEADER, Envelope, NDJSON};
use dikas_archive::digest::Sha256;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;

/// What an archive would hold.
#[derive(Debug, Clone, Default)]
pub struct Backup {
    /// JSON lines by collection.
    pub lines: BTreeMap<String, Vec<u8>>,
    /// Records, and the bytes of each digest.
    pub files: (Vec<AttachmentRecord>, BTreeMap<Sha256, Vec<u8>>),
}

impl Backup {
    fn batches(&self, collection: &str) -> Vec<Vec<u8>> {
        cut(&self.lines[collection])
    }

    fn records(&self) -> Vec<Vec<u8>> {
        let lines = self.files.0.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
        cut(lines.collect::<String>().as_bytes())
    }

    fn request(&self, mode: RestoreMode) -> RestoreRequest {
        let collections = self.lines.iter().map(|(name, lines)| AnnouncedCollection {
            name: name.parse().unwrap(),
            documents: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
            bytes: lines.len() as u64,
            batches: self.batches(name).len() as u64,
            sha256: Sha256::of(lines),
        });
        let records = self.records();
        RestoreRequest {
            key: None,
            archive: ArchiveInfo {
                name: "x.zip".to_owned(),
                size: 1,
                sha256: None,
                created: None,
                source: None,
            },
            business_name: None,
            mode,
            collections: collections.collect(),
            attachments: AnnouncedAttachments {
                attachments: self.files.0.len() as u64,
                bytes: self.files.0.iter().map(|record| record.size).sum(),
                batches: records.len() as u64,
                sha256: Sha256::of(&records.concat()),
                left_out: 0,
            },
            missing: Vec::new(),
        }
    }
}

/// The batches of these lines.
fn cut(lines: &[u8]) -> Vec<Vec<u8>> {
    let mut batches: Vec<(Vec<u8>, usize)> = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match batches.last_mut() {
            Some((batch, count)) if batch.len() + line.len() <= BATCH_BYTES && *count < BATCH_LINES => {
                batch.extend_from_slice(line);
                *count += 1;
            }
            _ => batches.push((line.to_vec(), 1)),
        }
    }
    batches.into_iter().map(|(batch, _)| batch).collect()
}

/// A restore session. Every call answers none where the server went away.
#[derive(Debug, Clone)]
pub struct Staging {
    api: Api,
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// The media type of a question.
const JSON: &str = "application/json";

impl Staging {
    /// Opens a session and stages everything.
    pub async fn stage(api: &Api, backup: &Backup, mode: RestoreMode) -> Option<Self> {
        let session = Self::begin(api, backup, mode).await?;
        session.put(backup).await?;
        Some(session)
    }

    /// Opens a session.
    pub async fn begin(api: &Api, backup: &Backup, mode: RestoreMode) -> Option<Self> {
        let mut request = backup.request(mode);
        let send = |request: &RestoreRequest| {
            let body = serde_json::to_string(request).unwrap();
            try_send(api.request(Method::POST, "/backup/restores").header("content-type", JSON).body(body))
        };
        let mut answer = send(&request).await?;
        // The archive does not say whose it is: the server asks for its own name.
        if answer.0 == StatusCode::CONFLICT {
            let names: Envelope<ForeignBackup> = serde_json::from_slice(&answer.1).unwrap();
            request.business_name = names.data.map(|names| names.here);
            answer = send(&request).await?;
        }
        let begun: RestoreBegun = data(answer, StatusCode::CREATED);
        Some(Self { api: api.clone(), id: begun.id, secret: begun.secret })
    }

    /// Stages everything.
    pub async fn put(&self, backup: &Backup) -> Option<()> {
        for name in backup.lines.keys() {
            for (number, batch) in backup.batches(name).into_iter().enumerate() {
                self.put_batch(&format!("documents/{name}/{number}"), batch).await?;
            }
        }
        for (number, batch) in backup.records().into_iter().enumerate() {
            self.put_batch(&format!("attachments/{number}"), batch).await?;
        }
        let (records, bytes) = &backup.files;
        let digests: Vec<Sha256> = records.iter().map(|record| record.sha256).collect();
        let question = json!({ "sha256": digests }).to_string();
        let request = self.request(Method::POST, "blobs/missing").header("content-type", JSON);
        let answer = try_send(request.body(question)).await?;
        let missing: dikas_archive::api::restore::MissingBlobs = data(answer, StatusCode::OK);
        for digest in missing.missing {
            let request = self.request(Method::PUT, &format!("blobs/{digest}"));
            let request = request.header("content-type", "application/octet-stream");
            let (status, _) = try_send(request.body(bytes[&digest].clone())).await?;
            assert_eq!(status, StatusCode::CREATED);
        }
        Some(())
    }

    async fn put_batch(&self, path: &str, batch: Vec<u8>) -> Option<()> {
        let crc32 = format!("{:08x}", crc32fast::hash(&batch));
        let request = self.request(Method::PUT, path).header("content-type", NDJSON);
        let answer = try_send(request.header(CRC32_HEADER, crc32).body(batch)).await?;
        data::<serde_json::Value>(answer, StatusCode::OK);
        Some(())
    }

    /// What would change.
    pub async fn preview(&self) -> Option<RestorePreview> {
        Some(data(try_send(self.request(Method::GET, "preview")).await?, StatusCode::OK))
    }

    /// Makes it live, acknowledging what the preview says.
    pub async fn commit(&self, preview: &RestorePreview) -> Option<RestoreOutcome> {
        let acknowledge_signed = Some(preview.signed_loss);
        let body = serde_json::to_string(&CommitRequest {
            seq: preview.seq,
            acknowledge_signed,
            acknowledge_files_left_out: None,
        })
        .unwrap();
        let request = self.request(Method::POST, "commit").header("content-type", JSON).body(body);
        Some(data(try_send(request).await?, StatusCode::OK))
    }

    /// How it is doing, or how it ended.
    pub async fn state(&self) -> RestoreSession {
        let request = self.request(Method::GET, "").header(SECRET_HEADER, &self.secret);
        data(try_send(request).await.unwrap(), StatusCode::OK)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = format!("/backup/restores/{}/{path}", self.id);
        self.api.request(method, path.trim_end_matches('/'))
    }
}

#[track_caller]
fn data<T: DeserializeOwned>((status, body): (StatusCode, Vec<u8>), expected: StatusCode) -> T {
    assert_eq!(status, expected, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice::<Envelope<T>>(&body).expect("the API's frame").data.expect("data")
}
