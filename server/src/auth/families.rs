//! Logins that go on. Each is a family of tokens: all of them end with it, and it ends when one of its refresh tokens is used a
//! second time, for then two have it.
//!
//! They are held in memory and saved to the store as soon as it is free: a full disk or a long write keeps no one out.

use super::users::User;
use crate::failure::Result;
use crate::random;
use crate::store::{Login, Store};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// How long a login lasts at most, however often it is renewed.
const LASTS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a login lasts without being renewed.
pub(super) const REFRESH_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// For how long the refresh token before the newest is answered once more, because the answer may have been lost: as long as a
/// client tries to get one.
const GRACE: Duration = Duration::from_secs(120);

/// How many logins a user has at most. A further one ends the oldest that was never renewed and whose access token is over:
/// nobody works with that. Where there is none, it ends the one that was renewed least recently.
const OF_A_USER: usize = 100;

/// The logins.
#[derive(Debug)]
pub(super) struct Families {
    store: Arc<Store>,
    access_life: Duration,
    held: Mutex<Held>,
    /// One save at a time: one that waited for the store would write over what a later one has written.
    saving: Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    all: HashMap<String, Login>,
    /// What the store does not know yet of those that go on, and of those that have ended.
    unsaved: HashSet<String>,
}

impl Families {
    pub(super) fn open(store: Arc<Store>, access_life: Duration) -> Result<Self> {
        let all = store.logins()?.into_iter().map(|login| (login.id.clone(), login)).collect();
        Ok(Self {
            store,
            access_life,
            held: Mutex::new(Held { all, unsaved: HashSet::new() }),
            saving: Mutex::default(),
        })
    }

    /// Begins a login of this user.
    pub(super) fn begin(&self, user: &User, now: u64) -> Result<Login> {
        let login = Login {
            id: random::hex::<16>()?,
            user: user.id.clone(),
            state: user.state(),
            begun: now,
            renewed: now,
            generation: 1,
        };
        let mut held = self.held();
        held.make_room(&user.id, now.saturating_sub(self.access_life.as_secs()));
        held.put(login.clone());
        Ok(login)
    }

    /// The login of this id, if it goes on.
    pub(super) fn find(&self, id: &str, now: u64) -> Option<Login> {
        self.held().all.get(id).filter(|login| goes_on(login, now)).cloned()
    }

    /// The login with its next refresh token, for the one of this number. None where it has ended, or ends with this call because
    /// that one was used before.
    pub(super) fn renew(&self, id: &str, generation: u64, now: u64) -> Option<Login> {
        let mut held = self.held();
        let login = held.all.get(id).filter(|login| goes_on(login, now))?.clone();
        // A server that was killed may know less than the token that it gave out.
        if generation >= login.generation {
            let login = Login { generation: generation + 1, renewed: now, ..login };
            held.put(login.clone());
            return Some(login);
        }
        let answer_was_lost =
            generation + 1 == login.generation && now.saturating_sub(login.renewed) <= GRACE.as_secs();
        if answer_was_lost {
            return Some(login);
        }
        tracing::warn!(user = login.user, "a refresh token was used a second time: its login has ended");
        held.remove(id);
        None
    }

    /// Ends a login; whether it went on.
    pub(super) fn end(&self, id: &str) -> bool {
        self.held().remove(id)
    }

    /// Ends the logins for which this does not hold.
    pub(super) fn retain(&self, holds: impl Fn(&Login) -> bool) {
        let mut held = self.held();
        let ended: Vec<String> =
            held.all.values().filter(|login| !holds(login)).map(|login| login.id.clone()).collect();
        for id in ended {
            held.remove(&id);
        }
    }

    /// Ends those that have lasted too long.
    pub(super) fn forget_old(&self, now: u64) {
        self.retain(|login| goes_on(login, now));
    }

    /// Whether the store knows all of them.
    pub(super) fn are_saved(&self) -> bool {
        self.held().unsaved.is_empty()
    }

    /// Saves what the store does not know yet; without `wait` only if nothing else is written at the moment.
    pub(super) fn save(&self, wait: bool) -> Result<()> {
        let _one_at_a_time = match self.saving.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if wait => {
                self.saving.lock().unwrap_or_else(PoisonError::into_inner)
            }
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let (unsaved, changed, ended) = self.held().take_unsaved();
        if unsaved.is_empty() {
            return Ok(());
        }
        let saved = self.store.save_logins(&changed, &ended, wait);
        if !matches!(saved, Ok(true)) {
            self.held().unsaved.extend(unsaved);
        }
        saved.map(drop)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn put(&mut self, login: Login) {
        self.unsaved.insert(login.id.clone());
        self.all.insert(login.id.clone(), login);
    }

    fn remove(&mut self, id: &str) -> bool {
        let went_on = self.all.remove(id).is_some();
        if went_on {
            self.unsaved.insert(id.to_owned());
        }
        went_on
    }

    /// The ids of what the store does not know yet, those of it that go on, and the ids of those that have ended.
    fn take_unsaved(&mut self) -> (HashSet<String>, Vec<Login>, Vec<String>) {
        let unsaved = std::mem::take(&mut self.unsaved);
        let changed = unsaved.iter().filter_map(|id| self.all.get(id)).cloned().collect();
        let ended = unsaved.iter().filter(|id| !self.all.contains_key(*id)).cloned().collect();
        (unsaved, changed, ended)
    }

    /// Access tokens from before `over` are over.
    fn make_room(&mut self, user: &str, over: u64) {
        let is_worked_with = |login: &Login| login.generation > 1 || login.renewed > over;
        let rank = |login: &&Login| (is_worked_with(login), login.renewed);
        let of_user = || self.all.values().filter(|login| login.user == user);
        if of_user().count() >= OF_A_USER
            && let Some(id) = of_user().min_by_key(rank).map(|login| login.id.clone())
        {
            self.remove(&id);
        }
    }
}

fn goes_on(login: &Login, now: u64) -> bool {
    now < ends(login)
}

/// When a login ends unless it is renewed before, in seconds since 1970.
pub(super) fn ends(login: &Login) -> u64 {
    (login.renewed + REFRESH_LIFE.as_secs()).min(login.begun + LASTS.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Role, user_document};

    const DAY: u64 = 24 * 60 * 60;
    const ACCESS: Duration = Duration::from_secs(900);

    fn user(name: &str) -> User {
        User::parse(user_document(name, name, Role::Till, "x").unwrap().as_bytes()).unwrap()
    }

    fn families() -> (tempfile::TempDir, Families) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        (folder, Families::open(store, ACCESS).unwrap())
    }

