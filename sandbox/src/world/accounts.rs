//! People as users of Telegram's own protocol: phone numbers, codes, passwords, and who is signed in where.
//!
//! An authorisation key is a device. It is known before anyone signs in with it, and whoever is signed in with it is
//! told by [`World::signed_in`]. Codes and tokens live as long as the process, sessions are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Change;
use super::model::{User, UserId};
use super::rules::World;

/// Names an authorisation key: eight bytes of its hash.
pub type KeyId = u64;

/// For how long a login token of a QR code can be scanned, in milliseconds.
pub const TOKEN_LIVES: i64 = 30_000;

/// After so many wrong tries a code is worth nothing.
const MAX_TRIES: u32 = 5;

/// The most codes, and the most tokens, that wait; the oldest go.
const MAX_WAITING: usize = 10_000;

/// A person's account. In a seed only `user` and `phone` are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Whose it is: one of the people.
    pub user: UserId,
    /// Digits, in international form without `+`.
    pub phone: String,
    /// The code that signs in.
    #[serde(default = "usual_code")]
    pub code: String,
    /// For how long a code that was sent is good; 0 makes codes that have expired when they come.
    #[serde(default = "usual_code_life")]
    pub code_seconds: u32,
    /// The second factor.
    #[serde(default)]
    pub password: Option<Password>,
    /// Who may do what with this person.
    #[serde(default)]
    pub privacy: Privacy,
    /// Whom this person has as contacts.
    #[serde(default)]
    pub contacts: BTreeSet<UserId>,
    /// Whether Telegram has banned the number.
    #[serde(default)]
    pub banned: bool,
    /// After inviting so many people the account is taken for a spammer (`PEER_FLOOD`).
    #[serde(default)]
    pub invites_until_flood: Option<u32>,
}

/// A password of the second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// The password itself: the sandbox keeps no secrets.
    pub text: String,
    /// What reminds its owner of it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// What a person lets others do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// Who may add this person to groups and channels.
    pub invites: Audience,
    /// Who finds this person by the phone number.
    pub phone_search: Audience,
    /// Who may write to this person; bots may once the person has written to them.
    pub messages: Audience,
}

/// Who is allowed something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Whoever wants to.
    #[default]
    Everybody,
    /// The person's contacts.
    Contacts,
    /// Nobody.
    Nobody,
}

/// An authorisation key and who is signed in with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Names the key.
    pub id: KeyId,
    /// The key, in base64.
    pub key: String,
    /// Who is signed in.
    pub user: Option<UserId>,
    /// Who has shown the right code and owes the password.
    #[serde(default)]
    pub owes_password: Option<UserId>,
    /// Whether the session was ended from elsewhere.
    #[serde(default)]
    pub revoked: bool,
}

/// Why somebody cannot sign in, or is not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum SignInRefusal {
    #[error("nobody is signed in with this key")]
    NotSignedIn,
    #[error("the session was ended")]
    Revoked,
    #[error("the account was banned")]
    Deactivated,
    #[error("that is no phone number")]
    PhoneInvalid,
    #[error("the phone number is banned")]
    PhoneBanned,
    #[error("the code is wrong")]
    CodeInvalid,
    #[error("the code has expired")]
    CodeExpired,
    #[error("nobody has this phone number")]
    Unoccupied,
    #[error("the password is needed too")]
    PasswordNeeded,
    #[error("the login token is none")]
    TokenInvalid,
    #[error("the login token has expired")]
    TokenExpired,
}

/// What becomes of asking for a login token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginToken {
    /// It waits to be scanned until then, in Unix milliseconds.
    Waiting {
        /// What the QR code holds.
        token: [u8; 32],
        /// When it is worth nothing.
        expires: i64,
    },
    /// It was scanned, and the device is signed in.
    SignedIn(UserId),
}

/// The accounts, and what their owners are in the middle of.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) by_user: BTreeMap<UserId, Account>,
    devices: BTreeMap<KeyId, Device>,
    /// By hash.
    codes: BTreeMap<String, SentCode>,
    tokens: BTreeMap<[u8; 32], Token>,
    /// How many people each has invited.
    pub(super) invited: BTreeMap<UserId, u32>,
    /// Whose contacts are no longer those of the seed.
    pub(super) changed: BTreeSet<UserId>,
}

#[derive(Debug)]
struct SentCode {
    phone: String,
    expires: i64,
    tries: u32,
}

#[derive(Debug)]
struct Token {
    device: KeyId,
    expires: i64,
    accepted: Option<UserId>,
}

