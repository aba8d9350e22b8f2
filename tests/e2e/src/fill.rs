//! Much data for a server, and quickly: documents that look like a till's, and bytes that nothing compresses.

use crate::api::Api;
use reqwest::StatusCode;
use std::ops::Range;

/// How much goes into one call: below what the server takes at once.
const CALL_BYTES: usize = 16 << 20;

/// Receipts of some 1000 bytes each, with these numbers. The next call's lines are made while the server works.
pub async fn receipts(api: &Api, numbers: Range<u64>) {
    documents(api, "receipts", numbers, receipt).await;
}

/// Documents with these numbers, in the order of their ids where `write` keeps it.
pub async fn documents(api: &Api, collection: &str, numbers: Range<u64>, write: impl Fn(&mut Vec<u8>, u64)) {
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

/// Files of `bytes` bytes each for the one document, named by these numbers, a few at once.
pub async fn attachments(api: &Api, collection: &str, id: &str, numbers: Range<u64>, bytes: usize) {
    const AT_ONCE: u64 = 8;
    let lane = async |lane: u64| {
        for number in numbers.clone().filter(|number| number % AT_ONCE == lane) {
            let name = format!("beleg_{number:06}.pdf");
            let content = noise(number, bytes);
            let status = api.put_attachment(collection, id, &name, "application/pdf", content).await;
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
