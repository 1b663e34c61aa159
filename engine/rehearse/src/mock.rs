//! Which mock answers which call, and how often it has done so.

use potok_dsl::{ErrorType, Millis, Problem};
use potok_machine::{CallEffect, Request};
use serde_json::{Map, Value, json};

use crate::{
    judge::includes,
    plan::{Answer, Fault, Mock},
};

/// A call as mocks and expectations see it.
pub(crate) struct Asked {
    /// `{ task, function, with }`, `{ task, http, with }`, …
    pub seen: Value,
    /// In words: `telegram.post:1.0.0`, `GET https://example.com`.
    pub what: String,
}

impl Asked {
    pub fn of(call: &CallEffect) -> Self {
        let request = serde_json::to_value(&call.request).unwrap_or_default();
        let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
        let (kind, what, with) = match &call.request {
            Request::Function { function, args } => ("function", function.function.clone(), (**args).clone()),
            Request::Http(http) => {
                let what = format!("{} {}", http.method.to_uppercase(), http.uri);
                let members = ["headers", "query", "body"].iter().filter_map(|key| {
                    let value = request.get(*key)?;
                    Some(((*key).to_owned(), value.clone()))
                });
                ("http", what, Value::Object(members.collect::<Map<_, _>>()))
            }
            // By the place that the document names; the parameters are apart from it.
            Request::OpenApi(call) => {
                let part = |key: &str| call.operation.get(key).and_then(Value::as_str).unwrap_or_default();
                let what = format!("{} {}{}", part("method").to_uppercase(), part("server"), part("path"));
                ("http", what, Value::Object(call.parameters.clone()))
            }
            Request::Rate(asked) => ("rate", asked.group.clone(), Value::Null),
            Request::Shell(_) => ("shell", text("command").to_owned(), request.clone()),
            Request::Workflow(_) => {
                let what = format!("{}/{}:{}", text("namespace"), text("name"), text("version"));
                ("workflow", what, request.get("input").cloned().unwrap_or_default())
            }
        };
        Self {
            seen: json!({ "task": call.reference, kind: what, "with": with }),
            what,
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.seen.get(key).and_then(Value::as_str)
    }
}

/// The mocks of a case, and how often each has answered.
pub(crate) struct Mocks<'p> {
    list: Vec<(&'p Mock, Vec<Answer>, u64)>,
}

impl<'p> Mocks<'p> {
    /// Those of the case go before those of the test.
    pub fn of(case: &'p [Mock], plan: &'p [Mock]) -> Self {
        let list = case.iter().chain(plan).map(|mock| (mock, mock.answers(), 0)).collect();
        Self { list }
    }

    /// The answer to a call, and after how long it comes.
    pub fn answer(&mut self, asked: &Asked) -> Option<(Result<Value, Problem>, Millis)> {
        let fits = |(mock, _, used): &&mut (&Mock, Vec<Answer>, u64)| {
            mock.times.is_none_or(|times| *used < times) && fits(mock, asked)
        };
        let (_, answers, used) = self.list.iter_mut().find(fits)?;
        let index = usize::try_from(*used)
            .unwrap_or(usize::MAX)
            .min(answers.len().saturating_sub(1));
        *used += 1;
        let answer = answers.get(index)?;
        let outcome = match &answer.error {
            Some(fault) => Err(problem(fault)),
            None => Ok(answer.answer.clone().unwrap_or_default()),
        };
        Some((outcome, answer.after.map_or(Millis(0), |after| after.0)))
    }
}

fn fits(mock: &Mock, asked: &Asked) -> bool {
    let wanted = |pattern: &Option<String>, key: &str| match pattern {
        None => true,
        Some(pattern) => asked.text(key).is_some_and(|text| names(pattern, text)),
    };
    let task = mock
        .task
        .as_ref()
        .is_none_or(|task| is_task(task, asked.text("task").unwrap_or_default()));
    let http = mock.http.as_ref().is_none_or(|pattern| {
        let text = asked.text("http").unwrap_or_default();
        let (method, url) = pattern.split_once(' ').unwrap_or(("*", pattern));
        let (asked_method, asked_url) = text.split_once(' ').unwrap_or_default();
        glob(&method.to_uppercase(), asked_method) && glob(url.trim(), asked_url)
    });
    let with = mock
        .with
        .as_ref()
        .is_none_or(|with| includes(with, &asked.seen["with"]).is_ok());
    wanted(&mock.function, "function")
        && wanted(&mock.workflow, "workflow")
        && wanted(&mock.shell, "shell")
        && task
        && http
        && with
}

/// Whether a pattern means a name, whose version it may leave out.
fn names(pattern: &str, name: &str) -> bool {
    let plain = name.split_once(':').map_or(name, |(plain, _)| plain);
    glob(pattern, name) || glob(pattern, plain)
}

/// Whether a name or a reference means the task at a reference.
pub(crate) fn is_task(wanted: &str, reference: &str) -> bool {
    if wanted.starts_with('/') {
        return wanted == reference;
    }
    let name = reference.rsplit('/').next().unwrap_or_default();
    name.replace("~1", "/").replace("~0", "~") == wanted
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The error that a fault means.
pub(crate) fn problem(fault: &Fault) -> Problem {
    let word = fault.kind.as_deref().unwrap_or("runtime");
    let standard = standard(word);
    let status = standard.map_or(500, ErrorType::status);
    Problem {
        kind: standard.map_or_else(|| word.to_owned(), ErrorType::uri),
        status: fault.status.unwrap_or(status),
        title: fault.title.clone(),
        detail: fault.detail.clone(),
        instance: None,
        retry_after_ms: fault.retry_after.map(|after| after.0.0),
        data: fault.data.clone(),
    }
}

/// The standard type that a word or a URI means.
pub(crate) fn standard(word: &str) -> Option<ErrorType> {
    ErrorType::parse(word).or_else(|| {
        let base = ErrorType::Runtime.uri();
        ErrorType::parse(&format!("{}{word}", base.trim_end_matches("runtime")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.bc", true),
            ("*", "", true),
            ("*b*d", "abcd", true),
            ("*b*d", "abcde", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
        assert!(names("telegram.post", "telegram.post:1.0.0") && !names("telegram.post", "telegram.poster:1.0.0"));
    }

    #[test]
    fn tasks_have_names_and_references() {
        assert!(is_task("/do/0/fetch", "/do/0/fetch") && is_task("fetch", "/do/0/fetch"));
        assert!(is_task("a/b", "/do/0/a~1b") && !is_task("do", "/do/0/fetch"));
    }

    #[test]
    fn short_names_are_standard_types() {
        assert_eq!(standard("timeout"), Some(ErrorType::Timeout));
        assert_eq!(standard(&ErrorType::Timeout.uri()), Some(ErrorType::Timeout));
        assert_eq!(standard("urn:mine"), None);
    }
}
