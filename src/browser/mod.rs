//! The engine in a browser: one dedicated worker per job, started by `www/engine/index.js`. Only the messages, the
//! paged file and the journal compile natively, for their tests.
//!
//! A page loads one of two modules: the feature `making` has what makes backups, with the encoder, and `opening` what opens
//! archives, to look into them or to restore them.

pub mod journal;
pub mod pages;
pub mod protocol;

#[cfg(all(target_arch = "wasm32", feature = "making"))]
mod archives;
#[cfg(all(target_arch = "wasm32", feature = "making"))]
pub mod encoder;
#[cfg(target_arch = "wasm32")]
mod fetch;
#[cfg(all(target_arch = "wasm32", feature = "opening"))]
mod inspect;
#[cfg(target_arch = "wasm32")]
mod js;
#[cfg(all(target_arch = "wasm32", feature = "making"))]
mod making;
#[cfg(all(target_arch = "wasm32", feature = "opening"))]
mod opening;
#[cfg(all(target_arch = "wasm32", feature = "making"))]
pub mod opfs;
#[cfg(all(target_arch = "wasm32", feature = "opening"))]
mod ranges;
#[cfg(all(target_arch = "wasm32", feature = "opening"))]
mod restore;
#[cfg(target_arch = "wasm32")]
pub mod rope;
#[cfg(all(target_arch = "wasm32", feature = "making"))]
mod sink;
#[cfg(target_arch = "wasm32")]
mod turn;
#[cfg(target_arch = "wasm32")]
pub mod worker;
