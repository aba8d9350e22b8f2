//! The one table of what DiKAS stores: collections, how their documents are told apart, the category that a person
//! selects, and whether fiscal law protects them. Everything else asks here.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a collection: `[a-z0-9-]{1,64}`, and no device name of Windows (FORMAT.md section 3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[cfg_attr(all(test, not(target_arch = "wasm32")), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(
    feature = "openapi",
    schema(pattern = "^(?!(con|prn|aux|nul|com[0-9]|lpt[0-9])$)[a-z0-9-]{1,64}$")
)]
pub struct CollectionName(String);

impl CollectionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollectionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=64).contains(&text.len()) && text.chars().all(plain);
        if fits && !is_device_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(ErrorKind::BadArgument, "not a collection name")
            .expected("1 to 64 of a-z, 0-9 and -, and no device name of Windows", format!("{text:?}")))
    }
}

impl TryFrom<String> for CollectionName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CollectionName> for String {
    fn from(name: CollectionName) -> Self {
        name.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether Windows gives this name, whatever its extension, to a device (its naming conventions: CON, PRN, AUX, NUL,
/// COM0 to COM9, LPT0 to LPT9, in any case).
pub fn is_device_name(stem: &str) -> bool {
    let lower = stem.to_ascii_lowercase();
    let numbered = |prefix| {
        lower.strip_prefix(prefix).is_some_and(|rest| {
            let mut rest = rest.chars();
            rest.next().is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c)) && rest.next().is_none()
        })
    };
    matches!(lower.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// What a person selects in a restore: collections that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Category {
    /// Articles, their groups and option templates.
    Articles,
    /// Customers and the movements of their credit.
    Customers,
    /// Employees, their times, and who may log in.
    Staff,
    /// Tables, reservations and orders that are still open.
    Tables,
    /// Configuration, printers, print templates and counters.
    Settings,
    /// Receipts, day closes, shifts and expenses.
    Revenue,
    /// Guests and admissions of a discotheque.
    Disco,
    /// Orders of a workshop.
    Workshop,
    /// Vouchers.
    Vouchers,
    /// Invoices and dunning notices.
    Invoices,
    /// What this version does not know.
    Other,
}

impl Category {
    /// Every category, in the order in which a page shows them.
    pub const ALL: &[Category] = &[
        Category::Articles,
        Category::Customers,
        Category::Staff,
        Category::Tables,
        Category::Settings,
        Category::Revenue,
        Category::Disco,
        Category::Workshop,
        Category::Vouchers,
        Category::Invoices,
        Category::Other,
    ];

    /// The name in manifests, on the wire and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Articles => "articles",
            Category::Customers => "customers",
            Category::Staff => "staff",
            Category::Tables => "tables",
            Category::Settings => "settings",
            Category::Revenue => "revenue",
            Category::Disco => "disco",
            Category::Workshop => "workshop",
            Category::Vouchers => "vouchers",
            Category::Invoices => "invoices",
            Category::Other => "other",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Category {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Category::ALL.iter().copied().find(|category| category.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Category::ALL.iter().map(|category| category.as_str()).collect();
            Error::new(ErrorKind::BadArgument, "not a category")
                .expected(format!("one of {}", names.join(", ")), format!("{text:?}"))
        })
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Collection {
    /// The collection's name.
    pub name: &'static str,
    /// The values of `documentType` that its documents carry.
    pub document_types: &'static [&'static str],
    /// How the ids of its documents begin.
    pub id_prefix: &'static str,
    /// The category that it is selected with.
    pub category: Category,
    /// Whether fiscal law forbids to change or lose its documents.
    pub signed: bool,
}

const fn row(
    name: &'static str,
    document_types: &'static [&'static str],
    id_prefix: &'static str,
    category: Category,
) -> Collection {
    Collection { name, document_types, id_prefix, category, signed: false }
}

const fn signed(row: Collection) -> Collection {
    Collection { signed: true, ..row }
}

/// Every collection that DiKAS has.
pub const COLLECTIONS: &[Collection] = &[
    row("articles", &["Article"], "art_", Category::Articles),
    row("article-groups", &["ArticleGroup"], "artgrp_", Category::Articles),
    row("option-templates", &["OptionTemplate"], "opt_", Category::Articles),
    row("customers", &["Customer"], "cust_", Category::Customers),
    row("customer-transactions", &["CustomerTransaction"], "ctx_", Category::Customers),
    row("employees", &["Employee"], "emp_", Category::Staff),
    row("time-entries", &["TimeEntry"], "time_", Category::Staff),
    row("users", &["User"], "usr_", Category::Staff),
    row("tables", &["Table"], "tbl_", Category::Tables),
    row("table-groups", &["TableGroup"], "tblgrp_", Category::Tables),
    row("reservations", &["Reservation"], "res_", Category::Tables),
    row("open-orders", &["OpenBon"], "open_", Category::Tables),
    row("settings", &["OperationalConfig", "FrontendConfig", "BackendConfig"], "cfg_", Category::Settings),
    row("printers", &["Printer"], "prn_", Category::Settings),
    row("print-templates", &["PrintTemplate"], "tpl_", Category::Settings),
    row("counters", &["Counter"], "cnt_", Category::Settings),
    signed(row("receipts", &["Receipt2"], "rcp_", Category::Revenue)),
    signed(row("day-closes", &["DayClose"], "z_", Category::Revenue)),
    row("shifts", &["Exchange"], "shift_", Category::Revenue),
    row("expenses", &["Spending"], "exp_", Category::Revenue),
    row("disco-guests", &["DiscoGuest"], "guest_", Category::Disco),
    row("admission-groups", &["AdmissionGroup"], "adm_", Category::Disco),
    row("workshop-orders", &["WorkshopOrder"], "WS-", Category::Workshop),
    row("vouchers", &["Voucher"], "vou_", Category::Vouchers),
    signed(row("invoices", &["Invoice"], "inv_", Category::Invoices)),
    row("dunning-notices", &["DunningNotice"], "dun_", Category::Invoices),
];

/// The row of this collection, if DiKAS has it.
pub fn collection(name: &str) -> Option<&'static Collection> {
    COLLECTIONS.iter().find(|row| row.name == name)
}

