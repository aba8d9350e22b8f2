//! What a person looks for, and how it is found: lines are folded block by block, the longest word is looked for in
//! all of the block at once, and only a line that has it is looked at value by value.

use super::fold;
use super::value::{Token, Walk, unquoted};
use crate::error::Result;
use memchr::memmem::Finder;
use std::ops::{ControlFlow, Range};

/// A longer value is searched but not marked.
const MARKED_BYTES: usize = 1 << 20;

/// How many places are marked, give or take those of one word in one value.
const MOST_MARKS: usize = 10_000;

/// Words that all have to be in the values of a document, each in any of them: `müller`, `"müller söhne"`,
/// `total:12.5`, `customer.name:"anna b"`. Case, umlauts and escapes do not count, as in [`Query::parse`].
#[derive(Debug, Clone)]
pub struct Query {
    /// The one with the longest text first: it is the rarest, most likely.
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    /// Names that have to follow each other on the way to the value; empty where any value will do.
    field: Vec<Vec<u8>>,
    /// What is looked for; the amount 12,50 may also be written 12.50.
    values: Vec<Finder<'static>>,
    /// The number that such an amount is without its last zeros, where that is the whole value.
    number: Vec<u8>,
    /// What a line must have somewhere: the value, or where that is empty the field's last name.
    sign: Finder<'static>,
}

