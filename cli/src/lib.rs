//! What the command line has in common with other native programs that talk to a DiKAS server: [`http::Http`], the
//! jobs' transport over reqwest, and [`showing::Showing`], a backup in a browser.

pub mod http;
pub mod interrupt;
pub mod showing;
mod trust;
