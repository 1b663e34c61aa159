//! `potok bench`: the numbers of this build on this machine, by the definitions in `docs/reference/benchmarks.md`.
//!
//! Each figure stands beside the CPU and the disk flushes that it cost a step: a busy machine changes times tenfold, these hardly.

mod counter;
mod crash;
mod floor;
mod growth;
mod load;
mod long;
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
    /// What a step of it may cost at most.
    pub bar: Option<Bar>,
}

/// A bar that holds on a busy machine too: of CPU or of flushes a step.
pub enum Bar {
    /// Microseconds of CPU.
    Cpu(f64),
    /// Flushes of the disk.
    Flushes(f64),
}

impl Bar {
    /// How a figure misses it.
    fn missed(&self, figure: &Figure) -> Option<String> {
        let (found, most, unit) = match self {
            Self::Cpu(most) => (figure.cpu?, *most, "µs of CPU"),
            Self::Flushes(most) => (figure.flushes?, *most, "flushes"),
        };
        (found > most).then(|| {
            format!(
                "{} ({}): {found:.2} {unit} a step, more than {most}",
                figure.name, figure.what
            )
        })
    }
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
            bar: None,
        }
    }

    /// The same with a bar that it is held to.
    pub fn held_to(self, bar: Bar) -> Self {
        Self { bar: Some(bar), ..self }
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
    /// The bars that were missed, in words.
    missed: Vec<String>,
}

impl Report {
    fn add(&mut self, figure: &Figure) -> Result<(), Failure> {
        self.missed
            .extend(figure.bar.as_ref().and_then(|bar| bar.missed(figure)));
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
    let known = ["pure", "b1", "b2", "b3", "b4", "b5", "start", "long", "growth"];
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
        missed: Vec::new(),
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
    // These take minutes, and so they are not among what is measured unless they are named.
    if args.only.iter().any(|only| only == "growth") {
        for figure in growth::growth(config).await? {
            report.add(&figure)?;
        }
    }
    if args.only.iter().any(|only| only == "long") {
        for figure in long::long(config, args.iterations, args.iterations / 10).await? {
            report.add(&figure)?;
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.figures).unwrap_or_default());
    }
    // A debug build is held to nothing.
    if report.missed.is_empty() || cfg!(debug_assertions) {
        Ok(COMPLETED)
    } else {
        Err(Failure::Other(format!(
            "a bar was missed: {}",
            report.missed.join("; ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_missed_by_what_costs_more() {
        let figure = |cpu| Figure {
            cpu,
            ..Figure::plain("pure", "a call", 1.0, "µs")
        };
        let missed = |cpu| Bar::Cpu(30.0).missed(&figure(cpu));
        assert_eq!(missed(Some(30.0)), None);
        assert_eq!(missed(None), None);
        let said = missed(Some(30.5)).unwrap_or_default();
        assert_eq!(said, "pure (a call): 30.50 µs of CPU a step, more than 30");
    }
}
