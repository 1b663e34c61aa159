//! `docs/conformance.md`, made of the results; and what no passing scenario has executed.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use potok_tests::repository;

use crate::{
    coverage::{self, Coverage},
    report::Result,
};

const DOCUMENT: &str = "docs/conformance.md";
const TEMPLATE: &str = include_str!("../../conformance/document.md");

/// Properties that are left for later, each with the reason: `name` or `name.*`, a tab or spaces, why.
const LATER: &str = include_str!("../../conformance/later.txt");

fn later() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = LATER
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.filter_map(|line| line.split_once(' ').map(|(name, why)| (name, why.trim())))
}

fn is_later(property: &str) -> bool {
    later().any(|(name, _)| match name.strip_suffix(".*") {
        Some(prefix) => property == prefix || property.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
        None => property == name,
    })
}

/// The properties of the schema that nothing has executed, without those that are left for later.
pub fn gaps(coverage: &Coverage) -> Vec<String> {
    let properties = coverage::properties().into_iter();
    properties
        .filter(|property| !coverage.executed().contains(property) && !is_later(property))
        .collect()
}

/// What is wrong though every scenario passed. Writes the document instead of complaining about it, if told to.
pub fn check(results: &[Result], coverage: &Coverage, write: bool) -> Vec<String> {
    let mut complaints: Vec<String> = gaps(coverage)
        .iter()
        .map(|property| format!("no scenario executes {property}"))
        .collect();
    let stale = coverage.executed().iter().filter(|property| is_later(property));
    complaints.extend(
        stale.map(|property| format!("{property} is executed, and tests/conformance/later.txt leaves it for later")),
    );
    for result in results {
        let invalid = result.evidence.iter().filter_map(crate::coverage::Evidence::invalid);
        let named = |why| {
            format!(
                "{}:{}: executed, though by the schema it is no workflow: {why}",
                result.place.0, result.place.1
            )
        };
        complaints.extend(invalid.map(named));
    }
    let text = render(results, coverage);
    let path = repository().join(DOCUMENT);
    if write {
        fs::write(path, text).unwrap();
    } else if fs::read_to_string(path).unwrap_or_default() != text {
        complaints.push(format!(
            "{DOCUMENT} is not up to date: scripts/conformance.sh writes it"
        ));
    }
    complaints
}

fn render(results: &[Result], coverage: &Coverage) -> String {
    let mut features: BTreeMap<&str, Vec<&Result>> = BTreeMap::new();
    for result in results {
        let (folder, _) = result.place.0.split_once('/').unwrap_or_default();
        features.entry(folder).or_default().push(result);
    }
    let of = |folder: &str| features.get(folder).cloned().unwrap_or_default();
    let all = coverage::properties().len();
    let executed = coverage.executed().len();
    TEMPLATE
        .replace("{{kit}}", &rows(&of("ctk")))
        .replace("{{features}}", &rows(&of("features")))
        .replace("{{examples}}", &example_rows(&of("examples")))
        .replace("{{properties}}", &all.to_string())
        .replace("{{executed}}", &executed.to_string())
        .replace("{{later}}", &later_rows())
}

fn result(result: &Result) -> &'static str {
    if result.failure.is_none() { "passes" } else { "fails" }
}

fn rows(results: &[&Result]) -> String {
    let mut text = String::from("| construct | scenario | result |\n|---|---|---|\n");
    for one in results {
        let tags: Vec<String> = one.constructs.iter().map(|tag| format!("`{tag}`")).collect();
        let construct = if tags.is_empty() {
            one.feature.clone()
        } else {
            tags.join(" ")
        };
        let _ = writeln!(text, "| {construct} | {} | {} |", one.scenario, result(one));
    }
    text.trim_end().to_owned()
}

fn example_rows(results: &[&Result]) -> String {
    let mut text = String::from("| example | result |\n|---|---|\n");
    for one in results {
        let _ = writeln!(text, "| `{}` | {} |", one.scenario, result(one));
    }
    text.trim_end().to_owned()
}

fn later_rows() -> String {
    let mut text = String::from("| property | why |\n|---|---|\n");
    for (name, why) in later() {
        let _ = writeln!(text, "| `{name}` | {why} |");
    }
    text.trim_end().to_owned()
}
