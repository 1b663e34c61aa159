//! What a plugin may import: grants against providers, and the linking of what was granted.

use std::{collections::HashMap, sync::Arc};

use wasmtime::component::{InstancePre, Linker};

use crate::{
    call::Callable,
    error::{HostError, InstallError},
    grants::Grants,
    info::{FunctionInfo, ImportInfo, ImportKind, PluginInfo},
    link::{Imported, link},
    names::InterfaceName,
    plugin::{Draft, Import},
    provider::Provider,
    shape::Signature,
    state::State,
};

/// WASI packages with nothing behind them, which every plugin may import.
const HARMLESS: [&str; 5] = ["io", "clocks", "random", "cli", "filesystem"];

/// WASI packages that are offered, closed as they are, only to those who are granted them by name.
const CLOSED: [&str; 1] = ["sockets"];

/// The providers by the interfaces that they serve.
#[derive(Default, Clone)]
pub(crate) struct Providers(HashMap<String, Arc<dyn Provider>>);

impl Providers {
    pub(crate) fn add(&mut self, provider: &Arc<dyn Provider>) -> Result<(), HostError> {
        if let Some(taken) = provider
            .interfaces()
            .iter()
            .find(|interface| self.0.contains_key(**interface))
        {
            return Err(HostError::DuplicateProvider((*taken).to_owned()));
        }
        for interface in provider.interfaces() {
            self.0.insert((*interface).to_owned(), provider.clone());
        }
        Ok(())
    }

    fn offered(&self) -> String {
        let mut names: Vec<_> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        if names.is_empty() {
            "no capabilities".to_owned()
        } else {
            names.join(", ")
        }
    }
}

/// A plugin, linked.
pub(crate) struct Admitted {
    pub(crate) info: Arc<PluginInfo>,
    /// What it was made from, for other grants.
    pub(crate) draft: Arc<Draft>,
    pub(crate) grants: Grants,
    pub(crate) functions: HashMap<String, Arc<Callable>>,
    /// The package of each function, by the function's name without version.
    pub(crate) packages: HashMap<String, String>,
}

/// How an import stands: what it is, who serves it, and whether it may be linked.
struct Standing {
    info: ImportInfo,
    provider: Option<Arc<dyn Provider>>,
    refused: Option<InstallError>,
}

/// What the plugin would be, without linking or refusing anything.
pub(crate) fn describe(draft: &Draft, providers: &Providers) -> PluginInfo {
    let standings = standings(draft, providers, &Grants::none());
    info(draft, standings.into_iter().map(|standing| standing.info).collect())
}

/// Links a plugin to what it was granted.
pub(crate) fn admit(
    draft: Arc<Draft>,
    grants: &Grants,
    providers: &Providers,
    wasi: &Linker<State>,
) -> Result<Admitted, InstallError> {
    let mut linker = wasi.clone();
    let mut imports = Vec::new();
    for (import, standing) in draft.imports.iter().zip(standings(&draft, providers, grants)) {
        if let Some(refused) = standing.refused {
            return Err(refused);
        }
        if let Some(provider) = standing.provider {
            let functions = imported(import, &standing.info, &provider)?;
            link(&mut linker, &import.name, functions).map_err(|error| unlinked(&draft, &error))?;
        }
        imports.push(standing.info);
    }
    let pre = linker
        .instantiate_pre(&draft.component)
        .map_err(|error| unlinked(&draft, &error))?;
    let info = Arc::new(info(&draft, imports));
    let packages = draft
        .functions
        .iter()
        .map(|f| (f.name.clone(), f.package.clone()))
        .collect();
    Ok(Admitted {
        functions: callables(&draft, &info, &pre),
        info,
        draft,
        grants: grants.clone(),
        packages,
    })
}

fn callables(draft: &Draft, info: &PluginInfo, pre: &InstancePre<State>) -> HashMap<String, Arc<Callable>> {
    // The pool has four tables for each memory.
    let needs = draft.component.resources_required();
    let share = needs
        .map_or(1, |needs| needs.num_memories.max(needs.num_tables.div_ceil(4)))
        .max(1);
    let functions = draft.functions.iter().zip(&info.functions);
    functions
        .map(|(function, info)| {
            let callable = Callable {
                info: info.clone(),
                pre: pre.clone(),
                index: function.index,
                signature: function.signature.clone(),
                plugin: function.plugin.clone(),
                share,
            };
            (info.canonical.clone(), Arc::new(callable))
        })
        .collect()
}

fn unlinked(draft: &Draft, error: &wasmtime::Error) -> InstallError {
    InstallError::Link {
        plugin: draft.package.clone(),
        reason: format!("{error:#}"),
    }
}

fn imported(import: &Import, info: &ImportInfo, provider: &Arc<dyn Provider>) -> Result<Vec<Imported>, InstallError> {
    let interface: Arc<str> = info.interface.as_str().into();
    let functions = import.functions.iter().map(|(function, ty)| {
        let signature = Signature::of(&format!("{}.{function}", import.name), ty)?;
        let (interface, provider) = (interface.clone(), provider.clone());
        Ok(Imported {
            interface,
            function: function.clone(),
            signature,
            provider,
        })
    });
    functions.collect()
}

