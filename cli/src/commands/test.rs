//! `potok test`: runs the tests beside workflows, and makes a test of a run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use potok_calls::HttpCaller;
use potok_dsl::{Diagnostics, RunId};
use potok_expr::Evaluator;
use potok_machine::Entry;
use potok_node::deploy::{Binder, Prepared};
use potok_rehearse::{Case, Plan, Report, Tally, Verdict, judge, record, rehearse};

use super::read_workflow;
use crate::{
    args::{ReportFormat, TestArgs},
    config::Config,
    engine::{self, Backstage},
    exit::{COMPLETED, FAULTED, Failure, INVALID},
    input,
};

/// What the name of a test ends with.
pub(super) const SUFFIX: &str = ".test.yaml";

pub async fn test(config: &Config, args: TestArgs) -> Result<u8, Failure> {
    if let Some(run) = &args.from_run {
        return recorded(config, run).await;
    }
    let files = find(&args.paths)?;
    if files.is_empty() {
        return Err(Failure::Usage(format!("there are no tests (*{SUFFIX}) here")));
    }
    let backstage = Arc::new(Backstage::new(config).await?);
    let mut reports = Vec::new();
    let mut invalid = false;
    for file in &files {
        match run_file(file, config, &backstage).await {
            Ok(report) => {
                if args.format == ReportFormat::Text {
                    crate::say!("{report}");
                }
                reports.push(report);
            }
            Err(Failure::Invalid(diagnostics)) => {
                invalid = true;
                eprintln!("{}", diagnostics.trim_end());
            }
            Err(other) => return Err(other),
        }
    }
    let mut tally = Tally::default();
    reports.iter().for_each(|report| tally += report.tally());
    match args.format {
        ReportFormat::Text => crate::say!("{} passed, {} failed", tally.passed, tally.failed),
        ReportFormat::Json => {
            let reports: Vec<_> = reports.iter().map(Report::to_value).collect();
            crate::say!("{}", serde_json::to_string_pretty(&reports).unwrap_or_default());
        }
    }
    Ok(match tally.failed {
        _ if invalid => INVALID,
        0 => COMPLETED,
        _ => FAULTED,
    })
}

