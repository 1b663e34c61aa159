//! `potok validate`: what deploying would say, for any number of files, to people or to editors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use potok_calls::HttpCaller;
use potok_dsl::{Diagnostic, Diagnostics, SecretName, WorkflowId, model::WORKFLOW_LATEST};
use potok_expr::{Evaluator, SecretPath};
use potok_journal::SqliteStore;
use potok_machine::LockedWorkflow;
use potok_node::deploy::{Binder, Prepared};
use potok_rehearse::Plan;
use serde::Serialize;

use crate::{
    args::{ReportFormat, ValidateArgs},
    config::Config,
    engine,
    exit::{COMPLETED, Failure, INVALID},
    input,
};

pub async fn validate(config: &Config, args: &ValidateArgs) -> Result<u8, Failure> {
    let host = engine::host_with_stored(config)?;
    let evaluator = Evaluator::new(host.jq());
    let http = HttpCaller::new(engine::egress(config)?);
    let binder = Binder::new(host, evaluator, http, engine::vault_with_stored(config)?);
    let binder = binder
        .knowing(known(config, &args.files))
        .with_commands(config.shell.enabled);
    let mut verdicts = Vec::new();
    for file in &args.files {
        verdicts.push(Verdict::of(file, config, &binder).await?);
    }
    match args.format {
        ReportFormat::Text => verdicts.iter().for_each(|verdict| verdict.tell(args.strict)),
        ReportFormat::Json => {
            let places: Vec<Place> = verdicts.iter().flat_map(Verdict::places).collect();
            crate::say!("{}", serde_json::to_string_pretty(&places).unwrap_or_default());
        }
    }
    let valid = verdicts.iter().all(|verdict| verdict.is_valid(args.strict));
    Ok(if valid { COMPLETED } else { INVALID })
}

/// The workflows that those in the files may run: what the data directory has deployed, and the files themselves, in whatever order they will be
/// deployed.
fn known(config: &Config, files: &[PathBuf]) -> BTreeMap<String, LockedWorkflow> {
    let mut known = BTreeMap::new();
    let mut add = |id: &WorkflowId, definition: &str| {
        for version in [WORKFLOW_LATEST, &id.version] {
            let locked = LockedWorkflow {
                definition: definition.to_owned(),
                version: id.version.clone(),
            };
            known.insert(format!("{}/{}:{version}", id.namespace, id.name), locked);
        }
    };
    let database = config.data_dir.join("potok.db");
    if database.exists() {
        match SqliteStore::definitions_in(&database) {
            Ok(rows) => rows.iter().for_each(|row| add(&row.id, &row.hash)),
            Err(error) => tracing::warn!(%error, "the workflows of the data directory are left out"),
        }
    }
    for file in files {
        let parsed = std::fs::read_to_string(file)
            .ok()
            .and_then(|text| potok_dsl::parse("", &text).ok());
        if let Some(parsed) = parsed {
            let document = parsed.workflow.document;
            let id = WorkflowId {
                namespace: document.namespace.value,
                name: document.name.value,
                version: document.version.value,
            };
            add(&id, &parsed.hash);
        }
    }
    known
}

/// What there is to say of a file.
struct Verdict {
    /// Who the workflow is, when it can be deployed; tests have no name.
    id: Option<String>,
    found: Diagnostics,
}

/// One thing that is wrong, for programs.
#[derive(Serialize)]
struct Place<'v> {
    file: &'v str,
    line: u32,
    column: u32,
    severity: potok_dsl::Severity,
    message: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'v str>,
}

impl Verdict {
    async fn of(file: &Path, config: &Config, binder: &Binder) -> Result<Self, Failure> {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).map_err(|e| Failure::Usage(format!("cannot read {name}: {e}")))?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let found = potok_dsl::parse_bytes(&name, &bytes).err();
            let found = found.unwrap_or_else(|| Diagnostics::new(name, "", Vec::new()));
            return Ok(Self { id: None, found });
        };
        if name.ends_with(super::test::SUFFIX) {
            return Ok(match Plan::parse(&name, text) {
                Ok(_) => Self {
                    id: Some("a test".to_owned()),
                    found: Diagnostics::new(name, text, Vec::new()),
                },
                Err(found) => Self { id: None, found },
            });
        }
        let binder = binder.clone().within(input::directory(file));
        Ok(match binder.prepare(&name, text).await {
            Ok(prepared) => {
                let mut found = missing_secrets(config, &prepared).await?;
                let id = Some(prepared.id().to_string());
                found.extend(prepared.warnings);
                Self {
                    id,
                    found: Diagnostics::new(name, text, found),
                }
            }
            Err(found) => Self { id: None, found },
        })
    }

    fn is_valid(&self, strict: bool) -> bool {
        self.id.is_some() && (!strict || self.found.list.is_empty())
    }

    fn tell(&self, strict: bool) {
        if !self.found.list.is_empty() {
            eprintln!("{}", self.found);
        }
        if let Some(id) = self.id.as_ref().filter(|_| self.is_valid(strict)) {
            crate::say!("{}: {id} is valid", self.found.file);
        }
    }

    fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.found.list.iter().map(|diagnostic| Place {
            file: &self.found.file,
            line: diagnostic.at.line,
            column: diagnostic.at.column,
            severity: diagnostic.severity,
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
        })
    }
}

/// Which secrets a workflow would miss if it ran here. It can be deployed all the same: they may come later.
async fn missing_secrets(config: &Config, prepared: &Prepared) -> Result<Vec<Diagnostic>, Failure> {
    let names: BTreeSet<&str> = prepared
        .deployed
        .definition
        .secrets()
        .iter()
        .map(SecretPath::name)
        .collect();
    let mut missing = Vec::new();
    if names.is_empty() {
        return Ok(missing);
    }
    let vault = engine::vault_with_stored(config)?;
    for name in names.into_iter().filter_map(|name| name.parse::<SecretName>().ok()) {
        let written = prepared.workflow().uses.secrets.iter();
        let at = written
            .filter(|secret| secret.value == name.to_string())
            .map(|secret| secret.at)
            .next();
        let at = at.unwrap_or_default();
        match vault.has(&name).await {
            Ok(true) => {}
            Ok(false) => missing.push(
                Diagnostic::warning(at, format!("the secret '{name}' is not set here"))
                    .with_help(format!("looked for it in: {}", vault.places(&name))),
            ),
            Err(error) => missing.push(Diagnostic::warning(at, format!("the secret '{name}': {error}"))),
        }
    }
    Ok(missing)
}
