//! Logins: passwords, access and refresh tokens, backup tokens.
//!
//! Passwords are checked with argon2 away from the async threads, a few at a time; a user who does not exist costs the
//! same time as one of those who do. A token names a user and not a role: each call looks up what the user is now.

mod attempts;
mod families;
mod passwords;
mod refused;
mod signed;
mod users;

pub(crate) use attempts::network;
pub(crate) use users::an_admin_can_log_in;
pub use users::user_document;

use crate::failure::{Failure, Result, unusable};
use crate::store::Login;
use crate::store::{Owner, Store};
use crate::{clock, private, random};
use attempts::{Attempts, Caller};
use dikas_archive::api::restore::{AuditAction, AuditEnd, AuditEntry};
use dikas_archive::api::{LoginRequest, Ticket, Tokens};
use dikas_archive::catalog::CollectionName;
use dikas_archive::digest::Sha256;
use families::Families;
use refused::Refused;
use serde::{Deserialize, Serialize};
use signed::TokenKey;
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use users::User;

/// How every backup token begins.
pub const BACKUP_TOKEN_PREFIX: &str = "dkb_";

/// For how long a ticket lets somebody begin a download.
const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);

/// For how long failed logins are counted until the audit is told of them.
const REFUSED_TOLD_AFTER: Duration = Duration::from_secs(60);

/// For how long a device is known that nobody logs in on.
const DEVICE_LIFE: Duration = Duration::from_secs(180 * 24 * 60 * 60);

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
    /// The login that it calls with; none for a backup token.
    pub login: Option<String>,
}

/// Checks who somebody is.
#[derive(Debug)]
pub struct Auth {
    store: Arc<Store>,
    key: TokenKey,
    access_life: Duration,
    attempts: Attempts,
    families: Families,
    refused: Refused,
    hashing: Semaphore,
    /// Passwords from devices that are known: strangers are not in their way.
    hashing_known: Semaphore,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    kind: Kind,
    epoch: i64,
    /// Begin of the digest of the password's hash: a new password voids old tokens.
    password: String,
    exp: u64,
    /// The login that it ends with; none for a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    /// The number of a refresh token in its login.
    #[serde(default)]
    generation: u64,
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
    /// Known from an earlier login: its `jti` is the device's, and stays.
    Device,
}