    #[test]
    fn a_token_that_is_used_twice_ends_its_login_unless_its_answer_may_be_lost() {
        let (_folder, families) = families();
        let login = families.begin(&user("a"), 0).unwrap();
        let renew = |generation, now| families.renew(&login.id, generation, now).map(|it| it.generation);
        assert_eq!(renew(1, 100), Some(2));
        assert_eq!(renew(1, 100), Some(2), "the same client asks again");
        assert_eq!(renew(1, 220), Some(2));
        assert_eq!(renew(2, 230), Some(3));
        assert_eq!(renew(3, 300), Some(4));
        assert_eq!(renew(2, 301), None, "the newer one was used");
        assert_eq!(renew(4, 302), None, "all of them have ended");

        let login = families.begin(&user("a"), 0).unwrap();
        assert_eq!(families.renew(&login.id, 1, 100).map(|it| it.generation), Some(2));
        assert_eq!(families.renew(&login.id, 1, 221), None, "too late for a lost answer");
        assert_eq!(families.find(&login.id, 222), None);
    }

    #[test]
    fn a_login_has_an_end_however_often_it_is_renewed() {
        let (_folder, families) = families();
        let idle = families.begin(&user("a"), 0).unwrap();
        assert!(families.find(&idle.id, 7 * DAY - 1).is_some() && families.find(&idle.id, 7 * DAY).is_none());
        let busy = families.begin(&user("a"), 0).unwrap();
        let renewed = (1..30).map_while(|day| families.renew(&busy.id, day, day * DAY)).count();
        assert_eq!(renewed, 29);
        assert!(families.find(&busy.id, 30 * DAY - 1).is_some());
        assert_eq!(families.renew(&busy.id, 30, 30 * DAY), None);
    }

    #[test]
    fn logins_outlive_the_process_and_a_busy_store_keeps_none_out() {
        let (folder, families) = families();
        let kept = families.begin(&user("a"), 5).unwrap();
        let gone = families.begin(&user("a"), 6).unwrap();
        families.save(false).unwrap();
        families.end(&gone.id);
        let kept = families.renew(&kept.id, 1, 7).unwrap();
        families.save(true).unwrap();
        assert!(families.are_saved());
        drop(families);
        let again = Families::open(Arc::new(Store::open(folder.path()).unwrap()), ACCESS).unwrap();
        assert_eq!(again.find(&kept.id, 8), Some(kept));
        assert_eq!(again.find(&gone.id, 8), None);
        assert_eq!(
            again.renew(&again.begin(&user("b"), 8).unwrap().id, 4, 9).map(|it| it.generation),
            Some(5)
        );
    }

    #[test]
    fn a_login_that_has_ended_does_not_come_back_with_a_save_that_began_before() {
        let (_folder, families) = families();
        for now in 0..20 {
            let login = families.begin(&user("a"), now).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| families.save(true).unwrap());
                }
                scope.spawn(|| {
                    families.end(&login.id);
                    families.save(true).unwrap();
                });
            });
            assert!(families.are_saved());
            assert_eq!(families.store.logins().unwrap(), []);
        }
    }

    #[test]
    fn a_save_that_does_not_wait_leaves_what_it_cannot_save_for_the_next_one() {
        let (_folder, families) = families();
        let login = families.begin(&user("a"), 0).unwrap();
        let another = families.saving.lock().unwrap();
        families.save(false).unwrap();
        assert!(!families.are_saved());
        drop(another);
        families.save(false).unwrap();
        assert!(families.are_saved());
        assert_eq!(families.store.logins().unwrap(), [login]);
    }

    #[test]
    fn a_user_has_so_many_logins_and_no_more() {
        let (_folder, families) = families();
        let first = families.begin(&user("a"), 0).unwrap();
        let other = families.begin(&user("b"), 0).unwrap();
        for now in 1..=OF_A_USER as u64 {
            families.begin(&user("a"), now).unwrap();
        }
        assert_eq!(families.held().all.len(), OF_A_USER + 1);
        assert!(families.find(&first.id, 1).is_none() && families.find(&other.id, 1).is_some());
    }

    #[test]
    fn logins_that_nobody_works_with_go_before_that_of_a_person_at_work() {
        let (_folder, families) = families();
        let (person, fresh) = (families.begin(&user("a"), 0).unwrap(), ACCESS.as_secs() + 500);
        families.renew(&person.id, 1, 100).unwrap();
        let scripts: Vec<_> = (0..OF_A_USER as u64 - 1)
            .map(|number| families.begin(&user("a"), 200 + number).unwrap())
            .collect();
        for script in &scripts {
            families.begin(&user("a"), fresh).unwrap();
            assert!(families.find(&script.id, fresh).is_none());
        }
        assert!(families.find(&person.id, fresh).is_some());
        assert_eq!(families.held().all.len(), OF_A_USER);
    }
}
