//! Places for connections, counted by address.

use crate::access::AccessRules;
use crate::auth::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// In all.
    pub(super) most: usize,
    /// For all other machines together.
    pub(super) strangers: usize,
    /// For one other machine that is no trusted proxy.
    pub(super) per_network: usize,
}

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    /// Who calls for many others.
    access: AccessRules,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    strangers: HashMap<IpAddr, usize>,
}

impl Places {
    pub(super) fn new(bounds: Bounds, access: AccessRules) -> Arc<Self> {
        Arc::new(Self { bounds, access, taken: Mutex::default() })
    }

    /// A place for a connection from this address; none where too many are taken.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let stranger = (!from.to_canonical().is_loopback()).then(|| network(from));
        let mut taken = self.taken();
        if taken.all >= self.bounds.most {
            return None;
        }
        if let Some(network) = stranger {
            let own = taken.strangers.get(&network).copied().unwrap_or_default();
            let strangers: usize = taken.strangers.values().sum();
            let own_are_too_many = own >= self.bounds.per_network && !self.access.trusts(from.to_canonical());
            if own_are_too_many || strangers >= self.bounds.strangers {
                return None;
            }
            taken.strangers.insert(network, own + 1);
        }
        taken.all += 1;
        drop(taken);
        Some(Place { places: Arc::clone(self), stranger })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// None for the machine itself.
    stranger: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(network) = self.stranger
            && let Some(own) = taken.strangers.get_mut(&network)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.strangers.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Arc<Places> {
        let access = AccessRules { trusted_proxies: vec!["10.0.0.1".parse().unwrap()], ..Default::default() };
        Places::new(Bounds { most: 10, strangers: 8, per_network: 3 }, access)
    }

    fn take(places: &Arc<Places>, from: &str, wanted: usize) -> Vec<Place> {
        (0..wanted).filter_map(|_| places.take(from.parse().unwrap())).collect()
    }

    #[test]
    fn one_address_takes_its_share_and_leaves_the_others_theirs() {
        let places = places();
        let first = take(&places, "192.0.2.1", 10);
        assert_eq!(first.len(), 3);
        assert_eq!(take(&places, "::ffff:192.0.2.1", 1).len(), 0, "the same address, as IPv6 has it");
        let second = take(&places, "2001:db8::1", 2);
        let third = take(&places, "2001:db8::2:3", 10);
        assert_eq!((second.len(), third.len()), (2, 1), "a /64 is one address");
        assert_eq!(take(&places, "2001:db8:0:1::1", 10).len(), 2, "all of them together leave some");
        drop(first);
        assert_eq!(take(&places, "192.0.2.1", 10).len(), 3, "a place that is left is free again");
    }

    #[test]
    fn a_trusted_proxy_calls_for_many_and_leaves_what_is_kept() {
        let places = places();
        assert_eq!(take(&places, "10.0.0.2", 10).len(), 3);
        let taken = take(&places, "::ffff:10.0.0.1", 10);
        assert_eq!(taken.len(), 8);
        assert_eq!(take(&places, "127.0.0.1", 10).len(), 2);
    }

    #[test]
    fn the_machine_itself_always_finds_a_place_that_is_kept() {
        let places = places();
        let strangers: Vec<_> =
            (1..9).flat_map(|last| take(&places, &format!("192.0.2.{last}"), 3)).collect();
        assert_eq!(strangers.len(), 8);
        let local = take(&places, "127.0.0.1", 10);
        assert_eq!(local.len(), 2);
        drop(strangers);
        let more = take(&places, "::1", 20);
        assert_eq!(more.len(), 8, "it may have all");
        drop((local, more));
        assert_eq!(places.taken().all, 0);
        assert!(places.taken().strangers.is_empty());
    }
}
