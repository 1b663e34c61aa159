//! The installed plugins, and which function a name means.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use potok_dsl::FunctionName;
use semver::Version;

use crate::{
    admit::Admitted,
    call::Callable,
    error::{InstallError, ResolveError, UninstallError},
    grants::Grants,
    info::{FunctionInfo, PluginInfo},
    names::nearest,
    plugin::Draft,
};

/// The only catalog that there is.
const DEFAULT: &str = "default";

/// Plugins by hash, and functions by name and version.
#[derive(Default)]
pub(crate) struct Catalog {
    plugins: BTreeMap<String, Arc<Admitted>>,
    names: HashMap<String, Name>,
}

/// The versions of a function. They are all of one package.
struct Name {
    package: String,
    versions: BTreeMap<Version, Arc<FunctionInfo>>,
}

impl Catalog {
    /// The plugin with these bytes and these grants, if it is installed.
    pub(crate) fn installed(&self, hash: &str, grants: &Grants) -> Option<Arc<PluginInfo>> {
        self.plugins
            .get(hash)
            .filter(|plugin| plugin.grants == *grants)
            .map(|plugin| plugin.info.clone())
    }

    /// What a plugin was made from, if it is installed.
    pub(crate) fn draft(&self, hash: &str) -> Option<Arc<Draft>> {
        self.plugins.get(hash).map(|plugin| plugin.draft.clone())
    }

    /// Puts a plugin in, all of it or nothing. The same bytes with other grants replace what was there.
    pub(crate) fn insert(&mut self, plugin: Admitted) -> Result<Arc<PluginInfo>, InstallError> {
        for function in &plugin.info.functions {
            self.check(function, plugin.packages.get(&function.name).map_or("", String::as_str))?;
        }
        let info = plugin.info.clone();
        for function in &info.functions {
            let Ok(version) = Version::parse(&function.version) else {
                continue;
            };
            let package = plugin.packages.get(&function.name).cloned().unwrap_or_default();
            let name = self.names.entry(function.name.clone());
            name.or_insert_with(|| Name {
                package,
                versions: BTreeMap::new(),
            })
            .versions
            .insert(version, function.clone());
        }
        self.plugins.insert(info.hash.clone(), Arc::new(plugin));
        Ok(info)
    }

    fn check(&self, function: &FunctionInfo, package: &str) -> Result<(), InstallError> {
        let Some(name) = self.names.get(&function.name) else {
            return Ok(());
        };
        if name.package != package {
            return Err(InstallError::NameTaken {
                function: function.name.clone(),
                owner: name.package.clone(),
                package: package.to_owned(),
            });
        }
        match name.versions.values().find(|other| other.version == function.version) {
            Some(other) if other.component != function.component => Err(InstallError::VersionTaken {
                function: function.canonical.clone(),
                installed: other.component.clone(),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn remove(&mut self, hash: &str) -> Result<(), UninstallError> {
        if self.plugins.remove(hash).is_none() {
            return Err(UninstallError { hash: hash.to_owned() });
        }
        self.names.retain(|_, name| {
            name.versions.retain(|_, function| function.component != hash);
            !name.versions.is_empty()
        });
        Ok(())
    }

    pub(crate) fn plugins(&self) -> Vec<Arc<PluginInfo>> {
        let mut plugins: Vec<_> = self.plugins.values().map(|plugin| plugin.info.clone()).collect();
        plugins.sort_by(|a, b| (&a.package, &a.version, &a.hash).cmp(&(&b.package, &b.version, &b.hash)));
        plugins
    }

    /// Whether a plugin was granted a secret.
    pub(crate) fn may_have_secret(&self, hash: &str, name: &str) -> bool {
        self.plugins
            .get(hash)
            .is_some_and(|plugin| plugin.grants.allow_secret(name))
    }

    pub(crate) fn callable(&self, hash: &str, canonical: &str) -> Option<Arc<Callable>> {
        self.plugins.get(hash)?.functions.get(canonical).cloned()
    }

    /// The function that a name means: the version that it names, else the newest that is no pre-release, else the newest.
    pub(crate) fn resolve(&self, wanted: &FunctionName) -> Result<Arc<FunctionInfo>, ResolveError> {
        if let Some(catalog) = wanted.catalog.as_deref().filter(|catalog| *catalog != DEFAULT) {
            return Err(ResolveError::UnknownCatalog {
                catalog: catalog.to_owned(),
            });
        }
        let name = self.names.get(&wanted.name).ok_or_else(|| ResolveError::Unknown {
            name: wanted.name.clone(),
            suggestion: nearest(&wanted.name, self.names.keys().map(String::as_str)),
        })?;
        let found = match &wanted.version {
            Some(version) => name.versions.values().find(|function| function.version == *version),
            None => {
                let newest = name.versions.iter().rev();
                newest
                    .clone()
                    .find(|(version, _)| version.pre.is_empty())
                    .or_else(|| newest.clone().next())
                    .map(|(_, f)| f)
            }
        };
        found.cloned().ok_or_else(|| ResolveError::UnknownVersion {
            name: wanted.name.clone(),
            version: wanted.version.clone().unwrap_or_default(),
            installed: name.versions.keys().rev().map(ToString::to_string).collect(),
        })
    }
}
