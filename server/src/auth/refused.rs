//! Failed logins for the audit: an entry a minute for each name and address, and one for all the others, so that no one can flood it.

use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How many names and addresses have an entry of their own.
const NAMED: usize = 20;

/// What failed since the last entries.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    named: BTreeMap<(String, Option<IpAddr>), u64>,
    others: u64,
}

impl Refused {
    /// Counts a failed login; whether it is the first since the last entries.
    pub(super) fn add(&self, name: &str, from: Option<IpAddr>) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.chars().take(100).collect(), from);
        if counts.named.len() >= NAMED && !counts.named.contains_key(&key) {
            counts.others += 1;
            return false;
        }
        let is_first = counts.named.is_empty();
        *counts.named.entry(key).or_default() += 1;
        is_first
    }

    /// What to tell, and nothing of it again.
    pub(super) fn take(&self, now: &str) -> Vec<AuditEntry> {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let failed = |who, times| AuditEntry {
            times: Some(times),
            ..AuditEntry::new(now.to_owned(), who, AuditAction::Login, AuditEnd::Failed)
        };
        let named = counts.named.into_iter().map(|((name, from), times)| AuditEntry {
            address: from.map(|from| from.to_string()),
            ..failed(name, times)
        });
        let others =
            (counts.others > 0).then(|| failed("other names or addresses".to_owned(), counts.others));
        named.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_logins_fail_the_audit_gets_few_entries_that_count_all_of_them() {
        let refused = Refused::default();
        let from = "192.0.2.1".parse().ok();
        assert!(refused.add("admin", from));
        for number in 0..1000 {
            assert!(!refused.add("admin", from));
            refused.add(&format!("name {number}"), None);
        }
        let entries = refused.take("2026-11-23T18:59:00Z");
        assert_eq!(entries.len(), NAMED + 1);
        assert_eq!(entries.iter().filter_map(|entry| entry.times).sum::<u64>(), 2001);
        assert_eq!((entries[0].who.as_str(), entries[0].times), ("admin", Some(1001)));
        assert_eq!(entries[0].address.as_deref(), Some("192.0.2.1"));
        assert!(refused.take("2026-11-23T19:00:00Z").is_empty() && refused.add("admin", from));
    }
}
