//! JSON on its way into the store: as text where nothing has to be done with it any more, else as the tree that [`values`](crate::values)
//! splits. Nearly all entries and timeline rows are small, and making a tree of each only to write it down costs more than the text does.

use serde::Serialize;
use serde_json::Value;

use crate::values::{is_plain, split_within};
use crate::{error::StoreError, rows::StoredValue, values::Limits};

/// A JSON document that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// It can be stored as it is.
    Text(String),
    /// Something of it may have to be stored by itself.
    Tree(Value),
}

impl Document {
    /// Plain data as JSON; `null` for what has no JSON (a map whose keys are no text).
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) if is_plain(&text) => Self(Form::Text(text)),
            _ => Self(Form::Tree(serde_json::to_value(value).unwrap_or_default())),
        }
    }

    /// Whether its JSON is likely over so many bytes.
    pub(crate) fn is_over(&self, bytes: usize) -> bool {
        match &self.0 {
            Form::Text(text) => text.len() > bytes,
            Form::Tree(value) => crate::values::is_over(value, bytes),
        }
    }

    /// Appends its JSON, large parts moved into `values`. `name` is for errors.
    pub(crate) fn append(
        self,
        to: &mut Vec<u8>,
        values: &mut Vec<StoredValue>,
        name: impl Fn() -> String,
        limits: Limits,
    ) -> Result<(), StoreError> {
        match self.0 {
            Form::Text(text) => to.extend_from_slice(text.as_bytes()),
            Form::Tree(mut value) => {
                split_within(&mut value, values, &name(), limits)?;
                serde_json::to_writer(to, &value)
                    .map_err(|error| StoreError::Refused(format!("it cannot be written as JSON: {error}")))?;
            }
        }
        Ok(())
    }
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self(Form::Tree(value))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::values::{INLINE_LIMIT, tests::any_json};

    const LIMITS: Limits = Limits {
        inline: INLINE_LIMIT,
        ceiling: 1 << 20,
    };

    fn stored(document: Document) -> (Vec<u8>, Vec<StoredValue>) {
        let (mut text, mut values) = (Vec::new(), Vec::new());
        document
            .append(&mut text, &mut values, || "it".to_owned(), LIMITS)
            .unwrap();
        (text, values)
    }

    #[test]
    fn what_has_to_be_split_is_not_taken_as_text() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        for value in [
            json!({ "text": "x".repeat(INLINE_LIMIT) }),
            json!({ "$potok.value": "what a user wrote" }),
            json!([{ "$$potok.value": 1 }]),
            deep,
        ] {
            let document = Document::of(&value);
            assert!(matches!(document.0, Form::Tree(_)), "{value:.40}");
            assert_eq!(stored(document), stored(value.into()));
        }
        assert!(matches!(Document::of(&json!({ "entry": 1 })).0, Form::Text(_)));
    }

    proptest! {
        #[test]
        fn both_forms_are_stored_as_the_same(value in any_json()) {
            prop_assert_eq!(stored(Document::of(&value)), stored(value.into()));
        }
    }
}
