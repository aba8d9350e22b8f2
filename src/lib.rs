//! Reads, writes and checks DiKAS backups, natively and in the browser.
//!
//! ```no_run
//! use dikas_archive::{document, error::Result, reader::BackupReader};
//!
//! fn main() -> Result<()> {
//!     let mut backup = BackupReader::open(std::fs::File::open("dikas_20261123_040000.zip")?)?;
//!     let verdict = backup.verify(&mut |_bytes| Ok(()))?;
//!     println!("{} documents, sound: {}", verdict.documents, verdict.is_sound());
//!     let mut lines = backup.lines("articles.jsonl.br")?;
//!     while let Some(line) = lines.next_line()? {
//!         println!("{}", document::parse(line)?.id);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! - [`reader::BackupReader`] opens a backup, tells what is in it, and checks it; [`writer::BackupWriter`] makes one.
//! - [`job::backup::backup`] makes a whole backup from any [`job::Source`]: a server over HTTP ([`job::http`]), or a
//!   store.
//! - [`inspect::Inspector`] looks into a backup of any size: rows of a collection, a document by its id, a search.
//! - [`error::Error`] is what everything here fails with.
//!
//! Below them: [`manifest`], [`path`], [`part`], [`codec`] and [`document`] are the format, section by section of
//! FORMAT.md; [`catalog`] says what DiKAS stores, [`api`] how a server and its callers talk, [`limits`] how much is too
//! much. [`browser`] is the thin layer that turns all of it into a worker of a web page.

pub mod api;
pub mod browser;
pub mod catalog;
pub mod codec;
pub mod damage;
pub mod digest;
pub mod document;
pub mod error;
pub mod inspect;
pub mod job;
pub mod limits;
pub mod manifest;
pub mod part;
pub mod path;
pub mod plain;
pub mod problems;
pub mod reader;
pub mod writer;
