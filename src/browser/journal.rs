//! What is remembered of an archive in the making, should its page go in the middle: JSON lines, first a [`Head`], then each
//! entry that was [`Written`]. A line that was cut off ends it: what it named is written again.

use crate::api::Snapshot;
use crate::catalog::Category;
use crate::damage::DocumentKey;
use crate::error::Result;
use crate::job::backup::Output;
use crate::job::resume::Written;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// So many bytes of entries may be lost when a page goes: their attachments are fetched again.
const PENDING_BYTES: usize = 256 << 10;

/// Longer than any line: the snapshot of a thousand collections.
const LINE_BYTES: u64 = 1 << 20;

/// Whose archive it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The moment that the archive holds.
    pub snapshot: Snapshot,
    /// What was chosen; null means everything.
    pub categories: Option<Vec<Category>>,
    /// What is left out where it is damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<DocumentKey>,
    /// When the backup began, by the browser's clock, RFC 3339 in UTC.
    pub begun: String,
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal<F> {
    file: F,
    /// Lines that are not in the file yet.
    pending: Vec<u8>,
    /// Whether it has a head, and nothing since was lost.
    whole: bool,
}

impl<F: Output> Journal<F> {
    /// An empty one in this file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn create(mut file: F) -> Result<Self> {
        file.clear()?;
        Ok(Self { file, pending: Vec::new(), whole: false })
    }

    /// Goes on with what stands in this file; None where that is nothing.
    ///
    /// # Errors
    /// Those of the file.
    pub fn open(mut file: F) -> Result<Option<(Self, Head, Vec<Written>)>> {
        let mut entries = Vec::new();
        let Some((head, end)) = read(&mut file, |entry| entries.push(entry))? else { return Ok(None) };
        file.seek(SeekFrom::Start(end))?;
        Ok(Some((Self { file, pending: Vec::new(), whole: true }, head, entries)))
    }

    /// Begins with this head; what stood there before goes.
    pub fn begin(&mut self, head: &Head) {
        self.whole = self.file.clear().is_ok();
        self.pending.clear();
        self.push(head);
        self.store();
    }

    /// Remembers an entry.
    pub fn push_entry(&mut self, entry: &Written) {
        self.push(entry);
        if matches!(entry, Written::Part { .. }) || self.pending.len() >= PENDING_BYTES {
            self.store();
        }
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// Those of the file.
    pub fn clear(&mut self) -> io::Result<()> {
        self.pending.clear();
        self.whole = false;
        self.file.clear()
    }

    /// Whether a later run can go on by it.
    pub fn remembers(&self) -> bool {
        self.whole
    }

    /// Puts what is pending into the file. A journal with a gap is worth nothing, and harms nobody: where it cannot be
    /// written, there is none.
    pub fn store(&mut self) {
        let stored = self.file.write_all(&self.pending).and_then(|()| self.file.flush());
        self.pending.clear();
        if stored.is_err() {
            self.whole = false;
        }
    }

    fn push(&mut self, line: &impl Serialize) {
        match serde_json::to_writer(&mut self.pending, line) {
            Ok(()) => self.pending.push(b'\n'),
            Err(_) => self.whole = false,
        }
    }
}

/// Reads a journal from its beginning: its head, and where its last whole line ends. None where it has no head.
///
/// # Errors
/// Those of the file.
pub fn read(file: &mut (impl Read + Seek), mut take: impl FnMut(Written)) -> Result<Option<(Head, u64)>> {
    file.rewind()?;
    let mut lines = BufReader::new(file);
    let Some((head, mut end)) = line::<Head>(&mut lines)? else { return Ok(None) };
    while let Some((entry, bytes)) = line(&mut lines)? {
        take(entry);
        end += bytes;
    }
    Ok(Some((head, end)))
}

