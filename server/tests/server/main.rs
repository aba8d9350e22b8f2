//! The server as its callers see it: real router, real SQLite, real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod access;
mod archives;
mod attachments;
mod bench;
mod connections;
mod create;
mod data_folder;
mod description;
mod documents;
mod health;
mod jobs;
mod lifecycle;
mod logins;
mod logs;
mod memory;
mod restore_file;
mod restores;
mod roles;
mod rot;
mod schedule;
mod snapshots;
mod web;
