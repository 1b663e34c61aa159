//! From the server's answer to `completion` of the WIT.
//!
//! Servers that call themselves compatible differ in everything but the path to the text, so no more is asked of an
//! answer than that.

use potok_dsl::{ErrorType, Problem};
use serde_json::{Value, json};

use crate::problem::{Secret, garbage};

/// What the model answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Completion {
    text: String,
    pub(crate) model: String,
    finish_reason: Option<String>,
    pub(crate) usage: Option<Usage>,
}

/// What it cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u32,
    pub(crate) output: u32,
}

impl Completion {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "text": self.text,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.usage.map(|usage| json!({ "input_tokens": usage.input, "output_tokens": usage.output })),
        })
    }
}

/// Reads an answer. `asked` is the model's name for a server that does not say its own.
pub(crate) fn read(answer: &Value, asked: &str, secret: &Secret) -> Result<Completion, Problem> {
    let Some(choice) = answer["choices"].get(0) else {
        // Some servers say no with status 200.
        let message = answer["error"]["message"].as_str().or(answer["error"].as_str());
        let received = secret.hide(&message.map_or_else(|| answer.to_string(), str::to_owned));
        return Err(garbage(
            format!("it has no choices: {received}"),
            json!({ "received": received }),
        ));
    };
    let finish_reason = choice["finish_reason"].as_str();
    let text = choice["message"]["content"].as_str().unwrap_or_default();
    if text.trim().is_empty() {
        return Err(empty(choice, finish_reason, secret));
    }
    Ok(Completion {
        text: text.to_owned(),
        model: answer["model"]
            .as_str()
            .filter(|model| !model.is_empty())
            .unwrap_or(asked)
            .to_owned(),
        finish_reason: finish_reason.map(str::to_owned),
        usage: usage(&answer["usage"]),
    })
}

fn usage(usage: &Value) -> Option<Usage> {
    let tokens = |member: &str| usage[member].as_u64().and_then(|count| u32::try_from(count).ok());
    Some(Usage {
        input: tokens("prompt_tokens")?,
        output: tokens("completion_tokens")?,
    })
}

fn empty(choice: &Value, finish_reason: Option<&str>, secret: &Secret) -> Problem {
    let data = json!({ "finish_reason": finish_reason.map(|reason| secret.hide(reason)) });
    if let Some(refusal) = choice["message"]["refusal"]
        .as_str()
        .filter(|refusal| !refusal.is_empty())
    {
        let detail = secret.hide(refusal);
        return Problem::new(ErrorType::Communication, "the model refused to answer", detail)
            .with_status(422)
            .with_data(data);
    }
    let why = match finish_reason {
        Some("length") => "the model used up its tokens before it said anything: allow it more (max-tokens)",
        Some("content_filter") => "the server's content filter held the answer back",
        _ => "the model said nothing",
    };
    garbage(why.to_owned(), data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn answer(value: Value) -> Result<Completion, Problem> {
        read(&value, "asked", &Secret::new(Some("sk-1".into())))
    }

    #[test]
    fn the_text_is_enough() {
        let completion = answer(json!({ "choices": [{ "message": { "content": "hi" } }] })).unwrap();
        let expected = json!({ "text": "hi", "model": "asked", "finish_reason": null, "usage": null });
        assert_eq!(completion.to_json(), expected);
    }

    #[test]
    fn words_and_numbers_that_no_enum_knows_are_passed_on() {
        let completion = answer(json!({
            "model": "llama",
            "choices": [{ "message": { "role": "assistant", "content": "hi" }, "finish_reason": "eos" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": null, "cost": 0.1 },
        }));
        let completion = completion.unwrap().to_json();
        assert_eq!(completion["finish_reason"], "eos");
        assert_eq!(completion["usage"], json!({ "input_tokens": 3, "output_tokens": 4 }));
    }

    #[test]
    fn an_answer_without_text_says_why() {
        for (value, status, said) in [
            (json!({}), 502, "no choices"),
            (json!([]), 502, "no choices"),
            (json!({ "choices": [] }), 502, "no choices"),
            (
                json!({ "error": { "message": "key sk-1 is out of money" } }),
                502,
                "[key] is out of money",
            ),
            (
                json!({ "choices": [{ "message": { "content": " " } }] }),
                502,
                "said nothing",
            ),
            (
                json!({ "choices": [{ "message": {} , "finish_reason": "length" }] }),
                502,
                "max-tokens",
            ),
            (
                json!({ "choices": [{ "message": { "content": null, "refusal": "I cannot" } }] }),
                422,
                "I cannot",
            ),
        ] {
            let problem = answer(value.clone()).unwrap_err();
            assert_eq!(problem.status, status, "{value}");
            assert!(problem.detail.as_deref().unwrap().contains(said), "{problem}");
        }
    }
}
