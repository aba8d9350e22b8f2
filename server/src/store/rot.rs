//! Rot: rows that the disk gives back other than they were written. Each document has a digest from the moment that it
//! was written, which goes with it wherever it is copied to, and is compared whenever a backup reads it.

use crate::failure::{Failure, Result};
use dikas_archive::api::AttachmentRecord;
use dikas_archive::catalog::CollectionName;
use dikas_archive::damage::{Damaged, Missing, Reason};
use dikas_archive::digest::Hasher;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

/// The most damaged documents that one refusal names.
const MOST_NAMED: usize = 100;

/// A digest as it stands in a row: half a SHA-256 is enough against chance, and a row of 300 bytes grows by 16.
pub(super) type RowDigest = [u8; 16];

/// In the place of a digest, for a row of before that was no document or no record when it was looked at.
pub(super) const NO_DOCUMENT: &[u8] = b"";

/// The digest of a document.
pub(super) fn digest(id: &str, body: &[u8]) -> RowDigest {
    let mut hasher = Hasher::default();
    for piece in [id.as_bytes(), b"\0", body] {
        hasher.update(piece);
    }
    hasher.finish().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The digest of an attachment record.
pub(super) fn record_digest(record: &AttachmentRecord) -> RowDigest {
    let AttachmentRecord { collection: _, id, name, media_type, size, sha256 } = record;
    let mut hasher = Hasher::default();
    for piece in [id, name, media_type, &size.to_string(), &sha256.to_string()] {
        hasher.update(piece.as_bytes());
        hasher.update(b"\0");
    }
    hasher.finish().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Whether these are a digest of which the disk has changed some bits. One of a body that has changed differs in about
/// half of its bits, so that it is the digest that has rotted, and not the body.
pub(super) fn is_nearly(written: &[u8], digest: &RowDigest) -> bool {
    let bits = written.iter().zip(digest).map(|(written, digest)| (written ^ digest).count_ones());
    written.len() == digest.len() && bits.sum::<u32>() <= 16
}

/// The body of a document, if it is the one that its digest is of. A row of before has none, and counts as it is.
pub(super) fn checked<'a>(
    id: &str,
    body: ValueRef<'a>,
    written: ValueRef<'_>,
) -> std::result::Result<&'a [u8], Reason> {
    let body = body.as_blob().map_err(|_| Reason::Changed)?;
    match written {
        ValueRef::Null => Ok(body),
        ValueRef::Blob(NO_DOCUMENT) => Err(Reason::NotADocument),
        ValueRef::Blob(written) if *written == digest(id, body) => Ok(body),
        _ => Err(Reason::Changed),
    }
}

/// Why rows were not read to their end.
#[derive(Debug)]
pub(super) enum Unread {
    /// One of them is not what was written, or cannot be read.
    Rot,
    /// Something else.
    Failed(Failure),
}

impl Unread {
    /// As a failure, where no row is to blame.
    pub(super) fn told(self) -> Failure {
        match self {
            Self::Rot => Failure::internal("a look at rows ended early"),
            Self::Failed(failure) => failure,
        }
    }
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        if is_rot(&error) { Self::Rot } else { Self::Failed(error.into()) }
    }
}

/// Whether this is the disk's doing: a page of the database that contradicts itself, or that the disk does not give.
pub(super) fn is_rot(error: &rusqlite::Error) -> bool {
    let codes = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase, ErrorCode::SystemIoFailure];
    let is_value = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    );
    is_value || error.sqlite_error_code().is_some_and(|code| codes.contains(&code))
}

/// What a look at each row by itself has found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// How many documents are as they were written.
    pub(super) documents: u64,
    /// Their bytes as JSON lines.
    pub(super) bytes: u64,
    /// The ids of the others.
    pub(super) damaged: Vec<(String, Reason)>,
}

/// Looks at each document of this generation behind `after`, until that many damaged ones are found.
pub(super) fn survey(
    connection: &Connection,
    generation: i64,
    after: &str,
    most: usize,
) -> std::result::Result<Survey, Unread> {
    let mut found = Survey::default();
    let mut ids = connection
        .prepare_cached("SELECT id FROM documents WHERE generation = ?1 AND id > ?2 ORDER BY id")?;
    let mut row =
        connection.prepare_cached("SELECT body, digest FROM documents WHERE generation = ?1 AND id = ?2")?;
    let mut ids = ids.query((generation, after))?;
    let mut last = after.to_owned();
    while found.damaged.len() < most {
        let next = ids.next().and_then(|row| row.map(|row| row.get::<_, String>(0)).transpose());
        let id = match next {
            Ok(None) => break,
            // Ids ascend. Behind one that does not, nothing can be found by its id.
            Ok(Some(id)) if id > last => id,
            Err(error) if !is_rot(&error) => return Err(error.into()),
            _ => {
                found.damaged.push((last, Reason::UnreadableAfter));
                break;
            }
        };
        let looked = row.query_row((generation, &id), |row| {
            Ok(checked(&id, row.get_ref(0)?, row.get_ref(1)?).map(<[u8]>::len))
        });
        match looked.optional() {
            Ok(Some(Ok(bytes))) => {
                found.documents += 1;
                found.bytes += bytes as u64 + 1;
            }
            Ok(Some(Err(reason))) => found.damaged.push((id.clone(), reason)),
            Err(error) if !is_rot(&error) => return Err(error.into()),
            Ok(None) | Err(_) => found.damaged.push((id.clone(), Reason::Unreadable)),
        }
        last = id;
    }
    Ok(found)
}

