//! What a restore and an undo have in common: the preview, the question, the commit.

use crate::ended::{Ended, Failure};
use crate::teller::Teller;
use crate::terminal::{ask, has_person};
use crate::words;
use dikas_archive::api::restore::RestorePreview;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::restore::{Committed, Consent};
use dikas_backup::interrupt::Interrupt;
use serde_json::json;

/// With `--yes` nobody looks at a fresh preview: so often a commit is tried again that the till came in the way of.
const UNSEEN_TRIES: u32 = 5;

/// What somebody agrees to in advance.
#[derive(Debug, clap::Args)]
pub(crate) struct Consenting {
    /// Shows what would change, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Does not ask. It never counts as accepting a loss of signed documents.
    #[arg(long)]
    yes: bool,
    /// Accepts that exactly so many signed documents are dropped or changed.
    #[arg(long, value_name = "NUMBER")]
    accept_signed_loss: Option<u64>,
    /// Writes one JSON object per line to standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Consenting {
    /// Whether somebody is there to be asked.
    pub(crate) fn may_ask(&self) -> bool {
        !self.json && has_person()
    }

    /// Fails before anything is done, where nobody could confirm it.
    ///
    /// # Errors
    /// Ends [unconfirmed](Ended::Unconfirmed).
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.dry_run || self.yes || self.may_ask() {
            return Ok(());
        }
        let message =
            "this has to be confirmed: run it in a terminal, or with --yes, or look first with --dry-run";
        Err(unconfirmed(Error::new(ErrorKind::BadArgument, message)))
    }
}

/// How it went on after the preview, where nothing failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Restored,
    LookedAt,
}

/// The way from a preview to its commit.
pub(crate) struct Asking<'a> {
    pub(crate) consenting: &'a Consenting,
    /// How many files of the backup may be left out, as accepted in advance.
    pub(crate) without_files: Option<u64>,
    /// What the person has to type.
    pub(crate) word: &'a str,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) teller: Teller,
}

impl Asking<'_> {
    /// Shows, asks and commits, again where the live data has changed meanwhile. `what` says what is committed.
    pub(crate) async fn settle(
        &self,
        mut preview: RestorePreview,
        what: &str,
        commit: impl AsyncFn(Consent) -> Result<Committed>,
    ) -> Result<Settled, Failure> {
        let mut tries = 0;
        loop {
            self.teller.event("preview", &preview);
            self.teller.say(&words::preview(&preview));
            if self.consenting.dry_run {
                return Ok(Settled::LookedAt);
            }
            let consent = self.ask_for_consent(&preview).await?;
            // From here on a Ctrl-C could not be told from a lost answer.
            self.interrupt.hold()?;
            let committed = commit(consent).await;
            self.interrupt.release();
            tries += 1;
            preview = match committed? {
                Committed::Done { outcome } => {
                    self.teller.event("done", &json!({ "outcome": outcome }));
                    self.teller.say(&words::outcome(&outcome));
                    return Ok(Settled::Restored);
                }
                Committed::Unknown { error } => {
                    let message = format!(
                        "{}; it is not known whether this was carried out: look at the server before anything else",
                        error.message
                    );
                    let error = Error { message, ..error }.on(what);
                    return Err(Failure::new(Ended::Unknown, error));
                }
                Committed::LiveChanged { .. } if self.consenting.yes && tries == UNSEEN_TRIES => {
                    let message = "the live data changed again and again: try when the till is at rest";
                    return Err(Error::new(ErrorKind::LiveChanged, message).into());
                }
                Committed::LiveChanged { preview }
                | Committed::SignedLoss { preview }
                | Committed::FilesLeftOut { preview } => preview,
            };
            self.teller
                .say("Nothing was changed: the live data has changed meanwhile. This is how it is now:");
        }
    }

    async fn ask_for_consent(&self, preview: &RestorePreview) -> Result<Consent, Failure> {
        self.ask_about_files(preview.files_left_out).await?;
        let loss = preview.signed_loss;
        if loss > 0 && self.consenting.accept_signed_loss != Some(loss) {
            let message = "signed documents would be dropped or changed; --yes does not accept that";
            let accepted = self.consenting.accept_signed_loss.map(|number| number.to_string());
            let error = Error::new(ErrorKind::SignedLoss, message).expected(
                format!("--accept-signed-loss {loss}"),
                accepted.unwrap_or_else(|| "none".to_owned()),
            );
            if !self.consenting.may_ask() {
                return Err(unconfirmed(error));
            }
            let question = "Fiscal law forbids to lose signed documents. Type how many, to accept that: ";
            if ask(question, self.interrupt).await? != loss.to_string() {
                return Err(unconfirmed(error));
            }
        }
        if !self.consenting.yes {
            let word = self.word;
            let answer = ask(&format!("Type the word {word} to go on: "), self.interrupt).await?;
            if !answer.eq_ignore_ascii_case(word) {
                let message = "this was not confirmed";
                return Err(unconfirmed(Error::new(ErrorKind::BadArgument, message)));
            }
        }
        let acknowledge_signed = (loss > 0).then_some(loss);
        let acknowledge_files_left_out = (preview.files_left_out > 0).then_some(preview.files_left_out);
        Ok(Consent { acknowledge_signed, acknowledge_files_left_out, ..Consent::to(preview) })
    }

    /// Goes on only where a person accepts that this number of files is left out.
    async fn ask_about_files(&self, files: u64) -> Result<(), Failure> {
        if files == 0 || self.without_files == Some(files) {
            return Ok(());
        }
        let message = "files of the backup would not be restored; --yes does not accept that";
        let accepted = self.without_files.map_or_else(|| "none".to_owned(), |number| number.to_string());
        let error = Error::new(ErrorKind::FilesLeftOut, message)
            .expected(format!("--without-files {files}"), accepted);
        let question = format!(
            "{} of the backup would not be restored. Type how many, to accept that: ",
            words::files(files)
        );
        if self.consenting.may_ask() && ask(&question, self.interrupt).await? == files.to_string() {
            return Ok(());
        }
        Err(unconfirmed(error))
    }
}

/// Nobody confirmed.
pub(crate) fn unconfirmed(error: Error) -> Failure {
    Failure::new(Ended::Unconfirmed, error)
}
