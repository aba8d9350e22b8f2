//! Files: names, ranges, types, limits.

use crate::bench::{Answer, Bench, attachment_path, document_path};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use dikas_archive::api::{AttachmentRecord, CRC32_HEADER};
use dikas_archive::digest::Sha256;

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const BAD: StatusCode = StatusCode::BAD_REQUEST;

#[tokio::test]
async fn a_file_comes_back_under_any_name_that_it_can_have() {
    let bench = bench_with("articles", "art_1").await;
    let long = "x".repeat(255);
    for name in ["a.txt", "../../etc/passwd", "C:\\x", "Foto ä/ö 100%.bmp", ".", "\u{1F600}", &long] {
        let path = attachment_path("articles", "art_1", name);
        let record: AttachmentRecord = bench.put(&path, name.to_owned()).await.expect(CREATED).data();
        assert_eq!((record.name.as_str(), record.sha256), (name, Sha256::of(name.as_bytes())));
        let answer = bench.get(&path).await.expect(OK);
        assert_eq!(answer.body, name);
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert!(answer.header("content-disposition").starts_with("attachment; filename*=UTF-8''"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        let digits = record.sha256.to_string();
        let blob = bench.folder.path().join("data/blobs").join(&digits[..2]).join(&digits[2..]);
        assert_eq!(std::fs::read(blob).unwrap(), name.as_bytes());
    }
    let list = bench.get("/documents/articles/attachments?id=art_1").await.expect(OK);
    assert_eq!(list.data::<Vec<AttachmentRecord>>().len(), 7);
    for name in ["", "a\0", "a\n", "\u{7F}", &"x".repeat(256), &"ä".repeat(128)] {
        let path = attachment_path("articles", "art_1", name);
        bench.put(&path, "x").await.fails(BAD, "bad-request");
    }
    bench.put("/documents/articles/attachments?id=art_1", "x").await.fails(BAD, "bad-request");
}

#[tokio::test]
async fn a_file_needs_its_document_and_goes_with_it() {
    let bench = bench_with("articles", "art_1").await;
    let path = attachment_path("articles", "art_1", "a");
    let orphan = attachment_path("articles", "art_2", "a");
    bench.put(&orphan, "x").await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.put(&path, "one").await.expect(CREATED);
    bench.put(&path, "one").await.expect(OK);
    bench.put(&path, "two").await.expect(OK);
    assert_eq!(bench.get(&path).await.body, "two");
    bench.delete(&path).await.expect(OK);
    bench.delete(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.put(&path, "three").await.expect(CREATED);
    bench.delete(&document_path("articles", "art_1")).await.expect(OK);
    bench.get(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    let again = bench.put(&document_path("articles", "art_1"), r#"{"_id":"art_1"}"#).await;
    again.expect(CREATED);
    bench.get(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
}

#[tokio::test]
async fn a_file_of_a_signed_document_stays() {
    let bench = bench_with("receipts", "rcp_1").await;
    let path = attachment_path("receipts", "rcp_1", "scan.pdf");
    bench.put(&path, "one").await.expect(CREATED);
    bench.put(&path, "one").await.expect(OK);
    bench.put(&path, "two").await.fails(StatusCode::CONFLICT, "signed-document");
    let request = Request::put(format!("/api/v1{path}")).header("authorization", bearer(&bench));
    let request = request.header("content-type", "text/plain").body(Body::from("one")).unwrap();
    let same: AttachmentRecord = bench.send(request).await.expect(OK).data();
    assert_eq!(same.media_type, "application/octet-stream", "the first type stays");
    bench.delete(&path).await.fails(StatusCode::CONFLICT, "signed-document");
    assert_eq!(bench.get(&path).await.body, "one");
}

#[tokio::test]
async fn only_pictures_are_called_pictures() {
    let bench = bench_with("articles", "art_1").await;
    let cases: [(&[u8], &str); 6] = [
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ];
    for (bytes, expected) in cases {
        let path = attachment_path("articles", "art_1", expected);
        bench.put(&path, bytes.to_vec()).await;
        assert_eq!(bench.get(&path).await.header("content-type"), expected);
        assert_eq!(bench.get(&path).await.body, bytes);
    }
}

#[tokio::test]
async fn a_blob_comes_whole_or_in_the_range_that_was_asked_for() {
    let bench = bench_with("articles", "art_1").await;
    let bytes: Vec<u8> = (0..1_000_000u32).map(|number| (number % 251) as u8).collect();
    let path = attachment_path("articles", "art_1", "large");
    let record: AttachmentRecord = bench.put(&path, bytes.clone()).await.expect(CREATED).data();
    let snapshot = bench.snapshot().await;
    let blob = format!("/backup/snapshots/{}/blobs/{}", snapshot.id, record.sha256);
    let whole = ranged(&bench, &blob, None, None).await.expect(OK);
    assert_eq!(whole.body, bytes);
    assert_eq!(whole.header("content-length"), "1000000");
    assert_eq!(whole.header(CRC32_HEADER), format!("{:08x}", crc32fast::hash(&bytes)));
    let part = ranged(&bench, &blob, Some("bytes=300000-599999"), None).await;
    let part = part.expect(StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, bytes[300_000..600_000]);
    assert_eq!(part.header("content-range"), "bytes 300000-599999/1000000");
    assert_eq!(part.header("content-length"), "300000");
    assert_eq!(part.header(CRC32_HEADER), format!("{:08x}", crc32fast::hash(&bytes[300_000..600_000])));
    let beyond = ranged(&bench, &blob, Some("bytes=1000000-"), None).await;
    let beyond = beyond.expect(StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), "bytes */1000000");
    let current = format!("\"{}\"", record.sha256);
    ranged(&bench, &blob, Some("bytes=1-"), Some(&current)).await.expect(StatusCode::PARTIAL_CONTENT);
    ranged(&bench, &blob, Some("bytes=1-"), Some("\"other\"")).await.expect(OK);
    let wrong = format!("/backup/snapshots/{}/blobs/..%2F..%2Fsecret", snapshot.id);
    bench.get(&wrong).await.fails(BAD, "bad-request");
}

#[tokio::test]
async fn several_small_files_come_in_one_answer() {
    let bench = bench_with("articles", "art_1").await;
    let mut put = Vec::new();
    for (name, bytes) in [("a", b"first".as_slice()), ("b", b""), ("c", b"third")] {
        let path = attachment_path("articles", "art_1", name);
        let record: AttachmentRecord = bench.put(&path, bytes.to_vec()).await.expect(CREATED).data();
        put.push(record.sha256.to_string());
    }
    let snapshot = bench.snapshot().await;
    let blobs = |list: &str| format!("/backup/snapshots/{}/blobs/{list}", snapshot.id);
    let list = [&*put[2], &put[1], &put[0], &put[2]].join(",");
    let answer = bench.get(&blobs(&list)).await.expect(OK);
    assert_eq!(answer.body, b"thirdfirstthird".as_slice());
    assert_eq!(answer.header("etag"), format!("\"{list}\""));
    assert_eq!(answer.header(CRC32_HEADER), format!("{:08x}", crc32fast::hash(b"thirdfirstthird")));

    let stranger = dikas_archive::digest::Sha256::of(b"nobody's");
    bench.get(&blobs(&format!("{},{stranger}", put[0]))).await.fails(StatusCode::NOT_FOUND, "not-found");
    bench.get(&blobs(&vec![&*put[0]; 65].join(","))).await.fails(BAD, "bad-request");
    bench.get(&blobs(&format!("{},", put[0]))).await.fails(BAD, "bad-request");

    let path = attachment_path("articles", "art_1", "large");
    let large: AttachmentRecord = bench.put(&path, vec![7; 9 << 20]).await.expect(CREATED).data();
    let snapshot = bench.snapshot().await;
    let twice = format!("/backup/snapshots/{}/blobs/{1},{1}", snapshot.id, large.sha256);
    bench.get(&twice).await.fails(BAD, "bad-request");
}

#[tokio::test]
async fn a_file_that_is_too_large_leaves_nothing_behind() {
    let bench = Bench::with(|config| config.limits.attachment_bytes = 1000).await;
    let document = document_path("articles", "art_1");
    bench.put(&document, r#"{"_id":"art_1"}"#).await.expect(CREATED);
    let path = attachment_path("articles", "art_1", "a");
    bench.put(&path, vec![0; 1001]).await.fails(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    bench.get(&path).await.fails(StatusCode::NOT_FOUND, "not-found");
    let left: Vec<_> = std::fs::read_dir(bench.folder.path().join("data/blobs")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the folder of uploads: {left:?}");
    let uploads = bench.folder.path().join("data/blobs/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    bench.put(&path, vec![0; 1000]).await.expect(CREATED);
}

async fn bench_with(collection: &str, id: &str) -> Bench {
    let bench = Bench::new().await;
    let body = format!(r#"{{"_id":"{id}"}}"#);
    bench.put(&document_path(collection, id), body).await.expect(CREATED);
    bench
}

async fn ranged(bench: &Bench, path: &str, range: Option<&str>, if_range: Option<&str>) -> Answer {
    let mut request = Request::get(format!("/api/v1{path}")).header("authorization", bearer(bench));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    if let Some(tag) = if_range {
        request = request.header("if-range", tag);
    }
    bench.send(request.body(Body::empty()).unwrap()).await
}

fn bearer(bench: &Bench) -> String {
    format!("Bearer {}", bench.admin)
}
