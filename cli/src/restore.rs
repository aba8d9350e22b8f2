//! `restore`: checks a backup, stages it, shows what would change, asks, and makes it live.

use crate::asking::{Asking, Consenting, Settled, unconfirmed};
use crate::ended::{Ended, Failure};
use crate::login::{self, Server};
use crate::look;
use crate::teller::{Onlooker, Teller};
use crate::terminal::{ask, plain};
use crate::words;
use clap::ValueEnum;
use dikas_archive::catalog::{Category, CollectionName};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::restore::http::{HttpTarget, NotOpened, Obstacle};
use dikas_archive::job::restore::sessions::Restores;
use dikas_archive::job::restore::{Choice, Consent, Manner, Plan, Target as _};
use dikas_archive::job::restore::{check, commit, stage};
use dikas_backup::http::Http;
use dikas_backup::interrupt::Interrupt;
use serde_json::json;
use std::path::PathBuf;

/// What `restore` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup.
    file: PathBuf,
    #[command(flatten)]
    server: Server,
    /// Restores this category alone; may be given several times. Without it everything that the backup covers is replaced.
    #[arg(long = "category", value_name = "CATEGORY", value_parser = login::category())]
    categories: Vec<Category>,
    /// Restores this collection alone; may be given several times, and beside categories.
    #[arg(long = "collection", value_name = "COLLECTION")]
    collections: Vec<CollectionName>,
    /// What becomes of the documents that are there; only where categories or collections are given, and `update` unless
    /// this says otherwise.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    #[command(flatten)]
    pub(crate) consenting: Consenting,
    /// The business name of the backup, where it is of another installation; that of the server's business, where the
    /// backup does not say which it is of.
    #[arg(long, value_name = "NAME")]
    business: Option<String>,
    /// Accepts that exactly this number of files of the backup is not restored: damaged ones, those without their document,
    /// and entries that nothing explains. `--yes` never counts as that.
    #[arg(long, value_name = "NUMBER")]
    without_files: Option<u64>,
    /// Lets nobody write from the confirmation until all is live, for 30 seconds at most.
    #[arg(long)]
    pause_till: bool,
    /// Ends a restore that somebody else left open.
    #[arg(long)]
    end_other: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// They become what the backup holds; signed ones only gain documents.
    Identical,
    /// Those of the backup are added or take the place of those with their ids; all others stay.
    Update,
}

impl Arguments {
    fn choice(&self) -> Result<Choice> {
        let (categories, collections) = (self.categories.clone(), self.collections.clone());
        let full = categories.is_empty() && collections.is_empty();
        match self.mode {
            None if full => Ok(Choice::Full),
            Some(_) if full => {
                let message = "--mode needs a --category or a --collection";
                Err(Error::new(ErrorKind::BadArgument, message))
            }
            Some(Mode::Identical) => {
                Ok(Choice::Selected { categories, collections, manner: Manner::Identical })
            }
            Some(Mode::Update) | None => {
                Ok(Choice::Selected { categories, collections, manner: Manner::Update })
            }
        }
    }
}

/// Restores a backup.
pub(crate) async fn restore(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    let choice = arguments.choice()?;
    arguments.consenting.check()?;
    let teller = Teller::new(arguments.consenting.json);
    let http = arguments.server.connect(interrupt).await?;
    interrupt.listen();
    let watch = Onlooker::new(teller, interrupt);

    let unusable = |error| Failure::new(Ended::Unusable, error);
    let reading = interrupt.only_reads();
    let mut archive = look::open(&arguments.file).map_err(unusable)?;
    let name = arguments.file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let plan = check(&mut archive, &name, &choice, &watch).await.map_err(unusable)?;
    drop(reading);
    interrupt.check()?;
    watch.clear();
    teller.event("checked", &checked(&plan));
    teller.say(&words::plan(&plan));

    let target = open(arguments, &plan, &http, interrupt).await?;
    let preview = stage(&mut archive, &plan, &target, &watch).await.map_err(interrupted)?;
    watch.clear();
    let word = if choice == Choice::Full { "restore" } else { "yes" };
    let (consenting, without_files) = (&arguments.consenting, arguments.without_files);
    let asking = Asking { consenting, without_files, word, interrupt, teller };
    let settled = asking
        .settle(preview, &format!("restore {}", target.session().id), async |consent| {
            let consent = Consent { pause_till: arguments.pause_till, ..consent };
            let committed = commit(&target, &consent, &watch).await;
            watch.clear();
            committed
        })
        .await;
    if !matches!(settled, Ok(Settled::Restored) | Err(Failure { ended: Ended::Unknown, .. })) {
        // One that cannot be aborted expires by itself.
        let _ = target.abort().await;
    }
    if settled? == Settled::LookedAt {
        teller.event("aborted", &json!({}));
        teller.say("This was a dry run: nothing was changed.");
    }
    Ok(())
}

/// What a person should know when the data did not get there.
fn interrupted(error: Error) -> Error {
    if !matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Gateway | ErrorKind::ServerFull) {
        return error;
    }
    let message = format!(
        "{}; nothing was changed, and within half an hour the same command goes on with what has arrived",
        error.message
    );
    Error { message, ..error }
}

fn checked(plan: &Plan) -> serde_json::Value {
    json!({
        "archive": plan.archive(),
        "collections": plan.collections(),
        "attachments": plan.attachments(),
        "filesLeftOut": plan.left_out().found(),
        "leftOut": plan.left_out().iter().collect::<Vec<_>>(),
        "problems": plan.problems(),
    })
}

/// Opens a session, and does what a person can do about what stands in the way.
async fn open<'a>(
    arguments: &Arguments,
    plan: &Plan,
    http: &'a Http,
    interrupt: &Interrupt,
) -> Result<HttpTarget<&'a Http>, Failure> {
    let mut business = arguments.business.clone();
    let mut may_end_other = arguments.end_other;
    loop {
        let NotOpened { error, obstacle } =
            match HttpTarget::open(http, &plan.request(business.as_deref())?).await {
                Ok(target) => return Ok(target),
                Err(refused) => refused,
            };
        match obstacle.map(|obstacle| *obstacle) {
            Some(Obstacle::Foreign { names }) if business.is_none() && arguments.consenting.may_ask() => {
                let here = plain(&names.here);
                let question = match &names.backup {
                    Some(backup) => format!(
                        "This backup is of another business than {here}. Type the name of the backup's, {}, to go on: ",
                        plain(backup)
                    ),
                    None => format!(
                        "This backup does not say which business it is of. Type the name of the one it would be restored \
                         into, {here}, to go on: "
                    ),
                };
                business = Some(ask(&question, interrupt).await?);
            }
            Some(Obstacle::Foreign { names }) => {
                let error = error.expected(
                    format!("--business {:?}", names.to_type()),
                    match &business {
                        Some(typed) => format!("{typed:?}"),
                        None => "none".to_owned(),
                    },
                );
                return Err(unconfirmed(error));
            }
            Some(Obstacle::Running { session }) if may_end_other => {
                may_end_other = false;
                Restores::new(http).abort(&session.id).await?;
            }
            Some(Obstacle::Running { session }) => {
                let message = format!(
                    "{} restores a backup since {}, and was last heard of at {}: wait, or end that with --end-other",
                    session.user, session.begun, session.called
                );
                return Err(Error { message, ..error }.into());
            }
            None => return Err(error.into()),
        }
    }
}
