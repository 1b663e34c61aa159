//! `potok call`: one function, as a run of one step.

use std::time::Duration;

use potok_dsl::FunctionName;
use potok_node::StartRequest;

use super::run::finish;
use crate::{args::CallArgs, config::Config, engine::Engine, exit::Failure, input};

pub async fn call(config: &Config, args: CallArgs) -> Result<u8, Failure> {
    let name: FunctionName = args
        .function
        .parse()
        .map_err(|e: potok_dsl::NameError| Failure::Usage(e.to_string()))?;
    let mut input = input::json(args.input.as_deref())?;
    let engine = Engine::start(config, &args.engine, false).await?;
    let result = async {
        input::files(&mut input, &args.files, &**engine.node.tables()).await?;
        let wait = Some(Duration::from_secs(config.node.call_timeout + 60));
        let request = StartRequest {
            input,
            wait,
            ..StartRequest::default()
        };
        Ok::<_, Failure>(engine.node.call_function(&name, request).await?)
    }
    .await;
    engine.stop().await;
    finish(&result?.run)
}
