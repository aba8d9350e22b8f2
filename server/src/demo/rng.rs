//! Numbers that look random and are the same everywhere.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(super) struct Rng(u64);

impl Rng {
    /// A stream of its own for each number and purpose, so that a new draw in one place shifts no other.
    pub(super) fn of(purpose: &str, number: i64) -> Self {
        let mut seed = Self(0x4469_4b41_5320_3236 ^ number.cast_unsigned());
        purpose.bytes().for_each(|byte| seed = Self(seed.next() ^ u64::from(byte)));
        Self(seed.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0) + 1;
        low + (self.next() >> 1).cast_signed() % span
    }

    /// Mostly near the middle of `low` to `high`: the sum of two draws.
    pub(super) fn around_middle(&mut self, low: i64, high: i64) -> i64 {
        let half = (high - low) / 2;
        low + self.between(0, half) + self.between(0, high - low - half)
    }

    /// True in `per_mille` of 1,000 cases.
    pub(super) fn chance(&mut self, per_mille: i64) -> bool {
        self.between(0, 999) < per_mille
    }

    /// One of a table's rows.
    #[expect(
        clippy::indexing_slicing,
        reason = "tables are constants with rows; the index is below their length"
    )]
    pub(super) fn pick<T: Copy>(&mut self, table: &[T]) -> T {
        let last = i64::try_from(table.len()).unwrap_or(i64::MAX) - 1;
        table[usize::try_from(self.between(0, last)).unwrap_or(0)]
    }
}
