//! The shapes that travel between a DiKAS server and whoever backs it up: paths below `/api/v1`, header names, JSON
//! bodies. Server, browser and command line share these types, so that none can drift.
//!
//! Every JSON answer is an [`Envelope`]. Field names are camelCase; sizes are bytes; moments are RFC 3339 in UTC with
//! whole seconds (`2026-11-23T18:59:41Z`).

pub mod archives;
pub mod restore;

use crate::catalog::{Category, CollectionName};
use crate::damage::{DocumentKey, Missing};
use crate::digest::Sha256;
use crate::error::Error;
use crate::job::Progress;
use serde::{Deserialize, Serialize};

/// On a page of documents: how many lines the body has, in decimal.
pub const DOCUMENTS_HEADER: &str = "dikas-documents";

/// On a page of documents: the `after` of the next page, percent-encoded UTF-8; absent on the last page.
pub const NEXT_HEADER: &str = "dikas-next";

/// On a page of documents, a range of a file, JSON, and on each batch of a restore: CRC-32 (that of ZIP) of the body, 8
/// lower-case hex digits, so that a garbled one is noticed. A page and a batch always have it.
pub const CRC32_HEADER: &str = "dikas-crc32";

/// The media type of documents as JSON lines.
pub const NDJSON: &str = "application/x-ndjson";

/// The frame around every JSON answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Envelope<T> {
    /// What was asked for; null on failure, unless the code promises more.
    pub data: Option<T>,
    /// Whether the call did what it was asked to.
    pub is_success: bool,
    /// One English sentence for people; null on success.
    pub message: Option<String>,
    /// What went wrong, for programs; empty on success.
    #[serde(default)]
    pub errors: Vec<ApiError>,
}

/// One reason for a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiError {
    /// The stable code, kebab-case: `unauthorized`, `forbidden`, `snapshot-gone`, `signed-document`, …
    pub code: String,
    /// What happened, expected and found values included.
    pub message: String,
    /// The field, parameter or document concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Body of `POST /auth/login`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginRequest {
    /// `username` of a document in `users`.
    pub username: String,
    /// The password in clear.
    pub password: String,
    /// What an earlier login on this device answered: no failed logins of strangers make it wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

/// Body of `POST /auth/refresh` and of `POST /auth/logout`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefreshRequest {
    /// What the last login or refresh answered.
    pub refresh_token: String,
}

/// Answer of `POST /auth/login` and `POST /auth/refresh`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tokens {
    /// Bearer token of the following calls.
    pub access_token: String,
    /// Gets new tokens when the access token has run out.
    pub refresh_token: String,
    /// Life of the access token in seconds.
    pub expires_in: u64,
    /// After a login: what tells this device from strangers at its next one, until the password changes. It lets nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

/// Body of `POST /backup/snapshots`; an empty body means everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotRequest {
    /// The categories to back up; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub categories: Option<Vec<Category>>,
    /// Documents that are left out where they, or files of theirs, are damaged. One that is sound is backed up as ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<DocumentKey>,
}

/// Answer of `POST /backup/snapshots`: one moment of the store, kept open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// 128 random bits, as 32 lower-case hex digits.
    pub id: String,
    /// The moment of the view.
    pub created: String,
    /// Whose data it is.
    pub source: SourceInfo,
    /// Every covered collection, empty ones included, in the order of their names as bytes.
    pub collections: Vec<CollectionSummary>,
    /// What is damaged and was left out, as it was asked for, in the order of collection, id and name. Nothing of it is
    /// counted above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

impl Snapshot {
    /// What an archive of it will have at most, in bytes: attachments stay as they are, documents shrink to less than a
    /// quarter, and the manifest has some 500 bytes for each attachment.
    pub fn archive_bytes(&self) -> u64 {
        let sum =
            |of: fn(&CollectionSummary) -> u64| self.collections.iter().map(of).fold(0, u64::saturating_add);
        let documents = sum(|collection| collection.bytes / 4);
        let attachments = sum(|collection| collection.attachment_bytes);
        let records = sum(|collection| collection.attachments.saturating_mul(500));
        (1u64 << 20).saturating_add(documents).saturating_add(attachments).saturating_add(records)
    }
}

