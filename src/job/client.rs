//! Calls that come through where that is possible: waits and tries again, heeds `Retry-After`, gets a new token when
//! the server refuses the old one, and says in the end what was wrong.

use super::refusal::refusal;
use super::transport::{Method, Request, Response, Transport, TransportError};
use crate::api::{CRC32_HEADER, Envelope};
use crate::error::{Error, ErrorKind, Result};
use futures::lock::Mutex;
use serde::de::DeserializeOwned;
use std::cell::Cell;

pub use super::refusal::kind_of;

/// The wait before the second try is at most this long; before each further one, at most twice as long as before.
pub const FIRST_WAIT_MILLISECONDS: u64 = 500;

/// No wait is longer, unless the server asks for more.
pub const LONGEST_WAIT_MILLISECONDS: u64 = 15_000;

/// One call is tried at most this often.
pub const TRIES: u32 = 10;

/// One call waits at most this long in all, time-outs and the server's own wishes included.
pub const PATIENCE_MILLISECONDS: u64 = 120_000;

/// A piece is never asked for with fewer bytes: the server gives no smaller ones.
const SMALLEST_PIECE_BYTES: u64 = 64 << 10;

/// How long a piece may take that can be had in smaller ones, in milliseconds.
pub const PIECE_MILLISECONDS: u64 = 60_000;

/// On a line where a piece was too large, so many of the next ones would come in its time: one every ten seconds.
const PIECES_IN_TIME: u64 = 6;

/// So many answers that are cut, garbled or not the API's end a call: they do not come from a bad network alone.
pub const BAD_ANSWERS: u32 = 4;

/// Sends requests that need a login.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    token: Mutex<Option<String>>,
}

impl<T: Transport> Client<T> {
    /// A client without a token yet: the transport is asked for one before the first call.
    pub fn new(transport: T) -> Self {
        Self { transport, token: Mutex::new(None) }
    }

    /// Waits; see [`Transport::sleep`].
    pub(super) async fn sleep(&self, milliseconds: u64) -> Result<()> {
        Ok(self.transport.sleep(milliseconds).await?)
    }

    /// See [`Transport::random`].
    pub(super) fn random(&self) -> f64 {
        self.transport.random()
    }

    /// Sends the request until `accept` takes a 2xx answer. See [`send`] for what is tried again and the errors.
    /// A token that the server refuses is replaced once; when the new one is refused too: `unauthorized`.
    pub async fn call<R>(
        &self,
        mut request: Request,
        accept: impl Fn(Response) -> Result<R>,
        patience: Patience,
    ) -> Result<R> {
        Ok(self.ask(&mut request, accept, patience).await?)
    }

    /// The same, and a refusal keeps what the server says beside it. The request gets a token and can be sent again.
    pub async fn ask<R>(
        &self,
        request: &mut Request,
        accept: impl Fn(Response) -> Result<R>,
        patience: Patience,
    ) -> Result<R, Refused> {
        self.ask_for(request, true, accept, patience).await
    }

    /// The same, but a token that the server refuses is not replaced.
    pub(super) async fn ask_once<R>(
        &self,
        request: &mut Request,
        accept: impl Fn(Response) -> Result<R>,
        patience: Patience,
    ) -> Result<R, Refused> {
        self.ask_for(request, false, accept, patience).await
    }

    async fn ask_for<R>(
        &self,
        request: &mut Request,
        renew: bool,
        accept: impl Fn(Response) -> Result<R>,
        patience: Patience,
    ) -> Result<R, Refused> {
        let mut taken = None;
        let mut take = |response| accept(response).map(|value| taken = Some(value));
        self.ask_until(request, renew, &mut take, patience).await?;
        taken.ok_or_else(nothing_taken)
    }

