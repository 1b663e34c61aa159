//! Which properties of the language's schema were executed: measured from definitions as they were parsed and from what the
//! machine says that the runs' tasks did. What a scenario only mentions does not count.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::LazyLock,
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::scenario::word;

/// What a run has done with a definition.
pub struct Evidence {
    document: Value,
    /// What happened to each task, by its reference.
    happened: HashMap<String, HashSet<String>>,
    triggered: bool,
}

impl Evidence {
    pub fn new(text: &str, run: &Value, history: &[Value]) -> Self {
        let parsed =
            potok_dsl::parse("deployed", text).unwrap_or_else(|problems| panic!("it was deployed: {problems}"));
        let mut happened: HashMap<String, HashSet<String>> = HashMap::new();
        for entry in history {
            let events = happened.entry(word(&entry["reference"]).to_owned()).or_default();
            events.insert(word(&entry["event"]).to_owned());
        }
        Self {
            document: (*parsed.document).clone(),
            happened,
            triggered: run["trigger"].is_string(),
        }
    }

    /// Why the definition, which was executed, is none by the schema.
    pub fn invalid(&self) -> Option<String> {
        static WORKFLOW: LazyLock<Validator> = LazyLock::new(|| validator("/$defs/workflow"));
        let error = WORKFLOW.validate(&self.document).err()?;
        Some(format!("{error} at {}", error.instance_path()))
    }

    fn did(&self, task: &str, event: &str) -> bool {
        self.happened.get(task).is_some_and(|events| events.contains(event))
    }

    fn any_below(&self, prefix: &str, event: Option<&str>) -> bool {
        self.happened
            .iter()
            .any(|(task, events)| task.starts_with(prefix) && event.is_none_or(|event| events.contains(event)))
    }
}

/// The schema, with the root among the definitions, so that every part of it can be a schema of its own.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../engine/dsl/src/schema/open-workflow-1.0.3.json");
    let Value::Object(mut root) = serde_json::from_str(text).unwrap() else {
        panic!("the schema is an object")
    };
    let Some(Value::Object(mut definitions)) = root.shift_remove("$defs") else {
        panic!("it has definitions")
    };
    root.shift_remove("$id");
    definitions.insert("workflow".to_owned(), Value::Object(root));
    json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions })
});

fn validator(pointer: &str) -> Validator {
    let mut schema = SCHEMA.clone();
    schema["$ref"] = json!(format!("#{pointer}"));
    // With formats: an expression is no time, and an alternative is one of several.
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(&schema).unwrap()
}

/// Every property that the schema has, by the name that people read: `callTask.CallHTTP.with.redirect`.
pub fn properties() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    list(&SCHEMA["$defs"], "/$defs", &mut found);
    found
}

