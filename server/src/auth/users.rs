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
    /// Absent means yes.
    is_active: Option<bool>,
}

impl User {
    /// The user of a document; none where it is not one.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether a login of this user can begin, and go on.
    pub(super) fn may_log_in(&self) -> bool {
        self.role != Role::BackupToken && self.is_active != Some(false)
    }

    /// What a login depends on: with another role or password it ends.
    pub(super) fn state(&self) -> String {
        format!("{:?} {}", self.role, self.fingerprint())
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

/// Whether one of these users is an active admin who can log in with a password. Of several active ones with the same name
/// only the first can, as everywhere.
pub(crate) fn an_admin_can_log_in<'a>(users: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut names = HashSet::new();
    users.filter_map(User::parse).filter(User::may_log_in).any(|user| {
        names.insert(user.username) && user.role == Role::Admin && passwords::can_verify(&user.password_hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_admin_whose_password_can_be_checked_keeps_the_door_open() {
        let user = |name: &str, role: &str, active: &str, hash: &str| {
            format!(
                r#"{{"_id":"usr_{name}","username":"{name}","role":"{role}","passwordHash":"{hash}"{active}}}"#
            )
        };
        let good = passwords::NOBODY;
        for (users, expected) in [
            (vec![user("a", "admin", "", good)], true),
            (vec![user("a", "admin", r#","isActive":true"#, good)], true),
            (vec![user("a", "admin", r#","isActive":null"#, good)], true),
            (vec![user("a", "admin", r#","isActive":false"#, good)], false),
            (vec![user("a", "admin", r#","isActive":"no""#, good)], false),
            (vec![user("a", "till", "", good), user("b", "admin", r#","isActive":false"#, good)], false),
            (vec![user("a", "admin", r#","isActive":false"#, good), user("a", "admin", "", good)], true),
            (vec![user("a", "till", "", good), user("a", "admin", "", good)], false),
            (vec![user("a", "admin", "", "plain")], false),
            (vec![user("a", "backup-token", "", good)], false),
        ] {
            assert_eq!(an_admin_can_log_in(users.iter().map(String::as_bytes)), expected, "{users:?}");
        }
    }
}
