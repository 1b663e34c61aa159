//! What tasks and workflows share: the shaping of data, durations, timeouts, retries, errors, endpoints and authentication.

use serde_json::Value;

use super::{At, Json, Location, Text};
use crate::Millis;

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// A URI, a URI template or an expression.
    pub uri: Text,
    /// Whether it was written as the URI alone, not as an object.
    pub shorthand: bool,
    /// How to authenticate there.
    pub authentication: Option<At<AuthenticationRef>>,
}

/// An authentication policy by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthenticationRef {
    /// The name of one in `use.authentications`.
    Use(Text),
    /// One in place.
    Inline(Authentication),
}

/// An authentication policy. Its members stay data: `{ username, password }`, `{ token }`, `{ use: secret }`, …
#[derive(Debug, Clone, PartialEq)]
pub struct Authentication {
    /// The scheme.
    pub scheme: AuthenticationScheme,
    /// Its members as written.
    pub properties: Json,
}

/// The scheme of an authentication policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthenticationScheme {
    /// HTTP basic.
    Basic,
    /// A bearer token.
    Bearer,
    /// HTTP digest.
    Digest,
    /// OAuth 2.
    OAuth2,
    /// OpenID Connect.
    Oidc,
}

/// A retry policy by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum RetryRef {
    /// The name of one in `use.retries`.
    Use(Text),
    /// One in place. Boxed: it is by far the widest part of a task, and tasks nest.
    Inline(Box<At<RetryPolicy>>),
}

/// A retry policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetryPolicy {
    /// The condition under which to retry.
    pub when: Option<Text>,
    /// The condition under which not to.
    pub except_when: Option<Text>,
    /// The delay, or its first value.
    pub delay: Option<At<Duration>>,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The object under the backoff's name as written; `None` when no backoff was written.
    pub backoff_properties: Option<Json>,
    /// By how much a linear delay grows each time; by itself when absent.
    pub increment: Option<At<Duration>>,
    /// By what an exponential delay is multiplied each time; 2 when absent.
    pub multiplier: Option<At<f64>>,
    /// The longest that the delay grows to.
    pub max_delay: Option<At<Duration>>,
    /// Where `limit` was written.
    pub limit_at: Option<Location>,
    /// Where `limit.attempt` was written.
    pub attempt_at: Option<Location>,
    /// The most retries.
    pub attempts: Option<u64>,
    /// The longest that one attempt may take.
    pub attempt_duration: Option<At<Duration>>,
    /// The longest that all attempts may take.
    pub duration: Option<At<Duration>>,
    /// The least random addition to the delay.
    pub jitter_from: Option<At<Duration>>,
    /// The greatest random addition to the delay.
    pub jitter_to: Option<At<Duration>>,
}

/// How a delay grows from retry to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Backoff {
    /// It does not.
    #[default]
    Constant,
    /// By itself each time.
    Linear,
    /// To the double each time.
    Exponential,
}

/// An error by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorRef {
    /// The name of one in `use.errors`.
    Use(Text),
    /// One in place.
    Inline(ErrorDefinition),
}

/// An error.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorDefinition {
    /// Its type: a URI or an expression.
    pub kind: Text,
    /// Its status (a number; the reference lets it be an expression too).
    pub status: Json,
    /// Its instance: a JSON pointer or an expression.
    pub instance: Option<Text>,
    /// Its title: text or an expression.
    pub title: Option<Text>,
    /// Its detail: text or an expression.
    pub detail: Option<Text>,
}

/// A span of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    /// A fixed one.
    Fixed {
        /// How long.
        span: Millis,
        /// How it was written: an ISO 8601 duration, or an object such as `{ "minutes": 5 }`.
        written: Value,
    },
    /// An expression that gives an ISO 8601 duration or a duration object.
    Expression(String),
}

/// A timeout by name or in place.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeoutRef {
    /// The name of one in `use.timeouts`.
    Use(Text),
    /// One in place.
    Inline(At<Timeout>),
}

/// A timeout.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeout {
    /// After how long.
    pub after: At<Duration>,
}

/// `input`.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What it must look like.
    pub schema: Option<Schema>,
    /// What is made of it: an expression (string) or an object with expressions.
    pub from: Option<Json>,
}

/// `output`.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What it must look like.
    pub schema: Option<Schema>,
    /// What is made of it: an expression (string) or an object with expressions.
    pub shape: Option<Json>,
}

/// `export`.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// What the context must look like.
    pub schema: Option<Schema>,
    /// The new context: an expression (string) or an object with expressions.
    pub shape: Option<Json>,
}

/// A schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The format, `json` when absent.
    pub format: Option<Text>,
    /// Where it is.
    pub source: SchemaSource,
}

/// Where a schema is.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaSource {
    /// In place.
    Document(Json),
    /// Elsewhere.
    Resource(At<ExternalResource>),
}

/// Something kept elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalResource {
    /// Its name.
    pub name: Option<Text>,
    /// Where it is.
    pub endpoint: Endpoint,
}
