//! The providers of capabilities, each with its part of the configuration; with the local stand-ins at the other end when there are any.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use potok_ai::{AiConfig, AiProvider};
use potok_blob::BlobProvider;
use potok_content::ContentProvider;
use potok_node::KeyPlace;
use potok_sandbox::{DATA_CENTRES, RunningSandbox, Sandbox, SandboxConfig, world::DEFAULT_BOT_TOKEN};
use potok_secrets::Keeper;
use potok_telegram::{
    Pacing, TelegramConfig, TelegramProvider,
    accounts::{AccountsConfig, AuthKeys, Centre},
};
use potok_wasm::Provider;

use crate::{config::Config, exit::Failure};

/// One line a capability: this is where a provider is added.
pub fn all(
    config: &Config,
    sandbox: Option<&RunningSandbox>,
    key: KeyPlace,
) -> Result<Vec<Arc<dyn Provider>>, Failure> {
    let keeper = Arc::new(Keeper::new(key));
    let wrong = |e: &dyn std::fmt::Display| Failure::Usage(e.to_string());
    let ai = AiProvider::new(ai_config(config, sandbox)).map_err(|e| wrong(&e))?;
    let telegram = TelegramProvider::new(telegram_config(config, sandbox, keeper)).map_err(|e| wrong(&e))?;
    Ok(vec![
        Arc::new(ai),
        Arc::new(BlobProvider::default()),
        Arc::new(ContentProvider),
        Arc::new(telegram),
    ])
}

/// The model behind `ai`: the sandbox's, when there is a sandbox.
fn ai_config(config: &Config, sandbox: Option<&RunningSandbox>) -> AiConfig {
    let section = &config.ai;
    let key = Some(section.api_key.clone()).filter(|key| !key.is_empty());
    AiConfig {
        base_url: sandbox.map_or_else(|| section.base_url.clone(), RunningSandbox::openai_url),
        api_key: if sandbox.is_some() { None } else { key },
        default_model: if sandbox.is_some() {
            potok_sandbox::DEFAULT_MODEL.to_owned()
        } else {
            section.model.clone()
        },
        timeout: Duration::from_secs(section.timeout),
        concurrency: section.concurrency,
        ..AiConfig::default()
    }
}

/// The Bot API behind `telegram`: the sandbox's, when there is a sandbox, with its own bot as the default one.
fn telegram_config(config: &Config, sandbox: Option<&RunningSandbox>, keeper: Arc<Keeper>) -> TelegramConfig {
    let section = &config.telegram;
    let bots = match sandbox {
        Some(_) => [("default".to_owned(), DEFAULT_BOT_TOKEN.to_owned())].into(),
        None => section.bots.clone(),
    };
    TelegramConfig {
        base_url: sandbox.map_or_else(|| section.api_url.clone(), RunningSandbox::bot_api_url),
        bots,
        // The sandbox takes as much as it is sent.
        pacing: if sandbox.is_some() {
            Pacing::OFF
        } else {
            Pacing::default()
        },
        keeper,
        accounts: sandbox.map(sandbox_accounts).unwrap_or_default(),
        ..TelegramConfig::default()
    }
}

/// The data centres of the sandbox, and the keys that it gives.
fn sandbox_accounts(sandbox: &RunningSandbox) -> AccountsConfig {
    let address = sandbox.mtproto_address();
    AccountsConfig {
        centres: DATA_CENTRES.map(|id| Centre { id, address }).to_vec(),
        keys: Some(Arc::new(SandboxKeys(sandbox.auth_keys()))),
        ..AccountsConfig::default()
    }
}

struct SandboxKeys(potok_sandbox::AuthKeys);

#[async_trait]
impl AuthKeys for SandboxKeys {
    async fn new_key(&self) -> std::io::Result<[u8; 256]> {
        self.0.new_auth_key().await
    }
}

/// The local stand-ins, their world kept beside the data.
pub async fn start_sandbox(directory: &Path) -> Result<RunningSandbox, Failure> {
    let settings = SandboxConfig {
        data_dir: Some(directory.join("sandbox")),
        ..SandboxConfig::default()
    };
    Sandbox::start(settings)
        .await
        .map_err(|e| Failure::Other(format!("the sandbox cannot start: {e}")))
}
