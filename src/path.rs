//! Where an attachment stands in the archive: `attachments/<collection>/<document id>/<file name>`, derived so that
//! every file system can hold it (FORMAT.md section 6). Paths are never decoded: the manifest holds id and name.

use crate::catalog::{CollectionName, is_device_name};
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashSet;
use std::fmt::Write as _;
use unicode_normalization::UnicodeNormalization;

/// The folder of all attachments, with its slash.
pub const ATTACHMENTS: &str = "attachments/";

/// The longest segment of a path, in bytes.
const SEGMENT_BYTES: usize = 120;

/// The longest extension that a shortened segment keeps, in bytes, without its dot.
const EXTENSION_BYTES: usize = 10;

/// Gives each attachment of an archive its path. A path depends on the attachment and on those before it whose
/// segments differ from its own in case alone.
#[derive(Debug, Default)]
pub struct AttachmentPaths {
    last: Option<(CollectionName, String, String)>,
    /// The segment of the last id.
    folder: String,
    /// The segments of the last collection's ids, case-folded.
    folders: HashSet<String>,
    /// The segments of the last id's names, case-folded.
    files: HashSet<String>,
}

impl AttachmentPaths {
    /// No path given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The path of the next attachment.
    ///
    /// # Errors
    /// `bad-argument` unless collection, id and name, compared as bytes in this order, are greater than the last.
    pub fn next(&mut self, collection: &CollectionName, id: &str, name: &str) -> Result<String> {
        let key = (collection.clone(), id.to_owned(), name.to_owned());
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(Error::new(
                ErrorKind::BadArgument,
                "attachments are not in the order of collection, id and name",
            )
            .on(format!("{collection}, {id:?}, {name:?}")));
        }
        let (same_collection, same_id) = match &self.last {
            Some((last, last_id, _)) => (last == collection, last == collection && last_id == id),
            None => (false, false),
        };
        if !same_collection {
            self.folders.clear();
        }
        if !same_id {
            self.files.clear();
            self.folder = segment(id, &mut self.folders);
        }
        let file = segment(name, &mut self.files);
        self.last = Some(key);
        Ok(format!("{ATTACHMENTS}{collection}/{}/{file}", self.folder))
    }
}

/// One segment: the plain form where it is fit and free, else the short form with as many digits as make it free.
fn segment(raw: &str, taken: &mut HashSet<String>) -> String {
    let plain = escape(raw);
    if is_fit(&plain) && taken.insert(fold(&plain)) {
        return plain;
    }
    let digest = Sha256::of(raw.as_bytes()).to_string();
    let forms = [8, 16, 32, 64].map(|digits| shorten(&plain, digest.get(..digits).unwrap_or_default()));
    let free = forms.into_iter().find(|form| taken.insert(fold(form)));
    // Two names with one SHA-256 are one name, and those are refused before.
    free.unwrap_or(digest)
}

