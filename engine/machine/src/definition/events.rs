//! `emit` and `listen`, compiled.

use potok_dsl::model::{self, Consumption, EventFilter, EventRead, Json, Location};
use potok_expr::{Expression, Template, is_expression};
use regex::RegexBuilder;
use serde_json::Value;

use super::{
    Kind, ListId, Shaping, TextTemplate, Uri,
    compile::Compiler,
    variables::{Place, Variables},
};
use crate::filter::{Correlating, Filter, Match, Strategy};

/// The largest automaton that a regular expression may become, in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// What makes of text a regular expression. A dot is not among it: types of events are full of dots.
const METACHARACTERS: &[char] = &['\\', '^', '$', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|'];

/// `emit`.
#[derive(Debug)]
pub(crate) struct Emit {
    pub(crate) source: Option<Uri>,
    pub(crate) dataschema: Option<Uri>,
    /// The other attributes, an object.
    pub(crate) rest: Template,
}

/// `listen`.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) to: Strategy,
    pub(crate) until: Option<Until>,
    pub(crate) read: EventRead,
    pub(crate) parameters: Parameters,
    pub(crate) foreach: Option<Foreach>,
}

/// What filters compare with, evaluated when listening begins, and where it stands.
pub(crate) type Parameters = Vec<(TextTemplate, String)>;

/// When to stop listening.
#[derive(Debug)]
pub(crate) enum Until {
    Holds(Expression),
    Events(Strategy),
}

/// `foreach`.
#[derive(Debug)]
pub(crate) struct Foreach {
    pub(crate) item: String,
    pub(crate) index: String,
    pub(crate) list: Option<ListId>,
    pub(crate) output: Shaping,
    pub(crate) export: Shaping,
}

