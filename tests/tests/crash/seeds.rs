//! Which seeds are tried, and the numbers that follow from one.

use std::future::Future;

use tokio::task::JoinSet;

/// Seeds at once: they wait more than they compute.
const AT_ONCE: usize = 3;

/// The seeds: the one of `POTOK_SEED`, else so many from 0 as the tier says.
pub fn seeds(fast: u64, all: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("POTOK_SEED") {
        return vec![seed.parse().expect("POTOK_SEED is a number")];
    }
    let many = std::env::var("POTOK_TEST_TIER").is_ok_and(|tier| tier == "all");
    (0..if many { all } else { fast }).collect()
}

/// Tries each seed, some at once, and in the end names those that fail; `test` is what to run one alone by.
pub async fn try_each<F>(seeds: Vec<u64>, test: &str, one: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut left = seeds.into_iter();
    let mut running = JoinSet::new();
    let mut failed = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = left.next()
        {
            let alone = tokio::spawn(one(seed));
            running.spawn(async move { (seed, alone.await) });
        }
        let Some(ended) = running.join_next().await else { break };
        // What went wrong was printed when it did.
        if let (seed, Err(_)) = ended.expect("a seed's failure is its own") {
            eprintln!("seed {seed} fails");
            failed.push(seed);
        }
    }
    assert!(
        failed.is_empty(),
        "seeds {failed:?} fail; run one alone with POTOK_SEED=n cargo test -p potok-tests --test crash {test}"
    );
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
