//! Who fetches archives, for the audit: one that is read in pieces is told once an hour.

use crate::App;
use crate::auth::Principal;
use crate::clock;
use axum::http::Method;
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long further pieces belong to what was told.
const TOLD_FOR: Duration = Duration::from_secs(60 * 60);

/// How many are remembered; beyond that, one is told again.
const REMEMBERED: usize = 10_000;

/// What was told: who, which archive, and when.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Mutex<HashMap<(String, String), Instant>>);

impl Downloads {
    /// Whether this is to be told.
    fn is_new(&self, who: &str, archive: &str, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.retain(|_, at| now.duration_since(*at) < TOLD_FOR);
        told.insert((who.to_owned(), archive.to_owned()), now).is_none()
    }
}

impl App {
    /// Tells the audit that somebody fetches an archive or a piece of it. Blocks.
    pub(crate) fn note_download(&self, method: &Method, principal: &Principal, archive: &str) {
        let who = &principal.name;
        if *method != Method::HEAD && self.downloads.is_new(who, archive, Instant::now()) {
            let entry =
                AuditEntry::new(clock::now(), who.clone(), AuditAction::ArchiveDownload, AuditEnd::Done);
            self.store.note(entry.about(archive));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_archive_are_one_entry_an_hour() {
        let downloads = Downloads::default();
        let now = Instant::now();
        assert!(downloads.is_new("a", "x.zip", now) && !downloads.is_new("a", "x.zip", now));
        assert!(downloads.is_new("b", "x.zip", now) && downloads.is_new("a", "y.zip", now));
        let half = now + TOLD_FOR / 2;
        assert!(!downloads.is_new("a", "x.zip", half));
        assert!(!downloads.is_new("a", "x.zip", half + TOLD_FOR / 2), "as long as it goes on");
        assert!(downloads.is_new("a", "x.zip", half + TOLD_FOR * 2));
        for number in 0..2 * REMEMBERED {
            downloads.is_new("a", &number.to_string(), now);
        }
        assert!(downloads.0.lock().unwrap().len() <= REMEMBERED);
    }
}
