//! Files for plugins: the capability `potok:blob/blobs`, over the engine's content-addressed values.
//!
//! It is pure: a blob is named by its content, so that reading gives the same for ever and writing changes nothing
//! that anyone could
//! see. This crate keeps no table and knows no store but [`potok_wasm::Tables`].

mod recent;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use potok_dsl::{ErrorType, Problem};
use potok_wasm::{CallContext, Provider, TableError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use recent::Recent;

/// The most bytes that one `read` gives.
const MAX_READ: u32 = 256 * 1024;

/// Reads and writes blobs.
#[derive(Debug, Default)]
pub struct BlobProvider {
    recent: Recent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeArgs {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArgs {
    id: String,
    offset: u64,
    length: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteArgs {
    bytes: String,
}

#[async_trait]
impl Provider for BlobProvider {
    fn interfaces(&self) -> &[&'static str] {
        &["potok:blob/blobs"]
    }

    fn pure(&self) -> bool {
        true
    }

    async fn call(&self, cx: &CallContext, interface: &str, function: &str, args: Value) -> Result<Value, Problem> {
        match function {
            "size" => self.size(cx, arguments(args)?).await,
            "read" => self.read(cx, arguments(args)?).await,
            "write" => self.write(cx, arguments(args)?).await,
            _ => {
                let detail = format!("{interface} has no function '{function}'");
                Err(Problem::new(ErrorType::Runtime, "unknown function", detail))
            }
        }
    }
}

impl BlobProvider {
    async fn size(&self, cx: &CallContext, args: SizeArgs) -> Result<Value, Problem> {
        Ok(json!(self.blob(cx, &args.id).await?.len()))
    }

    async fn read(&self, cx: &CallContext, args: ReadArgs) -> Result<Value, Problem> {
        if args.length > MAX_READ {
            let detail = format!("{} bytes were asked for; a call gives at most {MAX_READ}", args.length);
            return Err(invalid(detail));
        }
        let blob = self.blob(cx, &args.id).await?;
        let begin = usize::try_from(args.offset).unwrap_or(usize::MAX).min(blob.len());
        let end = begin.saturating_add(args.length as usize).min(blob.len());
        Ok(Value::String(STANDARD.encode(&blob[begin..end])))
    }

    async fn write(&self, cx: &CallContext, args: WriteArgs) -> Result<Value, Problem> {
        let bytes = STANDARD
            .decode(args.bytes)
            .map_err(|e| invalid(format!("the bytes are not base64: {e}")))?;
        let id = cx.tables.put_blob(bytes).await.map_err(|e| store_problem(&e))?;
        Ok(Value::String(if id.starts_with("blob:") {
            id
        } else {
            format!("blob:{id}")
        }))
    }

    async fn blob(&self, cx: &CallContext, id: &str) -> Result<Arc<Vec<u8>>, Problem> {
        let hash = hash(id).ok_or_else(|| {
            invalid(format!(
                "'{id}' is not the id of a blob: 'blob:sha256:' and 64 hexadecimal digits are expected"
            ))
        })?;
        if let Some(bytes) = self.recent.get(hash) {
            return Ok(bytes);
        }
        let found = cx.tables.get_blob(id).await.map_err(|e| store_problem(&e))?;
        let bytes = found.ok_or_else(|| {
            let detail = format!(
                "there is no blob {id}: upload the file first, or it was collected because nothing referred to it"
            );
            Problem::new(ErrorType::Validation, "no such blob", detail).with_status(404)
        })?;
        self.recent.put(hash, bytes.clone());
        Ok(bytes)
    }
}

/// The hexadecimal hash in a blob's id.
fn hash(id: &str) -> Option<&str> {
    let hash = id.strip_prefix("blob:").unwrap_or(id).strip_prefix("sha256:")?;
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (hash.len() == 64 && hash.bytes().all(lower_hex)).then_some(hash)
}

fn arguments<T: DeserializeOwned>(args: Value) -> Result<T, Problem> {
    serde_json::from_value(args).map_err(|e| invalid(e.to_string()))
}

fn invalid(detail: String) -> Problem {
    Problem::new(ErrorType::Validation, "invalid request", detail)
}

fn store_problem(error: &TableError) -> Problem {
    match error {
        TableError::TooLarge { .. } => {
            Problem::new(ErrorType::Validation, "blob too large", error.to_string()).with_status(413)
        }
        TableError::Unavailable(_) => Problem::new(ErrorType::Runtime, "no store", error.to_string()).with_status(503),
        _ => Problem::new(ErrorType::Runtime, "no store", error.to_string()),
    }
}
