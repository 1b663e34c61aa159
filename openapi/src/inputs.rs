//! Inputs are held to their schemas at the door: whoever sends a wrong one gets an answer that says what is wrong with it, and no run.
//!
//! The run itself checks again; what starts by other ways than HTTP is checked there alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jsonschema::{PatternOptions, Validator};
use potok_dsl::{
    Problem,
    model::{Schema, SchemaSource},
};
use potok_node::deploy::Prepared;
use potok_wasm::FunctionInfo;
use serde_json::{Value, json};

use crate::failure::refusal;

/// How many compiled schemas are kept.
const KEPT: usize = 1_000;

/// The most places that an error names.
const PLACES: usize = 20;

/// The most characters of one complaint: it quotes the value, and values can be large.
const COMPLAINT: usize = 300;

/// How far a pattern may backtrack before it counts as not matching.
const BACKTRACK: usize = 100_000;

/// Compiled schemas by the hash of what they belong to.
#[derive(Default)]
pub(crate) struct Inputs {
    compiled: Mutex<HashMap<String, Option<Arc<Validator>>>>,
}

impl Inputs {
    /// Checks a run's input.
    ///
    /// # Errors
    /// A problem whose `data` has the places, when it does not fit the workflow's `input.schema`.
    pub fn check_workflow(&self, prepared: &Prepared, input: &Value) -> Result<(), Problem> {
        let Some(schema) = input_schema(prepared) else {
            return Ok(());
        };
        self.check(&prepared.deployed.hash, schema, input, "the input does not")
    }

    /// Checks a function's arguments.
    ///
    /// # Errors
    /// A problem whose `data` has the places, when they do not fit the function's schema.
    pub fn check_function(&self, function: &FunctionInfo, arguments: &Value) -> Result<(), Problem> {
        let key = format!("{} {}", function.component, function.canonical);
        self.check(&key, &function.input_schema, arguments, "the arguments do not")
    }

    fn check(&self, key: &str, schema: &Value, value: &Value, what: &str) -> Result<(), Problem> {
        let Some(validator) = self.validator(key, schema) else {
            return Ok(());
        };
        complain(&validator, value, what)
    }

    /// The compiled schema. One that cannot be compiled is left to the run, which says so.
    fn validator(&self, key: &str, schema: &Value) -> Option<Arc<Validator>> {
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(key) {
            return known.clone();
        }
        let compiled = compile(schema).map(Arc::new);
        let mut known = lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key.to_owned(), compiled.clone());
        compiled
    }
}

/// The schema of a workflow's input, if it has one.
pub(crate) fn input_schema(prepared: &Prepared) -> Option<&Value> {
    document(prepared.workflow().input.as_ref()?.schema.as_ref()?)
}

/// The schema of a workflow's output, if it has one.
pub(crate) fn output_schema(prepared: &Prepared) -> Option<&Value> {
    document(prepared.workflow().output.as_ref()?.schema.as_ref()?)
}

fn document(schema: &Schema) -> Option<&Value> {
    match &schema.source {
        SchemaSource::Document(document) => Some(&document.value),
        SchemaSource::Resource(_) => None,
    }
}

/// Whether a value fits a schema.
pub(crate) fn fits(schema: &Value, value: &Value) -> bool {
    compile(schema).is_none_or(|validator| validator.is_valid(value))
}

fn compile(schema: &Value) -> Option<Validator> {
    jsonschema::draft202012::options()
        .offline()
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK))
        .build(schema)
        .ok()
}

/// `what` begins the sentence: `the input does not`.
fn complain(validator: &Validator, value: &Value, what: &str) -> Result<(), Problem> {
    let beyond = if has_too_low(value) { Some(lower(value)) } else { None };
    let value = beyond.as_ref().unwrap_or(value);
    if validator.is_valid(value) {
        return Ok(());
    }
    let places: Vec<Value> = validator
        .iter_errors(value)
        .take(PLACES)
        .map(|error| json!({ "at": error.instance_path().to_string(), "message": clip(&error.to_string()) }))
        .collect();
    let first = places.first().map_or_else(String::new, |place| {
        let at = place["at"]
            .as_str()
            .filter(|at| !at.is_empty())
            .map_or(String::new(), |at| format!(" at {at}"));
        format!("{at}: {}", place["message"].as_str().unwrap_or_default())
    });
    let detail = format!("{what} fit the schema{first}");
    Err(refusal(422, "Invalid input", detail).with_data(Value::Array(places)))
}

/// An integer below the lowest of 64 bits is read as a float, and the nearest float to the first ones is that lowest integer: it would pass for
/// what it is not.
const TOO_LOW: f64 = -9_223_372_036_854_775_808.0;

fn has_too_low(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64() == Some(TOO_LOW),
        Value::Array(items) => items.iter().any(has_too_low),
        Value::Object(members) => members.values().any(has_too_low),
        _ => false,
    }
}

/// The value with such numbers where they are out of range for whoever wants 64 bits.
fn lower(value: &Value) -> Value {
    match value {
        Value::Number(_) if has_too_low(value) => json!(TOO_LOW.next_down()),
        Value::Array(items) => items.iter().map(lower).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), lower(member)))
            .collect(),
        _ => value.clone(),
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(COMPLAINT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_complaint_names_the_places() {
        let validator = compile(&json!({ "properties": { "n": { "type": "integer" } }, "required": ["m"] })).unwrap();
        assert!(complain(&validator, &json!({ "n": 1, "m": 2 }), "it does not").is_ok());
        let problem = complain(&validator, &json!({ "n": "x" }), "it does not").unwrap_err();
        assert_eq!(problem.status, 422);
        let data = problem.data.unwrap();
        assert_eq!(data.as_array().unwrap().len(), 2, "{data}");
        assert!(
            data.as_array().unwrap().iter().any(|place| place["at"] == "/n"),
            "{data}"
        );
    }

    #[test]
    fn a_complaint_about_a_large_value_is_short() {
        let validator = compile(&json!({ "type": "integer" })).unwrap();
        let problem = complain(&validator, &json!("x".repeat(100_000)), "it does not").unwrap_err();
        assert!(problem.detail.unwrap().len() < 1_000);
    }

    #[test]
    fn an_integer_below_64_bits_is_no_integer_of_64_bits() {
        let validator = compile(&json!({ "items": { "type": "integer", "minimum": i64::MIN } })).unwrap();
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert!(complain(&validator, &value("[-9223372036854775808]"), "it does not").is_ok());
        assert!(complain(&validator, &value("[0, -9223372036854775809]"), "it does not").is_err());
        let number = compile(&json!({ "type": "number" })).unwrap();
        assert!(complain(&number, &value("-9223372036854775809"), "it does not").is_ok());
    }

    #[test]
    fn a_schema_is_compiled_once() {
        let inputs = Inputs::default();
        let schema = json!({ "type": "object" });
        assert!(inputs.check("k", &schema, &json!({}), "it does not").is_ok());
        // The second time the schema is not looked at: the key stands for it.
        assert!(inputs.check("k", &json!(false), &json!({}), "it does not").is_ok());
        assert!(inputs.check("k", &schema, &json!(1), "it does not").is_err());
    }
}
