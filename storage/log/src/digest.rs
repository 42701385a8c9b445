//! A rolling 64-bit hash, to compare replicas: the same on every machine, quick, not secret.
//!
//! Each step is the finaliser of SplitMix64 (Steele, Lea, Flood 2014) over the old value and one
//! word, so order counts. It finds accidents; whoever can write a log can also make it collide.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const EMPTY: Digest = Digest(0x686f_6c64_6661_7374);

    pub(crate) fn from_value(value: u64) -> Self {
        Digest(value)
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }

    pub(crate) fn word(&mut self, word: u64) {
        let mut mixed = (self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
    }

    pub(crate) fn number(&mut self, number: i64) {
        self.word(number.cast_unsigned());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }
}
