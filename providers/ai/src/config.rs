//! What an operator configures: which server, with which key, how long, how many at once.

use std::fmt;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::transport::Transport;

/// The server and how it is asked. Its `Debug` does not show the key.
#[derive(Clone)]
pub struct AiConfig {
    /// The base of the API, with its version: `https://api.openai.com/v1`, `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// The key, for a server that wants one; an empty one is none.
    pub api_key: Option<String>,
    /// The model that is asked when a request names none.
    pub default_model: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// The temperature when a request names none; without one the server's own default holds.
    pub temperature: Option<f64>,
    /// How many requests may be made at once, at least one.
    pub concurrency: usize,
}

impl Default for AiConfig {
    /// OpenAI, without a key.
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".to_owned(),
            api_key: None,
            default_model: "gpt-4o-mini".to_owned(),
            timeout: Duration::from_secs(120),
            temperature: None,
            concurrency: 16,
        }
    }
}

impl fmt::Debug for AiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AiConfig")
            .field("base_url", &self.base_url)
            .field("api_key", &self.key().map(|_| "set"))
            .field("default_model", &self.default_model)
            .field("timeout", &self.timeout)
            .field("temperature", &self.temperature)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}

/// A configuration that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The server's address is none.
    #[error(
        "'{0}' is not the address of a model server: an http or https URL is expected, such as https://api.openai.com/v1"
    )]
    BaseUrl(String),
    /// The key has characters that cannot be sent.
    #[error("the key of the model server has characters that no key has (a line break, perhaps)")]
    Key,
    /// No model was named.
    #[error("no default model was named")]
    Model,
    /// The temperature is out of range.
    #[error("the temperature {0} is not between 0 and 2")]
    Temperature(f64),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// What holds for every request.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) model: String,
    pub(crate) temperature: Option<f64>,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    /// The name of the member that limits an answer's length.
    pub(crate) max_tokens: &'static str,
}

impl AiConfig {
    pub(crate) fn key(&self) -> Option<&str> {
        self.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty())
    }

    pub(crate) fn into_defaults(self) -> Defaults {
        let is_openai = self.base().is_ok_and(|base| base.host_str() == Some("api.openai.com"));
        Defaults {
            model: self.default_model,
            temperature: self.temperature,
            timeout: self.timeout,
            concurrency: self.concurrency.max(1),
            // OpenAI's newer models refuse the old name, most other servers do not know the new one.
            max_tokens: if is_openai {
                "max_completion_tokens"
            } else {
                "max_tokens"
            },
        }
    }

    /// Whether a server can be asked like this.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.base()?;
        if self.default_model.trim().is_empty() {
            return Err(ConfigError::Model);
        }
        if let Some(temperature) = self.temperature.filter(|t| !(0.0..=2.0).contains(t)) {
            return Err(ConfigError::Temperature(temperature));
        }
        HeaderValue::from_str(self.key().unwrap_or_default()).map_err(|_| ConfigError::Key)?;
        Ok(())
    }

    pub(crate) fn client(&self) -> Result<Client<OpenAIConfig>, ConfigError> {
        let base = self.base()?;
        let key = self.key().unwrap_or_default();
        // The library fills what is not set from the environment; all of it is set.
        let config = OpenAIConfig::new()
            .with_api_base(base.as_str().trim_end_matches('/'))
            .with_api_key(key)
            .with_org_id("")
            .with_project_id("");
        let http = reqwest::Client::builder()
            .connect_timeout(self.timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        let http = if is_loopback(&base) { http.no_proxy() } else { http };
        let http = http.build().map_err(ConfigError::Client)?;
        let transport = Transport::new(http.clone(), self.key().is_some());
        Ok(Client::build(http, config).with_http_service(transport))
    }

    fn base(&self) -> Result<Url, ConfigError> {
        let wrong = || ConfigError::BaseUrl(self.base_url.clone());
        let base = Url::parse(&self.base_url).map_err(|_| wrong())?;
        let usable = matches!(base.scheme(), "http" | "https") && base.has_host() && base.query().is_none();
        if usable { Ok(base) } else { Err(wrong()) }
    }
}

/// Whether an address is on this machine, where no proxy is to be asked.
fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::AiProvider;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        potok_testing::install_tls();
        let new = |change: fn(&mut AiConfig)| {
            let mut config = AiConfig::default();
            change(&mut config);
            AiProvider::new(config)
        };
        assert!(new(|_| ()).is_ok());
        assert!(new(|c| c.api_key = Some(" \n".into())).is_ok());
        assert!(matches!(
            new(|c| c.base_url = "api.openai.com".into()),
            Err(ConfigError::BaseUrl(_))
        ));
        assert!(matches!(
            new(|c| c.base_url = "file:///v1".into()),
            Err(ConfigError::BaseUrl(_))
        ));
        assert!(matches!(
            new(|c| c.api_key = Some("a\nb".into())),
            Err(ConfigError::Key)
        ));
        assert!(matches!(
            new(|c| c.default_model = String::new()),
            Err(ConfigError::Model)
        ));
        assert!(matches!(
            new(|c| c.temperature = Some(3.0)),
            Err(ConfigError::Temperature(_))
        ));
    }

    #[test]
    fn debug_shows_no_key() {
        potok_testing::install_tls();
        let config = AiConfig {
            api_key: Some("sk-secret".into()),
            ..AiConfig::default()
        };
        let shown = format!("{config:?} {:?}", AiProvider::new(config.clone()).unwrap());
        assert!(!shown.contains("sk-secret"), "{shown}");
    }
}
