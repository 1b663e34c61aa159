//! Makes the calls that runs ask for: plugin functions through the component host, `call: http` through the HTTP caller.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use potok_calls::{
    HttpCaller, HttpContext, Shell, ShellCommand,
    openapi::{Manner, Operation},
};
use potok_dsl::{ErrorType, Problem, RunId, Timestamp, model};
use potok_machine::{CallEffect, HttpOutput, QueryValue, Request, ShellRequest};
use potok_secrets::Vault;
use potok_wasm::{CallContext, Host, Tables};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::confidential::{self, Guarded};
use crate::deploy::SHELL_IS_OFF;

/// A century: nothing is waited for any longer.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Makes calls; cheap to clone.
#[derive(Clone)]
pub(crate) struct Executor {
    host: Host,
    http: Arc<HttpCaller>,
    /// What runs commands, if the operator allows it.
    shell: Option<Arc<Shell>>,
    vault: Vault,
    tables: Arc<dyn Tables>,
    /// How many calls are under way at once; the others wait here.
    places: Arc<Semaphore>,
    /// How long a call may take, if its task says nothing.
    limit: Duration,
}

impl Executor {
    pub fn new(
        host: Host,
        http: Arc<HttpCaller>,
        shell: Option<Arc<Shell>>,
        vault: Vault,
        tables: Arc<dyn Tables>,
        places: usize,
        limit: Duration,
    ) -> Self {
        Self {
            host,
            http,
            shell,
            vault,
            tables,
            places: Arc::new(Semaphore::new(places)),
            limit,
        }
    }

    /// Makes a call and gives its result; never later than its task allows, or the limit where the task says nothing.
    pub async fn execute(&self, run: RunId, effect: CallEffect, now: Timestamp) -> Result<Arc<Value>, Problem> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(Problem::new(
                ErrorType::Runtime,
                "Node is stopping",
                "the call was not made",
            ));
        };
        let limit = effect.limit.map_or(self.limit, |limit| Duration::from_millis(limit.0));
        // A time that no clock can tell is none.
        let begun = Instant::now();
        let deadline = begun.checked_add(limit).unwrap_or(begun + FOREVER);
        let call = self.call(run, effect, now, deadline);
        match timeout_at(deadline + Duration::from_secs(1), call).await {
            Ok(result) => result.map(Arc::new),
            Err(_) => Err(Problem::new(
                ErrorType::Timeout,
                "Call took too long",
                format!("no answer within {limit:?}"),
            )),
        }
    }

    async fn call(
        &self,
        run: RunId,
        mut effect: CallEffect,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Value, Problem> {
        let Some(opened) = confidential::reveal(&mut effect, &self.vault, &self.host).await? else {
            let tables = Arc::clone(&self.tables);
            return self.leave(run, effect, now, deadline, tables, false).await;
        };
        let guarded = Arc::new(Guarded {
            tables: Arc::clone(&self.tables),
            opened: Arc::clone(&opened),
        });
        let result = Box::pin(self.leave(run, effect, now, deadline, guarded, true)).await;
        confidential::scrub(result, opened.scrubber())
    }

    async fn leave(
        &self,
        run: RunId,
        effect: CallEffect,
        now: Timestamp,
        deadline: Instant,
        tables: Arc<dyn Tables>,
        confidential: bool,
    ) -> Result<Value, Problem> {
        let deadline = deadline.into_std();
        let http = HttpContext {
            idempotency_key: effect.idempotency_key.clone(),
            deadline,
        };
        match effect.request {
            Request::Function { function, args } => {
                let cx = CallContext {
                    run: Some(run),
                    path: effect.path,
                    idempotency_key: effect.idempotency_key.into(),
                    sequence: 0,
                    deadline,
                    now,
                    confidential,
                    tables,
                };
                let args = Arc::unwrap_or_clone(args);
                self.host.call(&function.component, &function.function, args, cx).await
            }
            Request::Http(request) => {
                let request = potok_calls::HttpRequest {
                    method: request.method,
                    uri: request.uri,
                    headers: request.headers,
                    query: pairs(&request.query),
                    body: request.body,
                    output: output(request.output),
                    redirect: request.redirect,
                    authentication: request.authentication,
                };
                // Boxed, so that a function's call is not as large as these.
                Box::pin(self.http.call(&request, http)).await
            }
            Request::OpenApi(request) => {
                let operation = Operation::deserialize(&*request.operation).map_err(|error| unreadable(&error))?;
                let manner = Manner {
                    output: output(request.output),
                    redirect: request.redirect,
                    authentication: request.authentication,
                };
                let request = operation.request(&request.parameters, manner)?;
                Box::pin(self.http.call(&request, http)).await
            }
            Request::Shell(request) => match &self.shell {
                Some(shell) => Box::pin(shell.run(command(request), deadline)).await,
                None => Err(Problem::new(ErrorType::Authorization, "Shell is off", SHELL_IS_OFF)),
            },
            // They are looked for elsewhere: nobody may be kept waiting for a place by a run that takes days.
            Request::Workflow(_) | Request::Rate(_) => Err(Problem::new(
                ErrorType::Runtime,
                "Not a call",
                "a run of another workflow or a moment is not had by a call",
            )),
        }
    }
}

fn command(request: ShellRequest) -> ShellCommand {
    ShellCommand {
        command: request.command,
        arguments: request.arguments,
        environment: request.environment,
        stdin: request.stdin,
        output: match request.output {
            potok_machine::ProcessOutput::Stdout => potok_calls::ProcessOutput::Stdout,
            potok_machine::ProcessOutput::Stderr => potok_calls::ProcessOutput::Stderr,
            potok_machine::ProcessOutput::Code => potok_calls::ProcessOutput::Code,
            potok_machine::ProcessOutput::All => potok_calls::ProcessOutput::All,
            potok_machine::ProcessOutput::None => potok_calls::ProcessOutput::None,
        },
        awaits: request.awaits,
    }
}

/// A query as it is written: a parameter with several values comes as often.
fn pairs(query: &IndexMap<String, QueryValue>) -> Vec<(String, String)> {
    let one = |(name, value): (&String, &QueryValue)| {
        value
            .values()
            .iter()
            .map(|v| (name.clone(), v.clone()))
            .collect::<Vec<_>>()
    };
    query.iter().flat_map(one).collect()
}

fn output(output: HttpOutput) -> model::HttpOutput {
    match output {
        HttpOutput::Raw => model::HttpOutput::Raw,
        HttpOutput::Content => model::HttpOutput::Content,
        HttpOutput::Response => model::HttpOutput::Response,
    }
}

/// The operation was locked by a version that wrote it in another way.
fn unreadable(error: &serde_json::Error) -> Problem {
    Problem::new(
        ErrorType::Configuration,
        "Operation cannot be read",
        format!(
            "the operation was deployed by another version of Potok ({error}): deploy the workflow under a new version"
        ),
    )
}
