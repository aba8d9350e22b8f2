//! The shapes of restores: a session with staged data, its preview, its commit, and what remains of it.

use crate::api::SourceInfo;
use crate::catalog::{Category, CollectionName};
use crate::damage::{Missing, is_zero};
use crate::digest::Sha256;
use serde::{Deserialize, Serialize};

/// On `GET /backup/restores/{id}`: the secret of the session, in the place of a login.
pub const SECRET_HEADER: &str = "dikas-restore-secret";

/// The most bytes of JSON lines in one batch, unless it is a single line that has more.
pub const BATCH_BYTES: usize = 4 << 20;

/// The most lines in one batch.
pub const BATCH_LINES: usize = 4_000;

/// The most bytes of one piece of a file that does not come whole.
pub const PIECE_BYTES: usize = 8 << 20;

/// So many files can be on their way in pieces at once.
pub const FILES_IN_PIECES: usize = 8;

/// The most digests in one question for missing blobs.
pub const MISSING_BLOBS: usize = 10_000;

/// Body of `POST /backup/restores`: whose data comes, and exactly what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreRequest {
    /// 32 random lower-case hex digits. A request whose answer got lost can be sent again with the same key, and finds
    /// its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9a-f]{32}$"))]
    pub key: Option<String>,
    /// The archive, for the audit.
    pub archive: ArchiveInfo,
    /// The business name of the backup, as a person typed it: needed where it is of another installation. Where the
    /// archive does not say which it is of, that of the installation that it shall be restored into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_name: Option<String>,
    /// What becomes of the documents that are there.
    pub mode: RestoreMode,
    /// Every collection that the restore is about, empty ones included, in the order of their names as bytes.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub collections: Vec<AnnouncedCollection>,
    /// The attachments of their documents.
    pub attachments: AnnouncedAttachments,
    /// What the backup says is missing in it. The live document, or its file, stays as it is, in every mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Which backup it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArchiveInfo {
    /// File name.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 255))]
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the whole file, where it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// The moment of the data; null where the archive has no manifest.
    pub created: Option<String>,
    /// Whose data it is; null where the archive has no manifest.
    pub source: Option<SourceInfo>,
}

impl ArchiveInfo {
    /// Whose data it is, where the archive says so in full.
    pub fn origin(&self) -> Option<&SourceInfo> {
        let says = |source: &&SourceInfo| {
            !source.installation.trim().is_empty() && !source.business.trim().is_empty()
        };
        self.source.as_ref().filter(says)
    }
}

/// What a restore makes of the documents that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreMode {
    /// The collections become what the backup holds, signed ones too.
    Full,
    /// The chosen collections become what the backup holds; signed ones only gain documents.
    Identical,
    /// Documents of the backup are added or take the place of those with their ids; all others stay. Signed collections
    /// only gain documents.
    Update,
}

/// What will be staged of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnnouncedCollection {
    /// Its name.
    pub name: CollectionName,
    /// How many documents.
    pub documents: u64,
    /// Bytes of the bodies of all batches.
    pub bytes: u64,
    /// How many batches.
    pub batches: u64,
    /// Digest of the bodies of all batches, one after the other: JSON lines, line feeds included.
    pub sha256: Sha256,
}

/// What will be staged of attachment records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnnouncedAttachments {
    /// How many attachments.
    pub attachments: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// How many batches of records.
    pub batches: u64,
    /// Digest of the bodies of all batches, one after the other: a record per line, line feeds included.
    pub sha256: Sha256,
    /// How many files of the archive are not among them though they concern the restore: damaged, without their
    /// document, or not understood. A commit has to state this number. Absent where it is 0: servers
    /// of version 0.1.0 do not know it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// Answer of `POST /backup/restores`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreBegun {
    /// 128 random bits, as 32 lower-case hex digits.
    pub id: String,
    /// As many, for [`SECRET_HEADER`].
    pub secret: String,
    /// When it ends at the latest.
    pub expires: String,
    /// After how many seconds without a call it ends earlier.
    pub idle_seconds: u64,
}

/// What one batch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchStaged {
    /// How many batches of this collection are staged now.
    pub batches: u64,
    /// How many documents or records they have.
    pub lines: u64,
}

/// Body of `POST /backup/restores/{id}/blobs/missing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlobsQuestion {
    /// At most [`MISSING_BLOBS`] digests.
    pub sha256: Vec<Sha256>,
}

/// Answer to [`BlobsQuestion`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MissingBlobs {
    /// Those of the digests whose bytes the server does not have, in the order in which it was asked.
    pub missing: Vec<Sha256>,
}

/// What a restore or an undo would change: staged against live, at one position of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestorePreview {
    /// The position that it is of; a commit sends it back.
    pub seq: u64,
    /// What becomes of each collection that it is about, in the order of their names as bytes.
    pub collections: Vec<CollectionChanges>,
    /// Collections that have documents and stay as they are, because the backup does not cover them or nobody chose
    /// them.
    pub untouched: Vec<UntouchedCollection>,
    /// How many signed documents would be dropped or changed, they or their files. A commit has to state this number.
    pub signed_loss: u64,
    /// How many files of the backup would not be restored. A commit has to state this number.
    #[serde(default)]
    pub files_left_out: u64,
    /// What a person should think about first.
    pub warnings: Vec<RestoreWarning>,
}

