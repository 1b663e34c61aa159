//! Durations, timeouts, retries, errors and authentication: what tasks have in place or by a name under `use`.

use serde_json::Value;

use super::{Reader, advice, clip, fields::Fields, format, json, shapes};
use crate::{
    duration,
    model::{
        At, Authentication, AuthenticationScheme, Backoff, Duration, ErrorDefinition, ErrorFilter, ErrorRef, Json,
        RetryPolicy, RetryRef, Text, Timeout, TimeoutRef,
    },
    yaml::Node,
};

const SCHEMES: [(&str, AuthenticationScheme); 5] = [
    ("basic", AuthenticationScheme::Basic),
    ("bearer", AuthenticationScheme::Bearer),
    ("digest", AuthenticationScheme::Digest),
    ("oauth2", AuthenticationScheme::OAuth2),
    ("oidc", AuthenticationScheme::Oidc),
];

const BACKOFFS: [(&str, Backoff); 3] = [
    ("constant", Backoff::Constant),
    ("exponential", Backoff::Exponential),
    ("linear", Backoff::Linear),
];

impl Reader {
    pub fn duration(&mut self, node: &Node, name: &str) -> Option<At<Duration>> {
        let value = if let Some(text) = node.text() {
            if format::is_expression(text) {
                Duration::Expression(text.to_owned())
            } else {
                match duration::iso(text) {
                    Ok(span) => Duration::Fixed {
                        span,
                        written: Value::String(text.to_owned()),
                    },
                    Err(why) => {
                        self.wrong_help(node.at, format!("'{name}' cannot be '{}'", clip(text)), why);
                        return None;
                    }
                }
            }
        } else if node.members().is_some() {
            self.duration_object(node, name)?
        } else {
            let message = format!("'{name}' must be a duration, not {}", node.kind());
            self.wrong_help(
                node.at,
                message,
                "write text such as PT30S or an object such as { seconds: 30 }",
            );
            return None;
        };
        Some(At { value, at: node.at })
    }

    fn duration_object(&mut self, node: &Node, name: &str) -> Option<Duration> {
        let mut fields = Fields::of(self, node, format!("'{name}'"))?;
        let mut sound = true;
        for (member, _) in duration::MEMBERS {
            if let Some(node) = fields.get(member) {
                sound &= self.integer(node, member, 0, i64::MAX).is_some();
            }
        }
        fields.finish(self);
        let Value::Object(members) = node.to_value() else {
            return None;
        };
        match duration::object(&members) {
            Ok(span) => Some(Duration::Fixed {
                span,
                written: Value::Object(members),
            }),
            Err(why)
                if sound
                    && members
                        .keys()
                        .all(|key| duration::MEMBERS.iter().any(|(member, _)| member == key)) =>
            {
                self.wrong_help(node.at, format!("'{name}' is not a duration"), why);
                None
            }
            Err(_) => None,
        }
    }

    pub fn timeout(&mut self, node: &Node) -> Option<At<Timeout>> {
        let mut fields = Fields::of(self, node, "'timeout'")?;
        let after = fields.require("after").and_then(|node| self.duration(node, "after"));
        fields.finish(self);
        Some(At {
            value: Timeout { after: after? },
            at: node.at,
        })
    }

    pub fn timeout_ref(&mut self, node: &Node) -> Option<TimeoutRef> {
        let Some(name) = node.text() else {
            self.check_reference(node, "timeout", "timeouts")?;
            return self.timeout(node).map(TimeoutRef::Inline);
        };
        self.refer(node.at, name, "timeouts", |names| &names.timeouts);
        Some(TimeoutRef::Use(At {
            value: name.to_owned(),
            at: node.at,
        }))
    }

    /// Something by its name under `use`, or an object in place.
    fn check_reference(&mut self, node: &Node, what: &str, section: &str) -> Option<()> {
        if node.members().is_some() {
            return Some(());
        }
        let message = format!(
            "'{what}' must be an object or a name in 'use.{section}', not {}",
            node.kind()
        );
        let example = advice::example(what).unwrap_or("{ … }");
        self.wrong_help(node.at, message, format!("write {what}: {example}"));
        None
    }

