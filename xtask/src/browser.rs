//! Finds a browser and its driver, or installs Debian's.

use crate::system::{apt_install, apt_works, output, root, target, which};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/opt/google/chrome/chrome",
    "/snap/bin/chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

const DRIVERS: &[&str] = &[
    "chromedriver",
    "/usr/bin/chromedriver",
    "/usr/lib/chromium/chromedriver",
    "/usr/lib/chromium-browser/chromedriver",
    "/snap/bin/chromium.chromedriver",
    "/opt/homebrew/bin/chromedriver",
];

/// A browser and the driver of the same version.
pub(crate) struct Browser {
    /// Chromium or Chrome.
    pub(crate) chrome: PathBuf,
    /// Its chromedriver.
    pub(crate) driver: PathBuf,
}

impl Browser {
    /// Finds both, or installs Debian's where that is possible.
    pub(crate) fn find() -> Result<Self> {
        match Self::installed() {
            Ok(browser) => Ok(browser),
            Err(missing) if apt_works() => {
                apt_install(&["chromium", "chromium-driver"]).context(missing)?;
                Self::installed()
            }
            Err(error) => Err(error),
        }
    }

    fn installed() -> Result<Self> {
        let browsers = candidates("CHROME", BROWSERS);
        let drivers = candidates("CHROMEDRIVER", DRIVERS);
        for (chrome, version) in &browsers {
            if let Some((driver, _)) = drivers.iter().find(|(_, other)| other == version) {
                return Ok(Self { chrome: chrome.clone(), driver: driver.clone() });
            }
        }
        bail!(
            "Chromium or Chrome and a chromedriver of the same version are needed (found {} and {}). On Debian: \
             apt-get install chromium chromium-driver. Elsewhere put both into PATH, or name them in CHROME and \
             CHROMEDRIVER",
            described(&browsers, "no browser"),
            described(&drivers, "no driver"),
        )
    }

    /// Tells the command which browser to use: our own variables, and the capabilities file of the test runner.
    pub(crate) fn tell(&self, command: &mut Command) -> Result<()> {
        let options = fs::read_to_string(root().join("webdriver.json")).context("webdriver.json")?;
        let opening = "\"goog:chromeOptions\": {";
        let named = options.replacen(opening, &format!("{opening}\n    \"binary\": {:?},", self.chrome), 1);
        let file = target().join("webdriver.json");
        fs::write(&file, named).with_context(|| file.display().to_string())?;
        command.env("CHROME", &self.chrome).env("CHROMEDRIVER", &self.driver);
        command.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", file);
        Ok(())
    }
}

/// Makes sure of command line tools, each with the package that has it.
pub(crate) fn ensure_tools(tools: &[(&str, &str)]) -> Result<()> {
    let missing = || tools.iter().copied().filter(|(program, _)| which(program).is_none());
    let packages = || missing().map(|(_, package)| package).collect::<Vec<_>>();
    if !packages().is_empty() && apt_works() {
        apt_install(&packages())?;
    }
    if !packages().is_empty() {
        let programs: Vec<_> = missing().map(|(program, _)| program).collect();
        bail!("{} are needed. On Debian: apt-get install {}", programs.join(" and "), packages().join(" "));
    }
    Ok(())
}

/// Programs that run, with the major version they say they have. What a variable names is the only candidate.
fn candidates(variable: &str, names: &[&str]) -> Vec<(PathBuf, u32)> {
    let given = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let paths: Vec<_> = match given {
        Some(path) => vec![path],
        None => names.iter().filter_map(|name| located(name)).collect(),
    };
    let version = |path: &Path| major_version(&output(Command::new(path).arg("--version"))?);
    paths.into_iter().filter_map(|path| version(&path).map(|version| (path, version))).collect()
}

fn located(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() { path.is_file().then(|| path.to_owned()) } else { which(name) }
}

/// 156 in "Chromium 156.0.8078.79 built on Debian" and in "ChromeDriver 156.0.8078.79 (…)".
fn major_version(said: &str) -> Option<u32> {
    said.split_whitespace().find_map(|word| word.split_once('.')?.0.parse().ok())
}

fn described(found: &[(PathBuf, u32)], nothing: &str) -> String {
    let names: Vec<_> = found.iter().map(|(path, version)| format!("{} {version}", path.display())).collect();
    if names.is_empty() { nothing.to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(
            major_version("Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)"),
            Some(156)
        );
        assert_eq!(major_version("ChromeDriver 98.0.4758.102 (273bf7ac8c90-refs/heads@{#1})"), Some(98));
        assert_eq!(major_version("Google Chrome for Testing 9.1"), Some(9));
        assert_eq!(major_version("no version"), None);
    }
}
