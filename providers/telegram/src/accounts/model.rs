//! What an account is, as people see it and say it.

use std::fmt;

use potok_dsl::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::AccountError;

/// The most people that an account may be allowed to contact a day.
const MAX_DAILY: i64 = 200;

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It has yet to sign in.
    New,
    /// A code is on its way.
    CodeRequested,
    /// The code was right, the password is due.
    PasswordRequested,
    /// It works.
    Active,
    /// It was turned off, by people or because Telegram says that it was reported for spam.
    Disabled,
    /// Telegram has banned it.
    Blocked,
    /// It works, carefully.
    Warming,
}

impl AccountStatus {
    const ALL: [(Self, &'static str); 7] = [
        (Self::New, "new"),
        (Self::CodeRequested, "code_requested"),
        (Self::PasswordRequested, "password_requested"),
        (Self::Active, "active"),
        (Self::Disabled, "disabled"),
        (Self::Blocked, "blocked"),
        (Self::Warming, "warming"),
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, own)| *own == word)
            .map(|(status, _)| *status)
    }

    /// The words for all of them.
    pub(super) fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|(_, word)| *word).collect()
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("unknown", |(_, name)| name)
    }

    /// Whether calls are made in its name.
    #[must_use]
    pub fn works(self) -> bool {
        matches!(self, Self::Active | Self::Warming)
    }

    /// Whether it can begin to sign in.
    pub(super) fn signs_in(self) -> bool {
        matches!(self, Self::New | Self::CodeRequested | Self::PasswordRequested)
    }

    /// What people do to get on.
    pub(super) fn way_out(self) -> &'static str {
        match self {
            Self::New => "request a code, or show its QR code, and sign in",
            Self::CodeRequested => "sign in with the code that Telegram has sent, or request a new one",
            Self::PasswordRequested => "give the password of the second factor",
            Self::Active | Self::Warming => "it is signed in already",
            Self::Disabled => "make it active when that is what you want",
            Self::Blocked => "Telegram has banned it; remove it",
        }
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An account, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Its number here.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Digits with `+`; none before a QR code was scanned.
    pub phone: Option<String>,
    /// Its number at Telegram, once it has signed in.
    pub telegram_id: Option<i64>,
    /// The application that it signs in as.
    pub api_id: i32,
    /// What people say of it.
    pub comment: String,
    /// What it is.
    pub status: AccountStatus,
    /// Why it is so, when that is no good news.
    pub problem: Option<String>,
    /// How many people it may contact a day.
    pub daily_limit: i64,
    /// How many it has contacted since `reset_date`.
    pub used_today: i64,
    /// How many messages it has sent.
    pub messages_sent: i64,
    /// For how many days it was warmed up.
    pub warmup_count: i64,
    /// How often it was banned or reported.
    pub ban_count: i64,
    /// When `used_today` was last set to nothing.
    pub reset_date: Option<Timestamp>,
    /// When it last did something.
    pub last_used: Option<Timestamp>,
    /// Until when it rests, as Telegram has asked.
    pub flood_until: Option<Timestamp>,
    /// Whether it goes through a proxy.
    pub proxied: bool,
    /// Which of those that are kept, if it is one of them.
    pub proxy_id: Option<i64>,
    /// The version of its sealed document.
    #[serde(skip)]
    pub(super) version: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An account that is to be added.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// What people call it.
    pub name: String,
    /// In international form; left out when it signs in by QR code.
    #[serde(default)]
    pub phone: Option<String>,
    /// The application's number, from my.telegram.org.
    pub api_id: i32,
    /// The application's secret.
    pub api_hash: String,
    /// What people say of it.
    #[serde(default)]
    pub comment: String,
    /// How many people it may contact a day.
    #[serde(default = "usual_limit")]
    pub daily_limit: i64,
    /// Its one proxy: `socks5://name:password@host:port`.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Or one of the proxies that are kept.
    #[serde(default)]
    pub proxy_id: Option<i64>,
}

/// Nothing of the secrets.
impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("name", &self.name)
            .field("phone", &self.phone)
            .finish_non_exhaustive()
    }
}

pub(super) fn usual_limit() -> i64 {
    40
}

/// What people change of an account; what is left out stays.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct AccountChange {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub comment: Option<String>,
    pub daily_limit: Option<i64>,
    /// `active` and `warming` for one that has signed in, or `disabled`.
    pub status: Option<AccountStatus>,
    /// Another proxy, or none.
    #[serde(deserialize_with = "given")]
    pub proxy: Option<Option<String>>,
    /// One of the proxies that are kept.
    pub proxy_id: Option<i64>,
}

/// Null is a value: no proxy.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which accounts are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Only these.
    pub status: Option<AccountStatus>,
    /// Only the one with this number.
    pub phone: Option<String>,
    /// Only those whose name, comment or number has this in it; all when it is empty.
    pub search: String,
    /// After so many of those that fit.
    pub offset: i64,
    /// After this id.
    pub after: i64,
    /// At most so many, of at most 1,000.
    pub limit: Option<i64>,
}

/// Who has signed in.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) telegram_id: i64,
    pub(super) phone: Option<String>,
    pub(super) name: Option<String>,
}

/// A phone number as it is kept: `+` and 7 to 15 digits.
pub(crate) fn phone_number(text: &str) -> Result<String, AccountError> {
    let wrong = || AccountError::PhoneInvalid(text.to_owned());
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')');
    if !text.chars().all(allowed) {
        return Err(wrong());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if (7..=15).contains(&digits.len()) {
        Ok(format!("+{digits}"))
    } else {
        Err(wrong())
    }
}

/// Whether a limit may be meant.
pub(super) fn limit(wanted: i64) -> Result<i64, AccountError> {
    if (0..=MAX_DAILY).contains(&wanted) {
        Ok(wanted)
    } else {
        Err(AccountError::LimitInvalid(wanted, MAX_DAILY))
    }
}

/// Whether a proxy is one that accounts can go through. The message does not show it: it may hold a password.
pub(super) fn proxy(wanted: Option<&str>) -> Result<(), AccountError> {
    let Some(url) = wanted else { return Ok(()) };
    let url = reqwest::Url::parse(url).map_err(|_| AccountError::ProxyInvalid)?;
    if url.scheme() != "socks5" || !url.has_host() || url.port().is_none() {
        return Err(AccountError::ProxyInvalid);
    }
    // The connection takes both as the address has them, escapes and all.
    if url.username().contains('%') || url.password().is_some_and(|password| password.contains('%')) {
        return Err(AccountError::ProxySecret);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn numbers_limits_and_proxies_that_can_be_meant() {
        assert_eq!(phone_number("+7 (999) 000-11-22").unwrap(), "+79990001122");
        for wrong in ["", "12", "+7999000112233445", "+7999OOO1122"] {
            assert!(phone_number(wrong).is_err(), "{wrong}");
        }
        assert!(limit(200).is_ok() && limit(201).is_err() && limit(-1).is_err());
        assert!(proxy(None).is_ok());
        assert!(proxy(Some("socks5://me:word@proxy.example:1080")).is_ok());
        for wrong in ["http://127.0.0.1:80", "socks5://there", "hush"] {
            let refused = proxy(Some(wrong)).unwrap_err().to_string();
            assert!(!refused.contains(wrong), "{refused}");
        }
        for escaped in [
            "socks5://me:two words@there:1080",
            "socks5://me:a%20b@there:1080",
            "socks5://m e:w@there:1080",
        ] {
            assert!(
                matches!(proxy(Some(escaped)), Err(AccountError::ProxySecret)),
                "{escaped}"
            );
        }
    }
}
