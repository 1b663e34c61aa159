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
    Bar, Figure, STEPS,
    floor::Floor,
    meter::{Cost, Meter, cpu_seconds, disk_mib, ms, quantile, resident_mib},
    world::{Bench, sequence},
};
use crate::{config::Config, exit::Failure};

/// Workflows of B1 one at a time.
const ONE_BY_ONE: usize = 20;

/// Workflows of B1 with 64 at a time.
const MANY: usize = 256;

/// How often what takes long is measured.
const ROUNDS: usize = 5;

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
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if output != json!(number + 1) {
            return Err(Failure::Other(format!("demo.add({number}) gave {output}")));
        }
    }
    let cpu = Some((cpu_seconds() - cpu) * 1e6 / CALLS as f64);
    let figure = |what: &str, times: &mut Vec<f64>| Figure {
        cpu,
        ..Figure::median("pure", what, times, "µs")
    };
    let figures = vec![
        figure("a pure call end to end", &mut times).held_to(Bar::Cpu(30.0)),
        Figure::plain("pure", "99 of 100 take less than", quantile(&mut times, 0.99), "µs"),
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
        figures.extend(one_by_one(&bench, &workflow, name, kind).await?);
        figures.push(many(&bench, &workflow, name, kind).await?);
        bench.engine.stop().await;
    }
    Ok(figures)
}

/// One workflow after the other; between them the floor.
async fn one_by_one(
    bench: &Bench,
    workflow: &Arc<Prepared>,
    name: &'static str,
    kind: &str,
) -> Result<Vec<Figure>, Failure> {
    let floor = Floor::open(bench.directory())?;
    let (mut times, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut cost = Cost::default();
    for _ in 0..ONE_BY_ONE {
        let meter = Meter::start(bench.node());
        run(bench.node(), workflow).await?;
        cost.add(&meter.stop(bench.node()));
        times.push(ms(cost.last));
        let lowest = ms(tokio::task::block_in_place(|| floor.measure())?);
        floors.push(lowest);
        ratios.push(ms(cost.last) / lowest);
    }
    let what = format!("{STEPS} {kind} steps in a row, one workflow at a time");
    // A run of pure steps is written once or twice; a step with an effect once.
    let most = if kind == "effectful" { 1.1 } else { 0.1 };
    let figure = Figure::median(name, what, &mut times, "ms").costing(&cost, ONE_BY_ONE * STEPS);
    let mut figures = vec![figure.held_to(Bar::Flushes(most))];
    if kind == "effectful" {
        let what = format!("the floor: {STEPS} commits of one row by SQLite alone");
        figures.push(Figure::median("floor", what, &mut floors, "ms"));
        figures.push(Figure::median(
            name,
            "the workflow over the floor",
            &mut ratios,
            "times",
        ));
    }
    Ok(figures)
}

#[allow(clippy::cast_precision_loss)]
async fn many(bench: &Bench, workflow: &Arc<Prepared>, name: &'static str, kind: &str) -> Result<Figure, Failure> {
    let (mut rates, mut cost) = (Vec::new(), Cost::default());
    for _ in 0..ROUNDS {
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
        cost.add(&meter.stop(bench.node()));
        rates.push((MANY * STEPS) as f64 / cost.last.as_secs_f64());
    }
    let what = format!("{STEPS} {kind} steps in a row, 64 workflows at a time");
    Ok(Figure::median(name, what, &mut rates, "steps/s").costing(&cost, ROUNDS * MANY * STEPS))
}

/// B3: one workflow with 1,000 parallel steps, all results collected.
pub async fn parallel(config: &Config) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    let tasks = "  - each:\n      metadata: { potok: { parallel: 1000, collect: true } }\n      for: { each: i, in: '${ [range(1000)] }' }\n      \
                 do:\n        - step: { call: demo.count, with: { number: '${ $i }' } }\n";
    let workflow = bench.deploy("b3", tasks).await?;
    run(bench.node(), &workflow).await?;
    let meter = Meter::start(bench.node());
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let output = run(bench.node(), &workflow).await?;
        times.push(ms(start.elapsed()));
        if output.as_array().map(Vec::len) != Some(PARALLEL) {
            return Err(Failure::Other("B3 did not collect all results".to_owned()));
        }
    }
    let cost = meter.stop(bench.node());
    let what = format!("{PARALLEL} parallel effectful steps, results collected");
    let figure = Figure::median("b3", what, &mut times, "ms").costing(&cost, ROUNDS * PARALLEL);
    bench.engine.stop().await;
    Ok(vec![figure])
}

