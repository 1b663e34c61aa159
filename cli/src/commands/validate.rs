//! `potok validate`: what deploying would say, for any number of files.

use potok_expr::Evaluator;
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
            Ok(prepared) => crate::say!("{name}: {} is valid", prepared.id()),
            Err(Failure::Invalid(diagnostics)) => {
                code = INVALID;
                eprintln!("{}", diagnostics.trim_end());
            }
            Err(other) => return Err(other),
        }
    }
    Ok(code)
}
