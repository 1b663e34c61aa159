//! What an operator configures: the bots' tokens, where the Bot API is, how fast to post.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use potok_secrets::{Keeper, KeyPlace};
use reqwest::Url;

use crate::accounts::AccountsConfig;
use crate::api::BotApi;

/// How the provider reaches Telegram. Its `Debug` shows no token.
#[derive(Clone)]
pub struct TelegramConfig {
    /// Where the Bot API is: `https://api.telegram.org`, a server of one's own, or the sandbox.
    pub base_url: String,
    /// The bots' tokens by the names that workflows know them by. The bot `default` is meant where none is named.
    pub bots: BTreeMap<String, String>,
    /// How long one request to the Bot API may take.
    pub timeout: Duration,
    /// How fast to post.
    pub pacing: Pacing,
    /// What the tokens of kept bots and the sessions of accounts are sealed with.
    pub keeper: Arc<Keeper>,
    /// How user accounts reach Telegram.
    pub accounts: AccountsConfig,
}

impl Default for TelegramConfig {
    /// Telegram's own server, no bot, and no key to keep one with.
    fn default() -> Self {
        Self {
            base_url: "https://api.telegram.org".to_owned(),
            bots: BTreeMap::new(),
            timeout: Duration::from_secs(30),
            pacing: Pacing::default(),
            keeper: Arc::new(Keeper::new(KeyPlace::None)),
            accounts: AccountsConfig::default(),
        }
    }
}

impl fmt::Debug for TelegramConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelegramConfig")
            .field("base_url", &self.base_url)
            .field("bots", &self.bots.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("pacing", &self.pacing)
            .field("keeper", &self.keeper)
            .field("accounts", &self.accounts)
            .finish()
    }
}

/// How fast one bot posts to one chat. It holds in this process; Telegram's own limits hold everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The time between two posts; zero is no limit.
    pub interval: Duration,
    /// The most posts in any minute; zero is no limit.
    pub per_minute: u32,
}

impl Pacing {
    /// No limit of our own.
    pub const OFF: Self = Self {
        interval: Duration::ZERO,
        per_minute: 0,
    };
}

impl Default for Pacing {
    /// What Telegram documents: about one message a second, 20 a minute.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            per_minute: 20,
        }
    }
}

/// A configuration that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The Bot API's address is none.
    #[error(
        "'{0}' is not the address of a Bot API server: an http or https URL is expected, such as https://api.telegram.org"
    )]
    BaseUrl(String),
    /// A bot's token has characters that no token has.
    #[error("the token of the bot '{0}' is not one: BotFather gives tokens such as 123456:AbC-dEf")]
    Token(String),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

impl TelegramConfig {
    /// The way to the Bot API, and the configured bots on it.
    pub(crate) fn open(&self) -> Result<(Gate, BTreeMap<String, BotApi>), ConfigError> {
        let gate = Gate {
            base: self.base()?,
            timeout: self.timeout,
            client: OnceLock::new(),
        };
        let bot = |(name, token): (&String, &String)| {
            if !is_token(token) {
                return Err(ConfigError::Token(name.clone()));
            }
            Ok((name.clone(), gate.bot(token)?))
        };
        let bots = self.bots.iter().map(bot).collect::<Result<_, _>>()?;
        Ok((gate, bots))
    }

    fn base(&self) -> Result<Url, ConfigError> {
        let wrong = || ConfigError::BaseUrl(self.base_url.clone());
        let base = Url::parse(&self.base_url).map_err(|_| wrong())?;
        let usable = matches!(base.scheme(), "http" | "https") && base.has_host() && base.query().is_none();
        if usable { Ok(base) } else { Err(wrong()) }
    }
}

/// The way to the Bot API for any bot. The client is made for the first one.
#[derive(Debug)]
pub(crate) struct Gate {
    base: Url,
    timeout: Duration,
    client: OnceLock<reqwest::Client>,
}

impl Gate {
    /// The way of the bot with this token.
    pub(crate) fn bot(&self, token: &str) -> Result<BotApi, ConfigError> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let made = self.client().map_err(ConfigError::Client)?;
                self.client.get_or_init(|| made)
            }
        };
        Ok(BotApi::new(client.clone(), self.base.as_str(), token, self.timeout))
    }

    /// A client that does exactly what it is told: one request, no redirect, no second try, and a connection of its
    /// own for each
    /// request. A kept connection that the server closes just now would leave it open whether the message arrived, so
    /// that a post
    /// would become `unknown` without need; at a message a second a handshake each is cheap.
    fn client(&self) -> reqwest::Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .connect_timeout(self.timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(0);
        let builder = if is_loopback(&self.base) {
            builder.no_proxy()
        } else {
            builder
        };
        builder.build()
    }
}

/// Whether a token has the form `digits:letters, digits, '-' and '_'`, so that it is one segment of a URL.
pub(crate) fn is_token(token: &str) -> bool {
    let Some((id, secret)) = token.split_once(':') else {
        return false;
    };
    !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_digit())
        && !secret.is_empty()
        && secret
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
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

    fn config(base_url: &str, token: &str) -> TelegramConfig {
        TelegramConfig {
            base_url: base_url.to_owned(),
            bots: BTreeMap::from([("default".to_owned(), token.to_owned())]),
            ..TelegramConfig::default()
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        potok_testing::install_tls();
        assert!(config("http://127.0.0.1:8081", "1:a-b_C").open().is_ok());
        for base in ["", "api.telegram.org", "ftp://x", "http://", "https://x/?a=b"] {
            assert!(
                matches!(config(base, "1:a").open(), Err(ConfigError::BaseUrl(_))),
                "{base}"
            );
        }
        for token in ["", "1", "1:", ":a", "1:a/b", "1:a b", "x:a"] {
            assert!(
                matches!(config("http://x", token).open(), Err(ConfigError::Token(_))),
                "{token}"
            );
        }
    }

    #[test]
    fn debug_shows_no_token() {
        potok_testing::install_tls();
        let config = config("http://127.0.0.1:8081", "1:secret");
        let shown = format!("{config:?} {:?}", crate::TelegramProvider::new(config.clone()).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
