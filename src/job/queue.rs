//! Parts on their way through the encoder: bounded in number and in bytes, and given back in their order.

use super::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::part::{EncodedPart, PART_BYTES, RawPart, RawPartInfo};
use futures::stream::{self, FuturesOrdered};
use futures::{Stream, StreamExt as _};
use std::cell::Cell;
use std::task::Poll;

/// Encodes parts in the order in which they come: at once as many as the encoder has slots, and together no more bytes
/// than so many parts of ordinary size have; a larger one is under way alone. What is done before its turn waits, and
/// holds up further parts once there are as many bytes of it.
pub(super) fn encoded<'a>(
    parts: impl Stream<Item = RawPart> + Unpin + 'a,
    encoder: &'a impl Encoder,
    load: &'a Load,
) -> impl Stream<Item = Result<(RawPartInfo, EncodedPart)>> + 'a {
    let mut parts = parts.fuse();
    let mut next: Option<RawPart> = None;
    let mut under_way = FuturesOrdered::new();
    stream::poll_fn(move |context| {
        loop {
            if next.is_none()
                && load.has_room_for(PART_BYTES, encoder)
                && let Poll::Ready(part) = parts.poll_next_unpin(context)
            {
                next = part;
            }
            if let Some(part) = next.take_if(|part| load.has_room_for(part.lines.len(), encoder)) {
                load.begin(part.lines.len());
                under_way.push_back(encode(encoder, part, load));
                continue;
            }
            let parts_before = load.parts.get();
            match under_way.poll_next_unpin(context) {
                Poll::Ready(Some(Ok((info, part)))) => {
                    load.take(part.bytes.len());
                    return Poll::Ready(Some(Ok((info, part))));
                }
                // One was done before its turn: there may be room.
                Poll::Pending if load.parts.get() < parts_before => {}
                Poll::Ready(None) if !parts.is_done() => return Poll::Pending,
                other => return other,
            }
        }
    })
}

/// How much is in the queue.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Parts in the encoder, and their bytes.
    parts: Cell<usize>,
    bytes: Cell<usize>,
    /// Encoded bytes that wait for their turn.
    waiting: Cell<usize>,
}

impl Load {
    fn has_room_for(&self, bytes: usize, encoder: &impl Encoder) -> bool {
        let slots = encoder.slots().get();
        let most = slots.saturating_mul(PART_BYTES);
        let fits = self.parts.get() < slots && self.bytes.get() + bytes <= most;
        (self.parts.get() == 0 || fits) && self.waiting.get() < most
    }

    fn begin(&self, bytes: usize) {
        self.parts.update(|parts| parts + 1);
        self.bytes.update(|all| all + bytes);
    }

    fn done(&self, bytes: usize, encoded: usize) {
        self.parts.update(|parts| parts - 1);
        self.bytes.update(|all| all - bytes);
        self.waiting.update(|waiting| waiting + encoded);
    }

    fn take(&self, encoded: usize) {
        self.waiting.update(|waiting| waiting - encoded);
    }
}

