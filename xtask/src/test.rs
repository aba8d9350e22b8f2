//! The tests, in order, with a count at the end.

use crate::browser::{Browser, ensure_tools};
use crate::system::{cargo, in_ci, output, root, run, say, shown, succeeds_within};
use crate::wasm::{self, Toolchain};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The crate whose tests need a browser.
const E2E: &str = "dikas-e2e";

/// The feature of that crate with the tests of large backups.
const LARGE: &str = "dikas-e2e/large";

/// Programs of others that tests ask, and Debian's packages of them.
const TOOLS: &[(&str, &str)] = &[
    ("unzip", "unzip"),
    ("zip", "zip"),
    ("7z", "p7zip-full"),
    ("bsdtar", "libarchive-tools"),
    ("brotli", "brotli"),
    ("python3", "python3"),
    ("script", "bsdutils"),
    ("systemd-analyze", "systemd"),
];

/// Native tests alone, optionally only those whose names contain one of these texts.
pub(crate) fn fast(filters: Vec<OsString>) -> Result<ExitCode> {
    let mut report = Report::default();
    report.stage("Native tests", |tally| native(tally, &filters));
    Ok(report.finish())
}

/// Everything there is; stops at the first stage that fails. What takes long and much disk is left out unless it is to be
/// `large`.
pub(crate) fn everything(large: bool) -> Result<ExitCode> {
    let mut report = Report::default();
    let mut linters = true;
    let mut browser = None;
    report.stage("Set-up", |tally| {
        linters = tally.unless_missing("formatting and lints", lint_tools())?.is_some();
        tally.unless_missing("the tests on a backup of other tools", sample())?;
        tally.unless_missing("the tests that ask other programs", ensure_tools(TOOLS))?;
        let found = Toolchain::find().and_then(|toolchain| Ok((toolchain, wasm::bindgen()?)));
        let skipped = "lints for wasm32, the engine's and the page's tests in a browser";
        let Some((toolchain, tools)) = tally.unless_missing(skipped, found)? else { return Ok(()) };
        let skipped = "the engine's and the page's tests in a browser";
        let found = tally.unless_missing(skipped, Browser::find())?;
        if let Some(found) = &found {
            say(format_args!("testing with {} and {}", found.chrome.display(), found.driver.display()));
        }
        browser = Some((toolchain, tools, found));
        Ok(())
    });
    if linters {
        report.stage("Formatting", |_| run(cargo("fmt").args(["--all", "--check"])));
        report.stage("Lints", |_| {
            // What is not run is checked all the same.
            run(cargo("clippy")
                .args(["--workspace", "--all-targets", "--features", LARGE])
                .args(["--", "-D", "warnings"]))
        });
    }
    if let (true, Some((toolchain, ..))) = (linters, &browser) {
        report.stage("Lints for wasm32", |_| {
            run(toolchain.clippy()?.args([
                "--package",
                "dikas-archive",
                "--lib",
                "--tests",
                "--",
                "-D",
                "warnings",
            ]))
        });
    }
    report.stage("Native tests", |tally| native(tally, &[]));
    if let Some((toolchain, tools, Some(browser))) = &browser {
        report.stage("The engine's tests in a browser", |tally| engine(tally, toolchain, tools, browser));
        report.stage("The page's tests in a browser", |tally| {
            wasm::build_engine(toolchain)?;
            let mut command = cargo("test");
            command.args(["--package", E2E, "--no-fail-fast"]);
            if large {
                command.args(["--features", LARGE]);
            }
            // Uncaptured, for they take long, and say what they skip.
            command.args(["--", "--nocapture"]);
            browser.tell(&mut command)?;
            tally.count(&mut command)
        });
    }
    Ok(report.finish())
}

fn native(tally: &mut Tally, filters: &[OsString]) -> Result<()> {
    let mut command = cargo("test");
    command.args(["--workspace", "--exclude", E2E, "--no-fail-fast", "--"]).args(filters);
    tally.count(&mut command)
}

fn engine(tally: &mut Tally, toolchain: &Toolchain, tools: &Path, browser: &Browser) -> Result<()> {
    let mut command = toolchain.cargo("test");
    command
        .args(["--package", "dikas-archive", "--lib", "--tests", "--no-fail-fast"])
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools.join("wasm-bindgen-test-runner"))
        // They compress and compare megabytes: checked like any test, but optimised.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env("WASM_BINDGEN_USE_DEDICATED_WORKER", "1")
        .env("WASM_BINDGEN_TEST_TIMEOUT", "900")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
    browser.tell(&mut command)?;
    tally.count(&mut command)
}

/// Looks for the backup of other tools that some tests read, as these tests do.
fn sample() -> Result<()> {
    let folder =
        std::env::var_os("DIKAS_SAMPLES").map_or_else(|| root().join("../shared/samples"), PathBuf::from);
    let file = folder.join("pizzeria-2015.zip");
    match file.is_file() {
        true => Ok(()),
        false => bail!("{} is missing; DIKAS_SAMPLES can name another folder", file.display()),
    }
}

