//! What is said about an archive that is looked at. Nothing here grows with the archive but the list of its parts: documents,
//! hits, attachments, differences and problems come in pieces.

use crate::api::SourceInfo;
use crate::catalog::Category;
use crate::damage::Missing;
use crate::error::Error;
use crate::reader::Note;
use serde::{Deserialize, Serialize};

/// What the page asks about an archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum InspectCommand {
    /// Open an archive; answered by [`Event::Opened`](super::Event::Opened). The worker stays, and takes the commands below.
    Open {
        /// Where it is; null means beside this command.
        remote: Option<RemoteFile>,
        /// Whether to look for its entries where it has no directory that can be used.
        salvage: bool,
    },
    /// Open an archive as another worker has; answered by [`Event::Joined`](super::Event::Joined). The worker stays, too.
    Join {
        /// Where it is; null means beside this command.
        remote: Option<RemoteFile>,
        /// That of [`Event::Opened`](super::Event::Opened).
        index: String,
    },
    /// Give documents as they are; answered by [`Event::Rows`](super::Event::Rows).
    Rows {
        /// Of which collection.
        collection: String,
        /// The first row.
        from: u64,
        /// How many rows at most.
        count: u32,
        /// Only those in which this is found; null means each.
        query: Option<String>,
        /// Whether the rows come, too, in which it is not found.
        all: bool,
    },
    /// Give documents as rows of a table; answered by [`Event::Cells`](super::Event::Cells).
    Cells {
        /// Of which collection.
        collection: String,
        /// The first row.
        from: u64,
        /// How many at most.
        count: u32,
    },
    /// Find a document; answered by [`Event::Place`](super::Event::Place).
    Find {
        /// Its `_id`.
        id: String,
        /// Its collection; null means any.
        collection: Option<String>,
    },
    /// List attachments; answered by [`Event::Attachments`](super::Event::Attachments).
    Attachments {
        /// How many to leave out.
        from: u32,
        /// How many at most.
        count: u32,
        /// Of this collection alone.
        collection: Option<String>,
        /// Of this document alone.
        id: Option<String>,
    },
    /// Hand over an attachment; answered by [`Event::Content`](super::Event::Content).
    Attachment {
        /// Its path in the archive.
        path: String,
    },
    /// Search one part; answered by [`Event::Hits`](super::Event::Hits) and [`Event::Read`](super::Event::Read), some times, and
    /// [`Event::Searched`](super::Event::Searched).
    Search {
        /// The part, counted as in [`Summary::parts`].
        part: u32,
        /// The collection; null means each that has documents in it.
        collection: Option<String>,
        /// What is searched for.
        query: String,
        /// How many hits are wanted; the rest is counted.
        max: u32,
    },
    /// Check some entries, or the directory; answered by [`Event::Read`](super::Event::Read), some times, and
    /// [`Event::Verified`](super::Event::Verified).
    Verify {
        /// From and to, counted in the order of the directory; null means the directory, and whose the attachments are.
        entries: Option<(u32, u32)>,
    },
    /// Compare with the archive beside this command as `other`, which is the newer one; answered by
    /// [`Event::Compared`](super::Event::Compared).
    Compare {
        /// The collection of which documents that differ are to be listed; null means to count in all.
        collection: Option<String>,
        /// How many differences to leave out.
        from: u64,
    },
    /// Write documents to a file; answered by [`Event::Content`](super::Event::Content).
    ExportDocuments {
        /// Of which collections, one behind the other.
        collections: Vec<String>,
        /// Only those in which this is found; null means all.
        query: Option<String>,
        /// As what.
        format: ExportFormat,
        /// What the file is called.
        name: String,
    },
}

/// A file on a server that answers ranges.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RemoteFile {
    /// Its address.
    pub url: String,
    /// Its bytes.
    pub size: u64,
    /// Its entity tag: with another one it is another file; null where its server gives none.
    pub tag: Option<String>,
    /// Whether it is read with the token of the last [`Command::Token`](super::Command::Token).
    pub authorized: bool,
}

/// What a file with documents is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// Each document as it is, on a line of its own.
    JsonLines,
    /// A table for spreadsheets that expect commas.
    CsvComma,
    /// A table for those that expect semicolons, as in German.
    CsvSemicolon,
}

/// What an archive says of itself, without the lists of its parts and attachments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ManifestHead {
    /// The version of the format.
    pub version: u64,
    /// The moment of the snapshot, RFC 3339 in UTC.
    pub created: String,
    /// Whose data it is.
    pub source: SourceInfo,
    /// What was damaged when the backup was made, and is missing in it.
    pub missing: Vec<Missing>,
}

/// What was found in an archive, with or without a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Size of the archive in bytes.
    pub size: u64,
    /// How many entries its directory has.
    pub entries: u32,
    /// Whether there was no directory to read, so that the entries were found by their headers.
    pub salvaged: bool,
    /// Every collection, in the order of their names as bytes.
    pub collections: Vec<Found>,
    /// Bytes of each part, as stored.
    pub parts: Vec<u64>,
    /// How many attachments.
    pub attachments: u32,
    /// What cannot be read; the rest can. The first thousand.
    pub problems: Vec<Error>,
    /// How many problems there are.
    pub found: u32,
    /// What is unusual and takes nothing from the backup.
    pub notes: Vec<Note>,
}

/// What was found of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Its name; for documents that nobody knows, the stem of their part's name.
    pub name: String,
    /// Its category.
    pub category: Category,
    /// How many documents.
    pub documents: u64,
    /// Bytes of JSON lines, line feeds included.
    pub bytes: u64,
    /// How many attachments its documents own.
    pub attachments: u64,
    /// Bytes of these attachments.
    pub attachment_bytes: u64,
    /// The parts in which they stand.
    pub parts: Vec<u32>,
}

/// A document as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RowText {
    /// Its row in its collection, from 0.
    pub row: u64,
    /// Its `_id`.
    pub id: String,
    /// Its line, without the line feed.
    pub text: String,
    /// Where what was searched for stands in the text: from and to, in UTF-16 units. The first thousand.
    pub marks: Vec<(u32, u32)>,
    /// The values in the text that let somebody log in, the same way.
    pub masked: Vec<(u32, u32)>,
}

/// A document as a row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct RowCells {
    /// Its row in its collection, from 0.
    pub row: u64,
    /// A text for each column.
    pub cells: Vec<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// The field, with dots where it is nested.
    pub name: String,
    /// What stands in it.
    pub kind: ColumnKind,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Ids.
    Id,
    /// Numbers.
    Figure,
    /// Days and moments.
    Date,
    /// Anything else.
    Text,
}

/// A document in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// Its collection.
    pub collection: String,
    /// Its row there, from 0.
    pub row: u64,
    /// Its `_id`.
    pub id: String,
    /// The text around what was found.
    pub snippet: String,
    /// Where it stands in the snippet: from and to, in UTF-16 units.
    pub marks: Vec<(u32, u32)>,
}

/// How a collection differs in another archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: Category,
    /// Documents that only the other archive has.
    pub added: u64,
    /// Documents that the other archive has not.
    pub removed: u64,
    /// Documents that are not the same to the byte.
    pub changed: u64,
    /// Documents that are.
    pub same: u64,
    /// Why not all of it could be compared.
    pub problem: Option<Error>,
}
