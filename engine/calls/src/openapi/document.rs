//! Finding an operation in a document.

use std::collections::BTreeMap;

use reqwest::Url;
use serde_json::Value;

use super::style::{Spot, Style};
use super::{Body, Operation, Parameter, listed};
use crate::content::Kind;

/// How many references may follow one another.
const HOPS: usize = 16;

/// The most parameters of an operation.
const PARAMETERS: usize = 1_000;

const METHODS: [&str; 9] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace", "query",
];

/// The versions that are read, as people say them.
const READ: &str = "3.0, 3.1 and 3.2 are read";

/// Header parameters of these names are not parameters (OpenAPI 3.1, "Parameter Object").
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// A document that an operation cannot be called by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenApiError {
    /// It is of another version, or asks for what is not supported.
    #[error("not supported yet: {0}")]
    Unsupported(String),
    /// It goes on in another document, at this place, which is needed too.
    #[error("{0} is needed too")]
    Elsewhere(Url),
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

/// A document, and what it refers to.
#[derive(Debug)]
pub struct Documents {
    document: Value,
    at: Url,
    others: BTreeMap<Url, Value>,
}

impl Documents {
    /// A document that was found at a place; that of a file is a `file:` URI.
    #[must_use]
    pub fn new(mut document: Value, at: Url) -> Self {
        absolute(&mut document, &at, false);
        Self {
            document,
            at,
            others: BTreeMap::new(),
        }
    }

    /// Adds a document that was found at the place that [`OpenApiError::Elsewhere`] named.
    pub fn add(&mut self, place: Url, mut document: Value) {
        absolute(&mut document, &place, true);
        self.others.insert(place, document);
    }

    /// What a reference names.
    fn find(&self, reference: &str) -> Result<&Value, OpenApiError> {
        let (place, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let document = match place {
            "" => &self.document,
            place => {
                let place = Url::parse(place).map_err(|_| unsound(format!("the reference {reference} is no URI")))?;
                if place == self.at {
                    &self.document
                } else {
                    self.others.get(&place).ok_or(OpenApiError::Elsewhere(place))?
                }
            }
        };
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
        let found = document.pointer(&pointer);
        found.ok_or_else(|| unsound(format!("the reference {reference} leads nowhere")))
    }
}

/// Writes references in full: those into other documents, and on demand those within the same one.
fn absolute(document: &mut Value, base: &Url, own: bool) {
    let mut values = vec![document];
    while let Some(value) = values.pop() {
        match value {
            Value::Array(items) => values.extend(items),
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get_mut("$ref")
                    && (own || !reference.starts_with('#'))
                    && let Ok(whole) = base.join(reference)
                {
                    *reference = whole.into();
                }
                values.extend(members.values_mut());
            }
            _ => {}
        }
    }
}

impl Operation {
    /// Finds an operation by its id.
    ///
    /// # Errors
    /// [`OpenApiError`].
    pub fn find(documents: &Documents, id: &str) -> Result<Self, OpenApiError> {
        let document = &documents.document;
        version(document)?;
        let reader = Reader { documents, document };
        let mut found = Vec::new();
        let mut known = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let item = reader.resolve(item)?;
            let named = METHODS.iter().filter_map(|method| Some((*method, item.get(method)?)));
            let others = item["additionalOperations"].as_object().into_iter().flatten();
            for (method, operation) in named.chain(others.map(|(method, operation)| (method.as_str(), operation))) {
                match operation["operationId"].as_str() {
                    Some(name) if name == id => found.push((path, method, item, operation)),
                    Some(name) => known.push(name),
                    None => {}
                }
            }
        }
        match found[..] {
            [(path, method, item, operation)] => reader.operation(path, method, item, operation),
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
            "OpenAPI {version} documents; {READ}"
        )));
    }
    match document["openapi"].as_str() {
        Some(version) if ["3.0.", "3.1.", "3.2."].iter().any(|read| version.starts_with(read)) => Ok(()),
        Some(version) => Err(OpenApiError::Unsupported(format!(
            "OpenAPI {version} documents; {READ}"
        ))),
        None => Err(unsound(
            "this is no OpenAPI document: it has no 'openapi' with a version".to_owned(),
        )),
    }
}

struct Reader<'d> {
    documents: &'d Documents,
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
            value = self.documents.find(reference)?;
        }
        Err(unsound("a reference leads round in a circle".to_owned()))
    }

    fn operation(
        &self,
        path: &str,
        method: &str,
        item: &'d Value,
        operation: &'d Value,
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
            server: self.server(item, operation)?,
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
        let spot = match (spot, spot_of(spot)) {
            (_, Some(spot)) => spot,
            ("querystring", None) => {
                let what = format!("the parameter '{name}', which is the whole query");
                return Err(OpenApiError::Unsupported(what));
            }
            (spot, None) => return Err(unsound(format!("the parameter '{name}' is in '{spot}'"))),
        };
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
            Kind::Parts => Some(2),
            Kind::Text => Some(3),
            Kind::Unsaid | Kind::Binary if kind.starts_with("multipart/") => None,
            Kind::Unsaid | Kind::Binary => Some(4),
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
                "bodies of several parts other than multipart/form-data".to_owned(),
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
            files: self.files(schema, kind)?,
        }))
    }

    /// The members of a body of several parts that are bytes.
    fn files(&self, schema: &'d Value, kind: &str) -> Result<Vec<String>, OpenApiError> {
        let mut files = Vec::new();
        let properties = schema["properties"]
            .as_object()
            .filter(|_| Kind::of(Some(kind)) == Kind::Parts);
        for (name, property) in properties.into_iter().flatten() {
            let property = self.resolve(property)?;
            let is_file = property["format"] == "binary" || property.get("contentMediaType").is_some();
            if is_file || property["contentEncoding"] == "base64" {
                files.push(name.clone());
            }
        }
        Ok(files)
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
    fn server(&self, item: &'d Value, operation: &'d Value) -> Result<String, OpenApiError> {
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
        let at = &self.documents.at;
        let parsed = Url::parse(&url).or_else(|_| at.join(&url));
        if at.scheme() == "file" && parsed.as_ref().is_ok_and(|url| url.scheme() == "file") {
            return Err(unsound(format!(
                "the server '{url}' is relative to a document that has no address"
            )));
        }
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
