//! Filters: compiled once, kept in a bounded cache, evaluated on JSON text.

use std::collections::BTreeMap;

use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::{Num, Val as Json};

use super::value::{Val, admit};
use super::{natives, prelude};

/// How deep JSON may be nested.
pub const MAX_DEPTH: usize = 128;

/// How many compiled filters are kept.
pub const CAPACITY: usize = 256;

/// The longest message.
const MAX_MESSAGE: usize = 500;

/// What filters work on.
pub type Data = JustLut<Val>;

/// Why there is no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The handle is not in the cache.
    UnknownFilter,
    /// The filter failed on this value.
    Failed(String),
}

/// Compiles and evaluates filters.
#[derive(Default)]
pub struct Engine {
    definitions: prelude::Prelude,
    filters: BTreeMap<u32, Compiled>,
    /// Handles by text and variables.
    handles: BTreeMap<Key, u32>,
    last: u32,
    clock: u64,
}

type Key = (String, Vec<String>);

struct Compiled {
    key: Key,
    filter: Filter<Data>,
    used: u64,
}

impl Engine {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The handle of a filter that may use the variables, named without `$`.
    ///
    /// # Errors
    /// What is wrong with the filter.
    pub fn compile(&mut self, filter: &str, variables: &[String]) -> Result<u32, String> {
        let key = (filter.to_owned(), variables.to_vec());
        self.clock += 1;
        if let Some(handle) = self.handles.get(&key) {
            if let Some(compiled) = self.filters.get_mut(handle) {
                compiled.used = self.clock;
            }
            return Ok(*handle);
        }
        let compiled = compile(filter, variables, self.definitions.reachable(filter))?;
        if self.filters.len() >= CAPACITY {
            self.evict();
        }
        self.last = self.last.wrapping_add(1);
        let handle = self.last;
        self.handles.insert(key.clone(), handle);
        self.filters.insert(
            handle,
            Compiled {
                key,
                filter: compiled,
                used: self.clock,
            },
        );
        Ok(handle)
    }

    /// The first output as JSON; `null` when there is none.
    ///
    /// # Errors
    /// The handle is unknown, the filter failed, or its output is not JSON.
    pub fn eval(&mut self, handle: u32, input: &str, variables: &[String]) -> Result<String, Failure> {
        self.clock += 1;
        let compiled = self.filters.get_mut(&handle).ok_or(Failure::UnknownFilter)?;
        compiled.used = self.clock;
        let count = compiled.key.1.len();
        if variables.len() != count {
            return Err(Failure::Failed(format!(
                "the filter has {count} variables, {} were given",
                variables.len()
            )));
        }
        run(&compiled.filter, input, variables).map_err(|message| Failure::Failed(shorten(message)))
    }

    /// Forgets the filter that was used longest ago.
    fn evict(&mut self) {
        let oldest = self
            .filters
            .iter()
            .min_by_key(|(_, compiled)| compiled.used)
            .map(|(handle, _)| *handle);
        if let Some(compiled) = oldest.and_then(|handle| self.filters.remove(&handle)) {
            self.handles.remove(&compiled.key);
        }
    }
}

fn compile(filter: &str, variables: &[String], definitions: Vec<Def<&'static str>>) -> Result<Filter<Data>, String> {
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code: filter, path: () })
        .map_err(|errors| {
            let place = errors.first().map(|(_, error)| match error {
                jaq_core::load::Error::Io(_) => "modules are not available".to_owned(),
                jaq_core::load::Error::Lex(errors) => near(errors.first().map(|(wanted, at)| (wanted.as_str(), *at))),
                jaq_core::load::Error::Parse(errors) => near(errors.first().map(|(wanted, at)| (wanted.as_str(), *at))),
            });
            place.unwrap_or_else(|| "a syntax error".to_owned())
        })?;
    let names: Vec<String> = variables.iter().map(|name| format!("${name}")).collect();
    let compiler = Compiler::default()
        .with_funs(natives::functions())
        .with_global_vars(names.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let undefined: Vec<String> = errors
            .iter()
            .flat_map(|(_, errors)| errors)
            .map(|(name, kind)| format!("undefined {} '{name}'", kind.as_str()))
            .collect();
        shorten(undefined.join(", "))
    })
}

