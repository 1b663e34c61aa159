//! Starting and stopping: one port on loopback behind which everything is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use poem::{EndpointExt, Route, Server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::admin;
use crate::ai;
use crate::bot_api;
use crate::connections::{Connections, Door};
use crate::faults::Fault;
use crate::mtproto;
use crate::state::{Shared, now_ms};
use crate::store::Store;
use crate::world::{Membership, Message, PrivateMessage, RateLimits, World, WorldSeed};

/// Requests that are being answered get so long after the sign to stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// The name of the built-in model.
pub const DEFAULT_MODEL: &str = "potok-extractive";

/// How the sandbox is set up.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// An address of loopback, since whoever can connect may do everything; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the data centre listens, as `listen` does; port 0 takes a free one.
    pub mtproto: SocketAddr,
    /// The directory in which messages are kept; without it they are gone with the process.
    pub data_dir: Option<PathBuf>,
    /// People, bots and chats.
    pub world: WorldSeed,
    /// How fast bots may write.
    pub limits: RateLimits,
    /// The names under which the built-in model answers.
    pub models: Vec<String>,
    /// The bearer key that model requests need; without it any will do, or none.
    pub api_key: Option<String>,
}

impl Default for SandboxConfig {
    /// A free port of 127.0.0.1, nothing kept, the default world, no limits, [`DEFAULT_MODEL`], no key.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            mtproto: (Ipv4Addr::LOCALHOST, 0).into(),
            data_dir: None,
            world: WorldSeed::default(),
            limits: RateLimits::off(),
            models: vec![DEFAULT_MODEL.to_owned()],
            api_key: None,
        }
    }
}

