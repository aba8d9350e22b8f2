//! Bad weather between browser and server: a server at fault or busy, slow lines, answers that were touched on their way.
//! What passes is waited out and the backup is whole; what does not ends with a word, in the time that is stated for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::job::client::{BAD_ANSWERS, PATIENCE_MILLISECONDS, PIECE_MILLISECONDS, TRIES};
use dikas_archive::job::transport::IDLE_MILLISECONDS;
use dikas_e2e::browser::Browser;
use dikas_e2e::checks::check_archive;
use dikas_e2e::fill;
use dikas_e2e::page::{self, Failed, assert_nothing_kept};
use dikas_e2e::proxy::{Fault, Proxy, failure};
use dikas_e2e::server::Local;
use hyper::StatusCode;
use std::time::{Duration, Instant};

const EVER: usize = usize::MAX;

/// The pages of the largest collection, and what else a backup asks for.
const MIDDLE: &str = "/documents/receipts";
const DOCUMENTS: &str = "/documents/";
const RECORDS: &str = "/attachments";
const BLOBS: &str = "/blobs/";
const OPEN: &str = "/backup/snapshots";

/// How much faster the clock of a hurried worker goes.
const HASTE: u64 = 30;

/// Stands in every worker of the engine: its clock goes faster, but for what other workers may take.
fn hurry() -> Fault {
    Fault::Before(format!(
        "{{
           const [now, wait, start] = [Date.now, setTimeout, Date.now()];
           const helpers = [30_000, 120_000];
           Date.now = () => start + (now() - start) * {HASTE};
           globalThis.setTimeout = (then, ms, ...rest) =>
             wait(then, helpers.includes(ms) ? ms : ms / {HASTE}, ...rest);
         }}\n"
    ))
}

/// So long by the clock of a hurried worker.
fn hurried(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds / HASTE)
}

struct Weather {
    browser: Browser,
    server: Local,
    proxy: Proxy,
}

impl Weather {
    async fn over(server: Local) -> Option<Self> {
        let browser = Browser::start().await?;
        let proxy = Proxy::start(&server.url).await;
        page::sign_in(&browser, &proxy.url, &server.login).await;
        Some(Self { browser, server, proxy })
    }

    /// Starts a backup in this weather; what the page itself asks is answered before.
    async fn start(&self, rules: impl FnOnce(&Proxy)) -> Instant {
        self.proxy.heal();
        self.browser.find("tr[data-category]").await;
        rules(&self.proxy);
        page::start(&self.browser).await;
        Instant::now()
    }

    /// A backup in this weather is whole. Answers how long it took.
    async fn passes(&self, what: &str, rules: impl FnOnce(&Proxy)) -> Duration {
        let start = self.start(rules).await;
        page::finished(&self.browser).await;
        let took = start.elapsed();
        println!("| {what} | whole | {:.1} s | |", took.as_secs_f64());
        let everything = self.server.api().await.everything().await;
        check_archive(&page::download(&self.browser).await, &everything);
        self.browser.click("#archives [data-action=remove]").await;
        self.browser.click("#answer-yes").await;
        self.browser.find("#create-backup").await;
        took
    }

    /// A backup in this weather ends with a word of this kind, and leaves nothing that looks whole.
    async fn ends(&self, what: &str, kind: &str, rules: impl FnOnce(&Proxy)) -> (Failed, Duration) {
        let start = self.start(rules).await;
        let failed = page::failed(&self.browser).await;
        let took = start.elapsed();
        let said = self.browser.text("#error").await.replace('\n', " ");
        println!("| {what} | {kind} | {:.1} s | {said} |", took.as_secs_f64());
        assert_eq!(failed.kind, kind, "{what}: {}", failed.text);
        assert!(said.contains("Nothing on the server was changed"), "{what}: {said}");
        assert_nothing_kept(&self.browser).await;
        self.browser.shot(&format!("weather-{kind}-{}", what.replace([' ', '/'], "-"))).await;
        self.browser.click("#error-dismiss").await;
        (failed, took)
    }
}

