//! From a plugin's request to the one that the server understands.

use potok_dsl::{ErrorType, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Defaults;

/// The longest conversation, in bytes: far above what any model reads.
const MAX_CONVERSATION: usize = 8 << 20;

/// `request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) model: Option<String>,
    messages: Vec<Message>,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: Role,
    content: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    request: Request,
}

pub(crate) fn arguments(args: Value) -> Result<Request, Problem> {
    serde_json::from_value::<Arguments>(args)
        .map(|arguments| arguments.request)
        .map_err(|e| invalid(e.to_string()))
}

/// The request's body.
pub(crate) fn body(request: &Request, defaults: &Defaults) -> Result<Value, Problem> {
    if request.messages.is_empty() {
        return Err(invalid("there is no message to answer".to_owned()));
    }
    let size: usize = request.messages.iter().map(|message| message.content.len()).sum();
    if size > MAX_CONVERSATION {
        return Err(invalid(format!(
            "the conversation has {size} bytes; the most is {MAX_CONVERSATION}"
        )));
    }
    let messages: Vec<_> = request
        .messages
        .iter()
        .map(|message| json!({ "role": message.role.name(), "content": message.content }))
        .collect();
    let model = request.model.as_deref().unwrap_or(&defaults.model);
    let mut body = json!({ "model": model, "messages": messages });
    if let Some(temperature) = request.temperature.or(defaults.temperature) {
        if !(0.0..=2.0).contains(&temperature) {
            return Err(invalid(format!("the temperature {temperature} is not between 0 and 2")));
        }
        body["temperature"] = json!(temperature);
    }
    if let Some(tokens) = request.max_tokens {
        body[defaults.max_tokens] = json!(tokens);
    }
    Ok(body)
}

fn invalid(detail: String) -> Problem {
    Problem::new(ErrorType::Validation, "invalid request", detail)
}
