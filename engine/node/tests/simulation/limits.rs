//! What a store gives out across runs: moments under a rate, places in a group.

use std::collections::BTreeMap;

use potok_dsl::{RunId, Timestamp};
use potok_machine::{Admission, OnConflict, RateRequest};
use potok_node::core::{Message, Word};

/// The moments that were given out, by what shares them, each with who has asked.
#[derive(Clone, Default)]
pub struct Moments(BTreeMap<String, Vec<(Timestamp, String)>>);

impl Moments {
    /// Gives out a moment: the same to who asks again.
    pub fn reserve(&mut self, asked: &RateRequest, key: &str, now: Timestamp) -> Timestamp {
        let given = self.0.entry(asked.group.clone()).or_default();
        if let Some((at, _)) = given.iter().find(|(_, known)| known == key) {
            return *at;
        }
        given.sort();
        let before = given.iter().rev().nth(asked.limit as usize - 1);
        let free = before.map(|(before, _)| before.after(asked.span));
        let moment = free.into_iter().chain([asked.earliest(now)]).max().unwrap();
        given.push((moment, key.to_owned()));
        moment
    }
}

/// A place of a run, or one that it waits for.
#[derive(Clone)]
struct Place {
    run: RunId,
    admission: Admission,
    holds: bool,
    leaves: bool,
}

/// Who has a place in its group and who waits for one, in the order in which they came.
#[derive(Clone, Default)]
pub struct Places(Vec<Place>);

impl Places {
    fn group<'p>(&'p self, group: &'p str) -> impl Iterator<Item = &'p Place> {
        self.0.iter().filter(move |place| place.admission.group == group)
    }

    /// Whether a run that comes now has a place at once.
    pub fn is_free(&self, admission: &Admission) -> bool {
        let waits = self.group(&admission.group).any(|place| !place.holds && !place.leaves);
        !waits && self.held(&admission.group) < admission.limit as usize
    }

    fn held(&self, group: &str) -> usize {
        self.group(group).filter(|place| place.holds).count()
    }

    /// A run takes a place or waits; what is said to whom.
    pub fn take(&mut self, run: RunId, admission: Admission) -> Vec<Message> {
        let mut said = Vec::new();
        let holds = self.is_free(&admission);
        if holds {
            said.push(say(run, Word::Admitted));
        }
        self.0.push(Place {
            run,
            admission: admission.clone(),
            holds,
            leaves: false,
        });
        if admission.on_conflict == OnConflict::Replace {
            let same = |place: &&mut Place| !place.leaves && place.admission.group == admission.group;
            for old in self.0.iter_mut().filter(same).rev().skip(admission.limit as usize) {
                old.leaves = true;
                said.push(say(old.run, Word::Replaced));
            }
        }
        said
    }

    /// A run has ended; what is said to whom.
    pub fn leave(&mut self, run: RunId) -> Vec<Message> {
        let mut said = Vec::new();
        self.0.retain(|place| place.run != run);
        while let Some(next) = (0..self.0.len()).find(|next| self.may_begin(&self.0[*next])) {
            self.0[next].holds = true;
            said.push(say(self.0[next].run, Word::Admitted));
        }
        said
    }

    fn may_begin(&self, place: &Place) -> bool {
        !place.holds && !place.leaves && self.held(&place.admission.group) < place.admission.limit as usize
    }
}

fn say(run: RunId, word: Word) -> Message {
    Message { run, word }
}
