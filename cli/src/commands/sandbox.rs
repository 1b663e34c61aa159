//! `potok sandbox`: the local stand-ins on their own.

use potok_sandbox::{Sandbox, SandboxConfig};

use crate::{
    args::SandboxArgs,
    exit::{COMPLETED, Failure},
};

pub async fn sandbox(args: SandboxArgs) -> Result<u8, Failure> {
    let listen = args.listen.parse().map_err(|e| Failure::Usage(format!("--listen {}: {e}", args.listen)))?;
    let config = SandboxConfig { listen, data_dir: args.data_dir, ..SandboxConfig::default() };
    let running = Sandbox::start(config).await.map_err(|e| Failure::Other(e.to_string()))?;
    println!("Bot API              {}", running.bot_api_url());
    println!("OpenAI-compatible    {}", running.openai_url());
    println!("Ctrl-C stops it");
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(COMPLETED)
}
