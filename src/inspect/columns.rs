//! The columns of a table, found from the data: id, name, date and amount first.

use super::secret::{MASK, is_secret, masked};
use super::value::{decoded, elements, leaves};
use serde::Serialize;
use std::collections::HashMap;

/// How many columns a table has at most.
const MOST_COLUMNS: usize = 16;

/// How many different values a look at a sample keeps apart.
const MOST_PATHS: usize = 1_000;

/// How many characters a cell shows at most.
const CELL_CHARS: usize = 200;

/// How many bytes a cell has before it takes no further value of the same name.
const CELL_BYTES: usize = 1_000;

/// Longer text is shown behind everything else.
const LONG_TEXT: usize = 60;

/// What a CouchDB or every document of a collection has.
const DULL: &[&str] = &["_rev", "documentType", "_attachments"];

const AMOUNTS: &[&str] =
    &["amount", "total", "gross", "price", "sum", "balance", "betrag", "summe", "preis", "brutto", "value"];

/// The columns of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// From left to right.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The names that lead to its values, joined by dots.
    pub path: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// What the values of a column are, in the order in which a table shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// The `_id`.
    Id,
    /// A name, or the number that people call it by.
    Name,
    /// A day or a moment in ISO 8601.
    Date,
    /// Money.
    Amount,
    /// Any other number.
    Number,
    /// true or false.
    Flag,
    /// Any other text, or values of several kinds.
    Text,
    /// An array.
    List,
    /// The hash of a password: its cells are masked.
    Secret,
}

#[derive(Debug, Default)]
struct Seen {
    first: usize,
    dates: usize,
    numbers: usize,
    flags: usize,
    texts: usize,
    text_bytes: usize,
    lists: usize,
    secrets: usize,
}

impl Columns {
    /// The columns that suit these documents.
    pub fn of<'a>(sample: impl IntoIterator<Item = &'a str>) -> Self {
        let mut seen: HashMap<String, Seen> = HashMap::new();
        for document in sample {
            leaves(document.as_bytes(), |path, value| {
                let next = seen.len();
                if let Some(seen) = seen.get_mut(path) {
                    seen.add(path, value);
                } else if next < MOST_PATHS {
                    let mut new = Seen { first: next, ..Seen::default() };
                    new.add(path, value);
                    seen.insert(path.to_owned(), new);
                }
            });
        }
        seen.retain(|path, _| !DULL.contains(&path.as_str()));
        let mut ranked: Vec<_> = seen
            .into_iter()
            .map(|(path, seen)| {
                let kind = seen.kind(&path);
                (seen.rank(&path, kind), Column { path, kind })
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        // One of each leads, so that a second name or date hides no amount.
        let mut last = None;
        let (mut ranked, others): (Vec<_>, Vec<_>) =
            ranked.into_iter().partition(|((behind, ..), column)| {
                let leads = !behind && column.kind <= ColumnKind::Amount && last < Some(column.kind);
                if leads {
                    last = Some(column.kind);
                }
                leads
            });
        ranked.extend(others);
        ranked.truncate(MOST_COLUMNS);
        Self { columns: ranked.into_iter().map(|(_, column)| column).collect() }
    }

    /// What a document has in each column, as text. Numbers stand as they are in the document.
    pub fn cells(&self, document: &str) -> Vec<String> {
        let mut cells = vec![String::new(); self.columns.len()];
        leaves(document.as_bytes(), |path, value| {
            for (column, cell) in self.columns.iter().zip(&mut cells) {
                if column.path == path && cell.len() < CELL_BYTES {
                    // A name that comes twice has two values.
                    if !cell.is_empty() {
                        cell.push_str(" | ");
                    }
                    cell.push_str(&shown(path, value));
                }
            }
        });
        cells
    }
}

impl Seen {
    fn add(&mut self, path: &str, value: &[u8]) {
        if is_secret(path, value) {
            self.secrets += 1;
            return;
        }
        match value.first() {
            Some(b'"') if is_date(value) => self.dates += 1,
            Some(b'"') => {
                self.texts += 1;
                self.text_bytes += value.len();
            }
            Some(b'-' | b'0'..=b'9') => self.numbers += 1,
            Some(b't' | b'f') => self.flags += 1,
            Some(b'[' | b'{') => self.lists += 1,
            _ => {}
        }
    }

    fn kind(&self, path: &str) -> ColumnKind {
        let name = last_name(path);
        let only = |count: usize| {
            count > 0 && count == self.dates + self.numbers + self.flags + self.texts + self.lists
        };
        let is_name =
            name.ends_with("name") || matches!(name.as_str(), "title" | "label" | "company" | "bezeichnung");
        if path == "_id" {
            ColumnKind::Id
        } else if self.secrets > 0 {
            ColumnKind::Secret
        } else if only(self.dates) {
            ColumnKind::Date
        } else if is_name && self.texts > 0
            || only(self.numbers) && (name.ends_with("number") || name.ends_with("nummer"))
        {
            ColumnKind::Name
        } else if only(self.numbers) && AMOUNTS.iter().any(|amount| name.contains(amount)) {
            ColumnKind::Amount
        } else if only(self.numbers) {
            ColumnKind::Number
        } else if only(self.flags) {
            ColumnKind::Flag
        } else if only(self.lists) {
            ColumnKind::List
        } else {
            ColumnKind::Text
        }
    }

    /// Less stands further to the left: what people look for, then what stands first in the documents; behind them what
    /// is nested, long, a list or masked.
    fn rank(&self, path: &str, kind: ColumnKind) -> (bool, u8, usize) {
        let long = self.text_bytes > LONG_TEXT * self.texts.max(1);
        let behind = long || path.contains('.') || kind >= ColumnKind::List;
        let group = match kind {
            ColumnKind::Id | ColumnKind::Name | ColumnKind::Date | ColumnKind::Amount => kind as u8,
            ColumnKind::Number | ColumnKind::Flag | ColumnKind::Text => ColumnKind::Number as u8,
            ColumnKind::List | ColumnKind::Secret => kind as u8,
        };
        (behind, if long { ColumnKind::List as u8 } else { group }, self.first)
    }
}

fn last_name(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).to_lowercase()
}