/// Why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The address can be reached from elsewhere.
    #[error("the sandbox listens on loopback only, not on {address}: try 127.0.0.1:{}", address.port())]
    NotLoopback {
        /// What was wanted.
        address: SocketAddr,
    },
    /// The port is taken, or loopback is not there.
    #[error("the sandbox cannot listen on {address}: {source}; choose another port")]
    Bind {
        /// What was tried.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The state cannot be read or written.
    #[error("the sandbox cannot use its state at {}: {source}", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another sandbox runs on the same state.
    #[error("another sandbox is running on the state in {}: stop it, or choose another directory", path.display())]
    StateInUse {
        /// The directory.
        path: PathBuf,
    },
    /// The state is not what a sandbox writes.
    #[error("the sandbox's state is damaged at {}:{line}: {reason}; remove the file to begin anew", path.display())]
    StateDamaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The stand-ins.
pub struct Sandbox;

impl Sandbox {
    /// Binds the port, reads the state, and serves until [`RunningSandbox::shutdown`] or until the handle is dropped.
    /// Needs a tokio runtime.
    pub async fn start(config: SandboxConfig) -> Result<RunningSandbox, SandboxError> {
        let (listener, address) = bind(config.listen).await?;
        let (centre, mtproto_address) = bind(config.mtproto).await?;
        let mut world = World::new(config.world, config.limits, now_ms());
        let store = match &config.data_dir {
            Some(directory) => Some(Store::open(directory, &mut world).await?),
            None => None,
        };
        let connections = Connections::default();
        let shared = Arc::new(Shared::new(
            world,
            store,
            connections.clone(),
            config.models,
            config.api_key,
        ));
        mtproto::serve(shared.clone(), centre, mtproto_address);
        let routes = Route::new()
            .nest("/v1", ai::routes())
            .nest("/sandbox", admin::routes())
            .at("/*path", bot_api::endpoint)
            .data(shared.clone());
        let door = Door::new(listener, address, connections);
        let stopping = shared.clone();
        let serving = tokio::spawn(async move {
            let stop = async move { stopping.stopped().await };
            Server::new_with_acceptor(door)
                .run_with_graceful_shutdown(routes, stop, Some(STOP_WITHIN))
                .await
        });
        tracing::info!(%address, mtproto = %mtproto_address, "sandbox started");
        Ok(RunningSandbox {
            address,
            mtproto_address,
            shared,
            serving: Some(serving),
        })
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SandboxError> {
    if !address.ip().is_loopback() {
        return Err(SandboxError::NotLoopback { address });
    }
    let failed = |source| SandboxError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// A running sandbox. Dropping it stops it without waiting.
pub struct RunningSandbox {
    address: SocketAddr,
    mtproto_address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
}

/// Makes authorisation keys that the data centre knows.
#[derive(Clone)]
pub struct AuthKeys(Arc<Shared>);

impl std::fmt::Debug for AuthKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthKeys").finish_non_exhaustive()
    }
}

impl AuthKeys {
    /// As [`RunningSandbox::new_auth_key`].
    ///
    /// # Errors
    /// When the sandbox cannot keep it.
    pub async fn new_auth_key(&self) -> std::io::Result<[u8; 256]> {
        mtproto::new_key(&self.0).await.map_err(std::io::Error::other)
    }
}

impl RunningSandbox {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands for `https://api.telegram.org`: methods are under `{this}/bot{token}/`.
    pub fn bot_api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What stands for `https://api.openai.com/v1`.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The root of the endpoints that only the sandbox has.
    pub fn admin_url(&self) -> String {
        format!("http://{}/sandbox", self.address)
    }

    /// Where the data centre is.
    pub fn mtproto_address(&self) -> SocketAddr {
        self.mtproto_address
    }

    /// A new authorisation key that the data centre knows and nobody is signed in with: each session needs its own.
    ///
    /// # Errors
    /// When the sandbox cannot keep it.
    pub async fn new_auth_key(&self) -> std::io::Result<[u8; 256]> {
        self.auth_keys().new_auth_key().await
    }

    /// Whoever makes such keys, for those who outlive this handle.
    #[must_use]
    pub fn auth_keys(&self) -> AuthKeys {
        AuthKeys(Arc::clone(&self.shared))
    }

    /// A person scans a QR code, as `POST /sandbox/mtproto/scan` does.
    ///
    /// # Errors
    /// When nobody waits for the token or has the phone number.
    pub async fn scan(&self, token: &[u8], phone: &str) -> std::io::Result<()> {
        let scanned = mtproto::scan(&self.shared, token.to_vec(), phone.to_owned()).await;
        scanned.map_err(std::io::Error::other)?.map_err(std::io::Error::other)
    }

    /// Ends all sessions of a phone number's owner, as from another device of theirs; gives how many there were.
    ///
    /// # Errors
    /// When the sandbox cannot keep it.
    pub async fn revoke_sessions(&self, phone: &str) -> std::io::Result<usize> {
        let phone = phone.to_owned();
        let revoked = self.shared.change(move |world, _| {
            let user = world.account_by_phone(&phone).map(|account| account.user);
            user.map_or(0, |user| world.revoke(user))
        });
        revoked.await.map_err(std::io::Error::other)
    }

    /// How often a method of MTProto was called.
    pub fn mtproto_calls(&self, method: &str) -> u64 {
        let counts = self.shared.counts();
        let count = counts.get("mtproto").and_then(|methods| methods.get(method));
        count.map_or(0, |count| count.total)
    }

    /// Scripts a fault, as `POST /sandbox/faults` does; `false` when there are too many.
    pub fn inject(&self, fault: Fault) -> bool {
        self.shared.faults.add(fault)
    }

    /// The messages of a chat (its id or its `@name`), oldest first; none if there is no such chat.
    pub fn messages(&self, chat: &str) -> Vec<Message> {
        let world = self.shared.world();
        world
            .find_chat(chat)
            .map(|chat| chat.messages.values().cloned().collect())
            .unwrap_or_default()
    }

    /// The private messages that a person or a bot has written or received, oldest first.
    pub fn private_messages(&self, user: i64) -> Vec<PrivateMessage> {
        self.shared.world().private_messages(user).cloned().collect()
    }

    /// A person writes to another, or to a bot; `false` when that is not allowed or could not be kept.
    pub async fn write_private(&self, from: i64, to: i64, text: &str) -> bool {
        let text = text.to_owned();
        let written = self
            .shared
            .change(move |world: &mut World, now| world.write_private((from, to), text, None, now));
        matches!(written.await, Ok(Ok(Some(_))))
    }

    /// Who is in a chat (its id or its `@name`).
    pub fn members(&self, chat: &str) -> Vec<i64> {
        let world = self.shared.world();
        let members = world.find_chat(chat).into_iter().flat_map(|chat| &chat.members);
        members
            .filter(|(_, membership)| membership.is_present())
            .map(|(user, _)| *user)
            .collect()
    }

    /// Makes a person or a bot something else in a chat (its id or its `@name`), as its owner would; `false` when there is no
    /// such chat, or the change could not be kept.
    pub async fn set_member(&self, chat: &str, user: i64, membership: Membership) -> bool {
        let chat = chat.to_owned();
        let changed = self.shared.change(move |world: &mut World, _| {
            let id = world.find_chat(&chat)?.id;
            world.set_membership(id, user, membership);
            Some(id)
        });
        matches!(changed.await, Ok(Some(_)))
    }

    /// Stops: no new connections, hanging requests are dropped, the others get three seconds.
    pub async fn shutdown(mut self) {
        self.shared.stop();
        let Some(serving) = self.serving.take() else { return };
        match serving.await {
            Ok(Ok(())) => tracing::info!(address = %self.address, "sandbox stopped"),
            Ok(Err(error)) => tracing::error!(address = %self.address, %error, "sandbox stopped badly"),
            Err(error) => tracing::error!(address = %self.address, %error, "sandbox stopped badly"),
        }
    }
}

impl Drop for RunningSandbox {
    fn drop(&mut self) {
        self.shared.stop();
    }
}
