//! What a page and the worker of a job say to each other, as JSON: a [`Command`] is named by its one key, or is a string
//! where nothing more is to be said (that takes the least code to read); an [`Event`] has a `type`. A command that needs a
//! file has it beside it in the message, as an event that hands one over does: `{command, file}`, `{event, file}`.
//!
//! `www/engine/protocol.d.ts` is generated from here. A worker does one job: its first command is the job, later ones
//! answer or cancel it.

use crate::api::restore::{
    ForeignBackup, RestoreMode, RestoreOutcome, RestorePoint, RestorePreview, RestoreState, RunningRestore,
};
use crate::api::{CollectionSummary, SourceInfo};
use crate::catalog::Category;
use crate::damage::{DocumentKey, Missing};
use crate::digest::Sha256;
use crate::error::Error;
use crate::inspect::Place as DocumentPlace;
use crate::inspect::compare::Change;
use crate::job::Progress;
use crate::reader::AttachmentInfo;
use serde::{Deserialize, Serialize};

mod inspect;

pub use inspect::{
    Column, ColumnKind, Compared, ExportFormat, Found, Hit, InspectCommand, ManifestHead, RemoteFile,
    RowCells, RowText, Summary,
};

/// What the page asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    /// Make a backup and keep it; answered by [`Event::BackedUp`].
    CreateBackup {
        /// Address of the server, without `/api/v1`.
        url: String,
        /// The categories to back up; null means all.
        categories: Option<Vec<Category>>,
        /// Documents that are left out where they, or files of theirs, are damaged.
        #[serde(default)]
        #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional, as = "Option<Vec<DocumentKey>>"))]
        without: Vec<DocumentKey>,
        /// Whether the server shall put the archive together, and keep it.
        on_server: bool,
    },
    /// Go on with a backup that was interrupted; answered by [`Event::BackedUp`], or by [`Event::Failed`] of kind
    /// `snapshot-gone` where the server no longer holds its moment.
    ResumeBackup(Item),
    /// Ask whether the server still holds the moment of a backup that was interrupted; answered by [`Event::Held`].
    AskHeld(Item),
    /// What a backup would hold; answered by [`Event::Contents`].
    Contents {
        /// Address of the server, without `/api/v1`.
        url: String,
        /// The categories to look at; null means all.
        categories: Option<Vec<Category>>,
    },
    /// List the archives of this browser; answered by [`Event::Archives`].
    ListArchives {
        /// Remove first what is left over of earlier backups and cannot be gone on with, and archives that are older than a
        /// day.
        clean_up: bool,
    },
    /// List the archives that the server keeps for this login; answered by [`Event::Archives`].
    ListServerArchives(Server),
    /// Get an address for the download of an archive that the server keeps; answered by [`Event::Address`].
    GetServerAddress(Item),
    /// Remove an archive that the server keeps; answered by [`Event::Removed`].
    RemoveServerArchive(Item),
    /// Hand over a finished archive; answered by [`Event::ArchiveFile`].
    OpenArchive {
        /// Which one.
        id: String,
    },
    /// Remove an archive, finished or interrupted; answered by [`Event::Removed`].
    RemoveArchive {
        /// Which one.
        id: String,
    },
    /// Where archives go and how much space is there; answered by [`Event::Storage`].
    Storage,
    /// Restore something, or undo it.
    Restore(RestoreCommand),
    /// Look into the archive beside this command, or into the one that the worker has open.
    Inspect(InspectCommand),
    /// The answer to [`Event::NeedToken`]; or, before a command about a [`RemoteFile`], what to read it with.
    Token {
        /// The bearer token.
        token: String,
    },
    /// The other answer to [`Event::NeedToken`]: there is none.
    NoToken {
        /// Why.
        message: String,
    },
    /// End the job, undo what it left, and answer with [`Event::Failed`] of kind `cancelled`.
    Cancel,
}

