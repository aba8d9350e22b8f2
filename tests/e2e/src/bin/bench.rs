//! `bench SERVER PROGRAM WORK OUT [--quick] [--large] [--only=TABLE]…`: measures the engine in a real browser against the release server
//! `SERVER`, and the command line `PROGRAM`, keeps its data in the folder `WORK`, and writes the tables to `OUT`.
//! `cargo xtask bench` prepares all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in tests"
)]

use dikas_e2e::bench::inspect::{Archive, QUESTIONS};
use dikas_e2e::bench::restore::{Backup, Restore};
use dikas_e2e::bench::server::{self, Latency, Noticed};
use dikas_e2e::bench::{self, FirstPage, Page, Run, Shop, Way, middle};
use dikas_e2e::devtools::Peak;
use dikas_e2e::server::demo_login;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// So many copies of the receipts make the demo data 500 MB, and 5 GB.
const HALF_A_GIGABYTE: u32 = 8;
const FIVE_GIGABYTES: u32 = 91;

/// So many times the receipts are 500 MB.
const TIMES: usize = 9;

const WAYS: [Way; 3] = [Way::Engine, Way::BrotliWasm, Way::ZipJs];

struct Bench {
    server: PathBuf,
    program: PathBuf,
    work: PathBuf,
    quick: bool,
    large: bool,
    report: String,
}

#[tokio::main]
async fn main() {
    let (options, paths): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let [server, program, work, out] = paths.as_slice() else {
        panic!("usage: bench SERVER PROGRAM WORK OUT [--quick] [--large]")
    };
    let mut bench = Bench {
        server: server.into(),
        program: program.into(),
        work: work.into(),
        quick: options.iter().any(|option| option == "--quick"),
        large: options.iter().any(|option| option == "--large"),
        report: String::new(),
    };
    bench.machine().await;
    let only: Vec<&str> = options.iter().filter_map(|option| option.strip_prefix("--only=")).collect();
    let wanted = |table: &str| only.is_empty() || only.contains(&table);
    if wanted("encoding") {
        bench.encoding().await;
    }
    if wanted("jobs") {
        bench.whole_jobs().await;
    }
    if wanted("memory") {
        bench.memory().await;
    }
    if wanted("restores") {
        bench.restores().await;
    }
    if wanted("server") {
        bench.server().await;
    }
    if wanted("inspect") {
        bench.inspect().await;
    }
    if wanted("page") {
        bench.first_page().await;
    }
    std::fs::write(out, bench.report).unwrap();
}

