//! `/metrics`: what node, store and server count, as Prometheus reads it (OpenMetrics text).

use std::{fmt, time::Instant};

use poem::{IntoResponse, Response};
use potok_journal::Histogram;
use potok_node::{Node, Reading};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A moment's figures.
#[derive(Debug)]
struct Figures {
    node: Reading,
    store: potok_journal::Metrics,
    plugins: usize,
    functions: usize,
    up: f64,
}

/// All figures, as text.
pub(crate) async fn scrape(node: Node, since: Instant) -> poem::Result<Response> {
    let plugins = node.host().plugins();
    let figures = Figures {
        node: node.metrics(),
        store: node.store().metrics(),
        plugins: plugins.len(),
        functions: plugins.iter().map(|plugin| plugin.functions.len()).sum(),
        up: since.elapsed().as_secs_f64(),
    };
    let text = text(figures).map_err(|e| crate::failure::Failure::<0>::internal(e.to_string()))?;
    Ok(text.with_content_type(CONTENT_TYPE).into_response())
}

fn text(figures: Figures) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("potok");
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut write = Writer(&mut encoder);
        let (node, store) = (&self.node, &self.store);
        write.info(
            "build",
            "The version that runs",
            &[("version", env!("CARGO_PKG_VERSION"))],
        )?;
        write.float("up_seconds", "How long the server has been up", self.up)?;
        write.gauge("plugins", "Installed plugins", self.plugins as u64)?;
        write.gauge("functions", "Functions that workflows can call", self.functions as u64)?;
        write.gauge("runs_loaded", "Runs in memory now", node.loaded)?;
        write.gauge("calls_open", "Calls under way now", node.calls)?;
        write.counter("runs_started", "Runs accepted", node.started)?;
        let ended = [
            ("completed", node.completed),
            ("faulted", node.faulted),
            ("cancelled", node.cancelled),
        ];
        write.family("runs_ended", "Runs that have ended", "status", &ended)?;
        write.counter("task_events", "Task events that became durable", node.tasks)?;
        write.counter("run_writes", "Writes of runs that became durable", node.saves)?;
        write.counter("store_commits", "Transactions that became durable", store.commits)?;
        write.counter(
            "store_checkpoints",
            "Times that the log was copied into the database",
            store.checkpoints,
        )?;
        write.counter("store_flushes", "Flushes of the disk", store.flushes)?;
        let writes = [
            ("done", store.writes),
            ("refused", store.refused),
            ("failed", store.failed),
        ];
        write.family("store_writes", "Writes, by how they ended", "outcome", &writes)?;
        write.counter("store_entries", "Journal entries that became durable", store.entries)?;
        write.counter(
            "store_written_bytes",
            "Bytes of what was written, as it was handed over",
            store.bytes,
        )?;
        write.counter("store_reads", "Reads that were served", store.reads)?;
        write.gauge(
            "store_queue_depth",
            "Writes that wait for the writer now",
            store.queue_depth,
        )?;
        let seconds = |micros: u64| micros as f64 / 1e6;
        write.histogram(
            "store_commit_seconds",
            "How long a commit took, with its flush",
            &store.commit_micros,
            seconds,
        )?;
        write.histogram("store_batch_writes", "Writes a transaction", &store.batch, |writes| {
            writes as f64
        })
    }
}

/// Writes one metric after the other.
struct Writer<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Writer<'_, '_> {
    fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, &'static str)]) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Info)?
            .encode_info(&labels)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    fn float(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    fn family(&mut self, name: &str, help: &str, label: &'static str, values: &[(&'static str, u64)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (word, value) in values {
            let labels = [(label, *word)];
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(value, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, counted: &Histogram, scale: impl Fn(u64) -> f64) -> fmt::Result {
        let bounds = counted.bounds.iter().map(|bound| scale(*bound)).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counted.counts.iter().copied()).collect();
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(scale(counted.sum), counted.count(), &buckets, None)
    }
}
