//! What this API speaks of, as its schema shows it.

use std::borrow::Cow;

use poem_openapi::{
    ApiResponse, Enum, Object,
    payload::PlainText,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, Type},
};
use serde_json::Value;
use uuid::Uuid;

use crate::failure::Failure;

/// What an answer says first.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum Word {
    Ok,
}

/// A text to download.
#[derive(ApiResponse)]
pub(super) enum Found {
    /// The file.
    #[oai(status = 200)]
    File(
        PlainText<String>,
        /// The name of the file.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

/// A bot to keep. Whatever else a client sends is not looked at; so in all bodies here.
#[derive(Debug, Object)]
pub(super) struct NewBot {
    /// What BotFather gave.
    pub token: String,
}

/// What is to be otherwise with a bot.
#[derive(Debug, Object)]
pub(super) struct BotChange {
    /// A new token of the same bot.
    pub token: Option<String>,
    /// Whether it may be used.
    pub active: Option<bool>,
}

/// A bot after it was kept.
#[derive(Debug, Object)]
pub(super) struct AddedBot {
    /// Its id, which is Telegram's.
    id: i64,
    /// Whether it was not kept before.
    new: bool,
}

/// A bot that is kept. Its token is never told.
#[derive(Debug, Object)]
pub(super) struct Bot {
    /// Its id, which is Telegram's.
    id: i64,
    name: String,
    /// Without `@`.
    username: Option<String>,
    link: Option<String>,
    /// Whether it may be used.
    active: bool,
    /// How many channels are bound to it.
    channels: i64,
    /// When Telegram last accepted its token.
    verified_at: String,
    created_at: String,
    updated_at: String,
}

/// The id of what was removed.
#[derive(Debug, Object)]
pub(super) struct Removed {
    id: i64,
}

/// A channel to bind to a bot.
#[derive(Debug, Object)]
pub(super) struct NewChannel {
    /// `@name`, a link, an invite link of a channel that is kept, or its numeric id.
    pub channel: Reference,
    /// The bot; the active one with the fewest channels without one.
    pub bot_id: Option<Reference>,
}

/// How the bot of a channel stands there.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
enum Binding {
    /// It could not post yet.
    New,
    /// It may post.
    Valid,
    /// It may not post any more.
    Invalid,
}

/// A channel that is kept.
#[derive(Debug, Object)]
pub(super) struct Channel {
    /// Its id, which is Telegram's.
    id: i64,
    /// The same.
    pub tg_id: i64,
    title: Option<String>,
    /// Without `@`.
    username: Option<String>,
    link: Option<String>,
    invite_link: Option<String>,
    bot_id: i64,
    bot_link: Option<String>,
    state: Binding,
    /// Why the bot may not post.
    reason: Option<String>,
    /// When that was last looked at.
    checked_at: Option<String>,
    created_at: String,
}

impl Channel {
    pub fn read<const KINDS: u16>(mut value: Value) -> Result<Self, Failure<KINDS>> {
        value["tg_id"] = value["id"].clone();
        read(value)
    }
}

/// A message for a channel.
#[derive(Debug, Object)]
pub(super) struct NewMessage {
    /// The channel's id.
    pub channel_id: Reference,
    /// `CommonMark`.
    pub message: String,
}

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE")]
pub(super) enum TaskStatus {
    /// It has not begun.
    Pending,
    /// It goes on.
    Started,
    /// It failed and is tried again.
    Retry,
    /// It is done.
    Success,
    /// It has failed.
    Failure,
    /// It was cancelled.
    Revoked,
}

/// A task: a run in this API's words.
#[derive(Debug, Object)]
pub(super) struct Task {
    /// Its id, which is that of the run.
    pub task_id: Uuid,
    pub task_status: TaskStatus,
    /// What it gave; of one that has failed `{message}`, which says why; null before.
    pub task_result: Option<Value>,
}

macro_rules! answers {
    ($($(#[$docs:meta])* $name:ident($data:ty);)*) => {$(
        $(#[$docs])*
        #[derive(Debug, Object)]
        pub(super) struct $name {
            /// `ok`.
            status: Word,
            data: $data,
        }

        impl $name {
            pub fn new(data: $data) -> Self {
                Self { status: Word::Ok, data }
            }
        }
    )*};
}

answers! {
    /// A bot is kept.
    BotIsKept(AddedBot);
    /// A bot.
    OneBot(Bot);
    /// Bots.
    AllBots(Vec<Bot>);
    /// A channel.
    OneChannel(Channel);
    /// Channels.
    AllChannels(Vec<Channel>);
    /// Something is removed.
    IsRemoved(Removed);
}

/// What a function gave, as this API shows it.
pub(super) fn read<T: ParseFromJSON, const KINDS: u16>(value: Value) -> Result<T, Failure<KINDS>> {
    T::parse_from_json(Some(value))
        .map_err(|error| Failure::internal(format!("a function gave what was not expected: {}", error.message())))
}

/// A text or a number, as clients name things.
#[derive(Debug, Clone)]
pub(super) struct Reference(pub String);

impl Reference {
    /// As a number.
    pub fn id<const KINDS: u16>(&self, what: &str) -> Result<i64, Failure<KINDS>> {
        let id = self.0.trim().parse();
        id.map_err(|_| Failure::bad_request(format!("{what} is a number, not '{}'", self.0)))
    }
}

impl Type for Reference {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("reference")
    }

    fn schema_ref() -> MetaSchemaRef {
        let either = |kind| MetaSchemaRef::Inline(Box::new(MetaSchema::new(kind)));
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            any_of: vec![either("string"), either("integer")],
            ..MetaSchema::ANY
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Reference {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text)),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Self(number.to_string())),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl poem_openapi::types::ToJSON for Reference {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}

/// A text and nothing else: the framework's own takes numbers and truth values for texts too.
#[derive(Debug, Clone, Default)]
pub(super) struct Text(pub String);

impl Type for Text {
    const IS_REQUIRED: bool = true;
    type RawValueType = String;
    type RawElementValueType = String;

    fn name() -> Cow<'static, str> {
        Cow::Borrowed("text")
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }

    fn as_raw_value(&self) -> Option<&String> {
        Some(&self.0)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a String> + 'a> {
        Box::new(std::iter::once(&self.0))
    }
}

impl ParseFromJSON for Text {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text)),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl poem_openapi::types::ToJSON for Text {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}