fn list(schema: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                // What an 'if' asks for is asked for elsewhere.
                if matches!(name.as_str(), "if" | "then" | "else") && !pointer.ends_with("/properties") {
                    continue;
                }
                let pointer = format!("{pointer}/{}", escape(name));
                if is_property(&pointer) {
                    found.insert(readable(&pointer));
                }
                list(member, &pointer, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                list(item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Whether a pointer ends in a member of `properties` (and not in a property that is named so).
fn is_property(pointer: &str) -> bool {
    let parts: Vec<&str> = pointer.split('/').collect();
    let mut in_properties = false;
    for part in &parts[..parts.len() - 1] {
        in_properties = !in_properties && *part == "properties";
    }
    in_properties
}

/// The name that people read: definitions and properties, and alternatives by their titles.
fn readable(pointer: &str) -> String {
    let mut name = Vec::new();
    let mut at = SCHEMA.clone();
    let mut keyword = "";
    let mut in_properties = false;
    for part in pointer.split('/').skip(1) {
        at = at.pointer(&format!("/{part}")).cloned().unwrap_or_default();
        if in_properties {
            name.push(part.to_owned());
            in_properties = false;
        } else if matches!(keyword, "oneOf" | "anyOf") {
            name.extend(at["title"].as_str().map(str::to_owned));
        } else if keyword == "$defs" {
            name.push(part.to_owned());
        } else {
            in_properties = part == "properties";
        }
        keyword = if in_properties { "" } else { part };
    }
    name.join(".").trim_start_matches("workflow.").to_owned()
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Walks definitions along the schema.
pub struct Coverage {
    alternatives: HashMap<String, Validator>,
    names: BTreeMap<String, String>,
    executed: BTreeSet<String>,
}

/// Where the walk is: at a value of the definition, in a task that was executed.
#[derive(Clone)]
struct At<'v> {
    value: &'v Value,
    place: String,
    task: Option<String>,
}

impl Coverage {
    pub fn new() -> Self {
        Self {
            alternatives: HashMap::new(),
            names: BTreeMap::new(),
            executed: BTreeSet::new(),
        }
    }

    /// The properties that were executed.
    pub fn executed(&self) -> &BTreeSet<String> {
        &self.executed
    }

    pub fn add(&mut self, evidence: &Evidence) {
        let at = At {
            value: &evidence.document,
            place: String::new(),
            task: None,
        };
        self.walk("/$defs/workflow", &at, evidence);
    }

    fn walk(&mut self, pointer: &str, at: &At<'_>, evidence: &Evidence) {
        let schema: &'static Value = SCHEMA.pointer(pointer).expect("it is a pointer into the schema");
        let mut at = at.clone();
        if pointer == "/$defs/task" {
            if !evidence.happened.contains_key(&at.place) {
                return;
            }
            at.task = Some(at.place.clone());
        }
        if let Some(reference) = schema["$ref"].as_str() {
            self.walk(reference.trim_start_matches('#'), &at, evidence);
        }
        for index in 0..schema["allOf"].as_array().map_or(0, Vec::len) {
            self.walk(&format!("{pointer}/allOf/{index}"), &at, evidence);
        }
        for keyword in ["oneOf", "anyOf"] {
            for index in 0..schema[keyword].as_array().map_or(0, Vec::len) {
                let branch = format!("{pointer}/{keyword}/{index}");
                let valid = self
                    .alternatives
                    .entry(branch.clone())
                    .or_insert_with(|| validator(&branch));
                if valid.is_valid(at.value) {
                    self.walk(&branch, &at, evidence);
                }
            }
        }
        match at.value {
            Value::Object(members) => self.members(schema, pointer, members, &at, evidence),
            Value::Array(items) if schema.get("items").is_some() => {
                for (index, item) in items.iter().enumerate() {
                    let at = At {
                        value: item,
                        place: format!("{}/{index}", at.place),
                        task: at.task.clone(),
                    };
                    self.walk(&format!("{pointer}/items"), &at, evidence);
                }
            }
            _ => {}
        }
    }

    fn members(
        &mut self,
        schema: &Value,
        pointer: &str,
        members: &Map<String, Value>,
        at: &At<'_>,
        evidence: &Evidence,
    ) {
        for (name, value) in members {
            let place = format!("{}/{}", at.place, escape(name));
            let next = At {
                value,
                place,
                task: at.task.clone(),
            };
            let property = format!("{pointer}/properties/{}", escape(name));
            if schema["properties"].get(name).is_some() {
                if happened(&property, &next, evidence) {
                    let readable = self
                        .names
                        .entry(property.clone())
                        .or_insert_with(|| readable(&property));
                    self.executed.insert(readable.clone());
                    self.walk(&property, &next, evidence);
                }
            } else if schema["additionalProperties"].is_object() && used(pointer, name, &next, evidence) {
                self.walk(&format!("{pointer}/additionalProperties"), &next, evidence);
            }
        }
    }
}

/// Whether a property took part in what happened: that its task ran is not enough for those that speak of something later.
fn happened(property: &str, at: &At<'_>, evidence: &Evidence) -> bool {
    let Some(task) = &at.task else {
        return property != "/$defs/workflow/properties/schedule" || evidence.triggered;
    };
    let (_, name) = property.rsplit_once('/').unwrap_or_default();
    let ended = evidence.did(task, "completed") || evidence.did(task, "faulted");
    if at.place == format!("{task}/if") {
        return true;
    }
    if !evidence.did(task, "started") {
        return false;
    }
    match name {
        "output" | "export" | "then" if at.place == format!("{task}/{name}") => ended,
        _ if at.place.starts_with(&format!("{task}/catch/retry")) => evidence.did(task, "retrying"),
        _ if at.place.starts_with(&format!("{task}/catch/")) => {
            evidence.any_below(&format!("{task}/try/"), Some("faulted"))
        }
        _ => true,
    }
}

/// Whether something under `use` was: a part that nothing named is only mentioned.
fn used(pointer: &str, name: &str, at: &At<'_>, evidence: &Evidence) -> bool {
    let Some(part) = pointer.strip_prefix("/$defs/workflow/properties/use/properties/") else {
        return true;
    };
    match part {
        "extensions/items" => evidence.any_below(&format!("{}/", at.place), None),
        "functions" | "catalogs" => true,
        "retries" => named(
            &evidence.document,
            name,
            &["retry"],
            &|task| evidence.did(task, "retrying"),
            "",
        ),
        _ => {
            let keys: &[&str] = match part {
                "authentications" => &["use"],
                "errors" => &["error"],
                _ => &["timeout"],
            };
            named(
                &evidence.document,
                name,
                keys,
                &|task| evidence.did(task, "started"),
                "",
            )
        }
    }
}

/// Whether a task of which something is true names this under one of the keys.
fn named(value: &Value, name: &str, keys: &[&str], holds: &dyn Fn(&str) -> bool, place: &str) -> bool {
    let nearest = || {
        let mut task = place;
        loop {
            if holds(task) || task.is_empty() {
                return true;
            }
            match task.rsplit_once('/') {
                Some((above, _)) if !above.is_empty() => task = above,
                _ => return false,
            }
        }
    };
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| {
            (keys.contains(&&**key) && value == name && nearest())
                || named(value, name, keys, holds, &format!("{place}/{}", escape(key)))
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .any(|(index, value)| named(value, name, keys, holds, &format!("{place}/{index}"))),
        _ => false,
    }
}
