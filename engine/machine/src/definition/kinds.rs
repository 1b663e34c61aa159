//! The kinds of tasks that take some compiling: `for`, `try`, `raise`, `call`.

use std::sync::Arc;

use potok_dsl::model::{self, At, Json, Task};
use potok_expr::SecretPath;
use serde_json::Value;

use crate::lock::Lock;

use super::{
    Kind, Loop, Raise, Retry, Try, UriTemplate,
    call::{Authentication, Call, Delivery, HttpTemplate, OpenApiTemplate},
    compile::{Compiler, FlowReader},
    variables::{Place, Variables},
};

/// Where an authentication policy has URI templates.
const URIS: [&str; 4] = [
    "/authority",
    "/endpoints/token",
    "/endpoints/revocation",
    "/endpoints/introspection",
];

impl<'a> Compiler<'a> {
    pub(super) fn for_each(
        &mut self,
        each: &'a model::For,
        task: &'a Task,
        reference: &str,
        scope: &Variables,
    ) -> Option<Kind> {
        let item = self.variable(each.each.as_ref(), "item");
        let index = self.variable(each.at.as_ref(), "index");
        let inside = scope.with(vec![item.clone(), index.clone()]);
        let items = self.shape(&each.items, Place::Task, scope);
        let condition = each
            .condition
            .as_ref()
            .map(|text| self.expression(text, Place::Task, &inside));
        let list = self.list("/do", &each.tasks, format!("{reference}/do"), &inside);
        Some(Kind::For(Box::new(Loop {
            items: items?,
            each: item,
            at: index,
            condition: match condition {
                Some(condition) => Some(condition?),
                None => None,
            },
            list,
            parallel: task.potok.parallel.as_ref().map(|parallel| parallel.value),
            collect: task.potok.collect.as_ref().is_some_and(|collect| collect.value),
        })))
    }

    pub(super) fn try_catch(
        &mut self,
        tried: &'a model::Try,
        reference: &str,
        flow: &mut FlowReader<'_>,
        scope: &Variables,
    ) -> Option<Kind> {
        let catch = &tried.catch;
        let variable = self.variable(catch.variable.as_ref(), "error");
        let inside = scope.with(vec![variable.clone()]);
        let list = self.list("/try", &tried.tasks, format!("{reference}/try"), scope);
        let handler = catch
            .tasks
            .as_ref()
            .map(|tasks| self.list("/catch/do", tasks, format!("{reference}/catch/do"), &inside));
        let retry = match &catch.retry {
            None => None,
            Some(model::RetryRef::Inline(policy)) => Some(self.retry(&policy.value, scope, &inside)),
            Some(model::RetryRef::Use(name)) => {
                let workflow = self.workflow;
                let policy = self.named(name, "retries", &workflow.uses.retries);
                policy.map(|policy| self.retry(&policy.value, scope, &inside))
            }
        };
        Some(Kind::Try(Box::new(Try {
            list,
            filter: catch.errors.clone().unwrap_or_default(),
            when: catch
                .when
                .as_ref()
                .and_then(|text| self.expression(text, Place::Task, &inside)),
            except_when: catch
                .except_when
                .as_ref()
                .and_then(|text| self.expression(text, Place::Task, &inside)),
            variable,
            retry,
            handler,
            then: catch.then.as_ref().map(|then| flow.read(self, then)),
        })))
    }

