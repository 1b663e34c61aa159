//! `metadata.potok.concurrency`, compiled.

use potok_dsl::model::{self, OnConflict};

use super::{
    TextTemplate,
    compile::Compiler,
    variables::{Place, Variables},
};

/// How many runs of a key there are at once.
#[derive(Debug)]
pub(crate) struct Concurrency {
    /// Those that share a key share the places.
    pub(crate) key: Option<TextTemplate>,
    pub(crate) limit: u32,
    pub(crate) on_conflict: OnConflict,
}

impl Compiler<'_> {
    pub(super) fn concurrency(&mut self, concurrency: &model::Concurrency) -> Concurrency {
        let key = concurrency.key.as_ref();
        Concurrency {
            key: key.and_then(|key| self.text(key, Place::WorkflowInput, &Variables::default())),
            limit: concurrency.limit,
            on_conflict: concurrency.on_conflict,
        }
    }
}
