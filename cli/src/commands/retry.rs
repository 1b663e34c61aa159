//! `potok retry`: a new run that begins where another one stands in the data directory, to its end.

use potok_dsl::RunId;
use potok_node::{Node, RestartRequest, RunView};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::run::{finish, follow};
use crate::{
    args::RetryArgs,
    config::Config,
    engine::{self, Engine},
    exit::Failure,
    input,
};

pub async fn retry(config: &Config, mut args: RetryArgs) -> Result<u8, Failure> {
    let run: RunId = args
        .run
        .parse()
        .map_err(|e: potok_dsl::NameError| Failure::Usage(e.to_string()))?;
    let input = match &args.input {
        Some(given) => Some(input::json(Some(given))?),
        None => None,
    };
    // Where there is no data there is no run; none is made.
    drop(engine::existing_store(config)?);
    args.engine.data_dir = Some(config.data_dir.clone());
    let mut interrupt = signal(SignalKind::interrupt())?;
    let engine = Engine::start(config, &args.engine, false).await?;
    let result = drive(&engine.node, run, args, input, &mut interrupt).await;
    engine.stop().await;
    finish(&result?)
}

async fn drive(
    node: &Node,
    run: RunId,
    args: RetryArgs,
    input: Option<serde_json::Value>,
    interrupt: &mut Signal,
) -> Result<RunView, Failure> {
    let made = match args.from {
        None => node.retry(run, None).await?,
        Some(from) => {
            let request = RestartRequest {
                from: Some(from),
                input,
                version: args.on,
                ..RestartRequest::default()
            };
            node.restart(run, request).await?
        }
    };
    eprintln!("potok: run {}", made.run.id);
    follow(node, made.run.id, None, interrupt).await
}
