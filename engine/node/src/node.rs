//! The handle that servers and commands use. Cheap to clone.

use std::{path::Path, sync::Arc, time::Duration};

use potok_bus::Bus;
use potok_calls::{HttpCaller, Shell as CommandShell};
use potok_dsl::{ErrorType, FunctionName, Problem, RunId, WorkflowId};
use potok_expr::Evaluator;
use potok_journal::{PluginRow, RunCursor, RunFilter, Store, StoreError, Write};
use potok_secrets::Vault;
use potok_wasm::{Grants, Host, InstallError, PluginInfo, Tables};
use serde_json::Value;
use tokio::{
    sync::{Mutex, oneshot},
    task::AbortHandle,
};
use uuid::Uuid;

use crate::{
    DeadLetter, Metrics, NewWebhook, Retention, RunView, TaskEvent, Webhook, WebhookConfig, WorkflowView,
    core::{Answer, Command, Core, CoreConfig, Input, StartRun},
    deploy::{Binder, DeployError, Deployments, Prepared},
    events,
    schedule::Scheduler,
    secrets::{KeyPlace, StoredSecrets},
    shell::{self, Executor, Message, Parts, Shell, Stopped, Stream, Watch, Watchers},
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

/// A run that is wanted.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// Its input.
    pub input: Value,
    /// The key under which its workflow starts it at most once.
    pub idempotency_key: Option<String>,
    /// Labels.
    pub labels: Value,
    /// How long to wait for its end.
    pub wait: Option<Duration>,
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
        install_stored(&*store, &host).await?;
        let deployments = Arc::new(Deployments::new(
            Arc::clone(&store),
            Binder::new(host.clone(), evaluator.clone(), HttpCaller::clone(&http)).with_commands(commands.is_some()),
        ));
        let executor = Executor::new(
            host.clone(),
            Arc::clone(&http),
            commands.map(Arc::new),
            vault.clone(),
            Arc::clone(&tables),
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
        let background = vec![tokio::spawn(events::keep_short(kept, retention, held)).abort_handle()];
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

    /// Whether the node can take work: its store answers.
    ///
    /// # Errors
    /// When the store does not.
    pub async fn ready(&self) -> Result<(), NodeError> {
        self.0.store.next_wake(0).await?;
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

/// Deployed workflows.
impl Node {
    /// Deploys a text. A draft may take the place of a draft of the same version; a version that is deployed for good keeps its text for ever.
    ///
    /// # Errors
    /// [`DeployError`]: the diagnostics, the diff to the known text, or the store's trouble.
    pub async fn deploy(&self, file: &str, text: &str, draft: bool) -> Result<Deployment, DeployError> {
        if !draft && let Some(known) = self.0.deployments.known(text).await? {
            let mut warnings = self.0.deployments.binder().lint(&known.parsed);
            warnings.retain(|found| !found.is_error());
            return Ok(Deployment {
                id: known.id().clone(),
                definition: known.deployed.hash.to_string(),
                created: false,
                warnings,
            });
        }
        let deployments = &self.0.deployments;
        let prepared = deployments.prepare(deployments.binder().clone(), file, text).await?;
        self.deploy_prepared(prepared, draft).await
    }

    /// Deploys a draft that stands in a directory: what it keeps elsewhere may be a file there.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn deploy_draft(&self, directory: &Path, file: &str, text: &str) -> Result<Deployment, DeployError> {
        let binder = self.0.deployments.binder().clone().within(directory.to_owned());
        let prepared = self.0.deployments.prepare(binder, file, text).await?;
        self.deploy_prepared(prepared, true).await
    }

    async fn deploy_prepared(&self, prepared: Prepared, draft: bool) -> Result<Deployment, DeployError> {
        let _one = self.0.deploying.lock().await;
        let (deployment, _) = self.0.deployments.put(prepared, draft, shell::now()).await?;
        if deployment.created && self.0.triggers {
            self.retrigger(&deployment.id.namespace, &deployment.id.name).await?;
        }
        Ok(deployment)
    }

    /// All deployed workflows, drafts of functions left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn workflows(&self) -> Result<Vec<WorkflowView>, NodeError> {
        Ok(self.0.deployments.list().await?)
    }

    /// A deployed workflow and its text: the version named, else the active one.
    ///
    /// # Errors
    /// When there is none.
    pub async fn workflow(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<(WorkflowView, Arc<Prepared>), NodeError> {
        let found = self.0.deployments.find(namespace, name, version).await?;
        found.ok_or_else(|| missing_workflow(namespace, name, version))
    }

    /// Makes a version the one that starts when none is named and whose triggers live.
    ///
    /// # Errors
    /// When there is no such version.
    pub async fn activate(&self, namespace: &str, name: &str, version: &str) -> Result<(), NodeError> {
        let _one = self.0.deploying.lock().await;
        if !self.0.deployments.activate(&id(namespace, name, version)).await? {
            return Err(missing_workflow(namespace, name, Some(version)));
        }
        self.retrigger(namespace, name).await.map_err(Into::into)
    }

    /// Removes a version. Its finished runs stay readable.
    ///
    /// # Errors
    /// When there is none, or runs of it have not ended.
    pub async fn remove_workflow(&self, namespace: &str, name: &str, version: &str) -> Result<(), NodeError> {
        let _one = self.0.deploying.lock().await;
        let hashes = self.0.deployments.hashes(namespace, name).await?;
        if let Some(user) = self.0.deployments.user(&id(namespace, name, version)).await? {
            let message = format!("{namespace}/{name}:{version} is run by {user}; remove that one first");
            return Err(NodeError::Conflict(message));
        }
        if !self.0.deployments.remove(&id(namespace, name, version)).await? {
            return Err(missing_workflow(namespace, name, Some(version)));
        }
        self.unwatch(hashes.iter().map(String::as_str)).await?;
        self.retrigger(namespace, name).await.map_err(Into::into)
    }

    /// Watches the triggers of a workflow's active version, and those of no other.
    async fn retrigger(&self, namespace: &str, name: &str) -> Result<(), Retrigger> {
        let deployments = &self.0.deployments;
        let active = deployments
            .find(namespace, name, None)
            .await?
            .map(|(_, prepared)| prepared);
        let keep = active.as_ref().map(|prepared| prepared.deployed.hash.to_string());
        let hashes = deployments.hashes(namespace, name).await?;
        self.unwatch(
            hashes
                .iter()
                .map(String::as_str)
                .filter(|hash| Some(*hash) != keep.as_deref()),
        )
        .await?;
        if let Some(prepared) = active {
            self.watch(&prepared, false).await?;
        }
        Ok(())
    }

    async fn unwatch(&self, hashes: impl Iterator<Item = &str>) -> Result<(), Retrigger> {
        for hash in hashes {
            self.0.watchers.unwatch(hash);
            for kind in ["cron", "every", "after"] {
                self.0.shell.send(Message::Unwatch(trigger_key(hash, kind))).await?;
            }
        }
        Ok(())
    }

    async fn watch_stored(&self) -> Result<(), NodeError> {
        for prepared in self.0.deployments.active().await? {
            self.watch(&prepared, true).await?;
        }
        Ok(())
    }

    async fn watch(&self, prepared: &Prepared, resume: bool) -> Result<(), Retrigger> {
        self.0.watchers.watch(prepared, resume).await?;
        for (kind, plan) in &prepared.plans {
            let key = trigger_key(&prepared.deployed.hash, kind);
            let state = shell::trigger_state(&*self.0.store, &prepared.deployed.hash, kind).await?;
            self.0
                .shell
                .send(Message::Watch(key, Box::new(plan.clone()), state))
                .await?;
        }
        Ok(())
    }
}

/// A deployment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Which workflow.
    pub id: potok_dsl::WorkflowId,
    /// The hash of text and lock.
    pub definition: String,
    /// Whether it is new; the same text again changes nothing.
    pub created: bool,
    /// What looks wrong with the text and does not stand in the way.
    pub warnings: Vec<potok_dsl::Diagnostic>,
}

enum Retrigger {
    Store(StoreError),
    Stopped(Stopped),
}

impl From<StoreError> for Retrigger {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
impl From<Stopped> for Retrigger {
    fn from(error: Stopped) -> Self {
        Self::Stopped(error)
    }
}
impl From<Retrigger> for NodeError {
    fn from(error: Retrigger) -> Self {
        match error {
            Retrigger::Store(error) => Self::Store(error),
            Retrigger::Stopped(error) => Self::Stopped(error),
        }
    }
}
impl From<Retrigger> for DeployError {
    fn from(error: Retrigger) -> Self {
        match error {
            Retrigger::Store(error) => Self::Store(error),
            Retrigger::Stopped(error) => Self::Stopped(error),
        }
    }
}

/// Names a trigger: the definition's hash and which of its schedules.
fn trigger_key(hash: &str, kind: &str) -> Arc<str> {
    format!("{hash}/{kind}").into()
}

fn id(namespace: &str, name: &str, version: &str) -> WorkflowId {
    WorkflowId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
    }
}

fn missing_workflow(namespace: &str, name: &str, version: Option<&str>) -> NodeError {
    let version = version.map_or(String::new(), |v| format!(":{v}"));
    NodeError::missing("workflow", format!("{namespace}/{name}{version}"))
}

/// Runs.
impl Node {
    /// Starts a run of a deployed workflow: the version named, else the active one. Returns when the run is durable, or, asked to wait, when
    /// it has ended or the time is up.
    ///
    /// # Errors
    /// When there is no such workflow or the store is not to be had.
    pub async fn start_run(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
        request: StartRequest,
    ) -> Result<Started, NodeError> {
        let (_, prepared) = self.workflow(namespace, name, version).await?;
        self.start_prepared(&prepared, request).await
    }

    /// Starts a run of a definition that is deployed under its hash.
    ///
    /// # Errors
    /// When the store is not to be had.
    pub async fn start_prepared(&self, prepared: &Prepared, request: StartRequest) -> Result<Started, NodeError> {
        let run = RunId(Uuid::now_v7());
        let start = |client| {
            Input::Start(StartRun {
                run,
                deployed: prepared.deployed.clone(),
                input: Arc::new(request.input.clone()),
                parent: None,
                trigger: None,
                idempotency_key: request.idempotency_key.clone(),
                labels: request.labels.clone(),
                client,
            })
        };
        let Some(limit) = request.wait else {
            let (_, answer) = self.0.shell.ask(|client| start(Some(client))).await?;
            return match answer.await.map_err(|_| Stopped)? {
                Answer::Started(run) => Ok(Started {
                    run: self.run(run).await?,
                    existed: false,
                }),
                Answer::Exists(run) => Ok(Started {
                    run: self.run(run).await?,
                    existed: true,
                }),
                other => Err(unavailable(other)),
            };
        };
        // Whoever waits for the end needs no word of the beginning: one write can carry both.
        let (waiting, mut answer) = self.0.shell.ask(|client| Input::Wait { run, client }).await?;
        self.0.shell.happened(start(None)).await;
        let told = match tokio::time::timeout(limit, &mut answer).await {
            Ok(told) => told.map_err(|_| Stopped)?,
            Err(_) => self.accepted(run, waiting, answer).await?,
        };
        match told {
            Answer::Exists(existing) => Ok(Started {
                run: self.wait(existing, limit).await?,
                existed: true,
            }),
            Answer::Ended(_) | Answer::Started(_) => Ok(Started {
                run: self.run(run).await?,
                existed: false,
            }),
            other => Err(unavailable(other)),
        }
    }

    /// The time is up for whoever waits for the end of a run that has just been started: what became of its start.
    async fn accepted(
        &self,
        run: RunId,
        waiting: crate::core::Client,
        mut ended: oneshot::Receiver<Answer>,
    ) -> Result<Answer, NodeError> {
        let (_, answer) = self.0.shell.ask(|client| Input::Accepted { run, client }).await?;
        let told = answer.await.map_err(|_| Stopped)?;
        // A run that is not in memory any more has told whoever waits how it ended or why it was refused, unless it sleeps.
        if let Ok(told) = ended.try_recv() {
            return Ok(told);
        }
        self.0.shell.ask(|_| Input::Forget { run, client: waiting }).await?;
        Ok(told)
    }

    /// Waits for a run's end, but no longer than the limit; gives the run as it is then.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn wait(&self, run: RunId, limit: Duration) -> Result<RunView, NodeError> {
        let (client, answer) = self.0.shell.ask(|client| Input::Wait { run, client }).await?;
        // Asked after the wait is known to the core, so that an end in between is seen by one of the two.
        let view = self.run(run).await;
        if !matches!(&view, Ok(view) if !view.status.is_final()) {
            self.0.shell.ask(|_| Input::Forget { run, client }).await?;
            return view;
        }
        self.answered(run, client, answer, limit).await?;
        self.run(run).await
    }

    async fn answered(
        &self,
        run: RunId,
        client: crate::core::Client,
        answer: oneshot::Receiver<Answer>,
        limit: Duration,
    ) -> Result<Option<Answer>, NodeError> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => Ok(Some(answer.map_err(|_| Stopped)?)),
            Err(_) => {
                self.0.shell.ask(|_| Input::Forget { run, client }).await?;
                Ok(None)
            }
        }
    }

    /// A run.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn run(&self, run: RunId) -> Result<RunView, NodeError> {
        let row = self.0.store.run_row(run).await?;
        row.map(RunView::from).ok_or_else(|| NodeError::missing("run", run))
    }

    /// Up to `limit` runs that pass a filter, the newest first, after where another page ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> Result<(Vec<RunView>, Option<RunCursor>), NodeError> {
        let page = self.0.store.list_runs(filter, after, limit).await?;
        Ok((page.runs.into_iter().map(RunView::from).collect(), page.next))
    }

    /// Up to `limit` of the things that a run's tasks did, from an event's number on.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn history(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<TaskEvent>, NodeError> {
        self.run(run).await?;
        let rows = self.0.store.timeline(run, from.checked_sub(1), limit).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| serde_json::from_value(row.entry).ok())
            .collect())
    }

    /// Asks something of a run; gives it as it is then.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn command(&self, run: RunId, command: Command) -> Result<RunView, NodeError> {
        let (_, answer) = self
            .0
            .shell
            .ask(|client| Input::Command { run, command, client })
            .await?;
        match answer.await.map_err(|_| Stopped)? {
            Answer::Taken(_) => self.run(run).await,
            Answer::Missing => Err(NodeError::missing("run", run)),
            Answer::Refused(status) => {
                let status = serde_json::to_value(status)
                    .ok()
                    .and_then(|v| v.as_str().map(str::to_owned));
                Err(NodeError::Conflict(format!(
                    "the run is {}",
                    status.unwrap_or_default()
                )))
            }
            other => Err(unavailable(other)),
        }
    }
}

