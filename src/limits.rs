//! How much is too much: the sizes that the format fixes, and what a reader allows an archive that it does not trust.

use crate::error::{Error, ErrorKind, Result};

/// The largest document: bytes of its line without the line feed.
pub const MAX_DOCUMENT_BYTES: usize = 32 << 20;

/// How deep arrays and objects of a document may nest; the document itself counts as one.
pub const MAX_DEPTH: usize = 512;

/// The longest `_id`, in bytes of UTF-8: it has to fit a header and a URL, percent-encoded.
pub const MAX_ID_BYTES: usize = 4096;

/// What a reader allows. Every limit bounds memory, or time in proportion to the size of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of the central directory.
    pub directory_bytes: u64,
    /// Bytes of `manifest.json`.
    pub manifest_bytes: u64,
    /// Decompressed bytes of one entry: JSON lines of a part, or an attachment.
    pub entry_bytes: u64,
    /// Bytes that a ZIP tool unpacks, of all entries.
    pub total_bytes: u64,
    /// JSON lines of all parts that one look through an archive without a manifest decodes, in bytes.
    pub lines_bytes: u64,
    /// Runs of lines of one collection that an index of an archive without a manifest keeps.
    pub runs: u64,
    /// Documents of a collection without a known order that a comparison of two archives keeps digests of.
    pub unordered: u64,
    /// Decompressed over compressed bytes of one entry, counted once the output has passed
    /// [`Limits::RATIO_FREE_BYTES`].
    pub ratio: u64,
}

impl Limits {
    /// Output that no ratio limits: it costs no more than a moment.
    pub const RATIO_FREE_BYTES: u64 = 64 << 20;

    /// # Errors
    /// `limit-exceeded` where so few stored bytes must not become so many.
    pub(crate) fn check_ratio(&self, stored: u64, decoded: u64) -> Result<()> {
        match self.allow_ratio(stored, decoded) {
            true => Ok(()),
            false => Err(Self::grows_too_much(self.ratio, stored, decoded)),
        }
    }

    /// Whether this many stored bytes may become this many.
    pub(crate) fn allow_ratio(&self, stored: u64, decoded: u64) -> bool {
        decoded <= Self::RATIO_FREE_BYTES || decoded / self.ratio.max(1) <= stored
    }

    /// Says that they may not.
    pub(crate) fn grows_too_much(ratio: u64, stored: u64, decoded: u64) -> Error {
        Error::new(ErrorKind::LimitExceeded, "an entry grows too much when it is decompressed")
            .expected(format!("at most {ratio} times its {stored} bytes"), decoded)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            directory_bytes: 256 << 20,
            manifest_bytes: 256 << 20,
            entry_bytes: 64 << 30,
            total_bytes: 1 << 40,
            lines_bytes: 1 << 40,
            runs: 500_000,
            unordered: 500_000,
            ratio: 2_000,
        }
    }
}