fn near(error: Option<(&str, &str)>) -> String {
    match error {
        Some((wanted, "")) => format!("expected {wanted}, found the end"),
        Some((wanted, at)) => format!("expected {wanted} at '{}'", at.chars().take(20).collect::<String>()),
        None => "a syntax error".to_owned(),
    }
}

fn run(filter: &Filter<Data>, input: &str, variables: &[String]) -> Result<String, String> {
    let variables = variables
        .iter()
        .map(|value| read(value))
        .collect::<Result<Vec<_>, _>>()?;
    let context = Ctx::<Data>::new(&filter.lut, Vars::new(variables));
    match filter.id.run((context, read(input)?)).next() {
        None => Ok("null".to_owned()),
        Some(Ok(value)) => {
            let mut text = String::new();
            write(&value.0, &mut text, MAX_DEPTH)?;
            Ok(text)
        }
        Some(Err(exception)) => Err(match exception.get_err() {
            Ok(error) => match error.into_val() {
                Val(Json::TStr(message)) => String::from_utf8_lossy(&message).into_owned(),
                other => other.to_string(),
            },
            Err(_) => "the filter was left by a break without a label".to_owned(),
        }),
    }
}

fn read(text: &str) -> Result<Val, String> {
    if too_deep(text.as_bytes()) {
        return Err(format!("JSON is nested deeper than {MAX_DEPTH}"));
    }
    let value = jaq_json::read::parse_single(text.as_bytes()).map_err(|error| format!("not JSON: {error}"))?;
    admit(value, MAX_DEPTH).ok_or_else(|| format!("JSON is nested deeper than {MAX_DEPTH}"))
}

/// Whether brackets are nested too deep, so that reading does not recurse without bound.
pub fn too_deep(text: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Strict JSON, or why the value is none.
fn write(value: &Json, text: &mut String, depth: usize) -> Result<(), String> {
    let deeper = || {
        depth
            .checked_sub(1)
            .ok_or_else(|| format!("the result is nested deeper than {MAX_DEPTH}"))
    };
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Json::Num(Num::Float(float)) if !float.is_finite() => {
            return Err(format!(
                "the result is {value}, which is not a JSON number (a division by zero?)"
            ));
        }
        Json::Num(Num::BigInt(big)) => {
            let digits = big.to_string();
            let exact = digits.parse::<u64>().is_ok() || digits.parse::<i64>().is_ok();
            match digits.parse::<f64>() {
                _ if exact => text.push_str(&digits),
                Ok(float) if float.is_finite() => text.push_str(&Json::from(float).to_string()),
                _ => return Err("the result is an integer beyond all JSON numbers".to_owned()),
            }
        }
        Json::Num(number) => text.push_str(&number.to_string()),
        Json::TStr(bytes) => quote(&String::from_utf8_lossy(bytes), text),
        Json::BStr(_) => return Err("the result is a byte string, which JSON does not have".to_owned()),
        Json::Arr(items) => {
            let depth = deeper()?;
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text, depth)?;
            }
            text.push(']');
        }
        Json::Obj(map) => {
            let depth = deeper()?;
            text.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                let Json::TStr(key) = key else {
                    return Err(format!("the result has the key {key}, which is not a string"));
                };
                quote(&String::from_utf8_lossy(key), text);
                text.push(':');
                write(item, text, depth)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn quote(string: &str, text: &mut String) {
    text.push('"');
    let mut plain = 0;
    for (at, byte) in string.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"".to_owned(),
            b'\\' => "\\\\".to_owned(),
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            b'\t' => "\\t".to_owned(),
            0..=0x1f => format!("\\u{byte:04x}"),
            _ => continue,
        };
        text.push_str(&string[plain..at]);
        text.push_str(&escape);
        plain = at + 1;
    }
    text.push_str(&string[plain..]);
    text.push('"');
}

fn shorten(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    message
}
