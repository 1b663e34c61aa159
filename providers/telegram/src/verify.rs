//! Whether a bot's token is good, and what the bot may do in a channel.

use frankenstein::methods::{GetChatMemberParams, GetChatParams};
use potok_dsl::{ErrorType, Problem};
use potok_wasm::CallContext;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{ApiError, BotApi, Chat};
use crate::channel::Channel;
use crate::post::refused;
use crate::{DEFAULT_BOT, TelegramProvider};

/// `verify-request` of the WIT.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    bot: Option<String>,
    channel: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Me {
    pub(crate) id: u64,
    pub(crate) username: Option<String>,
    pub(crate) first_name: String,
}

#[derive(Deserialize)]
struct Member {
    status: String,
    can_post_messages: Option<bool>,
    can_send_messages: Option<bool>,
}

/// `membership` of the WIT.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Membership {
    id: i64,
    title: Option<String>,
    pub(crate) status: String,
    pub(crate) can_post: bool,
}

impl TelegramProvider {
    pub(crate) async fn verify(&self, cx: &CallContext, request: VerifyRequest) -> Result<Value, Problem> {
        let api = self
            .bot(&*cx.tables, request.bot.as_deref().unwrap_or(DEFAULT_BOT))
            .await?;
        let channel = request.channel.as_deref().map(Channel::parse).transpose()?;
        within(cx, async {
            let me = me(&api).await.map_err(problem)?;
            let membership = match channel {
                Some(channel) => Some(membership(&api, me.id, &channel).await.map_err(problem)?.1),
                None => None,
            };
            Ok(json!({ "id": me.id, "username": me.username, "name": me.first_name, "membership": membership }))
        })
        .await
    }
}

/// Looks as long as the call may take.
pub(crate) async fn within<T>(
    cx: &CallContext,
    looking: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let deadline = tokio::time::Instant::from_std(cx.deadline);
    tokio::time::timeout_at(deadline, looking).await.unwrap_or_else(|_| {
        let detail = "Telegram did not answer within the time that the call has";
        Err(Problem::new(ErrorType::Timeout, "no answer in time", detail))
    })
}

/// Who a bot is.
pub(crate) async fn me(api: &BotApi) -> Result<Me, ApiError> {
    api.call("getMe", &json!({})).await
}

/// A chat as a bot sees it, and what the bot is in it.
pub(crate) async fn membership(api: &BotApi, bot: u64, channel: &Channel) -> Result<(Chat, Membership), ApiError> {
    let chat = chat(api, channel).await?;
    let params = GetChatMemberParams {
        chat_id: channel.chat_id(),
        user_id: bot,
    };
    let member: Member = api.call("getChatMember", &params).await?;
    let membership = describe(&chat, member);
    Ok((chat, membership))
}

/// A chat as a bot sees it.
pub(crate) async fn chat(api: &BotApi, channel: &Channel) -> Result<Chat, ApiError> {
    let chat_id = channel.chat_id();
    api.call("getChat", &GetChatParams { chat_id }).await
}

fn describe(chat: &Chat, member: Member) -> Membership {
    let is_channel = chat.kind.as_deref() == Some("channel");
    let can_post = match member.status.as_str() {
        "creator" => true,
        "administrator" if is_channel => member.can_post_messages == Some(true),
        "administrator" => true,
        "member" => !is_channel,
        "restricted" => !is_channel && member.can_send_messages == Some(true),
        _ => false,
    };
    Membership {
        id: chat.id,
        title: chat.title.clone(),
        status: member.status,
        can_post,
    }
}

/// Looking has no effect, so a lost answer is an error like any other.
pub(crate) fn problem(error: ApiError) -> Problem {
    match error {
        ApiError::Refused {
            code,
            description,
            retry_after,
        } => refused(code, &description, retry_after),
        ApiError::NotSent(why) => {
            Problem::new(ErrorType::Communication, "Telegram cannot be reached", why).with_status(503)
        }
        ApiError::Lost(why) => {
            Problem::new(ErrorType::Communication, "no good answer from Telegram", why).with_status(502)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn can_post(kind: &str, member: Value) -> bool {
        let chat = Chat {
            id: -1,
            kind: Some(kind.to_owned()),
            title: None,
            username: None,
            invite_link: None,
        };
        describe(&chat, serde_json::from_value(member).unwrap()).can_post
    }

    #[test]
    fn who_may_post() {
        assert!(can_post("channel", json!({ "status": "creator" })));
        assert!(can_post(
            "channel",
            json!({ "status": "administrator", "can_post_messages": true })
        ));
        assert!(!can_post(
            "channel",
            json!({ "status": "administrator", "can_post_messages": false })
        ));
        assert!(!can_post("channel", json!({ "status": "administrator" })));
        assert!(!can_post("channel", json!({ "status": "member" })));
        assert!(can_post("supergroup", json!({ "status": "member" })));
        assert!(can_post("supergroup", json!({ "status": "administrator" })));
        assert!(can_post(
            "supergroup",
            json!({ "status": "restricted", "can_send_messages": true })
        ));
        assert!(!can_post(
            "supergroup",
            json!({ "status": "restricted", "can_send_messages": false })
        ));
        assert!(!can_post("supergroup", json!({ "status": "left" })));
        assert!(!can_post("supergroup", json!({ "status": "kicked" })));
    }
}
