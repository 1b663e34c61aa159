//! Reading a component: which functions it exports, which interfaces it imports, and what it says about them.

use potok_code::CodeCache;
use wasmtime::{
    Engine,
    component::{
        Component, ComponentExportIndex,
        types::{ComponentFunc, ComponentItem},
    },
};

use crate::{
    error::InstallError,
    names::InterfaceName,
    schema::{self, FunctionText},
    shape::Signature,
    wit::{self, WitText},
};

/// A component, read and compiled, with nothing linked.
pub(crate) struct Draft {
    pub(crate) hash: String,
    pub(crate) size: usize,
    pub(crate) component: Component,
    pub(crate) functions: Vec<FunctionDraft>,
    pub(crate) imports: Vec<Import>,
    pub(crate) docs: Option<String>,
    pub(crate) wit: Option<String>,
    /// `potok:book`
    pub(crate) package: String,
    pub(crate) version: String,
}

/// An exported function.
pub(crate) struct FunctionDraft {
    /// `book.extract`
    pub(crate) name: String,
    /// `1.0.0`
    pub(crate) version: String,
    /// `potok:book`
    pub(crate) package: String,
    /// `book`: what its errors are named after.
    pub(crate) plugin: String,
    pub(crate) index: ComponentExportIndex,
    pub(crate) signature: Signature,
    pub(crate) docs: Option<String>,
    pub(crate) input_schema: serde_json::Value,
    pub(crate) output_schema: serde_json::Value,
    pub(crate) error_schema: Option<serde_json::Value>,
}

/// An imported interface with functions.
pub(crate) struct Import {
    /// The name as the component has it: `potok:ai/chat@1.0.0`.
    pub(crate) name: String,
    pub(crate) functions: Vec<(String, ComponentFunc)>,
}

/// Reads and compiles a component, whose hash is known.
pub(crate) fn read(
    engine: &Engine,
    cache: Option<&CodeCache>,
    bytes: &[u8],
    hash: String,
) -> Result<Draft, InstallError> {
    if bytes.is_empty() {
        return Err(InstallError::NotAComponent("there are no bytes".to_owned()));
    }
    if wasmparser::Parser::is_core_wasm(bytes) {
        let what = "this is a core module; build it for `wasm32-wasip2`, or turn it into a component (`wasm-tools component new`)";
        return Err(InstallError::NotAComponent(what.to_owned()));
    }
    if !wasmparser::Parser::is_component(bytes) {
        return Err(InstallError::NotAComponent("the bytes do not begin as one".to_owned()));
    }
    let component = compile(engine, cache, bytes).map_err(|error| refused(&error))?;
    let text = WitText::of(bytes);
    let functions = exports(engine, &component, text.as_ref())?;
    let imports = imports(
        engine,
        &component,
        functions.first().map_or("the component", |f| &f.package),
    )?;
    let Some(first) = functions.first() else {
        return Err(InstallError::NoFunctions {
            plugin: "the component".to_owned(),
        });
    };
    Ok(Draft {
        hash,
        size: bytes.len(),
        package: first.package.clone(),
        version: first.version.clone(),
        docs: docs(&component, engine, text.as_ref()),
        wit: text.map(|text| text.text).or_else(|| wit::printed(bytes)),
        functions,
        imports,
        component,
    })
}

/// Compiles a component, or takes the code that is kept.
pub(crate) fn compile(engine: &Engine, cache: Option<&CodeCache>, bytes: &[u8]) -> wasmtime::Result<Component> {
    match cache {
        Some(cache) => cache.component(engine, bytes),
        None => Component::from_binary(engine, bytes),
    }
}

/// Wasmtime says that a component is over the pool's limits in the same way as that it is malformed.
fn refused(error: &wasmtime::Error) -> InstallError {
    let text = format!("{error:#}");
    if text.contains("limit") || text.contains("exceeds") {
        InstallError::Limits(text)
    } else {
        InstallError::NotAComponent(text)
    }
}

fn exports(engine: &Engine, component: &Component, text: Option<&WitText>) -> Result<Vec<FunctionDraft>, InstallError> {
    let mut functions = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                let Some(index) = component.get_export_index(None, name) else {
                    continue;
                };
                let interface = Owner::of_interface(name, text);
                if interface.as_ref().is_some_and(|owner| owner.namespace == "wasi") {
                    continue;
                }
                for (function, item) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(ty) = item.ty else {
                        continue;
                    };
                    let Some(index) = component.get_export_index(Some(&index), function) else {
                        continue;
                    };
                    let owner = interface
                        .as_ref()
                        .ok_or_else(|| no_package(&format!("{name}.{function}")))?;
                    functions.push(draft(owner, function, index, &ty, text)?);
                }
            }
            ComponentItem::ComponentFunc(ty) => {
                let Some(index) = component.get_export_index(None, name) else {
                    continue;
                };
                let owner = Owner::of_world(text).ok_or_else(|| no_package(name))?;
                functions.push(draft(&owner, name, index, &ty, text)?);
            }
            _ => {}
        }
    }
    for (index, function) in functions.iter().enumerate() {
        if functions[..index].iter().any(|other| other.name == function.name) {
            let (plugin, function) = (function.package.clone(), function.name.clone());
            return Err(InstallError::SameName { plugin, function });
        }
    }
    Ok(functions)
}

