//! What came of the scenarios: failures as they happen, and all of them for the documentation.

use std::{fmt::Debug, sync::Mutex};

use cucumber::{Event, Writer, cli::Empty, event, gherkin, parser, writer::Normalized};

use crate::coverage::Evidence;

static RESULTS: Mutex<Vec<Result>> = Mutex::new(Vec::new());

/// What came of one scenario.
pub struct Result {
    /// The feature's name.
    pub feature: String,
    pub scenario: String,
    /// The constructs that it is about: its tags.
    pub constructs: Vec<String>,
    /// Where it stands: file and line.
    pub place: (String, usize),
    /// Why it failed.
    pub failure: Option<String>,
    pub evidence: Vec<Evidence>,
}

/// Keeps a result.
pub fn keep(result: Result) {
    RESULTS.lock().unwrap().push(result);
}

/// All results, in the order of the files.
pub fn take() -> Vec<Result> {
    let mut results = std::mem::take(&mut *RESULTS.lock().unwrap());
    results.sort_by(|a, b| a.place.cmp(&b.place));
    results
}

/// The name of a feature's file, without its directory.
pub fn file(feature: &gherkin::Feature) -> String {
    let path = feature
        .path
        .as_deref()
        .and_then(|path| Some((path.parent()?.file_name()?, path.file_name()?)));
    path.map_or_else(String::new, |(folder, file)| {
        format!("{}/{}", folder.to_string_lossy(), file.to_string_lossy())
    })
}

/// Says which step failed, as soon as it does.
#[derive(Default)]
pub struct Progress {
    /// Features that cannot be read.
    pub unreadable: usize,
}

impl Normalized for Progress {}

impl<W: Debug + 'static> Writer<W> for Progress {
    type Cli = Empty;

    async fn handle_event(&mut self, event: parser::Result<Event<event::Cucumber<W>>>, _: &Empty) {
        use event::{Cucumber, Feature, Rule, Scenario, Step};
        let event = match event {
            Ok(event) => event.into_inner(),
            Err(error) => {
                self.unreadable += 1;
                return eprintln!("{error}");
            }
        };
        let Cucumber::Feature(feature, event) = event else {
            return;
        };
        let (Feature::Scenario(scenario, event) | Feature::Rule(_, Rule::Scenario(scenario, event))) = event else {
            return;
        };
        let (Scenario::Step(step, what) | Scenario::Background(step, what)) = event.event else {
            return;
        };
        let why = match what {
            Step::Failed(_, _, _, error) => error.to_string(),
            Step::Skipped => "no such step".to_owned(),
            _ => return,
        };
        eprintln!(
            "\n{}:{}: {}\n  {} {}\n  {why}",
            file(&feature),
            step.position.line,
            scenario.name,
            step.keyword.trim(),
            step.value
        );
    }
}
