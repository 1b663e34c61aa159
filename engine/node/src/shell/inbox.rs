//! What the core's thread is told, in an order that it may be taken in.
//!
//! Who waits for a run's end says so and then looks whether the store has it already: so what was said before a write became durable is heard
//! before the word of that write, which would else find nobody who waits.

use std::time::Duration;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::mpsc;

use super::Message;
use crate::core::Input;

/// How many messages may wait.
const INBOX: usize = 4_096;

/// How many of them are taken before the clock is looked at again.
const BATCH: usize = 256;

/// Messages from others, and the writes that the thread itself waits for.
pub(super) struct Inbox {
    messages: mpsc::Receiver<Message>,
    saves: FuturesUnordered<BoxFuture<'static, Input>>,
}

/// How listening ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// With what was said, if anything was.
    Word,
    /// With silence for as long as was to be waited.
    Silence,
    /// Nobody is left who could say anything.
    Nobody,
}

impl Inbox {
    /// An inbox and the way into it.
    pub fn new() -> (mpsc::Sender<Message>, Self) {
        let (sender, messages) = mpsc::channel(INBOX);
        let saves = FuturesUnordered::new();
        (sender, Self { messages, saves })
    }

    /// Whether a write is under way.
    pub fn is_writing(&self) -> bool {
        !self.saves.is_empty()
    }

    /// Waits for a write besides.
    pub fn write(&mut self, save: BoxFuture<'static, Input>) {
        self.saves.push(save);
    }

    /// Appends what there is to be heard; waits for something as long as is said, or not at all.
    pub async fn hear(&mut self, wait: Option<Duration>, heard: &mut Vec<Message>) -> Heard {
        let mut saved = Vec::new();
        if let Some(wait) = wait {
            tokio::select! {
                biased;
                received = self.messages.recv_many(heard, BATCH) => if received == 0 { return Heard::Nobody },
                Some(one) = self.saves.next(), if !self.saves.is_empty() => saved.push(one),
                () = tokio::time::sleep(wait) => return Heard::Silence,
            }
        }
        while let Some(Some(one)) = self.saves.next().now_or_never() {
            saved.push(one);
        }
        let most = if saved.is_empty() { BATCH } else { INBOX };
        heard.extend(std::iter::from_fn(|| self.messages.try_recv().ok()).take(most));
        heard.extend(saved.into_iter().map(Message::Happened));
        Heard::Word
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use potok_dsl::RunId;

    use super::*;
    use crate::core::{Client, Durable};

    const RUN: RunId = RunId(uuid::Uuid::from_bytes([1; 16]));

    /// A write that becomes durable when it is looked at, right after someone has begun to wait for the run's end.
    fn overtaken(sender: mpsc::Sender<Message>) -> BoxFuture<'static, Input> {
        async move {
            let wait = Input::Wait {
                run: RUN,
                client: Client(1),
            };
            sender.try_send(Message::Happened(wait)).unwrap();
            Input::Saved {
                run: RUN,
                result: Ok(Durable::default()),
            }
        }
        .boxed()
    }

    #[tokio::test]
    async fn who_began_to_wait_before_a_write_was_durable_is_heard_before_it() {
        for wait in [None, Some(Duration::from_secs(9))] {
            let (sender, mut inbox) = Inbox::new();
            inbox.write(overtaken(sender));
            let mut heard = Vec::new();
            assert_eq!(inbox.hear(wait, &mut heard).await, Heard::Word);
            assert!(
                matches!(
                    &heard[..],
                    [
                        Message::Happened(Input::Wait { .. }),
                        Message::Happened(Input::Saved { .. })
                    ]
                ),
                "{} heard, {wait:?}",
                heard.len()
            );
        }
    }

    #[tokio::test]
    async fn silence_and_the_end_are_told_apart() {
        let (sender, mut inbox) = Inbox::new();
        let mut heard = Vec::new();
        let moment = Some(Duration::from_millis(1));
        assert_eq!(inbox.hear(moment, &mut heard).await, Heard::Silence);
        assert_eq!(inbox.hear(None, &mut heard).await, Heard::Word);
        drop(sender);
        assert_eq!(inbox.hear(moment, &mut heard).await, Heard::Nobody);
        assert!(heard.is_empty());
    }
}