    /// A policy sees the error, except where it is about an attempt that is yet to be made.
    fn retry(&mut self, policy: &'a model::RetryPolicy, outside: &Variables, scope: &Variables) -> Retry {
        let mut span = |duration: &Option<At<model::Duration>>, scope: &Variables| {
            duration
                .as_ref()
                .and_then(|duration| self.span(duration, Place::Task, scope))
        };
        let delay = span(&policy.delay, scope);
        let increment = span(&policy.increment, scope);
        let max_delay = span(&policy.max_delay, scope);
        let attempt_duration = span(&policy.attempt_duration, outside);
        let duration = span(&policy.duration, scope);
        let jitter_from = span(&policy.jitter_from, scope);
        let jitter_to = span(&policy.jitter_to, scope);
        Retry {
            when: policy
                .when
                .as_ref()
                .and_then(|text| self.expression(text, Place::Task, scope)),
            except_when: policy
                .except_when
                .as_ref()
                .and_then(|text| self.expression(text, Place::Task, scope)),
            delay,
            backoff: policy.backoff,
            increment,
            multiplier: policy.multiplier.as_ref().map_or(2.0, |multiplier| multiplier.value),
            max_delay,
            attempts: policy.attempts,
            attempt_duration,
            duration,
            jitter_from,
            jitter_to,
        }
    }

    pub(super) fn raise(&mut self, error: &'a At<model::ErrorRef>, scope: &Variables) -> Option<Kind> {
        let workflow = self.workflow;
        let error = match &error.value {
            model::ErrorRef::Inline(error) => error,
            model::ErrorRef::Use(name) => &self.named(name, "errors", &workflow.uses.errors)?.value,
        };
        let kind = self.text(&error.kind, Place::Task, scope);
        let status = self.template(&error.status, Place::Task, scope);
        let mut text = |text: &Option<model::Text>| text.as_ref().and_then(|text| self.text(text, Place::Task, scope));
        let (instance, title, detail) = (text(&error.instance), text(&error.title), text(&error.detail));
        Some(Kind::Raise(Box::new(Raise {
            kind: kind?,
            status: status?,
            instance,
            title,
            detail,
        })))
    }

    pub(super) fn call(&mut self, call: &'a model::Call, task: &'a Task, scope: &Variables) -> Option<Call> {
        let unsupported = match call {
            model::Call::Http(http) => {
                let request = Box::new(self.http(http, scope)?);
                return Some(Call::Http {
                    request,
                    delivery: self.delivery(task, scope),
                });
            }
            model::Call::OpenApi(call) => {
                let request = Box::new(self.openapi(call, scope)?);
                return Some(Call::OpenApi {
                    request,
                    delivery: self.delivery(task, scope),
                });
            }
            model::Call::Function { name, with } => return self.function_call(name, with.as_ref(), task, scope),
            model::Call::AsyncApi(_) => "asyncapi",
            model::Call::Grpc(_) => "grpc",
            model::Call::A2a(_) => "a2a",
            model::Call::Mcp(_) => "mcp",
        };
        self.refuse(task.kind_at, format!("not supported yet: call: {unsupported}"))
    }

    fn function_call(
        &mut self,
        name: &model::Text,
        with: Option<&'a Json>,
        task: &'a Task,
        scope: &Variables,
    ) -> Option<Call> {
        let with = match with {
            Some(with) => Some(self.template(with, Place::Task, scope)?),
            None => None,
        };
        if let Some(node) = self.function(&name.value) {
            self.no_delivery(name, task);
            return Some(Call::Task { node, with });
        }
        let lock = self.lock;
        match lock.functions.get(&name.value) {
            Some(function) => Some(Call::Function {
                function: function.clone(),
                with,
                delivery: self.delivery(task, scope),
            }),
            None => {
                self.complain_with(
                    name.at,
                    format!("the function '{}' is not known", name.value),
                    "define it under use.functions, or install a plugin that has it",
                );
                None
            }
        }
    }

    /// A task of `use.functions` is no call by itself.
    fn no_delivery(&mut self, name: &model::Text, task: &Task) {
        let (key, delivery) = (&task.potok.idempotency_key, &task.potok.delivery);
        if let Some(key) = key {
            let message = format!(
                "the function '{}' is a task of this workflow, which has no key of its own",
                name.value
            );
            let help = "put metadata.potok.idempotencyKey to the calls that it makes";
            self.complain_with(key.at, message, help);
        }
        if let Some(delivery) = delivery {
            let message = format!(
                "the function '{}' is a task of this workflow, which is not delivered",
                name.value
            );
            self.complain_with(
                delivery.at,
                message,
                "put metadata.potok.delivery to the calls that it makes",
            );
        }
    }

