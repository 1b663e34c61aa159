//! What is written on the nodes of a graph, and their shapes.

use serde_json::Value;

use crate::model::{Call, Consumption, Duration, ErrorRef, RunProcess, Task, TaskKind, Until};

/// The most characters of a line.
const WIDTH: usize = 60;

/// The outline of a node.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Rectangle,
    Round,
    Stadium,
    Circle,
    Hexagon,
    Diamond,
    Subroutine,
    Flag,
    LeanRight,
    LeanLeft,
}

impl Shape {
    pub fn of(kind: &TaskKind) -> Self {
        match kind {
            TaskKind::Switch(_) => Self::Diamond,
            TaskKind::Run(_) => Self::Subroutine,
            TaskKind::Raise(_) => Self::Flag,
            TaskKind::Emit(_) => Self::LeanRight,
            TaskKind::Listen(_) => Self::LeanLeft,
            TaskKind::Wait(_) => Self::Round,
            _ => Self::Rectangle,
        }
    }

    pub fn brackets(self) -> (&'static str, &'static str) {
        match self {
            Self::Rectangle => ("[", "]"),
            Self::Round => ("(", ")"),
            Self::Stadium => ("([", "])"),
            Self::Circle => ("((", "))"),
            Self::Hexagon => ("{{", "}}"),
            Self::Diamond => ("{", "}"),
            Self::Subroutine => ("[[", "]]"),
            Self::Flag => (">", "]"),
            Self::LeanRight => ("[/", "/]"),
            Self::LeanLeft => ("[\\", "\\]"),
        }
    }
}

/// The name of a task as people see it, and its condition.
pub(super) fn headline(name: &str, task: &Task) -> String {
    let name = task.potok.label.as_ref().map_or(name, |label| label.value.as_str());
    match &task.condition {
        Some(condition) => format!("{name}\nif {}", condition.value),
        None => name.to_owned(),
    }
}

/// What a task does, in a line.
pub(super) fn describe(task: &Task) -> String {
    match &task.kind {
        TaskKind::Call(call) => describe_call(call),
        TaskKind::Do(_) => "do".to_owned(),
        TaskKind::Fork(fork) if fork.compete => "race".to_owned(),
        TaskKind::Fork(_) => "fork".to_owned(),
        TaskKind::Emit(emit) => match emit.with.get("type").and_then(|kind| kind.value.as_str()) {
            Some(kind) => format!("emit {kind}"),
            None => "emit".to_owned(),
        },
        TaskKind::For(each) => {
            let name = each.each.as_ref().map_or("item", |each| each.value.as_str());
            let items = each.items.value.as_str().unwrap_or("a list");
            let mut line = format!("for {name} in {items}");
            if let Some(parallel) = &task.potok.parallel {
                line.push_str(&format!(" ({} at once)", parallel.value));
            }
            if let Some(condition) = &each.condition {
                line.push_str(&format!("\nwhile {}", condition.value));
            }
            line
        }
        TaskKind::Listen(listen) => format!("listen to {}", describe_events(&listen.to.value)),
        TaskKind::Raise(error) => match &error.value {
            ErrorRef::Use(name) => format!("raise {}", name.value),
            ErrorRef::Inline(error) => format!("raise {}", error.title.as_ref().unwrap_or(&error.kind).value),
        },
        TaskKind::Run(run) => {
            let (kind, what) = match run.process {
                RunProcess::Container => ("container", "/image"),
                RunProcess::Script => ("script", "/language"),
                RunProcess::Shell => ("shell", "/command"),
                RunProcess::Workflow => ("workflow", "/name"),
            };
            let what = text(&run.properties.value, what).unwrap_or_default();
            let apart = if run.wait { "" } else { "\nwithout waiting" };
            format!("run {kind} {what}{apart}")
        }
        TaskKind::Set(_) => "set".to_owned(),
        TaskKind::Switch(_) => "switch".to_owned(),
        TaskKind::Try(_) => "try".to_owned(),
        TaskKind::Wait(span) => format!("wait {}", duration(&span.value)),
    }
}

