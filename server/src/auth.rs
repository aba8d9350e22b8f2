//! Logins: passwords, access and refresh tokens, backup tokens.
//!
//! Passwords are checked with argon2 away from the async threads, a few at a time; a user who does not exist costs the
//! same time. A token names a user and not a role: each call looks up what the user is now.

use crate::failure::{Failure, Result};
use crate::store::{Owner, Store};
use crate::{clock, random};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use dikas_archive::api::{Purpose, Ticket, Tokens};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How every backup token begins.
pub const BACKUP_TOKEN_PREFIX: &str = "dkb_";

/// Life of a refresh token; each refresh gives a new one.
const REFRESH_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// For how long a ticket lets somebody begin a download.
const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);

/// For how long a ticket lets somebody look into a file: a day's work.
const INSPECT_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// Failed logins of one address in all, and of one name from one address, before it has to wait.
const FAILURES: [u32; 2] = [60, 10];

/// How many counts of failed logins are kept. Beyond it, addresses that have none yet have to wait.
const COUNTS: usize = 100_000;

/// How often counts that are over are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// For how long failed logins count.
const FAILURES_COUNT_FOR: Duration = Duration::from_secs(15 * 60);

/// Stands in for the hash of a user who does not exist. No password has it.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Admin,
    /// The everyday traffic of a till.
    Till,
    /// Its own snapshots and jobs.
    BackupToken,
}

/// Whoever makes a call.
#[derive(Debug, Clone)]
pub struct Principal {
    /// As what it may act.
    pub role: Role,
    /// Who it is.
    pub owner: Owner,
    /// Its name, for lists.
    pub name: String,
}

/// Checks who somebody is.
#[derive(Debug)]
pub struct Auth {
    store: Arc<Store>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    access_life: Duration,
    failures: Failures,
    hashing: Semaphore,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    kind: Kind,
    epoch: i64,
    /// Begin of the digest of the password's hash: a new password voids old tokens.
    password: String,
    exp: u64,
    /// The one path that a ticket is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Random: a token is never one that was refused a moment ago (RFC 7519 section 4.1.7).
    jti: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Access,
    Refresh,
    Ticket,
}

/// What a login needs of a document in `users`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    #[serde(rename = "_id")]
    id: String,
    username: String,
    role: Role,
    password_hash: String,
}