/// A run that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The run.
    pub run: RunView,
    /// Whether it was there already, under the same idempotency key.
    pub existed: bool,
}

fn unavailable(answer: Answer) -> NodeError {
    match answer {
        Answer::Failed(why) => NodeError::Unavailable(why),
        Answer::Rejected(problem) => NodeError::Invalid(problem),
        other => NodeError::Unavailable(format!("the node gave no usable answer: {other:?}")),
    }
}

/// Plugins and functions.
impl Node {
    /// Installs a plugin for good.
    ///
    /// # Errors
    /// When it is no plugin, needs what it was not granted, or clashes with one that is installed.
    pub async fn install_plugin(&self, component: &[u8], grants: &Grants) -> Result<Arc<PluginInfo>, NodeError> {
        let (host, bytes, granted) = (self.0.host.clone(), component.to_vec(), grants.clone());
        // Compiling a component takes seconds: not on a thread that others wait for.
        let installed = tokio::task::spawn_blocking(move || host.install(&bytes, &granted)).await;
        let info = installed
            .map_err(|error| NodeError::Unavailable(error.to_string()))?
            .map_err(refused)?;
        let row = PluginRow {
            hash: info.hash.clone(),
            package: info.package.clone(),
            version: info.version.clone(),
            grants: grants.0.clone(),
            wit: info.wit.clone(),
            installed_at: shell::now().0,
        };
        self.0
            .store
            .commit(Write::Plugin {
                row: Box::new(row),
                bytes: component.into(),
            })
            .await?;
        Ok(info)
    }

