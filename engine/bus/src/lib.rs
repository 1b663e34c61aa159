//! Coordination: short messages on subjects, to whoever listens now.
//!
//! The bus carries wake-ups and live updates. It promises nothing: a message may be lost, and whoever needs to know looks into the
//! store after a while all the same, so that a lost message delays and never loses. A subscriber that does not keep up is told how many
//! it missed. [`InProcess`] serves one process; what carries messages between machines stands behind the same trait.
//!
//! The bus knows no runs and no workflows: a payload is bytes.

mod in_process;
mod subject;
mod subscription;

use std::sync::Arc;

pub use in_process::InProcess;
pub use subject::{is_pattern, is_subject, matches};
pub use subscription::{Lagged, Subscription};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The subject that it was published on.
    pub subject: Arc<str>,
    /// What it says.
    pub payload: Arc<[u8]>,
}

/// A bus.
///
/// Subjects are words joined by dots, such as `runs.started`. In a pattern `*` stands for one word and a last `>` for one or more. What is
/// not well formed is a mistake of the program: it is logged, reaches nobody and hears nothing.
pub trait Bus: Send + Sync + 'static {
    /// Hands a message to everyone who listens now. Never waits.
    fn publish(&self, subject: &str, payload: Arc<[u8]>);

    /// Whether anyone may be listening to a subject: false spares whoever would publish the work. A bus that cannot know says true.
    fn has_subscribers(&self, subject: &str) -> bool;

    /// Listens to all subjects that a pattern matches, from now on and until the subscription is dropped.
    fn subscribe(&self, pattern: &str) -> Subscription;
}