impl Query {
    /// Reads what was typed. Words are separated by white space and all wanted; quotes keep white space; `field:value`
    /// wants the value in a member of that name or below it, with names joined by dots for one that is nested, and
    /// without a value any. Digits before a colon are a time, and `//` behind one is an address. An amount with a comma is
    /// found with a point, too.
    pub fn parse(text: &str) -> Self {
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (field, behind) = split_field(rest);
            let (value, behind) = split_value(behind);
            rest = behind.trim_start();
            if field.is_some() || !value.is_empty() {
                terms.push(Term::new(field.unwrap_or_default(), value));
            }
        }
        terms.sort_by_key(|term: &Term| std::cmp::Reverse(term.sign.needle().len()));
        Self { terms }
    }

    /// Whether it asks for nothing, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether this line is a document that has all of it.
    pub fn matches(&self, line: &[u8]) -> bool {
        let mut folded = Vec::new();
        fold::json(line, &mut folded);
        self.has_signs(&folded) && self.has_values(line)
    }

    /// Where a text that is no JSON, a table's cell perhaps, has any of the words, whatever their fields.
    pub fn marks(&self, text: &str) -> Vec<Range<usize>> {
        if text.len() > MARKED_BYTES {
            return Vec::new();
        }
        let (folded, places) = fold::text_with_places(text);
        let mut marks = Vec::new();
        for term in &self.terms {
            term.mark(&folded, &places, 0, &mut marks);
        }
        merged(marks)
    }

    /// Where a document's raw text has the words, in the values that they are wanted in.
    pub fn marks_in(&self, document: &str) -> Vec<Range<usize>> {
        let mut marks = Vec::new();
        self.each_value(document.as_bytes(), |at, value, path| {
            let inner = unquoted(value);
            let from = at + usize::from(inner.is_some());
            let value = inner.unwrap_or(value);
            if value.len() <= MARKED_BYTES && marks.len() < MOST_MARKS {
                let (folded, places) = fold::json_with_places(value);
                for term in self.terms.iter().filter(|term| term.is_at(path)) {
                    term.mark(&folded, &places, from, &mut marks);
                }
            }
            ControlFlow::Continue(())
        });
        merged(marks)
    }

    /// Looks through lines, each with its line feed, of which `line` gives the one of each number; shows the numbers of
    /// those that match.
    pub(super) fn search<'a>(
        &self,
        scratch: &mut Vec<u8>,
        block: &[u8],
        line: impl Fn(usize) -> Option<&'a [u8]>,
        mut on_match: impl FnMut(usize, &'a [u8]) -> Result<()>,
    ) -> Result<()> {
        scratch.clear();
        fold::json(block, scratch);
        let folded = scratch.as_slice();
        let (mut at, mut number) = (0, 0);
        while let Some(found) = self.next_sign(folded, at) {
            let between = folded.get(at..found).unwrap_or_default();
            number += memchr::memchr_iter(b'\n', between).count();
            let start = memchr::memrchr(b'\n', between).map_or(at, |feed| at + feed + 1);
            let rest = folded.get(start..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            if let Some(line) = line(number)
                && self.has_signs(rest.get(..end).unwrap_or_default())
                && self.has_values(line)
            {
                on_match(number, line)?;
            }
            (at, number) = (start + end + 1, number + 1);
        }
        Ok(())
    }

    /// Where the rarest sign comes next.
    fn next_sign(&self, folded: &[u8], from: usize) -> Option<usize> {
        let rest = folded.get(from..).filter(|rest| !rest.is_empty())?;
        match self.terms.first() {
            Some(term) => Some(from + term.sign.find(rest)?),
            None => Some(from),
        }
    }

    fn has_signs(&self, folded: &[u8]) -> bool {
        self.terms.iter().all(|term| term.sign.find(folded).is_some())
    }

    fn has_values(&self, line: &[u8]) -> bool {
        let mut wanted: Vec<&Term> = self.terms.iter().collect();
        let mut folded = Vec::new();
        self.each_value(line, |_, value, path| {
            folded.clear();
            fold::json(unquoted(value).unwrap_or(value), &mut folded);
            wanted.retain(|term| !term.is_at(path) || !term.is_in(&folded));
            if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        wanted.is_empty()
    }

    /// Shows every scalar: where it begins, its raw text, and the folded names that lead to it, where a term asks for
    /// them.
    fn each_value(&self, line: &[u8], mut on_value: impl FnMut(usize, &[u8], &[Vec<u8>]) -> ControlFlow<()>) {
        let with_names = self.terms.iter().any(|term| !term.field.is_empty());
        // The names that lead to where the walk is, and how many there are to each object or array that is open.
        let mut path: Vec<Vec<u8>> = Vec::new();
        let mut lengths: Vec<usize> = Vec::new();
        let mut walk = Walk::new(line);
        while let Some(token) = walk.next() {
            match token {
                Token::Open(_) => lengths.push(path.len()),
                Token::Close => path.truncate(lengths.pop().unwrap_or_default()),
                Token::Name(name) if with_names => {
                    path.truncate(lengths.last().copied().unwrap_or_default());
                    let mut folded = Vec::new();
                    fold::json(unquoted(name).unwrap_or(name), &mut folded);
                    path.push(folded);
                }
                Token::Name(_) => {}
                Token::Scalar(value) => {
                    if on_value(walk.at(), value, &path).is_break() {
                        return;
                    }
                }
            }
        }
    }
}

impl Term {
    fn new(field: Vec<Vec<u8>>, value: &str) -> Self {
        let value = fold::text(value);
        let (mut values, mut number) = (vec![value.clone()], Vec::new());
        let mut sign =
            if value.is_empty() { field.last().cloned().unwrap_or_default() } else { value.clone() };
        if let Some((euros, cents)) = amount(&value) {
            let point = [euros, b".", cents].concat();
            let zeros = cents.iter().rev().take_while(|digit| **digit == b'0').count();
            let end = point.len() - zeros - usize::from(zeros == cents.len());
            number = point.get(..end).unwrap_or_default().to_vec();
            values.push(point);
            sign = euros.to_vec();
        }
        let finder = |bytes: &Vec<u8>| Finder::new(bytes).into_owned();
        Self { field, values: values.iter().map(finder).collect(), number, sign: finder(&sign) }
    }

    /// Whether a folded value has what it looks for.
    fn is_in(&self, folded: &[u8]) -> bool {
        self.values.iter().any(|value| value.find(folded).is_some())
            || !self.number.is_empty() && self.number == folded
    }

    /// Adds where a folded text has what it looks for, as places in the text that it was folded from.
    fn mark(&self, folded: &[u8], places: &[(usize, usize)], offset: usize, marks: &mut Vec<Range<usize>>) {
        let mut add = |from: usize, length: usize| {
            if let (Some(first), Some(last)) = (places.get(from), places.get(from + length - 1)) {
                marks.push(offset + first.0..offset + last.1);
            }
        };
        if !self.number.is_empty() && self.number == folded {
            add(0, folded.len());
        }
        for value in self.values.iter().filter(|value| !value.needle().is_empty()) {
            value.find_iter(folded).take(MOST_MARKS).for_each(|at| add(at, value.needle().len()));
        }
    }

    /// Whether the value at the end of this path is one that it is wanted in.
    fn is_at(&self, path: &[Vec<u8>]) -> bool {
        self.field.is_empty() || path.windows(self.field.len()).any(|names| names == self.field)
    }
}

/// The names of a field and what follows its colon, where the text begins with one.
fn split_field(text: &str) -> (Option<Vec<Vec<u8>>>, &str) {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    let names: Vec<Vec<u8>> = name.split('.').map(fold::text).collect();
    let is_field = name.contains(|c: char| c.is_alphabetic() || c == '_') && !names.iter().any(Vec::is_empty);
    match behind.strip_prefix(':').filter(|value| is_field && !value.starts_with("//")) {
        Some(value) => (Some(names), value),
        None => (None, text),
    }
}

/// A quoted phrase or a word, and what follows it.
fn split_value(text: &str) -> (&str, &str) {
    match text.strip_prefix('"') {
        Some(phrase) => phrase.split_once('"').unwrap_or((phrase, "")),
        None => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    }
}

/// The digits before and behind the comma of an amount.
fn amount(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (euros, cents) = text.split_at_checked(memchr::memchr(b',', text)?)?;
    let cents = cents.get(1..)?;
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    (digits(euros) && digits(cents)).then_some((euros, cents))
}

/// In order, those that touch as one.
fn merged(mut marks: Vec<Range<usize>>) -> Vec<Range<usize>> {
    marks.sort_by_key(|mark| mark.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(marks.len());
    for mark in marks {
        match merged.last_mut() {
            Some(last) if mark.start <= last.end => last.end = last.end.max(mark.end),
            _ => merged.push(mark),
        }
    }
    merged
}
