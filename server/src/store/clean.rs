//! The clean-up: removes what nobody can reach any more, in small steps between the writes of everybody else. Whatever
//! it removes, nothing names; killed at any moment, it goes on with the next run.
//!
//! Files are what no other copy here can bring back, so that they are not taken on the word of one database: the server has
//! to have run for hours, the database must not be an older copy, most of the files are never taken without a person's
//! word, and what is taken is set aside for a month of running before it is removed.

use super::note::Doubt;
use super::restore::Restores;
use super::{Snapshots, Store};
use crate::blobs::Survey;
use crate::failure::Result;
use dikas_archive::digest::Sha256;
use rusqlite::OptionalExtension;
use serde::Serialize;
use std::time::Duration;

/// How many rows one step removes.
const ROWS_PER_STEP: i64 = 500;

/// How long writers have between two steps.
const BETWEEN_STEPS: Duration = Duration::from_millis(5);

/// When the clean-up takes files. None of it goes by a clock that can be set, but for the age of a file.
#[derive(Debug, Clone)]
pub struct CleanOptions {
    /// For how long the server has to have run: time to notice that something is wrong.
    pub wait: Duration,
    /// How old a file is at least: a row may be about to name it.
    pub grace: Duration,
    /// For how long servers have to run before a file that was set aside is removed.
    pub quarantine: Duration,
    /// How many files may be taken though they are most of what there is.
    pub handful: u64,
}

impl Default for CleanOptions {
    fn default() -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self { wait: 3 * hour, grace: hour, quarantine: 30 * 24 * hour, handful: 20 }
    }
}

impl CleanOptions {
    /// Takes whatever it finds and removes it at once, so that a test sees what it takes.
    #[doc(hidden)]
    pub fn at_once() -> Self {
        Self { wait: Duration::ZERO, grace: Duration::ZERO, quarantine: Duration::ZERO, handful: u64::MAX }
    }
}

/// Why the clean-up takes no files until a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Held {
    /// The database is an older copy: files of the time since are named by no row.
    OlderDatabase,
    /// The note that says how far the database was could not be read.
    UnreadableNote,
    /// Most of the files are named by no row.
    MostFiles,
}

impl From<Doubt> for Held {
    fn from(doubt: Doubt) -> Self {
        match doubt {
            Doubt::OlderDatabase => Self::OlderDatabase,
            Doubt::UnreadableNote => Self::UnreadableNote,
        }
    }
}

/// What lies in the folder of the files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) survey: Survey,
    /// How many files and bytes are set aside.
    pub(crate) set_aside: [u64; 2],
    pub(crate) doubt: Option<Doubt>,
}

impl Restores {
    /// Ends sessions that are too old, forgets how those of the day before ended, and removes generations and blobs that
    /// nothing names: no live collection, no restore point, no session that is open. While a snapshot is open, both stay.
    /// Blocks for as long as it takes.
    pub fn clean(&self, snapshots: &Snapshots) -> Result<()> {
        self.expire()?;
        self.forget_old()?;
        let at = self.options().at;
        while self.may_clean() && !snapshots.any_open() && self.store().remove_unreachable_rows()? {
            at("clean-rows");
            std::thread::sleep(BETWEEN_STEPS);
        }
        self.hold(self.clean_blobs(snapshots)?);
        Ok(())
    }

