//! Which seeds are tried, and the numbers that follow from one.

/// The seeds: the one of `POTOK_SEED`, else so many from 0 as the tier says.
pub fn seeds(fast: u64, all: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("POTOK_SEED") {
        return vec![seed.parse().expect("POTOK_SEED is a number")];
    }
    let many = std::env::var("POTOK_TEST_TIER").is_ok_and(|tier| tier == "all");
    (0..if many { all } else { fast }).collect()
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % limit
    }
}