/// What is damaged in these generations, from behind this document of the first one, as far as a refusal names it.
pub(super) fn damaged_from<'a>(
    connection: &Connection,
    generations: impl Iterator<Item = (&'a CollectionName, i64)>,
    after: &str,
) -> Result<Vec<Missing>> {
    let mut damaged = Vec::new();
    let mut after = after;
    for (collection, generation) in generations {
        let most = MOST_NAMED - damaged.len();
        let found = survey(connection, generation, after, most).map_err(Unread::told)?;
        for (id, reason) in found.damaged {
            damaged.push(missing(connection, collection, generation, id, reason));
        }
        after = "";
    }
    Ok(damaged)
}

/// A document that cannot be read, with the files that belong to it.
pub(super) fn missing(
    connection: &Connection,
    collection: &CollectionName,
    generation: i64,
    id: String,
    reason: Reason,
) -> Missing {
    let sql = "SELECT count(*) FROM attachments WHERE generation = ?1 AND document_id = ?2";
    let count = connection
        .prepare_cached(sql)
        .and_then(|mut count| count.query_row((generation, &id), |row| row.get(0)));
    // Where the files cannot be counted either, the document is what there is to say.
    let attachments = match reason {
        Reason::UnreadableAfter => 0,
        _ => count.map(super::unsigned).unwrap_or_default(),
    };
    Missing { collection: collection.clone(), id, name: None, reason, attachments }
}

/// 409 `damaged-document`: says what is damaged, what that means and what to do.
pub(crate) fn refusal(damaged: Vec<Missing>) -> Failure {
    let Some(first) = damaged.first() else { return Failure::internal("nothing is damaged") };
    let what = match (first.reason, &first.name) {
        (Reason::UnreadableAfter, _) => "the database is damaged: nothing behind this document can be read",
        (Reason::NotADocument, None) => "what the database holds under this id is not a document",
        (Reason::Unreadable, None) => "the database is damaged: this document cannot be read",
        (Reason::Unreadable, Some(_)) => "this file cannot be read",
        (_, None) => "this document is not as it was written: the disk has changed it",
        (_, Some(_)) => "this file, or its record, is not as it was written: the disk has changed it",
    };
    let more = match damaged.len() {
        1 => String::new(),
        count => format!(", and {} more are damaged", count - 1),
    };
    let todo = match first.can_be_left_out() {
        true => "restore it from an earlier backup, or make the backup without it",
        false => "restore its collection from an earlier backup; other categories can still be backed up",
    };
    let subject = first.to_string();
    Failure::conflict("damaged-document", format!("{what}{more}; nothing was backed up: {todo}"))
        .on(subject)
        .with(&Damaged { damaged })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dikas_archive::digest::Sha256;

    #[test]
    fn every_column_of_a_record_shows_in_its_digest() {
        let record = AttachmentRecord {
            collection: "articles".parse().unwrap(),
            id: "a".to_owned(),
            name: "b".to_owned(),
            media_type: "c".to_owned(),
            size: 12,
            sha256: Sha256::of(b"d"),
        };
        let others = [
            AttachmentRecord { id: "b".to_owned(), ..record.clone() },
            AttachmentRecord { name: "c".to_owned(), ..record.clone() },
            AttachmentRecord { media_type: "a".to_owned(), ..record.clone() },
            AttachmentRecord { size: 13, ..record.clone() },
            AttachmentRecord { sha256: Sha256::of(b"e"), ..record.clone() },
        ];
        for other in others {
            assert_ne!(record_digest(&other), record_digest(&record), "{other:?}");
        }
        // By hand: sha256sum of "a", "b", "c", "12" and the hexadecimal digits, each with a zero byte behind it.
        let expected = 0xda2eec4ce52aa107e968099607ebbd4c_u128;
        assert_eq!(record_digest(&record), expected.to_be_bytes());
    }

    #[test]
    fn every_flipped_bit_of_a_document_or_its_id_shows() {
        let (id, body) = ("rcp_1", br#"{"_id":"rcp_1","total":12.5}"#);
        let written = digest(id, body);
        let written = ValueRef::Blob(&written);
        assert_eq!(checked(id, ValueRef::Blob(body), written), Ok(body.as_slice()));
        for at in 0..body.len() * 8 {
            let mut other = body.to_vec();
            other[at / 8] ^= 1 << (at % 8);
            assert_eq!(checked(id, ValueRef::Blob(&other), written), Err(Reason::Changed));
        }
        let mut rotten = digest(id, body);
        rotten[0] ^= 0xFF;
        assert!(is_nearly(&rotten, &digest(id, body)));
        assert!(!is_nearly(&digest(id, b"{}"), &digest(id, body)) && !is_nearly(b"", &digest(id, body)));
        assert_eq!(checked("rcp_2", ValueRef::Blob(body), written), Err(Reason::Changed));
        assert_eq!(checked(id, ValueRef::Text(body), written), Err(Reason::Changed));
        assert_eq!(checked(id, ValueRef::Blob(body), ValueRef::Null), Ok(body.as_slice()));
        let none = ValueRef::Blob(NO_DOCUMENT);
        assert_eq!(checked(id, ValueRef::Blob(body), none), Err(Reason::NotADocument));
    }
}
