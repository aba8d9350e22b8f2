//! What becomes of files that no document names, where a person decides it and no server runs.

use crate::failure::Result;
use crate::lock_folder;
use crate::store::{Store, folder};
use clap::ValueEnum;
use std::path::Path;

/// What to do with files that no document names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnnamedFiles {
    /// Says how many there are, and changes nothing.
    Count,
    /// Sets them aside in `blobs/quarantine`, be they most of all files or the database an older copy.
    Quarantine,
    /// Removes for good what lies in `blobs/quarantine` and is still named by no document.
    Remove,
}

impl UnnamedFiles {
    /// Does it in this data folder, and says what there is then.
    ///
    /// # Errors
    /// Where the folder has no database, is in use by a server, or cannot be used.
    pub fn decide(self, data: &Path) -> Result<String> {
        folder::check_has_database(data)?;
        let _lock = lock_folder(data)?;
        if self == Self::Count {
            folder::check_current(data)?;
        }
        let store = Store::open(data)?;
        match self {
            Self::Count => {}
            Self::Quarantine => store.set_unnamed_aside()?,
            Self::Remove => store.remove_set_aside()?,
        }
        let files = store.files()?;
        let (there, unnamed) = (&files.survey, files.survey.unnamed.len());
        let [aside, aside_bytes] = files.set_aside;
        let doubt = match files.doubt {
            Some(_) => "\nThe clean-up is held: the database may know less than the files (see the log).",
            None => "",
        };
        Ok(format!(
            "{} files in blobs, {unnamed} of them ({} bytes) named by no document.\n{aside} files ({aside_bytes} bytes) in \
             blobs/quarantine.{doubt}",
            there.files, there.unnamed_bytes
        ))
    }
}
