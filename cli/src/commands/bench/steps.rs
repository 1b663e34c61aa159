//! Measurements inside the process: a pure call, B1, B3, B4.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use potok_dsl::{TaskPath, Timestamp};
use potok_machine::Status;
use potok_node::{Node, StartRequest, deploy::Prepared};
use potok_wasm::{CallContext, Unavailable};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Figure,
    meter::{Meter, cpu_seconds, disk_mib, quantile, resident_mib},
    world::{Bench, sequence},
};
use crate::{config::Config, exit::Failure};

/// Steps of B1.
const STEPS: usize = 100;

/// Workflows of B1 one at a time.
const ONE_BY_ONE: usize = 20;

/// Workflows of B1 with 64 at a time.
const MANY: usize = 256;

/// Parallel steps of B3.
const PARALLEL: usize = 1_000;

/// A pure call end to end: JSON in, a fresh instance, JSON out.
#[allow(clippy::cast_precision_loss)]
pub async fn pure(config: &Config) -> Result<Vec<Figure>, Failure> {
    const CALLS: usize = 20_000;
    let bench = Bench::start(config).await?;
    let function = bench.function("demo.add")?;
    let host = bench.node().host().clone();
    let call = |number: usize| {
        let cx = CallContext {
            run: None,
            path: TaskPath("/do/0/bench".into()),
            idempotency_key: "bench".into(),
            sequence: 0,
            confidential: false,
            deadline: Instant::now() + Duration::from_secs(60),
            now: Timestamp(0),
            tables: Arc::new(Unavailable),
        };
        host.call(
            &function.component,
            &function.canonical,
            json!({ "number": number }),
            cx,
        )
    };
    let failed = |problem: potok_dsl::Problem| Failure::Problem(Box::new(problem));
    for number in 0..500 {
        call(number).await.map_err(failed)?;
    }
    let mut times = Vec::with_capacity(CALLS);
    let cpu = cpu_seconds();
    for number in 0..CALLS {
        let start = Instant::now();
        let output = call(number).await.map_err(failed)?;
        times.push(start.elapsed());
        if output != json!(number + 1) {
            return Err(Failure::Other(format!("demo.add({number}) gave {output}")));
        }
    }
    let cpu = Some((cpu_seconds() - cpu) * 1e6 / CALLS as f64);
    let figure = |what: &str, q, times: &mut Vec<Duration>| Figure {
        name: "pure",
        what: what.to_owned(),
        value: quantile(times, q) * 1e3,
        unit: "µs",
        cpu,
        flushes: None,
    };
    let figures = vec![
        figure("a pure call end to end, median (bar: 30)", 0.5, &mut times),
        figure("a pure call end to end, 99 of 100", 0.99, &mut times),
    ];
    bench.engine.stop().await;
    Ok(figures)
}

/// B1: workflows of 100 steps, pure and effectful, one at a time and 64 at a time.
pub async fn sequential(config: &Config) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for (name, function, kind) in [("b1p", "demo.add", "pure"), ("b1e", "demo.count", "effectful")] {
        let bench = Bench::start(config).await?;
        let workflow = bench.deploy(name, &sequence(function, STEPS)).await?;
        run(bench.node(), &workflow).await?;
        figures.push(one_by_one(&bench, &workflow, name, kind).await?);
        figures.push(many(&bench, &workflow, name, kind).await?);
        bench.engine.stop().await;
    }
    Ok(figures)
}

async fn one_by_one(
    bench: &Bench,
    workflow: &Arc<Prepared>,
    name: &'static str,
    kind: &str,
) -> Result<Figure, Failure> {
    let meter = Meter::start(bench.node());
    let mut times = Vec::new();
    for _ in 0..ONE_BY_ONE {
        let start = Instant::now();
        run(bench.node(), workflow).await?;
        times.push(start.elapsed());
    }
    let cost = meter.stop(bench.node());
    Ok(Figure {
        name,
        what: format!("{STEPS} {kind} steps in a row, one workflow at a time"),
        value: quantile(&mut times, 0.5),
        unit: "ms",
        cpu: cost.cpu_a_step(ONE_BY_ONE * STEPS),
        flushes: cost.flushes_a_step(ONE_BY_ONE * STEPS),
    })
}

