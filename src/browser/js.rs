//! Small bridges to JavaScript: numbers, exceptions, JSON.

use crate::error::{Error, ErrorKind, Result};
use js_sys::{Array, ArrayBuffer, Uint8Array};
use serde::{Serialize, de::DeserializeOwned};
use std::io;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, DomException, MessageChannel, MessagePort};

/// The global object of this worker.
pub(super) fn scope() -> Result<DedicatedWorkerGlobalScope> {
    js_sys::global().dyn_into().map_err(|_| Error::new(ErrorKind::Internal, "not in a dedicated worker"))
}

/// What JavaScript threw, sorted.
pub(super) fn error(thrown: JsValue) -> Error {
    let Some(exception) = thrown.dyn_ref::<DomException>() else {
        return Error::new(ErrorKind::Io, text(&thrown));
    };
    let (kind, advice) = match exception.name().as_str() {
        "QuotaExceededError" => (ErrorKind::NoSpace, "the space that the browser grants is used up"),
        "NotAllowedError" | "SecurityError" => {
            (ErrorKind::NoStorage, "the browser refuses access to its storage")
        }
        "NoModificationAllowedError" => (ErrorKind::Io, "the file is in use, perhaps by another tab"),
        "NotReadableError" => (ErrorKind::Io, "the file has changed, is gone, or there is no space for it"),
        "NotFoundError" => (ErrorKind::Io, "the file is gone"),
        "AbortError" => (ErrorKind::Cancelled, "cancelled"),
        _ => (ErrorKind::Io, "the browser's storage failed"),
    };
    Error::new(kind, format!("{advice}: {}", exception.message()))
}

/// The same for [`std::io`].
pub(super) fn io_error(thrown: JsValue) -> io::Error {
    error(thrown).into()
}

/// The same the other way round, for functions that JavaScript calls.
pub(super) fn thrown(error: Error) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}

/// What a thrown value says.
pub(super) fn text(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => String::from(js_sys::Object::from(thrown.clone()).to_string()),
    }
}

/// A number that JavaScript takes without rounding.
pub(super) fn to_f64(number: u64) -> io::Result<f64> {
    if number < 1 << 53 { Ok(number as f64) } else { Err(io::ErrorKind::FileTooLarge.into()) }
}

/// A count or offset from JavaScript.
pub(super) fn to_u64(number: f64) -> io::Result<u64> {
    let whole = (0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    if whole { Ok(number as u64) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A Rust value as a plain JavaScript object.
pub(super) fn to_js(value: &impl Serialize) -> Result<JsValue> {
    let json =
        serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    js_sys::JSON::parse(&json).map_err(error)
}

/// A plain JavaScript object as a Rust value.
pub(super) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Result<T> {
    let wrong = |why: String| {
        Error::new(ErrorKind::BadArgument, format!("not a message that the engine knows: {why}"))
    };
    let json = js_sys::JSON::stringify(value).map_err(|thrown| wrong(text(&thrown)))?;
    // As bytes, like every other JSON: code to read a type is there once for each kind of input.
    serde_json::from_slice(String::from(json).as_bytes()).map_err(|error| wrong(error.to_string()))
}

thread_local! {
    /// A port to nobody: what is moved there is freed.
    static NOWHERE: Option<MessagePort> = MessageChannel::new().ok().map(|channel| {
        channel.port2().close();
        channel.port1()
    });
}

/// Moves what a browser has read into wasm memory, where it has exactly this many bytes. Its own copy is freed at once: a
/// garbage collector does not count it, and lets gigabytes of them gather. (`ArrayBuffer.transfer` frees nothing.)
///
/// # Errors
/// The number of bytes that there are.
pub(super) fn take(buffer: ArrayBuffer, bytes: &mut [u8]) -> std::result::Result<(), u32> {
    let array = Uint8Array::new(&buffer);
    let length = array.length();
    let fits = length as usize == bytes.len();
    if fits {
        array.copy_to(bytes);
    }
    // Where that fails, the collector finds it in the end.
    NOWHERE.with(|port| {
        port.as_ref().map(|port| port.post_message_with_transferable(&buffer, &Array::of1(&buffer)))
    });
    if fits { Ok(()) } else { Err(length) }
}

/// A property of a JavaScript object; undefined where there is none.
pub(super) fn property(object: &JsValue, name: &str) -> JsValue {
    js_sys::Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
