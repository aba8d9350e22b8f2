//! Text as a German speaker compares it: case does not count, ä is ae, ö is oe, ü is ue, ß is ss, other diacritics are
//! dropped, any white space is a space. JSON's escapes are decoded on the way, so that no spelling hides anything.
//!
//! Most text is ASCII without escapes; it is folded eight bytes at a time.

use unicode_normalization::char::decompose_canonical;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// Appends JSON lines, folded. Each line feed stays where it is: between two lines.
pub(super) fn json(mut bytes: &[u8], out: &mut Vec<u8>) {
    loop {
        let (plain, rest) = bytes.split_at(plain_bytes(bytes));
        let start = out.len();
        out.extend_from_slice(plain);
        lower(out.get_mut(start..).unwrap_or_default());
        let Some((c, length)) = next_char(rest) else { return };
        push(c, out);
        bytes = rest.get(length..).unwrap_or_default();
    }
}

/// Text that is not JSON, folded.
pub(super) fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        push(c, &mut out);
    }
    out
}

/// The same, and for each folded byte where the character it comes from begins and ends.
pub(super) fn text_with_places(text: &str) -> (Vec<u8>, Vec<(usize, usize)>) {
    places(text.char_indices().map(|(at, c)| (c, at, at + c.len_utf8())))
}

/// The same for the inside of a JSON string, whose escapes are decoded.
pub(super) fn json_with_places(bytes: &[u8]) -> (Vec<u8>, Vec<(usize, usize)>) {
    let mut at = 0;
    places(std::iter::from_fn(move || {
        let (c, length) = next_char(bytes.get(at..)?)?;
        at += length;
        Some((c, at - length, at))
    }))
}

fn places(chars: impl Iterator<Item = (char, usize, usize)>) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut out, mut places) = (Vec::new(), Vec::new());
    for (c, from, to) in chars {
        push(c, &mut out);
        places.resize(out.len(), (from, to));
    }
    (out, places)
}

/// How many bytes at the start are ASCII and no backslash.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let special = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let backslash = word ^ (u64::from(b'\\') * ONES);
        (word | backslash.wrapping_sub(ONES) & !backslash) & HIGH != 0
    };
    let is_special = |byte: &u8| !byte.is_ascii() || *byte == b'\\';
    match words.iter().position(special) {
        Some(at) => {
            let word = words.get(at).map(<[u8; 8]>::as_slice).unwrap_or_default();
            at * 8 + word.iter().position(is_special).unwrap_or(word.len())
        }
        None => words.len() * 8 + tail.iter().position(is_special).unwrap_or(tail.len()),
    }
}

/// ASCII in lower case.
fn lower(bytes: &mut [u8]) {
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_le_bytes(*word);
        // The high bit of each byte: not before A, and behind Z.
        let from_a = plain.wrapping_add(u64::from(0x80 - b'A') * ONES);
        let behind_z = plain.wrapping_add(u64::from(0x80 - b'Z' - 1) * ONES);
        *word = (plain | (from_a & !behind_z & HIGH) >> 2).to_le_bytes();
    }
    tail.make_ascii_lowercase();
}

/// The first character, its escape decoded, and how many bytes it takes. What is no text is U+FFFD.
fn next_char(bytes: &[u8]) -> Option<(char, usize)> {
    match *bytes.first()? {
        b'\\' => Some(escape(bytes)),
        byte if byte.is_ascii() => Some((char::from(byte), 1)),
        _ => {
            let start = bytes.get(..bytes.len().min(4)).unwrap_or_default();
            let chunk = start.utf8_chunks().next()?;
            match chunk.valid().chars().next() {
                Some(c) => Some((c, c.len_utf8())),
                None => Some((char::REPLACEMENT_CHARACTER, chunk.invalid().len().max(1))),
            }
        }
    }
}

