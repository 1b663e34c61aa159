//! What an operator allows a plugin: names of capabilities, wide or narrow.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::names::InterfaceName;

/// A list of grants: `ai` (every interface of a package called `ai`), `potok:ai/chat` (one interface), `telegram:accounts/*`
/// (a capability narrowed in words that its provider understands), `*` (all that providers offer), `secret:api` (the secret `api` may be in
/// its arguments), `secret:*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub Vec<String>);

/// How an import is covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cover<'a> {
    /// The grant that covers it.
    pub(crate) grant: &'a str,
    /// What it is narrowed to.
    pub(crate) narrowing: Option<&'a str>,
}

impl Grants {
    /// No grants.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// All that providers offer.
    #[must_use]
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether arguments of this plugin may hold a secret: `secret:NAME`, or `secret:*` for any. No wider grant is meant.
    #[must_use]
    pub fn allow_secret(&self, name: &str) -> bool {
        let secrets = self.0.iter().filter_map(|grant| grant.trim().strip_prefix("secret:"));
        secrets.into_iter().any(|secret| secret == "*" || secret == name)
    }

    /// The grant that covers an interface: a wide one where there is one, else the first narrow one.
    pub(crate) fn cover(&self, interface: &InterfaceName<'_>) -> Option<Cover<'_>> {
        let covers = || self.0.iter().filter_map(|grant| cover(grant, interface));
        covers()
            .find(|cover| cover.narrowing.is_none())
            .or_else(|| covers().next())
    }
}

fn cover<'a>(grant: &'a str, interface: &InterfaceName<'_>) -> Option<Cover<'a>> {
    let grant = grant.trim();
    if grant == "*" || grant == interface.package || grant == interface.package_id() || grant == interface.id() {
        return Some(Cover { grant, narrowing: None });
    }
    let (capability, narrowing) = grant.split_once(':')?;
    (capability == interface.package).then_some(Cover {
        grant,
        narrowing: Some(narrowing),
    })
}

impl FromStr for Grants {
    type Err = Infallible;

    /// Grants separated by commas or space.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let words = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty());
        Ok(Self(words.map(str::to_owned).collect()))
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl<S: Into<String>> FromIterator<S> for Grants {
    fn from_iter<T: IntoIterator<Item = S>>(words: T) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_are_granted_by_name() {
        let allowed = |grants: &str| grants.parse::<Grants>().unwrap().allow_secret("api");
        assert!(allowed("ai secret:api") && allowed("secret:*"));
        for other in ["", "*", "secret", "secret:", "secret:other", "secret:ap", "secret:apis"] {
            assert!(!allowed(other), "{other}");
        }
    }

    #[test]
    fn a_grant_covers_by_package_interface_or_narrowing() {
        let chat = InterfaceName::parse("potok:ai/chat@1.0.0").unwrap();
        let covered = |text: &str| {
            text.parse::<Grants>()
                .unwrap()
                .cover(&chat)
                .map(|c| c.narrowing.map(str::to_owned))
        };
        for wide in ["ai", "*", "potok:ai", "potok:ai/chat", "telegram, ai", "ai:small ai"] {
            assert_eq!(covered(wide), Some(None), "{wide}");
        }
        assert_eq!(covered("ai:models/small"), Some(Some("models/small".to_owned())));
        for other in ["", "telegram", "a", "potok", "chat", "potok:ai/other", "acme:ai"] {
            assert_eq!(covered(other), None, "{other}");
        }
        assert_eq!("a, b  c".parse::<Grants>().unwrap().to_string(), "a,b,c");
    }
}
