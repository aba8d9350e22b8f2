//! Restores, measured: by the page and by the command line, each into an empty shop of its own, where a till is writing.

use super::{Page, Run, Shop};
use crate::api::Api;
use crate::devtools::{Peak, Watcher};
use crate::server::demo_login;
use crate::till::{Sold, Till};
use crate::tools::unzip;
use fantoccini::Locator;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the till writes: nothing that is restored.
const BESIDE: &str = "till-notes";

const EVERY: Duration = Duration::from_millis(100);

/// How often it is looked how much memory a process takes.
const LOOK: Duration = Duration::from_millis(20);

/// A backup, and what it holds.
pub struct Backup {
    /// The file.
    pub file: PathBuf,
    /// Documents in all, and receipts among them.
    pub documents: u64,
    /// Receipts.
    pub receipts: u64,
    /// Files of documents.
    pub attachments: u64,
    /// Bytes of all documents and files.
    pub bytes: u64,
    business: String,
}

/// What a restore took. Memory is in bytes.
pub struct Restore {
    /// The whole of it, and by phase.
    pub run: Run,
    /// Longest time that the till waited for an answer, in milliseconds.
    pub till_ms: f64,
    /// The page's peaks; none for the command line.
    pub page: Option<Peak>,
    /// What the command line took at most; none for the page.
    pub program: Option<u64>,
    /// What the server took at most, from its start on.
    pub server: u64,
}

impl Backup {
    /// Backs a shop up with the command line.
    pub fn of(shop: &Shop, program: &Path, file: &Path) -> Self {
        let _ = std::fs::remove_file(file);
        let status = command(shop, program, "create").arg("-o").arg(file).stderr(Stdio::null()).status();
        assert!(status.unwrap().success());
        let manifest = unzip(file).manifest();
        let collections = manifest["collections"].as_array().unwrap();
        let sum = |field: &str| collections.iter().map(|it| it[field].as_u64().unwrap()).sum::<u64>();
        let receipts = collections.iter().find(|it| it["name"] == "receipts").unwrap();
        let attachments = manifest["attachments"].as_array().unwrap();
        let sizes: u64 = attachments.iter().map(|it| it["size"].as_u64().unwrap()).sum();
        Self {
            file: file.to_owned(),
            documents: sum("documents"),
            receipts: receipts["documents"].as_u64().unwrap(),
            attachments: attachments.len() as u64,
            bytes: sum("bytes") + sizes,
            business: manifest["source"]["business"].as_str().unwrap().to_owned(),
        }
    }

    /// Restores it through the page, in a browser of its own.
    pub async fn by_page(&self, server: &Path) -> Option<Restore> {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::empty(server, folder.path());
        let page = Page::open(&shop.url, &shop.login).await?;
        page.call("askForFile", vec![]).await;
        let input = page.browser.client.find(Locator::Css("#bench-file")).await.unwrap();
        let file = std::path::absolute(&self.file).unwrap();
        input.send_keys(file.to_str().unwrap()).await.unwrap();
        let till = till(&shop).await;
        let watcher = Watcher::start(&page.browser).await;
        let run = page.call("restore", vec![page.token.clone(), self.business.as_str().into()]).await;
        let peak = watcher.stop();
        let run = serde_json::from_value(run).unwrap();
        let till_ms = all_kept(&shop, till.stop().await).await;
        Some(Restore { run, till_ms, page: Some(peak), program: None, server: shop.peak_memory() })
    }

    /// Restores it with the command line.
    pub async fn by_program(&self, server: &Path, program: &Path) -> Restore {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::empty(server, folder.path());
        let till = till(&shop).await;
        let start = Instant::now();
        let mut command = command(&shop, program, "restore");
        command.arg(&self.file).args(["--yes", "--json", "--business", &self.business]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        let status = loop {
            peak = peak.max(peak_memory(&process).unwrap_or_default());
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            tokio::time::sleep(LOOK).await;
        };
        let ms = start.elapsed().as_secs_f64() * 1000.0;
        assert!(status.success());
        let till_ms = all_kept(&shop, till.stop().await).await;
        let run = Run { ms, size: self.bytes as f64, phases: BTreeMap::new() };
        Restore { run, till_ms, page: None, program: Some(peak), server: shop.peak_memory() }
    }
}

/// The program with the login of a shop.
fn command(shop: &Shop, program: &Path, command: &str) -> Command {
    let mut run = Command::new(program);
    run.args([command, "--url", &shop.url, "--user", &shop.login.0]).env("DIKAS_PASSWORD", &shop.login.1);
    run
}

/// A till that knows a login of before the restore, and one of after it.
async fn till(shop: &Shop) -> Till {
    let logins = [shop.login.clone(), demo_login()];
    Till::start(&shop.url, &logins, BESIDE, "note_".to_owned(), EVERY).await
}

/// Makes sure that everything is there that the till was told is saved; the longest it waited.
async fn all_kept(shop: &Shop, sold: Sold) -> f64 {
    let (username, password) = demo_login();
    let api = Api::login(&shop.url, &username, &password).await;
    for (id, body) in &sold.documents {
        assert_eq!(&api.document(BESIDE, id).await, body, "{id}");
    }
    sold.longest_ms
}

/// What a process took at most so far, in bytes; none once it has ended.
pub(super) fn peak_memory(process: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(peak.parse::<u64>().ok()? * 1024)
}
