//! Functions: what there is to call, and calling one on its own.

use std::time::Duration;

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use potok_node::StartRequest;
use serde_json::Value;

use super::{Room, State, runs::Accepted};
use crate::{
    failure::{BODY, CHANGES, Failure, MALFORMED, MISSING, TYPED, UNUSABLE},
    params::{Function, IdempotencyKey, Wait},
    payload,
    types::Functions as List,
};

/// How long a call is waited for unless the request says.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Functions(pub State);

#[OpenApi(tag = "Room::Functions")]
impl Functions {
    /// List functions.
    ///
    /// All versions, with the JSON Schemas of arguments and results.
    #[oai(path = "/functions", method = "get", operation_id = "listFunctions")]
    async fn list(&self) -> Result<Json<List>, Failure> {
        let plugins = self.0.node.host().plugins();
        let functions = plugins.iter().flat_map(|plugin| plugin.functions.iter());
        Ok(Json(List {
            functions: functions.map(|info| (&**info).into()).collect(),
        }))
    }

    /// Call a function.
    ///
    /// The body holds the arguments; no body is an empty object. The call is a run of one step: it is durable, has a history, and its result is the run's
    /// `output`. It is waited for, 30 seconds unless the request says otherwise; one that takes longer is answered with 202 and goes on.
    #[oai(path = "/functions/:name", method = "post", operation_id = "callFunction")]
    async fn call(
        &self,
        /// The function: the newest version, or the one that is named as in `book.extract:1.0.0`.
        name: Path<Function>,
        /// Wait so long for the result, such as `500ms`, `30s` or `5m`; no longer than ten minutes.
        wait: Query<Option<Wait>>,
        /// The same key again, for the same function, calls nothing and answers with the run that it started.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<IdempotencyKey>>,
        arguments: payload::Json<Value>,
    ) -> Result<Accepted, Failure<{ MALFORMED | CHANGES | MISSING | BODY | TYPED | UNUSABLE }>> {
        let State { node, inputs, .. } = &self.0;
        let name = name.0.0;
        let function = node
            .host()
            .resolve(&name)
            .map_err(|error| Failure::not_found(error.to_string()))?;
        inputs.check_function(&function, &arguments.0)?;
        let request = StartRequest {
            input: arguments.0,
            idempotency_key: idempotency_key.0.map(|key| key.0),
            labels: Value::Null,
            wait: Some(wait.0.as_ref().map_or(WAIT, Wait::bounded)),
        };
        let started = node.call_function(&name, request).await?;
        Ok(Accepted::new(started.run, true))
    }
}
