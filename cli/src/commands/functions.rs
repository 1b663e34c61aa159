//! `potok functions` and `potok plugin list`: what there is to call.

use potok_wasm::FunctionInfo;

use crate::{
    args::FunctionsArgs,
    config::Config,
    engine,
    exit::{COMPLETED, Failure},
};

pub async fn functions(config: &Config, args: FunctionsArgs) -> Result<u8, Failure> {
    let host = engine::host_with_stored(config)?;
    let functions = engine::functions(&host);
    if args.json {
        crate::say!("{}", serde_json::to_string_pretty(&functions).unwrap_or_default());
        return Ok(COMPLETED);
    }
    for function in functions {
        crate::say!("{:<32} {}", function.canonical, first_sentence(&function));
    }
    Ok(COMPLETED)
}

/// The first sentence of a function's documentation.
fn first_sentence(function: &FunctionInfo) -> String {
    let docs = function.docs.as_deref().unwrap_or_default().replace('\n', " ");
    docs.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}
