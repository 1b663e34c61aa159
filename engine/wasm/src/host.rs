//! The host: what the node calls.

use std::{
    borrow::Cow,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use potok_code::CodeCache;
use potok_dsl::{ErrorType, FunctionName, Problem};
use serde_json::Value;
use wasmtime::{Engine, component::Linker};

use crate::{
    admit::{Providers, admit, describe},
    call::Calls,
    catalog::Catalog,
    config::HostConfig,
    engine::{self, Ticker},
    error::{HostError, InstallError, ResolveError, UninstallError},
    grants::Grants,
    info::{FunctionInfo, PluginInfo},
    jq::Filters,
    ledger::Ledger,
    plugin,
    provider::{CallContext, Provider},
    state::State,
    wit::{WitText, with_wit},
};

/// The component host. Cheap to clone; the last clone to be dropped stops its threads.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    cache: Option<Arc<CodeCache>>,
    wasi: Linker<State>,
    providers: RwLock<Providers>,
    catalog: RwLock<Catalog>,
    calls: Calls,
    jq: Arc<Filters>,
}

impl Host {
    /// Sets up the engine, the pool and the cache of compiled code.
    ///
    /// # Errors
    /// When the machine cannot give the address space, or the directory for compiled code cannot be used.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let cache = config.cache_dir.as_deref().map(open_code).transpose()?.map(Arc::new);
        let engine = engine::for_calls(&config)?;
        let mut wasi = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut wasi).map_err(|error| HostError::Engine(format!("{error:#}")))?;
        let ticker = Ticker::start(&engine)?;
        let jq = Arc::new(Filters::new(cache.clone()));
        let calls = Calls::new(config, ticker);
        let (providers, catalog) = (RwLock::default(), RwLock::default());
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                cache,
                wasi,
                providers,
                catalog,
                calls,
                jq,
            }),
        })
    }

    /// Offers a capability to plugins that are inspected or installed from now on.
    ///
    /// # Errors
    /// When one of its interfaces already has a provider.
    pub fn add_provider(&self, provider: Arc<dyn Provider>) -> Result<(), HostError> {
        write(&self.inner.providers).add(&provider)
    }

    /// The full jq evaluator: the jq component in warm instances, limited by fuel and memory. It is compiled when it is
    /// first needed.
    #[must_use]
    pub fn jq(&self) -> Arc<dyn potok_expr::Jq> {
        self.inner.jq.clone()
    }

    /// Compiles (or takes from the cache), checks and describes a component; installs nothing, refuses no import. With a WIT text,
    /// it is described as [`with_wit`] would make it, its hash too. Compiling takes a while: not for an async thread.
    ///
    /// # Errors
    /// When the bytes can be no plugin; the message says why.
    pub fn inspect(&self, component: &[u8], wit: Option<&str>) -> Result<PluginInfo, InstallError> {
        let bytes = match wit {
            Some(text) => {
                WitText::parse(text).map_err(InstallError::Wit)?;
                Cow::Owned(with_wit(component, text))
            }
            None => Cow::Borrowed(component),
        };
        let draft = plugin::read(&self.inner.engine, self.inner.cache.as_deref(), &bytes, hash(&bytes))?;
        Ok(describe(&draft, &read(&self.inner.providers)))
    }

    /// Makes a component's functions callable, all or none. The same bytes again change nothing, except that other grants replace
    /// the earlier ones. Running calls are not disturbed. Compiling takes a while: not for an async thread.
    ///
    /// # Errors
    /// When the bytes can be no plugin, an import is not covered by a grant or has no provider, or a name or version is taken.
    pub fn install(&self, component: &[u8], grants: &Grants) -> Result<Arc<PluginInfo>, InstallError> {
        let hash = hash(component);
        if let Some(info) = read(&self.inner.catalog).installed(&hash, grants) {
            return Ok(info);
        }
        // Other grants for the same bytes: they are linked anew, and not read again.
        let known = read(&self.inner.catalog).draft(&hash);
        let draft = match known {
            Some(draft) => draft,
            None => Arc::new(plugin::read(
                &self.inner.engine,
                self.inner.cache.as_deref(),
                component,
                hash,
            )?),
        };
        let providers = read(&self.inner.providers).clone();
        let plugin = admit(draft, grants, &providers, &self.inner.wasi)?;
        write(&self.inner.catalog).insert(plugin)
    }

    /// Whether a plugin is installed under the hash.
    #[must_use]
    pub fn has(&self, hash: &str) -> bool {
        read(&self.inner.catalog).draft(hash).is_some()
    }

    /// Forgets a plugin. Running calls end as they would have; whether anything has it locked is for the caller to know.
    ///
    /// # Errors
    /// When nothing is installed under the hash.
    pub fn uninstall(&self, hash: &str) -> Result<(), UninstallError> {
        write(&self.inner.catalog).remove(hash)
    }

    /// The installed plugins, by package and version.
    #[must_use]
    pub fn plugins(&self) -> Vec<Arc<PluginInfo>> {
        read(&self.inner.catalog).plugins()
    }

    /// The function that a name means: in the version that it names, else in the newest.
    ///
    /// # Errors
    /// When there is none; the message offers the nearest name, or the versions that are installed.
    pub fn resolve(&self, name: &FunctionName) -> Result<Arc<FunctionInfo>, ResolveError> {
        read(&self.inner.catalog).resolve(name)
    }

    /// A function by the hash of its component and its canonical name.
    #[must_use]
    pub fn function(&self, component: &str, canonical: &str) -> Option<Arc<FunctionInfo>> {
        read(&self.inner.catalog)
            .callable(component, canonical)
            .map(|callable| callable.info.clone())
    }

    /// Whether the arguments of a component's functions may hold a secret: its grants say so.
    #[must_use]
    pub fn may_have_secret(&self, component: &str, secret: &str) -> bool {
        read(&self.inner.catalog).may_have_secret(component, secret)
    }

    /// Calls a function in a fresh instance, until the context's deadline. Dropping the future ends the call.
    ///
    /// # Errors
    /// A [`Problem`]: of type validation when the arguments do not fit, of the plugin's own type when it returned an error, timeout after
    /// the deadline, runtime when it trapped or ran into a limit, configuration when it is not installed, and whatever a provider said
    /// where the plugin could not take it.
    pub async fn call(&self, component: &str, canonical: &str, args: Value, cx: CallContext) -> Result<Value, Problem> {
        self.call_with(component, canonical, args, cx, None).await
    }

    /// As [`Self::call`], and what the function asks of capabilities with effects goes through a ledger.
    ///
    /// # Errors
    /// As [`Self::call`], and what the ledger says.
    pub async fn call_kept(
        &self,
        component: &str,
        canonical: &str,
        args: Value,
        cx: CallContext,
        ledger: Arc<dyn Ledger>,
    ) -> Result<Value, Problem> {
        self.call_with(component, canonical, args, cx, Some(ledger)).await
    }

    async fn call_with(
        &self,
        component: &str,
        canonical: &str,
        args: Value,
        cx: CallContext,
        ledger: Option<Arc<dyn Ledger>>,
    ) -> Result<Value, Problem> {
        let callable = read(&self.inner.catalog).callable(component, canonical);
        let Some(callable) = callable else {
            let detail = format!("the function {canonical} of component {component} is not installed on this node");
            return Err(Problem::new(ErrorType::Configuration, "Function not installed", detail));
        };
        self.inner.calls.call(&callable, args, cx, ledger).await
    }
}

fn hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    crate::hex(&Sha256::digest(bytes))
}

/// What is behind these locks is replaced whole, so a panic elsewhere leaves it as it was.
fn open_code(dir: &Path) -> Result<CodeCache, HostError> {
    CodeCache::open(dir).map_err(|error| HostError::Cache {
        dir: dir.display().to_string(),
        reason: error.to_string(),
    })
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