/// Whose data it is, and how far it had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceInfo {
    /// 128 random bits that the installation got at its first start, as 32 lower-case hex digits.
    pub installation: String,
    /// Name of the business.
    pub business: String,
    /// Product and version, such as `DiKAS 26.3`.
    pub product: String,
    /// Number of the last write that the view holds.
    pub position: u64,
}

/// What a snapshot holds of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectionSummary {
    /// Its name.
    pub name: CollectionName,
    /// Its category.
    pub category: Category,
    /// How many documents.
    pub documents: u64,
    /// Bytes of all documents as JSON lines, one line feed each included.
    pub bytes: u64,
    /// How many attachments its documents own.
    pub attachments: u64,
    /// Bytes of these attachments, counted once for each of them.
    pub attachment_bytes: u64,
}

/// A file that belongs to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttachmentRecord {
    /// Collection of the owner.
    pub collection: CollectionName,
    /// `_id` of the owner.
    pub id: String,
    /// File name, as the owner has it.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")
    )]
    pub name: String,
    /// Media type, as it was uploaded.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the content; also its address.
    pub sha256: Sha256,
}

/// Answer of `GET /backup/snapshots/{id}/attachments`: records in the order of collection, id and name as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttachmentPage {
    /// At most 1,000 records.
    pub attachments: Vec<AttachmentRecord>,
    /// The `after` of the next page; null on the last. Opaque to the caller.
    pub next: Option<String>,
}

/// A backup that the server makes, or has made, by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupJob {
    /// 128 random bits, as 32 lower-case hex digits.
    pub id: String,
    /// Whether it runs, and how it ended.
    pub state: JobState,
    /// How far it is.
    pub progress: Progress,
    /// What it has made; null until it has finished.
    pub archive: Option<JobArchive>,
    /// Why it failed; null unless it has.
    pub error: Option<Error>,
}

/// How a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobState {
    /// It runs.
    Running,
    /// Its archive is whole, checked, and can be fetched.
    Finished,
    /// It has ended without an archive.
    Failed,
}

/// A finished archive that the server keeps for whoever had it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobArchive {
    /// File name, `.zip` included.
    pub name: String,
    /// The moment of the data.
    pub created: String,
    /// When the archive was finished.
    pub finished: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the whole file.
    pub sha256: Sha256,
    /// How many documents.
    pub documents: u64,
    /// How many attachments.
    pub attachments: u64,
    /// Name of the business.
    pub business: String,
    /// How many parts failed their check after compression and are stored uncompressed.
    pub plain_parts: u64,
    /// How often the job had to start over with a new snapshot.
    pub restarts: u32,
    /// What was damaged and is missing in it, as it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Answer of `POST /backup/jobs/{id}/ticket`: the right to download one file by its address alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ticket {
    /// The `ticket` of the file's query.
    pub ticket: String,
    /// For how long it lets somebody begin a download, in seconds.
    pub expires_in: u64,
}

/// Whether this is an id as the server gives snapshots and jobs: 128 bits as 32 lower-case hex digits.
pub fn is_random_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

/// Whether this is a moment as every answer and every manifest writes it: RFC 3339 in UTC with whole seconds.
pub fn is_moment(text: &str) -> bool {
    let (digits, rest): (Vec<_>, Vec<_>) = text.char_indices().partition(|(_, c)| c.is_ascii_digit());
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u8>().ok());
    let within = |from: usize, least: u8, most: u8| {
        number(from, from + 2).is_some_and(|value| (least..=most).contains(&value))
    };
    digits.len() == 14
        && rest == [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':'), (19, 'Z')]
        && within(5, 1, 12)
        && within(8, 1, 31)
        && within(11, 0, 23)
        && within(14, 0, 59)
        && within(17, 0, 60)
}

#[cfg(test)]
mod tests {
    use super::is_moment;

    #[test]
    fn a_moment_has_one_form() {
        assert!(is_moment("2026-11-23T18:59:41Z") && is_moment("0001-01-31T23:59:60Z"));
        for wrong in [
            "",
            "x",
            "2026-11-23",
            "2026-11-23T18:59:41",
            "2026-11-23T18:59:41+01:00",
            "2026-11-23T18:59:41.5Z",
            "2026-13-23T18:59:41Z",
            "2026-11-00T18:59:41Z",
            "2026-11-23T24:59:41Z",
            "2026-11-23t18:59:41z",
            "٢٠٢٦-11-23T18:59:41Z",
        ] {
            assert!(!is_moment(wrong), "{wrong}");
        }
    }
}
