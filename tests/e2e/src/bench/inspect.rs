//! Looking into archives, measured: the same questions about a small one and about a huge one.

use super::{Page, Run, Shop, middle};
use crate::devtools::{Peak, Watcher};
use crate::fill;
use crate::server::demo_login;
use dikas_archive::api::{AttachmentRecord, CollectionSummary, Snapshot, SourceInfo};
use dikas_archive::catalog::category_of;
use dikas_archive::codec;
use dikas_archive::digest::Sha256;
use dikas_archive::part::{PartCutter, RawPart};
use dikas_archive::writer::BackupWriter;
use fantoccini::Locator;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;

/// So large is each file of a document.
const FILE_BYTES: usize = 100 << 20;

/// So many documents are made at once.
const CHUNK: u64 = 20_000;

/// What is asked.
pub const QUESTIONS: [(&str, &str); 6] = [
    ("open", "to open"),
    ("first", "the first rows"),
    ("row", "rows from far behind"),
    ("find", "a receipt by its id"),
    ("search", "a receipt number by searching all"),
    ("verify", "to verify"),
];

/// An archive to look into.
pub struct Archive {
    /// The file.
    pub file: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Receipts.
    pub documents: u64,
    /// Bytes of their lines.
    pub bytes: u64,
}

impl Archive {
    /// One with so many receipts and files of documents. It is made once.
    pub fn of(work: &Path, documents: u64, files: u64) -> Self {
        let file = work.join(format!("inspect-{documents}-{files}.zip"));
        if !file.is_file() {
            let part = file.with_extension("part");
            write(&part, documents, files);
            std::fs::rename(&part, &file).unwrap();
        }
        let reader = dikas_archive::reader::BackupReader::open(File::open(&file).unwrap()).unwrap();
        let bytes = reader.manifest().unwrap().unwrap().collections.iter().map(|it| it.bytes).sum();
        Self { size: reader.length(), file, documents, bytes }
    }

    /// Asks everything in so many fresh pages, but searches and verifies in the last one alone. What each took in the middle,
    /// and the memory at most.
    pub async fn questions(&self, server: &Shop, times: usize) -> Option<(Run, Peak)> {
        let mut runs: Vec<Run> = Vec::new();
        let mut most = None;
        for time in 0..times {
            let page = Page::open(&server.url, &demo_login()).await?;
            page.call("askForFile", vec![]).await;
            let input = page.browser.client.find(Locator::Css("#bench-file")).await.unwrap();
            let file = std::path::absolute(&self.file).unwrap();
            input.send_keys(file.to_str().unwrap()).await.unwrap();
            let wanted = self.documents * 4 / 5;
            let questions = json!({
                "row": wanted,
                "id": format!("rcp_{wanted:010}"),
                "query": format!("receiptNumber:{wanted}"),
                "everything": time + 1 == times,
            });
            let watcher = Watcher::start(&page.browser).await;
            runs.push(serde_json::from_value(page.call("inspect", vec![questions]).await).unwrap());
            most = Some(watcher.stop());
        }
        let middle_of = |question: &str| {
            let asked: Vec<f64> = runs.iter().filter_map(|run| run.phases.get(question)).copied().collect();
            (question.to_owned(), middle(asked))
        };
        let phases = QUESTIONS.iter().map(|(question, _)| middle_of(question)).collect();
        Some((Run { ms: 0.0, size: self.size as f64, phases }, most?))
    }
}

fn write(file: &Path, documents: u64, files: u64) {
    let out = File::options().read(true).write(true).create(true).truncate(true).open(file).unwrap();
    let mut writer = BackupWriter::new(out);
    let mut cutter = PartCutter::new("receipts".parse().unwrap());
    let mut bytes = 0;
    for from in (0..documents).step_by(CHUNK as usize) {
        let mut lines = Vec::new();
        for number in from..documents.min(from + CHUNK) {
            fill::receipt(&mut lines, number);
            lines.push(b'\n');
        }
        bytes += lines.len() as u64;
        put(&mut writer, cutter.push(&lines).unwrap());
    }
    put(&mut writer, cutter.finish().into_iter().collect());
    for number in 0..files {
        let content = fill::noise(number + 1, FILE_BYTES);
        writer
            .attachment_start(&AttachmentRecord {
                collection: "receipts".parse().unwrap(),
                id: format!("rcp_{number:010}"),
                name: "film.mp4".to_owned(),
                media_type: "video/mp4".to_owned(),
                size: content.len() as u64,
                sha256: Sha256::of(&content),
            })
            .unwrap();
        writer.attachment_data(&content).unwrap();
        writer.attachment_end().unwrap();
    }
    let collection = CollectionSummary {
        name: "receipts".parse().unwrap(),
        category: category_of("receipts"),
        documents,
        bytes,
        attachments: files,
        attachment_bytes: files * FILE_BYTES as u64,
    };
    let source = SourceInfo {
        installation: "0123456789abcdef".repeat(2),
        business: "Zum Goldenen Hirschen".to_owned(),
        product: "DiKAS 26.3".to_owned(),
        position: documents,
    };
    let (id, created) = ("0".repeat(32), "2026-11-23T18:59:41Z".to_owned());
    writer
        .finish(&Snapshot { id, created, source, collections: vec![collection], missing: Vec::new() })
        .unwrap();
}

/// Compresses parts side by side, and writes them in their order.
fn put(writer: &mut BackupWriter<File>, parts: Vec<RawPart>) {
    thread::scope(|scope| {
        let encode = |part: RawPart| {
            scope.spawn(move || {
                let (info, lines) = part.split();
                (info, codec::encode(&lines).unwrap())
            })
        };
        let encoding: Vec<_> = parts.into_iter().map(encode).collect();
        for encoded in encoding {
            let (info, encoded) = encoded.join().unwrap();
            writer.part(&info, &encoded).unwrap();
        }
    });
}
