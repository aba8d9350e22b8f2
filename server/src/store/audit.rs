//! Who backed up or restored what, and how it ended. Entries are added and never touched again.

use super::{Store, Write, lock, unsigned};
use crate::failure::{Failure, Result};
use dikas_archive::api::restore::{AuditEntry, AuditPage};
use std::sync::Mutex;

/// How many entries one answer holds at most.
const ENTRIES: u64 = 1000;

/// How many entries wait for a store that cannot be written; further ones are told to the log alone.
const NOTES: usize = 1000;

/// Entries that the next write brings along.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Vec<AuditEntry>>);

impl Notes {
    pub(super) fn take(&self) -> Vec<AuditEntry> {
        std::mem::take(&mut lock(&self.0))
    }

    /// Those before any that came meanwhile.
    pub(super) fn put_back(&self, notes: Vec<AuditEntry>) {
        lock(&self.0).splice(0..0, notes);
    }

    fn add(&self, entry: AuditEntry) {
        let mut notes = lock(&self.0);
        if notes.len() < NOTES {
            return notes.push(entry);
        }
        tracing::error!(who = entry.who, action = ?entry.action, "the store cannot be written: this is not in the audit");
    }
}

impl Store {
    /// Adds an entry; its number is given here.
    pub fn audit(&self, entry: &AuditEntry) -> Result<()> {
        self.write(|write| write.audit(entry))
    }

    /// Adds an entry at once where nothing else is written; else the next write brings it along. Neither a long write nor a full
    /// disk is in the way of what it is about.
    pub fn note(&self, entry: AuditEntry) {
        self.audit_notes.add(entry);
        if let Err(failure) = self.write_if_free(|_| Ok(())) {
            tracing::warn!("an entry of the audit waits until the store can be written: {failure}");
        }
    }

    /// Adds what was noted and waits.
    pub fn flush_notes(&self) -> Result<()> {
        if lock(&self.audit_notes.0).is_empty() { Ok(()) } else { self.write(|_| Ok(())) }
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