/// B4: workflows that sleep, and what they cost meanwhile; then as many that wake.
#[allow(clippy::cast_precision_loss)]
pub async fn sleepers(config: &Config, count: u32) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    let sleep = bench.deploy("b4", "  - sleep: { wait: { minutes: 10 } }\n").await?;
    let before = resident_mib("self");
    let cost = start_all(&bench, &sleep, count).await?;
    // Runs that only wait leave memory after two seconds; then the process idles.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let cpu = cpu_seconds();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = (cpu_seconds() - cpu) / 3.0 * 100.0;
    let rate = f64::from(count) / cost.time.as_secs_f64();
    let mut figures = vec![
        Figure::plain("b4", format!("{count} sleeping workflows accepted"), rate, "runs/s")
            .costing(&cost, count as usize),
        Figure::plain("b4", "resident memory before", before, "MiB"),
        Figure::plain("b4", "resident memory while they sleep", resident_mib("self"), "MiB"),
        Figure::plain("b4", "disk while they sleep", disk_mib(bench.directory()), "MiB"),
        Figure::plain("b4", "CPU while they sleep", idle, "%"),
    ];
    bench.engine.stop().await;
    figures.push(woken(config, count).await?);
    Ok(figures)
}

/// How much later than its time the last of many sleepers has ended.
async fn woken(config: &Config, count: u32) -> Result<Figure, Failure> {
    let bench = Bench::start(config).await?;
    // Long enough for all to be accepted, and to have left memory.
    let asleep = 10 + count / 3_000;
    let workflow = bench
        .deploy("woken", &format!("  - sleep: {{ wait: {{ seconds: {asleep} }} }}\n"))
        .await?;
    let started = Instant::now();
    start_all(&bench, &workflow, count).await?;
    let deadline = started + 3 * Duration::from_secs(u64::from(asleep));
    let completed = || bench.node().metrics().completed;
    while completed() < u64::from(count) {
        if Instant::now() > deadline {
            return Err(Failure::Other(format!(
                "of {count} sleepers {} have woken",
                completed()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let database = rusqlite::Connection::open(bench.directory().join("potok.db"));
    let slept = database.and_then(|database| {
        database.query_row(
            "SELECT MAX(ended_at - created_at) FROM runs WHERE name = 'woken'",
            [],
            |row| row.get::<_, i64>(0),
        )
    });
    let slept = slept.map_err(|e| Failure::Other(e.to_string()))?;
    let late = Duration::from_millis(u64::try_from(slept).unwrap_or_default())
        .saturating_sub(Duration::from_secs(u64::from(asleep)));
    bench.engine.stop().await;
    Ok(Figure::plain(
        "b4",
        format!("{count} sleepers: the last one wakes late by"),
        late.as_secs_f64(),
        "s",
    ))
}

/// Starts so many runs, 64 at a time.
async fn start_all(bench: &Bench, workflow: &Arc<Prepared>, count: u32) -> Result<Cost, Failure> {
    let meter = Meter::start(bench.node());
    let mut workers = JoinSet::new();
    for worker in 0..64 {
        let (node, workflow) = (bench.node().clone(), Arc::clone(workflow));
        workers.spawn(async move {
            for _ in (worker..count).step_by(64) {
                let request = StartRequest {
                    input: json!({}),
                    ..StartRequest::default()
                };
                node.start_prepared(&workflow, request).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Failure::Other(e.to_string()))??;
    }
    Ok(meter.stop(bench.node()))
}

/// A run to its end.
pub async fn run(node: &Node, workflow: &Prepared) -> Result<Value, Failure> {
    run_with(node, workflow, json!({ "n": 0 })).await
}

/// The same with an input.
pub async fn run_with(node: &Node, workflow: &Prepared, input: Value) -> Result<Value, Failure> {
    let wait = Some(Duration::from_secs(600));
    let started = node
        .start_prepared(
            workflow,
            StartRequest {
                input,
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
