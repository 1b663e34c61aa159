//! What a piece of work costs: time, CPU of this process, flushes of its store; and what the process holds.

use std::{
    fs,
    time::{Duration, Instant},
};

use potok_node::Node;

/// Clock ticks a second in `/proc`, fixed on Linux for user space.
const TICKS: f64 = 100.0;

/// A measurement under way.
pub struct Meter {
    start: Instant,
    cpu: f64,
    flushes: u64,
}

/// What it came to, once or several times.
#[derive(Default)]
pub struct Cost {
    pub time: Duration,
    /// The time of the last time.
    pub last: Duration,
    /// CPU seconds.
    pub cpu: f64,
    pub flushes: u64,
}

impl Meter {
    pub fn start(node: &Node) -> Self {
        Self {
            start: Instant::now(),
            cpu: cpu_seconds(),
            flushes: node.store().metrics().flushes,
        }
    }

    pub fn stop(&self, node: &Node) -> Cost {
        let time = self.start.elapsed();
        Cost {
            time,
            last: time,
            cpu: cpu_seconds() - self.cpu,
            flushes: node.store().metrics().flushes - self.flushes,
        }
    }
}

impl Cost {
    pub fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.last = other.last;
        self.cpu += other.cpu;
        self.flushes += other.flushes;
    }

    /// The same without what someone else in this process used.
    pub fn without(self, cpu: f64) -> Self {
        Self {
            cpu: (self.cpu - cpu).max(0.0),
            ..self
        }
    }

    /// CPU in microseconds a step.
    #[allow(clippy::cast_precision_loss)]
    pub fn cpu_a_step(&self, steps: usize) -> Option<f64> {
        Some(self.cpu * 1e6 / steps as f64)
    }

    /// Flushes a step.
    #[allow(clippy::cast_precision_loss)]
    pub fn flushes_a_step(&self, steps: usize) -> Option<f64> {
        Some(self.flushes as f64 / steps as f64)
    }
}

/// CPU that this process has used, in seconds; zero where `/proc` is not to be had.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// Resident memory of a process in MiB; zero where `/proc` is not to be had.
pub fn resident_mib(process: &str) -> f64 {
    memory_mib(process, "VmRSS:")
}

/// From now on [`peak_mib`] looks.
pub fn begin_peak() {
    // Where it cannot be begun anew, the peak is that of the whole process: more, never less.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most that this process has held at once.
pub fn peak_mib() -> f64 {
    memory_mib("self", "VmHWM:")
}

fn memory_mib(process: &str, what: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|n| n.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Size of the files in a directory in MiB.
#[allow(clippy::cast_precision_loss)]
pub fn disk_mib(directory: &std::path::Path) -> f64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes: u64 = entries.filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum();
    bytes as f64 / (1024.0 * 1024.0)
}

/// CPU that this thread has used, in seconds; zero where `/proc` is not to be had.
pub fn thread_cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    nanos.unwrap_or(0.0) / 1e9
}

/// Milliseconds of a time.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A quantile of some numbers, which are sorted by it.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0) * q).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}
