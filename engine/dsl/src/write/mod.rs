//! The typed model back into data: what was read, member for member, as it was written.
//!
//! Members come in the schema's order, not the file's; everything else (shorthands, spelled-out defaults, empty objects) is as it was.

mod events;
mod policies;
mod task;

use serde_json::{Map, Value};

use crate::model::{At, Document, Evaluate, EvaluateMode, Extension, Json, Schedule, Text, Use, UseSection, Workflow};

impl Workflow {
    /// The workflow as data, equal to the document that it was read from.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Self {
            document,
            input,
            uses,
            tasks,
            timeout,
            output,
            schedule,
            evaluate,
        } = self;
        Object::new()
            .with("document", document_value(document))
            .maybe("input", input.as_ref().map(policies::input))
            .maybe("use", uses.at.map(|_| uses_value(uses)))
            .with("do", task::list(tasks))
            .maybe("timeout", timeout.as_ref().map(policies::timeout_ref))
            .maybe("output", output.as_ref().map(policies::output))
            .maybe("schedule", schedule.as_ref().map(schedule_value))
            .maybe("evaluate", evaluate.as_ref().map(evaluate_value))
            .value()
    }
}

/// An object in the making.
struct Object(Map<String, Value>);

impl Object {
    fn new() -> Self {
        Self(Map::new())
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    fn maybe(self, key: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn text(self, key: &str, text: &Text) -> Self {
        self.with(key, text.value.as_str())
    }

    fn maybe_text(self, key: &str, text: Option<&Text>) -> Self {
        match text {
            Some(text) => self.text(key, text),
            None => self,
        }
    }

    fn maybe_json(self, key: &str, json: Option<&Json>) -> Self {
        self.maybe(key, json.map(|json| json.value.clone()))
    }

    fn value(self) -> Value {
        Value::Object(self.0)
    }
}

/// An object with one member.
fn entry(key: &str, value: Value) -> Value {
    Object::new().with(key, value).value()
}

fn map<'a, T: 'a>(entries: impl IntoIterator<Item = (&'a String, &'a T)>, value: impl Fn(&T) -> Value) -> Value {
    Value::Object(
        entries
            .into_iter()
            .map(|(key, item)| (key.clone(), value(item)))
            .collect(),
    )
}

fn document_value(document: &Document) -> Value {
    // `potok` is the typed form of a part of `metadata`.
    let Document {
        dsl,
        namespace,
        name,
        version,
        title,
        summary,
        tags,
        metadata,
        potok: _,
    } = document;
    Object::new()
        .text("dsl", dsl)
        .text("namespace", namespace)
        .text("name", name)
        .text("version", version)
        .maybe_text("title", title.as_ref())
        .maybe_text("summary", summary.as_ref())
        .maybe_json("tags", tags.as_ref())
        .maybe_json("metadata", metadata.as_ref())
        .value()
}

fn uses_value(uses: &Use) -> Value {
    uses.sections
        .iter()
        .fold(Object::new(), |object, section| write_section(object, uses, *section))
        .value()
}

fn write_section(object: Object, uses: &Use, section: UseSection) -> Object {
    let Use {
        at: _,
        sections: _,
        authentications,
        errors,
        extensions,
        functions,
        retries,
        secrets,
        timeouts,
        catalogs,
    } = uses;
    match section {
        UseSection::Authentications => object.with(
            "authentications",
            map(authentications, |policy| policies::authentication(&policy.value)),
        ),
        UseSection::Errors => object.with("errors", map(errors, |error| policies::error(&error.value))),
        UseSection::Extensions => {
            let items = extensions
                .iter()
                .map(|(name, extension)| entry(name, extension_value(&extension.value)));
            object.with("extensions", Value::Array(items.collect()))
        }
        UseSection::Functions => object.with("functions", map(functions, crate::model::Task::to_value)),
        UseSection::Retries => object.with("retries", map(retries, |policy| policies::retry(&policy.value))),
        UseSection::Secrets => object.with(
            "secrets",
            Value::Array(secrets.iter().map(|secret| secret.value.clone().into()).collect()),
        ),
        UseSection::Timeouts => object.with("timeouts", map(timeouts, |timeout| policies::timeout(&timeout.value))),
        UseSection::Catalogs => {
            let catalog =
                |catalog: &At<crate::model::Catalog>| entry("endpoint", policies::endpoint(&catalog.value.endpoint));
            object.with("catalogs", map(catalogs, catalog))
        }
    }
}

fn extension_value(extension: &Extension) -> Value {
    let Extension {
        extend,
        when,
        before,
        after,
    } = extension;
    Object::new()
        .with("extend", extend.word())
        .maybe_text("when", when.as_ref())
        .maybe("before", before.as_ref().map(task::list))
        .maybe("after", after.as_ref().map(task::list))
        .value()
}

fn schedule_value(schedule: &Schedule) -> Value {
    let Schedule {
        at: _,
        every,
        cron,
        after,
        on,
        read,
    } = schedule;
    Object::new()
        .maybe("every", every.as_ref().map(policies::duration))
        .maybe_text("cron", cron.as_ref())
        .maybe("after", after.as_ref().map(policies::duration))
        .maybe("on", on.as_ref().map(|on| events::consumption(&on.value)))
        .maybe("read", read.as_ref().map(|read| events::read(read.value)))
        .value()
}

fn evaluate_value(evaluate: &Evaluate) -> Value {
    let Evaluate { language, mode } = evaluate;
    let mode = mode.as_ref().map(|mode| match mode.value {
        EvaluateMode::Strict => "strict".into(),
        EvaluateMode::Loose => "loose".into(),
    });
    Object::new()
        .maybe_text("language", language.as_ref())
        .maybe("mode", mode)
        .value()
}
