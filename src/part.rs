//! Parts: a collection's lines, cut where only the lines decide (FORMAT.md section 5).

use crate::catalog::CollectionName;
use crate::digest::Sha256;
use crate::document::{id_of, whole_lines};
use crate::error::{Error, ErrorKind, Result};
use std::mem;

/// How many bytes of JSON lines a part holds at most, unless a single line is longer.
pub const PART_BYTES: usize = 8 << 20;

/// The name of a part's entry: `<collection>.jsonl.br`, from the second on `<collection>.0002.jsonl.br`.
pub fn part_name(collection: &CollectionName, number: u32) -> String {
    match number {
        0 | 1 => format!("{collection}.jsonl.br"),
        _ => format!("{collection}.{number:04}.jsonl.br"),
    }
}

/// What is known of a part before it is compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPartInfo {
    /// The collection.
    pub collection: CollectionName,
    /// Its place among the collection's parts, from 1 on.
    pub number: u32,
    /// How many lines.
    pub documents: u64,
    /// `_id` of the first line.
    pub first: String,
    /// `_id` of the last line.
    pub last: String,
}

/// A part before it is compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPart {
    /// The collection.
    pub collection: CollectionName,
    /// Its place among the collection's parts, from 1 on.
    pub number: u32,
    /// How many lines.
    pub documents: u64,
    /// `_id` of the first line.
    pub first: String,
    /// `_id` of the last line.
    pub last: String,
    /// The lines, each with its line feed.
    pub lines: Vec<u8>,
}

impl RawPart {
    /// What is known of it, and its lines to give to an encoder.
    pub fn split(self) -> (RawPartInfo, Vec<u8>) {
        let Self { collection, number, documents, first, last, lines } = self;
        (RawPartInfo { collection, number, documents, first, last }, lines)
    }
}

/// A part as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPart {
    /// A Brotli stream (RFC 7932).
    pub bytes: Vec<u8>,
    /// How many bytes of JSON lines it decodes to.
    pub raw_bytes: u64,
    /// Digest of `bytes`.
    pub sha256: Sha256,
    /// CRC-32 of `bytes`.
    pub crc32: u32,
    /// Whether the compressed form failed its check, so that `bytes` are uncompressed meta-blocks.
    pub stored_plain: bool,
}

/// Cuts the lines of one collection into parts. The cuts depend on the lines alone, not on how they arrive.
#[derive(Debug)]
pub struct PartCutter {
    collection: CollectionName,
    number: u32,
    documents: u64,
    first: String,
    last: String,
    lines: Vec<u8>,
}

impl PartCutter {
    /// A cutter that has seen no line yet.
    pub fn new(collection: CollectionName) -> Self {
        Self {
            collection,
            number: 1,
            documents: 0,
            first: String::new(),
            last: String::new(),
            lines: Vec::new(),
        }
    }

    /// A cutter that goes on behind a part.
    pub fn after(part: &RawPartInfo) -> Self {
        let number = part.number.saturating_add(1);
        Self { number, last: part.last.clone(), ..Self::new(part.collection.clone()) }
    }

    /// Takes whole lines in; answers the parts that they complete.
    ///
    /// # Errors
    /// `bad-document` where a line is none or its `_id`, as bytes, is not greater than the one before.
    pub fn push(&mut self, page_lines: &[u8]) -> Result<Vec<RawPart>> {
        let mut parts = Vec::new();
        for line in whole_lines(page_lines) {
            let Some(document) = line.strip_suffix(b"\n") else {
                return Err(Error::new(ErrorKind::BadDocument, "a line does not end in a line feed")
                    .on(self.collection.as_str()));
            };
            let id = id_of(document).map_err(|error| error.on(self.collection.as_str()))?;
            // An `_id` is never empty, so the first one is greater than the empty text.
            if id <= self.last {
                return Err(Error::new(
                    ErrorKind::BadDocument,
                    "documents are not in the order of their ids",
                )
                .on(self.collection.as_str())
                .expected(format!("an id after {:?}", self.last), format!("{id:?}")));
            }
            if self.documents > 0 && self.lines.len() + line.len() > PART_BYTES {
                parts.push(self.cut());
            }
            if self.documents == 0 {
                self.first.clone_from(&id);
            }
            self.last = id;
            self.documents += 1;
            append(&mut self.lines, line, PART_BYTES);
        }
        Ok(parts)
    }

