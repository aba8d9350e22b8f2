//! The configuration file: TOML, with a table for the schedule and one for who may call.

use super::when::When;
use crate::access::AccessRules;
use dikas_archive::api::archives::{Keep, Schedule};
use dikas_archive::damage::DocumentKey;
use dikas_archive::error::Error;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::fmt::{self, Write as _};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;

/// The zone of a schedule that names none.
const USUAL_ZONE: &str = "Europe/Berlin";

/// What a configuration file says.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// Backups that the server makes by itself, at certain times; none where the file has no table `backup`.
    pub backup: Option<Backup>,
    /// Proxies and other sites that are believed; none where the file has no table `access`.
    pub access: AccessRules,
}

/// A schedule: when, where, and how many stay.
#[derive(Debug, Clone)]
pub struct Backup {
    /// When a run is due.
    pub when: When,
    /// The folder of the archives.
    pub folder: PathBuf,
    /// How many archives stay.
    pub keep: Keep,
    /// Whether each archive is read back from the disk once it has its name.
    pub verify: bool,
    /// A program with its arguments that is run when a run fails; none where it is empty.
    pub hook: Vec<String>,
    /// Documents that are left out where they are damaged.
    pub without: Vec<DocumentKey>,
}

impl Backup {
    /// As the API tells it.
    pub fn describe(&self) -> Schedule {
        Schedule {
            when: self.when.text().to_owned(),
            zone: self.when.zone().iana_name().unwrap_or_default().to_owned(),
            folder: self.folder.display().to_string(),
            keep: self.keep,
            verify: self.verify,
        }
    }
}

