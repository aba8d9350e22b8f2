//! `open`: shows a backup in the browser.

use crate::ended::{Ended, Failure};
use crate::teller::Teller;
use crate::terminal::plain;
use dikas_backup::interrupt::Interrupt;
use dikas_backup::showing::Showing;
use std::path::PathBuf;

/// What `open` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup.
    file: PathBuf,
    /// Prints the address, and starts no browser.
    #[arg(long)]
    no_browser: bool,
}

/// Serves the page and the backup until somebody presses Ctrl-C.
pub(crate) async fn open(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    let showing =
        Showing::start(&arguments.file).await.map_err(|error| Failure::new(Ended::Unusable, error))?;
    interrupt.listen();
    let teller = Teller::new(false);
    teller.say(&format!("{}\n  {}", plain(&arguments.file.display().to_string()), showing.url()));
    if !arguments.no_browser
        && let Err(error) = ::open::that_detached(showing.url())
    {
        teller.say(&format!("No browser could be started ({error}): open this address yourself."));
    }
    teller.say("It can be seen from this machine alone, until you press Ctrl-C.");
    tokio::select! {
        ended = showing.serve() => Ok(ended?),
        () = interrupt.raised() => Ok(()),
    }
}
