//! Text from outside on one line, for terminals and logs: nothing in it commands a terminal, turns text around or forges a line.

/// The text with control characters and marks of direction as escapes.
pub fn plain(text: &str) -> String {
    escaped(text, |c| c.escape_unicode().to_string())
}

/// The same for JSON, which has escapes of its own. Such characters stand nowhere but in its strings.
pub fn plain_json(json: &str) -> String {
    escaped(json, |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_harmless(c) {
            true => escaped.push(c),
            false => escaped += &escape(c),
        }
    }
    escaped
}

/// Neither a control character nor a mark of direction, nor what some programs take for the end of a line.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_escaped_and_everything_else_stays() {
        let text = "Käse\n\r\t\u{1b}[2J\u{85}\u{9b}\u{2028}\u{202e}\u{2066}\u{61c}\u{0} 🧀 \\u{a}";
        let shown = r"Käse\u{a}\u{d}\u{9}\u{1b}[2J\u{85}\u{9b}\u{2028}\u{202e}\u{2066}\u{61c}\u{0} 🧀 \u{a}";
        assert_eq!(plain(text), shown);
        let json = serde_json::to_string(text).unwrap();
        let shown = plain_json(&json);
        assert!(shown.chars().all(is_harmless), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
