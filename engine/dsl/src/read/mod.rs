//! The tree of values into the typed model.
//!
//! The reader follows the schema of the language and is stricter where the schema leaves a hole through which a mistake would slip
//! unseen: members that the schema does not name are errors unless it opens the object on purpose, names must exist, lists of tasks
//! must not be empty. It does not stop at a mistake: what cannot be read becomes `None` and a diagnostic, and its neighbours are read.
//!
//! It knows nothing of what the engine can execute; that is [`crate::unsupported`].

mod advice;
mod calls;
mod control;
mod data;
mod events;
mod fields;
mod format;
mod names;
mod policies;
mod potok;
mod shape;
mod shapes;
mod strays;
mod task;
mod workflow;

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    model::{At, Json, Location, Task, Use, Workflow},
    yaml::{self, Node},
};

pub(crate) use fields::nearest;
use names::Names;
use strays::Stray;
use task::Scope;

/// A text that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The workflow.
    pub workflow: Workflow,
    /// The text.
    pub source: Arc<str>,
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
    /// The document as data, for `$workflow.definition`.
    pub document: Arc<Value>,
}

/// Reads a workflow from YAML or JSON.
///
/// # Errors
/// Everything that is wrong with the text, up to 100 diagnostics in the order of their places. `file_name` is only what they call it.
pub fn parse(file_name: &str, text: &str) -> Result<Parsed, Diagnostics> {
    let source: Arc<str> = Arc::from(text);
    let mut reader = Reader::default();
    let read = yaml::load(text, &mut reader.list).and_then(|root| {
        reader.names = Names::of(&root);
        let workflow = reader.workflow(&root);
        reader.explain_strays(&root);
        Some((workflow?, Arc::new(root.to_value())))
    });
    match read {
        Some((workflow, document)) if reader.list.is_empty() => Ok(Parsed {
            workflow,
            source,
            hash: hash(text),
            document,
        }),
        _ => Err(Diagnostics::new(file_name, source, reader.list)),
    }
}

/// Reads a function that stands in a document of its own: one task, which may use what is under the `use` of the workflow that calls it.
/// All its places are in the text of that number.
///
/// # Errors
/// As [`parse`].
pub fn function(file_name: &str, text: &str, number: u16, uses: &Use) -> Result<Task, Diagnostics> {
    let mut reader = Reader {
        names: Names::of_use(uses),
        ..Reader::default()
    };
    let scope = Scope::alone("a function is one task");
    let read = yaml::load(text, &mut reader.list).and_then(|root| {
        let root = root.in_text(number);
        let task = reader.task(&root, file_name, &scope);
        reader.explain_strays(&root);
        task
    });
    match read {
        Some(task) if reader.list.is_empty() => Ok(task),
        _ => Err(Diagnostics::new(file_name, text, reader.list)),
    }
}

/// Reads data that is no workflow from YAML or JSON, such as a schema. The limits are those of a workflow.
///
/// # Errors
/// As [`parse`].
pub fn data(file_name: &str, text: &str) -> Result<Value, Diagnostics> {
    let mut list = Vec::new();
    match yaml::load(text, &mut list) {
        Some(root) if list.is_empty() => Ok(root.to_value()),
        _ => Err(Diagnostics::new(file_name, text, list)),
    }
}

/// Reads a workflow from bytes, which must be UTF-8.
///
/// # Errors
/// As [`parse`].
pub fn parse_bytes(file_name: &str, bytes: &[u8]) -> Result<Parsed, Diagnostics> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return parse(file_name, text),
        Err(error) => error,
    };
    let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let at = yaml::end_of(&valid);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(yaml::MAX_TEXT)]);
    let diagnostic = Diagnostic::new(at, "this is not UTF-8 text").with_help("save the file as UTF-8");
    Err(Diagnostics::new(file_name, text.as_ref(), vec![diagnostic]))
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// How many mistakes are noted before noting stops; far more than are shown, so that sorting by place still finds the first ones.
const MAX_NOTED: usize = 10_000;

/// How many values the copies of tasks' sources may hold together: deep nesting copies the same data once a level.
const MAX_COPIED: usize = 1_000_000;

/// What reading needs to know besides the value at hand.
struct Reader {
    list: Vec<Diagnostic>,
    names: Names,
    may_copy: usize,
    strays: Vec<Stray>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            names: Names::default(),
            may_copy: MAX_COPIED,
            strays: Vec::new(),
        }
    }
}

impl Reader {
    fn wrong(&mut self, at: Location, message: impl Into<String>) {
        self.note(Diagnostic::new(at, message));
    }

    fn wrong_help(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        self.note(Diagnostic::new(at, message).with_help(help));
    }

    fn note(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_NOTED {
            self.list.push(diagnostic);
        }
    }

    /// The known name that was probably meant.
    fn suggest<'a>(&self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        // Looking is dear for long lists; nobody reads that many suggestions.
        if self.list.len() > 2 * crate::MAX_DIAGNOSTICS {
            return None;
        }
        fields::nearest(word, known)
    }
}

/// A value as data.
fn json(node: &Node) -> Json {
    At {
        value: node.to_value(),
        at: node.at,
    }
}

/// The beginning of a text that may be long, for messages.
fn clip(text: &str) -> String {
    yaml::clip(text)
}