/// Makes sure of rustfmt and clippy, which a minimal toolchain lacks.
fn lint_tools() -> Result<()> {
    let missing = || {
        let there = |name: &str| output(cargo(name).arg("--version")).is_some();
        [("fmt", "rustfmt"), ("clippy", "clippy")].into_iter().find(|(command, _)| !there(command))
    };
    if missing().is_some() {
        say("adding rustfmt and clippy with rustup");
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", "rustfmt", "clippy"]).env("RUSTUP_MAX_RETRIES", "1");
        succeeds_within(Duration::from_secs(90), rustup.current_dir(root()));
    }
    match missing() {
        Some((_, component)) => bail!("{component} is missing: rustup component add rustfmt clippy"),
        None => Ok(()),
    }
}

/// The stages so far. Once one has failed, the others do not start.
#[derive(Default)]
struct Report {
    tally: Tally,
    failed: Option<&'static str>,
    start: Option<Instant>,
}

impl Report {
    fn stage(&mut self, name: &'static str, body: impl FnOnce(&mut Tally) -> Result<()>) {
        if self.failed.is_some() {
            return;
        }
        let start = Instant::now();
        self.start.get_or_insert(start);
        println!("\n=== {name} ===");
        let failures = self.tally.failed;
        let result = body(&mut self.tally);
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => println!("=== {name}: good, {seconds} s ==="),
            Err(error) => {
                // A stage that fails without a failing test (it did not compile, say) counts as one.
                self.tally.failed = self.tally.failed.max(failures.saturating_add(1));
                self.failed = Some(name);
                println!("=== {name}: FAILED, {seconds} s: {error:#} ===");
            }
        }
    }

    fn finish(self) -> ExitCode {
        println!();
        for line in &self.tally.left_out {
            println!("Skipped {line}");
        }
        if let Some(name) = self.failed {
            println!("Stopped at: {name}");
        }
        println!("Took {} s", self.start.map_or(0, |start| start.elapsed().as_secs()));
        let Tally { passed, failed, skipped, really_skipped, .. } = self.tally;
        let passed = passed.saturating_sub(really_skipped);
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if self.failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Tests counted, and what was not tested at all.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    left_out: Vec<String>,
    /// Tests that their runner counted as passed.
    really_skipped: u64,
}

impl Tally {
    /// Runs test programs with their output passing through, and adds up what they say at their end.
    fn count(&mut self, command: &mut Command) -> Result<()> {
        let before = self.passed;
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| shown(command))?;
        let stdout = child.stdout.take().context("no output to read")?;
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            std::io::stdout().lock().write_all(&line)?;
            self.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("`{}` ended with {status}", shown(command));
        }
        if self.passed == before {
            bail!("`{}` ran no test", shown(command));
        }
        Ok(())
    }

    /// Takes notice of a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`, and of a test's word that it
    /// was `skipped: ` for some reason, which the runner then counts as passed.
    fn add(&mut self, line: &str) {
        if let Some((_, reason)) = line.split_once("skipped: ") {
            self.left_out.push(format!("a test: {}", reason.trim()));
            self.skipped += 1;
            self.really_skipped += 1;
        }
        let Some((_, result)) = line.split_once("test result: ") else { return };
        for item in result.split(['.', ';']) {
            let mut words = item.split_whitespace();
            let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.skipped += count,
                _ => {}
            }
        }
    }

    /// What could not be set up is skipped with a word, but in CI it is an error.
    fn unless_missing<T>(&mut self, part: &str, found: Result<T>) -> Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if in_ci() => Err(error),
            Err(error) => {
                let line = format!("{part}: {error:#}");
                say(format_args!("skipping {line}"));
                self.left_out.push(line);
                self.skipped += 1;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runners_say_is_added_up() {
        let mut tally = Tally::default();
        tally.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.51s\n");
        tally.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 filtered out; finished in 1.20s");
        tally.add("test a_test_with_7_failed ... ok\n");
        tally.add("running 9 tests\n");
        assert_eq!((tally.passed, tally.failed, tally.skipped), (14, 1, 1));
        tally.add("test at_sea ... skipped: no water\n");
        assert_eq!(
            (tally.skipped, tally.left_out.as_slice()),
            (2, ["a test: no water".to_owned()].as_slice())
        );
    }

    #[test]
    fn a_stage_that_fails_without_a_test_counts_as_one_and_ends_the_run() {
        let mut report = Report::default();
        report.stage("first", |tally| {
            tally.passed = 3;
            bail!("it did not compile")
        });
        report.stage("second", |tally| {
            tally.passed = 99;
            Ok(())
        });
        assert_eq!((report.tally.passed, report.tally.failed, report.failed), (3, 1, Some("first")));
    }
}
