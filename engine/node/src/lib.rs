//! A node: it drives runs.
//!
//! [`core`] decides, without IO; [`schedule`] decides what time starts; the shell around them owns the clock, the store, the calls and the
//! clients. [`deploy`] turns texts into definitions that are bound to what steers them. [`Node`] is the handle that servers and commands use.

pub mod cloudevent;
pub mod core;
pub mod deploy;
mod events;
mod lifecycle;
mod metrics;
mod news;
mod node;
mod retention;
pub mod schedule;
mod secrets;
mod shell;
mod tables;
mod view;
mod webhooks;

pub use events::{PUBLISHED_AT_ONCE, Retention};
pub use metrics::{Metrics, Reading};
pub use news::{Following, RunNews};
pub use node::{
    Bulk, BulkDone, Deployment, Difference, Node, NodeConfig, NodeError, NodeParts, RestartRequest, RunDiff,
    StartRequest, Started, TaskDifference, TaskEnd, install_row, install_stored,
};
pub use retention::RunRetention;
pub use secrets::{KeptSecrets, KeyPlace, SecretView, SecretsError, StoredSecrets};
pub use shell::Stopped;
pub use tables::tables;
pub use view::{InnerCall, OriginView, RunView, TaskEvent, WorkflowView};
pub use webhooks::{DeadLetter, NewWebhook, Registered, Webhook, WebhookConfig};
