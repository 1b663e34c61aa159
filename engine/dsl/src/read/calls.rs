//! `call`: HTTP typed, the other protocols by shape, and functions by name.

use super::{Reader, clip, fields::Fields, format, json, shape::Shape, shapes};
use crate::{
    FunctionName,
    model::{Call, HttpCall, HttpOutput, Json, Location, OpenApiCall, Text},
    yaml::Node,
};

const OUTPUTS: [(&str, HttpOutput); 3] = [
    ("raw", HttpOutput::Raw),
    ("content", HttpOutput::Content),
    ("response", HttpOutput::Response),
];

impl Reader {
    /// `call` and its `with`.
    pub fn call(&mut self, call: &Node, with: Option<&Node>, at: Location) -> Option<Call> {
        let name = self.text(call, "call")?;
        let (shape, make): (_, fn(Json) -> Call) = match name.value.as_str() {
            "http" => return self.needed(with, "http", at).and_then(|with| self.http(with)),
            "openapi" => return self.needed(with, "openapi", at).and_then(|with| self.openapi(with)),
            "asyncapi" => (&shapes::ASYNCAPI, Call::AsyncApi),
            "grpc" => (&shapes::GRPC, Call::Grpc),
            "a2a" => (&shapes::A2A, Call::A2a),
            "mcp" => (&shapes::MCP, Call::Mcp),
            _ => return self.function(name, with),
        };
        let with = self.needed(with, &name.value, at)?;
        self.check_object(with, "with", shape);
        Some(make(json(with)))
    }

    fn needed<'n>(&mut self, with: Option<&'n Node>, name: &str, at: Location) -> Option<&'n Node> {
        if with.is_none() {
            self.wrong_help(
                at,
                format!("missing property 'with' in a call of '{name}'"),
                "its arguments go under 'with', beside 'call'",
            );
        }
        with
    }

    fn function(&mut self, name: Text, with: Option<&Node>) -> Option<Call> {
        self.check_function_name(&name);
        let with = match with {
            Some(node) if node.members().is_some() => Some(json(node)),
            Some(node) => {
                let message = format!("'with' must be an object, not {}", node.kind());
                self.wrong_help(
                    node.at,
                    message,
                    "give each argument by its name, such as with: { book: '${ .book }' }",
                );
                return None;
            }
            None => None,
        };
        Some(Call::Function { name, with })
    }

    /// Functions of plugins are not known here; only that the name is a name, and that its catalog exists.
    fn check_function_name(&mut self, name: &Text) {
        let text = name.value.as_str();
        if self
            .names
            .functions
            .binary_search_by(|known| known.as_str().cmp(text))
            .is_ok()
            || (FunctionName::is_uri(text) && !format::is_expression(text))
        {
            return;
        }
        match text.parse::<FunctionName>() {
            Ok(FunctionName {
                catalog: Some(catalog), ..
            }) if catalog != "default" => {
                self.refer(name.at, &catalog, "catalogs", |names| &names.catalogs);
            }
            Ok(_) => {}
            Err(error) => {
                let message = format!("'{}' is not the name of a function", clip(text));
                self.wrong_help(name.at, message, format!("{}, as in book.extract:1.0.0", error.why));
            }
        }
    }

    fn http(&mut self, with: &Node) -> Option<Call> {
        let mut fields = Fields::of(self, with, "'with' of an HTTP call")?;
        let method = fields.require_text(self, "method");
        if let Some(method) = &method
            && !format::is_token(&method.value)
            && !format::is_expression(&method.value)
        {
            self.wrong_help(
                method.at,
                format!("'{}' is not an HTTP method", clip(&method.value)),
                "write get, post, put, patch, delete, …",
            );
        }
        let endpoint = fields
            .require("endpoint")
            .and_then(|node| self.endpoint(node, "endpoint"));
        let headers = fields
            .get("headers")
            .and_then(|node| self.texts_or_expression(node, "headers"));
        let body = fields.get("body").map(json);
        let query = fields
            .get("query")
            .and_then(|node| self.texts_or_expression(node, "query"));
        let output = fields
            .get("output")
            .and_then(|node| self.word(node, "output", &OUTPUTS));
        let redirect = fields.boolean(self, "redirect");
        fields.finish(self);
        Some(Call::Http(Box::new(HttpCall {
            method: method?,
            endpoint: endpoint?,
            headers,
            body,
            query,
            output: output.as_ref().map(|output| output.value).unwrap_or_default(),
            output_at: output.map(|output| output.at),
            redirect: redirect.as_ref().is_some_and(|redirect| redirect.value),
            redirect_at: redirect.map(|redirect| redirect.at),
        })))
    }

    fn openapi(&mut self, with: &Node) -> Option<Call> {
        let mut fields = Fields::of(self, with, "'with'")?;
        let document = fields
            .require("document")
            .and_then(|node| self.resource(node, "document"));
        let operation = fields.require_text(self, "operationId");
        let parameters = fields.get("parameters").map(|node| {
            self.check(node, "parameters", &Shape::Map(&Shape::Any));
            json(node)
        });
        let authentication = fields
            .get("authentication")
            .and_then(|node| self.authentication_ref(node));
        let output = fields
            .get("output")
            .and_then(|node| self.word(node, "output", &OUTPUTS));
        let redirect = fields.boolean(self, "redirect");
        fields.finish(self);
        Some(Call::OpenApi(Box::new(OpenApiCall {
            document: document?,
            operation: operation?,
            parameters,
            authentication,
            output: output.as_ref().map(|output| output.value).unwrap_or_default(),
            output_at: output.map(|output| output.at),
            redirect: redirect.as_ref().is_some_and(|redirect| redirect.value),
            redirect_at: redirect.map(|redirect| redirect.at),
        })))
    }

    /// An object of texts, or an expression that gives one.
    fn texts_or_expression(&mut self, node: &Node, name: &str) -> Option<Json> {
        if let Some(text) = node.text() {
            if !format::is_expression(text) {
                self.wrong_help(
                    node.at,
                    format!("'{name}' must be an object or an expression in ${{ }}, not other text"),
                    format!("write {name}: {{ name: value }}"),
                );
                return None;
            }
            return Some(json(node));
        }
        let Some(members) = node.members() else {
            self.expected(node, &format!("'{name}'"), "an object or an expression in ${ }");
            return None;
        };
        for member in members.iter().filter(|member| member.value.text().is_none()) {
            self.expected(&member.value, &format!("'{}' in '{name}'", clip(&member.key)), "text");
        }
        Some(json(node))
    }
}