async fn encode(encoder: &impl Encoder, part: RawPart, load: &Load) -> Result<(RawPartInfo, EncodedPart)> {
    let (info, lines) = part.split();
    let bytes = lines.len();
    let encoded = encoder.encode(lines).await.map_err(|error| error.on(info.collection.as_str()))?;
    if encoded.raw_bytes != bytes as u64 {
        return Err(Error::new(ErrorKind::Internal, "the encoder took another part")
            .on(info.collection.as_str())
            .expected(bytes, encoded.raw_bytes));
    }
    load.done(bytes, encoded.bytes.len());
    Ok((info, encoded))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::digest::Sha256;
    use futures::executor::block_on;
    use std::cell::RefCell;
    use std::num::NonZeroUsize;

    const MIB: usize = 1 << 20;

    /// Takes so many turns over each part, and gives back streams as long as the lines.
    struct Slow {
        slots: usize,
        turns: Vec<usize>,
        begun: Cell<usize>,
        held: RefCell<Vec<usize>>,
        done: RefCell<Vec<usize>>,
        most_parts: Cell<usize>,
        /// Bytes of several parts at once, and of those that were done and not yet taken.
        most_bytes: Cell<usize>,
        most_waiting: Cell<usize>,
        taken: Cell<usize>,
    }

    impl Encoder for Slow {
        fn slots(&self) -> NonZeroUsize {
            NonZeroUsize::new(self.slots).unwrap()
        }

        async fn encode(&self, raw: Vec<u8>) -> Result<EncodedPart> {
            let number = self.begun.replace(self.begun.get() + 1);
            self.held.borrow_mut().push(raw.len());
            let held = self.held.borrow().clone();
            self.most_parts.set(self.most_parts.get().max(held.len()));
            if held.len() > 1 {
                self.most_bytes.set(self.most_bytes.get().max(held.iter().sum()));
            }
            for _ in 0..self.turns[number] {
                let mut waited = false;
                std::future::poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            let place = self.held.borrow().iter().position(|held| *held == raw.len()).unwrap();
            self.held.borrow_mut().swap_remove(place);
            self.done.borrow_mut().push(number);
            let done: usize = self.done.borrow().len();
            self.most_waiting.set(self.most_waiting.get().max(done - self.taken.get()));
            Ok(EncodedPart {
                raw_bytes: raw.len() as u64,
                sha256: Sha256::of(b""),
                crc32: 0,
                stored_plain: false,
                bytes: raw,
            })
        }
    }

    /// Passes parts of these sizes through an encoder that takes these many turns over each.
    fn pass(slots: usize, parts: &[(usize, usize)]) -> Slow {
        let encoder = Slow {
            slots,
            turns: parts.iter().map(|(_, turns)| *turns).collect(),
            begun: Cell::default(),
            held: RefCell::default(),
            done: RefCell::default(),
            most_parts: Cell::default(),
            most_bytes: Cell::default(),
            most_waiting: Cell::default(),
            taken: Cell::default(),
        };
        let raw = parts.iter().zip(1..).map(|((bytes, _), number)| RawPart {
            collection: "articles".parse().unwrap(),
            number,
            documents: 1,
            first: String::new(),
            last: String::new(),
            lines: vec![b'x'; *bytes],
        });
        let load = Load::default();
        let mut numbers = Vec::new();
        block_on(async {
            let mut encoded = encoded(stream::iter(raw), &encoder, &load);
            while let Some(part) = encoded.next().await {
                numbers.push(part.unwrap().0.number);
                encoder.taken.update(|taken| taken + 1);
            }
        });
        assert!(numbers.iter().copied().eq(1..=parts.len() as u32), "out of order: {numbers:?}");
        assert_eq!((load.parts.get(), load.bytes.get(), load.waiting.get()), (0, 0, 0));
        encoder
    }

    #[test]
    fn every_slot_is_used_and_no_more() {
        for slots in 1..=4 {
            let parts: Vec<_> = (0..12).map(|at| (8 * MIB - at, 1 + at * 7 % 5)).collect();
            let encoder = pass(slots, &parts);
            assert_eq!(encoder.most_parts.get(), slots);
        }
        // However small they are.
        assert_eq!(pass(3, &[(9, 4); 20]).most_parts.get(), 3);
    }

    #[test]
    fn large_parts_take_the_room_of_several() {
        let encoder = pass(4, &[(20 * MIB, 9), (20 * MIB + 1, 9), (8 * MIB, 9), (MIB, 9), (8 * MIB + 1, 9)]);
        assert!(encoder.most_bytes.get() <= 32 * MIB, "{}", encoder.most_bytes.get());
        // One that is larger than all the room goes alone.
        let encoder = pass(2, &[(MIB, 9), (30 * MIB, 9), (MIB + 1, 9), (MIB + 2, 9)]);
        assert!(encoder.most_bytes.get() < 3 * MIB, "{}", encoder.most_bytes.get());
        assert_eq!(encoder.most_parts.get(), 2);
    }

    #[test]
    fn what_is_done_early_waits_and_does_not_pile_up() {
        let mut parts = vec![(8 * MIB, 1); 10];
        parts[0].1 = 1000;
        let encoder = pass(2, &parts);
        assert_eq!(encoder.done.borrow()[..3], [1, 2, 0], "a slow part does not stop the others at once");
        assert_eq!(encoder.most_waiting.get(), 3);
    }
}
