//! `potok run`: a workflow file to its end.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Duration,
};

use potok_dsl::RunId;
use potok_machine::Status;
use potok_node::{Node, RunNews, RunView, StartRequest, TaskEvent};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::read_workflow;
use crate::{
    args::RunArgs,
    config::Config,
    engine::Engine,
    exit::{CANCELLED, COMPLETED, FAULTED, Failure},
    input,
    progress::Progress,
};

/// A run may take as long as it takes.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

pub async fn run(config: &Config, args: RunArgs) -> Result<u8, Failure> {
    let text = read_workflow(&args.file)?;
    let input = input::json(args.input.as_deref())?;
    let mut trace = args.trace.as_deref().map(Trace::create).transpose()?;
    // From here on, so that no moment is left in which it would end the process instead of the run.
    let interrupt = signal(SignalKind::interrupt())?;
    let engine = Engine::start(config, &args.engine, false).await?;
    let result = drive(&engine.node, &args, &text, input, trace.as_mut(), interrupt).await;
    engine.stop().await;
    finish(&result?)
}

async fn drive(
    node: &Node,
    args: &RunArgs,
    text: &str,
    mut input: serde_json::Value,
    trace: Option<&mut Trace>,
    mut interrupt: Signal,
) -> Result<RunView, Failure> {
    for file in &args.with {
        let text = read_workflow(file)?;
        let directory = crate::input::directory(file);
        node.deploy_draft(&directory, &file.display().to_string(), &text)
            .await?;
    }
    let file = args.file.display().to_string();
    let directory = crate::input::directory(&args.file);
    let deployment = node.deploy_draft(&directory, &file, text).await?;
    input::files(&mut input, &args.files, &**node.tables()).await?;
    let id = &deployment.id;
    let (_, prepared) = node.workflow(&id.namespace, &id.name, Some(&id.version)).await?;
    let started = node
        .start_prepared(
            &prepared,
            StartRequest {
                input,
                ..StartRequest::default()
            },
        )
        .await?;
    follow(node, started.run.id, trace, &mut interrupt).await
}

/// Follows a run to its end and shows what its tasks do; Ctrl-C cancels it.
pub(super) async fn follow(
    node: &Node,
    run: RunId,
    mut trace: Option<&mut Trace>,
    interrupt: &mut Signal,
) -> Result<RunView, Failure> {
    let mut news = node.follow(run, 0).await?;
    let mut progress = Progress::new();
    let mut ended = std::pin::pin!(node.wait(run, FOREVER));
    let mut interrupted = false;
    let view = loop {
        tokio::select! {
            biased;
            item = news.next() => match item {
                Some(RunNews { events, .. }) => show(&events, &mut progress, trace.as_deref_mut())?,
                None => break ended.await?,
            },
            view = &mut ended => break view?,
            _ = interrupt.recv(), if !interrupted => {
                interrupted = true;
                let reason = Some("interrupted at the terminal".to_owned());
                node.command(run, potok_node::core::Command::Cancel(reason)).await?;
            }
        }
    };
    while let Some(RunNews { events, .. }) = news.next().await {
        show(&events, &mut progress, trace.as_deref_mut())?;
    }
    progress.finish();
    if let Some(trace) = trace {
        trace.flush()?;
    }
    Ok(view)
}

fn show(events: &[TaskEvent], progress: &mut Progress, trace: Option<&mut Trace>) -> Result<(), Failure> {
    for event in events {
        progress.show(event);
    }
    trace.map_or(Ok(()), |trace| trace.write(events))
}

/// Prints the output, or the problem, and gives the exit code.
pub fn finish(view: &RunView) -> Result<u8, Failure> {
    match view.status {
        Status::Completed => {
            let output = view.output.clone().unwrap_or_default();
            let text = serde_json::to_string_pretty(&output).unwrap_or_else(|_| output.to_string());
            crate::say!("{text}");
            Ok(COMPLETED)
        }
        Status::Cancelled => {
            eprintln!("potok: the run was cancelled");
            Ok(CANCELLED)
        }
        Status::Faulted => match &view.error {
            Some(problem) => Err(Failure::Problem(Box::new(problem.clone()))),
            None => Ok(FAULTED),
        },
        other => Err(Failure::Other(format!("the run is {other:?}, which is no end"))),
    }
}

/// A file with a JSON line for each task event.
pub(super) struct Trace {
    path: String,
    file: BufWriter<File>,
}

impl Trace {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|e| Failure::Usage(format!("cannot write {}: {e}", path.display())))?;
        Ok(Self {
            path: path.display().to_string(),
            file: BufWriter::new(file),
        })
    }

    fn write(&mut self, events: &[TaskEvent]) -> Result<(), Failure> {
        for event in events {
            let line = json!({
                "time": event.at.rfc3339(),
                "event": event.event,
                "reference": event.reference,
                "path": event.path,
            });
            writeln!(self.file, "{line}").map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::Other(format!("cannot write {}: {error}", self.path))
    }
}
