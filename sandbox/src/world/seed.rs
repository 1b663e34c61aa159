//! What the world begins with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accounts::{Account, Password, Privacy};
use super::model::{AdminRights, Bot, ChatId, ChatKind, Membership, User, UserId};

/// The token of the default world's bot.
pub const DEFAULT_BOT_TOKEN: &str = "1000001:AA-potok-sandbox-bot-token-00000001";
/// The default world's channel in which the bot may post.
pub const DEFAULT_CHANNEL: &str = "@potok_sandbox";
/// A channel in which the bot is an administrator without the right to post.
pub const READ_ONLY_CHANNEL: &str = "@potok_readonly";
/// A channel in which the bot is nobody.
pub const ELSEWHERE_CHANNEL: &str = "@potok_elsewhere";

/// The phone number of the default world's owner of everything, who signs in with the code `12345`.
pub const DEFAULT_PHONE: &str = "+70000000011";

/// People, bots and chats, without messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldSeed {
    /// People, by whatever order.
    pub people: Vec<User>,
    /// Bots.
    pub bots: Vec<Bot>,
    /// Chats.
    pub chats: Vec<ChatSeed>,
    /// Which of the people can sign in, and how.
    #[serde(default)]
    pub accounts: Vec<Account>,
}

/// A chat without messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatSeed {
    /// `-100…`.
    pub id: ChatId,
    /// Channel or supergroup.
    pub kind: ChatKind,
    /// Shown name.
    pub title: String,
    /// Without `@`.
    pub username: Option<String>,
    /// Who is in it.
    pub members: BTreeMap<UserId, Membership>,
}

impl Default for WorldSeed {
    /// A person who owns everything and two who read, one bot ([`DEFAULT_BOT_TOKEN`]), the three channels named above, a
    /// private channel (`-1001000000004`) that the bot may post in, and a supergroup `@potok_group` with the bot in it.
    /// The people sign in with `+70000000011` to `+70000000013` and the code `12345`; the second has the password
    /// `sandbox`.
    fn default() -> Self {
        let person = |id, name: &str, username: &str| User {
            id,
            is_bot: false,
            first_name: name.to_owned(),
            username: Some(username.to_owned()),
        };
        let account = |user, password: Option<&str>| Account {
            user,
            phone: format!("700000000{user}"),
            code: "12345".to_owned(),
            code_seconds: 300,
            password: password.map(|text| Password {
                text: text.to_owned(),
                hint: Some("what this is".to_owned()),
            }),
            privacy: Privacy::default(),
            contacts: std::collections::BTreeSet::new(),
            banned: false,
            invites_until_flood: None,
        };
        let bot = User {
            id: 1_000_001,
            is_bot: true,
            first_name: "Potok sandbox".to_owned(),
            username: Some("potok_sandbox_bot".to_owned()),
        };
        let posting = AdminRights {
            can_post_messages: true,
            can_edit_messages: true,
            can_delete_messages: true,
            can_invite_users: true,
            ..AdminRights::default()
        };
        let readers = |bot: Membership| {
            let mut members = BTreeMap::from([
                (11, Membership::Creator),
                (12, Membership::Member),
                (13, Membership::Member),
            ]);
            if bot != Membership::Left {
                members.insert(1_000_001, bot);
            }
            members
        };
        let chat = |id, kind, title: &str, username: Option<&str>, bot| ChatSeed {
            id,
            kind,
            title: title.to_owned(),
            username: username.map(|name| name.trim_start_matches('@').to_owned()),
            members: readers(bot),
        };
        let channel = ChatKind::Channel;
        Self {
            people: vec![
                person(11, "Olga", "olga_sandbox"),
                person(12, "Pavel", "pavel_sandbox"),
                person(13, "Vera", "vera_sandbox"),
            ],
            accounts: vec![account(11, None), account(12, Some("sandbox")), account(13, None)],
            bots: vec![Bot {
                user: bot,
                token: DEFAULT_BOT_TOKEN.to_owned(),
            }],
            chats: vec![
                chat(
                    -1_001_000_000_001,
                    channel,
                    "Potok sandbox",
                    Some(DEFAULT_CHANNEL),
                    Membership::Administrator(posting),
                ),
                chat(
                    -1_001_000_000_002,
                    channel,
                    "Read only",
                    Some(READ_ONLY_CHANNEL),
                    Membership::Administrator(AdminRights::default()),
                ),
                chat(
                    -1_001_000_000_003,
                    channel,
                    "Elsewhere",
                    Some(ELSEWHERE_CHANNEL),
                    Membership::Left,
                ),
                chat(
                    -1_001_000_000_004,
                    channel,
                    "Private notes",
                    None,
                    Membership::Administrator(posting),
                ),
                chat(
                    -1_001_000_000_005,
                    ChatKind::Supergroup,
                    "Potok group",
                    Some("@potok_group"),
                    Membership::Member,
                ),
            ],
        }
    }
}
