//! Language models for plugins: the capability `potok:ai/chat`, by any server that speaks OpenAI's chat completions
//! (OpenAI,
//! Together.ai, Ollama, the sandbox, …).
//!
//! One call is one request. Nothing is tried again here: the engine's retry policies decide that, and what a server
//! says about
//! when to come back reaches them as `retry_after_ms`.
//!
//! **What a call costs is recorded**, one row of `ai_usage` for each call that was answered ([`usage`]).
//!
//! This crate knows no workflow and no prompt. The operator's key is in one place, the client; no message, log or row
//! holds it.

mod answer;
mod ask;
mod config;
mod problem;
mod transport;
mod usage;

use std::sync::{Arc, OnceLock};

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_trait::async_trait;
use potok_dsl::{ErrorType, Problem};
use potok_wasm::{CallContext, Migration, Provider};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use config::{AiConfig, ConfigError};

use ask::Request;
use config::Defaults;

/// The WIT interface that this crate serves.
const INTERFACE: &str = "potok:ai/chat";

/// Asks one server for chat completions.
pub struct AiProvider {
    config: AiConfig,
    /// Made when it is first needed: it reads what authorities the machine trusts, which takes a while.
    client: OnceLock<Client<OpenAIConfig>>,
    defaults: Defaults,
    requests: Arc<Semaphore>,
    secret: problem::Secret,
}

impl std::fmt::Debug for AiProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiProvider")
            .field("defaults", &self.defaults)
            .finish_non_exhaustive()
    }
}

impl AiProvider {
    /// A provider for this server. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`ConfigError`] when the address or the key cannot be one.
    pub fn new(config: AiConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let secret = problem::Secret::new(config.key().map(str::to_owned));
        let requests = Arc::new(Semaphore::new(config.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self {
            client: OnceLock::new(),
            defaults: config.clone().into_defaults(),
            config,
            requests,
            secret,
        })
    }

    /// The client.
    ///
    /// # Panics
    /// When no TLS provider was installed (`rustls::crypto::CryptoProvider::install_default`), which the binary does first thing.
    fn client(&self) -> Result<&Client<OpenAIConfig>, Problem> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.config.client().map_err(|error| {
            Problem::new(
                ErrorType::Configuration,
                "the model's server cannot be asked",
                error.to_string(),
            )
        })?;
        // Of two that are made at once one is kept.
        Ok(self.client.get_or_init(|| client))
    }

    async fn complete(&self, cx: &CallContext, request: Request) -> Result<Value, Problem> {
        let body = ask::body(&request, &self.defaults)?;
        let deadline = Instant::from_std(cx.deadline);
        let Ok(Ok(_permit)) = tokio::time::timeout_at(deadline, self.requests.acquire()).await else {
            let detail = format!(
                "all {} requests that may be made at once were taken",
                self.defaults.concurrency
            );
            return Err(Problem::new(ErrorType::Timeout, "no free place at the model", detail));
        };
        let until = deadline.min(Instant::now() + self.defaults.timeout);
        let chat = self.client()?.chat();
        let asking = chat.create_byot::<_, Value>(body);
        let answer = match tokio::time::timeout_at(until, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(problem::of(&error, &self.secret)),
            Err(_) => return Err(problem::late(self.defaults.timeout)),
        };
        let asked = request.model.as_deref().unwrap_or(&self.defaults.model);
        let completion = answer::read(&answer, asked, &self.secret)?;
        usage::record(cx, &completion).await;
        Ok(completion.to_json())
    }
}

#[async_trait]
impl Provider for AiProvider {
    fn interfaces(&self) -> &[&'static str] {
        &[INTERFACE]
    }

    fn migrations(&self) -> &[Migration] {
        usage::MIGRATIONS
    }

    async fn call(&self, cx: &CallContext, interface: &str, function: &str, args: Value) -> Result<Value, Problem> {
        match function {
            "complete" => self.complete(cx, ask::arguments(args)?).await,
            _ => {
                let detail = format!("{interface} has no function '{function}'");
                Err(Problem::new(ErrorType::Runtime, "unknown function", detail))
            }
        }
    }
}