    /// Calls a function as a run of one step.
    ///
    /// # Errors
    /// When there is no such function or the store is not to be had.
    pub async fn call_function(&self, name: &FunctionName, request: StartRequest) -> Result<Started, NodeError> {
        let function = self.0.host.resolve(name).map_err(|error| {
            let text = error.to_string();
            let known = format!("there is no function '{}'", name.name);
            let hint = text
                .strip_prefix(&known)
                .map_or_else(|| format!(": {text}"), str::to_owned);
            NodeError::NotFound {
                what: "function",
                name: name.name.clone(),
                hint,
            }
        })?;
        let prepared = self.0.deployments.step(&function, shell::now()).await;
        let prepared = prepared.map_err(|error| NodeError::Unavailable(error.to_string()))?;
        self.start_prepared(&prepared, request).await
    }
}

/// A plugin that stands against one that is installed is a conflict; any other is refused for what it is.
fn refused(error: InstallError) -> NodeError {
    match error {
        InstallError::VersionTaken { .. } | InstallError::NameTaken { .. } => NodeError::Conflict(error.to_string()),
        error => NodeError::Invalid(
            Problem::new(ErrorType::Configuration, "Plugin refused", error.to_string()).with_status(422),
        ),
    }
}

/// Installs what the store has. A plugin that this version refuses is left out, with a word in the log: the workflows that need it say so
/// when they are loaded.
///
/// # Errors
/// When the store cannot be read.
pub async fn install_stored(store: &dyn Store, host: &Host) -> Result<(), StoreError> {
    for row in store.plugins().await? {
        let Some((row, bytes)) = store.plugin(&row.hash).await? else {
            continue;
        };
        install_row(host, row, &bytes);
    }
    Ok(())
}

