//! What shapes and checks data: `input`, `output`, `export`, schemas, and where things kept elsewhere are.

use super::{Reader, clip, fields::Fields, format, json};
use crate::{
    model::{
        At, AuthenticationRef, Endpoint, Export, ExternalResource, Input, Json, Output, Schema, SchemaSource, Text,
    },
    yaml::Node,
};

impl Reader {
    pub fn input(&mut self, node: &Node) -> Option<Input> {
        let (schema, from) = self.shaped(node, "input", "from")?;
        Some(Input { schema, from })
    }

    pub fn output(&mut self, node: &Node) -> Option<Output> {
        let (schema, shape) = self.shaped(node, "output", "as")?;
        Some(Output { schema, shape })
    }

    pub fn export(&mut self, node: &Node) -> Option<Export> {
        let (schema, shape) = self.shaped(node, "export", "as")?;
        Some(Export { schema, shape })
    }

    /// `{ schema, from | as }`.
    fn shaped(&mut self, node: &Node, what: &str, key: &'static str) -> Option<(Option<Schema>, Option<Json>)> {
        let mut fields = Fields::of(self, node, format!("'{what}'"))?;
        let schema = fields.get("schema").and_then(|node| self.schema(node));
        let shape = fields.get(key).and_then(|node| self.text_or_object(node, key));
        fields.finish(self);
        Some((schema, shape))
    }

    /// An expression, or an object with expressions.
    pub fn text_or_object(&mut self, node: &Node, name: &str) -> Option<Json> {
        if node.text().is_none() && node.members().is_none() {
            self.expected(node, &format!("'{name}'"), "text or an object");
            return None;
        }
        Some(json(node))
    }

    pub fn schema(&mut self, node: &Node) -> Option<Schema> {
        let mut fields = Fields::of(self, node, "'schema'")?;
        let format = fields.text(self, "format");
        if fields.peek("document").is_none() && fields.peek("resource").is_none() && fields.peek("type").is_some() {
            self.wrong_help(
                node.at,
                "'schema' has no 'document'",
                "put the JSON schema under 'document'",
            );
            return None;
        }
        let source = fields
            .one_of(self, &["document", "resource"])
            .and_then(|member| match member.key.as_str() {
                "resource" => self.resource(&member.value, "resource").map(SchemaSource::Resource),
                _ => Some(SchemaSource::Document(json(&member.value))),
            });
        fields.finish(self);
        if let Some(SchemaSource::Document(document)) = &source
            && format.as_ref().is_none_or(|format| format.value == "json")
            && !document.value.is_object()
            && !document.value.is_boolean()
        {
            self.wrong(document.at, "a JSON schema must be an object, true or false");
        }
        Some(Schema {
            format,
            source: source?,
        })
    }

    pub fn resource(&mut self, node: &Node, name: &str) -> Option<At<ExternalResource>> {
        if node.members().is_none() {
            let message = format!("'{name}' must be an object, not {}", node.kind());
            let given = node.text().map_or_else(|| "https://example.com/file".to_owned(), clip);
            self.wrong_help(node.at, message, format!("write {name}: {{ endpoint: {given} }}"));
            return None;
        }
        let mut fields = Fields::of(self, node, format!("'{name}'"))?;
        let name = fields.text(self, "name");
        let endpoint = fields
            .require("endpoint")
            .and_then(|node| self.endpoint(node, "endpoint"));
        fields.finish(self);
        Some(At {
            value: ExternalResource {
                name,
                endpoint: endpoint?,
            },
            at: node.at,
        })
    }

    /// A URI, an expression, or `{ uri, authentication }`.
    pub fn endpoint(&mut self, node: &Node, name: &str) -> Option<Endpoint> {
        if node.text().is_some() {
            let uri = self.uri_or_expression(node, name)?;
            return Some(Endpoint {
                uri,
                shorthand: true,
                authentication: None,
            });
        }
        if node.members().is_none() {
            self.expected(node, &format!("'{name}'"), "text (a URI) or an object");
            return None;
        }
        let mut fields = Fields::of(self, node, format!("'{name}'"))?;
        let uri = fields
            .require("uri")
            .and_then(|node| self.uri_or_expression(node, "uri"));
        let authentication = fields
            .get("authentication")
            .and_then(|node| self.authentication_ref(node));
        fields.finish(self);
        Some(Endpoint {
            uri: uri?,
            shorthand: false,
            authentication,
        })
    }

    pub fn authentication_ref(&mut self, node: &Node) -> Option<At<AuthenticationRef>> {
        if node.get("use").is_none() {
            let policy = self.authentication(node)?;
            return Some(At {
                value: AuthenticationRef::Inline(policy.value),
                at: policy.at,
            });
        }
        let mut fields = Fields::of(self, node, "'authentication'")?;
        let name = fields.require_text(self, "use");
        fields.finish(self);
        let name = name?;
        self.refer(name.at, &name.value, "authentications", |names| &names.authentications);
        Some(At {
            value: AuthenticationRef::Use(name),
            at: node.at,
        })
    }

    /// A URI, a URI template or an expression.
    pub fn uri_or_expression(&mut self, node: &Node, name: &str) -> Option<Text> {
        let text = self.text(node, name)?;
        if format::is_expression(&text.value) {
            return Some(text);
        }
        let text = self.uri_text(text, name)?;
        if !format::has_sound_braces(&text.value) {
            self.wrong_help(
                text.at,
                format!("'{name}' has a brace too many or too few"),
                "a variable is written {name}",
            );
            return None;
        }
        Some(text)
    }

    /// A URI or a URI template.
    pub fn uri(&mut self, node: &Node, name: &str) -> Option<Text> {
        let text = self.text(node, name)?;
        self.uri_text(text, name)
    }

    fn uri_text(&mut self, text: Text, name: &str) -> Option<Text> {
        if format::is_uri(&text.value) {
            return Some(text);
        }
        let message = format!("'{name}' must be a URI, and '{}' is not", clip(&text.value));
        if text.value.contains("${") {
            self.wrong_help(
                text.at,
                message,
                "an expression must be the whole text: ${ \"https://example.com/\\(.id)\" }",
            );
        } else if text.value.contains(char::is_whitespace) {
            self.wrong_help(text.at, message, "a URI has no spaces; write %20");
        } else {
            self.wrong(text.at, message);
        }
        None
    }
}
