//! A snapshot over HTTP. Every answer is checked before it counts: a page that was cut cleanly between two lines, came
//! twice, or was touched on its way is noticed and asked for again.

use super::client::{Client, Patience, bad_answer, check_crc32, data, found};
use super::transport::{Method, Request, Response, Transport};
use super::{Page, Source, read_file};
use crate::api::{
    AttachmentPage, AttachmentRecord, CollectionSummary, DOCUMENTS_HEADER, NDJSON, NEXT_HEADER, Snapshot,
    SnapshotRequest, is_moment, is_random_id,
};
use crate::catalog::CollectionName;
use crate::digest::Sha256;
use crate::document;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_DOCUMENT_BYTES;
use percent_encoding::percent_decode_str;
use std::cell::Cell;
use std::rc::Rc;

/// How long the server gets to let a snapshot go. One that it cannot be told about expires by itself.
const CLOSE_MILLISECONDS: u64 = 5_000;

/// An open snapshot of a server.
#[derive(Debug)]
pub struct HttpSource<T> {
    client: Client<T>,
    snapshot: Snapshot,
    /// The most bytes of a page or a file that are asked for at once: fewer and fewer on a slow line.
    at_once: Cell<u64>,
}

impl<T: Transport> HttpSource<T> {
    /// Asks the server for a snapshot of the chosen categories.
    ///
    /// # Errors
    /// Those of [`client::send`](super::client::send), here and in every method of [`Source`].
    pub async fn open(transport: T, request: &SnapshotRequest) -> Result<Self> {
        let client = Client::new(transport);
        let request = Request::new(Method::Post, "/backup/snapshots").json(request)?;
        // Should the answer get lost, the snapshot that nobody knows of expires by itself.
        let snapshot =
            client.call(request, |answer| check_snapshot(data(answer)?), Patience::repeatable()).await?;
        Ok(Self { client, snapshot, at_once: Cell::new(u64::MAX) })
    }

    /// Takes up a snapshot that has been opened before, if the server still holds it.
    ///
    /// # Errors
    /// `snapshot-gone` where it does not.
    pub async fn resume(transport: T, snapshot: Snapshot) -> Result<Self> {
        let client = Client::new(transport);
        let source = Self { client, snapshot, at_once: Cell::new(u64::MAX) };
        let request = Request::new(Method::Get, source.path(""));
        let accept = |answer| check_snapshot(data(answer)?);
        let held = source.client.call(request, accept, Patience::of(Method::Get)).await?;
        if held != source.snapshot {
            let message = "the server holds another moment under this snapshot's id";
            return Err(Error::new(ErrorKind::SnapshotGone, message)
                .expected(&source.snapshot.created, &held.created));
        }
        Ok(source)
    }

    fn path(&self, rest: &str) -> String {
        format!("/backup/snapshots/{}{rest}", self.snapshot.id)
    }

    /// Asks for so many bytes, or fewer on a slow line.
    async fn piece<R>(
        &self,
        max_bytes: u64,
        request: impl Fn(u64) -> Request,
        accept: impl Fn(Response, u64) -> Result<R>,
    ) -> Result<R> {
        let piece = self.client.call_for_piece(max_bytes, &self.at_once, request, accept).await;
        piece.map_err(with_advice)
    }
}

impl<T: Transport> Source for HttpSource<T> {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    async fn page(&self, collection: &CollectionName, after: Option<&str>, max_bytes: u64) -> Result<Page> {
        let path = self.path(&format!("/documents/{collection}"));
        let request = |max_bytes: u64| {
            let mut request =
                Request::new(Method::Get, path.as_str()).query("maxBytes", &max_bytes.to_string());
            if let Some(after) = after {
                request = request.query("after", after);
            }
            request.max_bytes = max_bytes.saturating_add(MAX_DOCUMENT_BYTES as u64 + 1);
            request
        };
        let announced = self.snapshot.collections.iter().find(|summary| summary.name == *collection);
        let page = self.piece(max_bytes, request, |answer, _| check_page(answer, after, announced)).await;
        page.map_err(|error| error.on(collection.as_str()))
    }

    async fn attachments(&self, after: Option<&str>) -> Result<AttachmentPage> {
        let mut request = Request::new(Method::Get, self.path("/attachments"));
        if let Some(after) = after {
            request = request.query("after", after);
        }
        let accept = |answer| check_records(data(answer)?, after);
        let page = self.client.call(request, accept, Patience::of(Method::Get)).await;
        page.map_err(with_advice)
    }

