//! What a run needs before it begins.

use potok_dsl::Problem;
use potok_expr::secret::is_in_text;
use serde_json::Value;

use super::{
    Step,
    values::{expression_problem, wrong},
};
use crate::{
    admission::Admission,
    definition::{Place, TextTemplate},
    digest, secrets,
};

/// What the key stands under.
const WHAT: &str = "metadata.potok.concurrency.key";

impl Step<'_> {
    pub(crate) fn admission(&self) -> Result<Option<Admission>, Problem> {
        let Some(concurrency) = &self.definition.concurrency else {
            return Ok(None);
        };
        let key = match &concurrency.key {
            None => String::new(),
            Some(key) => self.admission_key(key)?,
        };
        let id = self.definition.id();
        let parts = [id.namespace.as_bytes(), id.name.as_bytes(), key.as_bytes()];
        let keyed = [u8::from(concurrency.key.is_some())];
        Ok(Some(Admission {
            group: digest::long(parts.into_iter().chain([keyed.as_slice()])),
            limit: concurrency.limit,
            on_conflict: concurrency.on_conflict,
        }))
    }

    /// The value of the key, which is evaluated on the run's transformed input.
    fn admission_key(&self, key: &TextTemplate) -> Result<String, Problem> {
        let input = self.workflow_input()?;
        let scope = self.workflow_scope(Place::WorkflowInput, None);
        let value = match key {
            TextTemplate::Literal(text) => return Ok(text.clone()),
            TextTemplate::Expression(expression) => expression
                .eval(self.evaluator, &input, &scope)
                .map_err(|error| expression_problem(&error, WHAT))?,
            TextTemplate::Loose(expression, text) => expression
                .eval(self.evaluator, &input, &scope)
                .unwrap_or_else(|_| Value::from(text.as_str())),
        };
        let key = match value {
            Value::Null => return Err(wrong(format!("{WHAT} must give a value, not null"))),
            Value::String(text) => text,
            other => other.to_string(),
        };
        if is_in_text(&key) {
            return Err(secrets::refused(format!("{WHAT} cannot hold a secret")));
        }
        Ok(key)
    }
}