/// `2015-01-01`, with or without a time behind.
fn is_date(value: &[u8]) -> bool {
    let Some((day, rest)) = value.strip_prefix(b"\"").and_then(|inner| inner.split_at_checked(10)) else {
        return false;
    };
    let digit_or_dash =
        |(at, byte): (usize, &u8)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() };
    day.iter().enumerate().all(digit_or_dash) && matches!(rest.first(), Some(b'"' | b'T' | b' '))
}

fn shown(path: &str, value: &[u8]) -> String {
    if is_secret(path, value) {
        return MASK.to_owned();
    }
    match value.first() {
        Some(b'[') if elements(value).all(|item| !matches!(item.first(), Some(b'[' | b'{'))) => {
            let items: Vec<_> = elements(value).take(CELL_CHARS).map(|item| shown(path, item)).collect();
            cut(&items.join(", "))
        }
        Some(b'[') => format!("[{}]", elements(value).count()),
        Some(b'{') => cut(&String::from_utf8_lossy(&masked(value))),
        Some(b'n') => String::new(),
        _ => cut(&decoded(value)),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_look_for_comes_first() {
        let documents = [
            r#"{"_id":"rcp_1","_rev":"1-x","documentType":"Receipt2","note":null,"employeeId":"emp_1","lines":[{"a":1},{"a":2}],"gross":9007199254740993.10,"date":"2015-01-01T11:38:36Z","receiptNumber":1,"tags":["a","ä"],"tse":{"start":"2015-01-01T11:38:36Z","n":1}}"#,
            r#"{"_id":"rcp_2","note":"x","gross":1,"gross":2,"passwordHash":"$argon2id$x","paid":true}"#,
        ];
        let columns = Columns::of(documents);
        let found: Vec<_> =
            columns.columns.iter().map(|column| (column.path.as_str(), column.kind)).collect();
        assert_eq!(
            found,
            [
                ("_id", ColumnKind::Id),
                ("receiptNumber", ColumnKind::Name),
                ("date", ColumnKind::Date),
                ("gross", ColumnKind::Amount),
                ("note", ColumnKind::Text),
                ("employeeId", ColumnKind::Text),
                ("paid", ColumnKind::Flag),
                ("tse.start", ColumnKind::Date),
                ("tse.n", ColumnKind::Number),
                ("lines", ColumnKind::List),
                ("tags", ColumnKind::List),
                ("passwordHash", ColumnKind::Secret),
            ]
        );
        let cells = columns.cells(documents[0]);
        assert_eq!(cells[..4], ["rcp_1", "1", "2015-01-01T11:38:36Z", "9007199254740993.10"]);
        assert_eq!(cells[9..], ["[2]", "a, ä", ""]);
        let cells = columns.cells(documents[1]);
        assert_eq!((cells[3].as_str(), cells[11].as_str()), ("1 | 2", MASK));
        assert_eq!(columns.cells("rubbish").concat(), "");
    }

    #[test]
    fn a_second_name_or_date_stands_behind_the_first_amount() {
        let document = r#"{"_id":"rcp_1","receiptNumber":1,"zNumber":2,"opened":"2026-06-02","closed":"2026-06-03",
            "total":7.5,"tip":1.0,"table":"4"}"#;
        let columns = Columns::of([document]);
        let found: Vec<_> = columns.columns.iter().map(|column| column.path.as_str()).collect();
        assert_eq!(found, ["_id", "receiptNumber", "opened", "total", "zNumber", "closed", "tip", "table"]);
    }

    #[test]
    fn a_table_stays_narrow_and_its_cells_short() {
        let members: String = (0..2_000).map(|at| format!(",\"m{at}\":\"{}\"", "ä".repeat(300))).collect();
        let document = format!("{{\"_id\":\"a\"{members}}}");
        let columns = Columns::of([document.as_str()]);
        assert_eq!((columns.columns.len(), columns.columns[0].path.as_str()), (MOST_COLUMNS, "_id"));
        assert_eq!(columns.cells(&document)[1].chars().count(), CELL_CHARS + 1);
    }
}
