//! `call: openapi`: an operation taken out of a document, and the HTTP request that parameters make of it.
//!
//! [`Operation::find`] works when a workflow is deployed; what it gives is small and plain, and is kept with the definition. A call needs
//! neither the document nor the network it came from.
//!
//! OpenAPI 3.0, 3.1 and 3.2 are read. A document may go on in others ([`OpenApiError::Elsewhere`]), which whoever asks has to fetch.

mod document;
mod style;

use indexmap::IndexMap;
use potok_dsl::{ErrorType, Problem, model::HttpOutput};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use document::{Documents, OpenApiError};
use style::{Spot, Style};

use crate::{HttpRequest, parts};

/// The name of the parameter that is the request's body, where the operation has no other of that name.
const BODY: &str = "body";

/// An operation of an API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    method: String,
    /// Where the API is, without a slash at the end.
    server: String,
    /// The path, with parameters in braces.
    path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
    /// The types of the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accept: Option<String>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    spot: Spot,
    style: Style,
    explode: bool,
    required: bool,
    /// Whether reserved characters stay as they are.
    reserved: bool,
    /// Whether the value is written as JSON.
    json: bool,
}

/// The body of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    content_type: String,
    required: bool,
    /// The members that its schema names; `None` when there may be others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Vec<String>>,
    /// The members that are bytes, which a call gives as base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
}

/// How a call wants to be made, besides its parameters.
#[derive(Debug, Clone)]
pub struct Manner {
    /// What the output is.
    pub output: HttpOutput,
    /// Whether redirections are followed.
    pub redirect: bool,
    /// As in [`HttpRequest::authentication`].
    pub authentication: Option<Value>,
}

impl Operation {
    /// Checks the names of the parameters that a call gives: whether the operation takes them, and whether those that it needs are there.
    ///
    /// # Errors
    /// A message for people.
    pub fn check<'n>(&self, given: impl Iterator<Item = &'n str>) -> Result<(), String> {
        let given: Vec<&str> = given.collect();
        let missing = self
            .parameters
            .iter()
            .find(|p| p.required && !given.contains(&p.name.as_str()));
        if let Some(missing) = missing {
            return Err(format!(
                "the operation needs the parameter '{}' ({})",
                missing.name, missing.spot
            ));
        }
        let rest: Vec<&str> = given.into_iter().filter(|name| !self.has(name)).collect();
        let Some(body) = &self.body else {
            return match rest.first() {
                Some(name) => Err(self.unknown(name)),
                None => Ok(()),
            };
        };
        if rest.is_empty() {
            return match body.required {
                true => Err(format!(
                    "the operation needs a body: give it as '{BODY}', or its members"
                )),
                false => Ok(()),
            };
        }
        if let [BODY] = rest[..] {
            return Ok(());
        }
        match rest
            .iter()
            .find(|name| **name == BODY || body.members.as_ref().is_some_and(|m| m.iter().all(|m| m != *name)))
        {
            Some(&BODY) => Err(format!("the body is given as '{BODY}', and members of it besides")),
            Some(name) => Err(self.unknown(name)),
            None => Ok(()),
        }
    }

    /// The request that these parameters make.
    ///
    /// # Errors
    /// A `validation` problem, which names the parameter that has no value it can have.
    pub fn request(&self, parameters: &Map<String, Value>, manner: Manner) -> Result<HttpRequest, Problem> {
        let mut path = self.path.clone();
        let mut query = Vec::new();
        let mut cookies = Vec::new();
        let mut headers = IndexMap::new();
        for parameter in &self.parameters {
            let value = parameters.get(&parameter.name).unwrap_or(&Value::Null);
            let written = parameter.write(value)?;
            let Some(written) = written else { continue };
            match parameter.spot {
                Spot::Path => path = path.replace(&format!("{{{}}}", parameter.name), &written),
                Spot::Query => query.push(written),
                Spot::Cookie => cookies.push(written.replace('&', "; ")),
                Spot::Header => drop(headers.insert(parameter.name.clone(), written)),
            }
        }
        if !cookies.is_empty() {
            headers.insert("cookie".to_owned(), cookies.join("; "));
        }
        if let Some(accept) = &self.accept {
            headers.insert("accept".to_owned(), accept.clone());
        }
        let body = self.body(parameters)?;
        if let (Some(shape), Some(_)) = (&self.body, &body) {
            headers.insert("content-type".to_owned(), shape.content_type.clone());
        }
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        Ok(HttpRequest {
            method: self.method.clone(),
            uri: format!("{}{path}{query}", self.server),
            headers,
            query: Vec::new(),
            body,
            output: manner.output,
            redirect: manner.redirect,
            authentication: manner.authentication,
        })
    }

    /// What no parameter takes is the body: the whole of it, or its members.
    fn body(&self, parameters: &Map<String, Value>) -> Result<Option<Value>, Problem> {
        let Some(body) = &self.body else { return Ok(None) };
        let mut rest: Map<String, Value> = parameters.clone();
        rest.retain(|name, _| !self.has(name));
        let value = match rest.len() {
            0 => None,
            1 if rest.contains_key(BODY) => rest.remove(BODY).filter(|value| !value.is_null() || body.required),
            _ => Some(Value::Object(rest)),
        };
        if value.is_none() && body.required {
            return Err(unfit("the operation needs a body".to_owned()));
        }
        Ok(value.map(|value| parts::with_files(value, &body.files)))
    }

    fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }

    fn unknown(&self, name: &str) -> String {
        let members = self.body.iter().flat_map(|body| body.members.iter().flatten());
        let known: Vec<&str> = self
            .parameters
            .iter()
            .map(|p| &p.name)
            .chain(members)
            .map(String::as_str)
            .collect();
        if known.is_empty() {
            return format!("the operation has no parameter '{name}', nor any other");
        }
        format!("the operation has no parameter '{name}'; it has {}", listed(&known))
    }
}

impl Parameter {
    /// The parameter with a value, as it is written in its place; `None` where nothing is to be written.
    fn write(&self, value: &Value) -> Result<Option<String>, Problem> {
        if value.is_null() {
            return match self.required {
                true => Err(unfit(format!("the parameter '{}' is needed, and is null", self.name))),
                false => Ok(None),
            };
        }
        let written = match self.json {
            true => style::write(self, &Value::String(value.to_string())),
            false => style::write(self, value),
        };
        written.map_err(|why| unfit(format!("the parameter '{}' {why}", self.name)))
    }
}

/// Some names, for people.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("'{name}'")).collect();
    if names.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

fn unfit(detail: String) -> Problem {
    Problem::new(ErrorType::Validation, "Parameters do not fit", detail)
}
