//! Documents as bytes: one JSON object with exactly one top-level string `_id` (FORMAT.md section 4).
//!
//! The scanner checks the grammar of RFC 8259 and keeps nothing: no value is converted, so nothing can change. It
//! recurses nowhere and allocates for the nesting of hostile input at most [`MAX_DEPTH`] bytes. Unpaired surrogates
//! are allowed where the grammar allows them, except in the `_id`, which has to be text.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ID_BYTES};
use std::ops::ControlFlow;

/// What a document says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The value of its top-level `_id`.
    pub id: String,
    /// The value of its top-level `documentType`, where that is text; the last one, where there are several.
    pub document_type: Option<String>,
}

/// Checks one line, without its line feed: a JSON object (RFC 8259) in UTF-8 with exactly one top-level `_id`, a
/// string of 1 to [`MAX_ID_BYTES`] bytes; at most [`MAX_DOCUMENT_BYTES`] long and [`MAX_DEPTH`] deep.
///
/// # Errors
/// `bad-document`, with the offset of what is wrong.
pub fn parse(line: &[u8]) -> Result<Document> {
    check_size(line)?;
    if let Err(error) = std::str::from_utf8(line) {
        return Err(bad(format!("the document is not UTF-8 at byte {}", error.valid_up_to())));
    }
    let (mut id, mut document_type) = (None, None);
    scan(line, |key, value| {
        if is_key(key, "_id") && id.replace(id_text(value)?).is_some() {
            return Err(bad("the document has more than one _id"));
        }
        if is_key(key, "documentType") {
            document_type = text(value);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let id = id.ok_or_else(|| bad("the document has no _id"))?;
    Ok(Document { id, document_type })
}

/// Checks a body as [`parse`] does, and drops CR and LF: in JSON both are only white space.
///
/// # Errors
/// `bad-document`
pub fn ingest(mut body: Vec<u8>) -> Result<(Document, Vec<u8>)> {
    let document = parse(&body)?;
    body.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    Ok((document, body))
}

/// The first top-level `_id` of this line. Reads no further than that; what follows stays unchecked.
///
/// # Errors
/// `bad-document`
pub fn id_of(line: &[u8]) -> Result<String> {
    check_size(line)?;
    let mut id = None;
    scan(line, |key, value| {
        if is_key(key, "_id") {
            id = Some(id_text(value)?);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    id.ok_or_else(|| bad("the document has no _id"))
}

/// The lines of these bytes, each without its line feed: split at byte 0x0A and nowhere else. A last line without a
/// line feed counts, an empty rest does not.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    whole_lines(bytes).map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// The same lines, each with its line feed.
pub(crate) fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (line, behind) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1));
        rest = behind;
        (!line.is_empty()).then_some(line)
    })
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadDocument, message)
}

