//! What growth costs: runs stored × 100, definition × 10, input × 10, concurrency × 10, each beside its base, a step or a request.

use std::sync::Arc;

use potok_journal::RunFilter;
use potok_node::deploy::Prepared;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Figure, STEPS,
    meter::{Cost, Meter},
    steps::run_with,
    world::{Bench, sequence},
};
use crate::{config::Config, exit::Failure};

/// Steps of each measurement.
const MEASURED: usize = 20_000;

/// How often a request is made.
const REQUESTS: usize = 300;

/// Runs that are stored.
const STORED: [usize; 2] = [1_000, 100_000];

pub async fn growth(config: &Config) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    let mut figures = Vec::new();
    let input = |bytes: usize| json!({ "n": 0, "more": "x".repeat(bytes) });
    for (what, function) in [("pure", "demo.add"), ("effectful", "demo.count")] {
        let small = bench
            .deploy(&format!("small-{what}"), &sequence(function, STEPS))
            .await?;
        let large = bench
            .deploy(&format!("large-{what}"), &sequence(function, 10 * STEPS))
            .await?;
        let base = cost(&bench, &small, STEPS, &input(0), 1).await?;
        let grown = cost(&bench, &large, 10 * STEPS, &input(0), 1).await?;
        figures.extend(compared(
            &format!("{what} step: a definition of 1000 steps, not 100"),
            &base,
            &grown,
        ));
        let eight = cost(&bench, &small, STEPS, &input(0), 8).await?;
        let eighty = cost(&bench, &small, STEPS, &input(0), 80).await?;
        figures.extend(compared(
            &format!("{what} step: 80 runs at a time, not 8"),
            &eight,
            &eighty,
        ));
        let less = cost(&bench, &small, STEPS, &input(4_000), 1).await?;
        let more = cost(&bench, &small, STEPS, &input(40_000), 1).await?;
        figures.extend(compared(
            &format!("{what} step: an input of 40 kB, not 4"),
            &less,
            &more,
        ));
    }
    bench.engine.stop().await;
    figures.extend(stored(config).await?);
    Ok(figures)
}

/// What as many steps cost as are measured, so many runs at a time.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
async fn cost(
    bench: &Bench,
    workflow: &Arc<Prepared>,
    steps: usize,
    input: &Value,
    at_once: usize,
) -> Result<Cost, Failure> {
    run_with(bench.node(), workflow, input.clone()).await?;
    let each = MEASURED / steps / at_once;
    let runs = each.max(1) * at_once;
    let meter = Meter::start(bench.node());
    all(bench, workflow, input, runs, at_once).await?;
    let mut cost = meter.stop(bench.node());
    // As many steps in each measurement, whatever could be divided.
    let share = MEASURED as f64 / (runs * steps) as f64;
    cost.cpu *= share;
    cost.time = cost.time.mul_f64(share);
    cost.flushes = (cost.flushes as f64 * share).round() as u64;
    Ok(cost)
}

async fn all(
    bench: &Bench,
    workflow: &Arc<Prepared>,
    input: &Value,
    runs: usize,
    at_once: usize,
) -> Result<(), Failure> {
    let mut workers = JoinSet::new();
    for worker in 0..at_once {
        let (node, workflow, input) = (bench.node().clone(), Arc::clone(workflow), input.clone());
        workers.spawn(async move {
            for _ in (worker..runs).step_by(at_once) {
                run_with(&node, &workflow, input.clone()).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Failure::Other(e.to_string()))??;
    }
    Ok(())
}

/// What grew beside its base: time, CPU and flushes of a step, and how many times as much CPU.
#[allow(clippy::cast_precision_loss)]
fn compared(what: &str, base: &Cost, grown: &Cost) -> Vec<Figure> {
    let micros = |cost: &Cost| cost.time.as_secs_f64() * 1e6 / MEASURED as f64;
    let figure = |name: String, cost: &Cost| Figure::plain("growth", name, micros(cost), "µs").costing(cost, MEASURED);
    vec![
        figure(format!("base of the next: {what}"), base),
        figure(what.to_owned(), grown),
        Figure::plain("growth", "  times the CPU of its base", grown.cpu / base.cpu, "times"),
    ]
}

/// Requests to a store with few runs, and with many.
#[allow(clippy::cast_precision_loss)]
async fn stored(config: &Config) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    let workflow = bench.deploy("stored", &sequence("demo.count", 1)).await?;
    let rare = bench.deploy("rare", &sequence("demo.count", 1)).await?;
    let input = json!({ "n": 0 });
    // One that lies before all others, found by its name.
    run_with(bench.node(), &rare, input.clone()).await?;
    let (mut there, mut before) = (0, Vec::<(&str, Cost)>::new());
    let mut figures = Vec::new();
    for count in STORED {
        all(&bench, &workflow, &input, count - there, 64).await?;
        there = count;
        let costs = requests(&bench, &workflow, &input).await?;
        for (number, (what, cost)) in costs.iter().enumerate() {
            let micros = cost.time.as_secs_f64() * 1e6 / REQUESTS as f64;
            let name = format!("{count} runs stored: {what}");
            figures.push(Figure::plain("growth", name, micros, "µs").costing(cost, REQUESTS));
            if let Some((_, base)) = before.get(number) {
                // The clock of the process has ticks of 10 ms: a request that costs nothing to speak of is compared by its time.
                let times = cost.time.as_secs_f64() / base.time.as_secs_f64();
                figures.push(Figure::plain("growth", "  times the time of its base", times, "times"));
            }
        }
        before = costs;
    }
    bench.engine.stop().await;
    Ok(figures)
}

/// What requests cost: a start with its step, lists, a look.
async fn requests(
    bench: &Bench,
    workflow: &Arc<Prepared>,
    input: &Value,
) -> Result<Vec<(&'static str, Cost)>, Failure> {
    let node = bench.node();
    let named = |name: &str| RunFilter {
        namespace: Some("bench".to_owned()),
        name: Some(name.to_owned()),
        ..RunFilter::default()
    };
    let faulted = RunFilter {
        status: vec!["faulted".to_owned()],
        ..RunFilter::default()
    };
    let lists = [
        ("the newest 50", RunFilter::default()),
        ("50 of a workflow", named("stored")),
        ("those of a workflow that ran once, long ago", named("rare")),
        ("those that have faulted, of which there are none", faulted),
    ];
    let mut costs = Vec::new();
    let meter = Meter::start(node);
    for _ in 0..REQUESTS {
        run_with(node, workflow, input.clone()).await?;
    }
    costs.push(("start, step and end", meter.stop(node)));
    for (what, filter) in lists {
        let meter = Meter::start(node);
        for _ in 0..REQUESTS {
            node.runs(&filter, None, 50).await?;
        }
        costs.push((what, meter.stop(node)));
    }
    let (runs, _) = node.runs(&named("rare"), None, 1).await?;
    let id = runs
        .first()
        .ok_or_else(|| Failure::Other("a run is gone".to_owned()))?
        .id;
    let meter = Meter::start(node);
    for _ in 0..REQUESTS {
        node.run(id).await?;
    }
    costs.push(("a look at the oldest run", meter.stop(node)));
    Ok(costs)
}
