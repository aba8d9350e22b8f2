//! The workers that compress parts: the same module once more, in workers that the job's worker starts when they are
//! first needed. Where it cannot start any, it compresses by itself.

use super::js;
use crate::codec;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Encoder;
use crate::part::EncodedPart;
use futures::channel::oneshot;
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, Worker};

/// What comes back of a part, beside its bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encoded {
    raw_bytes: u64,
    sha256: Sha256,
    crc32: u32,
    stored_plain: bool,
}

/// Compresses these JSON lines in an encoding worker and posts `{encoded, bytes}` or `{error}`.
#[wasm_bindgen]
pub fn encode(raw: Vec<u8>) -> Result<(), JsValue> {
    let answer = Object::new();
    let transfer = Array::new();
    match codec::encode(&raw) {
        Ok(EncodedPart { bytes, raw_bytes, sha256, crc32, stored_plain }) => {
            let encoded =
                js::to_js(&Encoded { raw_bytes, sha256, crc32, stored_plain }).map_err(js::thrown)?;
            let bytes = Uint8Array::from(bytes.as_slice());
            transfer.push(&bytes.buffer());
            Reflect::set(&answer, &"encoded".into(), &encoded)?;
            Reflect::set(&answer, &"bytes".into(), &bytes)?;
        }
        Err(error) => {
            Reflect::set(&answer, &"error".into(), &js::to_js(&error).map_err(js::thrown)?)?;
        }
    }
    js::scope().map_err(js::thrown)?.post_message_with_transfer(&answer, &transfer)
}

/// A pool of encoding workers.
pub(super) struct Workers {
    slots: NonZeroUsize,
    /// Starts one: `() => Promise<Worker>`, resolved once it is ready.
    spawn: Function,
    started: Cell<usize>,
    idle: RefCell<Vec<Worker>>,
    waiting: RefCell<Vec<oneshot::Sender<Worker>>>,
    /// Whether a worker failed to start; then this one compresses.
    inline: Cell<bool>,
}

impl Workers {
    /// A pool of at most so many workers.
    pub(super) fn new(slots: NonZeroUsize, spawn: Function) -> Self {
        Self {
            slots,
            spawn,
            started: Cell::new(0),
            idle: RefCell::default(),
            waiting: RefCell::default(),
            inline: Cell::new(false),
        }
    }

    /// A worker that nobody else uses; None where none can be started.
    async fn take(&self) -> Option<Worker> {
        if let Some(worker) = self.idle.borrow_mut().pop() {
            return Some(worker);
        }
        if self.inline.get() {
            return None;
        }
        if self.started.get() < self.slots.get() {
            self.started.set(self.started.get() + 1);
            let promise = self.spawn.call0(&JsValue::UNDEFINED).map(|value| Promise::resolve(&value));
            if let Ok(promise) = promise
                && let Ok(worker) = JsFuture::from(promise).await
            {
                return worker.dyn_into().ok();
            }
            self.inline.set(true);
            self.waiting.take();
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push(sender);
        receiver.await.ok()
    }

    fn give_back(&self, worker: Worker) {
        let mut worker = worker;
        while let Some(waiting) = self.waiting.borrow_mut().pop() {
            match waiting.send(worker) {
                Ok(()) => return,
                Err(returned) => worker = returned,
            }
        }
        self.idle.borrow_mut().push(worker);
    }
}

impl Encoder for Workers {
    fn slots(&self) -> NonZeroUsize {
        self.slots
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        let Some(worker) = self.take().await else {
            return codec::encode(&raw);
        };
        let lines = Uint8Array::from(raw.as_slice());
        drop(raw);
        let answer = ask(&worker, &lines).await?;
        let failure = js::property(&answer, "error");
        if !failure.is_undefined() {
            return Err(js::from_js(&failure)?);
        }
        let head: Encoded = js::from_js(&js::property(&answer, "encoded"))?;
        let bytes: Uint8Array = js::property(&answer, "bytes").dyn_into().map_err(|_| broken("no bytes"))?;
        self.give_back(worker);
        Ok(EncodedPart {
            bytes: bytes.to_vec(),
            raw_bytes: head.raw_bytes,
            sha256: head.sha256,
            crc32: head.crc32,
            stored_plain: head.stored_plain,
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Those still at work end with the worker of the job.
        self.idle.borrow().iter().for_each(Worker::terminate);
    }
}

/// Sends one part to a worker and waits for what it says.
async fn ask(worker: &Worker, lines: &Uint8Array) -> Result<JsValue> {
    let mut sent = Ok(());
    let promise = Promise::new(&mut |resolve: Function, reject: Function| {
        worker.set_onmessage(Some(&resolve));
        worker.set_onerror(Some(&reject));
        sent = worker.post_message_with_transfer(lines, &Array::of1(&lines.buffer()));
    });
    sent.map_err(js::error)?;
    let message = JsFuture::from(promise).await;
    let message: MessageEvent =
        message.and_then(JsCast::dyn_into).map_err(|_| broken("it ended without an answer"))?;
    let event = js::property(&message.data(), "event");
    if event.is_undefined() {
        return Ok(message.data());
    }
    // The only event of an encoding worker that has started is that it panicked.
    Err(js::from_js(&js::property(&event, "error"))?)
}

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("an encoding worker failed: {why}"))
}
