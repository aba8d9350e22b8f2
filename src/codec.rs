//! Brotli (RFC 7932), both ways. Nothing else in this crate names a Brotli crate.
//!
//! A part counts only once an independent decoder has given back what went in; one that fails is written as
//! uncompressed meta-blocks. Decoding streams: its memory is the window, at most 16 MiB, whatever the input says.

use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::part::EncodedPart;
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use mbrotli::{Compressor, EncoderConfig, Quality, Window};
use std::fmt;
use std::io::{self, Read};

/// The window of our streams, as a power of two. Part of the format: the same lines give the same bytes. On parts of
/// real receipts 20 bits gave the smallest output of 18 to 24, a fifth faster than 22.
const WINDOW_BITS: u8 = 20;

/// How much compressed data is read, and how much decoded data compared, at once.
const BUFFER: usize = 64 << 10;

/// Compresses these bytes, decodes the result with another implementation and compares. Where that fails, the result
/// is a Brotli stream of uncompressed meta-blocks and says so in [`EncodedPart::stored_plain`].
///
/// # Errors
/// `internal`, where not even that decodes to the same bytes.
pub fn encode(raw: &[u8]) -> Result<EncodedPart> {
    encode_with(compress, raw)
}

/// Gives the bytes that a Brotli stream holds. Every failure of the stream (damage, a missing end, bytes behind the
/// end, a window that RFC 7932 does not know) is an [`io::Error`] that carries an [`Error`] of kind `damaged-part`.
pub struct Decoder<R> {
    input: R,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Stream,
    /// The stream has ended; whether anything follows is not known yet.
    End,
    /// The stream is damaged here.
    Damage,
    Done,
}

impl<R: Read> Decoder<R> {
    /// Decodes what `input` gives.
    pub fn new(input: R) -> Self {
        Self::with_buffer(input, BUFFER)
    }

    /// Decodes in steps of so many compressed bytes. What a damaged stream holds before the step with the damage is
    /// given: small steps give more of it, and take longer.
    pub fn with_buffer(input: R, bytes: usize) -> Self {
        let alloc = StandardAlloc::default;
        Self {
            input,
            buffer: vec![0; bytes.max(1)].into_boxed_slice(),
            from: 0,
            to: 0,
            // Strict: a "large window" would let the input decide on up to 1 GiB of memory.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            stage: Stage::Stream,
        }
    }

    /// What it decodes.
    pub fn get_ref(&self) -> &R {
        &self.input
    }

    fn refill(&mut self) -> io::Result<usize> {
        (self.from, self.to) = (0, 0);
        self.to = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        Ok(self.to)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() {
            match self.stage {
                Stage::Stream => {}
                Stage::End => {
                    if self.from < self.to || self.refill()? > 0 {
                        return Err(damaged("bytes follow the end of the Brotli stream").into());
                    }
                    self.stage = Stage::Done;
                    return Ok(0);
                }
                Stage::Damage => return Err(damaged("the Brotli stream is damaged").into()),
                Stage::Done => return Ok(0),
            }
            let (mut available, mut room) = (self.to - self.from, out.len());
            let (mut written, mut total) = (0, 0);
            let result = BrotliDecompressStream(
                &mut available,
                &mut self.from,
                &self.buffer,
                &mut room,
                &mut written,
                out,
                &mut total,
                &mut self.state,
            );
            match result {
                BrotliResult::ResultSuccess => self.stage = Stage::End,
                BrotliResult::ResultFailure => self.stage = Stage::Damage,
                BrotliResult::NeedsMoreInput if written == 0 => {
                    if self.refill()? == 0 {
                        return Err(damaged("the Brotli stream ends too early").into());
                    }
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            // What is decoded is given before what is wrong behind it.
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

impl<R> fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("stage", &self.stage).finish_non_exhaustive()
    }
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::DamagedPart, message)
}

fn encode_with(compress: impl FnOnce(&[u8]) -> Option<Vec<u8>>, raw: &[u8]) -> Result<EncodedPart> {
    let compressed = compress(raw).filter(|bytes| decodes_to(bytes, raw));
    let stored_plain = compressed.is_none();
    let bytes = match compressed {
        Some(bytes) => bytes,
        None => {
            let bytes = uncompressed(raw);
            if !decodes_to(&bytes, raw) {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "a part does not decode to the lines it was made of",
                ));
            }
            bytes
        }
    };
    Ok(EncodedPart {
        raw_bytes: raw.len() as u64,
        sha256: Sha256::of(&bytes),
        crc32: crc32fast::hash(&bytes),
        stored_plain,
        bytes,
    })
}

fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    let config =
        EncoderConfig::default().with_quality(Quality::Q5).with_window(Window::standard(WINDOW_BITS).ok()?);
    let mut bytes = Compressor::new(config).ok()?.compress(raw).ok()?;
    bytes.shrink_to_fit();
    Some(bytes)
}

fn decodes_to(bytes: &[u8], raw: &[u8]) -> bool {
    let mut decoder = Decoder::new(bytes);
    let mut buffer = vec![0; BUFFER];
    let mut rest = raw;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return rest.is_empty(),
            Ok(count) => match buffer.get(..count).and_then(|got| rest.strip_prefix(got)) {
                Some(behind) => rest = behind,
                None => return false,
            },
            Err(_) => return false,
        }
    }
}

