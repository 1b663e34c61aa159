//! Configuration: one file (`potok.toml`), overridden by `POTOK_*` variables, overridden by flags.
//!
//! Every value knows where it comes from, so that `potok config` can say so.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use potok_secrets::Environment;
use serde::Deserialize;
use toml::{Table, Value};

/// What is in force.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything durable is kept.
    pub data_dir: PathBuf,
    /// Where the server listens.
    pub listen: String,
    /// The server that commands talk to; empty for the one that listens there.
    pub server: String,
    /// What they show to whatever stands before it, as a bearer token; empty for nothing.
    pub token: String,
    /// What is logged; the syntax of `tracing`'s filters.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    pub auth: AuthSection,
    pub node: NodeSection,
    pub events: EventsSection,
    pub retention: RetentionSection,
    pub ai: AiSection,
    pub telegram: TelegramSection,
    pub plugins: PluginsSection,
    pub shell: ShellSection,
    pub egress: EgressSection,
    pub secrets: SecretsSection,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Who may use the server; whoever reaches its address, where nobody is named.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSection {
    /// Passwords by the names of people.
    pub users: BTreeMap<String, String>,
    /// What programs show.
    #[serde(deserialize_with = "list")]
    pub tokens: Vec<String>,
}

/// Nothing of the passwords and tokens.
impl fmt::Debug for AuthSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSection").finish_non_exhaustive()
    }
}

/// The engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// How long a call may take, in seconds, when its task says nothing.
    pub call_timeout: u64,
    /// How many calls are made at once.
    pub calls: usize,
    /// The memory that one plugin call may use, in MiB.
    pub plugin_memory: usize,
}

/// The stream of events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsSection {
    /// How long an event stays, in seconds.
    pub age: u64,
    /// How many stay.
    pub count: u64,
}

/// Runs that have ended.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSection {
    /// How long one stays, in seconds; 0 for good.
    pub age: u64,
    /// How many stay; 0 for all.
    pub count: u64,
    /// The directory that they are written to before they go; empty for `archive` in the data directory.
    pub archive: String,
}

/// The language model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AiSection {
    /// The base of an OpenAI-compatible API.
    pub base_url: String,
    /// Its key.
    pub api_key: String,
    /// The model used where a workflow names none.
    pub model: String,
    /// How long an answer may take, in seconds.
    pub timeout: u64,
    /// How many requests at once.
    pub concurrency: usize,
}

/// Telegram.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramSection {
    /// The base of the Bot API.
    pub api_url: String,
    /// Tokens of bots by the names under which workflows use them.
    pub bots: BTreeMap<String, String>,
}

/// Plugins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginsSection {
    /// What the shipped plugins may use.
    pub grants: Vec<String>,
}

/// Commands of the operating system.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellSection {
    /// Whether workflows may run them.
    pub enabled: bool,
}

/// Where requests of workflows may go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressSection {
    /// Addresses, networks and hosts that are allowed beside the public addresses.
    #[serde(deserialize_with = "list")]
    pub allow: Vec<String>,
}

/// Secrets.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsSection {
    /// A directory with a file for each secret, or a JSON file with all; empty for none.
    pub path: String,
    /// The key that the store's secrets are sealed with; empty for the one in the key file.
    pub key: String,
    /// The file with that key; empty for the one beside the data directory.
    pub key_file: String,
}

/// Nothing of the key.
impl fmt::Debug for SecretsSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, key_file, .. } = self;
        f.debug_struct("SecretsSection")
            .field("path", path)
            .field("key_file", key_file)
            .finish_non_exhaustive()
    }
}

const DEFAULTS: &str = r#"
data_dir = "potok-data"
listen = "127.0.0.1:8080"
server = ""
token = ""
log = "warn"
log_format = "text"

[auth]
tokens = []

[auth.users]

[node]
call_timeout = 300
calls = 256
plugin_memory = 256

[events]
age = 604800
count = 1000000

[retention]
age = 0
count = 0
archive = ""

[ai]
base_url = "https://api.openai.com/v1"
api_key = ""
model = "gpt-4o-mini"
timeout = 120
concurrency = 16

