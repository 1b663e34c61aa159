//! The handle that servers and commands use: how it is put together, started and stopped. Cheap to clone.

mod again;
mod bulk;
mod diff;
mod news;
mod plugins;
mod runs;
mod workflows;

pub use again::RestartRequest;
pub use bulk::{Bulk, BulkDone};
pub use diff::{Difference, RunDiff, TaskDifference, TaskEnd};
pub use plugins::{install_row, install_stored};
pub use runs::{StartRequest, Started};
pub use workflows::Deployment;

use std::{sync::Arc, time::Duration};

use potok_bus::Bus;
use potok_calls::{HttpCaller, Shell as CommandShell};
use potok_dsl::Problem;
use potok_expr::Evaluator;
use potok_journal::{Store, StoreError};
use potok_secrets::Vault;
use potok_wasm::{Host, Tables};
use tokio::{
    sync::{Mutex, oneshot},
    task::AbortHandle,
};

use crate::{
    Metrics, Retention, RunRetention, WebhookConfig,
    core::{Core, CoreConfig, Input},
    deploy::{Binder, DeployError, Deployments, Prepared},
    events, retention,
    schedule::Scheduler,
    secrets::{KeyPlace, StoredSecrets},
    shell::{Executor, Parts, Shell, Stopped, Stream, Watch, Watchers},
    tables::StoreTables,
    webhooks::Webhooks,
};

/// How a node behaves.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// How its core behaves.
    pub core: CoreConfig,
    /// How long a call may take, if its task says nothing.
    pub call_timeout: Duration,
    /// How many calls are made at once.
    pub calls: usize,
    /// Whether schedules fire.
    pub triggers: bool,
    /// How long events stay.
    pub retention: Retention,
    /// How long runs that have ended stay; `None` for good.
    pub runs: Option<RunRetention>,
    /// How webhooks are delivered.
    pub webhooks: WebhookConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            core: CoreConfig::default(),
            call_timeout: Duration::from_secs(300),
            calls: 256,
            triggers: true,
            retention: Retention::default(),
            runs: None,
            webhooks: WebhookConfig::default(),
        }
    }
}

/// What a node is put together from.
pub struct NodeParts {
    /// Where runs are kept.
    pub store: Arc<dyn Store>,
    /// What runs plugins; its providers are in it already.
    pub host: Host,
    /// What makes HTTP calls.
    pub http: HttpCaller,
    /// What runs commands; `None` when the operator does not allow it.
    pub shell: Option<CommandShell>,
    /// Where secrets come from, the store left out.
    pub vault: Vault,
    /// The key of the secrets in the store.
    pub secrets_key: KeyPlace,
    /// Where news goes.
    pub bus: Arc<dyn Bus>,
}

/// A running node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    host: Host,
    bus: Arc<dyn Bus>,
    vault: Vault,
    secrets: Arc<StoredSecrets>,
    tables: Arc<dyn Tables>,
    shell: Shell,
    deployments: Arc<Deployments>,
    metrics: Arc<Metrics>,
    stream: Arc<Stream>,
    webhooks: Arc<Webhooks>,
    watchers: Arc<Watchers>,
    triggers: bool,
    /// Resolves when the core's thread has stopped.
    stopped: Mutex<Option<oneshot::Receiver<()>>>,
    /// What goes on beside the core's thread for as long as the node runs.
    background: Vec<AbortHandle>,
    /// One deployment at a time: which version is active must not depend on who is faster.
    deploying: Mutex<()>,
}

/// Why a request about runs could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// There is no such run, workflow, plugin or function.
    #[error("there is no {what} '{name}'{hint}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// What was perhaps meant.
        hint: String,
    },
    /// It cannot be done in the state that the thing is in.
    #[error("{0}")]
    Conflict(String),
    /// What was given is not usable.
    #[error("{0}")]
    Invalid(Problem),
    /// A value is over the ceiling.
    #[error("{0}")]
    TooLarge(String),
    /// The store is not to be had.
    #[error("{0}")]
    Unavailable(String),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl NodeError {
    fn missing(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
            hint: String::new(),
        }
    }
}

