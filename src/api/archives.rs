//! The shapes of backups and restores without a browser: tokens for those who fetch backups, what a server shall back up, the
//! archives that it keeps in its backup folder, the schedule by which it makes them, and how it restores a file.

use crate::api::restore::{RestoreOutcome, RestorePreview};
use crate::catalog::Category;
use crate::damage::DocumentKey;
use crate::digest::Sha256;
use crate::error::Error;
use crate::job::Progress;
use serde::{Deserialize, Serialize};

/// Body of `POST /auth/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenRequest {
    /// What a person calls it: 1 to 100 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100, pattern = "[^\\s]"))]
    pub name: String,
}

/// A long-lived token for backups, as lists show it: without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupToken {
    /// Names the token in lists and for deletion.
    pub id: String,
    /// What a person called it.
    pub name: String,
    /// When it was made.
    pub created: String,
    /// The user who made it.
    pub created_by: String,
    /// When it was last used, to the minute; null if never.
    pub last_used: Option<String>,
}

/// Answer of `POST /auth/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// The token itself. It is shown here and never again.
    pub token: String,
    /// What lists show of it.
    #[serde(flatten)]
    pub about: BackupToken,
}

/// Body of `POST /backup/create` and `POST /backup/jobs`: categories or a snapshot; an empty body means everything, as it is
/// now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupRequest {
    /// The categories to back up, as they are now; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub categories: Option<Vec<Category>>,
    /// Id of an open snapshot: the archive is of its moment and of what it covers. It stays open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Documents that are left out where they, or files of theirs, are damaged. One that is sound is backed up as ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<DocumentKey>,
}

/// An archive in the server's backup folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredArchive {
    /// Names it in paths: 32 lower-case hex digits, the same for as long as it lies there.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The moment of its data; where nothing tells it, when the file was last written.
    pub created: String,
    /// Digest that the whole file has to have; null for one that the server neither wrote nor verified.
    pub sha256: Option<Sha256>,
    /// How many documents; null where nothing tells.
    pub documents: Option<u64>,
    /// How many attachments; null where nothing tells.
    pub attachments: Option<u64>,
    /// Name of the business; null where nothing tells.
    pub business: Option<String>,
    /// Whether its bytes were compared with what they should be.
    pub check: ArchiveCheck,
    /// Why the schedule keeps it. Empty for what it would remove after a run that was due, for what is damaged, for what it did
    /// not make, and for what is dated in the future. What is from before a pause of 45 days, after which the clock may have
    /// jumped ahead, stays without a reason of its own.
    pub kept_for: Vec<KeptFor>,
    /// Whether its data are of a moment that has not come yet: a clock was wrong when it was made, or is wrong now. It takes the
    /// place of no other archive, and the schedule never removes it.
    pub in_future: bool,
}

/// What the last comparison of an archive's bytes with what they should be has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ArchiveCheck {
    /// There was none.
    Unchecked,
    /// All of it is as it should be.
    Sound {
        /// When it was found so.
        at: String,
    },
    /// Something is not.
    Damaged {
        /// When it was found so.
        at: String,
        /// How many things.
        problems: u64,
        /// The first of them, in a sentence.
        first: String,
    },
}

/// A reason to keep an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum KeptFor {
    /// It is the newest that is good, the newest in which nothing is missing, or the newest that is known to be sound.
    Newest,
    /// It is the last of its day.
    Day,
    /// It is the last of its week, from Monday to Sunday.
    Week,
    /// It is the last of its month.
    Month,
    /// Nothing else keeps it, but it is younger than 48 hours.
    Recent,
}

/// A line of the answer to `POST /backup/archives/{id}/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CheckEvent {
    /// So far it is.
    Progress {
        /// Bytes that were read.
        bytes: u64,
        /// Twice the size of the archive: it is read once for its digest, and once entry by entry.
        total: u64,
    },
    /// The last line where the archive was read to its end.
    Done {
        /// The archive, as the list has it from now on.
        archive: StoredArchive,
    },
    /// The last line where it was not.
    Failed {
        /// Why.
        error: Error,
    },
}

/// A line of the answer to `POST /backup/restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreEvent {
    /// So far it is.
    Progress(Progress),
    /// This will change; it comes again where the live data has changed meanwhile.
    Preview {
        /// What.
        preview: RestorePreview,
    },
    /// The last line where all of it is live.
    Done {
        /// What has changed.
        outcome: RestoreOutcome,
    },
    /// The last line of a dry run: nothing has changed.
    Aborted,
    /// The last line where something went wrong: nothing has changed.
    Failed {
        /// What.
        error: Error,
    },
}

/// Answer of `POST /backup/restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileRestored {
    /// What would change, by the last comparison before the commit.
    pub preview: RestorePreview,
    /// What has changed; null after a dry run, which changes nothing.
    pub outcome: Option<RestoreOutcome>,
    /// The files of the archive that are not restored, each with the reason; the first thousand.
    #[serde(default)]
    pub left_out: Vec<Error>,
}

/// Answer of `GET /backup/schedule`: what the server does by itself, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleState {
    /// What is configured; null where nothing is.
    pub schedule: Option<Schedule>,
    /// The run under way; null where there is none.
    pub running: Option<Progress>,
    /// When the next run is due; null where there is no schedule, or it never comes.
    pub next: Option<String>,
    /// The last run, however it ended; null before the first.
    pub last_attempt: Option<Attempt>,
    /// The last run that made a good archive; null before the first.
    pub last_success: Option<Attempt>,
    /// Free bytes where the archives lie; null where the folder cannot be asked.
    pub free_bytes: Option<u64>,
}

/// A schedule, as the configuration states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// A cron expression of five fields.
    pub when: String,
    /// The time zone it is meant in, as the IANA names it.
    pub zone: String,
    /// The folder of the archives.
    pub folder: String,
    /// How many archives stay.
    pub keep: Keep,
    /// Whether each archive is read back from the disk once it has its name.
    pub verify: bool,
}

/// How many archives stay: the last of each of so many days, weeks and months that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Keep {
    /// Of so many days.
    pub daily: u32,
    /// Of so many weeks.
    pub weekly: u32,
    /// Of so many months.
    pub monthly: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { daily: 7, weekly: 4, monthly: 12 }
    }
}

/// A run of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// Why it began.
    pub trigger: Trigger,
    /// When it began.
    pub began: String,
    /// When it ended.
    pub ended: String,
    /// File name of its archive; null where it made none.
    pub archive: Option<String>,
    /// Size of the archive in bytes; null where it made none.
    pub size: Option<u64>,
    /// Names of the archives that it removed.
    pub removed: Vec<String>,
    /// What went wrong; null where nothing did.
    pub error: Option<Error>,
    /// What the hook that tells of a failure had to say for itself where it failed too.
    pub hook_error: Option<String>,
}

/// Why a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "by", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Trigger {
    /// It was due.
    Schedule {
        /// When.
        due: String,
    },
    /// It had been due while the server could not make it.
    CatchUp {
        /// When the last one that was missed was due.
        due: String,
    },
    /// An admin asked for it.
    Person {
        /// Its name.
        name: String,
    },
}
