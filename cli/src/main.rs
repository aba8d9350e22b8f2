//! `dikas-backup`: makes, checks and restores backups, for cron and for people in a terminal.

mod asking;
mod create;
mod diff;
mod disk;
mod draft;
mod ended;
mod extract;
mod folder;
mod keeping;
mod login;
mod look;
mod open;
mod out;
mod restore;
mod rows;
mod teller;
mod terminal;
mod tokens;
mod undo;
mod verify;
mod words;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_backup::interrupt::Interrupt;
use ended::{Ended, Failure};
use std::process::ExitCode;
use terminal::plain;

/// Makes DiKAS backups, looks into them, checks them, and restores them.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done; verify: every byte is as it should be; inspect: complete by its table of contents, and what was read is
       sound (verify reads the rest); extract: all was taken out; diff: every byte was read, and both hold the same
  1    refused or failed, and nothing was changed; inspect, verify, extract and diff: the backup is damaged, or something
       that it should hold is missing; diff also: different
  2    wrong arguments, or the file cannot be used: it is no archive or no backup; restore: it is damaged
  3    a restore or undo needs a confirmation that nobody gave; nothing was changed
  4    a restore or undo was sent off, and its answer got lost: look at the server before anything else
  130  cancelled, and nothing was changed";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what is in a backup, or the documents of a collection, or those in which something is found.
    #[command(after_help = EXIT_CODES)]
    Inspect(look::Arguments),
    /// Reads every byte of a backup and compares it with what it should be.
    #[command(after_help = EXIT_CODES)]
    Verify(verify::Arguments),
    /// Backs up a server into a file, reads it back, and only then gives it its name.
    #[command(after_help = EXIT_CODES)]
    Create(create::Arguments),
    /// Compares two backups, collection by collection.
    #[command(after_help = EXIT_CODES)]
    Diff(diff::Arguments),
    /// Takes documents and files out of a backup, into a folder.
    #[command(after_help = EXIT_CODES)]
    Extract(extract::Arguments),
    /// Shows a backup in the browser, with the page that this program carries; needs no server and no network.
    #[command(after_help = EXIT_CODES)]
    Open(open::Arguments),
    /// Restores a backup to a server: checks it, sends it, shows what would change, asks, and makes it live at once.
    #[command(after_help = EXIT_CODES)]
    Restore(restore::Arguments),
    /// Lists the states from before restores, the newest first: what `undo` can go back to. The server keeps
    /// three of them, and all of the last two days up to ten.
    #[command(after_help = EXIT_CODES)]
    RestorePoints(undo::ListArguments),
    /// Undoes a restore: shows what would change, asks, and makes the state from before it live at once.
    #[command(after_help = EXIT_CODES)]
    Undo(undo::Arguments),
    /// Makes, lists and revokes the tokens with which machines back up; takes an admin's login.
    #[command(after_help = EXIT_CODES)]
    Tokens(tokens::Arguments),
    /// Prints what makes a shell complete the commands and options of this program.
    Completions {
        /// For this shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Inspect(arguments) => looked(|interrupt| look::inspect(&arguments, interrupt)),
        Command::Verify(arguments) => looked(|interrupt| verify::verify(&arguments, interrupt)),
        Command::Create(arguments) => {
            ended(arguments.json, async |interrupt| create::create(&arguments, &interrupt).await)
        }
        Command::Diff(arguments) => looked(|interrupt| diff::diff(&arguments, interrupt)),
        Command::Extract(arguments) => ended(false, async |interrupt| {
            interrupt.listen();
            extract::extract(&arguments, &interrupt)
        }),
        Command::Open(arguments) => ended(false, async |interrupt| open::open(&arguments, &interrupt).await),
        Command::Restore(arguments) => {
            ended(arguments.consenting.json, async |interrupt| restore::restore(&arguments, &interrupt).await)
        }
        Command::RestorePoints(arguments) => {
            ended(false, async |interrupt| undo::list(&arguments, &interrupt).await)
        }
        Command::Undo(arguments) => {
            ended(arguments.consenting.json, async |interrupt| undo::undo(&arguments, &interrupt).await)
        }
        Command::Tokens(arguments) => {
            ended(false, async |interrupt| tokens::tokens(&arguments, &interrupt).await)
        }
        Command::Completions { shell } => ended(false, async |_| Ok(completions(shell)?)),
    }
}

fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "dikas-backup", &mut script);
    let mut out = out::Out::new();
    let _ = out.write(&script)?;
    out.finish()
}

/// Runs a job on a file, which answers whether all is well.
fn looked(job: impl FnOnce(&Interrupt) -> Result<bool>) -> ExitCode {
    let mut is_well = true;
    let code = ended(false, async |interrupt| {
        interrupt.listen();
        let _reading = interrupt.only_reads();
        is_well = job(&interrupt).map_err(|error| Failure::new(Ended::Unusable, error))?;
        Ok(())
    });
    if is_well { code } else { Ended::Failed.into() }
}

/// Runs a job that talks to a server, and tells how it ended.
fn ended(as_json: bool, job: impl AsyncFnOnce(Interrupt) -> Result<(), Failure>) -> ExitCode {
    // Connections go on while this thread reads and compresses.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let interrupt = Interrupt::telling(move || tell(as_json, &cancelled()));
            let result = runtime.block_on(async { job(interrupt).await });
            // Somebody may still be asked something, and needs no answer any more.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::from(Error::from(error))),
    };
    match result {
        Ok(()) => Ended::Done.into(),
        Err(failure) => {
            tell(as_json, &failure);
            failure.ended.into()
        }
    }
}

/// What a job ends with that did not hear that it should.
fn cancelled() -> Failure {
    teller::clear_line();
    Failure::from(Error::new(ErrorKind::Cancelled, "cancelled"))
}

fn tell(as_json: bool, Failure { ended, error }: &Failure) {
    teller::Teller::new(as_json).event("failed", &failed(*ended, error));
    complain(error);
}

fn failed(ended: Ended, error: &Error) -> serde_json::Value {
    serde_json::json!({"exitCode": ended.code(), "error": error})
}

fn complain(error: &Error) {
    eprintln!("dikas-backup: {}", plain(&error.to_string()));
    eprint!("{}", words::damaged(error));
}
