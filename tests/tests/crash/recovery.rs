//! What recovers without any provider: computing runs, timers, schedules, clean stops.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::engine::{Engine, eventually, text};
use crate::seeds::{Random, seeds};

/// Pure calls, values and short waits; the output tells whether each iteration counted exactly once.
const STEPS: &str = r#"
document: { dsl: '1.0.3', namespace: crash, name: steps, version: '1.0.0' }
do:
  - begin: { set: { sum: 0, seen: [], n: '${ .n }' }, export: { as: '${ . }' } }
  - steps:
      for: { each: i, in: '${ [range(8)] }' }
      do:
        - rest: { wait: { milliseconds: 30 } }
        - cut:
            call: text.split
            with: { chapters: [ { text: '${ "Chapter \($i) of run \($context.n). It is short." }' } ] }
        - add:
            set: { piece: '${ .[0].text }', i: '${ $i }' }
            export: { as: '${ $context + { sum: ($context.sum + $i), seen: ($context.seen + [.piece]) } }' }
output: { as: '${ $context }' }
"#;

const RUNS: u64 = 20;

fn expected(n: u64) -> Value {
    let seen: Vec<_> = (0..8)
        .map(|i| format!("Chapter {i} of run {n}. It is short."))
        .collect();
    json!({ "sum": 28, "seen": seen, "n": n })
}