/// The tests that the paths mean: files as they are, directories with all that is in them.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let here = [PathBuf::from(".")];
    let mut pending: Vec<PathBuf> = if paths.is_empty() {
        here.to_vec()
    } else {
        paths.to_vec()
    };
    let mut found = Vec::new();
    let unreadable = |path: &Path, e: std::io::Error| Failure::Usage(format!("cannot read {}: {e}", path.display()));
    while let Some(path) = pending.pop() {
        // What a link leads to may lead back here.
        let kind = std::fs::metadata(&path).map_err(|e| unreadable(&path, e))?;
        if !kind.is_dir() {
            found.push(path);
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(|e| unreadable(&path, e))? {
            let entry = entry.map_err(|e| unreadable(&path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let hidden = name.starts_with('.') || name == "target" || name == "node_modules";
            if (directory && !hidden) || (!directory && name.ends_with(SUFFIX)) {
                // Paths begin as they were given; nobody needs to read "./".
                pending.push(if path == Path::new(".") {
                    PathBuf::from(name)
                } else {
                    entry.path()
                });
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

async fn run_file(file: &Path, config: &Config, backstage: &Arc<Backstage>) -> Result<Report, Failure> {
    let name = file.display().to_string();
    let plan = Plan::parse(&name, &read_workflow(file)?).map_err(|e| Failure::Invalid(e.to_string()))?;
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let workflow = match &plan.workflow {
        Some(workflow) => folder.join(workflow),
        None => PathBuf::from(format!("{}.yaml", name.strip_suffix(SUFFIX).unwrap_or(&name))),
    };
    let text = read_workflow(&workflow)?;
    let evaluator = Evaluator::new(backstage.host().jq());
    let binder = Binder::new(
        backstage.host().clone(),
        evaluator.clone(),
        HttpCaller::new(engine::egress(config)?),
        engine::vault_with_stored(config)?,
    );
    let binder = binder.within(input::directory(&workflow)).for_rehearsal();
    let prepared = binder.prepare(&workflow.display().to_string(), &text).await;
    let prepared = Arc::new(prepared.map_err(|found: Diagnostics| Failure::Invalid(found.to_string()))?);
    let plan = Arc::new(plan);
    let mut verdicts = Vec::new();
    for index in 0..plan.cases.len() {
        let Some(case) = plan.cases.get(index).cloned() else {
            continue;
        };
        verdicts.push(match case_input(&case, &folder, backstage).await {
            Ok(input) => perform(case, input, &plan, &prepared, &evaluator, backstage).await?,
            Err(Failure::Usage(why)) => Verdict::impossible(&case, why),
            Err(other) => return Err(other),
        });
    }
    Ok(Report { file: name, verdicts })
}

/// The input of a case, with its files as blobs.
async fn case_input(case: &Case, folder: &Path, backstage: &Backstage) -> Result<serde_json::Value, Failure> {
    let mut value = case.input.clone();
    let file = |(name, path): (&String, &String)| format!("{name}={}", folder.join(path).display());
    let files: Vec<String> = case.files.iter().map(file).collect();
    input::files(&mut value, &files, &**backstage.tables()).await?;
    Ok(value)
}

/// A rehearsal computes for as long as it takes, so it has a thread of its own.
async fn perform(
    case: Case,
    input: serde_json::Value,
    plan: &Arc<Plan>,
    prepared: &Arc<Prepared>,
    evaluator: &Evaluator,
    backstage: &Arc<Backstage>,
) -> Result<Verdict, Failure> {
    let (plan, prepared, backstage) = (Arc::clone(plan), Arc::clone(prepared), Arc::clone(backstage));
    let evaluator = evaluator.clone();
    let work = move || {
        let definition = &prepared.deployed.definition;
        let performance = rehearse(definition, &evaluator, input, &case, &plan.mocks, &*backstage);
        judge(&case, &performance, &evaluator)
    };
    let verdict = tokio::task::spawn_blocking(work).await;
    verdict.map_err(|e| Failure::Other(format!("the rehearsal ended early: {e}")))
}

/// Prints a test that goes as a run went.
async fn recorded(config: &Config, run: &str) -> Result<u8, Failure> {
    let id: RunId = run
        .parse()
        .map_err(|e: potok_dsl::NameError| Failure::Usage(e.to_string()))?;
    let store = engine::existing_store(config)?;
    let failed = |e: potok_journal::StoreError| Failure::Other(e.to_string());
    let missing = || Failure::Usage(format!("there is no run {run} in {}", config.data_dir.display()));
    let row = store.run_row(id).await.map_err(failed)?.ok_or_else(missing)?;
    let definition = store
        .definition(&row.definition)
        .await
        .map_err(failed)?
        .ok_or_else(missing)?;
    let entries: Result<Vec<Entry>, _> = store
        .journal(id)
        .await
        .map_err(failed)?
        .into_iter()
        .map(serde_json::from_value)
        .collect();
    let entries = entries.map_err(|e| Failure::Other(format!("the journal of {run} cannot be read: {e}")))?;
    let lock = serde_json::from_value(definition.lock).map_err(|e| Failure::Other(e.to_string()))?;
    let evaluator = Evaluator::new(engine::bare_host(config)?.jq());
    let prepared = Prepared::stored(&definition.source, lock, &evaluator).map_err(Failure::Other)?;
    let workflow = format!("{}.yaml", prepared.id().name);
    let text = record(&workflow, &prepared.deployed.definition, &evaluator, &entries)
        .map_err(|e| Failure::Usage(e.to_string()))?;
    crate::say!("{}", text.trim_end());
    Ok(COMPLETED)
}