/// What the page asks for about restores.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RestoreCommand {
    /// Send what is chosen of an archive to the server, where it changes nothing yet; answered by [`Event::Prepared`]. The
    /// worker stays, and takes [`RestoreCommand::Commit`] or [`RestoreCommand::Abort`].
    Prepare {
        /// Address of the server, without `/api/v1`.
        url: String,
        /// What the file is called.
        name: String,
        /// The archive where it is on a server; null where it is beside this command.
        remote: Option<RemoteFile>,
        /// What becomes of the documents that are there.
        mode: RestoreMode,
        /// The chosen categories; null means everything, unless there are collections.
        categories: Option<Vec<Category>>,
        /// The chosen collections, in addition to those of the categories; null means none.
        collections: Option<Vec<String>>,
        /// The business name of a backup of another installation, as a person has typed it.
        business_name: Option<String>,
    },
    /// Make live what was prepared; answered by [`Event::Restored`]. After a [`Event::Failed`] it can be tried again.
    Commit {
        /// The position of the preview that a person has agreed to.
        seq: u64,
        /// How many signed documents that preview loses, if a person has agreed to that too.
        acknowledge_signed: Option<u64>,
        /// How many files of the backup are left out, if a person has agreed to that too.
        acknowledge_files_left_out: Option<u64>,
        /// Whether nobody shall write meanwhile.
        pause_till: bool,
    },
    /// Throw away what was prepared; answered by [`Event::Removed`].
    Abort,
    /// Ask without a login how a restore session ended; answered by [`Event::RestoreEnd`].
    AskEnd {
        /// The session.
        session: Item,
        /// That of [`Event::RestoreBegun`].
        secret: String,
    },
    /// Throw away what somebody has prepared; answered by [`Event::Removed`].
    Stop(Item),
    /// List what can be undone; answered by [`Event::RestorePoints`].
    ListPoints(Server),
    /// What going back to a restore point would change; answered by [`Event::Preview`].
    PreviewUndo(Item),
    /// Go back to a restore point; answered by [`Event::Restored`].
    Undo {
        /// The restore point.
        point: Item,
        /// The position of the preview that a person has agreed to.
        seq: u64,
        /// How many signed documents that preview loses, if a person has agreed to that too.
        acknowledge_signed: Option<u64>,
    },
}

/// A server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
pub struct Server {
    /// Its address, without `/api/v1`.
    pub url: String,
}

/// Something that a server, or this browser beside it, knows by an id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
pub struct Item {
    /// Address of the server, without `/api/v1`.
    pub url: String,
    /// Which one.
    pub id: String,
}