    pub fn retry_ref(&mut self, node: &Node) -> Option<RetryRef> {
        let Some(name) = node.text() else {
            self.check_reference(node, "retry", "retries")?;
            return self.retry(node).map(Box::new).map(RetryRef::Inline);
        };
        self.refer(node.at, name, "retries", |names| &names.retries);
        Some(RetryRef::Use(At {
            value: name.to_owned(),
            at: node.at,
        }))
    }

    pub fn retry(&mut self, node: &Node) -> Option<At<RetryPolicy>> {
        let mut fields = Fields::of(self, node, "'retry'")?;
        let mut policy = RetryPolicy {
            when: fields.text(self, "when"),
            except_when: fields.text(self, "exceptWhen"),
            delay: fields.get("delay").and_then(|node| self.duration(node, "delay")),
            ..RetryPolicy::default()
        };
        if let Some(node) = fields.get("backoff") {
            self.backoff(node, &mut policy);
        }
        if let Some(node) = fields.get("limit") {
            self.limit(node, &mut policy);
        }
        if let Some(node) = fields.get("jitter") {
            self.jitter(node, &mut policy);
        }
        fields.finish(self);
        Some(At {
            value: policy,
            at: node.at,
        })
    }

    fn backoff(&mut self, node: &Node, policy: &mut RetryPolicy) {
        let Some(mut fields) = Fields::of(self, node, "'backoff'") else {
            return;
        };
        if let Some(member) = fields.one_of(self, &BACKOFFS.map(|(name, _)| name)) {
            let backoff = BACKOFFS.iter().find(|(name, _)| *name == member.key);
            policy.backoff = backoff.map_or_else(Backoff::default, |(_, backoff)| *backoff);
            if member.value.members().is_some() {
                policy.backoff_properties = Some(json(&member.value));
                self.growth(&member.value, policy);
            } else {
                let message = format!("'{}' must be an object, not {}", member.key, member.value.kind());
                self.wrong_help(member.value.at, message, format!("write {}: {{}}", member.key));
            }
        }
        fields.finish(self);
    }

    /// How a delay grows. The schema leaves that open; unknown members would do nothing.
    fn growth(&mut self, node: &Node, policy: &mut RetryPolicy) {
        let Some(mut fields) = Fields::of(self, node, "this backoff") else {
            return;
        };
        if policy.backoff == Backoff::Linear {
            policy.increment = fields
                .get("increment")
                .and_then(|node| self.duration(node, "increment"));
        }
        if policy.backoff == Backoff::Exponential {
            policy.multiplier = fields.get("multiplier").and_then(|node| self.multiplier(node));
        }
        if policy.backoff != Backoff::Constant {
            policy.max_delay = fields.get("maxDelay").and_then(|node| self.duration(node, "maxDelay"));
        }
        fields.finish(self);
    }

    fn multiplier(&mut self, node: &Node) -> Option<At<f64>> {
        let crate::yaml::Data::Number(number) = &node.data else {
            self.expected(node, "'multiplier'", "a number");
            return None;
        };
        let value = number.as_f64().filter(|value| (1.0..=1000.0).contains(value));
        if value.is_none() {
            self.wrong(
                node.at,
                format!("'multiplier' must be from 1 to 1000, and {number} is not"),
            );
        }
        Some(At {
            value: value?,
            at: node.at,
        })
    }

    fn limit(&mut self, node: &Node, policy: &mut RetryPolicy) {
        let Some(mut fields) = Fields::of(self, node, "'limit'") else {
            return;
        };
        policy.limit_at = Some(node.at);
        policy.duration = fields.get("duration").and_then(|node| self.duration(node, "duration"));
        if let Some(node) = fields.get("attempt")
            && let Some(mut attempt) = Fields::of(self, node, "'attempt'")
        {
            policy.attempt_at = Some(node.at);
            let count = attempt
                .get("count")
                .and_then(|node| self.integer(node, "count", 0, i64::MAX));
            policy.attempts = count.and_then(|count| u64::try_from(count.value).ok());
            policy.attempt_duration = attempt.get("duration").and_then(|node| self.duration(node, "duration"));
            attempt.finish(self);
        }
        fields.finish(self);
    }

