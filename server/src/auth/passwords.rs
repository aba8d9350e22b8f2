//! Passwords: argon2, as PHC strings.

use crate::failure::{Failure, Result};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};

/// Stands in for the hash of a user who does not exist. No password has it.
pub(super) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The PHC string of a password.
pub(super) fn hash(password: &str) -> Result<String> {
    let hash: PasswordHash =
        Argon2::default().hash_password(password.as_bytes()).map_err(Failure::internal)?;
    Ok(hash.to_string())
}

/// Whether this PHC string was made from this password. A hash that would take unreasonable memory or time fits none.
pub(super) fn verify(password: &str, hash: &str) -> bool {
    can_verify(hash) && Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

/// Whether [`verify`] lets any password pass for this PHC string.
pub(super) fn can_verify(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| is_reasonable(&parsed))
}

fn is_reasonable(hash: &PasswordHash) -> bool {
    let params = Params::try_from(hash);
    params.is_ok_and(|it| it.m_cost() <= 256 << 10 && it.t_cost() <= 16 && it.p_cost() <= 16)
}
