//! A server without a socket, in a folder of its own.

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use dikas_archive::api::{CRC32_HEADER, DOCUMENTS_HEADER, NDJSON, NEXT_HEADER, Snapshot, Tokens};
use dikas_server::auth::{Role, user_document};
use dikas_server::{App, Config, Setup};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) admin: String,
    pub(crate) password: String,
    pub(crate) folder: TempDir,
    pub(crate) app: Arc<App>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("data"));
        change(&mut config);
        let app = App::open(&config).unwrap();
        let Setup::Created { password, .. } = app.setup().clone() else { panic!("{:?}", app.setup()) };
        let app = Arc::new(app);
        let router = dikas_server::app(Arc::clone(&app));
        let mut bench = Self { router, admin: String::new(), password, folder, app };
        bench.admin = bench.login("admin", &bench.password).await.access_token;
        bench
    }

    /// The same data with a new server, once the old one has gone; logged in anew.
    pub(crate) async fn restarted(self) -> Self {
        let Self { router, password, folder, app, .. } = self;
        drop((router, app));
        let app = Arc::new(App::open(&Config::new(folder.path().join("data"))).unwrap());
        let router = dikas_server::app(Arc::clone(&app));
        let mut bench = Self { router, admin: String::new(), password, folder, app };
        bench.admin = bench.login("admin", &bench.password).await.access_token;
        bench
    }

    /// The digests of all blobs on the disk, in order.
    pub(crate) fn blobs(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(self.folder.path().join("data/blobs")).unwrap() {
            let folder = folder.unwrap();
            let head = folder.file_name().into_string().unwrap();
            for file in std::fs::read_dir(folder.path()).unwrap() {
                found.push(head.clone() + file.unwrap().file_name().to_str().unwrap());
            }
        }
        found.sort();
        found
    }

    /// Makes a user, who logs in.
    pub(crate) async fn user(&self, name: &str, role: Role) -> String {
        let id = format!("usr_{name}");
        let document = user_document(&id, name, role, "secret").unwrap();
        self.put(&document_path("users", &id), document).await.expect(StatusCode::CREATED);
        self.login(name, "secret").await.access_token
    }

    pub(crate) async fn backup_token(&self) -> String {
        let body = r#"{"name":"cron"}"#;
        let answer = self.call(Method::POST, "/auth/tokens", Some(&self.admin), body).await;
        answer.expect(StatusCode::CREATED).data::<Value>()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Tokens {
        self.try_login(name, password).await.expect(StatusCode::OK).data()
    }

    pub(crate) async fn try_login(&self, name: &str, password: &str) -> Answer {
        let body = json!({"username": name, "password": password}).to_string();
        self.call(Method::POST, "/auth/login", None, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Some(&self.admin), Body::empty()).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Method::PUT, path, Some(&self.admin), body).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Method::POST, path, Some(&self.admin), body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, Some(&self.admin), Body::empty()).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let body = body.into();
        let mut request = Request::builder().method(&method).uri(format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_end_stream() {
            request = request.header("content-type", media_type(&method, path));
        }
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What the audit tells of this action, the newest first.
    pub(crate) async fn audit(&self, action: &str) -> Vec<Value> {
        let page: Value = self.get("/audit").await.expect(StatusCode::OK).data();
        let entries = page["entries"].as_array().unwrap().iter();
        entries.filter(|entry| entry["action"] == action).cloned().collect()
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.post("/backup/snapshots", "").await.expect(StatusCode::CREATED).data()
    }

    /// All lines of a collection, in pages of 64 KiB; checks what each page says about itself.
    pub(crate) async fn lines(&self, snapshot: &Snapshot, collection: &str) -> Vec<u8> {
        let (mut lines, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/backup/snapshots/{}/documents/{collection}?maxBytes=1{after}", snapshot.id);
            let page = self.get(&path).await.expect(StatusCode::OK);
            let count = page.body.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(page.header("content-type"), NDJSON);
            assert_eq!(page.header(DOCUMENTS_HEADER), count.to_string());
            assert_eq!(page.header(CRC32_HEADER), format!("{:08x}", crc32fast::hash(&page.body)));
            assert!(page.body.len() <= 64 << 10 || count == 1, "{count} lines of {}", page.body.len());
            lines.extend_from_slice(&page.body);
            let Some(next) = page.headers.get(NEXT_HEADER) else { return lines };
            let next = percent_decode_str(next.to_str().unwrap()).decode_utf8().unwrap();
            let last = page.body[..page.body.len() - 1].rsplit(|byte| *byte == b'\n').next().unwrap();
            assert_eq!(next, dikas_archive::document::id_of(last).unwrap());
            after = format!("&after={}", encode(&next));
        }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Checks that this is a failure with this code, in the frame of all failures.
    #[track_caller]
    pub(crate) fn fails(self, status: StatusCode, code: &str) -> Self {
        let answer = self.fails_with_data(status, code);
        let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(envelope["data"], Value::Null);
        answer
    }

    /// The same for a code that promises data.
    #[track_caller]
    pub(crate) fn fails_with_data(self, status: StatusCode, code: &str) -> Self {
        let answer = self.expect(status);
        let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(envelope["isSuccess"], false);
        assert_eq!(envelope["errors"][0]["code"], code, "{envelope}");
        assert!(envelope["message"].is_string());
        answer
    }

    pub(crate) fn data<T: DeserializeOwned>(&self) -> T {
        let envelope: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(envelope["isSuccess"], true);
        assert_eq!(self.header(CRC32_HEADER), format!("{:08x}", crc32fast::hash(&self.body)));
        serde_json::from_value(envelope["data"].clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }
}

/// What a body of this call is.
fn media_type(method: &Method, path: &str) -> &'static str {
    let path = path.split('?').next().unwrap();
    let part = |name: &str| path.split('/').any(|part| part == name);
    match *method {
        Method::POST if path.starts_with("/documents/") => NDJSON,
        Method::POST if path == "/backup/restore" => "application/zip",
        Method::PUT if part("restores") && !part("blobs") => NDJSON,
        Method::PUT if part("blobs") || part("attachments") => "application/octet-stream",
        _ => "application/json",
    }
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub(crate) fn document_path(collection: &str, id: &str) -> String {
    format!("/documents/{collection}?id={}", encode(id))
}

pub(crate) fn attachment_path(collection: &str, id: &str, name: &str) -> String {
    format!("/documents/{collection}/attachments?id={}&name={}", encode(id), encode(name))
}
