//! The host: what the node calls.

use std::sync::Arc;

use potok_dsl::{ErrorType, FunctionName, Problem};
use serde_json::Value;

use crate::{
    CallContext, FunctionInfo, Grants, HostConfig, HostError, InstallError, PluginInfo, Provider, ResolveError,
    UninstallError,
};

/// The component host. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    config: Arc<HostConfig>,
}

#[allow(clippy::missing_errors_doc)]
impl Host {
    /// Sets up the engine.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        Ok(Self {
            config: Arc::new(config),
        })
    }
    /// Offers a capability to plugins that are installed from now on.
    pub fn add_provider(&self, provider: Arc<dyn Provider>) -> Result<(), HostError> {
        Err(HostError::Engine(format!(
            "{:?} cannot be served yet",
            provider.interfaces()
        )))
    }
    /// The full jq evaluator.
    #[must_use]
    pub fn jq(&self) -> Arc<dyn potok_expr::Jq> {
        Arc::new(NoJq)
    }
    /// Compiles, checks and describes; installs nothing.
    pub fn inspect(&self, component: &[u8], _wit: Option<&str>) -> Result<PluginInfo, InstallError> {
        Err(InstallError::Limits(format!(
            "{} of {} bytes",
            component.len(),
            self.config.memory_limit
        )))
    }
    /// Makes a plugin's functions callable.
    pub fn install(&self, component: &[u8], _grants: &Grants) -> Result<Arc<PluginInfo>, InstallError> {
        self.inspect(component, None).map(Arc::new)
    }
    /// Forgets a plugin.
    pub fn uninstall(&self, hash: &str) -> Result<(), UninstallError> {
        Err(UninstallError { hash: hash.to_owned() })
    }
    /// The installed plugins.
    #[must_use]
    pub fn plugins(&self) -> Vec<Arc<PluginInfo>> {
        Vec::new()
    }
    /// The function that a name means.
    pub fn resolve(&self, name: &FunctionName) -> Result<Arc<FunctionInfo>, ResolveError> {
        Err(ResolveError::Unknown {
            name: name.name.clone(),
            suggestion: None,
        })
    }
    /// A function by the hash of its component and its canonical name.
    #[must_use]
    pub fn function(&self, _component: &str, _canonical: &str) -> Option<Arc<FunctionInfo>> {
        None
    }
    /// Calls a function.
    pub async fn call(
        &self,
        component: &str,
        canonical: &str,
        _args: Value,
        _cx: CallContext,
    ) -> Result<Value, Problem> {
        Err(Problem::new(
            ErrorType::Configuration,
            "Unknown function",
            format!("'{canonical}' of {component} is not installed"),
        ))
    }
}

struct NoJq;

impl potok_expr::Jq for NoJq {
    fn check(&self, _: &str, _: &[&str]) -> Result<(), String> {
        Err("no jq evaluator is set up".to_owned())
    }
    fn eval(&self, _: &str, _: &Value, _: &[(&str, Arc<Value>)]) -> Result<Value, String> {
        Err("no jq evaluator is set up".to_owned())
    }
}
