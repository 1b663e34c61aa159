//! Runs as lines for people.

use std::fmt::Write;

use serde_json::Value;

/// How many characters of a value are shown on a line.
const SHOWN: usize = 100;

/// JSON on stdout, as other commands print it.
pub fn print(value: &Value) {
    crate::say!("{}", pretty(value));
}

/// A run on a line.
pub fn line(run: &Value) -> String {
    let line = format!(
        "{}  {:<9}  {}  {}  {}",
        text(run, "id"),
        text(run, "status"),
        text(run, "createdAt"),
        workflow(run),
        why(&run["error"]),
    );
    line.trim_end().to_owned()
}

/// All that is known of a run, but for its history.
pub fn whole(run: &Value) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{name:<10} {value}");
        }
    };
    line("run", text(run, "id").to_owned());
    line("workflow", workflow(run));
    line("status", text(run, "status").to_owned());
    for (name, member) in [
        ("parent", "parent"),
        ("trigger", "trigger"),
        ("key", "idempotencyKey"),
        ("accepted", "createdAt"),
        ("changed", "updatedAt"),
        ("ended", "endedAt"),
        ("wakes", "wakeAt"),
    ] {
        line(name, text(run, member).to_owned());
    }
    if let Some(origin) = run["origin"]["run"].as_str() {
        let path = run["origin"]["path"].as_str().unwrap_or("");
        line("made from", format!("{origin} {path}").trim_end().to_owned());
    }
    for name in ["input", "output", "error"] {
        if let Some(value) = run.get(name) {
            line(name, pretty(value).replace('\n', "\n           "));
        }
    }
    lines.trim_end().to_owned()
}

/// Something that a task did.
pub fn event(event: &Value) -> String {
    let value = ["error", "output", "input"]
        .into_iter()
        .find_map(|name| event.get(name));
    let value = match value {
        Some(problem) if event.get("error").is_some() => why(problem),
        Some(value) => clip(&value.to_string()),
        None => String::new(),
    };
    let line = format!(
        "{:>6}  {}  {:<10}  {}  {value}",
        event["number"].as_u64().unwrap_or(0),
        text(event, "time"),
        text(event, "event"),
        text(event, "path"),
    );
    line.trim_end().to_owned()
}

/// What differed between two runs.
pub fn diff(diff: &Value) -> String {
    let mut lines = format!("- run {}\n+ run {}\n", text(diff, "with"), text(diff, "run"));
    let list = |name: &str| diff[name].as_array().cloned().unwrap_or_default();
    let mut both = |what: &str, with: Option<String>, this: Option<String>| {
        let _ = writeln!(lines, "{what}");
        for (sign, value) in [('-', with), ('+', this)] {
            if let Some(value) = value {
                let _ = writeln!(lines, "  {sign} {value}");
            }
        }
    };
    for found in list("differences") {
        let value = |side: &str| found.get(side).map(|value| clip(&value.to_string()));
        both(text(&found, "what"), value("with"), value("this"));
    }
    for task in list("tasks") {
        let end = |side: &str| task.get(side).map(outcome);
        both(text(&task, "path"), end("with"), end("this"));
    }
    if diff["more"] == Value::Bool(true) {
        lines.push_str("… and more\n");
    } else if list("differences").is_empty() && list("tasks").is_empty() {
        lines.push_str("nothing differs\n");
    }
    lines.trim_end().to_owned()
}

/// What came of a task.
fn outcome(end: &Value) -> String {
    let more = match (end.get("error"), end.get("output")) {
        (Some(error), _) => why(error),
        (None, Some(output)) => clip(&output.to_string()),
        (None, None) => String::new(),
    };
    format!("{} {more}", text(end, "event")).trim_end().to_owned()
}

fn workflow(run: &Value) -> String {
    let part = |name: &str| text(&run["workflow"], name).to_owned();
    format!("{}/{}:{}", part("namespace"), part("name"), part("version"))
}

/// A problem in a few words.
fn why(problem: &Value) -> String {
    let said = [&problem["detail"], &problem["title"], &problem["type"]];
    clip(said.into_iter().find_map(Value::as_str).unwrap_or_default())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// The beginning of a text, on one line.
fn clip(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
