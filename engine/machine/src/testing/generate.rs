//! Random workflows.

use std::{collections::BTreeMap, sync::Arc};

use potok_dsl::{ErrorType, Problem};
use potok_expr::Evaluator;
use serde_json::{Map, Value, json};

use super::Random;
use crate::{CallEffect, Definition, Lock, LockedFunction, LockedOperation, LockedSchema, LockedWorkflow};

/// What tests are bound to: the functions `test.pure` and `test.effect`, the operation `getPet` and a schema under `https://api.example`, and the
/// workflow `test/child:1.0.0`, whose definition has the hash `child`.
#[must_use]
pub fn lock() -> Lock {
    let function = |name: &str, pure| {
        let component = if pure { "aa" } else { "bb" }.repeat(32);
        (
            name.to_owned(),
            LockedFunction {
                component,
                function: format!("{name}:1.0.0"),
                pure,
            },
        )
    };
    let child = LockedWorkflow {
        definition: "child".to_owned(),
        version: "1.0.0".to_owned(),
    };
    Lock {
        functions: [function("test.pure", true), function("test.effect", false)].into(),
        workflows: [("test/child:1.0.0".to_owned(), child)].into(),
        operations: [(
            Lock::operation_key("https://api.example/openapi.json", "getPet"),
            LockedOperation {
                document: "cc".repeat(32),
                operation: Arc::new(json!({ "method": "get" })),
            },
        )]
        .into(),
        schemas: [(
            "https://api.example/pet.json".to_owned(),
            LockedSchema {
                document: "dd".repeat(32),
                schema: json!({ "type": "object", "required": ["id"] }),
            },
        )]
        .into(),
        documents: BTreeMap::new(),
    }
}

/// What a call gives: mostly an object with a number `n`, now and then an error.
pub fn answer(effect: &CallEffect, random: &mut Random) -> Result<Value, Problem> {
    let text = format!("{} at {}", effect.digest, effect.path);
    match random.below(8) {
        0 => Err(Problem::new(ErrorType::Communication, "Unavailable", text).with_status(503)),
        1 => Err(Problem::new(ErrorType::Runtime, "Failed", text).with_retry_after(random.below(50))),
        n => Ok(json!({ "n": n, "list": [1, 2] })),
    }
}

/// An event that [`eventful`]'s workflows may listen for.
pub fn event(random: &mut Random) -> Value {
    let id = random.next().to_string();
    let kind = *random.pick(&["test.a", "test.b", "test.c"]);
    let n = random.below(9);
    json!({
        "specversion": "1.0", "id": id, "source": "https://example.com/test", "type": kind, "time": "2026-01-31T08:00:00.000Z",
        "room": random.below(3), "data": { "n": n, "list": [n] },
    })
}

/// A random workflow as JSON text, of about `size` tasks, that neither emits nor listens. It takes an object with a number `n`.
#[must_use]
pub fn workflow(seed: u64, size: u64) -> String {
    generated(seed, size, false)
}

/// As [`workflow`], with tasks that emit and listen.
#[must_use]
pub fn eventful(seed: u64, size: u64) -> String {
    generated(seed, size, true)
}

fn generated(seed: u64, size: u64, events: bool) -> String {
    let mut generator = Generator {
        random: Random::new(seed),
        left: size.max(1),
        named: 0,
        functions: false,
        events,
    };
    let mut document = json!({
        "document": { "dsl": "1.0.3", "namespace": "test", "name": "random", "version": "1.0.0" },
        "do": [],
    });
    let functions = json!({ "twice": generator.composite(2), "once": generator.call() });
    generator.functions = true;
    document["use"] = json!({
        "functions": functions,
        "retries": { "patient": { "delay": { "milliseconds": 7 }, "limit": { "attempt": { "count": 2 } } } },
        "timeouts": { "short": { "after": { "milliseconds": 20 } } },
        "errors": { "odd": { "type": "https://example.com/odd", "status": 418, "title": "Odd" } },
    });
    if generator.random.one_in(3) {
        let extend = *generator
            .random
            .pick(&["all", "call", "set", "composite", "for", "try"]);
        let mut extension = json!({ "extend": extend, "when": "${ $task.input.n != 3 }" });
        generator.left = 3;
        extension["before"] = generator.list(1);
        if generator.random.one_in(2) {
            extension["after"] = generator.list(1);
        }
        if let Some(before) = extension["before"].as_array_mut()
            && generator.random.one_in(3)
        {
            let mock = json!({ "set": { "n": 1, "list": [8] }, "then": "exit", "if": "${ .n == 2 }" });
            before.insert(0, json!({ "mock": mock }));
        }
        document["use"]["extensions"] = json!([{ "extension": extension }]);
    }
    generator.left = size.max(1);
    document["do"] = generator.list(4);
    if generator.random.one_in(6) {
        document["timeout"] = json!({ "after": { "milliseconds": 50 + generator.random.below(500) } });
    }
    if generator.random.one_in(4) {
        let conflict = *generator.random.pick(&["queue", "queue", "reject", "replace"]);
        let concurrency = json!({ "key": "${ .n }", "limit": 1, "onConflict": conflict });
        document["document"]["metadata"] = json!({ "potok": { "concurrency": concurrency } });
    }
    if generator.random.one_in(6) {
        document["output"] = json!({ "as": { "result": "${ . }", "context": "${ $context }" } });
    }
    document.to_string()
}

