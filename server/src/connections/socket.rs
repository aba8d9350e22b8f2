//! A socket whose other side has to read what it is sent.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Bytes that the system keeps besides those under way. With fewer, a reader that is slow but reads is seen to read.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// How long the end of a request that was not read is waited for after its answer: an end before that can take the
/// answer away from its reader (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(5);

/// The socket of a connection.
pub(super) struct Socket {
    stream: TcpStream,
    limit: Duration,
    /// When the other side has taken nothing for too long, or was lingered for.
    timer: Pin<Box<Sleep>>,
    state: State,
    /// Some of a body was not read when its answer left.
    unread: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// The other side takes nothing.
    Stalled,
    /// Nothing more is written.
    Lingering,
}

impl Socket {
    /// This one; a write ends that gets no further for `limit`.
    pub(super) fn new(stream: TcpStream, limit: Duration, unread: Arc<AtomicBool>) -> Self {
        // Small answers should not wait for an acknowledgement of what went before.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        Self { stream, limit, timer: Box::pin(tokio::time::sleep(limit)), state: State::Free, unread }
    }

    /// The outcome of a write; an error where there was none for too long.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.state = State::Free;
            return written;
        }
        if self.state != State::Stalled {
            self.state = State::Stalled;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.timer.as_mut().poll(context));
        // What the system still has for it goes as well.
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the answer is not read")))
    }

    /// Reads and drops what still comes, for a while.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut dropped = [0; 16 << 10];
        loop {
            if self.timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state != State::Lingering {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if !self.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.state = State::Lingering;
            self.timer.as_mut().reset(Instant::now() + LINGER);
        }
        self.linger(context).map(Ok)
    }
}
