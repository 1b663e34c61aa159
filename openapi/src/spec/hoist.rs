//! Schemas from elsewhere become components of the document: their local definitions are hoisted, and their references, which were
//! relative to the schema, lead to where things are now.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];

/// Keywords whose value is a list of schemas.
const LIST: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];

/// Keywords whose value is an object of schemas.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
];

/// Keywords under which a schema keeps its local definitions.
const LOCAL: [&str; 2] = ["$defs", "definitions"];

/// The schemas of a document.
pub(super) struct Components(Map<String, Value>);

impl Components {
    pub fn new(schemas: Option<Map<String, Value>>) -> Self {
        Self(schemas.unwrap_or_default())
    }

    pub fn finish(self) -> Map<String, Value> {
        self.0
    }

    /// Adds a schema under a name, or one like it when that is taken; gives a reference to it.
    pub fn add(&mut self, name: &str, schema: &Value) -> Value {
        let name = self.free(name);
        // Taken from now on, so that a definition cannot get the name.
        self.0.insert(name.clone(), Value::Null);
        let mut places = Places::new(&name, schema);
        for (pointer, definition) in definitions(schema) {
            let own = self.free(&format!("{name}.{definition}"));
            self.0.insert(own.clone(), Value::Null);
            places.hoisted.insert(pointer, own);
        }
        let mut schema = schema.clone();
        places.rewrite(&mut schema, true);
        for (pointer, own) in &places.hoisted {
            let definition = schema.pointer_mut(pointer).map(Value::take);
            self.0.insert(own.clone(), definition.unwrap_or(json!(true)));
        }
        if let Some(members) = schema.as_object_mut() {
            for keyword in ["$schema", "$id", "$defs", "definitions"] {
                members.shift_remove(keyword);
            }
        }
        self.0.insert(name.clone(), schema);
        reference(&name)
    }

    fn free(&self, wanted: &str) -> String {
        let allowed = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        };
        let wanted: String = wanted.chars().map(allowed).collect();
        let free = |name: &String| !self.0.contains_key(name);
        let numbered = (2_u64..).map(|n| format!("{wanted}-{n}"));
        std::iter::once(wanted.clone())
            .chain(numbered)
            .find(free)
            .unwrap_or(wanted)
    }
}

fn reference(component: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{component}") })
}

/// The local definitions of a schema: the pointer to each, and its name.
fn definitions(schema: &Value) -> Vec<(String, String)> {
    let groups = LOCAL
        .iter()
        .filter_map(|keyword| Some((keyword, schema.get(*keyword)?.as_object()?)));
    groups
        .flat_map(|(keyword, group)| {
            group
                .keys()
                .map(move |name| (format!("/{keyword}/{}", escape(name)), name.clone()))
        })
        .collect()
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Where the parts of a schema are.
struct Places<'a> {
    /// The component that the schema becomes.
    component: &'a str,
    /// The schema's `$id`.
    id: Option<&'a str>,
    /// The components that local definitions become, by their pointers.
    hoisted: HashMap<String, String>,
    /// Pointers by the anchors that name them.
    anchors: HashMap<String, String>,
}

impl<'a> Places<'a> {
    fn new(component: &'a str, schema: &'a Value) -> Self {
        let mut anchors = HashMap::new();
        find_anchors(schema, "", &mut anchors);
        Self {
            component,
            id: schema.get("$id").and_then(Value::as_str),
            hoisted: HashMap::new(),
            anchors,
        }
    }

    /// Rewrites the references of a schema. What has an `$id` of its own is a document of its own, and its references are its own.
    fn rewrite(&self, schema: &mut Value, root: bool) {
        let Some(members) = schema.as_object_mut() else { return };
        if !root && members.contains_key("$id") {
            return;
        }
        if let Some(Value::String(target)) = members.get_mut("$ref")
            && let Some(moved) = self.moved(target)
        {
            *target = moved;
        }
        members.shift_remove("$anchor");
        for (keyword, value) in members.iter_mut() {
            let keyword = keyword.as_str();
            match value {
                Value::Array(list) if LIST.contains(&keyword) => {
                    list.iter_mut().for_each(|item| self.rewrite(item, false));
                }
                Value::Object(named) if NAMED.contains(&keyword) => {
                    named.values_mut().for_each(|item| self.rewrite(item, false));
                }
                value if ONE.contains(&keyword) => self.rewrite(value, false),
                _ => {}
            }
        }
    }