    /// The same for any kind of answer, so that the code is there once.
    async fn ask_until(
        &self,
        request: &mut Request,
        mut renew: bool,
        take: &mut dyn FnMut(Response) -> Result<()>,
        patience: Patience,
    ) -> Result<(), Refused> {
        let mut token = self.token(None).await?;
        loop {
            request.set_header("authorization", format!("Bearer {token}"));
            match send_until(&self.transport, request, take, patience.clone()).await {
                Err(refused) if renew && refused.error.kind == ErrorKind::Unauthorized => {
                    renew = false;
                    let newer = self.token(Some(&token)).await?;
                    if newer == token {
                        return Err(refused);
                    }
                    token = newer;
                }
                asked => return asked,
            }
        }
    }

    /// Sends a request that needs no login.
    pub(super) async fn call_without_login<R>(
        &self,
        request: &Request,
        accept: impl Fn(Response) -> Result<R>,
        patience: Patience,
    ) -> Result<R> {
        send(&self.transport, request, accept, patience).await
    }

    /// [`Client::call`] for what can be had in pieces: sends what `request` makes of a number of bytes, at most `max_bytes` and
    /// `at_once`. Where they do not come in time, `at_once` becomes less, as the line demands, for later calls too.
    pub(super) async fn call_for_piece<R>(
        &self,
        max_bytes: u64,
        at_once: &Cell<u64>,
        request: impl Fn(u64) -> Request,
        accept: impl Fn(Response, u64) -> Result<R>,
    ) -> Result<R> {
        loop {
            let bytes = max_bytes.min(at_once.get());
            let mut request = request(bytes);
            let patience = Patience { slow_ends: bytes > SMALLEST_PIECE_BYTES, ..Patience::of(Method::Get) };
            if patience.slow_ends {
                request.total_milliseconds = PIECE_MILLISECONDS;
            }
            match self.ask(&mut request, |answer| accept(answer, bytes), patience).await {
                Err(Refused { slow: Some(came), .. }) => {
                    let less = (came / PIECES_IN_TIME).min(bytes / 2).max(SMALLEST_PIECE_BYTES);
                    at_once.set(at_once.get().min(less));
                }
                result => return Ok(result?),
            }
        }
    }

    /// Sends the request once, with the token at hand: for what the job no longer depends on. It asks for no other
    /// token, so that nobody has to log in to leave: a refusal of this one counts as done.
    pub async fn farewell(&self, mut request: Request) -> Result<()> {
        let Some(token) = self.token.try_lock().and_then(|token| token.clone()) else { return Ok(()) };
        request.set_header("authorization", format!("Bearer {token}"));
        match send(&self.transport, &request, |_| Ok(()), Patience::none()).await {
            Err(error) if error.kind == ErrorKind::Unauthorized => Ok(()),
            result => result,
        }
    }

    /// The current token. Of calls that were refused at the same time, only the first asks for a new one.
    async fn token(&self, rejected: Option<&str>) -> Result<String> {
        let mut current = self.token.lock().await;
        match &*current {
            Some(token) if Some(token.as_str()) != rejected => Ok(token.clone()),
            _ => Ok(current.insert(self.transport.token(rejected).await?).clone()),
        }
    }
}

/// Why a call failed, with the answer that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What went wrong.
    pub error: Error,
    /// The body of the server's refusal; empty where there was none.
    body: Vec<u8>,
    /// Only so many bytes of the answer came in time, and the call's patience ended at that.
    slow: Option<u64>,
}

impl Refused {
    /// The `data` that stands in the server's refusal, where there is some of this shape.
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice::<Envelope<T>>(&self.body).ok()?.data
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, body: Vec::new(), slow: None }
    }
}

