//! A node to measure on: a fresh data directory, the measuring plugins, default settings.

use std::{path::Path, sync::Arc};

use potok_dsl::FunctionName;
use potok_node::{Node, deploy::Prepared};
use potok_wasm::Grants;

use super::counter::Counter;
use crate::{args::EngineArgs, config::Config, engine::Engine, exit::Failure};

/// A node and where its data is.
pub struct Bench {
    pub engine: Engine,
    directory: tempfile::TempDir,
}

impl Bench {
    pub async fn start(config: &Config) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(".").or_else(|_| tempfile::tempdir())?;
        let config = Config {
            data_dir: directory.path().to_owned(),
            ..config.clone()
        };
        let engine = Engine::start(&config, &EngineArgs::default(), true).await?;
        let host = engine.node.host();
        host.add_provider(Arc::new(Counter::default()))
            .map_err(|e| Failure::Other(e.to_string()))?;
        for component in potok_plugins::fixtures() {
            let bytes = component.decompress().map_err(|e| Failure::Other(e.to_string()))?;
            // One fixture asks for what nobody grants: that is what it is for.
            let _ = host.install(&bytes, &Grants::all());
        }
        Ok(Self { engine, directory })
    }

    pub fn node(&self) -> &Node {
        &self.engine.node
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Deploys a workflow with these tasks.
    pub async fn deploy(&self, name: &str, tasks: &str) -> Result<Arc<Prepared>, Failure> {
        let text =
            format!("document: {{ dsl: '1.0.3', namespace: bench, name: {name}, version: '1.0.0' }}\ndo:\n{tasks}");
        self.node().deploy(name, &text, false).await?;
        Ok(self.node().workflow("bench", name, None).await?.1)
    }

    pub fn function(&self, name: &str) -> Result<Arc<potok_wasm::FunctionInfo>, Failure> {
        let name: FunctionName = name
            .parse()
            .map_err(|e: potok_dsl::NameError| Failure::Other(e.to_string()))?;
        self.node()
            .host()
            .resolve(&name)
            .map_err(|e| Failure::Other(e.to_string()))
    }
}

/// So many steps in a row that each add one.
pub fn sequence(function: &str, steps: usize) -> String {
    use std::fmt::Write;
    let mut tasks = String::new();
    for n in 0..steps {
        // Writing to a string cannot fail.
        let _ = writeln!(
            tasks,
            "  - s{n}: {{ call: {function}, with: {{ number: '${{ .n }}' }}, output: {{ as: {{ n: '${{ . }}' }} }} }}"
        );
    }
    tasks
}