/// What the worker answers.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The worker has loaded and takes its command.
    Ready,
    /// The worker lives, whatever else it has to say; every five seconds.
    Alive,
    /// How far the job is; about ten times a second.
    Progress {
        /// How far.
        progress: Progress,
    },
    /// Something that the person should know, though the job goes on.
    Notice {
        /// What.
        notice: Notice,
    },
    /// The server wants a token; answered by [`Command::Token`] or [`Command::NoToken`].
    NeedToken {
        /// The token that the server has just refused; null when none was sent yet.
        rejected: Option<String>,
    },
    /// The archive is whole and checked. It is beside this event, unless the server keeps it.
    BackedUp {
        /// What is kept.
        archive: Archive,
        /// What it holds.
        contents: Contents,
    },
    /// What a backup would hold at this moment.
    Contents(Contents),
    /// The archive can be read. The worker stays until the page ends it.
    Opened {
        /// What the archive says of itself; null where it does not.
        manifest: Option<ManifestHead>,
        /// What was found in it.
        summary: Summary,
        /// Where its documents are, for [`InspectCommand::Join`].
        index: String,
    },
    /// The archive can be read here as well.
    Joined,
    /// So much more of the archive has been read; the job goes on.
    Read {
        /// How many bytes.
        bytes: u64,
    },
    /// Documents as they are.
    Rows {
        /// Those that can be read.
        rows: Vec<RowText>,
        /// The row to go on with.
        next: u64,
        /// How many rows from there on cannot be read.
        hidden: u64,
        /// Why not, or what else is wrong with a part that was read.
        problem: Option<Error>,
    },
    /// Documents as rows of a table.
    Cells {
        /// What its columns are: the same for each piece of a collection.
        columns: Vec<Column>,
        /// Those that can be read.
        rows: Vec<RowCells>,
        /// How many rows behind them cannot be read.
        hidden: u64,
        /// Why not, or what else is wrong with a part that was read.
        problem: Option<Error>,
    },
    /// Where a document is.
    Place {
        /// Null where there is none of this id.
        place: Option<DocumentPlace>,
    },
    /// Attachments: all in the order of the archive, those of a collection in the order of its documents.
    Attachments {
        /// Those that were asked for.
        attachments: Vec<AttachmentInfo>,
        /// How many there are.
        total: u32,
    },
    /// What was asked for is beside this event.
    Content {
        /// Its CRC-32.
        crc32: u32,
        /// Why not all that was asked for is in it.
        problem: Option<Error>,
    },
    /// Documents in which something was found; the search goes on.
    Hits {
        /// Some of them.
        hits: Vec<Hit>,
    },
    /// A part has been searched.
    Searched {
        /// In how many documents it was found.
        matches: u64,
        /// Why not all of the part could be searched.
        problem: Option<Error>,
    },
    /// Entries have been checked.
    Verified {
        /// What is wrong. The first thousand.
        problems: Vec<Error>,
        /// How much is wrong.
        found: u32,
        /// How many documents were read.
        documents: u64,
        /// How many parts of another program begin with a byte order mark.
        marks: u32,
    },
    /// Two archives have been compared.
    Compared {
        /// How collections differ, where all were compared.
        collections: Vec<Compared>,
        /// The documents of one that differ.
        differences: Vec<Change>,
    },
    /// What there is.
    Archives {
        /// Finished archives, the newest first.
        archives: Vec<Archive>,
        /// Those that were interrupted and can be gone on with, the newest first.
        interrupted: Vec<Interrupted>,
    },
    /// Whether the server still holds a moment.
    Held {
        /// Whether it does.
        held: bool,
    },
    /// Where an archive can be downloaded without a login, for some minutes.
    Address {
        /// The whole address.
        url: String,
    },
    /// The archive is beside this event.
    ArchiveFile,
    /// What was to go is gone.
    Removed,
    /// Where archives go.
    Storage {
        /// Place and space.
        storage: Storage,
    },
    /// A restore session has been opened on the server; the job goes on.
    RestoreBegun {
        /// Its id.
        id: String,
        /// With which it can be asked without a login how it ended.
        secret: String,
    },
    /// All that is to be restored is on the server, and nothing is changed yet.
    Prepared {
        /// What a commit would change.
        preview: RestorePreview,
        /// The files of the backup that would not be restored, each with the reason; the first thousand.
        left_out: Vec<Error>,
    },
    /// How a restore session is doing.
    RestoreEnd {
        /// Whether it is open, and how it ended.
        state: RestoreState,
        /// What it has changed; null unless it was committed.
        outcome: Option<RestoreOutcome>,
    },
    /// What an undo would change.
    Preview {
        /// That.
        preview: RestorePreview,
    },
    /// It is live.
    Restored {
        /// What has changed.
        outcome: RestoreOutcome,
    },
    /// What can be undone.
    RestorePoints {
        /// The newest first.
        points: Vec<RestorePoint>,
    },
    /// The job has failed.
    Failed {
        /// Why.
        error: Error,
        /// What [`Command::ResumeBackup`] can go on with; null where nothing of the job is left.
        interrupted: Option<String>,
        /// What the server says beside that; null where it says no more.
        data: Option<Refusal>,
    },
}

/// What the server says beside a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(untagged)]
pub enum Refusal {
    /// What would change now; of `live-changed`, `signed-loss` and `files-left-out`.
    Preview(RestorePreview),
    /// Whose backup it is; of `foreign-backup` and `unknown-origin`.
    Foreign(ForeignBackup),
    /// Which restore is in the way; of `restore-running`.
    Running(RunningRestore),
}

/// What the person should know, though the job goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Notice {
    /// The server lost the snapshot, and the job began again with a new one.
    StartedOver,
    /// The browser has no file system for this page: the archive stays in memory, and goes with the page.
    InMemory {
        /// The most that an archive may have, in bytes.
        limit: u64,
    },
    /// The browser has no place for an archive of this size: the server puts it together.
    OnServer,
    /// Parts whose compressed form failed its check stand in the archive uncompressed.
    PlainParts {
        /// How many.
        parts: u64,
    },
}

/// Where an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the browser's file system for this page's origin.
    Disk,
    /// In Blobs that live as long as the page.
    Memory,
    /// On the server, for a day.
    Server,
}

/// A finished archive that the browser or the server keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// What [`Command::OpenArchive`] and [`Command::RemoveArchive`] call it.
    pub id: String,
    /// File name, `.zip` included.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The moment of the data, by the server's clock, RFC 3339 in UTC.
    pub created: String,
    /// When the archive was finished, by the clock of whoever keeps it, RFC 3339 in UTC.
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
}

/// What a backup holds, without the lists of its parts and attachments: they can be very long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The moment, RFC 3339 in UTC.
    pub created: String,
    /// Whose data it is.
    pub source: SourceInfo,
    /// Every collection that is covered.
    pub collections: Vec<CollectionSummary>,
    /// What was damaged and is missing.
    pub missing: Vec<Missing>,
}

