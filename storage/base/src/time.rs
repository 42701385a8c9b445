//! Time and randomness as arguments.

/// One reading of both clocks, taken once per loop turn and passed down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Nanoseconds of a clock that never goes back and counts suspend (CLOCK_BOOTTIME). Order,
    /// time limits and leases use this and nothing else.
    pub boottime_ns: u64,
    /// Milliseconds since 1970, as the wall says: for record timestamps and people. May jump.
    pub wall_ms: i64,
}

/// Where [`Now`] comes from: the kernel in `holdfastd`, the seed in `tests/sim`.
pub trait Clock {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// Where unpredictable numbers come from.
pub trait Rng {
    /// The next 64 bits.
    fn next_u64(&mut self) -> u64;

    /// A number in `0..bound`. The bias of the remainder is below 2^-32 for the bounds used here.
    ///
    /// # Panics
    /// When `bound` is 0: there is no such number.
    fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "below(0) has no answer");
        self.next_u64() % bound
    }

    /// True `numerator` times out of `denominator`.
    fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014). Small, seedable,
/// the same on every machine; for simulation and jitter, never for secrets.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator whose whole future is `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SplitMix64 { state: seed }
    }

    /// A second generator, independent of what is drawn from this one later.
    #[must_use]
    pub fn split(&mut self) -> Self {
        SplitMix64 { state: self.next_u64() ^ 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Rng for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
