//! The reference DiKAS server.

pub mod demo;
