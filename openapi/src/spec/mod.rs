//! `/openapi.json`: the operations of the server, and one more for every workflow that says what its input looks like and for every
//! function, with request and response schemas of their own. It is as current as the request for it.

mod complete;
mod hoist;

use std::{collections::BTreeSet, sync::Arc};

use poem::{Body, IntoResponse, Response};
use potok_dsl::FunctionName;
use potok_node::{Node, NodeError, WorkflowView, deploy::Prepared};
use potok_wasm::FunctionInfo;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::{failure::Failure, inputs};
pub(crate) use complete::complete;
use hoist::Components;

/// The tag of workflows' own operations.
const DEPLOYED: &str = "deployed workflows";

/// The tag of functions' own operations.
const INSTALLED: &str = "installed functions";

/// Describes a node.
pub(crate) struct Describer {
    node: Node,
    /// What is the same for every node.
    base: Value,
    /// The last document, and what it describes.
    last: Mutex<Option<(BTreeSet<String>, Arc<[u8]>)>>,
}

impl Describer {
    pub fn new(node: Node, base: Value) -> Self {
        Self {
            node,
            base,
            last: Mutex::default(),
        }
    }

    /// The document as a response.
    pub async fn respond(&self) -> poem::Result<Response> {
        let text = self.current().await.map_err(Failure::<0>::from)?;
        let body = Body::from_bytes(text.to_vec().into());
        Ok(body.with_content_type("application/json").into_response())
    }

    /// The document as it is now; made anew when something was deployed, installed or removed. One at a time makes it.
    async fn current(&self) -> Result<Arc<[u8]>, NodeError> {
        let mut last = self.last.lock().await;
        let active: Vec<WorkflowView> = self
            .node
            .workflows()
            .await?
            .into_iter()
            .filter(|view| view.active)
            .collect();
        let plugins = self.node.host().plugins();
        let described: BTreeSet<String> = active
            .iter()
            .map(|view| format!("{} {}", view.id, view.definition))
            .chain(plugins.iter().map(|plugin| plugin.hash.clone()))
            .collect();
        if let Some((known, text)) = &*last
            && *known == described
        {
            return Ok(Arc::clone(text));
        }
        let mut document = Document::new(self.base.clone());
        for view in &active {
            match self.node.workflow(&view.id.namespace, &view.id.name, None).await {
                Ok((view, prepared)) => document.workflow(&view, &prepared),
                // It was removed in the meantime, or this version cannot run it: it has no operation then.
                Err(error) => tracing::debug!(workflow = %view.id, %error, "a workflow is left out of the document"),
            }
        }
        for function in plugins.iter().flat_map(|plugin| plugin.functions.iter()) {
            document.function(function, self.is_newest(function));
        }
        let text: Arc<[u8]> = serde_json::to_vec(&document.finish()).unwrap_or_default().into();
        *last = Some((described, Arc::clone(&text)));
        Ok(text)
    }

    /// Whether the name alone means this version.
    fn is_newest(&self, function: &FunctionInfo) -> bool {
        let name = FunctionName {
            name: function.name.clone(),
            version: None,
            catalog: None,
        };
        self.node
            .host()
            .resolve(&name)
            .is_ok_and(|newest| newest.version == function.version)
    }
}

/// A document in the making.
struct Document {
    base: Value,
    components: Components,
    paths: Map<String, Value>,
}

impl Document {
    fn new(mut base: Value) -> Self {
        let taken = base.pointer_mut("/components/schemas").map(Value::take);
        let components = Components::new(taken.and_then(|taken| {
            if let Value::Object(map) = taken {
                Some(map)
            } else {
                None
            }
        }));
        Self {
            base,
            components,
            paths: Map::new(),
        }
    }

    /// Adds the operation that starts a workflow, if it says what its input looks like.
    fn workflow(&mut self, view: &WorkflowView, prepared: &Prepared) {
        let Some(input) = inputs::input_schema(prepared) else {
            return;
        };
        let (namespace, name) = (&view.id.namespace, &view.id.name);
        let operation = Operation {
            template: "/workflows/{namespace}/{name}/runs",
            dropped: &["namespace", "name", "version"],
            id: format!("run.{namespace}.{name}"),
            tag: DEPLOYED,
            summary: view.title.clone().unwrap_or_else(|| format!("Run {namespace}/{name}")),
            description: view.summary.clone(),
            input,
            output: inputs::output_schema(prepared),
        };
        self.add(format!("/workflows/{namespace}/{name}/runs"), &operation);
    }

    /// Adds the operation that calls a function.
    fn function(&mut self, function: &FunctionInfo, newest: bool) {
        let name = if newest { &function.name } else { &function.canonical };
        let first_line = function
            .docs
            .as_deref()
            .and_then(|docs| docs.lines().next())
            .map(str::to_owned);
        let operation = Operation {
            template: "/functions/{name}",
            dropped: &["name"],
            id: format!("call.{name}"),
            tag: INSTALLED,
            summary: first_line.unwrap_or_else(|| format!("Call {name}")),
            description: function.docs.clone(),
            input: &function.input_schema,
            output: Some(&function.output_schema),
        };
        self.add(format!("/functions/{name}"), &operation);
    }

    fn add(&mut self, path: String, operation: &Operation<'_>) {
        let general = self
            .base
            .pointer(&format!("/paths/{}/post", operation.template.replace('/', "~1")))
            .cloned();
        let Some(mut described) = general else { return };
        let input = self.components.add(&format!("{}.input", operation.id), operation.input);
        let output = operation
            .output
            .map(|schema| self.components.add(&format!("{}.output", operation.id), schema));
        described["operationId"] = json!(operation.id);
        described["tags"] = json!([operation.tag]);
        described["summary"] = json!(operation.summary);
        if let Some(text) = &operation.description {
            described["description"] = json!(text);
        }
        if let Some(parameters) = described.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.retain(|parameter| !operation.dropped.iter().any(|dropped| parameter["name"] == *dropped));
        }
        described["requestBody"] = json!({
            // Nothing at all is an empty object.
            "required": !inputs::fits(operation.input, &json!({})),
            "content": { "application/json": { "schema": input } },
        });
        let mut run = json!({ "properties": { "input": input } });
        if let Some(output) = output {
            run["properties"]["output"] = output;
        }
        for status in ["200", "202"] {
            if let Some(schema) =
                described.pointer_mut(&format!("/responses/{status}/content/application~1json/schema"))
            {
                *schema = json!({ "allOf": [schema.take(), run] });
            }
        }
        self.paths.insert(path, json!({ "post": described }));
    }

    fn finish(self) -> Value {
        let Self {
            mut base,
            components,
            paths,
        } = self;
        let tags: BTreeSet<&str> = paths
            .values()
            .filter_map(|path| path.pointer("/post/tags/0")?.as_str())
            .collect();
        if let Some(list) = base.get_mut("tags").and_then(Value::as_array_mut) {
            list.extend(tags.iter().map(|tag| json!({ "name": tag })));
        }
        if let Some(all) = base.get_mut("paths").and_then(Value::as_object_mut) {
            all.extend(paths);
        }
        base["components"]["schemas"] = Value::Object(components.finish());
        base
    }
}

/// An operation that is another one with schemas of its own.
struct Operation<'a> {
    /// The path of the general operation.
    template: &'static str,
    /// The parameters that it has no more.
    dropped: &'static [&'static str],
    id: String,
    tag: &'static str,
    summary: String,
    description: Option<String>,
    input: &'a Value,
    output: Option<&'a Value>,
}
