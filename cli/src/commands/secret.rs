//! `potok secret`: set, list and remove what is kept sealed in the store. There is no way to read one back.

use std::{
    io::{IsTerminal, Read},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use potok_dsl::{NameError, SecretName, Timestamp};
use potok_node::{SecretsError, StoredSecrets};
use potok_secrets::{LARGEST, SHORTEST};
use zeroize::Zeroizing;

use crate::{
    args::SecretCommand,
    config::Config,
    engine,
    exit::{COMPLETED, Failure},
};

pub async fn secret(config: &Config, command: SecretCommand) -> Result<u8, Failure> {
    match command {
        SecretCommand::Set { name, from_file, .. } => set(config, &named(&name)?, from_file.as_deref()).await,
        SecretCommand::List { json, .. } => list(config, json).await,
        SecretCommand::Remove { name, .. } => remove(config, &named(&name)?).await,
    }
}

fn named(name: &str) -> Result<SecretName, Failure> {
    name.parse().map_err(|e: NameError| Failure::Usage(e.to_string()))
}

async fn set(config: &Config, name: &SecretName, file: Option<&Path>) -> Result<u8, Failure> {
    let text = match file {
        Some(path) => {
            let open = std::fs::File::open(path);
            let file = open.map_err(|e| Failure::Usage(format!("cannot read {}: {e}", path.display())))?;
            read(&path.display().to_string(), file)?
        }
        None if std::io::stdin().is_terminal() => ask(name)?,
        None => read("standard input", std::io::stdin().lock())?,
    };
    let new = open(config)
        .await?
        .set(name, text.trim_end_matches(['\r', '\n']), now())
        .await
        .map_err(failed)?;
    if text.trim_end().chars().count() < SHORTEST {
        eprintln!(
            "potok: warning: a secret of fewer than {SHORTEST} characters is not looked for in what comes back from calls"
        );
    }
    eprintln!("potok: {} {name}", if new { "set" } else { "replaced" });
    Ok(COMPLETED)
}

async fn list(config: &Config, json: bool) -> Result<u8, Failure> {
    let secrets = open(config).await?.list().await.map_err(failed)?;
    if json {
        let list: Vec<_> = secrets
            .iter()
            .map(|secret| {
                serde_json::json!({
                    "name": secret.name,
                    "version": secret.version,
                    "updatedAt": Timestamp(secret.updated_at).rfc3339(),
                })
            })
            .collect();
        crate::say!("{}", serde_json::to_string_pretty(&list).unwrap_or_default());
        return Ok(COMPLETED);
    }
    for secret in secrets {
        crate::say!(
            "{}  version {}  {}",
            secret.name,
            secret.version,
            Timestamp(secret.updated_at).rfc3339()
        );
    }
    Ok(COMPLETED)
}

async fn remove(config: &Config, name: &SecretName) -> Result<u8, Failure> {
    if !open(config).await?.remove(name).await.map_err(failed)? {
        return Err(Failure::Usage(format!(
            "there is no secret '{name}' in the store; 'potok secret list' shows what there is"
        )));
    }
    eprintln!("potok: removed {name}");
    Ok(COMPLETED)
}

async fn open(config: &Config) -> Result<StoredSecrets, Failure> {
    let store = engine::store(&config.data_dir)?;
    StoredSecrets::open(store, engine::secrets_key(config))
        .await
        .map_err(|e| Failure::Other(e.to_string()))
}

/// A line that is not shown while it is typed.
fn ask(name: &SecretName) -> Result<Zeroizing<String>, Failure> {
    let terminal = console::Term::stderr();
    terminal.write_str(&format!("{name}: "))?;
    Ok(Zeroizing::new(terminal.read_secure_line()?))
}

fn read(name: &str, from: impl Read) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    from.take(LARGEST as u64 + 2)
        .read_to_string(&mut text)
        .map_err(|e| Failure::Usage(format!("cannot read {name}: {e}")))?;
    Ok(text)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn failed(error: SecretsError) -> Failure {
    match error {
        SecretsError::Empty | SecretsError::TooLarge { .. } => Failure::Usage(error.to_string()),
        other => Failure::Other(other.to_string()),
    }
}
