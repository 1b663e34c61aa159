//! Every request that leaves goes through here: webhooks, tokens, documents and the calls of workflows alike.
//!
//! The policy is held to the address that is really connected to. A name is looked up by our own resolver, which gives the client only
//! the addresses that may be used, so a name that stands for another address a moment later changes nothing. A host that is an address
//! is looked at before the request. No redirection is followed here: whoever follows one comes back with another request.
//!
//! Behind a proxy (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`) the connection is the proxy's. Names that can be looked up here are held to the
//! policy before they are handed to it; for the others the proxy decides.

mod address;
mod policy;
mod resolve;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, Request, Response, Url, redirect::Policy};

pub use address::AddressKind;
pub use policy::{EgressPolicy, Refused, RuleError};
use resolve::{Guard, Guarded, proxies};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The way out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    guard: Arc<Guard>,
    /// To the world, through the proxy that the environment may name.
    outward: Arc<Lazy>,
    /// To this machine.
    local: Arc<Lazy>,
    proxied: bool,
}

/// A client that is made when it is first needed: it reads what authorities the machine trusts, which takes a while.
#[derive(Debug)]
struct Lazy {
    guard: Arc<Guard>,
    proxies: bool,
    client: OnceLock<Client>,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("HTTP requests cannot be made")]
pub struct SetupError(#[source] reqwest::Error);

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It may not go there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is nothing to send it with.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It did not get through. The message leaves out the URL: it may hold a secret.
    #[error("{}", reasons(.0))]
    Failed(reqwest::Error),
}

impl Egress {
    /// A way out that keeps to a policy.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        let proxies = proxies();
        let proxied = !proxies.is_empty();
        let inward = Arc::new(Guard::new(policy.clone(), HashSet::new()));
        let guard = Arc::new(Guard::new(policy, proxies));
        let lazy = |guard: &Arc<Guard>, proxies| Lazy {
            guard: Arc::clone(guard),
            proxies,
            client: OnceLock::new(),
        };
        Self {
            outward: Arc::new(lazy(&guard, true)),
            local: Arc::new(lazy(&inward, false)),
            guard,
            proxied,
        }
    }

    /// Sends a request and gives the answer, whatever its status.
    ///
    /// # Errors
    /// [`SendError`]: where it leads is not allowed, or it got no answer. There is no limit of time here but that for connecting.
    ///
    /// # Panics
    /// When no TLS provider was installed (`rustls::crypto::CryptoProvider::install_default`), which the binary does first thing.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        self.guard.policy().check_literal(request.url())?;
        let client = if is_loopback(request.url()) {
            &self.local
        } else {
            if self.proxied {
                self.guard.check_name(request.url()).await?;
            }
            &self.outward
        };
        let client = client.get()?;
        client.execute(request).await.map_err(|error| match refused(&error) {
            Some(refused) => SendError::Refused(refused),
            None => SendError::Failed(error),
        })
    }
}

impl Lazy {
    fn get(&self) -> Result<&Client, SetupError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .dns_resolver(Guarded(Arc::clone(&self.guard)))
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("potok/", env!("CARGO_PKG_VERSION")));
        let builder = if self.proxies { builder } else { builder.no_proxy() };
        let client = builder.build().map_err(SetupError)?;
        // Of two that are made at once one is kept.
        Ok(self.client.get_or_init(|| client))
    }
}

/// Whether an address is on this machine, where no proxy is to be asked.
fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost")
        || policy::literal(url).is_some_and(|address| address.to_canonical().is_loopback())
}

/// The refusal of our resolver, deep in what the client says of it.
fn refused(error: &reqwest::Error) -> Option<Refused> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return Some(refused.clone());
        }
        source = cause.source();
    }
    None
}

/// Why a request failed, without reqwest's own first line, which names the URL.
pub(crate) fn reasons(error: &reqwest::Error) -> String {
    let mut reasons = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reasons.push(cause.to_string());
        source = cause.source();
    }
    reasons.join(": ")
}
