//! The world and its rules: who may do what, and what then is so.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use serde_json::Value;

use super::Change;
use super::accounts::Accounts;
use super::limits::{Limiter, RateLimits};
use super::model::{Bot, Chat, ChatId, ChatKind, ForwardOrigin, Membership, Message, MessageId, User, UserId};
use super::private::PrivateMessage;
use super::refusal::Refusal;
use super::seed::WorldSeed;
use super::updates::{Queue, Update, UpdateKind};
use crate::text::{Entity, EntityKind, Formatted};

/// The most messages that one chat keeps; older ones are forgotten.
pub const MAX_MESSAGES: usize = 100_000;

/// For how long a bot may delete its own messages without the right to delete others', in milliseconds.
const DELETE_OWN_FOR: i64 = 48 * 3_600 * 1_000;

/// A message to be sent.
#[derive(Debug, Clone, Default)]
pub struct Post {
    /// What it says.
    pub content: Formatted,
    /// Whether it must not be forwarded or copied.
    pub protected: bool,
    /// How its link is shown.
    pub link_preview: Option<Value>,
    /// The author's own number for it.
    pub random_id: Option<i64>,
}

/// Everything there is. Times are Unix milliseconds.
#[derive(Debug)]
pub struct World {
    people: BTreeMap<UserId, User>,
    bots: BTreeMap<UserId, Bot>,
    pub(super) chats: BTreeMap<ChatId, Chat>,
    queues: BTreeMap<UserId, Queue>,
    limiter: Limiter,
    pub(super) accounts: Accounts,
    /// Who is no longer what the seed says, and where.
    pub(super) moved: BTreeSet<(ChatId, UserId)>,
    /// Oldest first.
    pub(super) private: VecDeque<PrivateMessage>,
    /// The authors' own numbers of the messages that are here.
    pub(super) sent: HashSet<(UserId, i64)>,
    /// Makes names that are not yet taken.
    pub(super) sequence: u64,
    pub(super) changes: Vec<Change>,
}

impl World {
    /// A world as seeded, without messages.
    pub fn new(seed: WorldSeed, limits: RateLimits, now: i64) -> Self {
        let queues = seed
            .bots
            .iter()
            .map(|bot| (bot.user.id, Queue::new(now / 1_000)))
            .collect();
        let chats = seed.chats.into_iter().map(|chat| {
            let (messages, next_message) = (BTreeMap::new(), 1);
            let chat = Chat {
                id: chat.id,
                kind: chat.kind,
                title: chat.title,
                username: chat.username,
                members: chat.members,
                messages,
                next_message,
            };
            (chat.id, chat)
        });
        Self {
            chats: chats.collect(),
            people: seed.people.into_iter().map(|user| (user.id, user)).collect(),
            bots: seed.bots.into_iter().map(|bot| (bot.user.id, bot)).collect(),
            queues,
            limiter: Limiter::new(limits),
            accounts: Accounts::new(seed.accounts),
            moved: BTreeSet::new(),
            private: VecDeque::new(),
            sent: HashSet::new(),
            sequence: 0,
            changes: Vec::new(),
        }
    }

    /// The bot that has this token.
    pub fn bot(&self, token: &str) -> Option<&Bot> {
        self.bots.values().find(|bot| bot.token == token)
    }

    /// All bots.
    pub fn bots(&self) -> impl Iterator<Item = &Bot> {
        self.bots.values()
    }

    /// All chats.
    pub fn chats(&self) -> impl Iterator<Item = &Chat> {
        self.chats.values()
    }

