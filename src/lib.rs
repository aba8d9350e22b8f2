//! Reads, writes and checks DiKAS backups, natively and in the browser.

pub mod api;
pub mod browser;
pub mod catalog;
pub mod codec;
pub mod digest;
pub mod document;
pub mod error;
pub mod job;
pub mod limits;
pub mod manifest;
pub mod part;
pub mod path;
pub mod reader;
pub mod writer;