impl Node {
    /// Starts a node: plugins that the store has are installed, runs that were under way go on, schedules fire.
    ///
    /// # Errors
    /// When the store cannot be read or the core's thread cannot be started.
    pub async fn start(parts: NodeParts, config: NodeConfig) -> Result<Self, NodeError> {
        let NodeParts {
            store,
            host,
            http,
            shell: commands,
            vault,
            secrets_key,
            bus,
        } = parts;
        let secrets = Arc::new(StoredSecrets::open(Arc::clone(&store), secrets_key).await?);
        let vault = vault.with(secrets.clone());
        let evaluator = Evaluator::new(host.jq());
        let http = Arc::new(http);
        let metrics = Arc::new(Metrics::default());
        let tables: Arc<dyn Tables> = Arc::new(StoreTables::new(Arc::clone(&store)));
        install_stored(&*store, &host, &|_| false).await?;
        let deployments = Arc::new(Deployments::new(
            Arc::clone(&store),
            Binder::new(host.clone(), evaluator.clone(), HttpCaller::clone(&http), vault.clone())
                .with_commands(commands.is_some()),
        ));
        let executor = Executor::new(
            host.clone(),
            Arc::clone(&http),
            commands.map(Arc::new),
            vault.clone(),
            Arc::clone(&store),
            config.calls,
            config.call_timeout,
        );
        let stream = Arc::new(Stream::new(Arc::clone(&store), evaluator.clone()));
        let (shell, stopped) = Shell::start(Parts {
            core: Core::new(config.core, evaluator.clone()),
            scheduler: Scheduler::default(),
            store: Arc::clone(&store),
            executor,
            deployments: Arc::clone(&deployments),
            bus: Arc::clone(&bus),
            metrics: Arc::clone(&metrics),
            stream: Arc::clone(&stream),
        })
        .map_err(|e| NodeError::Unavailable(e.to_string()))?;
        stream.recover().await?;
        let webhooks = Webhooks::start(
            Arc::clone(&store),
            Arc::clone(&secrets),
            Arc::clone(&stream),
            Arc::clone(&http),
            config.webhooks,
        )
        .await?;
        let watchers = Arc::new(Watchers::new(Watch {
            store: Arc::clone(&store),
            stream: Arc::clone(&stream),
            shell: shell.clone(),
            deployments: Arc::clone(&deployments),
            evaluator,
        }));
        let (kept, retention) = (Arc::clone(&store), config.retention.clone());
        let (hooks, triggers) = (Arc::clone(&webhooks), Arc::clone(&watchers));
        let held = move || hooks.held_from().min(triggers.held_from());
        let mut background = vec![tokio::spawn(events::keep_short(kept, retention, held)).abort_handle()];
        if let Some(runs) = config.runs {
            background.push(tokio::spawn(retention::keep_few(Arc::clone(&store), runs)).abort_handle());
        }
        let node = Self(Arc::new(Inner {
            store,
            host,
            bus,
            vault,
            secrets,
            tables,
            shell,
            deployments,
            metrics,
            stream,
            webhooks,
            watchers,
            triggers: config.triggers,
            stopped: Mutex::new(Some(stopped)),
            background,
            deploying: Mutex::new(()),
        }));
        if config.triggers {
            node.watch_stored().await?;
        }
        Ok(node)
    }

    /// Writes everything down and stops. Calls under way are abandoned; they are made again, under the same keys, by the next start.
    pub async fn stop(&self) {
        self.0.webhooks.stop();
        self.0.watchers.stop();
        self.0.background.iter().for_each(AbortHandle::abort);
        self.0.shell.happened(Input::Stop).await;
        if let Some(stopped) = self.0.stopped.lock().await.take() {
            let _ = stopped.await;
        }
    }

    /// Whether the node can take work: its store answers and can be written.
    ///
    /// # Errors
    /// When the store cannot be read or written, and why.
    pub async fn ready(&self) -> Result<(), NodeError> {
        self.0.store.next_wake(0).await?;
        self.0.store.writable().await?;
        Ok(())
    }

    /// The secrets that are kept in the store.
    #[must_use]
    pub fn secrets(&self) -> &StoredSecrets {
        &self.0.secrets
    }

    /// All places that secrets come from.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The component host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// The providers' tables and the blobs.
    #[must_use]
    pub fn tables(&self) -> &Arc<dyn Tables> {
        &self.0.tables
    }

    /// Where news of runs is published: subject `runs.<id>`, each message a [`crate::RunNews`] as JSON.
    #[must_use]
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.0.bus
    }

    /// What the node has counted.
    #[must_use]
    pub fn metrics(&self) -> crate::Reading {
        self.0.metrics.read()
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.0.stream
    }

    pub(crate) fn shell(&self) -> &Shell {
        &self.0.shell
    }

    /// The store, for its own figures.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Checks a text as deploying would; nothing is kept.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub async fn check(&self, file: &str, text: &str) -> Result<Prepared, DeployError> {
        let deployments = &self.0.deployments;
        deployments.prepare(deployments.binder().clone(), file, text).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.background.iter().for_each(AbortHandle::abort);
    }
}
