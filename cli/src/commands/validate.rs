//! `potok validate`: what deploying would say, for any number of files.

use std::collections::BTreeSet;

use potok_dsl::SecretName;
use potok_expr::{Evaluator, SecretPath};
use potok_node::deploy::Prepared;

use super::read_workflow;
use crate::{
    args::ValidateArgs,
    config::Config,
    engine,
    exit::{COMPLETED, Failure, INVALID},
};

pub async fn validate(config: &Config, args: &ValidateArgs) -> Result<u8, Failure> {
    let host = engine::host_with_stored(config)?;
    let evaluator = Evaluator::new(host.jq());
    let mut code = COMPLETED;
    for file in &args.files {
        let name = file.display().to_string();
        let verdict = read_workflow(file).and_then(|text| {
            Prepared::new(&name, &text, &host, &evaluator).map_err(|e| Failure::Invalid(e.to_string()))
        });
        match verdict {
            Ok(prepared) => {
                crate::say!("{name}: {} is valid", prepared.id());
                missing_secrets(config, &name, &prepared).await?;
            }
            Err(Failure::Invalid(diagnostics)) => {
                code = INVALID;
                eprintln!("{}", diagnostics.trim_end());
            }
            Err(other) => return Err(other),
        }
    }
    Ok(code)
}

/// Says which secrets a workflow would miss if it ran here. It can be deployed all the same: they may come later.
async fn missing_secrets(config: &Config, file: &str, prepared: &Prepared) -> Result<(), Failure> {
    let names: BTreeSet<&str> = prepared
        .deployed
        .definition
        .secrets()
        .iter()
        .map(SecretPath::name)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let vault = engine::vault_with_stored(config)?;
    for name in names.into_iter().filter_map(|name| name.parse::<SecretName>().ok()) {
        match vault.has(&name).await {
            Ok(true) => {}
            Ok(false) => eprintln!(
                "{file}: warning: the secret '{name}' is not set here; looked for it in: {}",
                vault.places(&name)
            ),
            Err(error) => eprintln!("{file}: warning: the secret '{name}': {error}"),
        }
    }
    Ok(())
}