    fn jitter(&mut self, node: &Node, policy: &mut RetryPolicy) {
        let Some(mut fields) = Fields::of(self, node, "'jitter'") else {
            return;
        };
        policy.jitter_from = fields.require("from").and_then(|node| self.duration(node, "from"));
        policy.jitter_to = fields.require("to").and_then(|node| self.duration(node, "to"));
        fields.finish(self);
        let fixed = |duration: &Option<At<Duration>>| duration.as_ref().and_then(|duration| duration.value.fixed());
        if let (Some(from), Some(to)) = (fixed(&policy.jitter_from), fixed(&policy.jitter_to))
            && from > to
        {
            let message = "'jitter' ends before it begins: 'from' is longer than 'to'";
            self.wrong_help(node.at, message, "exchange the two");
        }
    }

    pub fn error_ref(&mut self, node: &Node) -> Option<ErrorRef> {
        let Some(name) = node.text() else {
            self.check_reference(node, "error", "errors")?;
            return self.error(node).map(|error| ErrorRef::Inline(error.value));
        };
        self.refer(node.at, name, "errors", |names| &names.errors);
        Some(ErrorRef::Use(At {
            value: name.to_owned(),
            at: node.at,
        }))
    }

    pub fn error(&mut self, node: &Node) -> Option<At<ErrorDefinition>> {
        let mut fields = Fields::of(self, node, "'error'")?;
        let kind = fields.require("type").and_then(|node| {
            let text = self.text(node, "type")?;
            if format::is_expression(&text.value) {
                Some(text)
            } else {
                self.uri(node, "type")
            }
        });
        let status = fields.require("status").and_then(|node| self.status(node));
        let instance = fields.text(self, "instance");
        if let Some(text) = &instance
            && !format::is_expression(&text.value)
            && !format::is_json_pointer(&text.value)
        {
            self.wrong_help(
                text.at,
                "'instance' must be a JSON pointer or an expression",
                "a JSON pointer looks like /do/0/fetch",
            );
        }
        let title = fields.text(self, "title");
        let detail = fields.text(self, "detail");
        fields.finish(self);
        Some(At {
            value: ErrorDefinition {
                kind: kind?,
                status: status?,
                instance,
                title,
                detail,
            },
            at: node.at,
        })
    }

    /// A status code. The schema wants an integer; the reference lets it be computed, and so do we.
    fn status(&mut self, node: &Node) -> Option<Json> {
        if node.text().is_some_and(format::is_expression) {
            return Some(json(node));
        }
        self.integer(node, "status", 100, 599).map(|_| json(node))
    }

    /// `catch.errors`.
    pub fn error_filter(&mut self, node: &Node) -> Option<ErrorFilter> {
        let mut fields = Fields::of(self, node, "'errors'")?;
        let with = fields.get("with");
        fields.finish(self);
        let Some(with) = with else {
            return Some(ErrorFilter::default());
        };
        let mut fields = Fields::of(self, with, "'with'")?;
        if fields.is_empty() {
            self.wrong_help(with.at, "'with' is empty", "remove 'errors' to catch every error");
        }
        let status = fields
            .get("status")
            .and_then(|node| self.integer(node, "status", 100, 599));
        let filter = ErrorFilter {
            kind: fields.text(self, "type"),
            status: status.and_then(|status| {
                Some(At {
                    value: u16::try_from(status.value).ok()?,
                    at: status.at,
                })
            }),
            instance: fields.text(self, "instance"),
            title: fields.text(self, "title"),
            detail: fields.text(self, "detail"),
        };
        fields.finish(self);
        Some(filter)
    }

    pub fn authentication(&mut self, node: &Node) -> Option<At<Authentication>> {
        let mut fields = Fields::of(self, node, "'authentication'")?;
        let member = fields.one_of(self, &SCHEMES.map(|(name, _)| name));
        fields.finish(self);
        let member = member?;
        let (name, scheme) = *SCHEMES.iter().find(|(name, _)| *name == member.key)?;
        let properties = &member.value;
        if properties.get("use").is_some() {
            let mut fields = Fields::of(self, properties, format!("'{name}'"))?;
            let secret: Option<Text> = fields.require_text(self, "use");
            fields.finish(self);
            if let Some(secret) = secret {
                self.refer(secret.at, &secret.value, "secrets", |names| &names.secrets);
            }
        } else {
            self.check_object(properties, name, shapes::credentials(scheme));
        }
        Some(At {
            value: Authentication {
                scheme,
                properties: json(properties),
            },
            at: node.at,
        })
    }
}
