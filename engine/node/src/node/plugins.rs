//! Plugins, installed for good, and their functions, called as runs of one step.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use potok_dsl::{ErrorType, FunctionName, Problem, TaskPath};
use potok_journal::{PluginRow, Store, StoreError, Write};
use potok_wasm::{CallContext, FunctionInfo, Grants, Host, InstallError, PluginInfo};
use serde_json::Value;
use uuid::Uuid;

use super::{Node, NodeError, StartRequest, Started};
use crate::shell;

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
        let function = self.resolve(name)?;
        let prepared = self.0.deployments.step(&function, shell::now()).await;
        let prepared = prepared.map_err(|error| NodeError::Unavailable(error.to_string()))?;
        self.start_prepared(&prepared, request).await
    }

    /// Asks a function outside of any run, for those that only look: nothing of it is kept, and after a crash it is not asked again.
    ///
    /// # Errors
    /// When there is no such function, and what it says.
    pub async fn look(&self, name: &FunctionName, arguments: Value, limit: Duration) -> Result<Value, NodeError> {
        let function = self.resolve(name)?;
        let cx = CallContext {
            run: None,
            path: TaskPath("/look".into()),
            idempotency_key: Uuid::now_v7().to_string().into(),
            sequence: 0,
            deadline: Instant::now() + limit,
            now: shell::now(),
            confidential: false,
            tables: Arc::clone(&self.0.tables),
        };
        let called = self
            .0
            .host
            .call(&function.component, &function.canonical, arguments, cx);
        called.await.map_err(NodeError::Invalid)
    }

    fn resolve(&self, name: &FunctionName) -> Result<Arc<FunctionInfo>, NodeError> {
        self.0.host.resolve(name).map_err(|error| {
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
        })
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

/// Installs what the store has and the host has not, but for what is left to others. A plugin that this version refuses is left out, with a word in the log: the workflows that need it say so
/// when they are loaded.
///
/// # Errors
/// When the store cannot be read.
pub async fn install_stored(
    store: &dyn Store,
    host: &Host,
    left: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(), StoreError> {
    for row in store.plugins().await? {
        if host.has(&row.hash) || left(&row.hash) {
            continue;
        }
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
