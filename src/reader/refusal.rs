//! Why an entry cannot be read, in a few bytes: an archive by a stranger may have a million such entries. The sentences
//! are made when they are asked for.

use super::directory::NEWEST_VERSION;
use super::records::damaged;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;

/// A reason that a header alone gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The ZIP64 field has this many bytes, and more are left open.
    ShortZip64(u16),
    /// It lies on this disk.
    Disk(u16),
    Encrypted,
    Method(u16),
    /// It needs this version to be extracted.
    Version(u16),
    Name(NameFlaw),
    /// It is larger than this.
    Size(u64),
    /// It is a folder with content.
    FullFolder,
    /// It becomes more than this many times as large.
    Ratio(u64),
    /// It is neither a file nor a folder, by this mode.
    Mode(u32),
    /// It is not compressed, and has two sizes.
    TwoSizes,
    Overlap,
    /// Another entry has its name.
    SameName,
    /// An entry before it has its name.
    NameBefore,
    /// No record that can be found states its size.
    NoSize,
}

/// What makes a name unsafe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameFlaw {
    Characters,
    Absolute,
    Drive,
    Segment,
}

impl Refusal {
    /// The problem of an entry with these sizes, without its name.
    pub(super) fn error(self, stored: u64, size: u64) -> Error {
        let unsupported = |message: &str| Error::new(ErrorKind::UnsupportedEntry, message);
        let entry = |message: &str| Error::new(ErrorKind::DamagedEntry, message);
        let conflict = |message: &str| Error::new(ErrorKind::ConflictingEntries, message);
        let version = |version: u16| format!("version {}.{}", version / 10, version % 10);
        match self {
            Self::ShortZip64(bytes) => entry("the ZIP64 extra field of an entry is too short for its sizes")
                .expected("8 bytes for each size that the header leaves open", format!("{bytes} bytes")),
            Self::Disk(disk) => {
                damaged("an entry lies on another disk").expected("disk 0", format!("disk {disk}"))
            }
            Self::Encrypted => {
                unsupported("an entry is encrypted: unpack the archive with its password first")
            }
            Self::Method(method) => {
                unsupported("an entry is compressed in an unknown way").expected("method 0 or 8", method)
            }
            Self::Version(needed) => unsupported("an entry needs a newer program to be extracted")
                .expected(format!("{} or older", version(NEWEST_VERSION)), version(needed)),
            Self::Name(flaw) => {
                let message = format!("an entry's name is not safe: {}", flaw.reason());
                Error::new(ErrorKind::UnsafeName, message)
            }
            Self::Size(most) => Error::new(ErrorKind::LimitExceeded, "too many bytes of an entry")
                .expected(format!("at most {most}"), size),
            Self::FullFolder => entry("a folder has content"),
            Self::Ratio(most) => Limits::grows_too_much(most, stored, size),
            Self::Mode(mode) => unsupported("an entry is a link or a device, not a file")
                .expected("mode 100000 or 040000", format!("mode {mode:06o}")),
            Self::TwoSizes => entry("an entry that is not compressed has two sizes").expected(stored, size),
            Self::Overlap => conflict("an entry's bytes overlap what follows it"),
            Self::SameName => conflict("two entries have the same name"),
            Self::NameBefore => conflict("an entry before has the same name"),
            Self::NoSize => damaged("an entry's size stands nowhere"),
        }
    }
}

impl NameFlaw {
    fn reason(self) -> &'static str {
        match self {
            Self::Characters => "it has a backslash, a zero or bytes that are no text",
            Self::Absolute => "it is absolute",
            Self::Drive => "it begins with a drive",
            Self::Segment => "it has an empty segment, . or ..",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{Entry, Role};

    /// What lies within itself, and owns nothing elsewhere.
    fn bytes_within<T: Copy>() -> usize {
        size_of::<T>()
    }

    #[test]
    fn a_million_refused_entries_take_a_few_hundred_bytes_each_whatever_is_wrong_with_them() {
        assert!(bytes_within::<Option<Refusal>>() <= 16);
        // Beside the letters of its name.
        assert!(size_of::<Entry>() + bytes_within::<Role>() + bytes_within::<usize>() <= 200);
    }

    #[test]
    fn a_reason_becomes_a_sentence_with_what_was_expected_and_found() {
        let told = |refusal: Refusal| refusal.error(7, 9).to_string();
        assert_eq!(
            told(Refusal::TwoSizes),
            "an entry that is not compressed has two sizes: expected 7, found 9 [damaged-entry]"
        );
        assert_eq!(
            told(Refusal::Version(64)),
            "an entry needs a newer program to be extracted: expected version 6.3 or older, found version 6.4 \
             [unsupported-entry]"
        );
        assert_eq!(
            told(Refusal::Size(8)),
            "too many bytes of an entry: expected at most 8, found 9 [limit-exceeded]"
        );
        assert_eq!(
            told(Refusal::Ratio(0)),
            "an entry grows too much when it is decompressed: expected at most 0 times its 7 bytes, found 9 \
             [limit-exceeded]"
        );
    }
}