/// Compiles such a workflow.
///
/// # Panics
/// When it does not parse or compile.
#[must_use]
pub fn compiled(text: &str, evaluator: &Evaluator) -> Arc<Definition> {
    let parsed = potok_dsl::parse("random.json", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let definition = Definition::compile(&parsed.workflow, &lock(), evaluator);
    Arc::new(definition.unwrap_or_else(|error| panic!("{error:?}\n{text}")))
}

struct Generator {
    random: Random,
    /// How many tasks may still be made.
    left: u64,
    named: u64,
    /// Whether `use.functions` may be called (not from within, so that they never call each other).
    functions: bool,
    /// Whether tasks may emit and listen.
    events: bool,
}

impl Generator {
    /// A list of tasks, never empty.
    fn list(&mut self, depth: u64) -> Value {
        let count = 1 + self.random.below(4);
        let names: Vec<String> = (0..count).map(|_| self.name()).collect();
        let tasks = names.iter().enumerate().map(|(index, name)| {
            let task = self.task(depth, &names, index);
            json!({ name: task })
        });
        tasks.collect()
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("t{}", self.named)
    }

    fn task(&mut self, depth: u64, names: &[String], index: usize) -> Value {
        self.left = self.left.saturating_sub(1);
        let composite = depth > 0 && self.left > 0;
        let mut task = match self.random.below(if composite { 24 } else { 12 }) {
            0..=2 => json!({ "set": { "n": "${ .n + 1 }", "list": [1, 2, 3] } }),
            3 => json!({ "wait": { "milliseconds": self.random.below(30) } }),
            4 => self.raise(),
            5 => self.switch(names, index),
            6..=9 => self.call(),
            10 if self.events => {
                json!({ "emit": { "event": { "with": { "type": "test.out", "room": 1, "data": { "n": "${ .n }" } } } } })
            }
            11 if self.events => self.listen(depth),
            10 | 11 => self.call(),
            12..=14 => self.composite(depth),
            15..=17 => self.each(depth),
            18 | 19 => self.fork(depth),
            20 if self.events => self.listen(depth),
            _ => self.attempt(depth, names, index),
        };
        self.decorate(&mut task, names, index);
        task
    }

    fn composite(&mut self, depth: u64) -> Value {
        json!({ "do": self.list(depth.saturating_sub(1)) })
    }

    /// What all tasks can have.
    fn decorate(&mut self, task: &mut Value, names: &[String], index: usize) {
        if self.random.one_in(8) {
            task["if"] = json!("${ .n < 6 }");
        }
        if self.random.one_in(10) {
            task["input"] = json!({ "from": { "n": "${ .n }", "list": [4, 5], "was": "${ $context.last }" } });
        }
        if self.random.one_in(5) {
            let key = format!("k{}", self.random.below(4));
            task["export"] =
                json!({ "as": { key: "${ .n }", "last": "${ $task.reference }", "old": "${ $context.k1 }" } });
        }
        if self.random.one_in(12) && task.get("output").is_none() {
            task["output"] = json!({ "as": { "n": "${ .n }", "list": [6] } });
        }
        if self.random.one_in(10) {
            task["timeout"] = match self.random.below(2) {
                0 => json!("short"),
                _ => json!({ "after": { "milliseconds": 1 + self.random.below(60) } }),
            };
        }
        if self.random.one_in(10) {
            let then = self.flow(names, index);
            // A task that leads back must not do so for ever.
            if names.iter().position(|name| *name == then).is_none_or(|to| to > index) {
                task["then"] = json!(then);
            }
        }
        if self.random.one_in(10) {
            task["metadata"]["potok"]["label"] = json!("${ $task.name }");
        }
    }

    fn flow(&mut self, names: &[String], index: usize) -> String {
        match self.random.below(8) {
            0 => "exit".to_owned(),
            1 => "end".to_owned(),
            2..=4 => names.get(index + 1).cloned().unwrap_or_else(|| "continue".to_owned()),
            5 if !names.is_empty() => self.random.pick(names).clone(),
            _ => "continue".to_owned(),
        }
    }

    fn raise(&mut self) -> Value {
        if self.random.one_in(4) {
            return json!({ "raise": { "error": "odd" } });
        }
        let status = *self.random.pick(&[400, 500, 503]);
        let error = json!({ "type": "https://example.com/random", "status": status, "detail": "${ $task.name }" });
        json!({ "raise": { "error": error } })
    }

    fn switch(&mut self, names: &[String], index: usize) -> Value {
        let mut cases = vec![json!({ "low": { "when": ".n < 3", "then": self.flow(names, index) } })];
        if self.random.one_in(2) {
            cases.push(json!({ "high": { "when": "${ .n > 7 }", "then": self.flow(names, index) } }));
        }
        if self.random.one_in(3) {
            let then = self.flow(names, index);
            if names.iter().position(|name| *name == then).is_none_or(|to| to > index) {
                cases.push(json!({ "other": { "then": then } }));
            }
        }
        json!({ "switch": cases })
    }

    fn call(&mut self) -> Value {
        match self.random.below(10) {
            0 => json!({
                "call": "http",
                "with": {
                    "method": "post",
                    "endpoint": { "uri": "https://example.com/{n}" },
                    "body": { "n": "${ .n }" },
                    "query": { "name": "${ $task.name }" },
                },
            }),
            1 | 2 if self.functions => {
                json!({ "call": self.random.pick(&["twice", "once"]), "with": { "n": "${ .n }", "list": [1] } })
            }
            3 => json!({
                "call": "test.effect",
                "with": { "n": "${ .n }" },
                "metadata": { "potok": { "idempotencyKey": "${ \"key-\\(.n)\" }" } },
            }),
            7 => {
                let rate = match self.random.below(3) {
                    0 => json!({ "limit": 2, "per": "second", "key": "${ $task.name }" }),
                    1 => json!({ "limit": 2, "per": "second", "key": "shared" }),
                    _ => json!({ "limit": 2, "per": "second" }),
                };
                json!({
                    "call": "test.effect",
                    "with": { "n": "${ .n }", "rated": true, "started": "${ $task.startedAt.epoch.milliseconds }" },
                    "metadata": { "potok": { "rate": rate } },
                })
            }
            5 => json!({
                "call": "test.effect",
                "with": { "n": "${ .n }" },
                "metadata": { "potok": { "delivery": "atMostOnce" } },
            }),
            4 => json!({
                "run": {
                    "workflow": {
                        "namespace": "test",
                        "name": "child",
                        "version": "1.0.0",
                        "input": { "n": "${ .n }", "list": [1, 2] },
                    },
                    "await": !self.random.one_in(4),
                },
            }),
            n if n % 2 == 0 => json!({ "call": "test.pure", "with": { "n": "${ .n }" } }),
            _ => {
                json!({ "call": "test.effect", "with": { "n": "${ .n }", "at": "${ $task.startedAt.epoch.milliseconds }" } })
            }
        }
    }

    fn fork(&mut self, depth: u64) -> Value {
        let branches: Vec<Value> = (0..1 + self.random.below(3))
            .map(|_| {
                let name = self.name();
                let task = self.task(depth - 1, &[], 0);
                json!({ name: task })
            })
            .collect();
        let mut task = json!({ "fork": { "branches": branches } });
        if self.random.one_in(2) {
            task["fork"]["compete"] = json!(true);
        } else {
            task["output"] = json!({ "as": { "n": "${ length }", "list": [7] } });
        }
        task
    }

    fn filter(&mut self) -> Value {
        let mut filter =
            json!({ "with": { "type": self.random.pick(&["test.a", "test.b", "test.(a|c)", "${ \"test.a\" }"]) } });
        match self.random.below(4) {
            0 => filter["with"]["data"] = json!("${ .n > 2 }"),
            1 => filter["correlate"] = json!({ "room": { "from": ".room" } }),
            2 => filter["correlate"] = json!({ "room": { "from": ".room", "expect": "${ .n % 3 }" } }),
            _ => {}
        }
        filter
    }

    fn listen(&mut self, depth: u64) -> Value {
        let filters: Vec<Value> = (0..1 + self.random.below(3)).map(|_| self.filter()).collect();
        let to = match self.random.below(6) {
            0 => json!({ "one": self.filter() }),
            1 => json!({ "any": [] }),
            2 => json!({ "all": filters }),
            3 => json!({ "any": filters, "until": "${ length > 2 }" }),
            4 => json!({ "any": [], "until": { "one": self.filter() } }),
            _ => json!({ "any": filters, "until": { "all": [self.filter(), self.filter()] } }),
        };
        let mut task = json!({ "listen": { "to": to }, "output": { "as": { "n": "${ length }", "list": "${ . }" } } });
        if self.random.one_in(3) {
            task["listen"]["read"] = json!(self.random.pick(&["data", "envelope", "raw"]));
        }
        if self.random.one_in(2) {
            let mut foreach = json!({ "item": "event" });
            if depth > 0 && self.left > 0 {
                foreach["do"] = self.list(depth - 1);
            }
            if self.random.one_in(2) {
                foreach["output"] = json!({ "as": { "of": "${ $event }", "n": "${ $index }" } });
                foreach["export"] = json!({ "as": { "k1": "${ $index }", "last": "${ .n }" } });
            }
            task["foreach"] = foreach;
        }
        task
    }

    fn each(&mut self, depth: u64) -> Value {
        let mut task = json!({ "for": {}, "do": self.list(depth - 1) });
        task["for"]["in"] = match self.random.below(4) {
            0 => json!(".list"),
            1 => json!([]),
            _ => json!(
                (0..1 + self.random.below(5))
                    .map(|n| json!({ "i": n }))
                    .collect::<Vec<_>>()
            ),
        };
        let mut potok = Map::new();
        if self.random.one_in(2) {
            potok.insert("parallel".to_owned(), json!(1 + self.random.below(3)));
        } else if self.random.one_in(2) {
            task["while"] = json!("${ $index < 2 }");
        }
        if self.random.one_in(2) {
            potok.insert("collect".to_owned(), json!(true));
            task["output"] = json!({ "as": { "n": 2, "list": "${ . }" } });
        }
        if !potok.is_empty() {
            task["metadata"] = json!({ "potok": potok });
        }
        task
    }

    fn attempt(&mut self, depth: u64, names: &[String], index: usize) -> Value {
        let mut catch = Map::new();
        match self.random.below(5) {
            0 => drop(catch.insert("errors".to_owned(), json!({ "with": { "status": 503 } }))),
            1 => drop(catch.insert("when".to_owned(), json!("${ $error.status >= 500 }"))),
            2 => {
                catch.insert("as".to_owned(), json!("oops"));
                catch.insert("exceptWhen".to_owned(), json!("${ $oops.status == 408 }"));
            }
            _ => {}
        }
        if self.random.one_in(2) {
            let retry = match self.random.below(3) {
                0 => json!("patient"),
                1 => json!({
                    "delay": { "milliseconds": 5 },
                    "backoff": { "exponential": {} },
                    "jitter": { "from": { "milliseconds": 0 }, "to": { "milliseconds": 9 } },
                    "limit": { "attempt": { "count": 1 + self.random.below(3) } },
                }),
                _ => json!({
                    "delay": { "milliseconds": 0 },
                    "limit": { "attempt": { "count": 1, "duration": { "milliseconds": 15 } }, "duration": { "seconds": 1 } },
                }),
            };
            catch.insert("retry".to_owned(), retry);
        }
        if self.random.one_in(2) {
            catch.insert("do".to_owned(), self.list(depth - 1));
        }
        if self.random.one_in(6) {
            let then = self.flow(names, index);
            if names.iter().position(|name| *name == then).is_none_or(|to| to > index) {
                catch.insert("then".to_owned(), json!(then));
            }
        }
        json!({ "try": self.list(depth - 1), "catch": catch })
    }
}