fn escape(bytes: &[u8]) -> (char, usize) {
    match bytes.get(1) {
        Some(b'u') => {
            let Some(high) = unit(bytes) else { return ('\\', 1) };
            let low = bytes.get(6..).filter(|rest| rest.starts_with(b"\\u")).and_then(unit);
            match (high, low) {
                (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                    let c = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                _ => (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            }
        }
        Some(b'b' | b'f' | b'n' | b'r' | b't') => (' ', 2),
        Some(byte @ (b'"' | b'\\' | b'/')) => (char::from(*byte), 2),
        _ => ('\\', 1),
    }
}

/// The UTF-16 code unit of an escape.
fn unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.get(2..6)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

fn push(c: char, out: &mut Vec<u8>) {
    match c {
        'ä' | 'Ä' => out.extend(b"ae"),
        'ö' | 'Ö' => out.extend(b"oe"),
        'ü' | 'Ü' => out.extend(b"ue"),
        'ß' | 'ẞ' => out.extend(b"ss"),
        // Hangul would only become longer.
        '\u{ac00}'..='\u{d7a3}' => push_plain(c, out),
        _ if c.is_ascii() => push_plain(c, out),
        _ => decompose_canonical(c, |c| c.to_lowercase().for_each(|c| push_plain(c, out))),
    }
}

/// A character that does not come apart any more.
fn push_plain(c: char, out: &mut Vec<u8>) {
    match c {
        // Two dots make an umlaut of these; of others they are a diacritic.
        '\u{308}' if matches!(out.last(), Some(b'a' | b'o' | b'u')) => out.push(b'e'),
        '\u{300}'..='\u{36f}' => {}
        _ if c < ' ' || c.is_whitespace() => out.push(b' '),
        _ if c.is_ascii() => out.push(c.to_ascii_lowercase() as u8),
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> String {
        String::from_utf8(super::text(text)).unwrap()
    }

    #[test]
    fn folds_as_a_german_speaker_expects() {
        for (one, other) in [
            ("MÜLLER", "Mueller"),
            ("Größe", "GROESSE"),
            ("STRAẞE", "strasse"),
            ("Cafe\u{301}", "café"),
            ("a\u{308}o\u{308}U\u{308}", "äöü"),
            ("Noël", "noel"),
            ("Ǘ", "ue"),
            ("Ångström", "angstroem"),
            ("İzmir", "izmir"),
            ("a\u{a0}b\tc", "a b c"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("Muller"), folded("Müller"));
    }

    /// Text spelled as JSON: plain, with short escapes, or each UTF-16 unit as `\u`.
    fn spelled(text: &str, choices: &[u8]) -> String {
        let mut choices = choices.iter().copied().cycle();
        let mut json = String::new();
        for c in text.chars() {
            let must = matches!(c, '"' | '\\') || c < ' ';
            if must || choices.next().unwrap_or_default() % 4 == 0 {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    json += &format!("\\u{unit:04X}");
                }
            } else {
                json.push(c);
            }
        }
        json
    }

    fn words() -> impl Strategy<Value = String> {
        prop_oneof!["\\PC{0,40}", "[a-zA-ZäöüÄÖÜß\"\\\\/ \u{308}\u{301}éèñ0-9]{0,60}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_spelling_does_not_matter(text in words(), choices in prop::collection::vec(any::<u8>(), 1..20)) {
            let json_text = spelled(&text, &choices);
            let mut fast = Vec::new();
            json(json_text.as_bytes(), &mut fast);
            prop_assert_eq!(&fast, &super::text(&text));
            let (mapped, places) = json_with_places(json_text.as_bytes());
            prop_assert_eq!(&mapped, &fast);
            prop_assert!(places.is_sorted() && places.len() == fast.len());
            prop_assert!(places.iter().all(|(from, to)| json_text.get(*from..*to).is_some()));
            prop_assert_eq!(super::text_with_places(&text).0, fast);
        }

        #[test]
        fn any_bytes_keep_their_lines(bytes: Vec<u8>) {
            let mut out = Vec::new();
            json(&bytes, &mut out);
            let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(count(&bytes), count(&out));
        }
    }
}
