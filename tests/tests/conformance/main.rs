//! Whether Potok does what the standard says, shown through the HTTP API of the running binary: the standard's kit, our own
//! features, and the standard's examples. See `tests/conformance/README.md`.
//!
//! An argument lets through only scenarios whose feature or name contains it. `POTOK_CONFORMANCE=document` writes `docs/conformance.md`,
//! `POTOK_CONFORMANCE=gaps` prints which properties of the schema no passing scenario executed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api;
mod coverage;
mod document;
mod double;
mod examples;
mod memory;
mod report;
mod scenario;
mod steps;
mod yaml;

use std::{env, panic::AssertUnwindSafe, process::ExitCode, time::Instant};

use cucumber::{World as _, event::ScenarioFinished, gherkin};
use futures::FutureExt as _;
use potok_tests::repository;

use crate::{
    api::{CONFIGURATION, Potok, SERVERS},
    coverage::Coverage,
    report::{Progress, Result},
    scenario::Scenario,
};

#[tokio::main]
async fn main() -> ExitCode {
    let began = Instant::now();
    // Failures are told where they belong.
    std::panic::set_hook(Box::new(|_| {}));
    let filter = env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let mode = env::var("POTOK_CONFORMANCE").unwrap_or_default();
    let all = async { futures::join!(features(filter.clone()), examples::run(&filter)) };
    let (progress, ()) = match AssertUnwindSafe(all).catch_unwind().await {
        Ok(done) => done,
        // Not of a scenario, which tells its own: what is around them broke.
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            eprintln!("the suite broke off: {}", text.unwrap_or("nobody said why"));
            return ExitCode::FAILURE;
        }
    };
    Potok::end_all().await;

    let results = report::take();
    let mut coverage = Coverage::new();
    results
        .iter()
        .flat_map(|result| &result.evidence)
        .for_each(|evidence| coverage.add(evidence));
    let failed = results.iter().filter(|result| result.failure.is_some()).count();
    if mode == "gaps" {
        document::gaps(&coverage)
            .iter()
            .for_each(|property| println!("{property}"));
        return if failed > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    println!(
        "{} scenarios, {failed} failed, in {} s; {} kinds are left out (tests/conformance/pending.txt)",
        results.len(),
        began.elapsed().as_secs(),
        pending().count(),
    );
    if failed > 0 || progress.unreadable > 0 {
        return ExitCode::FAILURE;
    }
    if results.is_empty() {
        eprintln!("no scenario has '{filter}' in its name, or all that have are pending");
        return ExitCode::FAILURE;
    }
    if pending().next().is_some() {
        if mode == "document" {
            eprintln!("docs/conformance.md is not written while scenarios are pending: it would not tell the whole");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    if !filter.is_empty() {
        return ExitCode::SUCCESS;
    }
    let complaints = document::check(&results, &coverage, mode == "document");
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Scenarios that wait for a part of the engine that is being built: the beginnings of their names.
const PENDING: &str = include_str!("../../conformance/pending.txt");

fn pending() -> impl Iterator<Item = &'static str> {
    PENDING.lines().filter(|line| !line.is_empty())
}

/// Whether a scenario is one of them.
pub fn is_pending(name: &str) -> bool {
    pending().any(|pending| name.starts_with(pending))
}

/// Runs the kit and our features.
async fn features(filter: String) -> Progress {
    let chosen = move |feature: &gherkin::Feature, _: Option<&gherkin::Rule>, scenario: &gherkin::Scenario| {
        let name = format!("{} {} {}", report::file(feature), feature.name, scenario.name);
        name.contains(&filter) && !is_pending(&name)
    };
    Scenario::cucumber()
        .max_concurrent_scenarios(SERVERS)
        .before(|feature, _, _, world| {
            let alone = feature.tags.iter().any(|tag| tag == "alone");
            async move {
                if alone {
                    world.with_configuration(CONFIGURATION).await;
                }
            }
            .boxed_local()
        })
        .after(|feature, _, scenario, finished, world| finish(feature, scenario, finished, world).boxed_local())
        .with_writer(Progress::default())
        .with_default_cli()
        .filter_run(repository().join("tests/conformance"), chosen)
        .await
}

/// Keeps what a scenario has shown, and gives its server back.
async fn finish(
    feature: &gherkin::Feature,
    scenario: &gherkin::Scenario,
    finished: &ScenarioFinished,
    world: Option<&mut Scenario>,
) {
    let failure = match finished {
        ScenarioFinished::StepPassed => None,
        ScenarioFinished::StepSkipped => Some("a step is not known".to_owned()),
        ScenarioFinished::StepFailed(_, _, error) => Some(error.to_string()),
        ScenarioFinished::BeforeHookFailed(_) => Some("it could not begin".to_owned()),
    };
    let mut evidence = Vec::new();
    if let Some(world) = world {
        if failure.is_none() {
            evidence = world.evidence().await;
        }
        world.finish().await;
    }
    report::keep(Result {
        feature: feature.name.clone(),
        scenario: scenario.name.clone(),
        constructs: scenario.tags.clone(),
        place: (report::file(feature), scenario.position.line),
        failure,
        evidence,
    });
}
