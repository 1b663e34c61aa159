//! What runs in the world: random workflows that end soon, and the events that they listen for.

use std::sync::Arc;

use potok_dsl::RunId;
use potok_expr::Evaluator;
use potok_machine::{
    CallEffect, Definition, Event, RateRequest, Request, WorkflowRequest,
    testing::{self, Driver, Random, answer, compiled, eventful},
};
use potok_node::core::{Deployed, Input, Save, StartRun, handed_over, started};
use serde_json::{Value, json};

use super::World;

/// What the ids of events from outside begin with.
pub(super) const OUTSIDE: &str = "outside-";

/// The event of a number, as the generated workflows listen for them.
pub(super) fn event(number: u64) -> Value {
    let mut event = testing::event(&mut Random::new(number));
    event["id"] = json!(format!("{OUTSIDE}{number}"));
    event
}

/// How many effectful calls a workflow makes until it ends, if it does so within some hundred tasks when nothing goes wrong.
fn ends(definition: &Arc<Definition>, evaluator: &Evaluator, random: &mut Random) -> Option<u64> {
    let mut effects = 0;
    let mut driver = Driver::start(definition, evaluator, json!({ "n": 1, "list": [1, 2] }), None);
    for _ in 0..200 {
        if driver.machine.outcome().is_some() {
            return Some(effects);
        }
        if driver.machine.wants_to_proceed() || driver.machine.tasks() > 300 {
            return None;
        }
        if driver.machine.is_held() {
            driver.apply(Event::Admitted).unwrap();
            continue;
        }
        let call = driver.calls().next().cloned();
        let event = match call {
            Some(effect) => {
                effects += u64::from(!effect.pure);
                let outcome = match &effect.request {
                    Request::Rate(asked) => Ok(RateRequest::given(asked.earliest(driver.now))),
                    _ => answer(&effect, random),
                };
                Some(driver.completion(effect.call, outcome))
            }
            None if driver.subscriptions().next().is_some() && !random.one_in(4) => {
                let fitting = (0..12).find_map(|_| driver.incoming(testing::event(random)));
                fitting.or_else(|| driver.next_timer())
            }
            None => driver.next_timer(),
        };
        driver.apply(event?).unwrap();
    }
    None
}

impl World {
    /// A random workflow that ends soon, at least once: some of the generated ones go round in circles.
    pub(super) fn definition(&mut self, parent: bool) -> Arc<Definition> {
        loop {
            let size = 6 + self.random.below(30);
            // A loop over what a loop has collected may double its data each time; that is another test's business.
            let text = eventful(self.random.next(), size).replace(r#""list":"${ . }""#, r#""list":"${ [.[0].n] }""#);
            if !parent && (text.contains(r#""child""#) || text.contains(r#""concurrency""#)) {
                continue;
            }
            let definition = compiled(&text, &self.evaluator);
            let effects = ends(&definition, &self.evaluator, &mut self.random);
            // Most should have something that can be done twice.
            if effects.is_some_and(|effects| effects >= 2 || self.random.one_in(6)) {
                return definition;
            }
        }
    }

    /// What a write is of.
    pub(super) fn deployed_for(&self, save: &Save) -> Deployed {
        let record = self.disk.runs.get(&save.run).filter(|_| save.opening.is_none());
        let opening = save.opening.as_ref().map(|opening| Deployed {
            hash: Arc::clone(&opening.definition),
            definition: Arc::clone(&save.definition),
        });
        let pinned = opening.or_else(|| record.map(|record| record.deployed.clone()));
        pinned.unwrap_or_else(|| self.deployed(save.run))
    }

    /// A newer text of what a run runs.
    pub(super) fn newer(&mut self, run: RunId) -> Deployed {
        let hash = format!("{}+{}", self.deployed(run).hash, self.made.len() as u64 + self.version);
        Deployed {
            hash: hash.into(),
            definition: self.definition(true),
        }
    }

    /// What a run runs: what was made for it, or what a child runs.
    pub(super) fn deployed(&self, run: RunId) -> Deployed {
        let own = self.definitions.get(&run);
        own.or(self.child.as_ref()).unwrap().clone()
    }

    /// The run that a call wants is looked for.
    pub(super) fn find(&mut self, parent: RunId, effect: &CallEffect, wanted: &WorkflowRequest) {
        let child = wanted.run;
        let done = |outcome| Input::CallDone {
            run: parent,
            call: effect.call,
            path: effect.path.clone(),
            digest: effect.digest.clone(),
            outcome,
            made: None,
        };
        let found = match self.disk.runs.get(&child).map(|record| &record.outcome) {
            Some(_) if !wanted.parent.awaits => done(Ok(started(child))),
            Some(Some(outcome)) => done(handed_over(child, outcome)),
            Some(None) => Input::ChildThere {
                parent,
                call: effect.call,
                child,
            },
            None => Input::Child {
                parent,
                call: effect.call,
                start: Box::new(StartRun {
                    run: child,
                    deployed: self.deployed(child),
                    input: Arc::clone(&wanted.input),
                    parent: Some(wanted.parent),
                    origin: None,
                    trigger: None,
                    idempotency_key: Some(format!("run:{child}")),
                    labels: json!({}),
                    client: None,
                }),
            },
        };
        self.handle(found);
    }
}
