//! Puts the engine together: the one place that knows every room and every provider.

use std::{path::Path, sync::Arc, time::Duration};

use potok_bus::InProcess;
use potok_calls::{Egress, EgressPolicy, HttpCaller, Shell};
use potok_dsl::{Problem, TaskPath, Timestamp};
use potok_journal::{PluginRow, SqliteStore, Store, Write};
use potok_machine::LockedFunction;
use potok_node::{KeptSecrets, KeyPlace, Node, NodeConfig, NodeParts, Retention, RunRetention};
use potok_rehearse::Pure;
use potok_sandbox::RunningSandbox;
use potok_secrets::{Environment, Files, Source, Vault};
use potok_wasm::{CallContext, FunctionInfo, Grants, Host, HostConfig, InstallError, PluginInfo, Provider, Tables};
use serde_json::Value;

use crate::{args::EngineArgs, config::Config, exit::Failure, providers};

/// How often it is looked which runs may leave.
const RETENTION_ROUND: Duration = Duration::from_secs(60);

/// A node with what belongs to it.
pub struct Engine {
    pub node: Node,
    sandbox: Option<RunningSandbox>,
    /// Removed when the engine goes, for runs that nobody asked to keep.
    _scratch: Option<tempfile::TempDir>,
}

impl Engine {
    /// Starts a node on a data directory; on one that vanishes with it when `keep` is false and none was named.
    pub async fn start(config: &Config, args: &EngineArgs, keep: bool) -> Result<Self, Failure> {
        let scratch = if keep || args.data_dir.is_some() {
            None
        } else {
            Some(tempfile::tempdir()?)
        };
        let directory = scratch
            .as_ref()
            .map_or(config.data_dir.as_path(), tempfile::TempDir::path);
        let sandbox = if args.sandbox {
            Some(providers::start_sandbox(directory).await?)
        } else {
            None
        };
        let store = store(directory)?;
        let host = host(config)?;
        let key = match &scratch {
            Some(scratch) => KeyPlace::File(scratch.path().join("potok.key")),
            None => secrets_key(config),
        };
        for provider in providers::all(config, sandbox.as_ref(), key)? {
            store
                .apply_migrations(&migrations(&*provider))
                .await
                .map_err(|e| Failure::Other(format!("a provider's tables cannot be made: {e}")))?;
            host.add_provider(provider).map_err(|e| Failure::Other(e.to_string()))?;
        }
        match &scratch {
            // The shipped ones are in the binary, and need not be read.
            None => potok_node::install_stored(&*store, &host, &is_shipped)
                .await
                .map_err(|e| Failure::Other(e.to_string()))?,
            // What people have installed is there for a run that nothing is kept of, too.
            Some(_) => install_kept(&host, config),
        }
        let shipped = install_shipped(&host, &Grants(config.plugins.grants.clone()))?;
        if scratch.is_none() {
            keep_shipped(&*store, shipped).await?;
        }
        let http = HttpCaller::new(egress(config)?);
        let parts = NodeParts {
            store,
            host,
            http,
            shell: shell(config),
            // What people have set is there for a run that nothing is kept of, too.
            vault: if scratch.is_some() {
                vault_with_stored(config)?
            } else {
                vault(config)
            },
            secrets_key: if scratch.is_some() {
                KeyPlace::None
            } else {
                secrets_key(config)
            },
            bus: Arc::new(InProcess::default()),
        };
        let settings = NodeConfig {
            call_timeout: config.call_timeout(),
            calls: config.node.calls,
            triggers: keep,
            retention: Retention {
                age: Duration::from_secs(config.events.age),
                count: config.events.count,
            },
            runs: retention(config).filter(|_| keep),
            ..NodeConfig::default()
        };
        let node = Node::start(parts, settings).await?;
        Ok(Self {
            node,
            sandbox,
            _scratch: scratch,
        })
    }

    /// The local stand-ins, if they were asked for.
    pub fn sandbox(&self) -> Option<&RunningSandbox> {
        self.sandbox.as_ref()
    }

