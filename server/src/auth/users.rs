//! What a login needs of the documents in `users`.

use super::{Role, passwords};
use crate::failure::Result;
use dikas_archive::digest::Sha256;
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) username: String,
    pub(super) role: Role,
    pub(super) password_hash: String,
}

impl User {
    /// The user of a document; none where it is not one.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether a password lets it in.
    pub(super) fn may_log_in(&self) -> bool {
        self.role != Role::BackupToken
    }

    /// Begin of the digest of the password's hash: a new password is another one.
    pub(super) fn fingerprint(&self) -> String {
        Sha256::of(self.password_hash.as_bytes()).to_string().chars().take(16).collect()
    }
}

/// The document of a user with this password.
pub fn user_document(id: &str, name: &str, role: Role, password: &str) -> Result<String> {
    let document = serde_json::json!({
        "_id": id,
        "documentType": "User",
        "username": name,
        "role": role,
        "passwordHash": passwords::hash(password)?,
    });
    Ok(document.to_string())
}

/// Whether one of these users is an admin who can log in with a password. Of several with the same name only the first
/// can, as everywhere.
pub(crate) fn an_admin_can_log_in<'a>(users: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut names = HashSet::new();
    users.filter_map(User::parse).filter(User::may_log_in).any(|user| {
        names.insert(user.username) && user.role == Role::Admin && passwords::can_verify(&user.password_hash)
    })
}
