//! Why the host could not be set up, a plugin not be installed, or a function not be found.

/// The host could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The WebAssembly engine refused its configuration, or the machine has no address space left for the pool.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// The directory for compiled code cannot be used.
    #[error("the directory for compiled code, '{dir}', cannot be used: {reason}")]
    Cache {
        /// The directory.
        dir: String,
        /// What stands against it.
        reason: String,
    },
    /// Two providers serve one interface.
    #[error("the interface '{0}' already has a provider")]
    DuplicateProvider(String),
}

/// A component was refused as a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The bytes are no WebAssembly component.
    #[error("this is not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// The component asks for more than any call may use.
    #[error("the component does not fit the engine's limits: {0}")]
    Limits(String),
    /// It exports no function that could be called by name.
    #[error("'{plugin}' exports no function; export an interface such as `potok:book/book@1.0.0` from its world")]
    NoFunctions {
        /// The plugin, as far as it has a name.
        plugin: String,
    },
    /// A function outside any interface, and no WIT text that says which package it is of.
    #[error(
        "the function '{function}' is exported outside of an interface, so that it has no package and no version; export it \
         in an interface, or put the WIT text into the component's custom section `potok-wit`"
    )]
    NoPackage {
        /// The function.
        function: String,
    },
    /// The version of a package is not a semantic version.
    #[error("'{interface}' has the version '{version}', which is not a semantic version such as 1.0.0")]
    BadVersion {
        /// The interface.
        interface: String,
        /// What stands for the version.
        version: String,
    },
    /// A type that has no form in JSON.
    #[error("'{function}' cannot be called with JSON: its {place} is {what}")]
    UnsupportedType {
        /// The function, as its WIT names it.
        function: String,
        /// Which parameter or result, and where in it.
        place: String,
        /// What stands there.
        what: String,
    },
    /// Two functions of one component have the same name.
    #[error("'{plugin}' exports two functions that would both be called '{function}'")]
    SameName {
        /// The plugin.
        plugin: String,
        /// The name.
        function: String,
    },
    /// An import that no grant covers.
    #[error("'{plugin}' imports '{interface}', which was not granted; to allow it, grant '{grant}'")]
    NotGranted {
        /// The plugin.
        plugin: String,
        /// The interface with its version.
        interface: String,
        /// The grant that would allow it.
        grant: String,
    },
    /// An import that nothing here provides.
    #[error("'{plugin}' imports '{interface}', which this engine does not offer; it offers {offered}")]
    NoProvider {
        /// The plugin.
        plugin: String,
        /// The interface with its version.
        interface: String,
        /// What is offered, for the reader.
        offered: String,
    },
    /// A grant that narrows a capability in a way that its provider does not know.
    #[error(
        "the grant '{grant}' narrows '{interface}' in a way that its provider does not know; grant '{wide}' or another form"
    )]
    UnknownNarrowing {
        /// The grant.
        grant: String,
        /// The interface.
        interface: String,
        /// The form without narrowing.
        wide: String,
    },
    /// An import that is not an interface of functions.
    #[error("'{plugin}' imports '{import}', which is {what}; only interfaces with functions can be granted")]
    UnsupportedImport {
        /// The plugin.
        plugin: String,
        /// The import's name.
        import: String,
        /// What it is.
        what: &'static str,
    },
    /// An import whose functions or types are not the ones that the engine offers under that name.
    #[error("'{plugin}' cannot be linked: {reason}")]
    Link {
        /// The plugin.
        plugin: String,
        /// What does not fit.
        reason: String,
    },
    /// Other bytes are installed under the same version.
    #[error(
        "'{function}' is already installed with other bytes (component {installed}); a version is a promise: give the \
         changed plugin a new version, or uninstall the old one first"
    )]
    VersionTaken {
        /// The canonical name.
        function: String,
        /// The hash of the installed component.
        installed: String,
    },
    /// Another package has a function of the same name.
    #[error("the name '{function}' belongs to '{owner}', which is installed; '{package}' cannot have it too")]
    NameTaken {
        /// The function's name.
        function: String,
        /// The package that has it.
        owner: String,
        /// The package that was to be installed.
        package: String,
    },
    /// The WIT text that came with the component cannot be read.
    #[error("the WIT text cannot be read: {0}")]
    Wit(String),
}

/// A function's name led nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// No function has the name.
    #[error("there is no function '{name}'{}", did_you_mean(suggestion.as_deref()))]
    Unknown {
        /// The name.
        name: String,
        /// The nearest one that exists.
        suggestion: Option<String>,
    },
    /// The function exists, the version does not.
    #[error("there is no version {version} of the function '{name}'; installed: {}", installed.join(", "))]
    UnknownVersion {
        /// The name.
        name: String,
        /// The version asked for.
        version: String,
        /// The versions that exist, newest first.
        installed: Vec<String>,
    },
    /// The catalog does not exist.
    #[error("there is no catalog '{catalog}'; plugins are in the catalog 'default'")]
    UnknownCatalog {
        /// The catalog asked for.
        catalog: String,
    },
}

/// Nothing is installed under a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no installed plugin has the hash '{hash}'")]
#[non_exhaustive]
pub struct UninstallError {
    /// The hash asked for.
    pub hash: String,
}

/// The end of a message that offers the nearest name.
pub(crate) fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion
        .map(|name| format!("; did you mean '{name}'?"))
        .unwrap_or_default()
}
