//! Secrets around a call: put into it at the last moment, taken out of all that comes back.
//!
//! What is journaled before and after holds placeholders and marks. Between the two the call's request holds secrets, in memory alone.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use potok_dsl::{ErrorType, Problem};
use potok_expr::{SecretPath, secret};
use potok_machine::{CallEffect, Request};
use potok_secrets::{Opened, Scrubber, Vault, used};
use potok_wasm::{Host, Row, Statement, TableError, Tables};
use serde_json::Value;

/// The members of a request that are JSON: a placeholder alone may become any value there. All others are text.
const JSON: [&str; 3] = ["args", "body", "parameters"];

/// What of a request comes from a document that someone else has written.
const FOREIGN: &str = "operation";

/// Puts the secrets that a call needs into its request. `None` when its workflow reads no secrets.
pub(super) async fn reveal(
    effect: &mut CallEffect,
    vault: &Vault,
    host: &Host,
) -> Result<Option<Arc<Opened>>, Problem> {
    let known: BTreeSet<SecretPath> = effect.secrets.iter().filter_map(|path| path.parse().ok()).collect();
    if known.is_empty() {
        return Ok(None);
    }
    // Requests are plain data, whose serialisation cannot fail.
    let mut request = serde_json::to_value(&effect.request).unwrap_or_default();
    // What looks like a placeholder there is none.
    if let Some(foreign) = request.get_mut(FOREIGN) {
        secret::neutral(foreign);
    }
    let mut needed = secret::found_in(&request);
    needed.extend(request.get("authentication").and_then(used));
    if let Request::Function { function, .. } = &effect.request {
        granted(&needed, &function.component, &function.function, host)?;
    }
    let opened = vault.open(&needed, &known).await?;
    if !needed.is_empty() {
        put(&mut request, &opened)?;
        effect.request = serde_json::from_value(request).map_err(|_| {
            // The error would quote what it could not read.
            Problem::new(
                ErrorType::Configuration,
                "Request cannot be made",
                "a secret is of another type than the request wants where it is used; use one that is text",
            )
        })?;
    }
    Ok(Some(Arc::new(opened)))
}

fn put(request: &mut Value, opened: &Opened) -> Result<(), Problem> {
    let Some(members) = request.as_object_mut() else {
        return Ok(());
    };
    for (name, member) in members {
        match name.as_str() {
            "command" if secret::is_in(member) => return Err(in_a_command()),
            "authentication" => opened.authentication(member)?,
            name if JSON.contains(&name) => opened.value(member)?,
            _ => opened.texts(member)?,
        }
    }
    Ok(())
}

/// A shell would read a secret as a part of its program, and everyone on the machine could see it in the list of processes.
fn in_a_command() -> Problem {
    Problem::new(
        ErrorType::Authorization,
        "Secret refused",
        "a secret cannot be in the text of a command: give it by 'environment' or 'stdin'",
    )
}

/// A plugin sees a secret only if it was granted it.
fn granted(needed: &BTreeSet<SecretPath>, component: &str, function: &str, host: &Host) -> Result<(), Problem> {
    match needed
        .iter()
        .map(SecretPath::name)
        .find(|name| !host.may_have_secret(component, name))
    {
        None => Ok(()),
        Some(name) => Err(Problem::new(
            ErrorType::Authorization,
            "Secret not granted",
            format!(
                "the plugin of {function} was not granted the secret '{name}'; install it with the grant 'secret:{name}' to let it have that"
            ),
        )),
    }
}

/// What a call gave, rid of secrets.
pub(super) fn scrub(result: Result<Value, Problem>, scrubber: &Scrubber) -> Result<Value, Problem> {
    match result {
        Ok(mut value) => {
            scrubber.value(&mut value);
            Ok(value)
        }
        Err(mut problem) => {
            scrubber.problem(&mut problem);
            Err(problem)
        }
    }
}

/// The tables of a call that holds secrets: nothing that holds one is written.
pub(super) struct Guarded {
    pub(super) tables: Arc<dyn Tables>,
    pub(super) opened: Arc<Opened>,
}

impl Guarded {
    fn refuse(&self, is_secret: bool) -> Result<(), TableError> {
        if is_secret {
            let what = "it holds a secret of the workflow; a secret is not for what is kept".to_owned();
            return Err(TableError::Refused(what));
        }
        Ok(())
    }
}

#[async_trait]
impl Tables for Guarded {
    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, TableError> {
        let scrubber = self.opened.scrubber();
        let params = statements.iter().flat_map(|statement| &statement.params);
        self.refuse(params.into_iter().any(|param| match param {
            potok_wasm::Param::Text(text) => scrubber.finds_in(text),
            potok_wasm::Param::Blob(bytes) => scrubber.finds_in(&String::from_utf8_lossy(bytes)),
            _ => false,
        }))?;
        self.tables.write(statements).await
    }

    async fn read(&self, statement: Statement) -> Result<Vec<Row>, TableError> {
        self.tables.read(statement).await
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<String, TableError> {
        self.refuse(self.opened.scrubber().finds_in(&String::from_utf8_lossy(&bytes)))?;
        self.tables.put_blob(bytes).await
    }

    async fn get_blob(&self, id: &str) -> Result<Option<Arc<Vec<u8>>>, TableError> {
        self.tables.get_blob(id).await
    }
}