impl Auth {
    /// Logins to this store; the secret of its tokens lies in the data folder.
    pub fn open(store: Arc<Store>, folder: &Path, access_life: Duration) -> Result<Self> {
        let secret = secret(&folder.join("secret"))?;
        let encoding = EncodingKey::from_secret(&secret);
        let decoding = DecodingKey::from_secret(&secret);
        let (failures, hashing) = (Failures::default(), Semaphore::new(2));
        Ok(Self { store, encoding, decoding, access_life, failures, hashing })
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// `unauthorized`; 429 after many failures.
    pub async fn login(
        self: &Arc<Self>,
        name: String,
        password: String,
        from: Option<IpAddr>,
    ) -> Result<Tokens> {
        self.failures.count(from, &name)?;
        let permit = self.hashing.acquire().await.map_err(Failure::internal)?;
        let auth = Arc::clone(self);
        let (user, name) = crate::blocking(move || {
            let user = auth.user_named(&name)?;
            let hash = user.as_ref().map_or(NOBODY, |user| &user.password_hash);
            let fits = verify(&password, hash);
            Ok((user.filter(|_| fits), name))
        })
        .await?;
        drop(permit);
        let user = user.ok_or_else(|| Failure::unauthorized("user name or password is wrong"))?;
        self.failures.forgive(from, &name);
        self.tokens(&user)
    }

    /// New tokens for a refresh token. Blocks.
    ///
    /// # Errors
    /// `unauthorized`
    pub fn refresh(&self, token: &str) -> Result<Tokens> {
        self.tokens(&self.user_of(token, Kind::Refresh, None)?)
    }

    /// Whoever this bearer token belongs to. Blocks.
    ///
    /// # Errors
    /// `unauthorized`
    pub fn principal(&self, token: &str) -> Result<Principal> {
        if token.starts_with(BACKUP_TOKEN_PREFIX) {
            let token = self.store.use_token(token, &clock::minute())?.ok_or_else(ended)?;
            return Ok(Principal {
                role: Role::BackupToken,
                owner: Owner::Token(token.id),
                name: token.name,
            });
        }
        Ok(self.user_of(token, Kind::Access, None)?.into())
    }

    /// What lets this user read this one path for as long as that takes, as part of its address. Blocks.
    ///
    /// # Errors
    /// `forbidden` for whoever is no user.
    pub fn ticket(&self, owner: &Owner, path: &str, purpose: Purpose) -> Result<Ticket> {
        let Owner::User(id) = owner else {
            return Err(Failure::forbidden("tickets are for users; a backup token is sent as a header"));
        };
        let user = self.user(id)?;
        let life = match purpose {
            Purpose::Download => TICKET_LIFE,
            Purpose::Inspect => INSPECT_LIFE,
        };
        let ticket = self.token(&user, Kind::Ticket, life, Some(path))?;
        Ok(Ticket { ticket, expires_in: life.as_secs() })
    }

    /// Whoever this ticket was given to, if it is for this path. Blocks.
    ///
    /// # Errors
    /// `unauthorized`
    pub fn ticket_holder(&self, ticket: &str, path: &str) -> Result<Principal> {
        Ok(self.user_of(ticket, Kind::Ticket, Some(path))?.into())
    }

    /// Whether there is a user of this name, with this password. Blocks.
    pub fn knows(&self, name: &str, password: &str) -> Result<bool> {
        Ok(self.user_named(name)?.is_some_and(|user| verify(password, &user.password_hash)))
    }

    fn user_named(&self, name: &str) -> Result<Option<User>> {
        let documents = self.store.documents("users")?;
        let mut users = documents.iter().filter_map(|body| serde_json::from_slice::<User>(body).ok());
        Ok(users.find(|user| user.username == name && user.role != Role::BackupToken))
    }

    fn user_of(&self, token: &str, kind: Kind, path: Option<&str>) -> Result<User> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).map_err(|_| ended())?;
        let claims = claims.claims;
        let meant = claims.kind == kind && claims.path.as_deref() == path;
        if !meant || claims.epoch != self.store.login_epoch()? {
            return Err(ended());
        }
        let user = self.user(&claims.sub)?;
        if fingerprint(&user) != claims.password || user.role == Role::BackupToken {
            return Err(ended());
        }
        Ok(user)
    }

    fn user(&self, id: &str) -> Result<User> {
        let body = self.store.document(&"users".parse::<CollectionName>()?, id)?.ok_or_else(ended)?;
        serde_json::from_slice(&body).map_err(|_| ended())
    }

    fn tokens(&self, user: &User) -> Result<Tokens> {
        Ok(Tokens {
            access_token: self.token(user, Kind::Access, self.access_life, None)?,
            refresh_token: self.token(user, Kind::Refresh, REFRESH_LIFE, None)?,
            expires_in: self.access_life.as_secs(),
        })
    }

    fn token(&self, user: &User, kind: Kind, life: Duration, path: Option<&str>) -> Result<String> {
        let (sub, password, epoch) = (user.id.clone(), fingerprint(user), self.store.login_epoch()?);
        let (exp, jti) = (clock::unix() + life.as_secs(), random::hex::<8>()?);
        let claims = Claims { sub, kind, epoch, password, exp, path: path.map(str::to_owned), jti };
        jsonwebtoken::encode(&Header::default(), &claims, &self.encoding).map_err(Failure::internal)
    }
}

impl From<User> for Principal {
    fn from(user: User) -> Self {
        Self { role: user.role, owner: Owner::User(user.id), name: user.username }
    }
}

/// The document of a user with this password.
pub fn user_document(id: &str, name: &str, role: Role, password: &str) -> Result<String> {
    let hash: PasswordHash =
        Argon2::default().hash_password(password.as_bytes()).map_err(Failure::internal)?;
    let document = serde_json::json!({
        "_id": id,
        "documentType": "User",
        "username": name,
        "role": role,
        "passwordHash": hash.to_string(),
    });
    Ok(document.to_string())
}

/// Whether one of these users is an admin who can log in with a password. Of several with the same name only the first
/// can, as everywhere.
pub(crate) fn an_admin_can_log_in<'a>(users: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut names = HashSet::new();
    users
        .filter_map(|body| serde_json::from_slice::<User>(body).ok())
        .filter(|user| user.role != Role::BackupToken)
        .any(|user| {
            names.insert(user.username) && user.role == Role::Admin && can_verify(&user.password_hash)
        })
}

/// Whether [`verify`] lets any password pass for this PHC string.
fn can_verify(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| is_reasonable(&parsed))
}

