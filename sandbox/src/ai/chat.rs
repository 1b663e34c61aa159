//! A chat completion: the request read strictly, the answer written whole or in chunks.
//!
//! Tokens are estimated: one for every four bytes of UTF-8, begun ones counted (English about four letters a token,
//! Russian about two), and four more for each message of the request. `max_tokens` cuts the answer by the same measure.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::AiError;
use super::prompt;
use crate::summary;

/// Bytes of UTF-8 that count as a token.
const TOKEN: usize = 4;
/// What each message of a request costs beside its text, in tokens.
const PER_MESSAGE: usize = 4;
/// The words of one chunk of a stream.
const CHUNK_WORDS: usize = 8;
const MAX_STOPS: usize = 4;

/// Parameters that may be there and change nothing.
const IGNORED: [&str; 17] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "user",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "reasoning_effort",
    "verbosity",
    "keep_alive",
];

/// A request, without what changes nothing.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    #[serde(default)]
    stop: Stops,
}

#[derive(Debug, Clone, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
enum Stops {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

/// A message of the conversation.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Message {
    pub(super) role: Role,
    #[serde(default)]
    content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    System,
    Developer,
    User,
    Assistant,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
enum Content {
    #[default]
    None,
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
}

impl Message {
    /// Its text; parts are joined.
    pub(super) fn text(&self) -> String {
        match &self.content {
            Content::None => String::new(),
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts
                .iter()
                .map(|Part::Text { text }| text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

impl ChatRequest {
    /// Reads a body; whatever would change the answer and is not supported is an error.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, AiError> {
        let unreadable = |error: serde_json::Error| {
            AiError::invalid(
                format!("We could not parse the JSON body of your request: {error}"),
                None,
            )
        };
        let mut object: Map<String, Value> = serde_json::from_slice(bytes).map_err(unreadable)?;
        object.retain(|name, value| !value.is_null() && !IGNORED.contains(&name.as_str()));
        for (name, harmless) in [
            ("n", json!(1)),
            ("response_format", json!({ "type": "text" })),
            ("logprobs", json!(false)),
            ("tools", json!([])),
            ("tool_choice", json!("none")),
            ("parallel_tool_calls", json!(true)),
            ("modalities", json!(["text"])),
        ] {
            if object.get(name) == Some(&harmless) {
                object.remove(name);
            }
        }
        let known = [
            "model",
            "messages",
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "stop",
        ];
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            let what = format!("Unsupported parameter: '{name}' is not supported with this model.");
            return Err(AiError::invalid(what, Some(name)));
        }
        let request: Self = serde_json::from_value(object.into())
            .map_err(|error| AiError::invalid(format!("Invalid request: {error}"), None))?;
        if request.messages.is_empty() {
            let what = "Invalid 'messages': empty array. Expected an array with minimum length 1.".to_owned();
            return Err(AiError::invalid(what, Some("messages")));
        }
        if request.stops().len() > MAX_STOPS {
            return Err(AiError::invalid(
                format!("Invalid 'stop': at most {MAX_STOPS} are allowed."),
                Some("stop"),
            ));
        }
        if request.limit() == Some(0) {
            return Err(AiError::invalid(
                "Invalid 'max_tokens': must be at least 1.".to_owned(),
                Some("max_tokens"),
            ));
        }
        Ok(request)
    }

    /// Whether a stream shall end with the usage.
    pub(super) fn include_usage(&self) -> bool {
        self.stream_options
            .as_ref()
            .is_some_and(|options| options.include_usage)
    }

    fn limit(&self) -> Option<usize> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    fn stops(&self) -> &[String] {
        match &self.stop {
            Stops::None => &[],
            Stops::One(stop) => std::slice::from_ref(stop),
            Stops::Many(stops) => stops,
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    id: String,
    created: i64,
    model: String,
    content: String,
    finish: &'static str,
    prompt_tokens: usize,
    completion_tokens: usize,
}

/// Answers a request. `created` is the time in Unix seconds; all else depends on the request alone.
pub(super) fn answer(request: &ChatRequest, created: i64) -> Result<Answer, AiError> {
    let Some(prompt) = prompt::read(&request.messages) else {
        return Err(AiError::invalid(
            "There is no user message with a text to work on.".to_owned(),
            Some("messages"),
        ));
    };
    let mut content = summary::summarise(&prompt.text, &prompt.order).text();
    let stops = request.stops().iter().filter(|stop| !stop.is_empty());
    if let Some(end) = stops.filter_map(|stop| content.find(stop.as_str())).min() {
        content.truncate(end);
    }
    let mut finish = "stop";
    if let Some(limit) = request
        .limit()
        .map(|limit| limit.saturating_mul(TOKEN))
        .filter(|limit| *limit < content.len())
    {
        content.truncate(content.floor_char_boundary(limit));
        finish = "length";
    }
    let mut hasher = DefaultHasher::new();
    let mut prompt_tokens = 0;
    for message in &request.messages {
        let text = message.text();
        text.hash(&mut hasher);
        prompt_tokens += tokens(&text) + PER_MESSAGE;
    }
    content.hash(&mut hasher);
    let completion_tokens = tokens(&content);
    let id = format!("chatcmpl-{:016x}", hasher.finish());
    Ok(Answer {
        id,
        created,
        model: request.model.clone(),
        content,
        finish,
        prompt_tokens,
        completion_tokens,
    })
}

fn tokens(text: &str) -> usize {
    text.len().div_ceil(TOKEN)
}

impl Answer {
    /// `chat.completion`.
    pub(super) fn completion(&self) -> Value {
        let message = json!({ "role": "assistant", "content": self.content, "refusal": null });
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish });
        let mut whole = self.frame("chat.completion", vec![choice]);
        whole["usage"] = self.usage();
        whole
    }

    /// `chat.completion.chunk`s: the role, some words at a time, the reason to finish, and the usage if wanted.
    pub(super) fn chunks(&self, include_usage: bool) -> Vec<Value> {
        let chunk = |delta: Value, finish: Value| {
            let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
            let mut chunk = self.frame("chat.completion.chunk", vec![choice]);
            if include_usage {
                chunk["usage"] = Value::Null;
            }
            chunk
        };
        let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
        let words: Vec<&str> = self.content.split_inclusive(char::is_whitespace).collect();
        chunks.extend(
            words
                .chunks(CHUNK_WORDS)
                .map(|words| chunk(json!({ "content": words.concat() }), Value::Null)),
        );
        chunks.push(chunk(json!({}), json!(self.finish)));
        if include_usage {
            let mut last = self.frame("chat.completion.chunk", Vec::new());
            last["usage"] = self.usage();
            chunks.push(last);
        }
        chunks
    }

    fn frame(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": concat!("potok-", env!("CARGO_PKG_VERSION")),
        })
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn request(extra: Value) -> Result<ChatRequest, AiError> {
        let text = "The sea was calm in the morning. A storm came over the sea at noon. The sailors feared the storm and the sea.";
        let mut body = json!({
            "model": "m",
            "messages": [
                { "role": "system", "content": "Summarise in two sentences." },
                { "role": "user", "content": format!("<text>{text}</text>") },
            ],
        });
        extra
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(name, value)| body[name] = value.clone());
        ChatRequest::read(body.to_string().as_bytes())
    }

