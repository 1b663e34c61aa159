//! Data as YAML that people can edit: blocks, one member a line, quotes only where they are needed.

use serde_json::Value;

/// Writes a value as a document.
pub(crate) fn write(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// A value on lines of its own. Recursion ends where the depth of JSON does.
fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                text.push_str(&format!("{indent}{}:", scalar(&Value::from(key.as_str()))));
                after(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let begin = text.len();
                block(item, depth + 1, text);
                // The first line of the entry begins with its dash.
                let dash = begin + 2 * depth;
                text.replace_range(dash..dash + 2, "- ");
            }
        }
        other => text.push_str(&format!("{indent}{}\n", scalar(other))),
    }
}

/// A value after its key: on the same line when it is one word, else below.
fn after(value: &Value, depth: usize, text: &mut String) {
    let nested = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        text.push('\n');
        block(value, depth + 1, text);
    } else {
        text.push_str(&format!(" {}\n", scalar(value)));
    }
}

/// A value in a line; text without quotes where it means itself.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether text means itself without quotes, in YAML 1.1 too.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf",
    ];
    let safe =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '+' | '@' | ' ') || c > '\u{a0}';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(' ')
        && text.chars().all(safe)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_the_same() {
        let value = json!({
            "a": { "b": [1, { "c": "d e", "f": [] }, ["x", "y"], {}], "yes": "no", "1": "2" },
            "text": "two\nlines: \"quoted\" # and more", "url": "https://example.com/a?b=c", "empty": "",
            "null": null, "word": "null", "float": 1.5, "expression": "${ .a }",
        });
        let text = write(&value);
        assert_eq!(potok_dsl::Placed::parse("t", &text).unwrap().value(), value, "{text}");
        insta::assert_snapshot!(text);
    }
}
