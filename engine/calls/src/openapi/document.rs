//! Finding an operation in a document.

use reqwest::Url;
use serde_json::Value;

use super::style::{Spot, Style};
use super::{Body, Operation, Parameter, listed};
use crate::content::Kind;

/// How many references may follow one another.
const HOPS: usize = 16;

/// The most parameters of an operation.
const PARAMETERS: usize = 1_000;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Header parameters of these names are not parameters (OpenAPI 3.1, "Parameter Object").
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// A document that an operation cannot be called by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenApiError {
    /// It is of another version, or asks for what is not supported.
    #[error("not supported yet: {0}")]
    Unsupported(String),
    /// It is no OpenAPI document, or not a sound one.
    #[error("{0}")]
    Unsound(String),
    /// It has no such operation.
    #[error("the document has no operation '{id}'{known}")]
    Missing {
        /// What was looked for.
        id: String,
        /// What there is.
        known: String,
    },
}

impl Operation {
    /// Finds an operation by its id. `at` is where the document was, which its servers may be relative to.
    ///
    /// # Errors
    /// [`OpenApiError`].
    pub fn find(document: &Value, at: Option<&Url>, id: &str) -> Result<Self, OpenApiError> {
        version(document)?;
        let reader = Reader { document };
        let mut found = Vec::new();
        let mut known = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let item = reader.resolve(item)?;
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                match operation["operationId"].as_str() {
                    Some(name) if name == id => found.push((path, method, item, operation)),
                    Some(name) => known.push(name),
                    None => {}
                }
            }
        }
        match found[..] {
            [(path, method, item, operation)] => reader.operation(path, method, item, operation, at),
            [] if known.is_empty() => Err(missing(id, ", nor any other")),
            [] => Err(missing(id, &format!("; it has {}", listed(&known)))),
            _ => Err(unsound(format!("the document has several operations '{id}'"))),
        }
    }
}

fn missing(id: &str, known: &str) -> OpenApiError {
    OpenApiError::Missing {
        id: id.to_owned(),
        known: known.to_owned(),
    }
}

fn unsound(what: String) -> OpenApiError {
    OpenApiError::Unsound(what)
}

fn version(document: &Value) -> Result<(), OpenApiError> {
    if let Some(version) = document["swagger"].as_str() {
        return Err(OpenApiError::Unsupported(format!(
            "OpenAPI {version} documents; 3.0 and 3.1 are read"
        )));
    }
    match document["openapi"].as_str() {
        Some(version) if version.starts_with("3.0.") || version.starts_with("3.1.") => Ok(()),
        Some(version) => Err(OpenApiError::Unsupported(format!(
            "OpenAPI {version} documents; 3.0 and 3.1 are read"
        ))),
        None => Err(unsound(
            "this is no OpenAPI document: it has no 'openapi' with a version".to_owned(),
        )),
    }
}

struct Reader<'d> {
    document: &'d Value,
}

impl<'d> Reader<'d> {
    /// What a reference, or a chain of them, leads to.
    fn resolve(&self, value: &'d Value) -> Result<&'d Value, OpenApiError> {
        let mut value = value;
        for _ in 0..HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            let Some(pointer) = reference.strip_prefix('#') else {
                return Err(OpenApiError::Unsupported(format!(
                    "a reference to another document, {reference}"
                )));
            };
            let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
            value = self
                .document
                .pointer(&pointer)
                .ok_or_else(|| unsound(format!("the reference {reference} leads nowhere")))?;
        }
        Err(unsound("a reference leads round in a circle".to_owned()))
    }

