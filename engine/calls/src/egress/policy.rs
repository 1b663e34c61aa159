//! Where requests may go: out into the world, and nowhere else unless the operator says so.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use reqwest::Url;

use super::address::{AddressKind, inner, kind};

/// Which addresses may be connected to beside the public ones. The default allows none.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// The addresses of a network.
    Network(IpNet),
    /// A host, wherever it is.
    Host(String),
    /// Every host under a domain.
    Under(String),
}

/// An entry of a policy that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither an address (10.1.2.3), nor a network (10.0.0.0/8), nor a host (db.internal, *.internal)")]
pub struct RuleError(String);

/// The policy refuses an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, and the egress policy does not allow that: the operator can, under [egress] allow")]
pub struct Refused {
    what: String,
}

impl EgressPolicy {
    /// A policy that allows these beside the public addresses: addresses (`10.1.2.3`), networks (`10.0.0.0/8`), hosts (`db.internal`)
    /// and the hosts under a domain (`*.internal`). An address where a cloud keeps its credentials is allowed only by itself or by the
    /// name of its host, never by a network.
    ///
    /// # Errors
    /// Names the entry that is none of these.
    pub fn new<I: IntoIterator<Item: AsRef<str>>>(allow: I) -> Result<Self, RuleError> {
        let rules = allow.into_iter().map(|entry| rule(entry.as_ref().trim()));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a connection to an address may be made, for a host of that name.
    ///
    /// # Errors
    /// [`Refused`], which names the host and the kind of address, and not the address that a name stands for.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let kind = kind(address);
        if kind == AddressKind::Public || self.allows_host(host) || self.allows_address(address, kind) {
            return Ok(());
        }
        let what = if host.parse::<IpAddr>().is_ok() {
            format!("{host} is {kind}")
        } else {
            format!("the host '{host}' has {kind}")
        };
        Err(Refused { what })
    }

    /// Checks a URL whose host is an address, in any of the notations that URLs have for one; nothing is known of a name yet.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        match literal(url) {
            Some(address) => self.check(&address.to_string(), address),
            None => Ok(()),
        }
    }

    fn allows_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.rules.iter().any(|rule| match rule {
            Rule::Host(name) => *name == host,
            Rule::Under(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.ends_with('.')),
            Rule::Network(_) => false,
        })
    }

    fn allows_address(&self, address: IpAddr, kind: AddressKind) -> bool {
        let inner = match address {
            IpAddr::V6(address) => inner(address).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        self.rules.iter().any(|rule| match rule {
            Rule::Network(network) => {
                let single = network.prefix_len() == network.max_prefix_len();
                let within = network.contains(&address) || inner.is_some_and(|inner| network.contains(&inner));
                within && (single || kind != AddressKind::Metadata)
            }
            Rule::Host(_) | Rule::Under(_) => false,
        })
    }
}

/// A list with commas, as a variable of the environment has it.
impl FromStr for EgressPolicy {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::new(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Host(name) => f.write_str(name),
            Self::Under(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// The address that is a URL's host.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn rule(entry: &str) -> Result<Rule, RuleError> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(Rule::Network(address.into()));
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return Ok(Rule::Network(network.trunc()));
    }
    let (under, name) = match entry.strip_prefix("*.") {
        Some(domain) => (true, domain),
        None => (false, entry),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // What ends in a number would be an address in a URL.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if !name.split('.').all(label) || numeric {
        return Err(RuleError(entry.to_owned()));
    }
    let name = name.to_ascii_lowercase();
    Ok(if under { Rule::Under(name) } else { Rule::Host(name) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allows(policy: &EgressPolicy, host: &str, address: &str) -> bool {
        policy.check(host, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn public_addresses_alone_are_allowed_by_default() {
        let policy = EgressPolicy::default();
        assert!(allows(&policy, "example.com", "93.184.216.34"));
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "::1",
            "::ffff:10.0.0.1",
            "fd00:ec2::254",
        ] {
            assert!(!allows(&policy, "example.com", address), "{address}");
        }
    }

    #[test]
    fn networks_and_hosts_can_be_allowed() {
        let policy: EgressPolicy = "10.1.0.0/16, 127.0.0.1,Db.internal ,*.svc.local".parse().unwrap();
        assert!(allows(&policy, "x", "10.1.2.3") && allows(&policy, "x", "::ffff:10.1.2.3"));
        assert!(!allows(&policy, "x", "10.2.2.3"));
        assert!(allows(&policy, "x", "127.0.0.1") && !allows(&policy, "x", "127.0.0.2"));
        assert!(allows(&policy, "DB.internal.", "192.168.0.1") && !allows(&policy, "a.db.internal", "192.168.0.1"));
        assert!(allows(&policy, "a.b.svc.local", "192.168.0.1") && !allows(&policy, "svc.local", "192.168.0.1"));
        assert!(!allows(&policy, "evilsvc.local", "192.168.0.1"));
    }

    #[test]
    fn a_network_does_not_allow_the_address_of_credentials() {
        let policy = EgressPolicy::new(["169.254.0.0/16", "0.0.0.0/0", "::/0"]).unwrap();
        assert!(allows(&policy, "x", "169.254.1.1") && allows(&policy, "x", "127.0.0.1"));
        assert!(!allows(&policy, "x", "169.254.169.254") && !allows(&policy, "x", "fd00:ec2::254"));
        let policy = EgressPolicy::new(["169.254.169.254"]).unwrap();
        assert!(allows(&policy, "x", "169.254.169.254"));
    }

    #[test]
    fn nonsense_is_named() {
        for entry in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "http://x",
            "a b",
            "*.",
            "*",
            "x:80",
            "256.1.1.1",
        ] {
            let error = EgressPolicy::new([entry]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{entry}'")), "{error}");
        }
    }

    #[test]
    fn every_notation_of_an_address_is_seen() {
        let policy = EgressPolicy::default();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://１２７.0.0.1/",
            "http://169.254.169.254./",
        ] {
            assert!(policy.check_literal(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        assert!(
            policy.check_literal(&Url::parse("http://localhost/").unwrap()).is_ok(),
            "a name is resolved first"
        );
    }
}