impl Accounts {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        Self {
            by_user: accounts.into_iter().map(|account| (account.user, account)).collect(),
            ..Self::default()
        }
    }

    /// The changes that make the devices and the contacts out of the seed's.
    pub(super) fn everything(&self) -> impl Iterator<Item = Change> {
        let devices = self.devices.values().cloned().map(Change::Device);
        let contacts = self.changed.iter().filter_map(|user| {
            let contacts = self.by_user.get(user)?.contacts.clone();
            Some(Change::Contacts { user: *user, contacts })
        });
        devices.chain(contacts)
    }

    pub(super) fn put(&mut self, device: Device) {
        self.devices.insert(device.id, device);
    }
}

impl World {
    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.by_user.values()
    }

    /// The account of a person.
    pub fn account(&self, user: UserId) -> Option<&Account> {
        self.accounts.by_user.get(&user)
    }

    /// The account that has this number, however it is written.
    pub fn account_by_phone(&self, phone: &str) -> Option<&Account> {
        let wanted = digits(phone);
        self.accounts().find(|account| digits(&account.phone) == wanted)
    }

    /// A key is known from now on.
    pub fn add_device(&mut self, id: KeyId, key: String) {
        self.keep(Device {
            id,
            key,
            user: None,
            owes_password: None,
            revoked: false,
        });
    }

    /// What is known of a key.
    pub fn device(&self, id: KeyId) -> Option<&Device> {
        self.accounts.devices.get(&id)
    }

    /// All keys.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.accounts.devices.values()
    }

    /// Who is signed in with a key.
    pub fn signed_in(&self, id: KeyId) -> Result<&User, SignInRefusal> {
        let device = self.device(id).ok_or(SignInRefusal::NotSignedIn)?;
        if device.revoked {
            return Err(SignInRefusal::Revoked);
        }
        let user = device.user.ok_or(SignInRefusal::NotSignedIn)?;
        if self.account(user).is_some_and(|account| account.banned) {
            return Err(SignInRefusal::Deactivated);
        }
        self.user(user).ok_or(SignInRefusal::NotSignedIn)
    }

    /// Sends a code to a number; gives the hash that has to come back with it, and the code's length.
    pub fn send_code(&mut self, phone: &str, now: i64) -> Result<(String, usize), SignInRefusal> {
        let phone = digits(phone);
        if !(7..=15).contains(&phone.len()) {
            return Err(SignInRefusal::PhoneInvalid);
        }
        let account = self.account_by_phone(&phone);
        if account.is_some_and(|account| account.banned) {
            return Err(SignInRefusal::PhoneBanned);
        }
        let (length, seconds) = account.map_or((usual_code().len(), usual_code_life()), |account| {
            (account.code.len(), account.code_seconds)
        });
        self.sequence += 1;
        let hash = format!("{:08x}{:08x}", self.sequence, now & 0xffff_ffff);
        let code = SentCode {
            phone,
            expires: now + i64::from(seconds) * 1_000,
            tries: 0,
        };
        if self.accounts.codes.len() >= MAX_WAITING {
            self.accounts.codes.pop_first();
        }
        self.accounts.codes.insert(hash.clone(), code);
        Ok((hash, length))
    }

    /// Signs in with a code.
    pub fn sign_in(
        &mut self,
        device: KeyId,
        phone: &str,
        hash: &str,
        code: &str,
        now: i64,
    ) -> Result<UserId, SignInRefusal> {
        let phone = digits(phone);
        let sent = self.accounts.codes.get_mut(hash).filter(|sent| sent.phone == phone);
        let sent = sent.ok_or(SignInRefusal::CodeExpired)?;
        if now >= sent.expires || sent.tries >= MAX_TRIES {
            return Err(SignInRefusal::CodeExpired);
        }
        sent.tries += 1;
        let account = self.account_by_phone(&phone).cloned();
        let expected = account.as_ref().map_or_else(usual_code, |account| account.code.clone());
        if code != expected {
            return Err(SignInRefusal::CodeInvalid);
        }
        self.accounts.codes.remove(hash);
        self.enter(device, account.ok_or(SignInRefusal::Unoccupied)?.user)
    }

    /// The account whose password is to be shown with this key: of who is signed in, or owes it.
    pub fn password_account(&self, device: KeyId) -> Result<&Account, SignInRefusal> {
        let known = self.device(device).ok_or(SignInRefusal::NotSignedIn)?;
        let user = known.user.or(known.owes_password).ok_or(SignInRefusal::NotSignedIn)?;
        self.account(user).ok_or(SignInRefusal::NotSignedIn)
    }

    /// The password was right.
    pub fn pass(&mut self, device: KeyId) -> Result<UserId, SignInRefusal> {
        let user = self.password_account(device)?.user;
        self.seat(device, Some(user));
        Ok(user)
    }

    /// Ends the session of a key, as its owner asks.
    pub fn sign_out(&mut self, device: KeyId) {
        self.seat(device, None);
    }

    /// Ends all sessions of a person from elsewhere; gives how many there were.
    pub fn revoke(&mut self, user: UserId) -> usize {
        let theirs: Vec<Device> = self
            .devices()
            .filter(|device| device.user == Some(user) && !device.revoked)
            .cloned()
            .collect();
        let count = theirs.len();
        for device in theirs {
            self.keep(Device {
                revoked: true,
                ..device
            });
        }
        count
    }

    /// The login token of a device: `fresh` when it has none that is still good. A scanned one signs in.
    pub fn login_token(&mut self, device: KeyId, fresh: [u8; 32], now: i64) -> Result<LoginToken, SignInRefusal> {
        self.accounts.tokens.retain(|_, token| token.expires > now);
        let own = self.accounts.tokens.iter().find(|(_, token)| token.device == device);
        if let Some((bytes, token)) = own {
            let (bytes, expires) = (*bytes, token.expires);
            let Some(user) = token.accepted else {
                return Ok(LoginToken::Waiting { token: bytes, expires });
            };
            self.accounts.tokens.remove(&bytes);
            return self.enter(device, user).map(LoginToken::SignedIn);
        }
        if self.accounts.tokens.len() >= MAX_WAITING {
            self.accounts.tokens.pop_first();
        }
        let expires = now + TOKEN_LIVES;
        let token = Token {
            device,
            expires,
            accepted: None,
        };
        self.accounts.tokens.insert(fresh, token);
        Ok(LoginToken::Waiting { token: fresh, expires })
    }

    /// A device takes over the token of another one, as after a migration. A scanned one signs in.
    pub fn import_token(&mut self, device: KeyId, token: &[u8], now: i64) -> Result<LoginToken, SignInRefusal> {
        let token: [u8; 32] = token.try_into().map_err(|_| SignInRefusal::TokenInvalid)?;
        let waiting = self
            .accounts
            .tokens
            .get_mut(&token)
            .ok_or(SignInRefusal::TokenInvalid)?;
        let expires = waiting.expires;
        if expires <= now {
            return Err(SignInRefusal::TokenExpired);
        }
        let Some(user) = waiting.accepted else {
            waiting.device = device;
            return Ok(LoginToken::Waiting { token, expires });
        };
        self.accounts.tokens.remove(&token);
        self.enter(device, user).map(LoginToken::SignedIn)
    }

    /// A person scans a QR code; gives the device that waits for it.
    pub fn scan(&mut self, token: &[u8], phone: &str, now: i64) -> Result<KeyId, SignInRefusal> {
        let user = self.account_by_phone(phone).ok_or(SignInRefusal::Unoccupied)?.user;
        let bytes: [u8; 32] = token.try_into().map_err(|_| SignInRefusal::TokenInvalid)?;
        let waiting = self.accounts.tokens.get_mut(&bytes);
        let waiting = waiting.ok_or(SignInRefusal::TokenInvalid)?;
        if waiting.expires <= now {
            return Err(SignInRefusal::TokenExpired);
        }
        waiting.accepted = Some(user);
        Ok(waiting.device)
    }

    /// Lets a person in who has shown a code or scanned a token: at once, or as far as the password.
    fn enter(&mut self, device: KeyId, user: UserId) -> Result<UserId, SignInRefusal> {
        let account = self.account(user).ok_or(SignInRefusal::Unoccupied)?;
        if account.banned {
            return Err(SignInRefusal::PhoneBanned);
        }
        if account.password.is_none() {
            self.seat(device, Some(user));
            return Ok(user);
        }
        if let Some(known) = self.device(device).cloned() {
            self.keep(Device {
                user: None,
                owes_password: Some(user),
                revoked: false,
                ..known
            });
        }
        Err(SignInRefusal::PasswordNeeded)
    }

    fn seat(&mut self, device: KeyId, user: Option<UserId>) {
        if let Some(known) = self.device(device).cloned() {
            self.keep(Device {
                user,
                owes_password: None,
                revoked: false,
                ..known
            });
        }
    }

    fn keep(&mut self, device: Device) {
        self.accounts.put(device.clone());
        self.changes.push(Change::Device(device));
    }
}

/// A number as it is compared.
pub(super) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

fn usual_code() -> String {
    "12345".to_owned()
}

fn usual_code_life() -> u32 {
    300
}
