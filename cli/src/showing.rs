//! A backup shown in a browser, with the page that this program carries. Nothing but this machine reaches it.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_page::{Download, SERVICE_WORKER_PATH, VERSION_PATH};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::net::TcpListener;

/// Page and backup at an address of this machine.
#[derive(Debug)]
pub struct Showing {
    url: String,
    listener: TcpListener,
    served: Served,
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
        let served = Served::new(file, address)?;
        let url =
            format!("http://{address}/#inspect={}", utf8_percent_encode(&served.path, NON_ALPHANUMERIC));
        Ok(Self { url, listener, served })
    }

    /// Where a browser sees the backup.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers whoever asks, until it is dropped.
    ///
    /// # Errors
    /// `io`
    pub async fn serve(self) -> Result<()> {
        let router = Router::new().fallback(answer).with_state(Arc::new(self.served));
        Ok(axum::serve(self.listener, router).await?)
    }
}

/// What is there to be seen.
#[derive(Debug)]
struct Served {
    file: PathBuf,
    /// Where the page finds it: nobody else can guess that.
    path: String,
    /// How the browser calls this program. A name that somebody else has pointed here is none of them.
    hosts: [String; 2],
}

impl Served {
    fn new(file: &Path, address: SocketAddr) -> Result<Self> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let path = format!("/file/{secret}/{}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Ok(Self { file: file.to_owned(), path, hosts })
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
        let host = headers.get(HOST).map(HeaderValue::as_bytes);
        if !self.hosts.iter().any(|known| Some(known.as_bytes()) == host) {
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

async fn answer(State(served): State<Arc<Served>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let answered = tokio::task::spawn_blocking(move || served.answer(&method, uri.path(), &headers));
    answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