/// A Brotli stream of uncompressed meta-blocks (RFC 7932 section 9.2), 64 KiB each.
fn uncompressed(raw: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 1 << 16;
    let mut bytes = Vec::with_capacity(raw.len() + 3 * raw.len().div_ceil(BLOCK) + 1);
    // WBITS: one zero bit, a window of 16 bits. It stands in the first byte, before the first header.
    let mut window_bit = 1;
    for block in raw.chunks(BLOCK) {
        // ISLAST 0, MNIBBLES 0 (four nibbles follow), MLEN - 1 in 16 bits, ISUNCOMPRESSED 1, zeros up to the byte.
        let header = ((block.len() as u32 - 1) << 3 | 1 << 19) << window_bit;
        bytes.extend(header.to_le_bytes().iter().take(3));
        bytes.extend_from_slice(block);
        window_bit = 0;
    }
    // ISLAST 1, ISLASTEMPTY 1.
    bytes.push(0b11 << window_bit);
    bytes
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: impl Read) -> Result<Vec<u8>> {
        let mut raw = Vec::new();
        Decoder::new(bytes).read_to_end(&mut raw)?;
        Ok(raw)
    }

    /// The other encoder, with the window and quality of the format.
    fn second_encoder(raw: &[u8]) -> Vec<u8> {
        let params = brotli::enc::BrotliEncoderParams {
            quality: 5,
            lgwin: i32::from(WINDOW_BITS),
            size_hint: raw.len(),
            ..Default::default()
        };
        let mut bytes = Vec::new();
        brotli::BrotliCompress(&mut &raw[..], &mut bytes, &params).unwrap();
        bytes
    }

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = out.len().min(1);
            self.0.read(&mut out[..count])
        }
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count)
            .map(|at| format!("{{\"_id\":\"rcp_{at:06}\",\"total\":{}}}\n", at * 7919 % 10_007))
            .collect::<String>()
            .into()
    }

    #[test]
    fn what_is_encoded_decodes_and_is_small() {
        for raw in [lines(0), lines(1), lines(20_000)] {
            let part = encode(&raw).unwrap();
            assert!(!part.stored_plain);
            assert_eq!(part.raw_bytes, raw.len() as u64);
            assert_eq!(part.sha256, Sha256::of(&part.bytes));
            assert_eq!(part.crc32, crc32fast::hash(&part.bytes));
            assert!(decode(&part.bytes[..]).unwrap() == raw);
            assert!(decode(Drip(&part.bytes)).unwrap() == raw);
            let other = second_encoder(&raw);
            assert!(decode(&other[..]).unwrap() == raw);
            assert!(part.bytes.len() <= other.len() + other.len() / 50 + 16, "the size hint was lost");
        }
    }

    #[test]
    fn an_encoder_that_errs_is_found_out() {
        let raw = lines(9_000);
        type Encoder = fn(&[u8]) -> Option<Vec<u8>>;
        let faulty: [Encoder; 5] = [
            |_| None,
            |_| Some(Vec::new()),
            |raw| compress(&raw[1..]),
            |raw| compress(raw).map(|bytes| [&bytes[..], b"\0"].concat()),
            |raw| compress(&raw.to_ascii_uppercase()),
        ];
        for encoder in faulty {
            let part = encode_with(encoder, &raw).unwrap();
            assert!(part.stored_plain);
            assert_eq!(part.bytes, uncompressed(&raw));
            assert!(decode(&part.bytes[..]).unwrap() == raw);
        }
    }

    #[test]
    fn damage_is_an_error_of_its_kind() {
        let part = encode(&lines(3_000)).unwrap().bytes;
        let trailing = [&part[..], b"x"].concat();
        // RFC 7932 section 9.1: WBITS 0010001 is reserved; Google's "large window" begins with it.
        for wrong in [&part[..part.len() - 1], &trailing, b"", b"\x11\x1e\x03", b"\xff\xff\xff"] {
            assert_eq!(decode(wrong).unwrap_err().kind, ErrorKind::DamagedPart);
        }
    }

    proptest! {
        #[test]
        fn uncompressed_meta_blocks_hold_anything(raw: Vec<u8>, repeat in 1..3000usize) {
            let raw = raw.repeat(repeat);
            prop_assert!(decode(&uncompressed(&raw)[..]).unwrap() == raw);
        }

        #[test]
        fn any_bytes_survive(raw: Vec<u8>, repeat in 1..50usize) {
            let raw = raw.repeat(repeat);
            let part = encode(&raw).unwrap();
            prop_assert!(!part.stored_plain && decode(&part.bytes[..]).unwrap() == raw);
        }

        #[test]
        fn rubbish_never_panics(raw: Vec<u8>, head in 0..64usize) {
            let mut bytes = encode(&lines(200)).unwrap().bytes;
            bytes.truncate(head);
            bytes.extend(raw);
            let mut out = Vec::new();
            let _ = Decoder::new(&bytes[..]).take(1 << 20).read_to_end(&mut out);
        }
    }
}
