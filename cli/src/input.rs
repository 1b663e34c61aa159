//! Inputs from the command line: JSON in place or from a file, and files that become blobs.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use potok_wasm::Tables;
use serde_json::{Map, Value};

use crate::exit::Failure;

/// The largest input that is read, in bytes: a value has a ceiling of 64 MiB.
const CEILING: u64 = 64 * 1024 * 1024;

/// Reads an input as it was given: JSON, `@FILE`, `@-`; an empty object when nothing was.
///
/// # Errors
/// When the file cannot be read or the text is not JSON.
pub fn json(given: Option<&str>) -> Result<Value, Failure> {
    let Some(given) = given else {
        return Ok(Value::Object(Map::new()));
    };
    let (name, text) = match given.strip_prefix('@') {
        Some("-") => (
            "standard input".to_owned(),
            read("standard input", std::io::stdin().lock())?,
        ),
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|e| Failure::Usage(format!("cannot read {path}: {e}")))?;
            (path.to_owned(), read(path, file)?)
        }
        None => ("--input".to_owned(), given.to_owned()),
    };
    serde_json::from_str(&text).map_err(|e| Failure::Usage(format!("{name} is not JSON: {e}")))
}

/// The directory that a workflow file stands in: what it refers to by a relative path is looked for there.
pub fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn read(name: &str, from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(CEILING + 1)
        .read_to_string(&mut text)
        .map_err(|e| Failure::Usage(format!("cannot read {name}: {e}")))?;
    if text.len() as u64 > CEILING {
        return Err(Failure::Usage(format!("{name} is over the ceiling of 64 MiB")));
    }
    Ok(text)
}

/// Stores files as blobs and puts their ids into the input.
///
/// # Errors
/// When a `name=path` is malformed, a file cannot be read, the input is no object, or the store refuses.
pub async fn files(input: &mut Value, given: &[String], tables: &dyn Tables) -> Result<(), Failure> {
    for pair in given {
        let (name, path) = pair
            .split_once('=')
            .filter(|(name, path)| !name.is_empty() && !path.is_empty())
            .ok_or_else(|| Failure::Usage(format!("--file takes NAME=PATH, not '{pair}'")))?;
        let Value::Object(members) = input else {
            return Err(Failure::Usage("--file needs an input that is an object".to_owned()));
        };
        let id = store(Path::new(path), tables).await?;
        members.insert(name.to_owned(), Value::String(id));
    }
    Ok(())
}

async fn store(path: &Path, tables: &dyn Tables) -> Result<String, Failure> {
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|e| Failure::Usage(format!("cannot read {}: {e}", path.display())))?;
    let id = tables
        .put_blob(bytes)
        .await
        .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    Ok(if id.starts_with("blob:") {
        id
    } else {
        format!("blob:{id}")
    })
}