/// What becomes of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectionChanges {
    /// Its name.
    pub name: CollectionName,
    /// Its category.
    pub category: Category,
    /// Its documents.
    pub documents: Changes,
    /// Their attachments.
    pub attachments: Changes,
    /// Bytes of the documents that the backup or restore point holds, as JSON lines.
    pub bytes: u64,
    /// How many signed documents would be dropped or changed, they or their files.
    pub signed_loss: u64,
}

/// What becomes of documents or attachments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changes {
    /// Only the backup has them: they are added.
    pub new: u64,
    /// Both have them, with other bytes: those of the backup count.
    pub changed: u64,
    /// Both have them, with the same bytes.
    pub same: u64,
    /// They exist only now, and go.
    pub dropped: u64,
    /// They exist only now, or with other bytes, and stay: they are signed, are counters that stand higher, or the
    /// mode is to add and update.
    pub kept: u64,
}

/// A collection that a restore does not touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UntouchedCollection {
    /// Its name.
    pub name: CollectionName,
    /// Its category.
    pub category: Category,
    /// How many documents it has.
    pub documents: u64,
}

/// What a person should know before a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreWarning {
    /// Orders that are closed now would be open again, and their tables with them.
    OpenOrders {
        /// How many.
        orders: u64,
    },
    /// Vouchers would be worth more than now: what was redeemed since would be valid again.
    Vouchers {
        /// How many.
        vouchers: u64,
        /// How much more, in cents.
        cents: u64,
    },
    /// Balances of customers would change.
    Balances {
        /// How many.
        customers: u64,
        /// What some would gain, in cents.
        raised: u64,
        /// What others would lose, in cents.
        lowered: u64,
    },
    /// Documents, or files of theirs, are missing in the backup, because they were damaged when it was made.
    Missing {
        /// How many.
        missing: u64,
        /// How many of these are there now, and stay as they are.
        kept: u64,
    },
    /// Users change: every login ends with the commit, and all must log in again.
    LoginsEnd,
    /// No admin could log in afterwards: the users of now are kept.
    UsersKept,
}

/// Body of `POST /backup/restores/{id}/commit` and `POST /backup/restore-points/{id}/activate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitRequest {
    /// [`RestorePreview::seq`] of the preview that a person has seen.
    pub seq: u64,
    /// [`RestorePreview::signed_loss`], where that is not 0 and a person agreed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_signed: Option<u64>,
    /// [`RestorePreview::files_left_out`], where that is not 0 and a person agreed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_files_left_out: Option<u64>,
}

/// What a commit or an undo has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreOutcome {
    /// When.
    pub committed: String,
    /// The position of the store that it made.
    pub seq: u64,
    /// The restore point with the state from before; null where nothing changed.
    pub restore_point: Option<String>,
    /// What became of each collection.
    pub collections: Vec<CollectionChanges>,
    /// How many signed documents were dropped or changed, as acknowledged.
    pub signed_loss: u64,
    /// How many files of the backup were not restored, as acknowledged.
    #[serde(default)]
    pub files_left_out: u64,
    /// Whether every login of before has ended.
    pub logins_ended: bool,
    /// Whether the users of before were kept, because no admin could have logged in.
    pub users_kept: bool,
}

/// Answer of `GET /backup/restores/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreSession {
    /// Its id.
    pub id: String,
    /// Whether it is open, and how it ended.
    pub state: RestoreState,
    /// The name of the user who opened it.
    pub user: String,
    /// When it was opened.
    pub begun: String,
    /// When it ended; null while it is open.
    pub ended: Option<String>,
    /// What becomes of the documents that are there.
    pub mode: RestoreMode,
    /// How much of each collection is staged; empty once it has ended.
    pub staged: Vec<StagedCollection>,
    /// How many batches of attachment records are staged.
    pub attachment_batches: u64,
    /// What the commit has done; null unless there was one.
    pub outcome: Option<RestoreOutcome>,
}

/// How a restore session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreState {
    /// It takes batches, and can be committed.
    Open,
    /// Its data is live.
    Committed,
    /// Somebody ended it; nothing has changed.
    Aborted,
    /// Nobody called for too long, or it took too long; nothing has changed.
    Expired,
    /// The server ended before it did; nothing has changed.
    Interrupted,
}

/// How much of a collection is staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StagedCollection {
    /// Its name.
    pub name: CollectionName,
    /// How many batches; also the number of the next.
    pub batches: u64,
    /// How many documents.
    pub documents: u64,
}

