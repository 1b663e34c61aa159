//! `potok serve`: the server, until it is told to stop.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use potok_node::Node;
use potok_openapi::{Access, Server, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::ServeArgs,
    config::Config,
    engine::Engine,
    exit::{COMPLETED, Failure},
};

/// How often the directory of drafts is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long requests under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(10);

pub async fn serve(config: &Config, args: ServeArgs) -> Result<u8, Failure> {
    let (users, tokens) = (config.auth.users.clone(), config.auth.tokens.clone());
    let access = Access::new(users, tokens).map_err(|error| Failure::Usage(format!("auth: {error}")))?;
    let open = access.is_open();
    let mut terminate = signal(SignalKind::terminate())?;
    let engine = Engine::start(config, &args.engine, true).await?;
    let settings = ServerConfig {
        listen: config.listen.clone(),
        grace: GRACE,
        shipped: potok_openapi::shipped(),
        access,
    };
    let server = Server::start(engine.node.clone(), settings)
        .await
        .map_err(|e| Failure::Other(e.to_string()))?;
    let base = server.url();
    eprintln!(
        "potok: listening on {base}   API {base}/docs   data {}",
        config.data_dir.display()
    );
    if open && !server.address().ip().is_loopback() {
        eprintln!(
            "potok: whoever reaches this address may use it: name people or tokens under 'auth', or listen on 127.0.0.1"
        );
    }
    if let Some(sandbox) = engine.sandbox() {
        eprintln!(
            "potok: sandbox: Bot API {}   model {}",
            sandbox.bot_api_url(),
            sandbox.openai_url()
        );
    }
    let drafts = args.dev.map(|dir| tokio::spawn(watch(engine.node.clone(), dir)));
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    eprintln!("potok: stopping");
    if let Some(drafts) = drafts {
        drafts.abort();
    }
    server.stop().await;
    engine.stop().await;
    Ok(COMPLETED)
}

/// Deploys the workflow files of a directory as drafts, again when one of them changes.
async fn watch(node: Node, dir: PathBuf) {
    let mut seen: BTreeMap<PathBuf, Option<SystemTime>> = BTreeMap::new();
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        let files = match workflow_files(&dir).await {
            Ok(files) => files,
            Err(error) => {
                if seen.insert(dir.clone(), None).is_none() {
                    eprintln!("potok: cannot read {}: {error}", dir.display());
                }
                continue;
            }
        };
        let changed = files.iter().any(|(file, at)| seen.get(file) != Some(at));
        if changed {
            seen.extend(files.iter().cloned());
            deploy_all(&node, &dir, files.iter().map(|(file, _)| file.as_path())).await;
        }
    }
}

/// Deploys files until none of them is new any more: one that runs another is bound to that one as it is now, in whatever order they stand.
async fn deploy_all<'f>(node: &Node, dir: &Path, files: impl ExactSizeIterator<Item = &'f Path> + Clone) {
    let mut wrong = Vec::new();
    for _ in 0..=files.len() {
        let mut news = false;
        wrong.clear();
        for file in files.clone() {
            match deploy(node, dir, file).await {
                Ok(new) => news |= new,
                Err(why) => wrong.push(why),
            }
        }
        if !news {
            break;
        }
    }
    for why in wrong {
        eprintln!("{why}");
    }
}

/// Deploys a file; whether it is new, or why it is not deployed.
async fn deploy(node: &Node, dir: &Path, file: &Path) -> Result<bool, String> {
    let name = file.display().to_string();
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| format!("potok: cannot read {name}: {error}"))?;
    let deployment = node
        .deploy_draft(dir, &name, &text)
        .await
        .map_err(|error| error.to_string())?;
    if deployment.created {
        eprintln!("potok: {name}: deployed {}", deployment.id);
    }
    Ok(deployment.created)
}

/// The `.yaml` and `.yml` files of a directory with the times of their last changes; tests of workflows are not workflows.
async fn workflow_files(dir: &Path) -> std::io::Result<Vec<(PathBuf, Option<SystemTime>)>> {
    let mut files = Vec::new();
    let mut entries = tokio::fs::read_dir(dir).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let workflow = (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.ends_with(".test.yaml");
        if workflow {
            let changed = entry.metadata().await.ok().and_then(|m| m.modified().ok());
            files.push((path, changed));
        }
    }
    files.sort();
    Ok(files)
}
