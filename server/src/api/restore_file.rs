//! A restore in one call, for scripts: the archive is the body.

use super::lines::{lines, wants_lines};
use super::request::{Params, content_length, next_chunk};
use super::{Binary, answer};
use crate::App;
use crate::auth::Principal;
use crate::failure::{Failure, Result};
use crate::restore_file::{Onlooker, Refused, Wish, restore};
use crate::scratch::Scratch;
use crate::strict::MOST;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dikas_archive::api::Envelope;
use dikas_archive::api::archives::{FileRestored, RestoreEvent};
use dikas_archive::api::restore::{RestoreMode, RestorePreview};
use dikas_archive::catalog::Category;
use dikas_archive::error::{Error, ErrorKind};
use dikas_archive::job::restore::{Choice, Manner};
use dikas_archive::job::{Phase, Progress, Watch};
use futures::{StreamExt as _, stream};
use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Progress is told of so often at most, and at every new phase.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// So many words wait for whoever listens; progress leaves some of these places to what matters more.
const WAITING: usize = 64;
const LEFT_FOR_OTHERS: usize = 16;

/// Restores an archive: checks it, stages it, compares it with what is live, and makes it live at once, or nothing. Whoever
/// goes away before that ends it.
#[utoipa::path(post, path = "/backup/restore", tag = "restore",
    params(
        ("category" = Option<Vec<Category>>, Query, description = "Restores this category alone; may be given several times. \
            Without it everything that the backup covers is replaced."),
        ("mode" = Option<RestoreMode>, Query, description = "What becomes of the documents that are there: `identical` or \
            `update`, which is usual, for chosen categories; `full` without."),
        ("acknowledge" = Option<u64>, Query, description = "How many signed documents may be dropped or changed: exactly \
            as many as the preview says."),
        ("withoutFiles" = Option<u64>, Query, description = "How many files of the archive may be left out, because they \
            are damaged, without their document or not understood: exactly as many as the preview says."),
        ("businessName" = Option<String>, Query, description = "The business name of the backup, where it is of another \
            installation; that of this installation, where the backup does not say which it is of."),
        ("dryRun" = Option<bool>, Query, description = "Answers what would change, and changes nothing.")),
    request_body(content = Binary, content_type = "application/zip", description = "The archive, of any size."),
    responses(
        (status = OK, description = "What has changed. As JSON lines: how far it is, what will change, and how it ended, \
            whatever the status says.",
            content((Envelope<FileRestored> = "application/json"), (RestoreEvent = "application/x-ndjson"))),
        (status = BAD_REQUEST, description = "`bad-request`: the field says what is wrong."),
        (status = CONFLICT, description = "Nothing has changed. `signed-loss`: not as many signed documents were \
            acknowledged as would be lost; `data` is the preview. `foreign-backup`: the backup is of another installation, and \
            its business name was not given; `data` has both names. `unknown-origin`: the backup does not say which \
            installation it is of, and the name of this one was not given. `files-left-out`: not as many files were \
            acknowledged as would be left out; `data` is the preview, and a dry run names them. `live-changed`: a till came in the way again and again. \
            `restore-running`: another one is open, and `data` says whose."),
        (status = UNPROCESSABLE_ENTITY, description = "The archive is damaged, or none; the field names the entry."),
        (status = INSUFFICIENT_STORAGE, description = "`no-space`: the archive, or what is in it, does not fit.")),
    extensions(("x-dikas-roles" = json!(["admin"]))))]
pub(super) async fn restore_file(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Params(query): Params<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let wish = wish(query)?;
    let early = Arc::clone(&app);
    // Better now than after gigabytes.
    crate::restoring(move || early.restores.check_free()).await?;
    let file = receive(&app, content_length(&headers), body).await?;
    let mut told = begin(app, principal, wish, file)?;
    if wants_lines(&headers) {
        let words = stream::poll_fn(move |context| told.poll_recv(context));
        return lines(words.map(Word::event));
    }
    loop {
        match told.recv().await {
            Some(Word::Ended(Ok(restored))) => return Ok(answer(StatusCode::OK, *restored)),
            Some(Word::Ended(Err(Refused::Server(failure)))) => return Err(failure),
            Some(Word::Ended(Err(Refused::File(error)))) => return Err(Failure::unusable(error)),
            Some(_) => {}
            None => return Err(Failure::internal("a restore ended without a word")),
        }
    }
}

/// A whole number of a query.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= MOST)
}

