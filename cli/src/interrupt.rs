//! The person's wish to stop, on its way from the keyboard to the job.

use dikas_archive::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::sync::watch;

/// The exit code of a program that Ctrl-C ended, or the system's wish that it ends.
pub const INTERRUPTED: u8 = 130;

/// Raised once; from then on the job ends itself.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Armed,
    Raised,
    /// What is being done must not be stopped half-way.
    Held,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Armed)))
    }
}

impl Interrupt {
    /// From here on Ctrl-C raises it, and so do a terminal that is closed and the system that ends a service; asked again, the
    /// program ends at once. To be called in a runtime.
    pub fn listen(&self) {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let kinds =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            for kind in kinds {
                // `nohup` and its like have the program go on.
                if is_ignored(&status, kind.as_raw_value()) {
                    continue;
                }
                // Where a signal cannot be heard, it ends the program.
                let Ok(mut signals) = signal(kind) else { continue };
                let heard = self.clone();
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        heard.raise();
                    }
                });
            }
        }
        #[cfg(not(unix))]
        {
            let heard = self.clone();
            tokio::spawn(async move {
                while tokio::signal::ctrl_c().await.is_ok() {
                    heard.raise();
                }
            });
        }
    }

    fn raise(&self) {
        if self.is_raised() {
            std::process::exit(INTERRUPTED.into());
        }
        self.change(State::Armed, State::Raised);
    }

    /// From here on it can be raised no more.
    ///
    /// # Errors
    /// `cancelled` where it was raised already.
    pub fn hold(&self) -> Result<()> {
        self.change(State::Armed, State::Held);
        self.check()
    }

    /// It can be raised again.
    pub fn release(&self) {
        self.change(State::Held, State::Armed);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow() == State::Raised
    }

    /// # Errors
    /// `cancelled` where it was raised.
    pub fn check(&self) -> Result<()> {
        match self.is_raised() {
            true => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
            false => Ok(()),
        }
    }

    /// Waits until it is raised.
    pub async fn raised(&self) {
        let mut receiver = self.0.subscribe();
        // It is dropped with the program alone.
        let _ = receiver.wait_for(|state| *state == State::Raised).await;
    }

    fn change(&self, from: State, to: State) {
        self.0.send_if_modified(|state| {
            let changes = *state == from;
            if changes {
                *state = to;
            }
            changes
        });
    }
}

/// Whether the program was started so that it ignores this signal, as Linux tells it of a process; elsewhere nothing does.
#[cfg(unix)]
fn is_ignored(status: &str, signal: i32) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    u32::try_from(signal - 1).is_ok_and(|bit| mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_was_started_to_ignore_it_does_not_hear() {
        // Of `nohup`: the first signal alone.
        let status = "Name:\tdikas-backup\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000000001\n";
        let ignored: Vec<i32> = (1..=64).filter(|signal| is_ignored(status, *signal)).collect();
        assert_eq!(ignored, [1]);
        let ignored = |mask: &str| (1..=64).filter(|it| is_ignored(&format!("SigIgn:\t{mask}"), *it)).count();
        assert_eq!((ignored("8000000000001006"), ignored("no mask"), ignored("")), (4, 0, 0));
        assert!(!is_ignored("", 1));
    }
}