    /// Writes everything down and stops.
    pub async fn stop(self) {
        self.node.stop().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// How long runs that have ended stay.
fn retention(config: &Config) -> Option<RunRetention> {
    let section = &config.retention;
    let archive = match section.archive.as_str() {
        "" => config.data_dir.join("archive"),
        directory => directory.into(),
    };
    (section.age > 0 || section.count > 0).then(|| RunRetention {
        age: Some(Duration::from_secs(section.age)).filter(|age| !age.is_zero()),
        count: Some(section.count).filter(|count| *count > 0),
        archive,
        every: RETENTION_ROUND,
    })
}

/// The store of a data directory.
pub fn store(directory: &Path) -> Result<Arc<dyn potok_journal::Store>, Failure> {
    let store = SqliteStore::open(directory.join("potok.db"), &potok_journal::Config::default());
    Ok(Arc::new(store.map_err(|e| Failure::Other(e.to_string()))?))
}

/// Where secrets of workflows come from before the store is asked.
pub fn vault(config: &Config) -> Vault {
    let mut sources: Vec<Arc<dyn Source>> = vec![Arc::new(Environment::new(std::env::vars()))];
    if !config.secrets.path.is_empty() {
        sources.push(Arc::new(Files::new(config.secrets.path.clone().into())));
    }
    Vault::new(sources)
}

/// All places of secrets, those of the data directory as they are now.
pub fn vault_with_stored(config: &Config) -> Result<Vault, Failure> {
    let (vault, database) = (vault(config), config.data_dir.join("potok.db"));
    if !database.exists() {
        return Ok(vault);
    }
    let kept = KeptSecrets::look_into(&database, secrets_key(config));
    Ok(vault.with(Arc::new(kept.map_err(|e| Failure::Other(e.to_string()))?)))
}

/// Where the key of the store's secrets is: beside the data directory, so that a copy of the data is not a copy of the key.
pub fn secrets_key(config: &Config) -> KeyPlace {
    let secrets = &config.secrets;
    if !secrets.key.is_empty() {
        return KeyPlace::text(secrets.key.clone(), "secrets.key (POTOK_SECRETS_KEY)");
    }
    if !secrets.key_file.is_empty() {
        return KeyPlace::File(secrets.key_file.clone().into());
    }
    let data = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let mut name = data
        .file_name()
        .map_or_else(|| "potok".into(), std::ffi::OsStr::to_owned);
    name.push(".key");
    KeyPlace::File(data.with_file_name(name))
}

/// The host alone, for what needs no store: checking, drawing, listing.
pub fn bare_host(config: &Config) -> Result<Host, Failure> {
    let host = host(config)?;
    for provider in providers::all(config, None, KeyPlace::None)? {
        host.add_provider(provider).map_err(|e| Failure::Other(e.to_string()))?;
    }
    install_shipped(&host, &Grants(config.plugins.grants.clone()))?;
    Ok(host)
}

/// What runs commands, if the operator allows it.
fn shell(config: &Config) -> Option<Shell> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    config.shell.enabled.then(|| Shell::new(path))
}

/// The way out of what workflows send.
pub fn egress(config: &Config) -> Result<Egress, Failure> {
    let policy = EgressPolicy::new(&config.egress.allow).map_err(|e| Failure::Usage(format!("egress.allow: {e}")))?;
    Ok(Egress::new(policy))
}

fn host(config: &Config) -> Result<Host, Failure> {
    let limits = HostConfig {
        cache_dir: cache_dir(),
        memory_limit: config.node.plugin_memory * 1024 * 1024,
        ..HostConfig::default()
    };
    Host::new(limits).map_err(|e| Failure::Other(e.to_string()))
}

/// Compiled code is kept beside other caches of the user: it belongs to this machine, not to the data.
fn cache_dir() -> Option<std::path::PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(base.join("potok").join("compiled"))
}

/// The host with what a data directory has installed beside the shipped plugins; nothing is started, and a server may have the directory.
pub fn host_with_stored(config: &Config) -> Result<Host, Failure> {
    let host = host(config)?;
    for provider in providers::all(config, None, KeyPlace::None)? {
        host.add_provider(provider).map_err(|e| Failure::Other(e.to_string()))?;
    }
    install_kept(&host, config);
    install_shipped(&host, &Grants(config.plugins.grants.clone()))?;
    Ok(host)
}

/// What there is to call, by name and version.
pub fn functions(host: &Host) -> Vec<Arc<FunctionInfo>> {
    let plugins = host.plugins();
    let mut functions: Vec<_> = plugins.iter().flat_map(|plugin| plugin.functions.clone()).collect();
    functions.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    functions
}

/// Installs what the data directory has, if there is one. Where it cannot be read the log says so: what needs a plugin of it will say that it is
/// missing, and what needs none does without.
fn install_kept(host: &Host, config: &Config) {
    let database = config.data_dir.join("potok.db");
    if !database.exists() {
        return;
    }
    match SqliteStore::plugins_in(&database) {
        Ok(plugins) => {
            for (row, bytes) in plugins {
                potok_node::install_row(host, row, &bytes);
            }
        }
        Err(error) => tracing::warn!(%error, "the plugins of the data directory are left out"),
    }
}

/// What pure functions need when there is no node: the host, and tables that vanish with it.
pub struct Backstage {
    host: Host,
    tables: Arc<dyn Tables>,
    runtime: tokio::runtime::Handle,
    limit: Duration,
    _scratch: tempfile::TempDir,
}

impl Backstage {
    /// The host with what is installed, and empty tables.
    pub async fn new(config: &Config) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let store = SqliteStore::open(scratch.path().join("potok.db"), &potok_journal::Config::default());
        let store: Arc<dyn Store> = Arc::new(store.map_err(|e| Failure::Other(e.to_string()))?);
        let host = host(config)?;
        for provider in providers::all(config, None, KeyPlace::None)? {
            store
                .apply_migrations(&migrations(&*provider))
                .await
                .map_err(|e| Failure::Other(format!("a provider's tables cannot be made: {e}")))?;
            host.add_provider(provider).map_err(|e| Failure::Other(e.to_string()))?;
        }
        install_kept(&host, config);
        install_shipped(&host, &Grants(config.plugins.grants.clone()))?;
        Ok(Self {
            host,
            tables: potok_node::tables(store),
            runtime: tokio::runtime::Handle::current(),
            limit: config.call_timeout(),
            _scratch: scratch,
        })
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn tables(&self) -> &Arc<dyn Tables> {
        &self.tables
    }
}

