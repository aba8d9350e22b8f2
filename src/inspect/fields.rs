//! Which fields of two documents differ.

use super::secret::{is_secret, masked};
use super::value::{elements, members};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;

/// How deep the fields of a document are compared; what nests deeper is one value.
const DEPTH: usize = 8;

/// How many fields are told at most.
const MOST_FIELDS: usize = 1_000;

/// An object with more members is one value.
const MOST_MEMBERS: usize = 10_000;

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
pub struct FieldChange {
    /// The names that lead to it, joined by dots; places in arrays count from 0.
    pub path: String,
    /// Its raw value in the old backup, where it is there. The hashes of passwords are masked.
    pub old: Option<String>,
    /// Its raw value in the new backup, where it is there.
    pub new: Option<String>,
}

/// The fields of two documents that differ, in the order of the old one, then of the new one.
pub(super) fn differing(old: &[u8], new: &[u8]) -> Vec<FieldChange> {
    let mut out = Vec::new();
    descend("", old, new, DEPTH, &mut out);
    out
}

fn descend(path: &str, old: &[u8], new: &[u8], depth: usize, out: &mut Vec<FieldChange>) {
    if old == new || out.len() >= MOST_FIELDS {
        return;
    }
    match (old.trim_ascii_start().first(), new.trim_ascii_start().first()) {
        (Some(b'{'), Some(b'{')) if depth > 0 && is_narrow(old) && is_narrow(new) => {
            let mut values = by_name(new);
            let mut taken: HashMap<Cow<'_, str>, usize> = HashMap::new();
            for (name, old) in members(old) {
                let new = values.get_mut(&name).and_then(Iterator::next);
                pair(&join(path, &name), Some(old), new, depth, out);
                *taken.entry(name).or_default() += usize::from(new.is_some());
            }
            for (name, new) in members(new) {
                match taken.get_mut(&name).filter(|taken| **taken > 0) {
                    Some(taken) => *taken -= 1,
                    None => pair(&join(path, &name), None, Some(new), depth, out),
                }
            }
        }
        (Some(b'['), Some(b'[')) if depth > 0 && elements(old).count() == elements(new).count() => {
            for (at, (old, new)) in elements(old).zip(elements(new)).enumerate() {
                pair(&join(path, &at.to_string()), Some(old), Some(new), depth, out);
            }
        }
        _ => push(path, Some(old), Some(new), out),
    }
}

fn pair(path: &str, old: Option<&[u8]>, new: Option<&[u8]>, depth: usize, out: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(old), Some(new)) => descend(path, old, new, depth - 1, out),
        _ => push(path, old, new, out),
    }
}

fn push(path: &str, old: Option<&[u8]>, new: Option<&[u8]>, out: &mut Vec<FieldChange>) {
    if out.len() < MOST_FIELDS {
        out.push(FieldChange { path: path.to_owned(), old: shown(path, old), new: shown(path, new) });
    }
}

fn shown(path: &str, value: Option<&[u8]>) -> Option<String> {
    let value = value?;
    if is_secret(path, value) {
        return Some(format!("\"{}\"", super::MASK));
    }
    Some(String::from_utf8_lossy(&masked(value)).into_owned())
}

/// Whether an object has so few members that they can be told apart in memory.
fn is_narrow(object: &[u8]) -> bool {
    members(object).nth(MOST_MEMBERS).is_none()
}

/// The values of each name, in their order.
fn by_name(object: &[u8]) -> HashMap<Cow<'_, str>, std::vec::IntoIter<&[u8]>> {
    let mut values: HashMap<Cow<'_, str>, Vec<&[u8]>> = HashMap::new();
    for (name, value) in members(object) {
        values.entry(name).or_default().push(value);
    }
    values.into_iter().map(|(name, values)| (name, values.into_iter())).collect()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(old: &str, new: &str) -> Vec<String> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let found = differing(old.as_bytes(), new.as_bytes()).into_iter();
        found.map(|field| format!("{} {} {}", field.path, text(field.old), text(field.new))).collect()
    }

    #[test]
    fn the_innermost_fields_that_differ_are_named() {
        let old = r#"{"_id":"a","n":9007199254740993,"k":1,"k":2,"sub":{"x":1,"gone":[]},"list":[1,{"p":1}],"other":[1],"passwordHash":"a"}"#;
        let new = r#"{"_id":"a","k":1,"k":3,"k":4,"n":9007199254740992,"sub":{"x":1.0,"new":"ä"},"list":[1,{"p":2}],"other":[1,2],"passwordHash":"b"}"#;
        assert_eq!(
            changes(old, new),
            [
                "n 9007199254740993 9007199254740992",
                "k 2 3",
                "sub.x 1 1.0",
                "sub.gone [] -",
                "sub.new - \"ä\"",
                "list.1.p 1 2",
                "other [1] [1,2]",
                "passwordHash \"•••\" \"•••\"",
                "k - 4",
            ]
        );
        assert!(changes(r#"{"_id":"a","b":1}"#, r#"{"b":1, "_id":"a"}"#).is_empty());
        assert_eq!(changes(r#"{"_id":"a","b":{}}"#, r#"{"_id":"a","b":[]}"#), ["b {} []"]);
    }

    #[test]
    fn what_nests_deep_is_one_value_and_the_number_of_fields_is_bounded() {
        let deep = |leaf: &str| format!("{}{leaf}{}", "{\"a\":".repeat(400), "}".repeat(400));
        let found = differing(deep("1").as_bytes(), deep("2").as_bytes());
        assert_eq!((found.len(), found[0].path.as_str()), (1, "a.a.a.a.a.a.a.a"));
        let wide = |leaf: u8| format!("[{}0]", format!("{leaf},").repeat(5_000));
        assert_eq!(differing(wide(1).as_bytes(), wide(2).as_bytes()).len(), MOST_FIELDS);
        let members = |last: u8| format!("{{{}\"z\":{last}}}", "\"a\":0,".repeat(MOST_MEMBERS));
        assert_eq!(differing(members(1).as_bytes(), members(2).as_bytes())[0].path, "");
    }
}
