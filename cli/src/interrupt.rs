//! The person's wish to stop, on its way from the keyboard to the job.

use dikas_archive::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The exit code of a program that Ctrl-C ended, or the system's wish that it ends.
pub const INTERRUPTED: u8 = 130;

/// How long a job that leaves nothing behind gets to end itself.
const PATIENCE: Duration = Duration::from_millis(800);

/// Raised once; from then on the job ends itself.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<Shared>);

struct Shared {
    state: watch::Sender<State>,
    /// Whether the program may end here and now.
    disposable: Mutex<bool>,
    tell: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .field("disposable", &self.disposable)
            .finish_non_exhaustive()
    }
}

/// As long as it lives, there is nothing to tidy.
#[derive(Debug)]
pub struct Disposable<'a>(&'a Interrupt);

impl Drop for Disposable<'_> {
    fn drop(&mut self) {
        *self.0.disposable() = false;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Armed,
    Raised,
    /// What is being done must not be stopped half-way.
    Held,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self::telling(|| ())
    }
}

impl Interrupt {
    /// One that tells that the program ends, where the job has not heard that it should.
    pub fn telling(tell: impl Fn() + Send + Sync + 'static) -> Self {
        let state = watch::Sender::new(State::Armed);
        Self(Arc::new(Shared { state, disposable: Mutex::default(), tell: Box::new(tell) }))
    }

    /// Says that the job only reads. Until the answer is dropped, a job that has not ended soon after this was raised ends
    /// with the program: what it does may take long, and listen to nothing.
    #[must_use]
    pub fn only_reads(&self) -> Disposable<'_> {
        *self.disposable() = true;
        Disposable(self)
    }

    /// From here on Ctrl-C raises it, and so do a terminal that is closed and the system that ends a service. Where the keyboard
    /// asks again, the program ends at once; a terminal that is closed and the system may ask several times and mean one
    /// wish. To be called in a runtime.
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
                let insists = [SignalKind::interrupt(), SignalKind::quit()].contains(&kind);
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        heard.raise(insists);
                    }
                });
            }
        }
        #[cfg(not(unix))]
        {
            let heard = self.clone();
            tokio::spawn(async move {
                while tokio::signal::ctrl_c().await.is_ok() {
                    heard.raise(true);
                }
            });
        }
    }

    /// Once more, it ends the program where that `insists`.
    fn raise(&self, insists: bool) {
        match self.is_raised() {
            true if insists => std::process::exit(INTERRUPTED.into()),
            true => return,
            false => {}
        }
        self.change(State::Armed, State::Raised);
        let raised = self.clone();
        // A thread of its own: those of the runtime may be busy.
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            raised.end_what_only_reads();
        });
    }

    fn end_what_only_reads(&self) {
        // Held to the end, so that nothing is begun meanwhile that would have to be tidied.
        let disposable = self.disposable();
        if *disposable && self.is_raised() {
            (self.0.tell)();
            std::process::exit(INTERRUPTED.into());
        }
    }

    fn disposable(&self) -> MutexGuard<'_, bool> {
        self.0.disposable.lock().unwrap_or_else(PoisonError::into_inner)
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
        *self.0.state.borrow() == State::Raised
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
        let mut receiver = self.0.state.subscribe();
        // It is dropped with the program alone.
        let _ = receiver.wait_for(|state| *state == State::Raised).await;
    }

    fn change(&self, from: State, to: State) {
        self.0.state.send_if_modified(|state| {
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

    #[test]
    fn a_terminal_that_is_closed_may_say_so_again_and_again() {
        let interrupt = Interrupt::default();
        for _ in 0..3 {
            // Otherwise the second one would end this test.
            interrupt.raise(false);
        }
        assert!(interrupt.check().is_err());
    }

    #[test]
    fn a_job_that_has_something_to_tidy_is_never_ended_from_outside() {
        let interrupt = Interrupt::default();
        drop(interrupt.only_reads());
        interrupt.change(State::Armed, State::Raised);
        // It would end this test.
        interrupt.end_what_only_reads();
        assert!(interrupt.check().is_err());
        let disposable = interrupt.only_reads();
        assert!(*interrupt.disposable());
        drop(disposable);
        assert!(!*interrupt.disposable());
    }
}
