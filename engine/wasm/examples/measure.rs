//! Prints what a call costs: `cargo run --release -p potok-wasm --example measure`.

use std::{
    error::Error,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use potok_dsl::{Problem, TaskPath, Timestamp};
use potok_wasm::{CallContext, Grants, Host, HostConfig, Provider, Unavailable};
use serde_json::{Value, json};

const CALLS: u32 = 20_000;

struct Counter;

#[async_trait]
impl Provider for Counter {
    fn interfaces(&self) -> &[&'static str] {
        &["potok:test/counter"]
    }

    async fn call(&self, _: &CallContext, _: &str, _: &str, _: Value) -> Result<Value, Problem> {
        Ok(json!(1))
    }
}

fn fixture(name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let component = potok_plugins::fixtures()
        .iter()
        .find(|component| component.name == name);
    Ok(component.ok_or("no such fixture")?.decompress()?)
}

fn context() -> CallContext {
    CallContext {
        run: None,
        path: TaskPath("/do/0/measure".into()),
        idempotency_key: "measure".into(),
        sequence: 0,
        confidential: false,
        deadline: Instant::now() + Duration::from_secs(60),
        now: Timestamp(0),
        tables: Arc::new(Unavailable),
    }
}

async fn measure(host: &Host, hash: &str, function: &str, args: &Value) -> Result<(), Box<dyn Error>> {
    for _ in 0..CALLS / 10 {
        black_box(host.call(hash, function, args.clone(), context()).await?);
    }
    let started = Instant::now();
    for _ in 0..CALLS {
        black_box(host.call(hash, function, args.clone(), context()).await?);
    }
    report(function, started.elapsed() / CALLS);
    Ok(())
}

fn report(what: &str, time: Duration) {
    println!("{what:<44} {:>10.2} µs", time.as_secs_f64() * 1e6);
}

/// The resident memory of this process in MiB, where the system says it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let dir = std::env::temp_dir().join("potok-measure");
    let host = Host::new(HostConfig {
        cache_dir: Some(dir),
        ..HostConfig::default()
    })?;
    report("set up", started.elapsed());
    println!(
        "{:<44} {:>10} MiB",
        "resident when idle",
        resident().unwrap_or_default()
    );
    host.add_provider(Arc::new(Counter))?;
    let started = Instant::now();
    let demo = host.install(&fixture("demo")?, &Grants::none())?.hash.clone();
    let count = host.install(&fixture("count")?, &Grants::all())?.hash.clone();
    report("install two plugins", started.elapsed());

    measure(&host, &demo, "demo.add:1.0.0", &json!({"number": 1})).await?;
    measure(
        &host,
        &demo,
        "demo.join:1.0.0",
        &json!({"texts": ["a", "b", "c"], "separator": ", "}),
    )
    .await?;
    measure(&host, &demo, "demo.large:1.0.0", &json!({"bytes": 65536})).await?;
    measure(&host, &count, "demo.count:1.0.0", &json!({"number": 1})).await?;

    let jq = host.jq();
    let started = Instant::now();
    jq.check(".", &[])?;
    report("first jq filter", started.elapsed());
    let input = json!({"status": "paid", "amount": 12, "items": [1, 2, 3]});
    for filter in [".status == \"paid\" and .amount > 10", ".items | map(. * 2) | add"] {
        for _ in 0..CALLS / 10 {
            black_box(jq.eval(filter, &input, &[])?);
        }
        let started = Instant::now();
        for _ in 0..CALLS {
            black_box(jq.eval(filter, &input, &[])?);
        }
        report(filter, started.elapsed() / CALLS);
    }
    for filter in ["[repeat(1)]", "[range(1e12)]", "last(range(1e12))", "def f: 1 + f; f"] {
        let started = Instant::now();
        let outcome = jq.eval(filter, &input, &[]);
        report(
            &format!(
                "{filter} ({})",
                outcome.err().unwrap_or_default().chars().take(24).collect::<String>()
            ),
            started.elapsed(),
        );
    }
    println!(
        "{:<44} {:>10} MiB",
        "resident at the end",
        resident().unwrap_or_default()
    );
    Ok(())
}
