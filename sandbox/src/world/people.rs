//! What people do besides writing: they find each other, keep contacts, bring others into chats.

use std::collections::BTreeSet;

use super::Change;
use super::accounts::{Audience, digits};
use super::model::{Chat, ChatId, ChatKind, Membership, Message, MessageId, User, UserId};
use super::refusal::Refusal;
use super::rules::{Post, World};

/// To a channel its owner may add so many people himself; after that they come by a link.
pub const MAX_ADDED_TO_CHANNEL: usize = 200;

/// Why a person is not added to a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum InviteRefusal {
    #[error("the right to invite is needed")]
    NoRight,
    #[error("the account was reported for spam")]
    Flood,
    #[error("the channel has too many members to add more")]
    TooMany,
    #[error("the person is in the chat already")]
    Already,
    #[error("the person was thrown out of the chat")]
    Kicked,
    #[error("the person has left the chat and is no mutual contact")]
    NotMutual,
    #[error("there is no such person")]
    Nobody,
}

/// What became of adding people to a chat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invited {
    /// Who is in the chat now.
    pub added: Vec<UserId>,
    /// Whose privacy forbids it.
    pub missing: Vec<UserId>,
}

impl World {
    /// A person, bot or chat by its public name, without `@`.
    pub fn find_user(&self, name: &str) -> Option<&User> {
        let is_it = |user: &&User| user.username.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.users().find(is_it)
    }

    /// Makes a contact of whoever has the number and lets himself be found by it.
    pub fn import_contact(&mut self, owner: UserId, phone: &str) -> Option<UserId> {
        let wanted = digits(phone);
        let found = self.accounts().find(|account| {
            digits(&account.phone) == wanted && self.allows(account.privacy.phone_search, account.user, owner)
        })?;
        let user = found.user;
        self.change_contacts(owner, |contacts| {
            contacts.insert(user);
        });
        Some(user)
    }

    /// These are contacts no longer.
    pub fn delete_contacts(&mut self, owner: UserId, users: &[UserId]) {
        self.change_contacts(owner, |contacts| contacts.retain(|contact| !users.contains(contact)));
    }

    /// Whether the one has the other as a contact.
    pub fn has_contact(&self, owner: UserId, other: UserId) -> bool {
        self.account(owner)
            .is_some_and(|account| account.contacts.contains(&other))
    }

    /// Adds people to a chat in the asker's name.
    pub fn invite(&mut self, asker: UserId, chat: ChatId, users: &[UserId]) -> Result<Invited, InviteRefusal> {
        let found = self.chat(chat).ok_or(InviteRefusal::NoRight)?;
        let mine = found.membership(asker);
        let may = mine.rights().can_invite_users || (found.kind == ChatKind::Supergroup && mine.is_present());
        if !may {
            return Err(InviteRefusal::NoRight);
        }
        if self.flooded(asker) {
            return Err(InviteRefusal::Flood);
        }
        let present = found.members.values().filter(|member| member.is_present()).count();
        if found.kind == ChatKind::Channel && present + users.len() > MAX_ADDED_TO_CHANNEL {
            return Err(InviteRefusal::TooMany);
        }
        let mut invited = Invited::default();
        for user in users {
            if self.may_add(asker, found, *user)? {
                invited.added.push(*user);
            } else {
                invited.missing.push(*user);
            }
        }
        for user in &invited.added {
            self.set_membership(chat, *user, Membership::Member);
        }
        let count = u32::try_from(users.len()).unwrap_or(u32::MAX);
        let so_far = self.accounts.invited.entry(asker).or_default();
        *so_far = so_far.saturating_add(count);
        Ok(invited)
    }

    /// Makes somebody something in a chat.
    pub fn set_membership(&mut self, chat: ChatId, user: UserId, membership: Membership) {
        if let Some(found) = self.chats.get_mut(&chat) {
            found.members.insert(user, membership.clone());
            self.moved.insert((chat, user));
            self.changes.push(Change::Member { chat, user, membership });
        }
    }

    /// An invite link of one's own to a chat.
    pub fn invite_link(&mut self, asker: UserId, chat: ChatId) -> Result<String, InviteRefusal> {
        let found = self.chat(chat).ok_or(InviteRefusal::NoRight)?;
        if !found.membership(asker).rights().can_invite_users {
            return Err(InviteRefusal::NoRight);
        }
        self.sequence += 1;
        Ok(format!(
            "https://t.me/+{:x}x{:x}x{:x}",
            chat.unsigned_abs(),
            asker,
            self.sequence
        ))
    }

    /// Posts a message once: a second time with the same number of the sender's is refused.
    pub fn send_once(
        &mut self,
        asker: UserId,
        reference: &str,
        random_id: i64,
        post: Post,
        now: i64,
    ) -> Result<Option<Message>, Refusal> {
        if self.sent.contains(&(asker, random_id)) {
            return Ok(None);
        }
        let post = Post {
            random_id: Some(random_id),
            ..post
        };
        self.send(asker, reference, post, now).map(Some)
    }

    /// Says how often a message was looked at; `false` when there is no such message.
    pub fn set_views(&mut self, chat: ChatId, message_id: MessageId, views: i32) -> bool {
        let message = self.chat(chat).and_then(|chat| chat.messages.get(&message_id));
        let Some(message) = message.cloned() else { return false };
        self.put(chat, Message { views, ..message });
        true
    }

    /// Whether somebody's setting lets another person through.
    pub(super) fn allows(&self, audience: Audience, owner: UserId, other: UserId) -> bool {
        match audience {
            Audience::Everybody => true,
            Audience::Contacts => self.has_contact(owner, other),
            Audience::Nobody => false,
        }
    }

    /// Whether a person can be added; `false` when the person's privacy stands against it.
    fn may_add(&self, asker: UserId, chat: &Chat, user: UserId) -> Result<bool, InviteRefusal> {
        self.user(user).ok_or(InviteRefusal::Nobody)?;
        let mutual = self.has_contact(user, asker) && self.has_contact(asker, user);
        match chat.members.get(&user) {
            Some(Membership::Kicked) => return Err(InviteRefusal::Kicked),
            Some(Membership::Left) if !mutual => return Err(InviteRefusal::NotMutual),
            Some(membership) if membership.is_present() => return Err(InviteRefusal::Already),
            _ => {}
        }
        let setting = self.account(user).map(|account| account.privacy.invites);
        Ok(self.allows(setting.unwrap_or_default(), user, asker))
    }

    pub(super) fn flooded(&self, asker: UserId) -> bool {
        let limit = self.account(asker).and_then(|account| account.invites_until_flood);
        let so_far = self.accounts.invited.get(&asker).copied().unwrap_or(0);
        limit.is_some_and(|limit| so_far >= limit)
    }

    fn change_contacts(&mut self, owner: UserId, change: impl FnOnce(&mut BTreeSet<UserId>)) {
        let Some(account) = self.accounts.by_user.get_mut(&owner) else {
            return;
        };
        change(&mut account.contacts);
        let contacts = account.contacts.clone();
        self.accounts.changed.insert(owner);
        self.changes.push(Change::Contacts { user: owner, contacts });
    }
}
