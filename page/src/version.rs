//! The list by which the service worker keeps the page: all files of one version with their digests, so that files of
//! different versions never come together.

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use dikas_archive::digest::Sha256;
use rust_embed::{Embed, EmbeddedFile};
use serde::Serialize;

/// Where the list is.
pub const VERSION_PATH: &str = "/app-version.json";

/// What the page does without when there is no network: the service worker itself, which the browser keeps; types, which
/// only developers read; and what is there a second time, compressed.
const LEFT_OUT: &[&str] = &["sw.js", ".ts", ".br", ".gz"];

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Version {
    /// Another one when any file is another.
    version: String,
    files: Vec<Listed>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    /// Where it lies from where the page lies, such as `app/main.js`; `./` is the page itself.
    path: String,
    /// Of its content, as lower-case hex digits.
    sha256: String,
}

/// Answers the list.
pub(crate) fn answer<F: Embed>() -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(Version::of::<F>())).into_response()
}

impl Version {
    fn of<F: Embed>() -> Self {
        let mut names: Vec<_> = F::iter().filter(|name| is_kept(name)).collect();
        names.sort_unstable();
        let listed = |name: &str| {
            let path = if name == "index.html" { "./" } else { name }.to_owned();
            Some(Listed { path, sha256: digest(&F::get(name)?) })
        };
        let files: Vec<Listed> = names.iter().filter_map(|name| listed(name)).collect();
        let lines: String = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect();
        Self { version: Sha256::of(lines.as_bytes()).to_string(), files }
    }
}

fn is_kept(name: &str) -> bool {
    let hidden = name.split('/').any(|segment| segment.starts_with('.'));
    !hidden && !LEFT_OUT.iter().any(|ending| name.ends_with(ending))
}

/// The digest of a file's content, as lower-case hex digits.
pub(crate) fn digest(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Embed)]
    #[folder = "tests/www"]
    struct Sample;

    #[test]
    fn every_file_is_listed_once_with_the_digest_of_its_content() {
        let version = Version::of::<Sample>();
        let paths: Vec<&str> = version.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["engine.wasm", "worker.js"]);
        for file in &version.files {
            let content = std::fs::read(format!("tests/www/{}", file.path)).unwrap();
            assert_eq!(file.sha256, Sha256::of(&content).to_string(), "{}", file.path);
        }
        assert_eq!(version, Version::of::<Sample>());
    }
}
