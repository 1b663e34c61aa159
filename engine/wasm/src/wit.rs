//! The WIT text that a component carries: where its documentation is.
//!
//! Doc comments do not survive in a component, so guests carry their WIT text in a custom section `potok-wit`. The text is
//! for people: what a function takes and returns is read off the component itself, and a text that cannot be read, or that
//! says something else, costs the documentation and nothing more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmparser::{Parser, Payload};
use wit_component::WitPrinter;
use wit_parser::{Function, PackageId, Resolve, WorldItem, decoding::DecodedWasm};

use crate::names::InterfaceName;

/// The custom section that carries WIT text.
pub(crate) const SECTION: &str = "potok-wit";

/// The longest text that is read.
const MAX_TEXT: usize = 1 << 20;

/// How deep brackets may be nested in a text that is read.
const MAX_NESTING: usize = 64;

/// A WIT text, read.
pub(crate) struct WitText {
    pub(crate) text: String,
    pub(crate) resolve: Resolve,
    main: PackageId,
}

impl WitText {
    /// Reads a text: a package with, perhaps, others nested in it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT {
            return Err("it is longer than 1 MiB".to_owned());
        }
        if nesting(text) > MAX_NESTING {
            return Err(format!("its brackets are nested more than {MAX_NESTING} deep"));
        }
        guarded(|| {
            let mut resolve = Resolve::default();
            match resolve.push_source("potok.wit", text) {
                Ok(main) => Ok(Self {
                    text: text.to_owned(),
                    main,
                    resolve,
                }),
                Err(error) => Err(resolve.render_error(&error)),
            }
        })
        .unwrap_or_else(|| Err("the parser failed on it".to_owned()))
    }

    /// The text in a component's custom section, if it has one that can be read.
    pub(crate) fn of(component: &[u8]) -> Option<Self> {
        let text = section(component)?;
        match Self::parse(text) {
            Ok(text) => Some(text),
            Err(error) => {
                tracing::warn!(%error, "the WIT text in the component cannot be read; its functions stay without documentation");
                None
            }
        }
    }

    /// The package that the text is of: namespace, name, version.
    pub(crate) fn package(&self) -> (&str, &str, Option<String>) {
        let name = &self.resolve.packages[self.main].name;
        (
            &name.namespace,
            &name.name,
            name.version.as_ref().map(ToString::to_string),
        )
    }

    /// What the package says of itself.
    pub(crate) fn package_docs(&self) -> Option<&str> {
        self.resolve.packages[self.main].docs.contents.as_deref()
    }

    /// What an interface says of itself.
    pub(crate) fn interface_docs(&self, name: &InterfaceName<'_>) -> Option<&str> {
        self.interface(name)?.docs.contents.as_deref()
    }

    /// A function of an interface.
    pub(crate) fn function(&self, interface: &InterfaceName<'_>, function: &str) -> Option<&Function> {
        self.interface(interface)?.functions.get(function)
    }

    /// A function that a world exports outside of any interface.
    pub(crate) fn world_function(&self, function: &str) -> Option<&Function> {
        let worlds = self.resolve.packages[self.main].worlds.values();
        worlds
            .flat_map(|world| self.resolve.worlds[*world].exports.values())
            .find_map(|item| match item {
                WorldItem::Function(f) if f.name == function => Some(f),
                _ => None,
            })
    }

    fn interface(&self, name: &InterfaceName<'_>) -> Option<&wit_parser::Interface> {
        let package = self
            .resolve
            .packages
            .iter()
            .map(|(_, package)| package)
            .find(|package| {
                let version = package.name.version.as_ref().map(ToString::to_string);
                package.name.namespace == name.namespace
                    && package.name.name == name.package
                    && (version.is_none() || version.as_deref() == name.version)
            })?;
        Some(&self.resolve.interfaces[*package.interfaces.get(name.interface)?])
    }
}

/// The component with a WIT text in its section; for guests in languages whose tools do not put it there.
pub fn with_wit(component: &[u8], text: &str) -> Vec<u8> {
    let mut content = Vec::with_capacity(text.len() + SECTION.len() + 2);
    leb128(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(text.as_bytes());
    let mut bytes = component.to_vec();
    bytes.push(0);
    leb128(&mut bytes, content.len());
    bytes.extend_from_slice(&content);
    bytes
}

/// The last section with WIT text: one that was added to a component stands after those that came with its modules.
fn section(component: &[u8]) -> Option<&str> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::CustomSection(section) if section.name() == SECTION => found = Some(section.data()),
            _ => {}
        }
    }
    std::str::from_utf8(found?).ok().map(|text| text.trim_matches('\0'))
}

/// The WIT of a component without documentation, printed from its types.
pub(crate) fn printed(component: &[u8]) -> Option<String> {
    guarded(|| {
        let DecodedWasm::Component(resolve, world) = wit_parser::decoding::decode(component).ok()? else {
            return None;
        };
        let main = resolve.worlds[world].package?;
        let nested: Vec<_> = resolve
            .packages
            .iter()
            .map(|(id, _)| id)
            .filter(|id| *id != main)
            .collect();
        let mut printer = WitPrinter::default();
        printer.print(&resolve, main, &nested).ok()?;
        Some(String::from(printer.output))
    })?
}

/// Readers of other people's text, from elsewhere; what they panic on is not worth more than a missing description.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'<' | b'{' | b'(' => depth += 1,
            b'>' | b'}' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        #[allow(clippy::cast_possible_truncation)]
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}
