//! Why the world says no. The messages are those of the Bot API, without the `Bad Request: ` before them.

use super::model::ChatKind;

/// A rule that a request breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such chat, or one that the asker cannot see.
    #[error("chat not found")]
    ChatNotFound,
    /// The asker is not in the chat.
    #[error("bot is not a member of the {} chat", kind_name(*.0))]
    NotMember(ChatKind),
    /// The asker was thrown out.
    #[error("bot was kicked from the {} chat", kind_name(*.0))]
    Kicked(ChatKind),
    /// Posting in a channel needs the right to post.
    #[error("need administrator rights in the channel chat")]
    NeedAdministratorRights,
    /// Only administrators see who is in the channel.
    #[error("member list is inaccessible")]
    MembersHidden,
    /// Nobody has this id.
    #[error("member not found")]
    MemberNotFound,
    /// There is no such message for what the asker wants (`edit`, `delete`, `copy`, `forward`).
    #[error("message to {0} not found")]
    MessageNotFound(&'static str),
    /// Not the asker's message, and no right to edit others'.
    #[error("message can't be edited")]
    CannotEdit,
    /// Forwarded messages and the like cannot change.
    #[error(
        "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message"
    )]
    NotModified,
    /// Not the asker's message, or older than two days, and no right to delete others'.
    #[error("message can't be deleted for everyone")]
    CannotDelete,
    /// The message or its chat is protected.
    #[error("message can't be copied")]
    CannotCopy,
    /// The message or its chat is protected.
    #[error("message can't be forwarded")]
    CannotForward,
    /// Too fast.
    #[error("retry after {seconds}")]
    TooFast {
        /// How long to wait, in whole seconds, at least 1.
        seconds: u64,
    },
}

fn kind_name(kind: ChatKind) -> &'static str {
    match kind {
        ChatKind::Channel => "channel",
        ChatKind::Supergroup => "supergroup",
    }
}
