//! Whether the arguments of a call fit the function, as far as they are written down: an expression fits everything.
//!
//! Of JSON Schema this knows what the schemas of functions are made of. What it does not know it lets pass: the function itself looks again.

use serde_json::{Map, Value};

use super::{Schemas, is_expression, walk::Everything};
use crate::{
    diagnostic::Diagnostic,
    model::{Call, EvaluateMode, Location, TaskKind, Workflow},
    placed::Placed,
    read::nearest,
};

/// How deep arguments are looked into.
const DEPTH: usize = 64;

pub(super) fn check(
    workflow: &Workflow,
    everything: &Everything<'_>,
    functions: Schemas<'_>,
    placed: &Placed,
    found: &mut Vec<Diagnostic>,
) {
    let mode = workflow.evaluate.as_ref().and_then(|evaluate| evaluate.mode.as_ref());
    let mode = mode.map(|mode| mode.value).unwrap_or_default();
    for spot in &everything.tasks {
        let TaskKind::Call(Call::Function { name, with }) = &spot.task.kind else {
            continue;
        };
        if workflow.uses.functions.contains_key(&name.value) {
            continue;
        }
        let Some(schema) = functions(&name.value) else { continue };
        let nothing = Value::Object(Map::new());
        let mut fit = Fit {
            function: &name.value,
            mode,
            placed,
            found: Vec::new(),
        };
        let arguments = Argument {
            value: with.as_ref().map_or(&nothing, |with| &with.value),
            pointer: format!("{}/with", spot.reference),
            name: String::new(),
            at: with.as_ref().map_or(name.at, |with| with.at),
        };
        fit.check(&arguments, &schema, DEPTH);
        found.append(&mut fit.found);
    }
}

/// A value on its way to a function.
struct Argument<'v> {
    value: &'v Value,
    pointer: String,
    /// What messages call it; empty for the arguments together.
    name: String,
    at: Location,
}

struct Fit<'a> {
    function: &'a str,
    mode: EvaluateMode,
    placed: &'a Placed,
    found: Vec<Diagnostic>,
}

