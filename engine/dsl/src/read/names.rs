//! The names under `use` that the rest of the document refers to, known before anything is read.

use super::{Reader, clip};
use crate::{
    model::{Location, Use},
    yaml::Node,
};

/// Names by section.
#[derive(Default)]
pub(super) struct Names {
    pub authentications: Vec<String>,
    pub catalogs: Vec<String>,
    pub errors: Vec<String>,
    pub functions: Vec<String>,
    pub retries: Vec<String>,
    pub secrets: Vec<String>,
    pub timeouts: Vec<String>,
}

impl Names {
    /// The names of a workflow that was read before.
    pub fn of_use(uses: &Use) -> Self {
        Self {
            authentications: sorted(uses.authentications.keys().cloned()),
            catalogs: sorted(uses.catalogs.keys().cloned()),
            errors: sorted(uses.errors.keys().cloned()),
            functions: sorted(uses.functions.keys().cloned()),
            retries: sorted(uses.retries.keys().cloned()),
            secrets: sorted(uses.secrets.iter().map(|secret| secret.value.clone())),
            timeouts: sorted(uses.timeouts.keys().cloned()),
        }
    }

    pub fn of(root: &Node) -> Self {
        let section = |name: &str| root.get("use").and_then(|uses| uses.get(name));
        let keys = |name: &str| {
            let members = section(name).and_then(Node::members).unwrap_or_default();
            sorted(members.iter().map(|member| member.key.clone()))
        };
        let secrets = section("secrets").and_then(Node::items).unwrap_or_default();
        Self {
            authentications: keys("authentications"),
            catalogs: keys("catalogs"),
            errors: keys("errors"),
            functions: keys("functions"),
            retries: keys("retries"),
            secrets: sorted(secrets.iter().filter_map(|node| node.text().map(str::to_owned))),
            timeouts: keys("timeouts"),
        }
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

impl Reader {
    /// Says so when a name is not one of a section of `use`.
    pub fn refer(&mut self, at: Location, name: &str, section: &str, known: impl Fn(&Names) -> &Vec<String>) {
        let names = known(&self.names);
        if names.binary_search_by(|known| known.as_str().cmp(name)).is_ok() {
            return;
        }
        let help = match self.suggest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None if names.is_empty() => format!("define it under 'use.{section}'"),
            None => format!(
                "'use.{section}' has {}",
                names
                    .iter()
                    .take(12)
                    .map(|name| clip(name))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        self.wrong_help(at, format!("'{}' is not in 'use.{section}'", clip(name)), help);
    }
}
