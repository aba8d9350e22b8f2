//! Tells how far a job is, and what came of it: to a person, or to a script as one JSON object per line.

use crate::terminal::{plain, plain_json};
use dikas_archive::error::Result;
use dikas_archive::job::{Phase, Progress, Watch};
use dikas_backup::interrupt::Interrupt;
use serde::Serialize;
use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A bar that moves more often is not easier to read.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// A script hears of progress this often, and of every new phase.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The way out to whoever called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Teller {
    as_json: bool,
    is_quiet: bool,
}

impl Teller {
    pub(crate) fn new(as_json: bool) -> Self {
        Self { as_json, is_quiet: false }
    }

    /// One without a word for people.
    pub(crate) fn quiet(as_json: bool) -> Self {
        Self { as_json, is_quiet: true }
    }

    /// Text for people. Whoever reads no further has read enough.
    pub(crate) fn say(self, text: &str) {
        if !self.as_json && !self.is_quiet {
            let _ = writeln!(io::stdout().lock(), "{}", text.trim_end());
        }
    }

    /// A line for programs: `{"event": name, …}` with the members of `what`.
    pub(crate) fn event(self, name: &str, what: &impl Serialize) {
        if !self.as_json {
            return;
        }
        let mut line = serde_json::json!({"event": name});
        if let (Some(line), Ok(serde_json::Value::Object(members))) =
            (line.as_object_mut(), serde_json::to_value(what))
        {
            line.extend(members);
        }
        let _ = writeln!(io::stdout().lock(), "{}", plain_json(&line.to_string()));
    }
}

/// Looks on for whoever called.
#[derive(Debug)]
pub(crate) struct Onlooker<'a> {
    teller: Teller,
    interrupt: &'a Interrupt,
    shows_bar: bool,
    last: Cell<Option<(Instant, Phase)>>,
    has_drawn: Cell<bool>,
}

impl<'a> Onlooker<'a> {
    /// A bar is drawn on a terminal only.
    pub(crate) fn new(teller: Teller, interrupt: &'a Interrupt) -> Self {
        let shows_bar = !teller.as_json && io::stderr().is_terminal();
        Self { teller, interrupt, shows_bar, last: Cell::new(None), has_drawn: Cell::new(false) }
    }

    /// Clears the line of the bar.
    pub(crate) fn clear(&self) {
        if self.has_drawn.replace(false) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn draw(&self, progress: &Progress) {
        let Progress { phase, subject, bytes, bytes_total, .. } = progress;
        let figures = match phase {
            // Nobody can say how far the server is.
            Phase::Open | Phase::Preview | Phase::Commit => " …".to_owned(),
            _ => figures(*bytes, *bytes_total),
        };
        let subject: String = plain(subject.as_deref().unwrap_or_default()).chars().take(40).collect();
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}{figures}  {subject}", doing(*phase));
        self.has_drawn.set(true);
    }
}

impl Watch for Onlooker<'_> {
    fn report(&self, progress: Progress) {
        let every = if self.shows_bar { SHOW_EVERY } else { TELL_EVERY };
        let now = Instant::now();
        let due = self.last.get().is_none_or(|(at, phase)| phase != progress.phase || now - at >= every);
        if !due {
            return;
        }
        self.last.set(Some((now, progress.phase)));
        if self.shows_bar {
            self.draw(&progress);
        }
        self.teller.event("progress", &progress);
    }

    async fn checkpoint(&self) -> Result<()> {
        self.interrupt.check()
    }
}

/// How far reading a file is, on a terminal only.
#[derive(Debug)]
pub(crate) struct Bar<'a> {
    doing: &'static str,
    bytes: u64,
    total: u64,
    interrupt: &'a Interrupt,
    shows: bool,
    drawn: Option<Instant>,
}

impl<'a> Bar<'a> {
    pub(crate) fn new(doing: &'static str, total: u64, interrupt: &'a Interrupt) -> Self {
        let shows = io::stderr().is_terminal();
        Self { doing, bytes: 0, total, interrupt, shows, drawn: None }
    }

    /// So many bytes more are done.
    ///
    /// # Errors
    /// `cancelled`
    pub(crate) fn add(&mut self, bytes: u64) -> Result<()> {
        self.bytes += bytes;
        let now = Instant::now();
        if self.shows && self.drawn.is_none_or(|at| now - at >= SHOW_EVERY) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K{}{}", self.doing, figures(self.bytes, self.total));
            self.drawn = Some(now);
        }
        self.interrupt.check()
    }

    /// Clears its line.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Drop for Onlooker<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Open => "Opening",
        Phase::Resume => "Going on",
        Phase::Documents => "Documents",
        Phase::Attachments => "Files",
        Phase::Finish => "Finishing",
        Phase::Verify => "Reading back",
        Phase::Check => "Checking",
        Phase::Stage => "Sending",
        Phase::Preview => "Comparing",
        Phase::Commit => "Making it live",
    }
}

fn figures(bytes: u64, total: u64) -> String {
    // It never says that all is done before it is.
    let percent = bytes.saturating_mul(100).checked_div(total).unwrap_or(0).min(99);
    format!(": {percent:>3} %  {} of {}", megabytes(bytes.min(total)), megabytes(total))
}

/// Clears the line that a bar may have left on a terminal.
pub(crate) fn clear_line() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}

/// Such as `12.3 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