/// Which events, by their types, and until when.
pub(super) fn describe_events(consumption: &Consumption) -> String {
    const SHOWN: usize = 3;
    let mut types: Vec<&str> = consumption
        .filters()
        .iter()
        .map(|filter| {
            filter
                .value
                .with
                .get("type")
                .and_then(|kind| kind.value.as_str())
                .unwrap_or("an event")
        })
        .collect();
    if types.len() > SHOWN {
        types.truncate(SHOWN);
        types.push("…");
    }
    let joined = |word: &str| types.join(word);
    match consumption {
        Consumption::One(_) => joined(""),
        Consumption::All(_) => joined(" and "),
        Consumption::Any { until, .. } => {
            let events = if types.is_empty() {
                "any event".to_owned()
            } else {
                joined(" or ")
            };
            match until {
                None => events,
                Some(Until::Condition(condition)) => format!("{events}\nuntil {}", condition.value),
                Some(Until::Events(until)) => format!("{events}\nuntil {}", describe_events(&until.value)),
            }
        }
    }
}

fn describe_call(call: &Call) -> String {
    match call {
        Call::Http(http) => format!("{} {}", http.method.value.to_uppercase(), http.endpoint.uri.value),
        Call::OpenApi(call) => format!("call openapi {}", call.operation.value),
        Call::AsyncApi(with) => {
            let operation = text(&with.value, "/operation").or_else(|| text(&with.value, "/channel"));
            format!("call asyncapi {}", operation.unwrap_or_default())
        }
        Call::Grpc(with) => format!("call grpc {}", text(&with.value, "/method").unwrap_or_default()),
        Call::A2a(with) => format!("call a2a {}", text(&with.value, "/method").unwrap_or_default()),
        Call::Mcp(with) => format!("call mcp {}", text(&with.value, "/method").unwrap_or_default()),
        Call::Function { name, .. } => format!("call {}", name.value),
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// A duration as it was written, in a line.
pub(super) fn duration(duration: &Duration) -> String {
    match duration {
        Duration::Fixed {
            written: Value::Object(members),
            ..
        } => {
            let parts = members.iter().map(|(name, count)| {
                let one = count.as_u64() == Some(1);
                format!(
                    "{count} {}",
                    if one {
                        name.strip_suffix('s').unwrap_or(name)
                    } else {
                        name
                    }
                )
            });
            parts.collect::<Vec<_>>().join(" ")
        }
        Duration::Fixed {
            written: Value::String(text),
            ..
        }
        | Duration::Expression(text) => text.clone(),
        Duration::Fixed { span, .. } => format!("{} ms", span.0),
    }
}

/// Text for the inside of a quoted Mermaid string: lines kept, long ones cut, everything that means something to Mermaid or HTML as
/// an entity.
pub(super) fn escape(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(4)
        .map(escape_line);
    lines.collect::<Vec<_>>().join("<br/>")
}

fn escape_line(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars().take(WIDTH) {
        match c {
            '"' => escaped.push_str("#quot;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '&' => escaped.push_str("#amp;"),
            // An entity, a directive, Markdown, math.
            '#' | '%' | '`' | '*' | '_' | '$' | '\\' => escaped.push_str(&format!("#{};", u32::from(c))),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    if line.chars().nth(WIDTH).is_some() {
        escaped.push('…');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_label_means_anything_to_mermaid() {
        assert_eq!(
            escape("say \"hi\" <b>&\n%%{init}%% #1"),
            "say #quot;hi#quot; #lt;b#gt;#amp;<br/>#37;#37;{init}#37;#37; #35;1"
        );
        assert_eq!(escape(&"x".repeat(100)).chars().count(), WIDTH + 1);
        assert_eq!(escape("a\u{0}b"), "a b");
    }
}
