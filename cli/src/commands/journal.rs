//! `potok journal show`: what a run has consumed, as the store has it. Nothing is started and nothing is changed.

use std::io::{BufWriter, Write};

use potok_dsl::{RunId, TaskPath, Timestamp};
use potok_expr::secret;
use potok_journal::{SqliteStore, StoreError};
use potok_machine::{Entry, Event, Recorded, Start};
use serde_json::{Value, json};

use crate::{
    config::Config,
    exit::{COMPLETED, Failure},
};

/// How many characters of a value are shown on a line.
const SHOWN: usize = 100;

pub fn show(config: &Config, run: &str, as_json: bool) -> Result<u8, Failure> {
    let id: RunId = run
        .parse()
        .map_err(|e: potok_dsl::NameError| Failure::Usage(e.to_string()))?;
    let (database, place) = (config.data_dir.join("potok.db"), config.data_dir.display());
    if !database.exists() {
        return Err(Failure::Usage(format!(
            "there is no data in {place}; name the directory with --data-dir"
        )));
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let found = SqliteStore::journal_in(&database, id, |number, entry| {
        let line = Line::of(number, entry)?;
        Ok::<_, Ended>(writeln!(out, "{}", if as_json { line.json() } else { line.text() })?)
    });
    match found.and_then(|found| Ok(out.flush().map(|()| found)?)) {
        Ok(true) => Ok(COMPLETED),
        Ok(false) => Err(Failure::Usage(format!("there is no run {run} in {place}"))),
        // Whoever reads has seen enough.
        Err(Ended::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(COMPLETED),
        Err(ended) => Err(Failure::Other(ended.to_string())),
    }
}

/// Why the journal is not shown to its end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    #[error("entry {0} was written by another version of Potok: {1}")]
    Unknown(u64, serde_json::Error),
}

/// An entry as it is shown.
struct Line {
    number: u64,
    at: Timestamp,
    kind: &'static str,
    path: Option<TaskPath>,
    /// The length of the entry as JSON.
    size: usize,
    /// What it brought.
    value: Value,
    entry: Value,
}

impl Line {
    fn of(number: u64, mut entry: Value) -> Result<Self, Ended> {
        let size = entry.to_string().len();
        // A run that was made from another begins with that one's state, where placeholders of secrets may be.
        secret::shown(&mut entry);
        let known: Entry = serde_json::from_value(entry.clone()).map_err(|error| Ended::Unknown(number, error))?;
        let (at, kind, path, value) = match known {
            Entry::Start(start) => started(start),
            Entry::Event(Recorded { at, event, .. }) => happened(at, event),
        };
        Ok(Self {
            number,
            at,
            kind,
            path,
            size,
            value,
            entry,
        })
    }

    fn json(&self) -> String {
        let mut line = json!({
            "number": self.number,
            "time": self.at.rfc3339(),
            "kind": self.kind,
            "size": self.size,
            "entry": self.entry,
        });
        if let Some(path) = &self.path {
            line["path"] = json!(path);
        }
        line.to_string()
    }

    fn text(&self) -> String {
        let path = self.path.as_ref().map_or("", |path| &path.0);
        let value = clip(&self.value);
        let line = format!(
            "{:>6}  {}  {:<14}  {:>8} B  {path}  {value}",
            self.number,
            self.at.rfc3339(),
            self.kind,
            self.size
        );
        line.trim_end().to_owned()
    }
}

type Told = (Timestamp, &'static str, Option<TaskPath>, Value);

fn started(start: Start) -> Told {
    match start.origin {
        None => (start.at, "started", None, Value::clone(&start.input)),
        Some(origin) => {
            let value = json!({ "input": start.input, "origin": origin.run });
            (start.at, "started", origin.path, value)
        }
    }
}

fn happened(at: Timestamp, event: Event) -> Told {
    let reason = |reason: Option<String>| reason.map_or(Value::Null, Value::String);
    let (kind, path, value) = match event {
        Event::CallCompleted { path, outcome, .. } => match outcome {
            Ok(value) => ("call completed", Some(path), Value::clone(&value)),
            Err(problem) => ("call faulted", Some(path), json!(problem)),
        },
        Event::TimerFired { timer } => ("timer fired", None, json!({ "timer": timer })),
        Event::EventConsumed { sequence, event, .. } => {
            ("event consumed", None, json!({ "sequence": sequence, "event": event }))
        }
        Event::Admitted => ("admitted", None, Value::Null),
        Event::Suspend { reason: why } => ("suspended", None, reason(why)),
        Event::Resume => ("resumed", None, Value::Null),
        Event::Cancel { reason: why } => ("cancelled", None, reason(why)),
    };
    (at, kind, path, value)
}

/// The beginning of a value, on one line.
fn clip(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut() {
        assert_eq!(clip(&Value::Null), "");
        assert_eq!(clip(&json!({ "a": 1 })), r#"{"a":1}"#);
        assert_eq!(clip(&json!("я".repeat(1_000))).chars().count(), SHOWN + 1);
    }
}
