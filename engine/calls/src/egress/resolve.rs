//! The resolver of names that keeps to the policy.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::policy::{EgressPolicy, Refused, literal};

/// Looks names up and gives away only the addresses that the policy allows.
#[derive(Debug)]
pub(super) struct Guard {
    policy: EgressPolicy,
    /// The hosts of the proxies that the operator has set: those are not the workflow's choice.
    proxies: HashSet<String>,
}

impl Guard {
    pub(super) fn new(policy: EgressPolicy, proxies: HashSet<String>) -> Self {
        Self { policy, proxies }
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Looks a URL's name up and holds all its addresses to the policy; a name that is not known here is somebody else's to judge.
    pub(super) async fn check_name(&self, url: &Url) -> Result<(), Refused> {
        let Some(host) = url.host_str().filter(|_| literal(url).is_none()) else {
            return Ok(());
        };
        let Ok(found) = lookup(host).await else { return Ok(()) };
        found
            .into_iter()
            .try_for_each(|address| self.policy.check(host, address))
    }

    /// Of the addresses of a name those that may be used.
    fn usable(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
        if self.proxies.contains(host) {
            return Ok(found);
        }
        let mut refused = None;
        let usable: Vec<IpAddr> = found
            .into_iter()
            .filter(|address| match self.policy.check(host, *address) {
                Ok(()) => true,
                Err(error) => {
                    refused = Some(error);
                    false
                }
            })
            .collect();
        match refused {
            Some(error) if usable.is_empty() => Err(error),
            _ => Ok(usable),
        }
    }
}

/// The resolver that the client is given.
pub(super) struct Guarded(pub(super) Arc<Guard>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found = lookup(&host).await?;
            let usable = guard.usable(&host, found)?;
            Ok(Box::new(usable.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

async fn lookup(host: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0))
        .await?
        .map(|found| found.ip())
        .collect())
}

/// The hosts of the proxies that the environment names, as the client reads it.
pub(super) fn proxies() -> HashSet<String> {
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_ascii_lowercase()])
        .filter_map(|name| std::env::var(name).ok())
        .filter_map(|proxy| host_of(&proxy))
        .collect()
}

fn host_of(proxy: &str) -> Option<String> {
    let host = |text: &str| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
    host(proxy).or_else(|| host(&format!("http://{proxy}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn a_name_has_the_addresses_that_are_allowed() {
        let guard = Guard::new("10.0.0.0/8".parse().unwrap(), ["proxy".to_owned()].into());
        let mixed = addresses(&["127.0.0.1", "93.184.216.34", "10.1.2.3"]);
        assert_eq!(
            guard.usable("x", mixed).unwrap(),
            addresses(&["93.184.216.34", "10.1.2.3"])
        );
        let refused = guard
            .usable("inside.example", addresses(&["192.168.1.1", "::1"]))
            .unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("'inside.example'") && !said.contains("::1"), "{said}");
        assert_eq!(
            guard.usable("proxy", addresses(&["127.0.0.1"])).unwrap(),
            addresses(&["127.0.0.1"])
        );
        assert!(guard.usable("x", Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn proxies_are_written_as_urls_or_as_hosts() {
        assert_eq!(
            host_of("http://user:word@proxy.example:3128").as_deref(),
            Some("proxy.example")
        );
        assert_eq!(host_of("proxy.example:3128").as_deref(), Some("proxy.example"));
        assert_eq!(host_of("10.0.0.1:3128").as_deref(), Some("10.0.0.1"));
    }
}
