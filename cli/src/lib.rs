//! What the command line has in common with other native programs that talk to a DiKAS server: [`http::Http`], the
//! jobs' transport over reqwest.

pub mod http;
pub mod interrupt;
