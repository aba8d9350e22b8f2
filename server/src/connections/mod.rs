//! Connections: taken in while there is a place for them, given up where the other side falls silent.
//!
//! No address takes all places, and some are kept for the machine itself. A connection without a place is answered
//! 503, in one of a few places beside the others; there `/healthz` is answered as ever, so that a full server does
//! not look dead. A request has a time for its head, a pace for its body, and its answer has to be read.

mod body;
mod places;
mod socket;

pub(crate) use body::TooSlow;

use crate::access::AccessRules;
use crate::failure::Failure;
use crate::health;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use body::Arriving;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use places::{Bounds, Place, Places};
use socket::Socket;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Seconds after which a refused connection may be tried again.
const TRY_AGAIN: u64 = 5;

/// Places for refusals.
const REFUSALS: Bounds = Bounds { most: 32, strangers: 24, per_network: 4 };

/// Bounds the time that a refusal takes.
const REFUSAL: Duration = Duration::from_secs(5);

/// The shortest time between two lines of the log about refusals.
const LOG_PACE: Duration = Duration::from_secs(60);

/// What connections may take.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at once. One more is answered 503.
    pub most: usize,
    /// Connections of these that are kept for the machine itself.
    pub kept_for_loopback: usize,
    /// Connections of one address, and of one /64 of IPv6. The machine itself and trusted proxies have no such limit:
    /// reverse proxies run there.
    pub per_address: usize,
    /// Time for the head of the next request, from its first byte to its last.
    pub head: Duration,
    /// Time in which 64 KiB of a request's body have to come, or its end.
    pub body: Duration,
    /// Time in which the other side has to take something of an answer.
    pub write: Duration,
}

impl Default for ConnectionLimits {
    /// Each connection takes a socket and at most a file; a process usually has 1,024 of both together.
    fn default() -> Self {
        let (head, body, write) = (Duration::from_secs(20), Duration::from_secs(30), Duration::from_secs(30));
        Self { most: 384, kept_for_loopback: 32, per_address: 96, head, body, write }
    }
}

/// Serves until `stopped`, and then until the requests under way have ended. Dropped, it ends all connections.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    access: AccessRules,
    stopped: impl Future<Output = ()>,
) {
    let mut doors = Doors::new(&limits, &access);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::pin!(stopped);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut stopped => break,
        };
        let Some((place, admitted)) = doors.take(peer) else { continue };
        let unread = Arc::new(AtomicBool::new(false));
        let socket = Socket::new(stream, limits.write, Arc::clone(&unread));
        let caller = Caller { router: router.clone(), peer, admitted, unread, body: limits.body };
        let service = service_fn(move |request| caller.clone().answer(request));
        let http = http(&limits, admitted);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(socket), service));
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!("a connection broke off: {error}");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Whether a connection has a place, or is there to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Fully,
    ToBeRefused,
}

/// The places for connections, and those for refusals.
struct Doors {
    places: Arc<Places>,
    refusals: Arc<Places>,
    logged: Option<Instant>,
}

impl Doors {
    fn new(limits: &ConnectionLimits, access: &AccessRules) -> Self {
        let strangers = limits.most.saturating_sub(limits.kept_for_loopback);
        let bounds = Bounds { most: limits.most, strangers, per_network: limits.per_address };
        let places = |bounds| Places::new(bounds, access.clone());
        Self { places: places(bounds), refusals: places(REFUSALS), logged: None }
    }

    /// A place for a connection from there; none where even refusals are too many.
    fn take(&mut self, peer: SocketAddr) -> Option<(Place, Admitted)> {
        if let Some(place) = self.places.take(peer.ip()) {
            return Some((place, Admitted::Fully));
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_PACE) {
            self.logged = Some(Instant::now());
            tracing::warn!("connections are refused, such as one from {}: all places are taken", peer.ip());
        }
        Some((self.refusals.take(peer.ip())?, Admitted::ToBeRefused))
    }
}

fn http(limits: &ConnectionLimits, admitted: Admitted) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    match admitted {
        Admitted::Fully => http.header_read_timeout(limits.head),
        Admitted::ToBeRefused => http.header_read_timeout(limits.head.min(REFUSAL)).keep_alive(false),
    };
    http
}

/// The other side of a connection.
#[derive(Clone)]
struct Caller {
    router: Router,
    peer: SocketAddr,
    admitted: Admitted,
    /// Some of a body was not read when its answer left.
    unread: Arc<AtomicBool>,
    body: Duration,
}

impl Caller {
    async fn answer(self, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(ConnectInfo(self.peer));
        let (body, rest) = Arriving::new(body, &parts.headers, self.body);
        let refused = self.admitted == Admitted::ToBeRefused && parts.uri.path() != health::PATH;
        let response = match refused {
            true => crate::web::private(full().into_response()),
            false => {
                let request = hyper::Request::from_parts(parts, Body::new(body));
                self.router.oneshot(request).await?
            }
        };
        // Many a caller hears no answer while it still sends.
        let at_end = if refused { rest.is_at_end() } else { rest.discard().await };
        self.unread.store(!at_end, Ordering::Relaxed);
        Ok(response)
    }
}

fn full() -> Failure {
    Failure::unavailable("too many connections at once, from this address or in all", TRY_AGAIN)
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => match error.kind() {
                ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused => {}
                // Files have run out, most likely: some will be closed.
                _ => {
                    tracing::error!("cannot take a connection in: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_place_is_refused_in_words_within_reason() {
        let mut doors = Doors::new(&ConnectionLimits::default(), &AccessRules::default());
        let mut taken = Vec::new();
        let mut take = |peer: &str, wanted| {
            let from = taken.len();
            taken.extend((0..wanted).filter_map(|_| doors.take(peer.parse().unwrap())));
            let fully = taken[from..].iter().filter(|(_, admitted)| *admitted == Admitted::Fully).count();
            (fully, taken.len() - from - fully)
        };
        assert_eq!(take("192.0.2.1:1", 1000), (96, 4));
        assert_eq!(take("192.0.2.2:1", 1), (1, 0), "there are places for others");
        for last in 3..100 {
            take(&format!("192.0.2.{last}:1"), 200);
        }
        assert_eq!(take("192.0.2.200:1", 1), (0, 0));
        assert_eq!(take("127.0.0.1:1", 100), (32, 8), "some are kept for the machine itself");
    }
}
