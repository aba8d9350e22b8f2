//! Documents as a table for other programs (RFC 4180): with a byte order mark, so that Excel reads UTF-8; nested objects
//! flattened; text that would be a formula made harmless, also for a program that cuts fields at the separator of another
//! country; without the hashes of passwords.

use super::secret::{is_secret, masked};
use super::value::{decoded, elements, leaves};
use std::borrow::Cow;
use std::collections::HashMap;

/// How many columns there are at most. What has no column of its own stays in one more, which has whole documents.
const MOST_COLUMNS: usize = 1_000;

/// The name of that column.
const WHOLE: &str = "document";

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What some program or other takes for the end of a field.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// How a country writes tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A semicolon between fields, a comma in numbers: what a German Excel reads.
    German,
    /// A comma between fields, a point in numbers.
    English,
}

/// The columns, collected from every document before the first is written.
#[derive(Debug, Default)]
pub struct Header {
    paths: Vec<String>,
    places: HashMap<String, usize>,
    overflows: bool,
}

/// Writes a table.
#[derive(Debug)]
pub struct Csv {
    header: Header,
    dialect: Dialect,
}

impl Header {
    /// Takes in the fields of a document.
    pub fn add(&mut self, document: &[u8]) {
        leaves(document, |path, value| {
            if self.places.contains_key(path) || is_secret(path, value) {
                return;
            }
            if self.paths.len() == MOST_COLUMNS {
                self.overflows = true;
                return;
            }
            self.places.insert(path.to_owned(), self.paths.len());
            self.paths.push(path.to_owned());
        });
    }
}

impl Csv {
    /// A table with these columns.
    pub fn new(header: Header, dialect: Dialect) -> Self {
        Self { header, dialect }
    }

    /// The byte order mark and the names of the columns.
    pub fn head(&self) -> Vec<u8> {
        let whole = self.header.overflows.then_some(WHOLE);
        let names = self.header.paths.iter().map(String::as_str).chain(whole);
        let fields: Vec<String> = names.map(|name| guarded(name).into_owned()).collect();
        let mut out = BYTE_ORDER_MARK.as_bytes().to_vec();
        self.write(&fields, &mut out);
        out
    }

    /// Appends a document.
    pub fn row(&self, document: &[u8], out: &mut Vec<u8>) {
        let mut fields = vec![String::new(); self.header.paths.len()];
        leaves(document, |path, value| {
            let place = self.header.places.get(path).and_then(|place| fields.get_mut(*place));
            if let Some(field) = place.filter(|_| !is_secret(path, value)) {
                // A name that comes twice has two values.
                if !field.is_empty() {
                    field.push('\n');
                }
                field.push_str(&self.field(value));
            }
        });
        if self.header.overflows {
            fields.push(guarded(&String::from_utf8_lossy(&masked(document))).into_owned());
        }
        self.write(&fields, out);
    }

