//! The library of summaries for plugins: the capability `potok:library/summaries`.
//!
//! A summary is made once for each book, chunk, model and prompt, is kept as a row, and is marked when a post was made from it, so
//! that a second run goes on where the first one ended. Every write has the same effect when it is repeated: saving
//! gives back the row that is there, marking marks what may be marked already.
//!
//! This crate knows no workflow, no model and no book: its rows go through [`potok_wasm::Tables`], its answers are JSON.

mod rows;

use async_trait::async_trait;
use potok_dsl::{ErrorType, Problem};
use potok_wasm::{CallContext, Migration, Provider, TableError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use rows::Summary;

use rows::{NewSummary, Voice, Which};

/// The WIT interface that this crate serves.
const INTERFACE: &str = "potok:library/summaries";

/// Keeps summaries. It has no state of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContentProvider;

#[async_trait]
impl Provider for ContentProvider {
    fn interfaces(&self) -> &[&'static str] {
        &[INTERFACE]
    }

    fn migrations(&self) -> &[Migration] {
        rows::MIGRATIONS
    }

    async fn call(&self, cx: &CallContext, interface: &str, function: &str, args: Value) -> Result<Value, Problem> {
        let tables = cx.tables.as_ref();
        let answer = match function {
            "save" => {
                let Save { summary } = arguments(args)?;
                rows::save(tables, summary, cx.now).await.map(|row| row.json())
            }
            "find" => {
                let Find {
                    book,
                    chunk,
                    model,
                    prompt,
                } = arguments(args)?;
                let found = rows::find(tables, &Voice { book, model, prompt }, &chunk).await;
                found.map(|row| row.map_or(Value::Null, |row| row.json()))
            }
            "list" => {
                let listed = rows::list(tables, arguments(args)?).await;
                listed.map(|rows| rows.iter().map(Summary::json).collect())
            }
            "page" => {
                let Page { request } = arguments(args)?;
                let page = rows::page(tables, request).await;
                page.map(|(rows, total)| {
                    let rows: Vec<_> = rows.iter().map(Summary::json).collect();
                    json!({ "summaries": rows, "total": total })
                })
            }
            "mark-used" => {
                let MarkUsed { ids } = arguments(args)?;
                rows::mark_used(tables, ids).await.map(Value::from)
            }
            "reset" => rows::reset(tables, arguments(args)?).await.map(Value::from),
            _ => {
                let detail = format!("{interface} has no function '{function}'");
                return Err(Problem::new(ErrorType::Runtime, "unknown function", detail));
            }
        };
        answer.map_err(|error| store_problem(&error))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    summary: NewSummary,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Find {
    book: String,
    chunk: String,
    model: String,
    prompt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    request: Which,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkUsed {
    ids: Vec<String>,
}

fn arguments<T: DeserializeOwned>(args: Value) -> Result<T, Problem> {
    serde_json::from_value(args).map_err(|e| Problem::new(ErrorType::Validation, "invalid request", e.to_string()))
}

/// What a store that does not serve means for a call.
fn store_problem(error: &TableError) -> Problem {
    let problem = Problem::new(
        ErrorType::Runtime,
        "the library of summaries cannot be used",
        error.to_string(),
    );
    match error {
        TableError::TooLarge { .. } => problem.with_status(413),
        TableError::Unavailable(_) => problem.with_status(503),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use potok_testing::{Fate, MemoryTables, context};

    struct Library(Arc<MemoryTables>);

    impl Library {
        fn new() -> Self {
            Self(MemoryTables::new(ContentProvider.migrations()))
        }

        async fn try_call(&self, function: &str, args: Value) -> Result<Value, Problem> {
            let cx = context(self.0.clone(), "key", Duration::from_secs(5));
            ContentProvider.call(&cx, INTERFACE, function, args).await
        }

        async fn call(&self, function: &str, args: Value) -> Value {
            self.try_call(function, args).await.unwrap()
        }

        async fn save(&self, chunk: &str, model: &str, text: &str) -> Value {
            let summary = json!({ "book": "b", "chunk": chunk, "text": text, "model": model, "prompt": "p" });
            self.call("save", json!({ "summary": summary })).await
        }

        async fn unused(&self) -> Vec<String> {
            let rows = self.call("list", voice("m")).await;
            let unused = rows.as_array().unwrap().iter().filter(|row| row["used"] == false);
            unused.map(|row| row["chunk"].as_str().unwrap().to_owned()).collect()
        }
    }

    fn voice(model: &str) -> Value {
        json!({ "book": "b", "model": model, "prompt": "p" })
    }

    #[tokio::test]
    async fn a_summary_is_kept_once() {
        let library = Library::new();
        let first = library.save("c1", "m", "what it says").await;
        assert_eq!(
            first,
            json!({
                "id": first["id"], "book": "b", "chunk": "c1", "text": "what it says", "model": "m", "prompt": "p",
                "used": false, "created_at": "2026-01-31T08:00:00.000Z"
            })
        );
        assert_eq!(library.save("c1", "m", "said otherwise").await, first);
        assert_ne!(library.save("c1", "other", "what it says").await["id"], first["id"]);
        let find = |chunk: &str| json!({ "book": "b", "chunk": chunk, "model": "m", "prompt": "p" });
        assert_eq!(library.call("find", find("c1")).await, first);
        assert_eq!(library.call("find", find("c2")).await, Value::Null);
    }

    #[tokio::test]
    async fn used_summaries_are_gone_through_again_after_a_reset() {
        let library = Library::new();
        let mut ids = Vec::new();
        for chunk in ["c1", "c2", "c3"] {
            ids.push(library.save(chunk, "m", "text").await["id"].clone());
        }
        library.save("c1", "other", "text").await;
        assert_eq!(library.unused().await, ["c1", "c2", "c3"]);
        let marked = library
            .call("mark-used", json!({ "ids": [ids[0], ids[2], "nobody", ids[0]] }))
            .await;
        assert_eq!(marked, json!(2));
        assert_eq!(library.unused().await, ["c2"]);
        library.save("c1", "m", "again").await;
        assert_eq!(library.unused().await, ["c2"], "saving a used one does not free it");
        assert_eq!(library.call("reset", voice("m")).await, json!(3));
        assert_eq!(library.unused().await, ["c1", "c2", "c3"]);
        assert_eq!(library.call("mark-used", json!({ "ids": [] })).await, json!(0));
    }

    #[tokio::test]
    async fn summaries_are_listed_page_by_page() {
        let library = Library::new();
        for chunk in ["c1", "c2", "c3"] {
            library.save(chunk, "m", "text").await;
        }
        let other = json!({ "book": "other", "chunk": "c", "text": "t", "model": "m", "prompt": "p" });
        let other = library.call("save", json!({ "summary": other })).await;
        library.call("mark-used", json!({ "ids": [other["id"]] })).await;
        let page = |request: Value| library.call("page", json!({ "request": request }));
        assert_eq!(page(json!({})).await["total"], 4);
        let two = page(json!({ "book": "b", "limit": 2, "offset": 1 })).await;
        assert_eq!(
            (&two["total"], two["summaries"].as_array().unwrap().len()),
            (&json!(3), 2)
        );
        assert_eq!(page(json!({ "used": true })).await["summaries"][0]["book"], "other");
        assert_eq!(page(json!({ "used": false, "limit": null })).await["total"], 3);
        assert_eq!(
            page(json!({ "book": "nobody's" })).await,
            json!({ "summaries": [], "total": 0 })
        );
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_can_be_asked_again() {
        let library = Library::new();
        library.0.script(|_| Fate::AnswerLost);
        let summary = json!({ "book": "b", "chunk": "c", "text": "t", "model": "m", "prompt": "p" });
        let problem = library
            .try_call("save", json!({ "summary": summary }))
            .await
            .unwrap_err();
        assert_eq!(problem.status, 503);
        library.0.script(|_| Fate::Done);
        library.save("c", "m", "other").await;
        let rows = library.call("list", voice("m")).await;
        assert_eq!(
            (rows.as_array().unwrap().len(), rows[0]["text"].as_str()),
            (1, Some("t"))
        );
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_refused() {
        let library = Library::new();
        assert_eq!(library.try_call("burn", json!({})).await.unwrap_err().status, 500);
        let problem = library
            .try_call("list", json!({ "book": "b", "shelf": 1 }))
            .await
            .unwrap_err();
        assert!(problem.is(ErrorType::Validation) && problem.detail.unwrap().contains("shelf"));
    }
}