[telegram]
api_url = "https://api.telegram.org"

[telegram.bots]

[plugins]
grants = ["ai", "blob", "library", "telegram"]

[shell]
enabled = false

[egress]
allow = []

[secrets]
path = ""
key = ""
key_file = ""
"#;

/// The addresses of this machine: what workflows may reach besides where a person tries one out.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Keys whose values are never shown; with a dot at its end, all that begin so.
const SECRET: [&str; 6] = [
    "ai.api_key",
    "auth.tokens",
    "auth.users.",
    "secrets.key",
    "telegram.bots.",
    "token",
];

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("the configuration file {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is not valid TOML: {1}")]
    Syntax(String, String),
    #[error("the configuration is not valid: {0} (see 'potok config')")]
    Invalid(String),
}

/// A layered configuration: the values, and the layer that each comes from.
pub struct Layers {
    table: Table,
    sources: BTreeMap<String, String>,
}

impl Layers {
    /// The defaults, then the file (the one named, else `potok.toml` here if it is there), then the environment.
    ///
    /// # Errors
    /// When the file named is not there or not TOML.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut layers = Self {
            table: Table::new(),
            sources: BTreeMap::new(),
        };
        layers.merge(parse("the defaults", DEFAULTS)?, "default");
        let path = file.map_or_else(|| PathBuf::from("potok.toml"), Path::to_path_buf);
        match std::fs::read_to_string(&path) {
            Ok(text) => layers.merge(parse(&path.display().to_string(), &text)?, &path.display().to_string()),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ConfigError::Unreadable(path, error)),
        }
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix("POTOK_") else {
                continue;
            };
            // Secrets of workflows are no settings.
            if Environment::is_secret(&name) {
                continue;
            }
            let key = rest.to_lowercase().replace("__", ".");
            if let Some(key) = layers.known(&key) {
                layers.set(&key, scalar(&text), &format!("${name}"));
            }
        }
        Ok(layers)
    }

    /// Overrides a value, as a flag does.
    pub fn set(&mut self, key: &str, value: Value, source: &str) {
        let mut table = &mut self.table;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                table.insert(part.to_owned(), value);
                break;
            }
            let entry = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(next) = entry else { return };
            table = next;
        }
        self.sources.insert(key.to_owned(), source.to_owned());
    }

    /// Lets workflows reach this machine, as where a person at the keyboard tries one out; nothing that the operator has set is changed.
    pub fn allow_loopback(&mut self, source: &str) {
        if self
            .sources
            .get("egress.allow")
            .is_none_or(|source| source == "default")
        {
            let addresses = LOOPBACK.map(|address| Value::String(address.to_owned()));
            self.set("egress.allow", Value::Array(addresses.into()), source);
        }
    }

    /// The typed configuration.
    ///
    /// # Errors
    /// When a key is unknown or a value is not of its kind.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::deserialize(Value::Table(self.table.clone())).map_err(|e| ConfigError::Invalid(e.to_string()))
    }

    /// The full key for a variable's name: `AI_BASE_URL` is `ai.base_url`, `TELEGRAM_BOTS_MAIN` is `telegram.bots.main`.
    fn known(&self, key: &str) -> Option<String> {
        if key.contains('.') || self.table.contains_key(key) {
            return Some(key.to_owned());
        }
        if let Some(bot) = key.strip_prefix("telegram_bots_") {
            return Some(format!("telegram.bots.{bot}"));
        }
        let (section, rest) = self
            .table
            .keys()
            .find_map(|s| Some((s, key.strip_prefix(s.as_str())?.strip_prefix('_')?)))?;
        Some(format!("{section}.{rest}"))
    }

    fn merge(&mut self, table: Table, source: &str) {
        let mut leaves = Vec::new();
        flatten("", Value::Table(table), &mut leaves);
        for (key, value) in leaves {
            self.set(&key, value, source);
        }
    }
}

