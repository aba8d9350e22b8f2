//! The API over a store in memory, and a network between it and the client in which a test can do what it likes.

use crate::store::{SNAPSHOT_ID, Store};
use dikas_archive::api::{
    ApiError, CRC32_HEADER, DOCUMENTS_HEADER, Envelope, NDJSON, NEXT_HEADER, RefreshRequest, Tokens,
};
use dikas_archive::error::Result;
use dikas_archive::job::session::Session;
use dikas_archive::job::transport::{Method, Request, Response, Transport, TransportError};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// What arrives.
pub type Answer = std::result::Result<Response, TransportError>;
type Meddler<'a> = Box<dyn Fn(&Wire<'a>, usize, &Request, Response) -> Answer + 'a>;

pub struct Wire<'a> {
    store: Store,
    session: Session,
    /// Gets every request, numbered from 0, with the answer that the server would give; says what arrives.
    meddle: Meddler<'a>,
    pub log: RefCell<Vec<Request>>,
    pub sleeps: RefCell<Vec<u64>>,
    /// The number in the access token that the server takes.
    valid: Cell<u32>,
    pub logged_out: Cell<bool>,
    pub refreshes: Cell<u32>,
}

impl<'a> Wire<'a> {
    pub fn new(store: &Store, meddle: impl Fn(&Wire<'a>, usize, &Request, Response) -> Answer + 'a) -> Self {
        let tokens = Tokens {
            access_token: "access-0".to_owned(),
            refresh_token: "refresh-0".to_owned(),
            expires_in: 3600,
            device_token: None,
        };
        Self {
            store: store.clone(),
            session: Session::new(tokens),
            meddle: Box::new(meddle),
            log: RefCell::default(),
            sleeps: RefCell::default(),
            valid: Cell::new(0),
            logged_out: Cell::new(false),
            refreshes: Cell::new(0),
        }
    }

    pub fn expire_token(&self) {
        self.valid.set(self.valid.get() + 1);
    }

    pub fn count(&self, method: Method, path: &str) -> usize {
        let log = self.log.borrow();
        log.iter().filter(|request| request.method == method && request.target.contains(path)).count()
    }

    fn answer(&self, request: &Request) -> Response {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let query: HashMap<&str, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, percent_decode_str(value).decode_utf8().unwrap().into_owned()))
            .collect();
        let after = query.get("after").map(String::as_str);
        if path == "/auth/refresh" {
            let body: RefreshRequest = serde_json::from_slice(&request.body).unwrap();
            // Each is good once, and once more where its answer may be lost; then the login ends.
            let newest = self.refreshes.get();
            let is = |number: u32| body.refresh_token == format!("refresh-{number}");
            let repeated = newest > 0 && is(newest - 1);
            if self.logged_out.get() || !(repeated || is(newest)) {
                self.logged_out.set(true);
                return refusal(401, "unauthorized");
            }
            self.refreshes.set(newest + u32::from(!repeated));
            return data(&Tokens {
                access_token: format!("access-{}", self.valid.get()),
                refresh_token: format!("refresh-{}", self.refreshes.get()),
                expires_in: 3600,
                device_token: None,
            });
        }
        let header = |name| request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        if header("authorization") != Some(&format!("Bearer access-{}", self.valid.get())) {
            return refusal(401, "unauthorized");
        }
        let own = format!("/backup/snapshots/{SNAPSHOT_ID}");
        match (request.method, path.strip_prefix(own.as_str())) {
            (Method::Post, None) if path == "/backup/snapshots" => data(&self.store.contents().snapshot),
            (Method::Get, Some("")) => data(&self.store.contents().snapshot),
            (Method::Delete, Some("")) => data(&()),
            (Method::Get, Some("/attachments")) => data(&self.store.records_after(after)),
            (Method::Get, Some(rest)) if rest.starts_with("/documents/") => {
                let page = self.store.page_of(&rest[11..], after, query["maxBytes"].parse().unwrap());
                page_response(&page.lines, page.documents, page.next.as_deref())
            }
            (Method::Get, Some(rest)) if rest.starts_with("/blobs/") && header("range").is_none() => {
                let blob = |digest: &str| self.store.contents().blobs[&digest.parse().unwrap()].clone();
                let body = rest[7..].split(',').flat_map(blob).collect::<Vec<u8>>();
                let tag = ("ETag".to_owned(), format!("\"{}\"", &rest[7..]));
                Response { status: 200, headers: vec![tag, checksum(&body)], body }
            }
            (Method::Get, Some(rest)) if rest.starts_with("/blobs/") => {
                let blob = &self.store.contents().blobs[&rest[7..].parse().unwrap()];
                let (from, last) = header("range").unwrap()[6..].split_once('-').unwrap();
                let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
                if from >= blob.len() {
                    return refusal(416, "bad-request");
                }
                let last = last.min(blob.len() - 1);
                let range = format!("bytes {from}-{last}/{}", blob.len());
                let headers = vec![
                    ("Content-Range".to_owned(), range),
                    ("ETag".to_owned(), format!("\"{}\"", &rest[7..])),
                    checksum(&blob[from..=last]),
                ];
                Response { status: 206, headers, body: blob[from..=last].to_vec() }
            }
            _ => refusal(404, "not-found"),
        }
    }
}

impl Transport for Wire<'_> {
    async fn send(&self, request: &Request) -> Answer {
        let number = self.log.borrow().len();
        self.log.borrow_mut().push(request.clone());
        assert!(number < 5_000, "the client does not stop asking");
        let response = (self.meddle)(self, number, request, self.answer(request))?;
        if response.body.len() as u64 > request.max_bytes {
            return Err(TransportError::TooLarge);
        }
        Ok(response)
    }

    async fn sleep(&self, milliseconds: u64) -> std::result::Result<(), TransportError> {
        self.sleeps.borrow_mut().push(milliseconds);
        Ok(())
    }

    fn random(&self) -> f64 {
        0.999
    }

    async fn token(&self, rejected: Option<&str>) -> Result<String> {
        self.session.token(self, rejected).await
    }
}

pub fn page_response(lines: &[u8], documents: u64, next: Option<&str>) -> Response {
    let mut headers = vec![
        ("Content-Type".to_owned(), NDJSON.to_owned()),
        (DOCUMENTS_HEADER.to_owned(), documents.to_string()),
        checksum(lines),
    ];
    if let Some(next) = next {
        headers.push((NEXT_HEADER.to_owned(), utf8_percent_encode(next, NON_ALPHANUMERIC).to_string()));
    }
    Response { status: 200, headers, body: lines.to_vec() }
}

pub fn data<T: Serialize>(data: &T) -> Response {
    json(200, &Envelope { data: Some(data), is_success: true, message: None, errors: Vec::new() })
}

pub fn refusal(status: u16, code: &str) -> Response {
    let error = ApiError { code: code.to_owned(), message: format!("about {code}"), field: None };
    let message = Some(format!("words for {code}."));
    json(status, &Envelope::<()> { data: None, is_success: false, message, errors: vec![error] })
}

pub fn json<T: Serialize>(status: u16, envelope: &Envelope<T>) -> Response {
    let body = serde_json::to_vec(envelope).unwrap();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned()), checksum(&body)];
    Response { status, headers, body }
}

fn checksum(body: &[u8]) -> (String, String) {
    (CRC32_HEADER.to_owned(), format!("{:08x}", crc32fast::hash(body)))
}