/// Whether this PHC string was made from this password. A hash that would take unreasonable memory or time fits none.
fn verify(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    is_reasonable(&parsed) && Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

fn is_reasonable(hash: &PasswordHash) -> bool {
    let params = Params::try_from(hash);
    params.is_ok_and(|it| it.m_cost() <= 256 << 10 && it.t_cost() <= 16 && it.p_cost() <= 16)
}

fn fingerprint(user: &User) -> String {
    Sha256::of(user.password_hash.as_bytes()).to_string().chars().take(16).collect()
}

fn ended() -> Failure {
    Failure::unauthorized("the login has ended or is not valid: log in again")
}

/// The key that tokens are signed with: 256 random bits, readable by the owner of the process alone.
fn secret(path: &Path) -> Result<Vec<u8>> {
    if let Ok(secret) = fs::read(path)
        && secret.len() == 64
    {
        return Ok(secret);
    }
    let secret = random::hex::<32>()?.into_bytes();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    Ok(secret)
}

/// Failed logins, by address alone and by address and name.
#[derive(Debug, Default)]
struct Failures(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    failed: HashMap<FailureKey, (u32, Instant)>,
    swept: Option<Instant>,
}

/// An address and, where it is not about all of them, a name.
type FailureKey = (Option<IpAddr>, Option<String>);

impl Failures {
    /// Counts an attempt as failed until it is forgiven, so that many at once do not slip through. One that is refused
    /// leaves nothing behind.
    fn count(&self, from: Option<IpAddr>, name: &str) -> Result<()> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sweep();
        let keys = keys(from, name);
        for (key, most) in keys.iter().zip(FAILURES) {
            counts.check(key, most)?;
        }
        for key in keys {
            counts.failed.entry(key).or_insert((0, Instant::now())).0 += 1;
        }
        Ok(())
    }

    fn forgive(&self, from: Option<IpAddr>, name: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [of_address, of_name] = keys(from, name);
        counts.failed.remove(&of_name);
        if let Some((count, _)) = counts.failed.get_mut(&of_address) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Counts {
    fn sweep(&mut self) {
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            self.failed.retain(|_, (_, since)| since.elapsed() < FAILURES_COUNT_FOR);
            self.swept = Some(Instant::now());
        }
    }

    fn check(&mut self, key: &FailureKey, most: u32) -> Result<()> {
        match self.failed.get(key).copied() {
            Some((_, since)) if since.elapsed() >= FAILURES_COUNT_FOR => drop(self.failed.remove(key)),
            Some((count, since)) if count >= most => {
                let left = FAILURES_COUNT_FOR.saturating_sub(since.elapsed()).as_secs().max(1);
                return Err(Failure::too_many("too many failed logins", left));
            }
            None if self.failed.len() >= COUNTS => {
                return Err(Failure::too_many("too many logins fail at the moment", SWEEP.as_secs()));
            }
            _ => {}
        }
        Ok(())
    }
}

fn keys(from: Option<IpAddr>, name: &str) -> [FailureKey; 2] {
    let from = from.map(network);
    [(from, None), (from, Some(name.chars().take(100).collect()))]
}

/// Whom an address stands for: whoever has one of IPv6 has all of its /64 (RFC 6177).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(failures: &Failures) -> usize {
        failures.0.lock().unwrap().failed.len()
    }

    #[test]
    fn a_refused_attempt_leaves_nothing_behind() {
        let failures = Failures::default();
        for number in 0..1000 {
            let from: IpAddr = format!("2001:db8::{number:x}").parse().unwrap();
            let counted = failures.count(Some(from), &format!("name {number}")).is_ok();
            assert_eq!(counted, number < 60, "one /64 is one address: {number}");
        }
        assert_eq!(kept(&failures), 61);
        failures.count("2001:db8:0:1::1".parse().ok(), "name").unwrap();
        failures.count("::ffff:192.0.2.1".parse().ok(), "name").unwrap();
        failures.count("192.0.2.2".parse().ok(), "name").unwrap();
        assert_eq!(kept(&failures), 67);
    }

    #[test]
    fn counts_do_not_grow_without_end() {
        let failures = Failures::default();
        let known = Some(IpAddr::from([192, 0, 2, 1]));
        failures.count(known, "known").unwrap();
        let refused = (0..60_000u32).filter(|number| {
            let from = IpAddr::from(number.to_be_bytes());
            failures.count(Some(from), "name").is_err()
        });
        assert!(refused.count() >= 10_000);
        assert!(kept(&failures) <= COUNTS + 1);
        failures.count(known, "known").unwrap();
    }
}