impl From<TransportError> for Refused {
    fn from(error: TransportError) -> Self {
        Error::from(error).into()
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// How often, and how long in all, one call is still tried.
#[derive(Debug, Clone)]
pub struct Patience {
    tries: u32,
    bad_answers: u32,
    milliseconds: u64,
    first_wait: u64,
    /// Whether a request that may have reached the server can be sent once more.
    repeatable: bool,
    /// Whether an answer that is too slow ends the call, because less of it can be asked for.
    slow_ends: bool,
}

impl Patience {
    /// The usual measure for this method.
    pub fn of(method: Method) -> Self {
        Self {
            tries: TRIES,
            bad_answers: BAD_ANSWERS,
            milliseconds: PATIENCE_MILLISECONDS,
            first_wait: FIRST_WAIT_MILLISECONDS,
            repeatable: method.is_idempotent(),
            slow_ends: false,
        }
    }

    /// For a POST that does no harm when it arrives twice.
    pub fn repeatable() -> Self {
        Self::of(Method::Get)
    }

    /// One try and no more.
    pub fn none() -> Self {
        Self { tries: 1, ..Self::of(Method::Post) }
    }

    /// How long to wait before the next try: exponential backoff with full jitter, but at least `at_least`. None when
    /// there is no next try.
    fn wait(&mut self, at_least: u64, random: f64) -> Option<u64> {
        self.tries = self.tries.saturating_sub(1);
        let jittered = (self.first_wait as f64 * random) as u64;
        self.first_wait = (self.first_wait * 2).min(LONGEST_WAIT_MILLISECONDS);
        let wait = jittered.max(at_least);
        self.milliseconds = self.milliseconds.checked_sub(wait).filter(|_| self.tries > 0)?;
        Some(wait)
    }
}

/// Sends the request as it is until `accept` takes a 2xx answer.
///
/// Tried again: no or a broken answer, 408, 425, 429, 5xx, and answers that `accept` finds to be of kind `bad-answer`; when
/// the request may have had its effect already, only if `patience` says that it is repeatable.
///
/// # Errors
/// `unreachable`, `gateway`, `bad-answer` and `server-error` when patience is at its end; at once `unauthorized` (401),
/// `forbidden` (403), `snapshot-gone` (410), `job-gone`, `busy` and those of restores by their codes, `server-full` (507),
/// `redirected` (3xx), `proxy-limit` (413 that is not the API's), `server-error` for any other refusal in the API's
/// envelope, `bad-answer` for one without, `cancelled`, and what `accept` finds else; `busy` for a 429, or a 503 with
/// Retry-After, when patience is at its end or shorter than that.
pub async fn send<T: Transport, R>(
    transport: &T,
    request: &Request,
    accept: impl Fn(Response) -> Result<R>,
    patience: Patience,
) -> Result<R> {
    let mut taken = None;
    let mut take = |response| accept(response).map(|value| taken = Some(value));
    send_until(transport, request, &mut take, patience).await?;
    Ok(taken.ok_or_else(nothing_taken)?)
}

fn nothing_taken() -> Refused {
    Error::new(ErrorKind::Internal, "no answer was taken").into()
}

/// The same for any kind of answer, so that the code is there once.
async fn send_until<T: Transport>(
    transport: &T,
    request: &Request,
    take: &mut dyn FnMut(Response) -> Result<()>,
    mut patience: Patience,
) -> Result<(), Refused> {
    loop {
        let (mut refused, at_least) = match transport.send(request).await {
            Ok(response) if (200..300).contains(&response.status) => match take(response) {
                Err(error) if error.kind == ErrorKind::BadAnswer => (Refused::from(error), 0),
                result => return result.map_err(Refused::from),
            },
            Ok(response) => {
                let error = refusal(request, &response);
                let untouched = matches!(response.status, 425 | 429 | 503);
                let passing = untouched
                    || response.status == 408
                    || (response.status >= 500 && error.kind != ErrorKind::ServerFull);
                let ends = error.kind == ErrorKind::SnapshotGone || !passing;
                let at_least = retry_after(&response);
                let refused = Refused { error, body: response.body, slow: None };
                if ends || !(untouched || patience.repeatable) {
                    return Err(refused);
                }
                (refused, at_least)
            }
            Err(TransportError::Slow(bytes)) if patience.slow_ends => {
                return Err(Refused { slow: Some(bytes), ..TransportError::Slow(bytes).into() });
            }
            Err(error) => {
                let arrived = !matches!(error, TransportError::Unreachable(_));
                let ends = matches!(error, TransportError::Cancelled | TransportError::Untrusted(_));
                if ends || (arrived && !patience.repeatable) {
                    return Err(error.into());
                }
                if matches!(error, TransportError::Timeout | TransportError::Slow(_)) {
                    patience.milliseconds = patience.milliseconds.saturating_sub(request.idle_milliseconds);
                }
                (error.into(), 0)
            }
        };
        if refused.error.kind == ErrorKind::BadAnswer {
            patience.bad_answers = patience.bad_answers.saturating_sub(1);
            if patience.bad_answers == 0 || !patience.repeatable {
                return Err(refused);
            }
        }
        match patience.wait(at_least, transport.random()) {
            Some(wait) => transport.sleep(wait).await?,
            None => {
                refused.error = asked_to_wait(refused.error, at_least);
                return Err(refused);
            }
        }
    }
}

/// The `data` of a JSON answer.
///
/// # Errors
/// `bad-answer`: not JSON, not the envelope, or not `T` in it.
pub fn data<T: DeserializeOwned>(response: Response) -> Result<T> {
    if response.media_type() != "application/json" {
        return Err(bad_answer("the answer is not the API's").expected("application/json", found(&response)));
    }
    check_crc32(&response, "the answer is garbled")?;
    let envelope: Envelope<T> = serde_json::from_slice(&response.body)
        .map_err(|error| bad_answer("the answer is not the API's").expected("its envelope", error))?;
    match envelope.data {
        Some(data) if envelope.is_success => Ok(data),
        _ => Err(bad_answer("the answer says success by its status and failure in its body")),
    }
}

/// Whether the body is what its checksum says, where the answer has one. Answers `true` in that case.
pub(super) fn check_crc32(response: &Response, garbled: &str) -> Result<bool> {
    let Some(value) = response.header(CRC32_HEADER) else { return Ok(false) };
    let actual = crc32fast::hash(&response.body);
    if u32::from_str_radix(value, 16) == Ok(actual) {
        return Ok(true);
    }
    Err(bad_answer(garbled).expected(format!("CRC-32 {value}"), format!("{actual:08x}")))
}

/// An answer that is not what the API promises.
pub(super) fn bad_answer(message: &str) -> Error {
    Error::new(ErrorKind::BadAnswer, message)
}

/// The refusal of a server that wants more time than there is patience left.
fn asked_to_wait(error: Error, milliseconds: u64) -> Error {
    if milliseconds == 0 {
        return error;
    }
    let message = format!("{}; it asks to wait for {} seconds", error.message, milliseconds / 1000);
    Error { message, ..error }
}

/// The wish of a 429 or 503 in milliseconds. A date (RFC 9110 section 10.2.3) would need a clock: the usual wait has to
/// do.
fn retry_after(response: &Response) -> u64 {
    let seconds = response.header("retry-after").and_then(|value| value.parse::<u64>().ok());
    seconds.unwrap_or(0).saturating_mul(1000)
}

pub(super) fn found(response: &Response) -> String {
    let media_type = response.media_type();
    if media_type.is_empty() { "no media type".to_owned() } else { media_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let mut patience = Patience::of(Method::Get);
        let waits: Vec<u64> = std::iter::from_fn(|| patience.wait(0, 0.9999)).collect();
        assert_eq!(waits.len(), TRIES as usize - 1);
        assert!(waits.iter().all(|&wait| wait < LONGEST_WAIT_MILLISECONDS));
        assert!(waits.iter().sum::<u64>() <= PATIENCE_MILLISECONDS);
        assert_eq!(waits[..5], [499, 999, 1999, 3999, 7999]);
    }

    #[test]
    fn the_server_is_heeded_within_reason() {
        assert_eq!(Patience::of(Method::Get).wait(30_000, 0.0), Some(30_000));
        assert_eq!(Patience::of(Method::Get).wait(PATIENCE_MILLISECONDS + 1, 0.0), None);
        assert_eq!(Patience::none().wait(0, 0.0), None);
    }
}
