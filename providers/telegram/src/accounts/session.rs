//! What the protocol's library keeps of a session, in memory; whoever works with the account keeps it in its vault.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grammers_session::types::{DcOption, PeerId, PeerInfo, UpdateState, UpdatesState};
use grammers_session::{BoxFuture, Session};

use super::vault::{CentreKey, Keys, key_text};

/// A session in memory. People and chats are not remembered: nothing here asks for them.
#[derive(Debug)]
pub(super) struct AccountSession(Mutex<State>);

#[derive(Debug)]
struct State {
    home: i32,
    centres: BTreeMap<i32, DcOption>,
    changed: bool,
}

/// A key that exists is to be replaced: the data centre does not know it any more, so the session is lost.
#[derive(Debug, thiserror::Error)]
#[error("the data centre {0} does not know the session's key any more")]
pub(super) struct KeyReplaced(i32);

impl AccountSession {
    pub(super) fn new(keys: &Keys) -> Self {
        let centres = keys.centres.iter().map(|centre| {
            let option = DcOption {
                auth_key: centre.bytes(),
                ..at(centre.id, centre.address)
            };
            (centre.id, option)
        });
        Self(Mutex::new(State {
            home: keys.home,
            centres: centres.collect(),
            changed: false,
        }))
    }

    /// What has to be kept, if that is no longer what was given.
    pub(super) fn take_changes(&self) -> Option<Keys> {
        let mut state = self.state();
        std::mem::take(&mut state.changed).then(|| Keys {
            home: state.home,
            centres: state.centres.values().map(kept).collect(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A data centre without a key.
pub(super) fn at(id: i32, address: SocketAddr) -> DcOption {
    let v4 = match address.ip() {
        IpAddr::V4(ip) => SocketAddrV4::new(ip, address.port()),
        IpAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
    };
    let v6 = match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
        SocketAddr::V6(v6) => v6,
    };
    DcOption {
        id,
        ipv4: v4,
        ipv6: v6,
        auth_key: None,
    }
}

fn kept(option: &DcOption) -> CentreKey {
    CentreKey {
        id: option.id,
        address: option.ipv4.into(),
        key: option.auth_key.as_ref().map(key_text),
    }
}

impl Session for AccountSession {
    type Error = KeyReplaced;

    fn home_dc_id(&self) -> Result<i32, KeyReplaced> {
        Ok(self.state().home)
    }

    fn set_home_dc_id(&self, id: i32) -> BoxFuture<'_, Result<(), KeyReplaced>> {
        let mut state = self.state();
        state.changed |= state.home != id;
        state.home = id;
        Box::pin(async { Ok(()) })
    }

    fn dc_option(&self, id: i32) -> Result<Option<DcOption>, KeyReplaced> {
        Ok(self.state().centres.get(&id).cloned())
    }

    /// A key is taken once. To a data centre that has forgotten it the library would agree on another one, and lose the
    /// session without a word.
    fn set_dc_option(&self, option: &DcOption) -> BoxFuture<'_, Result<(), KeyReplaced>> {
        let mut state = self.state();
        let before = state.centres.get(&option.id);
        let replaced = before
            .and_then(|before| before.auth_key)
            .is_some_and(|key| option.auth_key != Some(key));
        if replaced {
            let id = option.id;
            return Box::pin(async move { Err(KeyReplaced(id)) });
        }
        state.changed |= before != Some(option);
        state.centres.insert(option.id, option.clone());
        Box::pin(async { Ok(()) })
    }

    fn peer(&self, _: PeerId) -> BoxFuture<'_, Result<Option<PeerInfo>, KeyReplaced>> {
        Box::pin(async { Ok(None) })
    }

    fn cache_peer(&self, _: PeerInfo) -> BoxFuture<'_, Result<(), KeyReplaced>> {
        Box::pin(async { Ok(()) })
    }

    fn updates_state(&self) -> BoxFuture<'_, Result<UpdatesState, KeyReplaced>> {
        Box::pin(async { Ok(UpdatesState::default()) })
    }

    fn set_update_state(&self, _: UpdateState) -> BoxFuture<'_, Result<(), KeyReplaced>> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[tokio::test]
    async fn a_key_is_never_replaced() {
        let address = "127.0.0.1:443".parse().unwrap();
        let centres = vec![CentreKey {
            id: 2,
            address,
            key: Some(key_text(&[1; 256])),
        }];
        let session = AccountSession::new(&Keys { home: 2, centres });
        assert!(session.take_changes().is_none());
        let other = DcOption {
            auth_key: Some([2; 256]),
            ..at(2, address)
        };
        assert!(session.set_dc_option(&other).await.is_err());
        assert_eq!(session.dc_option(2).unwrap().unwrap().auth_key, Some([1; 256]));
        session.set_dc_option(&DcOption { id: 4, ..other }).await.unwrap();
        session.set_home_dc_id(4).await.unwrap();
        let keys = session.take_changes().unwrap();
        assert_eq!((keys.home, keys.centres.len()), (4, 2));
        assert_eq!(keys.centres[1].bytes(), Some([2; 256]));
        assert!(session.take_changes().is_none());
    }
}
