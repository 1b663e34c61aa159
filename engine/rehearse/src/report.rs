//! What people read of tests.

use std::fmt::{self, Write};

use potok_dsl::Millis;
use serde_json::{Value, json};

use crate::judge::Verdict;

/// The most characters of a value in a line.
const WIDTH: usize = 200;

/// What became of the cases of a test.
#[derive(Debug)]
pub struct Report {
    /// The test's file.
    pub file: String,
    /// Its cases.
    pub verdicts: Vec<Verdict>,
}

/// How many cases passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// So many passed.
    pub passed: usize,
    /// So many failed.
    pub failed: usize,
}

impl Report {
    /// How many of its cases passed and failed.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let passed = self.verdicts.iter().filter(|verdict| verdict.passed()).count();
        Tally {
            passed,
            failed: self.verdicts.len() - passed,
        }
    }

    /// The report for programs.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let cases = self.verdicts.iter().map(|verdict| {
            let failures = verdict.failures.iter();
            json!({
                "name": verdict.name,
                "passed": verdict.passed(),
                "tasks": verdict.tasks,
                "took": verdict.took,
                "failures": failures.map(|f| json!({ "about": f.about, "message": f.message })).collect::<Vec<_>>(),
            })
        });
        json!({ "file": self.file, "cases": cases.collect::<Vec<_>>() })
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        for verdict in &self.verdicts {
            let word = if verdict.passed() { "ok  " } else { "FAIL" };
            let tasks = if verdict.tasks == 1 { "task" } else { "tasks" };
            write!(
                f,
                "\n  {word}  {} ({} {tasks}, {})",
                verdict.name,
                verdict.tasks,
                span(verdict.took)
            )?;
            for failure in &verdict.failures {
                let mut lines = failure.message.lines();
                write!(f, "\n        {}: {}", failure.about, lines.next().unwrap_or_default())?;
                for line in lines {
                    write!(f, "\n          {line}")?;
                }
            }
        }
        Ok(())
    }
}

/// What differs between two values, as a diff of their lines.
pub(crate) fn difference(expected: &Value, got: &Value) -> String {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (expected, got) = (pretty(expected), pretty(got));
    let diff = similar::TextDiff::from_lines(&expected, &got);
    let mut text = "expected (-) and got (+) differ".to_owned();
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Equal => ' ',
        };
        let _ = write!(text, "\n{sign} {}", change.value().trim_end_matches('\n'));
    }
    text
}

/// A value in a line, cut where nobody reads on.
pub(crate) fn one_line(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A span of time for people: `2 h 5 min`.
pub(crate) fn span(millis: Millis) -> String {
    let mut rest = millis.0;
    let mut parts = Vec::new();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= size {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}