    /// A value as a field: numbers in the country's way, arrays of plain values as a list, all else nested as JSON.
    fn field<'a>(&self, value: &'a [u8]) -> Cow<'a, str> {
        match value.first() {
            Some(b'n') => Cow::Borrowed(""),
            Some(b'-' | b'0'..=b'9') if self.dialect == Dialect::German => {
                Cow::Owned(decoded(value).replace('.', ","))
            }
            Some(b'"') => match guarded(&decoded(value)) {
                Cow::Borrowed(_) => decoded(value),
                Cow::Owned(text) => Cow::Owned(text),
            },
            Some(b'[') if elements(value).all(|item| !matches!(item.first(), Some(b'[' | b'{'))) => {
                let items: Vec<_> =
                    elements(value).filter(|item| !is_secret("", item)).map(decoded).collect();
                Cow::Owned(guarded(&items.join(", ")).into_owned())
            }
            Some(b'[' | b'{') => Cow::Owned(guarded(&String::from_utf8_lossy(&masked(value))).into_owned()),
            _ => decoded(value),
        }
    }

    fn write(&self, fields: &[String], out: &mut Vec<u8>) {
        let separator = if self.dialect == Dialect::German { ';' } else { ',' };
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(separator as u8);
            }
            let needs_quotes = |c| SEPARATORS.contains(&c) || matches!(c, '"' | '\r' | '\n');
            if field.contains(needs_quotes) || field.trim().len() != field.len() {
                out.extend(format!("\"{}\"", field.replace('"', "\"\"")).into_bytes());
            } else {
                out.extend_from_slice(field.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What a spreadsheet would take for a formula gets an apostrophe in front: at the beginning of a text, and behind each
/// separator, quotation mark or end of a line in it, where a program of another country begins a new field.
fn guarded(text: &str) -> Cow<'_, str> {
    let mut guarded = String::new();
    let (mut at, mut begins) = (0, true);
    for (place, c) in text.char_indices() {
        let rest = text.get(place..).unwrap_or_default();
        let formula = matches!(c, '=' | '+' | '-' | '@') || (place == 0 && matches!(c, '\t' | '\r'));
        if begins && formula && (place == 0 || !is_number(rest)) {
            guarded += text.get(at..place).unwrap_or_default();
            guarded.push('\'');
            at = place;
        }
        begins = SEPARATORS.contains(&c) || matches!(c, '"' | '\r' | '\n');
    }
    if guarded.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(guarded + text.get(at..).unwrap_or_default())
}

/// Whether a text begins with a number and nothing else up to what ends a field, as in an array of JSON.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or_default();
    let digits = unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let ends =
        digits.chars().next().is_none_or(|c| SEPARATORS.contains(&c) || matches!(c, ']' | '}' | '\r' | '\n'));
    digits.len() < unsigned.len() && ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_rows() {
        let documents: [&[u8]; 3] = [
            br#"{"_id":"a","n":-9007199254740993.10,"t":"-1","list":["=x",1,null],"sub":{"a":"x;y","b":{"c":"q\"\n"}},"items":[{"k":"$argon2id$"}]}"#,
            br#"{"_id":"b","t":"\u003dSUM(A1)","n":null,"t":"two","passwordHash":"x","ok":true," lead":" x"}"#,
            b"rubbish",
        ];
        let mut header = Header::default();
        documents.iter().for_each(|document| header.add(document));
        let csv = Csv::new(header, Dialect::German);
        let mut out = csv.head();
        documents.iter().for_each(|document| csv.row(document, &mut out));
        let expected = "\u{feff}_id;n;t;list;sub.a;sub.b.c;items;ok;\" lead\"\r\n\
            a;\"-9007199254740993,10\";'-1;\"'=x, 1, null\";\"x;y\";\"q\"\"\n\";\"[{\"\"k\"\":\"\"•••\"\"}]\";;\r\n\
            b;;\"'=SUM(A1)\ntwo\";;;;;true;\" x\"\r\n\
            ;;;;;;;;\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    /// Cuts a table as programs do that take `separator` for the end of a field: a quotation mark counts only where a
    /// field begins.
    fn cells(table: &str, separator: char) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut characters = table.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
                '"' if quoted => quoted = false,
                '"' if cell.is_empty() => quoted = true,
                c if !quoted && (c == separator || c == '\n') => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    }

    #[test]
    fn no_country_reads_a_formula_out_of_a_text() {
        let texts = [
            "x,=1+1",
            "x;=1+1",
            "x\t=1+1",
            "x\n=1+1",
            "x\r=1+1",
            "\"=1+1",
            "x,\"=1+1",
            ",@SUM(A1)",
            ";+1+cmd|' /C calc'!A0",
            "a,-1+1",
            "=1",
            "\t=1",
            ";;;=1",
            "x\",=1",
        ];
        let value = |text: &str| serde_json::to_string(text).unwrap();
        for text in texts {
            let text = value(text);
            let document = format!(
                "{{\"_id\":\"a\",{text}:1,\"t\":{text},\"l\":[{text}],\"o\":[{{\"k\":{text},\"l\":[{text},{text}]}}]}}"
            );
            for dialect in [Dialect::German, Dialect::English] {
                let mut header = Header::default();
                header.add(document.as_bytes());
                let csv = Csv::new(header, dialect);
                let mut out = csv.head();
                csv.row(document.as_bytes(), &mut out);
                let table = String::from_utf8(out).unwrap();
                for separator in SEPARATORS {
                    for cell in cells(table.trim_start_matches(BYTE_ORDER_MARK), separator) {
                        let first = cell.trim_start_matches('"').chars().next();
                        assert!(
                            !matches!(first, Some('=' | '+' | '-' | '@')),
                            "{cell:?} by {separator:?} of {table:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_and_dashes_within_a_text_stay_as_they_are() {
        for text in ["Table 5, - without onions", "12,50", "[1,-5,{\"a\":[-2.5]}]", "a;b", "1, -2", "a-b@c=d"]
        {
            assert_eq!(guarded(text), text);
        }
        assert_eq!(guarded("+49 30"), "'+49 30");
    }

    #[test]
    fn what_has_no_column_stays_in_the_last() {
        let members: String = (0..MOST_COLUMNS + 5).map(|at| format!(",\"m{at}\":{at}")).collect();
        let document = format!("{{\"_id\":\"a\"{members}}}");
        let mut header = Header::default();
        header.add(document.as_bytes());
        let csv = Csv::new(header, Dialect::English);
        assert!(csv.head().ends_with(b",document\r\n"));
        let mut out = Vec::new();
        csv.row(document.as_bytes(), &mut out);
        assert!(out.ends_with(format!(",\"{}\"\r\n", document.replace('"', "\"\"")).as_bytes()));
    }
}