impl Auth {
    /// Logins to this store; the secret of its tokens lies in the data folder.
    pub fn open(store: Arc<Store>, folder: &Path, access_life: Duration) -> Result<Self> {
        let key = TokenKey::new(&secret(&folder.join("secret"))?)?;
        let (hashing, hashing_known) = (Semaphore::new(2), Semaphore::new(1));
        let (attempts, families) = (Attempts::default(), Families::open(Arc::clone(&store), access_life)?);
        let refused = Refused::default();
        Ok(Self { store, key, access_life, attempts, families, refused, hashing, hashing_known })
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// `unauthorized`; 429 for a moment after failures.
    pub async fn login(self: &Arc<Self>, request: LoginRequest, from: Option<IpAddr>) -> Result<Tokens> {
        let LoginRequest { username, password, device_token } = request;
        let device = self.device(device_token, &username).await?;
        let caller = match &device {
            Some(device) => Caller::Device(device),
            None => Caller::Stranger { from, name: &username },
        };
        let attempt = self.attempts.begin(caller, Instant::now());
        let attempt = attempt.inspect_err(|_| self.refuse(&username, from))?;
        tokio::time::sleep(attempt.held).await;
        let hashing = if device.is_some() { &self.hashing_known } else { &self.hashing };
        let permit = hashing.acquire().await.map_err(Failure::internal)?;
        let (auth, name) = (Arc::clone(self), username.clone());
        let user = crate::blocking(move || auth.user_with(&name, &password)).await?;
        drop(permit);
        let Some(user) = user else {
            let address = from.map(|from| from.to_string());
            tracing::info!(name = username, address, "a login failed");
            self.refuse(&username, from);
            return Err(Failure::unauthorized("user name or password is wrong"));
        };
        attempt.succeed();
        let auth = Arc::clone(self);
        crate::blocking(move || {
            let login = auth.families.begin(&user, clock::unix())?;
            let device_token = Some(auth.device_token(&user, device)?);
            let tokens = auth.tokens(&user, &login)?;
            auth.save_soon();
            auth.note(&user.username, AuditAction::Login, from);
            Ok(Tokens { device_token, ..tokens })
        })
        .await
    }

    /// The device that shows this, if this user logged in on it with the password of now.
    async fn device(self: &Arc<Self>, token: Option<String>, name: &str) -> Result<Option<String>> {
        let Some(claims) = token.and_then(|token| self.claims(&token, Kind::Device).ok()) else {
            return Ok(None);
        };
        let auth = Arc::clone(self);
        let user =
            crate::blocking(move || auth.find_user(&claims.sub).map(|user| user.zip(Some(claims)))).await?;
        let known =
            user.filter(|(user, claims)| user.username == name && user.fingerprint() == claims.password);
        Ok(known.map(|(_, claims)| claims.jti))
    }

    /// New tokens for a refresh token, which is used up. Blocks.
    ///
    /// # Errors
    /// `unauthorized`; for one that was used before, unless that answer may be lost, its whole login ends.
    pub fn refresh(self: &Arc<Self>, token: &str) -> Result<Tokens> {
        let (user, claims) = self.user_of(token, Kind::Refresh, None)?;
        let id = claims.login.unwrap_or_default();
        let renewed = self.families.renew(&id, claims.generation, clock::unix());
        self.save_soon();
        self.tokens(&user, &renewed.ok_or_else(ended)?)
    }

    /// Ends the login that this access or refresh token is of, with all its tokens and tickets. One that has ended stays so.
    /// Blocks.
    ///
    /// # Errors
    /// `unauthorized` for what is no token of a login; where it cannot be saved it has ended all the same.
    pub fn log_out(&self, token: &str, from: Option<IpAddr>) -> Result<()> {
        let claims: Claims = self.key.open(token).ok_or_else(ended)?;
        let login = claims.login.filter(|_| claims.kind != Kind::Ticket).ok_or_else(ended)?;
        if self.families.end(&login) {
            let user = self.find_user(&claims.sub)?;
            self.note(user.as_ref().map_or(&claims.sub, |user| &user.username), AuditAction::Logout, from);
        }
        self.families.save(true)
    }

    /// Ends the logins of those of these users whose role or password is another one now, or who may log in no more. Blocks.
    pub fn review(self: &Arc<Self>, users: &[String]) -> Result<()> {
        let now: HashSet<(String, String)> = users
            .iter()
            .filter_map(|id| self.find_user(id).transpose())
            .filter(|user| !user.as_ref().is_ok_and(|user| !user.may_log_in()))
            .map(|user| user.map(|user| (user.id.clone(), user.state())))
            .collect::<Result<_>>()?;
        self.families.retain(|login| {
            !users.contains(&login.user) || now.contains(&(login.user.clone(), login.state.clone()))
        });
        self.save_soon();
        Ok(())
    }

    /// Forgets logins that have lasted too long, and saves the others. Blocks.
    ///
    /// # Errors
    /// Where the disk or the database fails.
    pub fn tidy(&self) -> Result<()> {
        self.tell_refused();
        self.families.forget_old(clock::unix());
        self.families.save(true).and(self.store.flush_notes())
    }

    /// Tells the audit what failed since it was told last. Blocks.
    pub fn tell_refused(&self) {
        for entry in self.refused.take(&clock::now()) {
            self.store.note(entry);
        }
    }

    /// Counts a failed login, and tells the audit of it and of those that follow within a minute.
    fn refuse(self: &Arc<Self>, name: &str, from: Option<IpAddr>) {
        if self.refused.add(name, from) {
            let auth = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(REFUSED_TOLD_AFTER).await;
                crate::writing(move || {
                    auth.tell_refused();
                    Ok(())
                })
                .await
            });
        }
    }

    fn note(&self, who: &str, action: AuditAction, from: Option<IpAddr>) {
        let address = from.map(|from| from.to_string());
        let entry = AuditEntry::new(clock::now(), who.to_owned(), action, AuditEnd::Done);
        self.store.note(AuditEntry { address, ..entry });
    }

    /// Saves logins at once where the store is free; else as soon as it is.
    fn save_soon(self: &Arc<Self>) {
        if let Err(failure) = self.families.save(false) {
            tracing::warn!("logins were not saved, and end with this process: {failure}");
        } else if !self.families.are_saved()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let auth = Arc::clone(self);
            runtime.spawn(crate::writing(move || auth.families.save(true)));
        }
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
                login: None,
            });
        }
        Ok(self.user_of(token, Kind::Access, None)?.into())
    }

    /// What lets this user begin to download this one path within ten minutes, as part of its address. Blocks.
    ///
    /// # Errors
    /// `forbidden` for whoever is no user.
    pub fn ticket(&self, principal: &Principal, path: &str) -> Result<Ticket> {
        let (Owner::User(id), Some(login)) = (&principal.owner, &principal.login) else {
            return Err(Failure::forbidden("tickets are for users; a backup token is sent as a header"));
        };
        let claims = Claims {
            login: Some(login.clone()),
            path: Some(path.to_owned()),
            ..self.token_of(&self.user(id)?, Kind::Ticket, TICKET_LIFE)?
        };
        Ok(Ticket { ticket: self.key.sign(&claims)?, expires_in: TICKET_LIFE.as_secs() })
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
        Ok(self.user_with(name, password)?.is_some())
    }

    /// The user with this name and password. Whether there is one of this name shows in nothing, the time included: all are looked
    /// at, and one password is checked.
    fn user_with(&self, name: &str, password: &str) -> Result<Option<User>> {
        let documents = self.store.documents("users")?;
        let mut users: Vec<User> = documents.iter().filter_map(|body| User::parse(body)).collect();
        let named = users.iter().position(|user| user.username == name && user.may_log_in());
        let own = named.and_then(|at| users.get(at)).map(|user| user.password_hash.as_str());
        let own = own.filter(|hash| passwords::can_verify(hash));
        let fits = passwords::verify(password, own.unwrap_or_else(|| self.stand_in(&users, name)));
        let fits = fits && own.is_some();
        Ok(named.filter(|_| fits).map(|at| users.swap_remove(at)))
    }

    /// What the password of a name is checked against that no one can log in with: the hash of another user, so that it costs as
    /// much as that of a user; always the same one for a name.
    fn stand_in<'a>(&self, users: &'a [User], name: &str) -> &'a str {
        let hashes = users.iter().map(|user| user.password_hash.as_str());
        let hashes: Vec<&str> = hashes.filter(|hash| passwords::can_verify(hash)).collect();
        let digest = Sha256::of(format!("{} {name}", self.store.installation()).as_bytes());
        let number =
            digest.as_bytes().iter().take(4).fold(0, |number, byte| number << 8 | usize::from(*byte));
        let at = number.checked_rem(hashes.len()).unwrap_or_default();
        hashes.get(at).copied().unwrap_or(passwords::NOBODY)
    }

    fn user_of(&self, token: &str, kind: Kind, path: Option<&str>) -> Result<(User, Claims)> {
        let claims = self.claims(token, kind)?;
        if claims.path.as_deref() != path || claims.epoch != self.store.login_epoch()? {
            return Err(ended());
        }
        let login = claims.login.as_ref().and_then(|id| self.families.find(id, clock::unix()));
        let login = login.ok_or_else(ended)?;
        let user = self.user(&claims.sub)?;
        if login.user != user.id || login.state != user.state() || !user.may_log_in() {
            self.families.end(&login.id);
            return Err(ended());
        }
        Ok((user, claims))
    }

    /// What a token of this kind says, if it is ours and has not run out: it is taken until the second in which it ends.
    fn claims(&self, token: &str, kind: Kind) -> Result<Claims> {
        let claims: Option<Claims> = self.key.open(token);
        claims.filter(|claims| claims.kind == kind && claims.exp >= clock::unix()).ok_or_else(ended)
    }

    fn user(&self, id: &str) -> Result<User> {
        self.find_user(id)?.ok_or_else(ended)
    }

    fn find_user(&self, id: &str) -> Result<Option<User>> {
        let body = self.store.document(&"users".parse::<CollectionName>()?, id)?;
        Ok(body.and_then(|body| User::parse(&body)))
    }

    fn tokens(&self, user: &User, login: &Login) -> Result<Tokens> {
        let token = |kind, life, generation| {
            let claims = self.token_of(user, kind, life)?;
            self.key.sign(&Claims { login: Some(login.id.clone()), generation, ..claims })
        };
        let lasts = families::ends(login).saturating_sub(clock::unix());
        Ok(Tokens {
            access_token: token(Kind::Access, self.access_life, 0)?,
            refresh_token: token(Kind::Refresh, Duration::from_secs(lasts), login.generation)?,
            expires_in: self.access_life.as_secs(),
            device_token: None,
        })
    }

    /// What tells a device from strangers at its next login.
    fn device_token(&self, user: &User, device: Option<String>) -> Result<String> {
        let jti = device.map_or_else(random::hex::<16>, Ok)?;
        self.key.sign(&Claims { jti, ..self.token_of(user, Kind::Device, DEVICE_LIFE)? })
    }

    fn token_of(&self, user: &User, kind: Kind, life: Duration) -> Result<Claims> {
        Ok(Claims {
            sub: user.id.clone(),
            kind,
            epoch: self.store.login_epoch()?,
            password: user.fingerprint(),
            exp: clock::unix() + life.as_secs(),
            login: None,
            generation: 0,
            path: None,
            jti: random::hex::<8>()?,
        })
    }
}