    fn delivery(&mut self, task: &'a Task, scope: &Variables) -> Delivery {
        let (key, delivery) = (&task.potok.idempotency_key, &task.potok.delivery);
        Delivery {
            key: key.as_ref().and_then(|key| self.text(key, Place::Task, scope)),
            once: delivery
                .as_ref()
                .is_some_and(|delivery| delivery.value == model::Delivery::AtMostOnce),
        }
    }

    fn http(&mut self, http: &'a model::HttpCall, scope: &Variables) -> Option<HttpTemplate> {
        let uri = self.uri(&http.endpoint.uri, Place::Task, scope);
        let mut template = |json: &Option<Json>| json.as_ref().and_then(|json| self.template(json, Place::Task, scope));
        let (headers, query, body) = (template(&http.headers), template(&http.query), template(&http.body));
        let authentication = match &http.endpoint.authentication {
            Some(reference) => Some(self.authentication(&reference.value, scope)?),
            None => None,
        };
        Some(HttpTemplate {
            method: self.text(&http.method, Place::Task, scope)?,
            uri: uri?,
            headers,
            query,
            body,
            output: http.output.into(),
            redirect: http.redirect,
            authentication,
        })
    }

    fn openapi(&mut self, call: &'a model::OpenApiCall, scope: &Variables) -> Option<OpenApiTemplate> {
        let (document, operation) = (&call.document.value.endpoint.uri, &call.operation);
        let parameters = call
            .parameters
            .as_ref()
            .map(|json| self.template(json, Place::Task, scope));
        let authentication = match &call.authentication {
            Some(reference) => Some(self.authentication(&reference.value, scope)?),
            None => None,
        };
        let lock = self.lock;
        let Some(locked) = lock
            .operations
            .get(&Lock::operation_key(&document.value, &operation.value))
        else {
            let message = format!("the operation '{}' of {} is not known", operation.value, document.value);
            return self.refuse(operation.at, message);
        };
        Some(OpenApiTemplate {
            document: document.value.clone(),
            operation_id: operation.value.clone(),
            operation: Arc::clone(&locked.operation),
            parameters: match parameters {
                Some(parameters) => Some(parameters?),
                None => None,
            },
            output: call.output.into(),
            redirect: call.redirect,
            authentication,
        })
    }

    fn authentication(&mut self, reference: &'a model::AuthenticationRef, scope: &Variables) -> Option<Authentication> {
        let workflow = self.workflow;
        let policy = match reference {
            model::AuthenticationRef::Inline(policy) => policy,
            model::AuthenticationRef::Use(name) => {
                &self
                    .named(name, "authentications", &workflow.uses.authentications)?
                    .value
            }
        };
        let scheme = match policy.scheme {
            model::AuthenticationScheme::Basic => "basic",
            model::AuthenticationScheme::Bearer => "bearer",
            model::AuthenticationScheme::Digest => "digest",
            model::AuthenticationScheme::OAuth2 => "oauth2",
            model::AuthenticationScheme::Oidc => "oidc",
        };
        let properties = self.template(&policy.properties, Place::Task, scope)?;
        let mut uris = Vec::new();
        for place in URIS {
            let Some(text) = policy.properties.value.pointer(place).and_then(Value::as_str) else {
                continue;
            };
            match UriTemplate::parse(text) {
                Ok(template) => uris.push((place, template)),
                Err(message) => return self.refuse(policy.properties.at, message),
            }
        }
        let from = policy.properties.value.get("use").and_then(Value::as_str);
        if let Some(name) = from {
            self.secret(&SecretPath::new(name, Vec::new()), policy.properties.at);
        }
        Some(Authentication {
            scheme,
            properties,
            from: from.map(str::to_owned),
            uris,
        })
    }
}