fn no_package(function: &str) -> InstallError {
    InstallError::NoPackage {
        function: function.to_owned(),
    }
}

/// What exported functions belong to: an interface of a package, or the package alone for a world's own functions.
struct Owner {
    namespace: String,
    package: String,
    interface: Option<String>,
    version: Option<String>,
}

impl Owner {
    /// An interface with a package in its name, or an inline one of the package that the text is of.
    fn of_interface(name: &str, text: Option<&WitText>) -> Option<Self> {
        match InterfaceName::parse(name) {
            Some(name) => Some(Self {
                namespace: name.namespace.to_owned(),
                package: name.package.to_owned(),
                interface: Some(name.interface.to_owned()),
                version: name.version.map(str::to_owned),
            }),
            None => Some(Self {
                interface: Some(name.to_owned()),
                ..Self::of_world(text)?
            }),
        }
    }

    fn of_world(text: Option<&WitText>) -> Option<Self> {
        let (namespace, package, version) = text?.package();
        Some(Self {
            namespace: namespace.to_owned(),
            package: package.to_owned(),
            interface: None,
            version,
        })
    }

    /// A world's own functions are named as those of an interface that is called like the package: `text.split`.
    fn name(&self) -> InterfaceName<'_> {
        InterfaceName {
            namespace: &self.namespace,
            package: &self.package,
            interface: self.interface.as_deref().unwrap_or(&self.package),
            version: self.version.as_deref(),
        }
    }
}

fn draft(
    owner: &Owner,
    function: &str,
    index: ComponentExportIndex,
    ty: &ComponentFunc,
    text: Option<&WitText>,
) -> Result<FunctionDraft, InstallError> {
    let interface = owner.name();
    let name = interface.function(function);
    let signature = Signature::of(&name, ty)?;
    let text = text.and_then(|text| {
        let described = match owner.interface {
            Some(_) => text.function(&interface, function),
            None => text.world_function(function),
        };
        Some(FunctionText {
            resolve: &text.resolve,
            function: described?,
        })
    });
    Ok(FunctionDraft {
        version: interface.semver()?,
        package: interface.package_id(),
        plugin: interface.package.to_owned(),
        index,
        docs: text
            .and_then(|text| text.function.docs.contents.as_ref())
            .map(|docs| docs.trim().to_owned()),
        input_schema: schema::input(&signature, text),
        output_schema: schema::output(&signature, text),
        error_schema: schema::error(&signature, text),
        signature,
        name,
    })
}

/// The package's documentation, else that of the first interface that has some.
fn docs(component: &Component, engine: &Engine, text: Option<&WitText>) -> Option<String> {
    let text = text?;
    let ty = component.component_type();
    let mut interfaces = ty.exports(engine).filter_map(|(name, _)| InterfaceName::parse(name));
    let docs = text
        .package_docs()
        .or_else(|| interfaces.find_map(|name| text.interface_docs(&name)));
    docs.map(|docs| docs.trim().to_owned())
}

fn imports(engine: &Engine, component: &Component, plugin: &str) -> Result<Vec<Import>, InstallError> {
    let mut imports = Vec::new();
    let unsupported = |import: &str, what| InstallError::UnsupportedImport {
        plugin: plugin.to_owned(),
        import: import.to_owned(),
        what,
    };
    for (name, item) in component.component_type().imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                let mut functions = Vec::new();
                for (function, item) in instance.exports(engine) {
                    match item.ty {
                        ComponentItem::ComponentFunc(ty) => functions.push((function.to_owned(), ty)),
                        ComponentItem::Type(_) | ComponentItem::Resource(_) => {}
                        _ => return Err(unsupported(name, "an interface with more than functions and types")),
                    }
                }
                if functions.is_empty() {
                    continue;
                }
                if InterfaceName::parse(name).is_none() {
                    return Err(unsupported(name, "an interface without a package"));
                }
                imports.push(Import {
                    name: name.to_owned(),
                    functions,
                });
            }
            ComponentItem::Type(_) => {}
            ComponentItem::ComponentFunc(_) => return Err(unsupported(name, "a function outside of an interface")),
            ComponentItem::Resource(_) => return Err(unsupported(name, "a resource")),
            _ => return Err(unsupported(name, "a module or a component")),
        }
    }
    Ok(imports)
}
