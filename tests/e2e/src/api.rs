//! The API as a till or a script would use it: requests written out by hand, so that the product's own client is not
//! its own witness.

use dikas_archive::api::{
    AttachmentPage, AttachmentRecord, DOCUMENTS_HEADER, Envelope, NEXT_HEADER, Snapshot, Tokens,
};
use dikas_archive::digest::Sha256;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A client that is logged in.
#[derive(Debug, Clone)]
pub struct Api {
    /// The server, such as `http://127.0.0.1:5015`.
    pub url: String,
    /// What the login answered.
    pub token: String,
    http: reqwest::Client,
}

impl Api {
    /// Logs in.
    pub async fn login(url: &str, username: &str, password: &str) -> Self {
        Self::try_login(url, username, password).await.expect("a login")
    }

    /// Logs in, if that is a login.
    pub async fn try_login(url: &str, username: &str, password: &str) -> Option<Self> {
        let body = json!({ "username": username, "password": password }).to_string();
        let http = dikas_backup::http::client().build().unwrap();
        let api = Self { url: url.to_owned(), token: String::new(), http };
        let request = api.request(Method::POST, "/auth/login").header("content-type", "application/json");
        let (status, answer) = try_send(request.body(body)).await?;
        let tokens = || serde_json::from_slice::<Envelope<Tokens>>(&answer).unwrap().data.unwrap();
        status.is_success().then(|| Self { token: tokens().access_token, ..api })
    }

    /// A request below `/api/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.url));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    /// Adds or changes documents, given as JSON lines, in one transaction.
    pub async fn post_documents(&self, collection: &str, lines: impl Into<reqwest::Body>) {
        let request = self.request(Method::POST, &format!("/documents/{collection}"));
        good(request.header("content-type", dikas_archive::api::NDJSON).body(lines)).await;
    }

    /// Adds or changes one document; the answer's status.
    pub async fn put_document(
        &self,
        collection: &str,
        id: &str,
        body: impl Into<reqwest::Body>,
    ) -> StatusCode {
        let path = format!("/documents/{collection}?id={}", query(id));
        let request = self.request(Method::PUT, &path).header("content-type", "application/json").body(body);
        request.send().await.unwrap().status()
    }

    /// One document, as the server holds it.
    pub async fn document(&self, collection: &str, id: &str) -> Vec<u8> {
        let path = format!("/documents/{collection}?id={}", query(id));
        good(self.request(Method::GET, &path)).await.bytes().await.unwrap().to_vec()
    }

    /// Deletes a document.
    pub async fn delete_document(&self, collection: &str, id: &str) {
        good(self.request(Method::DELETE, &format!("/documents/{collection}?id={}", query(id)))).await;
    }

    /// Adds a file to a document; the answer's status.
    pub async fn put_attachment(
        &self,
        collection: &str,
        id: &str,
        name: &str,
        media_type: &str,
        bytes: impl Into<reqwest::Body>,
    ) -> StatusCode {
        let path = format!("/documents/{collection}/attachments?id={}&name={}", query(id), query(name));
        let request = self.request(Method::PUT, &path).header("content-type", media_type).body(bytes);
        request.send().await.unwrap().status()
    }

    /// Opens a snapshot of everything.
    pub async fn open_snapshot(&self) -> Snapshot {
        data(self.request(Method::POST, "/backup/snapshots")).await
    }

    /// Closes a snapshot.
    pub async fn close_snapshot(&self, snapshot: &Snapshot) {
        good(self.request(Method::DELETE, &format!("/backup/snapshots/{}", snapshot.id))).await;
    }

    /// Has the server make a backup, and send it.
    pub async fn create(&self, what: Value) -> Response {
        let request = self.request(Method::POST, "/backup/create").header("content-type", "application/json");
        good(request.body(what.to_string())).await
    }

    /// All lines of a collection, page by page. Gives what `between` does a turn after every page.
    pub async fn pages(
        &self,
        snapshot: &Snapshot,
        collection: &str,
        max_bytes: u64,
        mut between: impl AsyncFnMut(),
    ) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut after = None::<String>;
        loop {
            let cursor = after.map(|after| format!("&after={after}")).unwrap_or_default();
            let path = format!(
                "/backup/snapshots/{}/documents/{collection}?maxBytes={max_bytes}{cursor}",
                snapshot.id
            );
            let answer = good(self.request(Method::GET, &path)).await;
            let count: usize = header(&answer, DOCUMENTS_HEADER).expect("a count").parse().unwrap();
            // The cursor comes percent-encoded, fit to be a query's value as it is.
            after = header(&answer, NEXT_HEADER);
            let page = answer.bytes().await.unwrap();
            assert_eq!(page.iter().filter(|byte| **byte == b'\n').count(), count, "{collection}");
            lines.extend_from_slice(&page);
            if after.is_none() {
                return lines;
            }
            between().await;
        }
    }

    /// Everything that the server serves now, by way of a snapshot of its own.
    pub async fn everything(&self) -> Everything {
        let snapshot = self.open_snapshot().await;
        let everything = self.read(&snapshot).await;
        self.close_snapshot(&snapshot).await;
        everything
    }

    /// Everything that a snapshot holds.
    pub async fn read(&self, snapshot: &Snapshot) -> Everything {
        let mut lines = BTreeMap::new();
        for collection in &snapshot.collections {
            let name = collection.name.as_str();
            lines.insert(name.to_owned(), self.pages(snapshot, name, 1 << 20, async || {}).await);
        }
        let mut attachments = Vec::new();
        let mut after = None::<String>;
        loop {
            let cursor = after.map(|after| format!("?after={}", query(&after))).unwrap_or_default();
            let path = format!("/backup/snapshots/{}/attachments{cursor}", snapshot.id);
            let page: AttachmentPage = data(self.request(Method::GET, &path)).await;
            attachments.extend(page.attachments);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Everything { snapshot: snapshot.clone(), lines, attachments }
    }
}

/// What a server holds at one moment.
#[derive(Debug)]
pub struct Everything {
    /// The snapshot that it was read from.
    pub snapshot: Snapshot,
    /// JSON lines by collection.
    pub lines: BTreeMap<String, Vec<u8>>,
    /// Attachment records.
    pub attachments: Vec<AttachmentRecord>,
}

/// A text as the value of a query parameter.
pub fn query(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// What `Repr-Digest` should say of these bytes.
pub fn repr_digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", crate::bench::base64(Sha256::of(bytes).as_bytes()))
}

/// The answer, whatever it says; none where the server went away before it was whole.
pub async fn try_send(request: RequestBuilder) -> Option<(StatusCode, Vec<u8>)> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    Some((status, answer.bytes().await.ok()?.to_vec()))
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

async fn good(request: RequestBuilder) -> Response {
    let answer = request.send().await.unwrap();
    if answer.status().is_success() {
        return answer;
    }
    let (status, url) = (answer.status(), answer.url().clone());
    panic!("{url} answered {status}: {}", answer.text().await.unwrap_or_default());
}

async fn data<T: serde::de::DeserializeOwned>(request: RequestBuilder) -> T {
    let body = good(request).await.bytes().await.unwrap();
    let envelope: Envelope<T> = serde_json::from_slice(&body).expect("the API's frame");
    assert!(envelope.is_success);
    envelope.data.expect("data")
}