    /// Where a reference leads now; `None` when it leads out of the schema.
    fn moved(&self, target: &str) -> Option<String> {
        let fragment = match target.split_once('#') {
            Some(("", fragment)) => fragment,
            Some((id, fragment)) if Some(id) == self.id => fragment,
            None if Some(target) == self.id => "",
            _ => return None,
        };
        let pointer = match self.anchors.get(fragment) {
            Some(pointer) => pointer.clone(),
            None => fragment.to_owned(),
        };
        let hoisted = self.hoisted.iter().find_map(|(place, component)| {
            let rest = pointer.strip_prefix(place.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((component.as_str(), rest))
        });
        let (component, rest) = hoisted.unwrap_or((self.component, pointer.as_str()));
        Some(format!("#/components/schemas/{component}{rest}"))
    }
}

fn find_anchors(schema: &Value, pointer: &str, anchors: &mut HashMap<String, String>) {
    let Some(members) = schema.as_object() else { return };
    if !pointer.is_empty() && members.contains_key("$id") {
        return;
    }
    if let Some(Value::String(anchor)) = members.get("$anchor") {
        anchors.insert(anchor.clone(), pointer.to_owned());
    }
    for (keyword, value) in members {
        let place = format!("{pointer}/{keyword}");
        match value {
            Value::Array(list) if LIST.contains(&keyword.as_str()) => {
                for (index, item) in list.iter().enumerate() {
                    find_anchors(item, &format!("{place}/{index}"), anchors);
                }
            }
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                for (name, item) in named {
                    find_anchors(item, &format!("{place}/{}", escape(name)), anchors);
                }
            }
            value if ONE.contains(&keyword.as_str()) => find_anchors(value, &place, anchors),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hoisted(schema: &Value) -> Map<String, Value> {
        let mut components = Components::new(None);
        assert_eq!(
            components.add("w.input", schema),
            json!({ "$ref": "#/components/schemas/w.input" })
        );
        components.finish()
    }

    #[test]
    fn local_definitions_become_components() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "book": { "$ref": "#/$defs/book" },
                "title": { "$ref": "#/$defs/book/properties/title" },
                "self": { "$ref": "#" },
                "twin": { "$ref": "#/properties/book" },
                "$ref": { "type": "string" },
            },
            "$defs": {
                "book": { "properties": { "title": { "type": "string" }, "next": { "$ref": "#/$defs/book" } } },
                "a/b": { "const": { "$ref": "#/$defs/book" } },
            },
        });
        let components = hoisted(&schema);
        assert_eq!(
            Value::Object(components),
            json!({
                "w.input": {
                    "type": "object",
                    "properties": {
                        "book": { "$ref": "#/components/schemas/w.input.book" },
                        "title": { "$ref": "#/components/schemas/w.input.book/properties/title" },
                        "self": { "$ref": "#/components/schemas/w.input" },
                        "twin": { "$ref": "#/components/schemas/w.input/properties/book" },
                        "$ref": { "type": "string" },
                    },
                },
                "w.input.book": {
                    "properties": { "title": { "type": "string" }, "next": { "$ref": "#/components/schemas/w.input.book" } },
                },
                // What is data stays as it is.
                "w.input.a_b": { "const": { "$ref": "#/$defs/book" } },
            })
        );
    }

    #[test]
    fn anchors_and_identifiers_lead_to_where_things_are() {
        let schema = json!({
            "$id": "https://example.com/s",
            "properties": {
                "a": { "$anchor": "here", "type": "string" },
                "b": { "$ref": "#here" },
                "c": { "$ref": "https://example.com/s#/properties/a" },
                "d": { "$id": "https://example.com/t", "$ref": "#/x" },
            },
        });
        let components = hoisted(&schema);
        let properties = &components["w.input"]["properties"];
        assert_eq!(properties["a"], json!({ "type": "string" }));
        assert_eq!(
            properties["b"],
            json!({ "$ref": "#/components/schemas/w.input/properties/a" })
        );
        assert_eq!(properties["c"], properties["b"]);
        assert_eq!(
            properties["d"],
            json!({ "$id": "https://example.com/t", "$ref": "#/x" })
        );
    }

    #[test]
    fn names_do_not_collide() {
        let mut components = Components::new(None);
        components.add("a", &json!({ "$defs": { "b": {}, "b'": {}, "b\"": {} } }));
        components.add("a.b", &json!(true));
        let names: Vec<String> = components.finish().keys().cloned().collect();
        assert_eq!(names, ["a", "a.b", "a.b_", "a.b_-2", "a.b-2"]);
    }
}
