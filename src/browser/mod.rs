//! The engine in a browser: one dedicated worker per job, started by `www/engine/index.js`. Only the messages, the
//! paged file and the journal compile natively, for their tests.

pub mod journal;
pub mod pages;
pub mod protocol;

#[cfg(target_arch = "wasm32")]
mod archives;
#[cfg(target_arch = "wasm32")]
pub mod encoder;
#[cfg(target_arch = "wasm32")]
mod fetch;
#[cfg(target_arch = "wasm32")]
mod inspect;
#[cfg(target_arch = "wasm32")]
mod js;
#[cfg(target_arch = "wasm32")]
pub mod opfs;
#[cfg(target_arch = "wasm32")]
pub mod ranges;
#[cfg(target_arch = "wasm32")]
mod restore;
#[cfg(target_arch = "wasm32")]
pub mod rope;
#[cfg(target_arch = "wasm32")]
mod sink;
#[cfg(target_arch = "wasm32")]
mod turn;
#[cfg(target_arch = "wasm32")]
pub mod worker;