/// What happened to each execution of a task, in order.
fn story(history: &[Value]) -> Vec<(String, String)> {
    history
        .iter()
        .map(|event| (text(&event["path"]), text(&event["event"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_where_they_were() {
    for seed in seeds(2, 8) {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let data = tempfile::tempdir().unwrap();
        let mut engine = Engine::start(data.path()).await;
        engine.deploy(STEPS).await;
        let mut runs = Vec::new();
        for n in 0..RUNS {
            runs.push(
                engine
                    .start_run("crash/steps", &json!({ "n": n }), &format!("run-{n}"))
                    .await,
            );
        }
        for _ in 0..2 {
            // It dies when one of the runs has come so far, wherever the others are.
            let (watched, events) = (&runs[random.below(RUNS) as usize], random.below(40) as usize);
            eventually(&format!("run {watched} has {events} events"), || async {
                (engine.history(watched).await.len() >= events).then_some(())
            })
            .await;
            engine.kill().await;
            engine = Engine::start(data.path()).await;
        }
        let mut stories = BTreeSet::new();
        for (n, run) in (0..RUNS).zip(&runs) {
            let ended = engine.ended(run).await;
            assert_eq!(ended["status"], "completed", "seed {seed}: {ended:#}\n{}", engine.log());
            assert_eq!(ended["output"], expected(n), "seed {seed}");
            let again = engine
                .start_run("crash/steps", &json!({ "n": n }), &format!("run-{n}"))
                .await;
            assert_eq!(&again, run, "seed {seed}: the same key started another run");
            stories.insert(story(&engine.history(run).await));
        }
        assert_eq!(
            stories.len(),
            1,
            "seed {seed}: runs of one workflow tell different stories: {stories:#?}"
        );
        assert_eq!(engine.runs("steps").await.len() as u64, RUNS, "seed {seed}");
        engine.stop().await;
    }
}

/// Waits for so long, and says so.
fn waiting(name: &str, milliseconds: u64) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: crash, name: {name}, version: '1.0.0' }}\n\
         do:\n\
         - before: {{ set: {{ waited: '${{ .waited }}' }} }}\n\
         - rest: {{ wait: {{ milliseconds: {milliseconds} }} }}\n\
         - after: {{ set: {{ waited: '${{ .waited + 1 }}' }} }}\n"
    )
}

/// Waits until the run's history shows that it rests.
async fn rests(engine: &Engine, run: &str) {
    eventually(&format!("run {run} rests"), || async {
        let history = engine.history(run).await;
        let rests = |event: &Value| event["name"] == "rest" && event["event"] == "started";
        history.iter().any(rests).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_replays_nothing() {
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::start(data.path()).await;
    engine.deploy(&waiting("nap", 1500)).await;
    engine.deploy(&waiting("none", 0)).await;
    let done = engine.start_run("crash/none", &json!({ "waited": 0 }), "done").await;
    let ended = engine.ended(&done).await;
    let told = story(&engine.history(&done).await);
    let run = engine.start_run("crash/nap", &json!({ "waited": 0 }), "run").await;
    rests(&engine, &run).await;
    let before = engine.history(&run).await;
    engine.stop().await;

    let engine = Engine::start(data.path()).await;
    assert_eq!(
        engine.run(&done).await,
        ended,
        "a run that had ended is another after a clean stop"
    );
    assert_eq!(engine.ended(&run).await["output"], json!({ "waited": 1 }));
    let after = engine.history(&run).await;
    assert_eq!(after[..before.len()], before, "the past has changed");
    assert_eq!(story(&after), told, "a run that was interrupted tells another story");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_due_meanwhile_fires_at_the_start() {
    const NAP: Duration = Duration::from_secs(2);
    let data = tempfile::tempdir().unwrap();
    let engine = Engine::start(data.path()).await;
    engine.deploy(&waiting("nap", NAP.as_millis() as u64)).await;
    engine.deploy(&waiting("sleep", 3_600_000)).await;
    let short = engine.start_run("crash/nap", &json!({ "waited": 0 }), "short").await;
    let long = engine.start_run("crash/sleep", &json!({ "waited": 0 }), "long").await;
    rests(&engine, &short).await;
    rests(&engine, &long).await;
    let resting = Instant::now();
    engine.kill().await;
    // The time that passes is what is tested.
    tokio::time::sleep_until((resting + NAP + Duration::from_millis(200)).into()).await;
    let started = Instant::now();
    let engine = Engine::start(data.path()).await;
    let listening = started.elapsed();
    assert_eq!(engine.ended(&short).await["output"], json!({ "waited": 1 }));
    let took = started.elapsed() - listening;
    assert!(took < NAP, "a timer that was due at the start fired {took:?} after it");
    let waits = engine.run(&long).await;
    assert!(
        ["waiting", "running"].contains(&text(&waits["status"]).as_str()),
        "{waits:#}"
    );
    assert_eq!(
        engine
            .history(&long)
            .await
            .iter()
            .filter(|event| event["name"] == "rest")
            .count(),
        1
    );
    engine.stop().await;
}

const EVERY_SECOND: &str = r#"
document: { dsl: '1.0.3', namespace: crash, name: tick, version: '1.0.0' }
schedule: { every: { seconds: 1 } }
do:
  - tick: { set: { ticked: true } }
"#;

/// The times for which a schedule has started runs, in milliseconds, the earliest first.
async fn ticks(engine: &Engine) -> Vec<i64> {
    let runs = engine.runs("tick").await;
    let time = |run: &Value| {
        text(&run["idempotencyKey"])
            .rsplit('/')
            .next()
            .and_then(|time| time.parse().ok())
    };
    let mut times: Vec<i64> = runs
        .iter()
        .map(|run| time(run).expect("the key ends with the time"))
        .collect();
    times.sort_unstable();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_goes_on_without_doubling() {
    let data = tempfile::tempdir().unwrap();
    let mut engine = Engine::start(data.path()).await;
    engine.deploy(EVERY_SECOND).await;
    let mut started = 0;
    for _ in 0..3 {
        // Right after a start: the trigger's own state may not be written yet.
        eventually("the schedule starts a run", || async {
            (ticks(&engine).await.len() > started).then_some(())
        })
        .await;
        engine.kill().await;
        engine = Engine::start(data.path()).await;
        started = ticks(&engine).await.len();
    }
    let times = eventually("the schedule goes on", || async {
        let times = ticks(&engine).await;
        (times.len() >= started + 2).then_some(times)
    })
    .await;
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| *gap > 0 && gap % 1000 == 0),
        "not once each second: {times:?}"
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!(
        times.iter().all(|time| *time <= now),
        "a run was started before its time: {times:?}"
    );
    for run in engine.runs("tick").await {
        assert_eq!(engine.ended(&text(&run["id"])).await["status"], "completed");
    }
    engine.stop().await;
}