/// Never called on a thread of the runtime: it waits.
impl Pure for Backstage {
    fn call(&self, function: &LockedFunction, arguments: &Value, key: &str) -> Result<Value, Problem> {
        let cx = CallContext {
            run: None,
            path: TaskPath("/test".into()),
            idempotency_key: key.into(),
            sequence: 0,
            deadline: std::time::Instant::now() + self.limit,
            now: Timestamp(0),
            // Secrets stay placeholders in a rehearsal.
            confidential: false,
            tables: Arc::clone(&self.tables),
        };
        let call = self
            .host
            .call(&function.component, &function.function, arguments.clone(), cx);
        self.runtime.block_on(call)
    }
}

/// The store of a data directory that is there already.
pub fn existing_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let database = config.data_dir.join("potok.db");
    if !database.exists() {
        let place = config.data_dir.display();
        return Err(Failure::Usage(format!(
            "there is no data in {place}; name the directory with --data-dir"
        )));
    }
    let store = SqliteStore::open(database, &potok_journal::Config::default());
    Ok(Arc::new(store.map_err(|e| Failure::Other(e.to_string()))?))
}

fn migrations(provider: &dyn Provider) -> Vec<potok_journal::ProviderMigration> {
    let migration = |m: &potok_wasm::Migration| potok_journal::ProviderMigration {
        owner: m.owner,
        version: m.version,
        sql: m.sql,
    };
    provider.migrations().iter().map(migration).collect()
}

/// A shipped plugin that is installed.
struct Shipped {
    info: Arc<PluginInfo>,
    bytes: Vec<u8>,
}

/// Whether a component is in this binary.
fn is_shipped(hash: &str) -> bool {
    potok_plugins::shipped().iter().any(|component| component.hash == hash)
}

/// Installs the shipped plugins. Where the data directory has other bytes under the same version (from the binary before an upgrade), those
/// stay: a version is a promise, and deployed workflows are bound to it.
fn install_shipped(host: &Host, grants: &Grants) -> Result<Vec<Shipped>, Failure> {
    let mut shipped = Vec::new();
    for (component, installed) in installed_at_once(host, grants) {
        let failed = |e: &dyn std::fmt::Display| Failure::Other(format!("{}: {e}", component.name));
        let (bytes, info) = installed.map_err(|e| failed(&e))?;
        match info {
            Ok(info) => shipped.push(Shipped { info, bytes }),
            Err(InstallError::VersionTaken { .. }) => {
                tracing::warn!(
                    plugin = component.name,
                    "the data directory's plugin of this version stays in use"
                );
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(shipped)
}

type Installed = Result<(Vec<u8>, Result<Arc<PluginInfo>, InstallError>), String>;

/// Unpacks and installs the shipped plugins, each on a thread of its own: that is most of what a start takes.
fn installed_at_once(host: &Host, grants: &Grants) -> Vec<(&'static potok_plugins::Component, Installed)> {
    let install = |component: &potok_plugins::Component| {
        let bytes = component.decompress().map_err(|e| e.to_string())?;
        let info = host.install(&bytes, grants);
        Ok((bytes, info))
    };
    std::thread::scope(|scope| {
        let components = potok_plugins::shipped().iter();
        let threads: Vec<_> = components
            .map(|component| (component, scope.spawn(move || install(component))))
            .collect();
        let ended = threads.into_iter();
        let joined = ended.map(|(component, thread)| {
            let installed = thread
                .join()
                .unwrap_or_else(|_| Err("installing it crashed".to_owned()));
            (component, installed)
        });
        joined.collect()
    })
}

/// Keeps the shipped plugins beside the data, so that what is deployed today still runs under the binary of tomorrow.
async fn keep_shipped(store: &dyn potok_journal::Store, shipped: Vec<Shipped>) -> Result<(), Failure> {
    let failed = |e: potok_journal::StoreError| Failure::Other(e.to_string());
    let kept = store.plugins().await.map_err(failed)?;
    for Shipped { info, bytes } in shipped {
        if kept.iter().any(|row| row.hash == info.hash) {
            continue;
        }
        let row = PluginRow {
            hash: info.hash.clone(),
            package: info.package.clone(),
            version: info.version.clone(),
            grants: info
                .imports
                .iter()
                .filter_map(|import| import.granted_by.clone())
                .collect(),
            wit: None,
            installed_at: 0,
        };
        let write = Write::Plugin {
            row: Box::new(row),
            bytes: bytes.into(),
        };
        store.commit(write).await.map_err(failed)?;
    }
    Ok(())
}