/// Reads what a script wants.
fn wish(query: Vec<(String, String)>) -> Result<Wish> {
    let (mut categories, mut mode) = (Vec::new(), None);
    let (mut acknowledge, mut without_files, mut business_name, mut dry_run) = (None, None, None, false);
    for (name, value) in query {
        let wrong = |expected: &str| {
            Failure::bad_request(format!("expected {expected}, found {value:?}")).on(name.as_str())
        };
        match name.as_str() {
            "category" => {
                let category: Category = value.parse().map_err(|_| wrong("a category"))?;
                categories.push(category);
            }
            "mode" => mode = Some(value),
            "acknowledge" => acknowledge = Some(number(&value).ok_or_else(|| wrong("a number"))?),
            "withoutFiles" => without_files = Some(number(&value).ok_or_else(|| wrong("a number"))?),
            "businessName" => business_name = Some(value),
            "dryRun" => dry_run = value.parse().map_err(|_| wrong("true or false"))?,
            _ => return Err(Failure::bad_request("there is no such parameter").on(name)),
        }
    }
    let manner = match (mode.as_deref(), categories.is_empty()) {
        (None | Some("full"), true) => None,
        (None | Some("update"), false) => Some(Manner::Update),
        (Some("identical"), false) => Some(Manner::Identical),
        (Some("identical" | "update"), true) => {
            return Err(Failure::bad_request("this mode needs a category").on("mode"));
        }
        (Some("full"), false) => {
            let message = "a full restore is of all categories: identical or update is for some";
            return Err(Failure::bad_request(message).on("mode"));
        }
        (Some(other), _) => {
            let message = format!("expected full, identical or update, found {other:?}");
            return Err(Failure::bad_request(message).on("mode"));
        }
    };
    let choice = match manner {
        None => Choice::Full,
        Some(manner) => Choice::Selected { categories, collections: Vec::new(), manner },
    };
    Ok(Wish { choice, acknowledge, without_files, business_name, dry_run })
}

/// Takes the body in.
async fn receive(app: &Arc<App>, announced: Option<u64>, body: Body) -> Result<File> {
    let owner = Arc::clone(app);
    let mut scratch = crate::writing(move || Scratch::new(&owner.data, owner.spare_bytes, announced)).await?;
    let mut body = body.into_data_stream();
    while let Some(chunk) = next_chunk(&mut body).await? {
        scratch = crate::writing(move || scratch.write(&chunk).map(|()| scratch)).await?;
    }
    crate::writing(move || scratch.into_file()).await
}

/// Begins a restore on a thread of its own. It ends when nobody listens any more.
fn begin(app: Arc<App>, by: Principal, wish: Wish, file: File) -> Result<mpsc::Receiver<Word>> {
    let (words, told) = mpsc::channel(WAITING);
    std::thread::Builder::new().name("restore".to_owned()).spawn(move || {
        let teller = Teller { words: &words, app: &app, last: Cell::new(None) };
        let restore = AssertUnwindSafe(|| restore(&app, &by, &wish, file, &teller).map(Box::new));
        let mut end = catch_unwind(restore)
            .unwrap_or_else(|_| Err(Failure::internal("a restore of a file panicked").into()));
        if let Err(Refused::File(Error { kind: ErrorKind::Cancelled, .. })) = end {
            end = Err(Failure::unavailable("the server stops; nothing has changed", 10).into());
        }
        if let Err(refused) = &end {
            tracing::info!("a restore of a file was refused: {refused}");
        }
        let _ = words.try_send(Word::Ended(end));
    })?;
    Ok(told)
}

/// What is told of a restore.
enum Word {
    Progress(Progress),
    Preview(RestorePreview),
    Ended(std::result::Result<Box<FileRestored>, Refused>),
}

impl Word {
    /// As a line.
    fn event(self) -> RestoreEvent {
        match self {
            Word::Progress(progress) => RestoreEvent::Progress(progress),
            Word::Preview(preview) => RestoreEvent::Preview { preview },
            Word::Ended(Ok(restored)) => match restored.outcome {
                Some(outcome) => RestoreEvent::Done { outcome },
                None => RestoreEvent::Aborted,
            },
            Word::Ended(Err(Refused::File(error))) => RestoreEvent::Failed { error },
            Word::Ended(Err(Refused::Server(failure))) => RestoreEvent::Failed { error: failure.as_error() },
        }
    }
}

/// Tells whoever listens.
struct Teller<'a> {
    words: &'a mpsc::Sender<Word>,
    app: &'a App,
    last: Cell<Option<(Instant, Phase)>>,
}

impl Watch for Teller<'_> {
    fn report(&self, progress: Progress) {
        let now = Instant::now();
        let last = self.last.get();
        let due = last.is_none_or(|(at, phase)| phase != progress.phase || now - at >= TELL_EVERY);
        if due && self.words.capacity() > LEFT_FOR_OTHERS {
            self.last.set(Some((now, progress.phase)));
            let _ = self.words.try_send(Word::Progress(progress));
        }
    }

    async fn checkpoint(&self) -> dikas_archive::error::Result<()> {
        if self.words.is_closed() || !self.app.restores.may_clean() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        Ok(())
    }
}

impl Onlooker for Teller<'_> {
    fn preview(&self, preview: &RestorePreview) {
        let _ = self.words.try_send(Word::Preview(preview.clone()));
    }
}
