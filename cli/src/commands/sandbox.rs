//! `potok sandbox`: the local stand-ins on their own.

use potok_sandbox::{
    DEFAULT_MODEL, Sandbox, SandboxConfig, SandboxError,
    world::{DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::SandboxArgs,
    exit::{COMPLETED, Failure},
};

pub async fn sandbox(args: SandboxArgs) -> Result<u8, Failure> {
    let listen = args
        .listen
        .parse()
        .map_err(|e| Failure::Usage(format!("--listen {}: {e}", args.listen)))?;
    let config = SandboxConfig {
        listen,
        data_dir: args.data_dir,
        ..SandboxConfig::default()
    };
    let running = Sandbox::start(config).await.map_err(|error| match error {
        SandboxError::NotLoopback { .. } => Failure::Usage(error.to_string()),
        other => Failure::Other(other.to_string()),
    })?;
    crate::say!("Bot API    {}", running.bot_api_url());
    crate::say!("Bot token  {DEFAULT_BOT_TOKEN}");
    crate::say!("Channel    {DEFAULT_CHANNEL}");
    crate::say!("OpenAI     {}", running.openai_url());
    crate::say!("Model      {DEFAULT_MODEL}");
    crate::say!("Admin      {}", running.admin_url());
    crate::say!("Ctrl-C stops it");
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    running.shutdown().await;
    Ok(COMPLETED)
}
