//! `restore-points` and `undo`: the states from before restores, and back to one of them.

use crate::asking::{Asking, Consenting, Settled};
use crate::ended::Failure;
use crate::login::Server;
use crate::out::Out;
use crate::teller::Teller;
use crate::terminal::{plain, plain_json};
use dikas_archive::api::restore::{AuditAction, CommitRequest, RestorePoint};
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::job::restore::sessions::Restores;
use dikas_archive::job::restore::{Committed, Consent};
use dikas_backup::interrupt::Interrupt;
use serde_json::json;

/// What `restore-points` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    server: Server,
    /// Answers a JSON array instead of text.
    #[arg(long)]
    json: bool,
}

/// What `undo` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// The restore point to go back to, as `restore-points` lists them; that of the last restore unless this says otherwise.
    ///
    /// Where the last thing done was an undo, nothing is done without this: an undo leaves a restore point of its own, with which
    /// it can be taken back.
    #[arg(long, value_name = "ID")]
    point: Option<String>,
    #[command(flatten)]
    pub(crate) consenting: Consenting,
}

/// Lists what can be undone.
pub(crate) async fn list(arguments: &ListArguments, interrupt: &Interrupt) -> Result<(), Failure> {
    let http = arguments.server.connect(interrupt).await?;
    interrupt.listen();
    let points = Restores::new(&http).points().await?;
    let mut out = Out::new();
    let text = match (arguments.json, points.is_empty()) {
        (true, _) => format!("{}\n", plain_json(&json!(points).to_string())),
        (false, true) => "There is nothing to undo.\n".to_owned(),
        (false, false) => points.iter().map(described).collect(),
    };
    let _ = out.write(text)?;
    Ok(out.finish()?)
}

/// Makes a restore point live.
pub(crate) async fn undo(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    arguments.consenting.check()?;
    let teller = Teller::new(arguments.consenting.json);
    let http = arguments.server.connect(interrupt).await?;
    interrupt.listen();
    let restores = Restores::new(&http);
    let points = restores.points().await?;
    let point = chosen(points, arguments.point.as_deref())?;
    teller.event("point", &json!({ "point": point }));
    teller.say(&format!("Back to the state from before:\n{}", described(&point)));
    let preview = restores.preview_of(&point.id).await?;
    let asking =
        Asking { consenting: &arguments.consenting, without_files: None, word: "undo", interrupt, teller };
    let what = format!("restore point {}", point.id);
    let settled = asking.settle(preview, &what, async |consent| {
        let Consent { seq, acknowledge_signed, .. } = consent;
        let consent = CommitRequest { seq, acknowledge_signed, acknowledge_files_left_out: None };
        match restores.activate(&point.id, &consent).await {
            Err(error) if is_unanswered(error.kind) => Ok(Committed::Unknown { error }),
            committed => committed,
        }
    });
    if settled.await? == Settled::LookedAt {
        teller.event("aborted", &json!({}));
        teller.say("This was a dry run: nothing was changed.");
    }
    Ok(())
}

/// Whether it may have come about all the same.
fn is_unanswered(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unreachable | ErrorKind::Gateway | ErrorKind::BadAnswer)
}

/// The restore point that is wanted; without a wish, that of the last restore.
///
/// # Errors
/// `bad-argument` where there is no such point, and where the last thing done was an undo: to undo that is to restore again.
fn chosen(points: Vec<RestorePoint>, wanted: Option<&str>) -> Result<RestorePoint, Error> {
    let refused = |message: &str| Err(Error::new(ErrorKind::BadArgument, message));
    if let Some(wanted) = wanted {
        let message = "there is no such restore point: an undo has used it up, or newer ones took its place";
        let found = points.into_iter().find(|point| point.id == wanted);
        return found.ok_or_else(|| Error::new(ErrorKind::BadArgument, message).on(wanted));
    }
    let mut points = points.into_iter();
    let Some(newest) = points.next() else { return refused("there is nothing to undo") };
    if newest.action != AuditAction::Undo {
        return Ok(newest);
    }
    let (at, user, id) = (plain(&newest.created), plain(&newest.user), plain(&newest.id));
    let mut message =
        format!("the last thing done was an undo, at {at} by {user}; `undo --point {id}` takes it back");
    if let Some(older) = points.find(|point| point.action != AuditAction::Undo) {
        message += &format!(", and `undo --point {}` undoes {} as well", plain(&older.id), what(&older));
    }
    refused(&message)
}

fn described(point: &RestorePoint) -> String {
    let names: Vec<&str> = point.collections.iter().map(|name| name.as_str()).collect();
    let (id, at, user) = (plain(&point.id), plain(&point.created), plain(&point.user));
    format!("{id}  {at}  {} by {user}\n  {}\n", what(point), plain(&names.join(", ")))
}

/// What the restore point is from before.
fn what(point: &RestorePoint) -> String {
    match (point.action, &point.archive) {
        (AuditAction::Undo, _) => "an undo".to_owned(),
        (_, Some(archive)) => format!("the restore of {}", plain(&archive.name)),
        (_, None) => "a restore".to_owned(),
    }
}