    #[test]
    fn the_same_request_gives_the_same_answer_and_tokens_are_counted() {
        let chat = request(json!({ "temperature": 0.7, "seed": 3 })).unwrap();
        let first = answer(&chat, 1).unwrap();
        assert_eq!(first, answer(&chat, 1).unwrap());
        let usage = &first.completion()["usage"];
        assert_eq!(usage["completion_tokens"], json!(first.content.len().div_ceil(4)));
        assert_eq!(
            usage["prompt_tokens"],
            json!(27_usize.div_ceil(4) + (13 + 109_usize).div_ceil(4) + 8)
        );
        assert_eq!(first.completion()["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn answers_are_cut_at_tokens_and_stops() {
        let cut = answer(&request(json!({ "max_tokens": 3 })).unwrap(), 1).unwrap();
        assert_eq!(
            (cut.content.len(), cut.finish, cut.completion_tokens),
            (12, "length", 3)
        );
        let stopped = answer(&request(json!({ "stop": "storm" })).unwrap(), 1).unwrap();
        assert!(!stopped.content.contains("storm"));
        assert_eq!(stopped.finish, "stop");
    }

    #[test]
    fn chunks_add_up_to_the_answer() {
        let whole = answer(&request(json!({ "stream": true })).unwrap(), 1).unwrap();
        let chunks = whole.chunks(true);
        let said: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(said, whole.content);
        assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[chunks.len() - 1]["usage"], whole.completion()["usage"]);
        assert!(whole.chunks(false).iter().all(|chunk| chunk.get("usage").is_none()));
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for extra in [
            json!({ "n": 2 }),
            json!({ "tools": [{}] }),
            json!({ "response_format": { "type": "json_object" } }),
            json!({ "messages": [] }),
            json!({ "max_tokens": 0 }),
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            json!({ "invented": true }),
        ] {
            assert!(request(extra.clone()).is_err(), "{extra}");
        }
        assert!(request(json!({ "n": 1, "tools": null, "response_format": { "type": "text" } })).is_ok());
    }
}
