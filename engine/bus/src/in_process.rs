//! The bus of one process: who listens is in two maps, so that a message looks at those who want it, however many follow other runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::subject::{is_pattern, is_subject, is_wild, matches};
use crate::subscription::Queue;
use crate::{Bus, Message, Subscription};

/// A bus within this process. Cheap to clone: all clones are one bus.
#[derive(Clone, Default)]
pub struct InProcess {
    router: Arc<Router>,
}

impl InProcess {
    /// A bus that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Bus for InProcess {
    fn publish(&self, subject: &str, payload: Arc<[u8]>) {
        if !is_subject(subject) {
            tracing::warn!(subject, "published on what is not a subject");
            return;
        }
        let listeners = self.router.listeners(subject);
        if listeners.is_empty() {
            return;
        }
        let message = Message {
            subject: subject.into(),
            payload,
        };
        for queue in listeners {
            queue.push(message.clone());
        }
    }

    fn has_subscribers(&self, subject: &str) -> bool {
        !self.router.listeners(subject).is_empty()
    }

    fn subscribe(&self, pattern: &str) -> Subscription {
        let queue = Arc::new(Queue::default());
        if !is_pattern(pattern) {
            tracing::warn!(pattern, "subscribed to what is not a pattern");
            return Subscription::new(queue, Box::new(()));
        }
        let id = self.router.add(pattern, Arc::clone(&queue));
        let registration = Registration {
            router: Arc::downgrade(&self.router),
            pattern: pattern.to_owned(),
            id,
        };
        Subscription::new(queue, Box::new(registration))
    }
}

/// Who listens to what.
#[derive(Default)]
struct Router {
    routes: Mutex<Routes>,
}

#[derive(Default)]
struct Routes {
    /// Patterns without wildcards, by their only subject.
    exact: HashMap<String, HashMap<u64, Arc<Queue>>>,
    /// Patterns with wildcards.
    wild: HashMap<u64, (String, Arc<Queue>)>,
    last_id: u64,
}

impl Router {
    fn add(&self, pattern: &str, queue: Arc<Queue>) -> u64 {
        let mut routes = self.lock();
        routes.last_id += 1;
        let id = routes.last_id;
        if is_wild(pattern) {
            routes.wild.insert(id, (pattern.to_owned(), queue));
        } else {
            routes.exact.entry(pattern.to_owned()).or_default().insert(id, queue);
        }
        id
    }

    fn remove(&self, pattern: &str, id: u64) {
        let mut routes = self.lock();
        if routes.wild.remove(&id).is_some() {
            return;
        }
        if let Some(queues) = routes.exact.get_mut(pattern) {
            queues.remove(&id);
            if queues.is_empty() {
                routes.exact.remove(pattern);
            }
        }
    }

    fn listeners(&self, subject: &str) -> Vec<Arc<Queue>> {
        let routes = self.lock();
        let exact = routes.exact.get(subject).into_iter().flat_map(HashMap::values);
        let wild = routes
            .wild
            .values()
            .filter(|(pattern, _)| matches(pattern, subject))
            .map(|(_, queue)| queue);
        exact.chain(wild).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let routes = self.routes.get_mut().unwrap_or_else(PoisonError::into_inner);
        let exact = routes.exact.values().flat_map(HashMap::values);
        for queue in exact.chain(routes.wild.values().map(|(_, queue)| queue)) {
            queue.close();
        }
    }
}

/// One subscription's place in the router, given up when it is dropped.
struct Registration {
    router: Weak<Router>,
    pattern: String,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(router) = self.router.upgrade() {
            router.remove(&self.pattern, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::Lagged;

    fn text(answer: Option<Result<Message, Lagged>>) -> String {
        match answer {
            Some(Ok(message)) => format!("{}={}", message.subject, String::from_utf8_lossy(&message.payload)),
            Some(Err(Lagged(missed))) => format!("missed {missed}"),
            None => "closed".to_owned(),
        }
    }

    fn bytes(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    #[tokio::test]
    async fn everyone_who_listens_hears() {
        let bus = InProcess::new();
        bus.publish("runs.a", bytes("before anyone listens"));
        let (mut one, mut any, mut all) = (bus.subscribe("runs.a"), bus.subscribe("runs.*"), bus.subscribe(">"));
        bus.publish("runs.a", bytes("1"));
        bus.publish("runs.b", bytes("2"));
        bus.publish("nodes.n.up", bytes("3"));
        bus.publish("not a subject", bytes("4"));
        drop(bus);
        assert_eq!([text(one.next().await), text(one.next().await)], ["runs.a=1", "closed"]);
        assert_eq!(
            [text(any.next().await), text(any.next().await), text(any.next().await)],
            ["runs.a=1", "runs.b=2", "closed"]
        );
        assert_eq!(text(all.next().await), "runs.a=1");
        assert_eq!(text(all.next().await), "runs.b=2");
        assert_eq!(text(all.next().await), "nodes.n.up=3");
        assert_eq!(text(all.next().await), "closed");
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_what_it_missed() {
        let bus = InProcess::new();
        let mut slow = bus.subscribe("a");
        for number in 0..300 {
            bus.publish("a", bytes(&number.to_string()));
        }
        assert_eq!(text(slow.next().await), "missed 44");
        assert_eq!(text(slow.next().await), "a=44");
        for _ in 0..3 {
            bus.publish("a", vec![b'x'; 3 << 20].into());
        }
        assert_eq!(
            text(slow.next().await),
            "missed 257",
            "255 short ones and two of three large ones"
        );
        assert_eq!(slow.next().await.unwrap().unwrap().payload.len(), 3 << 20);
    }

    #[tokio::test]
    async fn a_sleeping_subscriber_is_woken() {
        let bus = InProcess::new();
        let mut subscription = bus.subscribe("a.>");
        let hearing = tokio::spawn(async move { text(subscription.next().await) });
        tokio::task::yield_now().await;
        bus.publish("a.b", bytes("1"));
        assert_eq!(hearing.await.unwrap(), "a.b=1");
    }

    #[tokio::test]
    async fn dropped_subscriptions_leave_nothing_behind() {
        let bus = InProcess::new();
        let subscriptions = [
            bus.subscribe("a"),
            bus.subscribe("a"),
            bus.subscribe("*"),
            bus.subscribe("bad..pattern"),
        ];
        assert_eq!(bus.router.listeners("a").len(), 3);
        assert!(bus.has_subscribers("a") && bus.has_subscribers("b") && !bus.has_subscribers("a.b"));
        drop(subscriptions);
        assert!(!bus.has_subscribers("a"));
        let routes = bus.router.lock();
        assert!(routes.exact.is_empty() && routes.wild.is_empty());
    }
}
