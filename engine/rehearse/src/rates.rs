//! Rates in virtual time: what a store would give out, to the one run that there is.

use std::collections::BTreeMap;

use potok_dsl::Timestamp;
use potok_machine::RateRequest;

/// The moments that were given, by what shares them.
#[derive(Default)]
pub(crate) struct Rates(BTreeMap<String, Vec<Timestamp>>);

impl Rates {
    /// The moment at which a task may begin that asks now.
    pub fn moment(&mut self, asked: &RateRequest, now: Timestamp) -> Timestamp {
        let given = self.0.entry(asked.group.clone()).or_default();
        let before = given.len().checked_sub(asked.limit as usize).map(|place| given[place]);
        let free = before.map_or(now, |before| before.after(asked.span));
        let moment = asked.earliest(now).max(free);
        let place = given.partition_point(|other| *other <= moment);
        given.insert(place, moment);
        moment
    }
}

#[cfg(test)]
mod tests {
    use potok_dsl::Millis;

    use super::*;

    #[test]
    fn no_span_holds_more_than_it_may() {
        let asked = |ahead| RateRequest {
            group: "a".to_owned(),
            limit: 2,
            span: Millis(100),
            asked_at: Timestamp(1_000),
            ahead: Millis(ahead),
        };
        let mut rates = Rates::default();
        let mut moment = |ahead| rates.moment(&asked(ahead), Timestamp(1_000)).0;
        assert_eq!([0, 300, 0, 0, 0].map(&mut moment), [1_000, 1_300, 1_100, 1_200, 1_300]);
    }
}
