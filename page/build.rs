//! The page is embedded in release builds: a change to it is a change to the server.

use std::path::Path;

/// The engine of the page, which a build of its own puts there.
const ENGINE: &str = "../www/engine/pkg/dikas_archive_bg.wasm";

fn main() {
    println!("cargo:rerun-if-changed=../www");
    if std::env::var_os("PROFILE").is_some_and(|profile| profile == "release") && !Path::new(ENGINE).exists()
    {
        println!("cargo:warning=the page has no engine and cannot back up: run `cargo xtask build` instead");
    }
}
