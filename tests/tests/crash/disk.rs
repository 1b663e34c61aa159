//! Disks that are full or read-only, in the middle of the work and at the start: what was accepted goes on when there is room again, what was
//! not is refused with a word, and someone outside counts.

use serde_json::{Value, json};

use crate::{
    engine::{Engine, Told, eventually},
    outside::{Outside, STEPS},
    small::SmallDisk,
};

/// Runs that are under way when the disk fails.
const RUNS: usize = 12;

/// So that a disk is full soon.
const WEIGHT: usize = 40_000;

fn input(run: &str) -> Value {
    json!({ "run": run, "weight": "w".repeat(WEIGHT) })
}

fn configure(disk: &SmallDisk) {
    std::fs::write(disk.data().join("potok.toml"), "[egress]\nallow = [\"127.0.0.1\"]\n").unwrap();
}

/// A refusal that says why, what to do, and when to come again.
fn is_refusal(told: &Told) {
    assert_eq!(
        (told.status, &*told.kind),
        (503, "application/problem+json"),
        "{told:?}"
    );
    assert_eq!(told.retry_after.as_deref(), Some("1"), "{told:?}");
    let detail = told.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("make room") || detail.contains("read-only"),
        "it does not say what to do: {detail}"
    );
}

/// Starts runs until one is refused; the ids of the others, by what they are called.
async fn start_until_refused(engine: &Engine, runs: &mut Vec<String>) {
    for number in 0..2_000 {
        let name = format!("more-{number}");
        let told = engine.try_start("crash/disk", &input(&name), &name).await;
        if told.status != 202 {
            return is_refusal(&told);
        }
        runs.push(told.body["id"].as_str().unwrap().to_owned());
    }
    panic!("the disk is never full");
}

/// Runs that are under way.
async fn under_way(engine: &Engine, outside: &Outside) -> Vec<String> {
    engine.deploy(&outside.workflow("disk")).await;
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let name = format!("run-{number}");
        runs.push(engine.start_run("crash/disk", &input(&name), &name).await);
    }
    eventually("they are under way", || async {
        (outside.steps() >= RUNS).then_some(())
    })
    .await;
    runs
}

/// While the disk fails: it can be read, it says that it is not well, and it refuses what it cannot keep.
async fn stands(engine: &Engine, outside: &Outside, runs: &[String]) {
    for run in runs {
        engine.run(run).await;
    }
    is_refusal(&engine.health().await);
    is_refusal(&engine.try_start("crash/disk", &input("never"), "never").await);
    let heavy = format!("# {}\n{}", "w".repeat(WEIGHT), outside.workflow("other"));
    is_refusal(&engine.try_deploy(&heavy).await);
    if let Some(open) = open(engine).await {
        let told = engine.try_cancel(&open).await;
        // For something small there may be room on a full disk.
        if told.status != 200 {
            is_refusal(&told);
        }
    }
}

/// A run that sleeps and is in nobody's way.
async fn open(engine: &Engine) -> Option<String> {
    let sleepers = engine.runs("sleep").await;
    sleepers.first().map(|run| run["id"].as_str().unwrap().to_owned())
}

const SLEEP: &str = r"
document: { dsl: '1.0.3', namespace: crash, name: sleep, version: '1.0.0' }
do:
  - rest: { wait: PT1H }
";

/// Every run that was accepted has ended well, and nothing else ever was.
async fn all_is_well(engine: &Engine, outside: &Outside, runs: &[String]) {
    for run in runs {
        let ended = engine.ended(run).await;
        assert_eq!(ended["status"], "completed", "{ended:#}\n{}", engine.log());
    }
    let known = engine.runs("disk").await;
    assert_eq!(known.len(), runs.len(), "a run that was refused is there");
    outside.check(runs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_by_itself_when_there_is_room_again() {
    for disk in SmallDisk::that_fill() {
        let outside = Outside::start().await;
        configure(&disk);
        let engine = Engine::start_by(disk.command(), &disk.data()).await;
        engine.deploy(SLEEP).await;
        let sleeper = engine.start_run("crash/sleep", &json!({}), "sleeper").await;
        let mut runs = under_way(&engine, &outside).await;
        disk.fill(&engine);
        start_until_refused(&engine, &mut runs).await;
        stands(&engine, &outside, &runs).await;
        let (before, all) = (outside.steps(), runs.len() * STEPS);
        assert!(before < all, "everything was over before the disk was full");

        disk.empty(&engine);
        eventually("it is well again", || async {
            (engine.health().await.status == 200).then_some(())
        })
        .await;
        // Somebody was told that it cannot be cancelled now; it is, as soon as that can be written.
        assert_eq!(engine.ended(&sleeper).await["status"], "cancelled");
        all_is_well(&engine, &outside, &runs).await;
        let told = engine.log();
        assert!(told.matches("the journal cannot be written").count() < 20, "{told}");
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_full_disk_says_so_and_loses_nothing() {
    for disk in SmallDisk::that_fill() {
        let outside = Outside::start().await;
        configure(&disk);
        let engine = Engine::start_by(disk.command(), &disk.data()).await;
        let runs = under_way(&engine, &outside).await;
        // A log that was left behind would have room in it.
        engine.stop().await;
        let (code, told) = disk.start_on_full().await;
        assert_eq!(code, Some(1), "{told}");
        says(&told, &disk, "make room");
        let engine = Engine::start_by(disk.command(), &disk.data()).await;
        all_is_well(&engine, &outside, &runs).await;
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_read_only_disk_says_so_and_loses_nothing() {
    for disk in SmallDisk::that_fill() {
        let outside = Outside::start().await;
        configure(&disk);
        let engine = Engine::start_by(disk.command(), &disk.data()).await;
        let runs = under_way(&engine, &outside).await;
        engine.kill().await;
        if let Some((code, told)) = disk.start_on_read_only().await {
            assert_eq!(code, Some(1), "{told}");
            says(&told, &disk, "writable");
        }
        let engine = Engine::start_by(disk.command(), &disk.data()).await;
        all_is_well(&engine, &outside, &runs).await;
        engine.stop().await;
    }
}

/// One line that says what, where and what to do.
fn says(told: &str, disk: &SmallDisk, what: &str) {
    let place = disk.data().join("potok.db").display().to_string();
    let line = told.lines().find(|line| line.starts_with("potok: "));
    let line = line.unwrap_or_else(|| panic!("nothing is said:\n{told}"));
    assert!(line.contains(&place) && line.contains(what), "{line}");
    assert!(!told.contains("panicked"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_loses_nothing() {
    for disk in SmallDisk::that_turn() {
        let outside = Outside::start().await;
        configure(&disk);
        let mut engine = Engine::start_by(disk.command(), &disk.data()).await;
        let mut runs = under_way(&engine, &outside).await;
        disk.turn_read_only(&engine);
        start_until_refused(&engine, &mut runs).await;
        stands(&engine, &outside, &runs).await;
        if disk.heals() {
            disk.empty(&engine);
        } else {
            // Whoever comes to mend the disk stops the server first.
            engine.stop().await;
            disk.repair();
            // It was written a moment before, and nobody had waited for the disk.
            configure(&disk);
            engine = Engine::start_by(disk.command(), &disk.data()).await;
        }
        all_is_well(&engine, &outside, &runs).await;
        engine.stop().await;
    }
}
