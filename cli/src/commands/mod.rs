//! The commands: each is a function from its arguments to an exit code.

mod bench;
mod call;
mod functions;
mod graph;
mod journal;
mod plugin;
mod retry;
mod run;
mod runs;
mod sandbox;
mod schema;
mod secret;
mod serve;
mod test;
mod validate;

use std::{io::IsTerminal, path::Path};

use toml::Value;

use crate::{
    args::{Cli, Command, EngineArgs, JournalCommand, SecretCommand},
    config::{Config, Layers, LogFormat},
    exit::{COMPLETED, Failure},
};

/// Runs a command to its exit code.
pub async fn dispatch(cli: Cli) -> u8 {
    match command(cli).await {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn command(cli: Cli) -> Result<u8, Failure> {
    let mut layers =
        Layers::load(cli.config.as_deref(), std::env::vars()).map_err(|e| Failure::Usage(e.to_string()))?;
    if let Some(dir) = engine_args(&cli.command).and_then(|args| args.data_dir.as_deref()) {
        layers.set("data_dir", Value::String(dir.display().to_string()), "--data-dir");
    }
    if let Command::Runs(command) = &cli.command {
        let server = command.server();
        for (key, value, flag) in [
            ("server", &server.server, "--server"),
            ("token", &server.token, "--token"),
        ] {
            if let Some(value) = value {
                layers.set(key, Value::String(value.clone()), flag);
            }
        }
    }
    if let Command::Serve(args) = &cli.command
        && let Some(listen) = &args.listen
    {
        layers.set("listen", Value::String(listen.clone()), "--listen");
    }
    match &cli.command {
        Command::Run(_) => layers.allow_loopback("potok run"),
        Command::Retry(_) => layers.allow_loopback("potok retry"),
        Command::Validate(_) => layers.allow_loopback("potok validate"),
        Command::Test(_) => layers.allow_loopback("potok test"),
        Command::Serve(args) if args.dev.is_some() => layers.allow_loopback("--dev"),
        _ => {}
    }
    let config = layers.config().map_err(|e| Failure::Usage(e.to_string()))?;
    if let Command::Config = cli.command {
        crate::say!("{}", layers.to_string().trim_end());
    }
    log(&config)?;
    match cli.command {
        Command::Serve(args) => serve::serve(&config, args).await,
        Command::Run(args) => run::run(&config, args).await,
        Command::Retry(args) => retry::retry(&config, args).await,
        Command::Runs(command) => runs::runs(&config, command).await,
        Command::Call(args) => call::call(&config, args).await,
        Command::Validate(args) => validate::validate(&config, &args).await,
        Command::Test(args) => test::test(&config, args).await,
        Command::Graph { file } => graph::graph(&file),
        Command::Schema(_) => schema::schema(&config),
        Command::Plugin(command) => plugin::plugin(&config, command).await,
        Command::Secret(command) => secret::secret(&config, command).await,
        Command::Journal(JournalCommand::Show { run, json, .. }) => journal::show(&config, &run, json),
        Command::Functions(args) => functions::functions(&config, args).await,
        Command::Sandbox(args) => sandbox::sandbox(args).await,
        Command::Bench(args) => bench::bench(&config, args).await,
        Command::Config => Ok(COMPLETED),
    }
}

fn engine_args(command: &Command) -> Option<&EngineArgs> {
    match command {
        Command::Serve(args) => Some(&args.engine),
        Command::Run(args) => Some(&args.engine),
        Command::Retry(args) => Some(&args.engine),
        Command::Call(args) => Some(&args.engine),
        Command::Validate(args) => Some(&args.engine),
        Command::Schema(args) => Some(&args.engine),
        Command::Test(args) => Some(&args.engine),
        Command::Functions(args) | Command::Plugin(crate::args::PluginCommand::List(args)) => Some(&args.engine),
        Command::Plugin(crate::args::PluginCommand::Add { engine, .. })
        | Command::Journal(JournalCommand::Show { engine, .. })
        | Command::Secret(
            SecretCommand::Set { engine, .. }
            | SecretCommand::List { engine, .. }
            | SecretCommand::Remove { engine, .. },
        ) => Some(engine),
        _ => None,
    }
}

/// The log goes to stderr: stdout belongs to the output.
fn log(config: &Config) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
        .map_err(|e| Failure::Usage(format!("log = \"{}\" is no filter: {e}", config.log)))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second subscriber (in tests) is no reason to stop.
    let _ = match config.log_format {
        LogFormat::Text => subscriber.with_target(false).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    Ok(())
}

/// Reads a workflow file.
fn read_workflow(file: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(file).map_err(|e| Failure::Usage(format!("cannot read {}: {e}", file.display())))?;
    String::from_utf8(bytes).map_err(|e| {
        let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        Failure::Invalid(format!("{}:{line}: the file is not UTF-8 text", file.display()))
    })
}