#[allow(clippy::cast_precision_loss)]
async fn many(bench: &Bench, workflow: &Arc<Prepared>, name: &'static str, kind: &str) -> Result<Figure, Failure> {
    let meter = Meter::start(bench.node());
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let (node, workflow) = (bench.node().clone(), Arc::clone(workflow));
        workers.spawn(async move {
            for _ in 0..MANY / 64 {
                run(&node, &workflow).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Failure::Other(e.to_string()))??;
    }
    let cost = meter.stop(bench.node());
    Ok(Figure {
        name,
        what: format!("{STEPS} {kind} steps in a row, 64 workflows at a time"),
        value: (MANY * STEPS) as f64 / cost.time.as_secs_f64(),
        unit: "steps/s",
        cpu: cost.cpu_a_step(MANY * STEPS),
        flushes: cost.flushes_a_step(MANY * STEPS),
    })
}

/// B3: one workflow with 1,000 parallel steps, all results collected.
pub async fn parallel(config: &Config) -> Result<Figure, Failure> {
    let bench = Bench::start(config).await?;
    let tasks = "  - each:\n      metadata: { potok: { parallel: 1000, collect: true } }\n      for: { each: i, in: '${ [range(1000)] }' }\n      \
                 do:\n        - step: { call: demo.count, with: { number: '${ $i }' } }\n";
    let workflow = bench.deploy("b3", tasks).await?;
    run(bench.node(), &workflow).await?;
    let meter = Meter::start(bench.node());
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let output = run(bench.node(), &workflow).await?;
        times.push(start.elapsed());
        if output.as_array().map(Vec::len) != Some(PARALLEL) {
            return Err(Failure::Other("B3 did not collect all results".to_owned()));
        }
    }
    let cost = meter.stop(bench.node());
    let figure = Figure {
        name: "b3",
        what: format!("{PARALLEL} parallel effectful steps, results collected"),
        value: quantile(&mut times, 0.5),
        unit: "ms",
        cpu: cost.cpu_a_step(5 * PARALLEL),
        flushes: cost.flushes_a_step(5 * PARALLEL),
    };
    bench.engine.stop().await;
    Ok(figure)
}

/// B4: workflows that sleep.
#[allow(clippy::cast_precision_loss)]
pub async fn sleepers(config: &Config, count: u32) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    let workflow = bench.deploy("b4", "  - sleep: { wait: { minutes: 10 } }\n").await?;
    let before = resident_mib("self");
    let meter = Meter::start(bench.node());
    let mut workers = JoinSet::new();
    for worker in 0..64 {
        let (node, workflow) = (bench.node().clone(), Arc::clone(&workflow));
        workers.spawn(async move {
            for _ in (worker..count).step_by(64) {
                node.start_prepared(
                    &workflow,
                    StartRequest {
                        input: json!({}),
                        ..StartRequest::default()
                    },
                )
                .await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Failure::Other(e.to_string()))??;
    }
    let cost = meter.stop(bench.node());
    // Runs that only wait leave memory after two seconds; then the process idles.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let cpu = cpu_seconds();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = (cpu_seconds() - cpu) / 3.0 * 100.0;
    let figure = |what: String, value, unit| Figure {
        name: "b4",
        what,
        value,
        unit,
        cpu: None,
        flushes: None,
    };
    let figures = vec![
        Figure {
            cpu: cost.cpu_a_step(count as usize),
            flushes: cost.flushes_a_step(count as usize),
            ..figure(
                format!("{count} sleeping workflows accepted in"),
                cost.time.as_secs_f64(),
                "s",
            )
        },
        figure("resident memory before".to_owned(), before, "MiB"),
        figure(
            "resident memory while they sleep".to_owned(),
            resident_mib("self"),
            "MiB",
        ),
        figure("disk while they sleep".to_owned(), disk_mib(bench.directory()), "MiB"),
        figure("CPU while they sleep".to_owned(), idle, "%"),
    ];
    bench.engine.stop().await;
    Ok(figures)
}

/// A run to its end.
async fn run(node: &Node, workflow: &Prepared) -> Result<Value, Failure> {
    let wait = Some(Duration::from_secs(600));
    let started = node
        .start_prepared(
            workflow,
            StartRequest {
                input: json!({ "n": 0 }),
                wait,
                ..StartRequest::default()
            },
        )
        .await?;
    match started.run.status {
        Status::Completed => Ok(started.run.output.unwrap_or_default()),
        _ => Err(started.run.error.map_or_else(
            || Failure::Other("a run did not complete".to_owned()),
            |problem| Failure::Problem(Box::new(problem)),
        )),
    }
}