    /// All people and bots.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.people.values().chain(self.bots.values().map(|bot| &bot.user))
    }

    /// A chat by its id.
    pub fn chat(&self, id: ChatId) -> Option<&Chat> {
        self.chats.get(&id)
    }

    /// A person or a bot.
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.people.get(&id).or_else(|| self.bots.get(&id).map(|bot| &bot.user))
    }

    /// A chat by what an operator calls it: its id or its `@name`.
    pub fn find_chat(&self, reference: &str) -> Option<&Chat> {
        match reference.strip_prefix('@') {
            Some(name) => self.chats.values().find(|chat| {
                chat.username
                    .as_ref()
                    .is_some_and(|username| username.eq_ignore_ascii_case(name))
            }),
            None => self.chats.get(&reference.parse().ok()?),
        }
    }

    /// A chat that `asker` may see: it is public, or the asker is in it.
    pub fn visible_chat(&self, asker: UserId, reference: &str) -> Result<&Chat, Refusal> {
        let chat = self.find_chat(reference).ok_or(Refusal::ChatNotFound)?;
        match chat.membership(asker) {
            Membership::Kicked => Err(Refusal::Kicked(chat.kind)),
            status if status.is_present() || chat.is_public() => Ok(chat),
            _ => Err(Refusal::NotMember(chat.kind)),
        }
    }

    /// A chat that `asker` is in.
    pub fn joined_chat(&self, asker: UserId, reference: &str) -> Result<&Chat, Refusal> {
        let chat = self.visible_chat(asker, reference)?;
        if chat.membership(asker).is_present() {
            Ok(chat)
        } else {
            Err(Refusal::NotMember(chat.kind))
        }
    }

    /// A chat whose member list `asker` may read.
    pub fn chat_with_members(&self, asker: UserId, reference: &str) -> Result<&Chat, Refusal> {
        let chat = self.joined_chat(asker, reference)?;
        let readable = chat.kind == ChatKind::Supergroup || chat.membership(asker).is_administrator();
        if readable {
            Ok(chat)
        } else {
            Err(Refusal::MembersHidden)
        }
    }

    /// Posts a message in the asker's name, within the limits of speed.
    pub fn send(&mut self, asker: UserId, reference: &str, post: Post, now: i64) -> Result<Message, Refusal> {
        let (chat, kind) = self.writable_chat(asker, reference)?;
        self.limiter.take(asker, chat, kind, now)?;
        self.append(asker, chat, post, None, now)
    }

    /// Posts another message again: with its origin (`forward`) or without (a copy).
    pub fn resend(
        &mut self,
        asker: UserId,
        to: &str,
        (from, message_id): (&str, MessageId),
        forward: bool,
        protected: bool,
        now: i64,
    ) -> Result<Message, Refusal> {
        let wanted = if forward { "forward" } else { "copy" };
        let source = self.visible_chat(asker, from)?;
        if !source.membership(asker).is_present() {
            return Err(Refusal::MessageNotFound(wanted));
        }
        let message = source
            .messages
            .get(&message_id)
            .ok_or(Refusal::MessageNotFound(wanted))?;
        if message.protected {
            return Err(if forward {
                Refusal::CannotForward
            } else {
                Refusal::CannotCopy
            });
        }
        let origin = message.forwarded.clone().unwrap_or(ForwardOrigin {
            chat: source.id,
            message_id,
            author: message.author,
            sent_at: message.sent_at,
        });
        let link_preview = message.link_preview.clone();
        let post = Post {
            content: message.content.clone(),
            protected,
            link_preview,
            random_id: None,
        };
        let (chat, kind) = self.writable_chat(asker, to)?;
        self.limiter.take(asker, chat, kind, now)?;
        self.append(asker, chat, post, forward.then_some(origin), now)
    }

    /// Gives a message another text.
    pub fn edit(
        &mut self,
        asker: UserId,
        reference: &str,
        message_id: MessageId,
        post: Post,
        now: i64,
    ) -> Result<Message, Refusal> {
        let message = self.editable(asker, reference, message_id)?;
        let content = self.known_mentions(post.content);
        if message.content == content && message.link_preview == post.link_preview {
            return Err(Refusal::NotModified);
        }
        let edited = Message {
            content,
            link_preview: post.link_preview,
            edited_at: Some(now),
            ..message.clone()
        };
        let chat = self
            .find_chat(reference)
            .map(|chat| chat.id)
            .ok_or(Refusal::ChatNotFound)?;
        self.put(chat, edited.clone());
        self.tell(asker, chat, true, &edited);
        Ok(edited)
    }

    /// The message, if the asker may edit it.
    pub fn editable(&self, asker: UserId, reference: &str, message_id: MessageId) -> Result<&Message, Refusal> {
        let chat = self.joined_chat(asker, reference)?;
        let message = chat.messages.get(&message_id).ok_or(Refusal::MessageNotFound("edit"))?;
        let rights = chat.membership(asker).rights();
        let own = message.author == asker && (chat.kind == ChatKind::Supergroup || rights.can_post_messages);
        let allowed = own || (chat.kind == ChatKind::Channel && rights.can_edit_messages);
        if allowed && message.forwarded.is_none() {
            Ok(message)
        } else {
            Err(Refusal::CannotEdit)
        }
    }

    /// Takes a message away for everyone.
    pub fn delete(&mut self, asker: UserId, reference: &str, message_id: MessageId, now: i64) -> Result<(), Refusal> {
        let chat = self.joined_chat(asker, reference)?;
        let message = chat
            .messages
            .get(&message_id)
            .ok_or(Refusal::MessageNotFound("delete"))?;
        let rights = chat.membership(asker).rights();
        let own = message.author == asker && (chat.kind == ChatKind::Supergroup || rights.can_post_messages);
        if !(rights.can_delete_messages || own && now - message.sent_at < DELETE_OWN_FOR) {
            return Err(Refusal::CannotDelete);
        }
        let chat = chat.id;
        if let Some(chat) = self.chats.get_mut(&chat) {
            chat.messages.remove(&message_id);
        }
        self.changes.push(Change::Deleted { chat, message_id });
        Ok(())
    }

    /// Reads a bot's updates; `allowed` names the kinds that it wants from now on.
    pub fn updates(&mut self, bot: UserId, offset: i64, limit: usize, allowed: Option<Vec<String>>) -> Vec<Update> {
        let Some(queue) = self.queues.get_mut(&bot) else {
            return Vec::new();
        };
        if let Some(allowed) = allowed {
            queue.allow(allowed);
        }
        queue.read(offset, limit)
    }

    /// How many updates wait for a bot.
    pub fn waiting_updates(&self, bot: UserId) -> usize {
        self.queues.get(&bot).map_or(0, Queue::len)
    }

    /// Forgets the updates that wait for a bot.
    pub fn drop_updates(&mut self, bot: UserId) {
        if let Some(queue) = self.queues.get_mut(&bot) {
            queue.clear();
        }
    }

    /// What changed since the last time.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The changes that make this world out of an empty one.
    pub fn everything(&self) -> Vec<Change> {
        let of_chat = |chat: &Chat| {
            let id = chat.id;
            let mut changes = vec![Change::NextMessage {
                chat: id,
                message_id: chat.next_message,
            }];
            changes.extend(chat.messages.values().map(|message| Change::Message {
                chat: id,
                message: message.clone(),
            }));
            changes
        };
        let moved = self.moved.iter().filter_map(|(chat, user)| {
            let membership = self.chats.get(chat)?.membership(*user).clone();
            Some(Change::Member {
                chat: *chat,
                user: *user,
                membership,
            })
        });
        let chats = self.chats.values().flat_map(of_chat);
        let private = self.private.iter().cloned().map(Change::Private);
        chats
            .chain(moved)
            .chain(private)
            .chain(self.accounts.everything())
            .collect()
    }

    /// Does again what was kept.
    pub fn replay(&mut self, change: Change) {
        match change {
            Change::Message { chat, message } => {
                if self.chats.contains_key(&chat) {
                    self.put(chat, message);
                }
            }
            Change::Deleted { chat, message_id } => {
                if let Some(chat) = self.chats.get_mut(&chat) {
                    chat.messages.remove(&message_id);
                    chat.next_message = chat.next_message.max(message_id.saturating_add(1));
                }
            }
            Change::NextMessage { chat, message_id } => {
                if let Some(chat) = self.chats.get_mut(&chat) {
                    chat.next_message = chat.next_message.max(message_id);
                }
            }
            Change::Member { chat, user, membership } => self.set_membership(chat, user, membership),
            Change::Contacts { user, contacts } => {
                if let Some(account) = self.accounts.by_user.get_mut(&user) {
                    account.contacts = contacts;
                    self.accounts.changed.insert(user);
                }
            }
            Change::Private(message) => self.put_private(message),
            Change::Device(device) => self.accounts.put(device),
        }
        self.changes.clear();
    }

    fn writable_chat(&self, asker: UserId, reference: &str) -> Result<(ChatId, ChatKind), Refusal> {
        let chat = self.joined_chat(asker, reference)?;
        if chat.kind == ChatKind::Channel && !chat.membership(asker).rights().can_post_messages {
            return Err(Refusal::NeedAdministratorRights);
        }
        Ok((chat.id, chat.kind))
    }

    fn append(
        &mut self,
        author: UserId,
        chat: ChatId,
        post: Post,
        forwarded: Option<ForwardOrigin>,
        now: i64,
    ) -> Result<Message, Refusal> {
        let place = self.chats.get(&chat).ok_or(Refusal::ChatNotFound)?;
        let (id, kind) = (place.next_message, place.kind);
        let message = Message {
            id,
            author,
            sent_at: now,
            edited_at: None,
            content: self.known_mentions(post.content),
            forwarded,
            protected: post.protected,
            link_preview: post.link_preview,
            // Its author is the first who sees it.
            views: i32::from(kind == ChatKind::Channel),
            random_id: post.random_id,
        };
        self.put(chat, message.clone());
        self.tell(author, chat, false, &message);
        Ok(message)
    }

    pub(super) fn put(&mut self, chat_id: ChatId, message: Message) {
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        chat.next_message = chat.next_message.max(message.id.saturating_add(1));
        chat.messages.insert(message.id, message.clone());
        self.sent
            .extend(message.random_id.map(|number| (message.author, number)));
        if chat.messages.len() > MAX_MESSAGES {
            let forgotten = chat.messages.pop_first().map(|(_, message)| message);
            let number = forgotten.and_then(|message| Some((message.author, message.random_id?)));
            if let Some(number) = number {
                self.sent.remove(&number);
            }
        }
        self.changes.push(Change::Message { chat: chat_id, message });
    }

    /// Bots hear what others write where they are; nobody hears itself, and in groups bots do not hear bots.
    fn tell(&mut self, author: UserId, chat_id: ChatId, edited: bool, message: &Message) {
        let Some(chat) = self.chats.get(&chat_id) else { return };
        let kind = match (chat.kind, edited) {
            (ChatKind::Channel, false) => UpdateKind::ChannelPost,
            (ChatKind::Channel, true) => UpdateKind::EditedChannelPost,
            (ChatKind::Supergroup, false) => UpdateKind::Message,
            (ChatKind::Supergroup, true) => UpdateKind::EditedMessage,
        };
        let from_bot_in_group = chat.kind == ChatKind::Supergroup && self.bots.contains_key(&author);
        for (bot, queue) in &mut self.queues {
            if *bot != author && !from_bot_in_group && chat.membership(*bot).is_present() {
                queue.push(kind, chat_id, message.clone());
            }
        }
    }

    /// Mentions of people whom nobody knows are plain text.
    fn known_mentions(&self, mut content: Formatted) -> Formatted {
        content.entities.retain(|entity: &Entity| match entity.kind {
            EntityKind::TextMention { user_id } => self.user(user_id).is_some(),
            _ => true,
        });
        content
    }
}
