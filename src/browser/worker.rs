//! The worker of one job: takes a command, does it, answers with events.

use super::fetch::Fetch;
#[cfg(feature = "opening")]
use super::inspect::Inspected;
use super::js;
use super::protocol::{Command, Event, Refusal};
#[cfg(feature = "opening")]
use super::restore::Kept;
use super::turn::Signal;
use crate::error::{Error, ErrorKind, Result};
use futures::channel::oneshot;
#[cfg(feature = "opening")]
use js_sys::Date;
use js_sys::{Function, Object, Reflect};
#[cfg(feature = "opening")]
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, File, MessageEvent};

/// How old a token may be before the page is asked whether it still holds, in milliseconds.
#[cfg(feature = "opening")]
const LOOKED_AFTER: f64 = 20_000.0;

/// To be called once in every worker, before anything else: a panic becomes an event of kind `internal`. It leaves
/// the module unusable, so whoever receives it ends the worker.
#[wasm_bindgen]
pub fn prepare() {
    std::panic::set_hook(Box::new(|panic| {
        let error = Error::new(ErrorKind::Internal, format!("the engine has a bug: {panic}"));
        failed(error.into());
    }));
}

/// Makes this worker take commands. `spawn` starts an encoding worker: `() => Promise<Worker>`.
#[wasm_bindgen]
pub fn start(spawn: Function) -> Result<(), JsValue> {
    let job = Rc::new(Job {
        signal: Signal::default(),
        tokens: Rc::default(),
        spawn,
        #[cfg(feature = "opening")]
        restore: Kept::default(),
        #[cfg(feature = "opening")]
        inspected: Inspected::default(),
    });
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let data = message.data();
        match js::from_js(&js::property(&data, "command")) {
            Ok(Command::Cancel) => job.signal.raise(),
            Ok(Command::Token { token }) => job.tokens.answer(Ok(token)),
            Ok(Command::NoToken { message }) => {
                job.tokens.answer(Err(Error::new(ErrorKind::Unauthorized, message)));
            }
            Ok(command) => {
                let job = Rc::clone(&job);
                let blob = |name| js::property(&data, name).dyn_into().ok();
                let files = Files { file: blob("file"), other: blob("other") };
                spawn_local(async move {
                    match job.run(command, files).await {
                        Ok((event, file)) => post(&event, file.as_ref()),
                        Err(failure) => failed(failure),
                    }
                });
            }
            Err(error) => failed(error.into()),
        }
    });
    let scope = js::scope().map_err(js::thrown)?;
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The worker listens as long as it lives.
    on_message.forget();
    Ok(())
}

/// What this worker is there for.
pub(super) struct Job {
    pub(super) signal: Signal,
    pub(super) tokens: Rc<Tokens>,
    /// Starts an encoding worker.
    #[cfg_attr(not(feature = "making"), expect(dead_code, reason = "nothing is encoded"))]
    pub(super) spawn: Function,
    /// What was prepared by one command, for the next.
    #[cfg(feature = "opening")]
    pub(super) restore: Kept,
    /// The archive that is looked at.
    #[cfg(feature = "opening")]
    pub(super) inspected: Inspected,
}

/// What came beside a command.
#[cfg_attr(not(feature = "opening"), expect(dead_code, reason = "nothing is opened"))]
pub(super) struct Files {
    pub(super) file: Option<Blob>,
    pub(super) other: Option<Blob>,
}

pub(super) type Answer = (Event, Option<File>);

/// Why a job failed, what is left of it to go on with, and what the server says beside that.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) interrupted: Option<String>,
    pub(super) data: Option<Box<Refusal>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, interrupted: None, data: None }
    }
}

impl Job {
    #[cfg_attr(not(feature = "opening"), expect(unused_variables, reason = "nothing is opened"))]
    async fn run(&self, command: Command, files: Files) -> Result<Answer, Failure> {
        match command {
            #[cfg(feature = "opening")]
            Command::Restore(command) => Ok((self.restore(command, files.file).await?, None)),
            #[cfg(feature = "opening")]
            Command::Inspect(command) => Ok(self.inspect(command, files)?),
            #[cfg(feature = "making")]
            command => self.make_backups(command).await,
            #[cfg(not(feature = "making"))]
            _ => Err(Error::new(ErrorKind::Internal, "another engine does that").into()),
        }
    }

    pub(super) fn transport(&self, url: &str) -> Result<Fetch> {
        Fetch::new(url, self.signal.clone(), Rc::clone(&self.tokens))
    }
}

/// Tells the page that the job has failed.
fn failed(Failure { error, interrupted, data }: Failure) {
    post(&Event::Failed { error, interrupted, data: data.map(|data| *data) }, None);
}

/// Posts an event to the page, with a file beside it.
pub(super) fn post(event: &Event, file: Option<&File>) {
    let message = Object::new();
    let sent = js::to_js(event).map_err(js::thrown).and_then(|event| {
        Reflect::set(&message, &"event".into(), &event)?;
        if let Some(file) = file {
            Reflect::set(&message, &"file".into(), file)?;
        }
        let scope = js::scope().map_err(js::thrown)?;
        scope.post_message(&message)
    });
    // Where posting fails there is nobody left to tell.
    let _ = sent;
}

/// A question for a token: the one that was refused, and where the answer goes.
type Waiting = (Option<String>, oneshot::Sender<Result<String>>);

/// The page's logins, asked for by message.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    waiting: RefCell<Vec<Waiting>>,
    /// The last one that came, and when.
    #[cfg(feature = "opening")]
    last: RefCell<Option<(String, f64)>>,
    /// Whether a server has refused it.
    #[cfg(feature = "opening")]
    refused: Cell<bool>,
}

impl Tokens {
    /// A token that is not the rejected one.
    pub(super) async fn ask(&self, rejected: Option<&str>) -> Result<String> {
        let (sender, receiver) = oneshot::channel();
        let rejected = rejected.map(str::to_owned);
        self.waiting.borrow_mut().push((rejected.clone(), sender));
        post(&Event::NeedToken { rejected }, None);
        receiver.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unauthorized, "no login")))
    }

    fn answer(&self, answer: Result<String>) {
        #[cfg(feature = "opening")]
        if let Ok(token) = &answer {
            self.last.replace(Some((token.clone(), Date::now())));
            self.refused.set(false);
        }
        for (rejected, waiting) in self.waiting.take() {
            // The answer to an earlier question does not help who was refused just that: another one is on its way.
            if rejected.is_some() && answer.as_ref().ok() == rejected.as_ref() {
                self.waiting.borrow_mut().push((rejected, waiting));
                continue;
            }
            // Whoever no longer waits needs no token.
            let _ = waiting.send(answer.clone());
        }
    }
}

/// What reads a file on a server cannot wait for a message: it takes the token that is there.
#[cfg(feature = "opening")]
impl Tokens {
    /// The last token that came.
    pub(super) fn last(&self) -> Option<String> {
        self.last.borrow().as_ref().map(|(token, _)| token.clone())
    }

    /// Notes that a server has refused the last token.
    pub(super) fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether a server has refused the last token.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.get()
    }

    /// Has the page look after the token, where that was some time ago.
    pub(super) async fn keep_fresh(&self) -> Result<()> {
        let age = self.last.borrow().as_ref().map(|(_, came)| (Date::now() - came).abs());
        if age.is_some_and(|age| age > LOOKED_AFTER) {
            self.ask(None).await?;
        }
        Ok(())
    }
}
