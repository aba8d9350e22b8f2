//! What nobody needs to see: hashes of passwords. Views mask them, tables of other programs do not get them.

use super::value::{Token, Walk, decoded};
use std::borrow::Cow;
use std::ops::Range;

/// What is shown instead.
pub const MASK: &str = "•••";

/// How the hashes of passwords begin: the PHC string format, and bcrypt's own.
const HASHES: &[&[u8]] = &[b"$argon2", b"$2a$", b"$2b$", b"$2y$", b"$scrypt$", b"$pbkdf2"];

/// Whether a member of this name, or this raw value, is the hash of a password.
pub fn is_secret(name: &str, value: &[u8]) -> bool {
    is_secret_name(name) || is_hash(value)
}

/// Where a document's raw text has the hashes of passwords, quotes included: what a view masks.
pub fn secrets(document: &str) -> Vec<Range<usize>> {
    find(document.as_bytes())
}

/// The same text with [`MASK`] in the place of each.
pub(super) fn masked(raw: &[u8]) -> Cow<'_, [u8]> {
    let found = find(raw);
    if found.is_empty() {
        return Cow::Borrowed(raw);
    }
    let (mut out, mut at) = (Vec::with_capacity(raw.len()), 0);
    for secret in found {
        out.extend_from_slice(raw.get(at..secret.start).unwrap_or_default());
        out.extend_from_slice(format!("\"{MASK}\"").as_bytes());
        at = secret.end;
    }
    out.extend_from_slice(raw.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

fn find(raw: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut walk) = (Vec::new(), Walk::new(raw));
    // Whether the value that comes next has such a name.
    let mut named = false;
    while let Some(token) = walk.next() {
        match token {
            Token::Name(name) => named = is_secret_name(&decoded(name)),
            Token::Open(_) if named => {
                let from = walk.at();
                found.push(from..walk.pass());
                named = false;
            }
            Token::Open(_) | Token::Close => {}
            Token::Scalar(value) => {
                if named || is_hash(value) {
                    found.push(walk.at()..walk.end());
                }
                named = false;
            }
        }
    }
    found
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["passwor", "passwd", "pwdhash", "pinhash"].iter().any(|part| name.contains(part))
}

fn is_hash(value: &[u8]) -> bool {
    // None is longer than a line or two; a text with a first letter of its own needs no decoding.
    let may_be = value.len() < 4096 && matches!(value, [b'"', b'$' | b'\\', ..]);
    may_be && HASHES.iter().any(|head| decoded(value).as_bytes().starts_with(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_by_name_and_by_form() {
        let document = r#"{"_id":"usr_1","passwordHash":"x","a":[{"p":"$argon2id$v=19$…"},"\u00242b$10$"],"Passwort":{"k":1},"n":"$5"}"#;
        let shown: Vec<_> = secrets(document).into_iter().map(|secret| &document[secret]).collect();
        assert_eq!(shown, ["\"x\"", "\"$argon2id$v=19$…\"", "\"\\u00242b$10$\"", "{\"k\":1}"]);
        let hidden = String::from_utf8(masked(document.as_bytes()).into_owned()).unwrap();
        assert_eq!(
            hidden,
            r#"{"_id":"usr_1","passwordHash":"•••","a":[{"p":"•••"},"•••"],"Passwort":"•••","n":"$5"}"#
        );
        assert!(matches!(masked(b"{\"_id\":\"a\"}"), Cow::Borrowed(_)));
        assert!(is_secret("passwordHash", b"1") && !is_secret("name", b"\"$\""));
    }
}
