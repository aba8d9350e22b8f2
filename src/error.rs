//! What can go wrong, sorted by who is to blame.
//!
//! An [`Error`] is written for two readers: its [`ErrorKind`] is a stable code that a page or a script acts on, its
//! message and fields are for people. What was expected and what was found are fields, so that a page can show them
//! in the reader's language.

use crate::damage::Missing;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One failure: what happened, where, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Error {
    /// The stable code.
    pub kind: ErrorKind,
    /// What happened, as an English sentence without a full stop.
    pub message: String,
    /// The archive entry, collection, document or field that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional))]
    pub subject: Option<String>,
    /// What should have been there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional))]
    pub expected: Option<String>,
    /// What was there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional))]
    pub actual: Option<String>,
    /// With `damaged-document`: all that is known to be damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional, as = "Option<Vec<Missing>>"))]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Missing>))]
    #[allow(clippy::box_collection, reason = "every result carries an error, and hardly any carries this")]
    pub damaged: Box<Vec<Missing>>,
}

impl Error {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            subject: None,
            expected: None,
            actual: None,
            damaged: Box::default(),
        }
    }

    /// Names the entry, collection, document or field concerned; the innermost name stays.
    #[must_use]
    pub fn on(mut self, subject: impl Into<String>) -> Self {
        self.subject.get_or_insert_with(|| subject.into());
        self
    }

    /// Says what should have been there and what was.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display, actual: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self.actual = Some(actual.to_string());
        self
    }

    /// Says what is damaged; the first of it is what the error is about.
    #[must_use]
    pub fn damaged(self, damaged: Vec<Missing>) -> Self {
        let error = match damaged.first() {
            Some(first) => self.on(first.to_string()),
            None => self,
        };
        Self { damaged: Box::new(damaged), ..error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(subject) = &self.subject {
            write!(f, " ({subject})")?;
        }
        if let (Some(expected), Some(actual)) = (&self.expected, &self.actual) {
            write!(f, ": expected {expected}, found {actual}")?;
        }
        write!(f, " [{}]", self.kind.code())
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    /// An [`Error`] that travelled through `std::io` comes out as it went in.
    fn from(error: std::io::Error) -> Self {
        if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return inner.clone();
        }
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Error::new(kind, error.to_string())
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        std::io::Error::other(error)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// The stable codes. A code never changes its meaning; new ones may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of their declaration.
            pub const ALL: &[ErrorKind] = &[$(ErrorKind::$variant),*];

            /// The code as programs see it.
            pub fn code(self) -> &'static str {
                match self {
                    $(ErrorKind::$variant => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// The file is not a ZIP archive, or its end is missing.
    NotAnArchive = "not-an-archive",
    /// The central directory cannot be read or contradicts itself.
    DamagedDirectory = "damaged-directory",
    /// An entry's bytes are not what the directory or the manifest says.
    DamagedEntry = "damaged-entry",
    /// A part does not decode as Brotli.
    DamagedPart = "damaged-part",
    /// A line is not one JSON object with one top-level string `_id`.
    BadDocument = "bad-document",
    /// `manifest.json` is not what FORMAT.md says.
    BadManifest = "bad-manifest",
    /// The archive was written by a newer version of the format.
    NewerFormat = "newer-format",
    /// An entry's name could leave the folder that it is unpacked to, or cannot be a file name.
    UnsafeName = "unsafe-name",
    /// Two entries have the same name, or their bytes overlap.
    ConflictingEntries = "conflicting-entries",
    /// An entry is encrypted or compressed in a way that this program does not read.
    UnsupportedEntry = "unsupported-entry",
    /// What the manifest names is not in the archive.
    MissingEntry = "missing-entry",
    /// The document that an attachment belongs to is not in the archive.
    Orphaned = "orphaned",
    /// A limit on size, ratio, count or memory was reached.
    LimitExceeded = "limit-exceeded",
    /// The caller asked for something that cannot be.
    BadArgument = "bad-argument",
    /// Reading or writing failed.
    Io = "io",
    /// The disk or the browser's quota is full.
    NoSpace = "no-space",
    /// The browser offers no place for the archive.
    NoStorage = "no-storage",
    /// The browser could not load or start the engine.
    EngineUnavailable = "engine-unavailable",
    /// The person or the program cancelled.
    Cancelled = "cancelled",
    /// The server cannot be reached, and retries did not help.
    Unreachable = "unreachable",
    /// The server's address only names another one, which is not followed.
    Redirected = "redirected",
    /// A proxy answers, and the server behind it does not.
    Gateway = "gateway",
    /// A proxy takes no request as long as this one.
    ProxyLimit = "proxy-limit",
    /// The login was refused or has ended.
    Unauthorized = "unauthorized",
    /// This login may not do that.
    Forbidden = "forbidden",
    /// The server takes the page for one of another site: a proxy forwards another host than the browser calls.
    CrossSite = "cross-site",
    /// The snapshot has expired or was closed.
    SnapshotGone = "snapshot-gone",
    /// The server is making a backup already: one at a time for people and its schedule, and one for backup tokens.
    Busy = "busy",
    /// The disk of the server is full.
    ServerFull = "server-full",
    /// The backup that the server made is gone: it was removed, has expired, or the server was started anew.
    JobGone = "job-gone",
    /// Somebody restores a backup already, and one restore is done at a time.
    RestoreRunning = "restore-running",
    /// The restore session is gone: it was ended, has expired, or the server was started anew.
    RestoreGone = "restore-gone",
    /// The backup is of another installation, and its business name was not typed.
    ForeignBackup = "foreign-backup",
    /// The backup does not say which installation it is of, and the business name of the live one was not typed.
    UnknownOrigin = "unknown-origin",
    /// Files of the backup would not be restored, and their exact number was not acknowledged.
    FilesLeftOut = "files-left-out",
    /// What the restore would drop or overwrite has changed since the preview.
    LiveChanged = "live-changed",
    /// The restore would drop or change signed documents, and their exact number was not acknowledged.
    SignedLoss = "signed-loss",
    /// A document or a file on the server is not as it was written, and nobody has said that the backup goes on without it.
    DamagedDocument = "damaged-document",
    /// The check of the server's database has found damage.
    DamagedDatabase = "damaged-database",
    /// The server answered with an error of its own.
    ServerError = "server-error",
    /// The server's answer was cut, garbled, or not what the API promises.
    BadAnswer = "bad-answer",
    /// What arrived in all is not what the snapshot announced.
    Incomplete = "incomplete",
    /// A bug in this program.
    Internal = "internal",
}
