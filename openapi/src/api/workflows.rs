//! Definitions: deploying, looking at, activating, removing, and starting runs of them.

use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use potok_node::StartRequest;
use serde_json::Value;

use super::{Room, State, runs::Accepted};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, CROWDED, Failure, MALFORMED, MISSING, TYPED, UNUSABLE},
    params::{IdempotencyKey, Label, Version, Wait},
    payload::{self, Yaml},
    types::{Deployed, WorkflowObject, Workflows as List},
};

#[derive(Clone)]
pub(super) struct Workflows(pub State);

#[derive(ApiResponse)]
enum Put {
    /// It is deployed with this text already; nothing has changed.
    #[oai(status = 200)]
    Unchanged(Json<Deployed>),
    /// It is deployed.
    #[oai(status = 201)]
    Created(
        Json<Deployed>,
        /// Where it is.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum Gone {
    /// It is done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(tag = "Room::Workflows")]
impl Workflows {
    /// Deploy a workflow.
    ///
    /// The body is the definition as YAML or JSON. Namespace, name and version are in it. A version that is deployed keeps its
    /// text: another text under it is refused, with the diff in `data.diff`. An invalid definition is refused with the places and the reasons in `data`.
    #[oai(path = "/workflows", method = "put", operation_id = "deployWorkflow")]
    async fn put(
        &self,
        /// Deploy it as a draft, whose text may change under the same version.
        #[oai(default)]
        draft: Query<bool>,
        definition: Yaml,
    ) -> Result<Put, Failure<{ MALFORMED | CHANGES | CONFLICT | BODY | TYPED | UNUSABLE }>> {
        let (text, draft) = (definition.0, draft.0);
        let deployed = self
            .0
            .heavy(move |node| async move { node.deploy("workflow", &text, draft).await })
            .await;
        let deployed = Deployed::from(deployed.map_err(|failure| Failure(failure.0))??);
        if !deployed.created {
            return Ok(Put::Unchanged(Json(deployed)));
        }
        let workflow = &deployed.workflow;
        let place = format!(
            "/api/v1/workflows/{}/{}/{}",
            workflow.namespace, workflow.name, workflow.version
        );
        Ok(Put::Created(Json(deployed), place))
    }

    /// List workflows.
    ///
    /// All versions of all that is deployed, without their texts.
    #[oai(path = "/workflows", method = "get", operation_id = "listWorkflows")]
    async fn list(&self) -> Result<Json<List>, Failure> {
        let workflows = self.0.node.workflows().await?;
        Ok(Json(List {
            workflows: workflows.into_iter().map(Into::into).collect(),
        }))
    }

    /// Look at the active version of a workflow.
    #[oai(
        path = "/workflows/:namespace/:name",
        method = "get",
        operation_id = "getActiveWorkflow"
    )]
    async fn active(
        &self,
        namespace: Path<Label>,
        name: Path<Label>,
    ) -> Result<Json<WorkflowObject>, Failure<{ MALFORMED | MISSING }>> {
        self.look(&namespace.0.0, &name.0.0, None).await
    }

    /// Look at a version of a workflow.
    #[oai(
        path = "/workflows/:namespace/:name/:version",
        method = "get",
        operation_id = "getWorkflow"
    )]
    async fn get(
        &self,
        namespace: Path<Label>,
        name: Path<Label>,
        version: Path<Version>,
    ) -> Result<Json<WorkflowObject>, Failure<{ MALFORMED | MISSING }>> {
        self.look(&namespace.0.0, &name.0.0, Some(&version.0.0)).await
    }

    /// Remove a version of a workflow.
    ///
    /// Its finished runs stay readable. While unfinished runs use it, it stays.
    #[oai(
        path = "/workflows/:namespace/:name/:version",
        method = "delete",
        operation_id = "removeWorkflow"
    )]
    async fn delete(
        &self,
        namespace: Path<Label>,
        name: Path<Label>,
        version: Path<Version>,
    ) -> Result<Gone, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT }>> {
        self.0
            .node
            .remove_workflow(&namespace.0.0, &name.0.0, &version.0.0)
            .await?;
        Ok(Gone::Done)
    }

    /// Make a version the active one.
    ///
    /// The active version is the one that starts when none is named, and the only one whose schedules live. Unless one is chosen it is
    /// the newest.
    #[oai(
        path = "/workflows/:namespace/:name/:version/active",
        method = "put",
        operation_id = "activateWorkflow"
    )]
    async fn activate(
        &self,
        namespace: Path<Label>,
        name: Path<Label>,
        version: Path<Version>,
    ) -> Result<Gone, Failure<{ MALFORMED | CHANGES | MISSING }>> {
        self.0.node.activate(&namespace.0.0, &name.0.0, &version.0.0).await?;
        Ok(Gone::Done)
    }

    /// Start a run of a workflow.
    ///
    /// The body is the input; no body is an empty object. The run is durable when the answer leaves. One that was waited for and has ended is
    /// answered with 200, also when it has faulted: then its `status` says so and its `error` why. A workflow that limits how many of its runs there
    /// are at once may answer with 409 (`data.run` is the run that has the place) or 429 (too many wait).
    #[oai(
        path = "/workflows/:namespace/:name/runs",
        method = "post",
        operation_id = "startRun"
    )]
    async fn start(
        &self,
        namespace: Path<Label>,
        name: Path<Label>,
        /// The version to start; the active one unless named.
        version: Query<Option<Version>>,
        /// Wait so long for the run's end, such as `500ms`, `30s` or `5m`; no longer than ten minutes.
        wait: Query<Option<Wait>>,
        /// The same key again, for the same workflow, starts nothing and answers with the run that it started.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<IdempotencyKey>>,
        input: payload::Json<Value>,
    ) -> Result<Accepted, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT | BODY | TYPED | UNUSABLE | CROWDED }>>
    {
        let State { node, inputs, .. } = &self.0;
        let version = version.0.as_ref().map(|version| version.0.as_str());
        let (_, prepared) = node.workflow(&namespace.0.0, &name.0.0, version).await?;
        inputs.check_workflow(&prepared, &input.0)?;
        let request = StartRequest {
            input: input.0,
            idempotency_key: idempotency_key.0.map(|key| key.0),
            labels: Value::Null,
            wait: wait.0.as_ref().map(Wait::bounded),
        };
        let waited = request.wait.is_some();
        let started = node.start_prepared(&prepared, request).await?;
        Ok(Accepted::new(started.run, waited))
    }
}

impl Workflows {
    async fn look(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Json<WorkflowObject>, Failure<{ MALFORMED | MISSING }>> {
        let (view, prepared) = self.0.node.workflow(namespace, name, version).await?;
        let mut workflow = WorkflowObject::from(view);
        workflow.source = Some(prepared.parsed.source.to_string());
        Ok(Json(workflow))
    }
}
