//! The documents of a part, each checked before it is given.

use super::{BackupReader, Lines};
use crate::document::{self, Document};
use crate::error::{Error, ErrorKind, Result};
use std::io::{Read, Seek};

/// Gives the documents of a part in its order. Whoever has come to the end without an error has read a part that is
/// sound: every line is a document, and with a manifest their ids ascend from the first that it names to the last.
#[derive(Debug)]
pub struct Documents<'a, R> {
    lines: Lines<'a, R>,
    part: String,
    announced: Option<(String, String)>,
    first: String,
    last: String,
    number: u64,
}

impl<R: Read + Seek> BackupReader<R> {
    /// The documents of this part.
    ///
    /// # Errors
    /// As [`BackupReader::lines`].
    pub fn documents(&mut self, part: &str) -> Result<Documents<'_, R>> {
        let at = self.find_part(part)?;
        self.documents_at(at)
    }

    pub(super) fn documents_at(&mut self, at: usize) -> Result<Documents<'_, R>> {
        let part = self.entries.get(at).map(|entry| entry.name.clone()).unwrap_or_default();
        let announced = self.part_entry(at).map(|entry| (entry.first.clone(), entry.last.clone()));
        let lines = self.lines_at(at)?;
        Ok(Documents { lines, part, announced, first: String::new(), last: String::new(), number: 0 })
    }
}

impl<R: Read + Seek> Documents<'_, R> {
    /// The next document, and its line without the line feed; none at the end.
    ///
    /// # Errors
    /// Those of [`Lines::next_line`]; `bad-document`, and `damaged-part` where ids are not those that the manifest says.
    pub fn next_document(&mut self) -> Result<Option<(Document, &[u8])>> {
        let Some(line) = self.lines.next_line()? else {
            check_ends(self.announced.as_ref(), &self.first, &self.last)
                .map_err(|error| error.on(self.part.as_str()))?;
            return Ok(None);
        };
        self.number += 1;
        let on_line = |error: Error| error.on(format!("{}, line {}", self.part, self.number));
        let document = document::parse(line).map_err(on_line)?;
        if self.announced.is_some() {
            // An `_id` is never empty, so the first one is greater than the empty text.
            if document.id <= self.last {
                let message = "documents are not in the order of their ids";
                return Err(on_line(Error::new(ErrorKind::DamagedPart, message)));
            }
            if self.number == 1 {
                self.first.clone_from(&document.id);
            }
            self.last.clone_from(&document.id);
        }
        Ok(Some((document, line)))
    }

    /// The part, and the number of the line that was given last.
    pub fn place(&self) -> String {
        format!("{}, line {}", self.part, self.number)
    }

    /// Whether the part began with a byte order mark, which belongs to no document.
    pub fn has_mark(&self) -> bool {
        self.lines.has_mark()
    }

    /// How many bytes have been decoded.
    pub fn bytes(&self) -> u64 {
        self.lines.bytes()
    }

    /// How many bytes of the entry, as a ZIP tool unpacks it, have been read.
    pub fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }
}

fn check_ends(announced: Option<&(String, String)>, first: &str, last: &str) -> Result<()> {
    match announced {
        Some(ids) if (ids.0.as_str(), ids.1.as_str()) != (first, last) => {
            let message = "a part does not begin and end with the ids that the manifest says";
            Err(Error::new(ErrorKind::DamagedPart, message)
                .expected(format!("{:?} to {:?}", ids.0, ids.1), format!("{first:?} to {last:?}")))
        }
        _ => Ok(()),
    }
}
