//! The job and its HTTP client, over a store in memory and a network that misbehaves as the test wants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]
#![cfg(not(target_arch = "wasm32"))]

mod backup;
mod bare;
mod http;
mod line;
mod pool;
mod restore;
mod resume;
mod staging;
mod store;
mod wire;
