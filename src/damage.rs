//! Documents and files that a store cannot give as they were written. A backup stops at the first of them, says which
//! ones it knows of, and goes on without those that somebody has named.

use crate::catalog::CollectionName;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One document, by its collection and its id; as text `collection/id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentKey {
    /// Its collection.
    pub collection: CollectionName,
    /// Its `_id`.
    pub id: String,
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)
    }
}

impl FromStr for DocumentKey {
    type Err = Error;

    /// Reads `collection/id`. The id may hold further slashes.
    fn from_str(text: &str) -> Result<Self> {
        let (collection, id) = text.split_once('/').filter(|(_, id)| !id.is_empty()).ok_or_else(|| {
            Error::new(ErrorKind::BadArgument, "not the name of a document")
                .expected("COLLECTION/ID, such as receipts/rcp_1", format!("{text:?}"))
        })?;
        Ok(Self { collection: collection.parse()?, id: id.to_owned() })
    }
}

/// A document, or a file of one, that cannot be read as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Missing {
    /// The collection of the document.
    pub collection: CollectionName,
    /// The `_id` of the document; with `unreadable-after`, the last one that could be read, or nothing.
    pub id: String,
    /// The name of the file; absent where it is the document itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional))]
    pub name: Option<String>,
    /// What is wrong with it.
    pub reason: Reason,
    /// How many files belong to the document and are left out with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(all(test, not(target_arch = "wasm32")), ts(optional, as = "Option<_>"))]
    pub attachments: u64,
}

impl Missing {
    /// The document that it is, or belongs to.
    pub fn document(&self) -> DocumentKey {
        DocumentKey { collection: self.collection.clone(), id: self.id.clone() }
    }

    /// Whether a backup can go on without it.
    pub fn can_be_left_out(&self) -> bool {
        self.reason != Reason::UnreadableAfter
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)?;
        self.name.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

/// Why something cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(all(test, not(target_arch = "wasm32")), derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Reason {
    /// Its bytes are not those that were written.
    Changed,
    /// It was never a document, as far as the store can tell.
    NotADocument,
    /// The store knows of it and cannot read it.
    Unreadable,
    /// Nothing behind this id can be found in its collection.
    UnreadableAfter,
    /// Another program gives a reason that this one does not know.
    #[serde(other)]
    Other,
}

/// The `data` of the refusal `damaged-document`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Damaged {
    /// What is known to be damaged, as far as was looked.
    pub damaged: Vec<Missing>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_by_collection_and_id_whatever_the_id_holds() {
        for text in ["receipts/rcp_1", "receipts/a/b", "receipts/ü /"] {
            assert_eq!(text.parse::<DocumentKey>().unwrap().to_string(), text);
        }
        for text in ["", "receipts", "receipts/", "/rcp_1", "RECEIPTS/rcp_1"] {
            let error = text.parse::<DocumentKey>().unwrap_err();
            assert_eq!(error.kind, ErrorKind::BadArgument, "{text}");
        }
    }

    #[test]
    fn a_reason_of_a_newer_program_is_read() {
        let json = r#"{"collection":"receipts","id":"r","reason":"eaten"}"#;
        assert_eq!(serde_json::from_str::<Missing>(json).unwrap().reason, Reason::Other);
    }
}
