//! What tasks and workflows have in common: data shaping, durations, retries, errors, endpoints.

use serde_json::Value;

use super::{Object, entry};
use crate::model::{
    At, Authentication, AuthenticationRef, AuthenticationScheme, Backoff, Duration, Endpoint, ErrorDefinition,
    ErrorFilter, ErrorRef, Export, ExternalResource, Input, Json, Output, RetryPolicy, RetryRef, Schema, SchemaSource,
    Timeout, TimeoutRef,
};

pub(super) fn input(input: &Input) -> Value {
    shaped(input.schema.as_ref(), "from", input.from.as_ref())
}

pub(super) fn output(output: &Output) -> Value {
    shaped(output.schema.as_ref(), "as", output.shape.as_ref())
}

pub(super) fn export(export: &Export) -> Value {
    shaped(export.schema.as_ref(), "as", export.shape.as_ref())
}

fn shaped(schema: Option<&Schema>, key: &str, shape: Option<&Json>) -> Value {
    Object::new()
        .maybe("schema", schema.map(schema_value))
        .maybe_json(key, shape)
        .value()
}

fn schema_value(schema: &Schema) -> Value {
    let object = Object::new().maybe_text("format", schema.format.as_ref());
    match &schema.source {
        SchemaSource::Document(document) => object.with("document", document.value.clone()),
        SchemaSource::Resource(resource) => object.with("resource", self::resource(&resource.value)),
    }
    .value()
}

pub(super) fn resource(resource: &ExternalResource) -> Value {
    Object::new()
        .maybe_text("name", resource.name.as_ref())
        .with("endpoint", endpoint(&resource.endpoint))
        .value()
}

pub(super) fn endpoint(endpoint: &Endpoint) -> Value {
    let Endpoint {
        uri,
        shorthand,
        authentication,
    } = endpoint;
    if *shorthand && authentication.is_none() {
        return uri.value.clone().into();
    }
    let authentication = authentication.as_ref().map(|policy| authentication_ref(&policy.value));
    Object::new()
        .text("uri", uri)
        .maybe("authentication", authentication)
        .value()
}

pub(super) fn authentication_ref(policy: &AuthenticationRef) -> Value {
    match policy {
        AuthenticationRef::Use(name) => entry("use", name.value.clone().into()),
        AuthenticationRef::Inline(policy) => authentication(policy),
    }
}

pub(super) fn authentication(policy: &Authentication) -> Value {
    let scheme = match policy.scheme {
        AuthenticationScheme::Basic => "basic",
        AuthenticationScheme::Bearer => "bearer",
        AuthenticationScheme::Digest => "digest",
        AuthenticationScheme::OAuth2 => "oauth2",
        AuthenticationScheme::Oidc => "oidc",
    };
    entry(scheme, policy.properties.value.clone())
}

pub(super) fn duration(duration: &At<Duration>) -> Value {
    match &duration.value {
        Duration::Fixed { written, .. } => written.clone(),
        Duration::Expression(text) => text.clone().into(),
    }
}

pub(super) fn timeout_ref(timeout: &TimeoutRef) -> Value {
    match timeout {
        TimeoutRef::Use(name) => name.value.clone().into(),
        TimeoutRef::Inline(timeout) => self::timeout(&timeout.value),
    }
}

pub(super) fn timeout(timeout: &Timeout) -> Value {
    entry("after", duration(&timeout.after))
}

pub(super) fn retry_ref(retry: &RetryRef) -> Value {
    match retry {
        RetryRef::Use(name) => name.value.clone().into(),
        RetryRef::Inline(policy) => self::retry(&policy.value),
    }
}

pub(super) fn retry(policy: &RetryPolicy) -> Value {
    let backoff = policy.backoff_properties.as_ref().map(|properties| {
        let name = match policy.backoff {
            Backoff::Constant => "constant",
            Backoff::Linear => "linear",
            Backoff::Exponential => "exponential",
        };
        entry(name, properties.value.clone())
    });
    let jitter = policy.jitter_from.as_ref().zip(policy.jitter_to.as_ref());
    Object::new()
        .maybe_text("when", policy.when.as_ref())
        .maybe_text("exceptWhen", policy.except_when.as_ref())
        .maybe("delay", policy.delay.as_ref().map(duration))
        .maybe("backoff", backoff)
        .maybe("limit", policy.limit_at.map(|_| limit(policy)))
        .maybe(
            "jitter",
            jitter.map(|(from, to)| {
                Object::new()
                    .with("from", duration(from))
                    .with("to", duration(to))
                    .value()
            }),
        )
        .value()
}

fn limit(policy: &RetryPolicy) -> Value {
    let attempt = policy.attempt_at.map(|_| {
        Object::new()
            .maybe("count", policy.attempts.map(Value::from))
            .maybe("duration", policy.attempt_duration.as_ref().map(duration))
            .value()
    });
    Object::new()
        .maybe("attempt", attempt)
        .maybe("duration", policy.duration.as_ref().map(duration))
        .value()
}

pub(super) fn error_ref(error: &ErrorRef) -> Value {
    match error {
        ErrorRef::Use(name) => name.value.clone().into(),
        ErrorRef::Inline(error) => self::error(error),
    }
}

pub(super) fn error(error: &ErrorDefinition) -> Value {
    let ErrorDefinition {
        kind,
        status,
        instance,
        title,
        detail,
    } = error;
    Object::new()
        .text("type", kind)
        .with("status", status.value.clone())
        .maybe_text("instance", instance.as_ref())
        .maybe_text("title", title.as_ref())
        .maybe_text("detail", detail.as_ref())
        .value()
}

pub(super) fn error_filter(filter: &ErrorFilter) -> Value {
    if *filter == ErrorFilter::default() {
        return Object::new().value();
    }
    let ErrorFilter {
        kind,
        status,
        instance,
        title,
        detail,
    } = filter;
    let with = Object::new()
        .maybe_text("type", kind.as_ref())
        .maybe("status", status.as_ref().map(|status| status.value.into()))
        .maybe_text("instance", instance.as_ref())
        .maybe_text("title", title.as_ref())
        .maybe_text("detail", detail.as_ref())
        .value();
    entry("with", with)
}
