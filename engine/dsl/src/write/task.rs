//! Tasks.

use serde_json::Value;

use super::{Object, entry, events, policies};
use crate::model::{
    Call, Catch, Flow, For, Fork, HttpCall, HttpOutput, Json, OpenApiCall, Run, RunProcess, SwitchCase, Task, TaskKind,
    TaskList, Try,
};

pub(super) fn list(tasks: &TaskList) -> Value {
    Value::Array(
        tasks
            .0
            .iter()
            .map(|item| entry(&item.name.value, item.task.to_value()))
            .collect(),
    )
}

impl Task {
    /// The task as data, equal to its `source`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // `potok` is the typed form of a part of `metadata`; `source` is what this must be equal to.
        let Self {
            at: _,
            condition,
            input,
            output,
            export,
            timeout,
            then,
            metadata,
            potok: _,
            kind,
            kind_at: _,
            source: _,
        } = self;
        let object = Object::new()
            .maybe_text("if", condition.as_ref())
            .maybe("input", input.as_ref().map(policies::input));
        write_kind(object, kind)
            .maybe("output", output.as_ref().map(policies::output))
            .maybe("export", export.as_ref().map(policies::export))
            .maybe("timeout", timeout.as_ref().map(policies::timeout_ref))
            .maybe("then", then.as_ref().map(|then| flow(&then.value)))
            .maybe_json("metadata", metadata.as_ref())
            .value()
    }
}

fn write_kind(object: Object, kind: &TaskKind) -> Object {
    match kind {
        TaskKind::Call(call) => write_call(object, call),
        TaskKind::Do(tasks) => object.with("do", list(tasks)),
        TaskKind::Fork(Fork {
            branches,
            compete,
            compete_at,
        }) => {
            let fork = Object::new()
                .with("branches", list(branches))
                .maybe("compete", compete_at.map(|_| (*compete).into()));
            object.with("fork", fork.value())
        }
        TaskKind::Emit(emit) => object.with("emit", events::emit(emit)),
        TaskKind::For(task) => write_for(object, task),
        TaskKind::Listen(listen) => events::listen(object, listen),
        TaskKind::Raise(error) => object.with("raise", entry("error", policies::error_ref(&error.value))),
        TaskKind::Run(run) => object.with("run", run_value(run)),
        TaskKind::Set(set) => object.with("set", set.value.clone()),
        TaskKind::Switch(cases) => object.with("switch", Value::Array(cases.iter().map(case).collect())),
        TaskKind::Try(Try { tasks, catch }) => object.with("try", list(tasks)).with("catch", self::catch(catch)),
        TaskKind::Wait(duration) => object.with("wait", policies::duration(duration)),
    }
}

fn write_call(object: Object, call: &Call) -> Object {
    let named = |object: Object, name: &str, with: &Json| object.with("call", name).with("with", with.value.clone());
    match call {
        Call::Http(http) => object.with("call", "http").with("with", self::http(http)),
        Call::OpenApi(call) => object.with("call", "openapi").with("with", openapi(call)),
        Call::AsyncApi(with) => named(object, "asyncapi", with),
        Call::Grpc(with) => named(object, "grpc", with),
        Call::A2a(with) => named(object, "a2a", with),
        Call::Mcp(with) => named(object, "mcp", with),
        Call::Function { name, with } => object.text("call", name).maybe_json("with", with.as_ref()),
    }
}

fn http(call: &HttpCall) -> Value {
    let HttpCall {
        method,
        endpoint,
        headers,
        body,
        query,
        output,
        output_at,
        redirect,
        redirect_at,
    } = call;
    Object::new()
        .text("method", method)
        .with("endpoint", policies::endpoint(endpoint))
        .maybe_json("headers", headers.as_ref())
        .maybe_json("body", body.as_ref())
        .maybe_json("query", query.as_ref())
        .maybe("output", output_at.map(|_| output_word(*output).into()))
        .maybe("redirect", redirect_at.map(|_| (*redirect).into()))
        .value()
}

fn openapi(call: &OpenApiCall) -> Value {
    let OpenApiCall {
        document,
        operation,
        parameters,
        authentication,
        output,
        output_at,
        redirect,
        redirect_at,
    } = call;
    Object::new()
        .with("document", policies::resource(&document.value))
        .text("operationId", operation)
        .maybe_json("parameters", parameters.as_ref())
        .maybe(
            "authentication",
            authentication
                .as_ref()
                .map(|policy| policies::authentication_ref(&policy.value)),
        )
        .maybe("output", output_at.map(|_| output_word(*output).into()))
        .maybe("redirect", redirect_at.map(|_| (*redirect).into()))
        .value()
}

fn output_word(output: HttpOutput) -> &'static str {
    match output {
        HttpOutput::Raw => "raw",
        HttpOutput::Content => "content",
        HttpOutput::Response => "response",
    }
}

fn write_for(object: Object, task: &For) -> Object {
    let For {
        each,
        items,
        at,
        condition,
        tasks,
    } = task;
    let head = Object::new()
        .maybe_text("each", each.as_ref())
        .with("in", items.value.clone())
        .maybe_text("at", at.as_ref());
    object
        .with("for", head.value())
        .maybe_text("while", condition.as_ref())
        .with("do", list(tasks))
}

fn run_value(run: &Run) -> Value {
    let Run {
        process,
        properties,
        wait,
        wait_at,
        output,
    } = run;
    let process = match process {
        RunProcess::Container => "container",
        RunProcess::Script => "script",
        RunProcess::Shell => "shell",
        RunProcess::Workflow => "workflow",
    };
    Object::new()
        .with(process, properties.value.clone())
        .maybe("await", wait_at.map(|_| (*wait).into()))
        .maybe_text("return", output.as_ref())
        .value()
}

fn case(case: &SwitchCase) -> Value {
    let SwitchCase { name, when, then } = case;
    entry(
        &name.value,
        Object::new()
            .maybe_text("when", when.as_ref())
            .with("then", flow(&then.value))
            .value(),
    )
}

fn catch(catch: &Catch) -> Value {
    let Catch {
        at: _,
        errors,
        variable,
        when,
        except_when,
        retry,
        tasks,
        then,
    } = catch;
    Object::new()
        .maybe("errors", errors.as_ref().map(policies::error_filter))
        .maybe_text("as", variable.as_ref())
        .maybe_text("when", when.as_ref())
        .maybe_text("exceptWhen", except_when.as_ref())
        .maybe("retry", retry.as_ref().map(policies::retry_ref))
        .maybe("do", tasks.as_ref().map(list))
        .maybe("then", then.as_ref().map(|then| flow(&then.value)))
        .value()
}

fn flow(flow: &Flow) -> Value {
    match flow {
        Flow::Continue => "continue",
        Flow::Exit => "exit",
        Flow::End => "end",
        Flow::To(name) => name,
    }
    .into()
}