/// The category of this collection; [`Category::Other`] where DiKAS does not have it.
pub fn category_of(name: &str) -> Category {
    collection(name).map_or(Category::Other, |row| row.category)
}

/// Whether fiscal law forbids to change or lose documents of this collection.
pub fn is_signed(name: &str) -> bool {
    collection(name).is_some_and(|row| row.signed)
}

/// The collection of a document in a backup without a manifest: told by its `documentType`, else by how its id begins.
pub fn recognise(document_type: Option<&str>, id: &str) -> Option<&'static Collection> {
    let by_type = |wanted: &str| COLLECTIONS.iter().find(|row| row.document_types.contains(&wanted));
    let by_prefix = || COLLECTIONS.iter().find(|row| id.starts_with(row.id_prefix));
    document_type.and_then(by_type).or_else(by_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_document_can_belong_to_two_collections() {
        let mut seen = HashSet::new();
        for row in COLLECTIONS {
            row.name.parse::<CollectionName>().unwrap();
            assert!(seen.insert(row.name), "{} is listed twice", row.name);
            for document_type in row.document_types {
                assert!(seen.insert(document_type), "{document_type} is listed twice");
            }
            let clash = COLLECTIONS
                .iter()
                .find(|other| other.name != row.name && other.id_prefix.starts_with(row.id_prefix));
            assert!(clash.is_none(), "{} and {clash:?} share an id prefix", row.name);
        }
    }

    #[test]
    fn the_document_type_decides_before_the_id() {
        assert_eq!(recognise(Some("Voucher"), "art_1").unwrap().name, "vouchers");
        assert_eq!(recognise(Some("Unknown"), "art_1").unwrap().name, "articles");
        assert_eq!(recognise(None, "artgrp_1").unwrap().name, "article-groups");
        assert!(recognise(None, "thing_1").is_none());
    }

    #[test]
    fn names_that_could_be_no_file_are_refused() {
        for wrong in ["", "Articles", "a_b", "a.b", "../a", "nul", "com1", &"a".repeat(65)] {
            assert!(wrong.parse::<CollectionName>().is_err(), "{wrong:?}");
        }
        for fine in ["a", "0-", "com", "com10", &"a".repeat(64)] {
            assert!(fine.parse::<CollectionName>().is_ok(), "{fine:?}");
        }
    }
}
