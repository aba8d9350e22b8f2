//! The workers that compress parts: the same module once more, in workers that the job's worker starts while its snapshot
//! opens. Where it cannot start any, it compresses by itself.

use super::js;
use super::turn::{Signal, Timer, cancelled};
use crate::api::Snapshot;
use crate::codec;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Encoder;
use crate::job::pool::{Crew, Failure, Pool};
use crate::part::{EncodedPart, PART_BYTES};
use futures::future::{Either, select};
use js_sys::{Array, ArrayBuffer, Function, Object, Promise, Reflect, Uint8Array};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Worker;

/// The most encoding workers of a job.
const MAX_WORKERS: f64 = 8.0;

/// How long a worker may be silent over one part, in milliseconds. The largest takes a slow tablet half a minute.
const SILENCE: u64 = 120_000;

/// What comes back of a part, beside its bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encoded {
    raw_bytes: u64,
    sha256: Sha256,
    crc32: u32,
    stored_plain: bool,
}

/// Compresses these JSON lines in an encoding worker and posts `{lines, encoded, bytes}` or `{lines, error}`: their buffer
/// goes back for the next part.
#[wasm_bindgen]
pub fn encode(lines: &Uint8Array) -> Result<(), JsValue> {
    let part = codec::encode(&lines.to_vec());
    let answer = Object::new();
    let transfer = Array::of1(&lines.buffer());
    Reflect::set(&answer, &"lines".into(), lines)?;
    match part {
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

/// The encoding workers of a job. They end with it.
#[derive(Clone)]
pub(super) struct Workers {
    pool: Rc<Pool<Browser>>,
    signal: Signal,
}

impl Workers {
    /// Starts the first worker, by `spawn`: `() => Promise<Worker>`, resolved once it is ready. A small backup needs no
    /// other.
    pub(super) fn start(spawn: Function, signal: Signal) -> Self {
        let pool = Rc::new(Pool::new(Browser { spawn, buffers: Buffers::default() }, NonZeroUsize::MIN));
        let workers = Self { pool, signal };
        workers.warm_up(1);
        workers
    }

    /// Starts as many more as have something to do, and there are cores for.
    pub(super) fn prepare_for(&self, snapshot: &Snapshot) {
        let bytes: u64 = snapshot.collections.iter().map(|collection| collection.bytes).sum();
        let parts = usize::try_from(bytes.div_ceil(PART_BYTES as u64)).unwrap_or(usize::MAX);
        let size = NonZeroUsize::new(cores().min(parts)).unwrap_or(NonZeroUsize::MIN);
        self.pool.grow(size);
        self.warm_up(size.get() - 1);
    }

    fn warm_up(&self, workers: usize) {
        for _ in 0..workers {
            let pool = Rc::clone(&self.pool);
            spawn_local(async move { pool.warm_up().await });
        }
    }
}

impl Encoder for Workers {
    fn slots(&self) -> NonZeroUsize {
        self.pool.slots()
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        self.signal.unless(self.pool.encode(raw)).await.unwrap_or_else(|| Err(cancelled()))
    }
}

/// As many workers as there are cores, within reason.
fn cores() -> usize {
    let cores = js::scope().map_or(1.0, |scope| scope.navigator().hardware_concurrency());
    cores.clamp(1.0, MAX_WORKERS) as usize
}

struct Browser {
    spawn: Function,
    buffers: Buffers,
}

/// Buffers for the lines of parts, outside this module's memory, which never shrinks. They are used again and again:
/// fresh ones cost more than all the copying.
#[derive(Default)]
struct Buffers(RefCell<Vec<ArrayBuffer>>);

impl Buffers {
    /// So many bytes, whatever is in them.
    fn take(&self, bytes: usize) -> Uint8Array {
        let spare = self.0.borrow_mut().pop().filter(|buffer| buffer.byte_length() as usize >= bytes);
        let buffer = spare.unwrap_or_else(|| ArrayBuffer::new(bytes.max(PART_BYTES) as u32));
        Uint8Array::new_with_byte_offset_and_length(&buffer, 0, bytes as u32)
    }

    /// Keeps the buffer for another part, unless it is larger than most need.
    fn give_back(&self, lines: &Uint8Array) {
        let buffer = lines.buffer();
        if buffer.byte_length() as usize == PART_BYTES {
            self.0.borrow_mut().push(buffer);
        }
    }
}

impl Crew for Browser {
    type Helper = EncodingWorker;
    type Lines = Uint8Array;

    async fn start(&self) -> Result<EncodingWorker> {
        let promise = self.spawn.call0(&JsValue::UNDEFINED).map_err(js::error)?;
        let worker = JsFuture::from(Promise::resolve(&promise)).await.map_err(js::error)?;
        worker.dyn_into().map(EncodingWorker).map_err(|_| Error::new(ErrorKind::Internal, "not a worker"))
    }

    fn keep(&self, raw: Vec<u8>) -> Uint8Array {
        let lines = self.buffers.take(raw.len());
        lines.copy_from(&raw);
        lines
    }

    async fn encode(&self, worker: &EncodingWorker, lines: &Uint8Array) -> Result<EncodedPart, Failure> {
        // A copy, because what is transferred goes down with the worker.
        let sent = self.buffers.take(lines.length() as usize);
        sent.set(lines, 0);
        let answer = worker.ask(&sent).await?;
        let part = understood(&answer).map_err(|error| Failure::Died(error.message))?;
        if let Ok(back) = js::property(&answer, "lines").dyn_into() {
            self.buffers.give_back(&back);
        }
        self.buffers.give_back(lines);
        part.map_err(Failure::Refused)
    }

    fn encode_alone(&self, lines: Uint8Array) -> Result<EncodedPart> {
        codec::encode(&lines.to_vec())
    }
}

/// A worker that compresses. Dropping it ends it, in the middle of a part too.
struct EncodingWorker(Worker);

impl Drop for EncodingWorker {
    fn drop(&mut self) {
        self.0.terminate();
    }
}

impl EncodingWorker {
    /// Sends one part and waits for what the worker says.
    async fn ask(&self, lines: &Uint8Array) -> Result<JsValue, Failure> {
        let Self(worker) = self;
        let mut sent = Ok(());
        let promise = Promise::new(&mut |resolve: Function, reject: Function| {
            worker.set_onmessage(Some(&resolve));
            worker.set_onmessageerror(Some(&reject));
            worker.set_onerror(Some(&reject));
            sent = worker.post_message_with_transfer(lines, &Array::of1(&lines.buffer()));
        });
        let died = |how: String| Failure::Died(how);
        sent.map_err(|thrown| died(js::text(&thrown)))?;
        let mut silence = Timer::start(SILENCE).map_err(|error| died(error.message))?;
        let message = match select(JsFuture::from(promise), pin!(silence.wait())).await {
            Either::Left((message, _)) => message.map_err(|event| died(what_broke(&event)))?,
            Either::Right(_) => return Err(died(format!("no word from it in {} seconds", SILENCE / 1000))),
        };
        let data = js::property(&message, "data");
        let event = js::property(&data, "event");
        if event.is_undefined() {
            return Ok(data);
        }
        // The only event of an encoding worker that has started is that it panicked.
        Err(died(what_broke(&js::property(&event, "error"))))
    }
}

/// What an encoding worker answers: the part, or why it cannot be compressed.
fn understood(answer: &JsValue) -> Result<Result<EncodedPart>> {
    let failure = js::property(answer, "error");
    if !failure.is_undefined() {
        return Ok(Err(js::from_js(&failure)?));
    }
    let head: Encoded = js::from_js(&js::property(answer, "encoded"))?;
    let no_bytes = |_| Error::new(ErrorKind::Internal, "it sent no bytes");
    let bytes: Uint8Array = js::property(answer, "bytes").dyn_into().map_err(no_bytes)?;
    Ok(Ok(EncodedPart {
        bytes: bytes.to_vec(),
        raw_bytes: head.raw_bytes,
        sha256: head.sha256,
        crc32: head.crc32,
        stored_plain: head.stored_plain,
    }))
}

fn what_broke(error: &JsValue) -> String {
    js::property(error, "message").as_string().unwrap_or_else(|| "it ended without an answer".to_owned())
}