    fn operation(
        &self,
        path: &str,
        method: &str,
        item: &'d Value,
        operation: &'d Value,
        at: Option<&Url>,
    ) -> Result<Operation, OpenApiError> {
        let mut parameters: Vec<Parameter> = Vec::new();
        // Those of the operation go before those of its path; what stands for an API's key is one as well.
        for list in [&operation["parameters"], &item["parameters"]] {
            for value in list.as_array().into_iter().flatten() {
                let parameter = self.parameter(self.resolve(value)?)?;
                add(&mut parameters, parameter)?;
            }
        }
        for key in self.keys(operation)? {
            add(&mut parameters, Some(key))?;
        }
        Ok(Operation {
            method: method.to_owned(),
            server: self.server(item, operation, at)?,
            path: path.to_owned(),
            parameters,
            body: match operation.get("requestBody") {
                Some(body) => self.body(self.resolve(body)?)?,
                None => None,
            },
            accept: self.accept(operation)?,
        })
    }

    fn parameter(&self, value: &'d Value) -> Result<Option<Parameter>, OpenApiError> {
        let (Some(name), Some(spot)) = (value["name"].as_str(), value["in"].as_str()) else {
            return Err(unsound(
                "a parameter of the operation has no 'name' or no 'in'".to_owned(),
            ));
        };
        let spot = spot_of(spot).ok_or_else(|| unsound(format!("the parameter '{name}' is in '{spot}'")))?;
        if spot == Spot::Header && NOT_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(None);
        }
        let flag = |member: &str| value[member].as_bool();
        let default = match spot {
            Spot::Path | Spot::Header => "simple",
            Spot::Query | Spot::Cookie => "form",
        };
        let written = value["style"].as_str().unwrap_or(default);
        let style = Style::of(written, spot).ok_or_else(|| {
            unsound(format!(
                "the parameter '{name}' cannot have the style '{written}' where it is"
            ))
        })?;
        let json = match value["content"].as_object().and_then(|content| content.keys().next()) {
            None => false,
            Some(kind) if Kind::of(Some(kind)) == Kind::Json => true,
            Some(kind) => {
                return Err(OpenApiError::Unsupported(format!(
                    "the parameter '{name}' written as {kind}"
                )));
            }
        };
        Ok(Some(Parameter {
            name: name.to_owned(),
            spot,
            style,
            explode: flag("explode").unwrap_or(style == Style::Form),
            required: spot == Spot::Path || flag("required").unwrap_or(false),
            reserved: spot == Spot::Query && flag("allowReserved").unwrap_or(false),
            json,
        }))
    }

    /// The keys by which the API may be told who asks: parameters that can be given, and need not be.
    fn keys(&self, operation: &'d Value) -> Result<Vec<Parameter>, OpenApiError> {
        let security = operation.get("security").unwrap_or(&self.document["security"]);
        let mut keys = Vec::new();
        for name in security
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flat_map(|one| one.keys())
        {
            let scheme = self.resolve(&self.document["components"]["securitySchemes"][name])?;
            let (Some("apiKey"), Some(name), Some(spot)) = (
                scheme["type"].as_str(),
                scheme["name"].as_str(),
                scheme["in"].as_str().and_then(spot_of),
            ) else {
                continue;
            };
            keys.push(Parameter {
                name: name.to_owned(),
                spot,
                style: if spot == Spot::Header {
                    Style::Simple
                } else {
                    Style::Form
                },
                explode: false,
                required: false,
                reserved: false,
                json: false,
            });
        }
        Ok(keys)
    }

    fn body(&self, value: &'d Value) -> Result<Option<Body>, OpenApiError> {
        let rank = |kind: &str| match Kind::of(Some(kind)) {
            Kind::Json => Some(0),
            Kind::Form => Some(1),
            Kind::Text => Some(2),
            Kind::Unsaid | Kind::Binary if kind.starts_with("multipart/") => None,
            Kind::Unsaid | Kind::Binary => Some(3),
        };
        let Some(content) = value["content"].as_object().filter(|content| !content.is_empty()) else {
            return Ok(None);
        };
        let best = content
            .iter()
            .filter_map(|(kind, media)| Some((rank(kind)?, kind, media)))
            .min_by_key(|best| best.0);
        let Some((_, kind, media)) = best else {
            return Err(OpenApiError::Unsupported(
                "bodies of several parts (multipart)".to_owned(),
            ));
        };
        let schema = match media.get("schema") {
            Some(schema) => self.resolve(schema)?,
            None => &Value::Null,
        };
        Ok(Some(Body {
            content_type: if kind.contains('*') {
                "application/json".to_owned()
            } else {
                kind.clone()
            },
            required: value["required"].as_bool().unwrap_or(false),
            members: members(schema),
        }))
    }

    fn accept(&self, operation: &'d Value) -> Result<Option<String>, OpenApiError> {
        let mut kinds: Vec<&str> = Vec::new();
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            if !status.starts_with('2') {
                continue;
            }
            let response = self.resolve(response)?;
            for kind in response["content"]
                .as_object()
                .into_iter()
                .flat_map(|content| content.keys())
            {
                if kinds.len() < 8 && !kinds.contains(&kind.as_str()) && kind.bytes().all(|b| (b' '..0x7f).contains(&b))
                {
                    kinds.push(kind);
                }
            }
        }
        // What can be deserialised is preferred.
        kinds.sort_by_key(|kind| Kind::of(Some(kind)) != Kind::Json);
        Ok(Some(kinds.join(", ")).filter(|accept| !accept.is_empty()))
    }

    /// The first server, with the defaults of its variables.
    fn server(&self, item: &'d Value, operation: &'d Value, at: Option<&Url>) -> Result<String, OpenApiError> {
        let lists = [&operation["servers"], &item["servers"], &self.document["servers"]];
        let server = lists.into_iter().find_map(|list| list.as_array()?.first());
        let mut url = match server {
            Some(server) => server["url"].as_str().unwrap_or("/").to_owned(),
            None => "/".to_owned(),
        };
        let variables = server.and_then(|server| server["variables"].as_object());
        for (name, variable) in variables.into_iter().flatten() {
            let Some(default) = variable["default"].as_str() else {
                return Err(unsound(format!("the variable '{name}' of the server has no default")));
            };
            url = url.replace(&format!("{{{name}}}"), default);
        }
        let parsed = match (Url::parse(&url), at) {
            (Ok(url), _) => Ok(url),
            (Err(_), Some(at)) => at.join(&url),
            (Err(_), None) => {
                return Err(unsound(format!(
                    "the server '{url}' is relative to a document that has no address"
                )));
            }
        };
        let sound = parsed
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        match sound {
            Some(url) => Ok(url
                .as_str()
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned()),
            None => Err(unsound(format!("the server '{url}' is no http or https URI"))),
        }
    }
}

fn spot_of(name: &str) -> Option<Spot> {
    Some(match name {
        "path" => Spot::Path,
        "query" => Spot::Query,
        "header" => Spot::Header,
        "cookie" => Spot::Cookie,
        _ => return None,
    })
}

fn add(parameters: &mut Vec<Parameter>, parameter: Option<Parameter>) -> Result<(), OpenApiError> {
    let Some(parameter) = parameter else { return Ok(()) };
    if parameters
        .iter()
        .any(|known| known.name == parameter.name && known.spot == parameter.spot)
    {
        return Ok(());
    }
    if parameters.len() == PARAMETERS {
        return Err(unsound(format!("the operation has more than {PARAMETERS} parameters")));
    }
    parameters.push(parameter);
    Ok(())
}

/// The members of an object whose schema names them all.
fn members(schema: &Value) -> Option<Vec<String>> {
    let open = ["allOf", "anyOf", "oneOf", "patternProperties"]
        .iter()
        .any(|key| schema.get(key).is_some());
    let more = !matches!(schema.get("additionalProperties"), None | Some(Value::Bool(false)));
    let properties = schema["properties"].as_object().filter(|_| !open && !more)?;
    Some(properties.keys().cloned().collect())
}