/// A restore that is under way; the `data` of the failure `restore-running`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningRestore {
    /// Its id, with which an admin can abort it.
    pub id: String,
    /// The name of the user who opened it.
    pub user: String,
    /// When it was opened.
    pub begun: String,
    /// When somebody last called it.
    pub called: String,
}

/// The `data` of the failures `foreign-backup` and `unknown-origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForeignBackup {
    /// The business name of the backup, which has to be typed; null where the backup does not say it.
    pub backup: Option<String>,
    /// The business name of this installation, which has to be typed where the backup does not say whose it is.
    pub here: String,
}

impl ForeignBackup {
    /// The name that has to be typed.
    pub fn to_type(&self) -> &str {
        self.backup.as_deref().unwrap_or(&self.here)
    }
}

/// Answer of `POST /backup/restores/{id}/pause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pause {
    /// For how many seconds more nobody can write, unless the session ends before.
    pub seconds: u64,
}

/// The state from before a restore or an undo, which can be made live again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestorePoint {
    /// 128 random bits, as 32 lower-case hex digits.
    pub id: String,
    /// The moment of the restore or undo that it is from before.
    pub created: String,
    /// The name of the user who did that.
    pub user: String,
    /// What that was.
    pub action: AuditAction,
    /// What was restored; null for an undo.
    pub archive: Option<ArchiveInfo>,
    /// The collections that were changed.
    pub collections: Vec<CollectionName>,
}

/// One line of the record that no restore erases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Counts up from 1.
    pub number: u64,
    /// When it ended.
    pub at: String,
    /// The name of the user or backup token.
    pub who: String,
    /// What was done.
    pub action: AuditAction,
    /// How it ended.
    pub end: AuditEnd,
    /// The archive, as far as it is known.
    pub archive: Option<ArchiveInfo>,
    /// What became of the documents that were there; null for a backup.
    pub mode: Option<RestoreMode>,
    /// The collections concerned.
    pub collections: Vec<CollectionName>,
    /// How many signed documents were dropped or changed, as acknowledged.
    pub signed_loss: u64,
    /// How many files of the archive were not restored, as acknowledged.
    #[serde(default)]
    pub files_left_out: u64,
    /// What the backup lacks, because it was damaged and somebody said to go on without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// Why it failed; null unless it has.
    pub error: Option<String>,
    /// What was done to it: the user, backup token or archive; null where that goes without saying.
    #[serde(default)]
    pub subject: Option<String>,
    /// What has changed of a user; null where nothing has that matters for a login.
    #[serde(default)]
    pub detail: Option<String>,
    /// The address of the client, for logins.
    #[serde(default)]
    pub address: Option<String>,
    /// How many failed logins this entry stands for; null for everything else.
    #[serde(default)]
    pub times: Option<u64>,
}

impl AuditEntry {
    /// An entry that says no more than this; the record gives it its number.
    pub fn new(at: String, who: String, action: AuditAction, end: AuditEnd) -> Self {
        Self {
            number: 0,
            at,
            who,
            action,
            end,
            archive: None,
            mode: None,
            collections: Vec::new(),
            signed_loss: 0,
            files_left_out: 0,
            missing: Vec::new(),
            error: None,
            subject: None,
            detail: None,
            address: None,
            times: None,
        }
    }

    /// The same about this.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditAction {
    /// A snapshot was opened, to make a backup elsewhere.
    Snapshot,
    /// The server made a backup.
    Backup,
    /// A backup was restored.
    Restore,
    /// A restore point was made live.
    Undo,
    /// An archive was fetched, or pieces of it: those within an hour of each other are one entry.
    ArchiveDownload,
    /// A person removed an archive.
    ArchiveDelete,
    /// A backup token was made.
    TokenCreate,
    /// A backup token was revoked.
    TokenRevoke,
    /// A user was added.
    UserCreate,
    /// A user was changed.
    UserChange,
    /// A user was deleted.
    UserDelete,
    /// A login began; or failed, so many times within a minute.
    Login,
    /// A login was ended by its user.
    Logout,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditEnd {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// Somebody ended it; nothing has changed.
    Aborted,
    /// It took too long; nothing has changed.
    Expired,
    /// The server ended before it did; nothing has changed.
    Interrupted,
}

/// Answer of `GET /audit`, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// At most 1,000 entries.
    pub entries: Vec<AuditEntry>,
    /// The `before` of the next page; null on the last.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_says_nothing_new_is_understood_by_servers_of_before() {
        let sha256 = Sha256::of(b"");
        let announced = AnnouncedAttachments { attachments: 0, bytes: 0, batches: 0, sha256, left_out: 0 };
        let json = serde_json::to_value(&announced).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["attachments", "batches", "bytes", "sha256"]);
        let some = serde_json::to_value(AnnouncedAttachments { left_out: 2, ..announced }).unwrap();
        assert_eq!(some["leftOut"], 2);
        let commit = CommitRequest { seq: 1, acknowledge_signed: None, acknowledge_files_left_out: None };
        assert_eq!(serde_json::to_string(&commit).unwrap(), r#"{"seq":1}"#);
    }
}
