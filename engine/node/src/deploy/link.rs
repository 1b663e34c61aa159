//! Functions that stand in documents of their own: they are put beside those that the workflow defines itself, under their URIs as names,
//! so that from there on they are functions like those.

use std::{borrow::Cow, collections::BTreeMap};

use potok_dsl::{
    Diagnostic,
    model::{Location, Workflow},
};
use potok_machine::LockedDocument;

/// Where a workflow first calls each document, by URI, be it through another one.
pub(super) type Calls = BTreeMap<String, Location>;

/// A workflow together with the functions that were fetched for it.
pub(super) struct Linked<'w> {
    /// The workflow, where those functions stand under `use.functions`.
    pub workflow: Cow<'w, Workflow>,
    /// Their URIs: what is in the text number `n` is in the document `n - 1`.
    documents: Vec<&'w str>,
}

impl<'w> Linked<'w> {
    /// Puts the functions of these documents into a workflow.
    ///
    /// # Errors
    /// What is wrong with the first document that is no function.
    pub(super) fn new(
        workflow: &'w Workflow,
        documents: &'w BTreeMap<String, LockedDocument>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut linked = Cow::Borrowed(workflow);
        for (number, (uri, document)) in (1..).zip(documents) {
            let task = potok_dsl::function(uri, &document.text, number, &workflow.uses).map_err(|wrong| wrong.list)?;
            linked.to_mut().uses.functions.insert(uri.clone(), task);
        }
        Ok(Self {
            workflow: linked,
            documents: documents.keys().map(String::as_str).collect(),
        })
    }

    /// The document that a place is in; `None` for the workflow's own text.
    pub(super) fn document(&self, at: Location) -> Option<&'w str> {
        let index = usize::from(at.text).checked_sub(1)?;
        self.documents.get(index).copied()
    }

    /// What is wrong, said where the workflow calls the document that it is in.
    pub(super) fn told_of(&self, list: Vec<Diagnostic>, calls: &Calls) -> Vec<Diagnostic> {
        let told = list.into_iter().map(|diagnostic| match self.document(diagnostic.at) {
            Some(uri) => within(uri, diagnostic, calls.get(uri).copied().unwrap_or_default()),
            None => diagnostic,
        });
        told.collect()
    }
}

/// What is wrong in a document, said at another place.
pub(super) fn within(uri: &str, diagnostic: Diagnostic, at: Location) -> Diagnostic {
    let Location { line, column, .. } = diagnostic.at;
    Diagnostic {
        message: format!("{uri}:{line}:{column}: {}", diagnostic.message),
        at,
        ..diagnostic
    }
}

/// Whether a URI leads into the network.
pub(super) fn is_remote(uri: &str) -> bool {
    let starts = |scheme: &str| {
        uri.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts("http://") || starts("https://")
}