fn fault() -> Fault {
    Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, failure("internal", "the disk makes a noise"))
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_server_are_waited_out_or_told() {
    let Some(weather) = Weather::over(Local::demo().await).await else { return };
    for (path, times) in [(OPEN, 2), (MIDDLE, 3), (RECORDS, 2), (BLOBS, 2)] {
        let what = format!("{times} faults at {path}");
        weather.passes(&what, |proxy| proxy.rule("", path, 0, times, fault())).await;
    }
    let before = weather.proxy.count(MIDDLE);
    let (failed, _) = weather
        .ends("faults for ever", "server-error", |proxy| {
            proxy.rule("GET", "/engine/worker.js", 0, EVER, hurry());
            proxy.rule("GET", MIDDLE, 0, EVER, fault());
        })
        .await;
    assert_eq!(weather.proxy.count(MIDDLE) - before, TRIES as usize);
    assert!(failed.text.contains("the disk makes a noise"), "{}", failed.text);
    assert!(failed.text.contains("receipts"), "which collection? {}", failed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_left_alone_as_long_as_it_asks() {
    const SECONDS: u64 = 3;
    let Some(weather) = Weather::over(Local::demo().await).await else { return };
    let proxy = &weather.proxy;
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        for path in [MIDDLE, BLOBS] {
            let before = proxy.count(path);
            let what = format!("{} once at {path}, Retry-After {SECONDS}", status.as_u16());
            // Four files are asked for at once: each of them is refused.
            let times = if path == BLOBS { 4 } else { 1 };
            let rules = |proxy: &Proxy| proxy.rule("GET", path, 0, times, Fault::RetryAfter(status, SECONDS));
            weather.passes(&what, rules).await;
            let asked = &proxy.times(path)[before..];
            let pause = asked[times] - asked[0];
            let wanted = Duration::from_secs(SECONDS);
            assert!(pause >= wanted - Duration::from_millis(50), "{what}: asked again after {pause:?}");
            assert!(pause < 3 * wanted, "{what}: asked again after {pause:?}");
        }
        let wish = PATIENCE_MILLISECONDS / 1000 + 1;
        let what = format!("{}, Retry-After {wish}", status.as_u16());
        let before = proxy.count(MIDDLE);
        let rules = |proxy: &Proxy| proxy.rule("GET", MIDDLE, 0, EVER, Fault::RetryAfter(status, wish));
        let (failed, took) = weather.ends(&what, "busy", rules).await;
        assert_eq!(proxy.count(MIDDLE), before + 1, "it is not asked again");
        assert!(took < Duration::from_secs(20), "it ends at once, not after {took:?}");
        assert!(failed.text.contains(&format!("wait for {wish} seconds")), "{}", failed.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_slow_as_long_as_it_moves() {
    let Some(weather) = Weather::over(Local::demo().await).await else { return };
    let idle = hurried(IDLE_MILLISECONDS);
    // A byte at a time, longer in all than it may be silent.
    let snapshot = weather.server.api().await.open_snapshot().await;
    let small = snapshot.collections.iter().find(|it| (200..2_000).contains(&it.bytes)).expect("a small one");
    let path = format!("/documents/{}", small.name);
    let took = weather
        .passes("a byte at a time", |proxy| {
            proxy.rule("GET", "/engine/worker.js", 0, EVER, hurry());
            proxy.rule("GET", &path, 0, EVER, Fault::Drip(1, 3 * idle / small.bytes as u32));
        })
        .await;
    assert!(took > 3 * idle, "it was not slow: {took:?}");
    // Once in the time of a piece, and once more for as long as the least of it takes.
    let asked = weather.proxy.count(&path);
    assert!((2..=3).contains(&asked), "it was asked for {asked} times");

    // One that stops in the middle is asked for again, neither before the time nor long after.
    for path in [MIDDLE, RECORDS, BLOBS] {
        let before = weather.proxy.count(path);
        weather
            .passes(&format!("one that stops in the middle at {path}"), |proxy| {
                proxy.rule("GET", "/engine/worker.js", 0, EVER, hurry());
                proxy.rule("GET", path, 0, 1, Fault::Stall);
            })
            .await;
        let asked = &weather.proxy.times(path)[before..];
        let again = asked.iter().map(|time| *time - asked[0]).find(|after| *after >= idle);
        let again = again.expect("asked again when it is silent for too long");
        assert!(again < 2 * idle, "{path}: asked again after {again:?}");
    }

    // And so each time: patience ends in the time that is stated for it.
    let before = weather.proxy.count(MIDDLE);
    let (failed, took) = weather
        .ends("each one stops in the middle", "unreachable", |proxy| {
            proxy.rule("GET", "/engine/worker.js", 0, EVER, hurry());
            proxy.rule("GET", MIDDLE, 0, EVER, Fault::Stall);
        })
        .await;
    let most = hurried(PATIENCE_MILLISECONDS + 2 * IDLE_MILLISECONDS) + Duration::from_secs(10);
    assert!(took < most, "{took:?}");
    assert!((2..=4).contains(&(weather.proxy.count(MIDDLE) - before)));
    assert!(failed.text.contains("did not answer in time"), "{}", failed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_line_that_is_too_slow_for_a_page_smaller_ones_are_asked_for() {
    let server = Local::start().await;
    let api = server.api().await;
    fill::receipts(&api, 0..3_000).await;
    let Some(weather) = Weather::over(server).await else { return };
    // In the time that a page may take, two thirds of the first one come.
    let total = hurried(PIECE_MILLISECONDS);
    let bytes = api.open_snapshot().await.collections.iter().map(|it| it.bytes).sum::<u64>();
    let (step, pieces) = (8 << 10, bytes * 2 / 3 / (8 << 10));
    let took = weather
        .passes("a line too slow for a page", |proxy| {
            proxy.rule("GET", "/engine/worker.js", 0, EVER, hurry());
            proxy.rule("GET", MIDDLE, 0, EVER, Fault::Drip(step, total / pieces as u32));
        })
        .await;
    let asked = weather.proxy.times(MIDDLE);
    let first = asked[1] - asked[0];
    assert!(first >= total && first < 2 * total, "the first page was given up after {first:?}");
    assert!(asked.len() >= 5 && asked.len() < 30, "{} pages", asked.len());
    assert!(took < 10 * total, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_touched_on_their_way_are_asked_for_again() {
    let Some(weather) = Weather::over(Local::demo().await).await else { return };
    let troubles: &[(&str, &str, usize, Fault)] = &[
        ("a bit turned over", OPEN, 0, Fault::Garble),
        ("a bit turned over", MIDDLE, 0, Fault::Garble),
        ("a bit turned over", RECORDS, 0, Fault::Garble),
        ("a bit turned over", BLOBS, 5, Fault::Garble),
        ("a portal's page", OPEN, 0, Fault::Portal),
        ("a portal's page", MIDDLE, 0, Fault::Portal),
        ("a portal's page", BLOBS, 5, Fault::Portal),
        ("the answer before", DOCUMENTS, 4, Fault::Repeat),
        ("the answer before", BLOBS, 4, Fault::Repeat),
    ];
    for (what, path, skip, fault) in troubles {
        let method = if *path == OPEN { "POST" } else { "GET" };
        let rules = |proxy: &Proxy| proxy.rule(method, path, *skip, 1, fault.clone());
        weather.passes(&format!("{what} once at {path}"), rules).await;
    }
    for (what, path, skip, fault) in troubles {
        let method = if *path == OPEN { "POST" } else { "GET" };
        let rules = |proxy: &Proxy| proxy.rule(method, path, *skip, EVER, fault.clone());
        let before = weather.proxy.count(path);
        let (failed, _) = weather.ends(&format!("{what} for ever at {path}"), "bad-answer", rules).await;
        assert!(weather.proxy.count(path) - before >= BAD_ANSWERS as usize, "{what} at {path}");
        assert!(failed.text.contains("virus scanner"), "{what} at {path}: {}", failed.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out_over_the_files_is_renewed_once() {
    let Some(weather) = Weather::over(Local::demo().await).await else { return };
    weather
        .passes("a token that runs out over the files", |proxy| {
            proxy.rule("GET", BLOBS, 0, EVER, Fault::RefuseToken);
        })
        .await;
    assert_eq!(weather.proxy.count("POST /api/v1/auth/refresh"), 1);
    let ended = Fault::Answer(StatusCode::UNAUTHORIZED, failure("unauthorized", "the login has ended"));
    let start = weather
        .start(|proxy| {
            proxy.rule("POST", "/auth/refresh", 0, EVER, ended);
            proxy.rule("GET", BLOBS, 0, EVER, Fault::RefuseToken);
        })
        .await;
    weather.browser.click("dialog #give-up").await;
    let failed = page::failed(&weather.browser).await;
    let (kind, took) = (&failed.kind, start.elapsed().as_secs_f64());
    let said = weather.browser.text("#error").await.replace('\n', " ");
    println!("| a login that ends over the files, given up | {kind} | {took:.1} s | {said} |");
    assert_eq!(failed.kind, "unauthorized", "{}", failed.text);
    assert_nothing_kept(&weather.browser).await;
}
