//! jaq as it is published, with its own values: what the full evaluator here must not differ from, numbers aside.

use std::sync::Arc;

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

/// Whether numbers are the same in jaq and here: integers alone, whatever happens to them.
pub fn integers_alone(text: &str, values: &[&Value]) -> bool {
    fn integral(value: &Value) -> bool {
        match value {
            Value::Number(number) => !number.is_f64(),
            Value::Array(items) => items.iter().all(integral),
            Value::Object(map) => map.values().all(integral),
            _ => true,
        }
    }
    let fractions = ["/", "0.5", "1.0", "1e2", "3.25e-1", "tonumber"];
    let text = text.replace("//", "");
    !fractions.iter().any(|fraction| text.contains(fraction)) && values.iter().all(|value| integral(value))
}

/// The first output, `None` for an error or what is not JSON.
pub fn eval(text: &str, input: &Value, variables: &[(&str, Arc<Value>)]) -> Option<Value> {
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code: text, path: () })
        .expect("it parses");
    let names: Vec<String> = variables.iter().map(|(name, _)| format!("${name}")).collect();
    let compiler = Compiler::default()
        .with_funs(functions)
        .with_global_vars(names.iter().map(String::as_str));
    let filter = compiler.compile(modules).expect("it compiles");
    let parse = |value: &Value| read::parse_single(value.to_string().as_bytes()).expect("it is JSON");
    let vars = Vars::new(variables.iter().map(|(_, value)| parse(value)));
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, vars);
    match filter.id.run((context, parse(input))).map(unwrap_valr).next() {
        None => Some(Value::Null),
        Some(result) => serde_json::from_str(&result.ok()?.to_string()).ok(),
    }
}