impl Bench {
    async fn machine(&mut self) {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu =
            cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|it| it.1);
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
        let memory = memory.and_then(|kib| kib.parse::<f64>().ok()).map_or(0.0, |kib| kib * 1024.0 / 1e9);
        let browser = dikas_e2e::browser::Browser::start().await.expect("a browser");
        let version = browser.client.capabilities().expect("capabilities")["browserVersion"].clone();
        let today = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output().unwrap().stdout;
        let _ = writeln!(
            self.report,
            "{}, on a machine with {} cores ({}), {memory:.0} GB of memory, headless Chromium {}. Times are medians, and \
             the ratios of a table come from one run, in which the rows took turns.{}",
            String::from_utf8_lossy(&today).trim(),
            cores(),
            cpu.unwrap_or("unknown").trim(),
            version.as_str().unwrap_or("unknown"),
            if self.quick { " A quick run: few times, rough figures." } else { "" },
        );
    }

    async fn encoding(&mut self) {
        let shop = self.shop(0).await;
        let receipts = bench::receipts(&shop.api().await).await;
        let files = bench::files(&self.work.join("parts"), &receipts);
        let whole = bench::files(&self.work.join("whole"), &[receipts.concat()]);
        let bytes: usize = receipts.iter().map(Vec::len).sum();
        let (browsers, again) = if self.quick { (1, 2) } else { (3, 5) };

        let counts = if cores() > 1 { vec![1, cores()] } else { vec![1] };
        let mut first = vec![Vec::new(); counts.len()];
        let mut warm = vec![Vec::new(); counts.len()];
        let (mut parts, mut narrow, mut one_file) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..browsers {
            for (at, count) in counts.iter().enumerate() {
                say(format_args!("encoding with {count}"));
                let page = Page::open(&shop.url, &demo_login()).await.expect("a browser");
                page.load_receipts(&receipts).await;
                page.start_encoders(*count).await;
                first[at].push(page.encode(1).await);
                for _ in 0..again {
                    parts.push(bench::brotli(&files, None));
                    warm[at].push(page.encode(1).await);
                    narrow.push(bench::brotli(&files, Some(20)));
                    one_file.push(bench::brotli(&whole, None));
                }
            }
        }
        let _ = writeln!(
            self.report,
            "\n| {:.0} MB of receipts in {} parts of 8 MiB; the engine verifies each | time | MB/s | size | size, C = 1 \
             | speed, C = 1 |\n|---|--:|--:|--:|--:|--:|",
            bytes as f64 / 1e6,
            receipts.len()
        );
        let beside = median(&parts);
        let mut row = |what: &str, runs: &[Run]| {
            let run = median(runs);
            let _ = writeln!(
                self.report,
                "| {what} | {} | {:.0} | {:.3} MB | {:.3} | {:.2} |",
                seconds(run.ms),
                bytes as f64 / 1e3 / run.ms,
                run.size / 1e6,
                run.size / beside.size,
                beside.ms / run.ms
            );
        };
        row("C `brotli -q 5`, one process, the same parts", &parts);
        row("the same with `-w 20`, the engine's window", &narrow);
        row("the same, all lines as one file", &one_file);
        for (at, count) in counts.iter().enumerate() {
            row(&format!("{}, just started", workers(*count)), &first[at]);
            row(&format!("{}, warm", workers(*count)), &warm[at]);
        }
        if !self.quick && cores() > 1 {
            self.two_over_one(&shop, &receipts).await;
        }
    }

    /// Encoding 500 MB with one and with all workers, in turns.
    async fn two_over_one(&mut self, shop: &Shop, receipts: &[Vec<u8>]) {
        let page = Page::open(&shop.url, &demo_login()).await.expect("a browser");
        page.load_receipts(receipts).await;
        let (mut one, mut all) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            for (count, runs) in [(1, &mut one), (cores(), &mut all)] {
                say(format_args!("encoding 500 MB with {count}"));
                page.start_encoders(count).await;
                page.encode(1).await;
                runs.push(page.encode(TIMES).await);
            }
        }
        let bytes = TIMES * receipts.iter().map(Vec::len).sum::<usize>();
        let (one, all) = (median(&one), median(&all));
        let _ = writeln!(
            self.report,
            "\nThe same lines {TIMES} times, {:.0} MB: one worker {}, {} {}: {:.2} times as fast.",
            bytes as f64 / 1e6,
            seconds(one.ms),
            workers(cores()),
            seconds(all.ms),
            one.ms / all.ms
        );
    }

    async fn whole_jobs(&mut self) {
        self.whole_job(0, if self.quick { (1, 2) } else { (3, 3) }).await;
        if !self.quick {
            self.whole_job(HALF_A_GIGABYTE, (1, 3)).await;
        }
    }

    /// The whole job in so many fresh browsers, and in each so many times more.
    async fn whole_job(&mut self, copies: u32, (browsers, again): (usize, usize)) {
        let shop = self.shop(copies).await;
        let bytes = bench::size(&shop.api().await).await as f64;
        let mut first = [const { Vec::new() }; WAYS.len()];
        let mut warm = [const { Vec::new() }; WAYS.len()];
        for _ in 0..browsers {
            let page = Page::open(&shop.url, &demo_login()).await.expect("a browser");
            let ways = if page.load_libraries(&self.libraries()).await { WAYS.len() } else { 1 };
            for round in 0..=again {
                for turn in 0..ways {
                    let at = (turn + round) % ways;
                    say(format_args!("{:.0} MB: {}", bytes / 1e6, self.name(WAYS[at])));
                    let run = page.back_up(WAYS[at]).await;
                    if round == 0 { first[at].push(run) } else { warm[at].push(run) }
                }
            }
        }
        let _ = writeln!(
            self.report,
            "\n| The whole job on {:.0} MB | first time | again | MB/s | time, engine = 1 | size |\n\
             |---|--:|--:|--:|--:|--:|",
            bytes / 1e6
        );
        let ours = median(&warm[0]);
        for (at, way) in WAYS.into_iter().enumerate() {
            let what = self.name(way);
            if warm[at].is_empty() {
                let _ = writeln!(self.report, "| {what} | not measured | | | | |");
                continue;
            }
            let run = median(&warm[at]);
            let _ = writeln!(
                self.report,
                "| {what} | {} | {} | {:.0} | {:.2} | {:.1} MB |",
                seconds(median(&first[at]).ms),
                seconds(run.ms),
                bytes / 1e3 / run.ms,
                run.ms / ours.ms,
                run.size / 1e6
            );
        }
        self.phases(&ours);
    }

    /// What the time of the engine goes to.
    fn phases(&mut self, run: &Run) {
        let words = [
            ("open", "starting and opening the snapshot"),
            ("documents", "documents"),
            ("attachments", "files"),
            ("finish", "the manifest"),
            ("verify", "reading back"),
        ];
        let spent = words.map(|(phase, words)| {
            format!("{words} {}", seconds(run.phases.get(phase).copied().unwrap_or(0.0)))
        });
        let _ = writeln!(self.report, "\nThe engine's time, again: {}.", spent.join(", "));
    }

    async fn memory(&mut self) {
        let sizes = [(0, true), (HALF_A_GIGABYTE, !self.quick), (FIVE_GIGABYTES, self.large)];
        let _ = writeln!(
            self.report,
            "\n| Memory at most, MiB | WebAssembly: the job | WebAssembly: an encoder | the tab's process | before | time \
             |\n|---|--:|--:|--:|--:|--:|"
        );
        for (copies, wanted) in sizes {
            if !wanted {
                continue;
            }
            let shop = self.shop(copies).await;
            let bytes = bench::size(&shop.api().await).await as f64;
            let page = Page::open(&shop.url, &demo_login()).await.expect("a browser");
            say(format_args!("memory at {:.0} MB", bytes / 1e6));
            let (run, Peak { job, encoder, tab_before, tab }) = page.memory().await;
            let _ = writeln!(
                self.report,
                "| backup of {} | {} | {} | {} | {} | {} |",
                if bytes < 1e9 { format!("{:.0} MB", bytes / 1e6) } else { format!("{:.1} GB", bytes / 1e9) },
                mib(job),
                mib(encoder),
                mib(tab),
                mib(tab_before),
                seconds(run.ms)
            );
        }
        if !self.large {
            let _ = writeln!(self.report, "| backup of 5 GB | not measured (`--large`) | | | | |");
        }
    }

    /// Full restores into empty shops, by turns.
    async fn restores(&mut self) {
        let backup = Backup::of(&self.shop(0).await, &self.program, &self.work.join("restored.zip"));
        let (mut by_page, mut by_program) = (Vec::new(), Vec::new());
        for _ in 0..if self.quick { 1 } else { 3 } {
            say(format_args!("restoring by the page"));
            by_page.push(backup.by_page(&self.server).await.expect("a browser"));
            say(format_args!("restoring by the command line"));
            by_program.push(backup.by_program(&self.server, &self.program).await);
        }
        let _ = writeln!(
            self.report,
            "\n| Restoring {} documents ({} receipts) and {} files, {:.0} MB, into an empty shop | time | documents/s | MB/s \
             | longest wait of a till | memory, MiB | the server's |\n|---|--:|--:|--:|--:|--:|--:|",
            backup.documents,
            backup.receipts,
            backup.attachments,
            backup.bytes as f64 / 1e6
        );
        for (what, all) in [("by the page", &by_page), ("by `dikas-backup restore`", &by_program)] {
            let ms = middle(all.iter().map(|it| it.run.ms).collect());
            let most = |of: &dyn Fn(&Restore) -> u64| mib(all.iter().map(of).max().unwrap_or_default());
            let memory = match all[0].page {
                Some(_) => format!(
                    "{} WebAssembly, {} the tab's process",
                    most(&|it| it.page.map_or(0, |peak| peak.job)),
                    most(&|it| it.page.map_or(0, |peak| peak.tab))
                ),
                None => format!("{} the process", most(&|it| it.program.unwrap_or_default())),
            };
            let _ = writeln!(
                self.report,
                "| {what} | {} | {:.0} | {:.0} | {:.0} ms | {memory} | {} |",
                seconds(ms),
                backup.documents as f64 * 1e3 / ms,
                backup.bytes as f64 / 1e3 / ms,
                all.iter().map(|it| it.till_ms).fold(0.0, f64::max),
                most(&|it| it.server)
            );
        }
        let of = |phase: &str| middle(by_page.iter().map(|it| it.run.phases[phase]).collect());
        let _ = writeln!(
            self.report,
            "\nOf the page's time: checking {}, documents {}, files {}, comparing {}, the commit {}. The till wrote every \
             100 ms.",
            seconds(of("check")),
            seconds(of("documents")),
            seconds(of("files")),
            seconds(of("preview")),
            seconds(of("commit"))
        );
    }

    /// Backups that the server makes by itself: their time and memory, and what everybody else notices.
    async fn server(&mut self) {
        let _ = writeln!(
            self.report,
            "\n| A backup by the server, `POST /backup/create` | time | C `brotli -q 5`, one process, the same lines | time, \
             C = 1 | memory, MiB | before |\n|---|--:|--:|--:|--:|--:|"
        );
        for (copies, wanted) in [(0, true), (FIVE_GIGABYTES, self.large)] {
            if wanted {
                self.server_alone(copies).await;
            }
        }
        let shop = self.shop(0).await;
        let api = shop.api().await;
        let receipts = bench::receipts(&api).await;
        let time = Duration::from_secs(if self.quick { 3 } else { 30 });
        say(format_args!("reading and writing beside backups"));
        let _ = writeln!(
            self.report,
            "\n| {} clients read a receipt each every {} ms, one writes every {} ms | reading: p50 | p95 | longest | \
             writing: p50 | p95 | longest |\n|---|--:|--:|--:|--:|--:|--:|",
            server::READERS,
            server::READ_EVERY.as_millis(),
            server::WRITE_EVERY.as_millis()
        );
        for with_backups in [false, true] {
            let Noticed { reads, writes, backups } = server::load(&api, &receipts, time, with_backups).await;
            let cells = [reads, writes].map(|Latency { middle, most, longest }| {
                format!("{middle:.1} ms | {most:.1} ms | {longest:.1} ms")
            });
            let what = match backups {
                0 => "nothing else".to_owned(),
                backups => format!("beside {backups} backups, one after the other"),
            };
            let _ = writeln!(self.report, "| {what} | {} | {} |", cells[0], cells[1]);
        }
        server::forget(&api).await;
    }

    /// Backups with nothing beside them, by turns with the C tool where that takes no hours.
    async fn server_alone(&mut self, copies: u32) {
        let shop = self.shop(copies).await;
        let api = shop.api().await;
        let bytes = bench::size(&api).await as f64;
        let small = copies == 0;
        let files = match small {
            true => bench::files(&self.work.join("lines"), &server::lines(&api).await),
            false => Vec::new(),
        };
        drop(shop);
        // Memory is that of a process which has done nothing else.
        let shop = self.shop(copies).await;
        let api = shop.api().await;
        let before = shop.peak_memory();
        let (mut created, mut by_c) = (Vec::new(), Vec::new());
        for _ in 0..if self.quick || !small { 1 } else { 5 } {
            say(format_args!("a backup of {:.0} MB by the server", bytes / 1e6));
            created.push(server::create(&api).await);
            if small {
                by_c.push(bench::brotli(&files, None));
            }
        }
        server::forget(&api).await;
        let run = median(&created);
        let beside = match by_c.is_empty() {
            true => "not measured | ".to_owned(),
            false => {
                let beside = median(&by_c);
                format!("{} | {:.2}", seconds(beside.ms), run.ms / beside.ms)
            }
        };
        let _ = writeln!(
            self.report,
            "| of {:.0} MB: an archive of {:.1} MB, built in {} | {} | {beside} | {} | {} |",
            bytes / 1e6,
            run.size / 1e6,
            seconds(run.phases["built"]),
            seconds(run.ms),
            mib(shop.peak_memory()),
            mib(before)
        );
    }

    /// A small archive and, where there is time for it, a huge one.
    async fn inspect(&mut self) {
        let shop = self.shop(0).await;
        // Some 50 MB, and some 5 GB with ZIP64.
        let sizes = [(800_000, 0, true), (5_000_000, 45, self.large)];
        let mut columns = Vec::new();
        for (documents, files, wanted) in sizes {
            if !wanted {
                continue;
            }
            say(format_args!("preparing an archive of {documents} documents"));
            let archive = Archive::of(&self.work, documents, files);
            say(format_args!("looking into {:.0} MB", archive.size as f64 / 1e6));
            let times = if self.quick { 1 } else { 5 };
            let (run, peak) = archive.questions(&shop, times).await.expect("a browser");
            columns.push((archive, run, peak));
        }
        let _ = writeln!(self.report);
        let mut row = |what: &str, cell: &dyn Fn(&(Archive, Run, Peak)) -> String| {
            let cells: Vec<String> = columns.iter().map(cell).collect();
            let _ = writeln!(self.report, "| {what} | {} |", cells.join(" | "));
        };
        row("Looking into an archive of", &|(archive, ..)| {
            format!("{:.0} MB, {} documents", archive.size as f64 / 1e6, archive.documents)
        });
        row("---", &|_| "--:".to_owned());
        for (question, words) in QUESTIONS {
            row(words, &|(_, run, _)| seconds(run.phases[question]));
        }
        let speed = |bytes: f64, ms: f64| format!("{:.0} MB/s", bytes / 1e3 / ms);
        row("search, JSON per second and worker", &|(archive, run, _)| {
            speed(archive.bytes as f64 / cores() as f64, run.phases["search"])
        });
        row("WebAssembly memory at most", &|(.., peak)| format!("{} MiB", mib(peak.job)));
        row("the tab's process at most, before", &|(.., peak)| {
            format!("{} MiB, {} MiB", mib(peak.tab), mib(peak.tab_before))
        });
    }

    async fn first_page(&mut self) {
        let shop = self.shop(0).await;
        let (browsers, again) = if self.quick { (2, 2) } else { (5, 4) };
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        say(format_args!("the first page"));
        for _ in 0..browsers {
            let seen = bench::first_page(&shop.url, &demo_login(), again).await.expect("a browser");
            cold.push(seen[0]);
            warm.extend_from_slice(&seen[1..]);
        }
        let _ = writeln!(self.report, "\n| The page, on localhost | nothing cached | again |\n|---|--:|--:|");
        let mut row = |what: &str, of: fn(&FirstPage) -> f64| {
            let [cold, warm] = [&cold, &warm].map(|pages| middle(pages.iter().map(of).collect()));
            let _ = writeln!(self.report, "| {what} | {cold:.0} ms | {warm:.0} ms |");
        };
        row("from navigation to “Sign in”", |page| page.sign_in);
        row("from “Sign in” to “Create backup”", |page| page.create);
        let weight = |module| {
            let (brotli, gzip) = bench::module_over_the_wire(module);
            let kb = |bytes: u64| bytes.div_ceil(1000);
            format!("{} KB as Brotli, {} KB as gzip", kb(brotli), kb(gzip))
        };
        let _ = writeln!(
            self.report,
            "\nThe engine over the wire: what makes backups {}; what opens them {}. Gzip is all that browsers take over \
             plain http from elsewhere.",
            weight("making"),
            weight("opening")
        );
    }

    async fn shop(&self, copies: u32) -> Shop {
        say(format_args!("preparing the data ({copies} copies)"));
        Shop::start(&self.server, &bench::data(&self.server, &self.work, copies).await)
    }

    /// What a row is about.
    fn name(&self, way: Way) -> String {
        let version = |library| bench::version(&self.libraries(), library).unwrap_or_default();
        match way {
            Way::Engine => "this engine: checked, read back, in OPFS".to_owned(),
            Way::BrotliWasm => format!(
                "brotli-wasm {}, quality 5, in client-zip {}: a Blob",
                version("brotli-wasm"),
                version("client-zip")
            ),
            Way::ZipJs => format!("zip.js {} with the browser's deflate: a Blob", version("@zip.js/zip.js")),
        }
    }

    /// Where npm put the libraries of others, if it did.
    fn libraries(&self) -> PathBuf {
        self.work.join("npm/node_modules")
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn workers(count: usize) -> String {
    match count {
        1 => "one worker".to_owned(),
        2 => "two workers".to_owned(),
        _ => format!("{count} workers"),
    }
}

fn median(runs: &[Run]) -> Run {
    let of = |of: &dyn Fn(&Run) -> f64| middle(runs.iter().map(of).collect());
    let names = runs.iter().flat_map(|run| run.phases.keys());
    let phase = |name: &String| (name.clone(), of(&|run| run.phases.get(name).copied().unwrap_or(0.0)));
    Run { ms: of(&|run| run.ms), size: of(&|run| run.size), phases: names.map(phase).collect() }
}

fn mib(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20)).round()
}

fn seconds(ms: f64) -> String {
    if ms < 100_000.0 { format!("{:.2} s", ms / 1000.0) } else { format!("{:.0} s", ms / 1000.0) }
}

fn say(what: std::fmt::Arguments<'_>) {
    eprintln!("bench: {what}");
}