/// Installs a plugin as a store has it, or says in the log why it is left out.
pub fn install_row(host: &Host, row: PluginRow, bytes: &[u8]) {
    if let Err(error) = host.install(bytes, &Grants(row.grants)) {
        tracing::error!(plugin = %row.hash, %error, "a stored plugin cannot be installed");
    }
}

/// Webhooks.
impl Node {
    /// Registers a webhook: its server is told of events that come from now on.
    ///
    /// # Errors
    /// `Invalid` says what is wrong with it; `Conflict` when there are too many.
    pub async fn add_webhook(&self, new: NewWebhook) -> Result<Webhook, NodeError> {
        self.0.webhooks.add(new).await
    }

    /// All webhooks, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, NodeError> {
        self.0.webhooks.all().await
    }

    /// Forgets a webhook, and what could not be delivered to it.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn remove_webhook(&self, id: &str) -> Result<(), NodeError> {
        if self.0.webhooks.remove(id).await? {
            return Ok(());
        }
        Err(NodeError::missing("webhook", id))
    }

    /// Up to `limit` events with a number over `after` that could not be delivered to a webhook.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn dead_letters(&self, id: &str, after: u64, limit: usize) -> Result<Vec<DeadLetter>, NodeError> {
        if !self.webhooks().await?.iter().any(|hook| hook.id == id) {
            return Err(NodeError::missing("webhook", id));
        }
        self.0.webhooks.dead_letters(id, after, limit).await
    }
}

/// News.
impl Node {
    /// Follows a run from an event's number on: what was, then what comes, until it ends.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn follow(&self, run: RunId, from: u64) -> Result<crate::Following, NodeError> {
        let following = crate::Following::new(Arc::clone(&self.0.store), &*self.0.bus, run, from);
        self.run(run).await?;
        Ok(following)
    }
}