    async fn read(&self, blob: &Sha256, from: u64, max_bytes: u64) -> Result<Vec<u8>> {
        if max_bytes == 0 {
            return Ok(Vec::new());
        }
        let path = self.path(&format!("/blobs/{blob}"));
        let request = |max_bytes: u64| {
            let last = from.saturating_add(max_bytes - 1);
            let mut request =
                Request::new(Method::Get, path.as_str()).header("range", format!("bytes={from}-{last}"));
            request.max_bytes = max_bytes;
            request
        };
        let name = blob.to_string();
        self.piece(max_bytes, request, |answer, _| check_range(answer, &name, from)).await
    }

    async fn read_files(&self, files: &[Rc<AttachmentRecord>]) -> Result<Vec<Vec<u8>>> {
        match files.first() {
            None => return Ok(Vec::new()),
            // On a slow line it comes in ranges.
            Some(first) if first.size > self.at_once.get() => return Ok(vec![read_file(self, first).await?]),
            Some(_) => {}
        }
        let wanted = |bytes: u64| files.get(..fitting(files, bytes)).unwrap_or_default();
        let request = |bytes: u64| {
            let wanted = wanted(bytes);
            let mut request = Request::new(Method::Get, self.path(&format!("/blobs/{}", list(wanted))));
            request.max_bytes = size(wanted);
            request
        };
        self.piece(size(files), request, |answer, bytes| check_files(answer, wanted(bytes))).await
    }

    async fn close(self) -> Result<()> {
        let mut request = Request::new(Method::Delete, self.path(""));
        request.idle_milliseconds = CLOSE_MILLISECONDS;
        request.total_milliseconds = CLOSE_MILLISECONDS;
        self.client.farewell(request).await
    }
}

/// The id becomes part of every path that follows, so it has to be what the API says.
fn check_snapshot(snapshot: Snapshot) -> Result<Snapshot> {
    if !is_random_id(&snapshot.id) {
        return Err(
            bad_answer("the snapshot has no id").expected("32 hex digits", format!("{:?}", snapshot.id))
        );
    }
    if !is_moment(&snapshot.created) {
        return Err(bad_answer("the snapshot has no moment")
            .expected("a moment such as 2026-11-23T18:59:41Z", format!("{:?}", snapshot.created)));
    }
    if !snapshot.collections.is_sorted_by(|a, b| a.name < b.name) {
        return Err(bad_answer("the snapshot's collections are out of order"));
    }
    Ok(snapshot)
}

/// The headers say how many lines there are, what they add up to and where they end: each is compared. A page that is
/// all of its collection has what the snapshot announced of it. The order of the lines in between is the part cutter's to
/// check.
fn check_page(
    response: Response,
    after: Option<&str>,
    announced: Option<&CollectionSummary>,
) -> Result<Page> {
    if response.media_type() != NDJSON {
        return Err(bad_answer("not a page of documents").expected(NDJSON, found(&response)));
    }
    let documents = response.header(DOCUMENTS_HEADER).and_then(|value| value.parse::<u64>().ok());
    let checked = check_crc32(&response, "a page of documents is garbled");
    let Some(documents) = documents.filter(|_| checked != Ok(false)) else {
        return Err(bad_answer("a page of documents does not say how much it holds"));
    };
    let next = match response.header(NEXT_HEADER) {
        None => None,
        Some(value) => {
            let decoded = percent_decode_str(value).decode_utf8();
            Some(decoded.map_err(|_| bad_answer("a page's cursor is not UTF-8"))?.into_owned())
        }
    };
    let lines = response.body;
    let counted = memchr::memchr_iter(b'\n', &lines).count() as u64;
    if counted != documents || lines.last().is_some_and(|&byte| byte != b'\n') {
        return Err(
            bad_answer("a page of documents is cut").expected(documents, format!("{counted} documents"))
        );
    }
    checked?;
    let whole = announced.filter(|_| after.is_none() && next.is_none());
    if let Some(whole) = whole.filter(|it| (it.documents, it.bytes) != (documents, lines.len() as u64)) {
        return Err(bad_answer("a page is not of this collection, or not all of it").expected(
            format!("{} documents in {} bytes", whole.documents, whole.bytes),
            format!("{documents} documents in {} bytes", lines.len()),
        ));
    }
    let Some(first) = document::lines(&lines).next() else {
        let may_be_empty = after.is_none() && announced.is_none_or(|summary| summary.documents == 0);
        return if may_be_empty && next.is_none() {
            Ok(Page { lines, documents, next })
        } else {
            Err(bad_answer("a page of documents is empty").expected("at least one document", "none"))
        };
    };
    let first_id = id_of(first)?;
    if after.is_some_and(|after| first_id.as_str() <= after) {
        return Err(
            bad_answer("a page of documents came twice").expected(format!("ids after {after:?}"), first_id)
        );
    }
    if let Some(next) = &next {
        let whole = lines.strip_suffix(b"\n").unwrap_or(&lines);
        let last = whole.rsplit(|byte| *byte == b'\n').next().map_or(Ok(first_id), id_of)?;
        if last != *next {
            return Err(bad_answer("a page does not end where its cursor says").expected(next, last));
        }
    }
    Ok(Page { lines, documents, next })
}

