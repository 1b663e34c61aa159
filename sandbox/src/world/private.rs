//! Private conversations: one person or bot writes to another.

use serde::{Deserialize, Serialize};

use super::Change;
use super::model::{MessageId, UserId};
use super::rules::World;

/// The most private messages that are kept; older ones are forgotten.
const MAX_MESSAGES: usize = 100_000;

/// A private message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateMessage {
    /// From 1, never used twice.
    pub id: MessageId,
    /// Who wrote it.
    pub from: UserId,
    /// To whom.
    pub to: UserId,
    /// What it says.
    pub text: String,
    /// When, in Unix milliseconds.
    pub sent_at: i64,
    /// The number by which its author, when he sends it again, is told that he has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_id: Option<i64>,
}

/// Why somebody cannot be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateRefusal {
    /// Nobody has this id.
    #[error("chat not found")]
    Nobody,
    /// Bots write only to people who have written to them.
    #[error("bot can't initiate conversation with a user")]
    NotStarted,
    /// Bots do not write to bots.
    #[error("bot can't send messages to bots")]
    ToBot,
    /// The person does not want it.
    #[error("the person's privacy forbids it")]
    Restricted,
    /// The author was reported for spam.
    #[error("the account was reported for spam")]
    Flood,
}

impl World {
    /// Writes a private message; `None` when its author has written one with this number before.
    ///
    /// # Errors
    /// When the other does not exist or is not to be written to.
    pub fn write_private(
        &mut self,
        (from, to): (UserId, UserId),
        text: String,
        random_id: Option<i64>,
        now: i64,
    ) -> Result<Option<PrivateMessage>, PrivateRefusal> {
        if random_id.is_some_and(|number| self.sent.contains(&(from, number))) {
            return Ok(None);
        }
        let author_is_bot = self.user(from).is_some_and(|user| user.is_bot);
        let to_bot = self.user(to).ok_or(PrivateRefusal::Nobody)?.is_bot;
        if author_is_bot && to_bot {
            return Err(PrivateRefusal::ToBot);
        }
        if author_is_bot
            && !self
                .private
                .iter()
                .any(|message| (message.from, message.to) == (to, from))
        {
            return Err(PrivateRefusal::NotStarted);
        }
        let setting = self.account(to).map(|account| account.privacy.messages);
        if !author_is_bot && !self.allows(setting.unwrap_or_default(), to, from) {
            return Err(PrivateRefusal::Restricted);
        }
        if !to_bot && !self.has_contact(to, from) && self.flooded(from) {
            return Err(PrivateRefusal::Flood);
        }
        let id = self.private.back().map_or(1, |last| last.id.saturating_add(1));
        let message = PrivateMessage {
            id,
            from,
            to,
            text,
            sent_at: now,
            random_id,
        };
        self.put_private(message.clone());
        Ok(Some(message))
    }

    /// The private messages that somebody has written or received, oldest first.
    pub fn private_messages(&self, user: UserId) -> impl Iterator<Item = &PrivateMessage> {
        self.private
            .iter()
            .filter(move |message| message.from == user || message.to == user)
    }

    pub(super) fn put_private(&mut self, message: PrivateMessage) {
        self.sent.extend(message.random_id.map(|number| (message.from, number)));
        self.changes.push(Change::Private(message.clone()));
        self.private.push_back(message);
        if self.private.len() > MAX_MESSAGES
            && let Some(forgotten) = self.private.pop_front()
            && let Some(number) = forgotten.random_id
        {
            self.sent.remove(&(forgotten.from, number));
        }
    }
}