impl From<(User, Claims)> for Principal {
    fn from((user, claims): (User, Claims)) -> Self {
        Self { role: user.role, owner: Owner::User(user.id), name: user.username, login: claims.login }
    }
}

fn ended() -> Failure {
    Failure::unauthorized("the login has ended or is not valid: log in again")
}

/// The key that tokens are signed with: 256 random bits, readable by the owner of the process alone.
fn secret(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Ok(secret) if secret.len() == 64 => return Ok(secret),
        Ok(_) => tracing::warn!("{} is no secret: a new one is made, and every login ends", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(path, error)),
    }
    let secret = random::hex::<32>()?.into_bytes();
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = private::file(options.write(true).create(true).truncate(true)).open(path)?;
        file.write_all(&secret)?;
        file.sync_all()
    };
    write().map_err(|error| unusable(path, error))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Rules;

    #[test]
    fn a_name_that_no_one_has_costs_as_much_as_one_of_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let auth = Auth::open(Arc::clone(&store), folder.path(), Duration::from_secs(60)).unwrap();
        let stand_in = |users: &[User], name: &str| auth.stand_in(users, name).to_owned();
        assert_eq!(stand_in(&[], "nobody"), passwords::NOBODY);

        // The demo's are cheaper than those that the server makes.
        let cheap = crate::demo::generate(1).find_map(|item| match item {
            crate::demo::Item::Document { collection: "users", body } => User::parse(body.as_bytes()),
            _ => None,
        });
        let cheap = cheap.unwrap();
        let users =
            [cheap, User::parse(user_document("b", "b", Role::Till, "b").unwrap().as_bytes()).unwrap()];
        let stand_ins: HashSet<String> =
            (0..50).map(|number| stand_in(&users, &format!("name {number}"))).collect();
        let hashes: HashSet<String> = users.iter().map(|user| user.password_hash.clone()).collect();
        assert_eq!(stand_ins, hashes, "among many names each cost is found, as among the users");
        assert_eq!(stand_in(&users, "name 7"), stand_in(&users, "name 7"));
        assert_eq!(stand_in(&users[..1], "name 7"), users[0].password_hash);

        // A password that fits the stand-in lets no one in.
        let body = user_document("usr_b", "b", Role::Admin, "b").unwrap().into_bytes();
        store
            .put_documents(&"users".parse().unwrap(), &[("usr_b".to_owned(), body)], Rules::NONE, |_| None)
            .unwrap();
        assert!(auth.knows("b", "b").unwrap() && !auth.knows("nobody", "b").unwrap());
    }
}
