//! JSON objects written key by key, so that amounts keep their two decimals and keys their order.

use super::money::Cents;
use std::fmt::{Display, Write as _};

/// A JSON object (RFC 8259) under construction.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// A document starts with its id and type.
    pub(super) fn document(id: &str, document_type: &str) -> Self {
        Self(String::with_capacity(2_048)).open().text("_id", id).text("documentType", document_type)
    }

    fn open(mut self) -> Self {
        self.0.push('{');
        self
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    pub(super) fn text(mut self, key: &str, value: impl AsRef<str>) -> Self {
        self.key(key);
        quote(&mut self.0, value.as_ref());
        self
    }

    /// What prints itself in characters that need no escape: a date, a moment, an id.
    pub(super) fn plain(mut self, key: &str, value: impl Display) -> Self {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = write!(self.0, "\"{value}\"");
        self
    }

    /// The same text in the form of writers that know ASCII only: `\u00fc`, and `\/` for the slash.
    pub(super) fn escaped(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.0.push('"');
        for unit in value.encode_utf16() {
            let _ = match u8::try_from(unit) {
                Ok(b'/') => write!(self.0, "\\/"),
                Ok(byte @ (b'"' | b'\\')) => write!(self.0, "\\{}", char::from(byte)),
                Ok(byte @ 0x20..=0x7e) => write!(self.0, "{}", char::from(byte)),
                _ => write!(self.0, "\\u{unit:04x}"),
            };
        }
        self.0.push('"');
        self
    }

    /// A number, an amount, true or false.
    pub(super) fn value(mut self, key: &str, value: impl Display) -> Self {
        self.key(key);
        let _ = write!(self.0, "{value}");
        self
    }

    pub(super) fn object(mut self, key: &str, value: Object) -> Self {
        self.key(key);
        self.0.push_str(&value.finish());
        self
    }

    pub(super) fn list(mut self, key: &str, values: impl IntoIterator<Item = Object>) -> Self {
        self.key(key);
        self.0.push('[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.0.push_str(&value.finish());
        }
        self.0.push(']');
        self
    }

    pub(super) fn texts(mut self, key: &str, values: &[&str]) -> Self {
        self.key(key);
        self.0.push('[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            quote(&mut self.0, value);
        }
        self.0.push(']');
        self
    }

    /// The key only where there is a value.
    pub(super) fn maybe(self, key: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// One rate's share: gross, net and tax.
pub(super) fn tax_row(rate: u8, gross: Cents, tax: Cents) -> Object {
    Object::new().value("rate", rate).value("gross", gross).value("net", gross - tax).value("tax", tax)
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\0'..='\x1f' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(character));
                }
                _ => out.push(character),
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn any_text_comes_back() {
        for text in ["", "Käse", "a\"b\\c\n\t\u{1}\r", "\u{2028}🍺", "1/2 \u{7f}"] {
            let json = Object::new().text("a", text).escaped("b", text).finish();
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!((&value["a"], &value["b"]), (&text.into(), &text.into()), "{json}");
            assert!(!json.contains(['\n', '\r']));
        }
    }
}
