//! YAML or JSON that is no workflow, read as carefully: data that still knows where each value stands.
//!
//! For whoever checks a value by its schema and has to say where the fault is: a schema speaks of JSON pointers, people of lines.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    model::Location,
    yaml::{self, Data, Node},
};

/// A document as data with places.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    root: Node,
}

impl Placed {
    /// Reads one document.
    ///
    /// # Errors
    /// What is wrong with the text; `file_name` is only what the diagnostics call it.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut list: Vec<Diagnostic> = Vec::new();
        match yaml::load(text, &mut list) {
            Some(root) if list.is_empty() => Ok(Self { root }),
            _ => Err(Diagnostics::new(file_name, Arc::<str>::from(text), list)),
        }
    }

    /// The data.
    #[must_use]
    pub fn value(&self) -> Value {
        self.root.to_value()
    }

    /// Where the value at a JSON pointer begins; of a pointer that leads out of the document, where its last step that does not stands.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Location {
        self.find(pointer).1.at
    }

    /// Where the name of the member at a JSON pointer stands; the value's place for what is no member.
    #[must_use]
    pub fn key_at(&self, pointer: &str) -> Location {
        let (key_at, node) = self.find(pointer);
        key_at.unwrap_or(node.at)
    }

    fn find(&self, pointer: &str) -> (Option<Location>, &Node) {
        let (mut key_at, mut node) = (None, &self.root);
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.data {
                Data::Map(members) => members
                    .iter()
                    .find(|member| member.key == step)
                    .map(|member| (Some(member.key_at), &member.value)),
                Data::List(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (None, item)),
                _ => None,
            };
            let Some(next) = next else { break };
            (key_at, node) = next;
        }
        (key_at, node)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_pointer() {
        let placed = Placed::parse("a.yaml", "a:\n  - b/c: { d: 1 }\n").unwrap();
        let line = |at: Location| (at.line, at.column);
        assert_eq!(line(placed.at("")), (1, 1));
        assert_eq!(line(placed.at("/a/0/b~1c/d")), (2, 15));
        assert_eq!(line(placed.key_at("/a/0/b~1c/d")), (2, 12));
        assert_eq!(line(placed.at("/a/0/b~1c/missing/more")), (2, 10));
        assert_eq!(line(placed.key_at("/a/0")), (2, 5));
        assert_eq!(placed.value()["a"][0]["b/c"]["d"], 1);
    }

    #[test]
    fn a_fault_of_the_text_is_a_diagnostic() {
        let diagnostics = Placed::parse("a.yaml", "a: [ 1").unwrap_err();
        assert_eq!(diagnostics.file, "a.yaml");
        assert!(!diagnostics.list.is_empty());
    }
}
