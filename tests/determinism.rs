//! The same lines give the same bytes, natively and in WebAssembly (FORMAT.md section 5): 10,000 generated parts are
//! encoded here and there, and the digest of all results is compared with one constant. Where it changes, backups of
//! the same data change with it: that needs a reason, and an entry in CHANGELOG.md.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

use dikas_archive::codec;
use dikas_archive::digest::Hasher;

const PARTS: u64 = 10_000;
const DIGEST: &str = "eeab98c3da2a11e87067d7feb6824bf4cc670c0701332d4944118033bf5b96b2";

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
fn ten_thousand_parts_encode_to_the_same_bytes_everywhere() {
    let mut hasher = Hasher::default();
    let (mut raw_bytes, mut bytes) = (0, 0);
    for seed in 0..PARTS {
        let raw = part(&mut Random(seed));
        let encoded = codec::encode(&raw).unwrap();
        assert!(!encoded.stored_plain, "part {seed} did not survive the second decoder");
        raw_bytes += raw.len();
        bytes += encoded.bytes.len();
        hasher.update(&encoded.bytes);
    }
    assert_eq!(hasher.finish().to_string(), DIGEST, "{raw_bytes} bytes became {bytes}");
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

const WORDS: &[&str] = &[
    "Pizza Margherita",
    "Großer Salat",
    "Wasser 0,5",
    "\\u20ac",
    "Tisch",
    "takeaway",
    "бар",
    "メニュー",
    "\u{2028}",
    "Kellner",
    "19.00",
    "null",
    "a",
    "\\\"",
    "Bon",
];

/// JSON lines of one part: mostly some kilobytes, one in 256 more than a megabyte.
fn part(random: &mut Random) -> Vec<u8> {
    let size = match random.below(256) {
        0 => (1 << 20) + random.below(2 << 20),
        1..64 => random.below(2_000),
        _ => random.below(16_000),
    };
    let shape = random.below(4);
    let mut lines = Vec::new();
    let mut at = random.below(1 << 30);
    while (lines.len() as u64) < size {
        at += 1 + random.below(3);
        lines.extend(format!("{{\"_id\":\"rcp_{at:010}\",\"documentType\":\"Receipt2\"").as_bytes());
        match shape {
            0 => {
                for _ in 0..random.below(12) {
                    lines
                        .extend(format!(",\"{}\":\"{}\"", random.pick(WORDS), random.pick(WORDS)).as_bytes());
                }
            }
            1 => {
                let (total, tax) = (random.below(20_000), random.below(3));
                lines.extend(
                    format!(",\"total\":{}.{:02},\"tax\":{tax},\"open\":false", total / 100, total % 100)
                        .as_bytes(),
                );
                lines.extend(format!(",\"time\":\"2026-{:02}-{:02}\"", 1 + at % 12, 1 + at % 28).as_bytes());
            }
            // Nothing to gain: a signature of random digits, as long as a picture at times.
            2 => {
                lines.extend(b",\"signature\":\"");
                for _ in 0..random.below(40) {
                    lines.extend(format!("{:016x}", random.next()).as_bytes());
                }
                lines.push(b'"');
            }
            // Everything to gain: the same again and again, with a change here and there.
            _ => {
                let repeat = random.below(60) as usize;
                lines.extend(
                    format!(",\"items\":[{}{}]", "{\"n\":1,\"price\":8.5},".repeat(repeat), at % 7)
                        .as_bytes(),
                );
            }
        }
        lines.extend(b"}\n");
    }
    lines
}
