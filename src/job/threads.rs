//! An encoder on threads of its own, for programs that have them.

use super::Encoder;
use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::part::EncodedPart;
use futures::channel::oneshot;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Work = (Vec<u8>, oneshot::Sender<Result<EncodedPart>>);

/// Compresses on other threads, as many parts at once as there are. They end when it is dropped.
#[derive(Debug)]
pub struct Threads {
    slots: NonZeroUsize,
    work: Sender<Work>,
}

impl Threads {
    /// Starts so many threads.
    ///
    /// # Errors
    /// `io` where the system gives none.
    pub fn start(slots: NonZeroUsize) -> Result<Self> {
        let (work, inbox) = mpsc::channel();
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..slots.get() {
            let inbox = Arc::clone(&inbox);
            thread::Builder::new().name("encoder".to_owned()).spawn(move || encode_all(&inbox))?;
        }
        Ok(Self { slots, work })
    }
}

impl Encoder for Threads {
    fn slots(&self) -> NonZeroUsize {
        self.slots
    }

    async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
        let failed = || Error::new(ErrorKind::Internal, "an encoding thread has ended");
        let (reply, answer) = oneshot::channel();
        self.work.send((raw, reply)).map_err(|_| failed())?;
        answer.await.map_err(|_| failed())?
    }
}

fn encode_all(inbox: &Mutex<Receiver<Work>>) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((raw, reply)) = next else { return };
        if !reply.is_canceled() {
            // Whoever has gone needs no answer.
            let _ = reply.send(codec::encode(&raw));
        }
    }
}