    /// The last part; none where nothing is left over.
    pub fn finish(mut self) -> Option<RawPart> {
        (self.documents > 0).then(|| self.cut())
    }

    fn cut(&mut self) -> RawPart {
        let part = RawPart {
            collection: self.collection.clone(),
            number: self.number,
            documents: mem::take(&mut self.documents),
            first: mem::take(&mut self.first),
            last: self.last.clone(),
            lines: mem::take(&mut self.lines),
        };
        self.number += 1;
        part
    }
}

/// Appends a line. The buffer grows by doubling, but never past what it can need, which is `most` or a single line: a
/// browser's memory does not shrink again.
pub(crate) fn append(lines: &mut Vec<u8>, line: &[u8], most: usize) {
    let needed = lines.len() + line.len();
    if needed > lines.capacity() {
        let target = needed.max((lines.capacity() * 2).clamp(64 << 10, most));
        lines.reserve_exact(target - lines.len());
    }
    lines.extend_from_slice(line);
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pages: &[&[u8]]) -> Result<Vec<RawPart>> {
        let mut cutter = PartCutter::new("receipts".parse()?);
        let mut parts = Vec::new();
        for page in pages {
            parts.extend(cutter.push(page)?);
        }
        parts.extend(cutter.finish());
        Ok(parts)
    }

    fn line(id: &str, length: usize) -> Vec<u8> {
        let mut line = format!(r#"{{"_id":"{id}","x":""#).into_bytes();
        line.resize(length - 3, b'x');
        line.extend(b"\"}\n");
        line
    }

    #[test]
    fn a_part_closes_before_the_line_that_is_too_much() {
        let half = PART_BYTES / 2;
        let exact = [line("a", half), line("b", half)].concat();
        let parts = cut(&[&exact]).unwrap();
        assert_eq!(parts.len(), 1);
        assert_eq!((parts[0].documents, parts[0].lines.len()), (2, PART_BYTES));

        let over = [line("a", half), line("b", half + 1), line("c", PART_BYTES + 9), line("d", 40)].concat();
        let parts = cut(&[&over]).unwrap();
        let names: Vec<_> = parts.iter().map(|part| part_name(&part.collection, part.number)).collect();
        assert_eq!(
            names,
            [
                "receipts.jsonl.br",
                "receipts.0002.jsonl.br",
                "receipts.0003.jsonl.br",
                "receipts.0004.jsonl.br"
            ]
        );
        assert_eq!(parts.iter().map(|part| part.lines.as_slice()).collect::<Vec<_>>().concat(), over);
        assert_eq!((parts[2].first.as_str(), parts[2].last.as_str()), ("c", "c"));
        assert!(cut(&[]).unwrap().is_empty());
    }

    #[test]
    fn refuses_lines_that_are_cut_out_of_order_or_no_documents() {
        for wrong in [
            &b"{\"_id\":\"a\"}"[..],
            b"{\"_id\":\"a\"}\n{\"_id\":\"a\"}\n",
            b"{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n",
            b"\n",
            b"{}\n",
        ] {
            let error = cut(&[wrong]).unwrap_err();
            assert_eq!((error.kind, error.subject.as_deref()), (ErrorKind::BadDocument, Some("receipts")));
        }
        // Bytes rule: U+FF5E comes before U+1F600 in UTF-8, after it in UTF-16.
        assert!(cut(&["{\"_id\":\"\u{ff5e}\"}\n{\"_id\":\"\u{1f600}\"}\n".as_bytes()]).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn the_cuts_do_not_depend_on_the_pages(
            lengths in prop::collection::vec(40..4_000_000usize, 1..12),
            pages in prop::collection::vec(1..4usize, 12),
        ) {
            let lines: Vec<_> =
                lengths.iter().enumerate().map(|(at, length)| line(&format!("{at:03}"), *length)).collect();
            let whole = cut(&[&lines.concat()]).unwrap();
            let mut rest = lines.as_slice();
            let mut cutter = PartCutter::new("receipts".parse().unwrap());
            let mut paged = Vec::new();
            for size in pages {
                let (page, behind) = rest.split_at(size.min(rest.len()));
                paged.extend(cutter.push(&page.concat()).unwrap());
                rest = behind;
            }
            paged.extend(cutter.finish());
            prop_assert_eq!(whole, paged);
        }
    }
}
