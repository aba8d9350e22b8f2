//! Much data for a server, and quickly: documents that look like a till's, large ones, and bytes that nothing
//! compresses.

use crate::api::Api;
use reqwest::{Body, StatusCode};
use std::io::Write as _;
use std::ops::Range;

/// How much goes into one call: below what the server takes at once.
const CALL_BYTES: usize = 16 << 20;

/// Receipts of some 1000 bytes each, with these numbers. The next call's lines are made while the server works.
pub async fn receipts(api: &Api, numbers: Range<u64>) {
    documents(api, "receipts", numbers, receipt).await;
}

/// Documents with these numbers, in the order of their ids where `write` keeps it.
pub async fn documents(
    api: &Api,
    collection: &str,
    numbers: Range<u64>,
    mut write: impl FnMut(&mut Vec<u8>, u64),
) {
    let mut lines = Vec::new();
    let mut under_way = None::<tokio::task::JoinHandle<()>>;
    let last = numbers.end.saturating_sub(1);
    for number in numbers {
        write(&mut lines, number);
        lines.push(b'\n');
        if lines.len() >= CALL_BYTES || number == last {
            if let Some(call) = under_way.take() {
                call.await.unwrap();
            }
            let (api, collection, lines) = (api.clone(), collection.to_owned(), std::mem::take(&mut lines));
            under_way = Some(tokio::spawn(async move { api.post_documents(&collection, lines).await }));
        }
    }
    if let Some(call) = under_way {
        call.await.unwrap();
    }
}

/// Files for the one document, named by these numbers, a few at once.
pub async fn attachments<T: Into<Body>>(
    api: &Api,
    collection: &str,
    id: &str,
    numbers: Range<u64>,
    content: impl Fn(u64) -> T,
) {
    const AT_ONCE: u64 = 8;
    let lane = async |lane: u64| {
        for number in numbers.clone().filter(|number| number % AT_ONCE == lane) {
            let name = format!("beleg_{number:06}.pdf");
            let status = api.put_attachment(collection, id, &name, "application/pdf", content(number)).await;
            assert_eq!(status, StatusCode::CREATED, "{name}");
        }
    };
    tokio::join!(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7));
}

/// Bytes that look random, always the same for the same seed.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend_from_slice(&random(&mut state).to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// A document of exactly so many bytes: receipts, and then about as much that hardly compresses.
pub fn large(id: &str, bytes: usize) -> Vec<u8> {
    let mut document = format!("{{\"_id\":\"{id}\",\"receipts\":[").into_bytes();
    for number in 0.. {
        receipt(&mut document, number);
        if document.len() >= bytes / 2 {
            break;
        }
        document.push(b',');
    }
    document.extend_from_slice(b"],\"scan\":\"");
    let rest = bytes - document.len() - 2;
    document.extend(noise(bytes as u64, rest).iter().map(|byte| b'A' + byte % 26));
    document.extend_from_slice(b"\"}");
    document
}

/// One time entry of some 200 bytes.
pub fn time_entry(out: &mut Vec<u8>, number: u64) {
    let (day, hour, minute, employee) = (number % 28 + 1, number % 10 + 6, number % 60, number % 40);
    let signature = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let _ = write!(
        out,
        "{{\"_id\":\"time_{number:010}\",\"documentType\":\"TimeEntry\",\"employee\":\"emp_{employee:03}\",\
         \"from\":\"2026-11-{day:02}T{hour:02}:{minute:02}:00+01:00\",\"minutes\":{},\"till\":\"Kasse {}\",\
         \"breaks\":[],\"check\":\"{signature:016x}\"}}",
        number % 600,
        number % 4
    );
}

/// One receipt: what repeats in a shop's receipts does so here, and the signature is new each time.
pub fn receipt(out: &mut Vec<u8>, number: u64) {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut pick = |below: u64| random(&mut state) % below;
    let (day, hour, minute) = (pick(28) + 1, pick(14) + 9, pick(60));
    let mut text = format!(
        "{{\"_id\":\"rcp_{number:010}\",\"documentType\":\"Receipt2\",\"receiptNumber\":{number},\
         \"date\":\"2026-{:02}-{day:02}T{hour:02}:{minute:02}:07+01:00\",\"table\":\"Tisch {}\",\
         \"employee\":\"emp_{:03}\",\"positions\":[",
        number % 12 + 1,
        pick(40),
        pick(12)
    );
    for position in 0..pick(5) + 1 {
        let (article, count, cents) = (pick(300), pick(3) + 1, pick(2000) + 90);
        let comma = if position == 0 { "" } else { "," };
        text += &format!(
            "{comma}{{\"article\":\"art_{article:04}\",\"name\":\"{} {}\",\"count\":{count},\
             \"price\":{}.{:02},\"taxRate\":{}}}",
            ["Pizza", "Pasta", "Salat", "Wasser", "Rotwein", "Espresso"][(article % 6) as usize],
            ["Margherita", "Napoli", "groß", "klein", "della Casa"][(article % 5) as usize],
            cents / 100,
            cents % 100,
            [19, 7][(article % 2) as usize]
        );
    }
    text += &format!(
        "],\"payment\":\"{}\",\"tse\":{{\"serial\":\"{}\",\"transaction\":{number},\"counter\":{},\
         \"processType\":\"Kassenbeleg-V1\",\"signature\":\"",
        ["Bar", "EC-Karte", "Kreditkarte"][(number % 3) as usize],
        "4f1c".repeat(16),
        2 * number + 1
    );
    for _ in 0..6 {
        text += &format!("{:016x}", pick(u64::MAX));
    }
    text += "\"}}";
    out.extend_from_slice(text.as_bytes());
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
