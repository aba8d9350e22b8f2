//! A backup shown in a browser, with the page that this program carries. Nothing but this machine reaches it.
//!
//! Every user of the machine can read the address that a browser is started with. So it has a code that is good once:
//! the page exchanges it for the address of the file, which stands in no process's arguments.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_page::{Download, SERVICE_WORKER_PATH, VERSION_PATH};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Where a code is exchanged for the address of the file.
const EXCHANGE: &str = "/open";

/// A code is shorter.
const LONGEST_CODE: usize = 64;

/// What became of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// A page has got the file by it, and no other will: this one is good for the next.
    Once {
        /// The next address.
        next: String,
    },
    /// It was used before, and the second who used it got nothing.
    Again,
}

/// Page and backup at an address of this machine.
#[derive(Debug)]
pub struct Showing {
    url: String,
    listener: TcpListener,
    served: Served,
    used: UnboundedReceiver<Used>,
}

impl Showing {
    /// Takes a free port, and an address that nobody can guess.
    ///
    /// # Errors
    /// `bad-argument` for a folder; `io` where the file cannot be read.
    pub async fn start(file: &Path) -> Result<Self> {
        let on_file = |error: Error| error.on(file.display().to_string());
        let (opened, _) = Served::open(file).map_err(|error| on_file(error.into()))?;
        if opened.metadata()?.is_dir() {
            return Err(on_file(Error::new(ErrorKind::BadArgument, "this is a folder")));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (tell, used) = mpsc::unbounded_channel();
        let served = Served::new(file, address, tell)?;
        let url = served.url();
        Ok(Self { url, listener, served, used })
    }

    /// Where a browser sees the backup, once.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers all who ask, until it is dropped, and tells when an address is used.
    ///
    /// # Errors
    /// `io`
    pub async fn serve(mut self, on_used: impl Fn(Used)) -> Result<()> {
        let router = Router::new().fallback(answer).with_state(Arc::new(self.served));
        let mut serving = std::pin::pin!(axum::serve(self.listener, router).into_future());
        loop {
            tokio::select! {
                ended = &mut serving => return Ok(ended?),
                Some(used) = self.used.recv() => on_used(used),
            }
        }
    }
}

/// What is there to be seen.
#[derive(Debug)]
struct Served {
    file: PathBuf,
    name: String,
    /// Where the page finds it: nobody else can guess that.
    path: String,
    /// How the browser calls this program. A name that somebody else has pointed here is none of them.
    hosts: [String; 2],
    codes: Mutex<Codes>,
    tell: UnboundedSender<Used>,
}

/// What stands in addresses.
#[derive(Debug)]
struct Codes {
    good: String,
    void: HashSet<String>,
}

impl Served {
    fn new(file: &Path, address: SocketAddr, tell: UnboundedSender<Used>) -> Result<Self> {
        let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default().into_owned();
        let path = format!("/file/{}/{}", secret()?, utf8_percent_encode(&name, NON_ALPHANUMERIC));
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        let codes = Mutex::new(Codes { good: secret()?, void: HashSet::new() });
        Ok(Self { file: file.to_owned(), name, path, hosts, codes, tell })
    }

    /// The address that is good now.
    fn url(&self) -> String {
        let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let [host, _] = &self.hosts;
        format!("http://{host}/#open={}", codes.good)
    }

    /// Says where the file is to the first who brings a code.
    fn exchange(&self, code: &str) -> Response {
        match self.take(code) {
            Ok(true) => {
                let _ = self.tell.send(Used::Once { next: self.url() });
                let address = self.path.trim_start_matches('/');
                let headers = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
                (headers, Json(json!({"address": address, "name": self.name}))).into_response()
            }
            Ok(false) => StatusCode::NOT_FOUND.into_response(),
            Err(status) => {
                let _ = self.tell.send(Used::Again);
                status.into_response()
            }
        }
    }

    /// Makes a code void, and another one good. Answers whether it was good; fails where it was void already.
    fn take(&self, code: &str) -> Result<bool, StatusCode> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.void.contains(code) {
            return Err(StatusCode::GONE);
        }
        if codes.good != code {
            return Ok(false);
        }
        let next = secret().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let used = std::mem::replace(&mut codes.good, next);
        codes.void.insert(used);
        Ok(true)
    }

    /// The file, and what is another when the file is.
    fn open(file: &Path) -> io::Result<(File, String)> {
        let file = File::open(file)?;
        let metadata = file.metadata()?;
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tag = format!("\"{:x}-{:x}\"", metadata.len(), since.as_nanos());
        Ok((file, tag))
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if !self.is_for_us(headers) {
            return (StatusCode::MISDIRECTED_REQUEST, "This is another host.\n").into_response();
        }
        if *method != Method::GET && *method != Method::HEAD {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        match path {
            path if path == self.path => self.content(headers),
            // At the next start the address is another one: there is nothing to keep.
            SERVICE_WORKER_PATH | VERSION_PATH => StatusCode::NOT_FOUND.into_response(),
            path => dikas_page::answer(path, headers),
        }
    }

    fn is_for_us(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).map(HeaderValue::as_bytes);
        self.hosts.iter().any(|known| Some(known.as_bytes()) == host)
    }

    fn content(&self, headers: &HeaderMap) -> Response {
        let answered = Self::open(&self.file).and_then(|(file, tag)| {
            let size = file.metadata()?.len();
            let (media_type, disposition) = ("application/octet-stream", "attachment".to_owned());
            Download { file, size, tag, sha256: None, media_type, disposition }.answer(headers)
        });
        let mut response = answered.unwrap_or_else(|error| {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        });
        for (name, value) in [
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// 128 random bits, as hex digits: they cannot be guessed.
fn secret() -> Result<String> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    Ok(secret.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn answer(
    State(served): State<Arc<Served>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if method == Method::POST && uri.path() == EXCHANGE && served.is_for_us(&headers) {
        return match axum::body::to_bytes(body, LONGEST_CODE).await {
            Ok(code) => served.exchange(&String::from_utf8_lossy(&code)),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        };
    }
    let answered = tokio::task::spawn_blocking(move || served.answer(&method, uri.path(), &headers));
    answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
