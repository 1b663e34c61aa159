//! `call: http` and `call: openapi`: everything in the request that has to be evaluated.

use std::sync::Arc;

use indexmap::IndexMap;
use potok_dsl::Problem;
use potok_expr::{Template, secret};
use serde_json::{Map, Value, json};

use super::{
    Step, Taken,
    uri::{expand, scalar},
    values::{brief, wrong},
};
use crate::{
    definition::{Authentication, HttpTemplate, Kind, Node, OpenApiTemplate, Place},
    effect::{HttpRequest, OpenApiRequest, QueryValue},
};

impl Step<'_> {
    pub(super) fn http(&self, task: &Taken, template: &HttpTemplate) -> Result<HttpRequest, Problem> {
        let scope = self.scope(task, Place::Task);
        let method = self.text(&template.method, task, Place::Task, "with.method")?;
        let members = |pairs: &Option<Template>, what| match pairs {
            None => Ok(Value::Null),
            Some(pairs) => self.template(pairs, &task.input, &scope, what),
        };
        let body = match &template.body {
            None => None,
            Some(body) => Some(self.template(body, &task.input, &scope, "with.body")?),
        };
        let authentication = match &template.authentication {
            None => None,
            Some(policy) => Some(self.authentication(task, policy, "with.endpoint.authentication")?),
        };
        Ok(HttpRequest {
            method: method.ok_or_else(|| wrong("with.method must give text, not null".to_owned()))?,
            uri: self.uri(task, &template.uri, "with.endpoint")?,
            headers: strings(members(&template.headers, "with.headers")?, "with.headers")?,
            query: parameters(members(&template.query, "with.query")?, "with.query")?,
            body,
            output: template.output,
            redirect: template.redirect,
            authentication,
        })
    }

    /// An operation of an API with its parameters.
    pub(super) fn openapi(&self, task: &Taken, template: &OpenApiTemplate) -> Result<OpenApiRequest, Problem> {
        let what = "with.parameters";
        let parameters = match &template.parameters {
            None => Map::new(),
            Some(parameters) => object(
                self.template(parameters, &task.input, &self.scope(task, Place::Task), what)?,
                what,
            )?,
        };
        let authentication = match &template.authentication {
            None => None,
            Some(policy) => Some(self.authentication(task, policy, "with.authentication")?),
        };
        Ok(OpenApiRequest {
            document: template.document.clone(),
            operation_id: template.operation_id.clone(),
            operation: Arc::clone(&template.operation),
            parameters,
            output: template.output,
            redirect: template.redirect,
            authentication,
        })
    }

    /// `$authorization` of a task: what its call will say of itself, where that is known before the call is made. Secrets in it stay
    /// placeholders.
    pub(super) fn authorization(&self, task: &Taken, node: &Node) -> Result<Option<Arc<Value>>, Problem> {
        let policy = match &node.kind {
            Kind::Call(call) => call.authentication(),
            _ => None,
        };
        let Some((policy, what)) = policy else { return Ok(None) };
        let Some((scheme, members)) = policy.known() else {
            return Ok(None);
        };
        let properties = self.authentication(task, policy, what)?;
        let text = |member: &&str| match policy.field(member) {
            Some(field) => Some(field.placeholder()),
            None => properties[policy.scheme][*member].as_str().map(str::to_owned),
        };
        // What is no text is refused when the call is made.
        let parameter = members.iter().map(text).collect::<Option<Vec<String>>>();
        Ok(parameter.map(|texts| {
            let parameter = match texts.as_slice() {
                [username, password] => secret::base64(&format!("{username}:{password}")),
                texts => texts.concat(),
            };
            Arc::new(json!({ "scheme": scheme, "parameter": parameter }))
        }))
    }

    /// An authentication policy with its scheme as the only member.
    pub(super) fn authentication(&self, task: &Taken, policy: &Authentication, what: &str) -> Result<Value, Problem> {
        let scope = self.scope(task, Place::Task);
        let mut properties = self.template(&policy.properties, &task.input, &scope, what)?;
        for (place, template) in &policy.uris {
            if let Some(uri) = properties.pointer_mut(place) {
                *uri = Value::String(expand(template, &task.input, &format!("{what}{place}"))?);
            }
        }
        Ok(json!({ policy.scheme: properties }))
    }
}

/// The parameters of a query; those that are null are left out, a list stands for one after the other.
fn parameters(value: Value, what: &str) -> Result<IndexMap<String, QueryValue>, Problem> {
    let mut parameters = IndexMap::new();
    for (name, value) in object(value, what)? {
        let value = match value {
            Value::Null => continue,
            Value::Array(items) => {
                let texts = items
                    .iter()
                    .map(|item| text(item, &name, what))
                    .collect::<Result<_, _>>()?;
                QueryValue::Many(texts)
            }
            value => QueryValue::One(text(&value, &name, what)?),
        };
        parameters.insert(name, value);
    }
    Ok(parameters)
}

/// An object of strings; members that are null are left out.
pub(super) fn strings(value: Value, what: &str) -> Result<IndexMap<String, String>, Problem> {
    let members = object(value, what)?.into_iter().filter(|(_, value)| !value.is_null());
    members
        .map(|(name, value)| Ok((name.clone(), text(&value, &name, what)?)))
        .collect()
}

fn object(value: Value, what: &str) -> Result<Map<String, Value>, Problem> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => Err(wrong(format!("{what} must give an object, not {}", brief(&other)))),
    }
}

fn text(value: &Value, name: &str, what: &str) -> Result<String, Problem> {
    scalar(value).ok_or_else(|| wrong(format!("{what}.{name} must be text or a number, not {}", brief(value))))
}