    /// Takes the files that nothing names; or none, and answers why.
    fn clean_blobs(&self, snapshots: &Snapshots) -> Result<Option<Held>> {
        let (store, options) = (self.store(), &self.options().clean);
        let blobs = store.blobs();
        blobs.bring_back_named(|digest| Ok(self.may_clean() && store.names_blob(digest)?))?;
        let doubt = store.doubt().map(Held::from);
        if doubt.is_some() || self.uptime() < options.wait {
            return Ok(doubt);
        }
        let survey =
            blobs.survey(options.grace, |digest| Ok(self.may_clean() && !store.names_blob(digest)?))?;
        let (files, unnamed) = (survey.files, survey.unnamed.len() as u64);
        if unnamed > options.handful && unnamed > files / 2 {
            if self.held().is_none() {
                tracing::error!(
                    "no document names {unnamed} of the {files} files, which is most of them: they stay until a person \
                     decides (docs/operations.md, \"Space\")"
                );
            }
            return Ok(Some(Held::MostFiles));
        }
        let removable = |digest: &Sha256| {
            let unnamed = self.may_clean() && !store.names_blob(digest)?;
            // In this order: a snapshot or session that begins from here on sees no row that names the blob.
            let removable = unnamed && !snapshots.any_open() && !self.is_open();
            if removable {
                (self.options().at)("clean-blob");
            }
            Ok(removable)
        };
        if unnamed > 0 {
            let bytes = survey.unnamed_bytes;
            tracing::info!(
                "the clean-up takes {unnamed} of {files} files, {bytes} bytes, that no document names"
            );
        }
        let ages = [options.grace, options.quarantine];
        blobs.set_aside(&survey.unnamed, store.running(), ages, removable)?;
        let [files, bytes] = blobs.empty(store.running(), options.quarantine, removable)?;
        if files > 0 {
            tracing::info!("{files} files, {bytes} bytes, were set aside for long enough, and are removed");
        }
        Ok(None)
    }
}

impl Store {
    /// Counts the files. For a store that no server uses.
    pub(crate) fn files(&self) -> Result<Files> {
        let survey = self.blobs().survey(Duration::ZERO, |digest| Ok(!self.names_blob(digest)?))?;
        Ok(Files { survey, set_aside: self.blobs().count_set_aside()?, doubt: self.doubt() })
    }

    /// Sets all files aside that nothing names, because a person has said so, and takes the database as it is. For a store
    /// that no server uses.
    pub(crate) fn set_unnamed_aside(&self) -> Result<()> {
        let unnamed = self.files()?.survey.unnamed;
        let ages = [Duration::ZERO, CleanOptions::default().quarantine];
        self.blobs().set_aside(&unnamed, self.running(), ages, |_| Ok(true))?;
        self.trust()
    }

    /// Removes what was set aside and nothing names. For a store that no server uses.
    pub(crate) fn remove_set_aside(&self) -> Result<()> {
        self.blobs().bring_back_named(|digest| self.names_blob(digest))?;
        self.blobs().empty(u64::MAX, Duration::ZERO, |digest| Ok(!self.names_blob(digest)?))?;
        Ok(())
    }

    /// Takes one step towards removing a generation that nothing names; whether there may be more to do.
    fn remove_unreachable_rows(&self) -> Result<bool> {
        let sql = "SELECT id FROM generations
                   WHERE NOT EXISTS (SELECT 1 FROM collections WHERE live = generations.id)
                       AND NOT EXISTS (SELECT 1 FROM restore_point_parts WHERE generation = generations.id)
                       AND NOT EXISTS (SELECT 1 FROM restores WHERE id = session AND state = '\"open\"')
                   LIMIT 1";
        self.write(|write| {
            let connection = &write.transaction;
            let found: Option<i64> =
                connection.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?;
            let Some(generation) = found else { return Ok(false) };
            let tables =
                [("attachments", "document_id, name"), ("documents", "id"), ("added", "document_id, name")];
            for (table, key) in tables {
                let sql = format!(
                    "DELETE FROM {table} WHERE generation = ?1 AND ({key}) IN
                     (SELECT {key} FROM {table} WHERE generation = ?1 LIMIT ?2)"
                );
                if connection.prepare_cached(&sql)?.execute((generation, ROWS_PER_STEP))? > 0 {
                    return Ok(true);
                }
            }
            connection.execute("DELETE FROM generations WHERE id = ?1", [generation])?;
            Ok(true)
        })
    }

    /// Whether any row names this blob.
    fn names_blob(&self, digest: &Sha256) -> Result<bool> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM attachments WHERE sha256 = ?1 LIMIT 1";
            Ok(connection.prepare_cached(sql)?.exists([digest.to_string()])?)
        })
    }
}
