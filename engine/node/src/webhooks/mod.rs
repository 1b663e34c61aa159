//! Webhooks: servers that are told of events, as an operator has registered them.
//!
//! Each webhook reads the stream of events by a cursor of its own and sends what fits, one after the other, signed. A server that does not
//! take an event gets it again, later and later, until it has been refused for too long: then the event is put aside and the next one
//! follows. The cursor is written after the events are sent, so after a crash some come again; their ids are the same.
//!
//! What events are signed with is kept sealed, with the key of the store's secrets, and opened for each request. A webhook whose secret
//! cannot be opened waits, as for a server that does not answer.

mod deliver;
mod rows;
mod sign;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use potok_calls::HttpCaller;
use potok_dsl::{ErrorType, Problem};
use potok_journal::{Store, StoreError};
use serde_json::Value;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::{
    NodeError, lifecycle,
    secrets::{Sealed, StoredSecrets},
    shell::{self, Stream},
};
use deliver::Delivery;
use rows::Rows;

/// How many webhooks there may be.
const MOST: usize = 100;

/// How many types, and how many sources, one may name.
const FILTERS: usize = 32;

/// How webhooks are delivered.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// How long a server may take to answer.
    pub timeout: Duration,
    /// How long after the first refusal it is tried again; each further one doubles that.
    pub first_delay: Duration,
    /// No longer than this.
    pub longest_delay: Duration,
    /// After how long of refusals an event is put aside.
    pub give_up: Duration,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(300),
            give_up: Duration::from_secs(24 * 3_600),
        }
    }
}

/// A webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where events are sent.
    pub url: String,
    /// Types that are sent: whole, or the beginning and `*`. Any but lifecycle events, when empty.
    pub types: Vec<String>,
    /// Sources that are sent; any, when empty.
    pub sources: Vec<String>,
    /// What events are signed with, sealed.
    pub(crate) secret: Sealed,
    /// When it was registered.
    pub created_at: i64,
    /// The last event that was sent, or that does not concern it.
    pub cursor: u64,
    /// Since when the next one is refused.
    pub failing_since: Option<i64>,
    /// Why, the last time.
    pub last_error: Option<String>,
}

impl Webhook {
    /// Whether an event is sent.
    fn wants(&self, event: &Value) -> bool {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, source) = (text("type"), text("source"));
        let fits = |wanted: &String| {
            wanted
                .strip_suffix('*')
                .map_or(wanted == kind, |begin| kind.starts_with(begin))
        };
        let kinds = if self.types.is_empty() {
            !lifecycle::is_ours(kind)
        } else {
            // Whoever wants lifecycle events names them: "*" alone does not.
            self.types
                .iter()
                .any(|wanted| fits(wanted) && (lifecycle::asked(wanted) != 0 || !lifecycle::is_ours(kind)))
        };
        kinds && (self.sources.is_empty() || self.sources.iter().any(|wanted| wanted == source))
    }

    /// Which lifecycle events it wants.
    fn lifecycle(&self) -> u8 {
        self.types
            .iter()
            .map(|wanted| lifecycle::asked(wanted))
            .fold(0, |all, one| all | one)
    }
}

/// An event that could not be delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Its number in the stream.
    pub sequence: u64,
    /// When it was put aside.
    pub at: i64,
    /// Why.
    pub reason: String,
    /// The event.
    pub event: Value,
}

/// A webhook that was registered.
#[derive(Clone)]
pub struct Registered {
    /// The webhook.
    pub webhook: Webhook,
    /// What events are signed with, to be shown this once.
    pub secret: String,
}

/// A webhook that is wanted.
#[derive(Clone, Default)]
pub struct NewWebhook {
    /// Where events are to be sent.
    pub url: String,
    /// Which types.
    pub types: Vec<String>,
    /// Which sources.
    pub sources: Vec<String>,
    /// What to sign with; one is made when there is none.
    pub secret: Option<String>,
}

/// All webhooks of a node.
pub(crate) struct Webhooks {
    rows: Rows,
    secrets: Arc<StoredSecrets>,
    stream: Arc<Stream>,
    http: Arc<HttpCaller>,
    config: WebhookConfig,
    running: Mutex<HashMap<String, Running>>,
}

