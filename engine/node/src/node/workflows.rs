//! Deployed workflows, and the triggers of those that are active.

use std::{path::Path, sync::Arc};

use potok_dsl::WorkflowId;
use potok_journal::StoreError;

use super::{Node, NodeError};
use crate::{
    WorkflowView,
    deploy::{DeployError, Prepared},
    shell::{self, Message, Stopped},
};

impl Node {
    /// Deploys a text. A draft may take the place of a draft of the same version; a version that is deployed for good keeps its text for ever.
    ///
    /// # Errors
    /// [`DeployError`]: the diagnostics, the diff to the known text, or the store's trouble.
    pub async fn deploy(&self, file: &str, text: &str, draft: bool) -> Result<Deployment, DeployError> {
        if !draft && let Some(known) = self.0.deployments.known(text).await? {
            let mut warnings = self.0.deployments.binder().lint_known(&known);
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

    pub(super) async fn watch_stored(&self) -> Result<(), NodeError> {
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