/// What is in force, a line a value, with where it comes from; secrets are not shown.
impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut leaves = Vec::new();
        flatten("", Value::Table(self.table.clone()), &mut leaves);
        for (key, value) in leaves {
            if matches!(&value, Value::Table(_)) {
                continue;
            }
            let hidden = |s: &str| key == s || (s.ends_with('.') && key.starts_with(s));
            let secret = SECRET.iter().any(|s| hidden(s)) && value.as_str() != Some("");
            let shown = if secret {
                "\"…\"".to_owned()
            } else {
                value.to_string()
            };
            let source = self.sources.get(&key).map_or("default", String::as_str);
            writeln!(f, "{:<44} # {source}", format!("{key} = {shown}"))?;
        }
        Ok(())
    }
}

impl Config {
    /// How long a call may take, if its task says nothing.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.node.call_timeout)
    }
}

fn parse(name: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>()
        .map_err(|e| ConfigError::Syntax(name.to_owned(), e.to_string()))
}

/// A variable's text as a TOML value: a number or a boolean where it is one, a list where it is written as one, else a string.
fn scalar(text: &str) -> Value {
    let parsed = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("v"));
    match parsed {
        Some(value @ (Value::Integer(_) | Value::Boolean(_) | Value::Array(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// A list, or text with commas.
fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(list) => list,
        Written::Text(text) => text
            .split(',')
            .map(|entry| entry.trim().to_owned())
            .filter(|entry| !entry.is_empty())
            .collect(),
    })
}

fn flatten(prefix: &str, value: Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) if !table.is_empty() || prefix.is_empty() => {
            for (key, value) in table {
                let key = if prefix.is_empty() {
                    key
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(&key, value, leaves);
            }
        }
        leaf => leaves.push((prefix.to_owned(), leaf)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn layers(env: &[(&str, &str)]) -> Layers {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Layers::load(None, env).unwrap()
    }

    #[test]
    fn variables_override_defaults_and_flags_override_variables() {
        let mut layers = layers(&[
            ("POTOK_AI_BASE_URL", "http://localhost:1/v1"),
            ("POTOK_NODE_CALLS", "7"),
            ("POTOK_TELEGRAM_BOTS_MAIN", "1:secret"),
            ("POTOK_LISTEN", "127.0.0.1:1"),
            ("POTOK_SECRETS_KEY", "a-secret-key"),
            ("POTOK_SECRETS_KEY_FILE", "/k"),
            ("POTOK_SECRETS_API", "a-secret"),
            ("HOME", "/root"),
        ]);
        layers.set("listen", Value::String("127.0.0.1:2".into()), "--listen");
        let config = layers.config().unwrap();
        assert_eq!(config.ai.base_url, "http://localhost:1/v1");
        assert_eq!(config.node.calls, 7);
        assert_eq!(config.telegram.bots["main"], "1:secret");
        assert_eq!(config.listen, "127.0.0.1:2");
        let shown = layers.to_string();
        assert!(
            shown.contains("# --listen") && shown.contains("# $POTOK_AI_BASE_URL"),
            "{shown}"
        );
        assert!(!shown.contains("secret\"") && !shown.contains("a-secret"), "{shown}");
        assert!(shown.contains("secrets.key_file = \"/k\""), "{shown}");
        assert_eq!(config.secrets.key, "a-secret-key");
        assert!(!format!("{:?}", config.secrets).contains("a-secret"));
    }

    #[test]
    fn loopback_is_allowed_where_the_operator_has_said_nothing() {
        let mut silent = layers(&[]);
        assert!(silent.config().unwrap().egress.allow.is_empty());
        silent.allow_loopback("potok run");
        assert_eq!(silent.config().unwrap().egress.allow, LOOPBACK);
        for (written, read) in [
            ("10.0.0.0/8, db.internal", vec!["10.0.0.0/8", "db.internal"]),
            ("[]", vec![]),
        ] {
            let mut set = layers(&[("POTOK_EGRESS_ALLOW", written)]);
            set.allow_loopback("potok run");
            assert_eq!(set.config().unwrap().egress.allow, read);
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = layers(&[("POTOK_AI_BASEURL", "x")]).config().unwrap_err().to_string();
        assert!(error.contains("baseurl"), "{error}");
    }
}
