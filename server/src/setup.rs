//! The first start: somebody who can log in, and demo data where it was asked for.

use crate::auth::{Auth, Role, user_document};
use crate::demo::{self, Item};
use crate::failure::{Failure, Result};
use crate::random;
use crate::store::{Rules, Store};
use dikas_archive::api::AttachmentRecord;
use dikas_archive::catalog::CollectionName;
use dikas_archive::document;
use std::collections::BTreeMap;

/// User name and password of the demo data.
pub const DEMO_LOGIN: (&str, &str) = ("admin", "demo");

/// How many bytes of documents one transaction takes in at once.
const BATCH_BYTES: usize = 8 << 20;

const FILLING: &str = "filling";
const FILLED: &str = "filled";

/// What became of the first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setup {
    /// There was a store already.
    Existing,
    /// There is demo data, from now or from before.
    Demo,
    /// There is data, and it is not demo data; it was left alone although demo data was asked for.
    NotDemo,
    /// An admin was created, with this password.
    Created {
        /// Its user name.
        username: &'static str,
        /// Its password, which is nowhere else in clear.
        password: String,
    },
}

/// Sees to it that a fresh store has somebody who can log in.
///
/// # Errors
/// Where an interrupted filling with demo data left half a restaurant and `demo` is not asked for.
pub(crate) fn set_up(store: &Store, auth: &Auth, demo: Option<u32>) -> Result<Setup> {
    match (store.demo_state()?.as_deref(), demo) {
        (Some(FILLING), None) => Err(Failure::bad_request(
            "filling this data folder with demo data was interrupted: start once with --demo, or take another folder",
        )),
        (Some(FILLED), Some(_)) => Ok(Setup::Demo),
        (state, Some(days)) if state == Some(FILLING) || store.is_empty()? => {
            fill(store, auth, days)?;
            Ok(Setup::Demo)
        }
        (_, Some(_)) => Ok(Setup::NotDemo),
        (_, None) if store.is_empty()? => {
            let password = random::hex::<10>()?;
            let username = "admin";
            add_user(store, "usr_admin", username, &password)?;
            Ok(Setup::Created { username, password })
        }
        (_, None) => Ok(Setup::Existing),
    }
}

/// Fills the store with demo data, from the beginning if a filling was interrupted.
fn fill(store: &Store, auth: &Auth, days: u32) -> Result<()> {
    tracing::info!("filling the store with {days} days of demo data");
    store.clear()?;
    store.set_demo_state(FILLING)?;
    let mut filling = Filling { store, waiting: BTreeMap::new(), bytes: 0, documents: 0, attachments: 0 };
    for item in demo::generate(days) {
        filling.add(item)?;
    }
    filling.flush()?;
    let (username, password) = DEMO_LOGIN;
    if !auth.knows(username, password)? {
        add_user(store, "usr_admin", username, password)?;
    }
    store.set_demo_state(FILLED)?;
    store.checkpoint()?;
    tracing::info!("demo data: {} documents, {} attachments", filling.documents, filling.attachments);
    Ok(())
}

fn add_user(store: &Store, id: &str, username: &str, password: &str) -> Result<()> {
    let body = user_document(id, username, Role::Admin, password)?;
    let documents = [(id.to_owned(), body.into_bytes())];
    store.put_documents(&"users".parse()?, &documents, Rules::NONE, |_| None)?;
    Ok(())
}

struct Filling<'a> {
    store: &'a Store,
    waiting: BTreeMap<CollectionName, Vec<(String, Vec<u8>)>>,
    bytes: usize,
    documents: u64,
    attachments: u64,
}

impl Filling<'_> {
    fn add(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Document { collection, body } => {
                let (document, body) = document::ingest(body.into_bytes())?;
                self.bytes += body.len();
                self.waiting.entry(collection.parse()?).or_default().push((document.id, body));
                self.documents += 1;
                if self.documents.is_multiple_of(10_000) {
                    tracing::info!("{} documents", self.documents);
                }
                if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
            }
            Item::Attachment { collection, id, name, media_type, bytes } => {
                self.flush()?;
                let (sha256, size) = self.store.blobs().put(&bytes)?;
                let (collection, media_type) = (collection.parse()?, media_type.to_owned());
                self.store.put_attachment(&AttachmentRecord {
                    collection,
                    id,
                    name,
                    media_type,
                    size,
                    sha256,
                })?;
                self.attachments += 1;
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        for (collection, documents) in std::mem::take(&mut self.waiting) {
            let place = |index: usize| documents.get(index).map(|(id, _)| format!("demo document {id}"));
            self.store.put_documents(&collection, &documents, Rules::NONE, place)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn half_a_demo_is_refused_or_filled_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let auth = Auth::open(Arc::clone(&store), folder.path(), Duration::from_secs(60)).unwrap();
        store.set_demo_state(FILLING).unwrap();
        add_user(&store, "usr_half", "half", "x").unwrap();
        let refusal = set_up(&store, &auth, None).unwrap_err().to_string();
        assert!(refusal.contains("interrupted"), "{refusal}");
        assert_eq!(set_up(&store, &auth, Some(2)).unwrap(), Setup::Demo);
        assert!(auth.knows(DEMO_LOGIN.0, DEMO_LOGIN.1).unwrap());
        assert!(!auth.knows("half", "x").unwrap());
        assert_eq!(set_up(&store, &auth, Some(2)).unwrap(), Setup::Demo);
        assert_eq!(set_up(&store, &auth, None).unwrap(), Setup::Existing);
    }
}