impl Listen {
    /// What it consumes, or what ends it.
    pub(crate) fn strategy(&self, until: bool) -> Option<&Strategy> {
        match (&self.until, until) {
            (_, false) => Some(&self.to),
            (Some(Until::Events(strategy)), true) => Some(strategy),
            _ => None,
        }
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn emit(&mut self, emit: &'a model::Emit, at: Location, scope: &Variables) -> Option<Kind> {
        let uri = |compiler: &mut Self, name: &str| match emit.with.get(name) {
            None => Some(None),
            Some(json) => {
                let text = model::At {
                    value: json.value.as_str().unwrap_or_default().to_owned(),
                    at: json.at,
                };
                compiler.uri(&text, Place::Task, scope).map(Some)
            }
        };
        let (source, dataschema) = (uri(self, "source"), uri(self, "dataschema"));
        let rest = emit
            .with
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "source" | "dataschema"));
        let rest = Json {
            value: rest.map(|(name, json)| (name.clone(), json.value.clone())).collect(),
            at: emit.with.first().map_or(at, |(_, json)| json.at),
        };
        let rest = self.template(&rest, Place::Task, scope)?;
        Some(Kind::Emit(Box::new(Emit {
            source: source?,
            dataschema: dataschema?,
            rest,
        })))
    }

    pub(super) fn listen(&mut self, listen: &'a model::Listen, reference: &str, scope: &Variables) -> Option<Kind> {
        let mut parameters = Vec::new();
        let to = self.strategy(&listen.to.value, &mut parameters, scope);
        let until = match &listen.to.value {
            Consumption::Any { until: Some(until), .. } => match until {
                model::Until::Condition(text) => Some(self.expression(text, Place::Task, scope).map(Until::Holds)),
                model::Until::Events(events) => {
                    Some(self.strategy(&events.value, &mut parameters, scope).map(Until::Events))
                }
            },
            _ => None,
        };
        let foreach = listen
            .foreach
            .as_ref()
            .map(|foreach| self.foreach(foreach, reference, scope));
        Some(Kind::Listen(Box::new(Listen {
            to: to?,
            until: match until {
                Some(until) => Some(until?),
                None => None,
            },
            read: listen.read.as_ref().map(|read| read.value).unwrap_or_default(),
            parameters,
            foreach,
        })))
    }

    fn foreach(&mut self, foreach: &'a model::Foreach, reference: &str, scope: &Variables) -> Foreach {
        let item = self.variable(foreach.item.as_ref(), "item");
        let index = self.variable(foreach.index.as_ref(), "index");
        let inside = scope.with(vec![item.clone(), index.clone()]);
        let list = foreach
            .tasks
            .as_ref()
            .map(|tasks| self.list("/foreach/do", tasks, format!("{reference}/foreach/do"), &inside));
        let output = foreach
            .output
            .as_ref()
            .map(|output| self.shaping(output.shape.as_ref(), output.schema.as_ref(), Place::OutputAs, &inside));
        let export = foreach
            .export
            .as_ref()
            .map(|export| self.shaping(export.shape.as_ref(), export.schema.as_ref(), Place::ExportAs, &inside));
        Foreach {
            item,
            index,
            list,
            output: output.unwrap_or_default(),
            export: export.unwrap_or_default(),
        }
    }

    /// A way of consuming events, without its `until`.
    fn strategy(
        &mut self,
        consumption: &'a Consumption,
        parameters: &mut Parameters,
        scope: &Variables,
    ) -> Option<Strategy> {
        let filters = consumption.filters().iter();
        let filters: Vec<_> = filters
            .map(|filter| self.filter(&filter.value, parameters, scope))
            .collect();
        let mut filters = filters.into_iter().collect::<Option<Vec<_>>>()?;
        let all = matches!(consumption, Consumption::All(_));
        if !all && filters.is_empty() {
            // `any: []` is every event.
            filters.push(Filter::default());
        }
        Some(Strategy { all, filters })
    }

    fn filter(&mut self, filter: &'a EventFilter, parameters: &mut Parameters, scope: &Variables) -> Option<Filter> {
        let mut attributes = Vec::with_capacity(filter.with.len());
        for (name, json) in &filter.with {
            let wanted = match (&json.value, name.as_str()) {
                (Value::String(text), "data") if is_expression(text) => {
                    let text = model::At {
                        value: text.clone(),
                        at: json.at,
                    };
                    self.expression(&text, Place::Task, scope).map(Match::Holds)
                }
                (value, _) => self.matching(value, json.at, name, parameters, scope),
            };
            attributes.push((name.clone(), wanted?));
        }
        let mut correlations = Vec::new();
        for (name, correlate) in filter.correlate.iter().flatten() {
            let from = self.expression(&correlate.from, Place::Task, scope)?;
            if let Some(variable) = from.variables().first() {
                self.complain_with(
                    correlate.from.at,
                    format!("${variable} cannot be used in 'from': it sees the event alone"),
                    "compare with 'expect', which sees all variables",
                );
            }
            let expect = match &correlate.expect {
                None => None,
                Some(text) => {
                    parameters.push((self.text(text, Place::Task, scope)?, format!("correlate.{name}.expect")));
                    Some(parameters.len() - 1)
                }
            };
            correlations.push(Correlating {
                name: name.clone(),
                from,
                expect,
            });
        }
        Some(Filter {
            attributes,
            correlations,
        })
    }

    /// What a value must be. Values are nested at most 128 deep, so recursion is bounded.
    fn matching(
        &mut self,
        value: &Value,
        at: Location,
        name: &str,
        parameters: &mut Parameters,
        scope: &Variables,
    ) -> Option<Match> {
        Some(match value {
            Value::String(text) if is_expression(text) => {
                let text = model::At {
                    value: text.clone(),
                    at,
                };
                parameters.push((self.text(&text, Place::Task, scope)?, format!("with.{name}")));
                Match::Parameter(parameters.len() - 1)
            }
            Value::String(text) if text.contains(METACHARACTERS) => {
                let pattern = RegexBuilder::new(&format!("^(?:{text})$"))
                    .size_limit(REGEX_SIZE)
                    .build();
                match pattern {
                    Ok(pattern) => Match::Text {
                        literal: text.clone(),
                        pattern,
                    },
                    Err(error) => {
                        let why = error.to_string();
                        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        self.complain_with(
                            at,
                            format!("'{name}' is not a regular expression: {why}"),
                            "write \\ before a character that means itself",
                        );
                        return None;
                    }
                }
            }
            Value::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| self.matching(item, at, name, parameters, scope));
                Match::Array(items.collect::<Option<_>>()?)
            }
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| Some((key.clone(), self.matching(value, at, name, parameters, scope)?)));
                Match::Object(members.collect::<Option<_>>()?)
            }
            other => Match::Equal(other.clone()),
        })
    }
}
