//! Texts of features: YAML, read as the language reads it, so that the tests know no second YAML.

use std::fmt::Write as _;

use serde_json::Value;

/// A doc string as it stands in a feature: the media type after the quotes goes, and the indentation.
pub fn doc_string(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let body = match first.trim() {
        "" | "yaml" => rest,
        _ => text,
    };
    let indent = body
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or_default();
    let lines: Vec<&str> = body
        .lines()
        .map(|line| line.get(indent..).unwrap_or_default())
        .collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// The value of a YAML text.
pub fn value(text: &str) -> Value {
    // The reader reads workflows, and keeps what stands under 'metadata' as it is.
    let mut workflow = String::from(
        "do: [ { a: { set: { a: 1 } } } ]\n\
         document:\n  dsl: '1.0.3'\n  namespace: a\n  name: a\n  version: '1.0.0'\n  metadata:\n    value:\n",
    );
    for line in text.lines() {
        let _ = writeln!(workflow, "      {line}");
    }
    let parsed = potok_dsl::parse("value", &workflow).unwrap_or_else(|problems| panic!("not YAML: {problems}"));
    parsed.document["document"]["metadata"]["value"].clone()
}
