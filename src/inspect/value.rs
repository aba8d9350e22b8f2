//! A walk over a document's raw text that loses nothing: names and values are slices of what stands there, so that
//! numbers beyond 2^53, escapes and duplicate names survive. It recurses nowhere, reads each byte once, and ends where
//! the text is no JSON.

use crate::document::{self, Scanner};
use crate::limits::MAX_DEPTH;
use std::borrow::Cow;

/// How deep [`leaves`] goes, and how much of a name it keeps: both bound the paths that a document can make.
const LEAF_DEPTH: usize = 8;
const LEAF_NAME_BYTES: usize = 200;

/// One piece of a document, as its bytes stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// An object or an array begins, with this bracket.
    Open(u8),
    /// The innermost object or array ends.
    Close,
    /// The name of a member, with its quotes.
    Name(&'a [u8]),
    /// A string with its quotes, a number, true, false or null.
    Scalar(&'a [u8]),
}

/// The pieces of a document in their order.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    text: &'a [u8],
    scanner: Scanner<'a>,
    /// The closing bytes of what is open.
    open: Vec<u8>,
    next: Next,
    from: usize,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Value,
    /// The first member or element, or the closing byte.
    First,
    Name,
    /// A comma or the closing byte.
    Behind,
    End,
}

impl<'a> Walk<'a> {
    /// Over this text.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, scanner: Scanner::new(text), open: Vec::new(), next: Next::Value, from: 0 }
    }

    /// Where the piece that was given last begins.
    pub fn at(&self) -> usize {
        self.from
    }

    /// Where the walk stands: behind the piece that was given last, and behind a name's colon.
    pub fn end(&self) -> usize {
        self.scanner.at()
    }

    /// How many objects and arrays are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Passes over the rest of the object or array that was opened last, and answers where it ends.
    pub fn pass(&mut self) -> usize {
        let depth = self.depth();
        while self.depth() >= depth && depth > 0 && self.next().is_some() {}
        self.end()
    }

    fn step(&mut self) -> Option<Token<'a>> {
        loop {
            self.scanner.space();
            self.from = self.scanner.at();
            match self.next {
                Next::Value => return self.value(),
                Next::First => {
                    let close = *self.open.last()?;
                    if self.scanner.eat(close) {
                        return Some(self.close());
                    }
                    self.next = if close == b'}' { Next::Name } else { Next::Value };
                }
                Next::Name => {
                    self.next = Next::Value;
                    return self.scanner.key().ok().map(Token::Name);
                }
                Next::Behind => {
                    let close = *self.open.last()?;
                    if self.scanner.eat(close) {
                        return Some(self.close());
                    }
                    self.scanner.byte(b',', "a comma").ok()?;
                    self.next = if close == b'}' { Next::Name } else { Next::Value };
                }
                Next::End => return None,
            }
        }
    }

    fn value(&mut self) -> Option<Token<'a>> {
        if let Some(bracket @ (b'{' | b'[')) = self.scanner.peek() {
            if self.open.len() == MAX_DEPTH {
                return None;
            }
            self.scanner.eat(bracket);
            self.open.push(bracket + 2);
            self.next = Next::First;
            return Some(Token::Open(bracket));
        }
        self.scanner.scalar().ok()?;
        self.next = Next::Behind;
        self.text.get(self.from..self.scanner.at()).map(Token::Scalar)
    }

    fn close(&mut self) -> Token<'a> {
        self.open.pop();
        self.next = Next::Behind;
        Token::Close
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.step();
        if token.is_none() {
            self.next = Next::End;
        }
        token
    }
}

/// The members of the object that begins this text: names decoded, values as they stand. Nothing where it is no object.
pub fn members(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
    let mut walk = Walk::new(text);
    let is_object = walk.next() == Some(Token::Open(b'{'));
    std::iter::from_fn(move || {
        let Some(Token::Name(name)) = walk.next().filter(|_| is_object) else { return None };
        let value = next_value(&mut walk, text)?;
        Some((decoded(name), value))
    })
}

/// The elements of the array that begins this text, as they stand. Nothing where it is no array.
pub fn elements(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut walk = Walk::new(text);
    let is_array = walk.next() == Some(Token::Open(b'['));
    std::iter::from_fn(move || if is_array { next_value(&mut walk, text) } else { None })
}

