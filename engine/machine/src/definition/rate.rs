//! `metadata.potok.rate`: how often a task may begin, across all runs.
//!
//! Moments are given out in advance, and a task begins a little after its own: up to [`Rate::grace`]. They lie so much further apart that no
//! window of the length asked for sees more begin than it may.

use potok_dsl::{
    Millis,
    model::{self, RatePer},
};

use super::{
    TextTemplate,
    compile::Compiler,
    variables::{Place, Variables},
};

/// No moment is waited for longer than this after it has come.
const MOST_GRACE: Millis = Millis(1_000);

/// A rate, compiled.
#[derive(Debug)]
pub(crate) struct Rate {
    /// How many may begin.
    pub(crate) limit: u32,
    /// In which span.
    pub(crate) per: Millis,
    /// Those that share a key share the rate.
    pub(crate) key: Option<TextTemplate>,
}

impl Rate {
    /// How much later than its moment a task may begin.
    pub(crate) fn grace(&self) -> Millis {
        Millis(self.per.0 / 10).min(MOST_GRACE)
    }

    /// In which span there are at most as many moments as may begin.
    pub(crate) fn span(&self) -> Millis {
        Millis(self.per.0 + self.grace().0)
    }
}

impl Compiler<'_> {
    pub(super) fn rate(&mut self, rate: &model::Rate, scope: &Variables) -> Rate {
        const SECOND: u64 = 1_000;
        let per = match rate.per {
            RatePer::Second => SECOND,
            RatePer::Minute => 60 * SECOND,
            RatePer::Hour => 3_600 * SECOND,
            RatePer::Day => 24 * 3_600 * SECOND,
        };
        Rate {
            limit: rate.limit,
            per: Millis(per),
            key: rate.key.as_ref().and_then(|key| self.text(key, Place::Task, scope)),
        }
    }
}
