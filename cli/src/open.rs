//! `open`: shows a backup in the browser.

use crate::ended::{Ended, Failure};
use crate::look;
use crate::teller::Teller;
use crate::terminal::plain;
use crate::words;
use dikas_archive::error::ErrorKind;
use dikas_archive::problems::Problems;
use dikas_backup::interrupt::Interrupt;
use dikas_backup::showing::{Showing, Used};
use std::cell::Cell;
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
    // The page shows what there is of it, and says the same.
    let reading = interrupt.only_reads();
    match look::open_damaged(&arguments.file, interrupt) {
        Ok(reader) => {
            words::complain(&reader.verify_unread().problems);
            words::complain_of_missing(&arguments.file, &look::missing(&reader));
        }
        Err(error) if error.kind == ErrorKind::Cancelled => return Err(error.into()),
        Err(error) => words::complain(&Problems::from_iter([error])),
    }
    drop(reading);
    interrupt.check()?;
    let teller = Teller::new(false);
    teller.say(&format!("{}\n  {}", plain(&arguments.file.display().to_string()), showing.url()));
    if !arguments.no_browser
        && let Err(error) = ::open::that_detached(showing.url())
    {
        teller.say(&format!("No browser could be started ({error}): open this address yourself."));
    }
    teller.say("It can be seen from this machine alone, until you press Ctrl-C. The address is good once.");
    let was_told = Cell::new(false);
    let on_used = |used| {
        match used {
        Used::Once { next } => teller.say(&format!("A browser shows it now. To open it once more:\n  {next}")),
        // One who tries again and again would fill the terminal.
        Used::Again if was_told.replace(true) => {}
        Used::Again => teller.say(
            "An address that was used already was tried again, and refused. If your browser does not show the backup, \
             somebody else on this machine was faster and may have read it: press Ctrl-C now.",
        ),
    }
    };
    tokio::select! {
        ended = showing.serve(on_used) => Ok(ended?),
        () = interrupt.raised() => Ok(()),
    }
}
