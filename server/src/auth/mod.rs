//! Logins: passwords, access and refresh tokens, backup tokens.
//!
//! Passwords are checked with argon2 away from the async threads, a few at a time; a user who does not exist costs the
//! same time. A token names a user and not a role: each call looks up what the user is now.

mod attempts;
mod passwords;
mod users;

pub(crate) use attempts::network;
pub(crate) use users::an_admin_can_log_in;
pub use users::user_document;

use crate::failure::{Failure, Result};
use crate::store::{Owner, Store};
use crate::{clock, random};
use attempts::{Attempts, Caller};
use dikas_archive::api::{LoginRequest, Purpose, Ticket, Tokens};
use dikas_archive::catalog::CollectionName;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use users::User;

/// How every backup token begins.
pub const BACKUP_TOKEN_PREFIX: &str = "dkb_";

/// Life of a refresh token; each refresh gives a new one.
const REFRESH_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// For how long a ticket lets somebody begin a download.
const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);

/// For how long a ticket lets somebody look into a file: a day's work.
const INSPECT_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

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
}

/// Checks who somebody is.
#[derive(Debug)]
pub struct Auth {
    store: Arc<Store>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    access_life: Duration,
    attempts: Attempts,
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
        let secret = secret(&folder.join("secret"))?;
        let encoding = EncodingKey::from_secret(&secret);
        let decoding = DecodingKey::from_secret(&secret);
        let (hashing, hashing_known) = (Semaphore::new(2), Semaphore::new(1));
        let attempts = Attempts::default();
        Ok(Self { store, encoding, decoding, access_life, attempts, hashing, hashing_known })
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
        tokio::time::sleep(self.attempts.begin(caller, Instant::now())?).await;
        let hashing = if device.is_some() { &self.hashing_known } else { &self.hashing };
        let permit = hashing.acquire().await.map_err(Failure::internal)?;
        let (auth, name) = (Arc::clone(self), username.clone());
        let user = crate::blocking(move || auth.user_with(&name, &password)).await?;
        drop(permit);
        let user = user.ok_or_else(|| Failure::unauthorized("user name or password is wrong"))?;
        self.attempts.succeed(caller);
        let device_token = Some(self.device_token(&user, device.clone())?);
        Ok(Tokens { device_token, ..self.tokens(&user)? })
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
        let ticket = self.token(&user, Kind::Ticket, life, Some(path), random::hex::<8>()?)?;
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
        Ok(self.user_with(name, password)?.is_some())
    }

    fn user_with(&self, name: &str, password: &str) -> Result<Option<User>> {
        let user = self.user_named(name)?;
        let hash = user.as_ref().map_or(passwords::NOBODY, |user| &user.password_hash);
        let fits = passwords::verify(password, hash);
        Ok(user.filter(|_| fits))
    }

    fn user_named(&self, name: &str) -> Result<Option<User>> {
        let documents = self.store.documents("users")?;
        let mut users = documents.iter().filter_map(|body| User::parse(body));
        Ok(users.find(|user| user.username == name && user.may_log_in()))
    }

    fn user_of(&self, token: &str, kind: Kind, path: Option<&str>) -> Result<User> {
        let claims = self.claims(token, kind)?;
        if claims.path.as_deref() != path || claims.epoch != self.store.login_epoch()? {
            return Err(ended());
        }
        let user = self.user(&claims.sub)?;
        if user.fingerprint() != claims.password || !user.may_log_in() {
            return Err(ended());
        }
        Ok(user)
    }

    /// What a token of this kind says, if it is ours and has not run out.
    fn claims(&self, token: &str, kind: Kind) -> Result<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation);
        let claims = claims.map_err(|_| ended())?.claims;
        if claims.kind == kind { Ok(claims) } else { Err(ended()) }
    }

    fn user(&self, id: &str) -> Result<User> {
        self.find_user(id)?.ok_or_else(ended)
    }

    fn find_user(&self, id: &str) -> Result<Option<User>> {
        let body = self.store.document(&"users".parse::<CollectionName>()?, id)?;
        Ok(body.and_then(|body| User::parse(&body)))
    }

    fn tokens(&self, user: &User) -> Result<Tokens> {
        let token = |kind, life| self.token(user, kind, life, None, random::hex::<8>()?);
        Ok(Tokens {
            access_token: token(Kind::Access, self.access_life)?,
            refresh_token: token(Kind::Refresh, REFRESH_LIFE)?,
            expires_in: self.access_life.as_secs(),
            device_token: None,
        })
    }

    /// What tells a device from strangers at its next login.
    fn device_token(&self, user: &User, device: Option<String>) -> Result<String> {
        let device = device.map_or_else(random::hex::<16>, Ok)?;
        self.token(user, Kind::Device, DEVICE_LIFE, None, device)
    }

    fn token(
        &self,
        user: &User,
        kind: Kind,
        life: Duration,
        path: Option<&str>,
        jti: String,
    ) -> Result<String> {
        let (sub, password, epoch) = (user.id.clone(), user.fingerprint(), self.store.login_epoch()?);
        let (exp, path) = (clock::unix() + life.as_secs(), path.map(str::to_owned));
        let claims = Claims { sub, kind, epoch, password, exp, path, jti };
        jsonwebtoken::encode(&Header::default(), &claims, &self.encoding).map_err(Failure::internal)
    }
}

impl From<User> for Principal {
    fn from(user: User) -> Self {
        Self { role: user.role, owner: Owner::User(user.id), name: user.username }
    }
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
