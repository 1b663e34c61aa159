//! Makes the calls that runs ask for: plugin functions through the component host, `call: http` through the HTTP caller.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use potok_calls::{
    HttpCaller, HttpContext, Shell, ShellCommand,
    openapi::{Manner, Operation},
};
use potok_dsl::{ErrorType, Problem, RunId, Timestamp, model};
use potok_journal::Store;
use potok_machine::{CallEffect, HttpOutput, LockedFunction, Made, QueryValue, Request, ShellRequest};
use potok_secrets::{Opened, Vault};
use potok_wasm::{CallContext, Host, Tables};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    confidential::{self, Guarded},
    ledger::{Ledger, Outer},
};
use crate::{deploy::SHELL_IS_OFF, tables::StoreTables};

/// A century: nothing is waited for any longer.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How a call ended.
pub(crate) struct Ended {
    pub outcome: Result<Arc<Value>, Problem>,
    /// What it called in turn.
    pub made: Option<Made>,
}

impl From<Result<Arc<Value>, Problem>> for Ended {
    fn from(outcome: Result<Arc<Value>, Problem>) -> Self {
        Self { outcome, made: None }
    }
}

/// A call on its way.
struct Leaving {
    run: RunId,
    now: Timestamp,
    deadline: Instant,
    /// Whether it may have left before.
    again: bool,
    /// The secrets that it holds.
    opened: Option<Arc<Opened>>,
}

/// Makes calls.
pub(crate) struct Executor {
    host: Host,
    http: Arc<HttpCaller>,
    /// What runs commands, if the operator allows it.
    shell: Option<Arc<Shell>>,
    vault: Vault,
    tables: Arc<dyn Tables>,
    store: Arc<dyn Store>,
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
        store: Arc<dyn Store>,
        places: usize,
        limit: Duration,
    ) -> Self {
        Self {
            host,
            http,
            shell,
            vault,
            tables: Arc::new(StoreTables::patient(Arc::clone(&store))),
            store,
            places: Arc::new(Semaphore::new(places)),
            limit,
        }
    }

    /// Makes a call, perhaps `again`, and gives its result; never later than its task allows, or the limit where the task says nothing.
    pub async fn execute(&self, run: RunId, effect: Box<CallEffect>, now: Timestamp, again: bool) -> Ended {
        let Ok(_place) = self.places.acquire().await else {
            let problem = Problem::new(ErrorType::Runtime, "Node is stopping", "the call was not made");
            return Ended::from(Err(problem));
        };
        let limit = effect.limit.map_or(self.limit, |limit| Duration::from_millis(limit.0));
        // A time that no clock can tell is none.
        let begun = Instant::now();
        let deadline = begun.checked_add(limit).unwrap_or(begun + FOREVER);
        let leaving = Leaving {
            run,
            now,
            deadline,
            again,
            opened: None,
        };
        match timeout_at(deadline + Duration::from_secs(1), self.call(effect, leaving)).await {
            Ok(ended) => ended,
            Err(_) => Ended::from(Err(Problem::new(
                ErrorType::Timeout,
                "Call took too long",
                format!("no answer within {limit:?}"),
            ))),
        }
    }

    async fn call(&self, mut effect: Box<CallEffect>, mut leaving: Leaving) -> Ended {
        // What few calls need has a box of its own: what is in the way of all of them is moved with each.
        if !effect.secrets.is_empty() {
            leaving.opened = match Box::pin(confidential::reveal(&mut effect, &self.vault, &self.host)).await {
                Ok(opened) => opened,
                Err(problem) => return Ended::from(Err(problem)),
            };
        }
        let opened = leaving.opened.clone();
        let (result, made) = match &mut effect.request {
            Request::Function { function, args } => {
                let (function, args) = (function.clone(), std::mem::take(args));
                self.function(effect, &function, args, leaving).await
            }
            _ => (Box::pin(self.leave(effect, leaving.deadline)).await, None),
        };
        let result = match opened {
            Some(opened) => confidential::scrub(result, opened.scrubber()),
            None => result,
        };
        Ended {
            outcome: result.map(Arc::new),
            made,
        }
    }

    /// Calls a plugin. What one with effects asks of capabilities is kept until the call is over.
    async fn function(
        &self,
        effect: Box<CallEffect>,
        function: &LockedFunction,
        args: Arc<Value>,
        leaving: Leaving,
    ) -> (Result<Value, Problem>, Option<Made>) {
        let tables: Arc<dyn Tables> = match &leaving.opened {
            None => Arc::clone(&self.tables),
            Some(opened) => Arc::new(Guarded {
                tables: Arc::clone(&self.tables),
                opened: Arc::clone(opened),
            }),
        };
        let cx = CallContext {
            run: Some(leaving.run),
            path: effect.path.clone(),
            idempotency_key: effect.idempotency_key.into(),
            sequence: 0,
            deadline: leaving.deadline.into_std(),
            now: effect.at.unwrap_or(leaving.now),
            confidential: leaving.opened.is_some(),
            tables,
        };
        let (component, args) = (&function.component, Arc::unwrap_or_clone(args));
        if effect.pure {
            return (self.host.call(component, &function.function, args, cx).await, None);
        }
        let outer = Outer {
            run: leaving.run,
            call: effect.call,
            path: effect.path,
            function: function.function.clone(),
            again: leaving.again,
            opened: leaving.opened,
        };
        let ledger = Arc::new(Ledger::new(Arc::clone(&self.store), outer));
        let call = self
            .host
            .call_kept(component, &function.function, args, cx, ledger.clone());
        let result = tokio::select! {
            biased;
            result = call => result,
            never = ledger.keep() => match never {},
        };
        (result, ledger.made().await)
    }

    /// Makes a call of any other kind.
    async fn leave(&self, effect: Box<CallEffect>, deadline: Instant) -> Result<Value, Problem> {
        let deadline = deadline.into_std();
        let http = HttpContext {
            idempotency_key: effect.idempotency_key,
            deadline,
        };
        match effect.request {
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
                self.http.call(&request, http).await
            }
            Request::OpenApi(request) => {
                let operation = Operation::deserialize(&*request.operation).map_err(|error| unreadable(&error))?;
                let manner = Manner {
                    output: output(request.output),
                    redirect: request.redirect,
                    authentication: request.authentication,
                };
                let request = operation.request(&request.parameters, manner)?;
                self.http.call(&request, http).await
            }
            Request::Shell(request) => match &self.shell {
                Some(shell) => shell.run(command(request), deadline).await,
                None => Err(Problem::new(ErrorType::Authorization, "Shell is off", SHELL_IS_OFF)),
            },
            // They are had elsewhere: nobody may be kept waiting for a place by a run that takes days.
            Request::Function { .. } | Request::Workflow(_) | Request::Rate(_) => Err(Problem::new(
                ErrorType::Runtime,
                "Not a call",
                "a function, a run of another workflow or a moment is not had by such a call",
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
