//! Time and turns in a worker: waiting, giving others a turn, and the cancel that every wait listens to.

use super::js;
use super::protocol::Event;
use super::worker::post;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Progress, Watch};
use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::{Date, Function, Promise};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{MessageChannel, WorkerGlobalScope};

/// How long the worker may go on before it looks for messages, in milliseconds.
const TURN: f64 = 16.0;

/// How long a progress report waits for the next, in milliseconds.
const REPORT: f64 = 100.0;

/// Whether the page has cancelled. Clones are the same signal.
#[derive(Debug, Clone, Default)]
pub(super) struct Signal(Rc<SignalState>);

#[derive(Debug, Default)]
struct SignalState {
    raised: Cell<bool>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Signal {
    /// Cancels, once and for all.
    pub(super) fn raise(&self) {
        self.0.raised.set(true);
        self.0.waiting.take();
    }

    /// Whether it was raised.
    pub(super) fn is_raised(&self) -> bool {
        self.0.raised.get()
    }

    /// The future's outcome, or None as soon as the signal is raised.
    pub(super) async fn unless<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        if self.is_raised() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.0.waiting.borrow_mut();
            waiting.retain(|sender| !sender.is_canceled());
            waiting.push(sender);
        }
        // The sender is dropped unsent when the signal is raised, which ends the receiver.
        match select(pin!(future), receiver).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        }
    }
}

/// The error of a job that was cancelled.
pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled")
}

/// A wait by `setTimeout`; dropping it ends it.
pub(super) struct Timer {
    scope: WorkerGlobalScope,
    id: i32,
    done: JsFuture,
}

impl Timer {
    /// Starts to wait.
    pub(super) fn start(milliseconds: u64) -> Result<Self> {
        let scope: WorkerGlobalScope = js::scope()?.into();
        let milliseconds = i32::try_from(milliseconds).unwrap_or(i32::MAX);
        let mut id = Ok(0);
        let promise = Promise::new(&mut |resolve: Function, _: Function| {
            id = scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
        });
        Ok(Self { id: id.map_err(js::error)?, done: JsFuture::from(promise), scope })
    }

    /// Waits for the end.
    pub(super) async fn wait(&mut self) {
        // A promise that only ever resolves.
        let _ = (&mut self.done).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.scope.clear_timeout_with_handle(self.id);
    }
}

/// Lets the worker take its messages. Not by `setTimeout`, which browsers stretch to 4 ms and more.
pub(super) async fn give_way() -> Result<()> {
    let channel = MessageChannel::new().map_err(js::error)?;
    let (receive, send) = (channel.port1(), channel.port2());
    let promise = Promise::new(&mut |resolve: Function, _: Function| receive.set_onmessage(Some(&resolve)));
    send.post_message(&JsValue::NULL).map_err(js::error)?;
    JsFuture::from(promise).await.map_err(js::error)?;
    receive.close();
    Ok(())
}

/// Shows progress to the page, at a rate that it can follow: at once, or as soon as the last report is old enough.
#[derive(Debug)]
pub(super) struct PageWatch {
    signal: Signal,
    reports: Rc<Reports>,
    turn: Cell<f64>,
}

#[derive(Debug, Default)]
struct Reports {
    waiting: RefCell<Option<Progress>>,
    /// When the last one was posted.
    posted: Cell<f64>,
    /// Whether somebody is waiting to post the next.
    due: Cell<bool>,
}

impl PageWatch {
    /// A watch that this signal cancels.
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, reports: Rc::default(), turn: Cell::new(Date::now()) }
    }

    /// Reports what is still waiting.
    pub(super) fn flush(&self) {
        self.reports.post();
    }
}

impl Drop for PageWatch {
    fn drop(&mut self) {
        // Behind the last word on the job there is no progress.
        self.reports.waiting.take();
    }
}

impl Reports {
    fn post(&self) {
        if let Some(progress) = self.waiting.take() {
            self.posted.set(Date::now());
            post(&Event::Progress { progress }, None);
        }
    }

    /// Posts what is waiting now or, while the last one is too recent, later.
    fn post_in_time(self: &Rc<Self>) {
        // A clock that was set back must not silence the reports.
        let age = (Date::now() - self.posted.get()).abs();
        if age >= REPORT {
            self.post();
        } else if !self.due.replace(true) {
            let reports = Rc::clone(self);
            spawn_local(async move {
                if let Ok(mut timer) = Timer::start((REPORT - age) as u64) {
                    timer.wait().await;
                }
                reports.due.set(false);
                reports.post();
            });
        }
    }
}

impl Watch for PageWatch {
    fn report(&self, progress: Progress) {
        let phase = progress.phase;
        let before = self.reports.waiting.replace(Some(progress));
        if before.is_some_and(|before| before.phase != phase) {
            self.flush();
        }
        self.reports.post_in_time();
    }

    async fn checkpoint(&self) -> Result<()> {
        if (Date::now() - self.turn.get()).abs() >= TURN {
            give_way().await?;
            self.turn.set(Date::now());
        }
        if self.signal.is_raised() { Err(cancelled()) } else { Ok(()) }
    }
}
