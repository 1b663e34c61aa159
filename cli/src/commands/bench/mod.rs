//! `potok bench`: the numbers of this build on this machine, by the definitions in `docs/reference/benchmarks.md`.
//!
//! Each figure stands beside the CPU and the disk flushes that it cost a step: a busy machine changes times tenfold, these hardly.

mod counter;
mod crash;
mod floor;
mod load;
mod meter;
mod server;
mod steps;
mod world;

use std::io::Write;

use serde_json::{Value, json};

use meter::{Cost, quantile};

use crate::{
    args::BenchArgs,
    config::Config,
    exit::{COMPLETED, Failure},
};

/// Steps of the workflows of B1.
const STEPS: usize = 100;

/// One line of the report.
pub struct Figure {
    /// Which measurement: `pure`, `b1p`, …
    pub name: &'static str,
    /// What was measured.
    pub what: String,
    /// The number; a median where there are several.
    pub value: f64,
    /// The quartiles around the median.
    pub spread: Option<(f64, f64)>,
    /// Its unit.
    pub unit: &'static str,
    /// CPU a step, in microseconds, where steps are what is measured.
    pub cpu: Option<f64>,
    /// Disk flushes a step.
    pub flushes: Option<f64>,
}

impl Figure {
    /// A number alone.
    pub fn plain(name: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name,
            what: what.into(),
            value,
            spread: None,
            unit,
            cpu: None,
            flushes: None,
        }
    }

    /// The median of some numbers, with its spread.
    pub fn median(name: &'static str, what: impl Into<String>, values: &mut [f64], unit: &'static str) -> Self {
        Self {
            spread: Some((quantile(values, 0.25), quantile(values, 0.75))),
            ..Self::plain(name, what, quantile(values, 0.5), unit)
        }
    }

    /// The same with what a step of it cost.
    pub fn costing(self, cost: &Cost, steps: usize) -> Self {
        Self {
            cpu: cost.cpu_a_step(steps),
            flushes: cost.flushes_a_step(steps),
            ..self
        }
    }
}

/// Where figures go: printed as they come, kept for `--json`.
struct Report {
    json: bool,
    figures: Vec<Value>,
}

impl Report {
    fn add(&mut self, figure: &Figure) -> Result<(), Failure> {
        if self.json {
            self.figures.push(json!({
                "name": figure.name, "what": figure.what, "value": figure.value, "unit": figure.unit, "quartiles": figure.spread,
                "cpuMicrosPerStep": figure.cpu, "flushesPerStep": figure.flushes,
            }));
            return Ok(());
        }
        let cost = |value: Option<f64>, unit: &str| value.map_or_else(String::new, |v| format!("{v:>9.2} {unit}"));
        let short = |value: f64| {
            if value < 100.0 {
                format!("{value:.2}")
            } else {
                format!("{value:.0}")
            }
        };
        let spread = figure
            .spread
            .map_or_else(String::new, |(low, high)| format!("{} to {}", short(low), short(high)));
        writeln!(
            std::io::stdout(),
            "{:<6} {:<56} {:>8} {:<8} {spread:<18} {:<16} {}",
            figure.name,
            figure.what,
            short(figure.value),
            figure.unit,
            cost(figure.cpu, "µs CPU"),
            cost(figure.flushes, "flushes"),
        )?;
        Ok(())
    }
}

pub async fn bench(config: &Config, args: BenchArgs) -> Result<u8, Failure> {
    let known = ["pure", "b1", "b2", "b3", "b4", "b5", "start"];
    if let Some(unknown) = args.only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::Usage(format!(
            "there is no measurement '{unknown}'; there are {}",
            known.join(", ")
        )));
    }
    if cfg!(debug_assertions) {
        eprintln!("potok: this is a debug build: its times say little (make bench builds the other one)");
    }
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let mut report = Report {
        json: args.json,
        figures: Vec::new(),
    };
    if wanted("pure") {
        for figure in steps::pure(config).await? {
            report.add(&figure)?;
        }
    }
    if wanted("b1") {
        for figure in steps::sequential(config).await? {
            report.add(&figure)?;
        }
    }
    if wanted("b2") {
        for figure in server::over_http(config).await? {
            report.add(&figure)?;
        }
    }
    if wanted("b3") {
        for figure in steps::parallel(config).await? {
            report.add(&figure)?;
        }
    }
    if wanted("b4") {
        for figure in steps::sleepers(config, args.sleepers).await? {
            report.add(&figure)?;
        }
    }
    if wanted("b5") {
        for figure in crash::killed().await? {
            report.add(&figure)?;
        }
    }
    if wanted("start") {
        for figure in server::start_up().await? {
            report.add(&figure)?;
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.figures).unwrap_or_default());
    }
    Ok(COMPLETED)
}
