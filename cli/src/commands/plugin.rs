//! `potok plugin`: inspect, add and list components.

use std::path::Path;

use potok_wasm::{Grants, PluginInfo};

use crate::{
    args::{FunctionsArgs, PluginCommand},
    config::Config,
    engine::{self, Engine},
    exit::{COMPLETED, Failure},
};

pub async fn plugin(config: &Config, command: PluginCommand) -> Result<u8, Failure> {
    match command {
        PluginCommand::Inspect { file, wit } => inspect(config, &file, wit.as_deref()),
        PluginCommand::Add {
            engine,
            file,
            wit,
            grants,
        } => {
            let component = component(&file, wit.as_deref())?;
            let engine = Engine::start(config, &engine, true).await?;
            let added = engine.node.install_plugin(&component, &Grants(grants)).await;
            engine.stop().await;
            describe(&*added?);
            Ok(COMPLETED)
        }
        PluginCommand::List(args) => list(config, args).await,
    }
}

fn inspect(config: &Config, file: &Path, wit: Option<&Path>) -> Result<u8, Failure> {
    let component = component(file, wit)?;
    let host = engine::bare_host(config)?;
    let info = host
        .inspect(&component, None)
        .map_err(|e| Failure::Usage(format!("{}: {e}", file.display())))?;
    crate::say!("{}", serde_json::to_string_pretty(&info).unwrap_or_default());
    Ok(COMPLETED)
}

async fn list(config: &Config, args: FunctionsArgs) -> Result<u8, Failure> {
    let host = engine::host_with_stored(config)?;
    if args.json {
        crate::say!("{}", serde_json::to_string_pretty(&host.plugins()).unwrap_or_default());
        return Ok(COMPLETED);
    }
    for plugin in host.plugins() {
        describe(&plugin);
    }
    Ok(COMPLETED)
}

fn describe(plugin: &PluginInfo) {
    let names: Vec<_> = plugin.functions.iter().map(|f| f.name.as_str()).collect();
    let kind = if plugin.pure { "pure" } else { "effectful" };
    crate::say!(
        "{}@{}  {}  {kind}  {}",
        plugin.package,
        plugin.version,
        &plugin.hash[..12],
        names.join(" ")
    );
}

/// A component's bytes, with the WIT text put in when it comes beside it.
fn component(file: &Path, wit: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|e| Failure::Usage(format!("cannot read {}: {e}", path.display())));
    let bytes = read(file)?;
    let Some(wit) = wit else { return Ok(bytes) };
    let text = String::from_utf8(read(wit)?).map_err(|_| Failure::Usage(format!("{} is not text", wit.display())))?;
    Ok(potok_wasm::with_wit(&bytes, &text))
}
