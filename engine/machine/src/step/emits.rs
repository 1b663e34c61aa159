//! `emit`: a complete event leaves.

use std::sync::Arc;

use potok_dsl::{Problem, Timestamp};
use serde_json::{Map, Value};

use super::{
    Signal, Step, Taken,
    values::{brief, wrong},
};
use crate::{
    definition::{Emit, Place},
    digest,
    effect::{Effect, EmitEffect},
    observer::TraceKind,
    secrets,
};

impl Step<'_> {
    pub(super) fn perform_emit(&mut self, task: Taken, emit: &Emit) -> Signal {
        let event = self.event(&task, emit).map(Value::Object);
        let event = match event.and_then(|event| secrets::keep_in(&event, "an event").map(|()| event)) {
            Ok(event) => Arc::new(event),
            Err(problem) => return self.faulted(task, problem),
        };
        self.effects.push(Effect::Emit(EmitEffect {
            path: task.path.clone(),
            event: secrets::show(Arc::clone(&event)),
        }));
        self.trace(&task, || TraceKind::Emitted {
            cloud_event: Arc::clone(&event),
        });
        self.finish(task, event, None)
    }

    /// The event with all its attributes; those that are null are left out.
    fn event(&self, task: &Taken, emit: &Emit) -> Result<Map<String, Value>, Problem> {
        let what = "emit.event.with";
        let uri = |uri: &Option<crate::definition::Uri>, name: &str| match uri {
            Some(uri) => self.uri(task, uri, &format!("{what}.{name}")).map(Some),
            None => Ok(None),
        };
        let source = uri(&emit.source, "source")?;
        let dataschema = uri(&emit.dataschema, "dataschema")?;
        let scope = self.scope(task, Place::Task);
        let Value::Object(mut given) = self.template(&emit.rest, &task.input, &scope, what)? else {
            return Err(wrong(format!("{what} must give an object")));
        };
        let mut event = Map::new();
        let mut put = |name: &str, given: Option<Value>, default: Option<String>| {
            let given = given.filter(|value| !value.is_null());
            if let Some(value) = given.or(default.map(Value::String)) {
                event.insert(name.to_owned(), value);
            }
        };
        let id = digest::long([b"event".as_slice(), &self.state.run.bytes(), task.path.0.as_bytes()]);
        let workflow = self.definition.id();
        let home = format!("/{}/{}/{}", workflow.namespace, workflow.name, workflow.version);
        let data = given.shift_remove("data").filter(|data| !data.is_null());
        put("specversion", None, Some("1.0".to_owned()));
        put("id", given.shift_remove("id"), Some(id));
        put("source", source.map(Value::String), Some(home));
        put("type", given.shift_remove("type"), None);
        put("time", given.shift_remove("time"), Some(self.state.now.rfc3339()));
        let json = data.is_some().then(|| "application/json".to_owned());
        put("subject", given.shift_remove("subject"), None);
        put("datacontenttype", given.shift_remove("datacontenttype"), json);
        put("dataschema", dataschema.map(Value::String), None);
        given.shift_remove("specversion");
        for (name, value) in given {
            put(&name, Some(value), None);
        }
        if !event.contains_key("type") {
            return Err(wrong(format!("{what}.type must give text, not null")));
        }
        for (name, value) in &event {
            check(name, value).map_err(|why| wrong(format!("{what}.{name} must give {why}, not {}", brief(value))))?;
        }
        if let Some(data) = data {
            event.insert("data".to_owned(), data);
        }
        Ok(event)
    }
}

/// What an attribute's value should be, when it is not.
fn check(name: &str, value: &Value) -> Result<(), &'static str> {
    let sound = match (name, value) {
        ("time", Value::String(text)) => {
            return Timestamp::parse(text)
                .map(drop)
                .ok_or("a moment such as 2026-01-31T08:00:00Z");
        }
        ("id" | "source" | "type" | "subject" | "datacontenttype" | "dataschema" | "time", value) => {
            return value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(drop)
                .ok_or("text that is not empty");
        }
        (_, Value::String(_) | Value::Bool(_)) => true,
        (_, Value::Number(number)) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        _ => false,
    };
    if sound {
        Ok(())
    } else {
        Err("text, true, false or an integer of 32 bits")
    }
}
