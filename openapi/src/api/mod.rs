//! The operations under `/api/v1`: one module a noun.

mod again;
mod blobs;
mod bulk;
mod events;
mod functions;
mod plugins;
mod runs;
mod secrets;
mod webhooks;
mod workflows;

pub(crate) use blobs::{blob_id, refused};

use std::{future::Future, sync::Arc};

use poem_openapi::{OpenApi, Tags};
use potok_node::Node;
use tokio::sync::{Semaphore, watch};

use crate::{
    failure::{Failure, unavailable},
    inputs::Inputs,
};

/// How many deployments and installations are worked on at once; each can take seconds of a processor.
const HEAVY: usize = 2;

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

    /// Does something that compiles, on a thread that may be kept busy.
    pub async fn heavy<T, F>(&self, work: impl FnOnce(Node) -> F + Send + 'static) -> Result<T, Failure>
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
    /// What workflows listen for and emit.
    #[oai(rename = "events")]
    Events,
    /// What workflows call.
    #[oai(rename = "functions")]
    Functions,
    /// Where functions come from.
    #[oai(rename = "plugins")]
    Plugins,
    /// What calls need and nobody sees.
    #[oai(rename = "secrets")]
    Secrets,
    /// Bytes that runs read and write.
    #[oai(rename = "blobs")]
    Blobs,
}

/// All operations.
pub(crate) fn all(state: State) -> impl OpenApi + Clone {
    (
        workflows::Workflows(state.clone()),
        runs::Runs(state.clone()),
        again::Again(state.clone()),
        bulk::Bulk(state.clone()),
        events::Events(state.clone()),
        webhooks::Webhooks(state.clone()),
        functions::Functions(state.clone()),
        plugins::Plugins(state.clone()),
        secrets::Secrets(state.clone()),
        blobs::Blobs(state),
    )
}