/// Shows the values of a document, those of nested objects too: the names that lead to each, joined by dots, and its raw
/// text. Arrays, and objects that nest very deep, are one value.
pub(super) fn leaves(document: &[u8], mut on_leaf: impl FnMut(&str, &[u8])) {
    let mut walk = Walk::new(document);
    if walk.next() != Some(Token::Open(b'{')) {
        return;
    }
    // The names that lead to where the walk is, and how long they are for each object that is open.
    let (mut path, mut lengths) = (String::new(), vec![0]);
    while let Some(token) = walk.next() {
        match token {
            Token::Name(name) => {
                path.truncate(lengths.last().copied().unwrap_or_default());
                if lengths.len() > 1 {
                    path.push('.');
                }
                let name = decoded(name);
                path.push_str(name.get(..name.floor_char_boundary(LEAF_NAME_BYTES)).unwrap_or_default());
            }
            Token::Scalar(value) => on_leaf(&path, value),
            Token::Open(b'{') if lengths.len() < LEAF_DEPTH => lengths.push(path.len()),
            Token::Open(_) => {
                let from = walk.at();
                let to = walk.pass();
                on_leaf(&path, document.get(from..to).unwrap_or_default());
            }
            Token::Close => {
                lengths.pop();
            }
        }
    }
}

/// The text of a scalar as a person reads it: a string's characters, anything else as it stands. Unpaired surrogates
/// stay escaped.
pub fn decoded(scalar: &[u8]) -> Cow<'_, str> {
    match unquoted(scalar) {
        Some(inner) if !inner.contains(&b'\\') => String::from_utf8_lossy(inner),
        Some(inner) => match document::text(scalar) {
            Some(text) => Cow::Owned(text),
            None => String::from_utf8_lossy(inner),
        },
        None => String::from_utf8_lossy(scalar),
    }
}

/// What stands between the quotes of a raw string; none where this is no string.
pub(super) fn unquoted(raw: &[u8]) -> Option<&[u8]> {
    raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn next_value<'a>(walk: &mut Walk<'a>, text: &'a [u8]) -> Option<&'a [u8]> {
    let token = walk.next()?;
    let from = walk.at();
    let to = match token {
        Token::Open(_) => walk.pass(),
        Token::Scalar(_) => walk.end(),
        Token::Close | Token::Name(_) => return None,
    };
    text.get(from..to)
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_lost() {
        let text = r#" {"n":9007199254740993.10e+2, "k":1,"k":{ "a":[1,{"b":"\u00e4\ud800"}] },"":[],"\u006b":null}"#;
        let found: Vec<_> = members(text.as_bytes())
            .map(|(name, value)| (name.into_owned(), std::str::from_utf8(value).unwrap()))
            .collect();
        let expected = [
            ("n", "9007199254740993.10e+2"),
            ("k", "1"),
            ("k", r#"{ "a":[1,{"b":"\u00e4\ud800"}] }"#),
            ("", "[]"),
            ("k", "null"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        let array: Vec<_> = elements(br#"[1, [2,3] ,"x",{}]"#).collect();
        assert_eq!(array, [&b"1"[..], b"[2,3]", b"\"x\"", b"{}"]);
        assert_eq!(members(b"[1]").count() + elements(b"{}").count(), 0);
        let mut paths = Vec::new();
        leaves(text.as_bytes(), |path, value| paths.push(format!("{path} {}", value.len())));
        assert_eq!(paths, ["n 22", "k 1", "k.a 24", " 2", "k 4"]);
        assert_eq!(decoded(br#""\u00e4\n\"""#), "ä\n\"");
        assert_eq!(decoded(br#""x\ud800""#), "x\\ud800");
    }

    proptest! {
        /// Names and scalars, in the order in which serde_json gives them back.
        #[test]
        fn walks_what_serde_json_reads(value in any_value()) {
            let text = value.to_string();
            let mut walk = Walk::new(text.as_bytes());
            let mut pieces = Vec::new();
            for token in &mut walk {
                match token {
                    Token::Name(raw) | Token::Scalar(raw) => pieces.push(decoded(raw).into_owned()),
                    Token::Open(_) | Token::Close => {}
                }
            }
            prop_assert_eq!(walk.end(), text.len());
            let mut expected = Vec::new();
            flatten(&value, &mut expected);
            prop_assert_eq!(pieces, expected);
        }

        #[test]
        fn rubbish_ends_the_walk(text in "[\\[\\]{}:,\"\\\\a1 ]{0,40}") {
            prop_assert!(Walk::new(text.as_bytes()).count() <= text.len());
            let _ = members(text.as_bytes()).count() + elements(text.as_bytes()).count();
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                prop::collection::btree_map("\\PC{0,4}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn flatten(value: &serde_json::Value, out: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (name, value) in map {
                    out.push(name.clone());
                    flatten(value, out);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| flatten(item, out)),
            serde_json::Value::String(text) => out.push(text.clone()),
            other => out.push(other.to_string()),
        }
    }
}
