//! Long runs: a loop of a million iterations, and how soon a run of very many durable steps goes on after a crash.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    Figure,
    crash::{Counting, request},
    meter::{Meter, begin_peak, disk_mib, ms, peak_mib, resident_mib},
    server::Process,
    steps::run,
    world::Bench,
};
use crate::{config::Config, exit::Failure};

/// How often a server is killed and started again.
const KILLS: usize = 3;

/// A run of a loop with so many iterations without an effect, computed in the machine and called in a plugin; then the recovery of one with so
/// many iterations with an effect.
pub async fn long(config: &Config, iterations: u32, durable: u32) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for (what, step) in [
        ("computed", "set: '${ $i }'"),
        ("called in a plugin", "call: demo.add, with: { number: '${ $i }' }"),
    ] {
        figures.extend(looped(config, iterations, what, step).await?);
    }
    figures.extend(recovered(durable).await?);
    Ok(figures)
}

async fn looped(config: &Config, iterations: u32, what: &str, step: &str) -> Result<Vec<Figure>, Failure> {
    let bench = Bench::start(config).await?;
    let tasks = format!(
        "  - loop:\n      for: {{ each: i, in: '${{ [range({iterations})] }}' }}\n      do:\n        - step: {{ {step} }}\n"
    );
    let workflow = bench.deploy("long", &tasks).await?;
    let before = resident_mib("self");
    begin_peak();
    let meter = Meter::start(bench.node());
    let output = run(bench.node(), &workflow).await?;
    let cost = meter.stop(bench.node());
    let last = i64::from(iterations) - i64::from(!step.starts_with("call"));
    if output != json!(last) {
        return Err(Failure::Other(format!("the loop gave {output}")));
    }
    let rate = f64::from(iterations) / cost.time.as_secs_f64();
    let name = format!("{iterations} iterations, {what}");
    let figures = vec![
        Figure::plain("long", &name, rate, "steps/s").costing(&cost, iterations as usize),
        Figure::plain(
            "long",
            format!("{name}: resident memory more than before"),
            peak_mib() - before,
            "MiB",
        ),
        Figure::plain("long", format!("{name}: disk"), disk_mib(bench.directory()), "MiB"),
    ];
    bench.engine.stop().await;
    Ok(figures)
}

/// From the start of the process to the next step of a run that has so many behind it.
async fn recovered(iterations: u32) -> Result<Vec<Figure>, Failure> {
    let counting = Counting::new();
    let target = counting.clone().listen().await?;
    let directory = tempfile::tempdir_in(".").or_else(|_| tempfile::tempdir())?;
    let mut server = Process::start(directory.path()).await?;
    // Enough are left for it to be at work each time.
    let all = iterations + 10_000;
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: bench, name: durable, version: '1.0.0' }}\ndo:\n  - loop:\n      for: {{ each: i, in: '${{ \
         [range({all})] }}' }}\n      do:\n        - step: {{ call: http, with: {{ method: post, endpoint: '{target}/', output: raw }}, output: {{ as: \
         '${{ {{}} }}' }} }}\n"
    );
    request(&server.address, "PUT", "/api/v1/workflows", "application/yaml", &text).await?;
    let runs = "/api/v1/workflows/bench/durable/runs";
    request(&server.address, "POST", runs, "application/json", "{}").await?;
    let start = Instant::now();
    let patience = Duration::from_secs(60) + iterations * Duration::from_millis(10);
    counting.reached_within(iterations as usize, patience).await?;
    let rate = f64::from(iterations) / start.elapsed().as_secs_f64();
    let (mut ready, mut next, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..KILLS {
        server.kill().await?;
        let before = counting.count();
        let start = Instant::now();
        server = Process::start(directory.path()).await?;
        ready.push(ms(start.elapsed()));
        counting.reached(before + 1).await?;
        next.push(ms(start.elapsed()));
        memory.push(server.resident_mib());
        // Somewhere else each time.
        counting.reached(before + 500).await?;
    }
    server.kill().await?;
    let figure = |what: &str, values: &mut [f64], unit| {
        Figure::median("long", format!("{iterations} durable iterations{what}"), values, unit)
    };
    Ok(vec![
        figure(", one after the other over HTTP", &mut [rate], "steps/s"),
        figure(", killed: from start to ready", &mut ready, "ms"),
        figure(", killed: from start to the next step", &mut next, "ms"),
        figure(", killed: resident memory then", &mut memory, "MiB"),
        Figure::plain(
            "long",
            format!("{iterations} durable iterations: disk"),
            disk_mib(directory.path()),
            "MiB",
        ),
    ])
}