/// A backup that did not come to its end, though it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Interrupted {
    /// What [`Command::ResumeBackup`] and [`Command::RemoveArchive`] call it.
    pub id: String,
    /// The moment of the data, by the server's clock, RFC 3339 in UTC.
    pub created: String,
    /// When it began, by the browser's clock, RFC 3339 in UTC.
    pub begun: String,
    /// Name of the business.
    pub business: String,
    /// How many documents are there already.
    pub documents: u64,
    /// How many documents in all.
    pub documents_total: u64,
    /// Bytes of JSON lines and attachments that are there already.
    pub bytes: u64,
    /// Bytes of JSON lines and attachments in all.
    pub bytes_total: u64,
}

/// Where archives go, and how much space is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Where archives go.
    pub place: Place,
    /// Bytes that this page may use in all; null where the browser does not say.
    pub quota: Option<u64>,
    /// Bytes that it uses already; null where the browser does not say.
    pub usage: Option<u64>,
    /// The most that one archive may have, in bytes; null where only the space decides.
    pub limit: Option<u64>,
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::api::archives::{CheckEvent, NewToken, ScheduleState};
    use crate::error::ErrorKind;
    use std::path::Path;
    use ts_rs::{Config, TS};

    struct Declarations<'a>(&'a Config, std::collections::BTreeMap<String, String>);

    impl ts_rs::TypeVisitor for Declarations<'_> {
        fn visit<T: TS + 'static + ?Sized>(&mut self) {
            // Only derived types have a path, and a declaration of their own.
            if T::output_path().is_some() && !self.1.contains_key(&T::ident(self.0)) {
                let docs = T::docs().unwrap_or_default();
                self.1.insert(T::ident(self.0), format!("{docs}export {}\n", T::decl(self.0)));
                T::visit_dependencies(self);
            }
        }
    }

    #[test]
    fn the_declarations_for_typescript_are_fresh() {
        let config = Config::new().with_large_int("number");
        let mut all = Declarations(&config, Default::default());
        ts_rs::TypeVisitor::visit::<Command>(&mut all);
        ts_rs::TypeVisitor::visit::<Event>(&mut all);
        // What the page asks the server itself.
        ts_rs::TypeVisitor::visit::<ScheduleState>(&mut all);
        ts_rs::TypeVisitor::visit::<CheckEvent>(&mut all);
        ts_rs::TypeVisitor::visit::<NewToken>(&mut all);
        let head = "// Generated from src/browser/protocol.rs by `DIKAS_BLESS=1 cargo test -p dikas-archive protocol`.\n";
        let fresh = all.1.into_values().fold(head.to_owned(), |text, decl| format!("{text}\n{decl}"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/engine/protocol.d.ts");
        if std::env::var_os("DIKAS_BLESS").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(
            committed == fresh,
            "www/engine/protocol.d.ts is stale: run `DIKAS_BLESS=1 cargo test -p dikas-archive protocol`"
        );
    }

    #[test]
    fn messages_look_as_declared() {
        let error = Error::new(ErrorKind::NoSpace, "full").expected(2, 1);
        let json = serde_json::to_string(&Event::Failed { error, interrupted: None, data: None }).unwrap();
        let expected = concat!(
            r#"{"type":"failed","error":{"kind":"no-space","message":"full","expected":"2","actual":"1"},"#,
            r#""interrupted":null,"data":null}"#
        );
        assert_eq!(json, expected);
        let command = r#"{"createBackup":{"url":"","categories":["articles"],"onServer":true}}"#;
        assert!(matches!(
            serde_json::from_str(command).unwrap(),
            Command::CreateBackup { categories: Some(chosen), on_server: true, .. } if chosen == [Category::Articles]
        ));
        assert!(matches!(serde_json::from_str(r#""cancel""#).unwrap(), Command::Cancel));
        let undo = r#"{"restore":{"undo":{"point":{"url":"","id":"7"},"seq":4,"acknowledgeSigned":null}}}"#;
        assert!(matches!(
            serde_json::from_str(undo).unwrap(),
            Command::Restore(RestoreCommand::Undo { seq: 4, point, .. }) if point.id == "7"
        ));
        assert!(serde_json::from_str::<Command>(r#"{"noSuchThing":{}}"#).is_err());
    }
}