fn id_of(line: &[u8]) -> Result<String> {
    document::id_of(line).map_err(|error| Error { kind: ErrorKind::BadAnswer, ..error })
}

/// Whether these are records behind the cursor `after`: those before it end where it points.
fn check_records(page: AttachmentPage, after: Option<&str>) -> Result<AttachmentPage> {
    if after.is_some() && page.next.as_deref() == after {
        return Err(bad_answer("a page of attachments came twice"));
    }
    Ok(page)
}

/// How many of these files are asked for at once where so many bytes may be: one at least.
fn fitting(files: &[Rc<AttachmentRecord>], bytes: u64) -> usize {
    let mut sum = 0_u64;
    let fit = files.iter().take_while(|file| {
        sum = sum.saturating_add(file.size);
        sum <= bytes
    });
    fit.count().max(1)
}

/// How the API names several files in one request.
fn list(files: &[Rc<AttachmentRecord>]) -> String {
    let digests: Vec<String> = files.iter().map(|file| file.sha256.to_string()).collect();
    digests.join(",")
}

fn size(files: &[Rc<AttachmentRecord>]) -> u64 {
    files.iter().map(|file| file.size).fold(0, u64::saturating_add)
}

/// The bytes of several files, one behind the other.
fn check_files(response: Response, files: &[Rc<AttachmentRecord>]) -> Result<Vec<Vec<u8>>> {
    let mut bytes = check_range(response, &list(files), 0)?;
    if bytes.len() as u64 != size(files) {
        return Err(bad_answer("files are not as long as their records say")
            .expected(format!("{} bytes", size(files)), bytes.len()));
    }
    let mut found = Vec::with_capacity(files.len());
    for file in files.iter().rev() {
        let rest = bytes.len().saturating_sub(usize::try_from(file.size).unwrap_or(usize::MAX));
        found.push(bytes.split_off(rest));
    }
    found.reverse();
    Ok(found)
}

/// RFC 9110 section 14: 206 with the range it holds, or 200 with the whole. The entity tag is the digest of the file, and
/// no file is served as text.
fn check_range(response: Response, blob: &str, from: u64) -> Result<Vec<u8>> {
    let media_type = response.media_type();
    if !matches!(media_type.as_str(), "" | "application/octet-stream") && !media_type.starts_with("image/") {
        return Err(bad_answer("not the bytes of a file").expected("application/octet-stream", media_type));
    }
    let tag = format!("\"{blob}\"");
    if let Some(other) = response.header("etag").filter(|value| **value != tag) {
        return Err(bad_answer("the server sent another file than it was asked for").expected(tag, other));
    }
    let starts_at = match response.status {
        206 => response
            .header("content-range")
            .and_then(|value| value.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()),
        _ => Some(0),
    };
    if starts_at != Some(from) {
        return Err(bad_answer("the server sent another range of a file than it was asked for")
            .expected(from, starts_at.map_or("none".to_owned(), |at: u64| at.to_string())));
    }
    if response.status == 206 && response.body.is_empty() {
        return Err(bad_answer("a range of a file is empty"));
    }
    check_crc32(&response, "a range of a file is garbled")?;
    Ok(response.body)
}

/// A bad answer that comes again and again is seldom the server's doing.
fn with_advice(error: Error) -> Error {
    if error.kind != ErrorKind::BadAnswer {
        return error;
    }
    let message = format!(
        "{}, and so again when asked anew; something between here and the server (a proxy, a virus scanner) may \
         change its answers: try from a machine next to the server",
        error.message
    );
    Error { message, ..error }
}
