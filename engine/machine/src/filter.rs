//! Which events fit: filters as they are compiled, applied to an event.
//!
//! An event that a filter cannot be applied to (an expression that fails, a value of another kind) does not fit; it is no error of
//! the run, for anyone may send anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use potok_expr::{Evaluator, Expression, Scope};
use regex::Regex;
use serde_json::Value;

use crate::{
    cloudevent::extracted,
    effect::{Correlation, Pattern},
};

/// How events are consumed: one that fits one of the filters, or one for each of them.
#[derive(Debug)]
pub(crate) struct Strategy {
    pub(crate) all: bool,
    pub(crate) filters: Vec<Filter>,
}

/// Which events.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// What attributes must be; each must be there.
    pub(crate) attributes: Vec<(String, Match)>,
    pub(crate) correlations: Vec<Correlating>,
}

/// A correlation.
#[derive(Debug)]
pub(crate) struct Correlating {
    pub(crate) name: String,
    pub(crate) from: Expression,
    /// The number of the parameter that it must be equal to.
    pub(crate) expect: Option<usize>,
}

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Match {
    Equal(Value),
    /// Text that is equal, or that the pattern matches from end to end.
    Text {
        literal: String,
        pattern: Regex,
    },
    /// Equal to the parameter of that number.
    Parameter(usize),
    /// An object that has these members, and perhaps more.
    Object(Vec<(String, Match)>),
    /// An array of these items.
    Array(Vec<Match>),
    /// The expression, applied to the value, gives true or the value itself.
    Holds(Expression),
}

/// What filters see besides the event.
pub(crate) struct Facts<'a> {
    pub(crate) evaluator: &'a Evaluator,
    pub(crate) scope: &'a dyn Scope,
    /// What the listener's expressions gave when it began.
    pub(crate) parameters: &'a Value,
    /// The values of correlations that are known.
    pub(crate) known: &'a BTreeMap<String, Arc<Value>>,
}

impl Strategy {
    /// Whether so many filters are enough.
    pub(crate) fn is_over(&self, filled: &BTreeSet<u32>) -> bool {
        if self.all {
            filled.len() == self.filters.len()
        } else {
            !filled.is_empty()
        }
    }

    /// The filters that still wait for an event, with their numbers.
    fn open<'s>(&'s self, filled: &'s BTreeSet<u32>) -> impl Iterator<Item = (u32, &'s Filter)> {
        let numbered = (0u32..).zip(&self.filters);
        numbered.filter(|(number, _)| !self.all || !filled.contains(number))
    }

    /// The first open filter that an event fits.
    pub(crate) fn fitting(&self, filled: &BTreeSet<u32>, event: &Value, facts: &Facts<'_>) -> Option<u32> {
        self.open(filled)
            .find(|(_, filter)| filter.fits(event, facts))
            .map(|(number, _)| number)
    }

    /// What is known of the events that may fit.
    pub(crate) fn patterns(
        &self,
        filled: &BTreeSet<u32>,
        parameters: &Value,
        known: &BTreeMap<String, Arc<Value>>,
    ) -> Vec<Pattern> {
        self.open(filled)
            .map(|(_, filter)| filter.pattern(parameters, known))
            .collect()
    }
}

impl Filter {
    fn fits(&self, event: &Value, facts: &Facts<'_>) -> bool {
        let attribute = |name: &str| match name {
            "data" => event.get("data").or_else(|| event.get("data_base64")),
            name => event.get(name),
        };
        let attributes = self
            .attributes
            .iter()
            .all(|(name, wanted)| attribute(name).is_some_and(|value| wanted.fits(value, facts)));
        attributes
            && self
                .correlations
                .iter()
                .all(|correlation| correlation.fits(event, facts))
    }

    fn pattern(&self, parameters: &Value, known: &BTreeMap<String, Arc<Value>>) -> Pattern {
        let text = |name: &str| {
            let (_, wanted) = self.attributes.iter().find(|(known, _)| known == name)?;
            let value = match wanted {
                Match::Equal(value) => value,
                Match::Parameter(number) => parameters.get(number)?,
                _ => return None,
            };
            value.as_str().map(str::to_owned)
        };
        let correlations = self.correlations.iter().filter_map(|correlation| {
            Some(Correlation {
                from: correlation.from.text().to_owned(),
                value: correlation.expected(parameters, known)?.clone(),
            })
        });
        Pattern {
            kind: text("type"),
            source: text("source"),
            correlations: correlations.collect(),
        }
    }

    /// What an event says of correlations whose value is not known.
    pub(crate) fn learnt(&self, event: &Value, facts: &Facts<'_>) -> Vec<(String, Value)> {
        let unknown = self
            .correlations
            .iter()
            .filter(|correlation| !facts.known.contains_key(&correlation.name));
        unknown
            .filter_map(|correlation| {
                let value = extracted(&correlation.from, facts.evaluator, event)?;
                Some((correlation.name.clone(), value))
            })
            .collect()
    }
}

impl Correlating {
    fn expected<'v>(&self, parameters: &'v Value, known: &'v BTreeMap<String, Arc<Value>>) -> Option<&'v Value> {
        match self.expect {
            Some(number) => parameters.get(number),
            None => known.get(&self.name).map(AsRef::as_ref),
        }
    }

    fn fits(&self, event: &Value, facts: &Facts<'_>) -> bool {
        extracted(&self.from, facts.evaluator, event).is_some_and(|value| {
            self.expected(facts.parameters, facts.known)
                .is_none_or(|expected| equal(expected, &value))
        })
    }
}

impl Match {
    fn fits(&self, value: &Value, facts: &Facts<'_>) -> bool {
        match self {
            Self::Equal(wanted) => equal(wanted, value),
            Self::Text { literal, pattern } => value
                .as_str()
                .is_some_and(|text| text == literal || pattern.is_match(text)),
            Self::Parameter(number) => facts.parameters.get(number).is_some_and(|wanted| equal(wanted, value)),
            Self::Object(members) => members
                .iter()
                .all(|(name, wanted)| value.get(name).is_some_and(|value| wanted.fits(value, facts))),
            Self::Array(items) => value.as_array().is_some_and(|values| {
                values.len() == items.len()
                    && items
                        .iter()
                        .zip(values)
                        .all(|(wanted, value)| wanted.fits(value, facts))
            }),
            Self::Holds(expression) => match expression.eval(facts.evaluator, value, facts.scope) {
                Ok(Value::Bool(holds)) => holds,
                Ok(wanted) => equal(&wanted, value),
                Err(_) => false,
            },
        }
    }
}

/// Whether two values are equal; `5` and `5.0` are. Values are nested at most 128 deep, so recursion is bounded.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_equal_by_their_value() {
        assert!(equal(&json!({ "a": [1, 2.0] }), &json!({ "a": [1.0, 2] })));
        assert!(!equal(&json!({ "a": 1 }), &json!({ "a": 1, "b": 2 })));
        assert!(!equal(&json!(u64::MAX), &json!(u64::MAX - 1)));
        assert!(!equal(&json!("1"), &json!(1)));
    }
}
