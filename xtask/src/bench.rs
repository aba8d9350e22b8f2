//! Measures the engine beside what others would take, and writes the tables into the README.

use crate::browser::{Browser, ensure_tools};
use crate::serve;
use crate::system::{cargo, root, run, say, target, which};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What others would take, for the rows beside ours.
const LIBRARIES: &[&str] = &["brotli-wasm@3.0.1", "client-zip@2.5.1", "@zip.js/zip.js@2.24.0"];

/// The tables stand between these two in the README.
const MARKS: [&str; 2] = ["<!-- cargo xtask bench -->", "<!-- end -->"];

/// Measures, and unless that was `quick` writes what came out into the README.
pub(crate) fn bench(quick: bool, large: bool) -> Result<ExitCode> {
    let browser = Browser::find()?;
    ensure_tools(&[("brotli", "brotli")])?;
    let programs = serve::build()?;
    let work = target().join("bench");
    fs::create_dir_all(&work)?;
    if let Err(error) = libraries(&work.join("npm")) {
        say(format_args!("leaving out the libraries of others: {error:#}"));
    }

    say("building the benchmark");
    run(cargo("build").args(["--package", "dikas-e2e", "--bin", "bench"]))?;
    let out = work.join("tables.md");
    let mut bench =
        Command::new(target().join("debug").join(format!("bench{}", std::env::consts::EXE_SUFFIX)));
    bench.arg(programs.server).arg(programs.command_line).arg(&work).arg(&out).current_dir(root());
    bench.args(quick.then_some("--quick")).args(large.then_some("--large"));
    browser.tell(&mut bench)?;
    run(&mut bench)?;

    let tables = fs::read_to_string(&out)?;
    println!("\n{tables}");
    if quick {
        say("the README keeps its figures: these are rough");
    } else {
        let readme = root().join("README.md");
        let text = fs::read_to_string(&readme)?;
        fs::write(&readme, between_marks(&text, &tables).context("README.md has no place for the tables")?)?;
        say("the tables are in the README");
    }
    Ok(ExitCode::SUCCESS)
}

/// Has npm fetch the libraries, without running anything of theirs.
fn libraries(folder: &Path) -> Result<()> {
    let npm = which("npm").context("there is no npm")?;
    fs::create_dir_all(folder)?;
    let mut command = Command::new(npm);
    command.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefer-offline"]);
    run(command.arg("--prefix").arg(folder).args(LIBRARIES))
}

fn between_marks(text: &str, tables: &str) -> Option<String> {
    let [from, to] = MARKS;
    let (before, rest) = text.split_once(from)?;
    let (_, after) = rest.split_once(to)?;
    Some(format!("{before}{from}\n{}\n{to}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_take_the_place_of_the_ones_before() {
        let [from, to] = MARKS;
        let old = format!("head\n{from}\nold\n{to}\ntail\n");
        let new = format!("head\n{from}\nnew\n{to}\ntail\n");
        assert_eq!(between_marks(&old, "\nnew\n").unwrap(), new);
        assert_eq!(between_marks("head\n", "new"), None);
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        assert!(between_marks(&readme, "").is_some());
    }
}
