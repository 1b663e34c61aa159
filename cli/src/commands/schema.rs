//! `potok schema`: one JSON Schema for editors: the language, our metadata, and the functions that are installed.

use potok_dsl::schema::{Callable, for_editors};

use crate::{
    config::Config,
    engine,
    exit::{COMPLETED, Failure},
};

pub fn schema(config: &Config) -> Result<u8, Failure> {
    let host = engine::host_with_stored(config)?;
    let callable = |function: &std::sync::Arc<potok_wasm::FunctionInfo>| {
        // A name without a version means the newest one.
        let newest = function.name.parse().ok().and_then(|name| host.resolve(&name).ok());
        let mut names = vec![function.canonical.clone()];
        if newest.is_some_and(|newest| newest.canonical == function.canonical) {
            names.insert(0, function.name.clone());
        }
        Callable {
            names,
            docs: function.docs.clone(),
            arguments: function.input_schema.clone(),
        }
    };
    let functions: Vec<Callable> = engine::functions(&host).iter().map(callable).collect();
    let text = serde_json::to_string_pretty(&for_editors(&functions)).unwrap_or_default();
    crate::say!("{text}");
    Ok(COMPLETED)
}
