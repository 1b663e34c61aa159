//! How long to pause before another attempt.

use potok_dsl::{Millis, RunId, TaskPath, model::Backoff};

use crate::digest;

/// Retries after which a delay grows no more.
const MOST_STEPS: u64 = 10_000;

/// The delay before the retry of that number, from 1.
pub(crate) fn grown(backoff: Backoff, base: Millis, growth: Growth, retry: u64) -> Millis {
    let grown = match (backoff, growth.increment) {
        (Backoff::Linear, Some(increment)) => Millis(
            base.0
                .saturating_add(increment.0.saturating_mul(retry.saturating_sub(1))),
        ),
        (Backoff::Exponential, _) if growth.multiplier != 2.0 => {
            // By multiplying, which gives the same everywhere; a power does not.
            let mut delay = base.0 as f64;
            for _ in 1..retry.min(MOST_STEPS) {
                delay *= growth.multiplier;
            }
            Millis(delay as u64)
        }
        _ => doubled(backoff, base, retry),
    };
    growth.most.map_or(grown, |most| grown.min(most))
}

/// How a delay grows besides by its kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) increment: Option<Millis>,
    pub(crate) multiplier: f64,
    pub(crate) most: Option<Millis>,
}

fn doubled(backoff: Backoff, base: Millis, retry: u64) -> Millis {
    let factor = match backoff {
        Backoff::Constant => 1,
        Backoff::Linear => retry,
        Backoff::Exponential => u32::try_from(retry.saturating_sub(1))
            .ok()
            .and_then(|shift| 1u64.checked_shl(shift))
            .unwrap_or(u64::MAX),
    };
    Millis(base.0.saturating_mul(factor))
}

/// A random span between two, both included: the same for the same retry of the same task of the same run.
pub(crate) fn jitter(run: RunId, path: &TaskPath, retry: u64, from: Millis, to: Millis) -> Millis {
    let Some(width) = to.0.checked_sub(from.0).filter(|width| *width > 0) else {
        return from;
    };
    let run = run.bytes();
    let seed = digest::seed([b"jitter".as_slice(), &run, path.0.as_bytes(), &retry.to_le_bytes()]);
    // The bias of a remainder does not matter for spans that are tiny against 64 bits.
    Millis(from.0 + width.checked_add(1).map_or(seed, |count| seed % count))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn delays_grow_as_the_policy_says() {
        let plain = Growth {
            increment: None,
            multiplier: 2.0,
            most: None,
        };
        let grow_by = |backoff, growth| [1, 2, 3, 4].map(|retry| grown(backoff, Millis(100), growth, retry).0);
        let grow = |backoff| grow_by(backoff, plain);
        assert_eq!(grow(Backoff::Constant), [100, 100, 100, 100]);
        assert_eq!(grow(Backoff::Linear), [100, 200, 300, 400]);
        assert_eq!(grow(Backoff::Exponential), [100, 200, 400, 800]);
        assert_eq!(grown(Backoff::Exponential, Millis(100), plain, 1000), Millis(u64::MAX));
        let growth = Growth {
            increment: Some(Millis(30)),
            multiplier: 3.0,
            most: Some(Millis(800)),
        };
        assert_eq!(grow_by(Backoff::Linear, growth), [100, 130, 160, 190]);
        assert_eq!(grow_by(Backoff::Exponential, growth), [100, 300, 800, 800]);
        assert_eq!(
            grown(Backoff::Exponential, Millis(100), Growth { most: None, ..growth }, 1000),
            Millis(u64::MAX)
        );
    }

    #[test]
    fn jitter_is_random_between_retries_and_the_same_for_one() {
        let run = RunId::from_bytes([7; 16]);
        let path = TaskPath(Arc::from("/do/0/x"));
        let values: Vec<u64> = (1..100)
            .map(|retry| jitter(run, &path, retry, Millis(10), Millis(20)).0)
            .collect();
        assert!(values.iter().all(|value| (10..=20).contains(value)));
        assert!(values.contains(&10) && values.contains(&20));
        assert_eq!(jitter(run, &path, 3, Millis(10), Millis(20)).0, values[2]);
        assert_eq!(jitter(run, &path, 3, Millis(10), Millis(10)), Millis(10));
    }
}
