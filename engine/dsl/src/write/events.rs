//! Events: what is emitted, and what is waited for.

use serde_json::Value;

use super::{Object, entry, map, policies, task::list};
use crate::model::{Attributes, Consumption, Correlate, Emit, EventFilter, EventRead, Foreach, Listen, Until};

pub(super) fn emit(emit: &Emit) -> Value {
    entry("event", entry("with", attributes(&emit.with)))
}

pub(super) fn listen(object: Object, listen: &Listen) -> Object {
    let Listen { to, read, foreach } = listen;
    let head = Object::new()
        .with("to", consumption(&to.value))
        .maybe("read", read.as_ref().map(|read| self::read(read.value)));
    object
        .with("listen", head.value())
        .maybe("foreach", foreach.as_ref().map(self::foreach))
}

fn foreach(foreach: &Foreach) -> Value {
    let Foreach {
        at: _,
        item,
        index,
        tasks,
        output,
        export,
    } = foreach;
    Object::new()
        .maybe_text("item", item.as_ref())
        .maybe_text("at", index.as_ref())
        .maybe("do", tasks.as_ref().map(list))
        .maybe("output", output.as_ref().map(policies::output))
        .maybe("export", export.as_ref().map(policies::export))
        .value()
}

pub(super) fn read(read: EventRead) -> Value {
    match read {
        EventRead::Data => "data",
        EventRead::Envelope => "envelope",
        EventRead::Raw => "raw",
    }
    .into()
}

pub(super) fn consumption(consumption: &Consumption) -> Value {
    match consumption {
        Consumption::All(filters) => entry(
            "all",
            filters.iter().map(|filter| self::filter(&filter.value)).collect(),
        ),
        Consumption::Any { filters, until } => Object::new()
            .with(
                "any",
                filters
                    .iter()
                    .map(|filter| self::filter(&filter.value))
                    .collect::<Value>(),
            )
            .maybe("until", until.as_ref().map(self::until))
            .value(),
        Consumption::One(filter) => entry("one", self::filter(&filter.value)),
    }
}

fn until(until: &Until) -> Value {
    match until {
        Until::Condition(text) => text.value.clone().into(),
        Until::Events(events) => consumption(&events.value),
    }
}

fn filter(filter: &EventFilter) -> Value {
    let EventFilter { with, correlate } = filter;
    Object::new()
        .with("with", attributes(with))
        .maybe(
            "correlate",
            correlate.as_ref().map(|correlate| map(correlate, correlation)),
        )
        .value()
}

fn correlation(correlation: &Correlate) -> Value {
    let Correlate { at: _, from, expect } = correlation;
    Object::new()
        .text("from", from)
        .maybe_text("expect", expect.as_ref())
        .value()
}

fn attributes(attributes: &Attributes) -> Value {
    map(attributes, |value| value.value.clone())
}
