//! The operations under `/api/v1`: one module a noun.

mod blobs;
mod functions;
mod plugins;
mod runs;
mod workflows;

use std::{future::Future, sync::Arc, time::Duration};

use poem_openapi::{OpenApi, Tags};
use potok_node::{Node, NodeError, RunView, StartRequest, Started};
use tokio::sync::{Semaphore, watch};

use crate::{
    failure::{Failure, unavailable},
    inputs::Inputs,
};

/// How many deployments and installations are worked on at once; each can take seconds of a processor.
const HEAVY: usize = 2;

/// How long a disk may take for a write before a wait for a run's end can run out over it.
const FLUSH: Duration = Duration::from_secs(1);

/// What handlers share.
#[derive(Clone)]
pub(crate) struct State {
    pub node: Node,
    /// Becomes true when the server stops.
    pub stopping: watch::Receiver<bool>,
    /// The schemas that inputs are held to.
    pub inputs: Arc<Inputs>,
    heavy: Arc<Semaphore>,
}

impl State {
    pub fn new(node: Node, stopping: watch::Receiver<bool>) -> Self {
        Self {
            node,
            stopping,
            inputs: Arc::default(),
            heavy: Arc::new(Semaphore::new(HEAVY)),
        }
    }

    /// Starts a run and waits for it as long as the request says. What is answered is durable.
    async fn start<F>(
        &self,
        mut request: StartRequest,
        begin: impl FnOnce(StartRequest) -> F,
    ) -> Result<RunView, NodeError>
    where
        F: Future<Output = Result<Started, NodeError>>,
    {
        // Whoever waits for the end gets one write for the beginning and the end, and no word before; a wait that is over before the disk
        // has flushed would have nothing to tell. So a short one begins when the run is durable.
        let short = request.wait.take_if(|wait| *wait < FLUSH);
        match (begin(request).await, short) {
            (Ok(started), Some(wait)) => self.node.wait(started.run.id, wait).await,
            (Ok(started), None) => Ok(started.run),
            (Err(NodeError::NotFound { what: "run", .. }), _) => Err(NodeError::Unavailable(
                "the store has not taken the run in time; ask again with the same Idempotency-Key".to_owned(),
            )),
            (Err(error), _) => Err(error),
        }
    }

    /// Does something that compiles, on a thread that may be kept busy.
    async fn heavy<T, F>(&self, work: impl FnOnce(Node) -> F + Send + 'static) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let Ok(place) = Arc::clone(&self.heavy).acquire_owned().await else {
            return Err(unavailable("the server is stopping").into());
        };
        let node = self.node.clone();
        let runtime = tokio::runtime::Handle::current();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            runtime.block_on(work(node))
        });
        done.await
            .map_err(|_| Failure::internal("the server failed at this request; see its log"))
    }
}

/// What the document sorts operations by.
#[derive(Tags)]
pub(crate) enum Room {
    /// Definitions: what can run.
    #[oai(rename = "workflows")]
    Workflows,
    /// Executions of workflows.
    #[oai(rename = "runs")]
    Runs,
    /// What workflows call.
    #[oai(rename = "functions")]
    Functions,
    /// Where functions come from.
    #[oai(rename = "plugins")]
    Plugins,
    /// Bytes that runs read and write.
    #[oai(rename = "blobs")]
    Blobs,
}

/// All operations.
pub(crate) fn all(state: State) -> impl OpenApi + Clone {
    (
        workflows::Workflows(state.clone()),
        runs::Runs(state.clone()),
        functions::Functions(state.clone()),
        plugins::Plugins(state.clone()),
        blobs::Blobs(state),
    )
}
