//! Scripted misbehaviour: what the sandbox shall do wrong, to whom, and how often.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// More scripts than this are refused.
const MAX_SCRIPTS: usize = 1_000;

/// One scripted fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which server misbehaves.
    pub target: Target,
    /// Only for this method: `sendMessage`, `chat/completions`, `models`, `messages.sendMessage`. Case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How many matching requests pass unharmed first.
    #[serde(default)]
    pub after: u32,
    /// How many matching requests are harmed then.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    pub kind: FaultKind,
}

/// Who misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The Bot API.
    Bot,
    /// The model server.
    Ai,
    /// The data centre.
    Mtproto,
}

/// How it misbehaves. In JSON: a name (`"hang"`), `{"status": 429, "retry_after": 3}`, `{"slow": 500}`, or for MTProto
/// `{"rpc": "FLOOD_WAIT_37", "code": 420}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum FaultKind {
    /// Never answers, and does nothing.
    Hang,
    /// Does what was asked, and never answers.
    HangBeforeAnswer,
    /// Answers 200 with something that is no JSON, and does nothing.
    Garbage,
    /// Does what was asked, then closes the connection without an answer.
    CloseBeforeAnswer,
    /// Closes the connection without doing anything.
    CloseBeforeProcessing,
    /// Answers with this HTTP status and the protocol's error body, and does nothing.
    Status {
        /// 400 to 599.
        status: u16,
        /// In seconds.
        retry_after: Option<u64>,
    },
    /// Answers with this error of MTProto, and does nothing.
    Rpc {
        /// 303 to 500.
        code: u16,
        /// Its name, with its number: `FLOOD_WAIT_37`.
        message: String,
    },
    /// Waits so many milliseconds, then does what was asked and answers.
    Slow(u64),
}

fn once() -> u32 {
    1
}

impl TryFrom<Value> for FaultKind {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let unknown = || {
            format!(
                "unknown fault {value}: expected \"hang\", \"hang_before_answer\", \"garbage\", \"close_before_answer\", \
                 \"close_before_processing\", {{\"status\": 400..599, \"retry_after\": seconds}}, \
                 {{\"rpc\": name, \"code\": number}} or {{\"slow\": milliseconds}}"
            )
        };
        if let Some(name) = value.as_str() {
            return match name {
                "hang" => Ok(Self::Hang),
                "hang_before_answer" => Ok(Self::HangBeforeAnswer),
                "garbage" => Ok(Self::Garbage),
                "close_before_answer" => Ok(Self::CloseBeforeAnswer),
                "close_before_processing" => Ok(Self::CloseBeforeProcessing),
                _ => Err(unknown()),
            };
        }
        let object = value.as_object().ok_or_else(unknown)?;
        if let (Some(milliseconds), 1) = (object.get("slow").and_then(Value::as_u64), object.len()) {
            return Ok(Self::Slow(milliseconds));
        }
        if let Some(message) = object.get("rpc").and_then(Value::as_str) {
            let code = object.get("code").and_then(Value::as_u64);
            let code = code.and_then(|code| u16::try_from(code).ok()).ok_or_else(unknown)?;
            if object.len() != 2 || !(300..=500).contains(&code) || message.is_empty() {
                return Err(unknown());
            }
            let message = message.to_owned();
            return Ok(Self::Rpc { code, message });
        }
        let status = object
            .get("status")
            .and_then(Value::as_u64)
            .filter(|status| (400..600).contains(status));
        let status = status
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(unknown)?;
        if object.keys().any(|key| key != "status" && key != "retry_after") {
            return Err(unknown());
        }
        let retry_after = match object.get("retry_after") {
            None | Some(Value::Null) => None,
            Some(seconds) => Some(seconds.as_u64().ok_or_else(unknown)?),
        };
        Ok(Self::Status { status, retry_after })
    }
}

impl From<FaultKind> for Value {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Hang => json!("hang"),
            FaultKind::HangBeforeAnswer => json!("hang_before_answer"),
            FaultKind::Garbage => json!("garbage"),
            FaultKind::CloseBeforeAnswer => json!("close_before_answer"),
            FaultKind::CloseBeforeProcessing => json!("close_before_processing"),
            FaultKind::Status { status, retry_after } => json!({ "status": status, "retry_after": retry_after }),
            FaultKind::Rpc { code, message } => json!({ "rpc": message, "code": code }),
            FaultKind::Slow(milliseconds) => json!({ "slow": milliseconds }),
        }
    }
}

/// The scripts that are not yet played to the end, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    scripts: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Adds a script; `false` when there are too many.
    pub(crate) fn add(&self, fault: Fault) -> bool {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let room = scripts.len() < MAX_SCRIPTS;
        if room && fault.times > 0 {
            scripts.push(fault);
        }
        room
    }

    /// What is to happen to a request. The first matching script counts it.
    pub(crate) fn take(&self, target: Target, method: &str) -> Option<FaultKind> {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let matches = |fault: &Fault| {
            fault.target == target
                && fault
                    .method
                    .as_ref()
                    .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        };
        let place = scripts.iter().position(matches)?;
        let fault = &mut scripts[place];
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times -= 1;
        let (kind, played) = (fault.kind.clone(), fault.times == 0);
        if played {
            scripts.remove(place);
        }
        Some(kind)
    }

    /// What is still to come.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing more.
    pub(crate) fn clear(&self) {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn scripts_play_in_order_and_end() {
        let faults = Faults::default();
        let script = r#"{"target": "bot", "method": "sendMessage", "after": 1, "times": 2, "kind": {"status": 429, "retry_after": 3}}"#;
        faults.add(serde_json::from_str(script).unwrap());
        faults.add(serde_json::from_str(r#"{"target": "bot", "kind": "hang"}"#).unwrap());
        let too_many = Some(FaultKind::Status {
            status: 429,
            retry_after: Some(3),
        });
        assert_eq!(faults.take(Target::Ai, "sendMessage"), None);
        assert_eq!(faults.take(Target::Bot, "getMe"), Some(FaultKind::Hang));
        assert_eq!(faults.take(Target::Bot, "SENDMESSAGE"), None);
        assert_eq!(faults.take(Target::Bot, "sendMessage"), too_many);
        assert_eq!(faults.take(Target::Bot, "sendMessage"), too_many);
        assert_eq!(faults.take(Target::Bot, "sendMessage"), None);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn kinds_are_read_strictly_and_written_back() {
        for kind in [
            r#""hang""#,
            r#""close_before_answer""#,
            r#"{"status":503,"retry_after":null}"#,
            r#"{"slow":20}"#,
            r#"{"rpc":"FLOOD_WAIT_37","code":420}"#,
        ] {
            let read: FaultKind = serde_json::from_str(kind).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), kind);
        }
        for kind in [
            r#""explode""#,
            r#"{"status":200}"#,
            r#"{"slow":"x"}"#,
            r#"{"rpc":"FLOOD_WAIT_37"}"#,
            r#"{"rpc":"","code":420}"#,
            r#"{"status":500,"slow":1}"#,
            "7",
        ] {
            assert!(serde_json::from_str::<FaultKind>(kind).is_err(), "{kind}");
        }
    }
}