/// The next whole line, and how many bytes it has.
fn line<T: for<'a> Deserialize<'a>>(lines: &mut impl BufRead) -> Result<Option<(T, u64)>> {
    let mut text = Vec::new();
    lines.take(LINE_BYTES).read_until(b'\n', &mut text)?;
    let value = text.strip_suffix(b"\n").and_then(|text| serde_json::from_slice(text).ok());
    Ok(value.map(|value| (value, text.len() as u64)))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::api::SourceInfo;
    use crate::digest::Sha256;
    use crate::manifest::PartEntry;
    use std::io::Cursor;

    fn head(created: &str) -> Head {
        let source = SourceInfo {
            installation: "5f".repeat(16),
            business: "Café Zur Post\n".to_owned(),
            product: "DiKAS 26.3".to_owned(),
            position: 7,
        };
        let snapshot = Snapshot {
            id: "0".repeat(32),
            created: created.to_owned(),
            source,
            collections: Vec::new(),
            missing: Vec::new(),
        };
        Head {
            snapshot,
            categories: Some(vec![Category::Articles]),
            without: Vec::new(),
            begun: "2026-11-25T02:00:00.000Z".to_owned(),
        }
    }

    fn part(number: u32) -> Written {
        let name = format!("articles.{number:04}.jsonl.br");
        let (first, last) = (format!("art_{number}"), format!("art_{number}\u{2028}\"z"));
        let sha256 = Sha256::of(name.as_bytes());
        let entry = PartEntry { name, documents: 2, bytes: 143, first, last, size: 101, sha256 };
        Written::Part { at: 0, collection: "articles".parse().unwrap(), number, plain: false, entry }
    }

    fn written(parts: u32) -> Vec<u8> {
        let mut journal = Journal::create(Cursor::default()).unwrap();
        journal.begin(&head("2026-11-25T01:00:00Z"));
        (1..=parts).for_each(|number| journal.push_entry(&part(number)));
        assert!(journal.remembers());
        journal.file.into_inner()
    }

    #[test]
    fn it_gives_back_what_it_was_told_and_goes_on() {
        let (mut journal, found, entries) = Journal::open(Cursor::new(written(2))).unwrap().unwrap();
        assert_eq!((found, entries), (head("2026-11-25T01:00:00Z"), vec![part(1), part(2)]));
        journal.push_entry(&part(3));
        assert_eq!(journal.file.into_inner(), written(3));
    }

    #[test]
    fn cut_anywhere_it_gives_back_whole_lines_and_goes_on_behind_them() {
        let whole = written(3);
        for at in 0..whole.len() {
            let lines = whole[..at].iter().filter(|byte| **byte == b'\n').count();
            let Some((mut journal, _, entries)) = Journal::open(Cursor::new(whole[..at].to_vec())).unwrap()
            else {
                assert_eq!(lines, 0);
                continue;
            };
            assert_eq!(entries.len() + 1, lines, "cut at {at}");
            (lines as u32..=3).for_each(|number| journal.push_entry(&part(number)));
            assert_eq!(journal.file.into_inner(), whole, "cut at {at}");
        }
    }

    #[test]
    fn begun_anew_or_cleared_it_forgets() {
        let (mut journal, ..) = Journal::open(Cursor::new(written(3))).unwrap().unwrap();
        journal.begin(&head("2026-11-25T03:00:00Z"));
        journal.clear().unwrap();
        assert!(!journal.remembers());
        assert!(Journal::open(journal.file).unwrap().is_none());
    }

    /// A file that is full.
    #[derive(Default)]
    struct Full(Cursor<Vec<u8>>);

    impl Read for Full {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.0.read(bytes)
        }
    }

    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Full {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    impl Output for Full {
        fn clear(&mut self) -> io::Result<()> {
            self.0.clear()
        }
    }

    #[test]
    fn where_it_cannot_be_written_there_is_none() {
        let mut journal = Journal::create(Full::default()).unwrap();
        journal.begin(&head("2026-11-25T01:00:00Z"));
        assert!(!journal.remembers());
    }
}
