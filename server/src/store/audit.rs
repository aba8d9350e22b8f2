//! Who backed up or restored what, and how it ended. Entries are added and never touched again.

use super::{Store, Write, unsigned};
use crate::failure::{Failure, Result};
use dikas_archive::api::restore::{AuditEntry, AuditPage};

/// How many entries one answer holds at most.
const ENTRIES: u64 = 1000;

impl Store {
    /// Adds an entry; its number is given here.
    pub fn audit(&self, entry: &AuditEntry) -> Result<()> {
        self.write(|write| write.audit(entry))
    }

    /// The entries before this number, the newest first.
    pub fn audit_page(&self, before: Option<u64>, limit: Option<u64>) -> Result<AuditPage> {
        let limit = limit.unwrap_or(ENTRIES).clamp(1, ENTRIES);
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        self.read(|connection| {
            let sql = "SELECT number, entry FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            // One more than fits tells whether there is another page.
            let mut rows = statement.query((before, i64::try_from(limit + 1).unwrap_or(1)))?;
            let mut entries: Vec<AuditEntry> = Vec::new();
            let mut next = None;
            while let Some(row) = rows.next()? {
                if entries.len() as u64 == limit {
                    next = entries.last().map(|entry| entry.number);
                    break;
                }
                let text = row.get_ref(1)?.as_str().map_err(Failure::internal)?;
                let entry: AuditEntry = serde_json::from_str(text).map_err(Failure::internal)?;
                entries.push(AuditEntry { number: unsigned(row.get(0)?), ..entry });
            }
            Ok(AuditPage { entries, next })
        })
    }
}

impl Write<'_> {
    /// Adds an entry in this transaction.
    pub(super) fn audit(&self, entry: &AuditEntry) -> Result<()> {
        let json = serde_json::to_string(entry).map_err(Failure::internal)?;
        self.transaction.prepare_cached("INSERT INTO audit (entry) VALUES (?1)")?.execute([json])?;
        Ok(())
    }
}