fn info(draft: &Draft, imports: Vec<ImportInfo>) -> PluginInfo {
    let pure = imports
        .iter()
        .all(|import| matches!(import.kind, ImportKind::Wasi | ImportKind::PureCapability));
    let functions = draft.functions.iter().map(|function| {
        Arc::new(FunctionInfo {
            name: function.name.clone(),
            version: function.version.clone(),
            canonical: format!("{}:{}", function.name, function.version),
            component: draft.hash.clone(),
            docs: function.docs.clone(),
            input_schema: function.input_schema.clone(),
            output_schema: function.output_schema.clone(),
            error_schema: function.error_schema.clone(),
            pure,
        })
    });
    PluginInfo {
        hash: draft.hash.clone(),
        package: draft.package.clone(),
        version: draft.version.clone(),
        functions: functions.collect(),
        imports,
        pure,
        size: draft.size,
        docs: draft.docs.clone(),
        wit: draft.wit.clone(),
    }
}

fn standings(draft: &Draft, providers: &Providers, grants: &Grants) -> Vec<Standing> {
    let stand = |import: &Import| {
        let name = InterfaceName::parse(&import.name)?;
        let standing = if name.namespace == "wasi" { wasi } else { capability };
        Some(standing(&draft.package, &import.name, &name, providers, grants))
    };
    draft.imports.iter().filter_map(stand).collect()
}

fn standing(name: &InterfaceName<'_>, kind: ImportKind) -> Standing {
    let version = name.version.map(str::to_owned);
    Standing {
        info: ImportInfo {
            interface: name.id(),
            version,
            kind,
            granted_by: None,
        },
        provider: None,
        refused: None,
    }
}

/// Without a provider: what it may use of WASI has nothing behind it.
fn wasi(plugin: &str, import: &str, name: &InterfaceName<'_>, providers: &Providers, grants: &Grants) -> Standing {
    if HARMLESS.contains(&name.package) {
        return standing(name, ImportKind::Wasi);
    }
    if !CLOSED.contains(&name.package) {
        return Standing {
            refused: Some(no_provider(plugin, import, providers)),
            ..standing(name, ImportKind::Unknown)
        };
    }
    let mut standing = standing(name, ImportKind::Wasi);
    match grants.cover(name) {
        Some(cover) if cover.narrowing.is_none() => standing.info.granted_by = Some(cover.grant.to_owned()),
        Some(cover) => standing.refused = Some(unknown_narrowing(name, cover.grant)),
        None => standing.refused = Some(not_granted(plugin, import, name)),
    }
    standing
}

fn capability(
    plugin: &str,
    import: &str,
    name: &InterfaceName<'_>,
    providers: &Providers,
    grants: &Grants,
) -> Standing {
    let Some(provider) = providers.0.get(&name.id()) else {
        return Standing {
            refused: Some(no_provider(plugin, import, providers)),
            ..standing(name, ImportKind::Unknown)
        };
    };
    let kind = if provider.pure() {
        ImportKind::PureCapability
    } else {
        ImportKind::Capability
    };
    let mut standing = standing(name, kind);
    let Some(cover) = grants.cover(name) else {
        standing.refused = Some(not_granted(plugin, import, name));
        return standing;
    };
    standing.info.granted_by = Some(cover.grant.to_owned());
    match cover.narrowing {
        None => standing.provider = Some(provider.clone()),
        Some(narrowing) => match provider.clone().narrowed(narrowing) {
            Some(narrowed) => standing.provider = Some(narrowed),
            None => standing.refused = Some(unknown_narrowing(name, cover.grant)),
        },
    }
    standing
}

fn no_provider(plugin: &str, import: &str, providers: &Providers) -> InstallError {
    let offered = providers.offered();
    InstallError::NoProvider {
        plugin: plugin.to_owned(),
        interface: import.to_owned(),
        offered,
    }
}

fn not_granted(plugin: &str, import: &str, name: &InterfaceName<'_>) -> InstallError {
    let grant = name.package.to_owned();
    InstallError::NotGranted {
        plugin: plugin.to_owned(),
        interface: import.to_owned(),
        grant,
    }
}

fn unknown_narrowing(name: &InterfaceName<'_>, grant: &str) -> InstallError {
    InstallError::UnknownNarrowing {
        grant: grant.to_owned(),
        interface: name.id(),
        wide: name.package.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn standing_of(import: &str, grants: &str) -> Standing {
        let name = InterfaceName::parse(import).unwrap();
        wasi(
            "potok:book",
            import,
            &name,
            &Providers::default(),
            &grants.parse().unwrap(),
        )
    }

    #[test]
    fn wasi_is_harmless_closed_or_not_there() {
        for harmless in [
            "wasi:cli/environment@0.2.6",
            "wasi:filesystem/types@0.2.0",
            "wasi:clocks/wall-clock@0.2.3",
        ] {
            let standing = standing_of(harmless, "");
            assert!(
                standing.refused.is_none() && standing.info.kind == ImportKind::Wasi,
                "{harmless}"
            );
        }
        let refused = standing_of("wasi:sockets/tcp@0.2.6", "ai").refused.unwrap().to_string();
        assert!(
            refused.contains("'wasi:sockets/tcp@0.2.6'") && refused.contains("grant 'sockets'"),
            "{refused}"
        );
        assert!(standing_of("wasi:sockets/tcp@0.2.6", "sockets").refused.is_none());
        assert!(
            standing_of("wasi:sockets/tcp@0.2.6", "sockets:example.com")
                .refused
                .is_some()
        );
        let refused = standing_of("wasi:http/outgoing-handler@0.2.6", "*").refused.unwrap();
        assert!(matches!(refused, InstallError::NoProvider { .. }), "{refused}");
    }
}
