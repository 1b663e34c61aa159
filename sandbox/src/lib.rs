//! Local stand-ins that speak real protocols: Telegram's Bot API and an OpenAI-compatible model server, on loopback.
//!
//! Providers have one code path, to the real service; for the demo, for dry runs and for tests the other end is this. It
//! knows nothing of workflows, and no engine crate depends on it.
//!
//! ```no_run
//! # async fn example() -> Result<(), potok_sandbox::SandboxError> {
//! use potok_sandbox::{Sandbox, SandboxConfig};
//! let sandbox = Sandbox::start(SandboxConfig::default()).await?;
//! println!("{} {}", sandbox.bot_api_url(), sandbox.openai_url());
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Telegram
//! `{bot_api_url}/bot{token}/{method}`: `getMe`, `getChat`, `getChatMember`, `getChatMemberCount`,
//! `getChatAdministrators`, `sendMessage`, `editMessageText`, `editMessageReplyMarkup` (never anything to modify, but it
//! tells whether a message of one's own exists), `deleteMessage`, `copyMessage`, `forwardMessage`, `getUpdates`,
//! `getWebhookInfo`, `deleteWebhook`. As with the original, a bot cannot read a channel's history and is not told of its
//! own posts. What the world begins with is [`world::WorldSeed::default`]: [`world::DEFAULT_BOT_TOKEN`] may post in
//! [`world::DEFAULT_CHANNEL`], not in [`world::READ_ONLY_CHANNEL`], and is nobody in [`world::ELSEWHERE_CHANNEL`].
//!
//! # Telegram for user accounts
//! A data centre at [`RunningSandbox::mtproto_address`] speaks MTProto (transport Full) about the same world. It agrees on no
//! keys: a client is given one beforehand ([`RunningSandbox::new_auth_key`]). Sign-in by phone (code, password by SRP) and by
//! QR code, contacts, chats with members and rights, invitations, messages with views; anything else is answered with the
//! error `METHOD_NOT_IN_SANDBOX`. The default world's people sign in as [`world::WorldSeed::default`] says.
//!
//! # The model
//! `{openai_url}/chat/completions`, `{openai_url}/models`. The model ([`DEFAULT_MODEL`]) is an extractive summariser
//! ([`summary`]). It writes only sentences of the text that it is given, in the text's language, and follows this much of
//! a prompt:
//!
//! - the text stands between `<text>` and `</text>`; without them, between `"""` or `` ``` ``, or after a line `Text:` /
//!   `Текст:`, or it is the longest user message;
//! - sentences that stand between `<avoid>` and `</avoid>`, or are much like them, are not said again; when nothing else
//!   is left the answer is empty;
//! - "three sentences", "at most 900 characters", "до 100 слов", "не более пяти предложений" are limits;
//! - "start with a title line", "начни с заголовка" ask for a title: one line, then an empty one.
//!
//! # Only here
//! `{admin_url}/state`, `/channels/{id}/messages`, `/requests`, `/faults`, `/mtproto`: to look inside and to script misbehaviour
//! ([`Fault`]). A fault by HTTP: `POST /sandbox/faults` with
//! `{"target": "bot", "method": "sendMessage", "after": 1, "times": 1, "kind": "close_before_answer"}`.
//! Only loopback is listened on, for whoever can connect may do everything.

mod admin;
mod ai;
mod bot_api;
mod connections;
mod faults;
mod mtproto;
mod server;
mod state;
mod store;
pub mod summary;
pub mod text;
pub mod world;

pub use faults::{Fault, FaultKind, Target};
pub use mtproto::DATA_CENTRES;
pub use server::{AuthKeys, DEFAULT_MODEL, RunningSandbox, Sandbox, SandboxConfig, SandboxError};