impl Fit<'_> {
    fn wrong(&mut self, at: Location, message: String, help: Option<String>) {
        let diagnostic = Diagnostic::new(at, message);
        self.found.push(match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        });
    }

    /// `'chapters' of text.split`.
    fn title(&self, argument: &Argument<'_>) -> String {
        if argument.name.is_empty() {
            format!("what goes to {}", self.function)
        } else {
            format!("'{}' of {}", argument.name, self.function)
        }
    }

    fn check(&mut self, argument: &Argument<'_>, schema: &Value, depth: usize) {
        if depth == 0
            || argument
                .value
                .as_str()
                .is_some_and(|text| is_expression(text, self.mode))
        {
            return;
        }
        let choices = choices(schema);
        if !choices.is_empty() {
            self.one_of(argument, &choices, depth);
        }
        if !self.is_of_type(argument, schema) {
            return;
        }
        self.is_a_word(argument, schema);
        self.is_in_range(argument, schema);
        match argument.value {
            Value::Object(members) => self.object(argument, members, schema, depth),
            Value::Array(items) => {
                let item_schema = |index: usize| {
                    let first = schema.get("prefixItems").and_then(|schemas| schemas.get(index));
                    first.or_else(|| schema.get("items"))
                };
                for (index, value) in items.iter().enumerate() {
                    let Some(schema) = item_schema(index) else { continue };
                    let pointer = format!("{}/{index}", argument.pointer);
                    let at = self.placed.at(&pointer);
                    let name = format!("{}[{index}]", argument.name);
                    self.check(
                        &Argument {
                            value,
                            pointer,
                            name,
                            at,
                        },
                        schema,
                        depth - 1,
                    );
                }
            }
            _ => {}
        }
    }

    /// One of several schemas must fit. Where one alone takes a value of that kind, it says what is wrong.
    fn one_of(&mut self, argument: &Argument<'_>, branches: &[&Value], depth: usize) {
        let before = self.found.len();
        let mut closest: Option<Vec<Diagnostic>> = None;
        for branch in branches {
            self.check(argument, branch, depth - 1);
            let wrong = self.found.split_off(before);
            if wrong.is_empty() {
                return;
            }
            let takes = branch.get("type").is_some_and(|types| takes(types, argument.value));
            if takes && closest.is_none() {
                closest = Some(wrong);
            }
        }
        let words: Vec<&str> = branches
            .iter()
            .filter_map(|branch| branch.get("const")?.as_str())
            .collect();
        match (closest, argument.value.as_str()) {
            (Some(wrong), None) => self.found.extend(wrong),
            (_, Some(text)) if !words.is_empty() => self.not_a_word(argument, text, &words),
            (Some(wrong), _) => self.found.extend(wrong),
            (None, _) => {
                let message = format!("{} cannot be {}", self.title(argument), kind(argument.value));
                self.wrong(argument.at, message, None);
            }
        }
    }

    fn is_of_type(&mut self, argument: &Argument<'_>, schema: &Value) -> bool {
        let Some(types) = schema.get("type").filter(|types| !takes(types, argument.value)) else {
            return true;
        };
        let words: Vec<&str> = names(types).map(in_words).collect();
        let message = format!(
            "{} must be {}, not {}",
            self.title(argument),
            words.join(" or "),
            kind(argument.value)
        );
        let help = match argument.value {
            Value::Number(_) | Value::Bool(_) if names(types).any(|name| name == "string") => Some("put it in quotes"),
            Value::String(text) if names(types).any(|name| name != "string") && text.starts_with(['.', '$']) => {
                Some("an expression stands in ${ }")
            }
            _ => None,
        };
        self.wrong(argument.at, message, help.map(str::to_owned));
        false
    }

    fn is_a_word(&mut self, argument: &Argument<'_>, schema: &Value) {
        let words: Option<Vec<&str>> = match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(words)), _) => words.iter().map(Value::as_str).collect(),
            (None, Some(Value::String(word))) => Some(vec![word]),
            _ => None,
        };
        let Some(words) = words else { return };
        match argument.value.as_str() {
            Some(text) if words.contains(&text) => {}
            Some(text) => self.not_a_word(argument, text, &words),
            None => {
                let message = format!("{} cannot be {}", self.title(argument), kind(argument.value));
                self.wrong(argument.at, message, Some(format!("it is one of {}", words.join(", "))));
            }
        }
    }

    fn not_a_word(&mut self, argument: &Argument<'_>, text: &str, words: &[&str]) {
        let message = format!("{} cannot be '{text}'", self.title(argument));
        let help = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("it is one of {}", words.join(", ")),
        };
        self.wrong(argument.at, message, Some(help));
    }

    fn is_in_range(&mut self, argument: &Argument<'_>, schema: &Value) {
        let Some(number) = argument.value.as_f64() else { return };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let too_small = bound("minimum").is_some_and(|minimum| number < minimum);
        let too_large = bound("maximum").is_some_and(|maximum| number > maximum);
        if too_small || too_large {
            let (key, words) = if too_small {
                ("minimum", "at least")
            } else {
                ("maximum", "at most")
            };
            let message = format!(
                "{} must be {words} {}, and {number} is not",
                self.title(argument),
                schema[key]
            );
            self.wrong(argument.at, message, None);
        }
    }

    fn object(&mut self, argument: &Argument<'_>, members: &Map<String, Value>, schema: &Value, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        // Names in kebab-case are taken too.
        let plain = |name: &str| name.replace('-', "_");
        let mut missing: Vec<&str> = names(schema.get("required").unwrap_or(&Value::Null)).collect();
        missing.retain(|name| !members.keys().any(|key| key == name || plain(key) == *name));
        for (key, value) in members {
            let pointer = format!("{}/{}", argument.pointer, key.replace('~', "~0").replace('/', "~1"));
            let known = properties.get(key).or_else(|| properties.get(&plain(key)));
            match known {
                Some(schema) => {
                    let at = self.placed.at(&pointer);
                    let name = if argument.name.is_empty() {
                        key.clone()
                    } else {
                        format!("{}.{key}", argument.name)
                    };
                    self.check(
                        &Argument {
                            value,
                            pointer,
                            name,
                            at,
                        },
                        schema,
                        depth - 1,
                    );
                }
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    let near = nearest(key, properties.keys().map(String::as_str));
                    // Misspelled is not missing.
                    missing.retain(|name| Some(*name) != near);
                    let help = match near {
                        Some(near) => format!("did you mean '{near}'?"),
                        None if properties.is_empty() => "it takes none".to_owned(),
                        None => format!("it knows {}", properties.keys().cloned().collect::<Vec<_>>().join(", ")),
                    };
                    let message = if argument.name.is_empty() {
                        format!("{} takes no '{key}'", self.function)
                    } else {
                        format!("{} has no '{key}'", self.title(argument))
                    };
                    self.wrong(self.placed.key_at(&pointer), message, Some(help));
                }
                None => {}
            }
        }
        for name in missing {
            let message = if argument.name.is_empty() {
                format!("{} needs '{name}'", self.function)
            } else {
                format!("{} needs '{name}'", self.title(argument))
            };
            let description = properties
                .get(name)
                .and_then(|schema| schema.get("description")?.as_str());
            let first = description.and_then(|text| text.lines().next());
            let help = first.map_or_else(|| "add it".to_owned(), |first| format!("add it: {first}"));
            self.wrong(argument.at, message, Some(help));
        }
    }
}

/// The schemas of which one must fit, those of nested choices among them.
fn choices(schema: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut pending = vec![schema];
    while let Some(schema) = pending.pop() {
        let branches = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)?.as_array());
        for branch in branches.into_iter().flatten() {
            if branch.get("anyOf").is_some() || branch.get("oneOf").is_some() {
                pending.push(branch);
            } else {
                found.push(branch);
            }
        }
    }
    found
}

/// A text or the texts of a list.
fn names(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    let several = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

/// Whether a value is of one of the types.
fn takes(types: &Value, value: &Value) -> bool {
    names(types).any(|name| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    })
}

fn in_words(name: &str) -> &str {
    match name {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
