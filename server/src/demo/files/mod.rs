//! Attachments as real files: pictures and papers, drawn and written on the spot.

pub(super) mod canvas;
pub(super) mod pdf;
pub(super) mod picture;