/// A webhook that is delivered.
struct Running {
    task: AbortHandle,
    /// Everything up to this event is done with.
    done: Arc<AtomicU64>,
    lifecycle: u8,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Webhooks {
    /// Takes up the webhooks that the store has.
    pub async fn start(
        store: Arc<dyn Store>,
        secrets: Arc<StoredSecrets>,
        stream: Arc<Stream>,
        http: Arc<HttpCaller>,
        config: WebhookConfig,
    ) -> Result<Arc<Self>, StoreError> {
        store.apply_migrations(&rows::MIGRATIONS).await?;
        let webhooks = Arc::new(Self {
            rows: Rows(store),
            secrets,
            stream,
            http,
            config,
            running: Mutex::default(),
        });
        for hook in webhooks.rows.all().await? {
            webhooks.run(hook);
        }
        Ok(webhooks)
    }

    /// Delivers nothing any more.
    pub fn stop(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn run(&self, hook: Webhook) {
        let done = Arc::new(AtomicU64::new(hook.cursor));
        let (id, lifecycle) = (hook.id.clone(), hook.lifecycle());
        let delivery = Delivery {
            rows: self.rows.clone(),
            secrets: Arc::clone(&self.secrets),
            http: Arc::clone(&self.http),
            config: self.config.clone(),
            news: self.stream.news(),
            done: Arc::clone(&done),
            hook,
        };
        let task = tokio::spawn(delivery.run()).abort_handle();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(id, Running { task, done, lifecycle });
        self.stream
            .webhooks_want(running.values().fold(0, |all, one| all | one.lifecycle));
    }

    /// The first event that is still to be sent to someone.
    pub fn held_from(&self) -> u64 {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let done = running
            .values()
            .map(|one| one.done.load(Ordering::Relaxed).saturating_add(1));
        done.min().unwrap_or(u64::MAX)
    }

    /// Registers a webhook: it is told of events that come from now on.
    pub async fn add(&self, new: NewWebhook) -> Result<Registered, NodeError> {
        check(&new)?;
        if self.rows.all().await?.len() >= MOST {
            return Err(NodeError::Conflict(format!(
                "there are {MOST} webhooks already; remove one first"
            )));
        }
        let id = Uuid::now_v7().to_string();
        let secret = new.secret.unwrap_or_else(sign::generate);
        let sealed = self.secrets.seal(&sealed_as(&id), &secret);
        let webhook = Webhook {
            id,
            url: new.url,
            types: new.types,
            sources: new.sources,
            secret: sealed.map_err(|error| NodeError::Unavailable(error.to_string()))?,
            created_at: shell::now().0,
            cursor: self.rows.0.last_event().await?,
            failing_since: None,
            last_error: None,
        };
        self.rows.insert(&webhook).await?;
        self.run(webhook.clone());
        Ok(Registered { webhook, secret })
    }

    /// Forgets a webhook; whether there was one.
    pub async fn remove(&self, id: &str) -> Result<bool, NodeError> {
        let known = self.rows.all().await?.iter().any(|hook| hook.id == id);
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.remove(id);
            self.stream
                .webhooks_want(running.values().fold(0, |all, one| all | one.lifecycle));
        }
        if known {
            self.rows.remove(id).await?;
        }
        Ok(known)
    }

    /// All webhooks, the oldest first.
    pub async fn all(&self) -> Result<Vec<Webhook>, NodeError> {
        Ok(self.rows.all().await?)
    }

    /// Events that could not be delivered to one.
    pub async fn dead_letters(&self, id: &str, after: u64, limit: usize) -> Result<Vec<DeadLetter>, NodeError> {
        Ok(self.rows.dead_letters(id, after, limit).await?)
    }
}

/// The name under which a webhook's secret is sealed: one that no secret of a workflow can have.
fn sealed_as(id: &str) -> String {
    format!("the webhook {id}")
}

fn check(new: &NewWebhook) -> Result<(), NodeError> {
    let invalid = |detail: String| {
        Err(NodeError::Invalid(Problem::new(
            ErrorType::Validation,
            "Invalid webhook",
            detail,
        )))
    };
    if let Err(error) = potok_calls::check_address(&new.url) {
        return invalid(error.to_string());
    }
    if new.types.len() > FILTERS || new.sources.len() > FILTERS {
        return invalid(format!("a webhook names at most {FILTERS} types and {FILTERS} sources"));
    }
    if let Some(bad) = new
        .types
        .iter()
        .chain(&new.sources)
        .find(|text| text.is_empty() || text.len() > 1_024)
    {
        return invalid(format!("'{bad}' is no type or source: 1 to 1024 bytes"));
    }
    if let Some(bad) = new
        .types
        .iter()
        .find(|text| text.trim_end_matches('*').contains('*') || text.ends_with("**"))
    {
        return invalid(format!("'{bad}': a '*' stands at the end, once"));
    }
    if new.secret.as_deref().is_some_and(|secret| sign::key(secret).is_none()) {
        return invalid("a secret is 'whsec_' and 24 to 64 bytes in base64; leave it out to have one made".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_webhook_gets_what_it_names() {
        let wants = |types: &[&str], sources: &[&str], kind: &str| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            let hook = Webhook {
                id: String::new(),
                url: String::new(),
                types: texts(types),
                sources: texts(sources),
                secret: Sealed::kept(String::new(), Vec::new()),
                created_at: 0,
                cursor: 0,
                failing_since: None,
                last_error: None,
            };
            hook.wants(&json!({ "type": kind, "source": "/a" }))
        };
        let ended = "io.serverlessworkflow.workflow.completed.v1";
        assert!(wants(&[], &[], "order.paid") && !wants(&[], &[], ended));
        assert!(wants(&["order.*"], &["/a"], "order.paid") && !wants(&["order.*"], &["/b"], "order.paid"));
        assert!(wants(&[ended], &[], ended) && wants(&["io.serverlessworkflow.*"], &[], ended));
        assert!(wants(&["*"], &[], "order.paid") && !wants(&["*"], &[], ended));
    }

    #[test]
    fn bad_webhooks_are_refused_in_words() {
        let new = |url: &str, kind: &str, secret: Option<&str>| NewWebhook {
            url: url.to_owned(),
            types: vec![kind.to_owned()],
            sources: Vec::new(),
            secret: secret.map(str::to_owned),
        };
        let url = "https://example.com/hook";
        assert!(check(&new(url, "a.*", None)).is_ok());
        for bad in [
            new("example.com", "a", None),
            new(url, "a.*.b", None),
            new(url, "", None),
            new(url, "a", Some("x")),
        ] {
            assert!(matches!(check(&bad), Err(NodeError::Invalid(_))), "{}", bad.url);
        }
    }
}