/// NFC; what no file system minds stays, all else becomes `%XX` for each byte of its UTF-8.
fn escape(raw: &str) -> String {
    let text: Vec<char> = raw.nfc().collect();
    let mut escaped = String::with_capacity(raw.len());
    for (at, c) in text.iter().enumerate() {
        // Windows drops dots and spaces at the end, and a dot in front hides a file.
        let inner = at > 0 && at + 1 < text.len();
        if c.is_alphanumeric() || matches!(c, '-' | '_') || matches!(c, ' ' | '.') && inner {
            escaped.push(*c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

fn is_fit(plain: &str) -> bool {
    let stem = plain.split('.').next().unwrap_or_default();
    !plain.is_empty() && plain.len() <= SEGMENT_BYTES && !is_device_name(stem.trim_end_matches(' '))
}

/// As much of the stem as there is room for, its dots as `_`; `~`; the digits; the extension.
fn shorten(plain: &str, digits: &str) -> String {
    let extension = plain.rsplit_once('.').map(|(_, extension)| extension);
    let extension = extension.filter(|extension| {
        (1..=EXTENSION_BYTES).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let tail = match extension {
        Some(extension) => format!("~{digits}.{extension}"),
        None => format!("~{digits}"),
    };
    let stem =
        if extension.is_some() { plain.rsplit_once('.').map_or(plain, |(stem, _)| stem) } else { plain };
    let mut end = stem.len().min(SEGMENT_BYTES - tail.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let mut stem = stem.get(..end).unwrap_or_default();
    // Half an escape would be none.
    if let Some(at) = stem.rfind('%').filter(|at| at + 3 > end) {
        stem = stem.get(..at).unwrap_or_default();
    }
    stem.replace('.', "_") + &tail
}

/// Equal for names that some file system takes for the same.
fn fold(segment: &str) -> String {
    segment.to_uppercase().to_lowercase().nfc().collect()
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn paths(names: &[(&str, &str, &str)]) -> Vec<String> {
        let mut paths = AttachmentPaths::new();
        names.iter().map(|(c, id, name)| paths.next(&c.parse().unwrap(), id, name).unwrap()).collect()
    }

    fn only(name: &str) -> String {
        paths(&[("articles", "a", name)])[0].strip_prefix("attachments/articles/a/").unwrap().to_owned()
    }

    #[test]
    fn names_stay_readable_where_they_can() {
        for same in ["Foto Andrew ä.bmp", "メニュー.pdf", "a-b_c.tar.gz", "x", "Ⅷ½"] {
            assert_eq!(only(same), same);
        }
        for (name, path) in [
            ("a\u{308}.png", "ä.png"),
            ("..", "%2E%2E"),
            (".hidden", "%2Ehidden"),
            ("end. ", "end.%20"),
            ("a/b\\c:d", "a%2Fb%5Cc%3Ad"),
            ("100%.txt", "100%25.txt"),
            ("€\u{202e}\0", "%E2%82%AC%E2%80%AE%00"),
            ("a~1", "a%7E1"),
        ] {
            assert_eq!(only(name), path);
        }
    }

    #[test]
    fn what_cannot_stay_gets_a_short_form() {
        let hash = |name: &str| Sha256::of(name.as_bytes()).to_string()[..8].to_owned();
        for (name, stem, end) in [
            ("", "", ""),
            ("CON", "CON", ""),
            ("nul .tar.gz", "nul _tar", ".gz"),
            ("Lpt1.x y", "Lpt1_x y", ""),
        ] {
            assert_eq!(only(name), format!("{stem}~{}{end}", hash(name)));
        }
        let long = format!("{}.jpeg", "ä".repeat(70));
        assert_eq!(only(&long), format!("{}~{}.jpeg", "ä".repeat(53), hash(&long)));
        let escaped = "€".repeat(20);
        assert_eq!(only(&escaped), format!("{}~{}", "%E2%82%AC".repeat(12) + "%E2", hash(&escaped)));
        assert_eq!(only(&"x".repeat(120)), "x".repeat(120));
    }

    #[test]
    fn the_later_of_two_that_a_file_system_confuses_gives_way() {
        let hash = |name: &str| Sha256::of(name.as_bytes()).to_string()[..8].to_owned();
        let found = paths(&[
            ("articles", "A", "x.png"),
            ("articles", "a", "STRASSE.PNG"),
            ("articles", "a", "a\u{308}"),
            ("articles", "a", "straße.png"),
            ("articles", "a", "ä"),
            ("customers", "a", "x"),
        ]);
        let folder = format!("attachments/articles/a~{}", hash("a"));
        assert_eq!(
            found,
            [
                "attachments/articles/A/x.png".to_owned(),
                format!("{folder}/STRASSE.PNG"),
                format!("{folder}/ä"),
                format!("{folder}/straße~{}.png", hash("straße.png")),
                format!("{folder}/ä~{}", hash("ä")),
                "attachments/customers/a/x".to_owned(),
            ]
        );
        let mut paths = AttachmentPaths::new();
        let collection = "articles".parse().unwrap();
        paths.next(&collection, "b", "x").unwrap();
        assert!(paths.next(&collection, "b", "x").is_err() && paths.next(&collection, "a", "y").is_err());
    }

    /// A newer Unicode in the standard library would move letters between the plain and the escaped form.
    #[test]
    fn the_letters_that_stay_are_those_of_one_unicode_version() {
        let kept: String = ('\0'..=char::MAX).filter(|c| c.is_alphanumeric()).collect();
        assert_eq!(char::UNICODE_VERSION, (17, 0, 0));
        assert_eq!(kept.chars().count(), 149_106);
    }

    fn name() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "a", "A", "ß", "SS", "ä", "a\u{308}", ".", " ", "%", "~", "/", "con", "nul", "..", "K",
                "\u{212a}"
            ])
            .prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
            "[a-zA-Z]{0,60}",
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn paths_are_safe_distinct_and_stable(
            set in prop::collection::btree_set((prop::sample::select(vec!["a", "b-1"]), prop_oneof![Just("Id".to_owned()), name()], name()), 1..40),
        ) {
            let names: Vec<_> = set.iter().map(|(c, id, name)| (*c, id.as_str(), name.as_str())).collect();
            let found = paths(&names);
            prop_assert_eq!(&found, &paths(&names));
            let folded: BTreeSet<_> = found.iter().map(|path| fold(path)).collect();
            prop_assert_eq!(folded.len(), found.len(), "{:?}", found);
            for path in &found {
                let segments: Vec<_> = path.split('/').collect();
                prop_assert_eq!(segments.len(), 4);
                for part in &segments[2..] {
                    let stem = part.split('.').next().unwrap();
                    prop_assert!(!part.is_empty() && part.len() <= SEGMENT_BYTES);
                    prop_assert!(!part.starts_with(['.', ' ']) && !part.ends_with(['.', ' ']), "{}", part);
                    prop_assert!(!is_device_name(stem.trim_end()), "{}", part);
                    prop_assert!(part.chars().all(|c| c.is_alphanumeric() || "-_. %~".contains(c)), "{}", part);
                    prop_assert_eq!(part.nfc().collect::<String>(), *part);
                }
            }
            // Nothing depends on attachments of other documents, unless their ids are confused too.
            let (c, id, name) = names[names.len() - 1];
            if names.iter().filter(|(other, _, _)| *other == c).all(|(_, other, _)| *other == id) {
                let of_it: Vec<_> = names.iter().copied().filter(|(other, _, _)| *other == c).collect();
                prop_assert_eq!(paths(&of_it).pop(), found.last().cloned(), "{}", name);
            }
        }
    }
}
