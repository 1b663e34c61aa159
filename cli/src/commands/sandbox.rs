//! `potok sandbox`: the local stand-ins on their own.

use std::{net::SocketAddr, path::Path};

use potok_sandbox::{
    DATA_CENTRES, DEFAULT_MODEL, Sandbox, SandboxConfig, SandboxError,
    world::{DEFAULT_BOT_TOKEN, DEFAULT_CHANNEL, DEFAULT_PHONE, WorldSeed},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::SandboxArgs,
    exit::{COMPLETED, Failure},
};

pub async fn sandbox(args: SandboxArgs) -> Result<u8, Failure> {
    let listen = address("--listen", &args.listen)?;
    let mtproto = match &args.mtproto {
        Some(text) => address("--mtproto", text)?,
        None => beside(listen),
    };
    let usual = args.world.is_none();
    let config = SandboxConfig {
        listen,
        mtproto,
        world: args.world.as_deref().map(world).transpose()?.unwrap_or_default(),
        data_dir: args.data_dir,
        ..SandboxConfig::default()
    };
    let running = Sandbox::start(config).await.map_err(|error| match error {
        SandboxError::NotLoopback { .. } => Failure::Usage(error.to_string()),
        other => Failure::Other(other.to_string()),
    })?;
    crate::say!("Bot API    {}", running.bot_api_url());
    if usual {
        crate::say!("Bot token  {DEFAULT_BOT_TOKEN}");
        crate::say!("Channel    {DEFAULT_CHANNEL}");
    }
    let centres = DATA_CENTRES.map(|id| id.to_string()).join(", ");
    crate::say!("MTProto    {} (data centres {centres})", running.mtproto_address());
    crate::say!("Auth keys  POST {}/mtproto/keys", running.admin_url());
    if usual {
        crate::say!("Phone      {DEFAULT_PHONE} (code 12345)");
    }
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

fn address(flag: &str, text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|e| Failure::Usage(format!("{flag} {text}: {e}")))
}

/// The next port; a free one when the port is to be a free one.
fn beside(listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(0),
    };
    SocketAddr::new(listen.ip(), port)
}

/// The people, bots and chats of a file.
fn world(path: &Path) -> Result<WorldSeed, Failure> {
    let shown = path.display();
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("--world {shown}: {why}"));
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    let value = potok_dsl::data(&shown.to_string(), &text).map_err(|e| wrong(&e))?;
    serde_json::from_value(value).map_err(|e| wrong(&e))
}