/// The encoding that a text begins like, where JSON could not.
fn encoding(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Some("a byte order mark of UTF-8 (EF BB BF)"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{', ..] | [b'{', 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

fn check_size(line: &[u8]) -> Result<()> {
    if line.len() > MAX_DOCUMENT_BYTES {
        return Err(bad("the document is too large")
            .expected(format!("at most {MAX_DOCUMENT_BYTES} bytes"), line.len()));
    }
    Ok(())
}

fn id_text(value: &[u8]) -> Result<String> {
    if value.first() != Some(&b'"') {
        return Err(bad("the _id is not a string"));
    }
    let id = text(value).ok_or_else(|| bad("the _id is not Unicode text"))?;
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(bad("the _id is too short or too long")
            .expected(format!("1 to {MAX_ID_BYTES} bytes"), format!("{} bytes", id.len())));
    }
    Ok(id)
}

/// Whether this JSON string, quotes included, is that key, be it escaped.
fn is_key(json: &[u8], key: &str) -> bool {
    if json.contains(&b'\\') {
        return text(json).is_some_and(|text| text == key);
    }
    json.get(1..json.len() - 1) == Some(key.as_bytes())
}

/// The value of a JSON string that the scanner let pass; none where the value is no string or not Unicode.
pub(crate) fn text(json: &[u8]) -> Option<String> {
    serde_json::from_slice(json).ok()
}

/// Walks one JSON object and shows each top-level member, name and value as their bytes stand, until told to stop.
fn scan(line: &[u8], mut member: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>) -> Result<()> {
    let mut scanner = Scanner::new(line);
    scanner.space();
    scanner.byte(b'{', "an object")?;
    scanner.space();
    if !scanner.eat(b'}') {
        loop {
            let key = scanner.key()?;
            let start = scanner.at;
            scanner.value()?;
            if member(key, line.get(start..scanner.at).unwrap_or_default())?.is_break() {
                return Ok(());
            }
            scanner.space();
            if !scanner.eat(b',') {
                break;
            }
            scanner.space();
        }
        scanner.byte(b'}', "a comma or a closing brace")?;
    }
    scanner.space();
    if scanner.peek().is_some() {
        return Err(scanner.wrong("the end of the document"));
    }
    Ok(())
}

/// A place in a line; every method stands behind what it has checked.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The start of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes stand before.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn byte(&mut self, byte: u8, name: &str) -> Result<()> {
        if self.eat(byte) { Ok(()) } else { Err(self.wrong(name)) }
    }

    fn wrong(&self, expected: &str) -> Error {
        if let Some(found) = encoding(self.bytes).filter(|_| self.at <= 1) {
            let message = "the document is not plain UTF-8: save it so, without a byte order mark";
            return bad(message).expected(expected, found);
        }
        let actual = match self.peek() {
            Some(byte) => format!("{:?}", char::from(byte)),
            None => "the end".to_owned(),
        };
        bad(format!("the document is not JSON at byte {}", self.at)).expected(expected, actual)
    }

    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// One value and all that it holds.
    fn value(&mut self) -> Result<()> {
        // The closing bytes of what is open; the top-level object, open too, is not among them.
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    let close = bracket + 2;
                    self.space();
                    if !self.eat(close) {
                        if open.len() + 1 == MAX_DEPTH {
                            return Err(bad(format!("the document nests too deep at byte {}", self.at))
                                .expected(format!("at most {MAX_DEPTH} levels"), "more"));
                        }
                        open.push(close);
                        if close == b'}' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value has ended, and with it perhaps what holds it.
            while let Some(&close) = open.last() {
                self.space();
                if self.eat(b',') {
                    self.space();
                    if close == b'}' {
                        self.key()?;
                    }
                    break;
                }
                self.byte(close, if close == b'}' { "a comma or a closing brace" } else { "a comma or ]" })?;
                open.pop();
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// A value that holds no others.
    pub(crate) fn scalar(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.wrong("a value")),
        }
    }

    /// A member's name, its colon, and the white space around; answers the name with its quotes.
    pub(crate) fn key(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        self.string()?;
        let key = self.bytes.get(start..self.at).unwrap_or_default();
        self.space();
        self.byte(b':', "a colon")?;
        self.space();
        Ok(key)
    }

    fn string(&mut self) -> Result<()> {
        self.byte(b'"', "a string")?;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            self.at += plain.unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.wrong("the rest of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.wrong("a hexadecimal digit"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.wrong("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<()> {
        for byte in word {
            self.byte(*byte, "true, false or null")?;
        }
        Ok(())
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
    use std::collections::BTreeMap;
    use std::fmt;

    #[test]
    fn finds_id_and_type_however_they_are_written() {
        let document = parse(
            r#" {"a":[{"_id":"no"}],"\u005fid":"r\u00e4\ud83d\ude00\/","documentType":"Article"} "#
                .as_bytes(),
        );
        assert_eq!(
            document.unwrap(),
            Document { id: "rä😀/".to_owned(), document_type: Some("Article".to_owned()) }
        );
        let odd = parse(br#"{"documentType":"A","_id":"x","documentType":7,"n":"\ud800"}"#).unwrap();
        assert_eq!(odd, Document { id: "x".to_owned(), document_type: None });
        assert_eq!(id_of(br#"{"_id":"first" and then rubbish"#).unwrap(), "first");
    }

    #[test]
    fn refuses_what_is_no_document() {
        let deep = |levels: usize| {
            format!(r#"{{"_id":"x","a":{}0{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1)).into_bytes()
        };
        assert!(parse(&deep(MAX_DEPTH)).is_ok());
        let long_id = format!(r#"{{"_id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        let wrong: &[&[u8]] = &[
            b"",
            b"null",
            br#""_id""#,
            b"{}",
            br#"{"_id":7}"#,
            br#"{"_id":null}"#,
            br#"{"_id":""}"#,
            br#"{"_id":"\ud800"}"#,
            br#"{"_id":"a","_id":"a"}"#,
            br#"{"_id":"a","\u005F\u0069d":"b"}"#,
            br#"{"_id":"a"}{"_id":"b"}"#,
            br#"{"_id":"a",}"#,
            br#"{"_id":"a","n":01}"#,
            b"\xef\xbb\xbf{\"_id\":\"a\"}",
            b"{\"_id\":\"a\xff\"}",
            b"{\"_id\":\"a\x1f\"}",
            &deep(MAX_DEPTH + 1),
            &deep(1_000_000),
            long_id.as_bytes(),
        ];
        for line in wrong {
            let shown = String::from_utf8_lossy(line.get(..60).unwrap_or(line)).into_owned();
            assert_eq!(parse(line).expect_err(&shown).kind, ErrorKind::BadDocument, "{shown}");
        }
        let mut large = br#"{"_id":"x"}"#.to_vec();
        large.resize(MAX_DOCUMENT_BYTES, b' ');
        assert!(parse(&large).is_ok());
        large.push(b' ');
        assert!(parse(&large).is_err() && id_of(&large).is_err());
    }

    #[test]
    fn ingest_drops_line_ends_and_nothing_else() {
        let body = b"\r\n{ \"_id\" : \"a\\n\",\n\t\"x\": \"\xe2\x80\xa8\" }\r\n".to_vec();
        let (document, stored) = ingest(body).unwrap();
        assert_eq!(document.id, "a\n");
        assert_eq!(stored, b"{ \"_id\" : \"a\\n\",\t\"x\": \"\xe2\x80\xa8\" }");
    }

    #[test]
    fn lines_split_at_the_line_feed_alone() {
        let split: Vec<&[u8]> = lines("a\u{2028}\rb\n\nc".as_bytes()).collect();
        assert_eq!(split, ["a\u{2028}\rb".as_bytes(), b"", b"c"]);
        assert_eq!(lines(b"a\n").count(), 1);
        assert_eq!(lines(b"").count(), 0);
    }

    /// Pieces of JSON, so that random sequences are often nearly right.
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"_id\"",
        "\"a\"",
        "\"\\u00e4\"",
        "\"\\ud800\"",
        "0",
        "-",
        "1",
        ".5",
        "e",
        "E+7",
        "12",
        "true",
        "false",
        "null",
        "tru",
        " ",
        "\t",
        "\n",
        "\u{2028}",
        "ä",
        "\u{1}",
        "\"_id\":\"x\"",
        "{\"_id\":",
        "\\u00",
        "\"k\":",
        "{}",
        "[]",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// serde_json, skipping values, checks the same grammar; it leaves UTF-8 to the caller.
        #[test]
        fn accepts_what_serde_json_accepts(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12)) {
            let text = format!("{{\"_id\":\"x\",\"v\":{}}}", pieces.concat());
            let oracle = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            let ids = serde_json::from_str::<Ids>(&text).map_or(0, |ids| ids.0);
            prop_assert_eq!(parse(text.as_bytes()).is_ok(), oracle && ids == 1, "{}", text);
        }

        #[test]
        fn one_changed_byte_is_judged_as_serde_json_does(at in 0..1000usize, to: u8) {
            let mut line = br#"{"_id":"r\u00e4","a":[1.5e+3,-0,{"b":null,"":[]},"\\\"",true],"c":{"d":[[],{}]}}"#.to_vec();
            let at = at % line.len();
            line[at] = to;
            let oracle = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(&line);
            let expected = oracle.ok().and_then(|map| map.get("_id").and_then(|id| id.as_str().map(str::to_owned)));
            let found = parse(&line).ok().map(|document| document.id).filter(|id| !id.is_empty());
            prop_assert_eq!(found, expected.filter(|id| !id.is_empty()));
        }
    }

    /// How many top-level members are named `_id`, as serde_json decodes the names.
    struct Ids(usize);

    impl<'de> Deserialize<'de> for Ids {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            deserializer.deserialize_map(IdsVisitor)
        }
    }

    struct IdsVisitor;

    impl<'de> Visitor<'de> for IdsVisitor {
        type Value = Ids;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Ids, A::Error> {
            let mut ids = 0;
            while let Some(IsId(is_id)) = map.next_key()? {
                map.next_value::<IgnoredAny>()?;
                ids += usize::from(is_id);
            }
            Ok(Ids(ids))
        }
    }

    /// Whether a name is `_id`; read as bytes, because a name may hold an unpaired surrogate.
    struct IsId(bool);

    impl<'de> Deserialize<'de> for IsId {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            deserializer.deserialize_bytes(IsIdVisitor)
        }
    }

    struct IsIdVisitor;

    impl Visitor<'_> for IsIdVisitor {
        type Value = IsId;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name")
        }

        fn visit_bytes<E>(self, name: &[u8]) -> std::result::Result<IsId, E> {
            Ok(IsId(name == b"_id"))
        }
    }
}