/// A configuration that cannot be: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1; none where the file itself cannot be read.
    pub place: Option<(usize, usize)>,
    /// What is wrong, without a full stop.
    pub message: String,
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for BadConfig {}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let bad = |place, message| BadConfig { path: path.to_owned(), place, message };
        let text = fs::read_to_string(path).map_err(|error| bad(None, format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(|(at, message)| bad(Some(place(&text, at)), message))
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let place = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
        let said = |error: &toml::de::Error| error.message().trim_end().to_owned();
        let file = toml::Deserializer::parse(text).map_err(|error| (place(&error), said(&error)))?;
        let file: FileTable = serde_path_to_error::deserialize(file).map_err(|error| {
            // Where a value has a span around it, that has a key which nobody wrote.
            let path = error.path().to_string();
            let keys: Vec<&str> = path.split('.').filter(|key| !key.starts_with("$__")).collect();
            let (key, why) = (keys.join("."), said(error.inner()));
            (place(error.inner()), if path == "." { why } else { format!("{key}: {why}") })
        })?;
        let backup = file.backup.map(|table| backup(text, table)).transpose()?;
        Ok(Self { backup, access: access(file.access.unwrap_or_default())? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct FileTable {
    backup: Option<BackupTable>,
    access: Option<AccessTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, [access]")]
struct AccessTable {
    #[serde(default)]
    trusted_proxies: Vec<Spanned<String>>,
    #[serde(default)]
    allowed_origins: Vec<Spanned<String>>,
}

fn access(table: AccessTable) -> Result<AccessRules, (usize, String)> {
    Ok(AccessRules {
        trusted_proxies: parsed("access.trusted_proxies", &table.trusted_proxies)?,
        allowed_origins: parsed("access.allowed_origins", &table.allowed_origins)?,
    })
}

fn parsed<T: FromStr<Err = String>>(key: &str, texts: &[Spanned<String>]) -> Result<Vec<T>, (usize, String)> {
    let parse = |text: &Spanned<String>| {
        text.get_ref().parse().map_err(|why| (text.span().start, format!("{key}: {why}")))
    };
    texts.iter().map(parse).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, [backup]")]
struct BackupTable {
    when: Spanned<String>,
    zone: Option<Spanned<String>>,
    folder: Spanned<PathBuf>,
    #[serde(default)]
    keep: Keep,
    #[serde(default = "yes")]
    verify: bool,
    hook: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    without: Vec<Spanned<String>>,
}

fn yes() -> bool {
    true
}

fn backup(text: &str, table: BackupTable) -> Result<Backup, (usize, String)> {
    let BackupTable { when, zone, folder, keep, verify, hook, without } = table;
    let (zone_at, zone) = match &zone {
        Some(zone) => (zone.span().start, zone.get_ref().as_str()),
        None => (0, USUAL_ZONE),
    };
    let zone = TimeZone::get(zone).map_err(|_| {
        (
            zone_at,
            format!("backup.zone is {zone:?}, expected the name of a time zone, such as {USUAL_ZONE:?}"),
        )
    })?;
    let when = When::parse(when.get_ref(), zone).map_err(|bad| {
        (within(text, &when.span(), when.get_ref(), bad.column), format!("backup.when: {}", bad.message))
    })?;
    if !folder.get_ref().is_absolute() {
        let message = format!(
            "backup.folder is {:?}, expected a whole path, which begins at the root",
            folder.get_ref().display().to_string()
        );
        return Err((folder.span().start, message));
    }
    if let Some(hook) = &hook
        && hook.get_ref().first().is_none_or(String::is_empty)
    {
        return Err((
            hook.span().start,
            "backup.hook is empty, expected a program and its arguments".to_owned(),
        ));
    }
    let hook = hook.map(Spanned::into_inner).unwrap_or_default();
    let without = without.iter().map(|key| {
        let bad = |error: Error| (key.span().start, format!("backup.without: {error}"));
        key.get_ref().parse().map_err(bad)
    });
    let without = without.collect::<Result<Vec<DocumentKey>, _>>()?;
    Ok(Backup { when, folder: folder.into_inner(), keep, verify, hook, without })
}

/// Where the character of this column of a value stands in the file: the value has quotes, and may have escapes.
fn within(text: &str, span: &Range<usize>, value: &str, column: usize) -> usize {
    let written = text.get(span.clone()).unwrap_or_default();
    let before = value.chars().take(column - 1).map(char::len_utf8).sum::<usize>();
    span.start + written.find(value).map_or(0, |quote| quote + before)
}

/// Line and column of a byte, from 1; the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// What was understood, and the next runs after this moment: for people.
pub fn explain(config: &ConfigFile, after: jiff::Timestamp) -> String {
    let backup = config.backup.as_ref().map(|backup| explain_backup(backup, after));
    let nothing = || "There is no table [backup]: the server makes no backups by itself.\n".to_owned();
    let AccessRules { trusted_proxies, allowed_origins } = &config.access;
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "{}\nTrusted proxies   {}\nAllowed origins   {}\n",
        backup.unwrap_or_else(nothing),
        list(trusted_proxies.iter().map(ToString::to_string).collect()),
        list(allowed_origins.iter().map(ToString::to_string).collect()),
    )
}

fn explain_backup(backup: &Backup, after: jiff::Timestamp) -> String {
    let Keep { daily, weekly, monthly } = backup.keep;
    let mut text = format!(
        "When     {} in {}\nFolder   {}{}\nKeep     {daily} daily, {weekly} weekly, {monthly} monthly\nVerify   {}\n\
         Hook     {}\n\nThe next runs:\n",
        backup.when.text(),
        backup.describe().zone,
        backup.folder.display(),
        if backup.folder.is_dir() { "" } else { " (which is no folder: make it, or mount its disk)" },
        if backup.verify { "yes" } else { "no" },
        if backup.hook.is_empty() { "none".to_owned() } else { format!("{:?}", backup.hook) },
    );
    let mut moment = after;
    for _ in 0..5 {
        let Some(next) = backup.when.next(moment) else { break };
        moment = next;
        let shown = next.to_zoned_datetime(backup.when.zone().clone());
        let _ = writeln!(text, "  {}", shown.strftime("%a %Y-%m-%d %H:%M %Z"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_leaves_out_and_what_not() {
        let least =
            ConfigFile::parse("[backup]\nwhen = '0 4 * * *'\nfolder = '/b'\n").unwrap().backup.unwrap();
        let Schedule { when, zone, folder, keep, verify } = least.describe();
        assert_eq!((when.as_str(), zone.as_str(), folder.as_str()), ("0 4 * * *", "Europe/Berlin", "/b"));
        assert_eq!(
            (keep, verify, least.hook.is_empty()),
            (Keep { daily: 7, weekly: 4, monthly: 12 }, true, true)
        );
        let most = "[backup]\nwhen = '*/5 * * * *'\nzone = 'UTC'\nfolder = '/b'\nverify = false\nhook = ['a', 'b c']\n\
            keep = { daily = 1 }\n";
        let most = ConfigFile::parse(most).unwrap().backup.unwrap();
        assert_eq!(most.describe().zone, "UTC");
        assert_eq!(
            (most.keep, most.verify, most.hook.len()),
            (Keep { daily: 1, ..Keep::default() }, false, 2)
        );
        let nothing = ConfigFile::parse("").unwrap();
        assert!(nothing.backup.is_none() && nothing.access.trusted_proxies.is_empty());
        let access =
            "[access]\ntrusted_proxies = ['::1', '10.0.0.0/8']\nallowed_origins = ['https://a.example']\n";
        let access = ConfigFile::parse(access).unwrap();
        let text = explain(&access, "2026-10-24T12:00:00Z".parse().unwrap());
        assert!(
            text.contains("proxies   ::1, 10.0.0.0/8\n") && text.contains("origins   https://a.example\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        let folder = "folder = '/b'\n";
        for (text, expected, part) in [
            (
                format!("[backup]\n{folder}whem = '0 4 * * *'\n"),
                (3, 1),
                "unknown field `whem`, expected one of `when`",
            ),
            ("[bakup]\n".to_owned(), (1, 2), "unknown field `bakup`, expected `backup` or `access`"),
            ("[backup]\nwhen = '0 4 * * *'\n".to_owned(), (1, 1), "backup: missing field `folder`"),
            (
                format!("[backup]\n{folder}when = 4\n"),
                (3, 8),
                "backup.when: invalid type: integer `4`, expected a string",
            ),
            (format!("[backup]\n{folder}when = \"0 24 * * *\"\n"), (3, 11), "backup.when: field 2, the hour"),
            (format!("[backup]\n{folder}when = '''\n0 4 * * 9'''\n"), (4, 9), "backup.when: field 5"),
            (format!("[backup]\n{folder}when = '0 4 * *'\n"), (3, 9), "and this has 4"),
            (
                format!("[backup]\n{folder}when = '0 4 * * *'\nzone = 'Europe/Bonn'\n"),
                (4, 8),
                "backup.zone is \"Europe/Bonn\"",
            ),
            ("[backup]\nwhen = '0 4 * * *'\nfolder = 'b'\n".to_owned(), (3, 10), "backup.folder is \"b\""),
            (format!("[backup]\n{folder}when = '0 4 * * *'\nhook = []\n"), (4, 8), "backup.hook is empty"),
            (format!("[backup]\n{folder}when = '0 4 * * *'\nhook = 'mail'\n"), (4, 8), "expected a sequence"),
            (
                format!("[backup]\n{folder}when = '0 4 * * *'\n[backup.keep]\ndayly = 7\n"),
                (5, 1),
                "backup.keep.dayly: unknown field `dayly`",
            ),
            (
                format!("[backup]\n{folder}when = '0 4 * * *'\n[backup.keep]\ndaily = -7\n"),
                (5, 9),
                "backup.keep.daily: invalid value: integer `-7`",
            ),
            (format!("[backup\n{folder}"), (1, 8), "unclosed table"),
            ("[access]\nproxies = []\n".to_owned(), (2, 1), "access.proxies: unknown field `proxies`"),
            (
                "[access]\ntrusted_proxies = ['::1', '10.0.0.0/33']\n".to_owned(),
                (2, 27),
                "access.trusted_proxies: expected an address or a network",
            ),
            (
                "[access]\nallowed_origins = ['https://a.example/']\n".to_owned(),
                (2, 20),
                "access.allowed_origins: expected an origin",
            ),
        ] {
            let (at, message) = ConfigFile::parse(&text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
            assert_eq!(place(&text, at), expected, "{text}: {message}");
        }
    }

    #[test]
    fn the_next_runs_are_shown_on_the_clock_of_the_zone() {
        let config = ConfigFile::parse("[backup]\nwhen = '30 2 * * *'\nfolder = '/nowhere'\n").unwrap();
        let text = explain(&config, "2026-10-24T12:00:00Z".parse().unwrap());
        for part in [
            "30 2 * * * in Europe/Berlin",
            "is no folder",
            "Sun 2026-10-25 02:30 CEST\n  Mon 2026-10-26 02:30 CET\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
